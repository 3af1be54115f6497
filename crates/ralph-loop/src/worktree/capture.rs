//! What an agent has done in its worktree: found, and cleaned of what is not its business. One step after the other; each
//! can be done again after a crash.

use std::fs;
use std::time::Duration;

use ralph_core::store::atomic;

use super::index::{Index, START_INDEX};
use super::inside::Inside;
use super::mark::{Found, Mark};
use super::notes::is_note;
use super::work::Work;
use super::{Assigned, WorktreeError, Worktrees};
use crate::git::changes::{Change, raw_changes};
use crate::git::refs::loose;
use crate::git::{GitError, ObjectId};

/// How long a lock may be held by a git command of a loop that was killed, and the pause between two looks.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The commits that a work stands on, as in [`Work`].
struct Ground {
    head: ObjectId,
    base: ObjectId,
    went_back: Option<ObjectId>,
}

impl Ground {
    /// For an agent that has only gone back, the branch stays where it was.
    fn of(assigned: &Assigned, head: ObjectId, base: ObjectId, changes: &[Change]) -> Self {
        let start = &assigned.start;
        if changes.is_empty() && head == base && head != *start {
            Self {
                head: start.clone(),
                base: start.clone(),
                went_back: Some(head),
            }
        } else {
            Self {
                head,
                base,
                went_back: None,
            }
        }
    }
}

impl Worktrees {
    /// Finds what was done. The agent and all that it started have ended. One run of git, one more where the agent
    /// has made commits, and one where files of the loop were changed.
    ///
    /// # Errors
    /// [`WorktreeError::Gone`]; git gives no answer.
    pub async fn capture(&self, assigned: &Assigned) -> Result<Work, WorktreeError> {
        self.look_around(assigned).await?;
        self.is_there(assigned).await?;
        self.break_locks(assigned).await?;
        if let Some((tip, base)) = self.committed(assigned).await? {
            return self.recall(assigned, tip, base).await;
        }
        // Before the files are added, which makes a conflict look like resolved.
        let unfinished = self.unfinished(assigned).await?;
        let head = self.head(assigned).await?;
        let inside = self.inside(assigned).await;
        self.add_all(assigned, &inside).await?;
        let (base, all) = self.since_base(assigned, &head).await?;
        let (changes, others) = self.sorted(all, &inside);
        self.put_back(assigned, &others).await?;
        let tree = if changes.is_empty() || head == assigned.start {
            None
        } else {
            Some(self.write_tree(assigned).await?)
        };
        let ground = Ground::of(assigned, head, base, &changes);
        Ok(Work {
            head: ground.head,
            base: ground.base,
            went_back: ground.went_back,
            changes,
            tree,
            protected: self.protected_of(others),
            embedded: inside.embedded,
            submodules: inside.submodules,
            worktrees: inside.worktrees,
            unfinished,
            is_committed: false,
        })
    }

    async fn is_there(&self, assigned: &Assigned) -> Result<(), WorktreeError> {
        if self.has(assigned) {
            return Ok(());
        }
        let tip = self.git.tip(&assigned.reference()).await?;
        let is_own = tip.is_some_and(|tip| tip != assigned.start);
        Err(WorktreeError::Gone {
            path: assigned.path.clone(),
            branch: is_own.then(|| assigned.branch.clone()),
        })
    }

    /// Removes the locks of a git command that was killed: those of this worktree and of its branch, and no others. The
    /// agent and all that it started are dead; a git command of a killed loop may live for a moment, and is waited for.
    async fn break_locks(&self, assigned: &Assigned) -> Result<(), WorktreeError> {
        let common = self.git.common_dir();
        let locks = [
            assigned.git_dir.join("index.lock"),
            assigned.git_dir.join("HEAD.lock"),
            common.join(format!("{}.lock", assigned.reference())),
        ];
        let deadline = tokio::time::Instant::now() + LOCK_PATIENCE;
        for lock in locks {
            while lock.exists() && tokio::time::Instant::now() < deadline {
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            atomic::remove_unsynced(&lock)?;
        }
        Ok(())
    }

    /// The commit on the branch that holds the work already, made before a crash, and what it was made on.
    async fn committed(
        &self,
        assigned: &Assigned,
    ) -> Result<Option<(ObjectId, ObjectId)>, WorktreeError> {
        let Found::Mark(Mark::Committing { head, onto, .. }) = Mark::read(&assigned.git_dir) else {
            return Ok(None);
        };
        let tip = self.git.tip(&assigned.reference()).await?;
        let base = onto.unwrap_or_else(|| assigned.start.clone());
        Ok(tip.filter(|tip| *tip != head).map(|tip| (tip, base)))
    }

    /// The work as it was committed.
    async fn recall(
        &self,
        assigned: &Assigned,
        tip: ObjectId,
        base: ObjectId,
    ) -> Result<Work, WorktreeError> {
        let start = &assigned.start;
        let is_older = base != *start && self.git.is_ancestor(&base, start).await?;
        let since = if is_older { &base } else { start };
        let changes = self.git.changes_between(since, &tip).await?;
        let tree = self.tree_of(&tip).await?;
        let inside = self.inside(assigned).await;
        Ok(Work {
            head: tip,
            base,
            went_back: None,
            tree: Some(tree).filter(|_| !changes.is_empty()),
            changes,
            protected: Vec::new(),
            embedded: inside.embedded,
            submodules: inside.submodules,
            worktrees: inside.worktrees,
            unfinished: self.unfinished(assigned).await?,
            is_committed: true,
        })
    }

    /// The commit that the worktree is at, without a run of git as long as its files say so.
    async fn head(&self, assigned: &Assigned) -> Result<ObjectId, WorktreeError> {
        let text = fs::read_to_string(assigned.git_dir.join("HEAD")).unwrap_or_default();
        let known = match text.trim_end().strip_prefix("ref: ") {
            Some(reference) => loose(self.git.common_dir(), reference),
            None => text.trim_end().parse().ok(),
        };
        if let Some(head) = known {
            return Ok(head);
        }
        let call = self
            .git
            .call(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]);
        let call = call.within(&assigned.path, &assigned.git_dir);
        let output = call.accepting(&[0, 1, 128]).await?;
        // A branch without a commit yet: the work is what lies in the folder.
        Ok(output
            .text()
            .parse()
            .unwrap_or_else(|_| assigned.start.clone()))
    }

    /// What the work is taken against, and all that differs from it.
    async fn since_base(
        &self,
        assigned: &Assigned,
        head: &ObjectId,
    ) -> Result<(ObjectId, Vec<Change>), WorktreeError> {
        let all = self.changes(assigned).await?;
        let Some(common) = self.parted_at(assigned, head, &all).await? else {
            return Ok((assigned.start.clone(), all));
        };
        let all = self.changes_since(assigned, &common).await?;
        Ok((common, all))
    }

    /// What differs between the start and the index of a worktree: seen in the index as it was at the start, and asked
    /// of git where that is not there or nothing usual.
    async fn changes(&self, assigned: &Assigned) -> Result<Vec<Change>, WorktreeError> {
        let (digits, git_dir) = (assigned.start.as_str().len(), assigned.git_dir.clone());
        let seen = tokio::task::spawn_blocking(move || {
            let before = Index::read(&git_dir.join(START_INDEX), digits)?;
            Some(Index::read(&git_dir.join("index"), digits)?.since(&before))
        });
        if let Ok(Some(changes)) = seen.await {
            return Ok(changes);
        }
        Ok(self.changes_since(assigned, &assigned.start).await?)
    }

    /// What differs between a commit and the index of a worktree.
    async fn changes_since(
        &self,
        assigned: &Assigned,
        commit: &ObjectId,
    ) -> Result<Vec<Change>, GitError> {
        let question = [
            "diff-index",
            "--cached",
            "--raw",
            "-z",
            "--no-abbrev",
            "--no-renames",
            "--ignore-submodules=none",
            commit.as_str(),
        ];
        let call = self.git.call(&question);
        let call = call.within(&assigned.path, &assigned.git_dir);
        Ok(raw_changes(&call.run().await?.stdout))
    }

    /// The changes that are work, and the others, which the index is to have as they were.
    fn sorted(&self, all: Vec<Change>, inside: &Inside) -> (Vec<Change>, Vec<Change>) {
        all.into_iter().partition(|change| {
            let is_linked = || inside.linked.contains(&change.raw_path);
            self.is_work(change) && (!change.is_new_repository() || is_linked())
        })
    }

    fn protected_of(&self, others: Vec<Change>) -> Vec<String> {
        let paths = others.into_iter().map(|change| change.path);
        paths.filter(|path| self.is_protected(path)).collect()
    }

    /// Whether a change belongs into the commit. A note that the user keeps out of git stays out of it.
    pub(super) fn is_work(&self, change: &Change) -> bool {
        let is_users_own = || {
            change.status == 'A'
                && is_note(&change.path)
                && self.git.top().join(&change.path).exists()
        };
        !self.is_protected(&change.path) && !is_users_own()
    }
}
