//! Why work could not be integrated. A conflict or a dirty checkout is no error: it is an answer.

use std::path::PathBuf;
use std::time::Duration;

use ralph_core::error::{Code, Coded, Hint};
use ralph_core::process::lock::Holder;

use crate::git::GitError;
use crate::plan::{held_by, stopped};
use crate::worktree::WorktreeError;

/// A step of integration that was not done. The work is where it was.
#[derive(Debug, thiserror::Error)]
pub enum IntegrateError {
    /// Git gave no answer.
    #[error(transparent)]
    Git(#[from] GitError),
    /// Something is wrong with the attempt's worktree.
    #[error(transparent)]
    Worktree(#[from] WorktreeError),
    /// The lock file cannot be opened or locked.
    #[error("cannot lock {}", path.display())]
    Lock {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process integrates and does not come to an end.
    #[error("{} is held by {}; waited {} s", path.display(), held_by(*holder), waited.as_secs())]
    Locked {
        /// The lock.
        path: PathBuf,
        /// Who holds it, where that can be seen.
        holder: Option<Holder>,
        /// How long was waited.
        waited: Duration,
    },
}

impl Coded for IntegrateError {
    fn code(&self) -> Code {
        match self {
            Self::Git(error) => error.code(),
            Self::Worktree(error) => error.code(),
            Self::Lock { .. } => Code::Failed,
            Self::Locked { .. } => Code::Locked,
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Git(error) => error.hint(),
            Self::Worktree(error) => error.hint(),
            Self::Lock { .. } => Some(Hint::new(
                "Check that you may write the folder `.ralph/state` of the repository.",
            )),
            Self::Locked { holder, .. } => Some(stopped(*holder).unwrap_or_else(|| {
                Hint::new(
                    "See which ralph runs in this repository; the work stays on its branch meanwhile.",
                )
            })),
        }
    }
}
