//! The default transport: OpenSSH's client, attached to the session that the user opened.
//!
//! It can never open a connection of its own: `ControlMaster=no` only attaches, and when there is nothing to attach
//! to, `ProxyCommand=false` makes the attempt at a new connection fail before a packet is sent. `BatchMode` keeps it
//! from asking anybody anything.

use std::ops::ControlFlow;
use std::process::Stdio;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::session::{Session, SessionState};
use super::{ExecRequest, Exit, Receiver, Transport, TransportError, tail_text};

/// Runs commands over the user's ControlMaster.
#[derive(Debug)]
pub struct ControlMaster {
    session: Session,
}

impl ControlMaster {
    /// A transport over this session; nothing is contacted.
    #[must_use]
    pub fn new(session: Session) -> Self {
        Self { session }
    }

    fn start(&self, command: &str) -> Result<Child, TransportError> {
        let mut ssh = Command::from(self.session.attach());
        ssh.arg(self.session.destination())
            .arg(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A deadline ends our client; the remote command goes on, which is what every caller expects.
            .kill_on_drop(true);
        ssh.spawn().map_err(|error| TransportError::Program {
            program: "ssh".to_owned(),
            detail: error.to_string(),
        })
    }

    /// What went wrong when nothing came back: the session is gone, or the host did not take the command.
    async fn diagnose(&self, stderr: &str) -> TransportError {
        match self.session.state().await {
            Ok(SessionState::Open { .. }) => TransportError::Unreachable {
                host: self.session.host().to_owned(),
                detail: last_line(stderr),
            },
            Ok(SessionState::Closed { detail }) => TransportError::NoSession {
                host: self.session.host().to_owned(),
                detail,
            },
            Err(error) => error,
        }
    }
}

#[async_trait]
impl Transport for ControlMaster {
    fn host(&self) -> &str {
        self.session.host()
    }

    async fn check(&self) -> Result<(), TransportError> {
        match self.session.state().await? {
            SessionState::Open { .. } => Ok(()),
            SessionState::Closed { detail } => Err(TransportError::NoSession {
                host: self.session.host().to_owned(),
                detail,
            }),
        }
    }

    async fn exec(
        &self,
        request: &ExecRequest<'_>,
        output: &mut Receiver<'_>,
    ) -> Result<Exit, TransportError> {
        let mut child = self.start(request.command)?;
        let exit = tokio::time::timeout(request.limit, drive(&mut child, request.input, output))
            .await
            .map_err(|_| TransportError::Deadline {
                host: self.session.host().to_owned(),
                seconds: request.limit.as_secs(),
            })?
            .map_err(|error| TransportError::Lost {
                host: self.session.host().to_owned(),
                detail: error.to_string(),
            })?;
        if exit.code == Some(255) {
            return Err(self.diagnose(&exit.stderr).await);
        }
        Ok(exit)
    }
}

/// Feeds and drains a child at the same time, so that neither side waits for the other.
pub(super) async fn drive(
    child: &mut Child,
    input: &[u8],
    output: &mut Receiver<'_>,
) -> std::io::Result<Exit> {
    let stdin = child.stdin.take();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A command that ends before it has read everything is no failure of the transport.
            let _ = stdin.write_all(input).await;
            let _ = stdin.shutdown().await;
        }
    };
    let drain = async {
        let mut piece = vec![0_u8; 64 * 1024];
        if let Some(mut stdout) = stdout {
            loop {
                let length = stdout.read(&mut piece).await?;
                if length == 0 {
                    break;
                }
                if output(piece.get(..length).unwrap_or_default()).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok::<_, std::io::Error>(ControlFlow::Continue(()))
    };
    let complain = async {
        let mut text = Vec::new();
        if let Some(mut stderr) = stderr {
            let _ = stderr.read_to_end(&mut text).await;
        }
        text
    };
    let rest = async { tokio::join!(feed, complain).1 };
    tokio::pin!(drain, rest);
    let mut complaints = None;
    let drained = loop {
        tokio::select! {
            drained = &mut drain => break drained?,
            text = &mut rest, if complaints.is_none() => complaints = Some(text),
        }
    };
    if drained.is_break() {
        return Ok(Exit {
            code: None,
            stderr: String::new(),
        });
    }
    let complaints = match complaints {
        Some(text) => text,
        None => rest.await,
    };
    let status = child.wait().await?;
    Ok(Exit {
        code: status.code(),
        stderr: tail_text(&complaints),
    })
}

fn last_line(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .unwrap_or("ssh said nothing")
        .to_owned()
}
