//! Planning: from the snapshot and what the cluster said to one step per project. Pure.
//!
//! No I/O, no clock, no randomness, no async, no `HashMap`. [`due`] lists what to ask, `verify` judges the
//! answers, [`plan`] chooses the steps. What a step changes on disk is decided in `settle`.

pub(crate) mod backoff;
mod due;
pub(crate) mod items;
mod orders;
pub mod pending;
mod rest;
pub(crate) mod rules;
pub(crate) mod unsettled;
pub(crate) mod untracked;
pub(crate) mod verify;

pub use due::next_due;
pub use rules::next_step;

use std::collections::BTreeSet;

use jiff::tz::TimeZone;

use crate::id::{JobId, QueueId, Slug};
use crate::job::JobQuery;
use crate::order::WorkOrder;
use crate::phase::Phase;
use crate::pipeline::RunView;
use crate::settings::{CommandLine, Settings};
use crate::time::{SignedDuration, Timestamp};
use crate::world::{Facts, Intent, Observations, ProjectState, World};

/// What planning depends on besides the world.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// The workspace's settings.
    pub settings: &'a Settings,
    /// The current time.
    pub now: Timestamp,
    /// The zone in which times without one are read.
    pub zone: &'a TimeZone,
}

/// What is asked of the cluster in one pass, all at once.
#[derive(Debug, Clone, Default)]
pub struct Questions {
    /// Jobs of live runs.
    pub jobs: Vec<JobQuery>,
    /// Submissions that are not settled.
    pub intents: Vec<Intent>,
}

impl Questions {
    /// Whether there is nothing to ask.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.intents.is_empty()
    }
}

/// How far the clocks of two machines, and what was written by one after the other had acted, may be apart.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(15);

/// The earliest time that a scheduler can name for something that was sent at `at` by our clock.
#[must_use]
pub fn not_before(at: Timestamp) -> Timestamp {
    at.saturating_sub(CLOCK_TOLERANCE).unwrap_or(Timestamp::MIN)
}

/// The question about a job of a run. Of the times that people wrote, one in seven is later than the submission (incident
/// 7): only what the machine wrote tells a number that was used again from ours.
#[must_use]
pub fn query(run: &RunView, job: JobId, zone: &TimeZone) -> JobQuery {
    let written_by_us = run.submitted_at.filter(|_| run.attempt.is_some());
    JobQuery {
        job,
        token: run.token.clone(),
        submitted_after: written_by_us
            .and_then(|at| at.instant(zone))
            .map(not_before),
        parts: run.parts_of(job),
    }
}

/// Everything that has to be verified before anything is dispatched: all live runs and all unsettled
/// submissions of all projects, whatever their phase, each job once.
#[must_use]
pub fn due<'a>(projects: impl IntoIterator<Item = &'a Facts>, context: &Context<'_>) -> Questions {
    let mut questions = Questions::default();
    let mut asked = BTreeSet::new();
    for facts in projects {
        questions.intents.extend(facts.intents.iter().cloned());
        for (run, jobs) in facts.tracked_runs() {
            let new = jobs.into_iter().filter(|job| asked.insert(*job));
            let new = new.map(|job| query(run, job, context.zone));
            questions.jobs.extend(new);
        }
    }
    questions
}

/// The order in which work is chosen, over all projects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precedence {
    /// A diagnosed failure waits for its fix.
    Debug,
    /// Finished or due runs.
    Check,
    /// The tests run.
    Test,
    /// An item is submitted.
    Run,
    /// Code is written.
    Implement,
    /// A question is argued out.
    Debate,
    /// Only the phase moves on.
    Idle,
    /// An item that could not be submitted before is looked at again, where there is room.
    Recheck,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Submit this READY item.
    Submit {
        /// The item.
        item: QueueId,
        /// Which attempt at it, from 1.
        attempt: u32,
    },
    /// A poll was due, and the jobs are alive: note it and set the next one.
    Poll,
    /// Write the results of finished runs and move their items.
    Check {
        /// The runs, as (run id, item id).
        runs: Vec<(String, String)>,
    },
    /// Run the test command.
    Test(CommandLine),
    /// Hand work to a person or an agent.
    Order(WorkOrder),
    /// Only the phase changes.
    Advance {
        /// The next phase.
        to: Phase,
    },
}

/// The step of one project, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectStep {
    /// The project.
    pub slug: Slug,
    /// Where it stands in the order among projects.
    pub precedence: Precedence,
    /// Why, in one sentence.
    pub because: String,
    /// What to do.
    pub step: Step,
    /// Whether this is an order that was handed out before and only needs to be shown again.
    pub again: bool,
}

/// Why a project has no step in this plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassedBecause {
    /// The state file cannot be read.
    Unreadable,
    /// A person has to answer.
    NeedsInput,
    /// Jobs are alive, and no poll is due.
    Waiting,
    /// The cluster could not be asked.
    ClusterUnreachable,
    /// The phase is not one that the machine steps.
    External,
    /// There is nothing to do.
    Nothing,
    /// Other projects came first.
    BatchFull,
    /// Not chosen on the command line.
    NotSelected,
}

/// A project without a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// The project.
    pub slug: Slug,
    /// The class of the reason.
    pub because: PassedBecause,
    /// The reason in one sentence.
    pub reason: String,
    /// When something becomes due by itself.
    pub next_due: Option<Timestamp>,
}

/// Every project is in one of the two lists, exactly once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// At most one step per project, in the order in which they are taken.
    pub steps: Vec<ProjectStep>,
    /// The others.
    pub passed_over: Vec<PassedOver>,
}

/// What may be stepped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Up to so many projects.
    Batch(usize),
    /// These projects, whatever the batch size.
    Projects(BTreeSet<Slug>),
}

/// Chooses one step for up to `batch_size` projects: precedence, then longest untouched, then name.
///
/// An order that was handed out before takes no place in the batch, so that three projects that wait for a
/// person cannot starve the others.
#[must_use]
pub fn plan(
    world: &World,
    seen: &Observations,
    selection: &Selection,
    context: &Context<'_>,
) -> Plan {
    let mut plan = Plan::default();
    let mut candidates = Vec::new();
    for project in &world.projects {
        if let Selection::Projects(chosen) = selection
            && !chosen.contains(&project.slug)
        {
            plan.passed_over.push(PassedOver {
                slug: project.slug.clone(),
                because: PassedBecause::NotSelected,
                reason: "not named by --project".to_owned(),
                next_due: None,
            });
            continue;
        }
        match &project.state {
            ProjectState::Unreadable(unreadable) => plan.passed_over.push(PassedOver {
                slug: project.slug.clone(),
                because: PassedBecause::Unreadable,
                reason: unreadable.words(),
                next_due: None,
            }),
            ProjectState::Readable(facts) => match rules::next_step(facts, seen, context) {
                Ok(step) => {
                    // A time in the future is a mistake (incident 18), and must not put a project last for ever.
                    let touched = facts.last_touched(context.zone).min(context.now);
                    candidates.push((touched, step));
                }
                Err(passed) => plan.passed_over.push(passed),
            },
        }
    }
    candidates.sort_by(|(a_touched, a), (b_touched, b)| {
        (a.precedence, a_touched, &a.slug).cmp(&(b.precedence, b_touched, &b.slug))
    });
    fill(
        &mut plan,
        candidates.into_iter().map(|(_, step)| step),
        selection,
    );
    plan.passed_over.sort_by(|a, b| a.slug.cmp(&b.slug));
    plan
}

fn fill(plan: &mut Plan, candidates: impl Iterator<Item = ProjectStep>, selection: &Selection) {
    let mut places = match selection {
        Selection::Batch(size) => *size,
        Selection::Projects(_) => usize::MAX,
    };
    for step in candidates {
        if step.again {
            plan.steps.push(step);
        } else if places > 0 {
            places -= 1;
            plan.steps.push(step);
        } else {
            plan.passed_over.push(PassedOver {
                slug: step.slug,
                because: PassedBecause::BatchFull,
                reason: format!("{}; its turn comes in a later batch", step.because),
                next_due: None,
            });
        }
    }
}

#[cfg(test)]
mod tests;
