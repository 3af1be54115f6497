//! Back to the work as it was before a commit of it: for one whose commit went together with others and was left by a crash
//! while the base has moved on, so that it goes alone from here on, and for one that has to be integrated anew.

use super::mark::{Found, Mark};
use super::{Assigned, Work, WorktreeError, Worktrees};
use crate::git::ObjectId;

impl Worktrees {
    /// What is one attempt's own in a commit that may stand on the commit of another one, and the branch set back to
    /// where it was before; `None` where the commit was made alone. After a crash in between, the work is found in its
    /// folder again.
    pub(crate) async fn alone(
        &self,
        assigned: &Assigned,
        work: &Work,
    ) -> Result<Option<Work>, WorktreeError> {
        let Found::Mark(Mark::Committing {
            head,
            in_line: true,
            ..
        }) = Mark::read(&assigned.git_dir)
        else {
            return Ok(None);
        };
        if !work.is_committed {
            return Ok(None);
        }
        let before = self.parent_of(&work.head).await?;
        let changes = self.git.changes_between(&before, &work.head).await?;
        let reference = assigned.reference();
        self.git
            .move_ref(&reference, Some(&work.head), &head)
            .await?;
        Ok(Some(Work {
            // What goes together has nothing deleted, so it can be laid over the start.
            head: assigned.start.clone(),
            base: assigned.start.clone(),
            went_back: None,
            changes: changes
                .into_iter()
                .filter(|change| self.is_work(change))
                .collect(),
            tree: None,
            protected: Vec::new(),
            embedded: work.embedded.clone(),
            submodules: work.submodules.clone(),
            worktrees: work.worktrees.clone(),
            unfinished: work.unfinished.clone(),
            is_committed: false,
        }))
    }

    /// Sets the branch of an attempt back from a commit that was made of its work. What is written down of the commit
    /// stays true until the branch is there: after a crash it is found on either side.
    pub(crate) async fn set_back(
        &self,
        assigned: &Assigned,
        work: &Work,
        from: &ObjectId,
    ) -> Result<(), WorktreeError> {
        if let Found::Mark(Mark::Committing {
            head,
            in_line,
            onto,
            ..
        }) = Mark::read(&assigned.git_dir)
            && head != work.head
        {
            let onto = onto.unwrap_or_else(|| assigned.start.clone());
            Mark::committing(assigned, &work.head, &onto, in_line).write(&assigned.git_dir)?;
        }
        let reference = assigned.reference();
        self.git
            .move_ref(&reference, Some(from), &work.head)
            .await?;
        Ok(())
    }

    pub(super) async fn parent_of(&self, commit: &ObjectId) -> Result<ObjectId, WorktreeError> {
        let name = format!("{commit}^");
        let call = self.git.call(&["rev-parse", "--verify", &name]);
        Ok(self.id("rev-parse", &call.run().await?.text())?)
    }
}
