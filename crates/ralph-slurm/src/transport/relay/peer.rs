//! The process at the other end, as its owner sees it.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::super::{ExecRequest, Exit, Receiver, TransportError, tail_text};
use super::wire::{self, Frame, Opening, Reply, Request};

/// How long a process that broke off may take to say why.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A process that was started; dropped, it ends.
#[derive(Debug)]
pub(super) struct Peer {
    child: Child,
    /// What it is asked.
    to: ChildStdin,
    /// What it answers.
    from: ChildStdout,
}

impl Peer {
    /// Starts it, out of the reach of the terminal's signals: who owns it decides when it ends.
    pub(super) fn start(program: &Path) -> io::Result<Self> {
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(to), Some(from)) => Ok(Self { child, to, from }),
            _ => Err(io::Error::other("it has no standard streams")),
        }
    }

    /// Whether it still runs.
    pub(super) fn is_there(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Says whom to talk to; gives the version that it is of.
    pub(super) async fn open(&mut self, opening: &Opening) -> io::Result<String> {
        self.ask(&Request::Open(Box::new(opening.clone()))).await?;
        match self.next().await?.read()? {
            Reply::Ready { version } => Ok(version),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn check(&mut self) -> io::Result<Result<(), TransportError>> {
        self.ask(&Request::Check).await?;
        match self.next().await?.read()? {
            Reply::Checked(checked) => Ok(checked),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn exec(
        &mut self,
        request: &ExecRequest<'_>,
        output: &mut Receiver<'_>,
    ) -> io::Result<Result<Exit, TransportError>> {
        self.ask(&Request::Exec {
            command: request.command.to_owned(),
            milliseconds: u64::try_from(request.limit.as_millis()).unwrap_or(u64::MAX),
        })
        .await?;
        for piece in request.input.chunks(wire::PIECE) {
            self.to.write_all(&wire::bytes(piece)?).await?;
        }
        self.to.write_all(&wire::bytes(&[])?).await?;
        self.to.flush().await?;
        loop {
            let frame = self.next().await?;
            let Frame::Bytes(piece) = frame else {
                return match frame.read()? {
                    Reply::Ended(ended) => Ok(ended),
                    other => Err(unexpected(&other)),
                };
            };
            let word = if output(&piece).is_break() {
                Request::Enough
            } else {
                Request::More
            };
            self.ask(&word).await?;
        }
    }

    async fn ask(&mut self, request: &Request) -> io::Result<()> {
        self.to.write_all(&wire::message(request)?).await?;
        self.to.flush().await
    }

    async fn next(&mut self) -> io::Result<Frame> {
        let mut header = [0; wire::HEADER];
        self.from.read_exact(&mut header).await?;
        let (is_message, length) = wire::announced(header)?;
        let mut body = vec![0; length];
        self.from.read_exact(&mut body).await?;
        Ok(wire::framed(is_message, body))
    }

    /// What it said before it broke off, else how that was noticed.
    pub(super) async fn last_words(mut self, noticed: &io::Error) -> String {
        drop((self.to, self.from));
        let mut text = Vec::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            // A child of its own may hold the stream open.
            let _ = tokio::time::timeout(LAST_WORDS, stderr.read_to_end(&mut text)).await;
        }
        match tail_text(&text) {
            text if text.is_empty() => noticed.to_string(),
            text => text,
        }
    }
}

fn unexpected(reply: &Reply) -> io::Error {
    io::Error::other(format!("expected another answer, found {reply:?}"))
}
