//! Where worktrees lie, and what names branches may have. Nothing here makes or removes a worktree.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use ralph_core::store::atomic;

use super::WorktreeError;
use super::mark::{Found, Mark};
use crate::git::Git;

/// Worktrees are called by this letter and a number. The folder may hold others, which are not ours.
pub(super) const PREFIX_OF_NAMES: &str = "w";

/// Whether the loop names a worktree so.
pub(super) fn is_name_of_ours(name: &OsStr) -> bool {
    let number = name
        .to_str()
        .and_then(|name| name.strip_prefix(PREFIX_OF_NAMES));
    number.is_some_and(|digits| digits.parse::<u64>().is_ok())
}

/// Where worktrees go when there is nothing against it.
pub(super) fn beside(top: &Path) -> Option<PathBuf> {
    let mut name = top.file_name()?.to_owned();
    name.push("-worktrees");
    Some(top.parent()?.join(name))
}

/// Where worktrees go. A link is followed, as git writes down where it leads: the user may have more room there.
pub(super) async fn place(git: &Git) -> Result<PathBuf, WorktreeError> {
    let top = git.top();
    if let Some(beside) = beside(top)
        && (beside.is_dir() || fs::create_dir(&beside).is_ok())
        && rustix::fs::access(&beside, rustix::fs::Access::WRITE_OK).is_ok()
    {
        return Ok(beside.canonicalize().unwrap_or(beside));
    }
    git.exclude(&[".ralph/worktrees/"]).await?;
    let inside = top.join(".ralph/worktrees");
    atomic::create_dir(&inside)?;
    Ok(inside)
}

/// That the repository is not seen from the worktree of an attempt, where an agent would begin a loop of its own. Its
/// checks may be run there.
pub(crate) fn check_top(git: &Git) -> Result<(), WorktreeError> {
    match Mark::read(git.git_dir()) {
        Found::Nothing | Found::Mark(Mark::Stays { .. }) => Ok(()),
        Found::Mark(_) | Found::Unreadable => Err(WorktreeError::OfAnAttempt {
            path: git.top().to_owned(),
        }),
    }
}

/// That no branch is where git would need a folder for ours.
pub(super) async fn check_prefix(git: &Git, prefix: &str) -> Result<(), WorktreeError> {
    for (at, _) in format!("{prefix}/").match_indices('/') {
        let branch = prefix.get(..at).unwrap_or(prefix);
        if git.tip(&format!("refs/heads/{branch}")).await?.is_some() {
            return Err(WorktreeError::InTheWay {
                branch: branch.to_owned(),
                prefix: prefix.to_owned(),
            });
        }
    }
    Ok(())
}

/// A name that a branch may have (git-check-ref-format(1)).
pub(super) fn plain(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let text: String = name
        .chars()
        .map(|c| if is_plain(c) { c } else { '-' })
        .collect();
    let text = text.trim_matches('-');
    if text.is_empty() {
        "task".to_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::sandbox::Sandbox;

    #[tokio::test]
    async fn a_branch_where_a_folder_of_branches_is_needed_is_named() {
        let sandbox = Sandbox::new();
        sandbox.git(&["branch", "team"]);
        sandbox.git(&["branch", "ralph-x/one"]);
        sandbox.git(&["pack-refs", "--all"]);
        let git = sandbox.open().await;
        for prefix in ["ralph-x", "tea", "teams", "a/team"] {
            check_prefix(&git, prefix).await.unwrap();
        }
        for prefix in ["team", "team/ralph", "team/ralph/x"] {
            let error = check_prefix(&git, prefix).await.unwrap_err();
            let expected =
                format!("the branch `team` is in the way of branches such as `{prefix}/task`");
            assert_eq!(error.to_string(), expected);
        }
    }
}
