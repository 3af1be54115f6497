//! `rsync_excludes`: the part of rsync's pattern language that such lists use. Pure.
//!
//! A pattern that ends with `/` is for folders only; one that starts with `/` begins at the project's folder; any other
//! may begin at every part of a path. `*` and `?` stop at a `/`, `**` does not. Character classes are taken literally.

/// What is left out of the synchronisation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Excludes(Vec<Pattern>);

#[derive(Debug, Clone)]
struct Pattern {
    text: String,
    from_start: bool,
    folders_only: bool,
}

impl Excludes {
    pub(crate) fn new(patterns: &[String]) -> Self {
        let patterns = patterns
            .iter()
            .map(|pattern| pattern.trim())
            .filter(|pattern| !pattern.is_empty());
        Self(
            patterns
                .map(|pattern| Pattern {
                    text: pattern
                        .trim_start_matches('/')
                        .trim_end_matches('/')
                        .to_owned(),
                    from_start: pattern.starts_with('/'),
                    folders_only: pattern.ends_with('/'),
                })
                .collect(),
        )
    }

    /// Whether this path, relative to the project's folder, is left out; a folder with everything in it.
    pub(crate) fn leaves_out(&self, path: &str, is_folder: bool) -> bool {
        self.0.iter().any(|pattern| {
            (is_folder || !pattern.folders_only)
                && starts(path, pattern.from_start).any(|rest| matches(&pattern.text, rest))
        })
    }
}

/// The parts of a path at which a pattern may begin.
fn starts(path: &str, only_first: bool) -> impl Iterator<Item = &str> {
    let later = path
        .match_indices('/')
        .map(|(at, _)| path.get(at + 1..).unwrap_or_default());
    std::iter::once(path).chain(later.take(if only_first { 0 } else { usize::MAX }))
}

fn matches(pattern: &str, text: &str) -> bool {
    let Some(c) = pattern.chars().next() else {
        return text.is_empty();
    };
    let rest = pattern.get(c.len_utf8()..).unwrap_or_default();
    let after = |text: &str| text.chars().next().map(char::len_utf8);
    match c {
        '*' => {
            let (deep, rest) = rest
                .strip_prefix('*')
                .map_or((false, rest), |rest| (true, rest));
            let reach = if deep {
                text.len()
            } else {
                text.find('/').unwrap_or(text.len())
            };
            (0..=reach)
                .filter_map(|at| text.get(at..))
                .any(|tail| matches(rest, tail))
        }
        '?' => after(text)
            .filter(|_| !text.starts_with('/'))
            .and_then(|length| text.get(length..))
            .is_some_and(|tail| matches(rest, tail)),
        _ => text.strip_prefix(c).is_some_and(|tail| matches(rest, tail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_patterns_that_people_write() {
        let cases = [
            ("*.pyc", "experiments/a/b.pyc", false, true),
            ("*.pyc", "experiments/a/b.py", false, false),
            ("__pycache__/", "experiments/__pycache__", true, true),
            ("__pycache__/", "experiments/__pycache__", false, false),
            ("/configs", "configs", true, true),
            ("/configs", "experiments/configs", true, false),
            ("a/*.bin", "experiments/a/x.bin", false, true),
            ("a/*.bin", "experiments/a/b/x.bin", false, false),
            ("a/**", "experiments/a/b/x.bin", false, true),
            ("dat?", "experiments/data", true, true),
            ("dat?", "experiments/datä", true, true),
            ("dat?", "experiments/dat", true, false),
            ("", "experiments/x", false, false),
        ];
        for (pattern, path, is_folder, expected) in cases {
            let excludes = Excludes::new(&[pattern.to_owned()]);
            assert_eq!(
                excludes.leaves_out(path, is_folder),
                expected,
                "{pattern} {path}"
            );
        }
    }
}
