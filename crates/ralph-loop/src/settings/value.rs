//! Texts of values, read strictly. An error says what is expected, to stand after the word "expected".

use std::time::Duration;

use crate::engine::{EngineName, Prices, split_command};
use crate::gates::GateChoice;
use crate::integrate::Strategy;

type Read<T> = Result<T, &'static str>;

/// Tools of claude that a list may name, alone or with a pattern in parentheses.
const TOOLS: [&str; 16] = [
    "Agent",
    "Bash",
    "BashOutput",
    "Edit",
    "Glob",
    "Grep",
    "KillShell",
    "MultiEdit",
    "NotebookEdit",
    "Read",
    "Skill",
    "Task",
    "TodoWrite",
    "WebFetch",
    "WebSearch",
    "Write",
];

/// A longest pause or wait, so that no sum of times overflows: a week.
const LONGEST: f64 = 7.0 * 24.0 * 3600.0;

fn whole(text: &str) -> Option<u64> {
    // No sign, and no zero in front: `007` is more likely a slip than a seven.
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_padded = text.len() > 1 && text.starts_with('0');
    (is_plain && !is_padded)
        .then(|| text.parse().ok())
        .flatten()
}

pub(super) fn workers(text: &str) -> Read<usize> {
    let number = whole(text).and_then(|number| usize::try_from(number).ok());
    number
        .filter(|number| (1..=crate::budget::MAX_WORKERS).contains(number))
        .ok_or("a positive integer, at most 512")
}

pub(super) fn positive(text: &str) -> Read<u64> {
    whole(text)
        .filter(|number| *number > 0)
        .ok_or("a positive integer")
}

pub(super) fn positive_small(text: &str) -> Read<u32> {
    let number = positive(text).ok();
    number
        .and_then(|number| u32::try_from(number).ok())
        .ok_or("a positive integer")
}

/// A number where zero means that there is no limit.
pub(super) fn limit(text: &str) -> Read<Option<u32>> {
    let number = whole(text).and_then(|number| u32::try_from(number).ok());
    let number = number.ok_or("a whole number, or 0 for no limit")?;
    Ok((number > 0).then_some(number))
}

pub(super) fn seconds(text: &str) -> Read<Duration> {
    const EXPECTED: &str = "a number of seconds from 0 to a week, such as 5 or 0.5";
    Ok(Duration::from_secs_f64(
        decimal(text, LONGEST).ok_or(EXPECTED)?,
    ))
}

/// Seconds where zero means never.
pub(super) fn seconds_or_never(text: &str) -> Read<Option<Duration>> {
    Ok(Some(seconds(text)?).filter(|length| !length.is_zero()))
}

pub(super) fn positive_seconds(text: &str) -> Read<Duration> {
    const EXPECTED: &str = "a positive number of seconds, at most a week";
    let length = seconds(text).map_err(|_| EXPECTED)?;
    (!length.is_zero()).then_some(length).ok_or(EXPECTED)
}

pub(super) fn minutes(text: &str) -> Read<Duration> {
    const EXPECTED: &str = "a number of minutes from 0 to a week, such as 30 or 0.5";
    let minutes = decimal(text, LONGEST / 60.0).ok_or(EXPECTED)?;
    Ok(Duration::from_secs_f64(minutes * 60.0))
}

pub(super) fn time_limit(text: &str) -> Read<Duration> {
    let minutes = whole(text).filter(|minutes| (1..=120).contains(minutes));
    let minutes = minutes.ok_or("a whole number of minutes between 1 and 120")?;
    Ok(Duration::from_secs(minutes * 60))
}

/// Digits, with a fraction or without: no sign, no exponent, no infinity.
fn decimal(text: &str, most: f64) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !(whole.is_empty() || is_digits(whole)) || !is_digits(fraction) {
        return None;
    }
    text.parse().ok().filter(|number| *number <= most)
}

pub(super) fn dollars(text: &str) -> Read<Option<f64>> {
    let amount = decimal(text.strip_prefix('$').unwrap_or(text), 1e9);
    amount
        .filter(|amount| *amount > 0.0)
        .map(Some)
        .ok_or("a positive amount of US dollars, such as 25 or 2.50")
}

pub(super) fn truth(text: &str) -> Read<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err("true or false"),
    }
}

pub(super) fn engine(text: &str) -> Read<EngineName> {
    text.parse()
        .map_err(|_| "an engine: claude, codex, devin or command")
}

pub(super) fn command(text: &str) -> Read<Vec<String>> {
    const EXPECTED: &str = "a program and its arguments, with every quotation closed";
    let words = split_command(text).map_err(|_| EXPECTED)?;
    (!words.is_empty()).then_some(words).ok_or(EXPECTED)
}

pub(super) fn text(text: &str) -> Read<Option<String>> {
    Ok(Some(text.to_owned()))
}

pub(super) fn merge_strategy(text: &str) -> Read<Strategy> {
    text.parse().map_err(|_| "squash, merge or rebase")
}

pub(super) fn gates(text: &str) -> Read<GateChoice> {
    const EXPECTED: &str = "auto, none, or commands separated by `;`";
    let choice: GateChoice = text.parse().map_err(|_| EXPECTED)?;
    if matches!(&choice, GateChoice::List(commands) if commands.is_empty()) {
        return Err(EXPECTED);
    }
    Ok(choice)
}

/// A part of a branch's name (git-check-ref-format(1)).
pub(super) fn branch_prefix(text: &str) -> Read<String> {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./+".contains(c);
    let is_bad_part = |part: &str| {
        part.is_empty()
            || part.starts_with('.')
            || part.ends_with('.')
            || part.ends_with(".lock")
            || part.contains("..")
    };
    if text.chars().all(is_plain) && !text.starts_with('-') && !text.split('/').any(is_bad_part) {
        return Ok(text.to_owned());
    }
    Err("the start of a branch's name: letters, digits, `-`, `_`, and `.` or `/` between them")
}

/// Names separated by commas, where a pattern in parentheses may hold commas and blanks.
pub(super) fn tools(text: &str) -> Read<Vec<String>> {
    const EXPECTED: &str =
        "tools of claude separated by commas, such as Read,Edit,Bash(git *) or mcp__server__tool";
    let mut depth = 0_i32;
    let parts = text.split(|c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth <= 0
    });
    let tools: Vec<String> = parts
        .map(str::trim)
        .filter(|tool| !tool.is_empty())
        .map(str::to_owned)
        .collect();
    let is_known = |tool: &String| {
        let (name, pattern) = match tool.split_once('(') {
            Some((name, pattern)) => (name, Some(pattern)),
            None => (tool.as_str(), None),
        };
        let is_closed = pattern.is_none_or(|pattern| pattern.ends_with(')'));
        is_closed && (TOOLS.contains(&name) || name.starts_with("mcp__"))
    };
    if tools.iter().all(is_known) {
        return Ok(tools);
    }
    Err(EXPECTED)
}

/// `input,cached,output`.
pub(super) fn prices(text: &str) -> Read<Option<Prices>> {
    const EXPECTED: &str =
        "three prices in US dollars per million tokens: input,cached,output, such as 3,0.3,15";
    let parts: Option<Vec<f64>> = text
        .split(',')
        .map(|part| decimal(part.trim(), 1e6))
        .collect();
    let [input, cached, output] = parts.as_deref().ok_or(EXPECTED)? else {
        return Err(EXPECTED);
    };
    Ok(Some(Prices {
        input: *input,
        cached: *cached,
        output: *output,
    }))
}
