//! From an agent's end to a record, beside the next agent. One line of steps: the work is taken down, checked, delivered
//! or put aside, and how that ended is written down ([`super::close`]).
//!
//! After a crash ([`crate::recovery`]) the line is entered again where the record says: every step finds what it did
//! before.

use std::rc::Rc;
use std::sync::Arc;

use super::PoolError;
use super::aside::{self, put_aside};
use super::attempt_end::{End, Undelivered};
use super::checks;
use super::close::close;
use super::judge::Judgement;
use super::line::Shipment;
use super::merge::integrate;
use super::message::message;
use super::push::{push, send};
use super::ready::words;
use super::returning::Returning;
use super::schedule::Ended;
use super::shop::{Shop, Site};
use crate::agent::Ending;
use crate::attempt::{AttemptRecord, Closing, Phase};
use crate::gathering::Coming;
use crate::git::ObjectId;
use crate::outcome::Outcome;
use crate::record::AttemptLine;
use crate::worktree::{Assigned, Work};

/// An attempt whose agent has ended.
#[derive(Debug)]
pub(crate) struct Finishing {
    pub(crate) record: AttemptRecord,
    pub(crate) site: Arc<Site>,
    pub(crate) assigned: Assigned,
    /// Whether an earlier loop began it: what is done now may have been done before.
    pub(crate) is_resumed: bool,
    /// While it is about to give its worktree back.
    pub(crate) returning: Option<Returning>,
}

impl Finishing {
    /// Its worktree is free in a moment, unless a remote is waited for: that may take minutes.
    fn returns_soon(&mut self, shop: &Shop) {
        if self.site.delivery.is_none() && self.returning.is_none() {
            self.returning = Some(shop.returns.begin());
        }
    }

    /// Its worktree may be in use for minutes.
    fn takes_long(&mut self) {
        self.returning = None;
    }
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) line: AttemptLine,
    pub(crate) ended: Ended,
    pub(crate) halt: Option<String>,
    /// Whether that is because of how the loop is configured.
    pub(crate) is_misconfigured: bool,
}

/// Where the line of steps is entered.
#[derive(Debug)]
enum Step {
    /// Its work is checked, then delivered.
    Check,
    /// Its work has passed.
    Deliver,
    /// Its work is a commit on its branch, and its worktree is gone.
    Send(ObjectId),
    /// Nothing of it is delivered.
    PutAside(Undelivered),
    /// How it ends is known.
    Close(Closing),
}

impl Step {
    fn after_crash(record: &AttemptRecord, has_worktree: bool) -> Self {
        if let Some(closing) = &record.closing {
            return Self::Close(closing.clone());
        }
        match (record.phase, has_worktree, &record.commit) {
            (Phase::Checking, true, _) => Self::Check,
            (Phase::Delivering, true, _) => Self::Deliver,
            (Phase::Delivering, false, Some(commit)) => Self::Send(commit.clone()),
            // While its agent ran, or before its end was known.
            _ => Self::PutAside(Undelivered::new(
                Outcome::Interrupted,
                "the loop was killed",
                Ended::Untried,
            )),
        }
    }
}

/// Finishes an attempt whose agent has just ended.
pub(crate) async fn finish(
    shop: Rc<Shop>,
    mut attempt: Finishing,
    ending: Ending,
    judgement: Judgement,
) -> Result<Finished, PoolError> {
    if ending != Ending::Own {
        // It may have been in the middle of a commit.
        attempt.site.git.break_abandoned_locks(shop.env.now())?;
    }
    let step = match judgement {
        Judgement::Check => {
            attempt.record.phase = Phase::Checking;
            shop.attempts.write_durably(&attempt.record).await?;
            Step::Check
        }
        Judgement::Over {
            outcome,
            reason,
            ended,
            halt,
        } => Step::PutAside(Undelivered {
            halt,
            ..Undelivered::new(outcome, reason, ended)
        }),
    };
    let end = go_on(&shop, &mut attempt, step).await?;
    close(&shop, attempt, end).await
}

/// Goes on with an attempt that a crash cut off, where it was. What git has refused a second time is not tried for
/// ever.
pub(crate) async fn resume(shop: Rc<Shop>, mut attempt: Finishing) -> Result<Finished, PoolError> {
    let has_worktree = attempt.site.worktrees.has(&attempt.assigned);
    let step = Step::after_crash(&attempt.record, has_worktree);
    let end = match go_on(&shop, &mut attempt, step).await {
        Err(error) if aside::is_refused(&error) => {
            let why = Undelivered::new(Outcome::Crashed, words(&error), Ended::Tried);
            Box::pin(put_aside(&shop, &attempt, why)).await?
        }
        end => end?,
    };
    close(&shop, attempt, end).await
}

/// From a step to how the attempt ends. What is large and not the usual way is set apart: there is such a future for
/// each attempt that ends.
async fn go_on(shop: &Shop, attempt: &mut Finishing, step: Step) -> Result<End, PoolError> {
    let is_checked = match step {
        Step::Close(closing) => {
            let (worktrees, assigned) = (&attempt.site.worktrees, &attempt.assigned);
            // With its worktree the branch goes when that is swept.
            if closing.merged && !worktrees.has(assigned) {
                worktrees.remove_if_merged(&assigned.branch).await?;
            }
            return Ok(End::known(closing));
        }
        Step::PutAside(why) => return Box::pin(put_aside(shop, attempt, why)).await,
        Step::Send(commit) => return Box::pin(send(shop, attempt, commit)).await,
        Step::Check => false,
        Step::Deliver => true,
    };
    let coming = attempt.site.line.announce();
    attempt.returns_soon(shop);
    let work = match attempt.site.worktrees.capture(&attempt.assigned).await {
        Ok(work) => work,
        Err(error) => return aside::uncaptured(attempt, &error).await,
    };
    let has_checks = !is_checked && !attempt.site.gates.of(&attempt.assigned.path).is_empty();
    let coming = (!has_checks).then_some(coming);
    if has_checks {
        attempt.takes_long();
    }
    if !is_checked && let Some(why) = check(shop, attempt, &work).await? {
        return Box::pin(put_aside(shop, attempt, why)).await;
    }
    // Checks may have written files; what is delivered is what the agent left.
    attempt.returns_soon(shop);
    deliver(shop, attempt, work, coming).await
}

/// The repository's own checks, where there is something to check; the answer is why the work is not delivered.
async fn check(
    shop: &Shop,
    attempt: &mut Finishing,
    work: &Work,
) -> Result<Option<Undelivered>, PoolError> {
    let failed = |reason| Undelivered::new(Outcome::GatesFailed, reason, Ended::Tried);
    if let Some(reason) = aside::unfit(attempt, work).await? {
        return Ok(Some(failed(reason)));
    }
    if work.is_empty() {
        return Ok(Some(nothing_done(&attempt.record.denials, work)));
    }
    let Some(report) = Box::pin(checks::run(shop, attempt, &work.base)).await? else {
        let reason = "stopped while its checks ran";
        let why = Undelivered::new(Outcome::Interrupted, reason, Ended::Untried);
        return Ok(Some(why));
    };
    checks::tell(shop, attempt, &report);
    if let Some(gate) = report.unusable() {
        let reason = format!("the check `{}` {gate}", gate.command);
        return Ok(Some(Undelivered {
            halt: Some(reason.clone()),
            is_misconfigured: true,
            ..Undelivered::new(Outcome::ConfigError, reason, Ended::Untried)
        }));
    }
    if !report.has_passed() {
        return Ok(Some(failed(checks::words(&report))));
    }
    attempt.record.phase = Phase::Delivering;
    if !report.gates.is_empty() {
        // After a crash no check is run again. Where there are none, that is so in any case.
        shop.attempts.write_durably(&attempt.record).await?;
    }
    Ok(None)
}

/// Without a change, a tool that was refused is why.
fn nothing_done(denials: &[String], work: &Work) -> Undelivered {
    if !denials.is_empty() {
        let reason = format!("refused: {}", denials.join(", "));
        return Undelivered::new(Outcome::PermissionDenied, reason, Ended::Tried);
    }
    let reason = match &work.went_back {
        Some(commit) => format!(
            "the agent went back to {} and changed nothing there; that takes nothing out of the base",
            commit.short()
        ),
        None => "the agent changed nothing".to_owned(),
    };
    Undelivered::new(Outcome::NoChange, reason, Ended::Tried)
}

async fn deliver(
    shop: &Shop,
    attempt: &mut Finishing,
    work: Work,
    coming: Option<Coming>,
) -> Result<End, PoolError> {
    let shipment = Arc::new(Shipment {
        assigned: attempt.assigned.clone(),
        work,
        message: message(&attempt.record),
        row: attempt.record.task.row.clone(),
        tracked_plan: attempt.site.tracked_plan.clone(),
        now: shop.env.now(),
    });
    if attempt.site.delivery.is_some() {
        let order = shipment.order();
        Box::pin(push(shop, attempt, &order)).await
    } else {
        integrate(shop, attempt, &shipment, coming).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::ForTask;
    use crate::task::{Task, TaskKey};
    use ralph_core::process::Identity;
    use ralph_core::time::Timestamp;
    use ralph_docs::fix_plan::RowKey;

    fn record(phase: Phase) -> AttemptRecord {
        let row = RowKey {
            section: String::new(),
            text: "do it".to_owned(),
            occurrence: 0,
        };
        let task = Task {
            key: TaskKey::of(None, &row),
            id: "do-it".to_owned(),
            row,
            repository: None,
            line: 3,
        };
        let owner = Identity::of(std::process::id()).expect("an identity");
        let (id, folder, now) = ("1".parse(), "/r".as_ref(), Timestamp::UNIX_EPOCH);
        let record = AttemptRecord::new(id.expect("an id"), task, 1, "x", owner, folder, now);
        AttemptRecord { phase, ..record }
    }

    #[test]
    fn after_a_crash_the_line_is_entered_where_the_record_says() {
        let commit = "1".repeat(40).parse::<ObjectId>().expect("an id");
        for (phase, has_worktree, has_commit, expected) in [
            (Phase::Preparing, true, false, "PutAside"),
            (Phase::Running, true, false, "PutAside"),
            (Phase::Checking, true, false, "Check"),
            (Phase::Checking, false, false, "PutAside"),
            (Phase::Delivering, true, false, "Deliver"),
            (Phase::Delivering, true, true, "Deliver"),
            (Phase::Delivering, false, true, "Send"),
            (Phase::Delivering, false, false, "PutAside"),
        ] {
            let mut record = record(phase);
            record.commit = has_commit.then(|| commit.clone());
            let step = format!("{:?}", Step::after_crash(&record, has_worktree));
            assert!(step.starts_with(expected), "{phase:?}: {step}");
            // What is known of its end goes before everything else.
            record.closing = Some(Closing::new(Outcome::Done, None, ForTask::Done));
            let step = Step::after_crash(&record, has_worktree);
            assert!(matches!(step, Step::Close(_)), "{phase:?}: {step:?}");
        }
    }
}
