//! What can go wrong with an operation, and what to do then.
//!
//! A conflict carries the difference it was decided on; nothing else here looks at a file's text.

use std::path::PathBuf;

use super::record::FORMAT;
use crate::change::EditError;
use crate::error::{Code, Coded, Hint};
use crate::id::OpId;
use crate::store::StoreError;

/// One file that an operation could not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileConflict {
    /// The path, relative to the project.
    pub path: String,
    /// Why, as a fragment.
    pub reason: String,
    /// What changed since, as `diff -u` writes it.
    pub diff: String,
}

/// An operation that could not be prepared, applied, recovered or undone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// A file could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An edit does not apply to the file as it is; nothing was written.
    #[error("failed to edit {path}")]
    Edit {
        /// The path, relative to the project.
        path: String,
        /// Why.
        #[source]
        source: EditError,
    },
    /// A path that does not stay inside the project, or that belongs to the journal itself.
    #[error(
        "{path:?} is not a path of a project's file; expected one relative to the project, without `..`"
    )]
    BadPath {
        /// The path.
        path: String,
    },
    /// An operation's record cannot be read.
    #[error("{} is not the record of an operation", path.display())]
    Corrupt {
        /// The record.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// An image of an operation is missing or is not what its record says.
    #[error("{} is {found}; expected {expected}", path.display())]
    Damaged {
        /// The image.
        path: PathBuf,
        /// What the record says.
        expected: String,
        /// What is there.
        found: String,
    },
    /// An operation was written by a newer version.
    #[error("{} has format {found}; this version writes format {}", path.display(), FORMAT)]
    NewerFormat {
        /// The record.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Files changed under an operation, so that it can neither go on nor be taken back.
    #[error(
        "operation {op} conflicts with what was changed since:{}",
        listing(files)
    )]
    Conflict {
        /// The operation.
        op: OpId,
        /// Its files that are in the way.
        files: Vec<FileConflict>,
    },
    /// An earlier operation is not finished.
    #[error("operation {op} is not finished; expected no unfinished operation before a new one")]
    Unfinished {
        /// The earlier one.
        op: OpId,
    },
    /// There is no such operation.
    #[error("operation {op} is not in the journal of this project")]
    UnknownOp {
        /// The id asked for.
        op: OpId,
    },
    /// It was undone before.
    #[error("operation {op} was undone before, by operation {by}")]
    AlreadyUndone {
        /// The operation.
        op: OpId,
        /// The one that undid it.
        by: OpId,
    },
}

fn listing(files: &[FileConflict]) -> String {
    let one = |file: &FileConflict| format!("\n{}: {}\n{}", file.path, file.reason, file.diff);
    files.iter().map(one).collect()
}

impl Coded for JournalError {
    fn code(&self) -> Code {
        match self {
            Self::Store(source) => source.code(),
            Self::Edit { source, .. } => source.code(),
            Self::BadPath { .. } | Self::UnknownOp { .. } | Self::AlreadyUndone { .. } => {
                Code::Failed
            }
            Self::Corrupt { .. } | Self::Damaged { .. } => Code::CorruptState,
            Self::NewerFormat { .. } => Code::NewerFormat,
            Self::Conflict { .. } | Self::Unfinished { .. } => Code::Conflict,
        }
    }

    fn hint(&self) -> Option<Hint> {
        Some(Hint(match self {
            Self::Store(source) => return source.hint(),
            Self::Edit { source, .. } => return source.hint(),
            Self::BadPath { .. } => "Correct the path where it is configured.".to_owned(),
            Self::Corrupt { path, .. } | Self::Damaged { path, .. } => format!(
                "Look at the project's files; if they are right, move the folder of {} away.",
                path.display()
            ),
            Self::NewerFormat { .. } => {
                "Use the newer ralph that wrote it; this one can only read.".to_owned()
            }
            Self::Conflict { op, .. } => format!(
                "Make the files agree by hand and run the command again. What an interrupted operation has done is taken back by \
                 `ralph ops undo {op}`; before an older one is undone, those after it are, the newest first (`ralph ops list`)."
            ),
            Self::Unfinished { op } => format!(
                "Run `ralph dispatch`, which finishes it, or `ralph ops show {op}` to see what it changes."
            ),
            Self::UnknownOp { .. } | Self::AlreadyUndone { .. } => {
                "`ralph ops list` shows the operations that are kept.".to_owned()
            }
        }))
    }
}
