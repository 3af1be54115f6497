//! How far a job is: what its supervisor writes down, and what that means when the supervisor is gone.
//!
//! Pure. The supervisor is the only writer of `status.json`; [`Status::corrected`] never writes its conclusions.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::plan::JobPlan;
use crate::id::JobId;
use crate::job::{Evidence, ExitInfo, Finality, JobReport, JobState};
use crate::process::Identity;
use crate::time::Timestamp;

/// SLURM's reason for a job that waits for others.
pub(super) const DEPENDENCY: &str = "Dependency";
/// SLURM's reason for a job whose dependency can never be fulfilled.
pub(super) const NEVER_SATISFIED: &str = "DependencyNeverSatisfied";
/// SLURM's reason for a job that waits for a free place.
pub(super) const RESOURCES: &str = "Resources";
/// SLURM's reason for a task that waits for `%limit`.
pub(super) const TASK_LIMIT: &str = "JobArrayTaskLimit";
/// SLURM's reason for a script that could not be started.
pub(super) const LAUNCH_FAILURE: &str = "JobLaunchFailure";
/// The supervisor was told to end by a signal, without a cancel: by hand, or because the machine goes down.
pub(super) const TERMINATED: &str = "SupervisorTerminated";
/// The supervisor is gone, the script runs on.
const ORPHANED: &str =
    "SupervisorKilled: the script runs on, its time limit and exit code are lost";
/// Both are gone.
const GONE: &str = "SupervisorKilled: how the script ended is not known";
/// The machine was restarted.
const RESTARTED: &str = "NodeRestarted";

/// One task; a job without an array is one task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default = "TaskStatus::pending")]
pub(super) struct TaskStatus {
    /// SLURM's word; never a flag, and never requeued.
    pub(super) state: JobState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) started: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exit: Option<ExitInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cancelled_by: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stdout: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stderr: Option<PathBuf>,
    /// Written before the script starts without, and after it with its identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) worker: Option<Identity>,
}

impl TaskStatus {
    pub(super) fn pending() -> Self {
        Self {
            state: JobState::Pending,
            started: None,
            ended: None,
            exit: None,
            reason: None,
            cancelled_by: None,
            stdout: None,
            stderr: None,
            worker: None,
        }
    }

    /// Whether this is an end. In a record every end is final: nothing is requeued here.
    pub(super) fn is_over(&self) -> bool {
        self.state.finality() != Finality::Alive
    }

    /// Ends a task.
    pub(super) fn end(&mut self, state: JobState, reason: Option<&str>, now: Timestamp) {
        self.state = state;
        self.reason = reason.map(str::to_owned);
        self.ended = Some(now);
    }
}

/// A person's wish to end a job or a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CancelNote {
    /// The user's number.
    pub(super) by: u32,
    pub(super) at: Timestamp,
}

/// The wishes to end a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cancels {
    pub(super) all: Option<CancelNote>,
    pub(super) tasks: BTreeMap<u32, CancelNote>,
}

impl Cancels {
    pub(super) fn of(&self, index: u32) -> Option<CancelNote> {
        self.all.or_else(|| self.tasks.get(&index).copied())
    }
}

/// What is known of a job whose supervisor is gone.
#[derive(Debug, Clone, Default)]
pub(super) struct Aftermath {
    /// Whether the machine was restarted since.
    pub(super) restarted: bool,
    /// The process groups of what is still alive of it.
    pub(super) orphans: Vec<u32>,
    pub(super) cancels: Cancels,
}

/// All tasks of a job, by index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Status {
    pub(super) tasks: BTreeMap<u32, TaskStatus>,
}

impl Status {
    /// Before anything has happened.
    pub(super) fn fresh(plan: &JobPlan) -> Self {
        let pending = |task: super::plan::Task| (task.index, TaskStatus::pending());
        Self {
            tasks: plan.tasks().into_iter().map(pending).collect(),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.tasks.values().all(TaskStatus::is_over)
    }

    /// The running task that an orphaned process group is of. A group that nobody wrote down is of the one task
    /// whose supervisor was killed between starting it and writing down whom it had started; where there is none,
    /// a script has made a group of its own, and the first running task stands for it.
    pub(super) fn owner_of(&self, group: u32) -> Option<u32> {
        let worker = |task: &TaskStatus| task.worker.as_ref().map(|worker| worker.pid);
        let running = || {
            let tasks = self.tasks.iter();
            tasks.filter(|(_, task)| task.state == JobState::Running)
        };
        running()
            .find(|(_, task)| worker(task) == Some(group))
            .or_else(|| running().find(|(_, task)| task.worker.is_none()))
            .or_else(|| running().next())
            .map(|(index, _)| *index)
    }

    /// The truth about a job whose supervisor is gone.
    pub(super) fn corrected(mut self, aftermath: &Aftermath) -> Self {
        let owners: Vec<Option<u32>> = aftermath
            .orphans
            .iter()
            .map(|group| self.owner_of(*group))
            .collect();
        for (index, task) in &mut self.tasks {
            // An orderly shutdown signals everybody: what it ended, the node's end has ended.
            let by_shutdown = aftermath.restarted && task.reason.as_deref() == Some(TERMINATED);
            if task.is_over() && !by_shutdown {
                continue;
            }
            let cancelled = aftermath.cancels.of(*index);
            let (state, reason) = if aftermath.restarted {
                (JobState::NodeFail, RESTARTED)
            } else if task.state == JobState::Running && owners.contains(&Some(*index)) {
                (JobState::Running, ORPHANED)
            } else if cancelled.is_some() {
                (JobState::Cancelled, GONE)
            } else {
                (JobState::NodeFail, GONE)
            };
            if state == JobState::Cancelled {
                task.cancelled_by = cancelled.map(|note| note.by);
            }
            task.state = state;
            task.reason = Some(reason.to_owned());
        }
        self
    }

    /// The report on the whole job.
    pub(super) fn report(&self, plan: &JobPlan, source: &str, now: Timestamp) -> JobReport {
        let report = |(index, task): (&u32, &TaskStatus)| task.report(plan, *index, source, now);
        if plan.array.is_none()
            && let Some(only) = self.tasks.iter().next()
        {
            return report(only);
        }
        let tasks: Vec<JobReport> = self.tasks.iter().map(report).collect();
        let mut whole = self.summary().report(plan, 0, source, now);
        whole.job = plan.job;
        whole.tasks = tasks;
        whole
    }

    /// The master of an array: alive while a task is; then the first task that did not complete stands for it.
    fn summary(&self) -> TaskStatus {
        let alive = self.tasks.values().find(|task| !task.is_over());
        let started = self.tasks.values().filter_map(|task| task.started).min();
        let failed = |task: &&TaskStatus| task.state != JobState::Completed;
        let stands = alive
            .or_else(|| self.tasks.values().find(failed))
            .or_else(|| self.tasks.values().next());
        let mut whole = stands.cloned().unwrap_or_else(TaskStatus::pending);
        if alive.is_some() && started.is_some() {
            whole.state = JobState::Running;
        }
        whole.started = started;
        whole.ended = match alive {
            Some(_) => None,
            None => self.tasks.values().filter_map(|task| task.ended).max(),
        };
        (whole.stdout, whole.stderr) = (None, None);
        whole
    }
}

impl TaskStatus {
    fn report(&self, plan: &JobPlan, index: u32, source: &str, now: Timestamp) -> JobReport {
        let job: JobId = plan.id_of(index);
        let path = |path: &Option<PathBuf>| Some(path.as_ref()?.to_string_lossy().into_owned());
        let exit = self.exit.map(|exit| exit.to_string());
        let line = [
            Some(job.to_string()),
            Some(self.state.to_string()),
            exit,
            self.reason.clone(),
        ];
        JobReport {
            job,
            state: self.state.clone(),
            name: plan.name.clone(),
            submitted: Some(plan.submitted),
            started: self.started,
            ended: self.ended,
            exit: self.exit,
            nodes: self.started.map(|_| plan.host.clone()),
            reason: self.reason.clone(),
            cancelled_by: self.cancelled_by,
            restarts: 0,
            stdout: path(&self.stdout),
            stderr: path(&self.stderr),
            tasks: Vec::new(),
            evidence: Evidence {
                source: source.to_owned(),
                line: line
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join(" ")
                    .chars()
                    .take(500)
                    .collect(),
                at: now,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(pid: u32) -> Option<Identity> {
        Some(Identity {
            pid,
            start_ticks: 1,
            boot_id: "this boot".to_owned(),
        })
    }

    /// Four tasks: completed, running as pid 20, running unknown, pending.
    fn four() -> Status {
        let task = |state: JobState, worker: Option<Identity>| TaskStatus {
            state,
            worker,
            ..TaskStatus::pending()
        };
        let tasks = [
            task(JobState::Completed, identity(10)),
            task(JobState::Running, identity(20)),
            task(JobState::Running, None),
            task(JobState::Pending, None),
        ];
        Status {
            tasks: (0..).zip(tasks).collect(),
        }
    }

    fn states(aftermath: &Aftermath) -> Vec<String> {
        let status = four().corrected(aftermath);
        let states = status.tasks.values();
        states.map(|task| task.state.to_string()).collect()
    }

    #[test]
    fn what_a_lost_supervisor_leaves_is_judged_task_by_task() {
        let orphans = |groups: &[u32]| Aftermath {
            orphans: groups.to_vec(),
            ..Aftermath::default()
        };
        for (groups, expected) in [
            (
                &[][..],
                ["COMPLETED", "NODE_FAIL", "NODE_FAIL", "NODE_FAIL"],
            ),
            (&[20], ["COMPLETED", "RUNNING", "NODE_FAIL", "NODE_FAIL"]),
            (&[77], ["COMPLETED", "NODE_FAIL", "RUNNING", "NODE_FAIL"]),
            (&[20, 77], ["COMPLETED", "RUNNING", "RUNNING", "NODE_FAIL"]),
        ] {
            assert_eq!(states(&orphans(groups)), expected, "{groups:?}");
        }
    }

    #[test]
    fn a_wish_to_cancel_counts_for_what_has_not_ended() {
        let note = CancelNote {
            by: 1000,
            at: Timestamp::UNIX_EPOCH,
        };
        let mut aftermath = Aftermath::default();
        aftermath.cancels.tasks.insert(3, note);
        assert_eq!(
            states(&aftermath),
            ["COMPLETED", "NODE_FAIL", "NODE_FAIL", "CANCELLED"]
        );
        aftermath.cancels.all = Some(note);
        let status = four().corrected(&aftermath);
        let by: Vec<Option<u32>> = status
            .tasks
            .values()
            .map(|task| task.cancelled_by)
            .collect();
        assert_eq!(by, [None, Some(1000), Some(1000), Some(1000)]);
    }

    #[test]
    fn a_restart_fails_what_was_alive_or_was_shut_down() {
        let mut status = four();
        let cancelled = TaskStatus {
            state: JobState::Cancelled,
            reason: Some(TERMINATED.to_owned()),
            ..TaskStatus::pending()
        };
        status.tasks.insert(4, cancelled);
        let aftermath = Aftermath {
            restarted: true,
            orphans: vec![20],
            ..Aftermath::default()
        };
        let status = status.corrected(&aftermath);
        let states: Vec<&str> = status
            .tasks
            .values()
            .map(|task| task.state.as_str())
            .collect();
        assert_eq!(
            states,
            [
                "COMPLETED",
                "NODE_FAIL",
                "NODE_FAIL",
                "NODE_FAIL",
                "NODE_FAIL"
            ]
        );
    }
}
