//! What all worktrees of a repository share besides the base and the settings: the stash, the hooks, what git is to ignore,
//! and the list of worktrees. Looked at when an agent has ended, and told where it differs: whoever did it may be the user.
//!
//! What must never be here: a run of git, a change. This is done after each attempt.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Worktrees;
use super::place::is_name_of_ours;

/// Folders whose files git reads in every worktree, and those of them that it does not read: hooks that do not run, and a
/// list for plain servers of files that a repack writes (gitrepository-layout(5)).
const READ_BY_GIT: [&str; 2] = ["hooks", "info"];
const NOT_READ: [&str; 2] = [".sample", "info/refs"];

/// Size, time of the last change in seconds and nanoseconds, and mode: a hook runs by that.
type Stamp = (u64, i64, i64, u32);

/// As it was seen last.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The commits of the stash, with what git says of each.
    stash: BTreeMap<String, String>,
    files: BTreeMap<PathBuf, Stamp>,
    /// Worktrees by git's names for them.
    worktrees: BTreeMap<OsString, PathBuf>,
}

impl Shared {
    pub(super) fn see(common_dir: &Path) -> Self {
        Self {
            stash: stash(common_dir),
            files: files(common_dir),
            worktrees: worktrees(common_dir),
        }
    }

    /// Whether there is a stash of a branch: `WIP on <branch>: …`, or `On <branch>: …` with a message of one's own
    /// (git-stash(1)).
    pub(super) fn has_stashed(&self, branch: &str) -> bool {
        let of = format!("n {branch}: ");
        self.stash.values().any(|message| message.contains(&of))
    }
}

impl Worktrees {
    /// What differs between two looks, in words. What the loop does itself does not count, nor what an agent has put
    /// into the stash and taken out of it again.
    pub(super) fn differences(&self, before: &Shared, now: &Shared) -> Vec<String> {
        let of_ours = format!("n {}/", self.prefix);
        let dropped = before.stash.iter().filter(|(commit, message)| {
            !now.stash.contains_key(*commit) && !message.contains(&of_ours)
        });
        let dropped = dropped.map(|(commit, message)| {
            format!(
                "\"{message}\" was taken out of the stash while an agent worked, by it or by you: \
                 `git stash store {commit}` puts it back"
            )
        });
        let added = now.worktrees.iter().filter(|(name, path)| {
            !before.worktrees.contains_key(*name) && !self.is_in_one_of_ours(path)
        });
        let added = added.map(|(_, path)| {
            let path = path.display();
            format!(
                "the worktree {path} was added while an agent worked, by it or by you, and stays: \
                 `git worktree remove {path}` takes it away"
            )
        });
        let mut told: Vec<_> = dropped.chain(added).collect();
        let changed = changed(&before.files, &now.files);
        if !changed.is_empty() {
            told.push(format!(
                "files of {} that are read in all worktrees were changed while an agent worked, by it or by you, and stay \
                 so: {}",
                self.git.common_dir().display(),
                changed.join(", ")
            ));
        }
        told
    }

    fn is_in_one_of_ours(&self, path: &Path) -> bool {
        let below = path.strip_prefix(&self.folder);
        let first = below.ok().and_then(|below| below.components().next());
        first.is_some_and(|first| is_name_of_ours(first.as_os_str()))
    }
}

/// Lines of the log are `OLD NEW NAME <EMAIL> TIME ZONE TAB MESSAGE` (git-reflog(1)).
fn stash(common_dir: &Path) -> BTreeMap<String, String> {
    let log = fs::read_to_string(common_dir.join("logs/refs/stash")).unwrap_or_default();
    let entry = |line: &str| {
        let (ids, message) = line.split_once('\t')?;
        Some((ids.split(' ').nth(1)?.to_owned(), message.to_owned()))
    };
    log.lines().filter_map(entry).collect()
}

fn files(common_dir: &Path) -> BTreeMap<PathBuf, Stamp> {
    let entries = READ_BY_GIT.iter().flat_map(|folder| {
        let entries = fs::read_dir(common_dir.join(folder)).into_iter().flatten();
        entries.flatten()
    });
    let read = entries.filter_map(|entry| {
        let path = entry.path().strip_prefix(common_dir).ok()?.to_owned();
        let name = path.to_string_lossy();
        if NOT_READ.iter().any(|end| name.ends_with(end)) {
            return None;
        }
        let found = fs::metadata(entry.path()).ok()?;
        let stamp = (found.len(), found.mtime(), found.mtime_nsec(), found.mode());
        Some((path, stamp))
    });
    read.collect()
}

/// One that is being made has no path yet, and is seen the next time. What is called as ours are is taken for one of ours:
/// there may be many, and this is done after each attempt.
fn worktrees(common_dir: &Path) -> BTreeMap<OsString, PathBuf> {
    let entries = fs::read_dir(common_dir.join("worktrees")).into_iter();
    let entry = |entry: fs::DirEntry| {
        if is_name_of_ours(&entry.file_name()) {
            return None;
        }
        let link = fs::read_to_string(entry.path().join("gitdir")).ok()?;
        let path = Path::new(link.trim_end()).parent()?.to_owned();
        Some((entry.file_name(), path))
    };
    entries.flatten().flatten().filter_map(entry).collect()
}

fn changed(before: &BTreeMap<PathBuf, Stamp>, now: &BTreeMap<PathBuf, Stamp>) -> Vec<String> {
    let gone = before.keys().filter(|path| !now.contains_key(*path));
    let gone = gone.map(|path| format!("{} (gone)", path.display()));
    let others = now.iter().filter_map(|(path, stamp)| {
        let word = match before.get(path) {
            None => "new",
            Some(was) if was != stamp => "changed",
            Some(_) => return None,
        };
        Some(format!("{} ({word})", path.display()))
    });
    gone.chain(others).collect()
}
