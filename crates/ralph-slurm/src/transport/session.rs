//! The session that the user owns: opened on the user's terminal, looked at, closed.
//!
//! Opening is the only place of the product where a person may be asked for a password, a verification code or a
//! host key; `ssh` asks, on the terminal, with the user's own configuration (ProxyJump, agents, certificates). No
//! secret passes through this program.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use ralph_core::error::{Code, Coded, Hint};

use super::{TransportError, quote, tail_text};
use crate::settings::SshSettings;

/// Whether the shared session is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionState {
    /// A master answers on the control socket.
    Open {
        /// Its process.
        pid: Option<u32>,
    },
    /// Nothing answers there.
    Closed {
        /// What `ssh` said.
        detail: String,
    },
}

/// How [`Session::connect`] ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connected {
    /// A new session was opened.
    New,
    /// One was open already and is used.
    Already,
}

/// The session was not opened or closed.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// `ssh` could not be asked.
    #[error("the SSH client failed")]
    Transport(#[from] TransportError),
    /// The folder of the control socket cannot be made.
    #[error("{}: the folder of the control socket cannot be made", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The user, the host or the network said no; `ssh` has said why on the terminal.
    #[error("ssh ended with {status}, and no session to {host} is open")]
    Refused {
        /// The host as configured.
        host: String,
        /// How `ssh` ended.
        status: String,
    },
}

impl Coded for SessionError {
    fn code(&self) -> Code {
        match self {
            Self::Transport(error) => error.code(),
            Self::Folder { .. } => Code::Failed,
            Self::Refused { .. } => Code::NoSession,
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Transport(error) => error.hint(),
            Self::Folder { .. } => Some(Hint::new(
                "Set `ssh.control_path` in .claude/cluster.local.json to a folder of yours.",
            )),
            Self::Refused { .. } => Some(Hint::new(
                "Read what ssh printed above, then run `ralph cluster connect` again.",
            )),
        }
    }
}

/// The user's shared SSH session, as configured.
#[derive(Debug, Clone)]
pub struct Session {
    settings: SshSettings,
    program: PathBuf,
}

impl Session {
    /// The session that these settings name; nothing is contacted.
    #[must_use]
    pub fn new(settings: SshSettings) -> Self {
        Self {
            settings,
            program: PathBuf::from("ssh"),
        }
    }

    /// The host as configured.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.settings.host
    }

    /// What `ssh` is told to connect to.
    pub(super) fn destination(&self) -> &str {
        &self.settings.host
    }

    /// Opens the session on this process's terminal, or finds it open. Blocks while the user types.
    ///
    /// # Errors
    /// See [`SessionError`]. After an error no session of ours is open.
    pub async fn connect(&self) -> Result<Connected, SessionError> {
        if matches!(self.state().await?, SessionState::Open { .. }) {
            return Ok(Connected::Already);
        }
        self.make_folder().await?;
        let status = run_attached(self.master())
            .await
            .map_err(|error| self.not_started(&error))?;
        match self.state().await? {
            SessionState::Open { .. } => Ok(Connected::New),
            SessionState::Closed { .. } => Err(SessionError::Refused {
                host: self.host().to_owned(),
                status: status.to_string(),
            }),
        }
    }

    /// Looks whether the session is open, without the network.
    ///
    /// # Errors
    /// [`TransportError::Program`] when there is no `ssh`.
    pub async fn state(&self) -> Result<SessionState, TransportError> {
        let (status, text) = self.control("check").await?;
        if status.success() {
            let pid = text
                .split_once("pid=")
                .and_then(|(_, rest)| rest.split(')').next()?.parse().ok());
            return Ok(SessionState::Open { pid });
        }
        Ok(SessionState::Closed { detail: text })
    }

    /// Closes the session. One that is closed already is no error; gives whether there was one.
    ///
    /// # Errors
    /// [`TransportError::Program`] when there is no `ssh`.
    pub async fn disconnect(&self) -> Result<bool, TransportError> {
        Ok(self.control("exit").await?.0.success())
    }

    /// `ssh` as everything but [`Session::connect`] uses it: attached to the open session, in batch mode, and unable
    /// to open a connection.
    #[must_use]
    pub fn attach(&self) -> Command {
        let mut ssh = self.base();
        ssh.args(["-T", "-o", "ControlMaster=no", "-o", "BatchMode=yes"])
            .args(["-o", "ProxyCommand=false", "-o", "LogLevel=ERROR"]);
        ssh
    }

    /// A command of the user on the login node, over the open session. One word is a command line of theirs, as for `ssh`
    /// itself; several are a program and its arguments, each quoted.
    #[must_use]
    pub fn command(&self, words: &[String]) -> Command {
        let mut ssh = self.attach();
        let line = match words {
            [line] => line.clone(),
            words => {
                let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
                quoted.join(" ")
            }
        };
        ssh.arg(self.destination()).arg(line);
        ssh
    }

    /// The command that opens the session. With `yes` or `-M` it would log in and then not share the connection where a
    /// master that was killed has left its socket; `auto` removes such a one first.
    fn master(&self) -> Command {
        let mut ssh = self.base();
        ssh.args(["-N", "-f", "-o", "ControlMaster=auto", "-o", "BatchMode=no"])
            .arg("-o")
            .arg(format!("ControlPersist={}", self.settings.control_persist))
            .args([
                "-o",
                "ServerAliveInterval=15",
                "-o",
                "ServerAliveCountMax=3",
            ])
            .args(["-o", "ConnectTimeout=30"])
            .arg(self.destination());
        ssh
    }

    fn base(&self) -> Command {
        let mut ssh = Command::new(&self.program);
        if let Some(file) = &self.settings.config_file {
            ssh.arg("-F").arg(file);
        }
        ssh.arg("-S").arg(&self.settings.control_path);
        if let Some(user) = &self.settings.user {
            ssh.arg("-l").arg(user);
        }
        if let Some(port) = self.settings.port {
            ssh.arg("-p").arg(port.to_string());
        }
        ssh
    }

    async fn control(&self, word: &str) -> Result<(ExitStatus, String), TransportError> {
        let mut ssh = self.base();
        ssh.args(["-o", "BatchMode=yes", "-O", word])
            .arg(self.destination())
            .stdin(Stdio::null());
        let output = self.bounded(ssh).await?;
        Ok((output.status, tail_text(&output.stderr)))
    }

    /// Runs a local `ssh` that answers at once; a master that hangs counts as no answer.
    async fn bounded(&self, ssh: Command) -> Result<std::process::Output, TransportError> {
        let limit = Duration::from_secs(10);
        let mut ssh = tokio::process::Command::from(ssh);
        ssh.kill_on_drop(true);
        match tokio::time::timeout(limit, ssh.output()).await {
            Ok(output) => output.map_err(|error| self.not_started(&error)),
            Err(_) => Err(TransportError::Deadline {
                host: self.host().to_owned(),
                seconds: limit.as_secs(),
            }),
        }
    }

    /// Makes the folder of the control socket, private; `ssh` says where its own `%` words lead.
    async fn make_folder(&self) -> Result<(), SessionError> {
        let mut ssh = self.base();
        ssh.arg("-G").arg(self.destination()).stdin(Stdio::null());
        let output = self.bounded(ssh).await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let socket = text
            .lines()
            .find_map(|line| line.strip_prefix("controlpath "));
        let Some(folder) = socket.and_then(|path| Path::new(path).parent()) else {
            return Ok(());
        };
        let fail = |source| SessionError::Folder {
            path: folder.to_owned(),
            source,
        };
        if !folder.exists() {
            use std::os::unix::fs::DirBuilderExt as _;
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(fail)?;
        }
        Ok(())
    }

    fn not_started(&self, error: &std::io::Error) -> TransportError {
        TransportError::Program {
            program: self.program.display().to_string(),
            detail: error.to_string(),
        }
    }
}

/// Runs a command on this process's own terminal; it ends at the latest when nobody waits for it any more. A session
/// that is open has gone to the background, and stays.
async fn run_attached(command: Command) -> std::io::Result<ExitStatus> {
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true).status().await
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::settings::ClusterSettings;

    /// With the real client, which gets as far as the network.
    #[tokio::test]
    async fn the_socket_of_a_master_that_was_killed_is_not_in_the_way_of_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let (socket, config) = (folder.path().join("socket"), folder.path().join("config"));
        let text = b"Host *\nProxyCommand false\n";
        ralph_core::store::atomic::replace(&config, text).unwrap();
        drop(UnixListener::bind(&socket).unwrap());
        let settings = serde_json::json!({
            "ssh": {"host": "cluster", "control_path": socket, "config_file": config},
            "remote": {"repo_root": "/r"},
        });
        let (settings, _) = ClusterSettings::parse(&settings.to_string()).unwrap();
        let refused = Session::new(settings.ssh).connect().await.unwrap_err();
        assert!(
            matches!(refused, SessionError::Refused { .. }),
            "{refused:?}"
        );
        assert!(!socket.exists());
    }
}
