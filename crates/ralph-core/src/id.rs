//! Identifiers, parsed once at the edge and trusted afterwards.
//!
//! Nothing here is generated; ids come from [`crate::env::IdSource`], from a file or from the scheduler.
//! A job id is never computed: it is only ever parsed from what a scheduler printed (incident 6).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that is not the identifier it was meant to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not {expected}")]
pub struct IdError {
    /// What was expected, in words.
    pub expected: &'static str,
    /// What was found.
    pub found: String,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text of the id.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(IdError { expected: $expected, found: text.chars().take(120).collect() })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

text_id!(
    /// The name of a project: the name of its folder under `projects/`.
    Slug,
    "a project name (letters, digits, `.`, `_`, `-`; not starting with `.` or `-`; at most 100)",
    |text| is_plain_word(text, 100)
);

text_id!(
    /// The name of a run: the name of its folder under `runs/`. Any safe path segment is accepted
    /// (contradiction 20 of the field study); ours are `q001_20260112_233413`, in UTC.
    RunId,
    "a run id (one path segment without control characters, at most 200 bytes)",
    is_path_segment
);

text_id!(
    /// The id of an item of `queue.md`, such as `Q-001`.
    QueueId,
    "a queue id (a letter, then letters, digits, `.`, `_` or `-`, with a digit; at most 60)",
    |text| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.contains(|c: char| c.is_ascii_digit())
            && is_plain_word(text, 60)
    }
);

text_id!(
    /// The id of a todo item or a debugging entry, such as `T1`, `T0.1` or `D3`.
    TaskId,
    "a task id (letters, digits, `.`, `_`, `-`; at most 60)",
    |text| is_plain_word(text, 60)
);

text_id!(
    /// The id of an operation of the journal; sorts by time.
    OpId,
    "an operation id (letters, digits, `.`, `_`, `-`; at most 80)",
    |text| is_plain_word(text, 80)
);

text_id!(
    /// The key of one submission. It is a path segment, a job name and a comment on the cluster, so its
    /// alphabet is the one that survives all of them: no comma, no pipe, at most 64.
    Token,
    "a submission token (letters, digits, `_`, `-`; at most 64)",
    |text| is_plain_word(text, 64) && !text.contains('.')
);

fn is_plain_word(text: &str, limit: usize) -> bool {
    !text.is_empty()
        && text.len() <= limit
        && !text.starts_with(['.', '-'])
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

fn is_path_segment(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 200
        && text != "."
        && text != ".."
        && !text.starts_with('-')
        && !text.contains(|c: char| c.is_control() || c == '/' || c == '\\')
}

/// The part of an array or heterogeneous job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobPart {
    /// The whole job; for an array, its master.
    Whole,
    /// Task `N_i` of an array.
    Task(u32),
    /// Component `N+i` of a heterogeneous job.
    Component(u32),
}

/// A scheduler's job id: `123`, `123_4` or `123+1`. At most ten digits (incident 6), never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId {
    base: u64,
    part: JobPart,
}

impl JobId {
    /// The largest one there can be; stands for one that is not known yet.
    pub const LARGEST: Self = Self {
        base: 9_999_999_999,
        part: JobPart::Whole,
    };

    /// A whole job.
    ///
    /// # Errors
    /// The number is zero or has more than ten digits.
    pub fn whole(base: u64) -> Result<Self, IdError> {
        if (1..=9_999_999_999).contains(&base) {
            Ok(Self {
                base,
                part: JobPart::Whole,
            })
        } else {
            Err(IdError {
                expected: JOB_ID,
                found: base.to_string(),
            })
        }
    }

    /// Task `index` of the array whose master is this job.
    #[must_use]
    pub fn task(self, index: u32) -> Self {
        Self {
            part: JobPart::Task(index),
            ..self
        }
    }

    /// Component `index` of the heterogeneous job that this job leads.
    #[must_use]
    pub fn component(self, index: u32) -> Self {
        Self {
            part: JobPart::Component(index),
            ..self
        }
    }

    /// The number before `_` or `+`.
    #[must_use]
    pub fn base(self) -> u64 {
        self.base
    }

    /// Which part of the job is meant.
    #[must_use]
    pub fn part(self) -> JobPart {
        self.part
    }

    /// The whole job that this is a part of.
    #[must_use]
    pub fn master(self) -> Self {
        Self {
            part: JobPart::Whole,
            ..self
        }
    }
}

const JOB_ID: &str = "a job id (`123`, `123_4` or `123+1`; at most ten digits)";

impl FromStr for JobId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let fail = || IdError {
            expected: JOB_ID,
            found: text.chars().take(120).collect(),
        };
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse::<u64>().ok()).flatten()
        };
        let part = |digits: &str| number(digits).and_then(|n| u32::try_from(n).ok());
        let (base, part) = if let Some((base, task)) = text.split_once('_') {
            (base, JobPart::Task(part(task).ok_or_else(fail)?))
        } else if let Some((base, component)) = text.split_once('+') {
            (base, JobPart::Component(part(component).ok_or_else(fail)?))
        } else {
            (text, JobPart::Whole)
        };
        if base.starts_with('0') {
            return Err(fail());
        }
        let whole = number(base)
            .and_then(|n| Self::whole(n).ok())
            .ok_or_else(fail)?;
        Ok(Self { part, ..whole })
    }
}

impl TryFrom<String> for JobId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            JobPart::Whole => write!(f, "{}", self.base),
            JobPart::Task(index) => write!(f, "{}_{index}", self.base),
            JobPart::Component(index) => write!(f, "{}+{index}", self.base),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_ids_are_digits_of_a_plausible_length() {
        for good in ["1", "23151980", "61638527_3", "16+1", "9999999999"] {
            assert_eq!(
                good.parse::<JobId>().map(|id| id.to_string()),
                Ok(good.to_owned())
            );
        }
        for bad in [
            "",
            "0",
            "007",
            "job",
            "limits)",
            "12345678901",
            "1_",
            "1_x",
            "+1",
            "-1",
            "1;cluster",
            "1_2_3",
            "PENDING",
        ] {
            assert!(bad.parse::<JobId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_that_could_leave_a_folder_are_refused() {
        for bad in ["", ".", "..", "a/b", "-rf", ".hidden", "a b", "a\nb"] {
            assert!(bad.parse::<Slug>().is_err(), "{bad}");
        }
        for bad in ["", ".", "..", "a/b", "a\\b", "a\0b", "a\nb", "-x"] {
            assert!(bad.parse::<RunId>().is_err(), "{bad}");
        }
        assert!("q201 (second try)".parse::<RunId>().is_ok());
        assert!("Q-ABC".parse::<QueueId>().is_err());
        assert!("Q-001".parse::<QueueId>().is_ok());
    }
}
