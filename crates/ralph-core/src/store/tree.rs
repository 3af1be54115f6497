//! Folders that go, with or without what is in them. What must never be here: a decision which ones may.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::error::StoreError;

/// Removes a folder with everything in it; one that is not there is no error. Folders in it that were made read-only,
/// as the cache of Go's modules is, are made writable first.
///
/// # Errors
/// [`StoreError::Io`].
pub fn remove_tree(dir: &Path) -> Result<(), StoreError> {
    let mut removed = fs::remove_dir_all(dir);
    if matches!(&removed, Err(failure) if failure.kind() == io::ErrorKind::PermissionDenied) {
        make_writable(dir);
        removed = fs::remove_dir_all(dir);
    }
    match removed {
        Err(failure) if failure.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io("remove the folder", dir, failure))
        }
        _ => Ok(()),
    }
}

/// Lets the owner in. What cannot be changed is seen when it is removed; links are not followed.
fn make_writable(dir: &Path) {
    let _ = fs::set_permissions(dir, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_writable(&entry.path());
        }
    }
}

/// Removes a folder if it is empty. One that is not, or is not there, stays as it is.
pub fn remove_empty_dir(dir: &Path) {
    // The system refuses for a folder that holds anything, which is what is wanted.
    let _ = fs::remove_dir(dir);
}
