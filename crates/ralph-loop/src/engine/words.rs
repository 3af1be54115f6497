//! What agents say in words about limits, logins and wrong flags. Only ever asked about text that is the agent's own
//! last word: the result, an error message, the end of standard error. A whole stream echoes files, and a file may
//! hold any of these phrases.

use jiff::tz::TimeZone;
use ralph_core::time::Timestamp;

use super::reset::reset_time;
use super::shortened;
use crate::outcome::Verdict;

/// Phrases of a limit that opens again by itself or by money: nothing of this account succeeds before.
const LIMIT: [&str; 16] = [
    "hit your limit",
    "hit your session limit",
    "hit your usage limit",
    "hit your weekly limit",
    "hit your org",
    "hit your spend",
    "usage limit reached",
    "session limit reached",
    "weekly limit reached",
    "limit reached",
    "5-hour limit",
    "out of extra usage",
    "out of credits",
    "quota exceeded",
    "exceeded your current quota",
    "spend limit",
];

/// Phrases of a service that is busy now.
const BUSY: [&str; 8] = [
    "overloaded",
    "too many requests",
    "rate limit",
    "rate_limit",
    "status 429",
    "error: 429",
    "529",
    "temporarily unavailable",
];

/// Phrases of a login that is missing or refused, or of a bill.
const LOGIN: [&str; 12] = [
    "not logged in",
    "please run /login",
    "please log in",
    "invalid api key",
    "authentication_failed",
    "authentication failed",
    "authentication_error",
    "401 unauthorized",
    "oauth token has expired",
    "credit balance is too low",
    "billing_error",
    "account on hold",
];

/// Phrases of a command line that the program does not know.
const USAGE: [&str; 7] = [
    "unknown option",
    "unrecognized option",
    "unexpected argument",
    "unrecognized arguments",
    "invalid value",
    "unknown command",
    "unknown slash command",
];

/// Whether a limit is spoken of.
pub(super) fn is_limit(text: &str) -> bool {
    holds(text, &LIMIT)
}

/// Whether a missing or refused login is spoken of.
pub(super) fn is_login(text: &str) -> bool {
    holds(text, &LOGIN)
}

/// Whether the service is called busy.
pub(super) fn is_busy(text: &str) -> bool {
    holds(text, &BUSY)
}

/// Whether the program complains about its command line.
pub(super) fn is_usage(text: &str) -> bool {
    holds(text, &USAGE)
}

fn holds(text: &str, phrases: &[&str]) -> bool {
    // Typographic apostrophes and capitals change from release to release.
    let text = text.to_lowercase().replace('\u{2019}', "'");
    phrases.iter().any(|phrase| text.contains(phrase))
}

/// What an agent's last word means when it failed.
pub(super) fn failure(message: &str, now: Timestamp, zone: &TimeZone) -> Verdict {
    let words = shortened(message);
    if is_limit(message) {
        return Verdict::UsageLimit {
            resets_at: reset_time(message, now, zone),
            window: window(message).map(str::to_owned),
            message: words,
        };
    }
    if is_login(message) {
        return Verdict::Auth { message: words };
    }
    if is_busy(message) {
        return Verdict::Throttled {
            retry_after: None,
            message: words,
        };
    }
    if is_usage(message) {
        return Verdict::ConfigError { message: words };
    }
    Verdict::Crashed { message: words }
}

/// Which limit the words name, in the service's own terms.
fn window(message: &str) -> Option<&'static str> {
    let message = message.to_lowercase();
    let named = [
        ("weekly", "seven_day"),
        ("session", "five_hour"),
        ("5-hour", "five_hour"),
        ("extra usage", "overage"),
    ];
    named
        .into_iter()
        .find(|(word, _)| message.contains(word))
        .map(|(_, window)| window)
}

/// The last line that says something.
pub(super) fn last_line(text: &str) -> Option<&str> {
    text.lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
}
