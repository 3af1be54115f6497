//! The second half of an operation: the files, one after the other, and the mark that all of them are done.
//!
//! It may be run any number of times, from any point at which it was interrupted, with the same end. A file is
//! only replaced when its bytes are those that the operation was computed from, looked at right before the rename.

use std::path::Path;

use super::diff;
use super::record::{self, FileRecord, Image, OpRecord, OpState, is_image};
use super::{FileConflict, JournalError};
use crate::crash_point;
use crate::store::atomic::{self, Staged};

/// How often the files are looked at: once more when one changes between the look and the rename.
const ROUNDS: usize = 2;

/// How a file stands to an operation.
enum Standing {
    /// It is as the operation found it.
    Ready,
    /// It is as the operation leaves it.
    Done,
    /// It was changed since.
    Changed,
}

impl Standing {
    fn of(file: &FileRecord, found: Option<&[u8]>) -> Self {
        if is_image(file.after.as_ref(), found) {
            Self::Done
        } else if is_image(file.before.as_ref(), found) {
            Self::Ready
        } else {
            Self::Changed
        }
    }
}

/// Applies an operation and marks it.
pub(super) fn apply(project: &Path, record: &mut OpRecord) -> Result<(), JournalError> {
    for _ in 0..ROUNDS {
        follow_changes(project, record)?;
        if write_files(project, record)? {
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

/// Computes the operation anew for every file that was changed since, and brings that to disk. Afterwards every
/// file is ready or done.
fn follow_changes(project: &Path, record: &mut OpRecord) -> Result<(), JournalError> {
    let mut conflicts = Vec::new();
    let mut rebased = Vec::new();
    for index in 0..record.files.len() {
        let Some(file) = record.files.get_mut(index) else {
            continue;
        };
        file.conflict = None;
        let found = atomic::read(&project.join(&file.path))?;
        if !matches!(Standing::of(file, found.as_deref()), Standing::Changed) {
            continue;
        }
        let redone = if record.undoes.is_some() {
            Err("it was changed while the operation was being undone".to_owned())
        } else {
            redo(file, found.as_deref())
        };
        match redone {
            Ok(after) => {
                renumber(file, index, found.as_deref(), after.as_deref());
                rebased.push((index, found, after));
            }
            Err(reason) => {
                file.conflict = Some(reason.clone());
                let file = file.clone();
                conflicts.push(conflict(project, record, &file, reason, found.as_deref()));
            }
        }
    }
    if !conflicts.is_empty() {
        return Err(give_up(project, record, conflicts)?);
    }
    if rebased.is_empty() {
        return Ok(());
    }
    let images: Vec<(&Image, &[u8])> = rebased
        .iter()
        .filter_map(|(index, before, after)| Some((record.files.get(*index)?, before, after)))
        .flat_map(|(file, before, after)| [(&file.before, before), (&file.after, after)])
        .filter_map(|(image, bytes)| Some((image.as_ref()?, bytes.as_deref()?)))
        .collect();
    record::save_images(project, record, &images)?;
    atomic::sync_dir(&record.save(project)?)?;
    crash_point!("journal.rebased");
    Ok(())
}

/// Does the edits again to another text.
fn redo(file: &FileRecord, found: Option<&[u8]>) -> Result<Option<Vec<u8>>, String> {
    let text = found.map(|bytes| std::str::from_utf8(bytes).map(str::to_owned));
    let text = text
        .transpose()
        .map_err(|_| "it was changed since and is not UTF-8 text any more".to_owned())?;
    let edited = file
        .edits
        .iter()
        .try_fold(text, |text, edit| edit.apply(text.as_deref()));
    match edited {
        Ok(after) => Ok(after.map(String::into_bytes)),
        Err(failure) => Err(failure.reason),
    }
}

fn renumber(file: &mut FileRecord, index: usize, before: Option<&[u8]>, after: Option<&[u8]>) {
    file.rebased += 1;
    let name = |side: &str| format!("{side}/{}.{}", index + 1, file.rebased);
    let image = |side: &str, bytes: Option<&[u8]>| bytes.map(|bytes| Image::of(name(side), bytes));
    (file.before, file.after) = (image("before", before), image("after", after));
}

fn conflict(
    project: &Path,
    record: &OpRecord,
    file: &FileRecord,
    reason: String,
    found: Option<&[u8]>,
) -> FileConflict {
    let image = file.before.as_ref();
    // Only for people: a damaged image costs the difference, not the report.
    let before = image.and_then(|image| record::load_image(project, &record.op, image).ok());
    FileConflict {
        path: file.path.clone(),
        diff: diff::since(
            &file.path,
            "as the operation found it",
            before.as_deref(),
            found,
        ),
        reason,
    }
}

/// Records the conflict and returns it as the error. The operation stays.
fn give_up(
    project: &Path,
    record: &mut OpRecord,
    files: Vec<FileConflict>,
) -> Result<JournalError, JournalError> {
    record.state = OpState::Conflict;
    atomic::sync_dir(&record.save(project)?)?;
    Ok(JournalError::Conflict {
        op: record.op.clone(),
        files,
    })
}

/// Writes every file that is not done. `false` when one was changed in the last moment; those before it stay.
fn write_files(project: &Path, record: &OpRecord) -> Result<bool, JournalError> {
    let mut staged = Vec::with_capacity(record.files.len());
    for file in &record.files {
        staged.push(stage(project, record, file)?);
    }
    crash_point!("journal.staged");
    for (file, staged) in record.files.iter().zip(staged) {
        let path = project.join(&file.path);
        let found = atomic::read(&path)?;
        match (Standing::of(file, found.as_deref()), staged) {
            (Standing::Done, _) => {}
            (Standing::Ready, Some(staged)) => staged.publish().map(drop)?,
            (Standing::Ready, None) if file.after.is_none() => {
                atomic::remove_unsynced(&path).map(drop)?;
            }
            // Nothing was staged because the file was done, and now it is as before: somebody is at work.
            (Standing::Ready, None) | (Standing::Changed, _) => return Ok(false),
        }
    }
    Ok(true)
}

/// Brings the new content of a file to disk beside it; `None` when there is nothing to write.
fn stage(
    project: &Path,
    record: &OpRecord,
    file: &FileRecord,
) -> Result<Option<Staged>, JournalError> {
    let path = project.join(&file.path);
    let Some(image) = &file.after else {
        return Ok(None);
    };
    if is_image(Some(image), atomic::read(&path)?.as_deref()) {
        return Ok(None);
    }
    let bytes = record::load_image(project, &record.op, image)?;
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
    if let Some(undone) = &record.undoes
        && let Some(mut undone) = record::load(project, undone)?
    {
        undone.state = OpState::UndoneBy(record.op.clone());
        undone.save(project)?;
        crash_point!("journal.undone");
    }
    record.state = OpState::Applied;
    record.save(project)?;
    crash_point!("journal.marked");
    Ok(())
}
