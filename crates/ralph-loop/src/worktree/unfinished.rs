//! A merge, a rebase or the like that an agent left in the middle: its files have marks of conflicts in them, or commits
//! are still to come. No such work is delivered.
//!
//! Looked for before the files are taken down, which makes a conflict look like resolved, and written down, so that a
//! crash in between does not hide it. A worktree with such a file is never used again.

use std::collections::BTreeSet;

use ralph_core::store::atomic;

use super::index::Index;
use super::{Assigned, WorktreeError, Worktrees};

/// In the git folder of the worktree: what was left unfinished, in words.
const FILE: &str = "ralph-unfinished";
/// Where git keeps what a rebase, or `git am`, has still to do (git-rebase(1)).
const REBASES: [&str; 2] = ["rebase-merge", "rebase-apply"];

impl Worktrees {
    /// What the agent has not finished, in words. No run of git where its index is a usual one.
    pub(super) async fn unfinished(
        &self,
        assigned: &Assigned,
    ) -> Result<Option<String>, WorktreeError> {
        let file = assigned.git_dir.join(FILE);
        if let Some(known) = atomic::read_text(&file)? {
            return Ok(Some(known));
        }
        let paths = self.conflicts(assigned).await?;
        let is_rebasing = REBASES
            .iter()
            .any(|name| assigned.git_dir.join(name).is_dir());
        let found = match (is_rebasing, paths.is_empty()) {
            (false, true) => return Ok(None),
            (true, true) => "the agent left a rebase unfinished".to_owned(),
            (true, false) => format!(
                "the agent left a rebase unfinished, with conflicts in {}",
                paths.join(", ")
            ),
            (false, false) => format!("the agent left conflicts in {}", paths.join(", ")),
        };
        atomic::replace(&file, found.as_bytes())?;
        Ok(Some(found))
    }

    /// The files in conflict. An index that can be read without git has none.
    async fn conflicts(&self, assigned: &Assigned) -> Result<Vec<String>, WorktreeError> {
        let (digits, index) = (
            assigned.start.as_str().len(),
            assigned.git_dir.join("index"),
        );
        let is_usual = tokio::task::spawn_blocking(move || Index::read(&index, digits).is_some());
        if is_usual.await.unwrap_or(false) {
            return Ok(Vec::new());
        }
        let call = self.git.call(&["ls-files", "--unmerged", "-z"]);
        let call = call.within(&assigned.path, &assigned.git_dir);
        let answer = call.run().await?.stdout;
        // `MODE OBJECT STAGE TAB PATH NUL`, up to three times for each path (git-ls-files(1)).
        let text = String::from_utf8_lossy(&answer);
        let paths = text.split('\0').filter_map(|entry| entry.split_once('\t'));
        let paths: BTreeSet<&str> = paths.map(|(_, path)| path).collect();
        Ok(paths.into_iter().map(str::to_owned).collect())
    }
}
