//! A task of the plan and its name for machines. Nothing here reads or writes a plan.

use std::fmt;
use std::str::FromStr;

use ralph_core::id::IdError;
use ralph_docs::fix_plan::RowKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The identity of a task: 16 hexadecimal digits over its repository, section, text and place among equals.
/// A line number never enters it, because people insert lines (defect 8.15 of the loop that this replaces).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskKey(String);

impl TaskKey {
    /// Length in characters.
    const LENGTH: usize = 16;

    /// The key of a row; `repository` is `None` in the plan of a single repository.
    #[must_use]
    pub fn of(repository: Option<&str>, row: &RowKey) -> Self {
        let mut hash = Sha256::new();
        for part in [repository.unwrap_or(""), &row.section, &row.text] {
            // The length keeps ("ab", "c") and ("a", "bc") apart.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.update(row.occurrence.to_be_bytes());
        // A plan of a thousand tasks is read at every claim, so the digits are made at once.
        let start = hash
            .finalize()
            .iter()
            .take(Self::LENGTH / 2)
            .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        Self(format!("{start:016x}"))
    }

    /// The text of the key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first six digits, which stand in names of branches and folders.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..6]
    }
}

impl FromStr for TaskKey {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if text.len() == Self::LENGTH && text.chars().all(is_hex) {
            return Ok(Self(text.to_owned()));
        }
        Err(IdError {
            expected: "a task key (16 hexadecimal digits)",
            found: text.chars().take(120).collect(),
        })
    }
}

impl TryFrom<String> for TaskKey {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<TaskKey> for String {
    fn from(key: TaskKey) -> Self {
        key.0
    }
}

impl fmt::Display for TaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A task as it is handed to a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its identity.
    pub key: TaskKey,
    /// Its name for people and branches: the bead id, else a slug of the text, else `task`.
    pub id: String,
    /// Where it stands in the plan.
    #[serde(with = "StoredRow")]
    pub row: RowKey,
    /// The repository whose section it stands in; `None` in the plan of a single repository.
    pub repository: Option<String>,
    /// The line at which it was last seen, from 1; for messages only.
    pub line: usize,
}

impl Task {
    /// The stem of branch and folder names: readable, and distinct for tasks whose slugs are equal (defect 8.4).
    #[must_use]
    pub fn name(&self) -> String {
        let readable: String = self.id.chars().take(40).collect();
        format!("{}-{}", readable.trim_end_matches('-'), self.key.short())
    }
}

/// How a row's key is stored; `ralph-docs` knows no formats.
#[derive(Serialize, Deserialize)]
#[serde(remote = "RowKey")]
struct StoredRow {
    section: String,
    text: String,
    occurrence: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(section: &str, text: &str, occurrence: u32) -> RowKey {
        RowKey {
            section: section.to_owned(),
            text: text.to_owned(),
            occurrence,
        }
    }

    #[test]
    fn the_key_depends_on_every_part_and_on_nothing_else() {
        let keys = [
            TaskKey::of(None, &row("A", "b c", 0)),
            TaskKey::of(None, &row("A b", "c", 0)),
            TaskKey::of(None, &row("A", "b c", 1)),
            TaskKey::of(Some("api"), &row("A", "b c", 0)),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert_eq!(key.as_str().parse::<TaskKey>().as_ref(), Ok(key));
            assert!(!keys[..index].contains(key));
        }
        assert_eq!(keys[0], TaskKey::of(None, &row("A", "b c", 0)));
        // It stands in names of branches and records, so it never changes.
        assert_eq!(keys[0].as_str(), "e296343bbdf3d7ba");
    }
}
