//! Works that wait for the base of their repository.

use ralph_core::time::Timestamp;
use ralph_docs::fix_plan::RowKey;

use crate::gathering::Gathering;
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

/// Those that wait at one repository. The answer is what was made of the work where it is in the base now, and `None`
/// where it has to be integrated alone.
pub(crate) type Line = Gathering<Shipment, Option<Made>>;
