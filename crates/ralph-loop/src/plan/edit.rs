//! The plan is written only over the bytes that were read. It is the user's file: people and agents write it too.

use std::path::{Path, PathBuf};

use ralph_core::store::atomic;

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

/// Puts the edited text in the file's place, keeping its mode and following links, if the file still holds `before`.
/// The text is on disk before it has its name, so no power cut leaves half a plan; which of two whole ones it leaves is
/// not promised, since the record of a claim tells.
///
/// The bytes are compared when the new file is complete and only its name is missing, which leaves some
/// microseconds in which a write of somebody else would be lost. No file system offers less.
pub(super) fn write(path: &Path, before: &str, after: &str) -> Result<Written, PlanError> {
    Ok(publish(path, before, after)?.0)
}

/// As [`write`], and when it returns the new text survives a power cut: for a tick.
pub(super) fn write_durably(path: &Path, before: &str, after: &str) -> Result<Written, PlanError> {
    let (written, folder) = publish(path, before, after)?;
    if let Some(folder) = folder {
        atomic::sync_dir(&folder)?;
    }
    Ok(written)
}

fn publish(
    path: &Path,
    before: &str,
    after: &str,
) -> Result<(Written, Option<PathBuf>), PlanError> {
    if after == before {
        return Ok((Written::Needless, None));
    }
    let staged = atomic::stage(path, after.as_bytes(), None)?;
    if atomic::read(path)?.as_deref() != Some(before.as_bytes()) {
        return Ok((Written::No, None));
    }
    Ok((Written::Yes, Some(staged.publish()?)))
}
