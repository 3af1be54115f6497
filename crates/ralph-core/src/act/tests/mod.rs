//! The acting half against real files, real git and a cluster in memory.

mod git;
mod logs;
mod lost_books;
mod manual;
mod passes;
mod preflight;
mod protocol;
mod undone;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::Value;
use tempfile::TempDir;

use super::{Dispatcher, Options};
use crate::cluster::mock::MockCluster;
use crate::env::Env;
use crate::fixture::NOW;
use crate::process::bounded::tests::guard_program;
use crate::report::DispatchReport;
use crate::settings::Settings;
use crate::store::tests::{memory, put};
use crate::time::ManualClock;

/// A workspace with its cluster and its clock.
pub(super) struct Bed {
    folder: TempDir,
    pub(super) cluster: Arc<MockCluster>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) env: Env,
    pub(super) settings: Settings,
}

impl Bed {
    pub(super) fn new() -> Self {
        let (env, clock) = Env::fixed(NOW.parse().unwrap());
        Self {
            folder: memory(),
            cluster: Arc::new(MockCluster::new(Arc::clone(&clock))),
            clock,
            env,
            settings: Settings::default(),
        }
    }

    /// A process of `ralph`: nothing of it is left when it is dropped.
    pub(super) fn dispatcher(&self) -> Arc<Dispatcher> {
        Arc::new(Dispatcher {
            root: self.folder.path().to_owned(),
            env: self.env.clone(),
            zone: TimeZone::UTC,
            settings: self.settings.clone(),
            cluster: Ok(Arc::<MockCluster>::clone(&self.cluster) as _),
            guard_program: guard_program(),
            git: None,
            session_prompt: "Run `ralph cluster connect`".to_owned(),
            lock_timeout: Duration::from_millis(50),
            progress: Arc::new(|_| {}),
        })
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        put(&self.path(path), text);
    }

    pub(super) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    pub(super) fn state(&self, slug: &str) -> Value {
        serde_json::from_str(&self.read(&format!("projects/{slug}/.state/pipeline.json"))).unwrap()
    }

    /// A project with these items under READY, each with a script and its `more` lines.
    pub(super) fn project(&self, slug: &str, phase: &str, items: &[(&str, &str)]) {
        let mut queue = String::from("# Queue\n\n## READY\n\n");
        for (id, more) in items {
            queue.push_str(
                format!("### {id}: item {id}\n\n- Hypothesis: it works\n{more}\n").as_str(),
            );
            let name = id.to_lowercase().replace('-', "");
            let script = format!(
                "#!/bin/bash\n#SBATCH --job-name={name}\n#SBATCH --time=01:00:00\n#SBATCH --output=slurm/logs/%x_%j.out\necho {id}\n"
            );
            self.write(
                &format!("projects/{slug}/slurm/jobs/{name}.sbatch"),
                &script,
            );
        }
        queue += "## IN_PROGRESS\n\n(none)\n\n## DONE\n\n(none)\n\n## FAILED\n\n(none)\n";
        self.write(&format!("projects/{slug}/documentation/queue.md"), &queue);
        self.write(
            &format!("projects/{slug}/.state/pipeline.json"),
            &format!("{{\n  \"phase\": {phase:?},\n  \"active_runs\": [],\n  \"completed_runs\": [],\n  \"events\": []\n}}\n"),
        );
    }

    pub(super) async fn dispatch(&self) -> DispatchReport {
        self.dispatch_with(|_| {}).await
    }

    pub(super) async fn dispatch_with(&self, change: impl FnOnce(&mut Options)) -> DispatchReport {
        let mut options = Options {
            projects: BTreeSet::new(),
            batch_size: None,
            dry_run: false,
            verify_only: false,
        };
        change(&mut options);
        self.dispatcher().dispatch(&options).await.unwrap()
    }

    pub(super) fn wait(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// The steps and findings of a report, one per line.
pub(super) fn told(report: &DispatchReport) -> String {
    let found = report.verified.iter().map(|found| {
        let problem = found.problem.as_ref();
        let problem = problem.map_or_else(String::new, |p| format!(" !{}", p.exit_code));
        format!(
            "{} {}: {}{problem}: {}",
            found.project, found.run, found.finding, found.detail
        )
    });
    let steps = report.steps.iter().map(|step| {
        let problem = step.problem.as_ref();
        let problem = problem.map_or_else(String::new, |p| format!(" !{}", p.exit_code));
        format!(
            "{} {} {}->{}{problem}: {}",
            step.project, step.step, step.phase_before, step.phase_after, step.outcome
        )
    });
    let passed = report
        .passed_over
        .iter()
        .map(|passed| format!("{} - {}: {}", passed.project, passed.because, passed.reason));
    let code = report
        .code()
        .map(crate::error::Code::exit_code)
        .unwrap_or(0);
    let all: Vec<String> = found
        .chain(steps)
        .chain(passed)
        .chain([format!("exit {code}")])
        .collect();
    all.join("\n")
}
