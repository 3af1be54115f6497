//! A workspace with one project, and a cluster over it.

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::until::until;
use ralph_core::backend::{ClusterBackend as _, Receipt, SubmitRequest};
use ralph_core::cluster::local::{LocalCluster, LocalSettings};
use ralph_core::env::{Env, RandomIds};
use ralph_core::id::{JobId, Token};
use ralph_core::job::{Finality, JobQuery, JobReport, JobState, Sighting};
use ralph_core::process::lock::is_held;
use ralph_core::process::record::LOCK;
use ralph_core::process::{Identity, Record, Supervisor, identity};
use ralph_core::time::SystemClock;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub(crate) const DETACHED: &str = env!("CARGO_BIN_EXE_detached");

/// The environment of a real run, on a machine and for a user whose names do not change.
pub(crate) fn env() -> Env {
    Env {
        clock: Arc::new(SystemClock::new()),
        ids: Arc::new(RandomIds::default()),
        host: "node1".to_owned(),
        user: "tester".to_owned(),
        pid: std::process::id(),
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(future)
}

pub(crate) struct Bed {
    pub(crate) folder: TempDir,
    pub(crate) settings: LocalSettings,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let workspace = folder.path().canonicalize().unwrap();
        fs::create_dir_all(workspace.join("projects/demo")).unwrap();
        let settings = LocalSettings {
            state_dir: workspace.join(".claude/ralph/cluster"),
            workspace,
            supervisor: Supervisor {
                program: DETACHED.into(),
                args: vec!["job".to_owned()],
            },
            max_parallel: 8,
            boot_id: identity::boot_id().unwrap().to_owned(),
            kill_wait: Duration::from_secs(10),
        };
        Self { folder, settings }
    }

    pub(crate) fn cluster(&self) -> LocalCluster {
        LocalCluster::new(self.settings.clone(), env())
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.settings.workspace.join("projects/demo")
    }

    pub(crate) fn job_dir(&self, job: JobId) -> PathBuf {
        let id = job.base().to_string();
        self.settings.state_dir.join("jobs").join(id)
    }

    /// A file of the project.
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> String {
        let path = self.project().join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| format!("{}: {error}", path.display()))
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.project().join(path).exists()
    }

    /// Makes an empty file in the project.
    pub(crate) fn touch(&self, path: &str) {
        fs::File::create(self.project().join(path)).unwrap();
    }

    pub(crate) fn wait_for(&self, path: &str) {
        until(path, || self.has(path).then_some(()));
    }

    /// Submits a script of these directives and this body.
    pub(crate) fn submit(&self, directives: &str, body: &str) -> JobId {
        accepted(&self.try_submit(directives, body))
    }

    pub(crate) fn try_submit(&self, directives: &str, body: &str) -> Receipt {
        block_on(self.cluster().submit(&request(&script(directives, body)))).unwrap()
    }

    pub(crate) fn look(&self, job: JobId) -> Sighting {
        let query = JobQuery::of(job);
        let mut seen = block_on(self.cluster().observe(&[query])).unwrap();
        assert_eq!(seen.len(), 1);
        seen.remove(0).sighting
    }

    pub(crate) fn report(&self, job: JobId) -> JobReport {
        match self.look(job) {
            Sighting::Seen(report) => *report,
            other => panic!("{job}: {other:?}"),
        }
    }

    pub(crate) fn wait_state(&self, job: JobId, state: &JobState) -> JobReport {
        until(&format!("{job} {state}"), || {
            let report = self.report(job);
            let wrong = report.finality() == Finality::Final && report.state != *state;
            assert!(!wrong, "{job} is {report:#?}, expected {state}");
            (report.state == *state).then_some(report)
        })
    }

    /// The report on the end of a job.
    pub(crate) fn end(&self, job: JobId) -> JobReport {
        until(&format!("the end of {job}"), || {
            let report = self.report(job);
            (report.finality() != Finality::Alive).then_some(report)
        })
    }

    pub(crate) fn cancel(&self, job: JobId) {
        block_on(self.cluster().cancel(&[job])).unwrap();
    }

    pub(crate) fn supervisor_of(&self, job: JobId) -> Identity {
        let text = fs::read_to_string(self.job_dir(job).join("record.json")).unwrap();
        serde_json::from_str::<Record>(&text).unwrap().supervisor
    }

    pub(crate) fn kill_supervisor(&self, job: JobId) {
        let supervisor = self.supervisor_of(job);
        signal(supervisor.pid, Signal::KILL);
        // Its threads may hold the lock for a moment after the first of them has ended.
        let lock = self.job_dir(job).join(LOCK);
        until("the supervisor gone", || {
            (!supervisor.is_alive() && !is_held(&lock).unwrap()).then_some(())
        });
    }

    /// A pid that a script wrote.
    pub(crate) fn pid(&self, path: &str) -> u32 {
        until(path, || self.read(path).trim_end_matches('\n').parse().ok())
    }
}

impl Drop for Bed {
    /// Whatever a failed test left running must not outlive it.
    fn drop(&mut self) {
        let jobs = fs::read_dir(self.settings.state_dir.join("jobs"));
        for entry in jobs.into_iter().flatten().flatten() {
            let text = fs::read_to_string(entry.path().join("record.json")).unwrap_or_default();
            if let Ok(record) = serde_json::from_str::<Record>(&text) {
                if record.supervisor.is_alive() {
                    signal(record.supervisor.pid, Signal::KILL);
                }
                let _ = ralph_core::process::end_orphans(&record, Duration::ZERO);
            }
        }
    }
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let _ = kill_process(pid, signal);
}

pub(crate) fn is_alive(pid: u32) -> bool {
    Identity::of(pid).is_some_and(|process| process.is_alive())
}

pub(crate) fn script(directives: &str, body: &str) -> String {
    let lines: String = directives
        .lines()
        .map(|line| format!("#SBATCH {}\n", line.trim()))
        .collect();
    format!("#!/bin/bash\n{lines}{body}\n")
}

/// A request with a token that no other has.
pub(crate) fn request(script: &str) -> SubmitRequest {
    let run = "q001_20261120_120000".parse().unwrap();
    SubmitRequest {
        token: env().ids.token(&run),
        run,
        item: None,
        project: "demo".parse().unwrap(),
        script_path: "slurm/jobs/q001.sbatch".to_owned(),
        script: script.to_owned(),
        script_sha256: String::new(),
        config_path: None,
        config: None,
        variables: BTreeMap::new(),
        git: None,
        after: Vec::new(),
        exclude: Vec::new(),
        intent_at: env().now(),
    }
}

pub(crate) fn accepted(receipt: &Receipt) -> JobId {
    match receipt {
        Receipt::Accepted { job, .. } => *job,
        other => panic!("not accepted: {other:?}"),
    }
}

pub(crate) fn receipt(bed: &Bed, token: &Token) -> Receipt {
    block_on(bed.cluster().receipt(token, env().now())).unwrap()
}
