//! A worktree whose folder is gone: its agent has removed it. What git still knows of it is put on the branch of the attempt
//! before its entry goes.

use std::fs;

use super::mark::{Found, Mark};
use super::{Assigned, Kept, WorktreeError, Worktrees};
use crate::git::ObjectId;

impl Worktrees {
    /// What has been kept of an attempt whose worktree is gone. Where that is nothing, nothing of it stays. Can be done
    /// again after a crash.
    ///
    /// # Errors
    /// Git gives no answer.
    pub(crate) async fn kept_before(
        &self,
        assigned: &Assigned,
    ) -> Result<Option<Kept>, WorktreeError> {
        let reference = assigned.reference();
        let mut tip = self.git.tip(&reference).await?;
        if !assigned.path.exists() && self.is_of(assigned) {
            if let Some(left) = self.left_at(assigned, tip.as_ref()).await? {
                if tip.as_ref().is_none_or(|tip| *tip == assigned.start) {
                    self.git.move_ref(&reference, tip.as_ref(), &left).await?;
                    tip = Some(left);
                } else {
                    self.keep_aside(assigned, &left).await?;
                }
            }
            self.forget(&assigned.path).await;
        }
        match tip {
            Some(commit) if commit != assigned.start => Ok(Some(Kept {
                branch: assigned.branch.clone(),
                commit,
            })),
            Some(commit) if !assigned.path.exists() => {
                self.git.remove_ref(&reference, &commit).await?;
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// The commit on no branch that the agent was at last, as git's folder of the worktree says (gitrepository-layout(5):
    /// `worktrees/<id>/HEAD`); `None` where the start, the base or the branch of the attempt has it.
    async fn left_at(
        &self,
        assigned: &Assigned,
        tip: Option<&ObjectId>,
    ) -> Result<Option<ObjectId>, WorktreeError> {
        let is_ours = match Mark::read(&assigned.git_dir) {
            Found::Mark(Mark::Assigned { branch, .. } | Mark::Committing { branch, .. }) => {
                branch == assigned.branch
            }
            _ => false,
        };
        let text = fs::read_to_string(assigned.git_dir.join("HEAD")).unwrap_or_default();
        let Some(head) = text.trim_end().parse().ok().filter(|_| is_ours) else {
            return Ok(None);
        };
        let base = self.git.base_tip(&self.base).await?;
        for known in [Some(&assigned.start), Some(&base), tip]
            .into_iter()
            .flatten()
        {
            if self.git.is_ancestor(&head, known).await? {
                return Ok(None);
            }
        }
        Ok(Some(head))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::tests::assigned_one;
    use super::super::{Assigned, WorktreeError};
    use crate::git::sandbox::Sandbox;

    /// What the agent does before its worktree is gone: each is a call of git.
    fn leave(sandbox: &Sandbox, assigned: &Assigned, script: &str) {
        for command in script.split("; ") {
            let words: Vec<&str> = command.split(' ').collect();
            sandbox.git_at(&assigned.path, &words);
        }
        fs::remove_dir_all(&assigned.path).unwrap();
    }

    #[tokio::test]
    async fn commits_on_no_branch_are_put_on_that_of_the_attempt() {
        let detached = "checkout -q --detach; commit -q --allow-empty -m Lost";
        for script in [detached, &format!("{detached}; branch -D ralph-x/one")] {
            let (sandbox, worktrees, assigned) = assigned_one().await;
            leave(&sandbox, &assigned, script);
            for _ in 0..2 {
                let kept = worktrees.kept_before(&assigned).await.unwrap().unwrap();
                assert_eq!(kept.branch, "ralph-x/one");
                let subject = ["log", "-1", "--format=%s", kept.commit.as_str()];
                assert_eq!(sandbox.git(&subject), "Lost");
                assert_eq!(
                    sandbox.git(&["rev-parse", &kept.branch]),
                    kept.commit.as_str()
                );
            }
            let listed = sandbox.git(&["worktree", "list", "--porcelain"]);
            assert_eq!(listed.matches("worktree ").count(), 1, "{listed}");
        }
    }

    #[tokio::test]
    async fn where_the_branch_has_commits_too_they_are_kept_beside_it() {
        let (sandbox, worktrees, assigned) = assigned_one().await;
        let script = "commit -q --allow-empty -m Own; checkout -q --detach HEAD~1; \
                      commit -q --allow-empty -m Lost";
        leave(&sandbox, &assigned, script);
        let kept = worktrees.kept_before(&assigned).await.unwrap().unwrap();
        let subject = |name: &str| sandbox.git(&["log", "-1", "--format=%s", name]);
        assert_eq!(subject(kept.commit.as_str()), "Own");
        let asides = worktrees.take_asides(Some(&assigned));
        assert_eq!(asides, ["ralph-x/one-aside"]);
        assert_eq!(subject(&asides[0]), "Lost");
    }

    #[tokio::test]
    async fn only_its_own_entry_goes_and_no_branch_is_named_that_has_nothing() {
        let (sandbox, worktrees, assigned) = assigned_one().await;
        let theirs = sandbox.folder().join("theirs");
        let path = theirs.to_string_lossy().into_owned();
        sandbox.git(&["worktree", "add", "-q", "--detach", &path]);
        sandbox.git_at(&theirs, &["commit", "-q", "--allow-empty", "-m", "Theirs"]);
        // On a disk that is away for the moment.
        fs::remove_dir_all(&theirs).unwrap();
        fs::remove_dir_all(&assigned.path).unwrap();
        let captured = worktrees.capture(&assigned).await;
        let Err(WorktreeError::Gone { branch: None, .. }) = captured else {
            panic!("{captured:?}");
        };
        assert_eq!(worktrees.kept_before(&assigned).await.unwrap(), None);
        let listed = sandbox.git(&["worktree", "list", "--porcelain"]);
        assert_eq!(listed.matches("worktree ").count(), 2, "{listed}");
        assert!(listed.contains(&path), "{listed}");
        let branches = sandbox.git(&["branch", "--format=%(refname:short)"]);
        assert_eq!(branches, "main");
    }
}
