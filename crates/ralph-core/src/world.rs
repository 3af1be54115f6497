//! The snapshot that planning reads: every project as it was found, and what the cluster said.
//!
//! Plain data. Reading it from disk is [`crate::project`]'s work, asking the cluster is [`crate::act`]'s.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use ralph_docs::{debugging, queue, todo};
use serde::{Deserialize, Serialize};

use crate::backend::{BackendError, Receipt, SubmitRequest};
use crate::error::Code;
use crate::id::{JobId, QueueId, Slug, Token};
use crate::job::Observation;
use crate::order::IssuedOrder;
use crate::phase::Phase;
use crate::pipeline::{JobRef, PipelineView, RunStatus, RunView};
use crate::time::{LooseTime, Timestamp};

/// All projects of a workspace, in the order of their names.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// The projects.
    pub projects: Vec<Project>,
}

/// One project as found.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its name.
    pub slug: Slug,
    /// What could be read of it.
    pub state: ProjectState,
}

/// What could be read of a project.
#[derive(Debug, Clone)]
pub enum ProjectState {
    /// The state file cannot be read: counted, reported, never treated as empty, never written (incident 1).
    Unreadable(Unreadable),
    /// Everything that planning needs.
    Readable(Box<Facts>),
}

/// Why a project cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The class of the failure.
    pub code: Code,
    /// File, line, column, expected and found.
    pub message: String,
    /// The likely fix.
    pub hint: Option<String>,
}

impl Unreadable {
    /// What was found, and the likely fix.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}; {hint}", self.message),
            None => self.message.clone(),
        }
    }
}

/// A readable project.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Its name.
    pub slug: Slug,
    /// `.state/pipeline.json`.
    pub view: PipelineView,
    /// `documentation/queue.md`.
    pub queue: Vec<queue::QueueItem>,
    /// What stands under READY of the queue and is no item.
    pub strays: Vec<queue::Stray>,
    /// `documentation/implementation-todo.md`.
    pub tasks: Vec<todo::Task>,
    /// What may be tasks of the todo list and is not read as any.
    pub task_strays: Vec<todo::Stray>,
    /// `documentation/debugging.md`.
    pub debugging: Vec<debugging::Entry>,
    /// Submissions that are not settled.
    pub intents: Vec<Intent>,
    /// Runs that the state file has lost.
    pub forgotten: Vec<Forgotten>,
    /// What earlier passes saw of runs that the cluster did not report.
    pub sightings: Sightings,
    /// The work order that was handed out and not yet settled.
    pub order: Option<IssuedOrder>,
}

/// The newest format of an intent that is read and written.
pub const INTENT_VERSION: u32 = 1;

/// A submission that was decided: on disk before anything is sent (invariant I6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Format version of the file.
    pub version: u32,
    /// The queue item.
    pub queue_id: QueueId,
    /// Which attempt at the item, from 1.
    pub attempt: u32,
    /// What is sent.
    pub request: SubmitRequest,
}

/// A run that was submitted, by its own ledger, and that no list of the state file has any more, as after
/// `git checkout` of the state file alone (incident 13). Its job may live, so its item must not be submitted again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// The run.
    pub run: String,
    /// Its item.
    pub queue_id: QueueId,
    /// Its job.
    pub job: JobId,
    /// What stood in `active_runs`.
    pub record: serde_json::Map<String, serde_json::Value>,
}

/// The memory between passes: absence is confirmed, never assumed (incidents 50 and 53).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sightings {
    /// Format version of the file.
    #[serde(default)]
    pub version: u32,
    /// By job id or token.
    #[serde(default)]
    pub entries: BTreeMap<String, Sighted>,
}

impl Default for Sightings {
    fn default() -> Self {
        Self {
            version: 1,
            entries: BTreeMap::new(),
        }
    }
}

/// Since when something is so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighted {
    /// First pass that saw it.
    pub since: Timestamp,
    /// The same by the cluster's clock, where that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub there: Option<Timestamp>,
    /// Last pass that saw it.
    pub last: Timestamp,
    /// Passes that saw it, all successful.
    pub passes: u32,
    /// What was seen.
    pub what: SightedAs,
}

/// What an earlier pass saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SightedAs {
    /// Every source answered, and none knew the job.
    Absent,
    /// An end that a requeue may still undo.
    Provisional,
    /// A submission that was begun and not ended, and of which no source knows a job.
    #[serde(alias = "unsettled")]
    Claimed,
    /// A submission that ended in a way that proves nothing, and of which no source knows a job.
    Unproven,
    /// An item that a limit of the scheduler, or of the workspace's policy, refused.
    Limit,
    /// A run whose results are recorded though its queue item could not be moved.
    Checked,
}

impl Facts {
    /// Runs that the file says are alive.
    pub fn live_runs(&self) -> impl Iterator<Item = &RunView> {
        self.view
            .active_runs
            .iter()
            .filter(|run| run.status == RunStatus::Live)
    }

    /// How many submissions are not in the books: unsettled ones, and those whose record is lost. While there is one
    /// nothing is submitted.
    #[must_use]
    pub fn unsettled(&self) -> usize {
        self.intents.len() + self.forgotten.len()
    }

    /// Live runs that the cluster can be asked about.
    pub fn tracked_runs(&self) -> impl Iterator<Item = (&RunView, Vec<JobId>)> {
        self.live_runs()
            .filter_map(|run| Some((run, jobs_of(&run.jobs)?)))
    }

    /// When the next poll is due, where the file says so readably. A time without a zone is local time, as the
    /// Stop hook has always read it.
    #[must_use]
    pub fn next_poll(&self, zone: &TimeZone) -> Option<Timestamp> {
        self.view
            .slurm_wait
            .next_poll_after
            .and_then(|at| at.instant(zone))
    }

    /// When something last happened, for the order among projects; unknown counts as longest ago.
    #[must_use]
    pub fn last_touched(&self, zone: &TimeZone) -> Timestamp {
        self.view
            .last_event
            .and_then(|at| at.instant(zone))
            .unwrap_or(Timestamp::MIN)
    }

    /// The item of the queue with this id, else the one whose id is this one however its parts are joined: a run of
    /// `q1` is one of `Q-001`. `None` too when there are two of them.
    #[must_use]
    pub fn item(&self, id: &str) -> Option<&queue::QueueItem> {
        let only = |is_meant: &dyn Fn(&str) -> bool| {
            let mut found = self.queue.iter().filter(|item| is_meant(&item.id));
            let first = found.next()?;
            Some(found.next().is_none().then_some(first))
        };
        only(&|own| own.eq_ignore_ascii_case(id))
            .or_else(|| only(&|own| queue::is_same_id(own, id)))
            .flatten()
    }

    /// The phase.
    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.view.phase
    }
}

/// The jobs that a run names, where they are ids.
#[must_use]
pub fn jobs_of(jobs: &JobRef) -> Option<Vec<JobId>> {
    match jobs {
        JobRef::One(job) => Some(vec![*job]),
        JobRef::Many(jobs) if !jobs.is_empty() => Some(jobs.clone()),
        _ => None,
    }
}

/// Whether a time has come: missing, unreadable and past all mean yes.
#[must_use]
pub fn is_due(at: Option<LooseTime>, now: Timestamp, zone: &TimeZone) -> bool {
    at.and_then(|at| at.instant(zone))
        .is_none_or(|at| at <= now)
}

/// What the cluster said in this pass, and whether it could be asked.
#[derive(Debug, Clone)]
pub struct Observations {
    /// Whether the cluster could be asked.
    pub cluster: ClusterReach,
    /// By job.
    pub jobs: BTreeMap<JobId, Observation>,
    /// By submission; `Err` holds the message of a question that failed.
    pub receipts: BTreeMap<Token, Result<Receipt, String>>,
}

/// Whether the cluster could be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterReach {
    /// It was asked, and answered.
    Answered,
    /// Nothing needed an answer.
    NotAsked,
    /// It could not be asked.
    Failed(BackendError),
}

impl Observations {
    /// A pass in which nothing was asked.
    #[must_use]
    pub fn none() -> Self {
        Self {
            cluster: ClusterReach::NotAsked,
            jobs: BTreeMap::new(),
            receipts: BTreeMap::new(),
        }
    }
}
