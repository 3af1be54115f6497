//! One at a time: the lock on `plan.lock`, and the turn of one thread.
//!
//! An advisory lock of the operating system on a file that is never deleted, so it is free the moment its holder is
//! gone. Waiting has an end, and running out of time is an error, never "no task".

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ralph_core::process::lock::{LifeLock, holder};
use ralph_core::store::{StoreError, atomic};

use super::record::{CLAIMS, DELIVERED};
use super::{PlanError, PlanFile};

/// The lock's file in the state folder.
const LOCK: &str = "plan.lock";
/// The first pause between two tries; each is twice as long as the one before, up to the last.
const FIRST_PAUSE: Duration = Duration::from_micros(100);
/// The longest pause, so the longest that a free lock goes unnoticed.
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// How many times as long as for the lock is waited while this process itself has the marks lifted: git moves the checkout
/// forward meanwhile, and a filter may fetch each file from far away.
const STEP: u32 = 180;

/// Lets one thread of this process at a time act, and knows when git may be writing the plan.
#[derive(Debug, Default)]
pub(super) struct Gate {
    lifted: Mutex<Option<Lifted>>,
    at_rest: Condvar,
}

/// The marks are lifted: this process holds the lock all the time.
#[derive(Debug)]
pub(super) struct Lifted {
    lock: LifeLock,
    /// The plan as it was then. git writes the file anew meanwhile, and whoever looks may see half of it.
    pub(super) text: String,
}

impl Gate {
    /// Waits for the other threads of this process.
    pub(super) fn lifted(&self) -> MutexGuard<'_, Option<Lifted>> {
        // A thread that panicked has left files that the next one reads anew.
        self.lifted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to change the plan and its records, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    lifted: MutexGuard<'a, Option<Lifted>>,
    own: Option<LifeLock>,
}

impl Turn<'_> {
    /// Whether this process has lifted the marks; the file is git's then.
    pub(super) fn lifted(&self) -> bool {
        self.lifted.is_some()
    }

    /// The plan as it was when its marks were lifted, while they are.
    pub(super) fn text(&self) -> Option<&str> {
        self.lifted.as_ref().map(|lifted| &*lifted.text)
    }

    /// Keeps the lock beyond this turn, for marks that are lifted from a plan that reads like this now.
    pub(super) fn keep_lock(&mut self, text: String) {
        if let Some(lock) = self.own.take() {
            *self.lifted = Some(Lifted { lock, text });
        }
    }

    /// Gives back, at the end of this turn, a lock that was kept.
    pub(super) fn give_lock_back(&mut self, gate: &Gate) {
        self.own = self.lifted.take().map(|lifted| lifted.lock);
        gate.at_rest.notify_all();
    }
}

impl PlanFile {
    /// Waits for the lock.
    pub(super) fn turn(&self) -> Result<Turn<'_>, PlanError> {
        self.turn_of(self.gate.lifted())
    }

    /// Waits until no marks are lifted any more, for a change of the file.
    pub(super) fn at_rest<'a>(&'a self, turn: Turn<'a>) -> Result<Turn<'a>, PlanError> {
        let is_lifted = |lifted: &mut Option<Lifted>| lifted.is_some();
        let (gate, patience) = (&self.gate, self.lock_timeout.saturating_mul(STEP));
        let waited = gate
            .at_rest
            .wait_timeout_while(turn.lifted, patience, is_lifted);
        let (lifted, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(PlanError::Locked {
                path: self.path.clone(),
                holder: None,
                waited: patience,
            });
        }
        self.turn_of(lifted)
    }

    fn turn_of<'a>(
        &'a self,
        lifted: MutexGuard<'a, Option<Lifted>>,
    ) -> Result<Turn<'a>, PlanError> {
        if lifted.is_some() {
            return Ok(Turn { lifted, own: None });
        }
        for folder in [CLAIMS, DELIVERED] {
            let folder = self.state_dir.join(folder);
            if !folder.is_dir() {
                atomic::create_dir(&folder)?;
            }
        }
        let own = Some(self.wait_for_lock()?);
        Ok(Turn { lifted, own })
    }

    /// What was slept counts, so that no clock is needed; what the tries take comes on top.
    fn wait_for_lock(&self) -> Result<LifeLock, PlanError> {
        let path = self.state_dir.join(LOCK);
        let (mut waited, mut pause) = (Duration::ZERO, FIRST_PAUSE);
        loop {
            let taken = LifeLock::try_take_once(&path).map_err(|source| StoreError::Io {
                action: "lock",
                path: path.clone(),
                source,
            })?;
            if let Some(lock) = taken {
                return Ok(lock);
            }
            if waited >= self.lock_timeout {
                let holder = holder(&path);
                return Err(PlanError::Locked {
                    path,
                    holder,
                    waited,
                });
            }
            let length = pause.min(self.lock_timeout - waited);
            std::thread::sleep(length);
            waited += length;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
