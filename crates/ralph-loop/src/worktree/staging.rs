//! The index of a worktree as git writes it: all files taken down, some of them put back, a tree made of it.

use std::ffi::OsString;

use super::inside::Inside;
use super::{Assigned, WorktreeError, Worktrees};
use crate::git::changes::Change;
use crate::git::{GitError, ObjectId};

impl Worktrees {
    /// Takes down all files, those outside of a sparse checkout too. A repository without a commit, which git can only
    /// refuse, is left out.
    pub(super) async fn add_all(
        &self,
        assigned: &Assigned,
        inside: &Inside,
    ) -> Result<(), GitError> {
        let mut add = self.git.call(&["add", "--all", "--sparse", "--", "."]);
        for path in &inside.unborn {
            let mut pattern = OsString::from(":(exclude,literal)");
            pattern.push(path);
            add = add.arg(pattern);
        }
        let add = add
            .setting("core.safecrlf=false")
            .setting("advice.addEmbeddedRepo=false");
        let call = add.within(&assigned.path, &assigned.git_dir);
        call.run().await.map(drop)
    }

    pub(super) async fn put_back(
        &self,
        assigned: &Assigned,
        others: &[Change],
    ) -> Result<(), WorktreeError> {
        if others.is_empty() {
            return Ok(());
        }
        let mut input = Vec::new();
        for change in others {
            // Mode 0 takes the entry out (git-update-index(1)).
            let mode = if change.status == 'A' {
                "0"
            } else {
                &change.old_mode
            };
            input.extend_from_slice(format!("{mode} {}\t", change.old).as_bytes());
            input.extend_from_slice(&change.raw_path);
            input.push(0);
        }
        let call = self
            .git
            .call(&["update-index", "-z", "--index-info"])
            .input(input);
        call.within(&assigned.path, &assigned.git_dir).run().await?;
        Ok(())
    }

    pub(super) async fn write_tree(&self, assigned: &Assigned) -> Result<ObjectId, WorktreeError> {
        let call = self.git.call(&["write-tree"]);
        let output = call.within(&assigned.path, &assigned.git_dir).run().await?;
        Ok(self.id("write-tree", &output.text())?)
    }
}
