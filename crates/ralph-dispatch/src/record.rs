//! What is written down about the last loop of a repository: `ralph/state/loops/NAME.json`.
//!
//! The record is on disk before its loop is started, and gets the outcome when the loop is swept. How the loop is in
//! between is not in here: it is looked up where the facts are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ralph_core::backend::SubmitRequest;
use ralph_core::error::{Code, Coded, Hint};
use ralph_core::id::JobId;
use ralph_core::process::Record;
use ralph_core::process::record::RECORD;
use ralph_core::store::{StoreError, atomic};
use ralph_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::layout::Layout;

/// The newest form.
const FORMAT: u32 = 1;

/// Why a record cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// A file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A folder cannot be listed.
    #[error("{}: cannot be listed", .path.display())]
    List {
        /// The folder.
        path: PathBuf,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// No record.
    #[error("{}: expected the record of a loop", .path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// Written by a newer version.
    #[error("{}: format {found} is newer than {FORMAT}", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
}

impl Coded for RecordError {
    fn code(&self) -> Code {
        match self {
            Self::Store(error) => error.code(),
            Self::List { .. } => Code::Failed,
            Self::Shape { .. } => Code::CorruptState,
            Self::Newer { .. } => Code::NewerFormat,
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Store(error) => error.hint(),
            Self::List { .. } => Some(Hint::new("Check the folder's permissions.")),
            Self::Shape { .. } => Some(Hint::new(
                "End the loop if it still runs (wb-ralph-dispatch --stop), look into ralph/logs what became of it, then delete the record.",
            )),
            Self::Newer { .. } => Some(Hint::new("Use the newer version that wrote it.")),
        }
    }
}

/// How a loop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Waits for a place on the cluster.
    Pending,
    /// Runs, and somebody watches over it.
    Running,
    /// Ended with 0.
    Done,
    /// Ended with anything else, or never began.
    Failed,
    /// Ended because it was asked to.
    Stopped,
    /// Gone, and nobody knows how: a crash, or a restart of the machine.
    Lost,
    /// Runs, and its supervisor was killed.
    Orphaned,
    /// It cannot be looked at: no cluster answers, it is another user's, or its files are gone.
    Unknown,
}

impl State {
    /// Whether it is an end.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Stopped | Self::Lost)
    }

    /// The word of the table.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Lost => "lost",
            Self::Orphaned => "orphaned",
            Self::Unknown => "unknown",
        }
    }
}

/// What a loop says about its work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Figures {
    /// Attempts that were spent.
    pub(crate) attempts: Option<u64>,
    /// Tasks that are not done.
    pub(crate) tasks_left: Option<u64>,
    /// US dollars.
    pub(crate) cost_usd: Option<f64>,
}

/// What became of a loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settled {
    /// The end.
    pub(crate) state: State,
    /// Exit code, or 128 and the signal; unknown for a lost one.
    pub(crate) exit_code: Option<i32>,
    /// Why, where more is known than the code.
    pub(crate) reason: Option<String>,
    /// When it ended, if that is known.
    pub(crate) ended: Option<Timestamp>,
    /// The pull requests it made.
    pub(crate) pull_requests: Vec<String>,
    /// What it said about its work.
    pub(crate) figures: Figures,
    /// Whether `EPIC-PIPELINE.md` says so.
    pub(crate) in_pipeline: bool,
}

/// A loop that runs as a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Job {
    /// `local` or `slurm`.
    pub(crate) kind: String,
    /// The submission; on disk before it is made.
    pub(crate) request: SubmitRequest,
    /// The job, once the cluster has named it.
    pub(crate) job: Option<JobId>,
    /// The branch that its result comes back on.
    pub(crate) branch: String,
    /// How much of its log is here, in bytes.
    pub(crate) fetched: u64,
    /// Since when it is known to have ended without its log having been read to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) log_missed: Option<Timestamp>,
}

/// The last loop of a repository.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LoopRecord {
    /// See [`FORMAT`].
    pub(crate) format: u32,
    /// The repository.
    pub(crate) repository: String,
    /// The launch it belongs to.
    pub(crate) launch: String,
    /// When it was launched.
    pub(crate) launched: Timestamp,
    /// The engine.
    pub(crate) engine: String,
    /// N of the launch.
    pub(crate) workers: u32,
    /// M of the launch.
    pub(crate) max_tasks: Option<u64>,
    /// Where its part of the log begins, in bytes.
    pub(crate) log_from: u64,
    /// The job, with `--on cluster`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) job: Option<Box<Job>>,
    /// When somebody asked it to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stop_asked: Option<Timestamp>,
    /// What became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) settled: Option<Settled>,
    /// Whether it is only what its supervisor or its submission tells, because the file is gone or cannot be read. Never written over that.
    #[serde(skip)]
    pub(crate) is_bare: bool,
}

impl LoopRecord {
    /// A record of a loop that is about to be started.
    pub(crate) fn new(repository: &str, launch: &str, launched: Timestamp) -> Self {
        Self {
            format: FORMAT,
            repository: repository.to_owned(),
            launch: launch.to_owned(),
            launched,
            engine: String::new(),
            workers: 0,
            max_tasks: None,
            log_from: 0,
            job: None,
            stop_asked: None,
            settled: None,
            is_bare: false,
        }
    }

    /// Where its supervisor keeps its record.
    pub(crate) fn directory(&self, layout: &Layout) -> PathBuf {
        layout.supervised(&self.launch, &self.repository)
    }

    /// Writes it, durably. What is bare is not written over a file that a person may mend.
    pub(crate) fn write(&self, layout: &Layout) -> Result<(), RecordError> {
        match (self.is_bare, &self.job) {
            (false, _) => self.write_file(&layout.record(&self.repository)),
            (true, Some(_)) => self.write_submission(layout),
            (true, None) => Ok(()),
        }
    }

    /// Writes the record of a job where it is found when the file itself is damaged.
    pub(crate) fn write_submission(&self, layout: &Layout) -> Result<(), RecordError> {
        let path = layout.submission(&self.launch, &self.repository);
        atomic::create_dir(path.parent().unwrap_or(&path))?;
        self.write_file(&path)
    }

    fn write_file(&self, path: &Path) -> Result<(), RecordError> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|source| RecordError::Shape {
            path: path.to_owned(),
            source,
        })?;
        bytes.push(b'\n');
        Ok(atomic::replace(path, &bytes)?)
    }

    /// Reads the record of a repository; `None` when it never had a loop.
    pub(crate) fn read(layout: &Layout, repository: &str) -> Result<Option<Self>, RecordError> {
        Self::read_file(&layout.record(repository))
    }

    fn read_file(path: &Path) -> Result<Option<Self>, RecordError> {
        let Some(bytes) = atomic::read(path)? else {
            return Ok(None);
        };
        let shape = |source| RecordError::Shape {
            path: path.to_owned(),
            source,
        };
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let Version { format } = serde_json::from_slice(&bytes).map_err(shape)?;
        if format > FORMAT {
            let path = path.to_owned();
            return Err(RecordError::Newer {
                path,
                found: format,
            });
        }
        serde_json::from_slice(&bytes).map(Some).map_err(shape)
    }

    /// The record of a repository, or what its supervisor knows: whatever became of the file, a loop that lives is seen.
    pub(crate) fn found(layout: &Layout, repository: &str) -> Option<Self> {
        match Self::read(layout, repository) {
            Ok(Some(record)) => Some(record),
            Ok(None) if !layout.pid_file(repository).exists() => None,
            Ok(None) => Self::bare(layout, repository).filter(|bare| bare.is_named(layout)),
            Err(_) => Self::bare(layout, repository),
        }
    }

    /// What the supervisor of a repository's last loop knows of it, or the submission of its job.
    fn bare(layout: &Layout, repository: &str) -> Option<Self> {
        let launches = fs::read_dir(layout.launches()).ok()?;
        let launches = launches.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let begun = launches.filter_map(|launch| {
            let submission = layout.submission(&launch, repository);
            if let Ok(Some(submitted)) = Self::read_file(&submission) {
                return Some(submitted);
            }
            let process = process_record(&layout.supervised(&launch, repository)).ok()??;
            Some(Self::new(repository, &launch, process.started))
        });
        // Their names begin with the time.
        let last = begun.max_by(|one, other| one.launch.cmp(&other.launch))?;
        Some(Self {
            is_bare: true,
            ..last
        })
    }

    /// Whether the pidfile names its supervisor.
    fn is_named(&self, layout: &Layout) -> bool {
        let process = process_record(&self.directory(layout)).ok().flatten();
        let text = atomic::read_text(&layout.pid_file(&self.repository));
        let named = text
            .ok()
            .flatten()
            .and_then(|text| text.trim().parse().ok());
        process.is_some_and(|process| named == Some(process.supervisor.pid))
    }

    /// All records, by the name of the repository. One that cannot be read is an error of its own and hides no other,
    /// nor its loop; and one that is gone does not hide a loop that has its pidfile.
    pub(crate) fn all(layout: &Layout) -> Result<(Vec<Self>, Vec<RecordError>), RecordError> {
        let folder = layout.loops();
        let listing = match fs::read_dir(&folder) {
            Ok(listing) => listing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((Vec::new(), Vec::new()));
            }
            Err(source) => {
                return Err(RecordError::List {
                    path: folder,
                    source,
                });
            }
        };
        let mut paths: Vec<PathBuf> = listing
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .collect();
        paths.sort();
        let (mut records, mut wrong) = (Vec::new(), Vec::new());
        for path in paths {
            match Self::read_file(&path) {
                Ok(record) => records.extend(record),
                Err(error) => {
                    let name = path.file_stem().and_then(|name| name.to_str());
                    records.extend(name.and_then(|name| Self::bare(layout, name)));
                    wrong.push(error);
                }
            }
        }
        for path in pid_file_paths(layout) {
            let name = path.file_stem().and_then(|name| name.to_str());
            if let Some(name) = name.filter(|name| !layout.record(name).exists()) {
                records.extend(Self::found(layout, name));
            }
        }
        records.sort_by(|one, other| one.repository.cmp(&other.repository));
        Ok((records, wrong))
    }
}

/// A supervisor's own record.
///
/// # Errors
/// It cannot be read.
pub(crate) fn process_record(directory: &Path) -> io::Result<Option<Record>> {
    match atomic::read(&directory.join(RECORD)) {
        Ok(Some(bytes)) => Ok(serde_json::from_slice(&bytes).ok()),
        Ok(None) => Ok(None),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// The pidfiles of the workbench, by name.
pub(crate) fn pid_file_paths(layout: &Layout) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(layout.pid_files()) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = listing
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "pid"))
        .collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_a_bad_one_hides_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path().to_owned());
        assert_eq!(LoopRecord::all(&layout).unwrap().0, []);
        fs::create_dir_all(layout.loops()).unwrap();
        let record = LoopRecord::new("svc-a", "20261126_213300-00000001", Timestamp::UNIX_EPOCH);
        record.write(&layout).unwrap();
        assert_eq!(
            LoopRecord::read(&layout, "svc-a").unwrap(),
            Some(record.clone())
        );
        assert_eq!(LoopRecord::read(&layout, "svc-b").unwrap(), None);
        let other = LoopRecord {
            format: 2,
            repository: "newer".into(),
            ..record.clone()
        };
        other.write(&layout).unwrap();
        atomic::replace(&layout.record("broken"), b"{\"format\": 1").unwrap();
        let (records, wrong) = LoopRecord::all(&layout).unwrap();
        assert_eq!(records, [record]);
        let codes: Vec<Code> = wrong.iter().map(Coded::code).collect();
        assert_eq!(codes, [Code::CorruptState, Code::NewerFormat]);
    }
}
