//! The embedded cluster: job scripts as detached, supervised processes on this machine.
//!
//! It honours the directives that mean something on one machine, sets SLURM's variables and tells SLURM's states, so
//! that a workspace works on a laptop. It is not SLURM: no scheduler is asked, and it runs only where the workspace's
//! configuration names it.
//!
//! Each job has one supervisor, which the binary runs under a hidden verb:
//!
//! ```text
//! local::run_job(&directory, &env, std::env::vars_os().collect(), &mut std::io::stdout())   // `__job DIR`
//! ```
//!
//! The supervisor waits for the job's dependencies and for a free place, runs the script or the tasks of the array,
//! ends them at their limit or when cancelled, and writes down what became of them. Everybody else only reads, except
//! for submissions (`submit`) and cancel notes (`cancel`). Nothing is ever requeued.

mod cancel;
mod dependency;
mod environment;
mod export;
mod layout;
mod logs;
mod observe;
mod plan;
mod run;
mod status;
mod submit;

use std::error::Error as _;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use self::layout::Layout;
use self::observe::Look;
use self::plan::Desk;
pub use self::run::run_job;
use self::submit::{Submission, SubmitError};
use crate::backend::{
    BackendError, Capabilities, ClusterBackend, FetchReport, FetchRequest, Receipt, SubmitRequest,
};
use crate::env::Env;
use crate::id::{JobId, Slug, Token};
use crate::job::{Evidence, Finality, JobQuery, JobReport, JobState, Observation};
use crate::process::identity;
use crate::process::{Spawned, Supervisor};
use crate::store::layout::CLUSTER_DIR;
use crate::time::{Timestamp, elapsed};

/// How long an ended job stays in [`ClusterBackend::jobs`]; SLURM's `MinJobAge` by default.
const MIN_JOB_AGE: Duration = Duration::from_secs(300);

/// Time between TERM and KILL; SLURM's `KillWait` by default.
pub const KILL_WAIT: Duration = Duration::from_secs(30);

/// How the embedded cluster is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalSettings {
    /// Where it keeps its records: `.claude/ralph/cluster` of the workspace.
    pub state_dir: PathBuf,
    /// The folder that holds `projects/`; absolute.
    pub workspace: PathBuf,
    /// The binary and its hidden verb that calls [`run_job`].
    pub supervisor: Supervisor,
    /// How many jobs and array tasks run at once; one per CPU is a good number.
    pub max_parallel: u32,
    /// The id of this boot, see [`identity::boot_id`]. A job of another boot has failed with its node.
    pub boot_id: String,
    /// Time between the polite signal and the one that cannot be ignored, see [`KILL_WAIT`].
    pub kill_wait: Duration,
}

impl LocalSettings {
    /// The usual set-up of a workspace: one job per CPU, this boot, SLURM's kill wait.
    #[must_use]
    pub fn new(workspace: PathBuf, supervisor: Supervisor) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            state_dir: workspace.join(CLUSTER_DIR),
            workspace,
            supervisor,
            max_parallel: u32::try_from(cpus).unwrap_or(u32::MAX),
            boot_id: identity::boot_id().unwrap_or_default().to_owned(),
            kill_wait: KILL_WAIT,
        }
    }
}

/// The embedded cluster.
#[derive(Debug)]
pub struct LocalCluster {
    settings: LocalSettings,
    layout: Layout,
    env: Env,
    /// The supervisors that this process started and has to reap.
    children: Mutex<Vec<Spawned>>,
}

impl LocalCluster {
    /// A cluster over these records. Touches nothing yet.
    #[must_use]
    pub fn new(settings: LocalSettings, env: Env) -> Self {
        Self {
            layout: Layout::new(settings.state_dir.clone()),
            settings,
            env,
            children: Mutex::new(Vec::new()),
        }
    }

    fn look(&self) -> Look<'_> {
        Look::new(&self.layout, &self.settings.boot_id, self.env.now())
    }

    /// Takes a supervisor to reap later, and reaps those that have ended.
    fn reap(&self, started: Option<Spawned>) {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.extend(started);
        children.retain_mut(|child| !child.is_gone());
    }

    fn no_scheduler(&self, detail: &str) -> BackendError {
        BackendError::NoScheduler {
            host: self.env.host.clone(),
            detail: detail.to_owned(),
        }
    }
}

#[async_trait]
impl ClusterBackend for LocalCluster {
    fn kind(&self) -> &'static str {
        "local"
    }

    async fn check(&self) -> Result<(), BackendError> {
        if identity::boot_id().is_none() {
            return Err(self.no_scheduler("the embedded cluster needs Linux with /proc mounted"));
        }
        let program = &self.settings.supervisor.program;
        if !program.is_file() {
            let missing = format!("its supervisor {} is not there", program.display());
            return Err(self.no_scheduler(&missing));
        }
        self.layout
            .create()
            .map_err(|error| storage(&self.settings.state_dir, &error))
    }

    async fn capabilities(&self) -> Result<Capabilities, BackendError> {
        self.check().await?;
        Ok(Capabilities {
            version: "local".to_owned(),
            accounting: true,
            min_job_age_seconds: Some(MIN_JOB_AGE.as_secs()),
            max_array_size: Some(plan::MAX_ARRAY_SIZE),
        })
    }

    async fn submit(&self, request: &SubmitRequest) -> Result<Receipt, BackendError> {
        let submission = Submission {
            layout: &self.layout,
            desk: Desk {
                workspace: &self.settings.workspace,
                host: &self.env.host,
                user: &self.env.user,
                slots: self.settings.max_parallel.max(1),
                kill_wait: self.settings.kill_wait,
            },
            supervisor: &self.settings.supervisor,
            boot_id: &self.settings.boot_id,
            now: self.env.now(),
        };
        let (receipt, started) = submission.submit(request).map_err(into_backend_error)?;
        self.reap(started);
        Ok(receipt)
    }

    async fn receipt(&self, token: &Token, _since: Timestamp) -> Result<Receipt, BackendError> {
        submit::receipt(&self.layout, token, self.env.now()).map_err(into_backend_error)
    }

    async fn observe(&self, jobs: &[JobQuery]) -> Result<Vec<Observation>, BackendError> {
        self.reap(None);
        let mut look = self.look();
        Ok(jobs.iter().map(|query| look.observe(query)).collect())
    }

    async fn cancel(&self, jobs: &[JobId]) -> Result<(), BackendError> {
        for job in jobs {
            cancel::cancel(&self.layout, *job, &self.settings.boot_id, self.env.now())
                .map_err(|error| storage(&self.layout.job(*job), &error))?;
        }
        Ok(())
    }

    async fn fetch(&self, request: &FetchRequest) -> Result<FetchReport, BackendError> {
        let directory = self.layout.job(request.job);
        let report = self
            .look()
            .job_report(request.job)
            .map_err(|error| storage(&directory, &error))?;
        let path = report.and_then(|report| logs::path_of(&report, request.stream));
        logs::fetch(path.as_deref(), request)
            .map_err(|error| storage(path.as_deref().unwrap_or(&directory), &error))
    }

    async fn jobs(&self) -> Result<Vec<JobReport>, BackendError> {
        let now = self.env.now();
        let all = self.layout.jobs();
        let all = all.map_err(|error| storage(&self.settings.state_dir, &error))?;
        let mut look = self.look();
        let mut reports = Vec::new();
        for job in all {
            match look.job_report(job) {
                Ok(report) => reports.extend(report.filter(|report| is_current(report, now))),
                // One spoilt folder must not hide all other jobs.
                Err(error) => reports.push(unreadable(job, &self.layout.job(job), &error, now)),
            }
        }
        Ok(reports)
    }

    async fn existing(&self, project: &Slug, paths: &[String]) -> Result<Vec<bool>, BackendError> {
        let exists = |path: &String| logs::exists(&self.settings.workspace, project, path);
        Ok(paths.iter().map(exists).collect())
    }
}

/// Whether a job is alive or has ended lately.
fn is_current(report: &JobReport, now: Timestamp) -> bool {
    let lately = |ended| elapsed(ended, now) < MIN_JOB_AGE;
    report.finality() == Finality::Alive || report.ended.is_some_and(lately)
}

/// A job whose records cannot be read: alive, as far as anybody knows.
fn unreadable(job: JobId, path: &Path, error: &std::io::Error, now: Timestamp) -> JobReport {
    let evidence = Evidence {
        line: error.to_string(),
        source: path.display().to_string(),
        at: now,
    };
    let state = JobState::Other("UNREADABLE".to_owned());
    JobReport {
        reason: Some(error.to_string()),
        ..JobReport::new(job, state, evidence)
    }
}

fn storage(path: &Path, error: &std::io::Error) -> BackendError {
    BackendError::Storage {
        path: path.display().to_string(),
        detail: error.to_string(),
    }
}

fn into_backend_error(error: SubmitError) -> BackendError {
    let (path, detail) = match error {
        SubmitError::Storage(path, source) => (path, source.to_string()),
        SubmitError::Start(path, start) => {
            let cause = start.source().map(|source| format!(": {source}"));
            (path, format!("{start}{}", cause.unwrap_or_default()))
        }
    };
    BackendError::Storage {
        path: path.display().to_string(),
        detail,
    }
}
