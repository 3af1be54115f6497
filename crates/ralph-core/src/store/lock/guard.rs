//! The advisory lock itself: the guard file, waiting with an end, and the guard of a whole workspace.
//!
//! A guard file is created once and never deleted, since deleting it would let two processes hold the locks of
//! two files of one name. What it contains is for people only.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::system::System;
use super::{Holder, LockError, LockNote};
use crate::env::Env;
use crate::process::lock::holder;
use crate::process::record::Record;
use crate::process::table::ProcessTable;
use crate::store::{atomic, layout};
use crate::time::stamp;

/// The first pause between two tries; each is twice as long as the one before, up to the last.
const FIRST_PAUSE: Duration = Duration::from_micros(500);
/// The longest pause, so the longest that a free lock goes unnoticed.
const LONGEST_PAUSE: Duration = Duration::from_millis(25);

/// The guard, taken.
#[derive(Debug)]
pub(super) enum Guard {
    /// Held as long as this file is open.
    Held(File),
    /// The file system has no advisory locks; the system's own words.
    Unavailable(String),
}

impl Guard {
    /// Takes the guard; `None` when another holds it.
    pub(super) fn try_take(
        project_dir: &Path,
        path: &Path,
        system: &System,
    ) -> Result<Option<Self>, LockError> {
        let file = match open(path) {
            Err(failure) if failure.kind() == io::ErrorKind::NotFound => {
                if !project_dir.is_dir() {
                    return Err(LockError::NoProject {
                        path: project_dir.to_owned(),
                    });
                }
                atomic::create_dir(&project_dir.join(layout::STATE_DIR))?;
                open(path)
            }
            opened => opened,
        }
        .map_err(|source| LockError::io("open", path, source))?;
        Ok(match (system.try_lock)(&file) {
            Ok(()) => Some(Self::Held(file)),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Error(failure)) => Some(Self::Unavailable(failure.to_string())),
        })
    }

    pub(super) fn into_file(self) -> Option<File> {
        match self {
            Self::Held(file) => Some(file),
            Self::Unavailable(_) => None,
        }
    }
}

/// Opens for writing, since NFS gives an exclusive lock only then; for reading where the file is another user's.
fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    match options.open(path) {
        Err(failure) if failure.kind() == io::ErrorKind::PermissionDenied => File::open(path),
        opened => opened,
    }
}

/// Whether somebody holds the guard now. Looks without disturbing: the shared lock is given back at once, and
/// whoever tries in that moment tries again.
pub(super) fn is_held(path: &Path) -> bool {
    File::open(path)
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Waiting between tries, until a timeout.
pub(super) struct Wait<'a> {
    env: &'a Env,
    started: Duration,
    slept: Duration,
    timeout: Duration,
    pause: Duration,
}

impl<'a> Wait<'a> {
    pub(super) fn new(env: &'a Env, timeout: Duration) -> Self {
        // Processes that were started together should not try together.
        let spread = u32::from((std::process::id() % 16) as u8);
        Self {
            env,
            started: env.clock.monotonic(),
            slept: Duration::ZERO,
            timeout,
            pause: FIRST_PAUSE + FIRST_PAUSE * spread / 16,
        }
    }

    /// How long it has been. What was slept counts as well, so that a clock that stands still ends too.
    pub(super) fn waited(&self) -> Duration {
        let elapsed = self.env.clock.monotonic().saturating_sub(self.started);
        elapsed.max(self.slept)
    }

    /// Whether the process that holds this guard waits for ours, as a dispatch does for its agent and not for the jobs
    /// that it started. Asked before the first pause only.
    pub(super) fn is_vain(&self, guard: &Path) -> bool {
        self.slept.is_zero()
            && holder(guard).is_some_and(|holder| {
                let table = ProcessTable::read();
                let attached = table.descendants_but(holder.pid, Record::is_of_lasting);
                attached.contains(&self.env.pid)
            })
    }

    /// Sleeps until the next try; `false` when the time is over.
    pub(super) fn pause(&mut self) -> bool {
        let left = self.timeout.saturating_sub(self.waited());
        if left.is_zero() {
            return false;
        }
        let pause = self.pause.min(left);
        std::thread::sleep(pause);
        self.slept += pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }
}

/// One dispatch over a workspace: two of them would verify and submit the same things at once.
#[derive(Debug)]
#[must_use = "the guard is released when this is dropped"]
pub struct WorkspaceGuard {
    file: Option<File>,
    note: Option<LockNote>,
}

impl WorkspaceGuard {
    /// Takes the workspace's guard, waiting for its holder until `timeout`. Without advisory locks there is no
    /// guard, only a note; the projects' own locks then still exclude.
    ///
    /// # Errors
    /// [`LockError::Held`] when the time is over; [`LockError::Store`] when the guard cannot be opened.
    pub fn acquire(root: &Path, op: &str, timeout: Duration, env: &Env) -> Result<Self, LockError> {
        Self::acquire_with(root, op, timeout, env, System::REAL)
    }

    pub(super) fn acquire_with(
        root: &Path,
        op: &str,
        timeout: Duration,
        env: &Env,
        system: System,
    ) -> Result<Self, LockError> {
        let path = root.join(layout::DISPATCH_GUARD);
        atomic::create_dir(&root.join(layout::RALPH_DIR))?;
        let mut file = open(&path).map_err(|source| LockError::io("open", &path, source))?;
        let mut wait = Wait::new(env, timeout);
        loop {
            match (system.try_lock)(&file) {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if wait.is_vain(&path) => {
                    let holder = signed(&mut file);
                    return Err(LockError::Ancestor { path, holder });
                }
                Err(TryLockError::WouldBlock) if wait.pause() => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(LockError::Held {
                        holder: signed(&mut file),
                        path,
                        waited: wait.waited(),
                    });
                }
                Err(TryLockError::Error(failure)) => {
                    return Ok(Self {
                        file: None,
                        note: Some(LockNote::NoAdvisoryLock {
                            reason: failure.to_string(),
                        }),
                    });
                }
            }
        }
        // Who holds it, for those who wait; a guard that only others may write works without.
        let _ = sign(&mut file, op, env);
        Ok(Self {
            file: Some(file),
            note: None,
        })
    }

    /// What the user should be told about how the guard was taken.
    #[must_use]
    pub fn note(&self) -> Option<&LockNote> {
        self.note.as_ref()
    }
}

impl Drop for WorkspaceGuard {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            let _ = file.set_len(0);
            // Closing is not enough: a child that is being started may still share the open file.
            let _ = file.unlock();
        }
    }
}

fn sign(file: &mut File, op: &str, env: &Env) -> io::Result<()> {
    let line = json!({"pid": env.pid, "host": env.host, "op": op, "since": stamp(env.now())});
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{line}")
}

/// Who has signed the guard.
fn signed(file: &mut File) -> Holder {
    let mut text = String::new();
    // The holder may be writing it just now; then it stays unnamed.
    let _ = file.read_to_string(&mut text);
    let record: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let word = |key: &str| record.get(key).and_then(serde_json::Value::as_str);
    Holder {
        pid: record
            .get("pid")
            .and_then(serde_json::Value::as_u64)
            .and_then(|pid| u32::try_from(pid).ok()),
        host: word("host").map(str::to_owned),
        since: word("since").and_then(|since| since.parse().ok()),
        op: word("op").map(str::to_owned),
    }
}
