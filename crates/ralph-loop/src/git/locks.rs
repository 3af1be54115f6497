//! Lock files of git commands that were killed: an agent that is ended in the middle of `git commit` leaves them, and
//! from then on every git command of the repository waits and fails.
//!
//! A lock is broken only when nobody can hold it: its holder would be a living git process of this repository that is
//! older than the lock. What must never be here: a lock broken because of its age alone.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use ralph_core::process::identity::started_at;
use ralph_core::process::table::ProcessTable;
use ralph_core::store::atomic;
use ralph_core::time::{SignedDuration, Timestamp};

use super::{Git, GitError};

/// The locks of the whole repository that a commit takes (git-commit(1) deletes pseudo refs, which locks the packed
/// ones).
const SHARED: [&str; 1] = ["packed-refs.lock"];
/// A lock that is younger is left: a process on another machine may hold it, and cannot be seen from here.
const YOUNG: Duration = Duration::from_secs(1);
/// The start of a process is known to the second.
const SECOND: SignedDuration = SignedDuration::from_secs(1);

impl Git {
    /// Removes the shared locks that no living git process can hold. `now` is the current time. The answer is how long
    /// to wait where one is too young to tell.
    ///
    /// # Errors
    /// A lock cannot be removed.
    pub fn break_abandoned_locks(&self, now: Timestamp) -> Result<Option<Duration>, GitError> {
        let mut wait = None;
        for name in SHARED {
            let lock = self.common_dir().join(name);
            let Some(made) = made_at(&lock) else { continue };
            if now.duration_since(made).unsigned_abs() < YOUNG {
                wait = Some(YOUNG);
            } else {
                self.break_lock(&lock, made)?;
            }
        }
        Ok(wait)
    }

    /// The same for whoever has waited for them in vain, so that none is young. Whether one was removed.
    pub(super) fn break_shared_locks(&self) -> Result<bool, GitError> {
        let mut is_broken = false;
        for name in SHARED {
            let lock = self.common_dir().join(name);
            if let Some(made) = made_at(&lock) {
                is_broken |= self.break_lock(&lock, made)?;
            }
        }
        Ok(is_broken)
    }

    fn break_lock(&self, lock: &Path, made: Timestamp) -> Result<bool, GitError> {
        if self.has_holder(made) {
            return Ok(false);
        }
        tracing::warn!(path = %lock.display(), "a lock that nobody holds is removed");
        atomic::remove_unsynced(lock)?;
        Ok(true)
    }

    /// Whether some git process of this repository was there when a lock was made.
    fn has_holder(&self, made: Timestamp) -> bool {
        let table = ProcessTable::read();
        table.entries().any(|entry| {
            entry.is_living()
                && is_git(entry.pid)
                && self.may_be_ours(entry.pid)
                && started_at(entry.pid).is_none_or(|start| start <= made + SECOND)
        })
    }

    /// A process works in this repository when its folder is in the work tree or beside it. One whose folder cannot be
    /// seen may.
    fn may_be_ours(&self, pid: u32) -> bool {
        let folder = match fs::read_link(format!("/proc/{pid}/cwd")) {
            Ok(folder) => folder,
            // It has ended since it was listed.
            Err(gone) if gone.kind() == ErrorKind::NotFound => return false,
            Err(_) => return true,
        };
        let around = self.top().parent().unwrap_or(self.top());
        folder.starts_with(around) || folder.starts_with(self.common_dir())
    }
}

fn is_git(pid: u32) -> bool {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end() == "git" || name.starts_with("git-")
}

fn made_at(path: &Path) -> Option<Timestamp> {
    let modified = fs::metadata(path).ok()?.modified().ok()?;
    Timestamp::try_from(modified).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::sandbox::Sandbox;

    #[tokio::test]
    async fn a_lock_is_broken_only_when_nobody_can_hold_it() {
        let sandbox = Sandbox::new();
        let git = sandbox.open().await;
        let lock = git.common_dir().join("packed-refs.lock");
        atomic::replace(&lock, b"").unwrap();
        let made = made_at(&lock).unwrap();
        assert_eq!(git.break_abandoned_locks(made).unwrap(), Some(YOUNG));
        assert!(lock.exists(), "it is too young to tell");
        let later = made + SignedDuration::from_secs(60);
        assert_eq!(git.break_abandoned_locks(later).unwrap(), None);
        assert!(!lock.exists(), "no git process is as old");
        assert_eq!(git.break_abandoned_locks(later).unwrap(), None);
    }
}
