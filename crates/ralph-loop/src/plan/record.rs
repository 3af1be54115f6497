//! The records beside the plan: who has claimed a task, and what of it is delivered. One small file each.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ralph_core::process::Identity;
use ralph_core::process::identity::{boot_id, machine, pid_namespace};
use ralph_core::store::{StoreError, atomic};
use ralph_core::time::{Timestamp, stamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::PlanError;
use crate::outcome::AttemptId;
use crate::task::{Task, TaskKey};

/// The version of both kinds of records.
pub(super) const VERSION: u32 = 1;
/// The folder of claims in the state folder.
pub(super) const CLAIMS: &str = "claims";
/// The folder of deliveries in the state folder.
pub(super) const DELIVERED: &str = "delivered";

/// The process in whose name tasks are claimed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The process.
    pub process: Identity,
    /// Its machine, by name.
    pub host: String,
    /// The space in which its process id has its meaning, where the system names it.
    pub pid_namespace: Option<String>,
    /// Its machine, where that says which it is: two may have one name, and a repository in common.
    #[serde(default)]
    pub machine: Option<String>,
}

impl Owner {
    /// A process of this machine.
    #[must_use]
    pub fn new(process: Identity, host: &str) -> Self {
        Self {
            process,
            host: host.to_owned(),
            pid_namespace: pid_namespace().map(str::to_owned),
            machine: machine().map(str::to_owned),
        }
    }

    /// Whether the process lives, as far as `here` can tell. Of another machine, or of a container with process ids
    /// of its own, nothing is known.
    #[must_use]
    pub fn life(&self, here: &Self) -> Life {
        if self == here {
            return Life::Alive;
        }
        if boot_id().is_some_and(|now| now != self.process.boot_id) {
            let is_another =
                self.machine.is_some() && here.machine.is_some() && self.machine != here.machine;
            let rebooted = self.host == here.host && !is_another;
            return if rebooted { Life::Gone } else { Life::Unknown };
        }
        if self.pid_namespace != here.pid_namespace {
            return Life::Unknown;
        }
        if self.process.is_alive() {
            Life::Alive
        } else {
            Life::Gone
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on {}", self.process.pid, self.host)
    }
}

/// Whether a process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Life {
    /// It does.
    Alive,
    /// It does not.
    Gone,
    /// It cannot be seen from here.
    Unknown,
}

/// Who has a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    /// The attempt and its process; `None` where the record cannot be read.
    pub who: Option<(AttemptId, Owner)>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Whether it lives.
    pub life: Life,
    /// The record.
    pub record: PathBuf,
}

impl fmt::Display for Claimant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.who {
            Some((attempt, owner)) => write!(f, "attempt {attempt} of {owner}")?,
            None => write!(f, "the unreadable record {}", self.record.display())?,
        }
        if let Some(since) = self.since {
            write!(f, ", since {}", stamp(since))?;
        }
        f.write_str(match (self.life, &self.who) {
            (Life::Alive, _) | (Life::Unknown, None) => "",
            (Life::Gone, _) => ", which is gone",
            (Life::Unknown, Some(_)) => ", which cannot be seen from here",
        })
    }
}

/// Where the work of a task waits to be merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// The branch.
    pub branch: String,
    /// Its commit, in hexadecimal digits.
    pub commit: String,
    /// The address of its pull request.
    pub pull_request: Option<String>,
    /// When.
    pub delivered_at: Timestamp,
}

/// A claim, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClaimRecord {
    pub(super) version: u32,
    pub(super) task: Task,
    pub(super) attempt: AttemptId,
    pub(super) owner: Owner,
    pub(super) claimed_at: Timestamp,
    /// How many other tasks had the same text: one that is missing later has not simply moved.
    pub(super) twins: usize,
    /// How many rows of its section carried a `[~]` of nobody known: where there was none, one that is there later, when
    /// the row itself is gone, is this one in other words. `None` in a record of an older version.
    #[serde(default)]
    pub(super) strangers: Option<usize>,
}

/// A delivery, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DeliveredRecord {
    pub(super) version: u32,
    pub(super) task: Task,
    /// As in [`ClaimRecord`].
    pub(super) twins: usize,
    pub(super) delivered: Delivered,
}

/// The file of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found<T> {
    pub(super) path: PathBuf,
    /// What it says; `None` where that cannot be read, or was written by a newer version.
    pub(super) record: Option<T>,
}

/// All records, by the key in their name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Records {
    pub(super) claims: BTreeMap<TaskKey, Arc<Found<ClaimRecord>>>,
    pub(super) delivered: BTreeMap<TaskKey, Arc<Found<DeliveredRecord>>>,
}

impl Records {
    /// Reads what is there. A record that cannot be read still keeps its task from being taken.
    pub(super) fn read(state_dir: &Path, memory: &Memory) -> Result<Self, StoreError> {
        let claims = read_all(&state_dir.join(CLAIMS), &memory.claims)?;
        let delivered = read_all(&state_dir.join(DELIVERED), &memory.delivered)?;
        Ok(Self { claims, delivered })
    }

    pub(super) fn claim(&self, key: &TaskKey) -> Option<&ClaimRecord> {
        self.claims.get(key)?.record.as_ref()
    }
}

/// The records that were read last. One is replaced as a whole, by a new file under its name, and never changed in
/// place: as long as the file is the same, so is what it says, and it is not read again.
#[derive(Debug, Default)]
pub(super) struct Memory {
    claims: Known<ClaimRecord>,
    delivered: Known<DeliveredRecord>,
}

type Known<T> = Mutex<BTreeMap<TaskKey, (FileId, Arc<Found<T>>)>>;

/// Which file it was. A name and its inode can come back; with the time to the nanosecond and the size they do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    inode: (u64, u64),
    size: u64,
    changed: (i64, i64),
}

impl FileId {
    fn of(file: &Metadata) -> Self {
        Self {
            inode: (file.dev(), file.ino()),
            size: file.len(),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

/// A record that says which form it has.
trait Versioned {
    fn version(&self) -> u32;
}

impl Versioned for ClaimRecord {
    fn version(&self) -> u32 {
        self.version
    }
}

impl Versioned for DeliveredRecord {
    fn version(&self) -> u32 {
        self.version
    }
}

fn read_all<T: DeserializeOwned + Versioned>(
    folder: &Path,
    known: &Known<T>,
) -> Result<BTreeMap<TaskKey, Arc<Found<T>>>, StoreError> {
    let fail = |source| StoreError::Io {
        action: "list the folder",
        path: folder.to_owned(),
        source,
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(failure) if failure.kind() == ErrorKind::NotFound => {
            return Ok(BTreeMap::new());
        }
        Err(failure) => return Err(fail(failure)),
    };
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    let mut all = BTreeMap::new();
    for entry in entries {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name();
        let name = name.to_str().and_then(|name| name.strip_suffix(".json"));
        let Some(key) = name.and_then(|name| name.parse().ok()) else {
            continue;
        };
        // It may have been removed since the folder was listed.
        let Ok(file) = entry.metadata() else { continue };
        let file = FileId::of(&file);
        let found = match known.remove(&key) {
            Some((of, found)) if of == file => found,
            _ => match read_one(entry.path())? {
                Some(found) => Arc::new(found),
                None => continue,
            },
        };
        all.insert(key, (file, found));
    }
    let found = all
        .iter()
        .map(|(key, (_, found))| (key.clone(), Arc::clone(found)));
    let found = found.collect();
    *known = all;
    Ok(found)
}

fn read_one<T: DeserializeOwned + Versioned>(
    path: PathBuf,
) -> Result<Option<Found<T>>, StoreError> {
    let Some(bytes) = atomic::read(&path)? else {
        return Ok(None);
    };
    let record: Option<T> = serde_json::from_slice(&bytes).ok();
    let record = record.filter(|record| record.version() <= VERSION);
    Ok(Some(Found { path, record }))
}

/// The claim of one task.
pub(super) fn read_claim(
    state_dir: &Path,
    key: &TaskKey,
) -> Result<Option<Found<ClaimRecord>>, StoreError> {
    read_one(claim_path(state_dir, key))
}

pub(super) fn claim_path(state_dir: &Path, key: &TaskKey) -> PathBuf {
    state_dir.join(CLAIMS).join(format!("{key}.json"))
}

fn delivered_path(state_dir: &Path, key: &TaskKey) -> PathBuf {
    state_dir.join(DELIVERED).join(format!("{key}.json"))
}

/// Writes a claim. It is on disk before it has its name; that the name is there before a mark's is the order of the
/// file system's own journal.
pub(super) fn write_claim(state_dir: &Path, claim: &ClaimRecord) -> Result<(), PlanError> {
    let path = claim_path(state_dir, &claim.task.key);
    atomic::stage(&path, &bytes(&path, claim)?, None)?.publish()?;
    Ok(())
}

pub(super) fn write_delivered(
    state_dir: &Path,
    delivered: &DeliveredRecord,
) -> Result<(), PlanError> {
    let path = delivered_path(state_dir, &delivered.task.key);
    Ok(atomic::replace(&path, &bytes(&path, delivered)?)?)
}

fn bytes(path: &Path, record: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    let mut bytes = serde_json::to_vec_pretty(record).map_err(|source| StoreError::Io {
        action: "write",
        path: path.to_owned(),
        source: source.into(),
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Removes a claim. Not brought to disk: one that comes back after a power cut is a dead process's.
pub(super) fn remove_claim(state_dir: &Path, key: &TaskKey) -> Result<bool, PlanError> {
    Ok(atomic::remove_unsynced(&claim_path(state_dir, key))?.is_some())
}

pub(super) fn remove_delivered(state_dir: &Path, key: &TaskKey) -> Result<bool, PlanError> {
    let removed = atomic::remove_unsynced(&delivered_path(state_dir, key))?;
    if let Some(folder) = &removed {
        atomic::sync_dir(folder)?;
    }
    Ok(removed.is_some())
}
