//! The owner's side: start a guard, give it its order, wait for the end, stop it.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::wire::{Channel, Said, Told};
use super::{GuardEnd, GuardProgram, GuardRequest};
use crate::error::{Code, Coded, Hint};
use crate::process::Identity;

/// Why a program does not run, or why nobody knows how it ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// The guard's own program cannot be started.
    #[error("cannot start the guard {}", .program.display())]
    Guard {
        /// The program.
        program: PathBuf,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// The order cannot be written as text: a path that is not UTF-8.
    #[error("cannot hand {} to its guard", .program.display())]
    Order {
        /// The program that was to run.
        program: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The program cannot be started.
    #[error("cannot start {} in {}: {reason}", .program.display(), .workdir.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// The folder.
        workdir: PathBuf,
        /// What the system said.
        reason: String,
        /// Whether there is no such program, or no such folder.
        missing: bool,
    },
    /// The guard ended before its program did. What it left is found by [`super::sweep`].
    #[error("the guard of {} ended before its program did", .program.display())]
    Lost {
        /// The program.
        program: PathBuf,
    },
    /// Owner and guard cannot talk.
    #[error("cannot talk to a guard")]
    Channel(#[source] io::Error),
}

impl Coded for GuardError {
    fn code(&self) -> Code {
        match self {
            Self::Program { missing: true, .. } => Code::NoEngine,
            _ => Code::Failed,
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Guard { .. } => Some(Hint::new(
                "Reinstall ralph: it starts its own program a second time. A program that embeds it names a guard that is there.",
            )),
            Self::Program { .. } => Some(Hint::new(
                "Check that the program is installed and that the folder exists.",
            )),
            Self::Order { .. } => Some(Hint::new("Use a path whose name is UTF-8.")),
            Self::Lost { .. } | Self::Channel(_) => None,
        }
    }
}

/// A guard that waits for its order. Dropped, it ends.
#[derive(Debug)]
pub struct Guard {
    program: GuardProgram,
    parts: Parts,
}

#[derive(Debug)]
struct Parts {
    channel: Channel,
    child: Child,
    identity: Option<Identity>,
}

impl Guard {
    /// Starts a guard and does not wait for it. Needs a running tokio runtime.
    ///
    /// # Errors
    /// [`GuardError::Guard`], [`GuardError::Channel`].
    pub fn start(program: &GuardProgram) -> Result<Self, GuardError> {
        Ok(Self {
            program: program.clone(),
            parts: Parts::start(program)?,
        })
    }

    /// Who it is; `None` where there is no `/proc`. [`Guarded::guard_identity`] is another one where this one was ended
    /// before it could take its order.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.parts.identity.as_ref()
    }

    /// Gives the order and returns when the program runs. Dropping the future ends guard and program.
    ///
    /// # Errors
    /// See [`GuardError`]; after each of them but [`GuardError::Lost`] nothing was started.
    pub async fn run(self, request: &GuardRequest) -> Result<Guarded, GuardError> {
        let line = order(request)?;
        let mut parts = self.parts;
        if !parts.has_taken(&line).await? {
            // Until it has a session of its own, an interrupt at the terminal ends a guard too, and later anybody may
            // kill one that waits. It had no order.
            parts = Parts::start(&self.program)?;
            if !parts.has_taken(&line).await? {
                return Err(lost(request));
            }
        }
        if !parts.is_given(&request.stdin).await? {
            return Err(lost(request));
        }
        match parts.channel.next().await.map_err(GuardError::Channel)? {
            Some(Said::Started(identity)) => Ok(Guarded::new(parts, identity, request)),
            Some(Said::NotStarted { reason, missing }) => Err(GuardError::Program {
                program: request.program.clone(),
                workdir: request.workdir.clone(),
                reason,
                missing,
            }),
            Some(Said::Ready | Said::Ended(_)) | None => Err(lost(request)),
        }
    }
}

impl Parts {
    fn start(program: &GuardProgram) -> Result<Self, GuardError> {
        let (ours, theirs) = UnixStream::pair().map_err(GuardError::Channel)?;
        let child = Command::new(&program.program)
            .args(&program.args)
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| GuardError::Guard {
                program: program.program.clone(),
                source,
            })?;
        Ok(Self {
            channel: Channel::new(ours.into()).map_err(GuardError::Channel)?,
            identity: child.id().and_then(Identity::of),
            child,
        })
    }

    /// Gives the order to a guard that is ready. One that is gone has started nothing.
    async fn has_taken(&mut self, line: &[u8]) -> Result<bool, GuardError> {
        let said = self.channel.next().await.map_err(GuardError::Channel)?;
        Ok(said == Some(Said::Ready) && self.is_given(line).await?)
    }

    /// Writes to the guard; `false` where it is gone.
    async fn is_given(&self, bytes: &[u8]) -> Result<bool, GuardError> {
        let writer = self.channel.writer().map_err(GuardError::Channel)?;
        // As in `Channel`: the type by which the runtime writes to any descriptor.
        let writer = std::process::ChildStdin::from(writer);
        let mut writer = ChildStdin::from_std(writer).map_err(GuardError::Channel)?;
        match writer.write_all(bytes).await {
            Ok(()) => Ok(true),
            Err(error) if is_gone(&error) => Ok(false),
            Err(error) => Err(GuardError::Channel(error)),
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

fn order(request: &GuardRequest) -> Result<Vec<u8>, GuardError> {
    let told = Told::Run {
        request: request.clone(),
        input: request.stdin.len(),
    };
    let mut line = serde_json::to_vec(&told).map_err(|source| GuardError::Order {
        program: request.program.clone(),
        source,
    })?;
    line.push(b'\n');
    Ok(line)
}

fn lost(request: &GuardRequest) -> GuardError {
    GuardError::Lost {
        program: request.program.clone(),
    }
}

/// A program that runs under a guard. Dropped, its guard ends it: TERM, the request's grace, KILL.
#[derive(Debug)]
pub struct Guarded {
    /// Its standard output, to be taken. It ends when the program and all that it started are gone.
    pub stdout: Option<ChildStdout>,
    /// Its standard error, to be taken.
    pub stderr: Option<ChildStderr>,
    parts: Parts,
    program: PathBuf,
    identity: Option<Identity>,
    end: Option<GuardEnd>,
}

impl Guarded {
    fn new(mut parts: Parts, identity: Option<Identity>, request: &GuardRequest) -> Self {
        Self {
            stdout: parts.child.stdout.take(),
            stderr: parts.child.stderr.take(),
            parts,
            program: request.program.clone(),
            identity,
            end: None,
        }
    }

    /// Who the program is; `None` where there is no `/proc`. Its pid is also its process group.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Who the guard is. Its pid is also the session of the program.
    #[must_use]
    pub fn guard_identity(&self) -> Option<&Identity> {
        self.parts.identity.as_ref()
    }

    /// Returns when the program and everything that it started are gone; then again the same. May be dropped and
    /// called again. The streams have to be read meanwhile: a program that cannot write does not end.
    ///
    /// # Errors
    /// [`GuardError::Lost`] when the guard was killed, [`GuardError::Channel`].
    pub async fn wait(&mut self) -> Result<GuardEnd, GuardError> {
        loop {
            if let Some(end) = &self.end {
                return Ok(end.clone());
            }
            let said = self.parts.channel.next().await;
            match said.map_err(GuardError::Channel)? {
                Some(Said::Ended(end)) => self.end = Some(end),
                Some(_) => {}
                None => {
                    let program = self.program.clone();
                    return Err(GuardError::Lost { program });
                }
            }
        }
    }

    /// Tells the program to end: TERM now, KILL after `grace`, for everything that it started. Does not wait. Of
    /// several graces the shortest counts.
    pub fn stop(&mut self, grace: Duration) {
        // A guard that does not listen any more is at its end.
        let _ = self.parts.channel.say(&Told::Stop(grace));
    }

    /// Ends the program at once. Does not wait.
    pub fn kill(&mut self) {
        let _ = self.parts.channel.say(&Told::Kill);
    }
}
