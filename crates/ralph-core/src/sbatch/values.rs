//! The values of `--time` and `--array`. Nothing here knows where a value came from.

use std::fmt;
use std::time::Duration;

/// The largest index that any SLURM can be configured for (`MaxArraySize` is at most 4000001).
const LARGEST_INDEX: u32 = 4_000_000;

/// A time limit in any form of sbatch(1): minutes, `m:s`, `h:m:s`, `d-h`, `d-h:m`, `d-h:m:s`.
///
/// `Some(None)` is no limit (`UNLIMITED`, `INFINITE`, or zero), `None` is a text that is no time. The seconds are
/// exact; SLURM itself rounds up to whole minutes. It also takes `-1` for no limit, and days without hours (`7-`).
#[must_use]
pub fn time_limit(text: &str) -> Option<Option<Duration>> {
    let text = text.trim();
    if ["unlimited", "infinite", "-1"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
    {
        return Some(None);
    }
    let numbers = |part: &str| -> Option<Vec<u64>> { part.split(':').map(number).collect() };
    let seconds = match text.split_once('-') {
        Some((days, rest)) => {
            let hours = if rest.is_empty() { "0" } else { rest };
            let (hours, minutes, seconds) = match *numbers(hours)?.as_slice() {
                [hours] => (hours, 0, 0),
                [hours, minutes] => (hours, minutes, 0),
                [hours, minutes, seconds] => (hours, minutes, seconds),
                _ => return None,
            };
            number(days)? * 86_400 + hours * 3_600 + minutes * 60 + seconds
        }
        None => match *numbers(text)?.as_slice() {
            [minutes] => minutes * 60,
            [minutes, seconds] => minutes * 60 + seconds,
            [hours, minutes, seconds] => hours * 3_600 + minutes * 60 + seconds,
            _ => return None,
        },
    };
    Some((seconds > 0).then(|| Duration::from_secs(seconds)))
}

/// At most nine digits, so that no sum of them can overflow.
fn number(text: &str) -> Option<u64> {
    let plain = (1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// What `--array` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArraySpec {
    /// The indices, ascending, each once.
    pub indices: Vec<u32>,
    /// How many tasks may run at the same time; `None` for no limit.
    pub at_once: Option<u32>,
}

impl ArraySpec {
    /// Of any indices, without a limit.
    #[must_use]
    pub fn of(mut indices: Vec<u32>) -> Self {
        indices.sort_unstable();
        indices.dedup();
        Self {
            indices,
            at_once: None,
        }
    }
}

/// As short as `--array` allows without steps: `0-9,12%2`.
impl fmt::Display for ArraySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.indices.chunk_by(|one, next| one + 1 == *next);
        for (number, run) in runs.enumerate() {
            let comma = if number == 0 { "" } else { "," };
            match run {
                [only] => write!(f, "{comma}{only}")?,
                [first, .., last] => write!(f, "{comma}{first}-{last}")?,
                [] => {}
            }
        }
        self.at_once.map_or(Ok(()), |limit| write!(f, "%{limit}"))
    }
}

/// An array specification: `0-9%2`, `1,3,5-7:2`. As for SLURM, nothing between two commas is passed over, and the
/// first limit counts wherever it stands.
///
/// # Errors
/// What is wrong with the text, as a fragment for a message.
pub fn array(text: &str) -> Result<ArraySpec, String> {
    let text = text.trim();
    let limit = text
        .split_once('%')
        .and_then(|(_, rest)| rest.split(',').next());
    let limit = limit.map(index).transpose()?;
    let mut indices = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let part = part.split('%').next().unwrap_or_default();
        let part = part.strip_prefix('[').unwrap_or(part);
        let (first, last, step) = range(part.strip_suffix(']').unwrap_or(part))?;
        let count = (last - first) / step + 1;
        if indices.len() + count as usize > LARGEST_INDEX as usize + 1 {
            return Err(format!(
                "more than {LARGEST_INDEX} tasks are more than any SLURM takes"
            ));
        }
        indices.extend((first..=last).step_by(step as usize));
    }
    if indices.is_empty() {
        return Err(format!("`{text}` names no task"));
    }
    Ok(ArraySpec {
        at_once: limit.filter(|limit| *limit > 0),
        ..ArraySpec::of(indices)
    })
}

/// First index, last index and step of `n`, `n-m` or `n-m:s`.
fn range(part: &str) -> Result<(u32, u32, u32), String> {
    let (span, step) = match part.split_once(':') {
        Some((span, step)) => (span, index(step)?),
        None => (part, 1),
    };
    let (first, last) = match span.split_once('-') {
        Some((first, last)) => (index(first)?, index(last)?),
        None if span.len() < part.len() => {
            return Err(format!("the step of `{part}` is of no range"));
        }
        None => (index(span)?, index(span)?),
    };
    if first > last {
        return Err(format!("the range `{part}` runs backwards"));
    }
    if step == 0 {
        return Err(format!("the step of `{part}` is zero"));
    }
    Ok((first, last, step))
}

fn index(text: &str) -> Result<u32, String> {
    number(text.trim_start())
        .and_then(|value| u32::try_from(value).ok())
        .filter(|value| *value <= LARGEST_INDEX)
        .ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            format!("`{shown}` is not a number from 0 to {LARGEST_INDEX}")
        })
}

/// Whether a text is a number of tasks, processors and the like: greater than zero, as `sbatch` reads it.
#[must_use]
pub fn is_count(text: &str) -> bool {
    number(text.trim_start()).is_some_and(|count| count > 0)
}

/// Whether a text is an amount of memory or disk: a whole number with `K`, `M`, `G` or `T` and perhaps a `B`.
#[must_use]
pub fn is_size(text: &str) -> bool {
    let text = text.trim_start();
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let letter = unit.strip_suffix(['b', 'B']).unwrap_or(unit);
    unit.len() < text.len()
        && (unit.is_empty() || ["k", "m", "g", "t"].contains(&&*letter.to_ascii_lowercase()))
}

/// Whether a text can be a number of nodes: `4`, `2-8`, `1k`, or since 23.02 a list such as `1,2,4-16:4`.
#[must_use]
pub fn is_node_count(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || "kKmM-,:".contains(c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_forms_of_a_time_limit() {
        let seconds = |text| time_limit(text).map(|limit| limit.map(|limit| limit.as_secs()));
        for (text, expected) in [
            ("30", 1_800),
            ("1:30", 90),
            ("12:00:00", 43_200),
            ("2-0", 172_800),
            ("1-2", 93_600),
            ("1-2:30", 95_400),
            ("1-02:30:15", 95_415),
            ("7-", 604_800),
            ("0-0:0:1", 1),
        ] {
            assert_eq!(seconds(text), Some(Some(expected)), "{text}");
        }
        for unlimited in ["UNLIMITED", "infinite", "-1", "0", "00:00:00"] {
            assert_eq!(seconds(unlimited), Some(None), "{unlimited}");
        }
        for bad in [
            "",
            "soon",
            "1:2:3:4",
            "1-2:",
            "-5",
            "1-2-3",
            "1.5",
            "9999999999",
            "12h",
        ] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn counts_and_sizes_are_whole_numbers() {
        for (text, count, size, nodes) in [
            ("4", true, true, true),
            (" 4", true, true, false),
            ("0", false, true, true),
            ("16GB", false, true, false),
            ("2k", false, true, true),
            ("1-4", false, false, true),
            ("4.5G", false, false, false),
            ("4GiB", false, false, false),
            ("G", false, false, false),
            ("4Bb", false, false, false),
            ("", false, false, false),
        ] {
            let found = (is_count(text), is_size(text), is_node_count(text));
            assert_eq!(found, (count, size, nodes), "{text}");
        }
    }

    #[test]
    fn arrays_are_expanded_and_bounded() {
        let spec = |text| array(text).map(|spec| (spec.indices, spec.at_once));
        assert_eq!(spec("0-4%2"), Ok((vec![0, 1, 2, 3, 4], Some(2))));
        assert_eq!(spec("1,3,5-7:2"), Ok((vec![1, 3, 5, 7], None)));
        assert_eq!(spec("[4-6]%0"), Ok((vec![4, 5, 6], None)));
        assert_eq!(spec("3,1-3"), Ok((vec![1, 2, 3], None)));
        assert_eq!(spec("1,,2,"), Ok((vec![1, 2], None)));
        assert_eq!(spec("[1-2]%3, 7%9"), Ok((vec![1, 2, 7], Some(3))));
        insta::assert_snapshot!(
            ["", ",", "a", "5-1", "0-9:0", "5:2", "1 ,2", "0-4000001", "0-4000000,0-1", "1%x"]
                .map(|text| array(text).unwrap_err()).join("\n"),
            @r"
        `` names no task
        `,` names no task
        `a` is not a number from 0 to 4000000
        the range `5-1` runs backwards
        the step of `0-9:0` is zero
        the step of `5:2` is of no range
        `1 ` is not a number from 0 to 4000000
        `4000001` is not a number from 0 to 4000000
        more than 4000000 tasks are more than any SLURM takes
        `x` is not a number from 0 to 4000000
        "
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_value_or_an_error(text in "[-0-9:,%\\[\\]aU]{0,12}") {
            let _ = time_limit(&text);
            if let Ok(spec) = array(&text) {
                prop_assert!(spec.indices.windows(2).all(|pair| pair[0] < pair[1]));
            }
        }
    }
}
