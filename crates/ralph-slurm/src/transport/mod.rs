//! How a command reaches the login node: the port, and what it can and cannot tell.
//!
//! A transport carries bytes. It knows no scheduler, parses no reply and never decides what a failure means for a
//! job; the frame around every reply ([`crate::frame`]) tells our exit code from the transport's.

mod control_master;
#[cfg(feature = "libssh2")]
mod libssh2;
#[cfg(any(test, feature = "test-util"))]
mod local;
mod relay;
mod session;

use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

use async_trait::async_trait;
use ralph_core::error::{Code, Coded, Hint};
use serde::{Deserialize, Serialize};

pub use control_master::ControlMaster;
#[cfg(feature = "libssh2")]
pub use libssh2::{Libssh2, Prompt, Prompter};
#[cfg(any(test, feature = "test-util"))]
pub use local::Local;
pub use relay::{Opening, Relay, serve};
pub use session::{Connected, Session, SessionError, SessionState};

/// A way to run a command on the login node.
#[async_trait]
pub trait Transport: Send + Sync + fmt::Debug {
    /// The host as configured, for messages.
    fn host(&self) -> &str;

    /// Whether a session is there. Cheap; never asks a person.
    ///
    /// # Errors
    /// [`TransportError::NoSession`] or [`TransportError::Unreachable`].
    async fn check(&self) -> Result<(), TransportError>;

    /// Runs one command line in the user's login shell. `output` is called with each piece of its standard output as
    /// it arrives; what was handed over before an error stands. When it breaks, it has all it wants, and whatever
    /// still holds the channel open, such as a background process of a start-up file, is not waited for.
    ///
    /// # Errors
    /// The connection, never the command: a command that fails is an [`Exit`].
    async fn exec(
        &self,
        request: &ExecRequest<'_>,
        output: &mut Receiver<'_>,
    ) -> Result<Exit, TransportError>;
}

/// What takes the output of a command.
pub type Receiver<'a> = dyn FnMut(&[u8]) -> ControlFlow<()> + Send + 'a;

/// One command.
#[derive(Debug, Clone, Copy)]
pub struct ExecRequest<'a> {
    /// The command line for the remote login shell.
    pub command: &'a str,
    /// Its standard input.
    pub input: &'a [u8],
    /// How long to wait for its end. The remote command goes on when the time is over.
    pub limit: Duration,
}

/// How a remote command ended, as far as the transport can tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Its exit code; `None` for a signal, or when it was not waited for. OpenSSH reports its own failures as 255, too.
    pub code: Option<i32>,
    /// Its standard error, cut to the last 4 kB; banners and shell noise included.
    pub stderr: String,
}

/// The connection failed. None of these says anything about the command's effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransportError {
    /// There is no session, and none may be opened without the user.
    #[error("no SSH session to {host} is open: {detail}")]
    NoSession {
        /// The host as configured.
        host: String,
        /// What was found.
        detail: String,
    },
    /// The host could not be reached, or did not take the command.
    #[error("{host} cannot be reached: {detail}")]
    Unreachable {
        /// The host as configured.
        host: String,
        /// What was tried, and what happened.
        detail: String,
    },
    /// The connection broke, or the reply stopped; the command may have run to its end.
    #[error("the reply of {host} broke off: {detail}")]
    Lost {
        /// The host as configured.
        host: String,
        /// What was received.
        detail: String,
    },
    /// No end of the command within the limit; it may still be running.
    #[error("{host} did not answer within {seconds} s")]
    Deadline {
        /// The host as configured.
        host: String,
        /// The limit in seconds.
        seconds: u64,
    },
    /// A program of this machine could not be started.
    #[error("`{program}` cannot be started: {detail}")]
    Program {
        /// The program.
        program: String,
        /// The system's message.
        detail: String,
    },
}

impl Coded for TransportError {
    fn code(&self) -> Code {
        match self {
            Self::NoSession { .. } => Code::NoSession,
            Self::Program { .. } => Code::Failed,
            _ => Code::Unreachable,
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::NoSession { .. } => {
                Some(Hint::new("Run `ralph cluster connect`, then try again."))
            }
            Self::Program { program, .. } if program == "ssh" => {
                Some(Hint::new("Install an OpenSSH client."))
            }
            Self::Program { .. } => Some(Hint::new(
                "Install it from the same build as `ralph`, beside it or on the PATH; or set `ssh.transport` to `openssh`.",
            )),
            _ => None,
        }
    }
}

/// Quotes one argument for any login shell (sh, bash, csh, fish): single quotes, with each quote escaped.
#[must_use]
pub fn quote(argument: &str) -> String {
    let mut quoted = String::with_capacity(argument.len() + 2);
    quoted.push('\'');
    for c in argument.chars() {
        match c {
            '\'' => quoted.push_str("'\\''"),
            c => quoted.push(c),
        }
    }
    quoted.push('\'');
    quoted
}

/// The last 4 kB of what a command said, as text.
pub(crate) fn tail_text(bytes: &[u8]) -> String {
    let start = bytes.len().saturating_sub(4096);
    String::from_utf8_lossy(bytes.get(start..).unwrap_or_default())
        .trim()
        .to_owned()
}
