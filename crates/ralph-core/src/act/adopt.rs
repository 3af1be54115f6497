//! Taking a job into the books that nobody recorded: three running jobs were once found only by chance (incident 10).

use serde_json::{Map, Value, json};

use crate::act::commit::commit;
use crate::act::{ActError, Dispatcher};
use crate::error::Code;
use crate::id::{JobId, Slug};
use crate::job::{Finality, JobParts, JobReport};
use crate::project;
use crate::settle::adopted;
use crate::world::jobs_of;

impl Dispatcher {
    /// Adds a live job of this user to a project's `active_runs`, under its lock; returns the run's id.
    ///
    /// # Errors
    /// The cluster does not list the job as alive, a run of the project names it already, or a file failed.
    pub async fn adopt(&self, slug: &Slug, job: JobId) -> Result<String, ActError> {
        let report = self.listed(job).await?;
        let _lock = self.lock(slug, "adopt")?;
        let facts = self.read(slug)?;
        let mut runs = facts
            .view
            .active_runs
            .iter()
            .chain(&facts.view.completed_runs);
        let names = |run: &&crate::pipeline::RunView| {
            jobs_of(&run.jobs)
                .into_iter()
                .flatten()
                .any(|known| known.master() == job.master())
        };
        if let Some(run) = runs.find(names) {
            let run = run.key.run_id.as_deref().unwrap_or("without an id");
            return Err(ActError::refused(
                Code::Failed,
                format!("job {job} is run {run} of {slug} already"),
                "See `ralph runs`.",
            ));
        }
        let run = format!("adopted_{}", job.master());
        let record: Map<_, _> = [
            ("run_id", json!(run)),
            ("experiment", json!(report.name)),
            (
                "status",
                json!(if report.state.is_started() {
                    "running"
                } else {
                    "pending"
                }),
            ),
            ("job_id", json!(job.master().to_string())),
            (
                "submitted_at",
                json!(report.submitted.map(crate::time::stamp)),
            ),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .chain(parts(&report))
        .collect();
        commit(
            &project::folder(&self.root, slug),
            adopted(&facts, record, &run, job, self.env.now()),
            &self.env,
        )?;
        Ok(run)
    }

    async fn listed(&self, job: JobId) -> Result<JobReport, ActError> {
        let reports = self.backend()?.jobs().await?;
        let alive = |report: &JobReport| {
            report.job.master() == job.master() && report.finality() == Finality::Alive
        };
        reports.into_iter().find(alive).ok_or_else(|| {
            ActError::refused(
                Code::Failed,
                format!("the cluster lists no live job {job} of this user"),
                "See `ralph cluster jobs`.",
            )
        })
    }
}

/// What tells a job of several parts from one that has ended, when accounting has only some of them yet.
fn parts(report: &JobReport) -> Option<(String, Value)> {
    let seen: Vec<JobId> = report.tasks.iter().map(|part| part.job).collect();
    let (member, spec) = JobParts::seen(&seen)?.member();
    Some((member.to_owned(), json!(spec)))
}
