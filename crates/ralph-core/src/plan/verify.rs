//! Verification: what the cluster's answers mean for the runs and submissions that are said to be alive.
//!
//! Three-valued throughout: only a successful answer may change a state, absence is confirmed over time, and
//! what could not be asked changes nothing (behaviours 4 and 5 of the scheduler study).

use std::time::Duration;

use crate::backend::Receipt;
use crate::id::JobId;
use crate::job::{Finality, JobReport, JobState, Sighting};
use crate::pipeline::{RunKey, RunStatus, RunView};
use crate::plan::Context;
use crate::time::{Timestamp, elapsed};
use crate::world::{Facts, Intent, Observations, Sighted, SightedAs, Sightings, jobs_of};

/// An end that a requeue may undo is believed after so long.
const SETTLE: Duration = Duration::from_secs(60);
/// An unsettled submission of which no source knows a job is given up after so long (two passes).
const ABANDON_AFTER: Duration = Duration::from_secs(120);

/// What verification found about one run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFinding {
    /// The run.
    pub key: RunKey,
    /// What was found.
    pub verdict: RunVerdict,
}

/// What is true of a run that is said to be alive.
#[derive(Debug, Clone, PartialEq)]
pub enum RunVerdict {
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
pub fn runs(
    facts: &Facts,
    seen: &Observations,
    context: &Context<'_>,
) -> (Vec<RunFinding>, Sightings) {
    let mut memory = Memory {
        before: &facts.sightings,
        after: kept(&facts.sightings),
        now: context.now,
    };
    let findings = facts
        .view
        .active_runs
        .iter()
        .filter_map(|run| {
            let verdict = match run.status {
                RunStatus::Live => live_run(run, seen, context, &mut memory),
                RunStatus::OtherTerminal => return None,
                _ => RunVerdict::Misfiled,
            };
            Some(RunFinding {
                key: run.key.clone(),
                verdict,
            })
        })
        .collect();
    (findings, memory.after)
}

/// What is remembered of other things than jobs stays.
fn kept(before: &Sightings) -> Sightings {
    let entries = before
        .entries
        .iter()
        .filter(|(_, seen)| matches!(seen.what, SightedAs::Limit | SightedAs::Unsettled));
    Sightings {
        version: 1,
        entries: entries
            .map(|(key, seen)| (key.clone(), seen.clone()))
            .collect(),
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
pub fn note(before: Option<&Sighted>, what: SightedAs, now: Timestamp) -> Sighted {
    match before.filter(|seen| seen.what == what) {
        Some(seen) => Sighted {
            last: now,
            passes: seen.passes.saturating_add(1),
            ..seen.clone()
        },
        None => Sighted {
            since: now,
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
    let mut reports = Vec::new();
    let mut absent: Option<(Sighted, Vec<String>)> = None;
    for job in &jobs {
        match seen.jobs.get(job).map(|observation| &observation.sighting) {
            Some(Sighting::Seen(report)) => reports.push(report.as_ref().clone()),
            Some(Sighting::Absent { asked }) => {
                absent = Some((
                    memory.note(&job.to_string(), SightedAs::Absent),
                    asked.clone(),
                ));
            }
            Some(Sighting::Unknown { why }) => return unknown(memory, &jobs, why.clone()),
            None => return unknown(memory, &jobs, "the cluster was not asked".to_owned()),
        }
    }
    if let Some((sighted, asked)) = absent {
        let long = elapsed(sighted.since, context.now) >= context.settings.lost_after
            && sighted.passes > 1;
        return if long {
            RunVerdict::Lost {
                since: sighted.since,
                asked,
            }
        } else {
            RunVerdict::Unconfirmed
        };
    }
    judge(run, reports, context, memory)
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

/// What to do about a submission that is not settled.
#[derive(Debug, Clone, PartialEq)]
pub enum IntentVerdict {
    /// There is a job: take it into the books.
    Adopt(Receipt),
    /// The cluster has never heard of it: send it again, with the same token.
    Resend,
    /// The scheduler refused it, and that proves that there is no job.
    Refused(Receipt),
    /// Claimed or unclear, and no source knows a job: wait, or when it has lasted long enough, give up.
    Wait {
        /// Why, for people.
        why: String,
    },
    /// Provably without a job for long enough: a new submission may be made.
    Abandon,
}

/// Judges one unsettled submission; the second part is what to remember.
#[must_use]
pub fn intent(
    intent: &Intent,
    facts: &Facts,
    seen: &Observations,
    now: Timestamp,
) -> (IntentVerdict, Option<Sighted>) {
    let key = intent.request.token.as_str();
    let wait = |why: String| {
        let sighted = note(facts.sightings.entries.get(key), SightedAs::Unsettled, now);
        let long = elapsed(sighted.since, now) >= ABANDON_AFTER && sighted.passes > 1;
        (
            if long {
                IntentVerdict::Abandon
            } else {
                IntentVerdict::Wait { why }
            },
            Some(sighted),
        )
    };
    match seen.receipts.get(&intent.request.token) {
        Some(Ok(receipt @ Receipt::Accepted { .. })) => {
            (IntentVerdict::Adopt(receipt.clone()), None)
        }
        Some(Ok(Receipt::Absent)) => (IntentVerdict::Resend, None),
        Some(Ok(receipt @ Receipt::Refused { .. })) => {
            (IntentVerdict::Refused(receipt.clone()), None)
        }
        Some(Ok(Receipt::Claimed { .. })) => {
            wait("the submission was begun on the cluster; no job is known yet".to_owned())
        }
        Some(Ok(Receipt::Unclear { message })) => {
            wait(format!("it is not known whether the job exists: {message}"))
        }
        Some(Err(why)) => (
            IntentVerdict::Wait { why: why.clone() },
            facts.sightings.entries.get(key).cloned(),
        ),
        None => (
            IntentVerdict::Wait {
                why: "the cluster could not be asked".to_owned(),
            },
            facts.sightings.entries.get(key).cloned(),
        ),
    }
}

/// The status word of the books (AGENTS vocabulary, contradiction 6) for an ended run.
#[must_use]
pub fn ended_status(reports: &[JobReport]) -> &'static str {
    match decisive(reports).map(JobReport::verdict) {
        Some(JobState::Completed) => "completed",
        Some(JobState::Timeout) => "timeout",
        Some(JobState::Cancelled | JobState::Revoked) => "cancelled",
        _ => "failed",
    }
}

/// The report that decides: the first that did not complete, else the first.
#[must_use]
pub fn decisive(reports: &[JobReport]) -> Option<&JobReport> {
    reports
        .iter()
        .find(|report| *report.verdict() != JobState::Completed)
        .or_else(|| reports.first())
}
