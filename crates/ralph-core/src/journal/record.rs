//! An operation on disk: `op.json`, `edits.json`, and the images `<n>.before` and `<n>.after` of its files.
//!
//! The edits have a file of their own, since they can be as long as the files and are only read after a change
//! by somebody else, while every record is read before every operation.
//!
//! How far an operation is, is said by the name of its folder ([`super::folder`]); the record adds what that cannot
//! say, a conflict or an undoing. Images are never changed: whoever needs others writes others and refers to them.
//! Nothing here touches a file outside the operation's folder.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::JournalError;
use super::folder::{self, Stage};
use crate::change::FileEdit;
use crate::crash_point;
use crate::digest::sha256;
use crate::id::{OpId, Slug};
use crate::store::{atomic, layout};
use crate::time::Timestamp;

/// The format that is written. A record of a newer one is read if it can be, and the journal then refuses to
/// write. A new kind of edit needs a new number.
pub const FORMAT: u32 = 1;

/// The record, in the operation's folder.
pub(super) const RECORD: &str = "op.json";

/// An operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpRecord {
    /// The format of this record.
    pub format: u32,
    /// Its id.
    pub op: OpId,
    /// Its place among the operations of the project; ids of one second do not sort.
    pub sequence: u64,
    /// Program and version.
    pub made_by: String,
    /// When, by the local clock, in whole seconds.
    pub made_at: Timestamp,
    /// Who.
    pub user: String,
    /// Where.
    pub host: String,
    /// The project.
    pub project: Slug,
    /// One line.
    pub summary: String,
    /// How far it is. On disk only where the folder's name does not say it.
    #[serde(default)]
    pub state: OpState,
    /// The operation that this one undoes. Such a one only ever writes over exactly what it expects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<OpId>,
    /// What is done to each file, so that it can be done again to another text; none for an undo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edits: Option<Image>,
    /// When a recovery took it up, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered_at: Option<Timestamp>,
    /// Its files, in the order in which they are written.
    pub files: Vec<FileRecord>,
}

/// How far an operation is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpState {
    /// Everything is on disk, and some of it may be visible.
    #[default]
    Prepared,
    /// Everything is visible.
    Applied,
    /// A file was changed so that its edit does not apply.
    Conflict,
    /// Everything is as it was before.
    UndoneBy(OpId),
}

/// One file of an operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Path relative to the project's folder, with `/`.
    pub path: String,
    /// What was there; `None` where there was no file.
    pub before: Option<Image>,
    /// What is to be there; `None` where the file is removed.
    pub after: Option<Image>,
    /// The file's permissions, given back to one that is created again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// How often the edits were done again to a text that had changed.
    #[serde(default)]
    pub rebased: u32,
    /// Why the file is in conflict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<String>,
}

/// The bytes of a file at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its file in the operation's folder, such as `1.before`.
    pub name: String,
    /// Hexadecimal.
    pub sha256: String,
    /// Its length in bytes.
    pub bytes: u64,
}

impl OpState {
    /// The state of an operation whose folder is at this stage, with what the record says.
    fn at(self, stage: Stage) -> Self {
        match (stage, self) {
            (Stage::Open, Self::Conflict) => Self::Conflict,
            (Stage::Open, _) => Self::Prepared,
            (_, Self::UndoneBy(by)) => Self::UndoneBy(by),
            _ => Self::Applied,
        }
    }
}

impl Image {
    /// The image of these bytes, under a name that is not in use.
    pub(super) fn of(name: String, bytes: &[u8]) -> Self {
        Self {
            name,
            sha256: sha256(bytes),
            bytes: bytes.len() as u64,
        }
    }
}

/// The bytes of a file, or that there is none, to be compared with images; hashed at most once.
pub(super) struct Fingerprint<'a> {
    bytes: Option<&'a [u8]>,
    sha256: OnceCell<String>,
}

impl<'a> Fingerprint<'a> {
    pub(super) fn of(bytes: Option<&'a [u8]>) -> Self {
        Self {
            bytes,
            sha256: OnceCell::new(),
        }
    }

    /// Whether the file is exactly what an image says; no image says that there is no file.
    pub(super) fn is(&self, image: Option<&Image>) -> bool {
        let (Some(bytes), Some(image)) = (self.bytes, image) else {
            return self.bytes.is_none() && image.is_none();
        };
        let own = || self.sha256.get_or_init(|| sha256(bytes));
        image.bytes == bytes.len() as u64 && image.sha256 == *own()
    }
}

impl OpRecord {
    /// Whether the operation still has to be applied.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        matches!(self.state, OpState::Prepared | OpState::Conflict)
    }

    /// The permissions of what is kept about it: no wider than those of any of its files.
    pub(super) fn mode(&self) -> u32 {
        let common = |all: u32, file: &FileRecord| all & file.mode.unwrap_or(all);
        self.files.iter().fold(0o644, common) | 0o600
    }

    /// The folder that it is in.
    pub(super) fn dir(&self, project: &Path) -> PathBuf {
        let stage = if self.is_unfinished() {
            Stage::Open
        } else {
            Stage::Finished
        };
        folder::path(project, &self.op, stage)
    }

    /// The text of `op.json`.
    pub(super) fn text(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        let is_said_by_the_name = matches!(self.state, OpState::Prepared | OpState::Applied);
        if let Some(members) = value.as_object_mut().filter(|_| is_said_by_the_name) {
            members.shift_remove("state");
        }
        let mut bytes = serde_json::to_vec_pretty(&value)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Replaces `op.json` and brings that to disk.
    pub(super) fn save(&self, project: &Path) -> Result<(), JournalError> {
        let path = self.dir(project).join(RECORD);
        let bytes = self.text().map_err(|source| JournalError::Corrupt {
            path: path.clone(),
            source,
        })?;
        let folder = atomic::stage(&path, &bytes, Some(self.mode()))?.publish()?;
        Ok(atomic::sync_dir(&folder)?)
    }

    /// The folders in which the operation's files really lie, as far as they exist.
    pub(super) fn folders(&self, project: &Path) -> Result<BTreeSet<PathBuf>, JournalError> {
        let mut folders = BTreeSet::new();
        for file in &self.files {
            folders.insert(atomic::folder_of(&project.join(&file.path))?);
        }
        folders.retain(|folder| folder.is_dir());
        Ok(folders)
    }
}

/// The form in which a record holds a time.
pub(super) fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// Accepts a path that stays inside the project and outside the journal and the lock.
pub(super) fn check_path(path: &str) -> Result<(), JournalError> {
    let plain = Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let ours = [layout::OPS, layout::LOCK]
        .iter()
        .any(|own| path.starts_with(own));
    if path.is_empty() || path.ends_with('/') || !plain || ours {
        return Err(JournalError::BadPath {
            path: path.to_owned(),
        });
    }
    Ok(())
}

/// The operations of a project, as they are on disk.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// In order of sequence.
    pub(super) records: Vec<OpRecord>,
    /// Folders of operations that never began or are being forgotten, and any other without a record.
    pub(super) incomplete: Vec<PathBuf>,
}

impl Scan {
    /// Reads all records.
    pub(super) fn read(project: &Path) -> Result<Self, JournalError> {
        let mut scan = Self::default();
        for (op, stage) in folder::list(project)? {
            let record = match stage {
                Stage::Open | Stage::Finished => load(project, &op, stage)?,
                Stage::New | Stage::Old => None,
            };
            match record {
                Some(record) => scan.records.push(record),
                None => scan.incomplete.push(folder::path(project, &op, stage)),
            }
        }
        scan.records
            .sort_by(|one, other| (one.sequence, &one.op).cmp(&(other.sequence, &other.op)));
        Ok(scan)
    }

    /// Reads all records, and refuses if any is of a format that this version would write wrongly.
    pub(super) fn for_writing(project: &Path) -> Result<Self, JournalError> {
        let scan = Self::read(project)?;
        match scan.records.iter().find(|record| record.format > FORMAT) {
            None => Ok(scan),
            Some(newer) => Err(JournalError::NewerFormat {
                path: newer.dir(project).join(RECORD),
                found: newer.format,
            }),
        }
    }

    pub(super) fn next_sequence(&self) -> u64 {
        self.records.last().map_or(1, |last| last.sequence + 1)
    }

    /// The operations that can be forgotten, oldest first.
    pub(super) fn finished(&self) -> Vec<OpId> {
        let finished = self.records.iter().filter(|record| !record.is_unfinished());
        finished.map(|record| record.op.clone()).collect()
    }
}

/// Reads the record of an operation at a stage; `None` where there is no `op.json`.
fn load(project: &Path, op: &OpId, stage: Stage) -> Result<Option<OpRecord>, JournalError> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let path = folder::path(project, op, stage).join(RECORD);
    let Some(bytes) = atomic::read(&path)? else {
        return Ok(None);
    };
    let mut record: OpRecord = match serde_json::from_slice(&bytes) {
        Ok(record) => record,
        Err(source) => {
            return Err(match serde_json::from_slice::<Version>(&bytes) {
                Ok(version) if version.format > FORMAT => JournalError::NewerFormat {
                    path,
                    found: version.format,
                },
                _ => JournalError::Corrupt { path, source },
            });
        }
    };
    record
        .files
        .iter()
        .try_for_each(|file| check_path(&file.path))?;
    record.state = record.state.at(stage);
    Ok(Some(record))
}

/// Reads the record of an operation that must exist.
pub(super) fn load_known(project: &Path, op: &OpId) -> Result<OpRecord, JournalError> {
    // In this order, so that one that is finished meanwhile is not missed.
    for stage in [Stage::Open, Stage::Finished] {
        if let Some(record) = load(project, op, stage)? {
            return Ok(record);
        }
    }
    Err(JournalError::UnknownOp { op: op.clone() })
}

/// The edits of an operation: one list per file, in the order of its files.
pub(super) fn load_edits(
    project: &Path,
    record: &OpRecord,
) -> Result<Vec<Vec<FileEdit>>, JournalError> {
    let Some(image) = &record.edits else {
        return Ok(Vec::new());
    };
    let bytes = load_image(project, record, image)?;
    serde_json::from_slice(&bytes).map_err(|source| JournalError::Corrupt {
        path: record.dir(project).join(&image.name),
        source,
    })
}

/// The bytes of an image, proven to be what the record says.
pub(super) fn load_image(
    project: &Path,
    record: &OpRecord,
    image: &Image,
) -> Result<Vec<u8>, JournalError> {
    let path = record.dir(project).join(&image.name);
    let bytes = atomic::read(&path)?;
    match bytes {
        Some(bytes) if Fingerprint::of(Some(&bytes)).is(Some(image)) => Ok(bytes),
        other => Err(JournalError::Damaged {
            path,
            expected: format!("{} bytes with SHA-256 {}", image.bytes, image.sha256),
            found: other.map_or("missing".to_owned(), |bytes| {
                format!("{} other bytes", bytes.len())
            }),
        }),
    }
}

/// Writes files that nothing refers to yet into an operation's folder, and brings all of them to disk.
pub(super) fn write_files(
    dir: &Path,
    mode: u32,
    files: &[(&str, &[u8])],
) -> Result<(), JournalError> {
    let mut written = Vec::with_capacity(files.len());
    for (name, bytes) in files {
        let path = dir.join(name);
        let file = atomic::write_unsynced(&path, bytes, mode)?;
        written.push((path, file));
    }
    // Written first and synced afterwards, so that the disk can take them in one go.
    for (path, file) in &written {
        atomic::sync_file(path, file)?;
    }
    atomic::sync_dir(dir)?;
    crash_point!("journal.images");
    Ok(())
}

/// Forgets an operation. What cannot be removed is found by the next recovery.
pub(super) fn forget(project: &Path, op: &OpId) {
    if folder::step(project, op, Stage::Finished, Stage::Old).is_ok() {
        crash_point!("journal.forgotten");
        let _ = atomic::remove_tree(&folder::path(project, op, Stage::Old));
    }
}
