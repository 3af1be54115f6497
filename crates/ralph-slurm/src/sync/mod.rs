//! The files of a project that are sent when jobs do not clone: `experiments/`, `configs/`, `slurm/jobs/`.
//!
//! Only what differs in size or time travels, as one archive. Nothing is ever deleted there: a file that is gone here
//! stays (incidents 31, 32 and 72).

mod pattern;

use std::collections::BTreeMap;
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

/// Brings the cluster's copy of a project's files up to date; gives the paths that were sent.
pub(crate) async fn synchronise(
    remote: &Remote,
    workspace: &Path,
    project: &Slug,
    excludes: &Excludes,
) -> Result<Vec<String>, BackendError> {
    let folder = workspace.join("projects").join(project.as_str());
    let local = local_files(&folder, excludes).map_err(|(path, error)| BackendError::Storage {
        path: path.display().to_string(),
        detail: error.to_string(),
    })?;
    if local.is_empty() {
        return Ok(Vec::new());
    }
    let there = listing(remote, project).await?;
    let changed: BTreeMap<&String, &LocalFile> = local
        .iter()
        .filter(|(path, file)| there.get(path.as_str()) != Some(&file.stamp))
        .collect();
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    let archive = archive(project, &changed).map_err(|error| BackendError::Storage {
        path: folder.display().to_string(),
        detail: error.to_string(),
    })?;
    send(remote, &archive).await?;
    Ok(changed.into_keys().cloned().collect())
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

async fn listing(remote: &Remote, project: &Slug) -> Result<BTreeMap<String, Stamp>, BackendError> {
    let mut arguments = vec![project.as_str()];
    arguments.extend(FOLDERS);
    let reply = remote
        .call(Call {
            script: &LISTING,
            arguments: &arguments,
            data: b"",
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

fn archive(project: &Slug, files: &BTreeMap<&String, &LocalFile>) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (relative, file) in files {
        let bytes = std::fs::read(&file.path)?;
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(file.mode);
        header.set_mtime(u64::try_from(file.stamp.seconds).unwrap_or(0));
        archive.append_data(
            &mut header,
            format!("projects/{project}/{relative}"),
            bytes.as_slice(),
        )?;
    }
    archive.into_inner()
}
