//! What a worktree is used for, in a file of its git folder: whoever finds it after a crash knows whether it may hold
//! work. Without the file nobody has worked there.

use std::path::Path;

use ralph_core::store::atomic::{self, StoreError};
use serde::{Deserialize, Serialize};

use super::Assigned;
use crate::git::ObjectId;

/// The name of the file.
const FILE: &str = "ralph.json";

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(super) enum Mark {
    /// An agent works or has worked there.
    Assigned {
        /// The branch.
        branch: String,
        /// Where it starts.
        start: ObjectId,
    },
    /// The work is being committed on the branch. Once the branch is elsewhere than at `head`, that has happened, and
    /// what lies in the folder says nothing any more: the commit may stand on a newer base.
    Committing {
        /// The branch.
        branch: String,
        /// Where the work starts.
        start: ObjectId,
        /// Where the branch was before.
        head: ObjectId,
    },
    /// Its work is safe, and what lies there is none, also while it is made ready for another attempt.
    Released {
        /// The branch of the attempt that had it; `None` where no attempt did.
        branch: Option<String>,
    },
}

/// What is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Nobody has worked there.
    Nothing,
    /// The file says this.
    Mark(Mark),
    /// The file is there and cannot be understood: a power cut. It may hold work.
    Unreadable,
}

impl Mark {
    pub(super) fn assigned(assigned: &Assigned) -> Self {
        Self::Assigned {
            branch: assigned.branch.clone(),
            start: assigned.start.clone(),
        }
    }

    pub(super) fn released(assigned: &Assigned) -> Self {
        Self::Released {
            branch: Some(assigned.branch.clone()),
        }
    }

    /// The attempt's branch.
    pub(super) fn branch(&self) -> Option<&str> {
        match self {
            Self::Assigned { branch, .. } | Self::Committing { branch, .. } => Some(branch),
            Self::Released { branch } => branch.as_deref(),
        }
    }

    pub(super) fn committing(assigned: &Assigned, head: &ObjectId) -> Self {
        Self::Committing {
            branch: assigned.branch.clone(),
            start: assigned.start.clone(),
            head: head.clone(),
        }
    }

    /// Writes the file. Not synced: after a power cut a worktree that is on a branch counts as assigned anyway.
    pub(super) fn write(&self, git_dir: &Path) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        let staged = atomic::stage_unsynced(&git_dir.join(FILE), &bytes, None)?;
        staged.publish().map(drop)
    }

    pub(super) fn read(git_dir: &Path) -> Found {
        match atomic::read(&git_dir.join(FILE)) {
            Ok(None) => Found::Nothing,
            Ok(Some(bytes)) => match serde_json::from_slice(&bytes) {
                Ok(mark) => Found::Mark(mark),
                Err(_) => Found::Unreadable,
            },
            Err(_) => Found::Unreadable,
        }
    }
}
