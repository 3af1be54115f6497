//! What the next process does about an operation that a crash interrupted: the same again.
//!
//! Nothing here decides; [`super::apply`] finds for each file whether it is done.

use std::path::Path;

use serde::Serialize;

use super::JournalError;
use super::apply;
use super::record::{Scan, whole_seconds};
use crate::env::Env;
use crate::id::OpId;
use crate::store::atomic;

/// An operation that was finished by a recovery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recovered {
    /// The operation.
    pub op: OpId,
    /// Its summary.
    pub summary: String,
    /// All its files.
    pub files: Vec<String>,
    /// Those that had been changed since, and whose edits were done again to the new text.
    pub rebased: Vec<String>,
}

pub(super) fn recover(project: &Path, env: &Env) -> Result<Vec<Recovered>, JournalError> {
    let scan = Scan::for_writing(project)?;
    // What is being undone is not finished first: finishing the undoing settles it.
    let unfinished = scan.records.iter().filter(|record| record.is_unfinished());
    let undone: Vec<OpId> = unfinished
        .filter_map(|record| record.undoes.clone())
        .collect();
    for folder in &scan.incomplete {
        atomic::remove_tree(folder)?;
    }
    let mut recovered = Vec::new();
    for mut record in scan.records {
        if !record.is_unfinished() || undone.contains(&record.op) {
            continue;
        }
        record.recovered_at = Some(whole_seconds(env.now()));
        for folder in record.folders(project)? {
            atomic::remove_leftovers(&folder);
        }
        let known: Vec<u32> = record.files.iter().map(|file| file.rebased).collect();
        apply::apply(project, &mut record)?;
        let is_rebased = record.files.iter().zip(known);
        let rebased = is_rebased.filter(|(file, before)| file.rebased > *before);
        recovered.push(Recovered {
            rebased: rebased.map(|(file, _)| file.path.clone()).collect(),
            files: record.files.iter().map(|file| file.path.clone()).collect(),
            op: record.op,
            summary: record.summary,
        });
    }
    Ok(recovered)
}
