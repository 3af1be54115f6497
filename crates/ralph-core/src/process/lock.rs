//! The lock that a supervisor holds for its whole life, and that nobody else ever holds for long.
//!
//! An advisory lock of the operating system (flock) on a file that is never deleted: it is gone with the process,
//! however that ends. The file is opened close-on-exec, so a worker never inherits it. On a network file system
//! flock may be local to one machine, which is enough: a supervisor and its observers share one. A look takes a
//! *shared* lock for a moment, so looks do not disturb each other.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use super::table::Entry;

/// How often an exclusive attempt is repeated. A look holds its shared lock for microseconds, and a process that is
/// being started holds a copy of every lock of its parent until it runs.
const ATTEMPTS: u32 = 50;

/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(5);

/// An exclusive lock, held until it is dropped or the process ends.
#[derive(Debug)]
pub struct LifeLock {
    _file: File,
}

impl LifeLock {
    /// Takes the lock, or says that another process holds it (`None`).
    ///
    /// # Errors
    /// The file cannot be created or locked at all.
    pub fn try_take(path: &Path) -> io::Result<Option<Self>> {
        let file = open(path)?;
        for _ in 0..ATTEMPTS {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Self { _file: file })),
                Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Takes the lock at once or not at all; for locks that nobody looks at.
    ///
    /// # Errors
    /// As [`LifeLock::try_take`].
    pub fn try_take_once(path: &Path) -> io::Result<Option<Self>> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Takes the lock, however long that takes.
    ///
    /// # Errors
    /// As [`LifeLock::try_take`].
    pub fn take(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        file.lock()?;
        Ok(Self { _file: file })
    }
}

/// Opens a lock file, and makes it where there is none; for a lock that is taken and left again and again.
///
/// # Errors
/// The file cannot be opened or created.
pub fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
}

/// Whether a process holds the lock now. A file that does not exist is held by nobody.
///
/// # Errors
/// The file cannot be opened or locked.
pub fn is_held(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// A process that holds a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Whether it is stopped, as by Ctrl-Z or SIGSTOP, and gives back nothing until it goes on.
    pub is_stopped: bool,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)?;
        f.write_str(if self.is_stopped {
            ", which is stopped"
        } else {
            ""
        })
    }
}

/// Which process holds a lock, as far as the kernel tells (proc_locks(5)); `None` for one of another machine, of another
/// container, and where nobody does.
#[must_use]
pub fn holder(path: &Path) -> Option<Holder> {
    let inode = fs::metadata(path).ok()?.ino();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    // Waiters have an arrow before the kind.
    let lines = locks
        .lines()
        .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let held = lines.filter(|fields| fields.get(1) == Some(&"FLOCK"));
    let of_file = held.filter(|fields| {
        let file = fields.get(5).and_then(|file| file.rsplit_once(':'));
        file.is_some_and(|(_, found)| found.parse() == Ok(inode))
    });
    let pids = of_file.filter_map(|fields| fields.get(4)?.parse::<u32>().ok());
    // The number of a file is unique on its disk only, and that of a disk is not the same everywhere.
    let mut pids = pids.filter(|pid| has_open(*pid, path));
    let pid = pids.next()?;
    let is_stopped = matches!(Entry::read(pid)?.state, 'T' | 't');
    Some(Holder { pid, is_stopped })
}

fn has_open(pid: u32, path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else {
        return false;
    };
    match fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(open) => open
            .flatten()
            .any(|file| fs::read_link(file.path()).is_ok_and(|file| file == path)),
        // Of another user: it cannot be seen, and the number of the file says enough.
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    }
}

/// Returns when nobody holds the lock any more.
///
/// # Errors
/// As [`is_held`].
pub fn wait_until_free(path: &Path) -> io::Result<()> {
    match File::open(path) {
        Ok(file) => file.lock_shared(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// An exclusive lock on a file that stays open, left when dropped. It does not exclude its own holder: whoever shares
/// the open file has to agree on who uses it.
#[derive(Debug)]
pub struct Held<'a>(&'a File);

impl<'a> Held<'a> {
    /// The lock, unless somebody else has it.
    ///
    /// # Errors
    /// The file cannot be locked at all.
    pub fn try_take(file: &'a File) -> io::Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Waits for the lock.
    ///
    /// # Errors
    /// As [`Held::try_take`].
    pub fn take(file: &'a File) -> io::Result<Self> {
        loop {
            match file.lock() {
                Ok(()) => return Ok(Self(file)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // Cannot fail on a file that was locked through the same descriptor; the end of the process leaves it anyway.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_until_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        assert!(!is_held(&path).unwrap());
        let lock = LifeLock::try_take(&path).unwrap().unwrap();
        assert!(is_held(&path).unwrap());
        let this = Holder {
            pid: std::process::id(),
            is_stopped: false,
        };
        assert_eq!(holder(&path), Some(this));
        assert!(LifeLock::try_take_once(&path).unwrap().is_none());
        drop(lock);
        assert!(!is_held(&path).unwrap());
        assert_eq!(holder(&path), None);
        wait_until_free(&path).unwrap();
    }
}
