//! A second name for a file that is only ever replaced: under it the file stays as it was. What must never be here: a
//! name for a file that is written in place.

use std::fs;
use std::path::Path;

use super::StoreError;
use super::atomic::remove_unsynced;

/// Gives a file a second name, in place of whatever has that name. Not synced. `false` where the file system has no
/// second names, or the file is not there.
///
/// # Errors
/// What has the name cannot be removed.
pub fn second_name(path: &Path, name: &Path) -> Result<bool, StoreError> {
    remove_unsynced(name)?;
    Ok(fs::hard_link(path, name).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::atomic;

    #[test]
    fn what_has_a_second_name_stays_as_it_was_when_it_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let [path, name] = ["file", "name"].map(|name| folder.path().join(name));
        assert!(!second_name(&path, &name).unwrap());
        for text in ["one", "two"] {
            atomic::replace(&path, text.as_bytes()).unwrap();
            assert!(second_name(&path, &name).unwrap());
            atomic::replace(&path, b"newer").unwrap();
            assert_eq!(fs::read_to_string(&name).unwrap(), text);
        }
        fs::create_dir(folder.path().join("folder")).unwrap();
        assert!(second_name(&path, &folder.path().join("folder")).is_err());
    }
}
