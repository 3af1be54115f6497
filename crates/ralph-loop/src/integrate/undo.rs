//! A fast-forward that failed half-way, taken back. Git writes the files and the index before it moves the branch, and
//! finds only then that it cannot: a lock that was left over, a log that it may not write, a filter that fails.
//!
//! What must never be here: a byte of the user. A file is put back where the step had to write it, where it was as the
//! base has it before, and where it is now what the step makes of it, or gone.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use ralph_core::store::atomic;

use super::Made;
use crate::git::changes::Change;
use crate::git::{Call, Git, GitError};

/// An index of our own, in which the files of the step are looked at.
const INDEX: &str = "ralph-undo.index";
/// The mode of a file that is not there (git-diff-tree(1)).
const NOTHING: &str = "000000";

/// A checkout before a step, as far as it has to be known to take the step back.
pub(super) struct Before<'a> {
    git: &'a Git,
    checkout: &'a Path,
    made: &'a Made,
    /// Those of the step's files that are there.
    there: BTreeSet<Vec<u8>>,
}

impl<'a> Before<'a> {
    /// Looks at a clean checkout. No run of git where the commits of the step were made by this process together.
    pub(super) fn see(git: &'a Git, checkout: &'a Path, made: &'a Made) -> Result<Self, GitError> {
        let mut there: BTreeSet<Vec<u8>> = match git.lineage().between(&made.onto, &made.commit) {
            Some(steps) => {
                let all = steps
                    .iter()
                    .flat_map(|step| step.changed.iter().chain(&step.deleted));
                all.cloned().collect()
            }
            None => {
                let all = git.changes_between_blocking(&made.onto, &made.commit)?;
                all.into_iter().map(|change| change.raw_path).collect()
            }
        };
        there.retain(|path| is_there(&place(checkout, path)));
        Ok(Self {
            git,
            checkout,
            made,
            there,
        })
    }

    /// Takes back what the step has written; returns what could not be.
    pub(super) fn take_back(&self) -> Result<Vec<String>, GitError> {
        let (onto, commit) = (&self.made.onto, &self.made.commit);
        let changes = self.git.changes_between_blocking(onto, commit)?;
        let different = self.different(&changes)?;
        self.restore_index()?;
        let (mut lost, mut stays) = (Vec::new(), Vec::new());
        for change in &changes {
            let was = self.there.contains(&change.raw_path);
            let is = is_there(&place(self.checkout, &change.raw_path));
            let is_written =
                is && change.new_mode != NOTHING && !different.contains(&change.raw_path);
            match (was, is) {
                (false, true) if is_written && change.old_mode == NOTHING => {
                    stays.extend(self.remove(&change.raw_path).err());
                }
                (true, _) if change.old_mode != NOTHING && (is_written || !is) => {
                    lost.push(&*change.raw_path);
                }
                _ => {}
            }
        }
        if self.write(&lost).is_err() {
            // One of them stopped it, such as a filter that fails.
            let one_by_one = lost.into_iter().filter(|path| self.write(&[path]).is_err());
            stays.extend(one_by_one.map(|path| String::from_utf8_lossy(path).into_owned()));
        }
        Ok(stays)
    }

    /// Those of the files that the checkout does not have as the step writes them.
    fn different(&self, changes: &[Change]) -> Result<BTreeSet<Vec<u8>>, GitError> {
        let index = self.git.git_dir().join(INDEX);
        let mut input = Vec::new();
        for change in changes.iter().filter(|change| change.new_mode != NOTHING) {
            input.extend_from_slice(format!("{} {}\t", change.new_mode, change.new).as_bytes());
            input.extend_from_slice(&change.raw_path);
            input.push(0);
        }
        let call = |arguments: &[&str]| {
            let call = self.call(arguments).index(&index);
            call.setting("core.splitIndex=false")
        };
        atomic::remove_unsynced(&index)?;
        call(&["update-index", "-z", "--index-info"])
            .input(input)
            .blocking(&[0])?;
        call(&["update-index", "-q", "--refresh"]).blocking(&[0, 1])?;
        let listed = call(&["diff-files", "-z", "--name-only"]).blocking(&[0])?;
        atomic::remove_unsynced(&index)?;
        let paths = listed.stdout.split(|byte| *byte == 0);
        Ok(paths.map(<[u8]>::to_vec).collect())
    }

    /// The index as it was, where the step has written it. Only entries of the step are changed (git-read-tree(1), two
    /// trees).
    fn restore_index(&self) -> Result<(), GitError> {
        let (old, new) = (self.made.onto.as_str(), self.made.commit.as_str());
        let question = self.call(&["diff-index", "--cached", "--quiet", old]);
        if question.blocking(&[0, 1])?.code == 1 {
            self.call(&["read-tree", "-i", "-m", new, old])
                .blocking(&[0])?;
        }
        Ok(())
    }

    /// Removes a file that the step has made, and the folders that hold nothing else; its name where that fails.
    fn remove(&self, path: &[u8]) -> Result<(), String> {
        let place = place(self.checkout, path);
        // A submodule is an empty folder, which is none to remove as a file.
        let _ = atomic::remove_unsynced(&place);
        atomic::remove_empty_dir(&place);
        if place.symlink_metadata().is_ok() {
            return Err(String::from_utf8_lossy(path).into_owned());
        }
        let folders = place.ancestors().skip(1);
        for folder in folders.take_while(|folder| *folder != self.checkout) {
            atomic::remove_empty_dir(folder);
        }
        Ok(())
    }

    /// Writes files as the index has them.
    fn write(&self, paths: &[&[u8]]) -> Result<(), GitError> {
        if paths.is_empty() {
            return Ok(());
        }
        let call = self.call(&["checkout-index", "--quiet", "-f", "-u", "-z", "--stdin"]);
        let call = call.input(paths.join(&0)).without_hooks();
        call.blocking(&[0]).map(drop)
    }

    fn call(&self, arguments: &[&str]) -> Call<'_> {
        self.git.call(arguments).at(self.checkout)
    }
}

fn place(checkout: &Path, path: &[u8]) -> PathBuf {
    checkout.join(OsStr::from_bytes(path))
}

/// Also a link to nowhere.
fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
