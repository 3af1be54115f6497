//! What is known about a job: its state, its ends, its evidence. Words are SLURM's.
//!
//! The world is open: a word that is not in the table is [`JobState::Other`], which counts as alive,
//! and makes only that one job unknown.

mod parts;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{JobId, Token};
use crate::time::Timestamp;

pub use self::parts::JobParts;

macro_rules! job_states {
    ($($(#[$doc:meta])* $name:ident = $long:literal $short:literal,)*) => {
        /// A job's state as the scheduler prints it: a base state or the first flag.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum JobState {
            $($(#[$doc])* $name,)*
            /// A word that is not in the table; treated as alive.
            Other(String),
        }

        impl JobState {
            const TABLE: &'static [(Self, &'static str, &'static str)] = &[$((Self::$name, $long, $short),)*];
        }
    };
}

job_states! {
    /// Waiting in the queue.
    Pending = "PENDING" "PD",
    /// Running.
    Running = "RUNNING" "R",
    /// Suspended.
    Suspended = "SUSPENDED" "S",
    /// Ended with exit code zero.
    Completed = "COMPLETED" "CD",
    /// Cancelled by a person or an administrator.
    Cancelled = "CANCELLED" "CA",
    /// Ended with another exit code or a signal.
    Failed = "FAILED" "F",
    /// Ended at its time limit.
    Timeout = "TIMEOUT" "TO",
    /// A node failed under it; may be requeued.
    NodeFail = "NODE_FAIL" "NF",
    /// Preempted; may be requeued.
    Preempted = "PREEMPTED" "PR",
    /// A node did not boot; may be requeued.
    BootFail = "BOOT_FAIL" "BF",
    /// Ended at its deadline.
    Deadline = "DEADLINE" "DL",
    /// Killed for its memory.
    OutOfMemory = "OUT_OF_MEMORY" "OOM",
    /// Flag: ending; hides whether it is about to be final or requeued.
    Completing = "COMPLETING" "CG",
    /// Flag: stage out.
    StageOut = "STAGE_OUT" "SO",
    /// Flag: nodes are getting ready.
    Configuring = "CONFIGURING" "CF",
    /// Flag: resizing.
    Resizing = "RESIZING" "RS",
    /// Flag: requeued.
    Requeued = "REQUEUED" "RQ",
    /// Flag: requeued by a federation.
    RequeueFed = "REQUEUE_FED" "RF",
    /// Flag: requeued and held.
    RequeueHold = "REQUEUE_HOLD" "RH",
    /// Flag: requeued into special exit.
    SpecialExit = "SPECIAL_EXIT" "SE",
    /// Flag: stopped by a signal, still holding its resources.
    Stopped = "STOPPED" "ST",
    /// This sibling of a federated job was revoked.
    Revoked = "REVOKED" "RV",
    /// Flag: held because its reservation was deleted.
    ResvDelHold = "RESV_DEL_HOLD" "RD",
    /// Flag: being signalled.
    Signaling = "SIGNALING" "SI",
}

/// What a state means for a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finality {
    /// Alive, or may come alive again.
    Alive,
    /// Final unless the job is requeued: believed only after a settle time.
    Provisional,
    /// Final.
    Final,
}

impl JobState {
    /// Reads a long or short word; `CANCELLED by 1234` is split at the first blank, a trailing `+` of a cut
    /// column is dropped.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let word = text
            .split_whitespace()
            .next()
            .unwrap_or("")
            .trim_end_matches('+');
        Self::TABLE
            .iter()
            .find(|(_, long, short)| word.eq_ignore_ascii_case(long) || word == *short)
            .map_or_else(
                || Self::Other(text.trim().to_owned()),
                |(state, ..)| state.clone(),
            )
    }

    /// SLURM's long word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(text) => text,
            known => Self::TABLE
                .iter()
                .find(|(state, ..)| state == known)
                .map_or("", |(_, long, _)| long),
        }
    }

    /// Whether this is an end, and whether it can be undone by the scheduler.
    #[must_use]
    pub fn finality(&self) -> Finality {
        match self {
            Self::Completed
            | Self::Cancelled
            | Self::Failed
            | Self::Timeout
            | Self::Deadline
            | Self::OutOfMemory
            | Self::Revoked => Finality::Final,
            Self::NodeFail | Self::Preempted | Self::BootFail => Finality::Provisional,
            _ => Finality::Alive,
        }
    }

    /// Whether the job holds resources now.
    #[must_use]
    pub fn is_started(&self) -> bool {
        !matches!(
            self,
            Self::Pending | Self::Other(_) | Self::RequeueHold | Self::SpecialExit | Self::Requeued
        )
    }
}

impl From<String> for JobState {
    fn from(text: String) -> Self {
        Self::parse(&text)
    }
}

impl From<JobState> for String {
    fn from(state: JobState) -> Self {
        state.as_str().to_owned()
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a job ended: SLURM's `code:signal`. `0:0` is no proof of success (it is also what a cancelled or a
/// running job shows); only the state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitInfo {
    /// Exit code of the batch script.
    pub code: i32,
    /// Signal that ended it, zero for none.
    pub signal: i32,
}

impl fmt::Display for ExitInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.code, self.signal)
    }
}

/// Where a fact was learned, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The command or source, such as `sacct` or `supervisor record`.
    pub source: String,
    /// The raw line, cut to 500 characters.
    pub line: String,
    /// When it was learned.
    pub at: Timestamp,
}

/// One job, or one task of an array, as the cluster reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReport {
    /// The job.
    pub job: JobId,
    /// Its state.
    pub state: JobState,
    /// Its name.
    pub name: String,
    /// When it was submitted; tells a reused id from ours.
    pub submitted: Option<Timestamp>,
    /// When it started.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How it ended.
    pub exit: Option<ExitInfo>,
    /// The nodes it ran on, as the scheduler prints them.
    pub nodes: Option<String>,
    /// Why it waits or why it ended, in the scheduler's word.
    pub reason: Option<String>,
    /// The user who cancelled it (`CANCELLED by uid`).
    pub cancelled_by: Option<u32>,
    /// How often it was requeued.
    pub restarts: u32,
    /// Absolute paths of the logs, where the cluster knows them.
    pub stdout: Option<String>,
    /// See `stdout`.
    pub stderr: Option<String>,
    /// The tasks of an array. Empty for a job without tasks.
    pub tasks: Vec<JobReport>,
    /// Where this was learned.
    pub evidence: Evidence,
}

impl JobReport {
    /// A job of which no more than its state is known.
    #[must_use]
    pub fn new(job: JobId, state: JobState, evidence: Evidence) -> Self {
        Self {
            job,
            state,
            name: String::new(),
            submitted: None,
            started: None,
            ended: None,
            exit: None,
            nodes: None,
            reason: None,
            cancelled_by: None,
            restarts: 0,
            stdout: None,
            stderr: None,
            tasks: Vec::new(),
            evidence,
        }
    }

    /// Whether the job and all its tasks have ended: an array is terminal only when all tasks are (incident 73).
    #[must_use]
    pub fn finality(&self) -> Finality {
        let own = self.state.finality();
        self.tasks
            .iter()
            .map(JobReport::finality)
            .chain([own])
            .fold(Finality::Final, |all, one| match (all, one) {
                (Finality::Alive, _) | (_, Finality::Alive) => Finality::Alive,
                (Finality::Provisional, _) | (_, Finality::Provisional) => Finality::Provisional,
                _ => Finality::Final,
            })
    }

    /// The state that stands for the whole: its own, or for an array the first task that did not complete.
    #[must_use]
    pub fn verdict(&self) -> &JobState {
        self.tasks
            .iter()
            .map(|task| &task.state)
            .find(|state| **state != JobState::Completed)
            .unwrap_or(&self.state)
    }
}

/// What is asked about one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobQuery {
    /// The job.
    pub job: JobId,
    /// Our key for it, when we submitted it.
    pub token: Option<Token>,
    /// A report counts only if the job was submitted after this (ids are reused).
    pub submitted_after: Option<Timestamp>,
    /// The tasks or components that it is known to have, for a job of several parts that was seen while all of them
    /// were in the queue: it has not ended before each of them has been reported as ended.
    pub parts: Vec<JobId>,
}

impl JobQuery {
    /// The question about a job of which nothing but its number is known.
    #[must_use]
    pub fn of(job: JobId) -> Self {
        Self {
            job,
            token: None,
            submitted_after: None,
            parts: Vec::new(),
        }
    }
}

/// The three-valued answer about one job: only [`Sighting::Seen`] and a confirmed [`Sighting::Absent`] may
/// ever change a state; [`Sighting::Unknown`] never does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sighting {
    /// The cluster reported it.
    Seen(Box<JobReport>),
    /// Every source answered, and none knows it. One absence is no proof; see `plan::verify`.
    Absent {
        /// The sources that answered.
        asked: Vec<String>,
    },
    /// A source could not be asked, or its answer could not be read.
    Unknown {
        /// Why.
        why: String,
    },
}

/// The answer to one [`JobQuery`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The job that was asked about.
    pub job: JobId,
    /// The answer.
    pub sighting: Sighting,
    /// When the answer was given.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_read_and_the_world_is_open() {
        for (state, long, short) in JobState::TABLE {
            assert_eq!(&JobState::parse(long), state);
            assert_eq!(&JobState::parse(short), state);
        }
        assert_eq!(JobState::parse("CANCELLED by 61001"), JobState::Cancelled);
        assert_eq!(JobState::parse("CANCELLED+"), JobState::Cancelled);
        assert_eq!(
            JobState::parse("EXPEDITING"),
            JobState::Other("EXPEDITING".into())
        );
        assert_eq!(JobState::parse("EXPEDITING").finality(), Finality::Alive);
    }
}
