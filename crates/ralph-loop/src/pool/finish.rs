//! From an agent's end to a record: its work is checked, delivered or kept; its task is settled. Runs beside the next
//! agent, and again after a crash ([`crate::recovery`]): every step finds what it did before.

use std::rc::Rc;
use std::sync::Arc;

use super::PoolError;
use super::aside::{self, put_aside};
use super::checks;
use super::judge::Judgement;
use super::line::Shipment;
use super::ready::words;
use super::schedule::Ended;
use super::shop::{Shop, Site};
use crate::agent::Ending;
use crate::attempt::{AttemptRecord, Closing, ForTask, Phase};
use crate::budget::Settlement;
use crate::git::ObjectId;
use crate::outcome::Outcome;
use crate::plan::Settled;
use crate::record::{AttemptLine, SCHEMA_VERSION};
use crate::task::Task;
use crate::worktree::{Assigned, Work};

/// An attempt whose agent has ended.
#[derive(Debug)]
pub(crate) struct Finishing {
    pub(crate) record: AttemptRecord,
    pub(crate) site: Arc<Site>,
    pub(crate) assigned: Assigned,
    /// Whether an earlier loop began it: what is done now may have been done before.
    pub(crate) is_resumed: bool,
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

/// How an attempt ends, and what is still to be done about its worktree.
pub(super) struct End {
    closing: Closing,
    ended: Ended,
    halt: Option<String>,
    is_misconfigured: bool,
    release: Option<Release>,
}

/// A worktree whose work is safe.
pub(super) enum Release {
    Merged(ObjectId, Work),
    OnBranch(ObjectId, Work),
}

impl End {
    pub(super) fn new(closing: Closing, ended: Ended) -> Self {
        Self {
            closing,
            ended,
            halt: None,
            is_misconfigured: false,
            release: None,
        }
    }

    pub(super) fn releasing(self, release: Release) -> Self {
        Self {
            release: Some(release),
            ..self
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
    let end = match judgement {
        Judgement::Check => {
            attempt.record.phase = Phase::Checking;
            shop.attempts.write_durably(&attempt.record).await?;
            check(&shop, &mut attempt).await?
        }
        Judgement::Over {
            outcome,
            reason,
            ended,
            halt,
        } => {
            let closing = Closing::new(outcome, Some(reason), ForTask::Open);
            let end = Box::pin(put_aside(&shop, &attempt, closing, ended)).await?;
            End { halt, ..end }
        }
    };
    close(&shop, attempt, end).await
}

/// Goes on with an attempt that a crash cut off, where it was. What git has refused a second time is not tried for
/// ever.
pub(crate) async fn resume(shop: Rc<Shop>, mut attempt: Finishing) -> Result<Finished, PoolError> {
    let end = match go_on(&shop, &mut attempt).await {
        Err(error) if aside::is_refused(&error) => {
            let reason = Some(words(&error));
            let closing = Closing::new(Outcome::Crashed, reason, ForTask::Open);
            put_aside(&shop, &attempt, closing, Ended::Tried).await?
        }
        end => end?,
    };
    close(&shop, attempt, end).await
}

async fn go_on(shop: &Shop, attempt: &mut Finishing) -> Result<End, PoolError> {
    let is_there = attempt.site.worktrees.has(&attempt.assigned);
    match (attempt.record.closing.take(), attempt.record.phase) {
        (Some(closing), _) => Ok(End::new(closing, Ended::Settled)),
        (None, Phase::Checking) if is_there => check(shop, attempt).await,
        (None, Phase::Delivering) if !is_there => match attempt.record.commit.clone() {
            Some(commit) => super::push::send(shop, attempt, commit).await,
            None => lost(shop, attempt).await,
        },
        (None, Phase::Delivering) => {
            match attempt.site.worktrees.capture(&attempt.assigned).await {
                Ok(work) => deliver(shop, attempt, work).await,
                Err(error) => aside::uncaptured(attempt, &error).await,
            }
        }
        (None, _) => lost(shop, attempt).await,
    }
}

/// The loop was killed while its agent ran, or before its end was known.
async fn lost(shop: &Shop, attempt: &Finishing) -> Result<End, PoolError> {
    let reason = Some("the loop was killed".to_owned());
    let closing = Closing::new(Outcome::Interrupted, reason, ForTask::Open);
    put_aside(shop, attempt, closing, Ended::Untried).await
}

/// The repository's own checks, then delivery.
async fn check(shop: &Shop, attempt: &mut Finishing) -> Result<End, PoolError> {
    let work = match attempt.site.worktrees.capture(&attempt.assigned).await {
        Ok(work) => work,
        Err(error) => return aside::uncaptured(attempt, &error).await,
    };
    if let Some(reason) = aside::unfit(attempt, &work).await? {
        let closing = Closing::new(Outcome::GatesFailed, Some(reason), ForTask::Open);
        return put_aside(shop, attempt, closing, Ended::Tried).await;
    }
    if work.is_empty() {
        let (outcome, reason) = nothing_done(&attempt.record.denials, &work);
        let closing = Closing::new(outcome, Some(reason), ForTask::Open);
        return put_aside(shop, attempt, closing, Ended::Tried).await;
    }
    // Set apart, as whatever is large and not the usual way: there is such a future for each attempt that ends.
    let Some(report) = Box::pin(checks::run(shop, attempt, &work.base)).await? else {
        let reason = Some("stopped while its checks ran".to_owned());
        let closing = Closing::new(Outcome::Interrupted, reason, ForTask::Open);
        return put_aside(shop, attempt, closing, Ended::Untried).await;
    };
    checks::tell(shop, attempt, &report);
    if let Some(gate) = report.unusable() {
        let reason = format!("the check `{}` {gate}", gate.command);
        let closing = Closing::new(Outcome::ConfigError, Some(reason.clone()), ForTask::Open);
        let end = put_aside(shop, attempt, closing, Ended::Untried).await?;
        return Ok(End {
            halt: Some(reason),
            is_misconfigured: true,
            ..end
        });
    }
    if !report.has_passed() {
        let closing = Closing::new(
            Outcome::GatesFailed,
            Some(checks::words(&report)),
            ForTask::Open,
        );
        return put_aside(shop, attempt, closing, Ended::Tried).await;
    }
    attempt.record.phase = Phase::Delivering;
    if !report.gates.is_empty() {
        // After a crash no check is run again. Where there are none, that is so in any case.
        shop.attempts.write_durably(&attempt.record).await?;
    }
    // Checks may have written files; what is delivered is what the agent left.
    deliver(shop, attempt, work).await
}

/// Without a change, a tool that was refused is why.
fn nothing_done(denials: &[String], work: &Work) -> (Outcome, String) {
    if !denials.is_empty() {
        let reason = format!("refused: {}", denials.join(", "));
        return (Outcome::PermissionDenied, reason);
    }
    let reason = match &work.went_back {
        Some(commit) => format!(
            "the agent went back to {} and changed nothing there; that takes nothing out of the base",
            commit.short()
        ),
        None => "the agent changed nothing".to_owned(),
    };
    (Outcome::NoChange, reason)
}

async fn deliver(shop: &Shop, attempt: &mut Finishing, work: Work) -> Result<End, PoolError> {
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
        Box::pin(super::push::push(shop, attempt, &order)).await
    } else {
        super::merge::integrate(shop, attempt, &shipment).await
    }
}

/// The longest first line of a commit's message, in characters.
const LONGEST_SUBJECT: usize = 100;

fn message(record: &AttemptRecord) -> String {
    let text = crate::event::one_line(&record.task.row.text);
    let summary = record.summary.as_deref().unwrap_or("").trim();
    let trailers = format!(
        "Ralph-Task: {}\nRalph-Attempt: {}\n",
        record.task.id, record.attempt
    );
    commit_message(&text, summary, &trailers)
}

/// The task, whole in the body where the first line cannot hold it, then what the agent says of it.
fn commit_message(task: &str, summary: &str, trailers: &str) -> String {
    let whole = format!("ralph: {task}");
    let (subject, task) = if whole.chars().count() > LONGEST_SUBJECT {
        let cut: String = whole.chars().take(LONGEST_SUBJECT - 1).collect();
        (format!("{}…", cut.trim_end()), task)
    } else {
        (whole, "")
    };
    let body = [task, summary].into_iter().filter(|part| !part.is_empty());
    let body: String = body.map(|part| format!("{part}\n\n")).collect();
    format!("{subject}\n\n{body}{trailers}")
}

/// Writes down how it ended, then does what follows from that. After a crash in between, all of it is done again.
async fn close(shop: &Shop, mut attempt: Finishing, mut end: End) -> Result<Finished, PoolError> {
    aside::tell_of(shop, &attempt, &mut end.closing, end.release.as_ref()).await?;
    // A delivery that failed is not over: its record stays as it is, and the next start sends it again.
    let is_over = end.closing.outcome != Outcome::DeliveryFailed;
    if is_over {
        attempt.record.closing = Some(end.closing.clone());
        shop.attempts.write_durably(&attempt.record).await?;
    }
    if let Some(release) = &end.release {
        let spare = aside::release(shop, &attempt, release).await;
        attempt.site.put_by(spare);
    }
    let line = line(shop, &attempt.record, &end.closing);
    settle(shop, &attempt, &end.closing, &line).await?;
    shop.remember(&line, attempt.record.printed.take());
    Ok(Finished {
        line,
        ended: end.ended,
        halt: end.halt,
        is_misconfigured: end.is_misconfigured,
    })
}

/// The budget, the history, the plan; then the attempt is forgotten.
async fn settle(
    shop: &Shop,
    attempt: &Finishing,
    closing: &Closing,
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
    let (task, id, what) = (
        record.task.clone(),
        record.attempt.clone(),
        closing.task.clone(),
    );
    let told = tokio::task::spawn_blocking(move || match what {
        ForTask::Open => plan.revert(&task, &id),
        ForTask::Done => plan.complete(&task, &id),
        ForTask::Delivered(delivered) => plan.record_delivered(&task, &id, &delivered),
    });
    if told.await?? == Settled::Gone {
        shop.note(gone(&record.task));
    }
    if closing.outcome != Outcome::DeliveryFailed {
        shop.attempts.close(&record.attempt)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_is_longer_than_a_first_line_is_whole_in_the_body() {
        assert_eq!(
            commit_message("Short", "Did it.", "Ralph-Task: x\n"),
            "ralph: Short\n\nDid it.\n\nRalph-Task: x\n"
        );
        let fits = "ä".repeat(LONGEST_SUBJECT - "ralph: ".len());
        assert_eq!(commit_message(&fits, "", ""), format!("ralph: {fits}\n\n"));
        let long = format!("{fits} word");
        let message = commit_message(&long, "Did it.", "");
        let (subject, body) = message.split_once("\n\n").unwrap_or_default();
        assert_eq!(subject.chars().count(), LONGEST_SUBJECT);
        assert!(subject.ends_with("ä…"));
        assert_eq!(body, format!("{long}\n\nDid it.\n\n"));
    }

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
