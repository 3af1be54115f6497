//! The second half of an operation: the files, one after the other, and the mark that all of them are done.
//!
//! It may be run any number of times, from any point at which it was interrupted, with the same end. A file is
//! only replaced when its bytes are those that the operation was computed from, looked at right before the rename.

use std::path::Path;

use super::diff;
use super::folder::{self, Stage};
use super::record::{self, FileRecord, Fingerprint, Image, OpRecord, OpState};
use super::{FileConflict, JournalError};
use crate::change::FileEdit;
use crate::crash_point;
use crate::id::OpId;
use crate::store::atomic::{self, Staged};
use crate::store::layout;

/// How often the files are looked at: once more when one changes between the look and the rename.
const ROUNDS: usize = 2;

/// How a file stands to an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is as the operation found it.
    Ready,
    /// It is as the operation leaves it.
    Done,
    /// It was changed since.
    Changed,
}

/// A file as it was when it was looked at.
struct Look {
    found: Option<Vec<u8>>,
    standing: Standing,
}

impl Look {
    fn at(project: &Path, file: &FileRecord) -> Result<Self, JournalError> {
        let found = atomic::read(&project.join(&file.path))?;
        let print = Fingerprint::of(found.as_deref());
        let standing = if print.is(file.after.as_ref()) {
            Standing::Done
        } else if print.is(file.before.as_ref()) {
            Standing::Ready
        } else {
            Standing::Changed
        };
        Ok(Self { found, standing })
    }
}

/// Applies an operation and marks it.
pub(super) fn apply(project: &Path, record: &mut OpRecord) -> Result<(), JournalError> {
    for _ in 0..ROUNDS {
        let looks = follow_changes(project, record)?;
        if write_files(project, record, &looks)? {
            return finish(project, record);
        }
    }
    let path = record.files.first().map(|file| file.path.clone());
    let conflict = FileConflict {
        path: path.unwrap_or_default(),
        reason: "the files of the operation are being changed all the time".to_owned(),
        diff: String::new(),
    };
    Err(give_up(project, record, vec![conflict])?)
}

/// What the edits make of a file that was changed since.
struct Redone {
    index: usize,
    after: Option<Vec<u8>>,
}

/// Looks at every file, computes the operation anew for those that were changed since, and brings that to disk.
/// Afterwards every file is ready or done; or some are in conflict, and the record is otherwise as it was.
fn follow_changes(project: &Path, record: &mut OpRecord) -> Result<Vec<Look>, JournalError> {
    let mut looks = Vec::with_capacity(record.files.len());
    for file in &mut record.files {
        file.conflict = None;
        looks.push(Look::at(project, file)?);
    }
    if looks.iter().all(|look| look.standing != Standing::Changed) {
        return Ok(looks);
    }
    let all_edits = record::load_edits(project, record)?;
    let mut redone = Vec::new();
    let mut conflicts = Vec::new();
    for (index, look) in looks.iter_mut().enumerate() {
        if look.standing != Standing::Changed {
            continue;
        }
        let edits = all_edits.get(index).map(Vec::as_slice);
        match redo(edits, look.found.as_deref()) {
            Ok(after) => {
                look.standing = Standing::Ready;
                redone.push(Redone { index, after });
            }
            Err(reason) => {
                conflicts.extend(conflict(
                    project,
                    record,
                    index,
                    reason,
                    look.found.as_deref(),
                ));
            }
        }
    }
    if !conflicts.is_empty() {
        return Err(give_up(project, record, conflicts)?);
    }
    rebase(project, record, &looks, &redone)?;
    Ok(looks)
}

/// Gives the files new images, and the record their names. The old ones stay: until the record is replaced, it
/// refers to them.
fn rebase(
    project: &Path,
    record: &mut OpRecord,
    looks: &[Look],
    redone: &[Redone],
) -> Result<(), JournalError> {
    let mut images: Vec<(Image, &[u8])> = Vec::new();
    for Redone { index, after } in redone {
        let (Some(file), Some(look)) = (record.files.get_mut(*index), looks.get(*index)) else {
            continue;
        };
        file.rebased += 1;
        let image = |side: &str, bytes: Option<&[u8]>| {
            let name = format!("{}.{side}.{}", index + 1, file.rebased);
            bytes.map(|bytes| Image::of(name, bytes))
        };
        file.before = image("before", look.found.as_deref());
        file.after = image("after", after.as_deref());
        for (image, bytes) in [(&file.before, &look.found), (&file.after, after)] {
            images.extend(image.clone().zip(bytes.as_deref()));
        }
    }
    let images: Vec<(&str, &[u8])> = images
        .iter()
        .map(|(image, bytes)| (image.name.as_str(), *bytes))
        .collect();
    record::write_files(&record.dir(project), record.mode(), &images)?;
    record.save(project)?;
    crash_point!("journal.rebased");
    Ok(())
}

/// Does the edits again to another text; without edits, which is an undo, that is never right.
fn redo(edits: Option<&[FileEdit]>, found: Option<&[u8]>) -> Result<Option<Vec<u8>>, String> {
    let Some(edits) = edits else {
        return Err("it was changed while the operation was being undone".to_owned());
    };
    let text = found.map(std::str::from_utf8).transpose();
    let text =
        text.map_err(|_| "it was changed since and is not UTF-8 text any more".to_owned())?;
    let edited = edits
        .iter()
        .try_fold(text.map(str::to_owned), |text, edit| {
            edit.apply(text.as_deref())
        });
    match edited {
        Ok(after) => Ok(after.map(String::into_bytes)),
        Err(failure) => Err(failure.reason),
    }
}

/// Notes the conflict in the record, and reports it with what changed since.
fn conflict(
    project: &Path,
    record: &mut OpRecord,
    index: usize,
    reason: String,
    found: Option<&[u8]>,
) -> Option<FileConflict> {
    record.files.get_mut(index)?.conflict = Some(reason.clone());
    let file = record.files.get(index)?;
    let image = file.before.as_ref();
    // Only for people: a damaged image costs the difference, not the report.
    let before = image.and_then(|image| record::load_image(project, record, image).ok());
    Some(FileConflict {
        path: file.path.clone(),
        diff: diff::since(
            &file.path,
            "as the operation found it",
            before.as_deref(),
            found,
        ),
        reason,
    })
}

/// Records the conflict and returns it as the error. The operation stays.
fn give_up(
    project: &Path,
    record: &mut OpRecord,
    files: Vec<FileConflict>,
) -> Result<JournalError, JournalError> {
    record.state = OpState::Conflict;
    record.save(project)?;
    Ok(JournalError::Conflict {
        op: record.op.clone(),
        files,
    })
}

/// Writes every file that is not done. `false` when one is no longer as it was looked at; those before it stay.
fn write_files(project: &Path, record: &OpRecord, looks: &[Look]) -> Result<bool, JournalError> {
    let mut staged = Vec::with_capacity(record.files.len());
    for (file, look) in record.files.iter().zip(looks) {
        staged.push(match look.standing {
            Standing::Ready => stage(project, record, file)?,
            Standing::Done | Standing::Changed => None,
        });
    }
    crash_point!("journal.staged");
    for ((file, look), staged) in record.files.iter().zip(looks).zip(staged) {
        let path = project.join(&file.path);
        // The last look. Whoever writes after it, without a lock, is overwritten.
        if atomic::read(&path)? != look.found {
            return Ok(false);
        }
        match (look.standing, staged) {
            (Standing::Ready, Some(staged)) => staged.publish().map(drop)?,
            (Standing::Ready, None) => atomic::remove_unsynced(&path).map(drop)?,
            (Standing::Done | Standing::Changed, _) => {}
        }
    }
    Ok(true)
}

/// Brings the new content of a file to disk beside it; `None` when the file is to be removed.
fn stage(
    project: &Path,
    record: &OpRecord,
    file: &FileRecord,
) -> Result<Option<Staged>, JournalError> {
    let path = project.join(&file.path);
    let Some(image) = &file.after else {
        return Ok(None);
    };
    let bytes = record::load_image(project, record, image)?;
    if let Some(folder) = path.parent() {
        atomic::create_dir(folder)?;
    }
    Ok(Some(atomic::stage(&path, &bytes, file.mode)?))
}

/// Brings the renames to disk and marks the operation. The mark itself need not survive a power cut: without it
/// the next recovery finds every file done and marks it again.
fn finish(project: &Path, record: &mut OpRecord) -> Result<(), JournalError> {
    for folder in record.folders(project)? {
        atomic::sync_dir(&folder)?;
    }
    crash_point!("journal.written");
    if let Some(undone) = &record.undoes {
        mark_undone(project, undone, &record.op)?;
    }
    if record.recovered_at.is_some() {
        record.state = OpState::Prepared;
        record.save(project)?;
    }
    folder::step(project, &record.op, Stage::Open, Stage::Finished)?;
    record.state = OpState::Applied;
    crash_point!("journal.marked");
    Ok(())
}

/// Marks an operation as undone, on disk before the undoing is marked as finished: an operation that was in conflict
/// would otherwise be taken up again. One that was forgotten meanwhile needs no mark.
fn mark_undone(project: &Path, undone: &OpId, by: &OpId) -> Result<(), JournalError> {
    let mut undone = match record::load_known(project, undone) {
        Err(JournalError::UnknownOp { .. }) => return Ok(()),
        found => found?,
    };
    if undone.is_unfinished() {
        folder::step(project, &undone.op, Stage::Open, Stage::Finished)?;
        atomic::sync_dir(&project.join(layout::OPS))?;
        crash_point!("journal.given_up");
    }
    undone.state = OpState::UndoneBy(by.clone());
    undone.save(project)?;
    crash_point!("journal.undone");
    Ok(())
}
