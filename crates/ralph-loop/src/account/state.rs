//! What is known of an account's limits, and what follows from it. Pure: `now` is an argument, and whether a process
//! lives is asked of the caller.

use std::collections::BTreeMap;
use std::time::Duration;

use ralph_core::process::Identity;
use ralph_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AccountSettings, Admission, Report, Wait};
use crate::engine::{RateLimit, RateStanding};
use crate::outcome::{AttemptId, Verdict};

/// The first wait for a limit whose end nobody told, or that is still there after its told end; doubled each time.
const UNKNOWN_RESET: Duration = Duration::from_secs(60);
/// The longest such wait.
const LONGEST_UNKNOWN: Duration = Duration::from_secs(30 * 60);
/// The first pause when the service is busy; doubled each time.
const BUSY: Duration = Duration::from_secs(5);
/// The longest such pause, unless the service itself asks for more.
const LONGEST_BUSY: Duration = Duration::from_secs(300);
/// The longest pause that is asked for and kept. Nobody is busy for days: the loops of tomorrow try again.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 3600);
/// What is told of a pause.
const IS_BUSY: &str = "the service is busy";
/// How long a warning holds when the end of its window is not told.
const WARNING_HOLDS: Duration = Duration::from_secs(15 * 60);
/// Above this part of the limit half of the workers run; the service's own warning means the same.
const NEAR: f64 = 0.9;
/// Above this one worker runs.
const VERY_NEAR: f64 = 0.98;

/// The record of an account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct State {
    pub(super) schema_version: u32,
    /// The limit is reached: nothing starts before the time.
    parked: Option<Parked>,
    /// The account cannot be used.
    stopped: Option<Stopped>,
    /// The service is busy: a short pause.
    pause: Option<Pause>,
    /// After a limit or a pause: how many of the agents that started since then may run.
    ramp: Option<Ramp>,
    /// When agents last began again after a limit.
    resumed: Option<Timestamp>,
    /// Windows that are nearly used up.
    warnings: BTreeMap<String, Warning>,
    /// Agents that run, over all loops.
    holders: BTreeMap<AttemptId, Holder>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Parked {
    until: Timestamp,
    message: String,
    /// How often in a row, without an agent that got through in between.
    count: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stopped {
    at: Timestamp,
    message: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pause {
    until: Timestamp,
    count: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Ramp {
    since: Timestamp,
    limit: usize,
    /// Waits in a row before it; the next one is longer when the ramp's first agent fails.
    count: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Warning {
    /// Whether one agent may run only; else half of a loop's workers may.
    one_only: bool,
    until: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Holder {
    owner: Identity,
    since: Timestamp,
    /// Whether the service answered it.
    proved: bool,
}

/// Who asks or reports.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller<'a> {
    pub(super) attempt: &'a AttemptId,
    pub(super) owner: &'a Identity,
    pub(super) settings: &'a AccountSettings,
    /// When its loop began.
    pub(super) began: Timestamp,
    pub(super) now: Timestamp,
}

impl State {
    /// Forgets agents whose loop is gone.
    pub(super) fn prune(&mut self, is_alive: impl Fn(&Identity) -> bool) {
        self.holders.retain(|_, holder| is_alive(&holder.owner));
    }

    /// Whether an agent may start; if so, it is written down.
    pub(super) fn ask(&mut self, caller: &Caller<'_>) -> Admission {
        if self.holders.contains_key(caller.attempt) {
            return Admission::Admitted;
        }
        if let Some(refused) = self.barrier(caller) {
            return refused;
        }
        if let Some(wait) = self.crowd(caller) {
            return Admission::Wait(wait);
        }
        let holder = Holder {
            owner: caller.owner.clone(),
            since: caller.now,
            proved: false,
        };
        self.holders.insert(caller.attempt.clone(), holder);
        Admission::Admitted
    }

    /// What keeps every agent from starting. A barrier whose time is over becomes a ramp that begins with one.
    fn barrier(&mut self, caller: &Caller<'_>) -> Option<Admission> {
        let now = caller.now;
        if let Some(stopped) = &self.stopped {
            // A loop that began later comes after whatever a person did about it, so one agent may try.
            if caller.began <= stopped.at {
                let message = stopped.message.clone();
                return Some(Admission::Stopped { message });
            }
            self.stopped = None;
            self.begin_ramp(now, 0);
        }
        if let Some(parked) = &self.parked {
            let (until, count) = (parked.until, parked.count);
            if now < until {
                let message = parked.message.clone();
                let why = format!("usage limit: {message}");
                return Some(closed(caller, until, message, why));
            }
            self.parked = None;
            self.begin_ramp(now, count);
        }
        let pause = self.pause.as_ref().filter(|pause| now < pause.until)?;
        Some(closed(
            caller,
            pause.until,
            IS_BUSY.to_owned(),
            IS_BUSY.to_owned(),
        ))
    }

    /// What keeps more agents from starting while others run.
    fn crowd(&mut self, caller: &Caller<'_>) -> Option<Wait> {
        let wait = |why: String| Some(Wait { until: None, why });
        if let Some(ramp) = &self.ramp {
            let running = self.ramped(ramp.since);
            if running >= ramp.limit {
                return wait(format!("after a limit {} at once", ramp.limit));
            }
        }
        self.warnings
            .retain(|_, warning| caller.now < warning.until);
        let half = (caller.settings.workers / 2).max(1);
        let caps = self.warnings.iter().map(|(window, warning)| {
            let cap = if warning.one_only { 1 } else { half };
            (cap, window)
        });
        let (cap, window) = caps.min()?;
        if self.holders.len() < cap {
            return None;
        }
        wait(format!("the limit {window} is near: {cap} at once"))
    }

    fn ramped(&self, since: Timestamp) -> usize {
        let running = self.holders.values();
        running.filter(|holder| holder.since >= since).count()
    }

    fn begin_ramp(&mut self, now: Timestamp, count: u32) {
        self.resumed = Some(now);
        self.ramp = Some(Ramp {
            since: now,
            limit: 1,
            count,
        });
    }

    /// Takes in what an agent learned.
    pub(super) fn report(&mut self, caller: &Caller<'_>, report: &Report<'_>) {
        match report {
            Report::Answered => self.prove(caller),
            Report::RateLimit(limit) => self.rate_limit(caller, limit),
            Report::Ended(verdict) => {
                self.ended(caller, verdict);
                self.holders.remove(caller.attempt);
            }
            Report::Withdrawn => {
                self.holders.remove(caller.attempt);
            }
        }
    }

    fn ended(&mut self, caller: &Caller<'_>, verdict: &Verdict) {
        match verdict {
            Verdict::Finished
            | Verdict::NeedsInput { .. }
            | Verdict::Blocked { .. }
            | Verdict::PermissionDenied { .. } => self.prove(caller),
            Verdict::UsageLimit {
                resets_at, message, ..
            } => self.park(caller, *resets_at, message),
            Verdict::Throttled { retry_after, .. } => self.hold(caller, *retry_after),
            Verdict::Auth { message } => {
                self.stopped = Some(Stopped {
                    at: caller.now,
                    message: message.clone(),
                });
            }
            Verdict::Budget { .. } | Verdict::ConfigError { .. } | Verdict::Crashed { .. } => {}
        }
    }

    /// An agent got through: twice as many may run as before.
    fn prove(&mut self, caller: &Caller<'_>) {
        let Some(holder) = self.holders.get_mut(caller.attempt) else {
            return;
        };
        let (since, is_new) = (holder.since, !holder.proved);
        holder.proved = true;
        let is_recent = self.ramp.as_ref().is_none_or(|ramp| since >= ramp.since);
        if !is_recent || !is_new {
            return;
        }
        self.pause = self.pause.take().filter(|pause| since < pause.until);
        let Some(ramp) = &mut self.ramp else {
            return;
        };
        ramp.limit = ramp.limit.saturating_mul(2);
        if ramp.limit >= caller.settings.workers {
            self.ramp = None;
        }
    }

    /// A window that is open proves nothing: another one may be closed, or the service busy. Work does.
    fn rate_limit(&mut self, caller: &Caller<'_>, limit: &RateLimit) {
        let window = limit
            .window
            .clone()
            .unwrap_or_else(|| "of usage".to_owned());
        let used = limit.utilization.unwrap_or(0.0);
        match limit.standing {
            RateStanding::Rejected => {
                self.park(
                    caller,
                    limit.resets_at,
                    &format!("the limit {window} is reached"),
                );
            }
            RateStanding::Allowed if used < NEAR => {
                self.warnings.remove(&window);
            }
            RateStanding::Allowed | RateStanding::Warning => {
                let until = limit
                    .resets_at
                    .unwrap_or_else(|| after(caller.now, WARNING_HOLDS));
                let one_only = used >= VERY_NEAR;
                self.warnings.insert(window, Warning { one_only, until });
            }
        }
    }

    fn park(&mut self, caller: &Caller<'_>, resets_at: Option<Timestamp>, message: &str) {
        let now = caller.now;
        let told = resets_at.map(|at| after(at, caller.settings.margin));
        let holder = self.holders.get(caller.attempt);
        let is_old = match (self.resumed, holder) {
            (Some(resumed), Some(holder)) => holder.since < resumed,
            _ => false,
        };
        // An agent from before the last reset tells of a limit that is over.
        if is_old && told.is_none_or(|told| told <= now) {
            return;
        }
        let before = self.ramp.as_ref().map_or(0, |ramp| ramp.count);
        let count = self
            .parked
            .as_ref()
            .map_or(before + 1, |parked| parked.count);
        let until = match told {
            Some(told) if told > now => after(told, jitter(caller.owner)),
            _ => after(now, backoff(UNKNOWN_RESET, count, LONGEST_UNKNOWN)),
        };
        // Several agents hit the same limit; the latest end counts.
        let until = self
            .parked
            .as_ref()
            .map_or(until, |parked| parked.until.max(until));
        self.ramp = None;
        self.parked = Some(Parked {
            until,
            message: message.chars().take(300).collect(),
            count,
        });
    }

    fn hold(&mut self, caller: &Caller<'_>, retry_after: Option<u64>) {
        let now = caller.now;
        // Those that were running together are refused together: one pause for all of them.
        let is_same = self.pause.as_ref().is_some_and(|pause| now < pause.until);
        let before = self.pause.as_ref().map_or(0, |pause| pause.count);
        let count = if is_same { before } else { before + 1 };
        let asked = Duration::from_secs(retry_after.unwrap_or(0)).min(LONGEST_ASKED);
        let length = backoff(BUSY, count, LONGEST_BUSY).max(asked);
        let until = after(now, length);
        let until = self
            .pause
            .as_ref()
            .map_or(until, |pause| pause.until.max(until));
        self.pause = Some(Pause { until, count });
        let running = self.holders.len();
        self.ramp = Some(Ramp {
            since: until,
            limit: (running / 2).max(1),
            count: self.ramp.as_ref().map_or(0, |ramp| ramp.count),
        });
    }
}

/// The answer before a time: to wait for it, unless that is longer than the loop is willing to.
fn closed(caller: &Caller<'_>, until: Timestamp, message: String, why: String) -> Admission {
    if until > after(caller.now, caller.settings.max_wait) {
        return Admission::TooLong { until, message };
    }
    Admission::Wait(Wait {
        until: Some(until),
        why,
    })
}

/// `first`, doubled for every time before the last.
fn backoff(first: Duration, count: u32, longest: Duration) -> Duration {
    first
        .saturating_mul(1 << count.saturating_sub(1).min(16))
        .min(longest)
}

/// Up to a second, different for each loop: machines that share an account do not come back at the same moment.
fn jitter(owner: &Identity) -> Duration {
    Duration::from_millis((owner.start_ticks.wrapping_mul(7) + u64::from(owner.pid)) % 1000)
}

fn after(at: Timestamp, length: Duration) -> Timestamp {
    at.checked_add(length).unwrap_or(Timestamp::MAX)
}
