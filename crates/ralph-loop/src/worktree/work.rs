//! What an agent has done in its worktree: found, cleaned of what is not its business, committed on its branch.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use ralph_core::store::atomic;
use ralph_core::time::Timestamp;

use super::index::{Index, START_INDEX};
use super::mark::{Found, Mark};
use super::notes::is_note;
use super::{Assigned, WorktreeError, Worktrees};
use crate::git::changes::{Change, raw_changes};
use crate::git::import::{FileChange, NewCommit, Parent};
use crate::git::lineage::Touched;
use crate::git::refs::loose;
use crate::git::{GitError, ObjectId};

/// How long a lock may be held by a git command of a loop that was killed, and the pause between two looks.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// The work of an attempt, all of it in the object store of the repository. Nothing refers to it yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The last commit of the agent; the start of the attempt where it made none.
    pub head: ObjectId,
    /// What it is a work on: the start of the attempt, the tip of the base that its commit was made on, or an older
    /// commit that the agent has gone back to.
    pub base: ObjectId,
    /// The older commit that the agent has gone back to and done nothing on.
    pub went_back: Option<ObjectId>,
    /// What has changed since the start, or since that older commit; committed or not.
    pub changes: Vec<Change>,
    /// The files with these changes as a tree, where the agent has made commits; else they are those of the start
    /// with the changes.
    pub tree: Option<ObjectId>,
    /// Files of the loop that the agent changed; the tree has them as they were.
    pub protected: Vec<String>,
    /// Folders that are repositories of their own, with something in them that is nowhere else. No commit can hold them.
    pub embedded: Vec<String>,
    /// Those of them that are submodules: whoever gets the work could not get them.
    pub submodules: Vec<String>,
    /// Worktrees of this repository within this one that may go with it.
    pub(super) worktrees: Vec<PathBuf>,
    /// What the agent has left in the middle, such as a merge with conflicts, in words.
    pub unfinished: Option<String>,
    /// Whether `head` is a commit of ours that holds the work: it was made before a crash, or its answer was lost.
    pub is_committed: bool,
}

impl Work {
    /// Whether there is nothing to deliver. An agent that only ticked its row has changed nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The changes for a commit on top of any other one.
    pub(crate) fn file_changes(&self) -> Vec<FileChange> {
        self.changes.iter().map(Change::file_change).collect()
    }
}

/// Which files changes are about.
pub(crate) fn touched(changes: &[Change]) -> Touched {
    let mut touched = Touched::default();
    for change in changes {
        let paths = if change.status == 'D' {
            &mut touched.deleted
        } else {
            &mut touched.changed
        };
        paths.push(change.raw_path.clone());
    }
    touched
}

impl Worktrees {
    /// Finds what was done. The agent and all that it started have ended. One run of git, one more where the agent
    /// has made commits, and one where files of the loop were changed.
    ///
    /// # Errors
    /// [`WorktreeError::Gone`]; git gives no answer.
    pub async fn capture(&self, assigned: &Assigned) -> Result<Work, WorktreeError> {
        self.look_around(assigned).await?;
        if !self.has(assigned) {
            let tip = self.git.tip(&assigned.reference()).await?;
            let is_own = tip.is_some_and(|tip| tip != assigned.start);
            return Err(WorktreeError::Gone {
                path: assigned.path.clone(),
                branch: is_own.then(|| assigned.branch.clone()),
            });
        }
        self.break_locks(assigned).await?;
        if let Some((tip, base)) = self.committed(assigned).await? {
            return self.recall(assigned, tip, base).await;
        }
        let unfinished = self.unfinished(assigned).await?;
        let mut head = self.head(assigned).await?;
        let inside = self.inside(assigned).await;
        self.add_all(assigned, &inside).await?;
        let mut all = self.changes(assigned).await?;
        let mut base = assigned.start.clone();
        if let Some(common) = self.parted_at(assigned, &head, &all).await? {
            all = self.changes_since(assigned, &common).await?;
            base = common;
        }
        let (changes, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|change| {
            let is_linked = || inside.linked.contains(&change.raw_path);
            self.is_work(change) && (!change.is_new_repository() || is_linked())
        });
        if !others.is_empty() {
            self.put_back(assigned, &others).await?;
        }
        let tree = if changes.is_empty() || head == assigned.start {
            None
        } else {
            Some(self.write_tree(assigned).await?)
        };
        let paths = others.iter().map(|change| &change.path);
        let protected = paths
            .filter(|path| self.is_protected(path))
            .cloned()
            .collect();
        // Only gone back: the branch stays where it was.
        let went_back =
            (changes.is_empty() && head == base && head != assigned.start).then_some(head.clone());
        if went_back.is_some() {
            head = assigned.start.clone();
            base = head.clone();
        }
        Ok(Work {
            head,
            base,
            went_back,
            changes,
            tree,
            protected,
            embedded: inside.embedded,
            submodules: inside.submodules,
            worktrees: inside.worktrees,
            unfinished,
            is_committed: false,
        })
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

    /// How many files the work deletes where those are all that there were but for those of the loop, and nothing comes
    /// instead. Such a commit is more often a mistake, an agent's or git's, than what somebody wants; of a single file
    /// it is just that file.
    ///
    /// # Errors
    /// Git gives no answer.
    pub async fn deletes_everything(&self, work: &Work) -> Result<Option<usize>, GitError> {
        let deleted = work.changes.iter().filter(|change| change.status == 'D');
        let deleted: BTreeSet<&[u8]> = deleted.map(|change| change.raw_path.as_slice()).collect();
        if deleted.len() < 2 || deleted.len() < work.changes.len() {
            return Ok(None);
        }
        let list = ["ls-tree", "-r", "-z", "--name-only", work.base.as_str()];
        let listed = self.git.call(&list).run().await?.stdout;
        let mut files = listed
            .split(|byte| *byte == 0)
            .filter(|path| !path.is_empty());
        let is_gone = |path: &[u8]| {
            deleted.contains(path) || self.is_protected(&String::from_utf8_lossy(path))
        };
        Ok(files.all(is_gone).then_some(deleted.len()))
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

    /// Whether a change belongs into the commit. A note that the user keeps out of git stays out of it.
    pub(super) fn is_work(&self, change: &Change) -> bool {
        let is_users_own = || {
            change.status == 'A'
                && is_note(&change.path)
                && self.git.top().join(&change.path).exists()
        };
        !self.is_protected(&change.path) && !is_users_own()
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

    pub(super) fn id(&self, command: &str, found: &str) -> Result<ObjectId, GitError> {
        found.parse().map_err(|_| GitError::Answer {
            command: format!("git {command}"),
            found: found.to_owned(),
            expected: "the name of an object",
        })
    }

    /// Commits the work on the branch of the attempt, with `more` changed on top (the tick of the plan's row), and
    /// sets the branch to it. Commits of the agent stay below it. Commits that the branch has and the worktree has
    /// left are kept on `<branch>-aside`. Without anything to commit, the last commit is the answer.
    ///
    /// # Errors
    /// Git refuses; the worktree is untouched.
    pub async fn commit(
        &self,
        assigned: &Assigned,
        work: &Work,
        message: &str,
        more: Vec<FileChange>,
        now: Timestamp,
    ) -> Result<ObjectId, WorktreeError> {
        let reference = assigned.reference();
        let branch = self.git.tip(&reference).await?;
        if let Some(tip) = &branch {
            self.set_aside(assigned, work, tip).await?;
        }
        let (changes, is_new) = match &work.tree {
            Some(tree) => {
                let is_new = !more.is_empty() || *tree != self.tree_of(&work.head).await?;
                (more, is_new)
            }
            None => {
                let changes: Vec<_> = work.file_changes().into_iter().chain(more).collect();
                let is_new = !changes.is_empty();
                (changes, is_new)
            }
        };
        if !is_new {
            if branch.as_ref() != Some(&work.head) {
                self.git
                    .move_ref(&reference, branch.as_ref(), &work.head)
                    .await?;
            }
            return Ok(work.head.clone());
        }
        self.announce(assigned, branch.as_ref(), &work.base)?;
        let commit = NewCommit {
            reference: &reference,
            parents: vec![Parent::Known(&work.head)],
            tree: work.tree.as_ref(),
            changes,
            message,
            when: now,
        };
        Ok(self.git.commit(&commit).await?)
    }

    /// Writes down that the branch is going to be replaced by a commit that holds the work on top of `onto`.
    pub(crate) fn announce(
        &self,
        assigned: &Assigned,
        branch: Option<&ObjectId>,
        onto: &ObjectId,
    ) -> Result<(), WorktreeError> {
        let head = branch.unwrap_or(&assigned.start);
        Ok(Mark::committing(assigned, head, onto, false).write(&assigned.git_dir)?)
    }

    /// The same for a commit that may stand on that of another attempt.
    pub(crate) fn announce_in_line(
        &self,
        assigned: &Assigned,
        branch: &ObjectId,
        onto: &ObjectId,
    ) -> Result<(), WorktreeError> {
        Ok(Mark::committing(assigned, branch, onto, true).write(&assigned.git_dir)?)
    }

    pub(crate) async fn tree_of(&self, commit: &ObjectId) -> Result<ObjectId, WorktreeError> {
        let name = format!("{commit}^{{tree}}");
        let output = self
            .git
            .call(&["rev-parse", "--verify", &name])
            .run()
            .await?;
        Ok(self.id("rev-parse", &output.text())?)
    }
}
