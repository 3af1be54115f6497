//! When a limit opens again, out of a message for people: `resets 3:30am (America/New_York)`, `resets Mon 12:00am`,
//! `try again at Aug 8th, 2026 12:30 PM`, or an absolute time. The answer is always after now.

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

/// The time that a message names; `None` when it names none.
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
    let date = if let Some(day) = before.iter().find_map(|word| weekday(word)) {
        let ahead = today.date().weekday().until(day);
        let date = today.date().checked_add(i64::from(ahead).days()).ok()?;
        if date.to_datetime(time) > today {
            date
        } else {
            date.checked_add(7.days()).ok()?
        }
    } else if let Some(date) = calendar_date(before, today) {
        date
    } else if today.date().to_datetime(time) > today {
        today.date()
    } else {
        today.date().tomorrow().ok()?
    };
    let at: DateTime = date.to_datetime(time);
    let at = at.to_zoned(zone.clone()).ok()?.timestamp();
    (at > now).then_some(at)
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

/// `aug 8th 2026`, or without the year: then the next such day.
fn calendar_date(words: &[&str], today: DateTime) -> Option<Date> {
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
    match year {
        Some(year) => Date::new(year, month, day).ok(),
        None => {
            let date = Date::new(today.year(), month, day).ok()?;
            if date >= today.date() {
                Some(date)
            } else {
                Date::new(today.year() + 1, month, day).ok()
            }
        }
    }
}
