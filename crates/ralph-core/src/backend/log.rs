//! A piece of a job's log: which is asked for, and what comes. No file is read here.

use serde::{Deserialize, Serialize};

use crate::id::{JobId, Slug, Token};

/// Which of a job's logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Stream {
    /// `out` or `err`: the suffix of the local copy.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::Err => "err",
        }
    }
}

/// Where a piece of a log begins. Offsets, sizes and limits are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogPart {
    /// At this offset. One behind the end of the file is the first byte of all: a log that is shorter than what was
    /// read of it was begun anew, as after a requeue.
    From(u64),
    /// As far before the end of the file as the limit allows.
    End,
}

impl LogPart {
    /// The offset at which a piece of at most `limit` bytes begins in a log of this size.
    #[must_use]
    pub fn begins(self, size: u64, limit: u64) -> u64 {
        match self {
            Self::From(offset) if offset > size => 0,
            Self::From(offset) => offset,
            Self::End => size.saturating_sub(limit),
        }
    }
}

/// Which part of which log is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchRequest {
    /// The project the job belongs to.
    pub project: Slug,
    /// The job or the array task.
    pub job: JobId,
    /// Our key for it, when we submitted it.
    pub token: Option<Token>,
    /// Which log.
    pub stream: Stream,
    /// Where it begins.
    pub part: LogPart,
    /// At most so many bytes.
    pub limit: u64,
}

/// A piece of a log. The log of a job that runs is longer the next time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchReport {
    /// Absolute path of the log on the cluster, when one was found.
    pub path: Option<String>,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Offset of the first of `bytes`.
    pub offset: u64,
    /// Size of the file in bytes; `None` when there is no such file.
    pub size: Option<u64>,
}
