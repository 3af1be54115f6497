//! Where the embedded cluster keeps what, and where its job ids come from.
//!
//! ```text
//! cluster/next-id             the first id that was never given out      next-id.lock
//! cluster/receipts/<token>/   lock, claim.json, answer.json
//! cluster/items/<project>/    one lock per item of the queue, for as long as somebody submits it
//! cluster/slots/              one lock per job that may run, and whose turn it is to wait for one
//! cluster/jobs/<id>/          job.json, script, lock, record.json, status.json, cancel-*.json, supervisor.log
//! ```
//!
//! Ids are never reused, and nothing is ever deleted here.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::id::{JobId, QueueId, Slug, Token};
use crate::process::lock::LifeLock;
use crate::process::record::{Keep, replace};

/// The first id, so that an id of the embedded cluster does not look like an array index.
const FIRST_ID: u64 = 1001;

/// The plan of a job.
pub(super) const PLAN: &str = "job.json";
/// The script as it was submitted.
pub(super) const SCRIPT: &str = "script";
/// What the job's supervisor last said.
pub(super) const STATUS: &str = "status.json";

/// The folder of the embedded cluster.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The cluster that a job's folder belongs to.
    pub(super) fn of_job(directory: &Path) -> Self {
        let root = directory.parent().and_then(Path::parent);
        Self::new(root.unwrap_or(directory).to_owned())
    }

    pub(super) fn job(&self, job: JobId) -> PathBuf {
        self.root.join("jobs").join(job.base().to_string())
    }

    pub(super) fn receipt(&self, token: &Token) -> PathBuf {
        self.root.join("receipts").join(token.as_str())
    }

    /// The lock of an item.
    pub(super) fn item(&self, project: &Slug, item: &QueueId) -> PathBuf {
        let items = self.root.join("items").join(project.as_str());
        items.join(item.as_str())
    }

    pub(super) fn slots(&self) -> PathBuf {
        self.root.join("slots")
    }

    /// Makes the folders; they are private, because plans hold variables.
    ///
    /// # Errors
    /// A folder cannot be made.
    pub(super) fn create(&self) -> io::Result<()> {
        for name in ["jobs", "receipts", "slots"] {
            create_private(&self.root.join(name))?;
        }
        Ok(())
    }

    /// All jobs that ever were, ascending.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(super) fn jobs(&self) -> io::Result<Vec<JobId>> {
        let listing = match fs::read_dir(self.root.join("jobs")) {
            Ok(listing) => listing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut jobs: Vec<JobId> = listing
            .filter_map(Result::ok)
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        jobs.sort_unstable();
        Ok(jobs)
    }

    /// Gives out `count` ids in a row, makes the folder of the first and names that one. A counter that was lost or
    /// spoilt is made again from the jobs that exist.
    ///
    /// # Errors
    /// The counter or the folder cannot be written.
    pub(super) fn allocate(&self, count: u64) -> io::Result<JobId> {
        let _lock = LifeLock::take(&self.root.join("next-id.lock"))?;
        let path = self.root.join("next-id");
        let counted = fs::read_to_string(&path)
            .ok()
            .and_then(|text| text.trim().parse().ok());
        let mut first: u64 = match counted {
            Some(next) => next,
            None => self
                .jobs()?
                .last()
                .map_or(FIRST_ID, |last| last.base() + count.max(1_000)),
        };
        let job = loop {
            let job = JobId::whole(first).map_err(io::Error::other)?;
            match DirBuilder::new().mode(0o700).create(self.job(job)) {
                Ok(()) => break job,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => first += 1,
                Err(error) => return Err(error),
            }
        };
        replace(
            &path,
            format!("{}\n", first + count).as_bytes(),
            Keep::Durably,
        )?;
        Ok(job)
    }
}

/// Makes a folder for this user alone; one that exists is left as it is.
///
/// # Errors
/// It cannot be made.
pub(super) fn create_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_go_up_and_survive_a_lost_counter() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path().join("cluster"));
        layout.create().unwrap();
        let next = |count| layout.allocate(count).unwrap().base();
        assert_eq!([next(1), next(10), next(1)], [1001, 1002, 1012]);
        fs::remove_file(folder.path().join("cluster/next-id")).unwrap();
        let after = next(1);
        assert!(after > 1022, "{after} may be a task of the array before");
        replace(
            &folder.path().join("cluster/next-id"),
            b"1001\n",
            Keep::WhileTheMachineRuns,
        )
        .unwrap();
        assert!(
            !layout
                .jobs()
                .unwrap()
                .contains(&layout.allocate(1).unwrap())
                || next(1) > 1001
        );
    }
}
