//! A worktree for an attempt: a branch of its own at the tip of the base, also when that moves before anybody has begun.

use super::mark::Mark;
use super::{Assigned, CHECKOUT_LIMIT, Prepared, WorktreeError, Worktrees, index};

/// How many names are tried for a branch that others make at the same time.
const MOST_NAMES: usize = 100;

impl Worktrees {
    /// Gives a prepared worktree a branch of its own at the current tip of the base: `<prefix>/<name>`, or with `-2`,
    /// `-3` behind it where that is taken. One run of git, and one more where the last attempt has left files that git
    /// does not know.
    ///
    /// # Errors
    /// Git refuses; the worktree is removed then.
    pub async fn assign(&self, prepared: Prepared, name: &str) -> Result<Assigned, WorktreeError> {
        let tip = self.git.base_tip(&self.base).await?;
        for _ in 0..MOST_NAMES {
            let assigned = Assigned {
                path: prepared.path.clone(),
                git_dir: prepared.git_dir.clone(),
                branch: self.free_branch(name),
                start: tip.clone(),
            };
            match self.renew(&prepared, &assigned.branch, &tip).await {
                Ok(()) => {
                    let equipped = self.equip(&prepared, &assigned).await;
                    if equipped.is_err() {
                        self.forget(&prepared.path).await;
                        self.git.remove_ref(&assigned.reference(), &tip).await?;
                    }
                    return equipped.map(|()| assigned);
                }
                // Somebody else has made a branch of that name meanwhile.
                Err(_) if self.git.tip(&assigned.reference()).await?.is_some() => {}
                Err(error) => {
                    self.forget(&prepared.path).await;
                    return Err(error);
                }
            }
        }
        self.forget(&prepared.path).await;
        Err(WorktreeError::NoName {
            name: format!("{}/{name}", self.prefix),
        })
    }

    /// Takes up the work of an attempt that waits on its branch, in a worktree of its own with its files, as after a crash
    /// that came when the commit was made. `None` where the branch is elsewhere, checked out, or on a remote.
    ///
    /// # Errors
    /// Git refuses.
    pub(crate) async fn take_up(
        &self,
        branch: &str,
        commit: &str,
    ) -> Result<Option<Assigned>, WorktreeError> {
        let (local, remote) = (
            format!("refs/heads/{branch}"),
            format!("refs/remotes/*/{branch}"),
        );
        let found = self.git.branches(&[&local, &remote]).await?;
        let [(_, there)] = &found[..] else {
            return Ok(None);
        };
        if there.tip.as_str() != commit || there.checked_out.is_some() {
            return Ok(None);
        }
        let start = self.parent_of(&there.tip).await?;
        // With its files: a crash while it is put onto the base anew finds the work there.
        let prepared = self.prepare_at(&there.tip).await?;
        let assigned = Assigned {
            path: prepared.path,
            git_dir: prepared.git_dir,
            branch: branch.to_owned(),
            start,
        };
        let (head, onto) = (&assigned.start, &assigned.start);
        Mark::committing(&assigned, head, onto, false).write(&assigned.git_dir)?;
        Ok(Some(assigned))
    }

    /// What makes a worktree on its branch an attempt's.
    async fn equip(&self, prepared: &Prepared, assigned: &Assigned) -> Result<(), WorktreeError> {
        self.clean(prepared, &assigned.start).await?;
        // Before the mark: that of the last attempt would say that the base's own changes are work.
        index::keep(&assigned.git_dir)?;
        Ok(Mark::assigned(assigned).write(&assigned.git_dir)?)
    }

    /// Whether the base is where the attempt starts.
    ///
    /// # Errors
    /// Git gives no answer.
    pub async fn is_at_base(&self, assigned: &Assigned) -> Result<bool, WorktreeError> {
        Ok(self.git.base_tip(&self.base).await? == assigned.start)
    }

    /// Brings a worktree in which nobody has worked yet, and its branch, to the tip of the base as it is now; `None` where
    /// it is there. One run of git. While it goes on the worktree counts as holding no work.
    ///
    /// # Errors
    /// Git refuses, such as because somebody has worked there all the same; the worktree is as it was.
    pub async fn advance(&self, assigned: &Assigned) -> Result<Option<Assigned>, WorktreeError> {
        let tip = self.git.base_tip(&self.base).await?;
        if tip == assigned.start {
            return Ok(None);
        }
        Mark::Released { branch: None }.write(&assigned.git_dir)?;
        let call = self.git.call(&["checkout", "--quiet", "--no-track", "-B"]);
        let call = call.at(&assigned.path).without_hooks();
        let call = call.arg(&assigned.branch).arg(tip.as_str());
        let advanced = Assigned {
            start: tip,
            ..assigned.clone()
        };
        let done = match call.limit(CHECKOUT_LIMIT).run().await {
            Ok(_) => index::keep(&assigned.git_dir).map_err(WorktreeError::from),
            Err(error) => Err(error.into()),
        };
        let now = if done.is_ok() { &advanced } else { assigned };
        Mark::assigned(now).write(&assigned.git_dir)?;
        done.map(|()| Some(advanced))
    }
}

#[cfg(test)]
mod tests {
    use ralph_core::time::Timestamp;

    use super::super::mark::{Found, Mark};
    use super::super::tests::assigned_one;

    #[tokio::test]
    async fn one_that_waits_goes_where_the_base_went() {
        let (sandbox, worktrees, assigned) = assigned_one().await;
        assert_eq!(worktrees.advance(&assigned).await.unwrap(), None);
        sandbox.write("new.txt", "new");
        sandbox.write("README.md", "changed\n");
        let tip = sandbox.commit_all("Move the base");
        let before = worktrees.git.calls();
        let advanced = worktrees.advance(&assigned).await.unwrap().unwrap();
        assert_eq!(worktrees.git.calls() - before, 1);
        assert_eq!(advanced.start.as_str(), tip);
        let on = ["symbolic-ref", "--short", "HEAD"];
        assert_eq!(sandbox.git_at(&advanced.path, &on), "ralph-x/one");
        assert_eq!(sandbox.git(&["rev-parse", "ralph-x/one"]), tip);
        let status = ["status", "--porcelain", "--ignored"];
        assert_eq!(sandbox.git_at(&advanced.path, &status), "");
        // What the base has seen is no work of its agent.
        assert!(worktrees.capture(&advanced).await.unwrap().is_empty());
        sandbox.write("../repo-worktrees/w1/work.txt", "x");
        let work = worktrees.capture(&advanced).await.unwrap();
        let paths: Vec<&str> = work.changes.iter().map(|change| &*change.path).collect();
        assert_eq!(paths, ["work.txt"]);
    }

    #[tokio::test]
    async fn one_in_which_somebody_works_stays_and_keeps_it() {
        let (sandbox, worktrees, assigned) = assigned_one().await;
        sandbox.write("../repo-worktrees/w1/README.md", "theirs\n");
        sandbox.write("README.md", "changed\n");
        sandbox.commit_all("Move the base");
        assert!(worktrees.advance(&assigned).await.is_err());
        let found = Mark::read(&assigned.git_dir);
        assert_eq!(found, Found::Mark(Mark::assigned(&assigned)));
        let work = worktrees.capture(&assigned).await.unwrap();
        let paths: Vec<&str> = work.changes.iter().map(|change| &*change.path).collect();
        assert_eq!(paths, ["README.md"]);
    }

    #[tokio::test]
    async fn a_loop_that_was_killed_on_the_way_leaves_nothing() {
        for has_arrived in [false, true] {
            let (sandbox, worktrees, assigned) = assigned_one().await;
            sandbox.write("new.txt", "new");
            sandbox.commit_all("Move the base");
            if has_arrived {
                worktrees.advance(&assigned).await.unwrap();
            }
            Mark::Released { branch: None }
                .write(&assigned.git_dir)
                .unwrap();
            let swept = worktrees.sweep(&[], Timestamp::UNIX_EPOCH).await.unwrap();
            assert!(swept[0].kept.is_none() && swept[0].problem.is_none());
            assert!(!assigned.path.exists());
            let branches = sandbox.git(&["branch", "--format=%(refname:short)"]);
            assert_eq!(branches, "main", "{has_arrived}");
        }
    }
}
