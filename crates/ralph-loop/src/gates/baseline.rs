//! Which gates failed at which base commit: asked once, kept in a file per commit.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ralph_core::store::atomic::{self, StoreError};
use ralph_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, MutexGuard};

use crate::git::ObjectId;

/// The version of the file.
const FORMAT: u32 = 1;

/// How many commits are remembered.
const KEPT: usize = 50;

/// What is known of base commits.
#[derive(Debug)]
pub struct Baseline {
    folder: PathBuf,
    turn: Mutex<()>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    schema_version: u32,
    gates: BTreeMap<String, Known>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Known {
    failed: bool,
    at: Timestamp,
}

impl Baseline {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            turn: Mutex::new(()),
        }
    }

    /// The right to find something out, so that two attempts do not find out the same at the same time.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Whether a gate failed at a commit, if that is known.
    pub(super) fn failed(
        &self,
        commit: &ObjectId,
        command: &str,
    ) -> Result<Option<bool>, StoreError> {
        let record = self.read(&self.file(commit))?;
        Ok(record.gates.get(command).map(|known| known.failed))
    }

    /// Writes down what was found out.
    pub(super) fn remember(
        &self,
        commit: &ObjectId,
        command: &str,
        failed: bool,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let file = self.file(commit);
        let mut record = self.read(&file)?;
        record
            .gates
            .insert(command.to_owned(), Known { failed, at });
        let bytes = serde_json::to_vec_pretty(&record).unwrap_or_default();
        atomic::create_dir(&self.folder)?;
        atomic::replace(&file, &bytes)?;
        self.forget_the_oldest()
    }

    fn file(&self, commit: &ObjectId) -> PathBuf {
        self.folder.join(format!("{commit}.json"))
    }

    /// A record that cannot be read, or is of a newer version, is as good as none: it is found out again.
    fn read(&self, file: &Path) -> Result<Record, StoreError> {
        let bytes = atomic::read(file)?.unwrap_or_default();
        let record: Option<Record> = serde_json::from_slice(&bytes).ok();
        Ok(record
            .filter(|record| record.schema_version == FORMAT)
            .unwrap_or(Record {
                schema_version: FORMAT,
                gates: BTreeMap::new(),
            }))
    }

    fn forget_the_oldest(&self) -> Result<(), StoreError> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut files: Vec<_> = entries
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        files.sort();
        let excess = files.len().saturating_sub(KEPT);
        files
            .iter()
            .take(excess)
            .try_for_each(|(_, file)| atomic::remove_unsynced(file).map(drop))
    }
}
