//! The two services of the file system that a lock stands on and that not every file system has.
//!
//! Nothing is decided here. They are functions in a value so that a test can take each of them away.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};

/// The services in use.
#[derive(Debug, Clone, Copy)]
pub(super) struct System {
    /// Takes an advisory lock or says at once that it is taken. `flock(2)`, which excludes and is excluded by
    /// the `fd-lock` crate and `flock(1)`; the standard library's, since the lock lives in a struct.
    pub(super) try_lock: fn(&File) -> Result<(), TryLockError>,
    /// Renames, but never over something.
    pub(super) rename_new: fn(&Path, &Path) -> io::Result<()>,
}

impl System {
    /// The operating system's own.
    pub(super) const REAL: Self = Self {
        try_lock: File::try_lock,
        rename_new: |from, to| {
            renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(io::Error::from)
        },
    };
}
