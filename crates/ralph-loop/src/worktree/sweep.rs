//! What a killed loop left behind: its worktrees are found by git's own list and by their place, their work is put on
//! a branch, and they are removed.

use std::fs;
use std::path::{Path, PathBuf};

use ralph_core::time::Timestamp;

use super::mark::{Found, Mark};
use super::place::is_name_of_ours;
use super::{Assigned, Kept, WorktreeError, Worktrees};
use crate::git::ObjectId;

/// The message of a commit that saves what an interrupted attempt left.
const MESSAGE: &str = "ralph: unfinished work of an interrupted attempt";

/// A worktree that was found.
#[derive(Debug)]
pub struct Swept {
    /// Where it was.
    pub path: PathBuf,
    /// The branch that holds its work; `None` where there was none.
    pub kept: Option<Kept>,
    /// Why it is still there.
    pub problem: Option<WorktreeError>,
}

/// An entry of `git worktree list --porcelain`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Entry {
    path: PathBuf,
    head: Option<ObjectId>,
    branch: Option<String>,
}

impl Worktrees {
    /// Removes what earlier loops left, except for the worktrees of `alive`. Work that is found is committed on its
    /// branch and named in the answer. A worktree that cannot be saved stays, and does not stop the others. No loop
    /// of this repository may run beside it.
    ///
    /// # Errors
    /// Git cannot list the worktrees.
    pub async fn sweep(
        &self,
        alive: &[PathBuf],
        now: Timestamp,
    ) -> Result<Vec<Swept>, WorktreeError> {
        let listed = self.git.call(&["worktree", "list", "--porcelain", "-z"]);
        let mut entries = entries(&listed.run().await?.stdout);
        // Before anything is removed: git forgets the marks of folders that are gone when it tidies up.
        entries.retain(|entry| !alive.contains(&entry.path) && self.is_ours(entry));
        let mut swept = Vec::new();
        for entry in entries {
            let saved = self.save(&entry, now).await;
            if matches!(saved, Ok(None)) {
                tracing::debug!(path = %entry.path.display(), "removed an empty worktree");
            }
            let (kept, problem) = match saved {
                Ok(kept) => (kept, None),
                Err(problem) => (None, Some(problem)),
            };
            swept.push(Swept {
                path: entry.path,
                kept,
                problem,
            });
        }
        Ok(swept)
    }

    /// Whether a loop made it. The folder is named as people name theirs, so its place alone says nothing: what is ours
    /// has our kind of name, and a mark or a branch of ours. Without either it is one that was being made when the loop was
    /// killed, and empty, or somebody else's.
    fn is_ours(&self, entry: &Entry) -> bool {
        let is_named = entry.path.parent() == Some(self.folder.as_path())
            && entry.path.file_name().is_some_and(is_name_of_ours);
        let is_marked = || {
            let git_dir = self.git_dir_of(&entry.path);
            git_dir.is_some_and(|folder| Mark::read(&folder) != Found::Nothing)
        };
        let is_on_ours = || {
            let prefix = format!("{}/", self.prefix);
            let branch = entry.branch.as_ref();
            branch.is_some_and(|name| name.starts_with(&prefix))
        };
        is_named && (is_marked() || is_on_ours() || is_empty(&entry.path))
    }

    async fn save(&self, entry: &Entry, now: Timestamp) -> Result<Option<Kept>, WorktreeError> {
        if !entry.path.exists() {
            return self.save_commits(entry).await;
        }
        let gone = || WorktreeError::Gone {
            path: entry.path.clone(),
            branch: entry.branch.clone(),
        };
        let git_dir = self.git_dir_of(&entry.path).ok_or_else(gone)?;
        let prefix = format!("{}/", self.prefix);
        let on_ours = entry
            .branch
            .as_ref()
            .filter(|name| name.starts_with(&prefix));
        let start = || entry.head.clone();
        let (branch, start) = match Mark::read(&git_dir) {
            Found::Mark(Mark::Released { branch }) => {
                self.remove(&entry.path, None).await?;
                // That of its last attempt, and of another one that it was being made ready for.
                for branch in on_ours.into_iter().chain(&branch) {
                    self.remove_if_merged(branch).await?;
                }
                return Ok(None);
            }
            Found::Mark(
                Mark::Assigned { branch, start } | Mark::Committing { branch, start, .. },
            ) => (branch, Some(start)),
            Found::Mark(Mark::Stays { branch }) => {
                let start = entry.head.clone().ok_or_else(gone)?;
                let assigned = Assigned {
                    path: entry.path.clone(),
                    git_dir,
                    branch: entry.branch.clone().unwrap_or_default(),
                    start,
                };
                return self.look_again(&assigned, branch.as_ref()).await;
            }
            Found::Nothing if on_ours.is_none() => {
                self.remove(&entry.path, None).await?;
                return Ok(None);
            }
            Found::Nothing | Found::Unreadable => match on_ours {
                Some(branch) => (branch.clone(), self.fork_point(entry).await?.or_else(start)),
                None => (self.rescue_branch(&entry.path), start()),
            },
        };
        let start = start.ok_or_else(gone)?;
        let assigned = Assigned {
            path: entry.path.clone(),
            git_dir,
            branch,
            start,
        };
        if !self.is_of(&assigned) {
            Mark::assigned(&assigned).write(&assigned.git_dir)?;
        }
        let (kept, prepared) = self.keep(&assigned, MESSAGE, now).await?;
        if let Some(prepared) = prepared {
            self.discard(prepared).await?;
        }
        // Killed between the merge and the end of the attempt.
        if let Some(Kept { branch, .. }) = &kept
            && self.remove_if_merged(branch).await?
        {
            return Ok(None);
        }
        Ok(kept)
    }

    /// Of a worktree whose folder is gone: commits that no branch has get one.
    async fn save_commits(&self, entry: &Entry) -> Result<Option<Kept>, WorktreeError> {
        let mut kept = None;
        if let (Some(head), None) = (&entry.head, &entry.branch) {
            let base = self.git.base_tip(&self.base).await?;
            if !self.git.is_ancestor(head, &base).await? {
                let branch = self.rescue_branch(&entry.path);
                let reference = format!("refs/heads/{branch}");
                self.git.move_ref(&reference, None, head).await?;
                kept = Some(Kept {
                    branch,
                    commit: head.clone(),
                });
            }
        }
        self.remove(&entry.path, None).await?;
        Ok(kept)
    }

    /// Where the branch left the base: the start of its work, where no record says it.
    async fn fork_point(&self, entry: &Entry) -> Result<Option<ObjectId>, WorktreeError> {
        let (Some(head), tip) = (&entry.head, self.git.base_tip(&self.base).await?) else {
            return Ok(None);
        };
        Ok(self.git.merge_base(head, &tip).await?)
    }

    pub(super) fn rescue_branch(&self, path: &Path) -> String {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.free_branch(&format!("rescued-{name}"))
    }

    /// Removes a branch of a former attempt that the base holds in full; for branches whose pull request is merged,
    /// or whose attempt was cut off between merging and cleaning up.
    ///
    /// # Errors
    /// Git gives no answer.
    pub async fn remove_if_merged(&self, branch: &str) -> Result<bool, WorktreeError> {
        let reference = format!("refs/heads/{branch}");
        let Some(tip) = self.git.tip(&reference).await? else {
            return Ok(false);
        };
        let base = self.git.base_tip(&self.base).await?;
        let is_merged = self.git.is_ancestor(&tip, &base).await?;
        if is_merged {
            self.git.remove_ref(&reference, &tip).await?;
        }
        Ok(is_merged)
    }
}

/// Whether nothing is in a worktree but git's link, as where it was being made.
fn is_empty(path: &Path) -> bool {
    fs::read_dir(path)
        .is_ok_and(|entries| entries.flatten().all(|entry| entry.file_name() == *".git"))
}

/// Reads `git worktree list --porcelain -z`: lines that end with NUL, entries that end with an empty one.
fn entries(answer: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut entry = Entry::default();
    for line in answer.split(|byte| *byte == 0) {
        let line = String::from_utf8_lossy(line);
        match line.split_once(' ') {
            Some(("worktree", path)) => entry.path = PathBuf::from(path),
            Some(("HEAD", id)) => {
                entry.head = id.parse().ok().filter(|id: &ObjectId| !id.is_null());
            }
            Some(("branch", name)) => {
                entry.branch = name.strip_prefix("refs/heads/").map(str::to_owned);
            }
            None if line.is_empty() && !entry.path.as_os_str().is_empty() => {
                entries.push(std::mem::take(&mut entry));
            }
            _ => {}
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use ralph_core::time::Timestamp;

    use super::super::tests::assigned_one;
    use crate::worktree::Safe;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    /// Killed before its worktree was given back, and between that and the removal of its branch.
    #[tokio::test]
    async fn a_branch_that_the_base_has_goes_with_what_was_left_of_its_attempt() {
        for is_given_back in [false, true] {
            let (sandbox, worktrees, assigned) = assigned_one().await;
            sandbox.write("../repo-worktrees/w1/work", "x");
            let work = worktrees.capture(&assigned).await.unwrap();
            let made = worktrees.commit(&assigned, &work, "Work", Vec::new(), NOW);
            let commit = made.await.unwrap();
            sandbox.git(&["merge", "-q", "--ff-only", commit.as_str()]);
            if is_given_back {
                let safe = Safe::Merged(&commit);
                assert!(worktrees.reuse(&assigned, safe).await.is_some());
            }
            let swept = worktrees.sweep(&[], NOW).await.unwrap();
            assert!(swept[0].kept.is_none() && swept[0].problem.is_none());
            let branches = sandbox.git(&["branch", "--format=%(refname:short)"]);
            assert_eq!(branches, "main");
            assert!(!assigned.path.exists());
        }
    }
}
