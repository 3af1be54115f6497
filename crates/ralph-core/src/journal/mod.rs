//! One operation, many files: all of it happens, or it is known what is missing and it is finished later.
//!
//! [`Journal::prepare`] writes what every file was and will be, and what is to be done to it, into a folder below
//! `.state/ops`; only then are files touched, ledgers first and `pipeline.json` last. After a crash
//! [`Journal::recover`] does the same again. The last operations stay, as history and for [`Journal::undo`]. The
//! caller holds the project's lock throughout.
//!
//! People edit these files too. A file that changed meanwhile gets the same edit again, on its new text; where
//! that is impossible it is left alone and the operation stays, as a conflict. What must never be here:
//! knowledge of what an edit means ([`crate::change`]), and a write over bytes that nobody looked at.

mod apply;
mod diff;
mod error;
mod folder;
mod prepare;
mod record;
mod recover;
mod undo;

use std::fmt;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use diff::unified;
pub use error::{FileConflict, JournalError};
pub use record::{FORMAT, FileRecord, Image, OpRecord, OpState};
pub use recover::Recovered;

use self::folder::Stage;
use self::record::Scan;
use crate::change::ChangeSet;
use crate::env::Env;
use crate::id::OpId;

/// How many finished operations are kept.
const KEPT: usize = 50;

/// The operations of one project.
#[derive(Debug, Clone)]
pub struct Journal {
    project: PathBuf,
}

/// An operation of which nothing is visible yet.
#[derive(Debug)]
pub struct Prepared;

/// An operation of which everything is visible and on disk.
#[derive(Debug)]
pub struct Applied;

/// An operation in a state that the type names.
#[must_use = "a prepared operation is applied by `apply`, or else by the next recovery"]
pub struct Op<S> {
    project: PathBuf,
    record: OpRecord,
    /// The finished operations before this one, oldest first.
    finished: Vec<OpId>,
    state: PhantomData<S>,
}

impl<S> fmt::Debug for Op<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Op").field("record", &self.record).finish()
    }
}

impl<S> Op<S> {
    /// What is on disk about it.
    #[must_use]
    pub fn record(&self) -> &OpRecord {
        &self.record
    }
}

impl Op<Prepared> {
    /// Makes it visible, file by file, and marks it as applied.
    ///
    /// # Errors
    /// [`JournalError::Conflict`] when a file changed so that its edit no longer applies: that file is left as it
    /// is, and so are those after it. [`JournalError::Store`] when a file cannot be written. In both cases the
    /// operation stays, and [`Journal::recover`] tries again.
    pub fn apply(mut self) -> Result<Op<Applied>, JournalError> {
        apply::apply(&self.project, &mut self.record)?;
        Ok(Op {
            project: self.project,
            record: self.record,
            finished: self.finished,
            state: PhantomData,
        })
    }
}

impl Op<Applied> {
    /// Forgets the oldest operations, all but the last fifty. What cannot be removed is tried again next time.
    fn collect(&self) {
        let surplus = (self.finished.len() + 1).saturating_sub(KEPT);
        for op in self.finished.iter().take(surplus) {
            record::forget(&self.project, op);
        }
    }
}

/// An operation with the texts of its files.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OpDetail {
    /// What is on disk about it.
    pub record: OpRecord,
    /// One entry per file, in the order in which they are written.
    pub files: Vec<FileDetail>,
}

/// What an operation did to one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileDetail {
    /// The path, relative to the project.
    pub path: String,
    /// The text before, `None` where there was no file.
    pub before: Option<String>,
    /// The text after, `None` where the file was removed.
    pub after: Option<String>,
    /// The difference, as `diff -u` writes it.
    pub diff: String,
}

impl Journal {
    /// The journal of a project. Nothing is read or created yet.
    #[must_use]
    pub fn open(project_dir: &Path) -> Self {
        Self {
            project: project_dir.to_owned(),
        }
    }

    /// Computes the new texts and brings them to disk, invisibly. `None` when the changes change nothing.
    ///
    /// # Errors
    /// [`JournalError::Edit`] when an edit does not apply; [`JournalError::Unfinished`] when an earlier operation
    /// has to be recovered first; [`JournalError::NewerFormat`]; [`JournalError::Store`].
    pub fn prepare(
        &self,
        changes: &ChangeSet,
        env: &Env,
    ) -> Result<Option<Op<Prepared>>, JournalError> {
        let scan = Scan::for_writing(&self.project)?;
        if let Some(open) = scan.records.iter().find(|record| record.is_unfinished()) {
            return Err(JournalError::Unfinished {
                op: open.op.clone(),
            });
        }
        let drafts = prepare::draft(&self.project, changes)?;
        if drafts.is_empty() {
            return Ok(None);
        }
        let head = prepare::Head {
            project: changes.project.clone(),
            summary: changes.summary.clone(),
            undoes: None,
        };
        self.write(head, &drafts, &scan, env).map(Some)
    }

    fn write(
        &self,
        head: prepare::Head,
        drafts: &[prepare::Draft],
        scan: &Scan,
        env: &Env,
    ) -> Result<Op<Prepared>, JournalError> {
        let record = prepare::write(&self.project, head, drafts, scan.next_sequence(), env)?;
        Ok(Op {
            project: self.project.clone(),
            record,
            finished: scan.finished(),
            state: PhantomData,
        })
    }

    /// Does all of it: prepare, apply, and forgetting the oldest operations. `None` when nothing changes.
    ///
    /// # Errors
    /// As [`Journal::prepare`] and [`Op::apply`].
    pub fn commit(&self, changes: &ChangeSet, env: &Env) -> Result<Option<OpRecord>, JournalError> {
        let Some(op) = self.prepare(changes, env)? else {
            return Ok(None);
        };
        let applied = op.apply()?;
        applied.collect();
        Ok(Some(applied.record))
    }

    /// Finishes what a crash interrupted: every prepared operation is applied, also one that was in conflict.
    /// An operation whose preparation was not finished is discarded; nobody has seen anything of it.
    ///
    /// # Errors
    /// [`JournalError::Conflict`], with the differences; later operations then wait. Otherwise as [`Op::apply`].
    pub fn recover(&self, env: &Env) -> Result<Vec<Recovered>, JournalError> {
        recover::recover(&self.project, env)
    }

    /// Whether a crash left an operation that [`Journal::recover`] would finish or discard. Reads one folder and no
    /// file, so that it can be asked of every project.
    ///
    /// # Errors
    /// [`JournalError::Store`].
    pub fn has_unfinished(&self) -> Result<bool, JournalError> {
        let found = folder::list(&self.project)?;
        Ok(found.iter().any(|(_, stage)| *stage != Stage::Finished))
    }

    /// All operations that are kept, oldest first.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`], [`JournalError::NewerFormat`] or [`JournalError::Store`].
    pub fn list(&self) -> Result<Vec<OpRecord>, JournalError> {
        Ok(Scan::read(&self.project)?.records)
    }

    /// One operation with the texts of its files.
    ///
    /// # Errors
    /// [`JournalError::UnknownOp`], [`JournalError::Damaged`], or as [`Journal::list`].
    pub fn show(&self, op: &OpId) -> Result<OpDetail, JournalError> {
        let record = record::load_known(&self.project, op)?;
        let detail = |file: &FileRecord| {
            let text = |image: &Option<Image>| -> Result<Option<String>, JournalError> {
                let Some(image) = image else { return Ok(None) };
                let bytes = record::load_image(&self.project, &record, image)?;
                Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
            };
            let (before, after) = (text(&file.before)?, text(&file.after)?);
            Ok(FileDetail {
                diff: diff::between(&file.path, before.as_deref(), after.as_deref()),
                path: file.path.clone(),
                before,
                after,
            })
        };
        let files = record.files.iter().map(detail);
        let files: Result<Vec<FileDetail>, JournalError> = files.collect();
        Ok(OpDetail {
            files: files?,
            record,
        })
    }

    /// Puts every file of an operation back as it was before, as a new operation. A file that has changed since is
    /// never overwritten: then nothing at all is changed.
    ///
    /// # Errors
    /// [`JournalError::Conflict`] with what changed since; [`JournalError::UnknownOp`];
    /// [`JournalError::AlreadyUndone`]; [`JournalError::Unfinished`] when another operation has to be recovered
    /// first; otherwise as [`Op::apply`].
    pub fn undo(&self, op: &OpId, env: &Env) -> Result<OpRecord, JournalError> {
        let applied = undo::prepare(self, op, env)?.apply()?;
        applied.collect();
        Ok(applied.record)
    }
}

#[cfg(test)]
mod tests;
