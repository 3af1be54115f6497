//! Time: the injected clock, the loose timestamps of real files, and spans in words.
//!
//! The wall clock is read in exactly one place, [`SystemClock`]. Everything that decides takes `now` as an argument.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use jiff::civil;
pub use jiff::tz::TimeZone;
pub use jiff::{SignedDuration, Timestamp};

/// Where the current time comes from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The current time.
    fn now(&self) -> Timestamp;

    /// Time that never goes backwards, since an arbitrary start; for measuring.
    fn monotonic(&self) -> Duration;
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: std::time::Instant,
}

impl SystemClock {
    /// The machine's clock; [`Clock::monotonic`] counts from here.
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: std::time::Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the wall clock"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock that stands still until it is moved; for tests and simulation.
#[derive(Debug)]
pub struct ManualClock {
    state: Mutex<(Timestamp, Duration)>,
}

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            state: Mutex::new((now, Duration::ZERO)),
        }
    }

    /// Moves the clock forward, wall clock and monotonic time alike.
    pub fn advance(&self, by: Duration) {
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let step = SignedDuration::try_from(by).unwrap_or(SignedDuration::ZERO);
        state.0 = state.0.saturating_add(step).unwrap_or(state.0);
        state.1 += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .0
    }

    fn monotonic(&self) -> Duration {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .1
    }
}

/// A time as people and programs wrote it into a state file (section B of the field study).
///
/// The text is kept as found; [`LooseTime::parse`] only says what instant it can be read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LooseTime {
    /// A time with a zone.
    Exact(Timestamp),
    /// A time without a zone, or a bare date: read in the zone that the caller names.
    Zoneless(civil::DateTime),
    /// `PENDING`, `14:XX:00`, prose or an impossible date.
    Unreadable,
}

impl LooseTime {
    /// Reads any of the shapes that were seen. Never fails: what cannot be read is [`LooseTime::Unreadable`].
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        if let Ok(exact) = text.parse::<Timestamp>() {
            return Self::Exact(exact);
        }
        if let Ok(date_time) = text.parse::<civil::DateTime>() {
            return Self::Zoneless(date_time);
        }
        match text.parse::<civil::Date>() {
            Ok(date) => Self::Zoneless(date.at(0, 0, 0, 0)),
            Err(_) => Self::Unreadable,
        }
    }

    /// The instant, with a time without a zone read in `zone` (the Stop hook's rule is the local zone).
    #[must_use]
    pub fn instant(self, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Exact(at) => Some(at),
            Self::Zoneless(civil) => zone.to_timestamp(civil).ok(),
            Self::Unreadable => None,
        }
    }
}

/// `2026-11-20T13:45:00Z`: the only form in which we write a time, in whole seconds and UTC (incident 18).
#[must_use]
pub fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `20261120_134500`: the form inside run ids, in UTC.
#[must_use]
pub fn compact(at: Timestamp) -> String {
    at.strftime("%Y%m%d_%H%M%S").to_string()
}

/// A length of time in at most two units: `45 s`, `12 min`, `3 h 20 min`, `2 d 4 h`.
#[must_use]
pub fn span_text(length: Duration) -> String {
    let seconds = length.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let two = |big: u64, big_unit: &str, small: u64, small_unit: &str| {
        if small == 0 {
            format!("{big} {big_unit}")
        } else {
            format!("{big} {big_unit} {small} {small_unit}")
        }
    };
    if days > 0 {
        two(days, "d", hours, "h")
    } else if hours > 0 {
        two(hours, "h", minutes, "min")
    } else if minutes >= 10 {
        format!("{minutes} min")
    } else if minutes > 0 {
        two(minutes, "min", seconds % 60, "s")
    } else {
        format!("{seconds} s")
    }
}

/// The time from `from` to `to`, zero when `to` is earlier.
#[must_use]
pub fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        LooseTime::parse(text).instant(&TimeZone::UTC).map(stamp)
    }

    #[test]
    fn every_shape_of_the_corpus_is_read_or_named_unreadable() {
        assert_eq!(
            read("2026-01-21T18:30:00Z").as_deref(),
            Some("2026-01-21T18:30:00Z")
        );
        assert_eq!(
            read("2026-08-06T14:05:00-04:00").as_deref(),
            Some("2026-08-06T18:05:00Z")
        );
        assert_eq!(
            read("2026-08-06T14:05:00.123456Z").as_deref(),
            Some("2026-08-06T14:05:00Z")
        );
        assert_eq!(
            read("2026-08-06T14:05:00").as_deref(),
            Some("2026-08-06T14:05:00Z")
        );
        assert_eq!(
            read("2026-08-06 14:05:00").as_deref(),
            Some("2026-08-06T14:05:00Z")
        );
        assert_eq!(read("2026-08-06").as_deref(), Some("2026-08-06T00:00:00Z"));
        for bad in [
            "PENDING",
            "2026-08-06T14:XX:00-04:00",
            "",
            "soon",
            "2026-02-30",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn spans_read_like_speech() {
        let text = |s| span_text(Duration::from_secs(s));
        assert_eq!(
            [
                text(0),
                text(59),
                text(61),
                text(720),
                text(3600),
                text(12_000),
                text(187_200)
            ],
            [
                "0 s",
                "59 s",
                "1 min 1 s",
                "12 min",
                "1 h",
                "3 h 20 min",
                "2 d 4 h"
            ]
            .map(String::from)
        );
    }
}
