//! The first look at a project's answers: whether anything of its files would change by them.
//!
//! Most projects are as they are said to be, and no lock is taken and no file read again for these. Decides nothing that
//! is not decided in [`crate::plan::verify`].

use crate::act::Dispatcher;
use crate::act::verification::run_of;
use crate::plan::verify::{self, RunFinding, RunVerdict};
use crate::report::Verified;
use crate::settle::finish;
use crate::world::{Facts, Observations, Sightings};

/// What the answers mean for one project.
pub(super) struct Look {
    pub(super) findings: Vec<RunFinding>,
    pub(super) memory: Sightings,
    /// Live runs that are as their records say.
    pub(super) confirmed: usize,
    /// Whether a file would change by more than what is remembered.
    pub(super) changes: bool,
}

impl Look {
    /// Whether everything is as it is said to be, and nothing is to be remembered.
    pub(super) fn is_as_said(&self, facts: &Facts) -> bool {
        let is_told = |finding: &RunFinding| {
            matches!(
                finding.verdict,
                RunVerdict::Unconfirmed | RunVerdict::Settling
            )
        };
        !self.changes && self.memory == facts.sightings && !self.findings.iter().any(is_told)
    }
}

impl Dispatcher {
    /// What the answers mean for a project, and whether anything of its files would change by it.
    pub(super) fn look(&self, facts: &Facts, seen: &Observations) -> Look {
        let (findings, memory) = verify::runs(facts, seen, &self.context(self.env.now()));
        let mut confirmed = 0;
        let mut changes = facts.unsettled() > 0 || self.session_change(facts, seen).is_some();
        for finding in &findings {
            match &finding.verdict {
                RunVerdict::NoJob
                | RunVerdict::Unknown { .. }
                | RunVerdict::Unconfirmed
                | RunVerdict::Settling => {}
                RunVerdict::Alive { status, .. } => {
                    let run = run_of(facts, &finding.key);
                    if run.is_some_and(|run| finish::says_otherwise(run, status)) {
                        changes = true;
                    } else {
                        confirmed += 1;
                    }
                }
                RunVerdict::Ended { .. }
                | RunVerdict::Lost { .. }
                | RunVerdict::Misfiled
                | RunVerdict::FiledTwice => {
                    changes = true;
                }
            }
        }
        Look {
            findings,
            memory,
            confirmed,
            changes,
        }
    }
}

/// What is said of a run about which nothing is decided yet.
pub(super) fn said(facts: &Facts, finding: &RunFinding) -> Option<Verified> {
    let (word, detail) = match &finding.verdict {
        RunVerdict::Unconfirmed => (
            "unconfirmed",
            "no source knows the job; that is not believed yet",
        ),
        RunVerdict::Settling => (
            "settling",
            "ended, but may be requeued; believed after a minute",
        ),
        _ => return None,
    };
    let run = finish::name(&finding.key);
    Some(Verified::of_run(&facts.slug, run, word, detail))
}
