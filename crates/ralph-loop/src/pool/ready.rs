//! An attempt made ready before anybody is free for it: task, branch, worktree, prompt and a guard that waits.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ralph_core::error::{Code, Coded as _};
use ralph_core::process::guard::Guard;

use super::PoolError;
use super::shop::{Shop, Site};
use crate::attempt::AttemptRecord;
use crate::engine::AgentOrder;
use crate::outcome::AttemptId;
use crate::plan::{Claim, PlanError, Wish};
use crate::prompt;
use crate::task::{Task, TaskKey};
use crate::worktree::Assigned;

/// An attempt that only waits for a worker.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) record: AttemptRecord,
    pub(super) site: Arc<Site>,
    pub(super) assigned: Assigned,
    pub(super) order: AgentOrder,
    pub(super) guard: Guard,
    /// Since when its base may have moved, by the clock that is never set: when that was looked at.
    pub(super) since: Duration,
}

/// A base that has moved within so long is not looked for: short tasks come one right after the other.
const FRESH: Duration = Duration::from_secs(1);

/// Makes the next attempt ready, of a task that is not to be skipped; `None` when the plan has nothing for us now.
pub(super) async fn prepare(
    shop: Rc<Shop>,
    skip: BTreeSet<TaskKey>,
    number_of: impl Fn(&TaskKey) -> u32,
) -> Result<Option<Ready>, PoolError> {
    let now = shop.env.now();
    let attempt: AttemptId = shop.env.ids.op(now).as_str().parse()?;
    let Some(task) = claim(&shop, skip, &attempt).await? else {
        return Ok(None);
    };
    let number = number_of(&task.key);
    match equip(&shop, &task, &attempt, number).await {
        Ok(ready) => Ok(Some(ready)),
        Err(error) => {
            give_back(&shop, &task, &attempt).await?;
            Err(error)
        }
    }
}

/// That the task that was named can be taken.
pub(super) fn check_named(shop: &Shop) -> Result<(), PoolError> {
    let named = shop.settings.task.as_deref();
    named.map_or(Ok(()), |task| Ok(shop.plan.find(task).map(drop)?))
}

async fn claim(
    shop: &Shop,
    skip: BTreeSet<TaskKey>,
    attempt: &AttemptId,
) -> Result<Option<Task>, PoolError> {
    let plan = Arc::clone(&shop.plan);
    let (attempt, now) = (attempt.clone(), shop.env.now());
    let (only, repositories) = (
        shop.settings.task.clone(),
        shop.settings.repositories.clone(),
    );
    // A task that was named is tried again as often as it may be, and then there is nothing else.
    let was_tried = only.is_some() && shop.named.get().is_some();
    if only.is_some() && !skip.is_empty() {
        return Ok(None);
    }
    let (id, wanted) = (attempt.clone(), only);
    let claimed = tokio::task::spawn_blocking(move || {
        let wish = Wish {
            task: wanted.as_deref(),
            skip: &skip,
            repositories: repositories.as_ref(),
        };
        plan.claim(&wish, &id, now)
    });
    match claimed.await? {
        Ok(Claim::Taken(task)) if was_tried && shop.named.get() != Some(&task.key) => {
            let plan = Arc::clone(&shop.plan);
            tokio::task::spawn_blocking(move || plan.revert(&task, &attempt)).await??;
            Ok(None)
        }
        Ok(Claim::Taken(task)) => {
            shop.named.get_or_init(|| task.key.clone());
            Ok(Some(task))
        }
        Ok(Claim::NothingOpen { .. }) => Ok(None),
        Err(
            PlanError::NotFound { .. }
            | PlanError::Completed { .. }
            | PlanError::Delivered { .. }
            | PlanError::Held { .. },
        ) if was_tried => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Everything that an agent needs, with each step on disk before it is done.
async fn equip(
    shop: &Shop,
    task: &Task,
    attempt: &AttemptId,
    number: u32,
) -> Result<Ready, PoolError> {
    let site = shop
        .site(task.repository.as_deref())
        .ok_or_else(|| PoolError::NoRepository(task.repository.clone().unwrap_or_default()))?;
    let mut record = AttemptRecord::new(
        attempt.clone(),
        task.clone(),
        number,
        shop.engine.name().as_str(),
        shop.owner.clone(),
        site.git.top(),
        shop.env.now(),
    );
    shop.attempts.begin(&record).await?;
    // The guard starts while git makes the worktree, and nobody stands still for either.
    let program = shop.guard.clone();
    let guard = tokio::task::spawn_blocking(move || Guard::start(&program));
    let since = shop.env.clock.monotonic();
    let assigned = assigned(site, task).await?;
    record.assigned = Some(assigned.clone());
    let ready = async { furnish(shop, &mut record, site, &assigned, guard.await??) };
    match ready.await {
        Ok((order, guard)) => Ok(Ready {
            record,
            site: Arc::clone(site),
            assigned,
            order,
            guard,
            since,
        }),
        Err(error) => {
            if let Err(stays) = vacate(shop, site, &assigned).await {
                shop.note(words(&stays));
            }
            Err(error)
        }
    }
}

/// What an attempt needs once it has its worktree.
fn furnish(
    shop: &Shop,
    record: &mut AttemptRecord,
    site: &Site,
    assigned: &Assigned,
    guard: Guard,
) -> Result<(AgentOrder, Guard), PoolError> {
    // From here on its agent may run: whoever starts after a crash finds the guard, and by it what it left.
    record.guard = guard.identity().cloned();
    shop.attempts.write(record)?;
    let order = order(shop, site, record, assigned);
    ralph_core::store::atomic::stage_unsynced(&order.prompt_file, order.prompt.as_bytes(), None)?
        .publish()?;
    Ok((order, guard))
}

/// Gives back a worktree that no agent was in, and its branch.
async fn vacate(shop: &Shop, site: &Site, assigned: &Assigned) -> Result<(), PoolError> {
    let now = shop.env.now();
    let (kept, spare) = site
        .worktrees
        .keep(assigned, "ralph: not begun", now)
        .await?;
    site.put_by(spare);
    if let Some(kept) = kept {
        shop.note(format!("{}: somebody worked in it", kept.branch));
    }
    Ok(())
}

/// Brings an attempt that has waited for a worker onto the base as it is now, so that its agent builds on what was merged
/// meanwhile instead of against it. Where that cannot be done it stays where it is.
pub(super) async fn freshen(shop: &Shop, ready: &mut Ready) {
    let waited = shop.env.clock.monotonic().saturating_sub(ready.since);
    if waited < FRESH {
        return;
    }
    if let Err(error) = advance(shop, ready).await {
        shop.note(format!(
            "{} begins on the base as it was when it was made ready: {}",
            ready.record.task.id,
            words(&error)
        ));
    }
}

async fn advance(shop: &Shop, ready: &mut Ready) -> Result<(), PoolError> {
    let worktrees = &ready.site.worktrees;
    if worktrees.is_at_base(&ready.assigned).await? {
        return Ok(());
    }
    // Whoever finds it in between finds an attempt that has no worktree yet.
    ready.record.assigned = None;
    let begun = shop.attempts.write(&ready.record);
    let advanced = match begun {
        Ok(()) => worktrees
            .advance(&ready.assigned)
            .await
            .map_err(PoolError::from),
        Err(error) => Err(error.into()),
    };
    if let Ok(Some(advanced)) = &advanced {
        ready.assigned.clone_from(advanced);
    }
    // Known again, wherever it is.
    ready.record.assigned = Some(ready.assigned.clone());
    shop.attempts.write(&ready.record)?;
    advanced.map(drop)
}

/// A worktree with a branch for the task. A spare one that somebody has removed meanwhile is replaced by a new one.
async fn assigned(site: &Site, task: &Task) -> Result<Assigned, PoolError> {
    // An agent that works meanwhile may have left settings with which git does not.
    site.worktrees.mend_settings().await?;
    if let Some(spare) = site.spare() {
        match site.worktrees.assign(spare, &task.name()).await {
            Ok(assigned) => return Ok(assigned),
            Err(error) => tracing::warn!(%error, "a spare worktree cannot be used"),
        }
    }
    let prepared = site.worktrees.prepare().await?;
    Ok(site.worktrees.assign(prepared, &task.name()).await?)
}

fn order(shop: &Shop, site: &Site, record: &AttemptRecord, assigned: &Assigned) -> AgentOrder {
    let folder = shop.attempts.folder(&record.attempt);
    let history = shop.history.borrow();
    let gates = site.gates.of(&assigned.path).into_iter();
    let gates: Vec<String> = gates.map(|gate| gate.command).collect();
    let text = prompt::prompt(&prompt::PromptParts {
        task: &record.task,
        worktree: &assigned.path.display().to_string(),
        repository: &site.git.top().display().to_string(),
        branch: &assigned.branch,
        gates: &gates,
        history: history.get(&record.task.key),
        instructions: shop.settings.prompt.as_deref(),
    });
    AgentOrder {
        attempt: record.attempt.clone(),
        task: record.task.clone(),
        prompt: text,
        prompt_file: folder.join("prompt.md"),
        worktree: assigned.path.clone(),
        branch: assigned.branch.clone(),
        project: site.label.clone(),
    }
}

/// Gives a ready attempt back: nothing of it stays.
pub(super) async fn release(shop: &Shop, ready: Ready) -> Result<(), PoolError> {
    drop(ready.guard);
    vacate(shop, &ready.site, &ready.assigned).await?;
    give_back(shop, &ready.record.task, &ready.record.attempt).await
}

/// Opens a task again and forgets its attempt.
pub(super) async fn give_back(
    shop: &Shop,
    task: &Task,
    attempt: &AttemptId,
) -> Result<(), PoolError> {
    let plan = Arc::clone(&shop.plan);
    let (task, id) = (task.clone(), attempt.clone());
    tokio::task::spawn_blocking(move || plan.revert(&task, &id)).await??;
    Ok(shop.attempts.close(attempt)?)
}

/// The words for a failure in one line, its causes included. Git's own are often several.
pub(super) fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    crate::event::one_line(&text)
}

/// Says what went wrong, and what to do about it.
pub(super) fn tell(shop: &Shop, what: &str, error: &PoolError) {
    shop.note(format!("{what}: {}", words(error)));
    if let Some(hint) = error.hint() {
        shop.note(format!("hint: {hint}"));
    }
}

/// Whether a failure will be there again however often it is tried.
pub(super) fn is_final(error: &PoolError) -> bool {
    let is_about_the_named_task = matches!(
        error,
        PoolError::Plan(
            PlanError::NotFound { .. }
                | PlanError::Completed { .. }
                | PlanError::Held { .. }
                | PlanError::Delivered { .. }
        )
    );
    is_about_the_named_task
        || matches!(
            error.code(),
            Code::CorruptState | Code::NoFixPlan | Code::NewerFormat | Code::Usage
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_failure_are_one_line() {
        let error = crate::git::GitError::Failed {
            command: "git add".to_owned(),
            how: "exit 128".to_owned(),
            stderr: "error: filter\nfatal: a.x".to_owned(),
        };
        let text = words(&error);
        assert!(text.ends_with("error: filter fatal: a.x"), "{text}");
    }
}
