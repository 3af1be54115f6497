//! Runs one agent to its end: under a guard, with its streams read as they come and its limits kept.
//!
//! What its end is worth is not decided here: [`AgentEnd`] says what the agent said ([`AgentEnd::verdict`]) and who
//! ended it ([`AgentEnd::ending`]), and the two are judged together with its worktree by the attempt.
//!
//! What must never be here: git, the plan, a retry, an unmasked secret in anything that is returned.

mod deadlines;
mod ear;
mod life;
mod lines;
mod run;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;
use ralph_core::env::Env;
use ralph_core::error::{Code, Coded, Hint};
use ralph_core::job::ExitInfo;
use ralph_core::process::Identity;
use ralph_core::process::guard::GuardError;
use tokio::sync::watch;

use crate::engine::{AgentOrder, Engine, Progress, StatusBlock};
use crate::outcome::{Hang, Usage, Verdict};
use crate::redact::Redactor;

pub use run::run;

/// How long an agent may do what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Its whole run.
    pub wall: Option<Duration>,
    /// Without a sign of life: output, processor time, new processes, changed files.
    pub silence: Option<Duration>,
    /// From its result to its end.
    pub after_result: Duration,
    /// From TERM to KILL.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall: Some(Duration::from_secs(30 * 60)),
            silence: Some(Duration::from_secs(10 * 60)),
            after_result: Duration::from_secs(30),
            grace: Duration::from_secs(5),
        }
    }
}

/// One run of an agent: everything that [`run()`] needs for it.
pub struct AgentRun<'a> {
    /// Which agent.
    pub engine: &'a dyn Engine,
    /// At what.
    pub order: &'a AgentOrder,
    /// For how long.
    pub limits: Limits,
    /// The clock.
    pub env: &'a Env,
    /// The local zone, for times that agents print without one.
    pub zone: &'a TimeZone,
    /// What is masked.
    pub redactor: &'a Redactor,
    /// Where the log goes. A log that cannot be written stops nothing.
    pub log: &'a Path,
    /// Goes up when the agent has to end now. A loop that drains does not raise it.
    pub stop: watch::Receiver<bool>,
    /// Hears of what happens, as it happens. Must be quick.
    pub tell: &'a mut dyn FnMut(AgentEvent),
}

impl fmt::Debug for AgentRun<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentRun")
            .field("engine", &self.engine)
            .field("order", &self.order)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// What happens while an agent runs.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentEvent {
    /// It runs.
    Started {
        /// Its guard; what is left in its session after a crash belongs to the agent.
        guard: Option<Identity>,
        /// The agent's program.
        program: Option<Identity>,
    },
    /// It tells something.
    Progress(Progress),
}

/// Who ended an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It ended by itself, or somebody else killed it.
    Own,
    /// We did, because it hung. After [`Hang::AfterResult`] its verdict is as good as any.
    Hung(Hang),
    /// We did, because we were told to stop.
    Stopped,
    /// Its guard did, told by somebody else, or we, because its guard was killed. That may be the agent itself, a person,
    /// or the system that goes down and tells everybody.
    Unguarded,
}

/// How an agent ended.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentEnd {
    /// What its streams and its exit say. After [`Ending::Stopped`] and most hangs that is not much.
    pub verdict: Verdict,
    /// Who ended it.
    pub ending: Ending,
    /// What it used.
    pub usage: Usage,
    /// By which it can be resumed.
    pub session_id: Option<String>,
    /// Its last words.
    pub summary: Option<String>,
    /// Its status block.
    pub status: Option<StatusBlock>,
    /// Tools that it was refused. With no change in the worktree, that is why.
    pub denials: Vec<String>,
    /// Exit code and signal.
    pub exit: ExitInfo,
    /// How many bytes it printed.
    pub output_bytes: u64,
    /// How many processes it left running; they are ended.
    pub left_running: usize,
    /// Processes that could not be ended, by pid.
    pub remaining: Vec<u32>,
    /// Why the log is not complete, when it is not.
    pub log_trouble: Option<String>,
}

/// Why an agent did not run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// It was not started.
    #[error("the agent {engine} did not start")]
    Start {
        /// Which.
        engine: String,
        /// Why.
        #[source]
        source: GuardError,
    },
    /// Nobody knows how it ended.
    #[error("the agent {engine} was lost")]
    Lost {
        /// Which.
        engine: String,
        /// Why.
        #[source]
        source: GuardError,
    },
}

impl Coded for AgentError {
    fn code(&self) -> Code {
        match self {
            Self::Start { source, .. } | Self::Lost { source, .. } => source.code(),
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Start { source, .. } | Self::Lost { source, .. } => source.hint(),
        }
    }
}

#[cfg(test)]
mod tests;
