//! One job of the mock cluster: what it was submitted with, and the rows that a queue and accounting print of it.
//!
//! Pure. A job never changes but by being cancelled; everything else follows from its script and the time.

use serde::{Deserialize, Serialize};

use super::course::{Artifact, JobScript, LogPart, Times, Truth, later, truth};
use crate::backend::{Stream, SubmitRequest};
use crate::id::{JobId, JobPart, Slug, Token};
use crate::job::{Evidence, ExitInfo, Finality, JobReport, JobState};
use crate::sbatch::{self, Directive, Names, expand};
use crate::time::{SignedDuration, Timestamp};

/// Who prints a row. The words are the evidence's source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Queue,
    Accounting,
}

impl Source {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "mock queue",
            Self::Accounting => "mock accounting",
        }
    }
}

/// A job, from its submission on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MockJob {
    /// The whole job's id; not unique, since ids are reused.
    pub(super) id: JobId,
    pub(super) name: String,
    /// By our clock; a skew is added when it is told.
    pub(super) submitted: Timestamp,
    /// What we sent; `None` for a job of somebody else's making.
    pub(super) request: Option<SubmitRequest>,
    pub(super) script: JobScript,
    /// The indices of an array, ascending; empty for a job without tasks.
    pub(super) tasks: Vec<u32>,
    /// The positions of the jobs that it waits for. A position, not an id: ids are reused.
    pub(super) after: Vec<usize>,
    /// In the order in which they came; the first that hits a task is the one that counts.
    pub(super) cancels: Vec<Cancel>,
    /// The name of the log, with its symbols.
    output: String,
    /// `None` when both streams go to `output`.
    error: Option<String>,
}

/// One request to cancel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cancel {
    pub(super) at: Timestamp,
    pub(super) by: u32,
    /// The task that was meant, `None` for all.
    pub(super) task: Option<u32>,
}

/// What the reporting side adds to a truth.
#[derive(Debug, Clone, Copy)]
pub(super) struct Telling {
    pub(super) source: Source,
    /// The moment whose truth is told.
    pub(super) of: Timestamp,
    /// When it is told.
    pub(super) at: Timestamp,
    /// By how much the cluster's clock is ahead.
    pub(super) skew: SignedDuration,
}

impl MockJob {
    /// A job as its script and directives describe it. Directives that cannot be read count as absent: to refuse
    /// them is the preflight's business, not the mock's.
    pub(super) fn new(
        id: JobId,
        submitted: Timestamp,
        request: Option<SubmitRequest>,
        script: JobScript,
    ) -> Self {
        let directives = request
            .as_ref()
            .map(|request| sbatch::parse(&request.script))
            .unwrap_or_default();
        let value =
            |option| sbatch::last(&directives, option).and_then(|found| found.value.clone());
        let named = request
            .as_ref()
            .map_or("", |request| request.token.as_str());
        let tasks = array_tasks(&directives, &script);
        let pattern = if tasks.is_empty() {
            "%x_%j"
        } else {
            "%x_%A_%a"
        };
        let output = value("output");
        Self {
            name: value("job-name").unwrap_or_else(|| named.to_owned()),
            error: match (value("error"), &output) {
                (None, None) => Some(format!("slurm/logs/{pattern}.err")),
                (given, _) => given,
            },
            output: output.unwrap_or_else(|| format!("slurm/logs/{pattern}.out")),
            id,
            submitted,
            request,
            script,
            tasks,
            after: Vec::new(),
            cancels: Vec::new(),
        }
    }

    pub(super) fn token(&self) -> Option<&Token> {
        self.request.as_ref().map(|request| &request.token)
    }

    pub(super) fn project(&self) -> Option<&Slug> {
        self.request.as_ref().map(|request| &request.project)
    }

    /// What is true of one task, or of a job without tasks.
    fn truth(&self, task: Option<u32>, eligible: Option<Timestamp>, at: Timestamp) -> Truth {
        let cancelled = self
            .cancels
            .iter()
            .find(|cancel| cancel.task.is_none() || cancel.task == task)
            .map(|cancel| (cancel.at, cancel.by));
        let times = Times {
            submitted: self.submitted,
            eligible,
            cancelled,
        };
        truth(self.script.steps_of(task), &times, at)
    }

    /// What is true of the whole: for an array, alive as long as any task is (incident 73).
    pub(super) fn whole(&self, eligible: Option<Timestamp>, at: Timestamp) -> Truth {
        let mut tasks = self
            .tasks
            .iter()
            .map(|task| self.truth(Some(*task), eligible, at));
        let Some(mut whole) = tasks.next() else {
            return self.truth(None, eligible, at);
        };
        for task in tasks {
            whole.started = earliest(whole.started, task.started);
            whole.ended = whole.ended.max(task.ended);
            whole.restarts = whole.restarts.max(task.restarts);
            if stands_for_array(&task.state) > stands_for_array(&whole.state) {
                (whole.state, whole.reason, whole.exit) = (task.state, task.reason, task.exit);
            }
        }
        if whole.state.finality() == Finality::Alive {
            whole.ended = None;
        }
        whole
    }

    /// The row of the whole job, with those of its tasks.
    pub(super) fn report(&self, eligible: Option<Timestamp>, telling: Telling) -> JobReport {
        let tasks = self
            .tasks
            .iter()
            .map(|task| self.task_report(*task, eligible, telling))
            .collect();
        self.row(self.id, self.whole(eligible, telling.of), tasks, telling)
    }

    /// The row of one task.
    pub(super) fn task_report(
        &self,
        task: u32,
        eligible: Option<Timestamp>,
        telling: Telling,
    ) -> JobReport {
        let truth = self.truth(Some(task), eligible, telling.of);
        self.row(self.id.task(task), truth, Vec::new(), telling)
    }

    fn row(&self, job: JobId, truth: Truth, tasks: Vec<JobReport>, telling: Telling) -> JobReport {
        let skewed = |at: Timestamp| at.saturating_add(telling.skew).unwrap_or(at);
        // Accounting shows `0:0` for a job that runs, which must not be taken for an exit code.
        let running =
            (telling.source == Source::Accounting).then_some(ExitInfo { code: 0, signal: 0 });
        JobReport {
            job,
            name: self.name.clone(),
            submitted: Some(skewed(truth.submitted)),
            started: truth.started.map(skewed),
            ended: truth.ended.map(skewed),
            exit: truth.exit.or(running),
            nodes: truth.nodes,
            reason: truth.reason,
            cancelled_by: truth.cancelled_by,
            restarts: truth.restarts,
            stdout: Some(self.log_path(Stream::Out, job)),
            stderr: Some(self.log_path(Stream::Err, job)),
            tasks,
            evidence: Evidence {
                source: telling.source.as_str().to_owned(),
                line: format!("{job}|{}|{}", truth.state, self.name),
                at: telling.at,
            },
            state: truth.state,
        }
    }

    /// Where a log is, by the names that the script gives.
    pub(super) fn log_path(&self, stream: Stream, job: JobId) -> String {
        let (id, master) = (job.to_string(), job.master().to_string());
        let pattern = match stream {
            Stream::Err => self.error.as_ref().unwrap_or(&self.output),
            Stream::Out => &self.output,
        };
        let task = task_of(job);
        let path = expand(
            pattern,
            &Names {
                job: &id,
                array_master: task.is_some().then_some(master.as_str()),
                array_task: task,
                name: &self.name,
                user: "user",
                node: "node001",
            },
        );
        let project = self.project().map_or("foreign", Slug::as_str);
        match path.strip_prefix('/') {
            Some(_) => path,
            None => format!("/mock/projects/{project}/{path}"),
        }
    }

    /// The log as it is at `at`; `None` when nothing was written, which is no file.
    pub(super) fn log(
        &self,
        stream: Stream,
        job: JobId,
        eligible: Option<Timestamp>,
        at: Timestamp,
    ) -> Option<String> {
        if let JobPart::Task(index) = job.part()
            && !self.tasks.contains(&index)
        {
            return None;
        }
        let truth = self.truth(task_of(job), eligible, at);
        let start = eligible?;
        let mut parts: Vec<&LogPart> = match (stream, &self.error) {
            (_, None) => self
                .script
                .stdout
                .iter()
                .chain(&self.script.stderr)
                .collect(),
            (Stream::Out, _) => self.script.stdout.iter().collect(),
            (Stream::Err, _) => self.script.stderr.iter().collect(),
        };
        parts.sort_by_key(|part| part.after_seconds);
        parts.retain(|part| happened(start, part.after_seconds, &truth, at));
        (!parts.is_empty()).then(|| parts.iter().map(|part| part.text.as_str()).collect())
    }

    /// Whether the job has left this file by `at`.
    pub(super) fn has_left(&self, path: &str, eligible: Option<Timestamp>, at: Timestamp) -> bool {
        let truth = self.whole(eligible, at);
        let exists = |artifact: &Artifact| {
            artifact.path == path
                && eligible.is_some_and(|start| happened(start, artifact.after_seconds, &truth, at))
        };
        self.script.artifacts.iter().any(exists)
    }
}

/// The tasks of an array: those that its directive asks for, and those that its script describes.
pub(super) fn array_tasks(directives: &[Directive], script: &JobScript) -> Vec<u32> {
    let mut tasks = sbatch::last(directives, "array")
        .and_then(|found| sbatch::array(found.value.as_deref()?).ok())
        .map(|array| array.indices)
        .unwrap_or_default();
    tasks.extend(script.tasks.keys().copied());
    tasks.sort_unstable();
    tasks.dedup();
    tasks
}

/// The index of the array task that an id names.
pub(super) fn task_of(job: JobId) -> Option<u32> {
    match job.part() {
        crate::id::JobPart::Task(index) => Some(index),
        _ => None,
    }
}

/// Whether a job has done by `at` what its script says for so many seconds after its start.
fn happened(start: Timestamp, after_seconds: u64, truth: &Truth, at: Timestamp) -> bool {
    let when = later(start, after_seconds);
    when <= at && truth.ended.is_none_or(|end| when <= end)
}

fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

/// Which task's state stands for an array: one that runs, else one that waits, else the first bad end.
fn stands_for_array(state: &JobState) -> u8 {
    match state.finality() {
        Finality::Alive if state.is_started() => 4,
        Finality::Alive => 3,
        Finality::Provisional => 2,
        Finality::Final if *state != JobState::Completed => 1,
        Finality::Final => 0,
    }
}
