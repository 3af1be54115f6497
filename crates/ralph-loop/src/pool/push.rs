//! Delivery of an attempt's work as a pushed branch and a pull request. A push that fails for a passing reason is
//! tried again here; after that the attempt stays as it is, and the next start tries again, without the agent.

use std::sync::Arc;
use std::time::Duration;

use super::PoolError;
use super::attempt_end::End;
use super::finish::Finishing;
use super::schedule::Stop;
use super::shop::{Shop, Site};
use super::told::{self, told};
use crate::delivery::text::{Summary, body, footer, title};
use crate::delivery::{Parcel, Retry};
use crate::git::ObjectId;
use crate::integrate::Order;

/// Puts the work on its branch and sends it.
pub(super) async fn push(
    shop: &Shop,
    attempt: &mut Finishing,
    order: &Order<'_>,
) -> Result<End, PoolError> {
    let site = Arc::clone(&attempt.site);
    let commit = site.integrator.on_branch(&site.worktrees, order).await?;
    attempt.record.commit = Some(commit.clone());
    attempt.record.protected.clone_from(&order.work.protected);
    shop.attempts.write_durably(&attempt.record).await?;
    let end = send(shop, attempt, commit.clone()).await?;
    Ok(end.releasing(commit, order.work))
}

/// Sends a commit that is on the attempt's branch. Everything that was done before is found, not done again.
pub(super) async fn send(
    shop: &Shop,
    attempt: &mut Finishing,
    commit: ObjectId,
) -> Result<End, PoolError> {
    let site = Arc::clone(&attempt.site);
    let Some(delivery) = &site.delivery else {
        return Err(PoolError::NoRemote(attempt.assigned.branch.clone()));
    };
    let text = text(shop, &site, attempt)?;
    let task = attempt.record.task.clone();
    let branch = attempt.assigned.branch.clone();
    let parcel = Parcel {
        branch: &branch,
        commit: &commit,
        started: attempt.record.started,
        title: &title(&task.row.text, &task.id, &branch),
        body: &text,
    };
    let mut pauses = shop.settings.delivery_retries.iter();
    loop {
        let mut stop = shop.stop.clone();
        let sent =
            delivery.deliver_until(&parcel, &attempt.record.sent, told(&mut stop, Stop::Now));
        let failure = match sent.await {
            Ok(sent) => {
                for note in &sent.notes {
                    shop.note(format!("{}: {note}", task.id));
                }
                return Ok(End::sent(attempt, &commit, sent, shop.env.now()));
            }
            Err(failure) => failure,
        };
        if let Some(known) = failure.delivered() {
            attempt.record.sent = known.clone();
            shop.attempts.write_durably(&attempt.record).await?;
        }
        let is_stopping = *shop.stop.borrow() > Stop::Run;
        let pause = match (failure.retry(), pauses.next()) {
            (Retry::After(least), Some(pause)) if !is_stopping => (*pause).max(least.min(LONGEST)),
            _ => return Ok(End::not_sent(attempt, &commit, &failure, shop.env.now())),
        };
        let reason = crate::event::one_line(&failure.to_string());
        shop.note(format!(
            "{}: {reason}; tried again in {} s",
            task.id,
            pause.as_secs()
        ));
        told::pause(pause, shop.stop.clone()).await;
    }
}

/// A forge may ask for more patience than a loop has.
const LONGEST: Duration = Duration::from_secs(300);

fn text(shop: &Shop, site: &Site, attempt: &Finishing) -> Result<String, PoolError> {
    let footer = footer(site.git.top(), shop.settings.workspace_root.as_deref())?;
    let record = &attempt.record;
    Ok(body(&Summary {
        task: &record.task.row.text,
        branch: &attempt.assigned.branch,
        summary: record.summary.as_deref(),
        gates: &record.gates,
        protected: &record.protected,
        engine: &record.engine,
        number: u64::from(record.number),
        now: shop.env.now(),
        footer: footer.as_deref(),
    }))
}
