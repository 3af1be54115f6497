//! The files of a project that are sent when jobs do not clone: `experiments/`, `configs/`, `slurm/jobs/`.
//!
//! Only what differs in size or time travels, as one archive. Nothing is ever deleted there: a file that is gone here
//! stays (incidents 31, 32 and 72).

mod pattern;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ralph_core::backend::BackendError;
use ralph_core::id::Slug;

use crate::capabilities::no_root;
use crate::remote::{Call, Remote};
use crate::script::{LISTING, RECEIVE};
pub(crate) use pattern::Excludes;

/// The folders that are sent, relative to the project's.
const FOLDERS: [&str; 3] = ["experiments", "configs", "slurm/jobs"];

/// Brings the cluster's copies of these projects' files up to date, in two calls however many there are. Gives what
/// was sent of each project, or why its files could not be read here.
///
/// # Errors
/// The cluster could not be asked, or could not keep the files.
pub(crate) async fn synchronise(
    remote: &Remote,
    workspace: &Path,
    projects: &BTreeSet<&Slug>,
    excludes: &Excludes,
) -> Result<BTreeMap<Slug, Result<Vec<String>, BackendError>>, BackendError> {
    let mut sent = BTreeMap::new();
    let mut local = BTreeMap::new();
    for project in projects {
        let folder = workspace.join("projects").join(project.as_str());
        match local_files(&folder, excludes) {
            Ok(files) if files.is_empty() => {
                sent.insert((*project).clone(), Ok(Vec::new()));
            }
            Ok(files) => {
                local.insert(*project, files);
            }
            Err((path, error)) => {
                sent.insert((*project).clone(), Err(unreadable(&path, &error)));
            }
        }
    }
    if local.is_empty() {
        return Ok(sent);
    }
    let there = listing(remote, local.keys().copied()).await?;
    let mut archive = tar::Builder::new(Vec::new());
    let mut anything = false;
    for (project, files) in local {
        let is_new = |path: &str, file: &LocalFile| {
            there.get(&format!("{project}/{path}")) != Some(&file.stamp)
        };
        let changed: BTreeMap<&String, &LocalFile> = files
            .iter()
            .filter(|(path, file)| is_new(path, file))
            .collect();
        let result = match pack(&mut archive, project, &changed) {
            Ok(()) => Ok(changed.keys().map(|path| (*path).clone()).collect()),
            Err((path, error)) => Err(unreadable(&path, &error)),
        };
        anything |= !changed.is_empty();
        sent.insert(project.clone(), result);
    }
    if anything {
        let archive = archive
            .into_inner()
            .map_err(|error| unreadable(workspace, &error))?;
        send(remote, &archive).await?;
    }
    Ok(sent)
}

fn unreadable(path: &Path, error: &io::Error) -> BackendError {
    BackendError::Storage {
        path: path.display().to_string(),
        detail: error.to_string(),
    }
}

/// Size in bytes and time of the last change in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    size: u64,
    seconds: i64,
}

#[derive(Debug)]
struct LocalFile {
    path: PathBuf,
    stamp: Stamp,
    mode: u32,
}

/// Files that are there, by their path relative to `projects/`.
async fn listing<'a>(
    remote: &Remote,
    projects: impl Iterator<Item = &'a Slug>,
) -> Result<BTreeMap<String, Stamp>, BackendError> {
    let lines: String = projects.map(|project| format!("{project}\n")).collect();
    let reply = remote
        .call(Call {
            script: &LISTING,
            arguments: &FOLDERS,
            data: lines.as_bytes(),
            limit: Duration::from_secs(120),
        })
        .await?
        .whole()?;
    if let Some(missing) = reply.part("missing") {
        return Err(no_root(remote, missing));
    }
    // A cluster whose `find` cannot print gets every file.
    let text = reply.answer("listing").unwrap_or_default();
    Ok(text.lines().filter_map(listed).collect())
}

/// A line `SIZE SECONDS.FRACTION PATH`.
fn listed(line: &str) -> Option<(String, Stamp)> {
    let mut words = line.splitn(3, ' ');
    let size = words.next()?.parse().ok()?;
    let seconds = words.next()?.split('.').next()?.parse().ok()?;
    Some((words.next()?.to_owned(), Stamp { size, seconds }))
}

async fn send(remote: &Remote, archive: &[u8]) -> Result<(), BackendError> {
    let reply = remote
        .call(Call {
            script: &RECEIVE,
            arguments: &[],
            data: archive,
            // A slow line carries 100 kB a second.
            limit: Duration::from_secs(60 + archive.len() as u64 / 100_000),
        })
        .await?
        .whole()?;
    if let Some(missing) = reply.part("missing") {
        return Err(no_root(remote, missing));
    }
    reply
        .answer("receive")
        .map(drop)
        .map_err(|detail| BackendError::Storage {
            path: remote.root().to_owned(),
            detail,
        })
}

/// The files to be there, by their path relative to the project's folder.
fn local_files(
    folder: &Path,
    excludes: &Excludes,
) -> Result<BTreeMap<String, LocalFile>, (PathBuf, io::Error)> {
    let mut files = BTreeMap::new();
    let mut open: Vec<String> = FOLDERS.iter().map(|&name| name.to_owned()).collect();
    while let Some(relative) = open.pop() {
        let path = folder.join(&relative);
        let fail = |error| (path.clone(), error);
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(fail(error)),
        };
        for entry in entries {
            let entry = entry.map_err(fail)?;
            // A name that is not text, or holds a line break, cannot be told from another in the listing.
            let Some(name) = entry
                .file_name()
                .to_str()
                .filter(|name| !name.contains('\n'))
                .map(str::to_owned)
            else {
                continue;
            };
            let relative = format!("{relative}/{name}");
            let is_folder = entry.file_type().map_err(fail)?.is_dir();
            if excludes.leaves_out(&relative, is_folder) {
                continue;
            }
            if is_folder {
                open.push(relative);
            } else if let Some(file) = regular(&entry.path()) {
                files.insert(relative, file);
            }
        }
    }
    Ok(files)
}

/// A regular file, also behind a link; a link to a folder or to nothing is left out.
fn regular(path: &Path) -> Option<LocalFile> {
    let metadata: Metadata = std::fs::metadata(path).ok().filter(Metadata::is_file)?;
    Some(LocalFile {
        path: path.to_owned(),
        stamp: Stamp {
            size: metadata.len(),
            seconds: metadata.mtime(),
        },
        mode: metadata.mode() & 0o777,
    })
}

/// Adds files of a project to an archive.
fn pack(
    archive: &mut tar::Builder<Vec<u8>>,
    project: &Slug,
    files: &BTreeMap<&String, &LocalFile>,
) -> Result<(), (PathBuf, io::Error)> {
    for (relative, file) in files {
        let fail = |error| (file.path.clone(), error);
        let bytes = std::fs::read(&file.path).map_err(fail)?;
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(file.mode);
        header.set_mtime(u64::try_from(file.stamp.seconds).unwrap_or(0));
        let path = format!("projects/{project}/{relative}");
        archive
            .append_data(&mut header, path, bytes.as_slice())
            .map_err(fail)?;
    }
    Ok(())
}
