//! The visible lock on disk: `.state/lock`, in the three forms it is found in.
//!
//! Ours is a directory with `pid` and `acquired_at`, which `lock.sh` reads, and `owner.json`, which proves life and
//! death. It is made aside and appears by one rename. The other two are the directory of `lock.sh` and the symbolic
//! link of its later version. Nothing is decided here, and no file is synced: a lock does not outlive a power cut.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::system::System;
use super::{Holder, LockError, LockNote, LockRequest, Owner};
use crate::env::Env;
use crate::process::identity::{self, Identity};
use crate::store::atomic;
use crate::time::{SignedDuration, Timestamp, stamp};

/// A process that began this long after a lock was taken did not take it. Both clocks count in whole seconds.
const REUSE_SLACK: SignedDuration = SignedDuration::from_secs(5);

/// What stands at the lock's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    /// Ours, with its record.
    Record(Record),
    /// A directory of `lock.sh`, or something else that says as little.
    Bare(Bare),
    /// A symbolic link of the later `lock.sh`.
    Link(Link),
}

/// `owner.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Of this record; 1.
    format: u32,
    made_by: String,
    pub(super) host: String,
    #[serde(default)]
    pub(super) boot_id: Option<String>,
    pub(super) pid: u32,
    #[serde(default)]
    pub(super) pid_namespace: Option<String>,
    #[serde(default)]
    pub(super) start_ticks: Option<u64>,
    /// Whoever knows it made this lock.
    pub(super) token: String,
    pub(super) op: String,
    pub(super) acquired_at: Timestamp,
}

/// What a directory of `lock.sh` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bare {
    pub(super) pid: Option<u32>,
    pub(super) acquired_at: Option<Timestamp>,
    /// The last change of the directory itself.
    pub(super) changed_at: Option<Timestamp>,
}

/// The target of the later script's link: `host|boot|pid|start|epoch|iso`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    target: PathBuf,
    pub(super) host: String,
    pub(super) boot_id: Option<String>,
    pub(super) pid: Option<u32>,
    start: Option<u64>,
    pub(super) since: Option<Timestamp>,
    pub(super) changed_at: Option<Timestamp>,
}

/// What the process table of this machine says about the process that a lock names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// It runs.
    Alive,
    /// It does not.
    Dead,
    /// A process with that id runs, but it began after the lock was taken.
    Reused,
}

impl Record {
    /// The record that a request is to leave.
    pub(super) fn new(request: &LockRequest, env: &Env) -> Self {
        let pid = request.owner.pid;
        let identity = Identity::of(pid);
        let now = env.now();
        Self {
            format: 1,
            made_by: concat!("ralph ", env!("CARGO_PKG_VERSION")).to_owned(),
            host: env.host.clone(),
            boot_id: identity::boot_id().map(str::to_owned),
            pid,
            pid_namespace: identity::pid_namespace().map(str::to_owned),
            start_ticks: identity.map(|identity| identity.start_ticks),
            token: format!("{}-{}", env.ids.op(now), std::process::id()),
            op: request.op.clone(),
            acquired_at: Timestamp::from_second(now.as_second()).unwrap_or(now),
        }
    }

    /// Whether the lock stands in the name of exactly this process.
    pub(super) fn is_of(&self, owner: Owner) -> bool {
        let ticks = Identity::of(owner.pid).map(|identity| identity.start_ticks);
        self.pid == owner.pid
            && self.start_ticks == ticks
            && self.boot_id.as_deref() == identity::boot_id()
            && self.pid_namespace.as_deref() == identity::pid_namespace()
    }

    pub(super) fn holder(&self) -> Holder {
        Holder {
            pid: Some(self.pid),
            host: Some(self.host.clone()),
            since: Some(self.acquired_at),
            op: Some(self.op.clone()),
        }
    }

    fn life(&self) -> Life {
        let alive = match (self.start_ticks, &self.boot_id) {
            (Some(start_ticks), Some(boot_id)) => {
                let owner = Identity {
                    pid: self.pid,
                    start_ticks,
                    boot_id: boot_id.clone(),
                };
                owner.is_alive()
            }
            _ => identity::is_pid_alive(self.pid),
        };
        if alive { Life::Alive } else { Life::Dead }
    }
}

impl Link {
    fn parse(target: PathBuf, changed_at: Option<Timestamp>) -> Self {
        let text = target.to_string_lossy().into_owned();
        let field = |index: usize| text.split('|').nth(index).unwrap_or_default().trim();
        let epoch: Option<i64> = field(4).parse().ok();
        Self {
            host: field(0).to_owned(),
            // Where the script found no boot id it wrote a word of its own.
            boot_id: Some(field(1).to_owned()).filter(|id| id.len() == 36),
            pid: field(2).parse().ok(),
            start: field(3).parse().ok(),
            since: epoch.and_then(|epoch| Timestamp::from_second(epoch).ok()),
            changed_at,
            target,
        }
    }

    pub(super) fn holder(&self) -> Holder {
        Holder {
            pid: self.pid,
            host: Some(self.host.clone()).filter(|host| !host.is_empty()),
            since: self.since.or(self.changed_at),
            op: None,
        }
    }

    /// The start is in clock ticks or in seconds of the epoch, whichever the script had; only a number that is
    /// neither proves that the id was reused.
    fn life(&self) -> Life {
        let Some(pid) = self.pid.filter(|pid| identity::is_pid_alive(*pid)) else {
            return Life::Dead;
        };
        let (Some(start), Some(identity)) = (self.start, Identity::of(pid)) else {
            return Life::Alive;
        };
        let by_clock = identity::started_at(pid).map_or(start, |at| at.as_second().unsigned_abs());
        if start == identity.start_ticks || start.abs_diff(by_clock) <= 2 {
            Life::Alive
        } else {
            Life::Reused
        }
    }
}

impl Bare {
    fn life(&self) -> Life {
        let Some(pid) = self.pid.filter(|pid| identity::is_pid_alive(*pid)) else {
            return Life::Dead;
        };
        let taken = self.acquired_at.or(self.changed_at);
        match (identity::started_at(pid), taken) {
            (Some(started), Some(taken)) if started.duration_since(taken) > REUSE_SLACK => {
                Life::Reused
            }
            _ => Life::Alive,
        }
    }
}

impl Found {
    /// Who holds it, as far as it says.
    pub(super) fn holder(&self) -> Holder {
        match self {
            Self::Nothing => Holder::default(),
            Self::Record(record) => record.holder(),
            Self::Link(link) => link.holder(),
            Self::Bare(bare) => Holder {
                pid: bare.pid,
                host: None,
                since: bare.acquired_at.or(bare.changed_at),
                op: None,
            },
        }
    }
}

/// Looks, without changing anything. What cannot be read says nothing, and is then honoured for a while.
pub(super) fn look(lock: &Path) -> Found {
    let Ok(metadata) = fs::symlink_metadata(lock) else {
        return Found::Nothing;
    };
    let changed_at = metadata
        .modified()
        .ok()
        .and_then(|at| Timestamp::try_from(at).ok());
    if let Ok(target) = fs::read_link(lock) {
        return Found::Link(Link::parse(target, changed_at));
    }
    let text = |name: &str| fs::read_to_string(lock.join(name)).ok();
    if let Some(record) = text("owner.json").and_then(|text| serde_json::from_str(&text).ok()) {
        return Found::Record(record);
    }
    Found::Bare(Bare {
        pid: text("pid").and_then(|pid| pid.trim().parse().ok()),
        acquired_at: text("acquired_at").and_then(|at| at.trim().parse().ok()),
        changed_at,
    })
}

/// What this machine's process table says about the process that the lock names.
pub(super) fn life(found: &Found) -> Life {
    match found {
        Found::Nothing => Life::Dead,
        Found::Record(record) => record.life(),
        Found::Link(link) => link.life(),
        Found::Bare(bare) => bare.life(),
    }
}

/// Makes the lock appear, complete, in one step. The inner option is a note; the outer is `None` when something
/// stands there already.
pub(super) fn publish(
    lock: &Path,
    record: &Record,
    system: &System,
) -> Result<Option<Option<LockNote>>, LockError> {
    let made = aside(lock, &record.token, "new");
    let fail = |source| LockError::io("write", &made, source);
    fs::create_dir(&made).map_err(fail)?;
    fill(&made, record).map_err(fail)?;
    let end = match (system.rename_new)(&made, lock) {
        Ok(()) => return Ok(Some(None)),
        Err(failure) if stands_already(&failure) => Ok(None),
        Err(failure) if is_unsupported(&failure) => publish_in_two_steps(lock, record),
        Err(source) => Err(LockError::io("create", lock, source)),
    };
    discard(&made);
    end
}

/// As the old script does it: whoever makes the directory has the lock.
fn publish_in_two_steps(
    lock: &Path,
    record: &Record,
) -> Result<Option<Option<LockNote>>, LockError> {
    let fail = |source| LockError::io("create", lock, source);
    match fs::create_dir(lock) {
        Ok(()) => {}
        Err(failure) if stands_already(&failure) => return Ok(None),
        Err(failure) => return Err(fail(failure)),
    }
    fill(lock, record).map_err(fail)?;
    Ok(Some(Some(LockNote::NoExclusiveRename)))
}

fn fill(dir: &Path, record: &Record) -> io::Result<()> {
    let write = |name: &str, text: String| File::create(dir.join(name))?.write_all(text.as_bytes());
    write("pid", format!("{}\n", record.pid))?;
    write("acquired_at", format!("{}\n", stamp(record.acquired_at)))?;
    write(
        "owner.json",
        format!("{}\n", serde_json::to_string(record)?),
    )
}

/// Moves a lock that is not believed out of the way; `false` when it is no longer the one that was judged. It is
/// looked at again after the rename, since an old script may have replaced it in between.
pub(super) fn take_away(lock: &Path, judged: &Found, token: &str) -> Result<bool, LockError> {
    move_away(lock, token, |found| found == judged)
}

/// Removes the lock if it carries this token; `false` when it does not.
pub(super) fn remove_own(lock: &Path, token: &str) -> Result<bool, LockError> {
    let is_own = |found: &Found| matches!(found, Found::Record(record) if record.token == token);
    if !is_own(&look(lock)) {
        return Ok(false);
    }
    move_away(lock, token, is_own)
}

fn move_away(
    lock: &Path,
    token: &str,
    is_meant: impl Fn(&Found) -> bool,
) -> Result<bool, LockError> {
    let away = aside(lock, token, "old");
    match atomic::move_entry(lock, &away) {
        Ok(()) => {}
        Err(failure) if failure.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(LockError::io("move away", lock, source)),
    }
    if is_meant(&look(&away)) {
        discard(&away);
        return Ok(true);
    }
    // Put back what another made meanwhile, unless yet another has made one since.
    if (System::REAL.rename_new)(&away, lock).is_err() {
        discard(&away);
    }
    Ok(false)
}

/// Removes what a process that died while making or removing a lock left. Only with the guard in hand.
pub(super) fn remove_leftovers(lock: &Path) {
    let Some(state) = lock.parent() else { return };
    for entry in fs::read_dir(state).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("lock.") && (name.ends_with(".new") || name.ends_with(".old")) {
            discard(&entry.path());
        }
    }
}

/// Beside the lock and under `.state/lock*`, which version control ignores (incident 20).
fn aside(lock: &Path, token: &str, what: &str) -> PathBuf {
    lock.with_file_name(format!("lock.{token}.{what}"))
}

/// Removes what is no longer in use. What cannot be removed is tried again by [`remove_leftovers`].
fn discard(path: &Path) {
    if fs::remove_dir_all(path).is_err() {
        let _ = fs::remove_file(path);
    }
}

fn stands_already(failure: &io::Error) -> bool {
    matches!(
        failure.kind(),
        io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty
    )
}

/// The answers of file systems and kernels without `RENAME_NOREPLACE` (rename(2)).
fn is_unsupported(failure: &io::Error) -> bool {
    matches!(
        failure.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
    )
}
