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

    fn at(&mut self, place: Place) {
        self.line = Some(place.line);
        self.column = Some(place.column);
    }

    fn on_line(&mut self, line: usize) {
        self.line = Some(line);
    }
}

/// What the rules find in one file.
struct Findings<'p> {
    /// The file, relative to the project's folder.
    path: &'p str,
    all: Vec<Finding>,
}

impl<'p> Findings<'p> {
    fn of(path: &'p str) -> Self {
        let all = Vec::new();
        Self { path, all }
    }

    fn error(&mut self, code: &'static str, message: impl Into<String>, fix: &str) -> &mut Finding {
        self.add(Severity::Error, code, message, fix)
    }

    fn warning(
        &mut self,
        code: &'static str,
        message: impl Into<String>,
        fix: &str,
    ) -> &mut Finding {
        self.add(Severity::Warning, code, message, fix)
    }

    fn add(
        &mut self,
        severity: Severity,
        code: &'static str,
        message: impl Into<String>,
        fix: &str,
    ) -> &mut Finding {
        let finding = Finding::new(severity, self.path, code, message, fix);
        let place = self.all.len();
        self.all.push(finding);
        &mut self.all[place]
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
    let mut all = layout::check(project);
    let mut findings = Findings::of(PIPELINE);
    let state = open(project, &mut findings);
    let known = state.map(|document| state::check(project, &document, &mut findings));
    all.append(&mut findings.all);
    for path in project.files.keys() {
        let mut findings = Findings::of(path);
        if ledger::is_ledger(path) {
            if let Some(document) = open(project, &mut findings) {
                ledger::check(project, &document, known.as_ref(), &mut findings);
            }
        } else if path.ends_with(".sbatch")
            && let Some(text) = text(project, &mut findings)
        {
            findings
                .all
                .extend(check_script(path, text, &project.slug, &project.names));
        }
        all.append(&mut findings.all);
    }
    for (path, problems) in DOCUMENTS {
        let mut findings = Findings::of(path);
        if let Some(text) = text(project, &mut findings) {
            documents::check(text, problems, &mut findings);
            match path {
                QUEUE => queue::check(project, text, &mut findings),
                TODO => documents::unread_tasks(text, &mut findings),
                _ => {}
            }
        }
        all.append(&mut findings.all);
    }
    all.extend(documents::listed(project));
    fold(all)
}

/// A file's text, or the finding that there is none.
fn text<'a>(project: &'a ProjectFiles, findings: &mut Findings<'_>) -> Option<&'a str> {
    let Some(bytes) = project.files.get(findings.path)? else {
        let message = "the file exists and cannot be read";
        findings.error("unreadable", message, "Check its mode and owner.");
        return None;
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let place = Lines::of(bytes).place(bytes, error.valid_up_to());
            let message = "expected UTF-8, found another byte";
            let fix = "Write the file as UTF-8.";
            findings.error("invalid_utf8", message, fix).at(place);
            None
        }
    }
}

fn open<'a>(project: &'a ProjectFiles, findings: &mut Findings<'_>) -> Option<Document<'a>> {
    let document = Document::parse(text(project, findings)?, findings)?;
    document.duplicate_keys(findings);
    Some(document)
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
