//! A glance at every project, in as little time as the disk and the cores allow.
//!
//! Reads `projects/<name>/.state/pipeline.json`, one level deep, and nothing else. The agent waits for this, so
//! files are shared out between threads and buffers are used again. One bad project is that project's outcome:
//! a pipe that would never end, a file without permission, even a panic while reading stays with it.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::fs::OFlags;

use super::glance::{ProjectGlance, glance};
use crate::pipeline::Skim;
use crate::store::layout;

/// More than any state that was seen, by a factor of eighty.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Below so many projects, a second thread costs more than it brings.
const WORTH_A_THREAD: usize = 8;

/// More threads than this wait for the disk together.
const MOST_THREADS: usize = 8;

/// Glances at all projects, ordered by name.
pub(super) fn scan<E: Display>(
    root: &Path,
    skim: impl Fn(&[u8]) -> Result<Skim, E> + Sync,
) -> Vec<ProjectGlance> {
    let folder = root.join(layout::PROJECTS);
    let names = match names(&folder) {
        Ok(names) => names,
        Err(error) => return vec![glance(layout::PROJECTS, Err(error))],
    };
    let next = AtomicUsize::new(0);
    let work = || share(&folder, &names, &next, &skim);
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
    found.sort_by(|one, other| one.slug.cmp(&other.slug));
    found
}

fn threads_for(projects: usize) -> usize {
    if projects < WORTH_A_THREAD {
        return 1;
    }
    thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MOST_THREADS)
}

/// What may be a project: every folder, or link, whose name does not start with a dot. No folder, no projects.
fn names(folder: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        entries => entries?,
    };
    Ok(entries
        .flatten()
        .filter(|entry| !entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.file_name())
        .filter(|name| !name.as_encoded_bytes().starts_with(b"."))
        .collect())
}

/// Takes projects until none is left.
fn share<E: Display>(
    folder: &Path,
    names: &[std::ffi::OsString],
    next: &AtomicUsize,
    skim: &impl Fn(&[u8]) -> Result<Skim, E>,
) -> Vec<ProjectGlance> {
    let mut buffer = Vec::new();
    let mut found = Vec::new();
    while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
        let slug = name.to_string_lossy();
        match read(&folder.join(name).join(layout::PIPELINE), &mut buffer) {
            Ok(Some(bytes)) => {
                let skimmed = catch_unwind(AssertUnwindSafe(|| skim(bytes)));
                found.push(match skimmed {
                    Ok(skimmed) => glance(&slug, skimmed),
                    Err(_) => glance(&slug, Err("reading it hit a bug")),
                });
            }
            Ok(None) => {}
            Err(error) => found.push(glance(&slug, Err(error))),
        }
    }
    found
}

/// A whole file, read with the same care; nothing when it cannot be read.
pub(super) fn content(path: &Path) -> Vec<u8> {
    let mut buffer = Vec::new();
    let length = match read(path, &mut buffer) {
        Ok(Some(bytes)) => bytes.len(),
        _ => 0,
    };
    buffer.truncate(length);
    buffer
}

/// Reads a file into `buffer`, which is only ever grown; `None` when there is no such file.
fn read<'a>(path: &Path, buffer: &'a mut Vec<u8>) -> io::Result<Option<&'a [u8]>> {
    let mut file = match open(path) {
        Err(error) if is_absent(&error) => return Ok(None),
        file => file?,
    };
    let facts = file.metadata()?;
    if !facts.is_file() {
        return Err(io::Error::other("expected a file, found something else"));
    }
    if facts.len() > LARGEST {
        return Err(io::Error::other("expected at most 64 MiB, found more"));
    }
    let length = usize::try_from(facts.len()).unwrap_or(0);
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    let mut filled = 0;
    while let Some(rest) = buffer
        .get_mut(filled..length)
        .filter(|rest| !rest.is_empty())
    {
        match file.read(rest) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(buffer.get(..filled))
}

/// Opens without waiting, so that a pipe in a file's place is found out instead of waited for.
fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
