//! A run has ended: its logs are fetched, the end is explained, and the books say it, in one operation.

use crate::act::books::Books;
use crate::act::{ActError, Dispatcher, logs};
use crate::backend::{BackendError, ClusterBackend};
use crate::change::ChangeSet;
use crate::classify::{Case, Diagnosis, classify};
use crate::job::JobReport;
use crate::pipeline::RunView;
use crate::plan::verify;
use crate::project;
use crate::report::Verified;
use crate::settle::{ending, entry, finish, words};
use crate::time::Timestamp;
use crate::world::Facts;

impl Dispatcher {
    /// All jobs of a run have ended: what to write down, and what to say.
    pub(super) async fn explain_end(
        &self,
        books: &Books<'_>,
        run: &RunView,
        reports: &[JobReport],
    ) -> Result<(ChangeSet, Verified), ActError> {
        let facts = &books.facts;
        let backend = self.backend()?;
        let folder = project::folder(&self.root, &facts.slug);
        let place = logs::Place {
            backend,
            project: &facts.slug,
            folder: &folder,
            token: run.token.as_ref(),
        };
        let collected = logs::collect(place, reports, books.is_on_disk()).await?;
        let missing = missing_artifacts(backend, facts, run, reports).await?;
        let diagnosis = diagnose(reports, &collected, &missing);
        let ending = ending::Ending {
            run,
            reports,
            diagnosis: &diagnosis,
            logs: &collected.paths,
        };
        Ok(self.end(facts, &ending, verify::ended_status(reports)))
    }

    /// No source knows the jobs of a run any more.
    pub(super) fn explain_loss(
        &self,
        facts: &Facts,
        run: &RunView,
        since: Timestamp,
        asked: &[String],
    ) -> (ChangeSet, Verified) {
        let ending = ending::Ending {
            run,
            reports: &[],
            diagnosis: &entry::lost(run, since, asked),
            logs: &[],
        };
        self.end(facts, &ending, "lost")
    }

    fn end(
        &self,
        facts: &Facts,
        ending: &ending::Ending<'_>,
        finding: &str,
    ) -> (ChangeSet, Verified) {
        let changes = finish::ended(facts, ending, &self.context(self.env.now()));
        let (key, detail) = (&ending.run.key, words::headline(ending.diagnosis));
        let found = Verified::of_run(&facts.slug, finish::name(key), finding, detail);
        (changes, found.of_job(key.job_id.clone()))
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
