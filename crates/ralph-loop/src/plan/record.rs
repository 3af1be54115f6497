//! The records beside the plan: who has claimed a task, and what of it is delivered. One small file each.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use ralph_core::process::Identity;
use ralph_core::process::identity::{boot_id, pid_namespace};
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
}

impl Owner {
    /// A process of this machine.
    #[must_use]
    pub fn new(process: Identity, host: &str) -> Self {
        Self {
            process,
            host: host.to_owned(),
            pid_namespace: pid_namespace().map(str::to_owned),
        }
    }

    /// Whether the process lives, as far as `here` can tell. Of another machine, or of a container with process ids
    /// of its own, nothing is known.
    #[must_use]
    pub fn life(&self, here: &Self) -> Life {
        if boot_id().is_some_and(|now| now != self.process.boot_id) {
            let rebooted = self.host == here.host;
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
    pub(super) claims: BTreeMap<TaskKey, Found<ClaimRecord>>,
    pub(super) delivered: BTreeMap<TaskKey, Found<DeliveredRecord>>,
}

impl Records {
    /// Reads what is there. A record that cannot be read still keeps its task from being taken.
    pub(super) fn read(state_dir: &Path) -> Result<Self, StoreError> {
        let claims = read_all(&state_dir.join(CLAIMS), |claim: &ClaimRecord| claim.version)?;
        let folder = state_dir.join(DELIVERED);
        let delivered = read_all(&folder, |delivered: &DeliveredRecord| delivered.version)?;
        Ok(Self { claims, delivered })
    }

    pub(super) fn claim(&self, key: &TaskKey) -> Option<&ClaimRecord> {
        self.claims.get(key)?.record.as_ref()
    }
}

fn read_all<T: DeserializeOwned>(
    folder: &Path,
    version: impl Fn(&T) -> u32,
) -> Result<BTreeMap<TaskKey, Found<T>>, StoreError> {
    let fail = |source| StoreError::Io {
        action: "list the folder",
        path: folder.to_owned(),
        source,
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(failure) if failure.kind() == std::io::ErrorKind::NotFound => {
            return Ok(BTreeMap::new());
        }
        Err(failure) => return Err(fail(failure)),
    };
    let mut all = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(fail)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(key) = name.and_then(|name| name.strip_suffix(".json")?.parse().ok()) else {
            continue;
        };
        // It may have been removed since the folder was listed.
        let Some(bytes) = atomic::read(&path)? else {
            continue;
        };
        let record: Option<T> = serde_json::from_slice(&bytes).ok();
        let record = record.filter(|record| version(record) <= VERSION);
        all.insert(key, Found { path, record });
    }
    Ok(all)
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
