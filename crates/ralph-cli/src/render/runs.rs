//! Runs with their jobs: as data and as a table.

use anstyle::Style;
use ralph_core::pipeline::RunView;
use ralph_core::time::Timestamp;
use ralph_core::world::{Facts, jobs_of};
use schemars::JsonSchema;
use serde::Serialize;

use crate::render::table::{cell, list, plain};
use crate::render::{CYAN, DIM, GREEN, RED, SCHEMA_VERSION, YELLOW, age};

/// `ralph runs --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RunsReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// The runs, project by project, those that are alive first.
    pub(crate) runs: Vec<RunRow>,
    /// Projects that cannot be read, with the reason.
    pub(crate) unreadable: Vec<String>,
}

/// One run.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RunRow {
    /// The project.
    pub(crate) project: String,
    /// The run's id, where it has one.
    pub(crate) run_id: Option<String>,
    /// Its job or jobs, as found.
    pub(crate) job: Option<String>,
    /// Its status, as found.
    pub(crate) status: Option<String>,
    /// The queue item that it is for.
    pub(crate) queue_id: Option<String>,
    /// When it was submitted, as found.
    pub(crate) submitted_at: Option<String>,
    /// The list of the state file that holds it: `active_runs` or `completed_runs`.
    pub(crate) list: String,
}

/// An empty report.
pub(crate) fn empty() -> RunsReport {
    RunsReport {
        schema_version: SCHEMA_VERSION,
        runs: Vec::new(),
        unreadable: Vec::new(),
    }
}

/// The runs of a project, live ones first, the ended ones as they were filed.
pub(crate) fn rows_of(facts: &Facts) -> impl Iterator<Item = RunRow> {
    let live = facts
        .view
        .active_runs
        .iter()
        .map(|run| row(facts, run, "active_runs"));
    live.chain(
        facts
            .view
            .completed_runs
            .iter()
            .map(|run| row(facts, run, "completed_runs")),
    )
}

fn row(facts: &Facts, run: &RunView, list: &str) -> RunRow {
    RunRow {
        project: facts.slug.to_string(),
        run_id: run.key.run_id.clone(),
        job: job_text(run),
        status: run.status_text.clone(),
        queue_id: run.queue_id.clone(),
        submitted_at: run.submitted_text.clone(),
        list: list.to_owned(),
    }
}

/// The jobs of a run in one word, or what stands in their place.
pub(crate) fn job_text(run: &RunView) -> Option<String> {
    let numbers = jobs_of(&run.jobs);
    let jobs = numbers.map(|jobs| {
        jobs.iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(",")
    });
    jobs.or_else(|| run.key.job_id.clone())
}

/// The table.
pub(crate) fn human(report: &RunsReport, now: Timestamp, width: usize) -> String {
    if report.runs.is_empty() {
        return "No runs yet.\n".to_owned();
    }
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let rows = report.runs.iter().map(|run| {
        let status = text(&run.status);
        let (style, symbol) = look(run, &status);
        vec![
            cell(style, symbol),
            cell(CYAN, &run.project),
            plain(&text(&run.run_id)),
            plain(&text(&run.job)),
            cell(style, &status),
            plain(&text(&run.queue_id)),
            cell(DIM, &age(&text(&run.submitted_at), now)),
        ]
    });
    list(
        &["", "PROJECT", "RUN", "JOB", "STATUS", "ITEM", "SUBMITTED"],
        rows.collect(),
        width,
    )
}

/// Colour and symbol of a status; the words of real files are many, so only their beginnings count.
fn look(run: &RunRow, status: &str) -> (Style, &'static str) {
    let word = status.to_ascii_lowercase();
    if run.list == "active_runs" {
        (YELLOW, "○")
    } else if word.starts_with("completed") {
        (GREEN, "✓")
    } else if word.starts_with("failed") || word.starts_with("timeout") {
        (RED, "✗")
    } else {
        (DIM, "·")
    }
}
