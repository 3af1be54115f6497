//! One agent or test command per project at a time, and what a killed dispatch has left of one.
//!
//! An attempt holds the advisory lock of a file that is never deleted, and writes into it who works there before that
//! begins. The lock ends with its holder, however that ends; a record without a holder is an attempt that was
//! interrupted. What is left of it is ended before anybody else begins.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::act::commit::{Committed, commit};
use crate::act::{ActError, Dispatcher};
use crate::id::Slug;
use crate::process::bounded::{Ended, GRACE, Program, run};
use crate::process::guard::{ATTEMPT_ID, Guard, GuardError, Leftovers, sweep};
use crate::process::{Identity, lock};
use crate::project;
use crate::report::Verified;
use crate::settle::order::interrupted;
use crate::store::StoreError;
use crate::store::layout;
use crate::store::lock::{Holder, LockError};
use crate::time::{Timestamp, stamp};

/// The work of a test command. Cut off, it has changed nothing and is run again: the books are as if it had not begun.
pub(super) const TESTS: &str = "the tests";
/// How long the guard of another machine may need until it has ended what its killed dispatch left. Nobody can look
/// there from here.
const ELSEWHERE: Duration = Duration::from_secs(10);

/// Who works: what is in the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    version: u32,
    /// Whose process started it.
    pid: u32,
    host: String,
    since: String,
    /// `implement T1`, `the tests`.
    work: String,
    /// The `RALPH_ATTEMPT_ID` of its processes.
    attempt: String,
    guard: Option<Identity>,
}

/// The right to let an agent or the tests run in a project. Dropped without [`Attempt::end`], it is found as
/// interrupted.
#[derive(Debug)]
pub(super) struct Attempt {
    file: File,
    path: PathBuf,
    record: Record,
}

impl Attempt {
    /// The variable by which its processes are found.
    pub(super) fn variable(&self) -> (String, String) {
        (ATTEMPT_ID.to_owned(), self.record.attempt.clone())
    }

    /// Runs a program of this attempt to its end or to its limit.
    pub(super) async fn run(
        &mut self,
        guard: Guard,
        program: &Program<'_>,
    ) -> Result<Ended, ActError> {
        self.record.guard = guard.identity().cloned();
        // Who begins is on disk before it begins.
        self.write(&serde_json::to_string(&self.record).unwrap_or_default())?;
        Ok(run(guard, program).await?)
    }

    /// What came of it is written down: nothing is left to be found.
    pub(super) fn end(mut self) -> Result<(), ActError> {
        self.write("")
    }

    fn write(&mut self, text: &str) -> Result<(), ActError> {
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(text.as_bytes())?;
            file.sync_data()
        };
        write(&mut self.file).map_err(|source| StoreError::io("write", &self.path, source).into())
    }
}

/// The file of a project as it was found.
enum Found {
    /// Somebody works.
    Held(Option<Record>),
    /// Nobody does, and perhaps somebody did who could not say how it ended.
    Free(File, Option<Record>),
}

fn look(path: &Path) -> io::Result<Found> {
    let mut file = lock::open(path)?;
    let locked = file.try_lock();
    let mut text = String::new();
    // Nobody has begun who could not write this down.
    let _ = file.read_to_string(&mut text);
    let record: Option<Record> = serde_json::from_str(&text).ok();
    let is_guarded = || {
        let guard = record.as_ref().and_then(|record| record.guard.as_ref());
        guard.is_some_and(Identity::is_alive)
    };
    Ok(match locked {
        Ok(()) => Found::Free(file, record),
        // Without advisory locks: a guard ends soon after its owner, so one that lives has one.
        Err(TryLockError::Error(_)) if !is_guarded() => Found::Free(file, record),
        Err(_) => Found::Held(record),
    })
}

impl Dispatcher {
    /// The right to work in a project. What an interrupted attempt has left there is ended first.
    ///
    /// # Errors
    /// [`LockError::Held`] while another works, [`ActError::Leftover`].
    pub(super) async fn attempt(&self, slug: &Slug, work: &str) -> Result<Attempt, ActError> {
        let path = project::folder(&self.root, slug).join(layout::LOCK_ATTEMPT);
        let now = self.env.now();
        let found = look(&path).map_err(|source| StoreError::io("open", &path, source))?;
        let file = match found {
            Found::Held(record) => {
                return Err(LockError::Held {
                    path,
                    holder: holder(record),
                    waited: Duration::ZERO,
                }
                .into());
            }
            Found::Free(file, record) => {
                if let Some(record) = record {
                    self.end_leftovers(slug, &record).await?;
                }
                file
            }
        };
        Ok(Attempt {
            file,
            path,
            record: Record {
                version: 1,
                pid: self.env.pid,
                host: self.env.host.clone(),
                since: stamp(now),
                work: work.to_owned(),
                attempt: self.env.ids.op(now).to_string(),
                guard: None,
            },
        })
    }

    /// Ends what a killed dispatch has left of the agent or the tests of a project, and says so there: interrupted,
    /// which is no attempt that failed.
    pub(super) async fn end_interrupted(&self, slug: &Slug) -> Option<Verified> {
        let path = project::folder(&self.root, slug).join(layout::LOCK_ATTEMPT);
        // Most projects have never had one.
        if !std::fs::metadata(&path).is_ok_and(|found| found.len() > 0) {
            return None;
        }
        let ended = self.take_up(slug, path).await.transpose()?;
        Some(ended.unwrap_or_else(|error| Verified::failed(slug, &error)))
    }

    async fn take_up(&self, slug: &Slug, path: PathBuf) -> Result<Option<Verified>, ActError> {
        let found = look(&path).map_err(|source| StoreError::io("open", &path, source))?;
        let Found::Free(file, Some(record)) = found else {
            return Ok(None);
        };
        self.say(&format!("{slug}: {} was interrupted", record.work));
        self.end_leftovers(slug, &record).await?;
        let _lock = self.lock(slug, "recover")?;
        let committed = if record.work == TESTS {
            Committed::default()
        } else {
            commit(
                &project::folder(&self.root, slug),
                interrupted(&self.read(slug)?, &record.work, self.env.now()),
                &self.env,
            )?
        };
        Attempt {
            file,
            path,
            record: record.clone(),
        }
        .end()?;
        let detail = format!(
            "{} was interrupted; what was left of it is ended, and it does not count as an attempt",
            record.work
        );
        Ok(Some(
            Verified::of_project(slug, "recovered", detail).with(committed),
        ))
    }

    /// Waiting for the guard of another machine, and for what ends in its own time, keeps no other project waiting.
    async fn end_leftovers(&self, slug: &Slug, record: &Record) -> Result<(), ActError> {
        if record.host != self.env.host {
            tokio::time::sleep(ELSEWHERE).await;
        }
        let own = record.clone();
        let sweeping = tokio::task::spawn_blocking(move || {
            let leftovers = Leftovers {
                variable: ATTEMPT_ID,
                values: &[own.attempt].into(),
                guards: own.guard.as_slice(),
            };
            sweep(&leftovers, GRACE)
        });
        let pids = sweeping
            .await
            .map_err(|_| ActError::Panicked { slug: slug.clone() })?;
        if pids.is_empty() {
            return Ok(());
        }
        Err(ActError::Leftover {
            slug: slug.clone(),
            work: record.work.clone(),
            pids,
        })
    }
}

fn holder(record: Option<Record>) -> Holder {
    Holder {
        pid: record.as_ref().map(|record| record.pid),
        host: record.as_ref().map(|record| record.host.clone()),
        since: record
            .as_ref()
            .and_then(|record| record.since.parse::<Timestamp>().ok()),
        op: record.map(|record| record.work),
    }
}

/// Why a program does not run, in the system's own words where it is the program's fault; else the guard is at fault, and
/// the program is not to be blamed.
pub(super) fn not_started(error: ActError) -> Result<String, ActError> {
    match error {
        ActError::Guard(GuardError::Program { reason, .. }) => {
            Ok(format!("cannot be started: {reason}"))
        }
        other => Err(other),
    }
}
