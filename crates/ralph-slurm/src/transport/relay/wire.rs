//! What the two sides say to each other: frames of a kind, a length and that many bytes.
//!
//! `M` frames hold one message as JSON, `B` frames hold bytes as they are: a command's input before it is run, closed by an
//! empty frame, and its output while it runs. The side that runs commands waits after each piece of output for a word
//! whether to go on, so that it has the reader's answer where the transport asks for it.

use std::io;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::super::{Exit, TransportError};
use crate::settings::SshSettings;

/// Kind and length.
pub(super) const HEADER: usize = 5;
/// Bytes of one frame of input.
pub(super) const PIECE: usize = 64 * 1024;
/// More bytes than any frame of ours has.
const LARGEST: usize = 64 * 1024 * 1024;

/// What is asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Request {
    /// The first one: whom to talk to.
    Open(Box<Opening>),
    /// See [`super::super::Transport::check`].
    Check,
    /// See [`super::super::Transport::exec`]; its input follows.
    Exec {
        command: String,
        /// The limit, in milliseconds.
        milliseconds: u64,
    },
    /// The piece was taken; another one may come.
    More,
    /// The reader has all it wants.
    Enough,
}

/// Whom to talk to, and who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// The version of the program that asks; both sides are of one build.
    pub(super) version: String,
    /// The connection as the user configured it.
    pub settings: SshSettings,
    /// Where `~` leads.
    pub home: PathBuf,
    /// Who logs in when the settings name nobody.
    pub user: String,
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    /// To [`Request::Open`]: the version of the program that answers.
    Ready { version: String },
    /// To [`Request::Check`].
    Checked(Result<(), TransportError>),
    /// To [`Request::Exec`], after the last piece of output.
    Ended(Result<Exit, TransportError>),
}

/// One frame that arrived.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Message(Vec<u8>),
    Bytes(Vec<u8>),
}

impl Frame {
    /// What a message says; the error tells what came in its place.
    pub(super) fn read<T: DeserializeOwned>(&self) -> io::Result<T> {
        match self {
            Self::Message(text) => serde_json::from_slice(text).map_err(io::Error::other),
            Self::Bytes(bytes) => Err(io::Error::other(format!(
                "expected a message, found {} bytes",
                bytes.len()
            ))),
        }
    }
}

/// What a header announces: whether a message comes, and its length in bytes.
pub(super) fn announced(header: [u8; HEADER]) -> io::Result<(bool, usize)> {
    let [kind, length @ ..] = header;
    let is_message = match kind {
        b'M' => true,
        b'B' => false,
        other => {
            return Err(io::Error::other(format!(
                "expected a frame, found the byte {other}"
            )));
        }
    };
    match usize::try_from(u32::from_be_bytes(length)) {
        Ok(length) if length <= LARGEST => Ok((is_message, length)),
        _ => Err(io::Error::other("expected at most 64 MiB, found more")),
    }
}

/// The frame that a header announced.
pub(super) fn framed(is_message: bool, body: Vec<u8>) -> Frame {
    if is_message {
        Frame::Message(body)
    } else {
        Frame::Bytes(body)
    }
}

/// A message as it is sent.
pub(super) fn message(says: &impl Serialize) -> io::Result<Vec<u8>> {
    let text = serde_json::to_vec(says).map_err(io::Error::other)?;
    encoded(b'M', &text)
}

/// Bytes as they are sent.
pub(super) fn bytes(piece: &[u8]) -> io::Result<Vec<u8>> {
    encoded(b'B', piece)
}

fn encoded(kind: u8, body: &[u8]) -> io::Result<Vec<u8>> {
    if body.len() > LARGEST {
        return Err(io::Error::other("more than 64 MiB in one frame"));
    }
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    let mut frame = Vec::with_capacity(HEADER + body.len());
    frame.push(kind);
    frame.extend(length.to_be_bytes());
    frame.extend(body);
    Ok(frame)
}
