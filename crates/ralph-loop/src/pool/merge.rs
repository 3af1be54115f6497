//! Delivery of an attempt's work onto the base branch of its own repository, one at a time.

use std::sync::Arc;

use super::PoolError;
use super::attempt_end::End;
use super::finish::Finishing;
use super::line::Shipment;
use super::shop::{Shop, Site};
use super::tracked::{Marked, PlanState, Tracked};
use crate::gathering::{Coming, Waiting};
use crate::integrate::{Forwarded, Integrated, Left, Made, Order, Turn};

/// How often work is put on top of a base that moves meanwhile.
const TRIES: u32 = 10;

/// How many go onto the base together. Each commit has a plan of its own, and all of them are in memory.
const TOGETHER: usize = 16;

/// Onto the base branch of this repository: with all others that wait for it, or alone.
pub(super) async fn integrate(
    shop: &Shop,
    attempt: &Finishing,
    shipment: &Arc<Shipment>,
    coming: Option<Coming>,
) -> Result<End, PoolError> {
    match together(shop, &attempt.site, shipment, coming).await? {
        Some(made) => Ok(End::merged(made.commit, &shipment.work)),
        // Set apart: it is much larger than the usual way, and rare.
        None => Box::pin(alone(shop, attempt, shipment)).await,
    }
}

/// With those that wait; `None` for a work that has to go alone.
async fn together(
    shop: &Shop,
    site: &Site,
    shipment: &Arc<Shipment>,
    coming: Option<Coming>,
) -> Result<Option<Made>, PoolError> {
    let mut answer = site.line.join(shipment);
    drop(coming);
    loop {
        let turn = tokio::select! {
            biased;
            // Whoever took it along and failed has left it as it was.
            answer = &mut answer => return Ok(answer.unwrap_or(None)),
            turn = site.integrator.turn() => turn,
        };
        match turn {
            Ok(turn) => {
                let group = site.line.gather(TOGETHER).await;
                lead(shop, site, turn, group).await?;
            }
            Err(error) => {
                site.line.leave(shipment);
                // The sender is gone where nobody has taken it along.
                return answer.await.map_err(|_| error.into());
            }
        }
    }
}

/// Moves the base to all of these works that go together, and tells each what became of it.
async fn lead(
    shop: &Shop,
    site: &Site,
    mut turn: Turn,
    group: Vec<Waiting<Shipment, Option<Made>>>,
) -> Result<(), PoolError> {
    let mut answers = vec![None; group.len()];
    for _ in 0..TRIES {
        let plan = tracked(shop, site).await?;
        let orders: Vec<Order<'_>> = group
            .iter()
            .map(|waiting| plan.order(&waiting.request))
            .collect();
        let made = site.integrator.in_line(&turn, &site.worktrees, &orders);
        let made = made.await?;
        let Some(last) = made.iter().flatten().next_back().cloned() else {
            break;
        };
        let forwarded;
        (forwarded, turn) = forward(shop, site, turn, last, &plan).await?;
        if forwarded == Forwarded::Moved {
            answers = made;
            break;
        }
        let back = site
            .integrator
            .step_back(&turn, &site.worktrees, &orders, &made);
        back.await?;
        if forwarded != Forwarded::Left(Left::BaseMoved) && !learned(site, &plan, &forwarded) {
            break;
        }
    }
    drop(turn);
    for (waiting, made) in group.into_iter().zip(answers) {
        // One that is not there any more needs no answer.
        let _ = waiting.answer.send(made);
    }
    Ok(())
}

async fn alone(shop: &Shop, attempt: &Finishing, shipment: &Shipment) -> Result<End, PoolError> {
    let (site, work) = (&attempt.site, &shipment.work);
    let mut turn = site.integrator.turn().await?;
    for remaining in (0..TRIES).rev() {
        let plan = tracked(shop, site).await?;
        let order = plan.order(shipment);
        let onto = site.integrator.onto_base(&turn, &site.worktrees, &order);
        let made = match onto.await? {
            Integrated::Made(made) => made,
            Integrated::Conflict { commit, paths } => {
                return Ok(End::conflict(attempt, commit, work, &paths));
            }
        };
        let forwarded;
        (forwarded, turn) = forward(shop, site, turn, made.clone(), &plan).await?;
        match forwarded {
            // Somebody committed meanwhile: once more, on top of that.
            Forwarded::Left(ref left)
                if remaining > 0
                    && (*left == Left::BaseMoved || learned(site, &plan, &forwarded)) =>
            {
                let (integrator, worktrees) = (&site.integrator, &site.worktrees);
                let (orders, made) = ([order], [Some(made)]);
                let back = integrator.step_back(&turn, worktrees, &orders, &made);
                back.await?;
            }
            Forwarded::Left(left) => {
                let now = shop.env.now();
                return Ok(End::waiting(attempt, made.commit, work, &left, now));
            }
            Forwarded::Moved => return Ok(End::merged(made.commit, work)),
        }
    }
    unreachable!("the last round returns")
}

/// How the tracked plan is to be taken. One that a person was thought to have changed is looked at again: they may have
/// committed it meanwhile, with the marks of claims in it.
async fn tracked(shop: &Shop, site: &Site) -> Result<Tracked, PoolError> {
    let state = site.plan_state();
    let marked = match (state, site.tracked_plan.as_deref()) {
        (PlanState::Edited, Some(path)) => marked(shop, site, path).await?,
        _ => None,
    };
    Ok(Tracked::new(state, marked))
}

async fn marked(shop: &Shop, site: &Site, path: &str) -> Result<Option<Marked>, PoolError> {
    let Some(committed) = site.integrator.committed_plan(path).await? else {
        return Ok(None);
    };
    let plan = Arc::clone(&shop.plan);
    let found = tokio::task::spawn_blocking(move || {
        let rows = plan.committed_marks(&committed)?;
        Ok::<_, PoolError>(rows.map(|rows| Marked { committed, rows }))
    });
    found.await?
}

/// Whether the base was not moved because the tracked plan is not as it was thought to be; now it is known.
fn learned(site: &Site, thought: &Tracked, forwarded: &Forwarded) -> bool {
    let Forwarded::Left(left) = forwarded else {
        return false;
    };
    let plan = site.tracked_plan.as_deref();
    let instead = thought.state.instead(left, site.git.top(), plan);
    if let Some(instead) = instead {
        site.set_plan_state(instead);
    }
    instead.is_some()
}

/// The one step that moves the user's branch, while the marks of claims are lifted from a plan that is part of it.
async fn forward(
    shop: &Shop,
    site: &Site,
    turn: Turn,
    made: Made,
    tracked: &Tracked,
) -> Result<(Forwarded, Turn), PoolError> {
    let (plan, integrator) = (Arc::clone(&shop.plan), Arc::clone(&site.integrator));
    let is_tracked = site.tracked_plan.is_some();
    let beside = tracked.state.beside(site.tracked_plan.as_deref());
    let committed = tracked.marked.clone().map(|marked| marked.committed);
    let was_marked = committed.is_some();
    let moved = tokio::task::spawn_blocking(move || {
        let move_base = || integrator.fast_forward(&turn, &made, beside.as_deref());
        let forwarded = match committed {
            Some(committed) => plan.with_plan_as(&committed, move_base)?,
            None if is_tracked => plan.with_marks_lifted(move_base)?,
            None => move_base(),
        };
        Ok::<_, PoolError>((forwarded?, turn))
    });
    let (forwarded, turn) = moved.await??;
    if was_marked && forwarded == Forwarded::Moved {
        // The marks are out of what is committed.
        site.set_plan_state(PlanState::Committed);
    }
    Ok((forwarded, turn))
}
