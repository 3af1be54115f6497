//! Names of objects, and of people. Nothing here runs git.

use std::fmt;
use std::str::FromStr;

use ralph_core::id::IdError;
use serde::{Deserialize, Serialize};

/// The full name of a commit, tree or blob: 40 hexadecimal digits, or 64 in a SHA-256 repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectId(String);

impl ObjectId {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }

    /// The name of the object with this hash; `None` where it has no such length.
    pub(crate) fn of_bytes(hash: &[u8]) -> Option<Self> {
        let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        digits.parse().ok()
    }

    /// The name for "no object", of so many digits.
    pub(crate) fn null(digits: usize) -> Self {
        Self("0".repeat(digits))
    }

    /// Whether it is the name that stands for "no object" in git's answers.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.0.bytes().all(|digit| digit == b'0')
    }
}

impl FromStr for ObjectId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if matches!(text.len(), 40 | 64) && text.bytes().all(is_hex) {
            return Ok(Self(text.to_owned()));
        }
        Err(IdError {
            expected: "the full name of a git object",
            found: text.chars().take(120).collect(),
        })
    }
}

impl TryFrom<String> for ObjectId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<ObjectId> for String {
    fn from(id: ObjectId) -> Self {
        id.0
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who a commit is by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
}

impl Signature {
    /// The one for a user whom git does not know: work is not lost because a name is not configured.
    #[must_use]
    pub fn ours() -> Self {
        Self {
            name: "ralph".to_owned(),
            email: "ralph@localhost".to_owned(),
        }
    }

    /// Reads what `git var GIT_COMMITTER_IDENT` prints: name, address in `<>`, seconds, zone.
    #[must_use]
    pub fn parse(ident: &str) -> Option<Self> {
        let (name, rest) = ident.trim().split_once('<')?;
        let (email, _) = rest.split_once('>')?;
        Some(Self {
            name: name.trim().to_owned(),
            email: email.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_full_names_of_objects_are_taken() {
        for good in ["0".repeat(40), "a1".repeat(32)] {
            assert_eq!(good.parse::<ObjectId>().unwrap().as_str(), good);
        }
        for bad in ["", "HEAD", &"A".repeat(40), &"0".repeat(39), "-upload-pack"] {
            assert!(bad.parse::<ObjectId>().is_err(), "{bad}");
        }
        assert!("0".repeat(40).parse::<ObjectId>().unwrap().is_null());
    }

    #[test]
    fn a_signature_is_read_from_what_git_prints() {
        let read = Signature::parse("A U. Thor <a@b.example> 1700000000 +0100\n").unwrap();
        assert_eq!((&*read.name, &*read.email), ("A U. Thor", "a@b.example"));
        assert_eq!(Signature::parse("nobody"), None);
    }
}
