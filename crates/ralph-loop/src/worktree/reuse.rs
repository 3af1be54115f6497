//! A worktree whose work is safe becomes one for another attempt: one light run of git instead of removing all files
//! and writing them again, and no moment in which another git finds a half-made worktree.
//!
//! Only where nothing of the last attempt can stay: no state of git's own beside the usual (a rebase, a sparse
//! checkout, settings), no entry of the index that git was told not to look at. What must never be here: a guess.

use std::fs;
use std::path::Path;

use ralph_core::store::StoreError;
use ralph_core::store::atomic;

use super::index::{Index, START_INDEX};
use super::mark::Mark;
use super::{Assigned, CHECKOUT_LIMIT, Prepared, Safe, WorktreeError, Worktrees, notes};
use crate::attempt::aside;
use crate::git::{Call, ObjectId};

/// What the git folder of a worktree holds when nothing is going on (gitrepository-layout(5)), and two files of ours.
const USUAL: [&str; 10] = [
    "COMMIT_EDITMSG",
    "FETCH_HEAD",
    "HEAD",
    "ORIG_HEAD",
    "commondir",
    "gitdir",
    "index",
    "logs",
    START_INDEX,
    "ralph.json",
];

impl Worktrees {
    /// Gives up a worktree for another attempt; `None` where it has to be removed instead. What lies in it is no work
    /// from now on. It is cleaned when it is assigned again, in the same run of git that gives it its branch; one whose
    /// branch stays leaves it at once, so that the user can check it out.
    pub(super) async fn reuse(&self, assigned: &Assigned, safe: Safe<'_>) -> Option<Prepared> {
        let digits = assigned.start.as_str().len();
        if !is_usual(&assigned.git_dir, &assigned.path)
            || Index::read(&assigned.git_dir.join("index"), digits).is_none()
        {
            return None;
        }
        let prepared = Prepared {
            path: assigned.path.clone(),
            git_dir: assigned.git_dir.clone(),
        };
        let left = Mark::released(assigned).write(&assigned.git_dir);
        let left = match (left, safe) {
            (Ok(()), Safe::OnBranch(commit)) => self.leave(&prepared, commit).await,
            (left, _) => left.map_err(WorktreeError::from),
        };
        if let Err(error) = left {
            tracing::warn!(path = %assigned.path.display(), %error, "a worktree is not used again");
            return None;
        }
        Some(prepared)
    }

    /// Sets a worktree to a commit, on no branch.
    pub(super) async fn leave(
        &self,
        prepared: &Prepared,
        commit: &ObjectId,
    ) -> Result<(), WorktreeError> {
        let checkout = [
            "checkout",
            "--quiet",
            "--force",
            "--detach",
            commit.as_str(),
        ];
        let checkout = self.within(prepared, &checkout).limit(CHECKOUT_LIMIT);
        checkout.run().await?;
        Ok(())
    }

    /// Sets a worktree to a commit, on a new branch. Its mark still says that what lies there is no work.
    ///
    /// # Errors
    /// Git refuses, such as because there is a branch of that name.
    pub(super) async fn renew(
        &self,
        prepared: &Prepared,
        branch: &str,
        tip: &ObjectId,
    ) -> Result<(), WorktreeError> {
        let checkout = ["checkout", "--quiet", "--force", "--no-track", "-b", branch];
        let checkout = self.within(prepared, &checkout).arg(tip.as_str());
        checkout.limit(CHECKOUT_LIMIT).run().await?;
        Ok(())
    }

    /// Removes what the last attempt has left in a worktree that is at a commit, and brings the notes.
    ///
    /// # Errors
    /// Something cannot be removed, such as what lies in a folder that was made read-only.
    pub(super) async fn clean(
        &self,
        prepared: &Prepared,
        tip: &ObjectId,
    ) -> Result<(), WorktreeError> {
        let (path, git_dir) = (prepared.path.clone(), prepared.git_dir.clone());
        let digits = tip.as_str().len();
        let is_clean = tokio::task::spawn_blocking(move || {
            let index = Index::read(&git_dir.join("index"), digits);
            index.is_some_and(|index| index.is_all_of(&path))
        });
        if !is_clean.await.unwrap_or(false) {
            self.within(prepared, &["clean", "-ffdxq"]).run().await?;
            let path = prepared.path.clone();
            aside(move || remove_specials(&path)).await?;
        }
        Ok(notes::bring(self.git.top(), &prepared.path)?)
    }

    pub(super) fn within(&self, prepared: &Prepared, arguments: &[&str]) -> Call<'_> {
        let call = self.git.call(arguments).without_hooks();
        call.within(&prepared.path, &prepared.git_dir)
    }
}

/// Removes pipes, sockets and devices, which git passes over wherever they are. Links are not followed.
fn remove_specials(folder: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => remove_specials(&entry.path())?,
            Ok(kind) if !kind.is_file() && !kind.is_symlink() => {
                atomic::remove_unsynced(&entry.path())?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether git's folder of a worktree holds nothing unusual, and the worktree still belongs to it.
fn is_usual(git_dir: &Path, path: &Path) -> bool {
    let link = fs::read_to_string(path.join(".git")).unwrap_or_default();
    let leads_here = link.trim_end().strip_prefix("gitdir: ").map(Path::new) == Some(git_dir);
    let Ok(entries) = fs::read_dir(git_dir) else {
        return false;
    };
    leads_here
        && entries.flatten().all(|entry| {
            let name = entry.file_name();
            let is_empty =
                || fs::read_dir(entry.path()).is_ok_and(|mut inside| inside.next().is_none());
            USUAL.iter().any(|usual| name == *usual) || (name == "refs" && is_empty())
        })
}

#[cfg(test)]
mod tests {
    use super::super::{Safe, Worktrees};
    use super::*;
    use crate::git::sandbox::Sandbox;

    async fn bench() -> (Sandbox, Worktrees, Assigned) {
        let sandbox = Sandbox::new();
        sandbox.write(".gitignore", "ignored/\n");
        sandbox.commit_all("Ignore");
        let git = sandbox.open().await;
        let base = git.base(None, None).await.unwrap();
        let worktrees = Worktrees::open(&git, &base, "ralph-x").await.unwrap();
        let prepared = worktrees.prepare().await.unwrap();
        let assigned = worktrees.assign(prepared, "one").await.unwrap();
        sandbox.write("../repo-worktrees/w1/ignored/deep/file", "x");
        sandbox.write("../repo-worktrees/w1/README.md", "changed\n");
        (sandbox, worktrees, assigned)
    }

    async fn released(worktrees: &Worktrees, assigned: &Assigned) -> Option<Prepared> {
        let work = worktrees.capture(assigned).await.unwrap();
        let now = ralph_core::time::Timestamp::UNIX_EPOCH;
        let commit = worktrees
            .commit(assigned, &work, "m", Vec::new(), now)
            .await
            .unwrap();
        worktrees
            .release(assigned, &work, Safe::OnBranch(&commit))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn nothing_of_the_last_attempt_is_there_for_the_next_one() {
        let (sandbox, worktrees, assigned) = bench().await;
        // A gate has left its traces after the work was taken down.
        sandbox.write("late.txt", "late");
        // A server that was ended with its agent leaves its socket, which git does not see.
        sandbox.write("../repo-worktrees/w1/ignored/server/here", "x");
        let sockets = ["socket", "ignored/server/socket"].map(|name| assigned.path.join(name));
        for socket in &sockets {
            drop(std::os::unix::net::UnixListener::bind(socket).unwrap());
        }
        let tip = sandbox.commit_all("Move the base");
        let prepared = released(&worktrees, &assigned).await.unwrap();
        let next = worktrees.assign(prepared, "two").await.unwrap();
        assert_eq!((&next.path, next.start.as_str()), (&assigned.path, &*tip));
        assert_eq!(
            sandbox.git_at(&next.path, &["status", "--porcelain", "--ignored"]),
            ""
        );
        assert_eq!(
            fs::read_to_string(next.path.join("README.md")).unwrap(),
            "one\n"
        );
        assert!(!sockets[0].exists() && !sockets[1].exists());
        assert!(worktrees.capture(&next).await.unwrap().is_empty());
    }

    /// Released as one whose work the base holds, which it is taken for.
    async fn given_up(worktrees: &Worktrees, assigned: &Assigned) -> Prepared {
        let work = worktrees.capture(assigned).await.unwrap();
        let safe = Safe::Merged(&assigned.start);
        let prepared = worktrees.release(assigned, &work, safe).await.unwrap();
        prepared.unwrap()
    }

    #[tokio::test]
    async fn what_was_merged_is_cleaned_when_the_next_attempt_comes_and_in_one_run_where_it_can() {
        let (sandbox, worktrees, assigned) = bench().await;
        let prepared = given_up(&worktrees, &assigned).await;
        let branches = || sandbox.git(&["branch", "--format=%(refname:short)"]);
        assert_eq!(branches(), "main");
        // With an ignored file in it: a checkout, and a look by git at what is left.
        let before = worktrees.git.calls();
        let next = worktrees.assign(prepared, "two").await.unwrap();
        assert_eq!(worktrees.git.calls() - before, 2);
        let status = ["status", "--porcelain", "--ignored"];
        assert_eq!(sandbox.git_at(&next.path, &status), "");
        sandbox.write("../repo-worktrees/w1/new", "x");
        let prepared = given_up(&worktrees, &next).await;
        let before = worktrees.git.calls();
        let last = worktrees.assign(prepared, "three").await.unwrap();
        assert_eq!(worktrees.git.calls() - before, 1);
        assert_eq!(sandbox.git_at(&last.path, &status), "");
        assert_eq!(branches(), "main\nralph-x/three");
        assert!(worktrees.capture(&last).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn one_that_was_made_ready_when_the_loop_was_killed_leaves_nothing() {
        for is_on_its_branch in [false, true] {
            let (sandbox, worktrees, assigned) = bench().await;
            let prepared = given_up(&worktrees, &assigned).await;
            if is_on_its_branch {
                let tip = &assigned.start;
                let renewed = worktrees.renew(&prepared, "ralph-x/two", tip);
                renewed.await.unwrap();
            }
            let now = ralph_core::time::Timestamp::UNIX_EPOCH;
            let swept = worktrees.sweep(&[], now).await.unwrap();
            assert!(swept[0].kept.is_none() && swept[0].problem.is_none());
            assert!(!prepared.path.exists());
            let branches = sandbox.git(&["branch", "--format=%(refname:short)"]);
            assert_eq!(branches, "main", "{is_on_its_branch}");
        }
    }

    #[tokio::test]
    async fn a_worktree_with_something_unusual_is_removed_instead() {
        for command in [
            &["update-index", "--assume-unchanged", ".gitignore"][..],
            &["sparse-checkout", "set", "nothing"],
            &["bisect", "start"],
            &["update-ref", "refs/worktree/mine", "HEAD"],
        ] {
            let (sandbox, worktrees, assigned) = bench().await;
            sandbox.git_at(&assigned.path, command);
            assert!(
                released(&worktrees, &assigned).await.is_none(),
                "{command:?}"
            );
            assert!(!assigned.path.exists());
        }
    }
}
