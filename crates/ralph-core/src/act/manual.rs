//! What a person asks for by name: submit an item, read a run's log, cancel a run. The same protocols as a dispatch.

use std::path::PathBuf;
use std::time::Duration;

use crate::act::submit::{Extras, Wanted};
use crate::act::{ActError, Dispatcher};
use crate::backend::{FetchRequest, Stream};
use crate::error::Code;
use crate::id::{JobId, QueueId, Slug};
use crate::job::{Finality, JobQuery, JobReport, Observation, Sighting};
use crate::pipeline::{RunStatus, RunView};
use crate::plan::{items, query};
use crate::project;
use crate::report::Problem;
use crate::world::{Facts, ProjectState, jobs_of};

/// One request for a piece of a log asks for so many bytes.
const PIECE: u64 = 1024 * 1024;
/// How often and how long a cancelled job is looked at until it has ended.
const CANCEL_LOOKS: u32 = 60;
const CANCEL_PAUSE: Duration = Duration::from_millis(500);

/// What came of a submission that a person asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmittedNow {
    /// One sentence.
    pub outcome: String,
    /// The job.
    pub job: Option<JobId>,
    /// Files that changed, relative to the project's folder.
    pub files: Vec<String>,
    /// The operation that changed them.
    pub op: Option<String>,
    /// Whether it is not known yet if there is a job.
    pub unclear: bool,
}

/// A log that is being read.
#[derive(Debug, Clone)]
pub struct RunLog {
    slug: Slug,
    job: Option<JobQuery>,
    local: Option<PathBuf>,
    stream: Stream,
    offset: u64,
}

/// What came of a cancel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancelled {
    /// The jobs that were asked to end.
    pub jobs: Vec<String>,
    /// `<job> <state>` of each, as last seen.
    pub states: Vec<String>,
    /// Whether all of them were seen to have ended.
    pub ended: bool,
}

impl Dispatcher {
    /// Submits an item, or the first READY one, under the project's lock.
    ///
    /// # Errors
    /// There is no such item, the preflight found something, or the cluster or a file failed.
    pub async fn submit_now(
        &self,
        slug: &Slug,
        item: Option<&QueueId>,
    ) -> Result<SubmittedNow, ActError> {
        let _guard = self.guard("submit")?;
        let _lock = self.lock(slug, "submit")?;
        let facts = self.settled(slug)?;
        let no_item = |why: &str| ActError::NoItem {
            slug: slug.clone(),
            item: item.map_or_else(|| "the first".to_owned(), ToString::to_string) + why,
        };
        let found = match item {
            None => items::ready_item(&facts),
            Some(item) => facts.item(item.as_str()),
        };
        let found = found.ok_or_else(|| no_item(""))?;
        if let Some(before) = items::waits_for(&facts, found) {
            return Err(no_item(&format!(" (it waits for {before})")));
        }
        if items::is_live(&facts, &found.id) {
            return Err(no_item(" (a run of it is alive)"));
        }
        if !items::is_ready(&facts, found) {
            return Err(no_item(""));
        }
        let id: QueueId = found.id.parse().map_err(|_| no_item(""))?;
        let wanted = Wanted {
            attempt: items::attempts(&facts, &found.id) + 1,
            extras: Extras::default(),
            item: found,
            id,
            again: true,
        };
        self.submit_wanted(&facts, wanted).await
    }

    /// The facts of a project that has no unsettled submission.
    pub(super) fn settled(&self, slug: &Slug) -> Result<Facts, ActError> {
        let facts = self.read(slug)?;
        match facts.intents.first() {
            None => Ok(facts),
            Some(intent) => Err(refused(
                Code::Unclear,
                format!(
                    "the submission {} of {slug} is not settled: it is not known yet whether it has a job",
                    intent.request.run
                ),
                "Run `ralph verify` first: it looks for the job.",
            )),
        }
    }

    /// Submits under the project's lock, which the caller holds.
    pub(super) async fn submit_wanted(
        &self,
        facts: &Facts,
        wanted: Wanted<'_>,
    ) -> Result<SubmittedNow, ActError> {
        // Without a way to the cluster nothing is begun: an intent would only wait to be settled.
        self.backend()?.check().await?;
        let submitted = self.submit(facts, wanted, None).await?;
        let unclear = |problem: &Problem| problem.exit_code == Code::Unclear.exit_code();
        Ok(SubmittedNow {
            outcome: submitted.outcome,
            job: submitted.job,
            files: submitted.committed.files,
            op: submitted.committed.op.map(|op| op.to_string()),
            unclear: submitted.problem.as_ref().is_some_and(unclear),
        })
    }

    /// Finds the log of a run, in whichever project it is.
    ///
    /// # Errors
    /// No project has such a run.
    pub fn log(&self, run: &str, stream: Stream) -> Result<RunLog, ActError> {
        let (slug, _, view) = self.find_run(run)?;
        let job = jobs_of(&view.jobs).and_then(|jobs| jobs.first().copied());
        let local = job.and_then(|job| self.local_copy(&slug, job, stream));
        Ok(RunLog {
            slug,
            job: job.map(|job| query(&view, job, &self.zone)),
            local,
            stream,
            offset: 0,
        })
    }

    /// The next bytes of a log; empty when there are no more now.
    ///
    /// # Errors
    /// The cluster could not be asked, and there is no local copy.
    pub async fn next_piece(&self, log: &mut RunLog) -> Result<Vec<u8>, ActError> {
        let piece = match (self.backend(), &log.job) {
            (Ok(backend), Some(job)) => {
                let request = FetchRequest {
                    project: log.slug.clone(),
                    job: job.job,
                    token: job.token.clone(),
                    stream: log.stream,
                    offset: log.offset,
                    limit: PIECE,
                    from_end: false,
                };
                backend
                    .fetch(&request)
                    .await
                    .map(|report| report.size.map(|_| report.bytes))
            }
            (Err(ActError::Backend(error)), _) => Err(error),
            _ => Ok(None),
        };
        let bytes = match piece {
            Ok(Some(bytes)) => bytes,
            Ok(None) => copy_from(log).unwrap_or_default(),
            Err(error) => copy_from(log).ok_or(error)?,
        };
        log.offset += bytes.len() as u64;
        Ok(bytes)
    }

    /// Whether the run of a log has ended, as far as the cluster knows; one that it does not know has.
    ///
    /// # Errors
    /// The cluster could not be asked.
    pub async fn has_ended(&self, log: &RunLog) -> Result<bool, ActError> {
        let (Ok(backend), Some(job)) = (self.backend(), &log.job) else {
            return Ok(true);
        };
        let seen = backend.observe(std::slice::from_ref(job)).await?;
        Ok(seen.iter().all(|observation| match &observation.sighting {
            Sighting::Seen(report) => report.finality() != Finality::Alive,
            Sighting::Absent { .. } => true,
            Sighting::Unknown { .. } => false,
        }))
    }

    /// Cancels the jobs of a run and looks until they have ended, for at most half a minute.
    ///
    /// # Errors
    /// No project has such a run, it names no job, or the cluster could not be asked.
    pub async fn cancel(&self, run: &str) -> Result<Cancelled, ActError> {
        let (_, _, view) = self.find_run(run)?;
        let backend = self.backend()?;
        let refused = |message: String| refused(Code::Failed, message, "See `ralph runs`.");
        if view.status != RunStatus::Live {
            // Its job's id may belong to somebody else's job by now.
            let word = view.status_text.as_deref().unwrap_or("ended");
            return Err(refused(format!(
                "{run} has ended already: its record says {word}"
            )));
        }
        let jobs = jobs_of(&view.jobs).ok_or_else(|| {
            refused(format!(
                "{run}: its record names no job that could be cancelled"
            ))
        })?;
        let queries: Vec<JobQuery> = jobs
            .iter()
            .map(|job| query(&view, *job, &self.zone))
            .collect();
        let mut cancelled = Cancelled {
            jobs: jobs.iter().map(ToString::to_string).collect(),
            states: Vec::new(),
            ended: false,
        };
        for look in 0..=CANCEL_LOOKS {
            let seen = backend.observe(&queries).await?;
            cancelled.states = seen
                .iter()
                .map(|observation| format!("{} {}", observation.job, word(&observation.sighting)))
                .collect();
            cancelled.ended = seen
                .iter()
                .all(|observation| has_ended(&observation.sighting));
            if cancelled.ended {
                break;
            }
            if look == 0 {
                // Only what is seen to be this run's job: a number may be another's by now.
                let alive: Vec<JobId> = seen.iter().filter_map(alive).collect();
                backend.cancel(&alive).await?;
            } else {
                tokio::time::sleep(CANCEL_PAUSE).await;
            }
        }
        Ok(cancelled)
    }

    fn find_run(&self, run: &str) -> Result<(Slug, Facts, RunView), ActError> {
        for project in project::load_all(&self.root, &self.slugs()?).projects {
            let ProjectState::Readable(facts) = project.state else {
                continue;
            };
            let views = facts
                .view
                .active_runs
                .iter()
                .chain(facts.view.completed_runs.iter().rev());
            let view = views
                .into_iter()
                .find(|view| view.key.run_id.as_deref() == Some(run))
                .cloned();
            if let Some(view) = view {
                return Ok((project.slug, *facts, view));
            }
        }
        let message = format!("no project has a run {run:?}");
        Err(refused(Code::Failed, message, "See `ralph runs`."))
    }

    /// `slurm/logs/*_<job>.<stream>`: found by the job's id, because names are not reliable (incident 41).
    fn local_copy(&self, slug: &Slug, job: JobId, stream: Stream) -> Option<PathBuf> {
        let logs = project::folder(&self.root, slug).join(crate::store::layout::SLURM_LOGS);
        let end = format!("_{job}.{}", stream.suffix());
        let names = std::fs::read_dir(&logs)
            .ok()?
            .filter_map(|entry| Some((entry.ok()?.path(),)));
        let mut found: Vec<PathBuf> = names
            .map(|(path,)| path)
            .filter(|path| {
                path.file_name()
                    .is_some_and(|name| name.to_string_lossy().ends_with(&end))
            })
            .collect();
        found.sort();
        found.into_iter().next()
    }
}

pub(super) fn refused(code: Code, message: String, hint: &str) -> ActError {
    ActError::Unreadable {
        code,
        message,
        hint: Some(hint.to_owned()),
    }
}

fn copy_from(log: &RunLog) -> Option<Vec<u8>> {
    let bytes = std::fs::read(log.local.as_ref()?).ok()?;
    let start = usize::try_from(log.offset)
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    bytes.get(start..).map(<[u8]>::to_vec)
}

fn word(sighting: &Sighting) -> String {
    match sighting {
        Sighting::Seen(report) => JobReport::verdict(report).to_string(),
        Sighting::Absent { .. } => "is not known any more".to_owned(),
        Sighting::Unknown { why } => format!("could not be asked about: {why}"),
    }
}

fn alive(observation: &Observation) -> Option<JobId> {
    match &observation.sighting {
        Sighting::Seen(report) if report.finality() == Finality::Alive => Some(observation.job),
        _ => None,
    }
}

fn has_ended(sighting: &Sighting) -> bool {
    matches!(sighting, Sighting::Seen(report) if report.finality() != Finality::Alive)
}
