//! When to poll next: 60 s after a submission, then 900 s, doubled up to 3,600 s; a project's own interval wins.

use std::time::Duration;

use crate::pipeline::SlurmWait;
use crate::settings::PollSettings;
use crate::time::{SignedDuration, Timestamp, elapsed};
use crate::world::Sighted;
use jiff::tz::TimeZone;

/// The time of the first poll after a submission.
#[must_use]
pub(crate) fn first(poll: &PollSettings, now: Timestamp) -> Timestamp {
    later(now, poll.first)
}

/// The time of the next poll, after a poll at `now` that found the jobs alive.
#[must_use]
pub(crate) fn next(
    wait: &SlurmWait,
    poll: &PollSettings,
    now: Timestamp,
    zone: &TimeZone,
) -> Timestamp {
    if let Some(seconds) = wait.poll_interval_seconds.filter(|seconds| *seconds > 0) {
        return later(now, Duration::from_secs(seconds));
    }
    let instant = |at: Option<crate::time::LooseTime>| at.and_then(|at| at.instant(zone));
    let previous = match (instant(wait.last_polled_at), instant(wait.next_poll_after)) {
        (Some(polled), Some(due)) if due > polled => elapsed(polled, due),
        _ => return later(now, poll.base.min(poll.cap)),
    };
    later(now, (previous * 2).clamp(poll.base.min(poll.cap), poll.cap))
}

/// When an item that a limit of the scheduler refused is tried again: the first interval, doubled each time.
#[must_use]
pub(crate) fn after_limit(seen: &Sighted, poll: &PollSettings) -> Timestamp {
    let doublings = seen.passes.saturating_sub(1).min(16);
    later(
        seen.last,
        poll.first.saturating_mul(1 << doublings).min(poll.cap),
    )
}

/// So much later, never out of range.
#[must_use]
pub(crate) fn later(now: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    now.saturating_add(by).unwrap_or(Timestamp::MAX)
}
