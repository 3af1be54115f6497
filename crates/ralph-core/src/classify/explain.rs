//! From a decision to what a person reads: the key line, the cause, the advice. Nothing here decides anything.

use super::class::{FailureClass, Rank, RetryPolicy};
use super::evidence::{Candidate, Evidence, Success};
use super::log::floor_boundary;
use super::{Case, Diagnosis, KeyLine, Match};

/// Bounds of what is handed on, in bytes, lines and entries.
const KEY_BYTES: usize = 400;
const TAIL_LINES: usize = 20;
const SUMMARY_BYTES: usize = 300;
const MATCHES: usize = 20;
const PATH_BYTES: usize = 300;
const ARTIFACTS: usize = 5;
const ARTIFACT_BYTES: usize = 120;

/// How much of a long line before the deciding text is kept.
const BEFORE_KEY: usize = 100;

/// Puts a decision into words. `class` and `inner` were decided; `decisive` is the evidence, where there is one.
pub(super) fn diagnosis(
    case: &Case<'_>,
    evidence: &Evidence<'_>,
    decisive: Option<&Candidate>,
    class: FailureClass,
    inner: Option<FailureClass>,
) -> Diagnosis {
    let cause_class = inner.unwrap_or(class);
    let spoken = (class == FailureClass::Unknown)
        .then(|| evidence.last_error())
        .flatten();
    let place = decisive.map_or(spoken, |found| found.place);
    let text = decisive.map_or("", |found| found.text);
    let key = place.and_then(|place| key_line(evidence, place, text));
    let mut diagnosis = Diagnosis {
        class,
        inner,
        scope: decisive.map_or(cause_class.scope(), |found| found.scope),
        retry: retry(class, cause_class, decisive),
        source_location: decisive.and_then(|found| found.source.clone()),
        matches: matches(evidence),
        tail: tail(evidence, place),
        suspicious: inner.is_some() || decisive.is_some() && evidence.success != Success::No,
        summary: String::new(),
        cause: cause(case, evidence, decisive, class, inner),
        advice: advice(case, cause_class),
        key,
    };
    if diagnosis.retry == RetryPolicy::Ask && cause_class.retry() != RetryPolicy::Ask {
        diagnosis.advice = format!(
            "See first whether another attempt can end otherwise. {}",
            diagnosis.advice
        );
    }
    if class == FailureClass::Unknown && diagnosis.key.is_some() {
        diagnosis.cause += " The key line is the last one that looks like an error.";
    }
    diagnosis.summary = summary(case, &diagnosis);
    diagnosis
}

/// A job that reported success is never run again without asking, and neither is one of which only a warning speaks,
/// or that ended with another error than the one that decides.
fn retry(class: FailureClass, cause: FailureClass, decisive: Option<&Candidate>) -> RetryPolicy {
    let unsure = class == FailureClass::FalseSuccess
        || decisive.is_some_and(|found| found.warned || found.doubted);
    match cause.retry() {
        RetryPolicy::Once { .. } | RetryPolicy::Wait if unsure => RetryPolicy::Ask,
        policy => policy,
    }
}

/// The line of a piece of evidence, as a person is shown it.
fn key_line(evidence: &Evidence<'_>, place: (usize, usize), text: &str) -> Option<KeyLine> {
    let (log, line) = place;
    let log = evidence.logs.get(log)?;
    let line = log.line(line)?;
    Some(KeyLine {
        text: around(line.text, text).to_owned(),
        path: log.path().to_owned(),
        line: line.number,
        exact: line.exact,
        stream: log.stream(),
    })
}

/// The part of a line that holds the deciding text.
fn around<'a>(line: &'a str, text: &str) -> &'a str {
    if line.len() <= KEY_BYTES {
        return line.trim();
    }
    let at = line.find(text).unwrap_or(0);
    let start = floor_boundary(line, at.saturating_sub(BEFORE_KEY));
    let end = floor_boundary(line, start + KEY_BYTES);
    line.get(start..end).unwrap_or_default().trim()
}

/// All evidence with its lines, so that a person can overrule the decision.
fn matches(evidence: &Evidence<'_>) -> Vec<Match> {
    evidence
        .candidates
        .iter()
        .filter_map(|found| {
            Some(Match {
                class: found.class,
                key: key_line(evidence, found.place?, found.text)?,
            })
        })
        .take(MATCHES)
        .collect()
}

/// The last lines of the log with the key line, else of the first that says anything. Of a line that overwrites
/// itself only the last state is shown, as on a terminal.
fn tail(evidence: &Evidence<'_>, place: Option<(usize, usize)>) -> Vec<String> {
    let log = place
        .and_then(|(log, _)| evidence.logs.get(log))
        .or_else(|| evidence.logs.iter().find(|log| log.line_count() > 0));
    let mut lines: Vec<String> = Vec::new();
    let mut last_number = None;
    for line in log.into_iter().flat_map(|log| log.lines().rev()) {
        if last_number == Some((line.number, line.exact)) {
            continue;
        }
        if lines.len() == TAIL_LINES {
            break;
        }
        last_number = Some((line.number, line.exact));
        lines.push(cut(line.text, KEY_BYTES).to_owned());
    }
    lines.reverse();
    lines
}

/// The start of a text, cut between characters.
fn cut(text: &str, bytes: usize) -> &str {
    text.get(..floor_boundary(text, bytes)).unwrap_or_default()
}

/// One line without a line feed: it goes into a field of the state file.
fn summary(case: &Case<'_>, diagnosis: &Diagnosis) -> String {
    let class = diagnosis.inner.unwrap_or(diagnosis.class);
    let fact = format!("{}{}", class.facts().fact, missing(case, class));
    let text = match &diagnosis.key {
        Some(key) => format!(
            "{}: {} ({}:{})",
            diagnosis.label(),
            cut(&key.text, 200),
            key.path,
            key.line
        ),
        None => format!("{}: {fact}", diagnosis.label()),
    };
    cut(&text, SUMMARY_BYTES).to_owned()
}

/// The fact first, then where, then what is only a guess, and marked as one.
fn cause(
    case: &Case<'_>,
    evidence: &Evidence<'_>,
    decisive: Option<&Candidate>,
    class: FailureClass,
    inner: Option<FailureClass>,
) -> String {
    let facts = inner.unwrap_or(class).facts();
    let mut sentences = vec![match inner {
        Some(inner) => format!(
            "{}. {}{}",
            class.facts().fact,
            facts.fact,
            missing(case, inner)
        ),
        None => format!("{}{}", facts.fact, detail(case, class)),
    }];
    if let Some((path, line)) = decisive.and_then(|found| found.source.as_ref()) {
        sentences.push(format!("It was raised at {}:{line}", cut(path, PATH_BYTES)));
    }
    if let Some(earlier) = masked(evidence, class) {
        sentences.push(format!(
            "Hypothesis: the log also shows {earlier}, which may have come first"
        ));
    } else if !facts.guess.is_empty() {
        sentences.push(format!("Hypothesis: {}", facts.guess));
    }
    if class == FailureClass::Unknown && case.logs.is_empty() {
        sentences.push("No log was found: none was written, or it has been removed".to_owned());
    }
    if class == FailureClass::Unknown && evidence.came_to_end {
        sentences.push(
            "The log says that the script came to its end, so the results may be complete"
                .to_owned(),
        );
    }
    sentences.join(". ") + "."
}

/// The names of the files that are missing, the first of them, after the fact that says so (incident 63).
fn missing(case: &Case<'_>, class: FailureClass) -> String {
    if class != FailureClass::MissingArtifact {
        return String::new();
    }
    let names = case.missing_artifacts;
    let shown: Vec<&str> = names
        .iter()
        .take(ARTIFACTS)
        .map(|name| cut(name, ARTIFACT_BYTES))
        .collect();
    let more = match names.len().saturating_sub(ARTIFACTS) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(": {}{more}", shown.join(", "))
}

/// What only this case can add to the fact.
fn detail(case: &Case<'_>, class: FailureClass) -> String {
    match (class, case.cancelled_by, case.exit) {
        (FailureClass::Cancelled, Some(0), _) => " by the administrator (user id 0)".to_owned(),
        (FailureClass::Cancelled, Some(user), _) => format!(" by the user with the id {user}"),
        (
            FailureClass::Unknown | FailureClass::CrashSignal | FailureClass::DiedBeforeScript,
            _,
            Some(exit),
        ) => {
            format!(" (exit code {exit})")
        }
        _ => String::new(),
    }
}

/// A failure that the scheduler's verdict may hide: one process fails on a disk, the others wait until the time
/// limit (incident 65).
fn masked(evidence: &Evidence<'_>, class: FailureClass) -> Option<FailureClass> {
    if class.rank() != Rank::Scheduler {
        return None;
    }
    evidence
        .candidates
        .iter()
        .find(|found| found.rank > Rank::Scheduler && found.rank < Rank::Fallback && !found.warned)
        .map(|found| found.class)
}

/// The advice of the class, with the nodes where avoiding them may help (incident 66).
fn advice(case: &Case<'_>, class: FailureClass) -> String {
    let advice = class.facts().advice;
    match (class.retry(), case.nodes) {
        (
            RetryPolicy::Once {
                suggest_exclude: true,
            },
            Some(nodes),
        ) => {
            format!("{advice} It ran on {}.", cut(nodes, 200))
        }
        _ => advice.to_owned(),
    }
}
