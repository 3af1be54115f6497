//! What happens in a loop, as data. People's lines, a live view and the log are made from these, elsewhere.

use std::path::PathBuf;

use ralph_core::time::Timestamp;

use crate::outcome::{AttemptId, Usage};
use crate::record::{AttemptLine, Totals};
use crate::task::Task;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// What an earlier loop left behind was found and settled.
    Recovered {
        /// What, in words.
        what: String,
    },
    /// The loop begins.
    Began {
        /// Workers at once.
        workers: u32,
        /// Attempts altogether; `None` in batch mode.
        attempts: Option<u64>,
        /// The agent.
        engine: String,
        /// Open tasks.
        open: usize,
    },
    /// An agent runs.
    AgentStarted {
        /// Which worker, from 1.
        worker: usize,
        /// Which attempt.
        attempt: AttemptId,
        /// At what.
        task: Task,
        /// How often the task is tried with this one, in this run.
        number: u32,
        /// Where its output goes.
        log: PathBuf,
    },
    /// An agent gave a sign of life.
    Progress {
        /// Which worker.
        worker: usize,
        /// What it used so far.
        usage: Usage,
        /// What it does, if it says so.
        doing: Option<String>,
    },
    /// An agent has ended; its worker is free.
    AgentEnded {
        /// Which worker.
        worker: usize,
        /// Which attempt.
        attempt: AttemptId,
        /// How long it ran, in seconds.
        seconds: f64,
    },
    /// An attempt is over and recorded.
    AttemptEnded {
        /// Its record.
        line: Box<AttemptLine>,
        /// The sums, this one included.
        totals: Totals,
    },
    /// A task is not tried again in this run.
    SkipListed {
        /// Which.
        task: Task,
        /// Why.
        reason: String,
    },
    /// Nothing starts until then.
    Waiting {
        /// Why.
        reason: String,
        /// Until when, if that is known.
        until: Option<Timestamp>,
    },
    /// A wait is over.
    Resumed,
    /// Stopping: agents that run may finish (`now` is false) or are ended.
    Stopping {
        /// Whether agents are ended.
        now: bool,
    },
    /// A thing a person should know that stops nothing.
    Note {
        /// What.
        message: String,
    },
    /// The loop has ended.
    Ended {
        /// Why: `target reached (M)`, `queue empty`, `user interrupt`, or a breaker's words.
        reason: String,
        /// The sums.
        totals: Totals,
    },
}

/// Where events go.
pub trait Sink: Send + Sync {
    /// Takes one; never fails and never waits.
    fn event(&self, event: &Event);
}

/// Goes nowhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Sink for Silent {
    fn event(&self, _event: &Event) {}
}
