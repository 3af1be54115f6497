//! N workers and M attempts, shared by any number of processes, exact under crashes.
//!
//! A budget is a folder. In it are N slot files, each locked by whoever runs an agent, and a ledger of attempts:
//! reserved before an agent starts, then spent or returned. The operating system gives the locks of a dead process
//! back, and a reservation of a dead process counts as returned. At no moment are more than N slots held, or more
//! than M attempts spent and reserved together.
//!
//! The order is: a slot first, then a reservation; with [`Reserved::AllReserved`] the slot is dropped and
//! [`Budget::reservable`] waited for. The other way round, all attempts could be reserved by processes that wait for
//! slots.
//!
//! What must never be here: what an attempt does, and which outcome spends one.

mod attempts;
mod bell;
mod error;
mod ledger;
mod queue;
mod slots;
mod start;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ralph_core::process::Identity;
use ralph_core::process::lock::{self, LifeLock};
use ralph_core::store::atomic;
use serde::{Deserialize, Serialize};

use crate::outcome::AttemptId;
use attempts::Attempts;
use bell::Bell;
pub use error::BudgetError;
use ledger::{Book, Request};
use queue::Queue;
pub use slots::Slot;
use slots::{LATER, Slots, Wait};
use start::Start;

const TERMS: &str = "terms.json";
/// Locked, for reading, by everyone who has the budget open.
const USERS: &str = "users.lock";
const SCHEMA_VERSION: u32 = 1;
/// As many agents as one machine is ever asked to run at once; a slot is an open file.
pub const MAX_WORKERS: usize = 512;

/// The name of the loop of a folder, as [`Budget::open_as`] and [`Budget::depart`] take it.
#[must_use]
pub fn loop_name(root: &Path) -> String {
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    root.display().to_string()
}

/// What is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Agents at once, over all processes: N, at least one.
    pub workers: usize,
    /// Attempts in all: M. `None` for as many as there are tasks.
    pub attempts: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredTerms {
    schema_version: u32,
    #[serde(flatten)]
    terms: Terms,
    /// How many loops are going to share it; see [`Budget::create_for`].
    #[serde(default = "one")]
    loops: usize,
}

const fn one() -> usize {
    1
}

/// Whether an attempt may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// Yes; it has to be settled.
    Granted,
    /// M attempts are spent.
    Exhausted,
    /// Nothing is left, but some are reserved only and may come back: see [`Budget::reservable`].
    AllReserved,
    /// This attempt was spent before. A crash came between that and its record.
    AlreadySpent,
    /// A living process other than the asking one has this very attempt.
    HeldElsewhere,
}

/// What a reservation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It counts.
    Spent,
    /// It does not count.
    Returned,
}

/// What came of a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It stands in the ledger, now or from before.
    Recorded,
    /// The reservation had lapsed with a crash, and others have taken the rest of the budget since: it is not counted.
    BeyondBudget,
    /// There is no such reservation, or it was spent before and cannot be returned.
    NotReserved,
}

/// The part of one repository.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Attempts that count.
    pub spent: u64,
    /// Attempts under way.
    pub reserved: u64,
}

/// How far the budget is used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Attempts that count.
    pub spent: u64,
    /// Attempts under way in living processes.
    pub reserved: u64,
    /// What can still be reserved; `None` without a limit.
    pub left: Option<u64>,
    /// The same for each repository that ever reserved one.
    pub by_repository: BTreeMap<String, Share>,
}

/// A budget that this process takes part in.
#[derive(Debug)]
pub struct Budget {
    folder: PathBuf,
    terms: Terms,
    slots: Arc<Slots>,
    attempts: Arc<Attempts>,
    hopes: Arc<Queue<()>>,
    bell: Bell,
    _user: File,
}

impl Budget {
    /// Begins a new budget in a folder, which is made when needed, and opens it. The ledger of an earlier one that
    /// nobody has open is forgotten.
    ///
    /// # Errors
    /// [`BudgetError::InUse`] while any process has it open; [`BudgetError::Workers`]; and what keeps it from being
    /// written.
    pub fn create(folder: &Path, terms: &Terms) -> Result<Self, BudgetError> {
        Self::create_for(folder, terms, 1)?;
        let budget = Self::open(folder)?;
        // Between the two locks another one may have begun.
        if budget.terms != *terms {
            return Err(BudgetError::InUse(folder.to_owned()));
        }
        Ok(budget)
    }

    /// Begins a new budget for so many loops, which open it themselves. Until all of them are there, none gets more than
    /// its share of the slots.
    ///
    /// # Errors
    /// As [`Budget::create`].
    pub fn create_for(folder: &Path, terms: &Terms, loops: usize) -> Result<(), BudgetError> {
        if !(1..=MAX_WORKERS).contains(&terms.workers) {
            return Err(BudgetError::Workers {
                found: terms.workers,
            });
        }
        atomic::create_dir(folder)?;
        let users = folder.join(USERS);
        let alone = LifeLock::try_take(&users)
            .map_err(BudgetError::io("lock", &users))?
            .ok_or_else(|| BudgetError::InUse(folder.to_owned()))?;
        Attempts::clear(folder)?;
        Start::clear(folder)?;
        let path = folder.join(TERMS);
        let stored = StoredTerms {
            schema_version: SCHEMA_VERSION,
            terms: *terms,
            loops,
        };
        let text = serde_json::to_vec(&stored)
            .map_err(io::Error::from)
            .map_err(BudgetError::io("write", &path))?;
        atomic::replace(&path, &text)?;
        drop(alone);
        Ok(())
    }

    /// How far the budget in a folder is used, for whoever only looks: nothing is locked or written, so it works where
    /// nothing may be written, and may be a moment behind.
    ///
    /// # Errors
    /// As [`Budget::open`].
    pub fn look(folder: &Path) -> Result<Standing, BudgetError> {
        let path = folder.join(TERMS);
        if atomic::read(&path)?.is_none() {
            return Err(BudgetError::Missing(folder.to_owned()));
        }
        let limit = read_terms(&path)?.terms.attempts;
        let book = Attempts::look(folder)?;
        Ok(book.standing(limit, &Identity::is_alive))
    }

    /// Takes part in a budget that was begun by another process.
    ///
    /// # Errors
    /// [`BudgetError::Missing`], [`BudgetError::Corrupt`], [`BudgetError::Newer`], and what keeps its files from being
    /// opened.
    pub fn open(folder: &Path) -> Result<Self, BudgetError> {
        Self::open_as(folder, &format!("process {}", std::process::id()))
    }

    /// The same as the loop of that name, under which [`Budget::depart`] may tell of its end.
    ///
    /// # Errors
    /// As [`Budget::open`].
    pub fn open_as(folder: &Path, name: &str) -> Result<Self, BudgetError> {
        let path = folder.join(TERMS);
        if atomic::read(&path)?.is_none() {
            return Err(BudgetError::Missing(folder.to_owned()));
        }
        let users = folder.join(USERS);
        let user = lock::open(&users).map_err(BudgetError::io("open", &users))?;
        user.lock_shared()
            .map_err(BudgetError::io("lock", &users))?;
        let StoredTerms { terms, loops, .. } = read_terms(&path)?;
        // Where there are fewer attempts than slots, they are what is shared.
        let attempts = terms.attempts.and_then(|m| usize::try_from(m).ok());
        let start = Start::new(
            folder,
            name,
            loops,
            terms.workers.min(attempts.unwrap_or(usize::MAX)),
        );
        Ok(Self {
            folder: folder.to_owned(),
            terms,
            slots: Arc::new(Slots::open(folder, terms.workers, start)?),
            attempts: Arc::new(Attempts::open(folder)?),
            hopes: Arc::new(Queue::default()),
            bell: Bell::new(folder),
            _user: user,
        })
    }

    /// Says for a loop that has ended that the others need not wait for it, whether or not it ever came. Where there is
    /// no budget in the folder, nothing is done.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn depart(folder: &Path, name: &str) -> Result<(), BudgetError> {
        if !folder.join(TERMS).exists() {
            return Ok(());
        }
        Start::depart(folder, name)
    }

    /// What is shared.
    #[must_use]
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// Waits for one of the N slots. Processes take turns. A future that is dropped leaves nothing held.
    ///
    /// # Errors
    /// The slot files cannot be locked.
    pub async fn slot(&self) -> Result<Slot, BudgetError> {
        self.slots.get().await
    }

    /// Takes an attempt out of the budget for a process. Asking again for the same attempt changes nothing.
    ///
    /// # Errors
    /// The ledger cannot be read or written; then nothing is reserved.
    pub fn reserve(
        &self,
        attempt: &AttemptId,
        repository: &str,
        owner: &Identity,
    ) -> Result<Reserved, BudgetError> {
        let request = Request {
            attempt,
            repository,
            owner,
        };
        let limit = self.terms.attempts;
        self.attempts
            .change(|book| book.reserve(&request, limit, &Identity::is_alive))
    }

    /// Says what a reservation came to. The first settlement of an attempt stands; saying it again changes nothing.
    ///
    /// # Errors
    /// The ledger cannot be read or written; the reservation stands until its process ends.
    pub fn settle(
        &self,
        attempt: &AttemptId,
        settlement: Settlement,
    ) -> Result<Settled, BudgetError> {
        let limit = self.terms.attempts;
        self.attempts
            .change(|book| book.settle(attempt, settlement, limit, &Identity::is_alive))
    }

    /// Spends a reservation whose end cannot be recorded. One that is settled stays as it is.
    ///
    /// # Errors
    /// The ledger cannot be read or written; the reservation stands until its process ends.
    pub fn forfeit(&self, attempt: &AttemptId) -> Result<(), BudgetError> {
        self.attempts.change(|book| (book.forfeit(attempt), ()))
    }

    /// How far the budget is used now.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn standing(&self) -> Result<Standing, BudgetError> {
        let limit = self.terms.attempts;
        self.attempts
            .change(|book| (Vec::new(), book.standing(limit, &Identity::is_alive)))
    }

    /// Returns when an attempt may be reserved again, or none ever will. A future that is dropped leaves nothing
    /// behind.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn reservable(&self) -> Result<(), BudgetError> {
        loop {
            let receiver = {
                let mut hopes = self.hopes.lock();
                if !is_all_reserved(&self.attempts, self.terms.attempts)? {
                    return Ok(());
                }
                let (attempts, hopes_of, bell) = (
                    Arc::clone(&self.attempts),
                    Arc::clone(&self.hopes),
                    self.bell.clone(),
                );
                let limit = self.terms.attempts;
                hopes
                    .enter(move || serve_hopes(&hopes_of, &attempts, limit, &bell))
                    .map_err(BudgetError::io("wait in", &self.folder))?
            };
            let mut wait = Wait {
                receiver,
                is_over: false,
                bell: &self.bell,
            };
            let _ = (&mut wait.receiver).await;
            wait.is_over = true;
        }
    }
}

/// The life of the thread that waits until not everything is reserved. What stops it from looking is left to those who
/// wait: they look for themselves and get the error.
fn serve_hopes(hopes: &Queue<()>, attempts: &Attempts, limit: Option<u64>, bell: &Bell) {
    let mut listener = bell.listen();
    while !hopes.ends() {
        if is_all_reserved(attempts, limit).unwrap_or(false) {
            listener.wait(LATER);
            continue;
        }
        while hopes.is_wanted() {
            hopes.hand_over(());
        }
    }
}

fn is_all_reserved(attempts: &Attempts, limit: Option<u64>) -> Result<bool, BudgetError> {
    let look = |book: &Book| (Vec::new(), book.available(limit, &Identity::is_alive));
    Ok(attempts.change(look)? == Reserved::AllReserved)
}

impl Drop for Budget {
    /// A loop that ends without ever asking for a slot is not waited for.
    fn drop(&mut self) {
        self.slots.start().arrive();
    }
}

fn read_terms(path: &Path) -> Result<StoredTerms, BudgetError> {
    #[derive(Deserialize)]
    struct Version {
        schema_version: u32,
    }
    let bytes = atomic::read(path)?.unwrap_or_default();
    let corrupt = |found: serde_json::Error| BudgetError::Corrupt {
        path: path.to_owned(),
        found: found.to_string(),
    };
    let version: Version = serde_json::from_slice(&bytes).map_err(corrupt)?;
    if version.schema_version > SCHEMA_VERSION {
        return Err(BudgetError::Newer {
            path: path.to_owned(),
            found: version.schema_version,
        });
    }
    let stored: StoredTerms = serde_json::from_slice(&bytes).map_err(corrupt)?;
    if !(1..=MAX_WORKERS).contains(&stored.terms.workers) {
        return Err(BudgetError::Workers {
            found: stored.terms.workers,
        });
    }
    Ok(stored)
}

#[cfg(test)]
mod tests;
