//! The supervisor: what a binary's hidden verb runs, in a process of its own.
//!
//! A binary gives the verb `__supervise DIR` and calls [`main`] with nothing else in between:
//!
//! ```text
//! let exit = supervise::main(&directory, &env, &mut std::io::stdout());   // outside any async runtime
//! ```
//!
//! The first line on `answer` is `ready PID` or `failed REASON`; nothing else is ever written there.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::ending::{Limits, Reach, attend, clear_everything};
use super::hold::{Hold, HoldError, Tie};
use super::record::{
    EXIT, Ending, ExitRecord, Keep, REQUEST, SpawnRequest, read_record, replace, write_record,
};
use super::signal::{Signals, Told};
use crate::env::Env;
use crate::error::{Code, Coded, Hint};
use crate::job::ExitInfo;
use crate::store::append;
use crate::time::stamp;

/// What a shell shows for a program that could not be started.
const NOT_STARTED: i32 = 127;

/// Why nothing was supervised to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuperviseError {
    /// The record directory is not ours to use.
    #[error("cannot supervise")]
    Hold(#[from] HoldError),
    /// A file cannot be read or written.
    #[error("cannot use {}", .path.display())]
    Storage {
        /// The file.
        path: PathBuf,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// The worker's program cannot be started.
    #[error("cannot start {} in {}", .program.display(), .workdir.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Its folder.
        workdir: PathBuf,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// Signals or child processes cannot be waited for.
    #[error("cannot wait for signals and children")]
    Wait(#[source] io::Error),
}

impl Coded for SuperviseError {
    fn code(&self) -> Code {
        match self {
            Self::Hold(error) => error.code(),
            Self::Storage { .. } | Self::Start { .. } | Self::Wait(_) => Code::Failed,
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Hold(error) => error.hint(),
            Self::Start { .. } => Some(Hint::new(
                "Check that the program is installed and that the folder exists.",
            )),
            Self::Storage { .. } => Some(Hint::new(
                "Check the permissions of the file's folder and the free space.",
            )),
            Self::Wait(_) => None,
        }
    }
}

/// Runs the worker of a record directory to its end.
///
/// # Errors
/// The worker was not started, or its end could not be recorded; `answer` then got the reason, and when the
/// directory was ours the exit is recorded as 127.
pub fn main(
    directory: &Path,
    env: &Env,
    answer: &mut dyn Write,
) -> Result<ExitRecord, SuperviseError> {
    let outcome = runtime().and_then(|runtime| runtime.block_on(run(directory, env, answer)));
    if let Err(error) = &outcome {
        say_failed(answer, error);
    }
    outcome
}

/// One thread: a supervisor only waits.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, SuperviseError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(SuperviseError::Wait)
}

/// The reason with its causes, on one line. It goes nowhere when nobody listens any more.
pub(crate) fn say_failed(answer: &mut dyn Write, error: &dyn std::error::Error) {
    let reason = crate::error::with_causes(error);
    let _ = writeln!(answer, "failed {}", reason.replace('\n', " "));
    let _ = answer.flush();
}

/// A caller that died while it waited for this line changes nothing: the worker runs.
pub(crate) fn say_ready(answer: &mut dyn Write) {
    let _ = writeln!(answer, "ready {}", std::process::id());
    let _ = answer.flush();
}

async fn run(
    directory: &Path,
    env: &Env,
    answer: &mut dyn Write,
) -> Result<ExitRecord, SuperviseError> {
    let path = directory.join(REQUEST);
    let storage = |source| SuperviseError::Storage {
        path: path.clone(),
        source,
    };
    let request: SpawnRequest = read_record(&path)
        .and_then(|found| found.ok_or_else(|| io::ErrorKind::NotFound.into()))
        .map_err(storage)?;
    let signals = Signals::install().map_err(SuperviseError::Wait)?;
    let mut hold = Hold::take(directory, env.now(), Tie::ToCaller)?;
    let stop = listen(signals);
    let exit = match start(&request, &mut hold) {
        Ok(child) => {
            note(
                &request,
                env,
                &format!("started pid {}", std::process::id()),
            );
            say_ready(answer);
            wait(child, &request, stop, env).await?
        }
        Err(error) => {
            // Nothing runs of which it is written down that it does not.
            clear_everything().await;
            record(directory, &request, env, &not_started(&error, env))?;
            return Err(error);
        }
    };
    record(directory, &request, env, &exit)?;
    Ok(exit)
}

/// Turns signals into a flag that stays up.
fn listen(mut signals: Signals) -> watch::Receiver<bool> {
    let (raise, flag) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            if signals.next().await == Told::Stop {
                raise.send_replace(true);
            }
        }
    });
    flag
}

fn start(request: &SpawnRequest, hold: &mut Hold) -> Result<Child, SuperviseError> {
    if let Some(path) = &request.pid_file {
        let pid = format!("{}\n", std::process::id());
        replace(path, pid.as_bytes(), Keep::WhileTheMachineRuns).map_err(|source| {
            SuperviseError::Storage {
                path: path.clone(),
                source,
            }
        })?;
    }
    let child = Command::new(&request.program)
        .args(&request.args)
        .current_dir(&request.workdir)
        .envs(&request.variables)
        .stdin(Stdio::null())
        .stdout(append_to(&request.stdout)?)
        .stderr(append_to(&request.stderr)?)
        .process_group(0)
        .spawn()
        .map_err(|source| SuperviseError::Start {
            program: request.program.clone(),
            workdir: request.workdir.clone(),
            source,
        })?;
    if let Some(pid) = child.id() {
        hold.name_worker(pid)?;
    }
    Ok(child)
}

fn append_to(path: &Path) -> Result<File, SuperviseError> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|source| SuperviseError::Storage {
            path: path.to_owned(),
            source,
        })
}

async fn wait(
    mut child: Child,
    request: &SpawnRequest,
    mut stop: watch::Receiver<bool>,
    env: &Env,
) -> Result<ExitRecord, SuperviseError> {
    let reach = Reach::All(child.id().unwrap_or(0));
    let limits = Limits {
        time_limit: request.time_limit,
        grace: request.grace,
        ask: request.ask,
    };
    let ended = attend(&mut child, reach, limits, &mut stop, &mut |_| ())
        .await
        .map_err(SuperviseError::Wait)?;
    Ok(ExitRecord {
        exit: ended.exit,
        ending: ended.ending,
        reason: None,
        ended: env.now(),
        remaining: ended.remaining,
    })
}

fn not_started(error: &SuperviseError, env: &Env) -> ExitRecord {
    let source = std::error::Error::source(error);
    ExitRecord {
        exit: ExitInfo {
            code: NOT_STARTED,
            signal: 0,
        },
        ending: Ending::NotStarted,
        reason: Some(source.map_or_else(|| error.to_string(), |s| format!("{error}: {s}"))),
        ended: env.now(),
        remaining: Vec::new(),
    }
}

fn record(
    directory: &Path,
    request: &SpawnRequest,
    env: &Env,
    exit: &ExitRecord,
) -> Result<(), SuperviseError> {
    let path = directory.join(EXIT);
    write_record(&path, exit, Keep::Durably)
        .map_err(|source| SuperviseError::Storage { path, source })?;
    note(request, env, &format!("exited {}", exit.shell_code()));
    Ok(())
}

/// One line for people. The exit record is what counts, so a log that cannot be written stops nothing.
fn note(request: &SpawnRequest, env: &Env, what: &str) {
    let line = format!("{} {} {what}", stamp(env.now()), request.name);
    if let Some(path) = &request.event_log {
        let _ = append::append_line(path, &line);
    }
}
