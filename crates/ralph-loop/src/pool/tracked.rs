//! Whether the tick of a row goes into the commit that completes it, or beside it. Pure.

use std::path::Path;

use ralph_docs::fix_plan::RowKey;

use super::line::Shipment;
use crate::integrate::{Left, Order};

/// What the user's checkout has of a plan that the repository tracks. It is not asked beforehand: git says so when the
/// base is to be moved, and only while the marks of claims are lifted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum PlanState {
    /// What is committed: a commit ticks the row that it completes.
    #[default]
    Committed,
    /// A person has changed it: commits leave it alone, and the tick goes into the plan as the person has it.
    Edited,
}

impl PlanState {
    /// The order for a work.
    pub(super) fn order(self, shipment: &Shipment) -> Order<'_> {
        match self {
            Self::Committed => shipment.order(),
            Self::Edited => shipment.order_for(None, &[]),
        }
    }

    /// The plan that commits leave alone.
    pub(super) fn beside(self, plan: Option<&str>) -> Option<String> {
        plan.filter(|_| self == Self::Edited).map(str::to_owned)
    }

    /// What it is instead, where nothing else kept the base from being moved.
    pub(super) fn instead(self, left: &Left, top: &Path, plan: Option<&str>) -> Option<Self> {
        match (self, left) {
            (Self::Committed, Left::Dirty { checkout, files }) => {
                let is_all = files.len() == 1 && files.first().map(String::as_str) == plan;
                (checkout == top && is_all).then_some(Self::Edited)
            }
            (Self::Edited, Left::PlanIsCommitted) => Some(Self::Committed),
            _ => None,
        }
    }
}

/// A plan that somebody has committed along with the marks of claims: no change of a person, though it differs from what
/// lies in the checkout once they are lifted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marked {
    /// The plan as it is committed.
    pub(super) committed: String,
    /// The rows of these claims.
    pub(super) rows: Vec<RowKey>,
}

/// The plan as one try to move the base takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tracked {
    pub(super) state: PlanState,
    pub(super) marked: Option<Marked>,
}

impl Tracked {
    /// As the checkout is thought to have it, and with the marks in what is committed, if those are all that differs.
    pub(super) fn new(state: PlanState, marked: Option<Marked>) -> Self {
        let state = if marked.is_some() {
            PlanState::Committed
        } else {
            state
        };
        Self { state, marked }
    }

    /// The order for a work.
    pub(super) fn order<'a>(&'a self, shipment: &'a Shipment) -> Order<'a> {
        match &self.marked {
            Some(marked) => shipment.order_for(shipment.tracked_plan.as_deref(), &marked.rows),
            None => self.state.order(shipment),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plan_that_is_alone_in_the_way_changes_what_is_done() {
        let (top, plan) = (Path::new("/r"), Some(".ralph/fix_plan.md"));
        let dirty = |checkout: &str, files: &[&str]| Left::Dirty {
            checkout: checkout.into(),
            files: files.iter().map(|file| (*file).to_owned()).collect(),
        };
        let alone = dirty("/r", &[".ralph/fix_plan.md"]);
        let (committed, edited) = (PlanState::Committed, PlanState::Edited);
        assert_eq!(committed.instead(&alone, top, plan), Some(edited));
        assert_eq!(edited.instead(&alone, top, plan), None);
        assert_eq!(committed.instead(&alone, top, None), None);
        for other in [
            dirty("/r", &["a.txt"]),
            dirty("/r", &[".ralph/fix_plan.md", "a.txt"]),
            dirty("/elsewhere", &[".ralph/fix_plan.md"]),
            Left::BaseMoved,
            Left::PlanIsCommitted,
        ] {
            assert_eq!(committed.instead(&other, top, plan), None, "{other:?}");
        }
        let back = edited.instead(&Left::PlanIsCommitted, top, plan);
        assert_eq!(back, Some(committed));
        assert_eq!(edited.beside(plan), plan.map(str::to_owned));
        assert_eq!(committed.beside(plan), None);
    }
}
