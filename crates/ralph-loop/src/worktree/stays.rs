//! A worktree that stays for the repositories in it, although its work is safe: it is the user's from then on, and goes when
//! there is nothing in it that is nowhere else.

use super::mark::Mark;
use super::{
    Assigned, CHECKOUT_LIMIT, Kept, Prepared, Safe, Work, WorktreeError, Worktrees, embedded,
};
use crate::git::ObjectId;

/// How many files are named.
const MOST_NAMED: usize = 5;

impl Worktrees {
    /// Gives a worktree to the user for the repositories in it. Its files are those of the commit that holds the work, tick
    /// and all, and it is on no branch, so that git finds it clean once those repositories are elsewhere.
    ///
    /// # Errors
    /// Always, as the worktree stays.
    pub(super) async fn leave_to_user(
        &self,
        assigned: &Assigned,
        work: &Work,
        safe: Safe<'_>,
        branch: Option<ObjectId>,
    ) -> Result<Option<Prepared>, WorktreeError> {
        let prepared = Prepared {
            path: assigned.path.clone(),
            git_dir: assigned.git_dir.clone(),
        };
        let (Safe::Merged(commit) | Safe::OnBranch(commit)) = safe;
        self.leave(&prepared, commit).await?;
        // What git ignores goes as it does with any other worktree: what is there later is the user's. Forced once only,
        // which leaves repositories alone (git-clean(1)).
        self.within(&prepared, &["clean", "-fdXq"]).run().await?;
        // Not before: a loop that is killed meanwhile leaves an attempt, and the next start comes here again.
        let name = Some(assigned.branch.clone());
        Mark::Stays { branch: name }.write(&assigned.git_dir)?;
        if let (Safe::Merged(_), Some(tip)) = (safe, branch) {
            self.git.remove_ref(&assigned.reference(), &tip).await?;
        }
        Err(embedded(&assigned.path, &work.embedded))
    }

    /// Of a worktree that stays: it goes once what is in it is elsewhere. Somebody may have worked there meanwhile: commits
    /// that no branch has get one, and any file that no commit has keeps the worktree. The branch of the attempt goes with
    /// what is merged, as far as it is not checked out there.
    pub(super) async fn look_again(
        &self,
        assigned: &Assigned,
        branch: Option<&String>,
    ) -> Result<Option<Kept>, WorktreeError> {
        if let Some(branch) = branch.filter(|branch| **branch != assigned.branch) {
            self.remove_if_merged(branch).await?;
        }
        let inside = self.inside(assigned).await;
        if !inside.embedded.is_empty() {
            return Err(embedded(&assigned.path, &inside.embedded));
        }
        let files = self.loose_files(assigned).await?;
        if !files.is_empty() {
            return Err(WorktreeError::NotClean {
                path: assigned.path.clone(),
                files,
            });
        }
        let kept = self.rescue(assigned).await?;
        let call = self.git.call(&["worktree", "remove"]).arg(&assigned.path);
        call.limit(CHECKOUT_LIMIT).run().await?;
        let prefix = format!("{}/", self.prefix);
        if assigned.branch.starts_with(&prefix) {
            self.remove_if_merged(&assigned.branch).await?;
        }
        Ok(kept)
    }

    /// The first files of a worktree that differ from its commit, also those that git ignores.
    async fn loose_files(&self, assigned: &Assigned) -> Result<Vec<String>, WorktreeError> {
        let question = [
            "status",
            "--porcelain",
            "-z",
            "--ignored",
            "--no-renames",
            "--untracked-files=normal",
            "--ignore-submodules=none",
        ];
        let call = self.git.call(&question);
        let answer = call.within(&assigned.path, &assigned.git_dir).run().await?;
        // `XY PATH NUL` (git-status(1)).
        let text = String::from_utf8_lossy(&answer.stdout);
        let paths = text.split('\0').filter_map(|entry| entry.get(3..));
        Ok(paths.take(MOST_NAMED).map(str::to_owned).collect())
    }

    /// Gives a commit that the worktree is at, and no branch has, a branch of its own.
    async fn rescue(&self, assigned: &Assigned) -> Result<Option<Kept>, WorktreeError> {
        let commit = assigned.start.clone();
        let arguments = ["for-each-ref", "--count=1", "--contains", commit.as_str()];
        let places = ["refs/heads", "refs/remotes"];
        let call = self.git.call(&arguments).arg(places[0]).arg(places[1]);
        if !call.run().await?.text().is_empty() {
            return Ok(None);
        }
        let branch = self.rescue_branch(&assigned.path);
        let reference = format!("refs/heads/{branch}");
        self.git.move_ref(&reference, None, &commit).await?;
        Ok(Some(Kept { branch, commit }))
    }
}

#[cfg(test)]
mod tests {
    use ralph_core::time::Timestamp;

    use super::*;
    use crate::git::sandbox::Sandbox;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    struct Bench {
        sandbox: Sandbox,
        worktrees: Worktrees,
        assigned: Assigned,
    }

    impl Bench {
        /// A worktree with work, and with a repository in it.
        async fn assigned() -> Self {
            let sandbox = Sandbox::new();
            sandbox.write(".gitignore", "ignored/\n");
            sandbox.commit_all("Ignore");
            let git = sandbox.open().await;
            let base = git.base(None, None).await.unwrap();
            let worktrees = Worktrees::open(&git, &base, "ralph-x").await.unwrap();
            let prepared = worktrees.prepare().await.unwrap();
            let assigned = worktrees.assign(prepared, "one").await.unwrap();
            let bench = Self {
                sandbox,
                worktrees,
                assigned,
            };
            bench.write("work");
            bench.write("ignored/built");
            bench.write("nested/file");
            let nested = bench.assigned.path.join("nested");
            bench.sandbox.git_at(&nested, &["init", "-q"]);
            bench
        }

        /// One that stayed for the repository in it, which is elsewhere now.
        async fn new() -> Self {
            let bench = Self::assigned().await;
            let nested = bench.assigned.path.join("nested");
            let kept = bench.worktrees.keep(&bench.assigned, "m", NOW).await;
            assert!(matches!(kept, Err(WorktreeError::Embedded { .. })));
            let swept = bench.worktrees.sweep(&[], NOW).await.unwrap();
            assert!(swept[0].problem.is_some());
            std::fs::remove_dir_all(nested).unwrap();
            bench
        }

        fn write(&self, path: &str) {
            self.sandbox
                .write(&format!("../repo-worktrees/w1/{path}"), "x");
        }

        fn at(&self, arguments: &[&str]) {
            self.sandbox.git_at(&self.assigned.path, arguments);
        }

        fn branches(&self) -> String {
            self.sandbox.git(&["branch", "--format=%(refname:short)"])
        }
    }

    /// Killed at any moment between the merge of its work and the end of the attempt.
    #[tokio::test]
    async fn its_branch_goes_once_the_base_has_it_wherever_the_loop_was_killed() {
        for is_left in [false, true] {
            let bench = Bench::assigned().await;
            let (worktrees, assigned) = (&bench.worktrees, &bench.assigned);
            let work = worktrees.capture(assigned).await.unwrap();
            let made = worktrees.commit(assigned, &work, "Work", Vec::new(), NOW);
            let commit = made.await.unwrap();
            bench
                .sandbox
                .git(&["merge", "-q", "--ff-only", commit.as_str()]);
            if is_left {
                bench.at(&["checkout", "-q", "--force", "--detach", commit.as_str()]);
            }
            for _ in 0..2 {
                let swept = worktrees.sweep(&[], NOW).await.unwrap();
                let problem = swept[0].problem.as_ref();
                assert!(
                    matches!(problem, Some(WorktreeError::Embedded { .. })),
                    "{problem:?}"
                );
            }
            assert_eq!(bench.branches().replace("(HEAD detached at ", ""), "main");
            bench.at(&["status"]);
            std::fs::remove_dir_all(assigned.path.join("nested")).unwrap();
            let swept = worktrees.sweep(&[], NOW).await.unwrap();
            assert!(swept[0].problem.is_none(), "{swept:?}");
            assert!(!assigned.path.exists());
        }
    }

    #[tokio::test]
    async fn it_goes_with_what_the_agent_left_for_git_to_ignore() {
        let bench = Bench::new().await;
        let swept = bench.worktrees.sweep(&[], NOW).await.unwrap();
        assert!(swept[0].problem.is_none() && swept[0].kept.is_none());
        assert!(!bench.assigned.path.exists());
        assert_eq!(bench.branches(), "main\nralph-x/one");
    }

    #[tokio::test]
    async fn a_commit_that_the_user_made_there_gets_a_branch() {
        let bench = Bench::new().await;
        bench.write("users");
        bench.at(&["add", "-A"]);
        bench.at(&["commit", "-q", "-m", "The user's"]);
        let swept = bench.worktrees.sweep(&[], NOW).await.unwrap();
        let kept = swept[0].kept.as_ref().unwrap();
        assert_eq!(kept.branch, "ralph-x/rescued-w1");
        let file = format!("{}:users", kept.branch);
        assert_eq!(bench.sandbox.git(&["show", &file]), "x");
        assert!(!bench.assigned.path.exists());
    }

    #[tokio::test]
    async fn files_of_the_users_keep_it_also_those_that_git_ignores() {
        for path in ["ignored/users", "users", "work"] {
            let bench = Bench::new().await;
            bench
                .sandbox
                .write(&format!("../repo-worktrees/w1/{path}"), "mine");
            for _ in 0..2 {
                let swept = bench.worktrees.sweep(&[], NOW).await.unwrap();
                let problem = swept[0].problem.as_ref();
                let Some(WorktreeError::NotClean { files, .. }) = problem else {
                    panic!("{path}: {problem:?}");
                };
                assert_eq!(files, &[path.replace("/users", "/")]);
                assert!(bench.assigned.path.join(path).is_file());
            }
        }
    }
}
