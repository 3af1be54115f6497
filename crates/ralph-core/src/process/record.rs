//! What a supervisor is asked to run and what it leaves behind: `request.json`, `record.json`, `exit.json`.
//!
//! Each file is replaced whole, so a reader sees the old one or the new one. They are private to the user, because
//! a request may hold variables that are.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::identity::Identity;
use crate::job::ExitInfo;
use crate::store::atomic::{self, Staged, StoreError};
use crate::time::Timestamp;

/// Mode of a new record: a request may hold variables that are private.
const PRIVATE: Option<u32> = Some(0o600);

/// The supervisor's lock file.
pub const LOCK: &str = "lock";
/// What is to run.
pub const REQUEST: &str = "request.json";
/// Who runs.
pub const RECORD: &str = "record.json";
/// How it ended.
pub const EXIT: &str = "exit.json";
/// The supervisor's own messages.
pub const SUPERVISOR_LOG: &str = "supervisor.log";

/// Who is asked to end when a worker is stopped. Whatever is left after the grace is killed in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// The worker and everything that it started.
    #[default]
    Everything,
    /// The worker alone, which ends what it started itself and would take a death that it did not order for a crash.
    Worker,
}

/// A program to run under supervision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpawnRequest {
    /// One word for messages and the event log.
    pub name: String,
    /// The program: a path, or a name to be found on the `PATH`.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// The folder it starts in; has to exist.
    pub workdir: PathBuf,
    /// Variables on top of the caller's environment, which is inherited.
    pub variables: BTreeMap<String, String>,
    /// Standard output is appended here.
    pub stdout: PathBuf,
    /// Standard error is appended here; may be the same file.
    pub stderr: PathBuf,
    /// After this long it is stopped as by a signal.
    pub time_limit: Option<Duration>,
    /// Time between the polite signal and the one that cannot be ignored.
    pub grace: Duration,
    /// Who gets the polite one.
    #[serde(default)]
    pub ask: Ask,
    /// Where the supervisor's pid is written, so that `kill $(cat FILE)` stops the worker.
    pub pid_file: Option<PathBuf>,
    /// Where one line is appended at the start and one at the end.
    pub event_log: Option<PathBuf>,
}

/// Who supervises, and whom: what a supervisor writes down as soon as it knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The supervisor. Its pid is also the session of everything it started.
    pub supervisor: Identity,
    /// The worker; `None` until it runs.
    pub worker: Option<Identity>,
    /// When the supervisor started.
    pub started: Timestamp,
    /// Whether it outlives whoever asked for it, as a job does that an agent or another job has submitted. The others end
    /// with the attempt that they come from.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outlives: bool,
}

/// Why a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// By itself, or by a signal that was not ours.
    Own,
    /// We stopped it at its time limit.
    TimeLimit,
    /// We stopped it because we were told to.
    Stopped,
    /// It never ran.
    NotStarted,
}

/// How a worker ended: the last thing that its supervisor writes down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// Exit code and signal.
    pub exit: ExitInfo,
    /// Why.
    pub ending: Ending,
    /// Why it never ran, when it did not.
    pub reason: Option<String>,
    /// When.
    pub ended: Timestamp,
    /// Processes of the worker that could not be ended, by pid; empty but for the undead.
    pub remaining: Vec<u32>,
}

impl ExitRecord {
    /// The number a shell would show: the exit code, or 128 and the signal.
    #[must_use]
    pub fn shell_code(&self) -> i32 {
        if self.exit.signal == 0 {
            self.exit.code
        } else {
            128 + self.exit.signal
        }
    }
}

/// Reads a record; `None` when there is none.
///
/// # Errors
/// The file cannot be read, or is not what it is meant to be.
pub(crate) fn read_record<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads a record that need not survive a loss of power: one that was spoilt by it is none.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn read_unsynced<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match read_record(path) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
        read => read,
    }
}

/// Whether a file has to survive a loss of power. All of them survive the end of their writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It does.
    Durably,
    /// It need not: everything it tells of is over when the power is gone.
    WhileTheMachineRuns,
}

/// Writes a record as JSON on one line.
///
/// # Errors
/// As [`replace`].
pub(crate) fn write_record<T: Serialize>(path: &Path, record: &T, keep: Keep) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(record)?;
    bytes.push(b'\n');
    replace(path, &bytes, keep)
}

/// Replaces a file whole: a reader finds the old one or the new one.
///
/// # Errors
/// The folder cannot be written to, or the disk is full; the old file is then untouched.
pub(crate) fn replace(path: &Path, bytes: &[u8], keep: Keep) -> io::Result<()> {
    let replaced = match keep {
        Keep::Durably => atomic::stage(path, bytes, PRIVATE)
            .and_then(Staged::publish)
            .and_then(|folder| atomic::sync_dir(&folder)),
        Keep::WhileTheMachineRuns => atomic::stage_unsynced(path, bytes, PRIVATE)
            .and_then(Staged::publish)
            .map(|_folder| ()),
    };
    replaced.map_err(|error| match error {
        StoreError::Io { source, .. } => source,
        other => io::Error::other(other),
    })
}
