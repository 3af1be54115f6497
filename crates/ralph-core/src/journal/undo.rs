//! Undo: a new operation that puts back what an earlier one found.
//!
//! It only ever writes over exactly what the earlier one left. One file that was changed since refuses the whole,
//! with the difference, and then nothing is changed. Whether undoing is wise is not decided here.

use std::path::Path;

use super::prepare::{Draft, Head};
use super::record::{self, FileRecord, Fingerprint, Image, OpRecord, OpState, Scan};
use super::{FileConflict, Journal, JournalError, Op, Prepared, diff};
use crate::env::Env;
use crate::id::OpId;
use crate::store::atomic;

/// Prepares the undoing of an operation, also of one that is in conflict: then of what is visible of it.
pub(super) fn prepare(
    journal: &Journal,
    op: &OpId,
    env: &Env,
) -> Result<Op<Prepared>, JournalError> {
    let project = journal.project.as_path();
    let scan = Scan::for_writing(project)?;
    let record = record::load_known(project, op)?;
    if let OpState::UndoneBy(by) = &record.state {
        return Err(JournalError::AlreadyUndone {
            op: op.clone(),
            by: by.clone(),
        });
    }
    let other = |open: &&OpRecord| open.is_unfinished() && open.op != *op;
    if let Some(open) = scan.records.iter().find(other) {
        return Err(JournalError::Unfinished {
            op: open.op.clone(),
        });
    }
    let mut drafts = Vec::new();
    let mut conflicts = Vec::new();
    for file in &record.files {
        match put_back(project, &record, file)? {
            PutBack::Nothing => {}
            PutBack::Write(draft) => drafts.push(draft),
            PutBack::Refuse(conflict) => conflicts.push(conflict),
        }
    }
    if !conflicts.is_empty() {
        return Err(JournalError::Conflict {
            op: op.clone(),
            files: conflicts,
        });
    }
    let head = Head {
        summary: format!("undo {op}: {}", record.summary),
        project: record.project,
        undoes: Some(op.clone()),
    };
    journal.write(head, &drafts, &scan, env)
}

/// What undoing means for one file.
enum PutBack {
    /// It is as it was before, or the operation never got to it.
    Nothing,
    /// It is as the operation left it.
    Write(Draft),
    /// It was changed since.
    Refuse(FileConflict),
}

fn put_back(project: &Path, op: &OpRecord, file: &FileRecord) -> Result<PutBack, JournalError> {
    let path = project.join(&file.path);
    let found = atomic::read(&path)?;
    let print = Fingerprint::of(found.as_deref());
    if print.is(file.before.as_ref()) {
        return Ok(PutBack::Nothing);
    }
    let load = |image: &Option<Image>| match image {
        Some(image) => record::load_image(project, op, image).map(Some),
        None => Ok(None),
    };
    if !print.is(file.after.as_ref()) {
        if file.conflict.is_some() {
            return Ok(PutBack::Nothing);
        }
        let after = load(&file.after)?;
        return Ok(PutBack::Refuse(FileConflict {
            path: file.path.clone(),
            reason: "it was changed after the operation".to_owned(),
            diff: diff::since(
                &file.path,
                "as the operation left it",
                after.as_deref(),
                found.as_deref(),
            ),
        }));
    }
    let before = load(&file.before)?;
    Ok(PutBack::Write(Draft {
        path: file.path.clone(),
        edits: Vec::new(),
        before: found,
        after: before,
        mode: file.mode,
    }))
}
