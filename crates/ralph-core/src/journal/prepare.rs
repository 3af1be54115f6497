//! The first half of an operation: new texts in memory, images and record on disk, nothing visible.
//!
//! No file of the project is written here.

use std::path::Path;

use super::JournalError;
use super::folder::{self, Stage};
use super::record::{self, FORMAT, FileRecord, Image, OpRecord, OpState, RECORD};
use crate::change::{ChangeSet, FileEdit};
use crate::crash_point;
use crate::env::Env;
use crate::id::{OpId, Slug};
use crate::store::{atomic, layout};

/// The edits, in the operation's folder.
const EDITS: &str = "edits.json";

/// One file as it is and as it is to be.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) path: String,
    pub(super) edits: Vec<FileEdit>,
    pub(super) before: Option<Vec<u8>>,
    pub(super) after: Option<Vec<u8>>,
    pub(super) mode: Option<u32>,
}

/// What an operation is, apart from its files.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) project: Slug,
    pub(super) summary: String,
    pub(super) undoes: Option<OpId>,
}

/// Applies the edits to the files as they are. Several edits of one file follow on each other; a file that stays
/// as it is is left out.
pub(super) fn draft(project: &Path, changes: &ChangeSet) -> Result<Vec<Draft>, JournalError> {
    /// One file's texts and edits so far.
    struct Open {
        path: String,
        edits: Vec<FileEdit>,
        before: Option<String>,
        after: Option<String>,
    }
    let mut open: Vec<Open> = Vec::new();
    for change in changes.ordered() {
        let at = match open.iter().position(|file| file.path == change.path) {
            Some(at) => at,
            None => {
                record::check_path(&change.path)?;
                let before = atomic::read_text(&project.join(&change.path))?;
                open.push(Open {
                    path: change.path.clone(),
                    edits: Vec::new(),
                    after: before.clone(),
                    before,
                });
                open.len() - 1
            }
        };
        let Some(file) = open.get_mut(at) else {
            continue;
        };
        let edited = change.edit.apply(file.after.as_deref());
        file.after = edited.map_err(|source| JournalError::Edit {
            path: change.path.clone(),
            source,
        })?;
        file.edits.push(change.edit.clone());
    }
    open.retain(|file| file.before != file.after);
    let draft = |file: Open| Draft {
        mode: atomic::mode_of(&project.join(&file.path)),
        path: file.path,
        edits: file.edits,
        before: file.before.map(String::into_bytes),
        after: file.after.map(String::into_bytes),
    };
    Ok(open.into_iter().map(draft).collect())
}

/// Brings an operation to disk. Its last step, the new name of its folder, is what makes it exist.
pub(super) fn write(
    project: &Path,
    head: Head,
    drafts: &[Draft],
    sequence: u64,
    env: &Env,
) -> Result<OpRecord, JournalError> {
    let mut record = begin(project, head, sequence, env)?;
    crash_point!("journal.begun");
    let dir = folder::path(project, &record.op, Stage::New);
    let corrupt = |name: &'static str| {
        let path = dir.join(name);
        move |source| JournalError::Corrupt { path, source }
    };
    let edits: Vec<&Vec<FileEdit>> = drafts.iter().map(|draft| &draft.edits).collect();
    let edits = serde_json::to_vec(&edits).map_err(corrupt(EDITS))?;
    // An undo is never done again to another text.
    record.edits = (record.undoes.is_none()).then(|| Image::of(EDITS.to_owned(), &edits));
    record.files = (1..)
        .zip(drafts)
        .map(|(number, draft)| draft.record(number))
        .collect();
    let text = record.text().map_err(corrupt(RECORD))?;
    let images = record
        .files
        .iter()
        .zip(drafts)
        .flat_map(|(file, draft)| [(&file.before, &draft.before), (&file.after, &draft.after)])
        .filter_map(|(image, bytes)| Some((image.as_ref()?, bytes.as_deref()?)))
        .chain(record.edits.as_ref().map(|image| (image, edits.as_slice())));
    let files: Vec<(&str, &[u8])> = images
        .map(|(image, bytes)| (image.name.as_str(), bytes))
        .chain([(RECORD, text.as_slice())])
        .collect();
    record::write_files(&dir, record.mode(), &files)?;
    folder::step(project, &record.op, Stage::New, Stage::Open)?;
    atomic::sync_dir(&project.join(layout::OPS))?;
    crash_point!("journal.prepared");
    Ok(record)
}

impl Draft {
    fn record(&self, number: usize) -> FileRecord {
        let image = |side: &str, bytes: Option<&[u8]>| {
            bytes.map(|bytes| Image::of(format!("{number}.{side}"), bytes))
        };
        FileRecord {
            path: self.path.clone(),
            before: image("before", self.before.as_deref()),
            after: image("after", self.after.as_deref()),
            mode: self.mode,
            rebased: 0,
            conflict: None,
        }
    }
}

/// The record of a new operation, still without files, and its folder.
fn begin(project: &Path, head: Head, sequence: u64, env: &Env) -> Result<OpRecord, JournalError> {
    Ok(OpRecord {
        format: FORMAT,
        op: folder::make(project, env)?,
        sequence,
        made_by: concat!("ralph ", env!("CARGO_PKG_VERSION")).to_owned(),
        made_at: record::whole_seconds(env.now()),
        user: env.user.clone(),
        host: env.host.clone(),
        project: head.project,
        summary: head.summary,
        state: OpState::Prepared,
        undoes: head.undoes,
        edits: None,
        recovered_at: None,
        files: Vec::new(),
    })
}
