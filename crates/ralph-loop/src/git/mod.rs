//! The git program: run with a deadline, never asking, its failures as errors.
//!
//! [`Git`] is one repository, found once; a [`Call`] is one run of the program. [`facts`] asks, [`refs`] reads and
//! moves branches, [`import`] makes commits without an index, a work tree or a hook, [`lineage`] remembers where the base
//! was. What must never be here: a decision about a task, a shell, and a change of the user's checkout, index or stash.

mod call;
pub mod changes;
pub mod facts;
pub mod import;
pub mod lineage;
mod locks;
pub(crate) mod merged;
mod object;
pub mod refs;
mod removal;
#[cfg(test)]
pub(crate) mod sandbox;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ralph_core::error::{Code, Coded, Hint};
use ralph_core::store::atomic::StoreError;

pub use call::{Call, FOREIGN, Output};
use lineage::Lineage;
pub use object::{ObjectId, Signature};
use removal::Removals;

/// Which program is git, and what its environment gets on top of ours.
#[derive(Debug, Clone)]
pub struct GitProgram {
    /// The program; found on the path where it is a bare name.
    pub program: PathBuf,
    /// Variables for every call.
    pub variables: Vec<(String, String)>,
}

impl Default for GitProgram {
    fn default() -> Self {
        Self {
            program: PathBuf::from("git"),
            variables: Vec::new(),
        }
    }
}

/// One repository, seen from its work tree. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Git {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    program: GitProgram,
    top: PathBuf,
    git_dir: PathBuf,
    common_dir: PathBuf,
    signature: Signature,
    lineage: Lineage,
    removals: Removals,
    calls: AtomicU64,
}

impl Git {
    /// Finds the repository whose work tree holds `folder`, and who commits there. Two or three runs of git.
    ///
    /// # Errors
    /// [`GitError::NotARepository`], also for a bare one; git cannot be started.
    pub async fn open(program: GitProgram, folder: &Path) -> Result<Self, GitError> {
        let mut found = Self::unknown(program, folder);
        let (top, git_dir, common_dir) = facts::locate(&found, folder).await?;
        let signature = facts::signature(&found, &top).await?;
        if let Some(inner) = Arc::get_mut(&mut found.inner) {
            inner.top = top;
            inner.git_dir = git_dir;
            inner.common_dir = common_dir;
            inner.signature = signature;
        }
        Ok(found)
    }

    /// Makes an empty repository on the branch `main` in a folder that exists, without the user's templates.
    ///
    /// # Errors
    /// Git cannot be started, or refuses.
    pub async fn init(program: GitProgram, folder: &Path) -> Result<Self, GitError> {
        let there = Self::unknown(program.clone(), folder);
        let init = ["init", "-q", "--template=", "--initial-branch=main"];
        there.call(&init).at(folder).run().await?;
        Self::open(program, folder).await
    }

    /// A folder of which nothing is known yet.
    fn unknown(program: GitProgram, folder: &Path) -> Self {
        Self {
            inner: Arc::new(Inner {
                program,
                top: folder.to_owned(),
                git_dir: PathBuf::new(),
                common_dir: PathBuf::new(),
                signature: Signature::ours(),
                lineage: Lineage::default(),
                removals: Removals::default(),
                calls: AtomicU64::new(0),
            }),
        }
    }

    /// The top of the user's work tree.
    #[must_use]
    pub fn top(&self) -> &Path {
        &self.inner.top
    }

    /// The git folder of that work tree.
    #[must_use]
    pub fn git_dir(&self) -> &Path {
        &self.inner.git_dir
    }

    /// The git folder that all work trees of the repository share.
    #[must_use]
    pub fn common_dir(&self) -> &Path {
        &self.inner.common_dir
    }

    /// Who our commits are by: the user as git knows them, else a name of ours.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.inner.signature
    }

    /// What this process knows of the base's commits.
    #[must_use]
    pub fn lineage(&self) -> &Lineage {
        &self.inner.lineage
    }

    /// How many git processes were started so far; speed is judged by it.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.inner.calls.load(Ordering::Relaxed)
    }

    /// A run of git in the user's work tree.
    pub fn call<'a>(&'a self, arguments: &[&str]) -> Call<'a> {
        Call::new(self, arguments)
    }

    fn count(&self) {
        self.inner.calls.fetch_add(1, Ordering::Relaxed);
    }
}

/// A run of git that gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The program cannot be started.
    #[error("cannot start {}", program.display())]
    Start {
        /// Which.
        program: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Git says no.
    #[error("`{command}` failed ({how}): {stderr}")]
    Failed {
        /// The command line.
        command: String,
        /// `exit 128`, `signal 9`.
        how: String,
        /// Its last words.
        stderr: String,
    },
    /// It took too long and was ended.
    #[error("`{command}` was ended after {} s without an answer", limit.as_secs())]
    TimeLimit {
        /// The command line.
        command: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// There is no repository with a work tree.
    #[error("{} is in no git work tree: {reason}", folder.display())]
    NotARepository {
        /// Where was looked.
        folder: PathBuf,
        /// Git's words.
        reason: String,
    },
    /// Nothing to start from.
    #[error("the branch `{branch}` is not in {}, or has no commit yet", top.display())]
    NoCommit {
        /// Which branch.
        branch: String,
        /// The work tree.
        top: PathBuf,
    },
    /// The work tree is on no branch, and none was named.
    #[error("{} is on no branch (detached HEAD)", top.display())]
    Detached {
        /// The work tree.
        top: PathBuf,
    },
    /// An answer that is none.
    #[error("`{command}` answered {found:?}; expected {expected}")]
    Answer {
        /// The command line.
        command: String,
        /// What came.
        found: String,
        /// What should have come.
        expected: &'static str,
    },
    /// A file of the git folder cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Coded for GitError {
    fn code(&self) -> Code {
        match self {
            Self::Store(error) => error.code(),
            _ => Code::Failed,
        }
    }

    fn hint(&self) -> Option<Hint> {
        let text = match self {
            Self::Start { .. } => "Install git, or put it on the PATH.",
            Self::Failed { stderr: words, .. } | Self::NotARepository { reason: words, .. }
                if words.contains("must be run in a work tree") =>
            {
                "Somebody, maybe an agent, has set core.bare or core.worktree in the settings of this repository: `git config --unset` it, then start again."
            }
            Self::Failed { .. } => return None,
            Self::TimeLimit { .. } => "Run the command by hand: it may wait for a password.",
            // Git says it in full, with the command.
            Self::NotARepository { reason, .. } if reason.contains("safe.directory") => {
                "Trust the repository with the command that git names, or be its owner."
            }
            Self::NotARepository { reason, .. } if reason == facts::ODD_PATH => {
                "Move it to a path of one line in UTF-8."
            }
            Self::NotARepository { .. } => "Run this in a git repository, or `git init` first.",
            Self::NoCommit { .. } => {
                "Make a first commit. Where the branch was renamed or removed, check out the one that the work is meant for and start again: work that is under way is taken up there."
            }
            Self::Detached { .. } => "Check out the branch that the work is meant for.",
            Self::Answer { .. } => "Update git to 2.39 or newer.",
            Self::Store(error) => return error.hint(),
        };
        Some(Hint::new(text))
    }
}
