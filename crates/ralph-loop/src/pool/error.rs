//! What keeps a pool, or one attempt of it, from going on.

use std::path::PathBuf;

use ralph_core::error::{Code, Coded, Hint};
use ralph_core::id::IdError;
use ralph_core::process::guard::GuardError;
use ralph_core::store::StoreError;

use crate::account::AccountError;
use crate::agent::AgentError;
use crate::attempt::AttemptError;
use crate::budget::BudgetError;
use crate::engine::SettingsError;
use crate::gates::GatesError;
use crate::git::GitError;
use crate::integrate::IntegrateError;
use crate::outcome::AttemptId;
use crate::plan::{PlanError, held_by, stopped};
use crate::record::RecordError;
use crate::run::running;
use crate::worktree::WorktreeError;

/// Why a loop cannot begin or go on, or why an attempt of it could not be brought to its end.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A worktree.
    #[error(transparent)]
    Worktree(#[from] WorktreeError),
    /// Putting work onto the base.
    #[error(transparent)]
    Integrate(#[from] IntegrateError),
    /// The checks.
    #[error(transparent)]
    Gate(#[from] GatesError),
    /// The budget.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// The account's gate.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The records.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The record of an attempt.
    #[error(transparent)]
    Attempt(#[from] AttemptError),
    /// A guard.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// An agent.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// Git.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The engine's settings.
    #[error(transparent)]
    Engine(#[from] SettingsError),
    /// A file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An id.
    #[error(transparent)]
    Id(#[from] IdError),
    /// A task of a section that is no repository of this workspace.
    #[error("the plan names {0:?}, and there is no such repository")]
    NoRepository(String),
    /// Work that was to be pushed, in a repository that has no remote any more.
    #[error("{0}: there is no remote to push it to any more")]
    NoRemote(String),
    /// Another loop works in a repository.
    #[error("{}: a loop is already running here ({})", .0.display(), held_by(running(.0)))]
    Busy(PathBuf),
    /// The lock of a repository cannot be taken.
    #[error("{}: cannot be locked", path.display())]
    Lock {
        /// The lock.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// An id came twice.
    #[error("the attempt {0} is not new")]
    AttemptTwice(AttemptId),
    /// A part of the loop panicked.
    #[error("a part of the loop ended unexpectedly")]
    Panic(#[from] tokio::task::JoinError),
}

impl Coded for PoolError {
    fn code(&self) -> Code {
        match self {
            Self::Plan(error) => error.code(),
            Self::Worktree(error) => error.code(),
            Self::Integrate(error) => error.code(),
            Self::Gate(error) => error.code(),
            Self::Budget(error) => error.code(),
            Self::Account(error) => error.code(),
            Self::Record(error) => error.code(),
            Self::Attempt(error) => error.code(),
            Self::Guard(error) => error.code(),
            Self::Agent(error) => error.code(),
            Self::Git(error) => error.code(),
            Self::Engine(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::NoRepository(_) | Self::NoRemote(_) => Code::Usage,
            Self::Busy(_) => Code::AlreadyRunning,
            Self::Lock { .. } => Code::Failed,
            Self::Id(_) | Self::AttemptTwice(_) | Self::Panic(_) => Code::Bug,
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Plan(error) => error.hint(),
            Self::Worktree(error) => error.hint(),
            Self::Integrate(error) => error.hint(),
            Self::Gate(error) => error.hint(),
            Self::Budget(error) => error.hint(),
            Self::Account(error) => error.hint(),
            Self::Record(error) => error.hint(),
            Self::Attempt(error) => error.hint(),
            Self::Guard(error) => error.hint(),
            Self::Agent(error) => error.hint(),
            Self::Git(error) => error.hint(),
            Self::Engine(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::NoRepository(_) => Some(Hint::new(
                "Clone it beside the others, or move the task to a section that names a repository.",
            )),
            Self::NoRemote(_) => Some(Hint::new("Add the remote, or merge the branch by hand.")),
            Self::Busy(root) => stopped(running(root)).or(Some(Hint::new(
                "`ralph status` there shows it; stop it with Ctrl-C or `kill` and its pid, or in a workspace leave the repository out with --exclude.",
            ))),
            Self::Lock { .. } => Some(Hint::new("Check the permissions of the folder.")),
            Self::Id(_) | Self::AttemptTwice(_) | Self::Panic(_) => Some(Hint::new(
                "This is a bug in ralph. The attempts are safe: start the loop again.",
            )),
        }
    }
}
