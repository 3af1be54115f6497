//! Why a plan could not be read, or a task not be taken.

use std::path::PathBuf;
use std::time::Duration;

use ralph_core::error::{Code, Coded, Hint};
use ralph_core::process::lock::Holder;
use ralph_core::store::StoreError;
use ralph_core::time::span_text;
use ralph_docs::fix_plan::SelectError;

use super::record::{Claimant, Life};

/// What went wrong with a plan. Nothing was claimed and nothing changed, except as said.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// There is no plan.
    #[error("{} is not there; expected the plan of this repository", path.display())]
    Missing {
        /// Where it was expected.
        path: PathBuf,
    },
    /// Another process holds the plan's lock, and the time to wait is over.
    #[error("{} is held by {}; waited {}", path.display(), held_by(*holder), span_text(*waited))]
    Locked {
        /// The lock.
        path: PathBuf,
        /// Who holds it, where that can be seen.
        holder: Option<Holder>,
        /// How long was waited.
        waited: Duration,
    },
    /// Somebody writes the plan again and again.
    #[error("{} was changed by somebody else each of {tries} times that it was to be marked", path.display())]
    Changing {
        /// The plan.
        path: PathBuf,
        /// How often it was tried.
        tries: u32,
    },
    /// The task that was named is not in the plan.
    #[error("{}: {why}", path.display())]
    NotFound {
        /// The plan.
        path: PathBuf,
        /// What was asked for.
        why: SelectError,
    },
    /// The task that was named is done.
    #[error("{}, line {line}: the task `{id}` is completed already", path.display())]
    Completed {
        /// The plan.
        path: PathBuf,
        /// The task.
        id: String,
        /// Its line, from 1.
        line: usize,
    },
    /// The task that was named is somebody else's.
    #[error("{}, line {line}: the task `{id}` is claimed by {by}", path.display())]
    Held {
        /// The plan.
        path: PathBuf,
        /// The task.
        id: String,
        /// Its line, from 1.
        line: usize,
        /// Who has it.
        by: Box<Claimant>,
    },
    /// The task that was named is delivered.
    #[error("{}, line {line}: the task `{id}` is delivered on the branch {branch} and not merged", path.display())]
    Delivered {
        /// The plan.
        path: PathBuf,
        /// The task.
        id: String,
        /// Its line, from 1.
        line: usize,
        /// Where its work is.
        branch: String,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who holds a lock.
pub(crate) fn held_by(holder: Option<Holder>) -> String {
    holder.map_or_else(|| "another process".to_owned(), |holder| holder.to_string())
}

/// What to do about a holder that will not go on by itself.
pub(crate) fn stopped(holder: Option<Holder>) -> Option<Hint> {
    let holder = holder.filter(|holder| holder.is_stopped)?;
    let pid = holder.pid;
    Some(Hint::new(format!(
        "Let it go on with `kill -CONT {pid}`, or end it with `kill -KILL {pid}`: what it was at is taken up by the next loop."
    )))
}

impl Coded for PlanError {
    fn code(&self) -> Code {
        match self {
            Self::Missing { .. } => Code::NoFixPlan,
            Self::Locked { .. } | Self::Held { .. } => Code::Locked,
            Self::Changing { .. } => Code::Conflict,
            Self::NotFound { .. } | Self::Completed { .. } | Self::Delivered { .. } => Code::Failed,
            Self::Store(source) => source.code(),
        }
    }

    fn hint(&self) -> Option<Hint> {
        Some(Hint::new(match self {
            Self::Missing { path } => {
                return Some(Hint::new(format!(
                    "Write your tasks into {}, each on a line such as `- [ ] what to do`.",
                    path.display()
                )));
            }
            Self::Locked { holder, .. } => {
                return Some(stopped(*holder).unwrap_or_else(|| {
                    Hint::new("Run it again; if it persists, look for a `ralph` that hangs.")
                }));
            }
            Self::Changing { .. } => "Run it again when the other program is done with the plan.",
            Self::NotFound { .. } => {
                "Give a task's number in the plan, counted over all states, or its id."
            }
            Self::Completed { .. } => "Change its mark to `[ ]` if it is to be done again.",
            Self::Held { by, .. } if by.life == Life::Gone => {
                "Start `ralph loop` once without naming a task: it cleans up after that process."
            }
            Self::Held { by, .. } if by.life == Life::Unknown => {
                return Some(Hint::new(format!(
                    "If whoever has it is gone, delete {}.",
                    by.record.display()
                )));
            }
            Self::Held { .. } => "Wait for that process, or stop it.",
            Self::Delivered { .. } => {
                "Merge that branch, or delete it if the task is to be done again."
            }
            Self::Store(source) => return source.hint(),
        }))
    }
}
