//! One project as the hook sees it: the few facts that a glance at its state brings, and what they mean now.
//!
//! Pure, and without an opinion on any other project.

use jiff::tz::TimeZone;

use crate::phase::Phase;
use crate::time::{LooseTime, Timestamp};

/// A project, and what a glance at it brought.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectGlance {
    /// The name of its folder.
    pub slug: String,
    /// The facts, or why there are none.
    pub seen: Result<Glance, String>,
}

/// What the hook has to know of a project.
#[derive(Debug, Clone, PartialEq)]
pub struct Glance {
    /// Its phase.
    pub phase: Phase,
    /// Whether there is a next action: not null, `""` or `{}`.
    pub has_next_action: bool,
    /// Whether a person's input is needed.
    pub needs_input: bool,
    /// Runs whose job may be alive.
    pub live_runs: usize,
    /// The project's next poll.
    pub next_poll: Option<LooseTime>,
    /// The earliest next poll of a live run that has one of its own.
    pub next_run_poll: Option<LooseTime>,
}

/// What is due in a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// Its jobs have to be asked for.
    Poll,
    /// A step of its phase.
    Step(Phase),
}

/// What a project means for the question whether the agent may stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// There is work.
    Actionable(Due),
    /// Its jobs are under way and need nothing yet.
    Waiting,
    /// A person has to answer first.
    NeedsPerson,
    /// There is nothing to do.
    Idle,
}

/// Puts the result of reading a project's state to its name.
pub fn glance<E: std::fmt::Display>(slug: &str, read: Result<Glance, E>) -> ProjectGlance {
    ProjectGlance {
        slug: slug.to_owned(),
        seen: read.map_err(|error| error.to_string()),
    }
}

impl Glance {
    /// What is due at `now`; a time without a zone is one of `zone`. The rules are those of [`crate::hook`].
    #[must_use]
    pub fn standing(&self, now: Timestamp, zone: &TimeZone) -> Standing {
        let step = || Standing::Actionable(Due::Step(self.phase.clone()));
        let due = |due| {
            if self.poll_is_due(now, zone) {
                due
            } else {
                Standing::Waiting
            }
        };
        if self.needs_input {
            return Standing::NeedsPerson;
        }
        if self.live_runs > 0 {
            return due(Standing::Actionable(Due::Poll));
        }
        match self.phase {
            Phase::WaitSlurm => due(step()),
            Phase::Test | Phase::Check => step(),
            _ if self.has_next_action => step(),
            _ => Standing::Idle,
        }
    }

    /// Whether a time that is read in the local zone is among the facts.
    pub(super) fn needs_zone(&self) -> bool {
        [self.next_poll, self.next_run_poll]
            .iter()
            .flatten()
            .any(|time| matches!(time, LooseTime::Zoneless(_)))
    }

    fn poll_is_due(&self, now: Timestamp, zone: &TimeZone) -> bool {
        let run = self.next_run_poll.filter(|_| self.live_runs > 0);
        run.or(self.next_poll)
            .and_then(|time| time.instant(zone))
            .is_none_or(|at| at <= now)
    }
}
