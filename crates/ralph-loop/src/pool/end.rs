//! The end of a pool: what is left is tidied up, the sums are told, the exit code is found.

use ralph_core::error::Code;

use super::schedule::Stop;
use super::{Pool, PoolError, board};
use crate::event::Event;
use crate::outcome::Outcome;
use crate::record::{State, Totals};

/// How a loop ended. What became of each attempt is in the events and in `attempts.jsonl`.
#[derive(Debug, Clone, PartialEq)]
pub struct LoopEnd {
    /// Why, in words.
    pub reason: String,
    /// The sums.
    pub totals: Totals,
    /// Tasks whose work waits to be merged, of this run and of earlier ones.
    pub delivered: usize,
    /// Its class, for callers and exit codes; `None` is success.
    pub code: Option<Code>,
}

impl Pool {
    /// Removes what nobody needs any more.
    pub(super) async fn tidy(&mut self) {
        for site in self.shop.sites.clone().into_values() {
            if let Err(error) = site.close().await {
                self.trouble("a worktree cannot be removed", &error.into());
            }
        }
    }

    pub(super) async fn end(mut self) -> Result<LoopEnd, PoolError> {
        self.tidy().await;
        let attempts = self.shop.settings.attempts;
        let reason = self.schedule.reason(attempts);
        let code = self.code();
        let totals = {
            let mut board = self.board.borrow_mut();
            board.turned(State::Ended, Some(reason.clone()), None);
            board.exits(code.map_or(0, Code::exit_code));
            board.totals.clone()
        };
        board::publish(&self.shop, &self.board)?;
        self.shop.tell(&Event::Ended {
            reason: reason.clone(),
            totals: totals.clone(),
            attempts,
        });
        let summary = crate::event::summary(&reason, &totals, attempts);
        self.shop.records.append_summary(&format!(
            "{} {} {summary}\n",
            ralph_core::time::stamp(self.shop.env.now()),
            self.shop.settings.run
        ))?;
        Ok(LoopEnd {
            reason,
            totals,
            delivered: self.board.borrow().delivered(),
            code,
        })
    }

    fn code(&self) -> Option<Code> {
        if self.schedule.stopped() > Stop::Run {
            return Some(Code::Interrupted);
        }
        let board = self.board.borrow();
        let (done, not_done) = board.score();
        // A limit that was waited out, and a delivery that is tried again later, are no failures of a task.
        let excused =
            board.totals.count(Outcome::UsageLimit) + board.totals.count(Outcome::Throttled);
        let failed = not_done.saturating_sub(excused);
        match (
            done,
            failed,
            self.schedule.halted().is_some() || self.went_wrong,
        ) {
            (_, 0, false) => None,
            (0, _, _) if self.needs_person && self.schedule.halted().is_none() => {
                Some(Code::NeedsUser)
            }
            (0, _, _) if self.is_misconfigured => Some(Code::Usage),
            (0, _, _) => Some(Code::Failed),
            _ => Some(Code::Partial),
        }
    }
}
