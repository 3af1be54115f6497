//! A worktree for an attempt: a branch of its own at the tip of the base.

use super::mark::Mark;
use super::{Assigned, Holds, Prepared, WorktreeError, Worktrees, index};

impl Worktrees {
    /// Gives a prepared worktree a branch of its own at the current tip of the base: `<prefix>/<name>`, or with `-2`,
    /// `-3` behind it where that is taken. One run of git, and one more where the last attempt has left files that git
    /// does not know.
    ///
    /// # Errors
    /// Git refuses; the worktree is removed then.
    pub async fn assign(&self, prepared: Prepared, name: &str) -> Result<Assigned, WorktreeError> {
        let tip = self.git.base_tip(&self.base).await?;
        loop {
            let branch = self.free_branch(name);
            let assigned = Assigned {
                path: prepared.path.clone(),
                git_dir: prepared.git_dir.clone(),
                branch,
                start: tip.clone(),
            };
            let made = match &prepared.holds {
                Holds::Leavings => self.renew(&prepared, &assigned.branch, &tip).await,
                Holds::Commit(commit) => self.switch(&assigned, *commit != tip).await,
            };
            match made {
                Ok(()) => {
                    // Before the mark: that of the last attempt would say that the base's own changes are work.
                    index::keep(&assigned.git_dir)?;
                    if prepared.holds == Holds::Leavings {
                        Mark::assigned(&assigned).write(&assigned.git_dir)?;
                    }
                    return Ok(assigned);
                }
                // Somebody else has made a branch of that name meanwhile.
                Err(_) if self.git.tip(&assigned.reference()).await?.is_some() => {}
                Err(error) => {
                    self.forget(&prepared.path).await;
                    return Err(error);
                }
            }
        }
    }

    /// Puts a worktree that is at a commit on a new branch.
    async fn switch(&self, assigned: &Assigned, has_moved: bool) -> Result<(), WorktreeError> {
        // From now on it may hold work.
        Mark::assigned(assigned).write(&assigned.git_dir)?;
        let call = self.git.call(&["checkout", "--quiet", "--no-track", "-b"]);
        let call = call.at(&assigned.path).without_hooks();
        let mut call = call.arg(&assigned.branch);
        if has_moved {
            call = call.arg(assigned.start.as_str());
        }
        call.run().await?;
        Ok(())
    }
}
