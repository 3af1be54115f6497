//! When a limit opens again, out of a message for people: `resets 3:30am (America/New_York)`, `resets Mon 12:00am`,
//! `try again at Aug 8th, 2026 12:30 PM`, or an absolute time. The answer is always after now:
//! a limit whose told end is over has just opened, and is tried, not waited out for another day or year.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

/// Words after which the time stands.
const ANCHORS: [&str; 7] = [
    // Older releases of claude: seconds since the epoch right behind it.
    "limit reached|",
    "resets at ",
    "resets on ",
    "resets ",
    "try again at ",
    "try again in ",
    "reset at ",
];

/// A time of the day so long ago is meant as past, and not as that of tomorrow: agents start, and messages are read, a
/// while after the limit has opened.
const JUST_PAST: SignedDuration = SignedDuration::from_hours(3);
/// The same for a day of the week.
const PAST_TODAY: SignedDuration = SignedDuration::from_hours(12);
/// No limit lasts so long, about eight months: a date without a year that is further ahead was this year's, and is over.
const LONGEST_AHEAD: SignedDuration = SignedDuration::from_hours(243 * 24);

/// The time that a message names; `None` when it names none, or one that is over.
pub(super) fn reset_time(message: &str, now: Timestamp, local: &TimeZone) -> Option<Timestamp> {
    // ASCII only changes, so offsets stay the same.
    let lower = message.to_ascii_lowercase();
    let (anchor, at) = ANCHORS
        .iter()
        .filter_map(|anchor| lower.rfind(anchor).map(|at| (*anchor, at + anchor.len())))
        .max_by_key(|(_, at)| *at)?;
    let words = lower.get(at..)?;
    let named = message.get(at..).and_then(zone);
    let zone = named.as_ref().unwrap_or(local);
    let words: Vec<&str> = words
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | '(' | ')' | '·' | '|'))
        .filter(|word| !word.is_empty())
        .take(8)
        .collect();
    if anchor == "try again in " || words.first() == Some(&"in") {
        return length(&words).and_then(|length| now.checked_add(length).ok());
    }
    absolute(&words, now).or_else(|| civil(&words, now, zone))
}

/// An IANA zone in parentheses.
fn zone(text: &str) -> Option<TimeZone> {
    let name = text.split_once('(')?.1.split_once(')')?.0.trim();
    TimeZone::get(name).ok()
}

/// `2026-11-26T21:00:00Z`, or seconds since the epoch.
fn absolute(words: &[&str], now: Timestamp) -> Option<Timestamp> {
    let word = words.first()?.trim_end_matches('.').to_ascii_uppercase();
    let seconds = || Timestamp::from_second(word.parse().ok()?).ok();
    let at = word.parse().ok().or_else(seconds)?;
    (at > now).then_some(at)
}

/// `2 hours 5 minutes`, `90s`, `1h30m`.
fn length(words: &[&str]) -> Option<SignedDuration> {
    let joined: String = words.concat();
    let mut total = 0_i64;
    let mut rest = joined.strip_prefix("in").unwrap_or(&joined);
    loop {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let Some(amount) = rest.get(..digits).and_then(|text| text.parse::<i64>().ok()) else {
            break;
        };
        let unit = rest.get(digits..)?;
        let end = unit
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(unit.len());
        let seconds = match unit.get(..1)? {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => break,
        };
        total = total.checked_add(amount.checked_mul(seconds)?)?;
        rest = unit.get(end..)?;
    }
    (total > 0).then(|| SignedDuration::from_secs(total))
}

/// A time of the day, with or without a date or a day of the week before it.
fn civil(words: &[&str], now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let today = now.to_zoned(zone.clone()).datetime();
    let (index, time) = (0..words.len()).find_map(|at| Some((at, clock(words, at)?)))?;
    let before = words.get(..index)?;
    let instant = |date: Date| {
        let at = date.to_datetime(time).to_zoned(zone.clone()).ok()?;
        Some(at.timestamp())
    };
    if let Some(day) = before.iter().find_map(|word| weekday(word)) {
        let ahead = i64::from(today.date().weekday().until(day));
        let date = today.date().checked_add(ahead.days()).ok()?;
        return next(date, 7, PAST_TODAY, now, instant);
    }
    match calendar_date(before, today) {
        Some((date, is_year_told)) => {
            let at = instant(date).filter(|at| *at > now)?;
            (is_year_told || at.duration_since(now) <= LONGEST_AHEAD).then_some(at)
        }
        None => next(today.date(), 1, JUST_PAST, now, instant),
    }
}

/// The first time after now that comes every so many days, and at `date`; `None` when the last one was within `past`.
fn next(
    date: Date,
    days: i64,
    past: SignedDuration,
    now: Timestamp,
    instant: impl Fn(Date) -> Option<Timestamp>,
) -> Option<Timestamp> {
    let times = [-days, 0, days].map(|days| instant(date.checked_add(days.days()).ok()?));
    let times = || times.iter().flatten().copied();
    let is_over = times().any(|at| at <= now && now.duration_since(at) <= past);
    times().find(|at| *at > now).filter(|_| !is_over)
}

/// `3:30am`, `3:28` with `pm` behind it, `9pm`, `15:30`.
fn clock(words: &[&str], at: usize) -> Option<Time> {
    let word = words.get(at)?.trim_end_matches(['.', ';']);
    let (digits, half) = match word.find(|c: char| c.is_ascii_alphabetic()) {
        Some(end) => (word.get(..end)?, word.get(end..)?),
        None => (
            word,
            words
                .get(at + 1)
                .map_or("", |next| next.trim_end_matches(['.', ';'])),
        ),
    };
    let half = half.replace('.', "");
    let (hour, minute) = match digits.split_once(':') {
        Some((hour, minute)) => (
            hour.parse::<i8>().ok()?,
            minute.get(..2)?.parse::<i8>().ok()?,
        ),
        None => (digits.parse::<i8>().ok()?, 0),
    };
    let hour = match half.as_str() {
        "am" | "a" => hour % 12,
        "pm" | "p" => hour % 12 + 12,
        _ if digits.contains(':') => hour,
        // A number alone is a day or a year.
        _ => return None,
    };
    Time::new(hour, minute, 0, 0).ok()
}

fn weekday(word: &str) -> Option<Weekday> {
    let days = [
        ("mon", Weekday::Monday),
        ("tue", Weekday::Tuesday),
        ("wed", Weekday::Wednesday),
        ("thu", Weekday::Thursday),
        ("fri", Weekday::Friday),
        ("sat", Weekday::Saturday),
        ("sun", Weekday::Sunday),
    ];
    days.into_iter()
        .find(|(name, _)| word.starts_with(name))
        .map(|(_, day)| day)
}

/// `aug 8th 2026`, or without the year: then the next such day. Also whether the year was told.
fn calendar_date(words: &[&str], today: DateTime) -> Option<(Date, bool)> {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let (at, month) = words.iter().enumerate().find_map(|(at, word)| {
        let month = MONTHS.iter().position(|name| word.starts_with(name))?;
        Some((at, i8::try_from(month).ok()? + 1))
    })?;
    let day = words
        .get(at + 1)?
        .trim_end_matches(|c: char| c.is_ascii_alphabetic())
        .parse::<i8>()
        .ok()?;
    let year = words
        .get(at + 2)
        .and_then(|word| word.parse::<i16>().ok())
        .filter(|year| *year > 2000);
    let date = |year| Date::new(year, month, day).ok();
    if let Some(year) = year {
        return Some((date(year)?, true));
    }
    let this_year = date(today.year())?;
    if this_year >= today.date() {
        return Some((this_year, false));
    }
    Some((date(today.year() + 1)?, false))
}
