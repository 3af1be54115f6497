//! A work whose commit went together with others, and which a crash has left there while the base has moved on: from
//! here on it goes alone, as it was before.

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
        let changes = self.changes_between(&before, &work.head).await?;
        let reference = assigned.reference();
        self.git
            .move_ref(&reference, Some(&work.head), &head)
            .await?;
        Ok(Some(Work {
            // What goes together has nothing deleted, so it can be laid over the start.
            head: assigned.start.clone(),
            base: assigned.start.clone(),
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

    async fn parent_of(&self, commit: &ObjectId) -> Result<ObjectId, WorktreeError> {
        let name = format!("{commit}^");
        let call = self.git.call(&["rev-parse", "--verify", &name]);
        Ok(self.id("rev-parse", &call.run().await?.text())?)
    }
}
