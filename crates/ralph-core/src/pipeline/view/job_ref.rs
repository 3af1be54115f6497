//! The jobs that a member names, in every form in which people and programs write them.
//!
//! A number in prose is no job: asked about on a real cluster it is somebody else's. What must never be here: a
//! computed job id (incident 6), a question to a cluster.

use serde_json::Value;

use crate::id::{JobId, JobPart};

/// The largest array index that SLURM can be configured for (`MaxArraySize` in slurm.conf(5), less one). A larger
/// number after `_` is a second job id.
const MAX_ARRAY_INDEX: u32 = 4_000_000;

/// The jobs that a record names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobRef {
    /// None.
    None,
    /// One job, or one task of an array.
    One(JobId),
    /// Several, in the order of the record.
    Many(Vec<JobId>),
    /// A word instead of an id, such as `n/a` or `PENDING_SUBMISSION`.
    Placeholder(String),
}

impl JobRef {
    /// The jobs.
    #[must_use]
    pub fn ids(&self) -> &[JobId] {
        match self {
            Self::None | Self::Placeholder(_) => &[],
            Self::One(id) => std::slice::from_ref(id),
            Self::Many(ids) => ids,
        }
    }

    /// Reads a member that holds a job id or several.
    pub(in super::super) fn read(value: &Value) -> Self {
        let text = match value {
            Value::Null => return Self::None,
            Value::String(text) if text.trim().is_empty() => return Self::None,
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number)
                if number.as_f64().is_some_and(|number| number.fract() != 0.0) =>
            {
                return Self::Placeholder(number.to_string());
            }
            other => other.to_string(),
        };
        let parts: Vec<JobId> = match value {
            Value::Array(items) => items
                .iter()
                .flat_map(|item| Self::read(item).ids().to_vec())
                .collect(),
            _ => without_remarks(&text)
                .split(',')
                .flat_map(|part| part.split(" and "))
                .flat_map(jobs_of_part)
                .collect(),
        };
        match parts.as_slice() {
            [] => Self::Placeholder(text),
            [one] => Self::One(*one),
            _ => Self::Many(parts),
        }
    }
}

/// What may stand in front of a job id.
const IN_FRONT: &[&str] = &[
    "submitted",
    "batch",
    "slurm",
    "job",
    "jobs",
    "id",
    "ids",
    "jobid",
    "array",
];

/// Whether a word may stand in front of a job id.
fn is_in_front(word: &str) -> bool {
    IN_FRONT.contains(&word.to_ascii_lowercase().as_str())
}

/// What is counted, in the singular and in lower case: behind a number it says that the number is no job.
const COUNTED: &[&str] = &[
    "atom",
    "batch",
    "batche",
    "core",
    "cpu",
    "day",
    "epoch",
    "example",
    "file",
    "frame",
    "gb",
    "gib",
    "gpu",
    "h",
    "hour",
    "hr",
    "image",
    "iter",
    "iteration",
    "job",
    "k",
    "left",
    "mb",
    "mib",
    "min",
    "minute",
    "more",
    "node",
    "of",
    "other",
    "percent",
    "point",
    "retrie",
    "row",
    "s",
    "sample",
    "sec",
    "second",
    "step",
    "task",
    "thread",
    "token",
    "week",
];

/// Whether a word behind a number makes a count of it: `steps`, `GPUs`, `hours`, `of`.
pub(crate) fn is_counted(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let one = word.strip_suffix('s').filter(|one| !one.is_empty());
    COUNTED.contains(&one.unwrap_or(&word))
}

/// A list without its brackets and its remarks in parentheses: a job that a remark names is not the run's.
fn without_remarks(text: &str) -> String {
    let listed = text.strip_prefix('[');
    let text = listed
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let mut depth = 0_usize;
    let keep = |c: &char| {
        match c {
            '(' => depth += 1,
            ')' if depth > 0 => {
                depth -= 1;
                return false;
            }
            _ => {}
        }
        depth == 0
    };
    text.chars().filter(keep).collect()
}

/// The jobs of one part of a list: `123`, `123 456`, `123;cluster`, `123_[0-3]`, `job 123` or
/// `Submitted batch job 123`. Other words behind a number make it prose (`3 of 8`, `2000 steps`), except behind one as
/// long as a job id (`61003257 failed`).
fn jobs_of_part(part: &str) -> Vec<JobId> {
    /// A number that is not alone has to be as large as this.
    const LEAST_IN_PROSE: u64 = 1000;
    let words = part.split_whitespace();
    let mut words = words.skip_while(|word| is_in_front(word.trim_end_matches([':', '='])));
    let Some(first) = words.next().and_then(job_of_word) else {
        return Vec::new();
    };
    let rest: Vec<&str> = words.collect();
    let others: Option<Vec<JobId>> = rest.iter().map(|word| job_of_word(word)).collect();
    let is_count = first.base() < LEAST_IN_PROSE
        || rest.first().is_some_and(|word| {
            is_counted(word.trim_matches(|c: char| !c.is_ascii_alphanumeric()))
        });
    let jobs = match others {
        Some(others) => [vec![first], others].concat(),
        None if is_count => Vec::new(),
        None => vec![first],
    };
    jobs.into_iter().flat_map(split_impossible_task).collect()
}

/// One id, without a cluster's name, a step or a range of tasks behind it.
fn job_of_word(word: &str) -> Option<JobId> {
    let word = word.split(';').next().unwrap_or(word);
    let word = word.trim_matches(['\'', '"', '`']);
    let word = match word.split_once(['=', ':', '#']) {
        Some((label, id)) if label.is_empty() || is_in_front(label) => id,
        _ => word,
    };
    let word = word.trim_end_matches(['.', ':']);
    // A bracket or two numbers are a range of tasks: what can be asked about is the array.
    let word = word.split_once("_[").map_or(word, |(base, _)| base);
    let word = word.strip_suffix("[]").unwrap_or(word);
    let word = match word.split_once('_') {
        Some((base, tasks)) if tasks.contains(['-', '%', '*']) => base,
        _ => word,
    };
    match word.split_once('.') {
        Some((base, step)) => base.parse().ok().filter(|job| is_step(*job, step)),
        None => word.parse().ok(),
    }
}

/// Whether what stands behind the point is a step of the job (srun(1) numbers them, and some have names), or the
/// fraction of a program that wrote the id as a decimal number. `3.5` and `2026.01.12` are neither.
fn is_step(job: JobId, step: &str) -> bool {
    /// A decimal number below this is a measurement.
    const LEAST_WITH_STEP: u64 = 1000;
    let is_number = !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit());
    let is_zero = step.bytes().all(|byte| byte == b'0');
    ["batch", "extern", "interactive"].contains(&step)
        || is_number && (is_zero || job.base() >= LEAST_WITH_STEP)
}

/// `31946672_31948095` is two jobs that somebody joined: no array has a task of that number.
fn split_impossible_task(job: JobId) -> Vec<JobId> {
    match job.part() {
        JobPart::Task(index) if index > MAX_ARRAY_INDEX => [job.base(), u64::from(index)]
            .into_iter()
            .filter_map(|base| JobId::whole(base).ok())
            .collect(),
        _ => vec![job],
    }
}
