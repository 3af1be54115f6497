//! What an operation changes, as data: one entry per file, one semantic edit each.
//!
//! An edit is applied to the text found, so it can be applied again after somebody else has changed
//! another part of the file. Nothing here reads or writes a file; [`crate::journal`] does.

use serde::{Deserialize, Serialize};

use crate::error::{Code, Coded, Hint};
use crate::id::Slug;

/// Everything that one operation changes, in the order in which the files are written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangeSet {
    /// The project.
    pub project: Slug,
    /// One line for `ralph ops list`.
    pub summary: String,
    /// The files. `.state/pipeline.json` is put last by [`ChangeSet::ordered`]: it is the commit point.
    pub files: Vec<FileChange>,
}

/// One file's change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileChange {
    /// Path relative to the project's folder, with `/`.
    pub path: String,
    /// What changes.
    pub edit: FileEdit,
}

/// A semantic edit of one file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "snake_case")]
pub enum FileEdit {
    /// A file of ours that must not exist yet, or exists with exactly this text.
    Create {
        /// The whole text.
        text: String,
    },
    /// A file of ours, replaced whole.
    Replace {
        /// The whole text.
        text: String,
    },
    /// A file of ours that is removed; one that is gone already is no error.
    Remove,
}

/// An edit that does not apply to the text found. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct EditError {
    /// Conflict, corrupt state or newer format.
    pub code: Code,
    /// What was expected and what was found, without the path.
    pub reason: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Coded for EditError {
    fn code(&self) -> Code {
        self.code
    }

    fn hint(&self) -> Option<Hint> {
        self.hint.as_deref().map(Hint::new)
    }
}

impl FileEdit {
    /// Applies the edit to the file's text, `None` where there is no file. Applying an edit to its own result
    /// changes nothing.
    ///
    /// # Errors
    /// The edit does not apply to this text.
    pub fn apply(&self, before: Option<&str>) -> Result<Option<String>, EditError> {
        match self {
            Self::Create { text } => match before {
                Some(found) if found != text => Err(EditError {
                    code: Code::Conflict,
                    reason: "the file exists with another content".to_owned(),
                    hint: Some(
                        "Move it away if it is not needed; it was left as it is.".to_owned(),
                    ),
                }),
                _ => Ok(Some(text.clone())),
            },
            Self::Replace { text } => Ok(Some(text.clone())),
            Self::Remove => Ok(None),
        }
    }
}

impl ChangeSet {
    /// The files in the order in which they are written: ledger, documents, `pipeline.json`, removals.
    #[must_use]
    pub fn ordered(&self) -> Vec<&FileChange> {
        let mut files: Vec<&FileChange> = self.files.iter().collect();
        files.sort_by_key(|file| match (&file.edit, file.path.as_str()) {
            (FileEdit::Remove, _) => 3,
            (_, ".state/pipeline.json") => 2,
            (_, path) if path.starts_with("runs/") => 0,
            _ => 1,
        });
        files
    }
}
