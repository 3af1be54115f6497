//! The files and folders of a project. Nothing here looks into a file.

use std::collections::BTreeSet;

use super::documents::DOCUMENTS;
use super::{Finding, ProjectFiles, Severity};
use crate::store::layout::{CONFIGS, EXPERIMENTS, LOCK, PIPELINE, RUNS, SLURM_JOBS, SLURM_LOGS};

/// The folders of the contract.
const FOLDERS: [&str; 6] = [
    CONFIGS,
    EXPERIMENTS,
    "results",
    RUNS,
    SLURM_JOBS,
    SLURM_LOGS,
];

/// Checks what exists. An empty folder is not kept by git, so a missing folder is only a warning.
pub(super) fn check(project: &ProjectFiles) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !exists(&project.names, PIPELINE) {
        let fix = "Make it with `ralph new`, or restore it from git.";
        findings.push(Finding::new(
            Severity::Error,
            PIPELINE,
            "missing_file",
            "the state file is missing",
            fix,
        ));
    }
    let documents = DOCUMENTS.iter().map(|(path, _)| *path);
    for path in documents.filter(|path| !exists(&project.names, path)) {
        let fix = "Make it; `ralph new` shows its sections.";
        findings.push(Finding::new(
            Severity::Warning,
            path,
            "missing_file",
            "the document is missing",
            fix,
        ));
    }
    for path in FOLDERS.iter().filter(|path| !exists(&project.names, path)) {
        findings.push(Finding::new(
            Severity::Warning,
            path,
            "missing_folder",
            "the folder is missing",
            "Make the folder.",
        ));
    }
    if project.lock_ignored == Some(false) {
        let message = "git does not ignore the lock, so another machine may get it by a pull";
        let fix = "Add `.state/lock*` to .gitignore, and `git rm --cached` what is tracked.";
        findings.push(Finding::new(
            Severity::Warning,
            LOCK,
            "lock_not_ignored",
            message,
            fix,
        ));
    }
    findings
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
