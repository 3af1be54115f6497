//! Works that wait on their branches since the base could not be moved to them, such as over a checkout with changes: the
//! next start takes them up as attempts that were cut off just before they went onto it.
//!
//! What must never be here: a branch that is on a remote, is checked out, or has more on it than the attempt has left. Then
//! somebody looks at it, or goes on with it.

use crate::attempt::{AttemptRecord, Phase};
use crate::plan::{Delivered, Standing};
use crate::pool::{PoolError, Shop};
use crate::record::AttemptLine;
use crate::task::Task;

/// The attempts to go on with, each on disk. After a crash they are found there, or as worktrees of nobody.
pub(crate) async fn take_up(shop: &Shop) -> Result<Vec<AttemptRecord>, PoolError> {
    let waiting = shop.plan.read()?.tasks.into_iter();
    let waiting: Vec<_> = waiting
        .filter_map(|planned| match planned.standing {
            Standing::Delivered(Some(delivered)) => Some((planned.task, delivered)),
            _ => None,
        })
        .collect();
    if waiting.is_empty() {
        return Ok(Vec::new());
    }
    let known = shop.records.attempts()?;
    let mut taken = Vec::new();
    for (task, delivered) in waiting {
        taken.extend(one(shop, &task, &delivered, &known).await?);
    }
    Ok(taken)
}

async fn one(
    shop: &Shop,
    task: &Task,
    delivered: &Delivered,
    known: &[AttemptLine],
) -> Result<Option<AttemptRecord>, PoolError> {
    let site = shop.site(task.repository.as_deref());
    let Some(site) = site.filter(|site| site.delivery.is_none()) else {
        return Ok(None);
    };
    let taken = site.worktrees.take_up(&delivered.branch, &delivered.commit);
    let Some(assigned) = taken.await? else {
        return Ok(None);
    };
    let now = shop.env.now();
    let mut lines = known.iter().rev();
    let line = lines.find(|line| line.branch.as_ref() == Some(&delivered.branch));
    let attempt = match line {
        Some(line) => line.attempt.clone(),
        None => shop.env.ids.op(now).as_str().parse()?,
    };
    let record = AttemptRecord {
        phase: Phase::Delivering,
        assigned: Some(assigned),
        ..AttemptRecord::new(
            attempt,
            task.clone(),
            line.map_or(1, |line| line.number),
            line.map_or(shop.engine.name().as_str(), |line| &line.engine),
            shop.owner.clone(),
            site.git.top(),
            now,
        )
    };
    shop.attempts.begin(&record).await?;
    Ok(Some(record))
}
