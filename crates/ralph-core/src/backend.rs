//! The cluster port: what the product asks of a cluster, whichever it is.
//!
//! Implemented by `SlurmBackend` (crate `ralph-slurm`), `MockCluster` and `LocalCluster` (here). Nothing in
//! this file knows a scheduler's command or a transport.

mod log;

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use log::{FetchReport, FetchRequest, LogPart, Stream};

use crate::error::{Code, Coded, Hint};
use crate::id::{JobId, QueueId, RunId, Slug, Token};
use crate::job::{JobQuery, JobReport, Observation};
use crate::time::Timestamp;

/// A cluster. Every method may be called again after a crash or a lost reply; that is the contract.
///
/// Who implements it keeps four promises, on which everything else stands: there is never a second job for a token, nor a
/// second one that lives for an item of a project; an error is returned only where the cluster could not be asked, so that
/// what it answered is a value; and a job that is not found is [`Sighting::Absent`](crate::job::Sighting::Absent) only when every source has answered.
#[async_trait]
pub trait ClusterBackend: Send + Sync + fmt::Debug {
    /// One word for records and messages: `local`, `slurm` and `mock` are taken. Nothing is decided by it, but that the
    /// logs of `local` are files of this machine.
    fn kind(&self) -> &'static str;

    /// Whether the cluster can be asked at all: a session is open, a scheduler answers. Cheap.
    ///
    /// # Errors
    /// [`BackendError::NoSession`], [`BackendError::NoScheduler`] or [`BackendError::Unreachable`].
    async fn check(&self) -> Result<(), BackendError>;

    /// What this cluster offers.
    ///
    /// # Errors
    /// As [`ClusterBackend::check`].
    async fn capabilities(&self) -> Result<Capabilities, BackendError>;

    /// Submits. At most one job per `request.token`, however often it is called.
    ///
    /// # Errors
    /// Only when the cluster could not be asked; what it said is a [`Receipt`].
    async fn submit(&self, request: &SubmitRequest) -> Result<Receipt, BackendError>;

    /// Submits many in as few round trips as the backend can. `recorded` is called once for each, with its index and
    /// what [`ClusterBackend::submit`] would have said, as soon as that is known, so that it can be put on disk before
    /// the others are.
    async fn submit_all(
        &self,
        requests: &[SubmitRequest],
        recorded: &mut (dyn FnMut(usize, Result<Receipt, BackendError>) + Send),
    ) {
        for (index, request) in requests.iter().enumerate() {
            recorded(index, self.submit(request).await);
        }
    }

    /// Looks for a submission without submitting.
    ///
    /// # Errors
    /// As [`ClusterBackend::submit`].
    async fn receipt(&self, token: &Token, since: Timestamp) -> Result<Receipt, BackendError>;

    /// Looks for many submissions, each with the time of its intent, in as few round trips as the backend can. One answer
    /// for each, in their order; it stops at the first sign that nobody answers.
    ///
    /// # Errors
    /// Only when the cluster could not be asked at all.
    async fn receipts(
        &self,
        asked: &[(Token, Timestamp)],
    ) -> Result<Vec<Result<Receipt, BackendError>>, BackendError> {
        let mut found = Vec::new();
        for (token, since) in asked {
            match self.receipt(token, *since).await {
                Err(error) if error.is_silence() => return Err(error),
                receipt => found.push(receipt),
            }
        }
        Ok(found)
    }

    /// One round trip for all jobs. One observation per query, in the order of the queries; a job that the
    /// cluster does not know is reported as such and is no error.
    ///
    /// # Errors
    /// Only when the cluster could not be asked at all.
    async fn observe(&self, jobs: &[JobQuery]) -> Result<Vec<Observation>, BackendError>;

    /// Asks the cluster to cancel. Success proves nothing: observe afterwards.
    ///
    /// # Errors
    /// Only when the cluster could not be asked.
    async fn cancel(&self, jobs: &[JobId]) -> Result<(), BackendError>;

    /// Fetches one log from an offset, bounded. A log that does not exist is an empty answer with `size: None`.
    ///
    /// # Errors
    /// Only when the cluster could not be asked.
    async fn fetch(&self, request: &FetchRequest) -> Result<FetchReport, BackendError>;

    /// All jobs of this user that the cluster knows now, ours or not.
    ///
    /// # Errors
    /// Only when the cluster could not be asked.
    async fn jobs(&self) -> Result<Vec<JobReport>, BackendError>;

    /// Which of these files, relative to the job's working folder, exist there (expected artifacts).
    ///
    /// # Errors
    /// Only when the cluster could not be asked.
    async fn existing(&self, project: &Slug, paths: &[String]) -> Result<Vec<bool>, BackendError>;
}

/// What a cluster offers; probed once a day and kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Capabilities {
    /// Scheduler and version, such as `slurm 22.05.8` or `local`.
    pub version: String,
    /// Whether accounting answers.
    pub accounting: bool,
    /// Seconds that an ended job stays in the queue listing.
    pub min_job_age_seconds: Option<u64>,
    /// Largest array size.
    pub max_array_size: Option<u32>,
}

/// Everything a submission needs, as data: it is what the intent on local disk holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitRequest {
    /// The key of this submission.
    pub token: Token,
    /// The run it is for.
    pub run: RunId,
    /// The queue item it is for: while a job of one lives, it gets no other, also when the books of the first were lost.
    /// Without one, only the token is unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<QueueId>,
    /// The project it belongs to.
    pub project: Slug,
    /// The script's path inside the project, such as `slurm/jobs/q001.sbatch`.
    pub script_path: String,
    /// The script itself, sent with the submission (incident 30).
    pub script: String,
    /// SHA-256 of `script`, hexadecimal.
    pub script_sha256: String,
    /// The configuration's path inside the project, when the item names one.
    pub config_path: Option<String>,
    /// The configuration itself, as it was when the intent was made.
    pub config: Option<String>,
    /// Variables for the job; they travel in a file, never in `--export` (incident 33).
    pub variables: BTreeMap<String, String>,
    /// The commit that the job clones, when the project is fetched by git.
    pub git: Option<GitCommit>,
    /// Jobs that must have succeeded before this one starts.
    pub after: Vec<JobId>,
    /// Nodes to avoid.
    pub exclude: Vec<String>,
    /// When the intent was made, by the local clock.
    pub intent_at: Timestamp,
}

impl SubmitRequest {
    /// A request for a script and nothing else; whatever else there is to say is set afterwards. Keep it on disk before it
    /// is sent: after a crash the same request, with the same token, finds the job that it made, or makes it.
    #[must_use]
    pub fn new(
        token: Token,
        run: RunId,
        project: Slug,
        script_path: impl Into<String>,
        script: impl Into<String>,
        intent_at: Timestamp,
    ) -> Self {
        let script = script.into();
        Self {
            token,
            run,
            item: None,
            project,
            script_path: script_path.into(),
            script_sha256: crate::digest::sha256(script.as_bytes()),
            script,
            config_path: None,
            config: None,
            variables: BTreeMap::new(),
            git: None,
            after: Vec::new(),
            exclude: Vec::new(),
            intent_at,
        }
    }

    /// What the job does, as a SHA-256: its script, configuration, variables, commit and dependencies. Two submissions
    /// with the same one make the same job.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let commit = self.git.as_ref().map(|git| &git.sha);
        let parts = (
            &self.script,
            &self.config,
            &self.variables,
            commit,
            &self.after,
        );
        let text = serde_json::to_vec(&parts).unwrap_or_default();
        crate::digest::sha256(&text)
    }
}

/// A commit that was found pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitCommit {
    /// Where the cluster clones.
    pub url: String,
    /// Forty hexadecimal digits (incidents 26 and 27).
    pub sha: String,
}

/// How an accepted job was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundBy {
    /// The receipt that the submission left on the cluster.
    Marker,
    /// The queue listing.
    Queue,
    /// Accounting.
    Accounting,
}

/// What the cluster knows about one submission token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Receipt {
    /// The cluster has never heard of the token: it is safe to submit.
    Absent,
    /// Somebody is submitting, or died while doing so.
    Claimed {
        /// Since when, by the cluster's clock.
        since: Timestamp,
        /// When this was found, by the cluster's clock.
        at: Timestamp,
    },
    /// There is a job.
    Accepted {
        /// The job.
        job: JobId,
        /// The cluster of a federation (`id;cluster`).
        cluster: Option<String>,
        /// How it was found.
        how: FoundBy,
        /// The scheduler's remarks, such as warnings beside a valid id.
        remarks: String,
    },
    /// Refused for a reason that proves that no job exists.
    Refused {
        /// The scheduler's message.
        message: String,
        /// Whether waiting helps: a QOS or association limit (incident 37), not a mistake.
        limit: bool,
    },
    /// The scheduler's command failed in a way that proves nothing, such as `Socket timed out`: there may be a job.
    Unproven {
        /// The message.
        message: String,
        /// When this was found, by the cluster's clock.
        at: Timestamp,
    },
    /// The scheduler's command succeeded and named no job, as behind a site's filter: there is one, or was.
    Nameless {
        /// What it said.
        message: String,
    },
    /// What the submission left cannot be seen or read, as while a file system is not mounted. It says nothing about the
    /// submission.
    Unreadable {
        /// Why.
        message: String,
    },
    /// Nothing was submitted: a job of an earlier submission of the same item lives.
    Earlier {
        /// That job.
        job: JobId,
        /// The key of its submission.
        token: Token,
        /// The run that it was submitted as.
        run: RunId,
        /// When the intent of its submission was made.
        intent_at: Timestamp,
        /// Whether it does the same: see [`SubmitRequest::fingerprint`].
        same: bool,
    },
}

/// The cluster could not be asked. Never a statement about a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// No cluster is configured.
    #[error("no cluster is configured: {detail}")]
    NoConfig {
        /// Which file was expected, and what was found.
        detail: String,
    },
    /// The shared SSH session is not open.
    #[error("no SSH session to {host} is open")]
    NoSession {
        /// The host as configured.
        host: String,
    },
    /// The remote side has no scheduler.
    #[error("there is no scheduler on {host}: {detail}")]
    NoScheduler {
        /// The host as configured.
        host: String,
        /// What was tried.
        detail: String,
    },
    /// The network, the host or the scheduler did not answer.
    #[error("the cluster does not answer: {detail}")]
    Unreachable {
        /// What was tried, and what happened.
        detail: String,
    },
    /// The answer could not be read.
    #[error("the cluster's answer cannot be read: {detail}")]
    Garbled {
        /// What was expected, and the start of what came.
        detail: String,
    },
    /// A file of the embedded cluster could not be read or written.
    #[error("{path}: {detail}")]
    Storage {
        /// The file.
        path: String,
        /// What was tried, and what happened.
        detail: String,
    },
}

impl BackendError {
    /// Whether nobody answers, so that asking the next question would be one more knock at a closed door (incident 56).
    #[must_use]
    pub fn is_silence(&self) -> bool {
        matches!(
            self,
            Self::NoSession { .. } | Self::Unreachable { .. } | Self::NoScheduler { .. }
        )
    }
}

impl Coded for BackendError {
    fn code(&self) -> Code {
        match self {
            Self::NoConfig { .. } => Code::NoClusterConfig,
            Self::NoSession { .. } => Code::NoSession,
            Self::NoScheduler { .. } => Code::NoScheduler,
            Self::Unreachable { .. } => Code::Unreachable,
            Self::Garbled { .. } => Code::Unclear,
            Self::Storage { .. } => Code::Failed,
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::NoConfig { .. } => Some(Hint::new(
                "Set `cluster.kind` in .claude/ralph/config.json, or copy .claude/cluster.example.json to .claude/cluster.local.json.",
            )),
            Self::NoSession { .. } => {
                Some(Hint::new("Run `ralph cluster connect`, then try again."))
            }
            Self::NoScheduler { .. } => Some(Hint::new(
                "Check `ssh.host`: it should be a login node of the cluster.",
            )),
            Self::Unreachable { .. } => Some(Hint::new(
                "Nothing was changed; the next dispatch asks again.",
            )),
            Self::Garbled { .. } | Self::Storage { .. } => None,
        }
    }
}
