//! What agents say in words about limits, logins and wrong flags. Only ever asked about text that is the agent's own
//! last word: the result, an error message, the end of standard error. A whole stream echoes files, and a file may
//! hold any of these phrases.

use jiff::tz::TimeZone;
use ralph_core::time::Timestamp;

use super::reset::reset_time;
use super::shortened;
use crate::outcome::Verdict;

/// Phrases of a limit that opens again by itself or by money: nothing of this account succeeds before. Each names whose
/// limit it is, because a context, a turn or a rate has a limit as well, and may reach it.
const LIMIT: [&str; 22] = [
    "hit your limit",
    "hit your session limit",
    "hit your usage limit",
    "hit your weekly limit",
    "hit your org",
    "hit your spend",
    "reached your limit",
    "reached your session limit",
    "reached your usage limit",
    "reached your weekly limit",
    "reached your spend",
    "usage limit reached",
    "session limit reached",
    "weekly limit reached",
    "5-hour limit reached",
    "spend limit reached",
    "monthly spend limit",
    "out of extra usage",
    "out of credits",
    "quota exceeded",
    "exceeded your current quota",
    "your spend limit",
];

/// A full disk, in words that look like those of an account.
const DISK: &str = "disk quota exceeded";

/// Phrases of a service that is busy now. A program under test is overloaded, unavailable or limited too, so each of them
/// holds what only the refusal of a service has.
const BUSY: [&str; 29] = [
    "overloaded_error",
    "error: overloaded",
    "529 overloaded",
    "currently overloaded",
    "temporarily overloaded",
    "service is overloaded",
    "server is overloaded",
    "servers are overloaded",
    "model is overloaded",
    "too many requests",
    "rate_limit_error",
    "rate_limit_exceeded",
    "rate limit exceeded",
    "rate limit reached",
    "hit a rate limit",
    "hit the rate limit",
    "hit your rate limit",
    "reached your rate limit",
    "exceeded your rate limit",
    "exceed your organization's rate limit",
    "exceed your account's rate limit",
    "being rate limited",
    "unexpected status 429",
    "last status: 429",
    "error: 429",
    "error: 529",
    "rejected (429)",
    "service temporarily unavailable",
    "service is temporarily unavailable",
];

/// Phrases of a login that is missing or refused, or of a bill. A test and a push are refused a login as well, so each of
/// them holds what only the refusal of an agent's own service has.
const LOGIN: [&str; 15] = [
    "not logged in",
    "please run /login",
    "please log in",
    "invalid api key",
    "authentication_failed",
    "authentication_error",
    "unexpected status 401",
    "last status: 401",
    "api error: 401",
    "oauth token has expired",
    "your access token could not be refreshed",
    "incorrect api key provided",
    "credit balance is too low",
    "billing_error",
    "account on hold",
];

/// How other programs that an agent runs begin a line. Their limits, logins and options are not the agent's.
const OTHERS: [&str; 7] = [
    "fatal: ",
    "remote: ",
    "git: ",
    "gh: ",
    "curl: ",
    "npm err!",
    "npm error",
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
    let text = plainly(text).replace(DISK, "");
    holds(&text, &LIMIT) || names_reset(&text)
}

/// `weekly limit · resets Mon 12:00am`: a limit, and right behind it when it opens again.
fn names_reset(text: &str) -> bool {
    let filler = |c: char| !c.is_alphanumeric();
    text.match_indices("limit").any(|(at, word)| {
        let is_rate = ["rate ", "rate-", "rate_"];
        let before = text.get(..at).unwrap_or_default();
        let rest = text.get(at + word.len()..).unwrap_or_default();
        let rest = rest.trim_start_matches(filler);
        let rest = rest.strip_prefix("reached").unwrap_or(rest);
        rest.trim_start_matches(filler).starts_with("resets ")
            && !is_rate.iter().any(|rate| before.ends_with(rate))
    })
}

/// Whether a missing or refused login is spoken of. `not logged into any GitHub hosts` is about another one.
pub(super) fn is_login(text: &str) -> bool {
    holds(&plainly(text).replace("not logged into", ""), &LOGIN)
}

/// The lines that are not another program's, be it behind a word such as `exit 1: `.
fn own(message: &str) -> String {
    let is_others = |line: &str| {
        let line = plainly(line.trim_start());
        let rest = line.split_once(": ").map_or("", |(_, rest)| rest);
        let begins = |word: &str| line.starts_with(word) || rest.starts_with(word);
        OTHERS.into_iter().any(begins)
    };
    let lines: Vec<&str> = message.lines().filter(|line| !is_others(line)).collect();
    lines.join("\n")
}

/// Whether the service is called busy.
pub(super) fn is_busy(text: &str) -> bool {
    holds(&plainly(text), &BUSY)
}

/// Whether the program complains about its command line.
pub(super) fn is_usage(text: &str) -> bool {
    holds(&plainly(text), &USAGE)
}

/// Typographic apostrophes and capitals change from release to release.
fn plainly(text: &str) -> String {
    text.to_lowercase().replace('\u{2019}', "'")
}

/// Whether one of the phrases is in the text. A number at the end of a phrase is a whole one there.
fn holds(text: &str, phrases: &[&str]) -> bool {
    let is_digit = |c: char| c.is_ascii_digit();
    phrases.iter().any(|phrase| {
        text.match_indices(phrase).any(|(at, _)| {
            let rest = text.get(at + phrase.len()..).unwrap_or_default();
            !(phrase.ends_with(is_digit) && rest.starts_with(is_digit))
        })
    })
}

/// What an agent's last word means when it failed.
pub(super) fn failure(message: &str, now: Timestamp, zone: &TimeZone) -> Verdict {
    let words = shortened(message);
    let message = own(message);
    let message = message.as_str();
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
