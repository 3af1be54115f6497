//! Files that are replaced as a whole: a reader sees the old bytes or the new ones, never a part.
//!
//! The only module of the product that replaces, renames or removes a file of a workspace; [`super::append`]
//! appends. The sequence is: new file with a random name in the same folder, its data to disk, rename, the folder
//! to disk. [`stage`] and [`sync_dir`] are the two halves for the journal, which replaces many files and syncs each
//! folder once.
//! What must never be here: knowledge of what a file means, and a fixed temporary name.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

pub use super::error::StoreError;
pub use super::leftover::{is_leftover, remove_leftovers, remove_old_leftovers};
pub use super::tree::{remove_empty_dir, remove_tree};
use crate::crash_point;

/// The permissions of a new file, before the user's umask is taken off.
pub(super) const NEW_FILE_MODE: u32 = 0o644;
/// How temporary files begin and end; [`is_leftover`] knows them by it, and git by `.ralph-*.tmp`.
pub(super) const TEMPORARY: (&str, &str) = (".ralph-", ".tmp");
/// As many links as Linux follows (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// A new content on disk beside its target, not yet visible. Dropping it removes it.
#[derive(Debug)]
#[must_use = "a staged file is not visible until it is published"]
pub struct Staged {
    temporary: NamedTempFile,
    target: PathBuf,
}

impl Staged {
    /// Makes the content visible and returns the folder that is still to be synced.
    ///
    /// # Errors
    /// The rename was refused; the old file is untouched.
    pub fn publish(self) -> Result<PathBuf, StoreError> {
        self.temporary
            .persist(&self.target)
            .map_err(|failure| StoreError::io("replace", &self.target, failure.error))?;
        crash_point!("atomic.renamed");
        Ok(folder(&self.target).to_owned())
    }

    /// As [`Staged::publish`], but never over an existing file.
    fn publish_new(self) -> Result<PathBuf, StoreError> {
        self.temporary
            .persist_noclobber(&self.target)
            .map_err(|failure| match failure.error.kind() {
                io::ErrorKind::AlreadyExists => StoreError::Exists {
                    path: self.target.clone(),
                },
                _ => StoreError::io("create", &self.target, failure.error),
            })?;
        crash_point!("atomic.created");
        Ok(folder(&self.target).to_owned())
    }
}

/// Writes `bytes` beside `path` and brings them to disk. A symbolic link is followed, the mode of an existing
/// file is kept, and a new file gets `new_mode` less the umask.
///
/// # Errors
/// See [`replace`].
pub fn stage(path: &Path, bytes: &[u8], new_mode: Option<u32>) -> Result<Staged, StoreError> {
    let staged = stage_unsynced(path, bytes, new_mode)?;
    let synced = staged.temporary.as_file().sync_all();
    synced.map_err(|source| StoreError::io("write beside", path, source))?;
    Ok(staged)
}

/// As [`stage`], without waiting for the disk: every reader sees the old bytes or the new ones, but a power cut may
/// leave neither. For records that mean nothing once the machine has stopped.
///
/// # Errors
/// See [`replace`].
pub fn stage_unsynced(
    path: &Path,
    bytes: &[u8],
    new_mode: Option<u32>,
) -> Result<Staged, StoreError> {
    let target = resolve(path)?;
    let old = match fs::metadata(&target) {
        Ok(found) if !found.is_file() => return Err(not_a_file(path, found.file_type())),
        Ok(found) => Some(found.permissions()),
        Err(failure) if failure.kind() == io::ErrorKind::NotFound => None,
        Err(failure) => return Err(StoreError::io("look at", path, failure)),
    };
    let fail = |source| StoreError::io("write beside", path, source);
    let mut temporary = tempfile::Builder::new()
        .prefix(TEMPORARY.0)
        .suffix(TEMPORARY.1)
        .permissions(Permissions::from_mode(new_mode.unwrap_or(NEW_FILE_MODE)))
        .tempfile_in(folder(&target))
        .map_err(fail)?;
    if let Some(permissions) = old {
        // The umask has cut the mode given at creation, so it is set again.
        temporary
            .as_file()
            .set_permissions(permissions)
            .map_err(fail)?;
    }
    temporary.write_all(bytes).map_err(fail)?;
    crash_point!("atomic.written");
    Ok(Staged { temporary, target })
}

/// Replaces a file, or creates it. When this returns, the new content survives a power cut.
///
/// # Errors
/// [`StoreError::Io`] and [`StoreError::NotAFile`]. The old file is whole and unchanged unless only the last
/// step, syncing the folder, failed: then the new one is in place but might not survive a power cut.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    sync_dir(&stage(path, bytes, None)?.publish()?)
}

/// Creates a file that must not exist.
///
/// # Errors
/// [`StoreError::Exists`] when it does, whoever created it; otherwise as [`replace`].
pub fn create_new(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    sync_dir(&stage(path, bytes, None)?.publish_new()?)
}

/// Removes a file; one that is not there is no error. Of a symbolic link the link is removed.
///
/// # Errors
/// [`StoreError::Io`], also for a folder.
pub fn remove(path: &Path) -> Result<(), StoreError> {
    match remove_unsynced(path)? {
        Some(folder) => sync_dir(&folder),
        None => Ok(()),
    }
}

/// Removes a file and returns the folder that is still to be synced, `None` when there was no file.
///
/// # Errors
/// As [`remove`].
pub fn remove_unsynced(path: &Path) -> Result<Option<PathBuf>, StoreError> {
    match fs::remove_file(path) {
        Ok(()) => {
            crash_point!("atomic.removed");
            Ok(Some(folder(path).to_owned()))
        }
        // Nor is it there where its folder is a file, as the branches' is in a repository with a reftable.
        Err(failure) if is_absence(&failure) => Ok(None),
        Err(failure) => Err(StoreError::io("remove", path, failure)),
    }
}

/// The bytes of a file, `None` where there is none.
///
/// # Errors
/// [`StoreError::Io`], and [`StoreError::NotAFile`] for anything that is not a regular file; a named pipe does
/// not block.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let fail = |source| StoreError::io("read", path, source);
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(failure) if failure.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(failure) => return Err(fail(failure)),
    };
    let found = file.metadata().map_err(fail)?;
    if !found.is_file() {
        return Err(not_a_file(path, found.file_type()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(found.len()).unwrap_or(0));
    file.read_to_end(&mut bytes).map_err(fail)?;
    Ok(Some(bytes))
}

/// The text of a file, `None` where there is none.
///
/// # Errors
/// As [`read`], and [`StoreError::NotText`].
pub fn read_text(path: &Path) -> Result<Option<String>, StoreError> {
    let Some(bytes) = read(path)? else {
        return Ok(None);
    };
    String::from_utf8(bytes).map(Some).map_err(|failure| {
        let at = failure.utf8_error().valid_up_to();
        let before = failure.as_bytes().iter().take(at);
        StoreError::NotText {
            path: path.to_owned(),
            at,
            line: before.filter(|byte| **byte == b'\n').count() + 1,
        }
    })
}

/// Creates a folder and those above it; each new entry is brought to disk.
///
/// # Errors
/// [`StoreError::Io`].
pub fn create_dir(dir: &Path) -> Result<(), StoreError> {
    let mut missing = Vec::new();
    let mut at = dir;
    while !at.is_dir() {
        missing.push(at);
        match at.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => at = parent,
            _ => break,
        }
    }
    fs::create_dir_all(dir).map_err(|source| StoreError::io("create the folder", dir, source))?;
    missing
        .iter()
        .rev()
        .try_for_each(|made| sync_dir(folder(made)))
}

/// Brings a folder's entries to disk.
///
/// # Errors
/// [`StoreError::Io`]. A file system that cannot sync folders (some network ones answer `EINVAL`) is none.
pub fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    let synced = File::open(dir).and_then(|opened| opened.sync_all());
    match synced {
        Err(failure)
            if !matches!(
                failure.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Err(StoreError::io("bring to disk the folder", dir, failure))
        }
        _ => Ok(()),
    }
}

/// Moves an entry, such as a folder of ours, without bringing anything to disk.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that renames what is not a staged file"
)]
pub fn move_entry(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// Writes a file that nothing refers to yet, in place. It is on disk once the returned file is synced, which the
/// caller does for many at once.
///
/// # Errors
/// [`StoreError::Io`].
pub(crate) fn write_unsynced(path: &Path, bytes: &[u8], mode: u32) -> Result<File, StoreError> {
    let fail = |source| StoreError::io("write", path, source);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(mode);
    let mut file = options.open(path).map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
    Ok(file)
}

/// Brings a file that was written by [`write_unsynced`] to disk.
///
/// # Errors
/// [`StoreError::Io`].
pub(crate) fn sync_file(path: &Path, file: &File) -> Result<(), StoreError> {
    file.sync_all()
        .map_err(|source| StoreError::io("bring to disk", path, source))
}

/// The folder in which a file really lies, behind symbolic links at the end of its path.
///
/// # Errors
/// [`StoreError::NotAFile`] for a chain of links without an end.
pub(crate) fn folder_of(path: &Path) -> Result<PathBuf, StoreError> {
    Ok(folder(&resolve(path)?).to_owned())
}

/// The permissions of a file, `None` where there is none.
pub(crate) fn mode_of(path: &Path) -> Option<u32> {
    fs::metadata(path)
        .ok()
        .map(|found| found.permissions().mode() & 0o7777)
}

fn is_absence(failure: &io::Error) -> bool {
    matches!(
        failure.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Follows links at its end, so that the file is replaced and not the link; one to nothing names a new file.
fn resolve(path: &Path) -> Result<PathBuf, StoreError> {
    let mut at = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&at) {
            Ok(to) => at = folder(&at).join(to),
            // EINVAL says that it is no link; anything else will be said again, better, by the next step.
            Err(_) => return Ok(at),
        }
    }
    Err(StoreError::NotAFile {
        path: path.to_owned(),
        found: "a chain of symbolic links without an end",
    })
}

pub(super) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

pub(super) fn not_a_file(path: &Path, found: fs::FileType) -> StoreError {
    StoreError::NotAFile {
        path: path.to_owned(),
        found: if found.is_dir() {
            "a folder"
        } else if found.is_fifo() {
            "a named pipe"
        } else {
            "a device or a socket"
        },
    }
}
