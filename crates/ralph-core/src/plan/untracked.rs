//! Jobs that a state file speaks of and no run has: nobody asks the cluster about them.
//!
//! What must never be here: a guess at what became of such a job.

use std::collections::BTreeSet;

use crate::phase::Phase;
use crate::pipeline::NextAction;
use crate::world::{Facts, jobs_of};

/// Digits of a job id in a sentence: fewer are a count ("job 3 of 8"), and no scheduler has more.
const DIGITS: std::ops::RangeInclusive<usize> = 4..=10;

/// A job that only a sentence has, and the member in which the sentence stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Untracked {
    /// The number.
    pub job: u64,
    /// `phase` or `next_action`.
    pub member: &'static str,
}

impl Untracked {
    /// What to do about it.
    #[must_use]
    pub fn advice(&self, facts: &Facts) -> String {
        let Self { job, member } = self;
        format!(
            "`{member}` of .state/pipeline.json speaks of job {job}, which is in no run, so nobody asks about it; while it \
             lives `ralph cluster jobs --adopt {job} --project {}` takes it into the books, and when it has ended the \
             sentence is to be changed",
            facts.slug
        )
    }
}

/// The jobs that `phase` and `next_action` speak of, of a project without a live run; those of any run of it are not
/// among them.
#[must_use]
pub fn untracked(facts: &Facts) -> Vec<Untracked> {
    if facts.live_runs().next().is_some()
        || !facts.intents.is_empty()
        || *facts.phase() == Phase::Done
    {
        return Vec::new();
    }
    let view = &facts.view;
    let phase = match &view.phase {
        Phase::External(text) => text.as_str(),
        _ => "",
    };
    let mut next: Vec<&str> = Vec::new();
    match &view.next_action {
        NextAction::None => {}
        NextAction::Text(text) => next.push(text),
        NextAction::Action {
            command,
            reason,
            hint,
        } => {
            next.extend(
                [command, reason, hint]
                    .into_iter()
                    .flatten()
                    .map(String::as_str),
            );
        }
    }
    let mut found: Vec<Untracked> = Vec::new();
    let named = |member| move |job| Untracked { job, member };
    found.extend(jobs_in(phase).into_iter().map(named("phase")));
    let next = next.into_iter().flat_map(jobs_in);
    found.extend(next.map(named("next_action")));
    let runs = view
        .active_runs
        .iter()
        .chain(&view.completed_runs)
        .chain(&view.cancelled_runs);
    let known: BTreeSet<u64> = runs
        .flat_map(|run| jobs_of(&run.jobs).unwrap_or_default())
        .map(|job| job.base())
        .collect();
    let mut told = BTreeSet::new();
    found.retain(|one| !known.contains(&one.job) && told.insert(one.job));
    found
}

/// The first such job where a step would go by the jobs of the project.
#[must_use]
pub fn blocking(facts: &Facts) -> Option<Untracked> {
    let goes_by_jobs = matches!(facts.phase(), Phase::Run | Phase::WaitSlurm | Phase::Check);
    let found = goes_by_jobs.then(|| untracked(facts));
    found?.into_iter().next()
}

/// The numbers that a sentence calls jobs: `job 1001`, `jobs #1001, #1002 and 1003_4`, `job_id: 1001`.
fn jobs_in(sentence: &str) -> Vec<u64> {
    let mut jobs = Vec::new();
    let mut is_job = false;
    let words = sentence.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    for word in words.filter(|word| !word.is_empty()) {
        let word = word.to_ascii_lowercase();
        let digits = word.chars().all(|c| c.is_ascii_digit());
        match word.as_str() {
            "job" | "jobs" | "jobid" | "jobids" => is_job = true,
            "id" | "ids" | "and" | "array" | "slurm" => {}
            _ if digits && is_job => {
                jobs.extend(
                    word.parse::<u64>()
                        .ok()
                        .filter(|_| DIGITS.contains(&word.len())),
                );
            }
            _ => is_job = false,
        }
    }
    jobs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_job_where_the_sentence_calls_it_one() {
        let cases: [(&str, &[u64]); 8] = [
            ("wait for job #1001", &[1001]),
            ("G2 runs as SLURM job 60997656, then plot", &[60_997_656]),
            ("jobs 5001, 5002 and #5003_4 pending", &[5001, 5002, 5003]),
            ("job_id: 61003257", &[61_003_257]),
            ("job 3 of 2048, lr 10000", &[]),
            ("train 20000 steps", &[]),
            ("job of 2026-01-13 was lost", &[]),
            ("job 99999999999999999999", &[]),
        ];
        for (sentence, jobs) in cases {
            assert_eq!(jobs_in(sentence), jobs, "{sentence}");
        }
    }
}
