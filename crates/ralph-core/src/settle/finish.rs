//! What the end of a run changes: the books, the documents, and the phase.

use serde_json::{Map, Value, json};

use crate::change::{ChangeSet, EntryText, FileEdit, QueuePlace};
use crate::classify::{Diagnosis, FailureClass, RetryPolicy, Scope};
use crate::id::RunId;
use crate::job::JobReport;
use crate::ledger::{self, ResultLedger};
use crate::phase::Phase;
use crate::pipeline::{PipelineEdit, RunKey, RunView};
use crate::plan::verify::{decisive, ended_status};
use crate::plan::{Context, rules};
use crate::settle::submission::{lines, one_line};
use crate::settle::{Draft, members};
use crate::store::layout;
use crate::time::{Timestamp, stamp};
use crate::world::Facts;

/// Everything that is known about the end of one run.
#[derive(Debug, Clone)]
pub struct Ending<'a> {
    /// The run.
    pub run: &'a RunView,
    /// What the scheduler said of its jobs; empty for a run that is lost.
    pub reports: &'a [JobReport],
    /// What the logs and the scheduler's words amount to.
    pub diagnosis: &'a Diagnosis,
    /// Local copies of the logs, relative to the project's folder.
    pub logs: &'a [String],
}

/// What becomes of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Consequence {
    /// It succeeded.
    Success,
    /// The item is submitted again by itself.
    Retry,
    /// Noted; other work goes on.
    GoOn,
    /// The project stops in DEBUG.
    Block,
}

/// A run that stands in `active_runs` though its record says how it ended: only its place is mended.
#[must_use]
pub fn misfiled(facts: &Facts, run: &RunKey, now: Timestamp) -> ChangeSet {
    let mut draft = Draft::new(facts, now);
    draft.pipeline(PipelineEdit::CompleteRun {
        run: run.clone(),
        set: Map::new(),
    });
    draft.finish(format!("file {} under completed_runs", name(run)))
}

/// A run that is alive shows the cluster's word, where its own is one of the plain ones.
#[must_use]
pub fn alive(facts: &Facts, run: &RunView, status: &str, now: Timestamp) -> ChangeSet {
    let mut draft = Draft::new(facts, now);
    let plain = matches!(
        run.status_text.as_deref(),
        Some("pending" | "submitted" | "running")
    );
    if plain && run.status_text.as_deref() != Some(status) {
        let set = members([("status", Some(json!(status)))]);
        draft.pipeline(PipelineEdit::UpdateRun {
            run: run.key.clone(),
            set,
        });
    }
    draft.finish(format!("{} is {status}", name(&run.key)))
}

/// A run has ended: ledger, documents and state say how, in one operation.
#[must_use]
pub fn ended(facts: &Facts, ending: &Ending<'_>, context: &Context<'_>) -> ChangeSet {
    let mut draft = Draft::new(facts, context.now);
    let status = if ending.reports.is_empty() {
        "failed"
    } else {
        ended_status(ending.reports)
    };
    let consequence = consequence(facts, ending, status, context);
    let result = result_ledger(ending, status, context.now);
    write_ledger(&mut draft, ending, &result);
    if consequence != Consequence::Success {
        write_documents(&mut draft, facts, ending, consequence, &result, context.now);
    }
    let set = run_members(ending, status, context.now);
    draft.pipeline(PipelineEdit::CompleteRun {
        run: ending.run.key.clone(),
        set,
    });
    next_phase(&mut draft, facts, ending, consequence);
    let what = format!("{}: {}", name(&ending.run.key), headline(ending.diagnosis));
    draft.event(
        if consequence == Consequence::Success {
            "JOB_COMPLETED"
        } else {
            "JOB_FAILED"
        },
        &what,
    );
    draft.finish(format!("{} {status}", name(&ending.run.key)))
}

fn consequence(
    facts: &Facts,
    ending: &Ending<'_>,
    status: &str,
    context: &Context<'_>,
) -> Consequence {
    let diagnosis = ending.diagnosis;
    if status == "completed" && !diagnosis.suspicious {
        return Consequence::Success;
    }
    if diagnosis.scope == Scope::Operator {
        return Consequence::GoOn;
    }
    if may_retry(facts, ending, context) {
        return Consequence::Retry;
    }
    if independent_work(facts, ending) {
        Consequence::GoOn
    } else {
        Consequence::Block
    }
}

/// Within the budget of its class: the policy allows one, the configuration may say otherwise. The same class
/// again asks a person (incident 70).
fn may_retry(facts: &Facts, ending: &Ending<'_>, context: &Context<'_>) -> bool {
    let class = ending.diagnosis.class.name();
    let by_policy = u32::from(matches!(ending.diagnosis.retry, RetryPolicy::Once { .. }));
    let budget = context
        .settings
        .retry
        .get(class)
        .copied()
        .unwrap_or(by_policy);
    let Some(item) = ending
        .run
        .queue_id
        .as_deref()
        .filter(|id| facts.item(id).is_some())
    else {
        return false;
    };
    let same = |run: &&RunView| {
        run.queue_id.as_deref() == Some(item) && run.failure_class.as_deref() == Some(class)
    };
    let before = facts.view.completed_runs.iter().filter(same).count();
    u32::try_from(before).unwrap_or(u32::MAX) < budget
}

/// Whether a READY item remains that this failure says nothing about: it neither depends on the failed item nor
/// shares its script or configuration (contradiction 16).
fn independent_work(facts: &Facts, ending: &Ending<'_>) -> bool {
    let failed = ending.run.queue_id.as_deref().and_then(|id| facts.item(id));
    let Some(failed) = failed else {
        return rules::ready_item(facts).is_some();
    };
    facts.queue.iter().any(|item| {
        item.section == ralph_docs::queue::QueueSection::Ready
            && item.id != failed.id
            && rules::waits_for(facts, item).is_none()
            && item.script.is_some()
            && item.script != failed.script
            && (item.config.is_none() || item.config != failed.config)
    })
}

fn result_ledger(ending: &Ending<'_>, status: &str, now: Timestamp) -> ResultLedger {
    let run = ending.run.key.run_id.as_deref().unwrap_or("");
    ledger::result_of(
        run,
        status,
        ending.reports,
        ending.diagnosis,
        ending.logs,
        now,
    )
}

fn write_ledger(draft: &mut Draft<'_>, ending: &Ending<'_>, result: &ResultLedger) {
    if let Some(run) = run_id(&ending.run.key) {
        draft.file(
            ledger::path(&run, "result.json"),
            FileEdit::Replace {
                text: ledger::json(result),
            },
        );
    }
}

fn run_id(key: &RunKey) -> Option<RunId> {
    key.run_id.as_deref().and_then(|id| id.parse().ok())
}

fn write_documents(
    draft: &mut Draft<'_>,
    facts: &Facts,
    ending: &Ending<'_>,
    consequence: Consequence,
    result: &ResultLedger,
    now: Timestamp,
) {
    draft.file(
        layout::DEBUGGING,
        FileEdit::DebuggingEntry(entry(ending, consequence, now)),
    );
    let key = &ending.run.key;
    if let Some(item) = ending
        .run
        .queue_id
        .as_deref()
        .filter(|id| facts.item(id).is_some())
    {
        let (to, status) = match consequence {
            Consequence::Retry => (
                QueuePlace::Ready,
                format!("{}; it is submitted again", result.status),
            ),
            _ => (
                QueuePlace::Failed,
                format!("{} ({})", result.status, result.failure_class),
            ),
        };
        let run = key.run_id.as_deref().unwrap_or("");
        let job = key.job_id.as_deref().unwrap_or("");
        let lines = lines([("Run", run), ("Job", job), ("Status", &status)]);
        draft.file(
            layout::QUEUE,
            FileEdit::Queue {
                id: item.to_owned(),
                to,
                lines,
            },
        );
    }
    if let Some(run) = run_id(key) {
        draft.file(
            ledger::path(&run, "results.md"),
            FileEdit::Replace {
                text: ledger::results(result, &[]),
            },
        );
        draft.file(
            layout::RESULTS_SUMMARY,
            super::check::summary_row(ending.run, result),
        );
    }
}

/// The entry that the seed asks for: error message, root cause, run id, job id, log paths, timestamp.
fn entry(ending: &Ending<'_>, consequence: Consequence, now: Timestamp) -> EntryText {
    let diagnosis = ending.diagnosis;
    let key = &ending.run.key;
    let mut fields = vec![
        ("Error".to_owned(), headline(diagnosis)),
        ("Root cause".to_owned(), diagnosis.cause.clone()),
        (
            "Class".to_owned(),
            format!(
                "{} (scope: {})",
                diagnosis.class.name(),
                diagnosis.scope.name()
            ),
        ),
        (
            "Run".to_owned(),
            key.run_id
                .clone()
                .unwrap_or_else(|| "(no run id)".to_owned()),
        ),
        (
            "Job".to_owned(),
            key.job_id
                .clone()
                .unwrap_or_else(|| "(no job id)".to_owned()),
        ),
    ];
    if let Some(report) = decisive(ending.reports) {
        let exit = report
            .exit
            .map_or_else(String::new, |exit| format!(", exit {exit}"));
        fields.push(("State".to_owned(), format!("{}{exit}", report.verdict())));
        if let Some(nodes) = &report.nodes {
            fields.push(("Nodes".to_owned(), one_line(nodes)));
        }
    }
    if let Some(line) = &diagnosis.key {
        fields.push((
            "Key line".to_owned(),
            format!("{}:{}", line.path, line.line),
        ));
    }
    if let Some((file, line)) = &diagnosis.source_location {
        fields.push(("Code".to_owned(), format!("{}:{line}", one_line(file))));
    }
    fields.extend(
        ending
            .logs
            .iter()
            .map(|log| ("Log".to_owned(), log.clone())),
    );
    fields.push(("Next".to_owned(), next_words(consequence, diagnosis)));
    fields.push(("Time".to_owned(), stamp(now)));
    EntryText {
        title: title(ending),
        key: entry_key(key),
        blocking: consequence == Consequence::Block,
        fields,
        quote: quoted(diagnosis),
    }
}

/// What happened, without the class: the line that decided and where it stands.
#[must_use]
pub fn headline(diagnosis: &Diagnosis) -> String {
    let class = format!("{}: ", diagnosis.label());
    one_line(
        diagnosis
            .summary
            .strip_prefix(&class)
            .unwrap_or(&diagnosis.summary),
    )
}

fn title(ending: &Ending<'_>) -> String {
    let subject = ending
        .run
        .queue_id
        .clone()
        .or_else(|| ending.run.key.run_id.clone())
        .unwrap_or_default();
    format!("{subject}: {}", headline(ending.diagnosis))
        .chars()
        .take(120)
        .collect()
}

fn next_words(consequence: Consequence, diagnosis: &Diagnosis) -> String {
    match consequence {
        Consequence::Retry => format!("Submitted again by itself. {}", diagnosis.advice),
        _ => diagnosis.advice.clone(),
    }
}

fn quoted(diagnosis: &Diagnosis) -> Option<(String, String)> {
    let text = diagnosis.tail.join("\n");
    (!text.trim().is_empty()).then(|| ("Last lines".to_owned(), text))
}

/// The machine's key of a run's debugging entry.
#[must_use]
pub fn entry_key(key: &RunKey) -> String {
    format!(
        "{}/{}",
        key.run_id.as_deref().unwrap_or("-"),
        key.job_id.as_deref().unwrap_or("-")
    )
}

fn run_members(ending: &Ending<'_>, status: &str, now: Timestamp) -> Map<String, Value> {
    let report = decisive(ending.reports);
    let ended_at = report.and_then(|report| report.ended).unwrap_or(now);
    let success = status == "completed";
    let failed = !success || ending.diagnosis.suspicious;
    members([
        ("status", Some(json!(status))),
        (
            "slurm_state",
            report.map(|report| json!(report.verdict().as_str())),
        ),
        (
            "exit_code",
            report
                .and_then(|report| report.exit)
                .map(|exit| json!(exit.to_string())),
        ),
        ("completed_at", success.then(|| json!(stamp(ended_at)))),
        ("failed_at", (!success).then(|| json!(stamp(ended_at)))),
        ("error", failed.then(|| json!(headline(ending.diagnosis)))),
        (
            "failure_class",
            failed.then(|| json!(ending.diagnosis.class.name())),
        ),
        (
            "suspicious",
            ending.diagnosis.suspicious.then_some(Value::Bool(true)),
        ),
        (
            "nodes",
            report
                .and_then(|report| report.nodes.as_ref())
                .map(|nodes| json!(nodes)),
        ),
    ])
}

fn next_phase(draft: &mut Draft<'_>, facts: &Facts, ending: &Ending<'_>, consequence: Consequence) {
    let others = facts
        .live_runs()
        .filter(|run| run.key != ending.run.key)
        .count();
    if others == 0 {
        draft.set(&["slurm_wait", "next_poll_after"], Value::Null);
    }
    if consequence == Consequence::Block {
        draft.phase(&Phase::Debug);
        let hint = format!(
            "see {} in documentation/debugging.md",
            entry_key(&ending.run.key)
        );
        draft.next_action(Some((&headline(ending.diagnosis), &hint)));
    } else if others == 0 && *facts.phase() == Phase::WaitSlurm {
        draft.phase(&Phase::Check);
        draft.next_action(Some((
            &format!("{} ended", name(&ending.run.key)),
            "dispatch checks the results",
        )));
    }
}

/// What a run is called in messages.
#[must_use]
pub fn name(key: &RunKey) -> String {
    match (&key.run_id, &key.job_id) {
        (Some(run), _) => run.clone(),
        (None, Some(job)) => format!("the run of job {job}"),
        (None, None) => format!("active_runs[{}]", key.index),
    }
}

/// The diagnosis of a run that no source knows any more: for a person, never a success.
#[must_use]
pub fn lost(run: &RunView, since: Timestamp, asked: &[String]) -> Diagnosis {
    let job = run.key.job_id.as_deref().unwrap_or("?");
    Diagnosis {
        class: FailureClass::Lost,
        inner: None,
        scope: Scope::Unknown,
        retry: RetryPolicy::Ask,
        key: None,
        source_location: None,
        matches: Vec::new(),
        tail: Vec::new(),
        suspicious: false,
        summary: format!("job {job} is lost: {} answered and do not know it since {}", asked.join(" and "), stamp(since)),
        cause: "Not known. The job is neither in the queue nor in accounting; hypotheses: it belongs to another cluster or account, \
                or its records were purged."
            .to_owned(),
        advice: "Look for its output on the cluster before it is submitted again.".to_owned(),
    }
}
