//! What owner and guard say to each other: one JSON value per line, the order followed by the program's input.
//!
//! Both ends read with the same cancel-safe reader. Nothing here starts or signals anything.

use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;
use tokio::process::ChildStdout;

use super::{GuardEnd, GuardRequest};
use crate::process::Identity;

/// What an owner says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Told {
    /// Start this; so many bytes of its standard input follow the line.
    Run { request: GuardRequest, input: usize },
    /// TERM, then KILL after this long.
    Stop(Duration),
    /// KILL.
    Kill,
}

/// What a guard says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Said {
    /// It is out of reach of the terminal and waits for its order; until then it has started nothing.
    Ready,
    /// The program runs.
    Started(Option<Identity>),
    /// The program does not run.
    NotStarted { reason: String, missing: bool },
    /// The program and all that it started are gone.
    Ended(GuardEnd),
}

/// One end of the socket.
#[derive(Debug)]
pub(super) struct Channel {
    /// The reading side. The type is that of a child's pipe because it is the one by which the runtime reads any
    /// descriptor; over a socket read(2) is the same.
    read: ChildStdout,
    write: UnixStream,
    /// Bytes that were read and not handed out; a future that is dropped loses none of them.
    buffer: Vec<u8>,
}

impl Channel {
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        let write = UnixStream::from(socket);
        let read = OwnedFd::from(write.try_clone()?);
        Ok(Self {
            read: ChildStdout::from_std(std::process::ChildStdout::from(read))?,
            write,
            buffer: Vec::new(),
        })
    }

    /// A second descriptor of the same end, for writing more than the socket holds at once.
    pub(super) fn writer(&self) -> io::Result<OwnedFd> {
        Ok(OwnedFd::from(self.write.try_clone()?))
    }

    /// Writes one short line. Never waits: the lines that are sent fit into an empty socket.
    pub(super) fn say(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.write.write_all(&line)
    }

    /// The next line; `None` when the other end is gone. May be dropped and called again.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer) {
                let rest = self.buffer.split_off(end + 1);
                let line = std::mem::replace(&mut self.buffer, rest);
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    /// Exactly so many bytes; fewer when the other end is gone before. May be dropped and called again.
    pub(super) async fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < count && self.fill().await? {}
        let rest = self.buffer.split_off(count.min(self.buffer.len()));
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    /// Reads some more; false at the end. A peer that was killed may show as a reset.
    async fn fill(&mut self) -> io::Result<bool> {
        match self.read.read_buf(&mut self.buffer).await {
            Ok(count) => Ok(count > 0),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(false),
            Err(error) => Err(error),
        }
    }
}
