//! Log file names: the replacement symbols of `--output`, `--error` and `--input`.
//!
//! The rules are those of sbatch(1), section "filename pattern", for the batch script of a job; a step inside the
//! job (`srun`) has its own. Nothing here touches a file.

/// What SLURM prints for the index of a job that is no array task.
const NO_TASK: &str = "4294967294";

/// The widest zero padding.
const WIDEST: usize = 10;

/// The values that a pattern is filled with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Names<'a> {
    /// `%j` and `%J`: the job's own id; in an array the raw id of the task.
    pub job: &'a str,
    /// `%A`: the array's master id; without one the job's own.
    pub array_master: Option<&'a str>,
    /// `%a`: the index in the array.
    pub array_task: Option<u32>,
    /// `%x`: the job's name.
    pub name: &'a str,
    /// `%u`: the user's name.
    pub user: &'a str,
    /// `%N`: the short name of the first node.
    pub node: &'a str,
}

impl Names<'_> {
    /// The text for one symbol and whether it is a number, which may be padded.
    fn value(&self, symbol: char) -> Option<(String, bool)> {
        let number = |text: &str| Some((text.to_owned(), true));
        match symbol {
            'j' | 'J' => number(self.job),
            'A' => number(self.array_master.unwrap_or(self.job)),
            'a' => match self.array_task {
                Some(index) => Some((index.to_string(), true)),
                None => number(NO_TASK),
            },
            // The batch script is the first task on the first node.
            'n' | 't' => number("0"),
            's' => Some(("batch".to_owned(), false)),
            'x' => Some((self.name.to_owned(), false)),
            'u' => Some((self.user.to_owned(), false)),
            'N' => Some((self.node.to_owned(), false)),
            _ => None,
        }
    }
}

/// Fills a pattern. `%%` is a per cent sign, `%4a` pads with zeros, a backslash anywhere disables all symbols
/// (and is dropped), and a symbol that is not known stays as it is.
#[must_use]
pub fn expand(pattern: &str, names: &Names<'_>) -> String {
    if pattern.contains('\\') {
        return pattern.replace('\\', "");
    }
    let mut filled = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('%') {
        filled.push_str(before);
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (width, tail) = after.split_at(digits);
        let symbol = tail.chars().next();
        rest = match (symbol, symbol.and_then(|symbol| names.value(symbol))) {
            (Some('%'), _) if width.is_empty() => {
                filled.push('%');
                tail.get(1..).unwrap_or_default()
            }
            (Some(symbol), Some((value, numeric))) => {
                let width = width.parse().unwrap_or(0).min(WIDEST);
                let zeros = if numeric {
                    width.saturating_sub(value.len())
                } else {
                    0
                };
                filled.extend(std::iter::repeat_n('0', zeros));
                filled.push_str(&value);
                tail.get(symbol.len_utf8()..).unwrap_or_default()
            }
            _ => {
                filled.push('%');
                after
            }
        };
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TASK: Names<'_> = Names {
        job: "61003257",
        array_master: Some("60997656"),
        array_task: Some(3),
        name: "train",
        user: "ada",
        node: "node7",
    };

    #[test]
    fn symbols_are_filled_as_sbatch_does() {
        for (pattern, expected) in [
            ("logs/%x_%A_%a.out", "logs/train_60997656_3.out"),
            ("%j_%4a", "61003257_0003"),
            ("%u@%N.%s.%t.%J", "ada@node7.batch.0.61003257"),
            ("%5x|%12a", "train|0000000003"),
            ("100%%_%q_%", "100%_%q_%"),
            ("%3", "%3"),
            ("a\\b_%j", "ab_%j"),
            ("é%ä%j", "é%ä61003257"),
        ] {
            assert_eq!(expand(pattern, &TASK), expected, "{pattern}");
        }
        let alone = Names {
            job: "12",
            ..Names::default()
        };
        assert_eq!(expand("%A_%a", &alone), "12_4294967294");
    }

    proptest! {
        #[test]
        fn any_pattern_can_be_filled(pattern in "[%0-9ajAxé\\\\/]{0,12}|\\PC{0,12}") {
            let filled = expand(&pattern, &TASK);
            prop_assert!(filled.len() <= pattern.len() * 10 + 10);
        }
    }
}
