//! What a work order or the tests change.

use std::time::Duration;

use ralph_docs::debugging::Entry;
use ralph_docs::queue::QueueSection;

use crate::change::{ChangeSet, EntryText, FileEdit, QueuePlace};
use crate::ledger;
use crate::order::{IssuedOrder, OrderKind, OrderOutcome, WorkOrder};
use crate::phase::Phase;
use crate::plan::{Context, backoff, items};
use crate::settle::words::{lines, one_line};
use crate::settle::{Draft, SET_BY_AGENT};
use crate::store::layout;
use crate::time::{Timestamp, stamp};
use crate::world::Facts;

/// An agent that ended so often without a result is not sent again: a person is asked.
const ATTEMPTS: u32 = 2;

/// Settles the outcome of a work order: the todo item, the debugging entry or the debate says what happened.
#[must_use]
pub(crate) fn settled(
    facts: &Facts,
    order: &WorkOrder,
    outcome: &OrderOutcome,
    context: &Context<'_>,
) -> ChangeSet {
    let mut draft = Draft::new(facts, context.now);
    match outcome {
        OrderOutcome::HandedOut => handed_out(&mut draft, order, 0),
        OrderOutcome::Done { summary } => done(&mut draft, order, summary),
        OrderOutcome::NoChange { summary } => {
            again(&mut draft, order, "no change", summary);
        }
        OrderOutcome::Failed { reason } => {
            again(&mut draft, order, "failed", reason);
        }
        OrderOutcome::NeedsInput { prompt } => {
            draft.ask(&one_line(prompt), SET_BY_AGENT);
            draft.event("ASK", &one_line(prompt));
        }
        OrderOutcome::UsageLimit { resets_at } => {
            usage_limit(&mut draft, order, *resets_at, context.settings.poll.base);
        }
    }
    draft.finish(format!(
        "{} {}: {}",
        order.kind.as_str(),
        order.target,
        word(outcome)
    ))
}

/// The outcome in one word.
#[must_use]
pub(crate) fn word(outcome: &OrderOutcome) -> &'static str {
    match outcome {
        OrderOutcome::HandedOut => "handed out",
        OrderOutcome::Done { .. } => "done",
        OrderOutcome::NoChange { .. } => "no change",
        OrderOutcome::Failed { .. } => "failed",
        OrderOutcome::NeedsInput { .. } => "needs input",
        OrderOutcome::UsageLimit { .. } => "usage limit",
    }
}

fn handed_out(draft: &mut Draft<'_>, order: &WorkOrder, attempts: u32) {
    let known = known(draft, order);
    let issued = IssuedOrder {
        version: 1,
        kind: order.kind,
        target: order.target.clone(),
        issued_at: known.map_or(draft.now, |issued| issued.issued_at),
        attempts,
        not_before: None,
    };
    issue(draft, &issued);
    // The question of a debate stands in `next_action` already, and must stay there.
    if known.is_none() && order.kind != OrderKind::Debate {
        draft.next_action(Some((&one_line(&order.title), &order.done_when)));
    }
}

fn issue(draft: &mut Draft<'_>, issued: &IssuedOrder) {
    draft.replace(layout::ORDER, ledger::json(issued));
}

/// The same order, where it has been handed out before.
fn known<'a>(draft: &Draft<'a>, order: &WorkOrder) -> Option<&'a IssuedOrder> {
    let issued = draft.facts.order.as_ref();
    issued.filter(|issued| issued.is_for(order))
}

/// Nothing was spent: the same order is tried again when the limit resets, or after the usual interval.
fn usage_limit(
    draft: &mut Draft<'_>,
    order: &WorkOrder,
    resets_at: Option<Timestamp>,
    interval: Duration,
) {
    let known = known(draft, order);
    let later = backoff::later(draft.now, interval);
    let issued = IssuedOrder {
        version: 1,
        kind: order.kind,
        target: order.target.clone(),
        issued_at: known.map_or(draft.now, |issued| issued.issued_at),
        attempts: known.map_or(0, |issued| issued.attempts),
        not_before: Some(resets_at.filter(|at| *at > draft.now).unwrap_or(later)),
    };
    issue(draft, &issued);
}

fn done(draft: &mut Draft<'_>, order: &WorkOrder, summary: &str) {
    let (facts, now) = (draft.facts, stamp(draft.now));
    let note = if summary.trim().is_empty() {
        "done by the agent".to_owned()
    } else {
        one_line(summary)
    };
    match order.kind {
        OrderKind::Implement => {
            let lines = lines([("Done", &format!("{note} ({now})"))]);
            draft.file(
                layout::TODO,
                FileEdit::Todo {
                    task: order.target.clone(),
                    done: true,
                    lines,
                },
            );
        }
        OrderKind::Debug => {
            resolve(draft, order, &format!("{note} ({now})"));
            requeue(draft, order);
        }
        OrderKind::Test => leave(draft, &Phase::Test, &Phase::Run),
        OrderKind::Debate => {
            let key = format!("{}/{now}", order.target);
            let body = vec![format!("Decided {now}."), note.clone()];
            draft.file(
                layout::DEBATES,
                FileEdit::Debate {
                    title: order.title.clone(),
                    key,
                    body,
                },
            );
            leave(draft, &Phase::Debate, &next_work(facts));
        }
    }
    if facts.order.is_some() {
        draft.file(layout::ORDER, FileEdit::Remove);
    }
    draft.next_action(Some((
        &format!("{}: {note}", order.target),
        "dispatch takes the next step",
    )));
    draft.event(
        &order.kind.as_str().to_uppercase(),
        &format!("{}: {note}", order.target),
    );
}

/// Moves on from the phase that the order was for, unless the agent or a person has moved the project already.
fn leave(draft: &mut Draft<'_>, from: &Phase, to: &Phase) {
    if draft.facts.phase() == from {
        draft.phase(to);
    }
}

/// RUN where something can be submitted, else IMPLEMENT.
fn next_work(facts: &Facts) -> Phase {
    match items::ready_item(facts) {
        Some(_) => Phase::Run,
        None => Phase::Implement,
    }
}

/// Ticks an entry of the machine. One that a person wrote is ticked by whoever mended it.
fn resolve(draft: &mut Draft<'_>, order: &WorkOrder, note: &str) {
    let keyed = |entry: &Entry| entry.key.as_ref() == Some(&order.target);
    if draft.facts.debugging.iter().any(keyed) {
        draft.file(
            layout::DEBUGGING,
            FileEdit::DebuggingResolved {
                key: order.target.clone(),
                note: note.to_owned(),
            },
        );
    }
}

/// A mended failure runs again: its item goes back to READY unless the agent has moved it already.
fn requeue(draft: &mut Draft<'_>, order: &WorkOrder) {
    let facts = draft.facts;
    let run = order.target.split('/').next().unwrap_or("");
    let item = facts
        .view
        .completed_runs
        .iter()
        .find(|found| found.key.run_id.as_deref() == Some(run));
    let item = item
        .and_then(|found| found.queue_id.as_deref())
        .and_then(|id| facts.item(id));
    let failed = item.filter(|item| item.section == QueueSection::Failed);
    if let Some(item) = failed {
        let lines = lines([("Status", "mended; it runs again")]);
        draft.file(
            layout::QUEUE,
            FileEdit::Queue {
                id: item.id.clone(),
                to: QueuePlace::Ready,
                lines,
            },
        );
    }
    let is_other = |entry: &&Entry| {
        let target = Some(order.target.as_str());
        let named = [entry.key.as_deref(), entry.id.as_deref()];
        !named.contains(&target) && entry.title != order.target
    };
    let mut blocking = facts
        .debugging
        .iter()
        .filter(|entry| entry.open && entry.blocking && entry.key.is_some());
    if !blocking.any(|entry| is_other(&entry)) {
        let next = match failed {
            Some(_) => Phase::Run,
            None => next_work(facts),
        };
        leave(draft, &Phase::Debug, &next);
    }
}

/// The agent ended without a result: tried again a bounded number of times, then a person is asked.
fn again(draft: &mut Draft<'_>, order: &WorkOrder, what: &str, detail: &str) {
    let attempts = known(draft, order).map_or(0, |issued| issued.attempts) + 1;
    handed_out(draft, order, attempts);
    let detail = one_line(detail);
    draft.event(
        "AGENT",
        &format!(
            "{} {}: {what} (attempt {attempts}). {detail}",
            order.kind.as_str(),
            order.target
        ),
    );
    if attempts >= ATTEMPTS {
        let prompt = format!(
            "The agent ended {attempts} times without a result on {}: {what}. {detail}",
            order.target
        );
        draft.ask(prompt.trim(), SET_BY_AGENT);
    }
}

/// An agent was cut off with whoever waited for it, perhaps half-way through its work: that is told, and counts as nothing.
#[must_use]
pub(crate) fn interrupted(facts: &Facts, work: &str, now: Timestamp) -> ChangeSet {
    let mut draft = Draft::new(facts, now);
    let detail = format!("{}: interrupted; not counted as an attempt", one_line(work));
    draft.event("AGENT", &detail);
    draft.finish(detail)
}

/// The outcome of the test command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TestOutcome {
    /// Whether it exited with zero.
    pub(crate) passed: bool,
    /// `exit 1`, `signal 9`, `time limit of 15 min`.
    pub(crate) how: String,
    /// The command, for the entry.
    pub(crate) command: String,
    /// The last lines of its output.
    pub(crate) tail: String,
}

/// TEST: on to RUN when it passes, to DEBUG with an entry when it does not.
#[must_use]
pub(crate) fn tested(facts: &Facts, outcome: &TestOutcome, context: &Context<'_>) -> ChangeSet {
    let mut draft = Draft::new(facts, context.now);
    let detail = format!("`{}`: {}", one_line(&outcome.command), outcome.how);
    if outcome.passed {
        leave(&mut draft, &Phase::Test, &Phase::Run);
        draft.next_action(Some(("the tests pass", "dispatch submits the next item")));
        draft.event("TEST", &detail);
        return draft.finish("the tests pass");
    }
    let key = format!("test/{}", stamp(context.now));
    let field = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    draft.file(
        layout::DEBUGGING,
        FileEdit::DebuggingEntry(EntryText {
            title: format!("the tests fail: {}", outcome.how),
            key,
            blocking: true,
            fields: vec![
                field("Error", &detail),
                field(
                    "Root cause",
                    "Not known; the last lines of the output are below.",
                ),
                field("Time", &stamp(context.now)),
            ],
            quote: (!outcome.tail.trim().is_empty())
                .then(|| ("Last lines".to_owned(), outcome.tail.clone())),
        }),
    );
    leave(&mut draft, &Phase::Test, &Phase::Debug);
    draft.next_action(Some(("the tests fail", "see documentation/debugging.md")));
    draft.event("TEST", &detail);
    draft.finish("the tests fail")
}
