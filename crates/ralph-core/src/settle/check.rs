//! What CHECK changes: results are written, items moved, the phase goes on. And what a due poll changes.

use serde_json::{Value, json};

use crate::change::{ChangeSet, FileEdit, QueuePlace};
use crate::ledger::{self, ResultLedger};
use crate::phase::Phase;
use crate::pipeline::{NextAction, RunStatus, RunView};
use crate::plan::{Context, backoff, items, verify};
use crate::settle::Draft;
use crate::settle::words::{lines, one_line};
use crate::store::layout;
use crate::time::{Timestamp, stamp};
use crate::world::{Facts, SightedAs, Sightings};

/// The hint of a project whose jobs wait for a person; the machine takes it back when they no longer do.
const STUCK: &str = "dispatch goes on when that is done";

/// Results of the finished runs, each with its ledger's record where there is one.
#[must_use]
pub(crate) fn checked(
    facts: &Facts,
    runs: &[(&RunView, Option<ResultLedger>)],
    context: &Context<'_>,
) -> ChangeSet {
    let mut draft = Draft::new(facts, context.now);
    for (run, result) in runs {
        check_one(&mut draft, run, result.as_ref());
    }
    let names: Vec<&str> = runs
        .iter()
        .filter_map(|(run, _)| run.key.run_id.as_deref())
        .collect();
    draft.event(
        "CHECK",
        &format!("results of {} recorded", names.join(", ")),
    );
    // In other phases, such as IMPLEMENT, the results are noted beside the work that goes on.
    if matches!(facts.phase(), Phase::Run | Phase::WaitSlurm | Phase::Check) {
        draft.phase(&Phase::Check);
    }
    draft.next_action(Some((
        "the results are recorded",
        "dispatch goes on with the next item",
    )));
    draft.finish(format!("check {}", names.join(", ")))
}

fn check_one(draft: &mut Draft<'_>, run: &RunView, result: Option<&ResultLedger>) {
    let success =
        run.status == RunStatus::Completed && result.is_none_or(|result| !result.suspicious);
    let item = run.queue_id.as_deref().and_then(|id| draft.facts.item(id));
    if let (Some(id), Some(result)) = (
        run.key.run_id.as_deref().and_then(|id| id.parse().ok()),
        result,
    ) {
        let artifacts = item.map(|item| item.artifacts.clone()).unwrap_or_default();
        draft.replace(
            ledger::path(&id, ledger::RESULTS),
            ledger::results(result, &artifacts),
        );
        draft.file(layout::RESULTS_SUMMARY, summary_row(run, result));
    }
    if let Some(item) = item {
        let status = result.map_or_else(
            || run.status_text.clone().unwrap_or_default(),
            |result| result.status.clone(),
        );
        draft.file(
            layout::QUEUE,
            FileEdit::Queue {
                id: item.id.clone(),
                to: if success {
                    QueuePlace::Done
                } else {
                    QueuePlace::Failed
                },
                lines: lines([
                    ("Run", run.key.run_id.as_deref().unwrap_or("")),
                    ("Job", run.key.job_id.as_deref().unwrap_or("")),
                    ("Status", &status),
                ]),
            },
        );
    }
}

/// The run's row of `results/summary.md`.
pub(crate) fn summary_row(run: &RunView, result: &ResultLedger) -> FileEdit {
    let ended = result
        .reports
        .iter()
        .filter_map(|report| report.ended)
        .max();
    FileEdit::Summary {
        run: result.run_id.clone(),
        job: run.key.job_id.clone().unwrap_or_default(),
        status: if result.suspicious {
            format!("{} (suspicious)", result.status)
        } else {
            result.status.clone()
        },
        finished: ended.map_or_else(|| result.recorded_at.clone(), stamp),
        note: one_line(&result.summary),
    }
}

/// What is remembered when the queue could not be edited: that these runs are checked all the same.
#[must_use]
pub(crate) fn remembered(facts: &Facts, runs: &[(String, String)], now: Timestamp) -> Sightings {
    let mut sightings = facts.sightings.clone();
    for (run, _) in runs {
        let seen = verify::note(None, SightedAs::Checked, now);
        sightings.entries.insert(items::checked_key(run), seen);
    }
    sightings
}

/// A due poll found the jobs alive: the next one is set. What a person has to do about those that are stuck is what comes
/// next.
#[must_use]
pub(crate) fn polled(facts: &Facts, stuck: &[String], context: &Context<'_>) -> ChangeSet {
    let mut draft = Draft::new(facts, context.now);
    if !stuck.is_empty() {
        draft.next_action(Some((&stuck.join("; "), STUCK)));
    } else if matches!(&facts.view.next_action, NextAction::Action { hint: Some(hint), .. } if hint == STUCK)
    {
        draft.next_action(Some((
            "its jobs are alive",
            "dispatch polls them when they are due",
        )));
    }
    let next = backoff::next(
        &facts.view.slurm_wait,
        &context.settings.poll,
        context.now,
        context.zone,
    );
    draft.wait([
        ("last_polled_at", json!(stamp(context.now))),
        ("next_poll_after", json!(stamp(next))),
    ]);
    draft.finish("poll")
}

/// Only the phase moves on.
#[must_use]
pub(crate) fn advanced(
    facts: &Facts,
    to: &Phase,
    because: &str,
    context: &Context<'_>,
) -> ChangeSet {
    let mut draft = Draft::new(facts, context.now);
    draft.phase(to);
    match to {
        Phase::Done | Phase::Idle => draft.next_action(None),
        _ => draft.next_action(Some((
            because,
            &format!("dispatch takes the next step in {to}"),
        ))),
    }
    if *to != Phase::WaitSlurm
        && facts.live_runs().next().is_none()
        && facts.view.slurm_wait.next_poll_after.is_some()
    {
        draft.wait([("next_poll_after", Value::Null)]);
    }
    let detail = format!("{} to {to}: {because}", facts.phase());
    draft.event("ADVANCE", &detail);
    draft.finish(detail)
}
