//! What the end of a run changes: the books, the documents, and the phase.

use serde_json::{Map, Value, json};

use ralph_docs::queue::{QueueItem, QueueSection};

use crate::change::{ChangeSet, FileEdit, QueuePlace};
use crate::classify::{RetryPolicy, Scope};
use crate::id::RunId;
use crate::ledger::{self, ResultLedger};
use crate::phase::Phase;
use crate::pipeline::{PipelineEdit, RunKey, RunView};
use crate::plan::verify::{decisive, ended_status};
use crate::plan::{Context, items};
use crate::settle::ending::{Consequence, Ending};
use crate::settle::entry::{entry, entry_key};
use crate::settle::words::{headline, lines, subject};
use crate::settle::{Draft, members};
use crate::store::layout;
use crate::time::{Timestamp, stamp};
use crate::validate::is_called_after;
use crate::words::plural;
use crate::world::Facts;

/// Records that are true and only need to be put right.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mending {
    /// Runs that stand in `active_runs` though their records say how they ended (contradiction 5).
    pub(crate) misfiled: Vec<RunKey>,
    /// Runs that stand in `active_runs` though `completed_runs` says how they ended (incident 14).
    pub(crate) twice: Vec<RunKey>,
    /// Runs that are alive, each with the word that its record should show.
    pub(crate) alive: Vec<(RunKey, &'static str)>,
}

/// All of it in one operation, since real files hold dozens of them.
#[must_use]
pub(crate) fn mended(facts: &Facts, mending: &Mending, now: Timestamp) -> ChangeSet {
    let mut draft = Draft::new(facts, now);
    for (run, status) in &mending.alive {
        draft.pipeline(PipelineEdit::UpdateRun {
            run: run.clone(),
            set: members([("status", Some(json!(status)))]),
        });
    }
    // From the last to the first: places before a moved record stay as they were read.
    let complete = |run: &RunKey| PipelineEdit::CompleteRun {
        run: run.clone(),
        set: Map::new(),
    };
    let fold = |run: &RunKey| PipelineEdit::FoldRun { run: run.clone() };
    let misfiled = mending
        .misfiled
        .iter()
        .map(|run| (run.index, complete(run)));
    let twice = mending.twice.iter().map(|run| (run.index, fold(run)));
    let mut edits: Vec<_> = misfiled.chain(twice).collect();
    edits.sort_by_key(|(index, _)| std::cmp::Reverse(*index));
    for (_, edit) in edits {
        draft.pipeline(edit);
    }
    let filed = mending.misfiled.len() + mending.twice.len();
    let first = mending.misfiled.first().or(mending.twice.first());
    let summary = match (first, mending.alive.as_slice()) {
        (None, [(only, status)]) => format!("{} is {status}", name(only)),
        (Some(only), []) if filed == 1 => format!("file {} under completed_runs", name(only)),
        (_, alive) => format!(
            "file {} under completed_runs, update {}",
            plural(filed, "run"),
            plural(alive.len(), "run")
        ),
    };
    draft.finish(summary)
}

/// Whether the record of a live run shows another of the plain words than the cluster's; a person's own words
/// stay.
#[must_use]
pub(crate) fn says_otherwise(run: &RunView, status: &str) -> bool {
    let plain = ["pending", "submitted", "running"];
    let shown = run.status_text.as_deref();
    shown.is_some_and(|shown| plain.contains(&shown) && shown != status)
}

/// A run has ended: ledger, documents and state say how, in one operation.
#[must_use]
pub(crate) fn ended(facts: &Facts, ending: &Ending<'_>, context: &Context<'_>) -> ChangeSet {
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
        write_documents(&mut draft, ending, consequence, &result);
    }
    let set = run_members(ending, status, context.now);
    draft.pipeline(PipelineEdit::CompleteRun {
        run: ending.run.key.clone(),
        set,
    });
    next_phase(&mut draft, ending, consequence);
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

/// Within the budget of its class: the policy allows one, the configuration may say otherwise where that is not for a
/// person to decide. The same class again asks one (incident 70).
fn may_retry(facts: &Facts, ending: &Ending<'_>, context: &Context<'_>) -> bool {
    let class = ending.diagnosis.class.name();
    let by_policy = u32::from(matches!(ending.diagnosis.retry, RetryPolicy::Once { .. }));
    let set = context.settings.retry.get(class).copied();
    let budget = set
        .filter(|_| ending.diagnosis.scope.takes_a_retry_budget())
        .unwrap_or(by_policy);
    let Some(item) = own_item(facts, ending.run) else {
        return false;
    };
    let same =
        |run: &&RunView| items::is_of(run, &item.id) && run.failure_class.as_deref() == Some(class);
    let before = facts.view.completed_runs.iter().filter(same).count();
    u32::try_from(before).unwrap_or(u32::MAX) < budget
}

/// The item that this run decides about: in progress because of this run and of no other. An item that a person
/// has put elsewhere meanwhile stays there.
fn own_item<'a>(facts: &'a Facts, run: &RunView) -> Option<&'a QueueItem> {
    let item = facts.item(run.queue_id.as_deref()?)?;
    let stated = item.run.is_none() || item.run == run.key.run_id;
    let other = |other: &RunView| other.key != run.key && items::is_of(other, &item.id);
    let is_own =
        item.section == QueueSection::InProgress && stated && !facts.live_runs().any(other);
    is_own.then_some(item)
}

/// Whether a READY item remains that this failure says nothing about: it neither depends on the failed item nor
/// shares its script or configuration (contradiction 16).
fn independent_work(facts: &Facts, ending: &Ending<'_>) -> bool {
    let failed = ending.run.queue_id.as_deref().and_then(|id| facts.item(id));
    let Some(failed) = failed else {
        return items::ready_item(facts).is_some();
    };
    facts.queue.iter().any(|item| {
        items::is_ready(facts, item)
            && item.id != failed.id
            && has_other_script(item, failed)
            && (item.config.is_none() || item.config != failed.config)
    })
}

/// Whether an item runs another script than the failed one. Which files there are is not known here, so
/// this is said only of what the two items name: an item that names none runs the only script that there is, or one of
/// its own name, which differs from the failed one only where that is called after the failed item.
fn has_other_script(item: &QueueItem, failed: &QueueItem) -> bool {
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    match (&item.script, &failed.script) {
        (Some(own), Some(failed)) => name(own) != name(failed),
        (Some(own), None) => !is_called_after(&name(own), &failed.id),
        (None, Some(path)) => is_called_after(&name(path), &failed.id),
        (None, None) => false,
    }
}

fn result_ledger(ending: &Ending<'_>, status: &str, now: Timestamp) -> ResultLedger {
    let (run, diagnosis) = (&ending.run.key, ending.diagnosis);
    ResultLedger {
        version: ledger::VERSION,
        run_id: run.run_id.clone().unwrap_or_default(),
        status: status.to_owned(),
        reports: ending.reports.to_vec(),
        failure_class: diagnosis.class.name().to_owned(),
        suspicious: diagnosis.suspicious,
        summary: headline(diagnosis),
        logs: ending.logs.to_vec(),
        recorded_at: stamp(now),
    }
}

fn write_ledger(draft: &mut Draft<'_>, ending: &Ending<'_>, result: &ResultLedger) {
    if let Some(run) = run_id(&ending.run.key) {
        draft.replace(ledger::path(&run, ledger::RESULT), ledger::json(result));
    }
}

fn run_id(key: &RunKey) -> Option<RunId> {
    key.run_id.as_deref().and_then(|id| id.parse().ok())
}

fn write_documents(
    draft: &mut Draft<'_>,
    ending: &Ending<'_>,
    consequence: Consequence,
    result: &ResultLedger,
) {
    draft.file(
        layout::DEBUGGING,
        FileEdit::DebuggingEntry(entry(ending, consequence, draft.now)),
    );
    let key = &ending.run.key;
    if let Some(item) = own_item(draft.facts, ending.run) {
        let (to, status) = match consequence {
            Consequence::Retry => (
                QueuePlace::Ready,
                format!("{}; it is submitted again", result.status),
            ),
            Consequence::Success | Consequence::GoOn | Consequence::Block => (
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
                id: item.id.clone(),
                to,
                lines,
            },
        );
    }
    if let Some(run) = run_id(key) {
        draft.replace(
            ledger::path(&run, ledger::RESULTS),
            ledger::results(result, &[]),
        );
        draft.file(
            layout::RESULTS_SUMMARY,
            super::check::summary_row(ending.run, result),
        );
    }
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

fn next_phase(draft: &mut Draft<'_>, ending: &Ending<'_>, consequence: Consequence) {
    let facts = draft.facts;
    let others = facts
        .live_runs()
        .filter(|run| run.key != ending.run.key)
        .count();
    if others == 0 && facts.view.slurm_wait.next_poll_after.is_some() {
        draft.wait([("next_poll_after", Value::Null)]);
    }
    if consequence == Consequence::Block {
        draft.phase(&Phase::Debug);
        let hint = format!(
            "see {} in documentation/debugging.md",
            entry_key(&ending.run.key)
        );
        draft.next_action(Some((&subject(ending.diagnosis), &hint)));
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
pub(crate) fn name(key: &RunKey) -> String {
    match (&key.run_id, &key.job_id) {
        (Some(run), _) => run.clone(),
        (None, Some(job)) => format!("the run of job {job}"),
        (None, None) => format!("active_runs[{}]", key.index),
    }
}
