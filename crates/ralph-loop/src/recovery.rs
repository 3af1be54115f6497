//! What a killed loop left behind is found, ended, kept and taken up again.
//!
//! Runs under the repository's loop lock, before anything else. Processes first: nothing may still write where work
//! is about to be captured. Then each attempt from where its record says it was, then worktrees and claims that
//! belong to none, then what waits for the base ([`waiting`]). All of it can be done again after a crash.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ralph_core::process::guard::sweep_attempts;

use crate::attempt::{AttemptRecord, Found};
use crate::event::{Event, one_line};
use crate::outcome::Outcome;
use crate::pool::{Finishing, PoolError, Shop, resume};
use crate::waiting;

/// Time between TERM and KILL for what an agent left running.
const GRACE: Duration = Duration::from_secs(2);

/// Puts right what an earlier loop left. The answer is how many attempts could not be settled: each is told, and stays
/// for the next start.
///
/// # Errors
/// The attempts or the plan cannot be read.
pub(crate) async fn recover(shop: &Rc<Shop>) -> Result<usize, PoolError> {
    let found = shop.attempts.list()?;
    end_processes(shop, &found).await;
    break_locks(shop).await?;
    let mut unsettled = 0;
    for found in found {
        match found {
            Found::Empty(attempt) => shop.attempts.close(&attempt)?,
            Found::Record(record) => unsettled += usize::from(!settle(shop, *record).await?),
            // Its worktree and its claim are found without it, as those of nobody.
            Found::Damaged(_, problem) => shop.note(format!(
                "{problem}; its task is open again and its work is on a branch. Delete the folder when it is of no use."
            )),
        }
    }
    sweep_worktrees(shop).await?;
    recover_claims(shop).await?;
    for record in waiting::take_up(shop).await? {
        unsettled += usize::from(!settle(shop, record).await?);
    }
    Ok(unsettled)
}

/// Locks of git commands that were killed with their agents would make every later one wait and fail.
async fn break_locks(shop: &Shop) -> Result<(), PoolError> {
    for site in shop.sites.values() {
        if let Some(wait) = site.git.break_abandoned_locks(shop.env.now())? {
            tokio::time::sleep(wait).await;
            site.git.break_abandoned_locks(shop.env.now())?;
        }
    }
    Ok(())
}

/// Ends what agents of a killed loop, and of a killed guard, left running.
async fn end_processes(shop: &Shop, found: &[Found]) {
    let attempts = found.iter().map(|found| found.attempt().to_string());
    let guards = found.iter().filter_map(Found::guard);
    let remaining = sweep_attempts(attempts.collect(), guards.collect(), GRACE).await;
    if !remaining.is_empty() {
        shop.note(format!(
            "processes of an agent that cannot be ended: {remaining:?}"
        ));
    }
}

/// One attempt, from where it was. `false`: it could not be settled.
async fn settle(shop: &Rc<Shop>, record: AttemptRecord) -> Result<bool, PoolError> {
    let (id, task) = (record.attempt.clone(), record.task.clone());
    let Some(site) = shop.site(task.repository.as_deref()).map(Arc::clone) else {
        shop.note(format!(
            "{id}: its repository {:?} is not part of this workspace; it is left",
            task.repository
        ));
        return Ok(true);
    };
    let Some(assigned) = record.assigned.clone() else {
        // Nothing of it exists but the claim, which is given back with the others.
        shop.attempts.close(&id)?;
        return Ok(true);
    };
    shop.plan.adopt(&task.key, &id)?;
    let finishing = Finishing {
        record,
        site,
        assigned,
        is_resumed: true,
        returning: None,
    };
    match resume(Rc::clone(shop), finishing).await {
        Ok(finished) => {
            let line = &finished.line;
            let mut what = format!("{}: {}", task.id, line.outcome);
            if let (Some(branch), false) = (&line.branch, line.pushed) {
                what = format!("{what}, its work is on {branch}");
            }
            if let (Outcome::Done, Some(reason)) = (line.outcome, &line.reason) {
                what = format!("{what}: {reason}");
            }
            if line.outcome == Outcome::GatesFailed {
                // It waited for the base, and does not fit any more.
                shop.plan.forget_delivered(&task.key)?;
            }
            shop.tell(&Event::Recovered { what });
            if let Some(url) = &line.pull_request {
                shop.tell(&Event::PullRequest { url: url.clone() });
                shop.recovered_pull_requests.borrow_mut().push(url.clone());
            }
            Ok(true)
        }
        Err(error) => {
            shop.note(format!(
                "{}: cannot be settled: {}",
                task.id,
                one_line(&error.to_string())
            ));
            Ok(false)
        }
    }
}

/// Worktrees that belong to no attempt.
async fn sweep_worktrees(shop: &Shop) -> Result<(), PoolError> {
    let found = shop.attempts.list()?.into_iter();
    let alive: Vec<_> = found
        .filter_map(|found| match found {
            Found::Record(record) => record.assigned,
            Found::Empty(_) | Found::Damaged(..) => None,
        })
        .collect();
    for site in shop.sites.values() {
        // What the settled attempts left clean goes too: a sweep knows no owner but attempts.
        site.close().await?;
        let alive = alive.iter().filter(|assigned| site.worktrees.has(assigned));
        let alive: Vec<_> = alive.map(|assigned| assigned.path.clone()).collect();
        for swept in site.worktrees.sweep(&alive, shop.env.now()).await? {
            let what = match (&swept.kept, &swept.problem) {
                (_, Some(problem)) => format!("{} stays: {problem}", swept.path.display()),
                (Some(kept), None) => {
                    format!("work in {} is on {}", swept.path.display(), kept.branch)
                }
                (None, None) => continue,
            };
            shop.tell(&Event::Recovered { what });
        }
        site.worktrees
            .take_notes()
            .into_iter()
            .for_each(|note| shop.note(note));
        for branch in site.worktrees.take_asides(None) {
            let what = format!("commits that an agent left are on {branch}");
            shop.tell(&Event::Recovered { what });
        }
    }
    Ok(())
}

/// Claims of processes that are gone, and deliveries whose branch is.
async fn recover_claims(shop: &Shop) -> Result<(), PoolError> {
    let mut branches = BTreeSet::new();
    for site in shop.sites.values() {
        for (reference, _) in site.git.branches(&["refs/heads/", "refs/remotes/"]).await? {
            let name = reference.strip_prefix("refs/heads/").or_else(|| {
                let remote = reference.strip_prefix("refs/remotes/")?;
                remote.split_once('/').map(|(_, name)| name)
            });
            branches.extend(name.map(str::to_owned));
        }
    }
    let recovered = shop.plan.recover(&|branch| branches.contains(branch))?;
    for claim in &recovered.claims {
        let what = format!("{} is open again", claim.task.id);
        shop.tell(&Event::Recovered { what });
    }
    for (task, delivered) in &recovered.forgotten {
        let what = format!("{} is open again: {} is gone", task.id, delivered.branch);
        shop.tell(&Event::Recovered { what });
    }
    for standing in &recovered.standing {
        shop.note(format!("a task is held by {standing}"));
    }
    Ok(())
}
