//! The edge at which a [`ChangeSet`] becomes files: documents that do not take an edit are left out and
//! reported, the rest is one operation of the journal.

use std::collections::BTreeMap;
use std::path::Path;

use crate::act::ActError;
use crate::change::{ChangeSet, FileChange, FileEdit};
use crate::env::Env;
use crate::error::Coded as _;
use crate::id::OpId;
use crate::journal::Journal;
use crate::ledger;
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

/// Where the text of a file is found, or why it cannot be read.
type Reader<'a> = &'a dyn Fn(&str) -> Result<Option<String>, String>;

/// Applies the changes to a project's files. The caller holds the project's lock.
pub(crate) fn commit(
    folder: &Path,
    mut changes: ChangeSet,
    env: &Env,
) -> Result<Committed, ActError> {
    let warnings = leave_out(&mut changes, &on_disk(folder));
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

/// Reads the files of a project as the journal will.
pub(crate) fn on_disk(folder: &Path) -> impl Fn(&str) -> Result<Option<String>, String> {
    let folder = folder.to_owned();
    move |path| {
        atomic::read_text(&folder.join(path)).map_err(|error| {
            let hint = error.hint().map_or_else(String::new, |hint| hint.0);
            format!("{error}. {hint}")
        })
    }
}

/// Files that only the machine reads are not worth a person's attention.
fn is_ours(path: &str) -> bool {
    path.starts_with(layout::STATE_DIR) && path != layout::PIPELINE
}

/// Applies the changes to texts in memory: what a dry run plans on.
pub(crate) fn rehearse(texts: &mut Texts, mut changes: ChangeSet) -> Result<Committed, ActError> {
    let warnings = leave_out(&mut changes, &|path: &str| Ok(texts.get(path).cloned()));
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

/// Takes out what a person's file does not take, and says why: the state file stays the authority (section C,
/// rule 3), and a report that a person wrote is not replaced by ours.
fn leave_out(changes: &mut ChangeSet, read: Reader<'_>) -> Vec<String> {
    let refused = refused(changes, read);
    let mut index = 0;
    changes.files.retain(|_| {
        index += 1;
        !refused.contains_key(&(index - 1))
    });
    refused.into_values().collect()
}

/// The changes of this set that a person's file does not take, by their place in it.
pub(crate) fn refused(changes: &ChangeSet, read: Reader<'_>) -> BTreeMap<usize, String> {
    let mut refused = BTreeMap::new();
    // Several edits of one file follow on each other.
    let mut texts: BTreeMap<&str, Result<Option<String>, String>> = BTreeMap::new();
    for (index, FileChange { path, edit }) in changes.files.iter().enumerate() {
        if !edit.is_document() && !is_results(path) {
            continue;
        }
        let text = texts.entry(path).or_insert_with(|| read(path));
        let edited = match text {
            Err(reason) => Err(reason.clone()),
            Ok(Some(found)) if is_of_a_person(path, edit, found) => {
                Err("it was written by somebody else".to_owned())
            }
            Ok(found) => edit
                .apply(found.as_deref())
                .map_err(|error| error.to_string()),
        };
        match edited {
            Ok(edited) => *text = Ok(edited),
            Err(reason) => {
                refused.insert(index, format!("{path}: {reason}; it was left as it is"));
            }
        }
    }
    refused
}

fn is_results(path: &str) -> bool {
    path.starts_with("runs/") && path.ends_with("/results.md")
}

fn is_of_a_person(path: &str, edit: &FileEdit, found: &str) -> bool {
    let replaced = matches!(edit, FileEdit::Replace { .. }) && is_results(path);
    replaced && !found.trim().is_empty() && !found.starts_with(ledger::RESULTS_HEADING)
}

/// Keeps what this pass saw for the next one. Not an operation: nobody but the machine reads it.
pub(crate) fn remember(folder: &Path, sightings: &Sightings) -> Result<(), ActError> {
    let path = folder.join(layout::SIGHTINGS);
    if sightings.entries.is_empty() {
        return Ok(atomic::remove(&path)?);
    }
    Ok(atomic::replace(&path, ledger::json(sightings).as_bytes())?)
}
