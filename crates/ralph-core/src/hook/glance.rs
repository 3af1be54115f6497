//! One project as the hook sees it: the few facts that a glance at its state brings, and what they mean now.
//!
//! Pure, and without an opinion on any other project.

use jiff::tz::TimeZone;

use crate::phase::Phase;
use crate::pipeline::Skim;
use crate::time::{LooseTime, Timestamp};

/// A project, and what a glance at it brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectGlance {
    /// The name of its folder.
    pub slug: String,
    /// The facts, or why there are none.
    pub seen: Result<Skim, String>,
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
pub fn glance<E: std::fmt::Display>(slug: &str, read: Result<Skim, E>) -> ProjectGlance {
    ProjectGlance {
        slug: slug.to_owned(),
        seen: read.map_err(|error| error.to_string()),
    }
}

/// What is due at `now` in a project whose state was skimmed; a time without a zone is one of `zone`. The rules
/// are those of [`crate::hook`].
#[must_use]
pub fn standing(skim: &Skim, now: Timestamp, zone: &TimeZone) -> Standing {
    let step = || Standing::Actionable(Due::Step(skim.phase.clone()));
    let when = |is_due, due| if is_due { due } else { Standing::Waiting };
    let is_due = |time: Option<LooseTime>| {
        time.and_then(|time| time.instant(zone))
            .is_none_or(|at| at <= now)
    };
    if skim.needs_user_input {
        return Standing::NeedsPerson;
    }
    if skim.live_runs > 0 {
        let by_project = skim.run_polls.len() < skim.live_runs && is_due(skim.next_poll_after);
        let by_run = skim.run_polls.iter().any(|time| is_due(Some(*time)));
        return when(by_project || by_run, Standing::Actionable(Due::Poll));
    }
    match skim.phase {
        Phase::WaitSlurm => when(is_due(skim.next_poll_after), step()),
        Phase::Test | Phase::Check => step(),
        _ if skim.has_next_action => step(),
        _ => Standing::Idle,
    }
}

/// Whether a time that is read in the local zone is among the facts.
pub(super) fn needs_zone(skim: &Skim) -> bool {
    let mut times = skim.run_polls.iter().chain(&skim.next_poll_after);
    times.any(|time| matches!(time, LooseTime::Zoneless(_)))
}
