//! The marks of claims taken away for a moment, so that git sees the plan as it is committed.

use super::edit::{self, Written};
use super::{Mark, PlanError, PlanFile, RowKey, TRIES};

/// The marks of all claims are lifted and the plan's lock is held, until this is put back or dropped.
///
/// This process can go on claiming and giving back meanwhile, by the plan as it was: the records tell who has what, and
/// the marks follow when they are put back. Whoever has to change the file waits, and so do other processes.
#[derive(Debug)]
#[must_use = "the marks are put back when this is dropped"]
pub struct LiftedMarks<'a> {
    plan: &'a PlanFile,
    is_over: bool,
}

impl LiftedMarks<'_> {
    /// Puts the marks of the claims back into the plan as it is now. A task that was done meanwhile stays done.
    ///
    /// # Errors
    /// The plan cannot be written. The records still tell who has what, so nothing is taken twice.
    pub fn restore(mut self) -> Result<(), PlanError> {
        self.is_over = true;
        self.plan.put_marks_back()
    }
}

impl Drop for LiftedMarks<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        if let Err(error) = self.plan.put_marks_back() {
            tracing::warn!(path = %self.plan.path.display(), %error, "the marks of claims are missing in the plan");
        }
    }
}

impl PlanFile {
    /// Lifts the marks of all claims that have a record, whoever has them. A `[~]` of nobody known stays.
    ///
    /// # Errors
    /// [`PlanError::Locked`], also when this process has lifted them already; otherwise as [`PlanFile::revert`].
    pub fn lift_marks(&self) -> Result<LiftedMarks<'_>, PlanError> {
        self.lift_to(None)
    }

    fn lift_to(&self, committed: Option<&str>) -> Result<LiftedMarks<'_>, PlanError> {
        let mut turn = self.turn()?;
        if turn.lifted() {
            return Err(PlanError::Locked {
                path: self.path.clone(),
                holder: None,
                waited: std::time::Duration::ZERO,
            });
        }
        let mut text = self.mark_claims(Mark::Claimed, Mark::Open)?;
        if let Some(committed) = committed
            && self.without_marks(committed, text.clone())? == text
            && edit::write(&self.path, &text, committed)? == Written::Yes
        {
            committed.clone_into(&mut text);
        }
        turn.keep_lock(text);
        Ok(LiftedMarks {
            plan: self,
            is_over: false,
        })
    }

    /// Calls `act` while the marks are lifted. That the marks could not be put back is no error of the work that was
    /// done: it is noted in the log, and the records stand.
    ///
    /// # Errors
    /// As [`PlanFile::lift_marks`]; then `act` was not called.
    pub fn with_marks_lifted<T>(&self, act: impl FnOnce() -> T) -> Result<T, PlanError> {
        let lifted = self.lift_marks()?;
        let value = act();
        drop(lifted);
        Ok(value)
    }

    /// As [`PlanFile::with_marks_lifted`], for a plan that was committed with marks of claims in it: meanwhile the file is
    /// as it is committed, where nothing but those marks differs.
    ///
    /// # Errors
    /// As [`PlanFile::lift_marks`]; then `act` was not called.
    pub fn with_plan_as<T>(
        &self,
        committed: &str,
        act: impl FnOnce() -> T,
    ) -> Result<T, PlanError> {
        let lifted = self.lift_to(Some(committed))?;
        let value = act();
        drop(lifted);
        Ok(value)
    }

    /// The rows of all claims, where the plan is the committed one but for their marks, and some of these are committed
    /// as well. Takes no lock and writes nothing.
    ///
    /// # Errors
    /// As [`PlanFile::read`].
    pub fn committed_marks(&self, committed: &str) -> Result<Option<Vec<RowKey>>, PlanError> {
        let now = self.text_now()?;
        let without = self.without_marks(committed, now.clone())?;
        if without == committed || !self.is_committed_but_for_claims(&without)? {
            return Ok(None);
        }
        let plan = self.view(&self.known(now), &self.records()?);
        Ok(Some(plan.claimed_rows().into_iter().cloned().collect()))
    }

    /// Another text of the plan without the marks of the claims that we know in the plan as it is `now`.
    fn without_marks(&self, text: &str, now: String) -> Result<String, PlanError> {
        let plan = self.view(&self.known(now), &self.records()?);
        let known = self.known(text.to_owned());
        let lifted = known
            .reading
            .set_marks(&plan.claimed_rows(), &[Mark::Claimed], Mark::Open);
        Ok(lifted.text().to_owned())
    }

    fn put_marks_back(&self) -> Result<(), PlanError> {
        let mut turn = self.turn()?;
        let outcome = self.mark_claims(Mark::Open, Mark::Claimed);
        turn.give_lock_back(&self.gate);
        outcome.map(drop)
    }

    /// Changes the marks of all tasks that have a claim; returns the plan as it is then.
    fn mark_claims(&self, from: Mark, to: Mark) -> Result<String, PlanError> {
        for _ in 0..TRIES {
            let known = self.known(self.text()?);
            let plan = self.view(&known, &self.records()?);
            let marked = known.reading.set_marks(&plan.claimed_rows(), &[from], to);
            if edit::write(&self.path, known.text(), marked.text())? != Written::No {
                return Ok(marked.text().to_owned());
            }
        }
        Err(self.changing())
    }
}
