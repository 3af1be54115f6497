//! One git worktree and branch per attempt; what a crash left of them.
//!
//! A worktree is *prepared* (made, without files, or taken over from an attempt that has ended), *assigned* to an attempt
//! (one run of git brings the files), its work is *captured* ([`Work`]) and *committed* on the branch, and it is
//! *released*: removed once its work is in the base or on a branch. [`Worktrees::sweep`] does it after a killed loop.
//!
//! Worktrees lie beside the repository, in `<repository>-worktrees/`, or in `.ralph/worktrees/` where nothing may be
//! written beside it. What must never be here: a removal of what is on no branch, a branch deleted or moved over
//! somebody's commits, a copy of the plan into a worktree.

mod alone;
mod aside;
mod assign;
mod capture;
mod config;
mod error;
mod gone;
mod index;
mod inside;
mod mark;
mod notes;
mod place;
mod reuse;
mod shared;
mod staging;
mod stays;
mod sweep;
#[cfg(test)]
mod tests;
mod unfinished;
mod watch;
mod went_back;
mod work;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ralph_core::store::atomic;
use ralph_core::time::Timestamp;
use serde::{Deserialize, Serialize};

pub use error::WorktreeError;
pub use notes::{ControlFiles, is_protected};
pub(crate) use place::check_top;
pub use sweep::Swept;
pub use work::Work;
pub(crate) use work::touched;

use self::mark::Mark;
use self::place::{PREFIX_OF_NAMES, beside, check_prefix, place, plain};
use crate::git::refs::Base;
use crate::git::{Call, Git, ObjectId};

/// How long a checkout of all files may take.
pub(crate) const CHECKOUT_LIMIT: Duration = Duration::from_secs(1800);

/// A worktree that nobody works in: what lies in it, such as what the last attempt has left, is no work.
#[derive(Debug)]
#[must_use = "a prepared worktree is assigned or discarded"]
pub struct Prepared {
    path: PathBuf,
    git_dir: PathBuf,
}

impl Prepared {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The worktree of an attempt, as it stands in the attempt's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    /// Where the agent works.
    pub path: PathBuf,
    /// Its own git folder, below that of the repository.
    pub git_dir: PathBuf,
    /// Its branch, as `ralph-claude/fix-login-1a2b3c`.
    pub branch: String,
    /// The commit that the work starts from.
    pub start: ObjectId,
}

impl Assigned {
    /// The full name of the branch.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }
}

/// Where the work of an attempt is safe, which is what allows its worktree to go.
#[derive(Debug, Clone, Copy)]
pub enum Safe<'a> {
    /// This commit holds it and is in the base: the branch goes too.
    Merged(&'a ObjectId),
    /// This commit holds it and the branch is at it: the branch stays.
    OnBranch(&'a ObjectId),
}

/// Work that was put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The branch that holds it.
    pub branch: String,
    /// Its commit.
    pub commit: ObjectId,
}

/// The worktrees of one loop.
#[derive(Debug)]
pub struct Worktrees {
    git: Git,
    base: Base,
    prefix: String,
    folder: PathBuf,
    control: ControlFiles,
    names: Mutex<Names>,
    /// Branches that commits were put aside on, and nobody has been told of.
    asides: Mutex<Vec<String>>,
    watch: watch::Watch,
}

/// Names that are in use, so that a new one costs no run of git.
#[derive(Debug, Default)]
struct Names {
    branches: BTreeSet<String>,
    next: u64,
}

impl Worktrees {
    /// Finds the place for worktrees and learns which branches there are. `prefix` is that of the branches, such as
    /// `ralph-claude`.
    ///
    /// # Errors
    /// No place can be written; git gives no answer; [`WorktreeError::InTheWay`].
    pub async fn open(git: &Git, base: &Base, prefix: &str) -> Result<Self, WorktreeError> {
        check_prefix(git, prefix).await?;
        let mut names = Names::default();
        let local = format!("refs/heads/{prefix}/");
        let remote = format!("refs/remotes/*/{prefix}/**");
        for (reference, _) in git.branches(&[&local, &remote]).await? {
            let at = reference.find(&format!("/{prefix}/"));
            names
                .branches
                .extend(at.map(|at| reference[at + 1..].to_owned()));
        }
        Ok(Self {
            git: git.clone(),
            base: base.clone(),
            prefix: prefix.to_owned(),
            folder: place(git).await?,
            control: ControlFiles::find(git.top()),
            names: Mutex::new(names),
            asides: Mutex::default(),
            watch: watch::Watch::begin(git, base).await?,
        })
    }

    /// Whether a path is the loop's or the user's, so that no work has it.
    pub(crate) fn is_protected(&self, path: &str) -> bool {
        self.control.is_protected(path)
    }

    /// The folder that holds the worktrees.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes a worktree for an attempt to come. It has no files yet: they come once, with its branch.
    ///
    /// # Errors
    /// Git refuses. What was begun is removed.
    pub async fn prepare(&self) -> Result<Prepared, WorktreeError> {
        let commit = self.git.base_tip(&self.base).await?;
        self.add(&commit).await
    }

    /// Makes a worktree with the files of any commit, for a look at it that leaves nothing behind.
    ///
    /// # Errors
    /// Git refuses, such as for a full disk. What was begun is removed.
    pub async fn prepare_at(&self, commit: &ObjectId) -> Result<Prepared, WorktreeError> {
        let prepared = self.add(commit).await?;
        let brought = match self.leave(&prepared, commit).await {
            Ok(()) => notes::bring(self.git.top(), &prepared.path).map_err(WorktreeError::from),
            Err(error) => Err(error),
        };
        match brought {
            Ok(()) => Ok(prepared),
            Err(error) => {
                self.forget(&prepared.path).await;
                Err(error)
            }
        }
    }

    /// A worktree without files, marked as ours before there is anything in it: what has no mark is somebody else's.
    /// Without hooks: one that fails in a folder where nothing is installed yet would say that git has failed.
    async fn add(&self, commit: &ObjectId) -> Result<Prepared, WorktreeError> {
        atomic::create_dir(&self.folder)?;
        let path = self.free_path();
        let arguments = ["worktree", "add", "--quiet", "--detach", "--no-checkout"];
        let call = self.git.call(&arguments).without_hooks();
        let made = match call.arg(&path).arg(commit.as_str()).run().await {
            Ok(_) => self
                .git_dir_of(&path)
                .ok_or_else(|| WorktreeError::no_git_dir(&path)),
            Err(error) => Err(error.into()),
        };
        let marked = made.and_then(|git_dir| {
            Mark::Released { branch: None }.write(&git_dir)?;
            Ok(git_dir)
        });
        match marked {
            Ok(git_dir) => Ok(Prepared { path, git_dir }),
            Err(error) => {
                self.forget(&path).await;
                Err(error)
            }
        }
    }

    /// Removes a prepared worktree that is not needed any more.
    ///
    /// # Errors
    /// Git refuses.
    pub async fn discard(&self, prepared: Prepared) -> Result<(), WorktreeError> {
        self.remove(&prepared.path, None).await
    }

    /// Puts work aside: what is there is committed on the branch, and the worktree is made ready for another attempt
    /// or removed. Nothing is kept where there was nothing; then the branch is gone too. Can be done again after a
    /// crash.
    ///
    /// # Errors
    /// The work cannot be committed; then the worktree stays as it is.
    pub async fn keep(
        &self,
        assigned: &Assigned,
        message: &str,
        now: Timestamp,
    ) -> Result<(Option<Kept>, Option<Prepared>), WorktreeError> {
        let work = match self.capture(assigned).await {
            Err(WorktreeError::Gone { .. }) => {
                return Ok((self.kept_before(assigned).await?, None));
            }
            captured => captured?,
        };
        let commit = self
            .commit(assigned, &work, message, Vec::new(), now)
            .await?;
        if commit == assigned.start {
            let safe = Safe::Merged(&commit);
            return Ok((None, self.release(assigned, &work, safe).await?));
        }
        let safe = Safe::OnBranch(&commit);
        let prepared = self.release(assigned, &work, safe).await?;
        let kept = Kept {
            branch: assigned.branch.clone(),
            commit,
        };
        Ok((Some(kept), prepared))
    }

    /// Gives back the worktree of an attempt whose work is safe, and removes the branch where the base holds the
    /// work. The worktree is for another attempt then; where cleaning it is not certain to leave nothing of this one it
    /// is removed, and the answer is `None`. Can be done again after a crash.
    ///
    /// # Errors
    /// [`WorktreeError::NotSafe`] when the work is not where it is said to be, and [`WorktreeError::Embedded`] when
    /// the worktree holds repositories of its own: nothing is removed then, and a later sweep looks again.
    pub async fn release(
        &self,
        assigned: &Assigned,
        work: &Work,
        safe: Safe<'_>,
    ) -> Result<Option<Prepared>, WorktreeError> {
        let branch = self.git.tip(&assigned.reference()).await?;
        self.prove(assigned, branch.as_ref(), safe).await?;
        if !work.embedded.is_empty() && self.is_of(assigned) {
            return self.leave_to_user(assigned, work, safe, branch).await;
        }
        let mut prepared = None;
        if self.is_of(assigned) {
            self.remove_inner(&work.worktrees).await;
            prepared = self.reuse(assigned, safe).await;
            if prepared.is_none() {
                self.remove(&assigned.path, Some(assigned)).await?;
            }
        }
        if let (Safe::Merged(_), Some(tip)) = (safe, branch) {
            self.git.remove_ref(&assigned.reference(), &tip).await?;
        }
        Ok(prepared)
    }

    /// That the commit is where it is said to be.
    async fn prove(
        &self,
        assigned: &Assigned,
        branch: Option<&ObjectId>,
        safe: Safe<'_>,
    ) -> Result<(), WorktreeError> {
        let (is_safe, place) = match safe {
            Safe::OnBranch(commit) => (branch == Some(commit), assigned.branch.clone()),
            Safe::Merged(commit) => {
                let tip = self.git.tip(&self.base.local()).await?;
                let is_merged = match &tip {
                    Some(tip) => self.git.is_ancestor(commit, tip).await?,
                    None => false,
                };
                (
                    is_merged || *commit == assigned.start,
                    self.base.branch.clone(),
                )
            }
        };
        if is_safe {
            return Ok(());
        }
        let (Safe::Merged(commit) | Safe::OnBranch(commit)) = safe;
        Err(WorktreeError::NotSafe {
            path: assigned.path.clone(),
            commit: commit.clone(),
            place,
        })
    }

    /// Whether the attempt still has its worktree. Once its work was safe, that was cleaned, and may be somebody else's.
    #[must_use]
    pub fn has(&self, assigned: &Assigned) -> bool {
        assigned.path.is_dir() && self.is_of(assigned)
    }

    /// Whether the worktree is still this attempt's: it may have been given to another one since, when the answer
    /// about its release was lost.
    fn is_of(&self, assigned: &Assigned) -> bool {
        match Mark::read(&assigned.git_dir) {
            mark::Found::Mark(mark) => mark.branch() == Some(&assigned.branch),
            mark::Found::Nothing | mark::Found::Unreadable => false,
        }
    }

    /// Removes a worktree with all that is in it; the caller has proved that it may go.
    async fn remove(&self, path: &Path, of: Option<&Assigned>) -> Result<(), WorktreeError> {
        if let Some(git_dir) = self.git_dir_of(path) {
            // A removal that is cut off must not look like work that deletes files.
            let branch = of.map(|assigned| assigned.branch.clone());
            Mark::Released { branch }.write(&git_dir)?;
        }
        if let Err(error) = self.remove_call(path).run().await {
            self.forget(path).await;
            if path.exists() {
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Takes a worktree and git's entry of it away, also where its folder is gone. Forced twice: one that was being made
    /// when we were killed is locked (git-worktree(1)).
    fn remove_call(&self, path: &Path) -> Call<'_> {
        let arguments = ["worktree", "remove", "--force", "--force"];
        self.git.call(&arguments).arg(path).limit(CHECKOUT_LIMIT)
    }

    /// Removes what is left of a worktree that git cannot remove as one. Failures show up in the next sweep.
    async fn forget(&self, path: &Path) {
        let is_inside = path.starts_with(&self.folder) && path != self.folder;
        let removed = if is_inside {
            atomic::remove_tree(path)
        } else {
            Ok(())
        };
        if let Err(error) = removed {
            tracing::warn!(path = %path.display(), %error, "a worktree is left");
        }
        // Never `git worktree prune`: what it takes away may be a worktree of the user's on a disk that is away just now.
        if self.git_dir_of(path).is_some()
            && let Err(error) = self.remove_call(path).run().await
        {
            tracing::warn!(%error, "git still knows a worktree that is gone");
        }
    }

    /// Removes the folder of the worktrees when it is empty; for the end of a loop. One that a link of the user's leads
    /// to stays.
    pub fn close(&self) {
        if !beside(self.git.top()).is_some_and(|beside| beside.is_symlink()) {
            atomic::remove_empty_dir(&self.folder);
        }
    }

    /// The git folder of a linked worktree. Asked of the repository, since an agent can do anything to the `.git` file
    /// in its worktree (gitrepository-layout(5): `worktrees/<id>/gitdir`).
    fn git_dir_of(&self, path: &Path) -> Option<PathBuf> {
        let file = path.join(".git");
        let all = fs::read_dir(self.git.common_dir().join("worktrees")).ok()?;
        let mut folders = all.flatten().map(|entry| entry.path());
        folders.find(|folder| {
            let text = fs::read_to_string(folder.join("gitdir")).unwrap_or_default();
            Path::new(text.trim_end()) == file
        })
    }

    fn free_path(&self) -> PathBuf {
        let mut names = self.names();
        loop {
            names.next += 1;
            let path = self.folder.join(format!("{PREFIX_OF_NAMES}{}", names.next));
            if !path.exists() {
                return path;
            }
        }
    }

    fn free_branch(&self, name: &str) -> String {
        let mut names = self.names();
        let first = format!("{}/{}", self.prefix, plain(name));
        let mut branch = first.clone();
        let mut number = 2_u32;
        while names.branches.contains(&branch) {
            branch = format!("{first}-{number}");
            number += 1;
        }
        names.branches.insert(branch.clone());
        branch
    }

    fn names(&self) -> std::sync::MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn embedded(path: &Path, folders: &[String]) -> WorktreeError {
    WorktreeError::Embedded {
        path: path.to_owned(),
        folders: folders.to_owned(),
    }
}
