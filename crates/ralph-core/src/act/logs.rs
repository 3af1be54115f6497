//! A run's logs: copied by offset into `slurm/logs/`, found by job id, bounded; and read for classification.

use std::fs;
use std::path::Path;

use crate::act::ActError;
use crate::backend::{BackendError, ClusterBackend, FetchReport, FetchRequest, Stream};
use crate::classify::LogText;
use crate::id::{JobId, Slug, Token};
use crate::job::{JobReport, JobState};
use crate::pipeline::RunView;
use crate::store::{append, layout};

/// A local copy never grows beyond this; the rest is only read.
const COPY_LIMIT: u64 = 64 * 1024 * 1024;
/// One request asks for so much.
const PIECE: u64 = 4 * 1024 * 1024;
/// How much of the end of a log is read for its classification.
const TAIL: u64 = 256 * 1024;
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

/// Fetches the logs that explain how these jobs of a run ended. `keep` says whether local copies are written.
///
/// # Errors
/// The cluster could not be asked, or a local copy could not be written.
pub(crate) async fn collect(
    backend: &dyn ClusterBackend,
    project: &Slug,
    folder: &Path,
    run: &RunView,
    reports: &[JobReport],
    keep: bool,
) -> Result<Collected, ActError> {
    let mut collected = Collected {
        texts: Vec::new(),
        paths: Vec::new(),
    };
    for report in telling(reports) {
        for stream in [Stream::Err, Stream::Out] {
            let log = Log {
                backend,
                project,
                folder,
                report,
                token: run.token.as_ref(),
                stream,
            };
            let Some(path) = log.locate(keep).await? else {
                continue;
            };
            if collected.paths.contains(&path) {
                continue;
            }
            let bytes = log.tail(&path).await?;
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
pub fn local_name(name: &str, job: JobId, stream: Stream) -> String {
    let safe: String = name
        .chars()
        .map(|c| {
            if c.is_control() || matches!(c, '/' | '\\') {
                '_'
            } else {
                c
            }
        })
        .take(120)
        .collect();
    format!("{}/{safe}_{job}.{}", layout::SLURM_LOGS, stream.suffix())
}

struct Log<'a> {
    backend: &'a dyn ClusterBackend,
    project: &'a Slug,
    folder: &'a Path,
    report: &'a JobReport,
    token: Option<&'a Token>,
    stream: Stream,
}

impl Log<'_> {
    async fn fetch(
        &self,
        offset: u64,
        limit: u64,
        from_end: bool,
    ) -> Result<FetchReport, BackendError> {
        let request = FetchRequest {
            project: self.project.clone(),
            job: self.report.job,
            token: self.token.cloned(),
            stream: self.stream,
            offset,
            limit,
            from_end,
        };
        self.backend.fetch(&request).await
    }

    /// Brings the local copy up to date and returns its path; `None` when the job left no such log. A log that is
    /// inside the project's folder already is used where it is.
    async fn locate(&self, keep: bool) -> Result<Option<String>, ActError> {
        let local = local_name(&self.report.name, self.report.job, self.stream);
        let copy = self.folder.join(&local);
        let have = fs::metadata(&copy).map_or(0, |metadata| metadata.len());
        let mut piece = self
            .fetch(have, if keep { PIECE } else { 0 }, false)
            .await?;
        if piece.size.is_none() {
            return Ok(None);
        }
        if let Some(inside) = self.inside(&piece) {
            return Ok(Some(inside));
        }
        if !keep {
            return Ok(Some(local));
        }
        // A log that is shorter than the copy was begun anew, as after a requeue: the copy is kept aside.
        let mut at = have;
        if piece.size.is_some_and(|size| size < have) {
            append::keep_aside(&copy)?;
            at = 0;
            piece = self.fetch(0, PIECE, false).await?;
        }
        // That a log is empty is a finding, too: its copy is there like any other.
        append::append_bytes(&copy, &[])?;
        while !piece.bytes.is_empty() && at < COPY_LIMIT {
            append::append_bytes(&copy, &piece.bytes)?;
            at += piece.bytes.len() as u64;
            piece = self.fetch(at, PIECE, false).await?;
        }
        Ok(Some(local))
    }

    fn inside(&self, piece: &FetchReport) -> Option<String> {
        let path = Path::new(piece.path.as_deref()?);
        if self.backend.kind() != "local" {
            return None;
        }
        let folder = self.folder.canonicalize().ok()?;
        let inside = path.canonicalize().ok()?;
        Some(
            inside
                .strip_prefix(folder)
                .ok()?
                .to_string_lossy()
                .into_owned(),
        )
    }

    /// The bytes to classify: the whole of a short log, the end of a long one.
    async fn tail(&self, path: &str) -> Result<Vec<u8>, ActError> {
        let local = fs::read(self.folder.join(path))
            .ok()
            .filter(|bytes| (bytes.len() as u64) < COPY_LIMIT);
        match local {
            Some(bytes) => Ok(bytes),
            None => Ok(self.fetch(0, TAIL, true).await?.bytes),
        }
    }
}
