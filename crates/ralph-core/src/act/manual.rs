//! What a person asks for by name: submit an item, read a run's log, cancel a run. The same protocols as a dispatch.

use std::path::PathBuf;
use std::time::Duration;

use crate::act::submit::{Extras, Wanted};
use crate::act::{ActError, Dispatcher};
use crate::backend::{FetchReport, FetchRequest, LogPart, Stream};
use crate::error::Code;
use crate::id::{JobId, JobPart, QueueId, Slug};
use crate::job::{Finality, JobQuery, JobReport, Observation, Sighting};
use crate::pipeline::RunStatus;
use crate::plan::{items, query};
use crate::project;
use crate::report::Problem;
use crate::world::{Facts, jobs_of};

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
    run: String,
    /// The task that was asked for.
    wanted: Option<u32>,
    /// Whether any piece of it was found.
    is_found: bool,
    job: Option<JobQuery>,
    local: Option<PathBuf>,
    stream: Stream,
    offset: u64,
}

impl RunLog {
    /// Notes where a piece was found. A log that is shorter than what was read was begun anew, as after a requeue. Of an
    /// array the task whose log came first is stayed with: the next one would begin in its middle.
    fn found_at(&mut self, piece: &FetchReport) {
        self.is_found = true;
        self.offset = piece.offset;
        self.stay_with(piece.path.as_deref().unwrap_or_default());
    }

    fn stay_with(&mut self, path: &str) {
        if let Some(job) = &mut self.job
            && job.job.part() == JobPart::Whole
            && let Some(task) = task_of(path, job.job)
        {
            job.job = job.job.task(task);
        }
    }

    /// What its local copy has from the offset on.
    fn read_copy(&mut self) -> Option<Vec<u8>> {
        let bytes = copy_from(self)?;
        self.is_found = true;
        let path = self.local.clone().unwrap_or_default();
        self.stay_with(&path.to_string_lossy());
        Some(bytes)
    }

    /// The refusal of a task that was asked for and of which no log was found so far.
    ///
    /// # Errors
    /// There is none: the run is no array, the array has no such task, or it has not started.
    pub fn is_there(&self) -> Result<(), ActError> {
        match self.wanted {
            Some(task) if !self.is_found => Err(ActError::refused(
                Code::Usage,
                format!("{} has no log of task {task}", self.run),
                "Leave --task out where the run is no array. A task that has not started has none yet: --follow waits.",
            )),
            _ => Ok(()),
        }
    }

    /// The run's whole id.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The task of an array whose log is read.
    #[must_use]
    pub fn task(&self) -> Option<u32> {
        match self.job.as_ref()?.job.part() {
            JobPart::Task(task) => Some(task),
            _ => None,
        }
    }
}

/// What came of a cancel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancelled {
    /// The run's whole id.
    pub run: String,
    /// The jobs that were asked to end.
    pub jobs: Vec<String>,
    /// `<job> <state>` of each, as last seen.
    pub states: Vec<String>,
    /// Whether all of them were seen to have ended.
    pub ended: bool,
}

/// What is said of an item that is not there, or not READY.
const NOT_READY: &str = ", which is none";

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
            item: item.map_or_else(|| "none".to_owned(), |item| format!("{item}{why}")),
        };
        let found = match item {
            None => items::ready_item(&facts),
            Some(item) => facts.item(item.as_str()),
        };
        let found = found.ok_or_else(|| no_item(NOT_READY))?;
        if let Some(before) = items::waits_for(&facts, found) {
            return Err(no_item(&format!(" (it waits for {before})")));
        }
        if items::is_live(&facts, &found.id) {
            return Err(no_item(" (a run of it is alive)"));
        }
        if !items::is_ready(&facts, found) {
            let said = items::ran_unknown(&facts, found).map(|said| format!(" (it says `{said}`)"));
            return Err(no_item(said.as_deref().unwrap_or(NOT_READY)));
        }
        let id: QueueId = found.id.parse().map_err(|_| no_item(NOT_READY))?;
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
        if let Some(intent) = facts.intents.first() {
            return Err(ActError::refused(
                Code::Unclear,
                format!(
                    "the submission {} of {slug} is not settled: it is not known yet whether it has a job",
                    intent.request.run
                ),
                "Run `ralph verify` first: it looks for the job.",
            ));
        }
        if let Some(lost) = facts.forgotten.first() {
            return Err(ActError::refused(
                Code::Unclear,
                format!(
                    "the state file of {slug} has lost the run {} of {}, whose job is {}",
                    lost.run, lost.queue_id, lost.job
                ),
                "Run `ralph verify` first: it puts the run back.",
            ));
        }
        Ok(facts)
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

    /// Finds the log of a run, in the project that is named or in whichever has it.
    ///
    /// # Errors
    /// No project has such a run, or several runs may be meant.
    pub fn log(
        &self,
        project: Option<&Slug>,
        run: &str,
        task: Option<u32>,
        stream: Stream,
    ) -> Result<RunLog, ActError> {
        let (slug, view) = self.find_run(project, run)?;
        let run = view.key.run_id.clone().unwrap_or_default();
        let job = jobs_of(&view.jobs).and_then(|jobs| jobs.first().copied());
        let job = job.map(|job| task.map_or(job, |task| job.master().task(task)));
        let local = job.and_then(|job| self.local_copy(&slug, job, stream));
        Ok(RunLog {
            slug,
            run,
            wanted: task,
            is_found: false,
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
                    part: LogPart::From(log.offset),
                    limit: PIECE,
                };
                let found = backend.fetch(&request).await;
                if let Ok(report) = found.as_ref()
                    && report.size.is_some()
                {
                    log.found_at(report);
                }
                found.map(|report| report.size.map(|_| report.bytes))
            }
            (Err(ActError::Backend(error)), _) => Err(error),
            _ => Ok(None),
        };
        let bytes = match piece {
            Ok(Some(bytes)) => bytes,
            Ok(None) => log.read_copy().unwrap_or_default(),
            Err(error) => log.read_copy().ok_or(error)?,
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
    /// No project has such a run, or several may be meant, it names no job, or the cluster could not be asked.
    pub async fn cancel(&self, project: Option<&Slug>, run: &str) -> Result<Cancelled, ActError> {
        let (_, view) = self.find_run(project, run)?;
        let run = view.key.run_id.clone().unwrap_or_default();
        let backend = self.backend()?;
        let refused =
            |message: String| ActError::refused(Code::Failed, message, "See `ralph runs`.");
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
            run,
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

    /// `slurm/logs/*_<job>.<stream>`: found by the job's id, because names are not reliable (incident 41).
    fn local_copy(&self, slug: &Slug, job: JobId, stream: Stream) -> Option<PathBuf> {
        let logs = project::folder(&self.root, slug).join(crate::store::layout::SLURM_LOGS);
        let end = format!("_{job}.{}", stream.suffix());
        // Of an array the copies are those of its tasks.
        let (part, of_a_task) = (format!("_{job}_"), format!(".{}", stream.suffix()));
        let is_it =
            |name: &str| name.ends_with(&end) || name.contains(&part) && name.ends_with(&of_a_task);
        let names = std::fs::read_dir(&logs)
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path()));
        let mut found: Vec<PathBuf> = names
            .filter(|path| {
                path.file_name()
                    .is_some_and(|name| is_it(&name.to_string_lossy()))
            })
            .collect();
        found.sort_by_cached_key(|path| (task_of(&path.to_string_lossy(), job), path.clone()));
        found.into_iter().next()
    }
}

/// What the scheduler writes for `%a` where there is no task (`NO_VAL` of slurm.h).
const NO_TASK: u32 = 0xffff_fffe;

/// The task whose log a file is by its name, `x_<array>_<task>.out`.
fn task_of(path: &str, job: JobId) -> Option<u32> {
    let (_, name) = path.rsplit_once('/').unwrap_or(("", path));
    let (_, rest) = name.split_once(&format!("{}_", job.base()))?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let task = rest.get(..digits)?.parse().ok();
    task.filter(|task| *task < NO_TASK)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_task_of_a_log_is_in_its_name() {
        let task = |path: &str| task_of(path, "4711".parse().unwrap());
        assert_eq!(task("/home/me/slurm/logs/sweep_4711_12.out"), Some(12));
        assert_eq!(task("sweep_4711.out"), None);
        assert_eq!(task("sweep_4711_4294967294.out"), None);
        assert_eq!(task("sweep_4712_1.out"), None);
        assert_eq!(task("/4711_3/sweep.out"), None);
    }

    #[test]
    fn a_log_that_was_begun_anew_is_read_from_its_beginning() {
        let mut log = RunLog {
            slug: "p".parse().unwrap(),
            run: "r".to_owned(),
            wanted: None,
            is_found: false,
            job: Some(JobQuery::of("4711".parse().unwrap())),
            local: None,
            stream: Stream::Out,
            offset: 500,
        };
        log.found_at(&FetchReport {
            path: Some("/x/sweep_4711_3.out".to_owned()),
            bytes: b"again".to_vec(),
            offset: 0,
            size: Some(5),
        });
        assert_eq!((log.offset, log.task()), (0, Some(3)));
    }
}
