//! Verification: what the cluster's answers mean for the runs that are said to be alive.
//!
//! Three-valued throughout: only a successful answer may change a state, absence is confirmed over time, and
//! what could not be asked changes nothing (behaviours 4 and 5 of the scheduler study).

use std::time::Duration;

use ralph_docs::queue::QueueSection;

use crate::id::JobId;
use crate::job::{Finality, JobReport, JobState, Sighting};
use crate::pipeline::{RunKey, RunStatus, RunView};
use crate::plan::{Context, items};
use crate::time::{Timestamp, elapsed};
use crate::world::{Facts, Observations, Sighted, SightedAs, Sightings, jobs_of};

/// An end that a requeue may undo is believed after so long.
const SETTLE: Duration = Duration::from_secs(60);

/// What verification found about one run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RunFinding {
    /// The run.
    pub(crate) key: RunKey,
    /// What was found.
    pub(crate) verdict: RunVerdict,
}

/// What is true of a run that is said to be alive.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RunVerdict {
    /// Alive; the word that its record should show.
    Alive {
        /// `pending` or `running`.
        status: &'static str,
        /// The reports, for people.
        reports: Vec<JobReport>,
    },
    /// All its jobs have ended.
    Ended {
        /// One report per job.
        reports: Vec<JobReport>,
    },
    /// Its record already says how it ended; it only stands in the wrong list (contradiction 5).
    Misfiled,
    /// `completed_runs` already says how it ended, and the cluster does not say that it lives: it only stands in both
    /// lists (incident 14). Its end was looked into once, and is not looked into again.
    FiledTwice,
    /// Ended, unless it is requeued.
    Settling,
    /// No source knows it, but that is not confirmed yet.
    Unconfirmed,
    /// No source has known it for long enough, over several passes.
    Lost {
        /// Since when.
        since: Timestamp,
        /// The sources that answered.
        asked: Vec<String>,
    },
    /// It could not be asked about.
    Unknown {
        /// Why.
        why: String,
    },
    /// Its record names no job.
    NoJob,
}

/// Judges every run of `active_runs` and returns the memory for the next pass.
#[must_use]
pub(crate) fn runs(
    facts: &Facts,
    seen: &Observations,
    context: &Context<'_>,
) -> (Vec<RunFinding>, Sightings) {
    let mut memory = Memory {
        before: &facts.sightings,
        after: kept(facts),
        now: context.now,
    };
    let findings = facts
        .view
        .active_runs
        .iter()
        .map(|run| {
            let verdict = match run.status {
                RunStatus::Live if is_filed(facts, run) => {
                    filed_run(run, seen, context, &mut memory)
                }
                RunStatus::Live => live_run(run, seen, context, &mut memory),
                // Without an id no edit finds the record again.
                _ if run.key.run_id.is_none() && run.key.job_id.is_none() => RunVerdict::NoJob,
                _ if has_twin(facts, run, |_| true) => RunVerdict::FiledTwice,
                _ => RunVerdict::Misfiled,
            };
            RunFinding {
                key: run.key.clone(),
                verdict,
            }
        })
        .collect();
    (findings, memory.after)
}

/// Whether `completed_runs` says how this run ended.
fn is_filed(facts: &Facts, run: &RunView) -> bool {
    has_twin(facts, run, |twin| !twin.status.is_live())
}

/// Whether `completed_runs` holds such a record with the ids of this run; one without ids is none's twin.
fn has_twin(facts: &Facts, run: &RunView, is_such: impl Fn(&RunView) -> bool) -> bool {
    let RunKey { run_id, job_id, .. } = &run.key;
    let mut completed = facts.view.completed_runs.iter();
    (run_id.is_some() || job_id.is_some())
        && completed
            .any(|twin| twin.key.run_id == *run_id && twin.key.job_id == *job_id && is_such(twin))
}

/// What the cluster knows outranks the books; where it knows nothing more they are believed.
fn filed_run(
    run: &RunView,
    seen: &Observations,
    context: &Context<'_>,
    memory: &mut Memory<'_>,
) -> RunVerdict {
    let answers = Answers::of(&jobs_of(&run.jobs).unwrap_or_default(), seen);
    let is_alive = |report: &JobReport| report.finality() == Finality::Alive;
    if answers.reports.iter().any(is_alive) {
        return judge(run, answers.reports, context, memory);
    }
    match answers.unknown {
        Some(why) => RunVerdict::Unknown { why },
        None => RunVerdict::FiledTwice,
    }
}

/// What is remembered of other things than jobs stays as long as it concerns something.
fn kept(facts: &Facts) -> Sightings {
    let in_section = |id: &str, section: &QueueSection| {
        let item = facts.item(id);
        item.is_some_and(|item| item.section == *section)
    };
    let concerns = |key: &str, seen: &Sighted| match seen.what {
        SightedAs::Limit => key
            .strip_prefix(&items::limit_key(""))
            .is_some_and(|id| in_section(id, &QueueSection::Ready)),
        SightedAs::Claimed | SightedAs::Unproven => facts
            .intents
            .iter()
            .any(|intent| intent.request.token.as_str() == key),
        SightedAs::Checked => facts.view.completed_runs.iter().any(|run| {
            let named = run.key.run_id.as_deref().map(items::checked_key);
            let item = run.queue_id.as_deref();
            named.as_deref() == Some(key)
                && item.is_some_and(|id| in_section(id, &QueueSection::InProgress))
        }),
        SightedAs::Absent | SightedAs::Provisional => false,
    };
    let entries = facts.sightings.entries.iter();
    Sightings {
        entries: entries
            .filter(|(key, seen)| concerns(key, seen))
            .map(|(key, seen)| (key.clone(), seen.clone()))
            .collect(),
        ..Sightings::default()
    }
}

struct Memory<'a> {
    before: &'a Sightings,
    after: Sightings,
    now: Timestamp,
}

impl Memory<'_> {
    fn note(&mut self, key: &str, what: SightedAs) -> Sighted {
        let seen = note(self.before.entries.get(key), what, self.now);
        self.after.entries.insert(key.to_owned(), seen.clone());
        seen
    }
}

/// One more pass that saw `what`.
#[must_use]
pub(crate) fn note(before: Option<&Sighted>, what: SightedAs, now: Timestamp) -> Sighted {
    match before.filter(|seen| seen.what == what) {
        Some(seen) => Sighted {
            last: now,
            passes: seen.passes.saturating_add(1),
            ..seen.clone()
        },
        None => Sighted {
            since: now,
            there: None,
            last: now,
            passes: 1,
            what,
        },
    }
}

fn live_run(
    run: &RunView,
    seen: &Observations,
    context: &Context<'_>,
    memory: &mut Memory<'_>,
) -> RunVerdict {
    let Some(jobs) = jobs_of(&run.jobs) else {
        return RunVerdict::NoJob;
    };
    let answers = Answers::of(&jobs, seen);
    let is_alive = |report: &JobReport| report.finality() == Finality::Alive;
    if let Some(why) = answers.unknown
        && !answers.reports.iter().any(is_alive)
    {
        return unknown(memory, &jobs, why);
    }
    let absent: Vec<Sighted> = answers
        .absent
        .iter()
        .map(|job| memory.note(&job.to_string(), SightedAs::Absent))
        .collect();
    // As long as one job lives, the run does: the records of the others may have been purged.
    if absent.is_empty() || answers.reports.iter().any(is_alive) {
        return judge(run, answers.reports, context, memory);
    }
    let long = |seen: &Sighted| {
        elapsed(seen.since, context.now) >= context.settings.lost_after && seen.passes > 1
    };
    if !absent.iter().all(long) {
        return RunVerdict::Unconfirmed;
    }
    RunVerdict::Lost {
        since: absent
            .iter()
            .map(|seen| seen.since)
            .max()
            .unwrap_or(context.now),
        asked: answers.asked,
    }
}

/// What was said about the jobs of one run.
#[derive(Default)]
struct Answers {
    reports: Vec<JobReport>,
    absent: Vec<JobId>,
    /// The sources that knew nothing.
    asked: Vec<String>,
    /// Why the last job that could not be asked about could not.
    unknown: Option<String>,
}

impl Answers {
    fn of(jobs: &[JobId], seen: &Observations) -> Self {
        let mut answers = Self::default();
        for job in jobs {
            match seen.jobs.get(job).map(|observation| &observation.sighting) {
                Some(Sighting::Seen(report)) => answers.reports.push(report.as_ref().clone()),
                Some(Sighting::Absent { asked }) => {
                    answers.absent.push(*job);
                    answers.asked.clone_from(asked);
                }
                Some(Sighting::Unknown { why }) => answers.unknown = Some(why.clone()),
                None => answers.unknown = Some("the cluster was not asked".to_owned()),
            }
        }
        answers
    }
}

/// A pass without an answer neither confirms nor refutes what earlier passes saw.
fn unknown(memory: &mut Memory<'_>, jobs: &[JobId], why: String) -> RunVerdict {
    for key in jobs.iter().map(ToString::to_string) {
        if let Some(seen) = memory.before.entries.get(&key) {
            memory.after.entries.insert(key, seen.clone());
        }
    }
    RunVerdict::Unknown { why }
}

fn judge(
    run: &RunView,
    reports: Vec<JobReport>,
    context: &Context<'_>,
    memory: &mut Memory<'_>,
) -> RunVerdict {
    let finalities: Vec<Finality> = reports.iter().map(JobReport::finality).collect();
    if finalities.contains(&Finality::Alive) {
        let started = reports.iter().any(|report| {
            report.state.is_started() || report.tasks.iter().any(|t| t.state.is_started())
        });
        return RunVerdict::Alive {
            status: if started { "running" } else { "pending" },
            reports,
        };
    }
    if finalities.contains(&Finality::Provisional) {
        let key = run.key.job_id.clone().unwrap_or_default();
        let seen = memory.note(&key, SightedAs::Provisional);
        let since = reports
            .iter()
            .filter_map(|report| report.ended)
            .max()
            .unwrap_or(seen.since)
            .min(seen.since);
        if elapsed(since, context.now) < SETTLE {
            return RunVerdict::Settling;
        }
    }
    RunVerdict::Ended { reports }
}

/// The status word of the books (AGENTS vocabulary, contradiction 6) for an ended run.
#[must_use]
pub(crate) fn ended_status(reports: &[JobReport]) -> &'static str {
    match decisive(reports).map(JobReport::verdict) {
        Some(JobState::Completed) => "completed",
        Some(JobState::Timeout) => "timeout",
        Some(JobState::Cancelled | JobState::Revoked) => "cancelled",
        _ => "failed",
    }
}

/// The report that decides: the first that did not complete, else the first.
#[must_use]
pub(crate) fn decisive(reports: &[JobReport]) -> Option<&JobReport> {
    reports
        .iter()
        .find(|report| *report.verdict() != JobState::Completed)
        .or_else(|| reports.first())
}
