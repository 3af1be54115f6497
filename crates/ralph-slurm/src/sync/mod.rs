//! The files of a project that are sent when jobs do not clone: `experiments/`, `configs/`, `slurm/jobs/`.
//!
//! Only what differs in size or time travels, in archives of bounded size; what is larger than one travels in pieces.
//! Nothing is ever deleted there: a file that is gone here stays (incidents 31, 32 and 72). What cannot be sent although
//! nobody excluded it is said.

mod local;
mod pattern;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use ralph_core::backend::BackendError;
use ralph_core::id::Slug;
use ralph_core::project;

use crate::capabilities::no_root;
use crate::remote::{Call, Remote};
use crate::script::{LISTING, PIECE, RECEIVE, RemoteScript};
use local::{LocalFile, LocalFiles};
pub(crate) use pattern::Excludes;

/// The folders that are sent, relative to the project's.
const FOLDERS: [&str; 3] = ["experiments", "configs", "slurm/jobs"];

/// Bytes of one call, and so about what is held in memory, however much is sent.
const AT_ONCE: u64 = 8 << 20;

/// What became of a project's files.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// What was sent, relative to the project's folder.
    pub(crate) paths: Vec<String>,
    /// What was not, though nobody excluded it: the path, and why.
    pub(crate) left_out: Vec<String>,
}

impl Sent {
    /// Adds what was not sent to the remarks about a job.
    pub(crate) fn remark(&self, remarks: &mut String) {
        for left_out in &self.left_out {
            if !remarks.is_empty() {
                remarks.push('\n');
            }
            remarks.push_str("not sent to the cluster: ");
            remarks.push_str(left_out);
        }
    }
}

/// Brings the cluster's copies of these projects' files up to date, in two calls however many there are, and in as many
/// more as the bytes need. Gives what was sent of each project, or why its files could not be read here.
///
/// # Errors
/// The cluster could not be asked, or could not keep the files.
pub(crate) async fn synchronise(
    remote: &Remote,
    workspace: &Path,
    projects: &BTreeSet<&Slug>,
    excludes: &Excludes,
) -> Result<BTreeMap<Slug, Result<Sent, BackendError>>, BackendError> {
    let mut sent = BTreeMap::new();
    let mut local = BTreeMap::new();
    for project in projects {
        let folder = project::folder(workspace, project);
        match LocalFiles::of(&folder, excludes) {
            Ok(found) => {
                let outcome = Sent {
                    left_out: found.left_out,
                    ..Sent::default()
                };
                sent.insert((*project).clone(), Ok(outcome));
                if !found.files.is_empty() {
                    local.insert(*project, found.files);
                }
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
    let mut outgoing = Outgoing::new(remote);
    for (project, files) in local {
        for (relative, file) in files {
            let below = format!("{project}/{relative}");
            if there.get(&below) == Some(&file.stamp) {
                continue;
            }
            let Some(Ok(outcome)) = sent.get_mut(project) else {
                break;
            };
            match outgoing.add(&format!("projects/{below}"), &file).await? {
                Ok(()) => outcome.paths.push(relative),
                Err(error) => {
                    sent.insert(project.clone(), Err(unreadable(&file.path, &error)));
                }
            }
        }
    }
    outgoing.send().await?;
    Ok(sent)
}

/// An archive that grows until it is sent.
struct Outgoing<'a> {
    remote: &'a Remote,
    archive: tar::Builder<Vec<u8>>,
}

impl<'a> Outgoing<'a> {
    fn new(remote: &'a Remote) -> Self {
        Self {
            remote,
            archive: tar::Builder::new(Vec::new()),
        }
    }

    /// Takes a file; the inner error is about the file, the outer one about the cluster.
    async fn add(
        &mut self,
        path: &str,
        file: &LocalFile,
    ) -> Result<Result<(), io::Error>, BackendError> {
        if file.stamp.size > AT_ONCE {
            return self.add_in_pieces(path, file).await;
        }
        let held = self.archive.get_ref().len() as u64;
        if held > 0 && held + file.stamp.size > AT_ONCE {
            self.send().await?;
        }
        Ok(self.append(path, file))
    }

    fn append(&mut self, path: &str, file: &LocalFile) -> io::Result<()> {
        let bytes = std::fs::read(&file.path)?;
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(file.mode);
        header.set_mtime(file.seconds());
        self.archive
            .append_data(&mut header, path, bytes.as_slice())
    }

    /// A file that is larger than a call: its pieces are put together beside the receipts, and the whole takes its place
    /// in one step.
    async fn add_in_pieces(
        &self,
        path: &str,
        file: &LocalFile,
    ) -> Result<Result<(), io::Error>, BackendError> {
        let mut open = match std::fs::File::open(&file.path) {
            Ok(open) => open,
            Err(error) => return Ok(Err(error)),
        };
        let part = self.remote.fresh_id();
        let (mode, seconds) = (format!("{:o}", file.mode), file.seconds().to_string());
        let mut offset: u64 = 0;
        let mut piece = Vec::new();
        loop {
            piece.clear();
            if let Err(error) = open.by_ref().take(AT_ONCE).read_to_end(&mut piece) {
                return Ok(Err(error));
            }
            let is_last = (piece.len() as u64) < AT_ONCE;
            let (before, place) = (offset.to_string(), if is_last { path } else { "" });
            let arguments = [&*part, &*before, place, &*mode, &*seconds];
            give(self.remote, &PIECE, &arguments, &piece).await?;
            offset += piece.len() as u64;
            if is_last {
                return Ok(Ok(()));
            }
        }
    }

    /// Sends what was taken.
    async fn send(&mut self) -> Result<(), BackendError> {
        let archive = std::mem::replace(&mut self.archive, tar::Builder::new(Vec::new()));
        if archive.get_ref().is_empty() {
            return Ok(());
        }
        let archive = archive
            .into_inner()
            .map_err(|error| unreadable(Path::new("the archive of files"), &error))?;
        give(self.remote, &RECEIVE, &[], &archive).await
    }
}

impl LocalFile {
    fn seconds(&self) -> u64 {
        u64::try_from(self.stamp.seconds).unwrap_or(0)
    }
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

/// Hands bytes to a script that keeps them; its part with the answer has the script's name.
async fn give(
    remote: &Remote,
    script: &'static RemoteScript,
    arguments: &[&str],
    data: &[u8],
) -> Result<(), BackendError> {
    let reply = remote
        .call(Call {
            script,
            arguments,
            data,
            // A slow line carries 100 kB a second.
            limit: Duration::from_secs(60 + data.len() as u64 / 100_000),
        })
        .await?
        .whole()?;
    if let Some(missing) = reply.part("missing") {
        return Err(no_root(remote, missing));
    }
    let kept = reply.answer(script.name).map(drop);
    kept.map_err(|detail| BackendError::Storage {
        path: remote.root().to_owned(),
        detail,
    })
}
