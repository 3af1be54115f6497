//! What can be wrong with a worktree.

use std::path::{Path, PathBuf};

use ralph_core::error::{Code, Coded, Hint};
use ralph_core::store::atomic::StoreError;

use crate::git::{GitError, ObjectId};

/// A step with a worktree that was not done.
#[derive(Debug, thiserror::Error)]
pub enum WorktreeError {
    /// Git gave no answer.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The worktree is no longer one of this repository.
    #[error("the worktree {} is gone from its repository{}", path.display(), committed(branch.as_deref()))]
    Gone {
        /// Where it was.
        path: PathBuf,
        /// Its branch, where that has commits of its own.
        branch: Option<String>,
    },
    /// Work is not where it should be before its worktree is removed.
    #[error("commit {} is not in `{place}`; the worktree {} was left as it is", commit.short(), path.display())]
    NotSafe {
        /// The worktree.
        path: PathBuf,
        /// The commit that should hold the work.
        commit: ObjectId,
        /// The branch that should hold the commit.
        place: String,
    },
    /// There are other repositories in it, which no commit can hold.
    #[error("the worktree {} holds repositories with something that is nowhere else ({}); it stays until that is", path.display(), folders.join(", "))]
    Embedded {
        /// The worktree.
        path: PathBuf,
        /// The folders.
        folders: Vec<String>,
    },
    /// It is the user's, who has put files into it that no commit holds.
    #[error("the worktree {} holds files that are in no commit ({}); it was left as it is", path.display(), files.join(", "))]
    NotClean {
        /// The worktree.
        path: PathBuf,
        /// The first of them.
        files: Vec<String>,
    },
    /// Git keeps branches as files in folders, so that no branch has the name of a folder of others.
    #[error("the branch `{branch}` is in the way of branches such as `{prefix}/task`")]
    InTheWay {
        /// The branch.
        branch: String,
        /// What the names of ours begin with.
        prefix: String,
    },
    /// A loop would be begun in the worktree of another one's attempt, such as by its agent, and the next one in that.
    #[error("{} is a worktree of an attempt of another loop", path.display())]
    OfAnAttempt {
        /// The worktree.
        path: PathBuf,
    },
    /// Every name that was tried for a branch is taken.
    #[error(
        "expected a free name for a branch such as `{name}`, found all that were tried to be taken"
    )]
    NoName {
        /// The first of them.
        name: String,
    },
}

impl WorktreeError {
    /// Git says that it made a worktree, and there is none.
    pub(super) fn no_git_dir(path: &Path) -> Self {
        Self::Git(GitError::Answer {
            command: "git worktree add".to_owned(),
            found: format!("no git folder for {}", path.display()),
            expected: "one below `worktrees/` in the repository's git folder",
        })
    }
}

impl Coded for WorktreeError {
    fn code(&self) -> Code {
        match self {
            Self::Git(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Gone { .. } | Self::Embedded { .. } | Self::NoName { .. } => Code::Failed,
            Self::NotSafe { .. } | Self::NotClean { .. } => Code::Conflict,
            Self::InTheWay { .. } => Code::Usage,
            Self::OfAnAttempt { .. } => Code::AlreadyRunning,
        }
    }

    fn hint(&self) -> Option<Hint> {
        let text = match self {
            Self::Git(error) => return error.hint(),
            Self::Store(error) => return error.hint(),
            Self::Gone {
                branch: Some(_), ..
            } => "Look at the branch; the agent seems to have removed its worktree.",
            Self::Gone { branch: None, .. } => "The agent seems to have removed its worktree.",
            Self::NotSafe { .. } | Self::NotClean { .. } => {
                "Look at the worktree, commit what you need, then `git worktree remove` it."
            }
            Self::Embedded { .. } => {
                "Move those folders away, then `git worktree remove` the worktree."
            }
            Self::InTheWay { .. } => {
                "Rename it (`git branch -m`), or set WORKTREE_BRANCH_PREFIX to another word."
            }
            Self::OfAnAttempt { .. } => {
                "What is done there is taken over by that loop. Run this in the repository itself."
            }
            Self::NoName { .. } => "Remove branches of former attempts that nobody needs.",
        };
        Some(Hint::new(text))
    }
}

fn committed(branch: Option<&str>) -> String {
    match branch {
        Some(branch) => format!("; the branch `{branch}` has what was committed"),
        None => "; what was committed there on no branch is found with `git fsck --lost-found`"
            .to_owned(),
    }
}
