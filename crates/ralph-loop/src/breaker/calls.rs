//! How many agents may start in one hour of the clock. Pure; `now` is an argument.

use std::time::Duration;

use jiff::{Unit, Zoned, ZonedRound};

/// Calls of the running hour, as `.ralph/.call_count` and `.ralph/.last_reset` hold them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calls {
    hour: String,
    count: u32,
}

/// Whether a call may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallAnswer {
    /// It may.
    Allowed,
    /// It may after so long: at the next full hour.
    Wait(Duration),
}

impl Calls {
    /// Reads the two files. What is missing or cannot be read counts as no call.
    #[must_use]
    pub fn read(count: Option<&str>, hour: Option<&str>) -> Self {
        Self {
            hour: hour.unwrap_or_default().trim().to_owned(),
            count: count.and_then(|text| text.trim().parse().ok()).unwrap_or(0),
        }
    }

    /// The texts of the two files: the count and the hour, as `2026112013`.
    #[must_use]
    pub fn texts(&self) -> (String, String) {
        (format!("{}\n", self.count), format!("{}\n", self.hour))
    }

    /// Calls made in the hour of `now`.
    #[must_use]
    pub fn made(&self, now: &Zoned) -> u32 {
        if self.hour == hour(now) {
            self.count
        } else {
            0
        }
    }

    /// Whether one more call may be made.
    #[must_use]
    pub fn ask(&self, limit: Option<u32>, now: &Zoned) -> CallAnswer {
        if limit.is_none_or(|limit| self.made(now) < limit) {
            return CallAnswer::Allowed;
        }
        CallAnswer::Wait(until_next_hour(now))
    }

    /// Counts a call.
    pub fn count(&mut self, now: &Zoned) {
        self.count = self.made(now) + 1;
        self.hour = hour(now);
    }
}

fn hour(now: &Zoned) -> String {
    now.strftime("%Y%m%d%H").to_string()
}

fn until_next_hour(now: &Zoned) -> Duration {
    const HOUR: Duration = Duration::from_secs(3600);
    let begun = now.round(
        ZonedRound::new()
            .smallest(Unit::Hour)
            .mode(jiff::RoundMode::Trunc),
    );
    let passed = begun.map(|begun| now.duration_since(&begun));
    let passed = passed
        .ok()
        .and_then(|passed| Duration::try_from(passed).ok());
    // A second more than nothing, so that whoever waits never asks again at once.
    HOUR.saturating_sub(passed.unwrap_or(HOUR))
        .max(Duration::from_secs(1))
}
