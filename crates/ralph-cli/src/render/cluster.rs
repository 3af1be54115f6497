//! The cluster's session and jobs: as data and as a table.

use std::fmt::Write as _;

use ralph_core::backend::Capabilities;
use schemars::JsonSchema;
use serde::Serialize;

use crate::render::table::{cell, list, plain};
use crate::render::{CYAN, SCHEMA_VERSION, YELLOW};

/// `ralph cluster check --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ClusterReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// `local` or `slurm`.
    pub(crate) kind: String,
    /// What it offers.
    pub(crate) capabilities: Capabilities,
}

/// `ralph cluster connect|disconnect --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SessionReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// Whether the shared session is open now.
    pub(crate) open: bool,
    /// Whether this command changed that.
    pub(crate) changed: bool,
    /// The login node; null where no session is needed.
    pub(crate) host: Option<String>,
}

impl SessionReport {
    /// Where the cluster is reached without a shared session.
    pub(crate) const fn unneeded() -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            open: false,
            changed: false,
            host: None,
        }
    }
}

/// A cluster that answered, in a line.
pub(crate) fn reached(kind: &str, capabilities: &Capabilities) -> String {
    // The embedded cluster has no version of its own.
    if kind == capabilities.version {
        return format!("{kind}: jobs run on this machine");
    }
    format!("{kind}: {}", capabilities.version)
}

/// `ralph cluster jobs --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct JobsReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// This user's jobs.
    pub(crate) jobs: Vec<JobRow>,
}

/// One job.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct JobRow {
    /// Its number.
    pub(crate) job: String,
    /// Its state, in the scheduler's words.
    pub(crate) state: String,
    /// Its name.
    pub(crate) name: String,
    /// The project in whose books it is; null when it is in none.
    pub(crate) project: Option<String>,
    /// The run it is of.
    pub(crate) run_id: Option<String>,
}

/// The table; jobs in no project's books are marked.
pub(crate) fn jobs(report: &JobsReport, width: usize) -> String {
    if report.jobs.is_empty() {
        return "No jobs.\n".to_owned();
    }
    let rows = report.jobs.iter().map(|row| {
        let (symbol, project) = match &row.project {
            Some(project) => (plain(" "), cell(CYAN, project)),
            None => (cell(YELLOW, "?"), cell(YELLOW, "in no project")),
        };
        vec![
            symbol,
            plain(&row.job),
            plain(&row.state),
            plain(&row.name),
            project,
            plain(row.run_id.as_deref().unwrap_or("")),
        ]
    });
    let mut text = list(
        &["", "JOB", "STATE", "NAME", "PROJECT", "RUN"],
        rows.collect(),
        width,
    );
    let unknown = report
        .jobs
        .iter()
        .filter(|row| row.project.is_none())
        .count();
    if unknown > 0 {
        let _ = writeln!(
            text,
            "{} in no project's books; `ralph cluster jobs --adopt JOB --project SLUG` takes one in.",
            ralph_core::words::plural(unknown, "job")
        );
    }
    text
}
