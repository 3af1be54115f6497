//! One attempt as it stands on disk: `.ralph/state/attempts/<id>/attempt.jsonl`, whose last whole line is the record. A
//! line is added before each effect.
//!
//! Whoever finds such a folder without a living owner knows from it what was begun and what is to be kept
//! ([`crate::recovery`]). What must never be here: a process, git, a decision about what comes next.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ralph_core::error::{Code, Coded, Hint};
use ralph_core::process::Identity;
use ralph_core::store::{StoreError, append, atomic};
use ralph_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::delivery::Delivered as Sent;
use crate::delivery::text::GateLine;
use crate::git::ObjectId;
use crate::outcome::{AttemptId, Outcome, Usage};
use crate::plan::Delivered;
use crate::task::Task;
use crate::worktree::Assigned;

/// Version of the record.
const SCHEMA_VERSION: u32 = 1;
const RECORD: &str = "attempt.jsonl";

/// How far an attempt has come. Each is written before what it names is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Its task is claimed; worktree and branch may exist.
    Preparing,
    /// Its agent may run.
    Running,
    /// Its agent has ended well; its work is checked.
    Checking,
    /// Its work passed; it is integrated or pushed. Never needs the agent again.
    Delivering,
}

/// The record of an attempt that is not over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Version of this shape.
    pub schema_version: u32,
    /// Which attempt.
    pub attempt: AttemptId,
    /// At what.
    pub task: Task,
    /// How often the task is tried in its run, this time included.
    pub number: u32,
    /// The agent.
    pub engine: String,
    /// The loop that owns it.
    pub owner: Identity,
    /// The guard of its agent.
    pub guard: Option<Identity>,
    /// How far it is.
    pub phase: Phase,
    /// The work tree of the repository that it belongs to.
    pub repository: PathBuf,
    /// Its worktree and branch, once it has them.
    pub assigned: Option<Assigned>,
    /// When its agent was started.
    pub started: Timestamp,
    /// How long the agent ran, in seconds.
    pub agent_seconds: f64,
    /// What the agent used.
    pub usage: Usage,
    /// The agent's session.
    pub session_id: Option<String>,
    /// The agent's own summary.
    pub summary: Option<String>,
    /// Tools that the agent was refused.
    pub denials: Vec<String>,
    /// The checks and their results.
    pub checks: Vec<String>,
    /// What the checks printed that failed, for the next attempt.
    pub printed: Option<String>,
    /// The checks and their results for the text of a pull request.
    pub gates: Vec<GateLine>,
    /// Files of the loop that the agent changed and the commit does not have.
    pub protected: Vec<String>,
    /// The commit on its branch that is to be sent.
    pub commit: Option<ObjectId>,
    /// What is known of sending it.
    pub sent: Sent,
    /// The agent's log, relative to `.ralph`.
    pub log: Option<String>,
    /// How it ends, from the moment that this is known until it is recorded.
    pub closing: Option<Closing>,
}

/// How an attempt ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// Its outcome.
    pub outcome: Outcome,
    /// Why, in words.
    pub reason: Option<String>,
    /// What the plan is told.
    pub task: ForTask,
    /// The branch that holds its work.
    pub branch: Option<String>,
    /// The commit that holds its work.
    pub commit: Option<String>,
    /// Whether that is in the base branch.
    pub merged: bool,
    /// Whether the branch is on the remote.
    pub pushed: bool,
    /// The pull request.
    pub pull_request: Option<String>,
    /// Where one can be opened by hand.
    pub compare_url: Option<String>,
}

/// What the end of an attempt means for its row in the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForTask {
    /// It is open again.
    Open,
    /// It is ticked.
    Done,
    /// Its work waits on a branch.
    Delivered(Delivered),
}

impl Closing {
    /// An end without anything delivered or kept.
    #[must_use]
    pub fn new(outcome: Outcome, reason: Option<String>, task: ForTask) -> Self {
        Self {
            outcome,
            reason,
            task,
            branch: None,
            commit: None,
            merged: false,
            pushed: false,
            pull_request: None,
            compare_url: None,
        }
    }
}

impl AttemptRecord {
    /// A new record.
    #[must_use]
    pub fn new(
        attempt: AttemptId,
        task: Task,
        number: u32,
        engine: &str,
        owner: Identity,
        repository: &Path,
        now: Timestamp,
    ) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            attempt,
            task,
            number,
            engine: engine.to_owned(),
            owner,
            guard: None,
            phase: Phase::Preparing,
            repository: repository.to_owned(),
            assigned: None,
            started: now,
            agent_seconds: 0.0,
            usage: Usage::default(),
            session_id: None,
            summary: None,
            denials: Vec::new(),
            checks: Vec::new(),
            printed: None,
            gates: Vec::new(),
            protected: Vec::new(),
            commit: None,
            sent: Sent::default(),
            log: None,
            closing: None,
        }
    }
}

/// Why an attempt's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// A file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder of all attempts.
    #[error("cannot list {}", .path.display())]
    List {
        /// The folder.
        path: PathBuf,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// A record that is none.
    #[error("{}: expected the record of an attempt", .path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

impl Coded for AttemptError {
    fn code(&self) -> Code {
        match self {
            Self::Store(error) => error.code(),
            Self::List { .. } => Code::Failed,
            Self::Shape { .. } => Code::CorruptState,
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Store(error) => error.hint(),
            Self::List { .. } => Some(Hint::new("Check the permissions of the folder.")),
            Self::Shape { .. } => Some(Hint::new(
                "Look at the folder beside it, keep what is of use, and delete it.",
            )),
        }
    }
}

/// The folder of all attempts that are not over.
#[derive(Debug, Clone)]
pub struct Attempts {
    folder: PathBuf,
}

impl Attempts {
    /// The attempts under `.ralph/state`.
    #[must_use]
    pub fn new(state: &Path) -> Self {
        Self {
            folder: state.join("attempts"),
        }
    }

    /// The folder of one attempt.
    #[must_use]
    pub fn folder(&self, attempt: &AttemptId) -> PathBuf {
        self.folder.join(attempt.as_str())
    }

    /// Writes a record so that it survives the end of this process.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, record: &AttemptRecord) -> Result<(), AttemptError> {
        let (path, line) = self.content(record)?;
        Ok(append::append_line_unsynced(&path, &line)?)
    }

    /// The same for the first time, when its folder has to be made: that is brought to disk, and the caller's thread
    /// does not wait for the disk.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn begin(&self, record: &AttemptRecord) -> Result<(), AttemptError> {
        let (attempts, record) = (self.clone(), record.clone());
        aside(move || attempts.write(&record)).await
    }

    /// Writes a record so that it survives a loss of power: from here on there is work to lose. Other agents go on
    /// while the disk is waited for.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn write_durably(&self, record: &AttemptRecord) -> Result<(), AttemptError> {
        let (path, line) = self.content(record)?;
        aside(move || Ok(append::append_line(&path, &line)?)).await
    }

    fn content(&self, record: &AttemptRecord) -> Result<(PathBuf, String), AttemptError> {
        let folder = self.folder(&record.attempt);
        atomic::create_dir(&folder)?;
        let path = folder.join(RECORD);
        let line = serde_json::to_string(record).map_err(|source| AttemptError::Shape {
            path: path.clone(),
            source,
        })?;
        Ok((path, line))
    }

    /// Forgets an attempt that is over. One that is not there is forgotten already.
    ///
    /// # Errors
    /// A file of it cannot be removed.
    pub fn close(&self, attempt: &AttemptId) -> Result<(), AttemptError> {
        Ok(atomic::remove_tree(&self.folder(attempt))?)
    }

    /// All attempts that are not over, oldest first. A folder without a record was made by a loop that died before
    /// it had begun anything; it is listed by its name alone. So is one whose record is damaged, which must not keep
    /// every later loop from starting.
    ///
    /// # Errors
    /// The folder or a record cannot be read.
    pub fn list(&self) -> Result<Vec<Found>, AttemptError> {
        let list = |source| AttemptError::List {
            path: self.folder.clone(),
            source,
        };
        let entries = match fs::read_dir(&self.folder) {
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(list)?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry.map_err(list)?.file_name();
            let Some(Ok(attempt)) = name.to_str().map(str::parse::<AttemptId>) else {
                continue;
            };
            found.push(match self.read(&attempt) {
                Ok(Some(record)) => Found::Record(Box::new(record)),
                Ok(None) => Found::Empty(attempt),
                Err(problem @ AttemptError::Shape { .. }) => {
                    let problem = problem.to_string();
                    Found::Damaged(attempt, problem)
                }
                Err(problem) => return Err(problem),
            });
        }
        found.sort_by(|a, b| a.attempt().cmp(b.attempt()));
        Ok(found)
    }

    fn read(&self, attempt: &AttemptId) -> Result<Option<AttemptRecord>, AttemptError> {
        let path = self.folder(attempt).join(RECORD);
        let lines = append::read_lines(&path)?;
        // What a crash has cut off was not written; the line before it holds.
        let last = lines.complete.iter().rev();
        let record = last
            .filter_map(|line| serde_json::from_str(line).ok())
            .next();
        match (record, lines.torn.as_ref().or(lines.complete.last())) {
            (Some(record), _) => Ok(Some(record)),
            (None, None) => Ok(None),
            (None, Some(damaged)) => serde_json::from_str(damaged)
                .map(Some)
                .map_err(|source| AttemptError::Shape { path, source }),
        }
    }
}

/// Does what waits for the disk on a thread of its own. A panic there is one here.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// An attempt that was found.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// With its record.
    Record(Box<AttemptRecord>),
    /// Nothing was begun.
    Empty(AttemptId),
    /// With a record that cannot be read, and what is wrong with it.
    Damaged(AttemptId, String),
}

impl Found {
    /// Which attempt.
    #[must_use]
    pub fn attempt(&self) -> &AttemptId {
        match self {
            Self::Record(record) => &record.attempt,
            Self::Empty(attempt) | Self::Damaged(attempt, _) => attempt,
        }
    }

    /// The guard of its agent, if one was started.
    #[must_use]
    pub fn guard(&self) -> Option<Identity> {
        match self {
            Self::Record(record) => record.guard.clone(),
            Self::Empty(_) | Self::Damaged(..) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ralph_docs::fix_plan::RowKey;

    #[tokio::test]
    async fn what_was_written_is_found_and_forgotten_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let attempts = Attempts::new(folder.path());
        assert_eq!(attempts.list().expect("read"), []);
        let row = RowKey {
            section: String::new(),
            text: "do it".to_owned(),
            occurrence: 0,
        };
        let task = Task {
            key: crate::task::TaskKey::of(None, &row),
            id: "do-it".to_owned(),
            row,
            repository: None,
            line: 3,
        };
        let owner = Identity::of(std::process::id()).expect("an identity");
        let id: AttemptId = "20261126_213300-00000001".parse().expect("an id");
        let mut record = AttemptRecord::new(
            id.clone(),
            task,
            1,
            "command",
            owner,
            folder.path(),
            Timestamp::UNIX_EPOCH,
        );
        attempts.begin(&record).await.expect("written");
        record.phase = Phase::Delivering;
        attempts.write_durably(&record).await.expect("written");
        std::fs::create_dir(attempts.folder(&"empty".parse().expect("an id"))).expect("made");
        let damaged: AttemptId = "torn".parse().expect("an id");
        std::fs::create_dir(attempts.folder(&damaged)).expect("made");
        let path = attempts.folder(&damaged).join(RECORD);
        atomic::replace(&path, b"{\"attempt\": ").expect("written");
        // A crash has cut off the last thing that was written of the other one.
        let path = attempts.folder(&id).join(RECORD);
        append::append_bytes(&path, b"{\"attempt\": \"2026").expect("written");
        let found = attempts.list().expect("read");
        assert!(
            matches!(&found[2], Found::Damaged(id, problem) if *id == damaged && problem.contains("torn")),
            "{found:?}"
        );
        assert_eq!(found[0], Found::Record(Box::new(record.clone())));
        record.phase = Phase::Running;
        attempts.write(&record).expect("written after it");
        let found = attempts.list().expect("read");
        assert_eq!(found[0], Found::Record(Box::new(record)));
        assert_eq!(found[1], Found::Empty("empty".parse().expect("an id")));
        attempts.close(&id).expect("closed");
        attempts.close(&id).expect("closed twice");
        assert_eq!(attempts.list().expect("read").len(), 2);
    }
}
