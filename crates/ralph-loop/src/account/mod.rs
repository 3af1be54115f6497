//! The gate of an account: limits belong to it, so all loops of the user wait and resume together.
//!
//! One file per account, changed under its lock. When an agent of any loop meets the usage limit, no agent of that
//! account starts anywhere before the told reset and a margin; then one starts, and when it gets through two, four
//! and so on. A busy service means a short pause, a warning fewer agents at once, a failed login a stop until a later
//! loop tries again. A record that cannot be read counts as empty: the worst that follows is one refused agent.
//!
//! What must never be here: what an agent printed (that is the engine's to read), and what an attempt is worth.

mod state;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ralph_core::env::Env;
use ralph_core::error::{Code, Coded, Hint};
use ralph_core::process::{Identity, lock};
use ralph_core::store::{StoreError, atomic};
use ralph_core::time::{Timestamp, elapsed};
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

use crate::engine::{EngineName, RateLimit};
use crate::outcome::{AttemptId, Verdict};
use state::{Caller, State};

const SCHEMA_VERSION: u32 = 1;
/// Between two looks at what agents of other loops do. Those of this one wake it at once.
const LOOK: Duration = Duration::from_secs(1);
/// The longest sleep: a machine that was suspended has to see that the time is over.
const LONGEST_SLEEP: Duration = Duration::from_secs(4);

/// Which account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountName<'a> {
    /// Whose.
    pub engine: EngineName,
    /// What tells it from others of the same engine, where there is something: a login, a folder of configuration, a
    /// command. It never reaches the disk as it is.
    pub id: Option<&'a str>,
}

impl AccountName<'_> {
    fn file_stem(&self) -> String {
        let engine = self.engine.as_str();
        let Some(id) = self.id else {
            return engine.to_owned();
        };
        let digest = Sha256::digest(id.as_bytes());
        let hex: String = digest
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{engine}-{hex}")
    }
}

/// How this loop uses the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountSettings {
    /// Agents at once in this loop.
    pub workers: usize,
    /// Added to the time at which a limit is said to end.
    pub margin: Duration,
    /// The longest wait; a longer one is [`Admission::TooLong`].
    pub max_wait: Duration,
}

/// Whether an agent may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// It may; its end has to be reported.
    Admitted,
    /// Not now.
    Wait(Wait),
    /// The limit, or a busy service's pause, ends later than this loop is willing to wait.
    TooLong {
        /// When.
        until: Timestamp,
        /// The agent's words.
        message: String,
    },
    /// The account cannot be used before a person has done something.
    Stopped {
        /// The agent's words.
        message: String,
    },
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// Until when; `None` until an agent of the account got through or ended.
    pub until: Option<Timestamp>,
    /// Why, for people.
    pub why: String,
}

/// What an agent learned about its account.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Report<'a> {
    /// The service answered it: it does something. An answer that is an error is none.
    Answered,
    /// What its stream says about limits.
    RateLimit(&'a RateLimit),
    /// It has ended.
    Ended(&'a Verdict),
    /// It was never started, or was ended by us: that says nothing.
    Withdrawn,
}

/// A gate that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The lock cannot be had.
    #[error("failed to lock {}", path.display())]
    Lock {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The record cannot be read or replaced.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The record was written by a newer version.
    #[error("{} has version {found}; this version writes {SCHEMA_VERSION}", path.display())]
    Newer {
        /// Which.
        path: PathBuf,
        /// The version in it.
        found: u32,
    },
}

impl Coded for AccountError {
    fn code(&self) -> Code {
        match self {
            Self::Lock { .. } => Code::Failed,
            Self::Store(error) => error.code(),
            Self::Newer { .. } => Code::NewerFormat,
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Lock { .. } => Some(Hint::new("Check the permissions of the folder.")),
            Self::Store(error) => error.hint(),
            Self::Newer { path, .. } => Some(Hint(format!(
                "Use the newer ralph, or remove {} when no loop runs.",
                path.display()
            ))),
        }
    }
}

/// The gate of one account, as one loop uses it.
#[derive(Debug)]
pub struct AccountGate {
    record: PathBuf,
    lock_path: PathBuf,
    lock: File,
    settings: AccountSettings,
    env: Env,
    owner: Identity,
    began: Timestamp,
    changed: Notify,
}

impl AccountGate {
    /// Opens the gate in the folder that all loops of the user share, which is made when needed. `owner` is this
    /// process.
    ///
    /// # Errors
    /// [`AccountError`].
    pub fn open(
        folder: &Path,
        account: &AccountName<'_>,
        settings: AccountSettings,
        env: &Env,
        owner: Identity,
    ) -> Result<Self, AccountError> {
        atomic::create_dir(folder)?;
        let stem = account.file_stem();
        let lock_path = folder.join(format!("{stem}.lock"));
        let lock = lock::open(&lock_path).map_err(|source| AccountError::Lock {
            path: lock_path.clone(),
            source,
        })?;
        let gate = Self {
            record: folder.join(format!("{stem}.json")),
            lock_path,
            lock,
            settings,
            env: env.clone(),
            owner,
            began: env.now(),
            changed: Notify::new(),
        };
        gate.change(|_| ())?;
        Ok(gate)
    }

    /// Whether an agent may start now. Never waits. An admitted one is written down, and asking again for it changes
    /// nothing.
    ///
    /// # Errors
    /// [`AccountError`].
    pub fn ask(&self, attempt: &AttemptId) -> Result<Admission, AccountError> {
        let caller = self.caller(attempt);
        self.change(|state| state.ask(&caller))
    }

    /// Waits until an agent may start, or until it is clear that it may not. `tell` hears of every new reason to wait. A
    /// future that is dropped leaves nothing behind.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn admit(
        &self,
        attempt: &AttemptId,
        mut tell: impl FnMut(&Wait),
    ) -> Result<Admission, AccountError> {
        let mut told = None;
        loop {
            let changed = self.changed.notified();
            let wait = match self.ask(attempt)? {
                Admission::Wait(wait) => wait,
                answer => return Ok(answer),
            };
            if told.as_ref() != Some(&wait) {
                tell(&wait);
                told = Some(wait.clone());
            }
            let pause = wait.until.map_or(LOOK, |until| {
                elapsed(self.env.now(), until).min(LONGEST_SLEEP)
            });
            // Never quite nothing, so that a clock that stands still does not keep the processor busy.
            let pause = tokio::time::sleep(pause.max(Duration::from_millis(1)));
            tokio::select! {
                () = changed => {}
                () = pause => {}
            }
        }
    }

    /// Takes in what an admitted agent learned.
    ///
    /// # Errors
    /// [`AccountError`].
    pub fn report(&self, attempt: &AttemptId, report: Report<'_>) -> Result<(), AccountError> {
        let caller = self.caller(attempt);
        self.change(|state| state.report(&caller, &report))?;
        self.changed.notify_waiters();
        Ok(())
    }

    fn caller<'a>(&'a self, attempt: &'a AttemptId) -> Caller<'a> {
        Caller {
            attempt,
            owner: &self.owner,
            settings: &self.settings,
            began: self.began,
            now: self.env.now(),
        }
    }

    /// Reads, changes and writes the record under its lock. It is not brought to disk: after a power cut no agent runs,
    /// and the limit is met again at the cost of one refused start.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T, AccountError> {
        let _held = lock::Held::take(&self.lock).map_err(|source| AccountError::Lock {
            path: self.lock_path.clone(),
            source,
        })?;
        let bytes = atomic::read(&self.record)?.unwrap_or_default();
        let mut state: State = serde_json::from_slice(&bytes).unwrap_or_default();
        if state.schema_version > SCHEMA_VERSION {
            return Err(AccountError::Newer {
                path: self.record.clone(),
                found: state.schema_version,
            });
        }
        let before = state.clone();
        state.schema_version = SCHEMA_VERSION;
        state.prune(Identity::is_alive);
        let answer = change(&mut state);
        if state != before {
            let text = serde_json::to_vec(&state).unwrap_or_default();
            let _folder = atomic::stage_unsynced(&self.record, &text, Some(0o600))?.publish()?;
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests;
