//! The files and folders of a project, and what its queue points at. Nothing here looks into the state file.

use std::collections::BTreeSet;

use super::{Finding, ProjectFiles, STATE_FILE};

const QUEUE: &str = "documentation/queue.md";

/// The documents of the contract.
const DOCUMENTS: &[&str] = &[
    "documentation/debugging.md",
    "documentation/implementation-todo.md",
    QUEUE,
];

/// The folders of the contract.
const FOLDERS: &[&str] = &[
    "configs",
    "experiments",
    "results",
    "runs",
    "slurm/jobs",
    "slurm/logs",
];

/// One item of `documentation/queue.md`, as `ralph-docs` reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueEntry {
    /// Its id, such as `Q-001`.
    pub id: String,
    /// The line of its heading, from one.
    pub line: usize,
    /// Whether it stands in the READY section.
    pub ready: bool,
    /// Its `Script:`, where it names one.
    pub script: Option<String>,
    /// Its `Config:`, where it names one.
    pub config: Option<String>,
}

/// The script of a queue item: the one it names; else `slurm/jobs/<id>[suffix].sbatch` with the id in lower case
/// and without its dash; else the only script there.
///
/// # Errors
/// Why there is none, as a fragment for a message.
pub fn script_of(entry: &QueueEntry, names: &BTreeSet<String>) -> Result<String, String> {
    if let Some(named) = &entry.script {
        return if names.contains(named) {
            Ok(named.clone())
        } else {
            Err(format!("names the script `{named}`, which does not exist"))
        };
    }
    let folder = "slurm/jobs/";
    let stem = entry.id.to_ascii_lowercase().replace('-', "");
    let scripts: Vec<&str> = names
        .iter()
        .filter_map(|name| name.strip_prefix(folder)?.strip_suffix(".sbatch"))
        .filter(|name| !name.contains('/'))
        .collect();
    let of_item = |name: &&&str| {
        // `q001_pilot` belongs to Q-001, `q0012` does not.
        name.to_ascii_lowercase()
            .strip_prefix(&stem)
            .is_some_and(|suffix| !suffix.starts_with(|c: char| c.is_ascii_alphanumeric()))
    };
    let exact = scripts.iter().find(|name| name.eq_ignore_ascii_case(&stem));
    let own: Vec<&&str> = scripts.iter().filter(of_item).collect();
    match (exact, own.as_slice(), scripts.as_slice()) {
        (Some(name), ..) => Ok(format!("{folder}{name}.sbatch")),
        (None, [name], _) => Ok(format!("{folder}{name}.sbatch")),
        (None, [], [name]) => Ok(format!("{folder}{name}.sbatch")),
        (None, [], _) => Err(format!(
            "names no script, and there is no `{folder}{stem}.sbatch`"
        )),
        (None, several, _) => Err(format!(
            "names no script, and {} scripts in `{folder}` start with `{stem}`",
            several.len()
        )),
    }
}

/// Checks what exists. An empty folder is not kept by git, so a missing folder is only a warning.
pub(super) fn check(project: &ProjectFiles) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !exists(&project.names, STATE_FILE) {
        let fix = "Make it with `ralph new`, or restore it from git.";
        findings.push(Finding::error(
            STATE_FILE,
            "missing_file",
            "the state file is missing",
            fix,
        ));
    }
    for path in DOCUMENTS
        .iter()
        .filter(|path| !exists(&project.names, path))
    {
        let fix = "Make it; `ralph new` shows its sections.";
        findings.push(Finding::warning(
            path,
            "missing_file",
            "the document is missing",
            fix,
        ));
    }
    for path in FOLDERS.iter().filter(|path| !exists(&project.names, path)) {
        findings.push(Finding::warning(
            path,
            "missing_folder",
            "the folder is missing",
            "Make the folder.",
        ));
    }
    if project.lock_ignored == Some(false) {
        let message =
            "git does not ignore the lock, so another machine may get it by a pull (incident 20)";
        let fix = "Add `.state/lock*` to .gitignore, and `git rm --cached` what is tracked.";
        findings.push(Finding::warning(
            ".state/lock",
            "lock_not_ignored",
            message,
            fix,
        ));
    }
    queue(project, &mut findings);
    findings
}

/// Only READY items are followed to their files: the others have been submitted, or are not meant to be.
fn queue(project: &ProjectFiles, findings: &mut Vec<Finding>) {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for entry in &project.queue {
        if !seen.insert(&entry.id) {
            let message = format!("`{}` stands here for the second time", entry.id);
            let fix = "Give one of them a new id; an ambiguous item is never moved.";
            findings.push(
                Finding::warning(QUEUE, "duplicate_queue_id", message, fix).on_line(entry.line),
            );
        }
        if !entry.ready {
            continue;
        }
        if let Err(why) = script_of(entry, &project.names) {
            let message = format!("`{}` is READY and {why}", entry.id);
            let fix = "Write the script, or correct the item's `- Script:` line.";
            findings
                .push(Finding::error(QUEUE, "missing_script", message, fix).on_line(entry.line));
        }
        if let Some(config) = entry
            .config
            .as_deref()
            .filter(|config| !exists(&project.names, config))
        {
            let message = format!(
                "`{}` is READY and its configuration `{config}` does not exist",
                entry.id
            );
            let fix = "Write the file and commit it, or correct the item's `- Config:` line.";
            findings
                .push(Finding::error(QUEUE, "missing_config", message, fix).on_line(entry.line));
        }
    }
}

/// Whether a file or a folder exists.
pub(super) fn exists(names: &BTreeSet<String>, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    let inside = format!("{path}/");
    names.contains(path)
        || names
            .range(inside.clone()..)
            .next()
            .is_some_and(|name| name.starts_with(&inside))
}
