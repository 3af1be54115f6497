//! `ralph validate`: does a project keep the contract that the state machine and its readers rely on?
//!
//! Pure over texts that are handed in: nothing here reads a file, asks git or a cluster, or changes anything, and
//! what it finds is never repaired here. The rules come from sections B, C and D of the field study; a rule that
//! an incident taught names it in the text of the finding's code below.

mod documents;
mod json;
mod layout;
mod ledger;
mod queue;
mod runs;
mod script;
mod state;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use serde::Serialize;

pub(crate) use queue::is_called_after;
pub use queue::{below_project, items_of, named_config, named_script, script_of};
pub use script::check_script;

use crate::id::Slug;
use crate::pipeline::lines::{Lines, Place};
use crate::store::layout::{PIPELINE, QUEUE, TODO};
use crate::time::Timestamp;
use documents::DOCUMENTS;
use json::Document;

/// How many findings of one code are listed for one file; the last says how many more there are.
const LISTED: usize = 10;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Work is lost, refused or done wrongly because of it.
    Error,
    /// It is read with goodwill, and other readers may not have it.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// The file, relative to the project's folder.
    pub path: String,
    /// The line, from one; `None` when the file as a whole is meant.
    pub line: Option<usize>,
    /// The column in characters, from one.
    pub column: Option<usize>,
    /// How bad it is.
    pub severity: Severity,
    /// A stable word for programs.
    pub code: &'static str,
    /// What was expected, and what was found.
    pub message: String,
    /// The likely fix.
    pub fix: String,
}

impl Finding {
    fn new(
        severity: Severity,
        path: &str,
        code: &'static str,
        message: impl Into<String>,
        fix: &str,
    ) -> Self {
        Self {
            path: path.to_owned(),
            line: None,
            column: None,
            severity,
            code,
            message: message.into(),
            fix: fix.to_owned(),
        }
    }

    fn error(path: &str, code: &'static str, message: impl Into<String>, fix: &str) -> Self {
        Self::new(Severity::Error, path, code, message, fix)
    }

    fn warning(path: &str, code: &'static str, message: impl Into<String>, fix: &str) -> Self {
        Self::new(Severity::Warning, path, code, message, fix)
    }

    /// Whether the project's state cannot be read because of it, so that nothing is done for the project.
    #[must_use]
    pub fn is_corrupt_state(&self) -> bool {
        let unreadable = matches!(
            self.code,
            "unreadable"
                | "invalid_utf8"
                | "trailing_comma"
                | "corrupt_json"
                | "not_an_object"
                | "duplicate_key"
        );
        self.path == PIPELINE && unreadable
    }

    fn at(mut self, place: Place) -> Self {
        self.line = Some(place.line);
        self.column = Some(place.column);
        self
    }

    fn on_line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }
}

/// A project as its files are now.
#[derive(Debug, Clone)]
pub struct ProjectFiles {
    /// The folder's name.
    pub slug: Slug,
    /// The bytes of the files that are checked ([`is_checked`]), by their path inside the project, with `/`. `None`
    /// for a file that could not be read.
    pub files: BTreeMap<String, Option<Vec<u8>>>,
    /// The paths of everything that exists in the project: files, and folders without a final `/`.
    pub names: BTreeSet<String>,
    /// The text of `projects/PROJECTS.md`; `None` where there is none, and then nothing is said about it.
    pub project_list: Option<String>,
    /// Whether git ignores `.state/lock`; `None` where there is no repository.
    pub lock_ignored: Option<bool>,
    /// The current time.
    pub now: Timestamp,
    /// The zone in which a time without a zone is read.
    pub zone: TimeZone,
}

/// Whether the content of a file is checked, by its path inside the project: the state file, the documents, the
/// ledgers `runs/<run_id>/submit.json` and the scripts.
#[must_use]
pub fn is_checked(path: &str) -> bool {
    path == PIPELINE
        || DOCUMENTS.iter().any(|(document, _)| *document == path)
        || ledger::is_ledger(path)
        || path.ends_with(".sbatch")
}

/// Everything that is wrong with a project, by file and line.
#[must_use]
pub fn check_project(project: &ProjectFiles) -> Vec<Finding> {
    let mut findings = layout::check(project);
    let state = open(project, PIPELINE, &mut findings);
    let known = state.map(|document| state::check(project, &document, &mut findings));
    for path in project.files.keys() {
        if ledger::is_ledger(path) {
            if let Some(document) = open(project, path, &mut findings) {
                ledger::check(project, &document, known.as_ref(), &mut findings);
            }
        } else if path.ends_with(".sbatch")
            && let Some(text) = text(project, path, &mut findings)
        {
            findings.extend(check_script(path, text, &project.slug, &project.names));
        }
    }
    for (path, problems) in DOCUMENTS {
        let Some(text) = text(project, path, &mut findings) else {
            continue;
        };
        documents::check(path, text, problems, &mut findings);
        if path == QUEUE {
            queue::check(project, text, &mut findings);
        }
        if path == TODO {
            findings.extend(documents::unread_tasks(text));
        }
    }
    findings.extend(documents::listed(project));
    fold(findings)
}

/// A file's text, or the finding that there is none.
fn text<'a>(project: &'a ProjectFiles, path: &str, findings: &mut Vec<Finding>) -> Option<&'a str> {
    let Some(bytes) = project.files.get(path)? else {
        let message = "the file exists and cannot be read";
        findings.push(Finding::error(
            path,
            "unreadable",
            message,
            "Check its mode and owner.",
        ));
        return None;
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let place = Lines::of(bytes).place(bytes, error.valid_up_to());
            let message = "expected UTF-8, found another byte";
            let fix = "Write the file as UTF-8.";
            findings.push(Finding::error(path, "invalid_utf8", message, fix).at(place));
            None
        }
    }
}

fn open<'a>(
    project: &'a ProjectFiles,
    path: &'a str,
    findings: &mut Vec<Finding>,
) -> Option<Document<'a>> {
    let text = text(project, path, findings)?;
    match Document::parse(path, text) {
        Ok(document) => {
            findings.extend(document.duplicate_keys());
            Some(document)
        }
        Err(finding) => {
            findings.push(*finding);
            None
        }
    }
}

/// Sorts, and lists only the first few of many findings of one kind in one file.
fn fold(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by(|a, b| {
        (&a.path, a.line, a.column, a.code).cmp(&(&b.path, b.line, b.column, b.code))
    });
    let mut counts: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for finding in &findings {
        *counts
            .entry((finding.path.clone(), finding.code))
            .or_default() += 1;
    }
    let mut listed: BTreeMap<(String, &str), usize> = BTreeMap::new();
    findings.retain_mut(|finding| {
        let key = (finding.path.clone(), finding.code);
        let more = counts
            .get(&key)
            .copied()
            .unwrap_or_default()
            .saturating_sub(LISTED);
        let count = listed.entry(key).or_default();
        *count += 1;
        if *count == LISTED && more > 0 {
            finding.message = format!("{} (and {more} more of this kind)", finding.message);
        }
        *count <= LISTED
    });
    findings
}
