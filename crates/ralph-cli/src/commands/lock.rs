//! `ralph lock acquire|release|status DIR`: what `scripts/ralph/lock.sh` offered, and interoperable with it.

use std::time::Duration;

use ralph_core::error::Code;
use ralph_core::store::lock::{self, Holder, LockRequest, LockStatus, Owner, Release};
use ralph_core::time::stamp;

use crate::args::{Lock, LockDir};
use crate::env_vars;
use crate::exit::{Failure, Outcome, printed};
use crate::output::Output;
use crate::workspace::env;

/// Acquires, releases or shows the lock of a project.
pub(crate) fn run(verb: &Lock, output: &Output) -> Outcome {
    match verb {
        Lock::Acquire(arguments) => {
            let notes = lock::acquire_for(&request(arguments)?, &env())?;
            notes.iter().for_each(|note| output.note(&note.to_string()));
            Ok(None)
        }
        Lock::Release(arguments) => match lock::release_for(&request(arguments)?, &env())? {
            Release::Released => Ok(None),
            Release::WasFree => {
                output.note("the lock was not held");
                Ok(None)
            }
        },
        Lock::Status(arguments) => status(arguments, output),
    }
}

/// The lock belongs to the calling process: the parent, or the one that `LOCK_OWNER_PID` names.
fn request(arguments: &LockDir) -> Result<LockRequest, Failure> {
    let dir = &arguments.dir;
    if !dir.is_dir() {
        return Err(Failure::new(
            Code::Usage,
            format!("{}: expected a project's folder", dir.display()),
        ));
    }
    let stated = env_vars::text(env_vars::LOCK_OWNER_PID);
    let owner = match stated {
        Some(text) => text.parse::<u32>().map_err(|_| {
            Failure::new(
                Code::Usage,
                format!("LOCK_OWNER_PID: expected a process id, found {text:?}"),
            )
        })?,
        None => {
            rustix::process::getppid().map_or(1, |pid| pid.as_raw_nonzero().get().unsigned_abs())
        }
    };
    let timeout = Duration::try_from_secs_f64(arguments.timeout).map_err(|_| {
        Failure::new(
            Code::Usage,
            format!("--timeout: expected seconds, found {}", arguments.timeout),
        )
    })?;
    Ok(LockRequest {
        timeout,
        owner: Owner { pid: owner },
        ..LockRequest::new(dir, "lock", &env())
    })
}

fn status(arguments: &LockDir, output: &Output) -> Outcome {
    let status = lock::status(&arguments.dir, lock::DEFAULT_GRACE, &env());
    let held = !matches!(status, LockStatus::Free);
    if output.is_json() {
        let (word, holder, takeover_at) = match &status {
            LockStatus::Free => ("free", None, None),
            LockStatus::Held { holder } => ("held", Some(holder), None),
            LockStatus::Stale {
                holder,
                takeover_at,
                ..
            } => ("stale", Some(holder), Some(stamp(*takeover_at))),
        };
        printed(output.json(&serde_json::json!({
            "schema_version": 1,
            "held": held,
            "status": word,
            "pid": holder.and_then(|holder| holder.pid),
            "host": holder.and_then(|holder| holder.host.clone()),
            "since": holder.and_then(|holder| holder.since).map(stamp),
            "takeover_at": takeover_at,
        })))?;
    } else {
        printed(output.print(&words(&status)))?;
    }
    Ok(None)
}

fn words(status: &LockStatus) -> String {
    let by = |holder: &Holder| format!("by {holder}");
    match status {
        LockStatus::Free => "free".to_owned(),
        LockStatus::Held { holder } => format!("held {}", by(holder)),
        LockStatus::Stale {
            holder,
            takeover_at,
            ..
        } => {
            format!(
                "stale: was held {}; whoever wants it takes it over from {}",
                by(holder),
                stamp(*takeover_at)
            )
        }
    }
}
