//! The course of a job: what a script says will happen, and what is true of it at one moment.
//!
//! Pure: a script, the times of one job and a moment in, the truth out. Nothing here knows a fault, a queue or
//! accounting; what a cluster *says* of this truth is the business of [`super::job`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::job::{ExitInfo, Finality, JobState};
use crate::time::{SignedDuration, Timestamp};

/// What happens to a job, as data. Seconds count from the moment at which the job could start: its submission,
/// or the end of the last job it waits for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobScript {
    /// The states, in any order; before the first one the job is pending.
    pub steps: Vec<Step>,
    /// What it writes to standard output.
    pub stdout: Vec<LogPart>,
    /// What it writes to standard error.
    pub stderr: Vec<LogPart>,
    /// The files it leaves in the project's folder.
    pub artifacts: Vec<Artifact>,
    /// Array tasks with steps of their own; the other tasks follow `steps`. Tasks that the job script does not
    /// ask for with `--array` are added, so an array needs no directive.
    pub tasks: BTreeMap<u32, Vec<Step>>,
}

/// One change of state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// When, in seconds.
    pub after_seconds: u64,
    /// The new state; any word, known or not.
    pub state: JobState,
    /// The scheduler's reason.
    #[serde(default)]
    pub reason: Option<String>,
    /// The exit code, for an end; without one it is what the scheduler shows for that state.
    #[serde(default)]
    pub exit: Option<ExitInfo>,
    /// The nodes, kept until the job is requeued.
    #[serde(default)]
    pub nodes: Option<String>,
    /// The user who cancelled.
    #[serde(default)]
    pub cancelled_by: Option<u32>,
}

/// A piece of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogPart {
    /// When it is written, in seconds; a part after the job's end is never written.
    pub after_seconds: u64,
    /// The text.
    pub text: String,
}

/// A file that a job leaves behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// When it appears, in seconds; one after the job's end never does.
    pub after_seconds: u64,
    /// Its path, relative to the project's folder.
    pub path: String,
}

impl JobScript {
    /// A job with these states: seconds and SLURM's word, such as `[(0, "PENDING"), (5, "RUNNING")]`.
    #[must_use]
    pub fn of<'a>(states: impl IntoIterator<Item = (u64, &'a str)>) -> Self {
        Self {
            steps: steps(states),
            ..Self::default()
        }
    }

    /// Gives array task `index` states of its own.
    #[must_use]
    pub fn task<'a>(
        mut self,
        index: u32,
        states: impl IntoIterator<Item = (u64, &'a str)>,
    ) -> Self {
        self.tasks.insert(index, steps(states));
        self
    }

    /// Changes the last step given so far; without one, nothing.
    #[must_use]
    pub fn last_step(mut self, change: impl FnOnce(&mut Step)) -> Self {
        if let Some(step) = self.steps.last_mut() {
            change(step);
        }
        self
    }

    /// Adds a piece of standard output, so many seconds after the job could start.
    #[must_use]
    pub fn prints(mut self, after_seconds: u64, text: impl Into<String>) -> Self {
        self.stdout.push(LogPart {
            after_seconds,
            text: text.into(),
        });
        self
    }

    /// Adds a piece of standard error; see [`JobScript::prints`].
    #[must_use]
    pub fn complains(mut self, after_seconds: u64, text: impl Into<String>) -> Self {
        self.stderr.push(LogPart {
            after_seconds,
            text: text.into(),
        });
        self
    }

    /// Adds a file that is left behind, by its path relative to the project's folder; see [`JobScript::prints`].
    #[must_use]
    pub fn leaves(mut self, after_seconds: u64, path: impl Into<String>) -> Self {
        self.artifacts.push(Artifact {
            after_seconds,
            path: path.into(),
        });
        self
    }

    /// The steps of one task, or of the whole job.
    pub(super) fn steps_of(&self, task: Option<u32>) -> &[Step] {
        task.and_then(|index| self.tasks.get(&index))
            .unwrap_or(&self.steps)
    }
}

/// The states of a job without details.
fn steps<'a>(states: impl IntoIterator<Item = (u64, &'a str)>) -> Vec<Step> {
    states
        .into_iter()
        .map(|(after_seconds, word)| Step::new(after_seconds, JobState::parse(word)))
        .collect()
}

impl Step {
    /// A change of state without details.
    #[must_use]
    pub fn new(after_seconds: u64, state: JobState) -> Self {
        Self {
            after_seconds,
            state,
            reason: None,
            exit: None,
            nodes: None,
            cancelled_by: None,
        }
    }
}

/// When one job, or one task, was submitted, could start, and was cancelled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) submitted: Timestamp,
    /// `None` while it waits for another job.
    pub(super) eligible: Option<Timestamp>,
    /// When somebody cancelled, and who.
    pub(super) cancelled: Option<(Timestamp, u32)>,
}

/// What is true of a job at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Truth {
    pub(super) state: JobState,
    pub(super) reason: Option<String>,
    pub(super) exit: Option<ExitInfo>,
    pub(super) nodes: Option<String>,
    pub(super) cancelled_by: Option<u32>,
    /// The submission, or the last requeue: accounting shows a requeue as a new submission.
    pub(super) submitted: Timestamp,
    pub(super) started: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
    pub(super) restarts: u32,
}

impl Truth {
    fn pending(submitted: Timestamp) -> Self {
        Self {
            state: JobState::Pending,
            reason: None,
            exit: None,
            nodes: None,
            cancelled_by: None,
            submitted,
            started: None,
            ended: None,
            restarts: 0,
        }
    }

    /// Takes one step. A final state is never left: the scheduler's promise, and the reason why a step after
    /// one is not reached.
    fn step(&mut self, step: &Step, at: Timestamp) {
        if self.state.finality() == Finality::Final {
            return;
        }
        if waits(&step.state) && self.started.is_some() {
            *self = Self {
                restarts: self.restarts + 1,
                ..Self::pending(at)
            };
        }
        if step.state.is_started() && !is_end(&step.state) {
            self.started.get_or_insert(at);
        }
        if is_end(&step.state) {
            self.ended = Some(at);
            self.exit = Some(step.exit.unwrap_or_else(|| usual_exit(&step.state)));
            self.cancelled_by = step.cancelled_by;
        }
        if step.nodes.is_some() {
            self.nodes.clone_from(&step.nodes);
        }
        self.reason.clone_from(&step.reason);
        self.state = step.state.clone();
    }
}

/// What is true at `at` of a job that follows `steps`.
pub(super) fn truth(steps: &[Step], times: &Times, at: Timestamp) -> Truth {
    let cancel = times.cancelled.map(|(when, by)| {
        let step = Step {
            cancelled_by: Some(by),
            ..Step::new(0, JobState::Cancelled)
        };
        (when, step)
    });
    let mut events: Vec<(Timestamp, &Step)> = times
        .eligible
        .into_iter()
        .flat_map(|start| {
            steps
                .iter()
                .map(move |step| (later(start, step.after_seconds), step))
        })
        .chain(cancel.as_ref().map(|(when, step)| (*when, step)))
        .filter(|(when, _)| *when <= at)
        .collect();
    events.sort_by_key(|(when, _)| *when);
    let mut truth = Truth::pending(times.submitted);
    if times.eligible.is_none() {
        truth.reason = Some("Dependency".to_owned());
    }
    for (when, step) in events {
        truth.step(step, when);
    }
    truth
}

/// `start` plus so many seconds; a sum out of range is the end of time.
pub(super) fn later(start: Timestamp, seconds: u64) -> Timestamp {
    SignedDuration::try_from(Duration::from_secs(seconds))
        .ok()
        .and_then(|step| start.checked_add(step).ok())
        .unwrap_or(Timestamp::MAX)
}

/// Whether the job is back in the queue: after it had started, that is a requeue.
fn waits(state: &JobState) -> bool {
    matches!(
        state,
        JobState::Pending
            | JobState::Requeued
            | JobState::RequeueFed
            | JobState::RequeueHold
            | JobState::SpecialExit
    )
}

fn is_end(state: &JobState) -> bool {
    state.finality() != Finality::Alive
}

/// The `code:signal` that SLURM 22.05 was seen to show for an end; `0:0` is no proof of success.
fn usual_exit(state: &JobState) -> ExitInfo {
    let (code, signal) = match state {
        JobState::Failed => (1, 0),
        JobState::OutOfMemory => (0, 125),
        _ => (0, 0),
    };
    ExitInfo { code, signal }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        later(Timestamp::UNIX_EPOCH, seconds)
    }

    fn truth_at(script: &JobScript, cancelled: Option<(Timestamp, u32)>, seconds: u64) -> Truth {
        let times = Times {
            submitted: at(0),
            eligible: Some(at(0)),
            cancelled,
        };
        truth(&script.steps, &times, at(seconds))
    }

    #[test]
    fn a_requeue_starts_over_and_is_counted() {
        let script = JobScript::of([
            (10, "RUNNING"),
            (50, "NODE_FAIL"),
            (60, "REQUEUED"),
            (61, "PENDING"),
            (90, "RUNNING"),
            (200, "COMPLETED"),
        ]);
        let seen: Vec<String> = [0, 10, 50, 60, 61, 90, 200]
            .into_iter()
            .map(|seconds| {
                let truth = truth_at(&script, None, seconds);
                let time = |time: Option<Timestamp>| time.map_or(-1, Timestamp::as_second);
                format!(
                    "{seconds} {} submitted {} started {} ended {} restarts {}",
                    truth.state,
                    truth.submitted.as_second(),
                    time(truth.started),
                    time(truth.ended),
                    truth.restarts
                )
            })
            .collect();
        insta::assert_snapshot!(seen.join("\n"), @r"
    0 PENDING submitted 0 started -1 ended -1 restarts 0
    10 RUNNING submitted 0 started 10 ended -1 restarts 0
    50 NODE_FAIL submitted 0 started 10 ended 50 restarts 0
    60 REQUEUED submitted 60 started -1 ended -1 restarts 1
    61 PENDING submitted 60 started -1 ended -1 restarts 1
    90 RUNNING submitted 60 started 90 ended -1 restarts 1
    200 COMPLETED submitted 60 started 90 ended 200 restarts 1
    ");
    }

    #[test]
    fn nothing_follows_a_final_state() {
        let script = JobScript::of([(1, "RUNNING"), (5, "FAILED"), (9, "RUNNING")]);
        assert_eq!(truth_at(&script, None, 100).state, JobState::Failed);
    }

    #[test]
    fn a_cancel_counts_only_before_the_end() {
        let script = JobScript::of([(1, "RUNNING"), (50, "COMPLETED")]);
        let early = truth_at(&script, Some((at(20), 61_001)), 100);
        assert_eq!(early.state, JobState::Cancelled);
        assert_eq!(early.cancelled_by, Some(61_001));
        assert_eq!(
            early.exit.map(|exit| exit.to_string()).as_deref(),
            Some("0:0")
        );
        let late = truth_at(&script, Some((at(70), 61_001)), 100);
        assert_eq!((late.state, late.cancelled_by), (JobState::Completed, None));
    }

    #[test]
    fn steps_in_any_order_and_absurd_times_are_harmless() {
        let script = JobScript::of([(50, "COMPLETED"), (1, "RUNNING"), (u64::MAX, "FAILED")]);
        assert_eq!(truth_at(&script, None, 2).state, JobState::Running);
        assert_eq!(truth_at(&script, None, 60).state, JobState::Completed);
    }
}
