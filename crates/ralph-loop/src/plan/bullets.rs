//! Rows that look like tasks to a person and are none: lists have other signs than `-`, and a loop passes them over.

use std::borrow::Cow;
use std::collections::BTreeSet;

use ralph_docs::fix_plan::{self, Flavour, Mark};

/// What a person is to know of rows that would be open tasks with a `-` in front of them; `None` where there are none. Pure.
#[must_use]
pub fn other_bullets(text: &str, flavour: Flavour) -> Option<String> {
    let dashed: String = text.split_inclusive('\n').map(dashed).collect();
    if dashed == text {
        return None;
    }
    let known = fix_plan::rows(text, flavour).into_iter();
    let known: BTreeSet<usize> = known.map(|row| row.line).collect();
    let mut others = fix_plan::rows(&dashed, flavour);
    others.retain(|row| row.mark == Mark::Open && !known.contains(&row.line));
    let first = others.first()?;
    let line = text.lines().nth(first.line.saturating_sub(1))?.trim();
    let line: String = line.chars().take(80).collect();
    let count = match others.len() {
        1 => "1 row is".to_owned(),
        several => format!("{several} rows are"),
    };
    Some(format!(
        "{count} no task for want of a `- [ ]` in front, such as line {}: {line}",
        first.line
    ))
}

/// A line with `-` for another sign of a list, where a box follows it.
fn dashed(line: &str) -> Cow<'_, str> {
    let rest = line.trim_start_matches([' ', '\t']);
    let indent = line.get(..line.len() - rest.len()).unwrap_or_default();
    let numbered = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let after = if numbered.len() < rest.len() {
        numbered.strip_prefix(['.', ')'])
    } else {
        rest.strip_prefix(['*', '+', '-'])
    };
    match after.map(|after| (after, after.trim_start_matches([' ', '\t']))) {
        Some((after, item)) if item.len() < after.len() && item.starts_with("[ ]") => {
            Cow::Owned(format!("{indent}- {item}"))
        }
        _ => Cow::Borrowed(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_another_sign_are_named_once_and_tasks_are_not() {
        let said = |text: &str| other_bullets(text, Flavour::Repository);
        assert_eq!(said("- [ ] one\n  - [ ] two\n- [x] three\n"), None);
        assert_eq!(
            said("* one\n1. two\n* [x] done\n```\n* [ ] code\n```\n"),
            None
        );
        assert_eq!(
            said("# Plan\n\n* [ ] one\n+ [ ] two\n- [ ] three\n").as_deref(),
            Some("2 rows are no task for want of a `- [ ]` in front, such as line 3: * [ ] one")
        );
        for row in ["1. [ ] one", "12) [ ] one", "-\t[ ] one", "  *  [ ] one"] {
            let expected = format!(
                "1 row is no task for want of a `- [ ]` in front, such as line 2: {}",
                row.trim()
            );
            assert_eq!(said(&format!("- [ ] x\n{row}\r\n")), Some(expected));
        }
    }
}
