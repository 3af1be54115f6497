//! Differences for people, as `diff -u` writes them.
//!
//! Text in, text out; nothing is decided from a difference.

use std::time::Duration;

use similar::TextDiff;

/// Lines of context around a change.
const CONTEXT: usize = 3;
/// A difference is cut after this many lines; whoever needs more has the images.
const MAX_LINES: usize = 400;

/// After so long the rest counts as different: to find the shortest difference of two long texts that share little takes
/// the product of their lengths.
const LIMIT: Duration = Duration::from_millis(500);

/// The difference of two texts under the names given; empty when they are equal.
#[must_use]
pub fn unified(old_name: &str, new_name: &str, old: &str, new: &str) -> String {
    let text = TextDiff::configure()
        .timeout(LIMIT)
        .diff_lines(old, new)
        .unified_diff()
        .context_radius(CONTEXT)
        .header(old_name, new_name)
        .to_string();
    match text.match_indices('\n').nth(MAX_LINES) {
        Some((end, _)) => format!(
            "{}\n... {} more lines\n",
            text.get(..end).unwrap_or_default(),
            text.lines().count().saturating_sub(MAX_LINES + 1)
        ),
        None => text,
    }
}

/// What one operation did to a file; a file that is not there is `/dev/null`, as in git.
pub(super) fn between(path: &str, before: Option<&str>, after: Option<&str>) -> String {
    let name = |side: &str, text: Option<&str>| match text {
        Some(_) => format!("{side}/{path}"),
        None => "/dev/null".to_owned(),
    };
    unified(
        &name("a", before),
        &name("b", after),
        before.unwrap_or_default(),
        after.unwrap_or_default(),
    )
}

/// What was changed in a file since an operation looked at it or left it.
pub(super) fn since(path: &str, then: &str, old: Option<&[u8]>, now: Option<&[u8]>) -> String {
    let text =
        |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let found = if now.is_some() {
        "as it is now"
    } else {
        "which is gone now"
    };
    unified(
        &format!("{path} ({then})"),
        &format!("{path} ({found})"),
        &text(old),
        &text(now),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_dev_null_and_long_ones_are_cut() {
        insta::assert_snapshot!(between("results/summary.md", None, Some("one\ntwo")), @r"
        --- /dev/null
        +++ b/results/summary.md
        @@ -0,0 +1,2 @@
        +one
        +two
        \ No newline at end of file
        ");
        assert_eq!(between("x", Some("same"), Some("same")), "");
        // Would take minutes to be the shortest.
        let lines = |bullet: &str| -> String {
            (0..50_000)
                .map(|entry| format!("{bullet} entry {entry}\n"))
                .collect()
        };
        let rewritten = between("x", Some(&lines("-")), Some(&lines("*")));
        assert_eq!(rewritten.lines().count(), MAX_LINES + 2);
        let long = between("x", None, Some(&"line\n".repeat(1_000)));
        assert_eq!(long.lines().count(), MAX_LINES + 2);
        assert!(long.ends_with("... 602 more lines\n"), "{long}");
    }
}
