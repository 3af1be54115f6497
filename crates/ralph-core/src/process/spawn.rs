//! Starts a supervisor and returns when it is ready, or with the reason why it is not.
//!
//! The supervisor is the caller's own program under a hidden verb, so no code runs between fork and exec. The
//! caller stays its parent: whoever lives long asks [`Spawned::is_gone`] now and then, which also reaps it.

use std::fs::OpenOptions;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::guard::ATTEMPT_ID;
use super::record::{Keep, REQUEST, Record, SUPERVISOR_LOG, SpawnRequest, write_record};
use super::signal::{hasten, send};
use super::variable::FOREIGN;
use crate::error::{Code, Coded, Hint};

/// How long a supervisor may take until it answers. It only reads and writes a few small files.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: u64 = 4096;

/// Which program supervises: the running binary, and its hidden verb.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supervisor {
    /// The program; an absolute path, because it is started from another folder.
    pub program: PathBuf,
    /// What comes before the record directory, such as `__supervise`.
    pub args: Vec<String>,
}

/// Why no supervisor runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// A file of the record directory cannot be written.
    #[error("cannot write {}", .path.display())]
    Storage {
        /// The file.
        path: PathBuf,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// The supervisor's program cannot be started.
    #[error("cannot start the supervisor {}", .program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// The supervisor says why it, or its worker, does not run.
    #[error("the supervisor did not begin: {reason}")]
    Failed {
        /// Its reason.
        reason: String,
    },
    /// The supervisor ended or kept silent. Its log may tell more.
    #[error("expected `ready` from the supervisor, got {found}; its messages are in {}", .log.display())]
    NoAnswer {
        /// What came instead.
        found: String,
        /// Where its standard error went.
        log: PathBuf,
    },
}

impl Coded for SpawnError {
    fn code(&self) -> Code {
        Code::Failed
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Storage { .. } => Some(Hint::new(
                "Check the permissions of the folder and the free space.",
            )),
            Self::Program { .. } => Some(Hint::new(
                "Reinstall ralph: it starts its own program a second time.",
            )),
            Self::Failed { .. } => None,
            Self::NoAnswer { .. } => Some(Hint::new("Read the log, then try again.")),
        }
    }
}

/// A supervisor that is ready.
#[derive(Debug)]
pub struct Spawned {
    child: Child,
}

impl Spawned {
    /// The supervisor's pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the supervisor has ended. Reaps it then; a caller that never asks leaves a zombie until it ends
    /// itself, and nothing worse.
    pub fn is_gone(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

/// Writes the request into an existing record directory and starts its supervisor.
///
/// # Errors
/// See [`SpawnError`]; a worker that cannot be started is [`SpawnError::Failed`].
pub fn spawn(
    directory: &Path,
    request: &SpawnRequest,
    supervisor: &Supervisor,
) -> Result<Spawned, SpawnError> {
    let path = directory.join(REQUEST);
    write_record(&path, request, Keep::Durably)
        .map_err(|source| SpawnError::Storage { path, source })?;
    launch(directory, supervisor)
}

/// Starts the supervisor of a record directory that holds all it needs.
///
/// # Errors
/// See [`SpawnError`].
pub fn launch(directory: &Path, supervisor: &Supervisor) -> Result<Spawned, SpawnError> {
    launch_without(directory, supervisor, &[])
}

/// The same for what is no part of the caller's work: neither of its attempt, nor below the git whose hook it runs in.
///
/// # Errors
/// See [`SpawnError`].
pub(crate) fn launch_apart(
    directory: &Path,
    supervisor: &Supervisor,
) -> Result<Spawned, SpawnError> {
    launch_without(directory, supervisor, &[&[ATTEMPT_ID], &FOREIGN])
}

fn launch_without(
    directory: &Path,
    supervisor: &Supervisor,
    variables: &[&[&str]],
) -> Result<Spawned, SpawnError> {
    let log = directory.join(SUPERVISOR_LOG);
    let storage = |path: &Path| {
        let path = path.to_owned();
        move |source| SpawnError::Storage { path, source }
    };
    let directory = directory.canonicalize().map_err(storage(directory))?;
    let messages = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log)
        .map_err(storage(&log))?;
    // Its folder is the record directory, so that it keeps nobody from unmounting or deleting another.
    let mut command = Command::new(&supervisor.program);
    for variable in variables.concat() {
        command.env_remove(variable);
    }
    let mut child = command
        .args(&supervisor.args)
        .arg(&directory)
        .current_dir(&directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(messages)
        .spawn()
        .map_err(|source| SpawnError::Program {
            program: supervisor.program.clone(),
            source,
        })?;
    let answer = child.stdout.take().and_then(first_line);
    match answer.as_deref().and_then(|line| line.split_once(' ')) {
        Some(("ready", _)) => Ok(Spawned { child }),
        Some(("failed", reason)) => {
            let _ = child.wait();
            let reason = reason.to_owned();
            Err(SpawnError::Failed { reason })
        }
        _ => Err(give_up(&child, answer, log)),
    }
}

/// The first line, without its end; `None` when none comes in time.
fn first_line(pipe: ChildStdout) -> Option<String> {
    let (send_line, line) = mpsc::channel();
    let read = move || {
        let mut text = String::new();
        let _ = BufReader::new(pipe.take(LONGEST_ANSWER)).read_line(&mut text);
        send_line.send(text)
    };
    let _reader = std::thread::Builder::new().spawn(read).ok()?;
    let text = line.recv_timeout(PATIENCE).ok()?;
    Some(text.trim_end().to_owned())
}

/// A supervisor that has not answered may have begun: TERM lets it end its worker and write that down.
fn give_up(child: &Child, answer: Option<String>, log: PathBuf) -> SpawnError {
    send(child.id(), Signal::TERM);
    let found = match answer {
        None => format!("no line within {} s", PATIENCE.as_secs()),
        Some(line) if line.is_empty() => "an end without a line".to_owned(),
        Some(line) => format!("`{line}`"),
    };
    SpawnError::NoAnswer { found, log }
}

/// Asks a supervisor to stop its worker. False when that supervisor is not there any more.
#[must_use]
pub fn ask_to_stop(record: &Record) -> bool {
    tell(record, Signal::TERM)
}

/// Asks the worker itself to finish, and nothing that it started: a program that looks after others ends them in its
/// own time. False when that worker is not there any more.
#[must_use]
pub fn ask_to_drain(record: &Record) -> bool {
    let alive = record.worker.as_ref().filter(|worker| worker.is_alive());
    if let Some(worker) = alive {
        send(worker.pid, Signal::TERM);
    }
    alive.is_some()
}

/// Asks the worker itself to end now, and nothing that it started. False when that worker is not there any more.
#[must_use]
pub fn ask_to_hasten(record: &Record) -> bool {
    let alive = record.worker.as_ref().filter(|worker| worker.is_alive());
    if let Some(worker) = alive {
        hasten(worker.pid);
    }
    alive.is_some()
}

/// Tells a supervisor that there is a note for it in its record directory.
#[must_use]
pub(crate) fn ask_to_look(record: &Record) -> bool {
    tell(record, Signal::USR1)
}

fn tell(record: &Record, signal: Signal) -> bool {
    let alive = record.supervisor.is_alive();
    if alive {
        send(record.supervisor.pid, signal);
    }
    alive
}
