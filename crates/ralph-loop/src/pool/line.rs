//! Works that wait for the base of their repository.

use std::sync::Arc;
use std::time::Duration;

use ralph_core::time::Timestamp;
use ralph_docs::fix_plan::RowKey;
use tokio::sync::{oneshot, watch};

use crate::gathering::{Gathering, Waiting};
use crate::integrate::{Made, Order, Tick};
use crate::worktree::{Assigned, Work};

/// The work of an attempt on its way to the base.
#[derive(Debug)]
pub(crate) struct Shipment {
    pub(super) assigned: Assigned,
    pub(super) work: Work,
    pub(super) message: String,
    /// The row of the plan that it completes, and the plan, where the repository tracks it.
    pub(super) row: RowKey,
    pub(super) tracked_plan: Option<String>,
    pub(super) now: Timestamp,
}

impl Shipment {
    /// With the tick of its row in a plan that the repository tracks.
    pub(super) fn order(&self) -> Order<'_> {
        self.order_for(self.tracked_plan.as_deref(), &[])
    }

    /// With the tick of its row in this plan, if there is one, from which these marks are lifted.
    pub(super) fn order_for<'a>(&'a self, plan: Option<&'a str>, marks: &'a [RowKey]) -> Order<'a> {
        Order {
            assigned: &self.assigned,
            work: &self.work,
            message: &self.message,
            tick: plan.map(|path| Tick {
                path,
                row: &self.row,
                marks,
            }),
            now: self.now,
        }
    }
}

/// How long those that wait let others come along: less than a merge takes them.
const PATIENCE: Duration = Duration::from_millis(50);

/// Where the answer comes: what was made of the work where it is in the base now, and `None` where it has to be
/// integrated alone.
type Answer = Option<Made>;

/// Those that wait at one repository, and how many are about to.
#[derive(Debug, Default)]
pub(crate) struct Line {
    waiting: Gathering<Shipment, Answer>,
    coming: watch::Sender<usize>,
}

/// Somebody who is about to join the line, as long as it is there.
#[derive(Debug)]
pub(crate) struct Coming(watch::Sender<usize>);

impl Line {
    /// Announces somebody whose work is being taken down.
    pub(super) fn announce(&self) -> Coming {
        self.coming.send_modify(|count| *count += 1);
        Coming(self.coming.clone())
    }

    /// Joins those that wait. No answer ever comes where whoever has taken it along has failed.
    pub(super) fn join(&self, shipment: &Arc<Shipment>) -> oneshot::Receiver<Answer> {
        self.waiting.join(shipment)
    }

    /// Leaves without an answer.
    pub(super) fn leave(&self, shipment: &Arc<Shipment>) {
        self.waiting.leave(shipment);
    }

    /// Takes those that have waited longest, at most so many; before that those join who are about to. Each run of git
    /// costs more than a commit in it.
    pub(super) async fn gather(&self, most: usize) -> Vec<Waiting<Shipment, Answer>> {
        let mut coming = self.coming.subscribe();
        let all = coming.wait_for(|count| *count == 0 || self.waiting.len() >= most);
        // Whoever takes longer goes with the next ones.
        let _ = tokio::time::timeout(PATIENCE, all).await;
        self.waiting.take(most)
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}
