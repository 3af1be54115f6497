//! One at a time: the lock on `plan.lock`, and the turn of one thread.
//!
//! An advisory lock of the operating system on a file that is never deleted, so it is free the moment its holder is
//! gone. Waiting has an end, and running out of time is an error, never "no task".

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use ralph_core::process::lock::LifeLock;
use ralph_core::store::{StoreError, atomic};

use super::record::{CLAIMS, DELIVERED};
use super::{PlanError, PlanFile};

/// The lock's file in the state folder.
const LOCK: &str = "plan.lock";
/// The first pause between two tries; each is twice as long as the one before, up to the last.
const FIRST_PAUSE: Duration = Duration::from_micros(100);
/// The longest pause, so the longest that a free lock goes unnoticed.
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// The right to change the plan and its records, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) lifted: MutexGuard<'a, Option<LifeLock>>,
    own: Option<LifeLock>,
}

impl Turn<'_> {
    /// Whether this process has lifted the marks; then it holds the lock all the time.
    pub(super) fn lifted(&self) -> bool {
        self.lifted.is_some()
    }

    /// Keeps the lock beyond this turn.
    pub(super) fn keep_lock(&mut self) {
        if let Some(lock) = self.own.take() {
            *self.lifted = Some(lock);
        }
    }

    /// Gives back, at the end of this turn, a lock that was kept.
    pub(super) fn give_lock_back(&mut self) {
        self.own = self.lifted.take();
    }
}

impl PlanFile {
    /// Waits for the lock.
    pub(super) fn turn(&self) -> Result<Turn<'_>, PlanError> {
        // A thread that panicked has left files that the next one reads anew.
        let lifted = self.lifted.lock().unwrap_or_else(PoisonError::into_inner);
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
                return Err(PlanError::Locked { path, waited });
            }
            let length = pause.min(self.lock_timeout - waited);
            std::thread::sleep(length);
            waited += length;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
