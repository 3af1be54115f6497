//! Whether an agent may start: the account is open, the hour has calls left, a slot is free, an attempt is left.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::PoolError;
use super::board::{self, Board};
use super::brakes::Leave;
use super::judge::NO_LOGIN;
use super::ready::words;
use super::shop::Shop;
use crate::account::{Admission, Report};
use crate::agent::Ending;
use crate::budget::{Reserved, Settlement, Slot};
use crate::engine::RateLimit;
use crate::outcome::{AttemptId, Verdict};

/// How often a start that waits for others looks whether they have ended.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// A wait is made of pieces, because a clock may be set and a machine may sleep.
const PIECE: Duration = Duration::from_secs(30);

/// What an agent holds while it runs.
#[derive(Debug)]
pub(super) struct Permit {
    _slot: Slot,
    attempt: AttemptId,
}

/// What came of asking.
#[derive(Debug)]
pub(super) enum Answer {
    Yes(Box<Permit>),
    /// All attempts are spent.
    Exhausted,
    /// The loop is told to stop.
    NotNow,
    /// The account will not open in time, or never.
    Never(String),
}

/// An attempt that asks. What it was given so far, its place at the account and the money that was set aside, goes back
/// when it is dropped, whether the answer was no, an error, or nobody waits for one any more.
struct Asking {
    shop: Rc<Shop>,
    attempt: AttemptId,
    is_granted: bool,
}

impl Drop for Asking {
    fn drop(&mut self) {
        if !self.is_granted {
            does_not_start(&self.shop, &self.attempt);
        }
    }
}

/// Waits until an agent may start on this attempt. Dropping the future gives everything back.
pub(super) async fn permit(
    shop: Rc<Shop>,
    board: Rc<RefCell<Board>>,
    attempt: AttemptId,
    repository: String,
) -> Result<Answer, PoolError> {
    let mut asking = Asking {
        shop: Rc::clone(&shop),
        attempt: attempt.clone(),
        is_granted: false,
    };
    if let Some(reason) = leave(&shop, &board, &attempt).await {
        return Ok(Answer::Never(reason));
    }
    loop {
        if let Some(reason) = admitted(&shop, &board, &attempt).await? {
            return Ok(Answer::Never(reason));
        }
        let slot = shop.budget.slot().await?;
        match shop.budget.reserve(&attempt, &repository, &shop.owner)? {
            Reserved::Granted => {
                asking.is_granted = true;
                let permit = Permit {
                    _slot: slot,
                    attempt,
                };
                return Ok(Answer::Yes(Box::new(permit)));
            }
            Reserved::Exhausted => return Ok(Answer::Exhausted),
            Reserved::AllReserved => {
                drop(slot);
                withdraw(&shop, &attempt);
                shop.budget.reservable().await?;
            }
            Reserved::AlreadySpent | Reserved::HeldElsewhere => {
                return Err(PoolError::AttemptTwice(attempt));
            }
        }
    }
}

/// Waits until the account lets an agent start; the answer is why it never will, if that is so.
async fn admitted(
    shop: &Shop,
    board: &RefCell<Board>,
    attempt: &AttemptId,
) -> Result<Option<String>, PoolError> {
    let mut is_waiting = false;
    let admission = shop.account.admit(attempt, |wait| {
        is_waiting = true;
        board::waits(shop, board, &wait.why, wait.until);
    });
    let admission = admission.await?;
    if is_waiting {
        board::resumes(shop, board);
    }
    Ok(match admission {
        Admission::Admitted | Admission::Wait(_) => None,
        Admission::TooLong { until, message } => Some(format!(
            "{message}, until {}: longer than this loop waits",
            ralph_core::time::stamp(until)
        )),
        Admission::Stopped { message } => Some(format!("{NO_LOGIN}: {message}")),
    })
}

/// An attempt that was admitted waits once more.
fn withdraw(shop: &Shop, attempt: &AttemptId) {
    tell_account(shop, attempt, Report::Withdrawn);
}

fn tell_account(shop: &Shop, attempt: &AttemptId, report: Report<'_>) {
    if let Err(error) = shop.account.report(attempt, report) {
        shop.note(words(&error));
    }
}

fn does_not_start(shop: &Shop, attempt: &AttemptId) {
    withdraw(shop, attempt);
    shop.brakes.borrow_mut().not_started(attempt);
}

/// Gives back what nothing uses.
pub(super) fn give_back(shop: &Shop, permit: Permit) {
    does_not_start(shop, &permit.attempt);
    if let Err(error) = shop.budget.settle(&permit.attempt, Settlement::Returned) {
        shop.note(words(&error));
    }
}

/// Says what the agent's end tells of its account, and gives the slot to the next one.
pub(super) fn report(shop: &Shop, permit: Permit, ending: Ending, verdict: &Verdict) {
    let report = match ending {
        Ending::Stopped => Report::Withdrawn,
        Ending::Own | Ending::Hung(_) | Ending::Unguarded => Report::Ended(verdict),
    };
    tell_account(shop, &permit.attempt, report);
    drop(permit);
}

/// An agent said how far its account is.
pub(super) fn heard(shop: &Shop, attempt: &AttemptId, limit: &RateLimit) {
    tell_account(shop, attempt, Report::RateLimit(limit));
}

/// The service answered an agent.
pub(super) fn answered(shop: &Shop, attempt: &AttemptId) {
    tell_account(shop, attempt, Report::Answered);
}

/// Waits for the circuit, the money and the hour; the answer is why nothing starts any more, if that is so.
async fn leave(shop: &Shop, board: &RefCell<Board>, attempt: &AttemptId) -> Option<String> {
    let mut is_waiting = false;
    let answer = loop {
        let now = shop.now_here();
        let leave = shop.brakes.borrow_mut().ask(attempt, &now);
        let (pause, reason, until) = match leave {
            Leave::Yes => break None,
            Leave::Never(reason) => break Some(reason),
            Leave::Alone if board.borrow().is_idle() => break None,
            Leave::Alone | Leave::Later => (LOOK_AGAIN, None, None),
            Leave::NextHour(time) => (
                time.min(PIECE),
                Some("the calls of this hour are used up"),
                shop.env.now().checked_add(time).ok(),
            ),
        };
        if let (Some(reason), false) = (reason, is_waiting) {
            is_waiting = true;
            board::waits(shop, board, reason, until);
        }
        tokio::time::sleep(pause).await;
    };
    if is_waiting {
        board::resumes(shop, board);
    }
    answer
}
