//! `ralph lock acquire|release|status DIR`: what `scripts/ralph/lock.sh` offered, and interoperable with it.

use std::path::Path;
use std::time::Duration;

use ralph_core::error::Code;
use ralph_core::store::lock::{self, LockRequest, Owner, Release};

use crate::args::Lock;
use crate::env_vars;
use crate::render::lock::{human, report};
use crate::workspace::env;
use ralph_front::failure::{Failure, Outcome};
use ralph_front::output::Output;

/// Acquires, releases or shows the lock of a project. The first two say nothing to a person when all is well, as the
/// script did.
pub(crate) fn run(verb: &Lock, output: &Output) -> Outcome {
    match verb {
        Lock::Acquire(arguments) => {
            let request = LockRequest {
                timeout: timeout(arguments.timeout)?,
                ..request(&arguments.dir)?
            };
            let notes = lock::acquire_for(&request, &env())?;
            notes.iter().for_each(|note| output.note(&note.to_string()));
            answer(&arguments.dir, false, output)
        }
        Lock::Release(arguments) => {
            if let Release::WasFree = lock::release_for(&request(&arguments.dir)?, &env())? {
                output.note("the lock was not held");
            }
            answer(&arguments.dir, false, output)
        }
        Lock::Status(arguments) => {
            request(&arguments.dir)?;
            answer(&arguments.dir, true, output)
        }
    }
}

/// How the lock stands.
fn answer(dir: &Path, in_words: bool, output: &Output) -> Outcome {
    let status = lock::status(dir, lock::DEFAULT_GRACE, &env());
    let words = if in_words {
        human(&status)
    } else {
        String::new()
    };
    output.answer(&report(&status), &words)?;
    Ok(None)
}

/// The lock belongs to the calling process: the parent, or the one that `LOCK_OWNER_PID` names.
fn request(dir: &Path) -> Result<LockRequest, Failure> {
    if !dir.is_dir() {
        let message = format!("{}: expected a project's folder", dir.display());
        return Err(Failure::new(Code::Usage, message).hint("Name it as projects/SLUG."));
    }
    let pid = match env_vars::text(env_vars::LOCK_OWNER_PID) {
        Some(text) => text.parse::<u32>().map_err(|_| {
            let message = format!("LOCK_OWNER_PID: expected a process id, found {text:?}");
            Failure::new(Code::Usage, message)
        })?,
        None => {
            rustix::process::getppid().map_or(1, |pid| pid.as_raw_nonzero().get().unsigned_abs())
        }
    };
    Ok(LockRequest {
        owner: Owner { pid },
        ..LockRequest::new(dir, "lock", &env())
    })
}

fn timeout(seconds: f64) -> Result<Duration, Failure> {
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        Failure::new(
            Code::Usage,
            format!("--timeout: expected seconds, found {seconds}"),
        )
    })
}
