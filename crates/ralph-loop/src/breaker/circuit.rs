//! The circuit: closed while attempts get somewhere, open when they do not. Pure; `now` is an argument.

use std::fmt;
use std::time::Duration;

use ralph_core::time::{LooseTime, Timestamp, stamp};
use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;

/// Attempts in a row without progress that make the circuit half open: a warning before it opens.
const WARNING: u32 = 2;
/// Characters of an error that are compared and kept.
const ERROR_LENGTH: usize = 300;

/// What opens the circuit and when it is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Attempts in a row without progress.
    pub no_progress: u32,
    /// Attempts in a row with the same error.
    pub same_error: u32,
    /// Attempts in a row with refused tools.
    pub permission_denials: u32,
    /// How long it stays open; zero for not at all.
    pub cooldown: Duration,
    /// Whether the start of a loop closes it.
    pub auto_reset: bool,
}

/// The state, in the words of the old loop's file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CircuitState {
    /// Attempts run.
    #[default]
    Closed,
    /// Attempts run, and the next ones decide.
    HalfOpen,
    /// Nothing starts.
    Open,
}

impl fmt::Display for CircuitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "CLOSED",
            Self::HalfOpen => "HALF_OPEN",
            Self::Open => "OPEN",
        })
    }
}

/// What an ended attempt says about the chances of the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Whether its own worktree holds a change.
    pub progress: bool,
    /// Its error, if it ended with one, as [`Observation::of`] makes it comparable.
    pub error: Option<String>,
    /// Whether a tool was refused.
    pub denied: bool,
}

impl Observation {
    /// What an outcome says; `None` where it says nothing about the task or the agent: a limit, a signal, a delivery.
    /// `changed` is whether the attempt's worktree holds work, `error` the words that tell why it failed.
    #[must_use]
    pub fn of(outcome: Outcome, changed: bool, error: Option<&str>) -> Option<Self> {
        let failed = match outcome {
            Outcome::Done | Outcome::NoChange => false,
            Outcome::GatesFailed
            | Outcome::PermissionDenied
            | Outcome::Hung
            | Outcome::Crashed
            | Outcome::ConfigError => true,
            Outcome::DeliveryFailed
            | Outcome::UsageLimit
            | Outcome::Throttled
            | Outcome::Auth
            | Outcome::Budget
            | Outcome::Interrupted => return None,
        };
        Some(Self {
            progress: changed,
            error: failed.then(|| comparable(error.unwrap_or(outcome.name()))),
            denied: outcome == Outcome::PermissionDenied,
        })
    }
}

/// An error without what differs from one attempt to the next: numbers, and names of places that hold one.
fn comparable(error: &str) -> String {
    let word = |word: &str| {
        let has_digit = word.contains(|c: char| c.is_ascii_digit());
        if has_digit {
            "#".to_owned()
        } else {
            word.to_lowercase()
        }
    };
    let words: Vec<String> = error.split_whitespace().map(word).collect();
    words.join(" ").chars().take(ERROR_LENGTH).collect()
}

/// A change of state, for the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// When, in UTC.
    pub timestamp: String,
    /// After how many attempts.
    #[serde(rename = "loop")]
    pub attempt: u64,
    /// From what.
    pub from_state: CircuitState,
    /// To what.
    pub to_state: CircuitState,
    /// Why.
    pub reason: String,
}

/// Whether an attempt may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Allowed,
    /// It may once nothing else runs: one attempt tries whether an opened circuit can be closed.
    Alone,
    /// It may not.
    Refused,
}

/// The circuit. Its form on disk is that of `.ralph/.circuit_breaker_state`; what the old loop did not know has a
/// default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Circuit {
    /// The state.
    pub state: CircuitState,
    /// When the state last changed.
    pub last_change: String,
    /// Attempts in a row without progress.
    pub consecutive_no_progress: u32,
    /// Attempts in a row with the same error.
    pub consecutive_same_error: u32,
    /// Attempts in a row with refused tools.
    pub consecutive_permission_denials: u32,
    /// The attempt that last made progress, counted over all runs.
    pub last_progress_loop: u64,
    /// How often the circuit was ever opened.
    pub total_opens: u64,
    /// Why the state is what it is.
    pub reason: String,
    /// Attempts that were ever counted.
    pub current_loop: u64,
    /// Since when it is open, or was before it became half open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened_at: Option<String>,
    /// The last error, as it is compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

impl Circuit {
    /// A closed circuit without a past.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            last_change: stamp(now),
            ..Self::default()
        }
    }

    /// Closes the circuit because a person said so. How often it was opened is kept.
    pub fn reset(&mut self, now: Timestamp, reason: &str) -> Option<Transition> {
        self.forget();
        self.enter(CircuitState::Closed, reason.to_owned(), now)
    }

    /// The start of a loop: an open circuit is closed, or tried again when it was open for long enough.
    pub fn start(&mut self, thresholds: &Thresholds, now: Timestamp) -> Option<Transition> {
        if self.state == CircuitState::Open && thresholds.auto_reset {
            return self.reset(now, "closed at the start of a loop (CB_AUTO_RESET)");
        }
        self.cool_down(thresholds, now)
    }

    /// Makes an open circuit half open when its time is over; for a loop that stays. A clock that was set back leaves
    /// it open.
    pub fn cool_down(&mut self, thresholds: &Thresholds, now: Timestamp) -> Option<Transition> {
        if self.state != CircuitState::Open {
            return None;
        }
        let is_over =
            thresholds.cooldown.is_zero() || self.retry_at(thresholds).is_some_and(|at| at <= now);
        if !is_over {
            return None;
        }
        let reason = "cooled down, one attempt decides".to_owned();
        self.enter(CircuitState::HalfOpen, reason, now)
    }

    /// When an open circuit becomes half open by itself; `None` when that is not known, or it is not open.
    #[must_use]
    pub fn retry_at(&self, thresholds: &Thresholds) -> Option<Timestamp> {
        if self.state != CircuitState::Open {
            return None;
        }
        let since = self.opened_at.as_deref().unwrap_or(&self.last_change);
        let since = LooseTime::parse(since).instant(&jiff::tz::TimeZone::UTC)?;
        since.checked_add(thresholds.cooldown).ok()
    }

    /// Whether an attempt may start.
    #[must_use]
    pub fn admits(&self) -> Admission {
        match self.state {
            CircuitState::Closed => Admission::Allowed,
            CircuitState::HalfOpen if self.opened_at.is_some() => Admission::Alone,
            CircuitState::HalfOpen => Admission::Allowed,
            CircuitState::Open => Admission::Refused,
        }
    }

    /// Whether it and another one differ in nothing but what is counted for people: how many attempts there were.
    #[must_use]
    pub fn decides_as(&self, other: &Self) -> bool {
        let counted = Self {
            current_loop: other.current_loop,
            last_progress_loop: other.last_progress_loop,
            ..self.clone()
        };
        counted == *other
    }

    /// Takes in how an attempt ended.
    pub fn record(
        &mut self,
        observation: &Observation,
        thresholds: &Thresholds,
        now: Timestamp,
    ) -> Option<Transition> {
        self.count(observation);
        if self.state == CircuitState::Open {
            return None;
        }
        if let Some(reason) = self.reason_to_open(thresholds) {
            self.total_opens += 1;
            self.opened_at = Some(stamp(now));
            return self.enter(CircuitState::Open, reason, now);
        }
        if observation.progress && self.state == CircuitState::HalfOpen {
            self.opened_at = None;
            return self.enter(
                CircuitState::Closed,
                "an attempt made progress".to_owned(),
                now,
            );
        }
        if self.state == CircuitState::Closed && self.consecutive_no_progress >= WARNING {
            let reason = format!("no progress in {} attempts", self.consecutive_no_progress);
            return self.enter(CircuitState::HalfOpen, reason, now);
        }
        None
    }

    fn count(&mut self, observation: &Observation) {
        self.current_loop += 1;
        if observation.progress {
            self.consecutive_no_progress = 0;
            self.last_progress_loop = self.current_loop;
        } else {
            self.consecutive_no_progress += 1;
        }
        let is_same = observation.error.is_some() && observation.error == self.last_error;
        self.consecutive_same_error = match (&observation.error, is_same) {
            (None, _) => 0,
            (Some(_), false) => 1,
            (Some(_), true) => self.consecutive_same_error + 1,
        };
        self.last_error.clone_from(&observation.error);
        self.consecutive_permission_denials = if observation.denied {
            self.consecutive_permission_denials + 1
        } else {
            0
        };
    }

    fn reason_to_open(&self, thresholds: &Thresholds) -> Option<String> {
        let (no_progress, errors, denials) = (
            self.consecutive_no_progress,
            self.consecutive_same_error,
            self.consecutive_permission_denials,
        );
        if denials >= thresholds.permission_denials {
            return Some(format!("tools were refused in {denials} attempts in a row"));
        }
        if errors >= thresholds.same_error {
            let error = self.last_error.as_deref().unwrap_or_default();
            return Some(format!("{errors} attempts in a row failed with: {error}"));
        }
        (no_progress >= thresholds.no_progress)
            .then(|| format!("no progress in {no_progress} attempts in a row"))
    }

    fn forget(&mut self) {
        self.consecutive_no_progress = 0;
        self.consecutive_same_error = 0;
        self.consecutive_permission_denials = 0;
        self.opened_at = None;
        self.last_error = None;
    }

    fn enter(&mut self, state: CircuitState, reason: String, now: Timestamp) -> Option<Transition> {
        let from_state = std::mem::replace(&mut self.state, state);
        self.reason.clone_from(&reason);
        if from_state == state {
            return None;
        }
        self.last_change = stamp(now);
        Some(Transition {
            timestamp: stamp(now),
            attempt: self.current_loop,
            from_state,
            to_state: state,
            reason,
        })
    }
}
