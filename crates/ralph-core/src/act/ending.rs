//! A run has ended: its logs are fetched, the end is explained, and the books say it, in one operation.

use crate::act::target::Target;
use crate::act::{ActError, Dispatcher, logs};
use crate::backend::{BackendError, ClusterBackend};
use crate::classify::{Case, Diagnosis, classify};
use crate::job::JobReport;
use crate::pipeline::RunView;
use crate::plan::verify;
use crate::project;
use crate::report::Verified;
use crate::settle::{ending, finish, words};
use crate::world::Facts;

impl Dispatcher {
    /// All jobs of a run have ended.
    pub(super) async fn settle_ended(
        &self,
        facts: &Facts,
        run: &RunView,
        reports: &[JobReport],
        target: &mut Target,
    ) -> Result<Verified, ActError> {
        let backend = self.backend()?;
        let folder = project::folder(&self.root, &facts.slug);
        let place = logs::Place {
            backend,
            project: &facts.slug,
            folder: &folder,
            token: run.token.as_ref(),
        };
        let collected = logs::collect(place, reports, target.is_disk()).await?;
        let missing = missing_artifacts(backend, facts, run, reports).await?;
        let diagnosis = diagnose(reports, &collected, &missing);
        let ending = ending::Ending {
            run,
            reports,
            diagnosis: &diagnosis,
            logs: &collected.paths,
        };
        self.record_end(facts, &ending, target, verify::ended_status(reports))
    }

    /// Writes the books. `word` is the finding that the report shows.
    pub(super) fn record_end(
        &self,
        facts: &Facts,
        ending: &ending::Ending<'_>,
        target: &mut Target,
        word: &str,
    ) -> Result<Verified, ActError> {
        let changes = finish::ended(facts, ending, &self.context(self.env.now()));
        let committed = self.apply_ending(target, changes, facts)?;
        let found = Verified {
            detail: words::headline(ending.diagnosis),
            job: ending.run.key.job_id.clone(),
            ..super::verification::found(facts, &finish::name(&ending.run.key), word)
        };
        Ok(super::verification::with(found, committed))
    }
}

/// Files that the item says must exist, and that do not (incident 63). Only of a job that completed.
async fn missing_artifacts(
    backend: &dyn ClusterBackend,
    facts: &Facts,
    run: &RunView,
    reports: &[JobReport],
) -> Result<Vec<String>, BackendError> {
    let item = run.queue_id.as_deref().and_then(|id| facts.item(id));
    let named = item.into_iter().flat_map(|item| &item.artifacts);
    // A pattern names no file: whether it has a match is not asked, and nothing is said about it.
    let named = named.filter(|path| !path.contains(['*', '?', '[']));
    let named: Vec<String> = named.cloned().collect();
    if named.is_empty() || verify::ended_status(reports) != "completed" {
        return Ok(Vec::new());
    }
    let there = backend.existing(&facts.slug, &named).await?;
    let there = there.into_iter().chain(std::iter::repeat(false));
    let missing = named.into_iter().zip(there).filter(|(_, there)| !there);
    Ok(missing.map(|(path, _)| path).collect())
}

fn diagnose(reports: &[JobReport], collected: &logs::Collected, missing: &[String]) -> Diagnosis {
    let logs = &collected.texts;
    let Some(report) = verify::decisive(reports) else {
        return classify(&Case {
            logs,
            missing_artifacts: missing,
            ..Case::default()
        });
    };
    // Of an array the task that decided: its exit code and its times explain more than the whole's.
    let decided = |task: &&JobReport| task.state == *report.verdict();
    let told = report.tasks.iter().find(decided).unwrap_or(report);
    classify(&Case::of(told, logs, missing))
}
