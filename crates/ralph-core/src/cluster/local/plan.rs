//! What a submission asks for, read once and decided: everything that a job's supervisor needs to know.
//!
//! Pure: a request in, a plan or a refusal out. What the machine has to say (does the folder exist, is the other
//! job known) is asked in [`super::submit`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::dependency::Dependency;
use super::export::{Export, is_name};
use crate::backend::SubmitRequest;
use crate::id::{JobId, QueueId, RunId, Slug, Token};
use crate::project;
use crate::sbatch::{self, Directive, Names};
use crate::time::Timestamp;

/// The newest form of `job.json`.
pub(super) const FORMAT: u32 = 1;

/// `MaxArraySize`: one more than the largest index, as SLURM is set by default.
pub(super) const MAX_ARRAY_SIZE: u32 = 1001;

/// One task of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Task {
    /// Its index.
    pub(super) index: u32,
    /// Its own id, distinct from the other tasks' (`%j`, `SLURM_JOB_ID`).
    pub(super) raw_id: u64,
}

/// A job as it was decided at its submission; never changed afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct JobPlan {
    /// See [`FORMAT`]; a newer one is not read.
    pub(super) format: u32,
    /// The whole job; the tasks of an array have the ids from here on (`%j`).
    pub(super) job: JobId,
    /// Our key; a query that names another is about another job.
    pub(super) token: Token,
    pub(super) run: RunId,
    #[serde(default)]
    pub(super) item: Option<QueueId>,
    /// What it does, see [`SubmitRequest::fingerprint`].
    #[serde(default)]
    pub(super) fingerprint: String,
    pub(super) project: Slug,
    /// `--job-name`, else the script's file name.
    pub(super) name: String,
    pub(super) user: String,
    /// The one node.
    pub(super) host: String,
    /// When it was submitted, by the submitter's clock.
    pub(super) submitted: Timestamp,
    /// The shebang: a program and at most one argument.
    pub(super) interpreter: Vec<String>,
    /// The folder that `sbatch` would be run in: the project's, or the workspace's for scripts that name their logs
    /// from there.
    pub(super) submit_dir: PathBuf,
    /// The folder the script starts in, `--chdir` taken into account.
    pub(super) workdir: PathBuf,
    /// Absolute, with SLURM's symbols.
    pub(super) stdout: String,
    /// As `stdout`; the same when both streams go to one file.
    pub(super) stderr: String,
    /// `--open-mode=append`; otherwise old logs are emptied.
    pub(super) append: bool,
    pub(super) array: Option<ArrayPlan>,
    /// To the second, where SLURM rounds up to minutes; `None` for no limit.
    pub(super) time_limit: Option<Duration>,
    /// The script's and the submission's together.
    pub(super) dependency: Dependency,
    pub(super) export: Export,
    /// What follows from single directives, by variable.
    pub(super) facts: BTreeMap<String, String>,
    /// The submission's own variables.
    pub(super) variables: BTreeMap<String, String>,
    /// How many jobs and tasks may run on this machine at once.
    pub(super) slots: u32,
    /// Time between TERM and KILL.
    pub(super) kill_wait: Duration,
}

/// The tasks of an array.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ArrayPlan {
    /// Ascending, each once, never empty.
    pub(super) indices: Vec<u32>,
    /// `%limit`.
    pub(super) at_once: Option<u32>,
}

/// Where and by whom a job is submitted.
#[derive(Debug, Clone)]
pub(super) struct Desk<'a> {
    pub(super) workspace: &'a Path,
    pub(super) host: &'a str,
    pub(super) user: &'a str,
    pub(super) slots: u32,
    pub(super) kill_wait: Duration,
}

impl JobPlan {
    /// Reads a request. The id is not known yet; [`JobPlan::tasks`] says how many are needed.
    ///
    /// # Errors
    /// Why no job can come of it, as a sentence for whoever wrote the script.
    pub(super) fn read(
        request: &SubmitRequest,
        desk: &Desk<'_>,
        submitted: Timestamp,
    ) -> Result<Self, String> {
        let options = Options::read(&request.script);
        let project = project::folder(desk.workspace, &request.project);
        let submit_dir = if options.writes_below(&format!("projects/{}/", request.project)) {
            desk.workspace.to_owned()
        } else {
            project.clone()
        };
        let workdir = match options.value("chdir")? {
            Some(folder) => submit_dir.join(folder),
            None => submit_dir.clone(),
        };
        let array = options.array()?;
        let (stdout, stderr) = options.logs(&project, &workdir, array.is_some())?;
        options.check_offered()?;
        options.check_nodes()?;
        Ok(Self {
            format: FORMAT,
            job: JobId::whole(1).map_err(|error| error.to_string())?,
            token: request.token.clone(),
            run: request.run.clone(),
            item: request.item.clone(),
            fingerprint: request.fingerprint(),
            project: request.project.clone(),
            name: options.name(&request.script_path)?,
            user: desk.user.to_owned(),
            host: desk.host.to_owned(),
            submitted,
            interpreter: interpreter(&request.script)?,
            submit_dir,
            workdir,
            stdout,
            stderr,
            append: options.append()?,
            array,
            time_limit: options.time_limit()?,
            dependency: options.dependency(&request.after)?,
            export: options.export()?,
            facts: options.facts()?,
            variables: variables(request)?,
            slots: desk.slots,
            kill_wait: desk.kill_wait,
        })
    }

    /// The tasks in the order of their indices; a job without an array is one task with index 0.
    pub(super) fn tasks(&self) -> Vec<Task> {
        let indices = self
            .array
            .as_ref()
            .map_or_else(|| vec![0], |array| array.indices.clone());
        (self.job.base()..)
            .zip(indices)
            .map(|(raw_id, index)| Task { index, raw_id })
            .collect()
    }

    /// The id under which a task is asked for.
    pub(super) fn id_of(&self, index: u32) -> JobId {
        match self.array {
            Some(_) => self.job.task(index),
            None => self.job,
        }
    }

    /// The log files of a task.
    pub(super) fn logs(&self, task: Task) -> (PathBuf, PathBuf) {
        let (job, master) = (task.raw_id.to_string(), self.job.to_string());
        let node = self.host.split('.').next().unwrap_or_default();
        let names = Names {
            job: &job,
            array_master: self.array.as_ref().map(|_| master.as_str()),
            array_task: self.array.as_ref().map(|_| task.index),
            name: &self.name,
            user: &self.user,
            node,
        };
        let fill = |pattern: &str| PathBuf::from(sbatch::expand(pattern, &names));
        (fill(&self.stdout), fill(&self.stderr))
    }
}

/// The directives that mean something on one machine.
const HONOURED: [&str; 13] = [
    "array",
    "chdir",
    "comment",
    "cpus-per-task",
    "dependency",
    "error",
    "export",
    "job-name",
    "nodes",
    "ntasks",
    "open-mode",
    "output",
    "time",
];

/// Directives that say when a job runs or what it reads, and are not offered: to pass over one would be a lie.
const REFUSED: [&str; 5] = ["begin", "deadline", "export-file", "hold", "input"];

/// What was asked for and means nothing here, as a remark beside the receipt; empty when there is nothing.
pub(super) fn remarks(script: &str) -> String {
    let mut ignored: Vec<String> = sbatch::parse(script)
        .into_iter()
        .filter(|directive| !HONOURED.contains(&directive.option.as_str()))
        .map(|directive| format!("--{}", directive.option))
        .collect();
    ignored.sort();
    ignored.dedup();
    if ignored.is_empty() {
        String::new()
    } else {
        format!(
            "without meaning on the embedded cluster: {}",
            ignored.join(" ")
        )
    }
}

/// The directives of a script; the last one of a kind counts.
struct Options(Vec<Directive>);

impl Options {
    fn read(script: &str) -> Self {
        Self(sbatch::parse(script))
    }

    fn find(&self, option: &str) -> Option<&Directive> {
        sbatch::last(&self.0, option)
    }

    fn value(&self, option: &str) -> Result<Option<&str>, String> {
        match self.find(option) {
            None => Ok(None),
            Some(Directive {
                value: Some(value), ..
            }) => Ok(Some(value)),
            Some(Directive { line, .. }) => Err(format!("line {line}: --{option} needs a value")),
        }
    }

    /// A value read by `parse`, whose complaint is put behind line and option.
    fn parsed<T>(
        &self,
        option: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        let line = self.find(option).map_or(0, |directive| directive.line);
        self.value(option)?
            .map(parse)
            .transpose()
            .map_err(|what| format!("line {line}: --{option}: {what}"))
    }

    fn name(&self, script_path: &str) -> Result<String, String> {
        let file = script_path.rsplit('/').next().unwrap_or(script_path);
        Ok(self.value("job-name")?.unwrap_or(file).to_owned())
    }

    /// Scripts that name their logs from the root of the repository are submitted from there.
    fn writes_below(&self, folder: &str) -> bool {
        ["output", "error"]
            .iter()
            .filter_map(|option| self.find(option)?.value.as_deref())
            .any(|path| path.trim_start_matches("./").starts_with(folder))
    }

    /// Both patterns, absolute. A script that names only `--output` gets both streams there; one that names nothing
    /// gets the contract's log folder instead of SLURM's working folder.
    fn logs(
        &self,
        project: &Path,
        workdir: &Path,
        is_array: bool,
    ) -> Result<(String, String), String> {
        let stem = if is_array { "%x_%A_%a" } else { "%x_%j" };
        let default = |suffix: &str| absolute(project, &format!("slurm/logs/{stem}.{suffix}"));
        let output = self.value("output")?.map(|path| absolute(workdir, path));
        let error = self.value("error")?.map(|path| absolute(workdir, path));
        Ok(match (output, error) {
            (Some(output), Some(error)) => (output, error),
            (Some(output), None) => (output.clone(), output),
            (None, Some(error)) => (default("out"), error),
            (None, None) => (default("out"), default("err")),
        })
    }

    fn append(&self) -> Result<bool, String> {
        let mode = self.parsed("open-mode", |text| match text {
            "append" | "a" => Ok(true),
            "truncate" | "t" => Ok(false),
            other => Err(format!("`{other}` is neither append nor truncate")),
        })?;
        Ok(mode.unwrap_or(false))
    }

    fn array(&self) -> Result<Option<ArrayPlan>, String> {
        let array = self.parsed("array", |text| {
            let array = sbatch::array(text)?;
            match array.indices.last() {
                Some(last) if *last < MAX_ARRAY_SIZE => Ok(array),
                _ => Err(format!(
                    "the largest index is {} (MaxArraySize {MAX_ARRAY_SIZE})",
                    MAX_ARRAY_SIZE - 1
                )),
            }
        })?;
        Ok(array.map(|array| ArrayPlan {
            indices: array.indices,
            at_once: array.at_once,
        }))
    }

    fn time_limit(&self) -> Result<Option<Duration>, String> {
        let limit = self.parsed("time", |text| {
            sbatch::time_limit(text).ok_or_else(|| {
                format!("`{text}` is not a time limit (minutes, m:s, h:m:s, d-h, d-h:m, d-h:m:s)")
            })
        })?;
        Ok(limit.flatten())
    }

    fn dependency(&self, after: &[JobId]) -> Result<Dependency, String> {
        let mut dependency = self
            .parsed("dependency", Dependency::parse)?
            .unwrap_or_default();
        dependency.and_after_ok(after);
        Ok(dependency)
    }

    fn export(&self) -> Result<Export, String> {
        Ok(self.parsed("export", Export::parse)?.unwrap_or_default())
    }

    fn check_offered(&self) -> Result<(), String> {
        let refused = |directive: &&Directive| REFUSED.contains(&directive.option.as_str());
        match self.0.iter().find(refused) {
            None => Ok(()),
            Some(Directive { option, line, .. }) => Err(format!(
                "line {line}: --{option} is not offered by the embedded cluster, and without it the job would do something else"
            )),
        }
    }

    /// This cluster has one node: a script that needs more can never run here, and is told so at once.
    fn check_nodes(&self) -> Result<(), String> {
        self.parsed("nodes", |text| {
            let least = text.split('-').next().unwrap_or_default();
            match least.parse::<u32>() {
                Ok(0 | 1) => Ok(()),
                Ok(_) => Err(format!("`{text}` nodes; the embedded cluster has one")),
                Err(_) => Err(format!("`{text}` is not a number of nodes")),
            }
        })
        .map(|_| ())
    }

    fn facts(&self) -> Result<BTreeMap<String, String>, String> {
        let mut facts = BTreeMap::new();
        for (option, variable) in [
            ("ntasks", "SLURM_NTASKS"),
            ("cpus-per-task", "SLURM_CPUS_PER_TASK"),
        ] {
            let number = self.parsed(option, |text| match text.parse::<u32>() {
                Ok(number) if number > 0 => Ok(number.to_string()),
                _ => Err(format!("`{text}` is not a number above zero")),
            })?;
            facts.extend(number.map(|number| (variable.to_owned(), number)));
        }
        let partition = self.value("partition")?.unwrap_or("local").to_owned();
        facts.insert("SLURM_JOB_PARTITION".to_owned(), partition);
        Ok(facts)
    }
}

/// Symbols stay as they are; only the folder is put in front, where a per cent sign of its own is no symbol.
fn absolute(folder: &Path, pattern: &str) -> String {
    if pattern.starts_with('/') {
        return pattern.to_owned();
    }
    let folder = folder.to_string_lossy().replace('%', "%%");
    format!("{folder}/{pattern}")
}

/// The shebang as execve(2) reads it: a program and the rest of the line as one argument.
fn interpreter(script: &str) -> Result<Vec<String>, String> {
    let first = script.lines().next().unwrap_or_default();
    let Some(line) = first.strip_prefix("#!") else {
        let found: String = first.chars().take(60).collect();
        return Err(format!(
            "this is no batch script: expected `#!` and the path of an interpreter in the first line, such as `#!/bin/bash`, found `{found}`"
        ));
    };
    if script
        .split_inclusive('\n')
        .next()
        .is_some_and(|line| line.ends_with("\r\n"))
    {
        return Err("the lines end as on DOS (`\\r\\n`): convert the script to Unix line ends, such as with `sed -i 's/\\r$//'`".to_owned());
    }
    let line = line.trim();
    let (program, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    if program.is_empty() {
        return Err("the first line names no interpreter after `#!`".to_owned());
    }
    let argument = Some(argument.trim().to_owned()).filter(|text| !text.is_empty());
    Ok([program.to_owned()].into_iter().chain(argument).collect())
}

/// The variables of the submission: its own, the commit to clone, and its keys.
fn variables(request: &SubmitRequest) -> Result<BTreeMap<String, String>, String> {
    let mut variables = request.variables.clone();
    if let Some(git) = &request.git {
        variables.insert("GIT_URL".to_owned(), git.url.clone());
        variables.insert("GIT_SHA".to_owned(), git.sha.clone());
    }
    variables.insert("RALPH_TOKEN".to_owned(), request.token.to_string());
    variables.insert("RALPH_RUN_ID".to_owned(), request.run.to_string());
    match variables
        .iter()
        .find(|(name, value)| !is_name(name) || value.contains('\0'))
    {
        Some((name, _)) => Err(format!(
            "`{name}` cannot be a variable of a job: a name has letters, digits and `_`, a value has no NUL"
        )),
        None => Ok(variables),
    }
}
