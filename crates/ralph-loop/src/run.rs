//! One loop from beginning to end, for whoever brings everything that it needs: lock, assembly, recovery, pool.
//!
//! What must never be here: a decision of the loop, a signal, anything of a terminal.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use jiff::tz::TimeZone;
use ralph_core::env::Env;
use ralph_core::error::Code;
use ralph_core::process::Identity;
use ralph_core::process::guard::GuardProgram;
use ralph_core::process::lock::{Holder, LifeLock, holder};
use ralph_core::store::atomic;
use tokio::sync::watch;

use crate::assemble::{Assembly, FOLDER, LOCK, STATE, assemble};
use crate::event::Silent;
use crate::git::GitProgram;
use crate::pool::{self, LoopEnd, PoolError, Stop};
use crate::recovery::recover;
use crate::redact::Redactor;
use crate::settings::Settings;

/// The process whose loop runs in a folder, where that can be seen.
pub(crate) fn running(root: &Path) -> Option<Holder> {
    holder(&root.join(FOLDER).join(STATE).join(LOCK))
}

/// The right to run the loop of a folder, held until it is dropped or its process ends.
#[derive(Debug)]
pub struct LoopLock {
    root: PathBuf,
    _held: LifeLock,
}

impl LoopLock {
    /// Takes it; `root` is the folder that holds `.ralph`.
    ///
    /// # Errors
    /// [`PoolError::Busy`] where a loop runs, [`PoolError::Lock`], and a folder that cannot be made.
    pub fn take(root: &Path) -> Result<Self, PoolError> {
        let state = root.join(FOLDER).join(STATE);
        atomic::create_dir(&state)?;
        let path = state.join(LOCK);
        match LifeLock::try_take(&path) {
            Ok(Some(held)) => Ok(Self {
                root: root.to_owned(),
                _held: held,
            }),
            Ok(None) => Err(PoolError::Busy(root.to_owned())),
            Err(error) => Err(PoolError::Lock { path, error }),
        }
    }

    /// Whether it is that of this folder, by whatever path.
    fn is_of(&self, root: &Path) -> bool {
        let place = |path: &Path| path.canonicalize().ok();
        self.root == root || place(root).is_some_and(|found| place(&self.root) == Some(found))
    }
}

impl<'a> Assembly<'a> {
    /// A loop over one repository, with git as it is on the path, times of agents without a zone read as UTC, no prompt
    /// but ours, and nobody who watches it or stops it. All of that can be set afterwards.
    ///
    /// `owner` is this process ([`Identity::of`]). `user_folder` is where what all loops of the user share is kept: the
    /// gate of an account that has reached its limit.
    #[must_use]
    pub fn new(
        root: &'a Path,
        env: &'a Env,
        owner: Identity,
        settings: &'a Settings,
        guard: GuardProgram,
        user_folder: impl Into<PathBuf>,
    ) -> Self {
        Self {
            env,
            owner,
            root,
            settings,
            repositories: None,
            task: None,
            shared_budget: None,
            user_folder: user_folder.into(),
            guard,
            git: GitProgram::default(),
            zone: TimeZone::UTC,
            redactor: Redactor::default(),
            prompt: None,
            stop: watch::channel(Stop::Run).1,
            sink: Arc::new(Silent),
        }
    }
}

impl fmt::Debug for Assembly<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assembly")
            .field("root", &self.root)
            .field("owner", &self.owner)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Runs a loop until there is nothing more to do: settles what an earlier one left, then works. Whatever goes wrong with
/// one attempt is that attempt's outcome.
///
/// Needs a tokio runtime with time and I/O; its future cannot change threads, so a runtime of one thread does, or a
/// `LocalSet`. Dropping the future ends the agents, and the next loop takes their attempts up.
///
/// # Errors
/// [`PoolError::Lock`] where `lock` is that of another folder, and what concerns the loop as a whole: a repository, the plan, the budget or the records
/// cannot be used.
pub async fn run(lock: &LoopLock, assembly: Assembly<'_>) -> Result<LoopEnd, PoolError> {
    if !lock.is_of(assembly.root) {
        let held = lock.root.display();
        return Err(PoolError::Lock {
            path: assembly.root.join(FOLDER).join(STATE).join(LOCK),
            error: io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("the lock that was taken is that of {held}"),
            ),
        });
    }
    let shop = Rc::new(assemble(assembly).await?);
    let unsettled = recover(&shop).await?;
    let end = pool::run(shop).await?;
    // What an earlier loop left and nobody could settle is no success of this one.
    let code = end.code.or((unsettled > 0).then_some(Code::Partial));
    Ok(LoopEnd { code, ..end })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::settings::{self, CommandLine};

    #[test]
    fn one_loop_per_folder() -> Result<(), Box<dyn std::error::Error>> {
        let root = tempfile::tempdir()?;
        let held = LoopLock::take(root.path())?;
        let second = LoopLock::take(root.path());
        assert!(matches!(second, Err(PoolError::Busy(path)) if path == root.path()));
        drop(held);
        LoopLock::take(root.path())?;
        Ok(())
    }

    #[tokio::test]
    async fn the_lock_of_another_folder_is_none() -> Result<(), Box<dyn std::error::Error>> {
        let (here, other) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let lock = LoopLock::take(other.path())?;
        let settings = settings::resolve(&CommandLine::default(), &BTreeMap::new(), &[])?;
        let (env, _) = Env::fixed(jiff::Timestamp::UNIX_EPOCH);
        let guard = GuardProgram {
            program: "guard".into(),
            args: Vec::new(),
        };
        let owner = Identity::of(std::process::id()).ok_or("no such process")?;
        let root = here.path();
        let assembly = Assembly::new(root, &env, owner, &settings, guard, root);
        let ended = run(&lock, assembly).await;
        let Err(PoolError::Lock { path, error }) = ended else {
            return Err(format!("{ended:?}").into());
        };
        assert!(path.starts_with(root), "{}", path.display());
        let held = other.path().display().to_string();
        assert!(error.to_string().contains(&held), "{error}");
        let link = root.join("link");
        std::os::unix::fs::symlink(other.path(), &link)?;
        assert!(lock.is_of(&link));
        Ok(())
    }
}
