//! The work of an attempt ([`Work`], as it is captured), and its commit on the branch of the attempt.

use std::collections::BTreeSet;
use std::path::PathBuf;

use ralph_core::time::Timestamp;

use super::mark::Mark;
use super::{Assigned, WorktreeError, Worktrees};
use crate::git::changes::Change;
use crate::git::import::{FileChange, NewCommit, Parent};
use crate::git::lineage::Touched;
use crate::git::{GitError, ObjectId};

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
        Ok(self.git.commit(commit).await?)
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
