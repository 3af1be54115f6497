//! A supervisor's hold on its record directory: own session, lock for life, once and never again.
//!
//! Whoever may have been started twice asks here first: of all supervisors that were ever started on one
//! directory, exactly one gets a [`Hold`], also when the first was killed before or after it wrote its record.

use std::io;
use std::path::{Path, PathBuf};

use super::identity::Identity;
use super::lock::LifeLock;
use super::record::{Keep, LOCK, RECORD, Record, read_record, replace, write_record};
use crate::error::{Code, Coded, Hint};
use crate::time::Timestamp;

/// A note that keeps a supervisor that is still on its way from starting.
pub const VOID: &str = "void";

/// Why a process may not supervise here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HoldError {
    /// Another supervisor holds the lock.
    #[error("{} is already supervised by a running process", .0.display())]
    Held(PathBuf),
    /// Another supervisor was here before; a record directory is used once.
    #[error("{} was already supervised; a record directory is used once", .0.display())]
    Used(PathBuf),
    /// The start was called off before it happened.
    #[error("the start in {} was called off", .0.display())]
    CalledOff(PathBuf),
    /// Started by hand as the leader of a process group.
    #[error("cannot begin a session of its own")]
    Session(#[source] io::Error),
    /// There is no `/proc` to read a process's identity from.
    #[error("cannot read the identity of this process from /proc")]
    Identity,
    /// A file of the directory cannot be read or written.
    #[error("cannot use {}", .path.display())]
    Storage {
        /// The file.
        path: PathBuf,
        /// What happened.
        #[source]
        source: io::Error,
    },
}

impl Coded for HoldError {
    fn code(&self) -> Code {
        match self {
            Self::Held(_) | Self::Used(_) | Self::CalledOff(_) => Code::AlreadyRunning,
            Self::Session(_) | Self::Identity | Self::Storage { .. } => Code::Failed,
        }
    }

    fn hint(&self) -> Option<Hint> {
        let text = match self {
            Self::Held(_) | Self::Used(_) | Self::CalledOff(_) => return None,
            Self::Session(_) => "This verb is started by ralph itself, not by hand.",
            Self::Identity => "Detached processes need Linux with /proc mounted.",
            Self::Storage { .. } => "Check the permissions of the folder and the free space.",
        };
        Some(Hint::new(text))
    }
}

/// Whose end ends a supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// That of whoever asked for it too.
    ToCaller,
    /// Its own only.
    None,
}

/// The hold; ends with the process.
#[derive(Debug)]
pub struct Hold {
    _lock: LifeLock,
    directory: PathBuf,
    record: Record,
}

impl Hold {
    /// Begins an own session, takes the lock and writes the record; [`Record::outlives`] as its tie says.
    ///
    /// # Errors
    /// [`HoldError::Held`], [`HoldError::Used`] and [`HoldError::CalledOff`] when there is nothing to do; the others
    /// when it cannot be done.
    pub fn take(directory: &Path, now: Timestamp, tie: Tie) -> Result<Self, HoldError> {
        begin_session()?;
        let storage = |name: &str| {
            let path = directory.join(name);
            move |source| HoldError::Storage { path, source }
        };
        let lock = LifeLock::try_take(&directory.join(LOCK))
            .map_err(storage(LOCK))?
            .ok_or_else(|| HoldError::Held(directory.to_owned()))?;
        if directory.join(VOID).exists() {
            return Err(HoldError::CalledOff(directory.to_owned()));
        }
        let former: Option<Record> =
            read_record(&directory.join(RECORD)).map_err(storage(RECORD))?;
        if former.is_some() {
            return Err(HoldError::Used(directory.to_owned()));
        }
        let record = Record {
            supervisor: Identity::of(std::process::id()).ok_or(HoldError::Identity)?,
            worker: None,
            started: now,
            outlives: tie == Tie::None,
        };
        let hold = Self {
            _lock: lock,
            directory: directory.to_owned(),
            record,
        };
        hold.write()?;
        Ok(hold)
    }

    /// The record as it was written.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Writes down who the worker is.
    ///
    /// # Errors
    /// [`HoldError::Storage`].
    pub fn name_worker(&mut self, pid: u32) -> Result<(), HoldError> {
        self.record.worker = Identity::of(pid);
        self.write()
    }

    fn write(&self) -> Result<(), HoldError> {
        let path = self.directory.join(RECORD);
        write_record(&path, &self.record, Keep::Durably)
            .map_err(|source| HoldError::Storage { path, source })
    }
}

/// Calls off a start that may still be on its way. True: no supervisor ever began here, and none ever will.
/// False: one did.
///
/// # Errors
/// The lock or the note cannot be written.
pub fn call_off(directory: &Path) -> io::Result<bool> {
    let Some(_lock) = LifeLock::try_take(&directory.join(LOCK))? else {
        return Ok(false);
    };
    if directory.join(RECORD).exists() {
        return Ok(false);
    }
    replace(&directory.join(VOID), b"", Keep::Durably)?;
    Ok(true)
}

/// An own session: no terminal can hang up on it. As a subreaper the supervisor stays the ancestor of everything
/// it starts, however often that forks; where the system has no such thing, the session has to do.
fn begin_session() -> Result<(), HoldError> {
    rustix::process::setsid().map_err(|error| HoldError::Session(error.into()))?;
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    Ok(())
}
