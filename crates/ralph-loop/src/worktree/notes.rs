//! `.ralph/` in a worktree: what the agent may change there, and what it is given to read.
//!
//! The plan, the prompt and the state are the loop's and the user's: an agent that ticks a row, rewrites its prompt or
//! deletes the folder does so in its own copy, and the commit does not have it. Its notes are part of its work.

use std::fs;
use std::path::Path;

use ralph_core::store::atomic::{self, StoreError};

use crate::git::facts::below;

/// The folder of the loop in a repository.
const FOLDER: &str = ".ralph/";

/// The plan in it.
const PLAN: &str = ".ralph/fix_plan.md";

/// What of it the agent may change: notes for the next one, and specifications.
const NOTES: [&str; 3] = [".ralph/AGENT.md", ".ralph/docs/", ".ralph/specs/"];

/// What it is given to read where git does not track it.
const READING: [&str; 5] = [
    ".ralph/AGENT.md",
    ".ralph/PROMPT.md",
    ".ralph/PROMPT_PLAN.md",
    ".ralph/constitution.md",
    ".ralph/specs/",
];

/// The largest file that is brought along, in bytes, and how many at most: these are texts.
const LARGEST: u64 = 4 * 1024 * 1024;
const MOST: usize = 500;

/// Whether a path is the loop's or the user's, so that an agent's change of it is undone in the commit: everything in
/// `.ralph/` but the notes, and the `.ralphrc` files, which say what the loop runs.
#[must_use]
pub fn is_protected(path: &str) -> bool {
    if path == ".ralphrc" || path.starts_with(".ralphrc.") || path == ".ralph" {
        return true;
    }
    path.starts_with(FOLDER) && !is_note(path)
}

/// Where the files of the loop are in a repository: `.ralph`, or the plan in it, may be a link to another place there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ControlFiles {
    /// The folder that `.ralph` leads to, from the top of the work tree and with a `/` at its end.
    folder: Option<String>,
    /// The plan, from the top of the work tree.
    plan: Option<String>,
}

impl ControlFiles {
    /// Looks where they are.
    #[must_use]
    pub fn find(top: &Path) -> Self {
        let below = |path: &str| below(top, Path::new(path))?.to_str().map(str::to_owned);
        Self {
            folder: below(".ralph").map(|folder| format!("{folder}/")),
            plan: below(PLAN),
        }
    }

    /// The plan as git may track it, from the top of the work tree; `None` where it is outside of it, or not there.
    #[must_use]
    pub fn plan(&self) -> Option<&str> {
        self.plan.as_deref()
    }

    /// As [`is_protected`], also under the names that the files have for git.
    #[must_use]
    pub fn is_protected(&self, path: &str) -> bool {
        let folder = self.folder.as_deref();
        let inside = folder.and_then(|folder| path.strip_prefix(folder));
        let is_linked = || inside.is_some_and(|rest| is_protected(&format!("{FOLDER}{rest}")));
        is_protected(path) || is_linked() || self.plan.as_deref() == Some(path)
    }
}

/// Whether a path is one of the notes.
pub(super) fn is_note(path: &str) -> bool {
    NOTES.iter().any(|note| is_at(note, path))
}

fn is_at(place: &str, path: &str) -> bool {
    path == place || (place.ends_with('/') && path.starts_with(place))
}

/// Copies what the agent is to read and does not find in its worktree. Never over a file that is there, and never through
/// a link: that may lead out of the worktree.
pub(super) fn bring(top: &Path, worktree: &Path) -> Result<(), StoreError> {
    if worktree.join(".ralph").is_symlink() {
        return Ok(());
    }
    let mut left = MOST;
    for place in READING {
        copy(&top.join(place), &worktree.join(place), &mut left)?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path, left: &mut usize) -> Result<(), StoreError> {
    let Ok(found) = fs::symlink_metadata(from) else {
        return Ok(());
    };
    if found.is_dir() {
        let mut entries: Vec<_> = fs::read_dir(from).into_iter().flatten().flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        return entries.iter().try_for_each(|entry| {
            let name = entry.file_name();
            copy(&from.join(&name), &to.join(&name), left)
        });
    }
    if !found.is_file() || found.len() > LARGEST || *left == 0 || to.exists() {
        return Ok(());
    }
    let Some(bytes) = atomic::read(from)? else {
        return Ok(());
    };
    *left -= 1;
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|source| StoreError::Io {
            action: "create the folder",
            path: folder.to_owned(),
            source,
        })?;
    }
    atomic::stage_unsynced(to, &bytes, None)?
        .publish()
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_behind_links_are_found_and_protected_under_both_names() {
        let folder = tempfile::tempdir().unwrap();
        let (top, outside) = (folder.path().join("repo"), folder.path().join("outside"));
        for path in [&top.join("loop/specs"), &outside] {
            fs::create_dir_all(path).unwrap();
        }
        std::os::unix::fs::symlink("loop", top.join(".ralph")).unwrap();
        std::os::unix::fs::symlink("../TODO.md", top.join("loop/fix_plan.md")).unwrap();
        assert_eq!(ControlFiles::find(&top).plan(), None, "a link to nowhere");
        std::os::unix::fs::symlink(&outside, top.join("TODO.md")).unwrap();
        assert_eq!(ControlFiles::find(&top).plan(), None, "outside");
        fs::remove_file(top.join("TODO.md")).unwrap();
        fs::create_dir(top.join("TODO.md")).unwrap();
        let files = ControlFiles::find(&top);
        assert_eq!(files.plan(), Some("TODO.md"));
        for (path, is_ours) in [
            ("TODO.md", true),
            (".ralph", true),
            (".ralphrc", true),
            ("loop/PROMPT.md", true),
            ("loop/specs/a.md", false),
            ("loops/a", false),
        ] {
            assert_eq!(files.is_protected(path), is_ours, "{path}");
        }
        // What is to be read is not written through a link.
        let worktree = folder.path().join("worktree");
        fs::create_dir(&worktree).unwrap();
        std::os::unix::fs::symlink("../gone", worktree.join(".ralph")).unwrap();
        bring(&top, &worktree).unwrap();
        assert!(!folder.path().join("gone").exists());
    }

    #[test]
    fn the_control_files_are_protected_and_the_notes_are_not() {
        for path in [
            ".ralph",
            ".ralph/fix_plan.md",
            ".ralph/PROMPT.md",
            ".ralph/state/x",
            ".ralph/.ralph/AGENT.md",
            ".ralph/AGENT.md.bak",
            ".ralphrc",
            ".ralphrc.codex",
        ] {
            assert!(is_protected(path), "{path}");
        }
        for path in [
            ".ralph/AGENT.md",
            ".ralph/specs/api.md",
            ".ralph/docs/generated/x.md",
            ".ralphx",
            "src/.ralph/fix_plan.md",
        ] {
            assert!(!is_protected(path), "{path}");
        }
    }
}
