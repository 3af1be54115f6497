//! Commits of an attempt that are on its branch and not below its last commit, such as because the agent went elsewhere:
//! they get a branch of their own, and whoever records the attempt is told its name.

use std::sync::PoisonError;

use super::{Assigned, Work, WorktreeError, Worktrees};
use crate::git::ObjectId;

impl Worktrees {
    pub(crate) async fn set_aside(
        &self,
        assigned: &Assigned,
        work: &Work,
        tip: &ObjectId,
    ) -> Result<(), WorktreeError> {
        if tip == &assigned.start || self.git.is_ancestor(tip, &work.head).await? {
            return Ok(());
        }
        self.keep_aside(assigned, tip).await
    }

    /// Gives a commit of an attempt a branch of its own beside that of the attempt.
    pub(super) async fn keep_aside(
        &self,
        assigned: &Assigned,
        tip: &ObjectId,
    ) -> Result<(), WorktreeError> {
        let first = format!("{}-aside", assigned.branch);
        let reference = |name: &str| format!("refs/heads/{name}");
        let name = match self.git.tip(&reference(&first)).await? {
            Some(there) if self.git.is_ancestor(tip, &there).await? => return Ok(()),
            Some(_) => format!("{first}-{}", tip.short()),
            None => first,
        };
        self.git.move_ref(&reference(&name), None, tip).await?;
        let mut asides = self.asides.lock().unwrap_or_else(PoisonError::into_inner);
        asides.push(name);
        Ok(())
    }

    /// The branches that commits were put aside on since somebody asked: those of one attempt, or all.
    pub(crate) fn take_asides(&self, of: Option<&Assigned>) -> Vec<String> {
        let first = of.map(|assigned| format!("{}-aside", assigned.branch));
        let mut asides = self.asides.lock().unwrap_or_else(PoisonError::into_inner);
        let all = std::mem::take(&mut *asides);
        let is_wanted = |name: &String| {
            first
                .as_ref()
                .is_none_or(|first| name.starts_with(first.as_str()))
        };
        let (wanted, others) = all.into_iter().partition(is_wanted);
        *asides = others;
        wanted
    }

    /// The same for an attempt that an earlier loop began: that one may have made them.
    pub(crate) async fn find_asides(
        &self,
        assigned: &Assigned,
    ) -> Result<Vec<String>, WorktreeError> {
        drop(self.take_asides(Some(assigned)));
        let pattern = format!("{}-aside*", assigned.reference());
        let found = self.git.branches(&[&pattern]).await?.into_iter();
        let names =
            found.filter_map(|(name, _)| Some(name.strip_prefix("refs/heads/")?.to_owned()));
        Ok(names.collect())
    }
}
