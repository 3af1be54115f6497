//! What launchers and loops have changed themselves in a work tree, which is not what a person left uncommitted.

use std::fs;
use std::path::Path;

use ralph_core::process::Identity;
use ralph_core::store::atomic;
use ralph_docs::fix_plan::Flavour;
use ralph_loop::assemble::plan_file;

use super::git;
use super::head::HEADER;
use crate::epic;
use crate::gate::WorkTree;
use crate::layout::{Layout, PIPELINE, PLAN};

/// What `git status --porcelain` prints means, less what a crash left before git was told of it: the halves of files,
/// which the next sweep or loop removes, and the folder of a loop's first file.
pub(super) fn told(status: &str) -> WorkTree {
    let is_leftover = |line: &str| {
        let path = line.strip_prefix("?? ").unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        path == ".ralph/state/" || atomic::is_leftover(name)
    };
    let is_about_files = |line: &&str| !line.trim().is_empty() && !line.starts_with(HEADER);
    let lines = status.lines().filter(is_about_files);
    let left: Vec<String> = lines
        .filter(|line| !is_leftover(line))
        .map(str::to_owned)
        .collect();
    if left.is_empty() {
        WorkTree::Clean
    } else {
        WorkTree::Dirty(left)
    }
}

/// Whether nothing is changed but the plan, and that by the marks of a loop that was killed. Its next one takes them away,
/// which a launch must not be refused for.
pub(super) async fn is_dirty_by_claims(tree: &WorkTree, folder: &Path, host: &str) -> bool {
    let WorkTree::Dirty(lines) = tree else {
        return false;
    };
    // So `git status --porcelain` shows a file that is changed and not added.
    if lines
        .iter()
        .any(|line| line.strip_prefix(" M ") != Some(PLAN))
    {
        return false;
    }
    let Ok(committed) = git(folder, &["show", &format!("HEAD:./{PLAN}")]).await else {
        return false;
    };
    let Some(owner) = Identity::of(std::process::id()) else {
        return false;
    };
    let plan = plan_file(folder, Flavour::Repository, owner, host);
    plan.is_committed_but_for_claims(&committed)
        .unwrap_or(false)
}

/// What we wrote ourselves is not what a person left uncommitted: our own files where somebody tracks them, and the
/// Exec cells of a sweep.
pub(super) async fn without_own(tree: WorkTree, layout: &Layout) -> WorkTree {
    let WorkTree::Dirty(lines) = tree else {
        return tree;
    };
    let is_swept = is_swept(layout).await;
    let is_own = |line: &String| match line.get(3..).unwrap_or_default() {
        PIPELINE => is_swept,
        "ralph/" => holds_only_own(layout),
        path => path.strip_prefix("ralph/").is_some_and(is_own),
    };
    let left: Vec<String> = lines.into_iter().filter(|line| !is_own(line)).collect();
    if left.is_empty() {
        WorkTree::Clean
    } else {
        WorkTree::Dirty(left)
    }
}

/// Whether a path below `ralph/` is a launcher's.
fn is_own(below: &str) -> bool {
    let (first, rest) = below.split_once('/').unwrap_or((below, ""));
    matches!(first, "dispatch.log" | "logs" | "state")
        || ((first.ends_with(".pid") || atomic::is_leftover(first)) && rest.is_empty())
}

/// Whether all of `ralph/` is: what a launcher before this one left there, and nobody told git about.
fn holds_only_own(layout: &Layout) -> bool {
    let Ok(mut listing) = fs::read_dir(layout.pid_files()) else {
        return false;
    };
    listing.all(|entry| entry.is_ok_and(|entry| is_own(&entry.file_name().to_string_lossy())))
}

/// Whether the pipeline differs from its committed text in Exec cells only.
async fn is_swept(layout: &Layout) -> bool {
    let committed = git(&layout.root, &["show", &format!("HEAD:./{PIPELINE}")]).await;
    let now = fs::read_to_string(layout.pipeline());
    matches!((committed, now), (Ok(committed), Ok(now)) if epic::differ_in_exec_only(&committed, &now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_crash_left_half_written_is_nobodys_work() {
        let left = "?? .ralph/state/\n?? .ralph-a1B2c3.tmp\n?? .ralph/.ralph-xyz.tmp\n?? ralph/.ralph-9.tmp\n";
        assert_eq!(told(left), WorkTree::Clean);
        assert_eq!(told("## main\n\n"), WorkTree::Clean);
        let mine = "?? .ralph-notes\n M .ralph/.ralph-tracked.tmp\n?? a.tmp";
        let lines = mine.lines().map(str::to_owned).collect();
        assert_eq!(told(&format!("{left}{mine}")), WorkTree::Dirty(lines));
        assert!(is_own(".ralph-9.tmp") && !is_own(".ralph-9.tmp/x"));
    }
}
