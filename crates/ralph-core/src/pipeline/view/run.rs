//! One run of a list: its ids, the jobs it names, and what its status means.
//!
//! Words that nobody has thought of count as live, so that a run is asked about rather than forgotten. What must
//! never be here: how a job id is written (`super::job_ref`), a comparison with the clock.

use serde_json::Value;

use super::super::grammar::Kind;
use super::super::record::{JOB_MEMBERS, Record, RunKey, id_text};
use super::super::source::Source;
use super::super::tree::NodeId;
use super::job_ref::JobRef;
use super::shape;
use crate::id::{JobId, JobPart, Token};
use crate::job::{Finality, JobParts, JobState};
use crate::time::LooseTime;

/// What a run's status means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunStatus {
    /// Not known to have ended: `pending`, `running`, `submitted`, nothing at all, and every unknown word.
    Live,
    /// `completed`.
    Completed,
    /// `failed`, and SLURM's words for it.
    Failed,
    /// `cancelled`.
    Cancelled,
    /// `timeout`.
    Timeout,
    /// Ended in another way: `superseded`, `INVALID -- discarded`, `completed_with_write_error`.
    OtherTerminal,
}

impl RunStatus {
    /// Whether the run has not ended as far as the file says.
    #[must_use]
    pub fn is_live(self) -> bool {
        self == Self::Live
    }

    /// Reads a status as found on disk.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::known(text).unwrap_or(Self::Live)
    }

    /// What a status says, where it says it for certain.
    pub(crate) fn known(text: &str) -> Option<Self> {
        let lower = text.trim().to_ascii_lowercase();
        let end = lower
            .find(|c: char| !c.is_ascii_lowercase())
            .unwrap_or(lower.len());
        let (word, rest) = lower.split_at(end);
        if matches!(word, "pending" | "running" | "submitted" | "queued") {
            return Some(Self::Live);
        }
        if !is_certain(rest) {
            return None;
        }
        let known = match word {
            // `completed_fid_error` ended, but not well; `completed (details)` did.
            "completed" | "complete" | "succeeded" | "success" | "done" | "finished" => {
                if rest.starts_with(['_', '-']) {
                    Self::OtherTerminal
                } else {
                    Self::Completed
                }
            }
            "failed" | "failure" | "error" | "errored" | "crashed" | "killed" | "aborted" => {
                Self::Failed
            }
            "cancelled" | "canceled" => Self::Cancelled,
            "timeout" => Self::Timeout,
            "timed" if rest.trim_start_matches(['_', ' ', '-']).starts_with("out") => Self::Timeout,
            "superseded" | "reverted" | "invalid" | "discarded" | "abandoned" | "skipped"
            | "obsolete" | "replaced" | "deprecated" => Self::OtherTerminal,
            _ => return Self::of_scheduler_word(text),
        };
        Some(known)
    }

    /// A record may hold the scheduler's own word, such as `OUT_OF_MEMORY`. Those that may come alive again are live.
    fn of_scheduler_word(text: &str) -> Option<Self> {
        let state = JobState::parse(text);
        let known = match (state.finality(), state) {
            (_, JobState::Other(_)) => return None,
            (Finality::Alive | Finality::Provisional, _) => Self::Live,
            (_, JobState::Completed) => Self::Completed,
            (_, JobState::Cancelled) => Self::Cancelled,
            (_, JobState::Timeout | JobState::Deadline) => Self::Timeout,
            (_, JobState::Revoked) => Self::OtherTerminal,
            (Finality::Final, _) => Self::Failed,
        };
        Some(known)
    }
}

/// Whether what stands behind a word leaves it as it is: nothing, a remark set off from it, more of the word itself. A
/// sentence that goes on (`completed 3/8 tasks`, `failed over to gpu2, running`) or doubts (`done?`) is no end: the
/// cluster is asked.
fn is_certain(rest: &str) -> bool {
    const SET_OFF: [char; 9] = ['(', '[', ':', ';', ',', '.', '-', '–', '—'];
    const GOES_ON: [&str; 9] = [
        "by ", "with ", "at ", "on ", "after ", "due ", "because ", "in ", "out",
    ];
    const DOUBTS: [&str; 5] = ["running", "pending", "queued", "not sure", "unsure"];
    let text = rest.trim_start();
    let is_joined = rest.starts_with(['_', '-', '+']);
    // `completed ✓` has a sign behind it and no word.
    let is_set_off = !text.contains(char::is_alphanumeric)
        || is_joined
        || text.starts_with(SET_OFF)
        || GOES_ON.iter().any(|word| text.starts_with(word));
    is_set_off && !rest.contains('?') && !DOUBTS.iter().any(|word| rest.contains(word))
}

/// One run of a list, whatever its members are called and however they are written.
#[derive(Debug, Clone, PartialEq)]
pub struct RunView {
    /// Place in the list, from 0.
    pub index: usize,
    /// How an edit finds this record again.
    pub key: RunKey,
    /// The experiment or queue item it belongs to, as found.
    pub experiment: Option<String>,
    /// The jobs it names.
    pub jobs: JobRef,
    /// What its status means.
    pub status: RunStatus,
    /// The status as found.
    pub status_text: Option<String>,
    /// When it was submitted, as far as that can be read.
    pub submitted_at: Option<LooseTime>,
    /// When it ended, as far as that can be read.
    pub ended_at: Option<LooseTime>,
    /// When this run is asked about again.
    pub next_poll_after: Option<LooseTime>,
    /// The queue item, where it is named on its own.
    pub queue_id: Option<String>,
    /// When it was submitted, as found.
    pub submitted_text: Option<String>,
    /// The partition it was submitted to.
    pub partition: Option<String>,
    /// The nodes it ran on, as the scheduler printed them.
    pub nodes: Option<String>,
    /// Why it failed, in the word of the classifier.
    pub failure_class: Option<String>,
    /// Which attempt this is.
    pub attempt: Option<u64>,
    /// The key of its submission: how its own record of its end and its logs are found on the cluster.
    pub token: Option<Token>,
    /// The tasks or components that its job had when it was taken into the books.
    pub parts: Option<JobParts>,
    /// Line of the record, from 1.
    pub line: usize,
}

/// A member that was not as expected, and how it was read.
type Remark = (&'static str, &'static str);

impl RunView {
    /// Reads a record; the second part says what was unexpected in which member.
    pub(super) fn read(record: Record<'_>, index: usize, line: usize) -> (Self, Vec<Remark>) {
        let mut remarks = Vec::new();
        let members = Members::of(record);
        let source = record.source();
        let text = |id: Option<NodeId>| shape::some_text_at(source, id?);
        let time = |id: Option<NodeId>| shape::loose_time_at(source, id?);
        let job = record.job_of(members.job);
        let jobs = read_jobs(source, &members, job.as_ref(), &mut remarks);
        let (status, status_text) = read_status(source, members.status, &mut remarks);
        let run = Self {
            index,
            experiment: text(members.experiment),
            jobs,
            status,
            status_text,
            submitted_at: time(members.submitted_at)
                .or_else(|| time(members.submitted_to_slurm_at)),
            ended_at: members.ended_at.into_iter().find_map(time),
            next_poll_after: time(members.next_poll_after),
            queue_id: text(members.queue_id),
            submitted_text: text(members.submitted_at),
            partition: text(members.partition),
            nodes: text(members.nodes),
            failure_class: text(members.failure_class),
            attempt: members
                .attempt
                .and_then(|id| shape::seconds(&source.value(id))),
            token: text(members.token).and_then(|token| token.parse().ok()),
            parts: JobParts::read(
                text(members.job_tasks).as_deref(),
                text(members.job_components).as_deref(),
            ),
            line,
            key: RunKey {
                index,
                run_id: members.run_id.and_then(|id| id_text(&source.value(id))),
                job_id: job.as_ref().and_then(|(_, value)| id_text(value)),
            },
        };
        (run, remarks)
    }

    /// The parts that a job of this run is known to have; none for a part itself.
    #[must_use]
    pub fn parts_of(&self, job: JobId) -> Vec<JobId> {
        let is_the_job = job.part() == JobPart::Whole && self.jobs.ids().len() == 1;
        let parts = self.parts.as_ref().filter(|_| is_the_job);
        parts.map_or_else(Vec::new, |parts| parts.of(job))
    }
}

/// Where the members of a record stand that a run is read from: found in one pass, since a state file has many runs.
#[derive(Default)]
struct Members {
    run_id: Option<NodeId>,
    /// In the order of the names under which a job id was found.
    job: [Option<NodeId>; JOB_MEMBERS.len()],
    status: Option<NodeId>,
    experiment: Option<NodeId>,
    submitted_at: Option<NodeId>,
    submitted_to_slurm_at: Option<NodeId>,
    /// As a success, a failure, a cancelled one.
    ended_at: [Option<NodeId>; 3],
    next_poll_after: Option<NodeId>,
    queue_id: Option<NodeId>,
    partition: Option<NodeId>,
    nodes: Option<NodeId>,
    failure_class: Option<NodeId>,
    attempt: Option<NodeId>,
    token: Option<NodeId>,
    job_tasks: Option<NodeId>,
    job_components: Option<NodeId>,
}

impl Members {
    fn of(record: Record<'_>) -> Self {
        let mut found = Self::default();
        for (key, id) in record.keys() {
            let place = match key.as_ref() {
                "run_id" => &mut found.run_id,
                "status" => &mut found.status,
                "experiment" => &mut found.experiment,
                "submitted_at" => &mut found.submitted_at,
                "submitted_to_slurm_at" => &mut found.submitted_to_slurm_at,
                "completed_at" => &mut found.ended_at[0],
                "failed_at" => &mut found.ended_at[1],
                "cancelled_at" => &mut found.ended_at[2],
                "next_poll_after" => &mut found.next_poll_after,
                "queue_id" => &mut found.queue_id,
                "partition" => &mut found.partition,
                "nodes" => &mut found.nodes,
                "failure_class" => &mut found.failure_class,
                "attempt" => &mut found.attempt,
                "token" => &mut found.token,
                "job_tasks" => &mut found.job_tasks,
                "job_components" => &mut found.job_components,
                key => {
                    let mut job = found.job.iter_mut().zip(JOB_MEMBERS);
                    match job.find(|(_, name)| *name == key) {
                        Some((place, _)) => place,
                        None => continue,
                    }
                }
            };
            *place = Some(id);
        }
        found
    }
}

/// The jobs of a record, with a remark when a part of the member is no id.
fn read_jobs(
    source: Source<'_>,
    members: &Members,
    job: Option<&(&'static str, Value)>,
    remarks: &mut Vec<Remark>,
) -> JobRef {
    let Some((member, value)) = job else {
        let usual = members.job[0].map(|id| source.node(id).kind);
        if matches!(usual, Some(Kind::Bool | Kind::Object)) {
            remarks.push(("job_id", "expected a job id; passed over"));
        }
        return JobRef::None;
    };
    let jobs = JobRef::read(value);
    if let JobRef::Placeholder(text) = &jobs
        && text.chars().filter(char::is_ascii_digit).count() > 2
    {
        remarks.push((member, "expected a job id or several; none is read in it"));
    }
    let named = value.as_str().map_or(0, |text| text.split(',').count());
    if !jobs.ids().is_empty() && jobs.ids().len() < named {
        remarks.push((member, "expected only job ids; the others are passed over"));
    }
    jobs
}

/// A live run without `status` is the rule rather than an exception; another type is worth a remark.
fn read_status(
    source: Source<'_>,
    status: Option<NodeId>,
    remarks: &mut Vec<Remark>,
) -> (RunStatus, Option<String>) {
    match status.map(|id| source.value(id)) {
        None | Some(Value::Null) => (RunStatus::Live, None),
        Some(Value::String(text)) => (RunStatus::parse(&text), Some(text)),
        Some(other) => {
            remarks.push(("status", "expected a text; read as live"));
            (RunStatus::Live, Some(other.to_string()))
        }
    }
}

/// For a live run the time that it names for itself, or that it names none; nothing for one that has ended.
pub(super) fn live_poll(record: Record<'_>) -> Option<Option<LooseTime>> {
    let source = record.source();
    let [status, poll] = ["status", "next_poll_after"].map(|name| record.place(name));
    let ended = status.is_some_and(|id| {
        source
            .text_of(id)
            .is_some_and(|text| !RunStatus::parse(&text).is_live())
    });
    (!ended).then(|| poll.and_then(|id| shape::loose_time_at(source, id)))
}
