//! Jobs that a state file speaks of and no run has: nobody asks the cluster about them.
//!
//! What must never be here: a guess at what became of such a job.

use std::collections::BTreeSet;

use crate::phase::Phase;
use crate::pipeline::{NextAction, is_counted};
use crate::world::{Facts, jobs_of};

/// Digits of a job id in a sentence: fewer are a count ("job 3 of 8"), and no scheduler has more.
const DIGITS: std::ops::RangeInclusive<usize> = 4..=10;

/// A job that only a sentence has, and the member in which the sentence stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Untracked {
    /// The number.
    pub(crate) job: u64,
    /// `phase` or `next_action`.
    pub(crate) member: &'static str,
}

impl Untracked {
    /// What to do about it.
    #[must_use]
    pub(crate) fn advice(&self, facts: &Facts) -> String {
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
pub(crate) fn untracked(facts: &Facts) -> Vec<Untracked> {
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
pub(crate) fn blocking(facts: &Facts) -> Option<Untracked> {
    let goes_by_jobs = matches!(facts.phase(), Phase::Run | Phase::WaitSlurm | Phase::Check);
    let found = goes_by_jobs.then(|| untracked(facts));
    found?.into_iter().next()
}

/// What the word before a number says of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expects {
    /// Nothing.
    Nothing,
    /// That it is a job: the number follows the word `job`.
    Job,
    /// That it may be one more of a list.
    Another,
}

/// The numbers that a sentence calls jobs: `job 1001`, `jobs #1001, #1002 and 1003_4`, `job_id: 1001`. A sentence that
/// goes on about something else (`the job, 10000 steps`) names none: a project would stop for it.
fn jobs_in(sentence: &str) -> Vec<u64> {
    let is_part = |c: char| c.is_alphanumeric() || c == '-';
    let mut jobs = Vec::new();
    let mut expects = Expects::Nothing;
    let mut rest = sentence;
    while let Some(start) = rest.find(is_part) {
        let (gap, at) = rest.split_at(start);
        let (word, after) = at.split_at(at.find(|c| !is_part(c)).unwrap_or(at.len()));
        expects = match (word.to_ascii_lowercase().as_str(), expects) {
            ("job" | "jobs" | "jobid" | "jobids", _) => Expects::Job,
            ("id" | "ids", Expects::Job) if is_before_first(gap) => Expects::Job,
            ("and", Expects::Another) => Expects::Another,
            // The tasks of the job before it.
            (_, Expects::Another) if gap.starts_with('_') => Expects::Another,
            (_, Expects::Job) if is_before_first(gap) => job_of(word, after, &mut jobs),
            (_, Expects::Another) if is_between(gap) => job_of(word, after, &mut jobs),
            _ => Expects::Nothing,
        };
        rest = after;
    }
    jobs
}

/// What may stand between the word and the first number.
fn is_before_first(gap: &str) -> bool {
    gap.chars()
        .all(|c| c.is_whitespace() || "#:=_`".contains(c))
}

/// What may stand between two numbers of a list.
fn is_between(gap: &str) -> bool {
    gap.chars()
        .all(|c| c.is_whitespace() || ",;&+#`]".contains(c))
}

/// Takes a word that is a job, and says what may follow it.
fn job_of(word: &str, after: &str, jobs: &mut Vec<u64>) -> Expects {
    let number = word.parse::<u64>().ok().filter(|_| {
        DIGITS.contains(&word.len())
            && word.bytes().all(|byte| byte.is_ascii_digit())
            && !is_measure(after)
    });
    jobs.extend(number);
    number.map_or(Expects::Nothing, |_| Expects::Another)
}

/// Whether what follows a number makes a measure of it: more digits of a fraction, a time or a date, or what is counted.
/// A number behind such a word (`61003257 task 3`) names a part of a job.
fn is_measure(after: &str) -> bool {
    let digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    if after.starts_with('%') || after.strip_prefix(['.', ':', '/']).is_some_and(digit) {
        return true;
    }
    let text = after.trim_start();
    let (word, rest) = text.split_at(
        text.find(|c: char| !c.is_alphanumeric())
            .unwrap_or(text.len()),
    );
    let is_part = word != "of" && digit(rest.trim_start());
    text.len() < after.len() && is_counted(word) && !is_part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_job_where_the_sentence_calls_it_one() {
        let cases: [(&str, &[u64]); 38] = [
            ("wait for job #1001", &[1001]),
            ("G2 runs as SLURM job 60997656, then plot", &[60_997_656]),
            ("jobs 5001, 5002 and #5003_4 pending", &[5001, 5002, 5003]),
            ("job_id: 61003257", &[61_003_257]),
            ("job 3 of 2048, lr 10000", &[]),
            ("train 20000 steps", &[]),
            ("job of 2026-01-13 was lost", &[]),
            ("job 99999999999999999999", &[]),
            ("resubmit the job, 10000 steps, lr 3e-4", &[]),
            ("run as array job, 2048 tasks", &[]),
            ("cancel the job. 10000 steps were too many", &[]),
            ("job (10000 steps)", &[]),
            ("the job and 2048 others", &[]),
            ("job 10000 steps long", &[]),
            ("one job: 10000 steps", &[]),
            ("job of 4096 GPUs", &[]),
            ("each job 1000.5 hours", &[]),
            ("job 2026.01.12", &[]),
            ("job 1200/5000 is done", &[]),
            ("job 12000 of 20000", &[]),
            ("job 1000% over budget", &[]),
            ("job 10:3000", &[]),
            ("job 3, 2048 samples", &[]),
            ("jobs with lr 1000 and 2000", &[]),
            ("job 5001, 10000 steps", &[5001]),
            ("job 5001 and 2048 tasks", &[5001]),
            ("job 5001, seed 2048", &[5001]),
            ("jobs 5001 and 5002, then 2048", &[5001, 5002]),
            ("jobs #1001, #1002 and 1003_4", &[1001, 1002, 1003]),
            ("jobs 1001_[0-3], 1002", &[1001, 1002]),
            ("job 61003257 task 3 failed", &[61_003_257]),
            ("job 61003257 steps 3-5", &[61_003_257]),
            ("Job ID: 61003257.", &[61_003_257]),
            ("jobid=61003257", &[61_003_257]),
            ("job id #61003257", &[61_003_257]),
            ("SLURM jobs 5001/5002", &[]),
            ("résumé of job 5001 — läuft", &[5001]),
            ("job\n5001", &[5001]),
        ];
        for (sentence, jobs) in cases {
            assert_eq!(jobs_in(sentence), jobs, "{sentence}");
        }
    }
}
