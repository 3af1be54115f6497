//! A run's logs: copied by offset into `slurm/logs/`, found by job id, bounded; and read for classification.

use std::fs;
use std::path::Path;

use crate::act::ActError;
use crate::backend::{BackendError, ClusterBackend, FetchReport, FetchRequest, LogPart, Stream};
use crate::classify::LogText;
use crate::id::{JobId, Slug, Token};
use crate::job::{JobReport, JobState};
use crate::store::{append, atomic, layout};

/// A local copy never grows beyond this; the rest is only read.
const COPY_LIMIT: u64 = 64 * 1024 * 1024;
/// One request asks for so much.
const PIECE: u64 = 4 * 1024 * 1024;
/// How much of the end of a log is read for its classification.
const TAIL: u64 = 256 * 1024;
/// A file's name may be 255 bytes long; the job's id and the ending need some of them.
const LONGEST_NAME: usize = 200;
/// Of an array, the logs of so many failed tasks are fetched.
const TASKS: usize = 3;

/// Where a log went, and what it says.
#[derive(Debug)]
pub(crate) struct Collected {
    /// For the classifier.
    pub(crate) texts: Vec<LogText>,
    /// Local copies, relative to the project's folder.
    pub(crate) paths: Vec<String>,
}

/// Whose logs, from where, to where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The cluster.
    pub(crate) backend: &'a dyn ClusterBackend,
    /// The project.
    pub(crate) project: &'a Slug,
    /// Its folder on this machine.
    pub(crate) folder: &'a Path,
    /// The key of the run's submission.
    pub(crate) token: Option<&'a Token>,
}

/// Fetches the logs that explain how these jobs of a run ended. `keep` says whether local copies are written.
///
/// # Errors
/// The cluster could not be asked, or a local copy could not be written.
pub(crate) async fn collect(
    place: Place<'_>,
    reports: &[JobReport],
    keep: bool,
) -> Result<Collected, ActError> {
    let mut collected = Collected {
        texts: Vec::new(),
        paths: Vec::new(),
    };
    let mut sources: Vec<String> = Vec::new();
    for report in telling(reports) {
        for stream in [Stream::Out, Stream::Err] {
            let log = Log {
                place,
                report,
                stream,
            };
            let Some(found) = log.look().await? else {
                continue;
            };
            // Without `--error` both streams are one file.
            if found
                .path
                .as_ref()
                .is_some_and(|path| sources.contains(path))
            {
                continue;
            }
            sources.extend(found.path.clone());
            let (path, bytes) = log.take(&found, keep).await?;
            collected
                .texts
                .push(LogText::from_bytes(path.clone(), stream, &bytes));
            collected.paths.push(path);
        }
    }
    Ok(collected)
}

/// The job itself, or of an array the first tasks that did not complete.
fn telling(reports: &[JobReport]) -> Vec<&JobReport> {
    let mut chosen = Vec::new();
    for report in reports {
        let failed = report
            .tasks
            .iter()
            .filter(|task| task.state != JobState::Completed)
            .take(TASKS);
        let before = chosen.len();
        chosen.extend(failed);
        if chosen.len() == before {
            chosen.push(report.tasks.first().unwrap_or(report));
        }
    }
    chosen
}

/// `slurm/logs/<job_name>_<job_id>.<stream>`, with a name that is safe as a file's.
#[must_use]
pub(crate) fn local_name(name: &str, job: JobId, stream: Stream) -> String {
    let safe = |c: char| match c {
        '/' | '\\' => '_',
        c if c.is_control() => '_',
        c => c,
    };
    let mut safe: String = name.chars().map(safe).collect();
    while safe.len() > LONGEST_NAME {
        safe.pop();
    }
    format!("{}/{safe}_{job}.{}", layout::SLURM_LOGS, stream.suffix())
}

struct Log<'a> {
    place: Place<'a>,
    report: &'a JobReport,
    stream: Stream,
}

impl Log<'_> {
    async fn fetch(&self, part: LogPart, limit: u64) -> Result<FetchReport, BackendError> {
        let request = FetchRequest {
            project: self.place.project.clone(),
            job: self.report.job,
            token: self.place.token.cloned(),
            stream: self.stream,
            part,
            limit,
        };
        self.place.backend.fetch(&request).await
    }

    /// Where the log is and how long; `None` when the job left no such log.
    async fn look(&self) -> Result<Option<FetchReport>, BackendError> {
        let found = self.fetch(LogPart::From(0), 0).await?;
        Ok(found.size.is_some().then_some(found))
    }

    /// The path that the documents name, and the bytes to classify. A log that is inside the project's folder
    /// already is used where it is; without a copy only its end is fetched.
    async fn take(&self, found: &FetchReport, keep: bool) -> Result<(String, Vec<u8>), ActError> {
        let local = match self.inside(found) {
            Some(inside) => inside,
            None => {
                let local = local_name(&self.report.name, self.report.job, self.stream);
                if !keep {
                    return Ok((local, self.fetch(LogPart::End, TAIL).await?.bytes));
                }
                self.copy(&self.place.folder.join(&local), found.size.unwrap_or(0))
                    .await?;
                local
            }
        };
        let bytes = match atomic::read(&self.place.folder.join(&local))? {
            Some(bytes) if (bytes.len() as u64) < COPY_LIMIT => bytes,
            _ => self.fetch(LogPart::End, TAIL).await?.bytes,
        };
        Ok((local, bytes))
    }

    /// Brings the local copy up to date. A log that is shorter than the copy was begun anew, as after a requeue:
    /// the copy is kept aside.
    async fn copy(&self, copy: &Path, size: u64) -> Result<(), ActError> {
        let mut at = fs::metadata(copy).map_or(0, |metadata| metadata.len());
        if size < at {
            append::keep_aside(copy)?;
            at = 0;
        }
        while at < COPY_LIMIT {
            let piece = self.fetch(LogPart::From(at), PIECE).await?;
            if piece.bytes.is_empty() {
                break;
            }
            if piece.offset != at {
                if at == 0 {
                    // It does not begin where the log does: no piece of the copy.
                    break;
                }
                // The log was begun anew since it was looked at.
                append::keep_aside(copy)?;
                at = 0;
                continue;
            }
            append::append_bytes(copy, &piece.bytes)?;
            at += piece.bytes.len() as u64;
        }
        if at == 0 {
            // A log that is empty is named in the documents all the same.
            append::append_bytes(copy, b"")?;
        }
        Ok(())
    }

    fn inside(&self, piece: &FetchReport) -> Option<String> {
        let path = Path::new(piece.path.as_deref()?);
        if self.place.backend.kind() != "local" {
            return None;
        }
        let folder = self.place.folder.canonicalize().ok()?;
        let inside = path.canonicalize().ok()?;
        let inside = inside.strip_prefix(folder).ok()?;
        Some(inside.to_string_lossy().into_owned())
    }
}
