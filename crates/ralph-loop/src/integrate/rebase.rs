//! Work commit by commit on top of the base, in the attempt's own worktree.

use super::{IntegrateError, Integrator, Made, Order};
use crate::git::{Call, GitError, ObjectId};
use crate::worktree::{Assigned, Worktrees};

impl Integrator {
    /// The work commit by commit on top of the base; `None` where that does not go through. It is done in the
    /// attempt's own worktree, whose files have been committed by then.
    pub(super) async fn rebased(
        &self,
        worktrees: &Worktrees,
        order: &Order<'_>,
        tip: &ObjectId,
        has_moved: bool,
    ) -> Result<Option<Made>, IntegrateError> {
        let assigned = order.assigned;
        if !self
            .git
            .is_ancestor(&order.work.base, &order.work.head)
            .await?
        {
            return Ok(None);
        }
        if !has_moved {
            let commit = self.on_branch(worktrees, order).await?;
            return Ok(Some(Made {
                commit,
                onto: tip.clone(),
                is_ticked: order.tick.is_some(),
            }));
        }
        let commit = self.plain_commit(worktrees, order).await?;
        let within = |arguments: &[&str]| self.rebasing(assigned, arguments);
        within(&[
            "checkout",
            "--quiet",
            "--force",
            "--detach",
            commit.as_str(),
        ])
        .run()
        .await?;
        let arguments = [
            "rebase",
            "--quiet",
            "--no-autostash",
            "--onto",
            tip.as_str(),
            order.work.base.as_str(),
        ];
        if within(&arguments).accepting(&[0]).await.is_err() {
            // Nothing to abort where it did not even begin.
            within(&["rebase", "--abort"])
                .accepting(&[0, 1, 128])
                .await?;
            if commit != order.work.head {
                // As it was: what comes next makes a commit of its own.
                worktrees.set_back(assigned, order.work, &commit).await?;
            }
            return Ok(None);
        }
        let head = within(&["rev-parse", "--verify", "HEAD"])
            .run()
            .await?
            .text();
        let head = head.parse().map_err(|_| GitError::Answer {
            command: "git rev-parse".to_owned(),
            found: head.chars().take(120).collect(),
            expected: "the name of an object",
        })?;
        if self.plans.tick(&self.git, tip, order.tick).await?.is_some() {
            let tree = worktrees.tree_of(&head).await?;
            let made = self
                .finish(worktrees, order, vec![&head], Some(&tree), tip)
                .await?;
            return Ok(Some(made));
        }
        worktrees.announce(assigned, Some(&commit), tip)?;
        self.git
            .move_ref(&assigned.reference(), Some(&commit), &head)
            .await?;
        Ok(Some(Made {
            commit: head,
            onto: tip.clone(),
            is_ticked: false,
        }))
    }

    /// A call in the attempt's own worktree, as the user's settings for rebasing must not change it.
    fn rebasing(&self, assigned: &Assigned, arguments: &[&str]) -> Call<'_> {
        let call = self.git.call(arguments).without_hooks();
        let call = call
            .setting("commit.gpgSign=false")
            .setting("rebase.updateRefs=false");
        call.within(&assigned.path, &assigned.git_dir)
    }
}
