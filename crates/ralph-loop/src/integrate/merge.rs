//! A work onto a base that has moved since, or by a merge commit: git merges the two, from the commit that both stand on.
//!
//! One of them may have left that commit: the base was set back, or the agent amended it. What the one took out of it
//! must not come back with the other.

use super::{IntegrateError, Integrated, Integrator, Order, Strategy};
use crate::git::ObjectId;
use crate::git::merged::Merged;
use crate::worktree::{Work, Worktrees};

/// Which of the two still has the commit that the work is taken against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Both: git finds by itself what to merge from.
    Both,
    /// Only the base. Whoever amends a commit may have taken something out of it, which is work.
    OnlyBase,
    /// Not the base, which has left it. As the parent of a merge the work would bring it back.
    NotBase,
}

impl Standing {
    fn of(is_in_base: bool, is_in_work: bool) -> Self {
        match (is_in_base, is_in_work) {
            (true, true) => Self::Both,
            (true, false) => Self::OnlyBase,
            (false, _) => Self::NotBase,
        }
    }
}

impl Integrator {
    /// Puts the work on the tip by a merge, as one commit or as a merge commit; or finds where the two conflict.
    pub(super) async fn on_merged(
        &self,
        worktrees: &Worktrees,
        order: &Order<'_>,
        tip: &ObjectId,
    ) -> Result<Integrated, IntegrateError> {
        let commit = self.plain_commit(worktrees, order).await?;
        let standing = self.standing(order.work, tip, &commit).await?;
        let Merged { tree, conflicts } = match standing {
            Standing::Both => self.git.merged(tip, &commit).await?,
            Standing::OnlyBase | Standing::NotBase => {
                let base = &order.work.base;
                self.git.merged_since(base, tip, &commit).await?
            }
        };
        if !conflicts.is_empty()
            && !self
                .is_only_our_tick(worktrees, order, tip, &conflicts)
                .await?
        {
            let paths = conflicts;
            return Ok(Integrated::Conflict { commit, paths });
        }
        let parents = match (self.strategy, standing) {
            (Strategy::Merge, Standing::Both | Standing::OnlyBase) => vec![tip, &commit],
            _ => vec![tip],
        };
        let made = self.finish(worktrees, order, parents, Some(&tree), tip);
        Ok(Integrated::Made(made.await?))
    }

    /// One run of git in the usual case: a commit that both have in common is in both.
    async fn standing(
        &self,
        work: &Work,
        tip: &ObjectId,
        commit: &ObjectId,
    ) -> Result<Standing, IntegrateError> {
        let base = &work.base;
        let is_on_base = work.head == *base;
        if !is_on_base && self.git.merge_base(tip, commit).await?.as_ref() == Some(base) {
            return Ok(Standing::Both);
        }
        let is_in_base = self.git.is_ancestor(base, tip).await?;
        let is_in_work = is_on_base || self.git.is_ancestor(base, commit).await?;
        Ok(Standing::of(is_in_base, is_in_work))
    }

    /// Whether nothing conflicts but the plan, and that by the tick alone that a commit of ours has made on a base
    /// that has moved since: a row beside it was ticked meanwhile. What the agent did to the plan is not in its work.
    async fn is_only_our_tick(
        &self,
        worktrees: &Worktrees,
        order: &Order<'_>,
        tip: &ObjectId,
        conflicts: &[String],
    ) -> Result<bool, IntegrateError> {
        let Some(tick) = order.tick.filter(|tick| worktrees.is_protected(tick.path)) else {
            return Ok(false);
        };
        let is_possible = order.work.is_committed && conflicts.iter().all(|path| path == tick.path);
        let plan = self.plans.read(&self.git, tip, tick.path);
        Ok(is_possible && plan.await?.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::Standing;

    #[test]
    fn a_commit_that_one_of_the_two_has_left_is_merged_from_and_not_brought_back() {
        for (is_in_base, is_in_work, expected) in [
            (true, true, Standing::Both),
            (true, false, Standing::OnlyBase),
            (false, true, Standing::NotBase),
            (false, false, Standing::NotBase),
        ] {
            assert_eq!(Standing::of(is_in_base, is_in_work), expected);
        }
    }
}
