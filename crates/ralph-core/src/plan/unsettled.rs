//! What the cluster's answers mean for submissions that are not settled: adopt, send again, wait, or give up.
//!
//! A submission is given up only on proof that no job comes of it any more: [`is_given_up`] is the whole rule, and no
//! answer that cannot be read counts for it.

use std::time::Duration;

use ralph_docs::queue::QueueSection;

use crate::backend::Receipt;
use crate::plan::verify::note;
use crate::store::layout;
use crate::time::{Timestamp, elapsed};
use crate::world::{Facts, Intent, Observations, Sighted, SightedAs};

/// What to do about a submission that is not settled.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum IntentVerdict {
    /// There is a job: take it into the books.
    Adopt(Receipt),
    /// The cluster has never heard of it: send it again, with the same token.
    Resend,
    /// It was not taken, and that proves that it has no job.
    Refused(Receipt),
    /// Nothing can be done in this pass.
    Wait {
        /// Why, for people.
        why: String,
    },
    /// Provably without a job: a new submission may be made.
    Abandon,
}

/// Why it is not known whether a submission has a job, although its receipt was read and every source answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// It was begun, and nothing says that it has ended: `sbatch` may be at work, or was killed.
    Claimed,
    /// `sbatch` has ended, and what it said proves nothing.
    Unproven,
}

impl Doubt {
    /// How long no source may know a job before there will be none. What is at work sleeps for two minutes in all between
    /// its own attempts, and each of them takes as long as a busy controller lets it; what has ended left the controller
    /// at most a request that it has not worked off.
    fn patience(self) -> Duration {
        match self {
            Self::Claimed => Duration::from_secs(600),
            Self::Unproven => Duration::from_secs(120),
        }
    }

    fn sighted_as(self) -> SightedAs {
        match self {
            Self::Claimed => SightedAs::Claimed,
            Self::Unproven => SightedAs::Unproven,
        }
    }
}

/// For how long, and how often, the same doubt was met while no source knew a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Absence {
    /// Passes that met it.
    pub(crate) passes: u32,
    /// From the first of them to the last, by this machine's clock.
    pub(crate) here: Duration,
    /// The same by the cluster's clock.
    pub(crate) there: Duration,
}

/// Whether a submission has provably no job: two passes, far enough apart by both clocks. A clock that is set, here or
/// there, shortens no wait; a machine that slept has waited all the same, because the cluster did not.
#[must_use]
pub(crate) fn is_given_up(doubt: Doubt, absence: Absence) -> bool {
    absence.passes > 1 && absence.here.min(absence.there) >= doubt.patience()
}

/// Judges one unsettled submission; the second part is what to remember.
#[must_use]
pub(crate) fn intent(
    intent: &Intent,
    facts: &Facts,
    seen: &Observations,
    now: Timestamp,
) -> (IntentVerdict, Option<Sighted>) {
    let before = facts.sightings.entries.get(intent.request.token.as_str());
    let doubted = |doubt: Doubt, at: Timestamp, why: String| {
        let (absence, sighted) = one_more(before, doubt, now, at);
        let verdict = match is_given_up(doubt, absence) {
            true => IntentVerdict::Abandon,
            false => IntentVerdict::Wait { why },
        };
        (verdict, Some(sighted))
    };
    // What says nothing about the submission neither confirms nor refutes what earlier passes saw.
    let unknown = |why: String| (IntentVerdict::Wait { why }, before.cloned());
    match seen.receipts.get(&intent.request.token) {
        None => unknown("the cluster could not be asked".to_owned()),
        Some(Err(why)) => unknown(why.clone()),
        Some(Ok(receipt)) => match receipt {
            Receipt::Accepted { .. } => (IntentVerdict::Adopt(receipt.clone()), None),
            Receipt::Refused { .. } | Receipt::Earlier { .. } => {
                (IntentVerdict::Refused(receipt.clone()), None)
            }
            // Nothing was sent, so nothing is lost if the item was taken back meanwhile.
            Receipt::Absent => match facts.item(intent.queue_id.as_str()) {
                Some(item) if item.section == QueueSection::Ready => (IntentVerdict::Resend, None),
                _ => (IntentVerdict::Abandon, None),
            },
            Receipt::Claimed { at, .. } => doubted(
                Doubt::Claimed,
                *at,
                "the submission was begun on the cluster; no job is known yet".to_owned(),
            ),
            Receipt::Unproven { message, at } => doubted(
                Doubt::Unproven,
                *at,
                format!("it is not known whether the job exists: {message}"),
            ),
            // The scheduler's word for success is that there is a job, or was: no length of time makes that untrue.
            Receipt::Nameless { message } => unknown(format!(
                "{message}. `ralph cluster jobs` shows the jobs of this user: take its own into the books with `ralph \
                 cluster jobs --adopt JOB --project {slug}`, then remove projects/{slug}/{file}",
                slug = facts.slug,
                file = layout::intent(&intent.request.run)
            )),
            Receipt::Unreadable { message } => unknown(message.clone()),
        },
    }
}

/// One more pass with this doubt, at `now` here and `at` there. A doubt of another kind, and a clock that was set back,
/// begin anew.
fn one_more(
    before: Option<&Sighted>,
    doubt: Doubt,
    now: Timestamp,
    at: Timestamp,
) -> (Absence, Sighted) {
    let first = before.and_then(|seen| Some((seen, seen.there?)));
    let (before, there) = match first {
        Some((seen, there)) if seen.last <= now && there <= at => (Some(seen), there),
        _ => (None, at),
    };
    let seen = note(before, doubt.sighted_as(), now);
    let there = if seen.passes > 1 { there } else { at };
    let absence = Absence {
        passes: seen.passes,
        here: elapsed(seen.since, now),
        there: elapsed(there, at),
    };
    let sighted = Sighted {
        there: Some(there),
        ..seen
    };
    (absence, sighted)
}
