//! The one step that moves the user's branch: forward, and only where nothing of theirs is in the way.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::undo::Before;
use super::{IntegrateError, Integrator, Made, Turn};
use crate::event::one_line;
use crate::git::refs::{Branch, loose};
use crate::git::{Git, GitError};
use crate::worktree::CHECKOUT_LIMIT;

/// How often the step is tried while the user's own git holds the index, and the pause between.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(40);

/// Where a rebase in progress says which branch it is about (git-rebase(1)).
const REBASES: [&str; 2] = ["rebase-merge/head-name", "rebase-apply/head-name"];

/// What became of the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forwarded {
    /// It is at the commit, or was beyond it already.
    Moved,
    /// It was not moved.
    Left(Left),
}

/// Why the base was not moved. The attempt's branch holds the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// It is no longer where the commit stands on: integrate again.
    BaseMoved,
    /// Its checkout has changes of the user.
    Dirty {
        /// The checkout.
        checkout: PathBuf,
        /// Some of the files.
        files: Vec<String>,
    },
    /// The plan that the commit leaves alone has no changes of the user, or none here: the commit has to tick it.
    PlanIsCommitted,
    /// The user rebases it at the moment.
    Busy {
        /// The checkout.
        checkout: PathBuf,
    },
    /// Git refuses, such as for an untracked file in the way, or fails. What it had written by then is taken back.
    Refused {
        /// Its words.
        reason: String,
    },
}

impl Integrator {
    /// Moves the base to the commit. Blocks: it is called where the marks of claims are lifted from the plan, and
    /// must come to its end there. `beside` is a plan that the commit leaves alone because it has changes of the user, who
    /// writes tasks into it at any time.
    ///
    /// # Errors
    /// Git gives no answer. Everything that is in the way is no error but [`Left`].
    pub fn fast_forward(
        &self,
        _turn: &Turn,
        made: &Made,
        beside: Option<&str>,
    ) -> Result<Forwarded, IntegrateError> {
        let name = self.base.local();
        let Some(branch) = self.look_at(&name)? else {
            return Ok(Forwarded::Left(Left::BaseMoved));
        };
        if branch.tip != made.onto || made.commit == made.onto {
            let is_there = self.git.is_ancestor_blocking(&made.commit, &branch.tip)?;
            return Ok(if is_there {
                Forwarded::Moved
            } else {
                Forwarded::Left(Left::BaseMoved)
            });
        }
        if beside.is_some() && branch.checked_out.as_deref() != Some(self.git.top()) {
            return Ok(Forwarded::Left(Left::PlanIsCommitted));
        }
        match branch.checked_out {
            Some(checkout) => self.in_checkout(&name, checkout, made, beside),
            None => self.nowhere_checked_out(&name, made),
        }
    }

    /// Where the base is, and where it is checked out. Usually that is the user's work tree, whose files say so
    /// without a run of git.
    fn look_at(&self, name: &str) -> Result<Option<Branch>, IntegrateError> {
        let head = fs::read_to_string(self.git.git_dir().join("HEAD")).unwrap_or_default();
        let is_here = head.trim_end().strip_prefix("ref: ") == Some(name);
        if let (true, Some(tip)) = (is_here, loose(self.git.common_dir(), name)) {
            return Ok(Some(Branch {
                tip,
                checked_out: Some(self.git.top().to_owned()),
            }));
        }
        let found = self.git.branches_blocking(&[name])?;
        let exact = found.into_iter().find(|(found, _)| found == name);
        Ok(exact.map(|(_, branch)| branch))
    }

    fn in_checkout(
        &self,
        name: &str,
        checkout: PathBuf,
        made: &Made,
        beside: Option<&str>,
    ) -> Result<Forwarded, IntegrateError> {
        let mut files = self.git.changed_files_blocking(&checkout)?;
        let all = files.len();
        files.retain(|file| Some(file.as_str()) != beside);
        if !files.is_empty() {
            files.truncate(10);
            return Ok(Forwarded::Left(Left::Dirty { checkout, files }));
        }
        if beside.is_some() && all == 0 {
            return Ok(Forwarded::Left(Left::PlanIsCommitted));
        }
        let before = Before::see(&self.git, &checkout, made)?;
        match self.merge(&checkout, made) {
            Ok(()) => Ok(Forwarded::Moved),
            Err(error) => self.failed(name, made, &before, error),
        }
    }

    /// The step itself, tried again while the user's own git holds the index: nothing is written then.
    fn merge(&self, checkout: &Path, made: &Made) -> Result<(), GitError> {
        let arguments = [
            "merge",
            "--quiet",
            "--ff-only",
            "--no-stat",
            "--no-autostash",
            // A file that git ignores may still be all that the user has.
            "--no-overwrite-ignore",
            made.commit.as_str(),
        ];
        // A user's `--squash` or `-s ours` would put something else there, and call it a success (git-config(1)).
        let no_options = format!("branch.{}.mergeOptions=", self.base.branch);
        let mut attempt = 1;
        loop {
            let call = self.git.call(&arguments).at(checkout).without_hooks();
            let call = call.setting(&no_options).limit(CHECKOUT_LIMIT);
            match call.blocking(&[0]) {
                Err(GitError::Failed { stderr, .. })
                    if stderr.contains("index.lock") && attempt < ATTEMPTS =>
                {
                    attempt += 1;
                    std::thread::sleep(PAUSE);
                }
                ended => return ended.map(drop),
            }
        }
    }

    /// What became of a step that git did not bring to its end: the files of the checkout are as they were before it.
    fn failed(
        &self,
        name: &str,
        made: &Made,
        before: &Before<'_>,
        error: GitError,
    ) -> Result<Forwarded, IntegrateError> {
        match self.look_at(name)? {
            Some(branch) if branch.tip == made.commit => return Ok(Forwarded::Moved),
            Some(branch) if branch.tip == made.onto => {}
            _ => return Ok(Forwarded::Left(Left::BaseMoved)),
        }
        let stays = before.take_back();
        let GitError::Failed { stderr, .. } = error else {
            return Err(error.into());
        };
        let stderr = one_line(&stderr);
        let reason = match stays {
            Ok(files) if files.is_empty() => stderr,
            Ok(files) => format!("{stderr}; not put back: {}", files.join(", ")),
            Err(error) => format!("{stderr}; what was written by then stays: {error}"),
        };
        Ok(Forwarded::Left(Left::Refused { reason }))
    }

    fn nowhere_checked_out(&self, name: &str, made: &Made) -> Result<Forwarded, IntegrateError> {
        if let Some(checkout) = rebasing(&self.git, name) {
            return Ok(Forwarded::Left(Left::Busy { checkout }));
        }
        let (new, old) = (made.commit.as_str(), made.onto.as_str());
        let call = self
            .git
            .call(&["update-ref", "-m", "ralph", name, new, old])
            .without_hooks();
        match call.blocking(&[0]) {
            Ok(_) => Ok(Forwarded::Moved),
            // Somebody has moved it in between.
            Err(GitError::Failed { .. }) => Ok(Forwarded::Left(Left::BaseMoved)),
            Err(error) => Err(error.into()),
        }
    }
}

/// The work tree in which this branch is being rebased: its HEAD is detached, so git does not call it checked out.
fn rebasing(git: &Git, name: &str) -> Option<PathBuf> {
    let linked = fs::read_dir(git.common_dir().join("worktrees"))
        .into_iter()
        .flatten()
        .flatten();
    let mut folders = vec![git.common_dir().to_owned()];
    folders.extend(linked.map(|entry| entry.path()));
    let is_about = |folder: &Path, file: &str| {
        let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
        text.trim_end() == name
    };
    folders
        .into_iter()
        .find(|folder| REBASES.iter().any(|file| is_about(folder, file)))
}
