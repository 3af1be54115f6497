//! What keeps gates from being run at all. A gate that fails is no error.

use ralph_core::error::{Code, Coded, Hint};
use ralph_core::process::guard::GuardError;
use ralph_core::store::atomic::StoreError;

use crate::worktree::WorktreeError;

/// A gate that could not be run at all.
#[derive(Debug, thiserror::Error)]
pub enum GatesError {
    /// The program that guards could not do it.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// A gate that a person has written down, and that no shell can start.
    #[error("the check `{command}` cannot be started: {why}")]
    Unusable {
        /// Which.
        command: String,
        /// What the shell says.
        why: String,
    },
    /// The output of a gate cannot be read.
    #[error("cannot read the output of `{command}`")]
    Output {
        /// Which.
        command: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The base commit cannot be checked out.
    #[error(transparent)]
    Worktree(#[from] WorktreeError),
    /// What is known of the base cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Coded for GatesError {
    fn code(&self) -> Code {
        match self {
            // A missing gate is not a missing agent.
            Self::Guard(_) | Self::Output { .. } => Code::Failed,
            Self::Unusable { .. } => Code::Usage,
            Self::Worktree(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Guard(error) => error.hint(),
            Self::Unusable { .. } => Some(Hint::new(
                "Mend it in --quality-gates or WORKTREE_QUALITY_GATES, or install what it needs; `;` separates checks.",
            )),
            Self::Output { .. } => None,
            Self::Worktree(error) => error.hint(),
            Self::Store(error) => error.hint(),
        }
    }
}
