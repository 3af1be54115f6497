//! The folder of an operation, whose name says how far the operation is.
//!
//! Every step to the next name is one rename inside `.state/ops`. So an operation comes into being whole, whether
//! any of a thousand projects has one to finish is seen without opening a file, and marking one as finished writes
//! nothing. A step that a power cut takes back is taken again by the next recovery. Nothing here knows what is in
//! such a folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::JournalError;
use crate::env::Env;
use crate::id::OpId;
use crate::store::{StoreError, atomic, layout};

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is being written; nobody has seen anything of it.
    New,
    /// It exists, and some of it may be visible.
    Open,
    /// All of it is visible, or it was undone. It is history.
    Finished,
    /// It is being forgotten.
    Old,
}

impl Stage {
    const ALL: [Self; 4] = [Self::New, Self::Open, Self::Finished, Self::Old];

    /// What follows the id in the folder's name. No id holds a `+`.
    fn suffix(self) -> &'static str {
        match self {
            Self::New => "+new",
            Self::Open => "+open",
            Self::Finished => "",
            Self::Old => "+old",
        }
    }
}

/// The folder of an operation at a stage.
pub(super) fn path(project: &Path, op: &OpId, stage: Stage) -> PathBuf {
    project.join(layout::op_dir(op) + stage.suffix())
}

/// The operation and the stage that a name stands for; `None` for what is not ours.
fn read_name(name: &str) -> Option<(OpId, Stage)> {
    let (id, suffix) = name.split_at(name.find('+').unwrap_or(name.len()));
    let stage = Stage::ALL
        .into_iter()
        .find(|stage| stage.suffix() == suffix)?;
    Some((id.parse().ok()?, stage))
}

/// The folders of a project's operations, in no order.
pub(super) fn list(project: &Path) -> Result<Vec<(OpId, Stage)>, JournalError> {
    let ops = project.join(layout::OPS);
    let fail = |source| StoreError::io("list", &ops, source);
    let entries = match fs::read_dir(&ops) {
        Ok(entries) => entries,
        Err(failure) if failure.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(fail(source).into()),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(fail)?.file_name();
        found.extend(name.to_str().and_then(read_name));
    }
    Ok(found)
}

/// Makes the folder of a new operation. An id that is taken, by an operation or by the rest of one, is passed
/// over: two processes with a fixed clock and counted ids would otherwise share a folder.
pub(super) fn make(project: &Path, env: &Env) -> Result<OpId, JournalError> {
    atomic::create_dir(&project.join(layout::OPS))?;
    let op = loop {
        let op = env.ids.op(env.now());
        let taken = |stage| path(project, &op, stage).exists();
        if !Stage::ALL.into_iter().any(taken) {
            break op;
        }
    };
    let dir = path(project, &op, Stage::New);
    fs::create_dir(&dir).map_err(|source| StoreError::io("create the folder", &dir, source))?;
    Ok(op)
}

/// Takes an operation from one stage to another. The caller syncs `.state/ops` where that has to survive a power
/// cut.
pub(super) fn step(project: &Path, op: &OpId, from: Stage, to: Stage) -> Result<(), JournalError> {
    let from = path(project, op, from);
    let moved = atomic::move_entry(&from, &path(project, op, to));
    moved.map_err(|source| StoreError::io("rename", &from, source).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_made_and_anything_else_is_not_ours() {
        let op: OpId = "20261120_134500-00000001".parse().unwrap();
        for stage in Stage::ALL {
            let path = path(Path::new("demo"), &op, stage);
            let name = path.file_name().unwrap().to_str().unwrap();
            assert_eq!(read_name(name), Some((op.clone(), stage)));
        }
        for other in ["", "+open", "a b", "x+opened", "x+open+old", ".gitignore"] {
            assert_eq!(read_name(other), None, "{other}");
        }
    }
}
