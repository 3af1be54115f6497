//! A glance at every project, in as little time as the disk and the cores allow.
//!
//! Reads `projects/<name>/.state/pipeline.json`, one level deep, and nothing else. The agent waits for this, so
//! files are shared out between threads and buffers are used again. One bad project is that project's outcome:
//! a pipe that would never end, a file without permission, even a panic while reading stays with it.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;

use super::glance::{ProjectGlance, glance};
use super::memory::{Identity, Memory};
use crate::pipeline::Skim;
use crate::store::layout;

/// More than any state that was seen, by a factor of eighty.
const LARGEST: usize = 64 * 1024 * 1024;

/// Below so many projects, a second thread costs more than it brings.
const WORTH_A_THREAD: usize = 8;

/// More threads than this wait for the disk together.
const MOST_THREADS: usize = 8;

/// A project that was looked at.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) project: ProjectGlance,
    /// Of the file that was read or recalled; `None` where that was no regular file.
    pub(super) identity: Option<Identity>,
    /// Whether the file had to be read.
    pub(super) is_new: bool,
}

/// Glances at all projects, ordered by name. What is remembered of a file that is still the same is not read.
pub(super) fn scan<E: Display>(
    root: &Path,
    memory: &Memory<'_>,
    skim: impl Fn(&[u8]) -> Result<Skim, E> + Sync,
) -> Vec<Found> {
    let folder = root.join(layout::PROJECTS);
    let (folder, names) = match names(&folder) {
        Ok(Some(found)) => found,
        Ok(None) => return Vec::new(),
        Err(error) => return vec![unremarked(glance(layout::PROJECTS, Err(error)))],
    };
    let next = AtomicUsize::new(0);
    let work = || share(folder.as_fd(), &names, &next, memory, &skim);
    let mut found = thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads_for(names.len()))
            .filter_map(|_| thread::Builder::new().spawn_scoped(scope, work).ok())
            .collect();
        let mut found = work();
        // A helper cannot panic: each project is caught on its own.
        found.extend(
            helpers
                .into_iter()
                .filter_map(|helper| helper.join().ok())
                .flatten(),
        );
        found
    });
    found.sort_by(|one, other| one.project.slug.cmp(&other.project.slug));
    found
}

/// What must be looked at again each time.
fn unremarked(project: ProjectGlance) -> Found {
    Found {
        project,
        identity: None,
        is_new: true,
    }
}

fn threads_for(projects: usize) -> usize {
    if projects < WORTH_A_THREAD {
        return 1;
    }
    thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MOST_THREADS)
}

/// The folder, and the names in it that may be projects: every folder, or link, whose name does not start with a dot.
/// No folder, no projects.
fn names(folder: &Path) -> io::Result<Option<(File, Vec<OsString>)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if is_absent(&error) => return Ok(None),
        entries => entries?,
    };
    let mut names: Vec<OsString> = entries
        .flatten()
        .filter(|entry| !entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.file_name())
        .filter(|name| !name.as_encoded_bytes().starts_with(b"."))
        .collect();
    // What is found in this order needs hardly any more sorting, and is larger.
    names.sort_unstable();
    // Files are opened from here: the way to them is long, and the same for all.
    Ok(Some((File::open(folder)?, names)))
}

/// Takes projects until none is left.
fn share<E: Display>(
    folder: BorrowedFd<'_>,
    names: &[OsString],
    next: &AtomicUsize,
    memory: &Memory<'_>,
    skim: &impl Fn(&[u8]) -> Result<Skim, E>,
) -> Vec<Found> {
    let mut buffer = Vec::new();
    let mut found = Vec::new();
    let mut path = PathBuf::new();
    while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
        let slug = name.to_string_lossy();
        path.clear();
        path.extend([Path::new(name), Path::new(layout::PIPELINE)]);
        if let Some(recalled) = recalled(folder, &path, &slug, memory) {
            found.push(recalled);
            continue;
        }
        let (identity, bytes) = match read(folder, &path, &mut buffer) {
            Ok(Some(read)) => read,
            Ok(None) => continue,
            Err(error) => {
                found.push(unremarked(glance(&slug, Err(error))));
                continue;
            }
        };
        // One bad state is that project's outcome, also when reading it hits a bug of ours.
        let skimmed = catch_unwind(AssertUnwindSafe(|| skim(bytes)));
        found.push(Found {
            project: match skimmed {
                Ok(skimmed) => glance(&slug, skimmed),
                Err(_) => glance(&slug, Err("reading it hit a bug")),
            },
            identity,
            is_new: true,
        });
    }
    found
}

/// A project whose state is the one that is remembered.
fn recalled(folder: BorrowedFd<'_>, path: &Path, slug: &str, memory: &Memory<'_>) -> Option<Found> {
    if memory.is_empty() {
        return None;
    }
    let identity = Identity::of(&statat(folder, path, AtFlags::empty()).ok()?)?;
    let seen = memory.recall(slug, &identity)?;
    Some(Found {
        project: ProjectGlance {
            slug: slug.to_owned(),
            seen: Ok(seen),
        },
        identity: Some(identity),
        is_new: false,
    })
}

/// A whole file, read with the same care; nothing when it cannot be read.
pub(super) fn content(path: &Path) -> Vec<u8> {
    let mut buffer = Vec::new();
    let length = match read(CWD, path, &mut buffer) {
        Ok(Some((_, bytes))) => bytes.len(),
        _ => 0,
    };
    buffer.truncate(length);
    buffer
}

/// Reads a file below `folder` into `buffer`, which is only ever grown, and says which file that was before it was read;
/// `None` when there is no such file.
fn read<'a>(
    folder: BorrowedFd<'_>,
    path: &Path,
    buffer: &'a mut Vec<u8>,
) -> io::Result<Option<(Option<Identity>, &'a [u8])>> {
    // Without waiting, so that a pipe in a file's place is found out instead of waited for.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match openat(folder, path, flags, Mode::empty()) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        file => file?,
    };
    let facts = fstat(&file)?;
    if FileType::from_raw_mode(facts.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("expected a file, found something else"));
    }
    let length = usize::try_from(facts.st_size).unwrap_or(0);
    if length > LARGEST {
        return Err(io::Error::other("expected at most 64 MiB, found more"));
    }
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    let mut filled = 0;
    while let Some(rest) = buffer
        .get_mut(filled..length)
        .filter(|rest| !rest.is_empty())
    {
        match rustix::io::read(&file, rest) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let bytes = buffer.get(..filled).unwrap_or_default();
    Ok(Some((Identity::of(&facts), bytes)))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
