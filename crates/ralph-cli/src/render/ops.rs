//! Operations of the journal: as data, as a table, as differences.

use std::fmt::Write as _;

use ralph_core::id::Slug;
use ralph_core::journal::{OpDetail, OpRecord, OpState};
use ralph_core::report::DispatchReport;
use ralph_core::time::{Timestamp, stamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::render::table::{cell, list, plain};
use crate::render::{BOLD, CYAN, DIM, GREEN, RED, SCHEMA_VERSION, age, paint};

/// `ralph ops list --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OpsReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// The operations, newest first.
    pub(crate) operations: Vec<OpRow>,
}

/// One operation of a list.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OpRow {
    /// Its id.
    pub(crate) id: String,
    /// The project.
    pub(crate) project: String,
    /// When it was made (RFC 3339, UTC).
    pub(crate) at: String,
    /// `unfinished`, `applied`, `conflict` or `undone by ID`.
    pub(crate) state: String,
    /// What it did, in one line.
    pub(crate) summary: String,
    /// The files that it changed, relative to the project's folder.
    pub(crate) files: Vec<String>,
}

/// `ralph ops show --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OpDiffsReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// The operation.
    pub(crate) operations: Vec<OpDiff>,
}

/// `ralph results --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ResultsReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// The report of the last dispatch; null when none has run yet.
    pub(crate) report: Option<DispatchReport>,
    /// With `--compare-last`, what each of its operations changed.
    pub(crate) operations: Vec<OpDiff>,
}

/// What one operation changed.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OpDiff {
    /// Its id.
    pub(crate) id: String,
    /// The project.
    pub(crate) project: String,
    /// When it was made (RFC 3339, UTC).
    pub(crate) at: String,
    /// What it did, in one line.
    pub(crate) summary: String,
    /// The difference of each file.
    pub(crate) files: Vec<FileDiff>,
}

/// The difference of one file.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FileDiff {
    /// The file, relative to the project's folder.
    pub(crate) path: String,
    /// As `diff -u` writes it.
    pub(crate) diff: String,
}

/// An operation with the difference of each file, for a person.
pub(crate) fn diff(project: &str, detail: &OpDetail) -> String {
    let record = &detail.record;
    let mut text = format!(
        "{} {} {}\n{}\n",
        paint(BOLD, record.op.as_str()),
        paint(CYAN, project),
        paint(DIM, &stamp(record.made_at)),
        record.summary
    );
    for file in &detail.files {
        for line in file.diff.lines() {
            let style = match line.as_bytes().first() {
                Some(b'+') => GREEN,
                Some(b'-') => RED,
                Some(b'@') => CYAN,
                _ => anstyle::Style::new(),
            };
            let _ = writeln!(text, "{}", paint(style, line));
        }
    }
    text
}

/// The same for a program.
pub(crate) fn diffs(details: &[(Slug, OpDetail)]) -> Vec<OpDiff> {
    let one = |(slug, detail): &(Slug, OpDetail)| OpDiff {
        id: detail.record.op.to_string(),
        project: slug.to_string(),
        at: stamp(detail.record.made_at),
        summary: detail.record.summary.clone(),
        files: detail
            .files
            .iter()
            .map(|file| FileDiff {
                path: file.path.clone(),
                diff: file.diff.clone(),
            })
            .collect(),
    };
    details.iter().map(one).collect()
}

/// One operation, or several, each with its differences.
pub(crate) fn diffs_report(details: &[(Slug, OpDetail)]) -> OpDiffsReport {
    OpDiffsReport {
        schema_version: SCHEMA_VERSION,
        operations: diffs(details),
    }
}

/// A list of operations for a program.
pub(crate) fn report(all: &[(Slug, OpRecord)]) -> OpsReport {
    let row = |(slug, record): &(Slug, OpRecord)| OpRow {
        id: record.op.to_string(),
        project: slug.to_string(),
        at: stamp(record.made_at),
        state: state(record),
        summary: record.summary.clone(),
        files: record.files.iter().map(|file| file.path.clone()).collect(),
    };
    OpsReport {
        schema_version: SCHEMA_VERSION,
        operations: all.iter().map(row).collect(),
    }
}

/// The same as a table.
pub(crate) fn human(report: &OpsReport, now: Timestamp, width: usize) -> String {
    if report.operations.is_empty() {
        return "No operations yet.\n".to_owned();
    }
    let rows = report.operations.iter().map(|row| {
        let style = match row.state.as_str() {
            "applied" => GREEN,
            "conflict" | "unfinished" => RED,
            _ => DIM,
        };
        vec![
            plain(&row.id),
            cell(CYAN, &row.project),
            cell(DIM, &age(&row.at, now)),
            cell(style, &row.state),
            plain(&row.summary),
        ]
    });
    list(
        &["OPERATION", "PROJECT", "MADE", "STATE", "WHAT"],
        rows.collect(),
        width,
    )
}

fn state(record: &OpRecord) -> String {
    match &record.state {
        OpState::Prepared => "unfinished".to_owned(),
        OpState::Applied => "applied".to_owned(),
        OpState::Conflict => "conflict".to_owned(),
        OpState::UndoneBy(op) => format!("undone by {op}"),
    }
}
