//! One writer per project, one dispatcher per workspace; also against the shell scripts that came before.
//!
//! Two locks work together. The real one is an advisory lock on `.state/lock.guard`, which is never deleted: the
//! kernel frees it when its holder dies, however it dies. The visible one is `.state/lock`, the directory that
//! `lock.sh` makes and reads; it is only ever made, judged and removed by whoever has the guard. A `ralph` process
//! holds both for a whole step ([`ProjectLock`]); a shell leaves only the visible one behind ([`acquire_for`]), in
//! the name of a process that outlives the command. Incidents 19 and 20 are what this prevents.
//!
//! On NFS an advisory lock may be missing or local to one machine. Where it is missing, the visible directory alone
//! excludes, by a rename that never replaces, and a [`LockNote`] says so. What must never be here: a decision
//! from a process id alone, and a wait without an end.

mod attempt;
mod guard;
mod judge;
mod system;
mod visible;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

pub use guard::WorkspaceGuard;
pub use judge::StaleReason;

use self::attempt::{Attempt, Taken};
use self::judge::{Here, Verdict, judge};
use self::system::System;
use self::visible::Found;
use super::atomic::StoreError;
use super::layout;
use crate::env::Env;
use crate::error::{Code, Coded, Hint};
use crate::time::{Timestamp, span_text, stamp};

/// How long a command waits for a lock, unless told otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a lock directory of `lock.sh` is honoured although its process is gone: that process is always gone,
/// since the script wrote down its own.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(10 * 60);

/// The process for which a lock is taken: one that lives at least as long as the lock is meant to be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// Its process id.
    pub pid: u32,
}

/// Who wants a project's lock, and how patiently.
#[derive(Debug, Clone)]
pub struct LockRequest {
    /// The project's folder.
    pub project_dir: PathBuf,
    /// How long to wait for a live holder; zero tries once.
    pub timeout: Duration,
    /// How long a lock that names a dead process, or none, is honoured before it is taken over.
    pub grace: Duration,
    /// The process in whose name the lock stands.
    pub owner: Owner,
    /// What for, such as `dispatch`; shown to those who wait.
    pub op: String,
}

impl LockRequest {
    /// A request of this very process, with the default patience.
    #[must_use]
    pub fn new(project_dir: &Path, op: &str, env: &Env) -> Self {
        Self {
            project_dir: project_dir.to_owned(),
            timeout: DEFAULT_TIMEOUT,
            grace: DEFAULT_GRACE,
            owner: Owner { pid: env.pid },
            op: op.to_owned(),
        }
    }
}

/// Who holds a lock, as far as it is known. For people; nothing is decided from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// The process.
    pub pid: Option<u32>,
    /// The machine.
    pub host: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// What for.
    pub op: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid}")?,
            None => f.write_str("a process that is not named")?,
        }
        if let Some(host) = &self.host {
            write!(f, " on {host}")?;
        }
        if let Some(op) = &self.op {
            write!(f, " ({op})")?;
        }
        match self.since {
            Some(since) => write!(f, ", since {}", stamp(since)),
            None => Ok(()),
        }
    }
}

/// Something about a lock that its user should be told, although it was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "note", rename_all = "snake_case")]
pub enum LockNote {
    /// A lock that nobody holds any more was removed.
    TookOver {
        /// Who had it.
        holder: Holder,
        /// How that is known.
        why: StaleReason,
    },
    /// The file system has no advisory locks.
    NoAdvisoryLock {
        /// The system's own words.
        reason: String,
    },
    /// The file system cannot rename without replacing, so the lock was made in two steps.
    NoExclusiveRename,
}

impl fmt::Display for LockNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TookOver { holder, why } => write!(f, "took over the lock of {holder}: {why}"),
            Self::NoAdvisoryLock { reason } => write!(
                f,
                "this file system has no advisory locks ({reason}); only the visible lock protects the project"
            ),
            Self::NoExclusiveRename => f.write_str(
                "this file system cannot rename without replacing; the visible lock was made in two steps",
            ),
        }
    }
}

/// What stands at a project's lock now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "lock", rename_all = "snake_case")]
pub enum LockStatus {
    /// Nobody holds it.
    Free,
    /// Somebody does.
    Held {
        /// Who.
        holder: Holder,
    },
    /// It stands, but its owner is gone.
    Stale {
        /// Who had it.
        holder: Holder,
        /// How that is known.
        why: StaleReason,
        /// From when on the next who wants the lock takes it over.
        takeover_at: Timestamp,
    },
}

/// What a release found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// The lock was the owner's and is gone.
    Released,
    /// There was no lock.
    WasFree,
}

/// A lock that could not be taken or released.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Somebody else holds it, and the time to wait is over.
    #[error("{} is held by {holder}; waited {}", path.display(), span_text(*waited))]
    Held {
        /// The lock.
        path: PathBuf,
        /// Who holds it.
        holder: Holder,
        /// How long was waited.
        waited: Duration,
    },
    /// A process holds it that waits for this one, directly or not: to wait in turn would never end.
    #[error("{} is held by {holder}, which started this command and waits for it", path.display())]
    Ancestor {
        /// The lock.
        path: PathBuf,
        /// Who holds it.
        holder: Holder,
    },
    /// The lock to be released is another's.
    #[error("{} belongs to {holder}, not to process {asked}; it was left as it is", path.display())]
    NotOwner {
        /// The lock.
        path: PathBuf,
        /// Whose it is.
        holder: Holder,
        /// Who asked.
        asked: u32,
    },
    /// The process that is to own the lock does not run.
    #[error("process {pid} does not run, so it cannot own a lock")]
    OwnerGone {
        /// The process.
        pid: u32,
    },
    /// There is no such project.
    #[error("{} is not a folder; expected a project", path.display())]
    NoProject {
        /// Where.
        path: PathBuf,
    },
    /// The lock's files could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LockError {
    fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Store(StoreError::io(action, path, source))
    }
}

impl Coded for LockError {
    fn code(&self) -> Code {
        match self {
            Self::Held { .. } | Self::Ancestor { .. } | Self::NotOwner { .. } => Code::Locked,
            Self::OwnerGone { .. } | Self::NoProject { .. } => Code::Usage,
            Self::Store(source) => source.code(),
        }
    }

    fn hint(&self) -> Option<Hint> {
        Some(Hint::new(match self {
            Self::Held { .. } => {
                "Run it again when the holder is done; `ralph lock status DIR` says who it is."
            }
            Self::Ancestor { .. } => {
                "Leave it to that dispatch: do the rest of the step and end; what is READY in the queue is submitted when its turn comes. By hand it can be done after the dispatch."
            }
            Self::NotOwner { .. } => "Release it from the process that acquired it.",
            Self::OwnerGone { .. } => {
                "Give the id of a process that lives as long as the lock is needed, such as the shell's `$$`."
            }
            Self::NoProject { .. } => "Give the project's folder, such as `projects/SLUG`.",
            Self::Store(source) => return source.hint(),
        }))
    }
}

/// A project's lock, held until this is dropped, also by a panic.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct ProjectLock {
    taken: Taken,
    lock: PathBuf,
}

impl ProjectLock {
    /// Takes the lock, waiting for a live holder until the request's timeout.
    ///
    /// # Errors
    /// [`LockError::Held`] when the time is over, [`LockError::OwnerGone`], [`LockError::NoProject`], and
    /// [`LockError::Store`] when the lock cannot be written.
    pub fn acquire(request: &LockRequest, env: &Env) -> Result<Self, LockError> {
        let attempt = Attempt::new(request, env, System::REAL);
        let taken = attempt.take()?;
        Ok(Self {
            taken,
            lock: attempt.lock,
        })
    }

    /// What the user should be told about how the lock was taken.
    #[must_use]
    pub fn notes(&self) -> &[LockNote] {
        &self.taken.notes
    }
}

impl Drop for ProjectLock {
    fn drop(&mut self) {
        // The visible lock goes first, while the guard still keeps others out. A failure leaves a directory that
        // names a process; once that process is gone, the next user takes it over.
        let _ = visible::remove_own(&self.lock, &self.taken.token);
        if let Some(guard) = &self.taken.guard {
            // Closing is not enough: a child that is being started may still share the open file.
            let _ = guard.unlock();
        }
    }
}

/// Takes the lock in the name of a process that outlives this one: the visible lock stays, the guard does not.
///
/// # Errors
/// As [`ProjectLock::acquire`].
pub fn acquire_for(request: &LockRequest, env: &Env) -> Result<Vec<LockNote>, LockError> {
    let taken = Attempt::new(request, env, System::REAL).take()?;
    Ok(taken.notes)
}

/// Releases what [`acquire_for`] took in the name of the request's owner. Waits for the guard as acquiring does.
///
/// # Errors
/// [`LockError::NotOwner`] when the lock is another process's or does not say whose it is; [`LockError::Held`]
/// when a `ralph` process works under it; otherwise as [`ProjectLock::acquire`].
pub fn release_for(request: &LockRequest, env: &Env) -> Result<Release, LockError> {
    let attempt = Attempt::new(request, env, System::REAL);
    let _guard = attempt.wait_for_guard()?;
    let found = visible::look(&attempt.lock);
    match &found {
        Found::Nothing => Ok(Release::WasFree),
        Found::Record(record) if record.is_of(request.owner) => {
            match visible::remove_own(&attempt.lock, &record.token)? {
                true => Ok(Release::Released),
                false => Err(attempt.not_owner(&visible::look(&attempt.lock))),
            }
        }
        _ => Err(attempt.not_owner(&found)),
    }
}

/// What stands at a project's lock now. Changes nothing and does not wait.
#[must_use]
pub fn status(project_dir: &Path, grace: Duration, env: &Env) -> LockStatus {
    let found = visible::look(&project_dir.join(layout::LOCK));
    if guard::is_held(&project_dir.join(layout::LOCK_GUARD)) {
        return LockStatus::Held {
            holder: found.holder(),
        };
    }
    match judge(&found, &Here::of(env), visible::life(&found), grace) {
        Verdict::Free => LockStatus::Free,
        Verdict::Held(holder) => LockStatus::Held { holder },
        Verdict::Abandoned { holder, why, from } => LockStatus::Stale {
            holder,
            why,
            takeover_at: from,
        },
    }
}

#[cfg(test)]
mod tests;
