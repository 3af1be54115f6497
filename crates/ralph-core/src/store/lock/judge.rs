//! The decision about a lock that stands: whether its owner may still be at work.
//!
//! Pure: what was found, what is known about its process and what time it is, in; one verdict, out. The rule is
//! that of section G of the field study: a live owner is waited for, proven death is acted on at once, and a
//! record that can prove nothing is honoured for a while.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::Holder;
use super::visible::{Bare, Found, Life, Link, Record};
use crate::env::Env;
use crate::process::identity::{boot_id, pid_namespace};
use crate::time::{SignedDuration, Timestamp};

/// After this long a lock of another machine is no longer believed: the rule of the scripts that made it.
const FOREIGN_LIFE: Duration = Duration::from_secs(6 * 60 * 60);

/// Where and when a lock is judged.
#[derive(Debug, Clone)]
pub(super) struct Here {
    pub(super) host: String,
    pub(super) boot_id: Option<String>,
    pub(super) pid_namespace: Option<String>,
    pub(super) now: Timestamp,
}

impl Here {
    pub(super) fn of(env: &Env) -> Self {
        Self {
            host: env.host.clone(),
            boot_id: boot_id().map(str::to_owned),
            pid_namespace: pid_namespace().map(str::to_owned),
            now: env.now(),
        }
    }
}

/// Why a lock is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StaleReason {
    /// The process that it names is gone.
    OwnerGone,
    /// The process id that it names belongs to a later process.
    ProcessIdReused,
    /// The machine has been started again since.
    Rebooted,
    /// It names no process.
    NoOwner,
    /// It was made on another machine, too long ago.
    ForeignTooOld,
}

impl fmt::Display for StaleReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OwnerGone => "its owner no longer runs",
            Self::ProcessIdReused => "its process id belongs to a later process",
            Self::Rebooted => "the machine was started again since",
            Self::NoOwner => "it names no process",
            Self::ForeignTooOld => "it was made on another machine more than 6 h ago",
        })
    }
}

/// What to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is no lock.
    Free,
    /// Wait.
    Held(Holder),
    /// Its owner is gone; take it over from the time given.
    Abandoned {
        holder: Holder,
        why: StaleReason,
        from: Timestamp,
    },
}

/// Judges what was found. `life` is only looked at where the lock names a process of this machine.
pub(super) fn judge(found: &Found, here: &Here, life: Life, grace: Duration) -> Verdict {
    match found {
        Found::Nothing => Verdict::Free,
        Found::Record(record) => judge_record(record, here, life, grace),
        Found::Link(link) => judge_link(link, here, life, grace),
        Found::Bare(bare) => {
            // The script wrote down its own process, which is gone when it returns: that alone proves nothing.
            let why = match (bare.pid, life) {
                (None, _) => StaleReason::NoOwner,
                (Some(_), Life::Dead) => StaleReason::OwnerGone,
                (Some(_), Life::Reused) => StaleReason::ProcessIdReused,
                (Some(_), Life::Alive) => return Verdict::Held(found.holder()),
            };
            abandoned(found.holder(), why, begin(bare, here.now), grace)
        }
    }
}

fn judge_record(record: &Record, here: &Here, life: Life, grace: Duration) -> Verdict {
    let holder = record.holder();
    let since = record.acquired_at;
    let other_namespace = differ(record.pid_namespace.as_ref(), here.pid_namespace.as_ref());
    if !same_host(&record.host, &here.host) || other_namespace {
        return judge_foreign(holder, since, here.now);
    }
    if differ(record.boot_id.as_ref(), here.boot_id.as_ref()) {
        // Or another machine of the same name on a shared disk, so not at once.
        return abandoned(holder, StaleReason::Rebooted, since, grace);
    }
    judge_life(holder, life, since.min(here.now))
}

fn judge_link(link: &Link, here: &Here, life: Life, grace: Duration) -> Verdict {
    let holder = link.holder();
    let (Some(_), Some(since)) = (link.pid, link.since) else {
        let bare = Bare {
            pid: None,
            acquired_at: link.since,
            changed_at: link.changed_at,
        };
        return abandoned(holder, StaleReason::NoOwner, begin(&bare, here.now), grace);
    };
    if !same_host(&link.host, &here.host) {
        return judge_foreign(holder, since, here.now);
    }
    if link.boot_id.is_some() && differ(link.boot_id.as_ref(), here.boot_id.as_ref()) {
        return abandoned(holder, StaleReason::Rebooted, since, grace);
    }
    judge_life(holder, life, since.min(here.now))
}

/// Of a process of this boot, named by more than its id. Its death is acted on at once, also where the clock was set
/// back since.
fn judge_life(holder: Holder, life: Life, since: Timestamp) -> Verdict {
    match life {
        Life::Alive => Verdict::Held(holder),
        Life::Dead => abandoned(holder, StaleReason::OwnerGone, since, Duration::ZERO),
        Life::Reused => abandoned(holder, StaleReason::ProcessIdReused, since, Duration::ZERO),
    }
}

/// Of a process that cannot be seen from here.
fn judge_foreign(holder: Holder, since: Timestamp, now: Timestamp) -> Verdict {
    let end = later(since, FOREIGN_LIFE);
    if now < end {
        return Verdict::Held(holder);
    }
    abandoned(holder, StaleReason::ForeignTooOld, end, Duration::ZERO)
}

fn abandoned(holder: Holder, why: StaleReason, since: Timestamp, grace: Duration) -> Verdict {
    Verdict::Abandoned {
        holder,
        why,
        from: later(since, grace),
    }
}

/// When a script's lock was taken. A time in the future is local time marked as UTC (incident 18), so the
/// directory's own time counts.
fn begin(bare: &Bare, now: Timestamp) -> Timestamp {
    let believable = bare.acquired_at.filter(|at| *at <= now);
    believable.or(bare.changed_at).unwrap_or(now)
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    at.saturating_add(by).unwrap_or(at)
}

/// Whether both are known and are not the same.
fn differ(one: Option<&String>, other: Option<&String>) -> bool {
    one.is_some() && other.is_some() && one != other
}

/// `node7` and `node7.cluster.org` are one machine: scripts write the one, the system says the other.
fn same_host(one: &str, other: &str) -> bool {
    let short = |name: &str| name.split('.').next().unwrap_or(name).to_ascii_lowercase();
    one == other || short(one) == short(other)
}
