//! What can go wrong with a file, and what to do about it. Nothing is read or written here.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Code, Coded, Hint};

/// A file that could not be read or written. The old file is untouched in every case.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused.
    #[error("failed to {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is something else where a file is expected.
    #[error("{} is {found}; expected a regular file", path.display())]
    NotAFile {
        /// Where.
        path: PathBuf,
        /// What it is, with its article.
        found: &'static str,
    },
    /// A file that was to be created exists.
    #[error("{} exists already; expected to create it", path.display())]
    Exists {
        /// Which.
        path: PathBuf,
    },
    /// A file that must be text is not UTF-8.
    #[error("{} is not UTF-8 text: the first bad byte is number {at}, in line {line}", path.display())]
    NotText {
        /// Which.
        path: PathBuf,
        /// The offset of the first bad byte, from zero.
        at: usize,
        /// Its line, from one.
        line: usize,
    },
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

impl Coded for StoreError {
    fn code(&self) -> Code {
        match self {
            Self::Io { .. } | Self::NotAFile { .. } => Code::Failed,
            Self::Exists { .. } => Code::Conflict,
            Self::NotText { .. } => Code::CorruptState,
        }
    }

    fn hint(&self) -> Option<Hint> {
        let text = match self {
            Self::Io { source, path, .. } => io_hint(source.kind(), path)?,
            Self::NotAFile { .. } | Self::Exists { .. } => {
                "Move it away if it is not needed, then run the command again.".to_owned()
            }
            Self::NotText { .. } => {
                "Convert the file to UTF-8, or put back its last good version from git.".to_owned()
            }
        };
        Some(Hint(text))
    }
}

fn io_hint(kind: io::ErrorKind, path: &Path) -> Option<String> {
    let path = path.display();
    Some(match kind {
        io::ErrorKind::StorageFull => {
            format!("Free some space on the file system of {path}; nothing was changed.")
        }
        io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            format!("Your quota or size limit for {path} is used up; free some space there.")
        }
        io::ErrorKind::PermissionDenied => {
            format!(
                "Check who owns {path} and its folder (`ls -ld`), and that you may write there."
            )
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            format!("The file system of {path} is mounted read-only; remount it or work elsewhere.")
        }
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            format!("Check that the folder of {path} exists.")
        }
        _ => return None,
    })
}
