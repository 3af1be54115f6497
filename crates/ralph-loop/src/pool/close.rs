//! Writes down how an attempt ended, then does what follows from that: its worktree is given back, its task settled. After
//! a crash in between, all of it is done again.

use std::sync::Arc;

use super::PoolError;
use super::aside;
use super::attempt_end::End;
use super::finish::{Finished, Finishing};
use super::shop::Shop;
use crate::attempt::{AttemptRecord, Closing, ForTask};
use crate::budget::Settlement;
use crate::outcome::Outcome;
use crate::plan::Settled;
use crate::record::{AttemptLine, SCHEMA_VERSION};
use crate::task::Task;

pub(super) async fn close(
    shop: &Shop,
    mut attempt: Finishing,
    mut end: End,
) -> Result<Finished, PoolError> {
    aside::tell_of(shop, &attempt, &mut end).await?;
    // A delivery that failed is not over: its record stays as it is, and the next start sends it again.
    let is_over = end.closing.outcome != Outcome::DeliveryFailed;
    if is_over {
        attempt.record.closing = Some(end.closing.clone());
        shop.attempts.write_durably(&attempt.record).await?;
    }
    if let Some(safe) = &end.safe {
        aside::release(shop, &attempt, safe, end.closing.merged).await;
    }
    let line = line(shop, &attempt.record, &end.closing);
    settle(shop, &attempt, end.closing.task, &line).await?;
    if is_over {
        shop.attempts.close(&attempt.record.attempt)?;
    }
    shop.remember(&line, attempt.record.printed.take());
    Ok(Finished {
        line,
        ended: end.ended,
        halt: end.halt,
        is_misconfigured: end.is_misconfigured,
    })
}

/// The budget, the history, the plan.
async fn settle(
    shop: &Shop,
    attempt: &Finishing,
    what: ForTask,
    line: &AttemptLine,
) -> Result<(), PoolError> {
    let record = &attempt.record;
    let settlement = if line.spent {
        Settlement::Spent
    } else {
        Settlement::Returned
    };
    shop.budget.settle(&record.attempt, settlement)?;
    if !(attempt.is_resumed && is_recorded(shop, line)?) {
        shop.records.append(line).await?;
    }
    let plan = Arc::clone(&shop.plan);
    let (task, id) = (record.task.clone(), record.attempt.clone());
    let told = tokio::task::spawn_blocking(move || match what {
        ForTask::Open => plan.revert(&task, &id),
        ForTask::Done => plan.complete(&task, &id),
        ForTask::Delivered(delivered) => plan.record_delivered(&task, &id, &delivered),
    });
    if told.await?? == Settled::Gone {
        shop.note(gone(&record.task));
    }
    Ok(())
}

fn gone(task: &Task) -> String {
    format!(
        "{}: its row is not in the plan any more, so no mark is set: {}. A `[~]` that is left of it is to be changed by hand",
        task.id, task.row.text
    )
}

fn is_recorded(shop: &Shop, line: &AttemptLine) -> Result<bool, PoolError> {
    let same = |known: &AttemptLine| known.attempt == line.attempt && known.outcome == line.outcome;
    Ok(shop.records.attempts()?.iter().any(same))
}

fn line(shop: &Shop, record: &AttemptRecord, closing: &Closing) -> AttemptLine {
    AttemptLine {
        schema_version: SCHEMA_VERSION,
        attempt: record.attempt.clone(),
        task_id: record.task.id.clone(),
        task_key: record.task.key.clone(),
        task: record.task.row.text.clone(),
        repository: record.task.repository.clone(),
        number: record.number,
        engine: record.engine.clone(),
        started: record.started,
        ended: shop.env.now(),
        agent_seconds: record.agent_seconds,
        outcome: closing.outcome,
        spent: closing.outcome.spends(),
        reason: closing.reason.clone(),
        branch: closing.branch.clone(),
        commit: closing.commit.clone(),
        merged: closing.merged,
        pushed: closing.pushed,
        pull_request: closing.pull_request.clone(),
        compare_url: closing.compare_url.clone(),
        checks: record.checks.clone(),
        usage: record.usage,
        session_id: record.session_id.clone(),
        log: record.log.clone(),
    }
}
