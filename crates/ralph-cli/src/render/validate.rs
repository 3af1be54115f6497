//! What the contract says of projects: as data and as lines that an editor can jump to.

use std::fmt::Write as _;

use std::path::{Path, PathBuf};

use ralph_core::validate::{Finding, Severity};
use ralph_core::words::plural;
use schemars::JsonSchema;
use serde::Serialize;

use crate::render::{CYAN, GREEN, RED, SCHEMA_VERSION, YELLOW, paint};

/// `ralph validate --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ValidateReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// The projects that were checked.
    pub(crate) projects: Vec<Checked>,
}

/// A project.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Checked {
    /// Its folder, as it was named.
    pub(crate) folder: String,
    /// What is wrong with it.
    pub(crate) findings: Vec<Finding>,
}

impl ValidateReport {
    /// The report of these projects.
    pub(crate) fn new(all: Vec<(PathBuf, Vec<Finding>)>) -> Self {
        let one = |(folder, findings): (PathBuf, Vec<Finding>)| Checked {
            folder: shown(&folder),
            findings,
        };
        Self {
            schema_version: SCHEMA_VERSION,
            projects: all.into_iter().map(one).collect(),
        }
    }

    /// Every finding of every project.
    pub(crate) fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.projects.iter().flat_map(|project| &project.findings)
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings()
            .filter(|finding| finding.severity == severity)
            .count()
    }
}

fn shown(folder: &Path) -> String {
    folder
        .display()
        .to_string()
        .trim_end_matches('/')
        .to_owned()
}

/// One line per finding, as a compiler writes them, each with the likely fix.
pub(crate) fn human(report: &ValidateReport) -> String {
    let mut text = String::new();
    for project in &report.projects {
        for finding in &project.findings {
            text.push_str(&line(&project.folder, finding));
        }
    }
    let (errors, warnings) = (
        report.count(Severity::Error),
        report.count(Severity::Warning),
    );
    let (style, symbol) = match (errors, warnings) {
        (0, 0) => (GREEN, "✓"),
        (0, _) => (YELLOW, "!"),
        _ => (RED, "✗"),
    };
    let (projects, errors, warnings) = (
        plural(report.projects.len(), "project"),
        plural(errors, "error"),
        plural(warnings, "warning"),
    );
    let _ = writeln!(
        text,
        "{} {projects} · {errors} · {warnings}",
        paint(style, symbol)
    );
    text
}

fn line(folder: &str, finding: &Finding) -> String {
    let (style, word) = match finding.severity {
        Severity::Error => (RED, "error"),
        Severity::Warning => (YELLOW, "warning"),
    };
    let number =
        |number: Option<usize>| number.map_or_else(String::new, |number| format!(":{number}"));
    // A finding about the list of projects is about a file beside the project's folder.
    let (folder, path) = match finding.path.strip_prefix("../") {
        Some(path) => (
            folder.rsplit_once('/').map_or("..", |(above, _)| above),
            path,
        ),
        None => (folder, finding.path.as_str()),
    };
    let at = format!(
        "{folder}/{path}{}{}",
        number(finding.line),
        number(finding.column)
    );
    let (word, fix) = (paint(style, word), paint(CYAN, "fix:"));
    format!(
        "{at}: {word}: {}\n  {fix} {}\n",
        finding.message, finding.fix
    )
}
