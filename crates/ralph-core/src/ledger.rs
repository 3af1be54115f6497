//! The run ledger: what stands in `runs/<run_id>/`. Texts only; the journal writes them.
//!
//! `spec.md` and `config_snapshot.*` are written because their absence made five kinds of incident (24 to 28)
//! impossible to explain afterwards.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::backend::SubmitRequest;
use crate::id::{JobId, QueueId, RunId, Slug};
use crate::job::JobReport;
use crate::store::layout;
use crate::time::{elapsed, span_text, stamp};
use crate::world::Intent;
use ralph_docs::queue::QueueItem;

/// Version of the files written here.
pub const VERSION: u32 = 1;

/// What was submitted, and why.
pub const SPEC: &str = "spec.md";
/// What was submitted, for programs: [`SubmitLedger`].
pub const SUBMIT: &str = "submit.json";
/// How the run ended, for programs: [`ResultLedger`].
pub const RESULT: &str = "result.json";
/// How the run ended.
pub const RESULTS: &str = "results.md";

/// The status of a ledger whose job the scheduler has named.
pub const SUBMITTED: &str = "submitted";

/// `submit.json`: the contract's keys, and what is needed to repeat the run. What says whose job it is has to be there to
/// read it; the rest may be missing, where somebody has edited the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitLedger {
    /// Format version.
    pub version: u32,
    /// The run.
    pub run_id: String,
    /// The project.
    pub project: String,
    /// The queue item.
    pub queue_id: String,
    /// What the item is called.
    #[serde(default)]
    pub experiment: String,
    /// `submitting`, `submitted`, `refused` or `abandoned`.
    pub status: String,
    /// The job, once the scheduler has named it.
    pub job_id: Option<String>,
    /// When the intent was made: never later than the scheduler's own time of it, however late the job was found.
    pub submitted_at: String,
    /// Which attempt at the item.
    #[serde(default = "first_attempt")]
    pub attempt: u32,
    /// The submission's key on the cluster.
    pub token: String,
    /// The script.
    #[serde(default)]
    pub sbatch_path: String,
    /// SHA-256 of the script that was sent (incident 75).
    #[serde(default)]
    pub script_sha256: String,
    /// The configuration file.
    pub config_path: Option<String>,
    /// Its partition.
    pub partition: Option<String>,
    /// The commit that the job clones.
    pub git_sha: Option<String>,
    /// The variables the job got (incident 35).
    #[serde(default)]
    pub variables: std::collections::BTreeMap<String, String>,
    /// The scheduler's remarks or its refusal.
    pub remarks: Option<String>,
}

/// Members that no other program writes.
const OURS: [&str; 2] = ["token", "script_sha256"];

fn is_ours(text: &str) -> bool {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    OURS.iter().any(|member| value.get(member).is_some())
}

fn first_attempt() -> u32 {
    1
}

/// A run of a project that its ledger says was submitted, so that it can be put back into the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmittedRun {
    /// Its ledger.
    pub ledger: SubmitLedger,
    /// Its item.
    pub queue_id: QueueId,
    /// Its job.
    pub job: JobId,
}

/// Why a run is not put back by its ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotSubmitted {
    /// Of another program or project, or of a submission that came to no job: it says nothing about a job of this one.
    Other,
    /// It is one of ours, and something that it takes is missing or no longer what it was: this.
    Damaged(String),
}

impl SubmitLedger {
    /// Reads the ledger of a run of this project that was submitted.
    ///
    /// # Errors
    /// See [`NotSubmitted`].
    pub fn submitted(text: &str, project: &Slug) -> Result<SubmittedRun, NotSubmitted> {
        let damaged = |why: &dyn std::fmt::Display| NotSubmitted::Damaged(why.to_string());
        let ledger: Self = match serde_json::from_str(text) {
            Ok(ledger) => ledger,
            Err(error) if is_ours(text) => return Err(damaged(&error)),
            Err(_) => return Err(NotSubmitted::Other),
        };
        if ledger.version > VERSION {
            return Err(damaged(&format_args!(
                "its version {} is newer",
                ledger.version
            )));
        }
        if ledger.project != project.as_str() || ledger.status != SUBMITTED {
            return Err(NotSubmitted::Other);
        }
        let Some(job) = ledger.job_id.as_deref() else {
            return Err(damaged(&"missing field `job_id`"));
        };
        Ok(SubmittedRun {
            job: job.parse().map_err(|error| damaged(&error))?,
            queue_id: ledger.queue_id.parse().map_err(|error| damaged(&error))?,
            ledger,
        })
    }

    /// The record of `active_runs`: the contract's four members first, then what is known (contradiction 7).
    #[must_use]
    pub fn record(&self, job: JobId) -> Map<String, Value> {
        let text = |text: &Option<String>| text.as_ref().map(|text| json!(text));
        let path = !self.sbatch_path.is_empty();
        let members = [
            ("run_id", Some(json!(self.run_id))),
            ("experiment", Some(json!(self.experiment))),
            ("status", Some(json!("pending"))),
            ("job_id", Some(json!(job.to_string()))),
            ("queue_id", Some(json!(self.queue_id))),
            ("submitted_at", Some(json!(self.submitted_at))),
            ("partition", text(&self.partition)),
            ("git_sha", text(&self.git_sha)),
            ("sbatch_path", path.then(|| json!(self.sbatch_path))),
            ("config_path", text(&self.config_path)),
            ("attempt", Some(json!(self.attempt))),
            ("token", Some(json!(self.token))),
        ];
        members
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?)))
            .collect()
    }

    /// The ledger of an intent.
    #[must_use]
    pub fn of(intent: &Intent, experiment: &str, partition: Option<String>, status: &str) -> Self {
        let request: &SubmitRequest = &intent.request;
        Self {
            version: VERSION,
            run_id: request.run.to_string(),
            project: request.project.to_string(),
            queue_id: intent.queue_id.to_string(),
            experiment: experiment.to_owned(),
            status: status.to_owned(),
            job_id: None,
            submitted_at: stamp(request.intent_at),
            attempt: intent.attempt,
            token: request.token.to_string(),
            sbatch_path: request.script_path.clone(),
            script_sha256: request.script_sha256.clone(),
            config_path: request.config_path.clone(),
            partition,
            git_sha: request.git.as_ref().map(|git| git.sha.clone()),
            variables: request.variables.clone(),
            remarks: None,
        }
    }
}

/// `result.json`: how a run ended, with the evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultLedger {
    /// Format version.
    pub version: u32,
    /// The run.
    pub run_id: String,
    /// `completed`, `failed`, `cancelled` or `timeout`.
    pub status: String,
    /// What the scheduler said of each job.
    pub reports: Vec<JobReport>,
    /// Stable name of the failure class, `none` for a success.
    pub failure_class: String,
    /// Completed, but a traceback or a missing artifact says otherwise (incident 61).
    pub suspicious: bool,
    /// One line.
    pub summary: String,
    /// Local copies of the logs, relative to the project's folder.
    pub logs: Vec<String>,
    /// When this was written.
    pub recorded_at: String,
}

/// Pretty JSON with a final newline: our own files are read by people too.
#[must_use]
pub fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).map_or_else(|_| "{}\n".to_owned(), |text| text + "\n")
}

/// Path of a file of the ledger, relative to the project's folder.
#[must_use]
pub fn path(run: &RunId, file: &str) -> String {
    format!("{}/{file}", layout::run_dir(run))
}

/// `config_snapshot.<extension of the configuration>`.
#[must_use]
pub fn snapshot_name(config_path: &str) -> String {
    let name = config_path.rsplit('/').next().unwrap_or(config_path);
    match name.rsplit_once('.') {
        Some((_, extension)) if !extension.is_empty() && extension.len() <= 10 => {
            format!("config_snapshot.{extension}")
        }
        _ => "config_snapshot.txt".to_owned(),
    }
}

/// `spec.md`: what was submitted, and why.
#[must_use]
pub fn spec(intent: &Intent, item: &QueueItem) -> String {
    let request = &intent.request;
    let mut text = format!(
        "# {}: {}\n\n",
        item.id,
        ralph_docs::quote::plain(&item.title, 200)
    );
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "- {name}: {}", ralph_docs::quote::plain(value, 1_000));
    };
    line("Run", request.run.as_str());
    line("Attempt", &intent.attempt.to_string());
    for (name, value) in [
        ("Hypothesis", &item.hypothesis),
        ("Resources", &item.resources),
        ("Notes", &item.notes),
        ("Config", &request.config_path),
    ] {
        if let Some(value) = value {
            line(name, value);
        }
    }
    line("Script", &request.script_path);
    line("Script SHA-256", &request.script_sha256);
    if let Some(git) = &request.git {
        line("Commit", &git.sha);
    }
    for artifact in &item.artifacts {
        line("Artifact", artifact);
    }
    text
}

/// How every `results.md` of the machine begins.
pub const RESULTS_HEADING: &str = "# Results of ";

/// `results.md`: how the run ended.
#[must_use]
pub fn results(result: &ResultLedger, artifacts: &[String]) -> String {
    let mut text = format!(
        "{RESULTS_HEADING}{}\n\n- Status: {}\n",
        result.run_id, result.status
    );
    for report in &result.reports {
        let _ = writeln!(
            text,
            "- Job: {} {}{}",
            report.job,
            report.state,
            exit_text(report)
        );
        if let (Some(started), Some(ended)) = (report.started, report.ended) {
            let _ = writeln!(
                text,
                "- Time: {} to {} ({})",
                stamp(started),
                stamp(ended),
                span_text(elapsed(started, ended))
            );
        }
        if let Some(nodes) = &report.nodes {
            let _ = writeln!(text, "- Nodes: {}", ralph_docs::quote::plain(nodes, 200));
        }
    }
    if result.failure_class != "none" {
        let _ = writeln!(text, "- Class: {}", result.failure_class);
    }
    let _ = writeln!(
        text,
        "- Summary: {}",
        ralph_docs::quote::plain(&result.summary, 500)
    );
    for log in &result.logs {
        let _ = writeln!(text, "- Log: {log}");
    }
    for artifact in artifacts {
        let _ = writeln!(
            text,
            "- Artifact: {}",
            ralph_docs::quote::plain(artifact, 300)
        );
    }
    let tasks: Vec<&JobReport> = result
        .reports
        .iter()
        .flat_map(|report| &report.tasks)
        .collect();
    if !tasks.is_empty() {
        text.push_str("\n| Task | State | Exit |\n| --- | --- | --- |\n");
        for task in tasks {
            let exit = task.exit.map_or_else(String::new, |exit| exit.to_string());
            let _ = writeln!(text, "| {} | {} | {exit} |", task.job, task.state);
        }
    }
    text
}

fn exit_text(report: &JobReport) -> String {
    report
        .exit
        .map_or_else(String::new, |exit| format!(" (exit {exit})"))
}
