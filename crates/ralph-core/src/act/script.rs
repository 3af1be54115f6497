//! What the scripts in `scripts/cluster/` ask for: a script submitted by its path, the state of a job by its number, the
//! logs of a project. The same protocols as a dispatch, and the same books.

use ralph_docs::queue::{QueueItem, QueueSection};

use crate::act::logs::{self, Place};
use crate::act::manual::SubmittedNow;
use crate::act::submit::{Extras, Wanted};
use crate::act::{ActError, Dispatcher, preflight};
use crate::error::Code;
use crate::id::{JobId, QueueId, Slug};
use crate::job::{JobQuery, Sighting};
use crate::pipeline::RunView;
use crate::plan::{items, query};
use crate::project;
use crate::store::layout;
use crate::world::{Facts, ProjectState, jobs_of};

impl Dispatcher {
    /// Submits a script of a project: as the READY item that means it, where there is one, else for itself. Whoever names
    /// the script of an item that has run wants it to run again.
    ///
    /// # Errors
    /// An item means the script and is not READY, a run of it is alive, the preflight found something, or the cluster or
    /// a file failed.
    pub async fn submit_script(
        &self,
        slug: &Slug,
        path: &str,
        extras: Extras,
    ) -> Result<SubmittedNow, ActError> {
        let _guard = self.guard("submit")?;
        let _lock = self.lock(slug, "submit")?;
        let facts = self.settled(slug)?;
        let folder = project::folder(&self.root, slug);
        if !folder.join(path).is_file() {
            let message = format!("projects/{slug}/{path}: there is no such file");
            return Err(ActError::refused(
                Code::Failed,
                message,
                "Name a script of the project.",
            ));
        }
        let means_it = |item: &&QueueItem| {
            preflight::script_path(item, &facts.queue, &folder).as_deref() == Ok(path)
        };
        let meant: Vec<&QueueItem> = facts.queue.iter().filter(means_it).collect();
        let waits = |item: &QueueItem| {
            let before = items::waits_for(&facts, item)?;
            (item.section == QueueSection::Ready)
                .then(|| format!("{path}: {} waits for {before}", item.id))
        };
        if let Some(message) = meant.iter().find_map(|item| waits(item)) {
            return Err(ActError::refused(
                Code::Failed,
                message,
                "See documentation/queue.md.",
            ));
        }
        let own = own_item(path);
        let ready = meant.iter().find(|item| items::is_ready(&facts, item));
        let item = ready.copied().unwrap_or(&own);
        let mut same = meant.into_iter().chain([item]);
        if let Some(live) = same.find(|item| items::is_live(&facts, &item.id)) {
            let message = format!(
                "{path}: a run of {} is alive, and it is not started a second time",
                live.id
            );
            return Err(ActError::refused(
                Code::Failed,
                message,
                "See `ralph runs`.",
            ));
        }
        let id: QueueId = item.id.parse().map_err(|error| {
            let message = format!("{path}: {error}");
            ActError::refused(Code::Failed, message, "Give the item an id such as Q-001.")
        })?;
        let wanted = Wanted {
            attempt: items::attempts(&facts, &item.id) + 1,
            id,
            item,
            extras,
            again: true,
        };
        self.submit_wanted(&facts, wanted).await
    }

    /// What the cluster says about one job, ours or not.
    ///
    /// # Errors
    /// The cluster could not be asked.
    pub async fn sighting(&self, job: JobId) -> Result<Sighting, ActError> {
        let seen = self.backend()?.observe(&[self.known(job)?]).await?;
        let first = seen.into_iter().next().map(|found| found.sighting);
        Ok(first.unwrap_or(Sighting::Unknown {
            why: "the cluster's answer does not name it".to_owned(),
        }))
    }

    /// A job by its number, with what our books know of it: numbers are used again.
    fn known(&self, job: JobId) -> Result<JobQuery, ActError> {
        for project in project::load_all(&self.root, &self.slugs()?).projects {
            let ProjectState::Readable(facts) = &project.state else {
                continue;
            };
            // The youngest record counts.
            let run = runs(facts).rev().find(|run| {
                let jobs = jobs_of(&run.jobs).into_iter().flatten();
                jobs.into_iter().any(|known| known.master() == job.master())
            });
            if let Some(run) = run {
                return Ok(query(run, job, &self.zone));
            }
        }
        Ok(JobQuery::of(job))
    }

    /// Brings the logs of a project's jobs to `slurm/logs/<job_name>_<job_id>.{out,err}`: of every live run what is new,
    /// of one that has ended what is missing. Gives the paths, relative to the project's folder.
    ///
    /// # Errors
    /// The cluster could not be asked, or a local copy could not be written.
    pub async fn fetch_logs(&self, slug: &Slug) -> Result<Vec<String>, ActError> {
        let _lock = self.lock(slug, "fetch")?;
        let facts = self.read(slug)?;
        let folder = project::folder(&self.root, slug);
        let backend = self.backend()?;
        let mut asked = Vec::new();
        for run in runs(&facts) {
            let is_live = facts.live_runs().any(|live| live.key == run.key);
            for job in jobs_of(&run.jobs).into_iter().flatten() {
                if is_live || !has_copy(&folder, job) {
                    asked.push((run, query(run, job, &self.zone)));
                }
            }
        }
        let queries: Vec<JobQuery> = asked.iter().map(|(_, query)| query.clone()).collect();
        let seen = match queries.is_empty() {
            true => backend.check().await.map(|()| Vec::new())?,
            false => backend.observe(&queries).await?,
        };
        let mut paths = Vec::new();
        for ((run, _), observation) in asked.into_iter().zip(seen) {
            let Sighting::Seen(report) = observation.sighting else {
                continue;
            };
            let place = Place {
                backend,
                project: slug,
                folder: &folder,
                token: run.token.as_ref(),
            };
            paths.extend(logs::collect(place, &[*report], true).await?.paths);
        }
        Ok(paths)
    }
}

/// The runs of a project, the oldest first as far as the books are in order.
fn runs(facts: &Facts) -> impl DoubleEndedIterator<Item = &RunView> {
    let completed = facts.view.completed_runs.iter();
    completed.chain(&facts.view.active_runs)
}

/// A script that no item means is an item of its own, named after the file.
fn own_item(path: &str) -> QueueItem {
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = name.split('.').next().unwrap_or(name);
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let word: String = stem.chars().map(plain).take(40).collect();
    QueueItem {
        // An id begins with a letter and holds a digit.
        id: format!("script-1-{word}"),
        title: stem.to_owned(),
        section: QueueSection::Ready,
        line: 0,
        heading: 0..0,
        body: 0..0,
        hypothesis: None,
        config: None,
        resources: None,
        notes: None,
        script: Some(path.to_owned()),
        script_more: None,
        artifacts: Vec::new(),
        after: Vec::new(),
        held: None,
        run: None,
        job: None,
        status: None,
        fields: vec![("Script".to_owned(), path.to_owned())],
    }
}

/// Whether a log of the job is in `slurm/logs/` already.
fn has_copy(folder: &std::path::Path, job: JobId) -> bool {
    let mark = format!("_{job}.");
    let task = format!("_{job}_");
    let names = std::fs::read_dir(folder.join(layout::SLURM_LOGS));
    let mut names = names.into_iter().flatten().flatten();
    names.any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.contains(&mark) || name.contains(&task)
    })
}
