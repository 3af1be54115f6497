//! The edge at which a [`ChangeSet`] becomes files: documents that do not take an edit are left out and
//! reported, the rest is one operation of the journal.

use std::fs;
use std::path::Path;

use crate::act::ActError;
use crate::change::{ChangeSet, FileChange};
use crate::env::Env;
use crate::id::OpId;
use crate::journal::Journal;
use crate::project::Texts;
use crate::store::{atomic, layout};
use crate::world::Sightings;

/// What a commit changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Committed {
    /// The operation; `None` when nothing had to change.
    pub(crate) op: Option<OpId>,
    /// Files that changed, relative to the project's folder.
    pub(crate) files: Vec<String>,
    /// Documents that were left out, with the reason.
    pub(crate) warnings: Vec<String>,
}

impl Committed {
    pub(crate) fn absorb(&mut self, other: Self) {
        self.op = other.op.or_else(|| self.op.take());
        self.files.extend(other.files);
        self.files.sort();
        self.files.dedup();
        self.warnings.extend(other.warnings);
    }
}

/// Applies the changes to a project's files. The caller holds the project's lock.
pub(crate) fn commit(
    folder: &Path,
    mut changes: ChangeSet,
    env: &Env,
) -> Result<Committed, ActError> {
    let warnings = drop_refused_documents(&mut changes, |path| {
        fs::read_to_string(folder.join(path)).ok()
    });
    if changes.files.is_empty() {
        return Ok(Committed {
            warnings,
            ..Committed::default()
        });
    }
    let record = Journal::open(folder).commit(&changes, env)?;
    let files = record
        .iter()
        .flat_map(|record| record.files.iter().map(|file| file.path.clone()));
    Ok(Committed {
        files: files.filter(|path| !is_ours(path)).collect(),
        op: record.map(|record| record.op),
        warnings,
    })
}

/// Files that only the machine reads are not worth a person's attention.
fn is_ours(path: &str) -> bool {
    path.starts_with(layout::STATE_DIR) && path != layout::PIPELINE
}

/// Applies the changes to texts in memory: what a dry run plans on.
pub(crate) fn rehearse(texts: &mut Texts, mut changes: ChangeSet) -> Result<Committed, ActError> {
    let warnings = drop_refused_documents(&mut changes, |path| texts.get(path).cloned());
    let mut files = Vec::new();
    for FileChange { path, edit } in changes.ordered() {
        let before = texts.get(path).cloned();
        let after = edit
            .apply(before.as_deref())
            .map_err(|error| ActError::Edit {
                path: path.clone(),
                error,
            })?;
        if before != after {
            files.push(path.clone());
        }
        match after {
            Some(text) => drop(texts.insert(path.clone(), text)),
            None => drop(texts.remove(path)),
        }
    }
    Ok(Committed {
        op: None,
        files: files.into_iter().filter(|path| !is_ours(path)).collect(),
        warnings,
    })
}

fn drop_refused_documents(
    changes: &mut ChangeSet,
    read: impl Fn(&str) -> Option<String>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    changes.files.retain(|file| {
        if !file.edit.is_document() {
            return true;
        }
        match file.edit.apply(read(&file.path).as_deref()) {
            Ok(_) => true,
            Err(error) => {
                warnings.push(format!("{}: {error}; it was left as it is", file.path));
                false
            }
        }
    });
    warnings
}

/// Keeps what this pass saw for the next one. Not an operation: nobody but the machine reads it.
pub(crate) fn remember(folder: &Path, sightings: &Sightings) -> Result<(), ActError> {
    let path = folder.join(layout::SIGHTINGS);
    if sightings.entries.is_empty() {
        return Ok(atomic::remove(&path)?);
    }
    Ok(atomic::replace(
        &path,
        crate::ledger::json(sightings).as_bytes(),
    )?)
}
