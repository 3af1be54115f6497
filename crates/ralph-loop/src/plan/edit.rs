//! The plan is written only over the bytes that were read. It is the user's file: people and agents write it too.

use std::path::Path;

use ralph_core::store::atomic;
use ralph_docs::EditSet;

use super::PlanError;

/// What came of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// The new text is there.
    Yes,
    /// There was nothing to change.
    Needless,
    /// Somebody else has changed the file since it was read; it is as they left it.
    No,
}

/// Puts the edited text in the file's place, keeping its mode and following links, if the file still holds `text`.
///
/// The bytes are compared when the new file is complete and only its name is missing, which leaves some
/// microseconds in which a write of somebody else would be lost. No file system offers less.
pub(super) fn write(path: &Path, text: &str, edits: &EditSet) -> Result<Written, PlanError> {
    if edits.is_empty() {
        return Ok(Written::Needless);
    }
    let staged = atomic::stage(path, edits.apply(text).as_bytes(), None)?;
    if atomic::read(path)?.as_deref() != Some(text.as_bytes()) {
        return Ok(Written::No);
    }
    atomic::sync_dir(&staged.publish()?)?;
    Ok(Written::Yes)
}
