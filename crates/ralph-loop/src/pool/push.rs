//! Delivery of an attempt's work as a pushed branch and a pull request. A push that fails for a passing reason is
//! tried again here; after that the attempt stays as it is, and the next start tries again, without the agent.

use std::sync::Arc;
use std::time::Duration;

use super::PoolError;
use super::finish::{End, Finishing, Release};
use super::schedule::{Ended, Stop};
use super::shop::{Shop, Site};
use super::told::told;
use crate::attempt::{Closing, ForTask};
use crate::delivery::text::{Summary, body, footer, title};
use crate::delivery::{Delivered as Sent, DeliveryError, Parcel, Retry};
use crate::git::ObjectId;
use crate::integrate::Order;
use crate::outcome::Outcome;
use crate::plan::Delivered;

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
    Ok(end.releasing(Release::OnBranch(commit, order.work.clone())))
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
            Ok(sent) => return Ok(sent_off(shop, attempt, &commit, sent)),
            Err(failure) => failure,
        };
        if let Some(known) = failure.delivered() {
            attempt.record.sent = known.clone();
            shop.attempts.write_durably(&attempt.record).await?;
        }
        let is_stopping = *shop.stop.borrow() > Stop::Run;
        let pause = match (failure.retry(), pauses.next()) {
            (Retry::After(least), Some(pause)) if !is_stopping => (*pause).max(least.min(LONGEST)),
            _ => return Ok(not_sent(shop, attempt, &commit, &failure)),
        };
        let reason = crate::event::one_line(&failure.to_string());
        shop.note(format!(
            "{}: {reason}; tried again in {} s",
            task.id,
            pause.as_secs()
        ));
        let mut stop = shop.stop.clone();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = told(&mut stop, Stop::Drain) => {}
        }
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

/// Where the work waits to be merged.
fn delivered(
    shop: &Shop,
    attempt: &Finishing,
    commit: &ObjectId,
    pull_request: Option<String>,
) -> Delivered {
    Delivered {
        branch: attempt.assigned.branch.clone(),
        commit: commit.to_string(),
        pull_request,
        delivered_at: shop.env.now(),
    }
}

fn sent_off(shop: &Shop, attempt: &Finishing, commit: &ObjectId, sent: Sent) -> End {
    for note in &sent.notes {
        shop.note(format!("{}: {note}", attempt.record.task.id));
    }
    let task = match &attempt.site.tracked_plan {
        // The tick comes with the merge; until then the task is neither open nor done.
        Some(_) => ForTask::Delivered(delivered(shop, attempt, commit, sent.pull_request.clone())),
        None => ForTask::Done,
    };
    let closing = Closing {
        branch: Some(attempt.assigned.branch.clone()),
        commit: Some(commit.to_string()),
        pushed: true,
        pull_request: sent.pull_request,
        compare_url: sent.compare,
        ..Closing::new(Outcome::Done, None, task)
    };
    End::new(closing, Ended::Settled)
}

/// The work is good and safe on its branch. The attempt is not over: its record stays for the next start.
fn not_sent(shop: &Shop, attempt: &Finishing, commit: &ObjectId, failure: &DeliveryError) -> End {
    let task = ForTask::Delivered(delivered(shop, attempt, commit, None));
    let closing = Closing {
        branch: Some(attempt.assigned.branch.clone()),
        commit: Some(commit.to_string()),
        ..Closing::new(Outcome::DeliveryFailed, Some(failure.to_string()), task)
    };
    End::new(closing, Ended::Settled)
}
