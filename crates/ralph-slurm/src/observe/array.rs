//! Arrays and heterogeneous jobs: one verdict per part, and the whole as what follows from all of them. Pure.

use std::collections::BTreeSet;

use ralph_core::id::{JobId, JobPart};
use ralph_core::job::{Evidence, Finality, JobReport, JobState, Sighting};

use super::merge::Facts;

/// The state of a part that was submitted but is in no row yet: it has not ended as far as anybody knows.
const UNREPORTED: &str = "not reported yet";

/// The verdict about an array or a heterogeneous job as a whole.
pub(super) fn whole(facts: &Facts<'_>, job: JobId) -> Sighting {
    let parts: Vec<JobReport> = parts(facts)
        .into_iter()
        .map(|part| verdict(facts, part))
        .collect();
    let Some(first) = parts.first() else {
        return facts.single(job);
    };
    let state = overall(&parts);
    if let Some(part) = unreported(&parts, &state) {
        // It may have ended long ago: that it cannot be seen is no sign of life.
        let why = part.reason.as_deref();
        let why = why.unwrap_or("it is neither in the queue nor in accounting yet");
        return Sighting::Unknown {
            why: format!("{}: {why}", part.job),
        };
    }
    let all_ended = parts.iter().all(|part| part.finality() != Finality::Alive);
    let told = parts
        .iter()
        .find(|part| part.state == state)
        .unwrap_or(first)
        .evidence
        .clone();
    let mut report = facts.blank(job, state.clone(), &told.source);
    report.name.clone_from(&first.name);
    report.submitted = parts.iter().filter_map(|part| part.submitted).min();
    report.started = parts.iter().filter_map(|part| part.started).min();
    report.ended = parts
        .iter()
        .filter_map(|part| part.ended)
        .max()
        .filter(|_| all_ended);
    report.exit = parts
        .iter()
        .find(|part| part.state == state)
        .and_then(|part| part.exit)
        .filter(|_| all_ended);
    report.reason = parts
        .iter()
        .find(|part| part.state == state)
        .and_then(|part| part.reason.clone());
    report.cancelled_by = parts.iter().find_map(|part| part.cancelled_by);
    report.restarts = parts.iter().map(|part| part.restarts).max().unwrap_or(0);
    report.evidence = Evidence {
        line: told.line,
        ..report.evidence
    };
    report.tasks = parts;
    Sighting::Seen(Box::new(report))
}

/// Every part that any source names, and every one that the job is known to have.
fn parts(facts: &Facts<'_>) -> BTreeSet<JobId> {
    let rows = facts
        .queue
        .iter()
        .chain(&facts.accounting)
        .flat_map(|row| row.jobs());
    rows.filter(|part| part.part() != JobPart::Whole)
        .chain(facts.expected.iter().copied())
        .collect()
}

/// The first part that nothing is known of, where all others have ended.
fn unreported<'a>(parts: &'a [JobReport], overall: &JobState) -> Option<&'a JobReport> {
    let unreported = JobState::Other(UNREPORTED.to_owned());
    let first = parts.iter().find(|part| part.state == unreported);
    first.filter(|_| *overall == unreported)
}

fn verdict(facts: &Facts<'_>, part: JobId) -> JobReport {
    match facts.single(part) {
        Sighting::Seen(report) => *report,
        Sighting::Absent { .. } => facts.blank(
            part,
            JobState::Other(UNREPORTED.to_owned()),
            "the job's script",
        ),
        Sighting::Unknown { why } => {
            let mut report = facts.blank(part, JobState::Other(UNREPORTED.to_owned()), "sacct");
            report.reason = Some(why);
            report
        }
    }
}

/// Alive as long as one part is; then `COMPLETED` only if all are, else the first other end.
fn overall(parts: &[JobReport]) -> JobState {
    let states = || parts.iter().map(|part| &part.state);
    let alive = || states().filter(|state| state.finality() == Finality::Alive);
    alive()
        .find(|state| state.is_started())
        .or_else(|| alive().find(|state| **state == JobState::Pending))
        .or_else(|| alive().next())
        .or_else(|| states().find(|state| **state != JobState::Completed))
        .cloned()
        .unwrap_or(JobState::Completed)
}
