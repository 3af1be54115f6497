//! The run lists of the state file: each run once, in the right list, with a job id and times that can be true.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::json::{Document, Value};
use super::{Findings, ProjectFiles, Severity};
use crate::id::JobId;
use crate::pipeline::RunStatus;
use crate::pipeline::lines::Place;
use crate::pipeline::record::JOB_MEMBERS;
use crate::time::{LooseTime, Timestamp};

/// What the state file knows, for comparing the ledgers with it.
#[derive(Debug, Default)]
pub(super) struct KnownRuns {
    /// What the status of each run id says; `None` for words that are kept and not understood.
    pub(super) by_run: BTreeMap<String, Option<RunStatus>>,
    /// All job ids, as written.
    pub(super) jobs: BTreeSet<String>,
}

/// One recorded run.
struct Run {
    list: &'static str,
    id: Option<String>,
    jobs: Vec<String>,
    status: Option<RunStatus>,
    at: Place,
}

/// Clock skew that is no lie.
const SKEW_SECONDS: i64 = 300;
/// Words that stand where a job id is not known yet.
const PLACEHOLDERS: &[&str] = &[
    "n/a",
    "pending",
    "pending_submission",
    "tbd",
    "none",
    "unknown",
    "",
];
/// From how many ids on a longer one is out of line (incident 6).
const ENOUGH_IDS: usize = 5;

/// Checks both lists, and returns what the ledgers are compared with.
pub(super) fn check(
    project: &ProjectFiles,
    document: &Document<'_>,
    findings: &mut Findings<'_>,
) -> KnownRuns {
    let mut all = Vec::new();
    for list in ["active_runs", "completed_runs"] {
        let listed = document.root().member(list);
        for value in listed.into_iter().flat_map(Value::elements) {
            all.extend(run(project, list, value, findings));
        }
    }
    placed(&all, findings);
    unique(&all, findings);
    in_line(&all, findings);
    let mut known = KnownRuns::default();
    for run in &all {
        known.jobs.extend(run.jobs.iter().cloned());
        if let Some(id) = &run.id {
            // As a dispatch takes it: whatever is in this list and is not known to have ended is asked about.
            let live = (run.list == "active_runs").then_some(RunStatus::Live);
            known.by_run.insert(id.clone(), run.status.or(live));
        }
    }
    known
}

/// Checks one run by itself. The keys of the contract are asked of live runs only: an ended one is history.
fn run(
    project: &ProjectFiles,
    list: &'static str,
    value: Value<'_>,
    findings: &mut Findings<'_>,
) -> Option<Run> {
    let at = value.place();
    if !value.is_object() {
        let message = format!("expected an object in `{list}`, found {}", value.kind());
        let fix = "Write the run as an object with `run_id`, `job_id` and `status`.";
        findings.error("run_not_an_object", message, fix).at(at);
        return None;
    }
    times(project, value, findings);
    let text = |key: &str| {
        let value = value.member(key)?;
        value.scalar().map(Cow::into_owned)
    };
    let id = text("run_id");
    let active = list == "active_runs";
    for key in ["run_id", "experiment", "status", "job_id"] {
        let aliased =
            key == "job_id" && JOB_MEMBERS.iter().any(|name| value.member(name).is_some());
        if active && value.member(key).is_none() && !aliased {
            let message = format!("a run in `{list}` has no `{key}`");
            let fix = "Add it; it is part of the contract for live runs.";
            findings.warning("missing_run_key", message, fix).at(at);
        }
    }
    if let Some(id) = id.as_deref().filter(|_| active) {
        let ledger = format!("runs/{id}/submit.json");
        if !project.names.contains(&ledger) {
            let message = format!("the run `{id}` has no ledger `{ledger}`");
            let fix = "Write the ledger; it is how a lost record is found again.";
            findings.warning("run_without_ledger", message, fix).at(at);
        }
    }
    Some(Run {
        list,
        id,
        jobs: jobs(value, findings),
        status: text("status").and_then(|text| RunStatus::known(&text)),
        at,
    })
}

/// The job ids of a run: a number, a text, a list in one text, or a list.
pub(super) fn jobs(run: Value<'_>, findings: &mut Findings<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for (key, value) in run
        .members()
        .filter(|(key, _)| JOB_MEMBERS.contains(&&**key))
    {
        // A value that is no list is a list of itself.
        let texts: Vec<_> = std::iter::once(value)
            .chain(value.elements())
            .filter_map(Value::scalar)
            .collect();
        for word in texts.iter().flat_map(|text| text.split(',')) {
            let word = word.trim();
            if word.parse::<JobId>().is_ok() {
                found.push(word.to_owned());
            } else if PLACEHOLDERS.contains(&word.to_lowercase().as_str()) {
                let message = format!("`{key}` is the placeholder `{word}`");
                let fix = "Write null until the scheduler has given an id.";
                findings
                    .warning("placeholder_job_id", message, fix)
                    .at(value.place());
            } else {
                let shown: String = word.chars().take(60).collect();
                let message = format!(
                    "expected a job id such as `123` or `123_4` in `{key}`, found `{shown}`"
                );
                let fix =
                    "Take the id from the scheduler's answer; an id is never typed or computed.";
                findings
                    .error("implausible_job_id", message, fix)
                    .at(value.place());
            }
        }
    }
    found
}

/// A run in the wrong list.
fn placed(runs: &[Run], findings: &mut Findings<'_>) {
    for run in runs {
        let name = run.id.as_deref().unwrap_or("without an id");
        match (run.list, run.status) {
            ("active_runs", Some(status)) if !status.is_live() => {
                let message = format!("the run {name} has ended and still stands in `active_runs`");
                let fix = "The next verification moves it to `completed_runs`.";
                findings
                    .warning("ended_run_active", message, fix)
                    .at(run.at);
            }
            ("completed_runs", Some(RunStatus::Live)) => {
                let message = format!(
                    "the run {name} is live and stands in `completed_runs`, where nobody polls it"
                );
                let fix = "Move it to `active_runs`, or record how it ended.";
                findings
                    .error("live_run_completed", message, fix)
                    .at(run.at);
            }
            _ => {}
        }
    }
}

/// A run that is recorded twice, and a job with two ends. A run is known by its id and its jobs together, because
/// a second attempt may keep the id.
fn unique(runs: &[Run], findings: &mut Findings<'_>) {
    let mut seen: BTreeMap<(&str, &[String]), &Run> = BTreeMap::new();
    let mut ends: BTreeMap<&str, RunStatus> = BTreeMap::new();
    for run in runs {
        if let Some(id) = run.id.as_deref()
            && let Some(first) = seen.insert((id, &run.jobs), run)
        {
            let (code, message) = if first.list == run.list {
                (
                    "run_twice",
                    format!("the run {id} stands twice in `{}`", run.list),
                )
            } else {
                (
                    "run_in_both_lists",
                    format!("the run {id} stands in `active_runs` and in `completed_runs`"),
                )
            };
            let message = format!("{message}, first on line {}", first.at.line);
            findings
                .error(code, message, "Keep the one that is true.")
                .at(run.at);
        }
        let ended = run
            .status
            .filter(|status| matches!(status, RunStatus::Completed | RunStatus::Failed));
        for job in &run.jobs {
            let Some(status) = ended else { continue };
            if ends
                .insert(job, status)
                .is_some_and(|before| before != status)
            {
                let message = format!("the job {job} is recorded as failed and as completed");
                let fix = "Ask accounting how it ended, and correct the wrong record.";
                findings.error("two_ends", message, fix).at(run.at);
            }
        }
    }
}

/// An id with more digits than all others was probably typed (incident 6).
fn in_line(runs: &[Run], findings: &mut Findings<'_>) {
    let digits = |job: &str| job.bytes().take_while(u8::is_ascii_digit).count();
    let lengths: Vec<usize> = runs
        .iter()
        .flat_map(|run| &run.jobs)
        .map(|job| digits(job))
        .collect();
    let longest = lengths.iter().copied().max().unwrap_or_default();
    let others = lengths.iter().filter(|length| **length < longest).count();
    if lengths.len() - others != 1 || others < ENOUGH_IDS {
        return;
    }
    for run in runs {
        for job in run.jobs.iter().filter(|job| digits(job) == longest) {
            let message = format!("the job id {job} has more digits than all {others} others");
            let fix = "Compare it with the scheduler's record.";
            findings
                .warning("job_id_out_of_line", message, fix)
                .at(run.at);
        }
    }
}

/// Every time of an object: readable, and not in the future unless it says when to look again (incident 7).
pub(super) fn times(project: &ProjectFiles, object: Value<'_>, findings: &mut Findings<'_>) {
    for (key, value) in object.members() {
        let is_time = key.ends_with("_at") || matches!(&*key, "ts" | "date" | "next_poll_after");
        if !is_time || value.is_null() {
            continue;
        }
        let at = value.place();
        let Some(text) = value.text() else {
            let message = format!("expected a time in `{key}`, found {}", value.kind());
            findings
                .warning(
                    "unreadable_time",
                    message,
                    "Write it as `2026-01-31T12:00:00Z`.",
                )
                .at(at);
            continue;
        };
        if let Some((code, what)) = complaint(&text, &key, project) {
            let shown: String = text.chars().take(60).collect();
            let message = format!("`{key}` is `{shown}`, {what}");
            let severity = match code {
                "invented_time" => Severity::Error,
                _ => Severity::Warning,
            };
            let fix = "Take times from the clock or from accounting, in UTC; write null until one is known.";
            findings.add(severity, code, message, fix).at(at);
        }
    }
}

/// What is wrong with a time: a code and the rest of a sentence. The next poll may well be in the future.
fn complaint(
    text: &str,
    key: &str,
    project: &ProjectFiles,
) -> Option<(&'static str, &'static str)> {
    let latest = project
        .now
        .saturating_add(jiff::SignedDuration::from_secs(SKEW_SECONDS));
    let in_future = |at: Option<Timestamp>| {
        key != "next_poll_after" && latest.is_ok_and(|latest| at.is_some_and(|at| at > latest))
    };
    let time = LooseTime::parse(text);
    let at = time.instant(&project.zone);
    match time {
        LooseTime::Unreadable
            if text.contains("XX") || text.contains("YYYY") || text.contains("??") =>
        {
            Some(("invented_time", "which nobody measured"))
        }
        LooseTime::Unreadable => Some(("unreadable_time", "which is no time")),
        _ if in_future(at) => Some((
            "time_in_future",
            "which is still to come; perhaps local time marked as UTC",
        )),
        LooseTime::Zoneless(_) => Some(("time_without_zone", "which has no time zone")),
        LooseTime::Exact(_) => None,
    }
}
