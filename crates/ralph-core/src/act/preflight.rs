//! What is checked before an item is submitted. Everything that can be known to fail is refused here, with
//! what to mend, and never reaches the cluster.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path};
use std::time::Duration;

use ralph_docs::queue::QueueItem;

use crate::act::git::GitSource;
use crate::act::limits::{names, partition_of};
use crate::backend::GitCommit;
use crate::digest::sha256;
use crate::process::bounded::{Program, run};
use crate::process::guard::{Guard, GuardError, GuardProgram};
use crate::sbatch::{self, Directive};
use crate::settings::PartitionPolicy;
use crate::store::layout;
use crate::time::span_text;
use crate::validate::{Severity, named_config, named_script, script_of};

/// Everything of an item that is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Prepared {
    /// The script's path inside the project.
    pub(crate) script_path: String,
    /// The script.
    pub(crate) script: String,
    /// Its SHA-256.
    pub script_sha256: String,
    /// The configuration's path inside the project.
    pub(crate) config_path: Option<String>,
    /// The configuration.
    pub(crate) config: Option<String>,
    /// The commit that the job clones.
    pub(crate) git: Option<GitCommit>,
}

/// Looks an item of a queue over.
///
/// # Errors
/// Every problem found, each in one sentence that says what to mend.
pub(crate) async fn prepare(
    item: &QueueItem,
    queue: &[QueueItem],
    folder: &Path,
    git: Option<&GitSource>,
    partitions: &PartitionPolicy,
    guard: &GuardProgram,
) -> Result<Prepared, Vec<String>> {
    let script_path = script_path(item, queue, folder).map_err(|problem| vec![problem])?;
    let script = text(folder, &script_path).map_err(|problem| vec![problem])?;
    let mut problems = Vec::new();
    let config_path = named_config(item);
    let config = match config_path.as_deref().map(|path| text(folder, path)) {
        Some(Err(problem)) => {
            problems.push(problem);
            None
        }
        Some(Ok(text)) => Some(text),
        None => None,
    };
    let directives = sbatch::parse(&script);
    problems.extend(script_problems(item, folder, &script_path, &script));
    problems.extend(partition_problems(&script_path, &directives, partitions));
    problems.extend(syntax_problem(&script_path, &script, folder, guard).await);
    let mut commit = None;
    if let Some(git) = git {
        let paths: Vec<&str> = [Some(script_path.as_str()), config_path.as_deref()]
            .into_iter()
            .flatten()
            .collect();
        match git.pushed_commit(folder, &paths).await {
            Ok(found) => commit = Some(found),
            Err(found) => problems.extend(found),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let script_sha256 = sha256(script.as_bytes());
    Ok(Prepared {
        script_path,
        script,
        script_sha256,
        config_path,
        config,
        git: commit,
    })
}

/// The script that the item means, by the same rule as `ralph validate`.
pub(super) fn script_path(
    item: &QueueItem,
    queue: &[QueueItem],
    folder: &Path,
) -> Result<String, String> {
    let names = fs::read_dir(folder.join(layout::SLURM_JOBS))
        .into_iter()
        .flatten();
    let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: BTreeSet<String> = names
        .map(|name| format!("{}/{name}", layout::SLURM_JOBS))
        .collect();
    // A script that is named may lie anywhere in the project; whether it exists is found when it is read.
    names.extend(named_script(item));
    script_of(item, queue, &names)
        .map_err(|problem| format!("it {problem}; write it, or name one with `- Script:`"))
}

/// Reads a file of the project; a path that leaves the project is refused (incident 36).
fn text(folder: &Path, path: &str) -> Result<String, String> {
    let relative = Path::new(path);
    let plain = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if !plain {
        return Err(format!("{path}: expected a path inside the project"));
    }
    let full = folder.join(relative);
    let inside = match (full.canonicalize(), folder.canonicalize()) {
        (Ok(full), Ok(folder)) => full.starts_with(folder),
        _ => {
            return Err(format!(
                "{path}: there is no such file; write it or correct the item"
            ));
        }
    };
    if !inside {
        return Err(format!("{path}: leads out of the project through a link"));
    }
    fs::read_to_string(&full).map_err(|error| format!("{path}: cannot be read: {error}"))
}

/// What the contract's check says is an error in the script; its warnings do not stop a submission.
fn script_problems(item: &QueueItem, folder: &Path, path: &str, script: &str) -> Vec<String> {
    let Some(slug) = folder
        .file_name()
        .and_then(|name| name.to_str())
        .and_then(|name| name.parse().ok())
    else {
        return vec![format!(
            "{}: the folder's name is not a project's, for {}",
            folder.display(),
            item.id
        )];
    };
    let names = [layout::SLURM_LOGS.to_owned()].into();
    let findings = crate::validate::check_script(path, script, &slug, &names);
    let errors = findings
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error);
    let line = |line: Option<usize>| line.map_or_else(String::new, |line| format!(":{line}"));
    errors
        .map(|finding| format!("{path}{}: {}", line(finding.line), finding.message))
        .collect()
}

/// What `partitions` of the configuration allows; how many jobs there may be is looked at when one is submitted.
fn partition_problems(
    script: &str,
    directives: &[Directive],
    policy: &PartitionPolicy,
) -> Vec<String> {
    if directives.is_empty() {
        return component_problems(script, directives, policy);
    }
    directives
        .chunk_by(|one, next| one.component == next.component)
        .flat_map(|component| component_problems(script, component, policy))
        .collect()
}

/// The same of one component of a heterogeneous job, which is a job of its own for the scheduler.
fn component_problems(
    script: &str,
    directives: &[Directive],
    policy: &PartitionPolicy,
) -> Vec<String> {
    let Some(named) = partition_of(directives) else {
        let unknown = "names no partition, and `partitions.allow` in config.json asks for one";
        let problem = (!policy.allow.is_empty()).then(|| format!("{script}: {unknown}"));
        return problem.into_iter().collect();
    };
    let time = sbatch::last(directives, "time").and_then(|found| found.value.as_deref());
    let asked = time.and_then(sbatch::time_limit);
    let mut problems = Vec::new();
    for partition in names(named) {
        let denied = policy.deny.iter().any(|name| name == partition);
        let allowed = policy.allow.is_empty() || policy.allow.iter().any(|name| name == partition);
        if denied || !allowed {
            problems.push(format!(
                "{script}: partition {partition} is not allowed by `partitions` in config.json"
            ));
        }
        if let (Some(limit), Some(asked)) = (policy.max_time.get(partition), asked)
            && asked.is_none_or(|asked| asked > *limit)
        {
            let limit = span_text(*limit);
            problems.push(format!(
                "{script}: --time is above the {limit} that `partitions.max_time` allows in {partition}"
            ));
        }
    }
    problems
}

/// `bash -n`: an apostrophe in the wrong place killed three jobs in two seconds (incident 43).
async fn syntax_problem(
    path: &str,
    script: &str,
    folder: &Path,
    guard: &GuardProgram,
) -> Option<String> {
    let shell = shell_of(script)?;
    let argv = [shell, "-n"].map(str::to_owned);
    let limit = Duration::from_secs(10);
    let program = Program {
        argv: &argv,
        folder,
        variables: &[],
        input: script.as_bytes(),
        limit,
    };
    let run = async { run(Guard::start(guard)?, &program).await };
    let ended = match run.await {
        Ok(ended) => ended,
        // A machine without this shell cannot check; the job's own machine will.
        Err(GuardError::Program { .. }) => return None,
        Err(error) => return Some(format!("{path}: cannot be checked: {error}")),
    };
    let error = String::from_utf8_lossy(&ended.stderr);
    (!ended.success()).then(|| {
        format!(
            "{path}: {shell} cannot parse it: {}",
            error.lines().next().unwrap_or("").trim()
        )
    })
}

/// The shell that the first line names, where it is one whose `-n` tells.
fn shell_of(script: &str) -> Option<&'static str> {
    let line = script.lines().next()?.strip_prefix("#!")?;
    let mut words = line.split_whitespace();
    let name = |word: &str| word.rsplit('/').next().unwrap_or(word).to_owned();
    let program = match name(words.next()?).as_str() {
        "env" => name(words.find(|word| !word.starts_with('-') && !word.contains('='))?),
        program => program.to_owned(),
    };
    ["bash", "sh", "dash", "ksh"]
        .into_iter()
        .find(|shell| *shell == program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leaves_the_project_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/hostname", folder.path().join("link")).unwrap();
        for path in ["../x", "/etc/hostname", "link", "none"] {
            assert!(text(folder.path(), path).is_err(), "{path}");
        }
    }
}
