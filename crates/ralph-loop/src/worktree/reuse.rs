//! A worktree whose work is safe becomes one for another attempt: two light runs of git instead of removing all files
//! and writing them again, and no moment in which another git finds a half-made worktree.
//!
//! Only where nothing of the last attempt can stay: no state of git's own beside the usual (a rebase, a sparse
//! checkout, settings), no entry of the index that git was told not to look at. What must never be here: a guess.

use std::fs;
use std::path::Path;

use super::mark::Mark;
use super::{Assigned, Prepared, WorktreeError, Worktrees, notes};

/// What the git folder of a worktree holds when nothing is going on (gitrepository-layout(5)); `ralph.json` is ours.
const USUAL: [&str; 9] = [
    "COMMIT_EDITMSG",
    "FETCH_HEAD",
    "HEAD",
    "ORIG_HEAD",
    "commondir",
    "gitdir",
    "index",
    "logs",
    "ralph.json",
];

impl Worktrees {
    /// Cleans a worktree and sets it to the base's tip; `None` where it has to be removed instead.
    pub(super) async fn reuse(&self, assigned: &Assigned) -> Option<Prepared> {
        let digits = assigned.start.as_str().len();
        if !is_usual(&assigned.git_dir, &assigned.path) || !is_plain(&assigned.git_dir, digits) {
            return None;
        }
        match self.clean(assigned).await {
            Ok(prepared) => Some(prepared),
            Err(error) => {
                tracing::warn!(path = %assigned.path.display(), %error, "a worktree is not used again");
                None
            }
        }
    }

    async fn clean(&self, assigned: &Assigned) -> Result<Prepared, WorktreeError> {
        // What lies there from now on is no work.
        Mark::released(assigned).write(&assigned.git_dir)?;
        let tip = self.git.base_tip(&self.base).await?;
        let within = |arguments: &[&str]| {
            let call = self.git.call(arguments).without_hooks();
            call.within(&assigned.path, &assigned.git_dir)
        };
        let checkout = ["checkout", "--quiet", "--force", "--detach", tip.as_str()];
        within(&checkout).run().await?;
        within(&["clean", "-ffdxq"]).run().await?;
        notes::bring(self.git.top(), &assigned.path)?;
        Mark::clear(&assigned.git_dir)?;
        Ok(Prepared {
            path: assigned.path.clone(),
            git_dir: assigned.git_dir.clone(),
            commit: tip,
        })
    }
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

/// Whether the index has no entry that git was told to take as unchanged or to leave out.
fn is_plain(git_dir: &Path, digits: usize) -> bool {
    fs::read(git_dir.join("index")).is_ok_and(|bytes| index_is_plain(&bytes, digits / 2))
}

/// Walks through an index of version 2 (gitformat-index(5)). Other versions are there for what must not be: version 3
/// for `skip-worktree`; version 4 compresses names, which is not read here.
fn index_is_plain(bytes: &[u8], hash: usize) -> bool {
    /// Up to the hash: times, device, inode, mode, owner, size.
    const STAT: usize = 40;
    const ASSUME_VALID: u8 = 0x80;
    let number = |at: usize| {
        let word = bytes.get(at..at + 4)?;
        Some(u32::from_be_bytes(word.try_into().ok()?))
    };
    if bytes.get(..4) != Some(b"DIRC") || number(4) != Some(2) {
        return false;
    }
    let Some(count) = number(8) else {
        return false;
    };
    let mut at = 12;
    for _ in 0..count {
        let flags = at + STAT + hash;
        let name = flags + 2;
        let Some(length) = bytes
            .get(name..)
            .and_then(|rest| rest.iter().position(|b| *b == 0))
        else {
            return false;
        };
        if bytes.get(flags).is_none_or(|high| high & ASSUME_VALID != 0) {
            return false;
        }
        // One to eight zeros, up to a multiple of eight.
        at += (STAT + hash + 2 + length + 8) / 8 * 8;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::{Safe, Worktrees};
    use super::*;
    use crate::git::sandbox::Sandbox;

    #[test]
    fn an_index_is_walked_through_and_flags_are_found() {
        let sandbox = Sandbox::new();
        for number in 0..20 {
            sandbox.write(&format!("d/{}", "x".repeat(number + 1)), "");
        }
        sandbox.git(&["add", "-A"]);
        let is_good = || is_plain(&sandbox.top().join(".git"), 40);
        assert!(is_good());
        sandbox.git(&["update-index", "--assume-unchanged", "d/xxxxx"]);
        assert!(!is_good());
        sandbox.git(&["update-index", "--no-assume-unchanged", "d/xxxxx"]);
        assert!(is_good());
        sandbox.git(&["update-index", "--skip-worktree", "d/xxxxxxxxxxxxxxxxxxxx"]);
        assert!(!is_good());
        for broken in [&b""[..], b"DIRC", b"DIRC\0\0\0\x02\0\0\0\x09short"] {
            assert!(!index_is_plain(broken, 20));
        }
    }

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
        let tip = sandbox.commit_all("Move the base");
        let prepared = released(&worktrees, &assigned).await.unwrap();
        assert_eq!(prepared.commit.as_str(), tip);
        let next = worktrees.assign(prepared, "two").await.unwrap();
        assert_eq!(next.path, assigned.path);
        assert_eq!(
            sandbox.git_at(&next.path, &["status", "--porcelain", "--ignored"]),
            ""
        );
        assert_eq!(
            fs::read_to_string(next.path.join("README.md")).unwrap(),
            "one\n"
        );
        assert!(worktrees.capture(&next).await.unwrap().is_empty());
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
