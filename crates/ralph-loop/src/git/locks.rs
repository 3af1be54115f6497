//! Lock files of git commands that were killed: an agent that is ended in the middle of `git commit` leaves them, and
//! from then on every git command of the repository waits and fails.
//!
//! A lock is broken only when nobody can hold it: its holder would be a living git process of this repository that is
//! older than the lock. What must never be here: a lock broken because of its age alone.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
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

    /// When the locks were made that are there now.
    pub(super) fn shared_locks(&self) -> [Option<Timestamp>; SHARED.len()] {
        SHARED.map(|name| made_at(&self.common_dir().join(name)))
    }

    /// The same for whoever has waited in vain, for as long as a lock counts as young, for those that were there before.
    /// Whether one was removed.
    pub(super) fn break_shared_locks(
        &self,
        before: [Option<Timestamp>; SHARED.len()],
    ) -> Result<bool, GitError> {
        let mut is_broken = false;
        for (name, before) in SHARED.iter().zip(before) {
            let lock = self.common_dir().join(name);
            if let Some(made) = made_at(&lock).filter(|made| before == Some(*made)) {
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

    /// A process works in this repository when its folder is in the work tree or beside it, or in a worktree elsewhere,
    /// or when it was told to. One whose folder cannot be seen may.
    fn may_be_ours(&self, pid: u32) -> bool {
        let folder = match fs::read_link(format!("/proc/{pid}/cwd")) {
            Ok(folder) => folder,
            // It has ended since it was listed.
            Err(gone) if gone.kind() == ErrorKind::NotFound => return false,
            Err(_) => return true,
        };
        let around = self.top().parent().unwrap_or(self.top());
        let is_here = |git_dir: PathBuf| {
            let git_dir = folder.join(git_dir).canonicalize();
            git_dir.is_ok_and(|git_dir| git_dir.starts_with(self.common_dir()))
        };
        folder.starts_with(around)
            || folder.starts_with(self.common_dir())
            || told_git_dir(pid)
                .or_else(|| linked_git_dir(&folder))
                .is_some_and(is_here)
    }
}

/// The git folder that a process was told in its environment or its command line (git(1)).
fn told_git_dir(pid: u32) -> Option<PathBuf> {
    let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let texts = [read("environ"), read("cmdline")].concat();
    let words: Vec<&[u8]> = texts.split(|byte| *byte == 0).collect();
    let before = words.windows(2).filter(|two| two[0] == b"--git-dir");
    let alone = words.iter().filter_map(|word| {
        let told = word.strip_prefix(b"--git-dir=");
        told.or_else(|| word.strip_prefix(b"GIT_DIR="))
    });
    let last = before.map(|two| two[1]).chain(alone).next_back()?;
    Some(PathBuf::from(OsStr::from_bytes(last)))
}

/// The git folder of the linked worktree that a folder is in (gitrepository-layout(5)).
fn linked_git_dir(folder: &Path) -> Option<PathBuf> {
    let mut around = folder.ancestors();
    let top = around.find(|top| top.join(".git").exists())?;
    let text = fs::read_to_string(top.join(".git")).ok()?;
    Some(top.join(text.trim_end().strip_prefix("gitdir: ")?))
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
    use std::io::{Read as _, Write as _};
    use std::process::Stdio;

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
        let before = git.shared_locks();
        atomic::replace(&lock, b"").unwrap();
        assert!(!git.break_shared_locks(before).unwrap());
        assert!(lock.exists(), "it came while another one was waited for");
    }

    #[tokio::test]
    async fn a_git_that_works_in_the_repository_from_elsewhere_may_hold_a_lock() {
        let (sandbox, elsewhere) = (Sandbox::new(), tempfile::tempdir().unwrap());
        let git = sandbox.open().await;
        let worktree = elsewhere.path().join("worktree");
        sandbox.git(&["worktree", "add", "--detach", worktree.to_str().unwrap()]);
        let git_dir = format!("--git-dir={}", git.common_dir().display());
        let lock = git.common_dir().join("packed-refs.lock");
        for (folder, option) in [(worktree, None), (elsewhere.path().into(), Some(git_dir))] {
            let mut living = std::process::Command::new("git");
            let living = living.args(option).args(["cat-file", "--batch"]);
            let living = living.current_dir(folder).stdin(Stdio::piped());
            let mut living = living.stdout(Stdio::piped()).spawn().unwrap();
            // It is at work once it answers.
            living.stdin.as_mut().unwrap().write_all(b"HEAD\n").unwrap();
            living
                .stdout
                .as_mut()
                .unwrap()
                .read_exact(&mut [0])
                .unwrap();
            atomic::replace(&lock, b"").unwrap();
            let later = made_at(&lock).unwrap() + SignedDuration::from_secs(60);
            git.break_abandoned_locks(later).unwrap();
            assert!(lock.exists(), "{living:?}");
            living.kill().unwrap();
            living.wait().unwrap();
            git.break_abandoned_locks(later).unwrap();
            assert!(!lock.exists());
        }
    }
}
