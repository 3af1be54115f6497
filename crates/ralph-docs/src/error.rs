//! Why a document was not edited.
//!
//! A [`DocError`] means that nothing was changed and nothing should be: the caller reports it for this
//! one file and goes on. File names are not known here; the caller puts them in front.

use std::fmt;

/// What a caller branches on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocErrorCode {
    /// The document has no such item, entry, row or column.
    NotFound,
    /// More than one place answers to the name, and choosing one would be a guess.
    Ambiguous,
    /// The document's structure does not allow the edit, for example a code fence that is never closed.
    Malformed,
    /// Text stands where entries are expected, and none of it can be read as one.
    Unread,
    /// The edit would change text that is not ours, or what was asked for cannot be written.
    Refused,
}

/// A document that was left as it is, and why, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{detail}", Place(*line))]
pub struct DocError {
    /// The class of the refusal.
    pub code: DocErrorCode,
    /// The line the sentence is about, counted from 1; `None` where it is about the whole document.
    pub line: Option<usize>,
    /// What was expected, what was found and what to do next.
    pub detail: String,
}

impl DocError {
    pub(crate) fn new(code: DocErrorCode, line: Option<usize>, detail: impl Into<String>) -> Self {
        Self {
            code,
            line,
            detail: detail.into(),
        }
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(DocErrorCode::NotFound, None, detail)
    }

    pub(crate) fn refused(detail: impl Into<String>) -> Self {
        Self::new(DocErrorCode::Refused, None, detail)
    }

    /// The same thing found on several lines (counted from 1).
    pub(crate) fn ambiguous(what: &str, lines: &[usize], advice: &str) -> Self {
        let listed: Vec<String> = lines.iter().map(ToString::to_string).collect();
        let detail = format!(
            "{what} is there {} times (lines {}); {advice}",
            lines.len(),
            listed.join(", ")
        );
        Self::new(DocErrorCode::Ambiguous, lines.first().copied(), detail)
    }
}

struct Place(Option<usize>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(line) => write!(f, "line {line}: "),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_one_sentence() {
        let twice = DocError::ambiguous("Q-001", &[4, 9], "rename one of them.");
        assert_eq!(
            twice.to_string(),
            "line 4: Q-001 is there 2 times (lines 4, 9); rename one of them."
        );
        assert_eq!(
            DocError::not_found("there is no Q-9.").to_string(),
            "there is no Q-9."
        );
    }
}
