//! Several works at once: those that have waited for the base go onto it together, a commit each, in one run of git.

use std::sync::{Arc, PoisonError};

use super::fit::{fits, touches};
use super::tick::Plan;
use super::{IntegrateError, Integrator, Made, Order, Strategy, Turn};
use crate::git::ObjectId;
use crate::git::import::{FileChange, NewCommit, Parent};
use crate::git::lineage::Touched;
use crate::worktree::{Worktrees, touched};

/// A work that goes with the others.
struct Place<'a> {
    at: usize,
    order: &'a Order<'a>,
    reference: String,
    /// Where the attempt's branch is.
    branch: ObjectId,
    changes: Vec<FileChange>,
    is_ticked: bool,
    touched: Touched,
}

impl Integrator {
    /// Puts works on top of the base's tip, each on the one before it, and sets the branches of their attempts. In
    /// the order of `orders`, an answer for each: `None` for one that has to be integrated alone, such as because it
    /// must be merged; nothing of it is changed. The last of the others holds them all, and the base can be moved
    /// there. After a crash each of them is found by [`Integrator::onto_base`].
    ///
    /// # Errors
    /// Git gives no answer.
    pub async fn in_line(
        &self,
        _turn: &Turn,
        worktrees: &Worktrees,
        orders: &[Order<'_>],
    ) -> Result<Vec<Option<Made>>, IntegrateError> {
        let tip = self.git.base_tip(&self.base).await?;
        if let Some(order) = orders.first() {
            let first = &order.assigned.start;
            self.catch_up(first, &tip).await?;
        }
        let (mut places, plan) = self.places(&tip, orders).await?;
        let mut answers = vec![None; orders.len()];
        if places.is_empty() {
            return Ok(answers);
        }
        for place in &places {
            worktrees.announce_in_line(place.order.assigned, &place.branch, &tip)?;
        }
        let parents =
            std::iter::once(Parent::Known(&tip)).chain(std::iter::repeat(Parent::Previous));
        let changes: Vec<_> = places
            .iter_mut()
            .map(|place| std::mem::take(&mut place.changes))
            .collect();
        let parts = places.iter().zip(parents).zip(changes);
        let commits: Vec<NewCommit<'_>> = parts
            .map(|((place, parent), changes)| place.commit(parent, changes))
            .collect();
        let made = self.git.commits(commits).await?;
        if let (Some(last), Some(plan)) = (made.last(), plan) {
            self.plans.made(last, plan);
        }
        let mut parent = &tip;
        for (place, commit) in places.into_iter().zip(&made) {
            self.git.lineage().remember(commit, parent, place.touched);
            parent = commit;
            answers[place.at] = Some(Made {
                commit: commit.clone(),
                onto: tip.clone(),
                is_ticked: place.is_ticked,
            });
        }
        Ok(answers)
    }

    /// Sets the branches of attempts back to where they were before [`Integrator::in_line`] or
    /// [`Integrator::onto_base`]: the base could not be moved, and each is integrated anew. Left there, the commits would
    /// be taken for somebody else's and set aside.
    ///
    /// # Errors
    /// Git gives no answer.
    pub async fn step_back(
        &self,
        _turn: &Turn,
        worktrees: &Worktrees,
        orders: &[Order<'_>],
        made: &[Option<Made>],
    ) -> Result<(), IntegrateError> {
        for (order, made) in orders.iter().zip(made) {
            let Some(made) = made else { continue };
            // One that was found as it was made before a crash.
            if made.commit != order.work.head {
                let back = worktrees.set_back(order.assigned, order.work, &made.commit);
                back.await?;
            }
        }
        Ok(())
    }

    /// Learns how the base came here from where it was seen last: somebody else may have moved it, and what was merged
    /// is not known by its parts.
    async fn catch_up(&self, first: &ObjectId, tip: &ObjectId) -> Result<(), IntegrateError> {
        let seen = self.seen().replace(tip.clone());
        let seen = seen.unwrap_or_else(|| first.clone());
        if self.git.lineage().between(&seen, tip).is_some()
            || !self.git.is_ancestor(&seen, tip).await?
        {
            return Ok(());
        }
        let changes = self.git.changes_between(&seen, tip).await?;
        self.git.lineage().remember(tip, &seen, touched(&changes));
        Ok(())
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Option<ObjectId>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The works that go together, and the plan after all of them.
    async fn places<'a>(
        &self,
        tip: &ObjectId,
        orders: &'a [Order<'a>],
    ) -> Result<(Vec<Place<'a>>, Option<Plan>), IntegrateError> {
        let path = orders
            .iter()
            .find_map(|order| order.tick)
            .map(|tick| tick.path);
        let mut plan = match path {
            Some(path) => self.plans.read(&self.git, tip, path).await?,
            None => None,
        };
        let mut places: Vec<Place<'a>> = Vec::new();
        for (at, order) in orders.iter().enumerate() {
            let Some((branch, touched)) = self.place(tip, order, &places).await? else {
                continue;
            };
            let ticked = order.tick.and_then(|tick| plan.as_ref()?.ticked(tick));
            let (mut touched, mut changes) = (touched, order.work.file_changes());
            let is_ticked = ticked.is_some();
            if let (Some(ticked), Some(tick)) = (ticked, order.tick) {
                touched.changed.push(tick.path.as_bytes().to_owned());
                changes.push(ticked.change(tick.path));
                plan = Some(ticked);
            }
            places.push(Place {
                at,
                order,
                reference: order.assigned.reference(),
                branch,
                changes,
                is_ticked,
                touched,
            });
        }
        Ok((places, plan))
    }

    /// Where the branch of a work is, and what it touches, if it can go on top of the tip and of those before it.
    async fn place(
        &self,
        tip: &ObjectId,
        order: &Order<'_>,
        before: &[Place<'_>],
    ) -> Result<Option<(ObjectId, Touched)>, IntegrateError> {
        let (assigned, work) = (order.assigned, order.work);
        let is_one_commit = match self.strategy {
            Strategy::Squash => true,
            Strategy::Rebase => work.head == assigned.start,
            Strategy::Merge => false,
        };
        let touched = touched(&work.changes);
        let touches_the_plan = order.tick.is_some_and(|tick| touches(&touched, tick.path));
        let is_on_older = work.base != assigned.start;
        if work.is_committed || is_on_older || !is_one_commit || touches_the_plan {
            return Ok(None);
        }
        let Some(since) = self.git.lineage().between(&assigned.start, tip) else {
            return Ok(None);
        };
        let since: Vec<&Touched> = since
            .iter()
            .map(Arc::as_ref)
            .chain(before.iter().map(|place| &place.touched))
            .collect();
        if !fits(&touched, &since) {
            return Ok(None);
        }
        // Any other commit on the branch is set aside where the work is integrated alone.
        let branch = self.git.tip(&assigned.reference()).await?;
        Ok(branch
            .filter(|branch| *branch == work.head)
            .map(|branch| (branch, touched)))
    }
}

impl Place<'_> {
    fn commit<'a>(&'a self, parent: Parent<'a>, changes: Vec<FileChange>) -> NewCommit<'a> {
        NewCommit {
            reference: &self.reference,
            parents: vec![parent],
            tree: None,
            changes,
            message: self.order.message,
            when: self.order.now,
        }
    }
}
