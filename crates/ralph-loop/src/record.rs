//! What the loop leaves for readers: `.ralph/attempts.jsonl`, `.ralph/status.json`, the run's summary.
//!
//! The attempts are the history and only grow; the status is replaced whole, so a reader sees the old one or the
//! new one. Nothing here decides anything.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ralph_core::error::{Code, Coded, Hint};
use ralph_core::process::Identity;
use ralph_core::store::{StoreError, append, atomic};
use ralph_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::attempt::aside;
use crate::outcome::{AttemptId, Outcome, Usage};
use crate::task::TaskKey;

/// Version of both files. Members may be added within a version.
pub const SCHEMA_VERSION: u32 = 1;

/// Why a record cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A status that is none.
    #[error("{}: expected the status of a loop", .path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// Written by a newer ralph.
    #[error("{}: schema_version {found} is newer than {SCHEMA_VERSION}", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
}

impl Coded for RecordError {
    fn code(&self) -> Code {
        match self {
            Self::Store(error) => error.code(),
            Self::Shape { .. } => Code::CorruptState,
            Self::Newer { .. } => Code::NewerFormat,
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Shape { .. } => Some(Hint::new(
                "Delete the file: the next loop writes it anew. The attempts are in attempts.jsonl.",
            )),
            Self::Newer { .. } => Some(Hint::new("Use the newer ralph that wrote it.")),
        }
    }
}

/// One line of `.ralph/attempts.jsonl`: an attempt that is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptLine {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Which attempt.
    pub attempt: AttemptId,
    /// The task's name.
    pub task_id: String,
    /// The task's identity.
    pub task_key: TaskKey,
    /// The task's text.
    pub task: String,
    /// The repository of a workspace plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// How often the task was tried in its run, this time included.
    pub number: u32,
    /// The agent.
    pub engine: String,
    /// When the agent was started.
    pub started: Timestamp,
    /// When the attempt was over.
    pub ended: Timestamp,
    /// How long the agent ran, in seconds.
    pub agent_seconds: f64,
    /// What became of it.
    pub outcome: Outcome,
    /// Whether it spent one of the M attempts.
    pub spent: bool,
    /// Why, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The branch that holds its work, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The commit that was delivered or kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Whether the commit is in the base branch.
    #[serde(default)]
    pub merged: bool,
    /// Whether the branch is on the remote.
    #[serde(default)]
    pub pushed: bool,
    /// The pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<String>,
    /// Where a pull request can be opened by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare_url: Option<String>,
    /// The checks: `PASS: cargo test`, one per check.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<String>,
    /// What the agent used.
    #[serde(default)]
    pub usage: Usage,
    /// The agent's session, for `--resume` by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The agent's log, relative to `.ralph`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

/// Sums of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Attempts that were spent.
    pub spent: u64,
    /// Attempts that are over, spent or not.
    pub ended: u64,
    /// How many had which outcome.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// US dollars, as far as agents say so.
    pub cost_usd: f64,
    /// Tokens out.
    pub output_tokens: u64,
    /// Tokens in, cached ones included.
    pub input_tokens: u64,
    /// Pull requests, in the order of their making.
    pub pull_requests: Vec<String>,
    /// Branches whose work is done and neither in the base nor pushed, in the order of their making.
    #[serde(default)]
    pub unmerged: Vec<String>,
    /// Tasks on the skip-list.
    pub skipped: u64,
}

impl Totals {
    /// Adds an attempt.
    pub fn add(&mut self, line: &AttemptLine) {
        self.ended += 1;
        self.spent += u64::from(line.spent);
        *self.outcomes.entry(line.outcome).or_default() += 1;
        self.cost_usd += line.usage.cost_usd.unwrap_or(0.0);
        // An agent may say any number.
        let input = line
            .usage
            .input_tokens
            .saturating_add(line.usage.cached_tokens);
        self.output_tokens = self.output_tokens.saturating_add(line.usage.output_tokens);
        self.input_tokens = self.input_tokens.saturating_add(input);
        if let Some(url) = &line.pull_request
            && !self.pull_requests.contains(url)
        {
            self.pull_requests.push(url.clone());
        }
        if let (Outcome::Done, Some(branch)) = (line.outcome, &line.branch)
            && !(line.merged || line.pushed)
        {
            self.unmerged.push(branch.clone());
        }
    }

    /// How many had this outcome.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(&outcome).copied().unwrap_or(0)
    }
}

/// Where a loop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Agents run, or are about to.
    Running,
    /// Nothing starts: a limit, a throttle, an hour's budget.
    Waiting,
    /// Told to stop; what runs is finished.
    Draining,
    /// Ended.
    Ended,
}

/// What a worker does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Which, from 1.
    pub worker: usize,
    /// Its attempt.
    pub attempt: AttemptId,
    /// Its task.
    pub task_id: String,
    /// The task's text.
    pub task: String,
    /// Since when.
    pub since: Timestamp,
    /// What the agent used so far.
    pub usage: Usage,
    /// What the agent does, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doing: Option<String>,
}

/// How many tasks of the plan are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCounts {
    /// Open.
    pub open: usize,
    /// Held by a worker.
    pub claimed: usize,
    /// Delivered, not merged yet.
    pub delivered: usize,
    /// Done.
    pub done: usize,
}

/// `.ralph/status.json`. The last twelve members are those of the loop that this one replaces, for its readers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// This run.
    pub run: String,
    /// The loop's process.
    pub process: Identity,
    /// Where the loop is.
    pub state: State,
    /// Why nothing starts, or why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it goes on by itself, if it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wakes: Option<Timestamp>,
    /// When the loop began.
    pub started: Timestamp,
    /// When this was written.
    pub updated: Timestamp,
    /// Workers at once.
    pub workers: u32,
    /// Attempts altogether; null in batch mode.
    pub max_attempts: Option<u64>,
    /// Who works.
    pub running: Vec<WorkerStatus>,
    /// The plan.
    pub tasks: TaskCounts,
    /// The sums.
    pub totals: Totals,
    /// The exit code, once ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// The old members.
    #[serde(flatten)]
    pub old: OldStatus,
}

/// The members that readers of the replaced loop know.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OldStatus {
    /// As `updated`.
    pub timestamp: String,
    /// The agent.
    pub engine: String,
    /// Attempts that are over.
    pub loop_count: u64,
    /// Agents started in this hour.
    pub calls_made_this_hour: u64,
    /// The limit of that; 0 when there is none.
    pub max_calls_per_hour: u64,
    /// What was done last.
    pub last_action: String,
    /// `running`, `waiting`, `draining`, `completed`, `failed` or `interrupted`.
    pub status: String,
    /// Why it ended; empty before.
    pub exit_reason: String,
    /// `continuous` or `batch`.
    pub mode: String,
    /// M, or 0.
    #[serde(rename = "target_M")]
    pub target: u64,
    /// N.
    #[serde(rename = "concurrency_N")]
    pub concurrency: u64,
    /// Attempts that were spent.
    pub attempts_completed: u64,
}

/// The files of one repository's loop.
#[derive(Debug, Clone)]
pub struct Records {
    folder: PathBuf,
}

impl Records {
    /// The records under `.ralph`.
    #[must_use]
    pub fn new(ralph_folder: &Path) -> Self {
        Self {
            folder: ralph_folder.to_owned(),
        }
    }

    /// Where the attempts are.
    #[must_use]
    pub fn attempts_path(&self) -> PathBuf {
        self.folder.join("attempts.jsonl")
    }

    /// Where the status is.
    #[must_use]
    pub fn status_path(&self) -> PathBuf {
        self.folder.join("status.json")
    }

    /// The folder of the logs.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// Appends an attempt, durably. Other agents go on while the disk is waited for.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn append(&self, line: &AttemptLine) -> Result<(), RecordError> {
        let text = serde_json::to_string(line).map_err(|source| RecordError::Shape {
            path: self.attempts_path(),
            source,
        })?;
        let path = self.attempts_path();
        Ok(aside(move || append::append_line(&path, &text)).await?)
    }

    /// All attempts, oldest first. A line that is none is left out: a crash may have torn it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn attempts(&self) -> Result<Vec<AttemptLine>, RecordError> {
        let lines = append::read_lines(&self.attempts_path())?;
        Ok(lines
            .complete
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    }

    /// Replaces the status. It need not survive a loss of power: everything that it tells of is over then.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_status(&self, status: &Status) -> Result<(), RecordError> {
        let path = self.status_path();
        let mut bytes = serde_json::to_vec_pretty(status).map_err(|source| RecordError::Shape {
            path: path.clone(),
            source,
        })?;
        bytes.push(b'\n');
        atomic::stage_unsynced(&path, &bytes, None)?.publish()?;
        Ok(())
    }

    /// The status; `None` when no loop ever ran here.
    ///
    /// # Errors
    /// The file cannot be read, is none, or is newer.
    pub fn status(&self) -> Result<Option<Status>, RecordError> {
        let path = self.status_path();
        let Some(bytes) = atomic::read(&path)? else {
            return Ok(None);
        };
        let shape = |source| RecordError::Shape {
            path: path.clone(),
            source,
        };
        let version: Version = serde_json::from_slice(&bytes).map_err(shape)?;
        if version.schema_version > SCHEMA_VERSION {
            let found = version.schema_version;
            return Err(RecordError::Newer { path, found });
        }
        // The replaced loop wrote a status without a version; it tells nothing about a loop of ours.
        if version.schema_version == 0 {
            return Ok(None);
        }
        serde_json::from_slice(&bytes).map(Some).map_err(shape)
    }

    /// Appends the block of a run to `logs/continuous-summary.log`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn append_summary(&self, block: &str) -> Result<(), RecordError> {
        let path = self.logs().join("continuous-summary.log");
        Ok(append::append_bytes(&path, block.as_bytes())?)
    }
}

#[derive(Deserialize)]
struct Version {
    #[serde(default)]
    schema_version: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(outcome: Outcome) -> AttemptLine {
        AttemptLine {
            schema_version: SCHEMA_VERSION,
            attempt: "20261126_213300-00000001".parse().expect("an id"),
            task_id: "t".to_owned(),
            task_key: "0123456789abcdef".parse().expect("a key"),
            task: "do it".to_owned(),
            repository: None,
            number: 1,
            engine: "command".to_owned(),
            started: Timestamp::UNIX_EPOCH,
            ended: Timestamp::UNIX_EPOCH,
            agent_seconds: 0.5,
            outcome,
            spent: outcome.spends(),
            reason: None,
            branch: None,
            commit: None,
            merged: false,
            pushed: false,
            pull_request: Some("https://host/o/r/pull/1".to_owned()),
            compare_url: None,
            checks: Vec::new(),
            usage: Usage::default(),
            session_id: None,
            log: None,
        }
    }

    #[tokio::test]
    async fn a_torn_line_costs_itself_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let records = Records::new(folder.path());
        records.append(&line(Outcome::Done)).await.expect("written");
        ralph_core::store::append::append_bytes(&records.attempts_path(), b"{\"schema_ver")
            .expect("written");
        records
            .append(&line(Outcome::Crashed))
            .await
            .expect("written");
        let found = records.attempts().expect("read");
        let outcomes: Vec<Outcome> = found.iter().map(|line| line.outcome).collect();
        assert_eq!(outcomes, [Outcome::Done, Outcome::Crashed]);
    }

    #[test]
    fn tokens_that_no_sum_can_hold_end_no_loop() {
        let mut totals = Totals::default();
        for _ in 0..2 {
            let mut line = line(Outcome::Done);
            (line.usage.input_tokens, line.usage.cached_tokens) = (u64::MAX, 1);
            line.usage.output_tokens = u64::MAX;
            totals.add(&line);
        }
        let sums = (totals.input_tokens, totals.output_tokens);
        assert_eq!(sums, (u64::MAX, u64::MAX));
    }

    #[test]
    fn the_sums_count_what_spends_and_each_pull_request_once() {
        let mut totals = Totals::default();
        for outcome in [Outcome::Done, Outcome::UsageLimit, Outcome::NoChange] {
            totals.add(&line(outcome));
        }
        assert_eq!((totals.ended, totals.spent), (3, 2));
        assert_eq!(totals.pull_requests.len(), 1);
        assert_eq!(totals.count(Outcome::UsageLimit), 1);
    }

    #[test]
    fn work_that_is_done_and_waits_on_its_branch_is_named() {
        let mut totals = Totals::default();
        let waits = AttemptLine {
            merged: false,
            pushed: false,
            branch: Some("ralph-codex/waits".to_owned()),
            ..line(Outcome::Done)
        };
        let pushed = AttemptLine {
            pushed: true,
            ..waits.clone()
        };
        let kept = AttemptLine {
            outcome: Outcome::GatesFailed,
            ..waits.clone()
        };
        for line in [&pushed, &waits, &kept] {
            totals.add(line);
        }
        assert_eq!(totals.unmerged, ["ralph-codex/waits"]);
    }

    #[test]
    fn a_status_of_the_old_loop_is_none_and_a_newer_one_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let records = Records::new(folder.path());
        assert!(records.status().expect("read").is_none());
        ralph_core::store::atomic::replace(&records.status_path(), b"{\"loop_count\": 3}")
            .expect("written");
        assert!(records.status().expect("read").is_none());
        ralph_core::store::atomic::replace(&records.status_path(), b"{\"schema_version\": 99}")
            .expect("written");
        let error = records.status().expect_err("newer");
        assert_eq!(error.code(), Code::NewerFormat);
    }
}
