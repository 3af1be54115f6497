//! Taking a project's lock: one try after the other, until it is taken or the time is over.
//!
//! Every try holds the guard from the first look at the visible lock to the last change of it, and gives it back
//! when somebody else has the lock, so that they can release it. What a lock means is decided in [`super::judge`].

use std::fs::File;
use std::path::PathBuf;

use super::guard::{Guard, Wait};
use super::judge::{Here, Verdict, judge};
use super::system::System;
use super::visible::{self, Found, Record};
use super::{Holder, LockError, LockNote, LockRequest};
use crate::env::Env;
use crate::process::identity::is_pid_alive;
use crate::store::layout;

/// A lock that was taken: the open guard, `None` where the file system has none, and the visible lock's token.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) guard: Option<File>,
    pub(super) token: String,
    pub(super) notes: Vec<LockNote>,
}

/// One try of many.
enum Try {
    Taken(Taken),
    Busy(Holder),
}

/// The taking of one lock, from the first try to the last.
pub(super) struct Attempt<'a> {
    request: &'a LockRequest,
    env: &'a Env,
    system: System,
    pub(super) lock: PathBuf,
    pub(super) guard: PathBuf,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(request: &'a LockRequest, env: &'a Env, system: System) -> Self {
        Self {
            request,
            env,
            system,
            lock: request.project_dir.join(layout::LOCK),
            guard: request.project_dir.join(layout::LOCK_GUARD),
        }
    }

    pub(super) fn take(&self) -> Result<Taken, LockError> {
        if !is_pid_alive(self.request.owner.pid) {
            return Err(LockError::OwnerGone {
                pid: self.request.owner.pid,
            });
        }
        let mut wait = Wait::new(self.env, self.request.timeout);
        loop {
            match self.try_once()? {
                Try::Taken(taken) => return Ok(taken),
                Try::Busy(holder) => self.pause(&mut wait, holder)?,
            }
        }
    }

    pub(super) fn wait_for_guard(&self) -> Result<Guard, LockError> {
        let mut wait = Wait::new(self.env, self.request.timeout);
        loop {
            match Guard::try_take(&self.request.project_dir, &self.guard, &self.system)? {
                Some(guard) => return Ok(guard),
                None => self.pause(&mut wait, visible::look(&self.lock).holder())?,
            }
        }
    }

    fn pause(&self, wait: &mut Wait<'_>, holder: Holder) -> Result<(), LockError> {
        if wait.is_vain(&self.guard) {
            return Err(LockError::Ancestor {
                path: self.lock.clone(),
                holder,
            });
        }
        if wait.pause() {
            return Ok(());
        }
        Err(LockError::Held {
            path: self.lock.clone(),
            holder,
            waited: wait.waited(),
        })
    }

    fn try_once(&self) -> Result<Try, LockError> {
        let Some(guard) = Guard::try_take(&self.request.project_dir, &self.guard, &self.system)?
        else {
            return Ok(Try::Busy(visible::look(&self.lock).holder()));
        };
        let mut notes = Vec::new();
        match &guard {
            // Whatever lies about belongs to a process that died with the guard in its hands.
            Guard::Held(_) => visible::remove_leftovers(&self.lock),
            Guard::Unavailable(reason) => notes.push(LockNote::NoAdvisoryLock {
                reason: reason.clone(),
            }),
        }
        let here = Here::of(self.env);
        let found = visible::look(&self.lock);
        let record = Record::new(self.request, self.env);
        match judge(&found, &here, visible::life(&found), self.request.grace) {
            Verdict::Free => {}
            Verdict::Held(holder) => return Ok(Try::Busy(holder)),
            Verdict::Abandoned { holder, why, from } => {
                if here.now < from || !visible::take_away(&self.lock, &found, &record.token)? {
                    return Ok(Try::Busy(holder));
                }
                notes.push(LockNote::TookOver { holder, why });
            }
        }
        match visible::publish(&self.lock, &record, &self.system)? {
            // An old script was faster.
            None => Ok(Try::Busy(visible::look(&self.lock).holder())),
            Some(note) => {
                notes.extend(note);
                Ok(Try::Taken(Taken {
                    guard: guard.into_file(),
                    token: record.token,
                    notes,
                }))
            }
        }
    }

    pub(super) fn not_owner(&self, found: &Found) -> LockError {
        LockError::NotOwner {
            path: self.lock.clone(),
            holder: found.holder(),
            asked: self.request.owner.pid,
        }
    }
}
