//! Works that wait for the base of their repository. Whoever gets the turn takes all of them along, so that many that
//! end at once cost hardly more than one.

use std::sync::{Arc, Mutex, PoisonError};

use ralph_core::time::Timestamp;
use ralph_docs::fix_plan::RowKey;
use tokio::sync::oneshot;

use crate::integrate::{Made, Order, Tick};
use crate::worktree::{Assigned, Work};

/// The work of an attempt on its way to the base.
#[derive(Debug)]
pub(super) struct Shipment {
    pub(super) assigned: Assigned,
    pub(super) work: Work,
    pub(super) message: String,
    /// The row of the plan that it completes, and the plan, where the repository tracks it.
    pub(super) row: RowKey,
    pub(super) tracked_plan: Option<String>,
    pub(super) now: Timestamp,
}

impl Shipment {
    pub(super) fn order(&self) -> Order<'_> {
        Order {
            assigned: &self.assigned,
            work: &self.work,
            message: &self.message,
            tick: self.tracked_plan.as_deref().map(|path| Tick {
                path,
                row: &self.row,
            }),
            now: self.now,
        }
    }
}

/// Those that wait at one repository.
#[derive(Debug, Default)]
pub struct Line {
    waiting: Mutex<Vec<Waiting>>,
}

/// Somebody in the line, and where the answer goes: what was made of the work where it is in the base now, or `None`
/// where it has to be integrated alone.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) shipment: Arc<Shipment>,
    pub(super) answer: oneshot::Sender<Option<Made>>,
}

impl Line {
    /// Joins the line. An answer that never comes counts as `None`: whoever took the work along has failed.
    pub(super) fn join(&self, shipment: &Arc<Shipment>) -> oneshot::Receiver<Option<Made>> {
        let (answer, receiver) = oneshot::channel();
        self.lock().push(Waiting {
            shipment: Arc::clone(shipment),
            answer,
        });
        receiver
    }

    /// Leaves the line without an answer. One that was taken along gets its answer all the same.
    pub(super) fn leave(&self, shipment: &Arc<Shipment>) {
        self.lock()
            .retain(|waiting| !Arc::ptr_eq(&waiting.shipment, shipment));
    }

    /// Takes all that wait, the first one first.
    pub(super) fn take(&self) -> Vec<Waiting> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
