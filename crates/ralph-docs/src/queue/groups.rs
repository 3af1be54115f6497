//! The headings around an item: those that only group the items of a section, those that mean another thing, and those
//! that hold back what is below them.
//!
//! A heading that is not known to group is never taken for one: what stands below it may be put off.

use super::sections::NOUNS;
use super::words::{CONDITIONS, HOLDING, PUT_OFF, has_word, is_count};
use super::{QueueSection, held, id, put_off, words};
use crate::quote::plain;

/// Headings that only group items.
const GROUPS: [&str; 10] = [
    "phase", "stage", "group", "batch", "wave", "tier", "priority", "high", "medium", "low",
];

/// Other words that a group begins with.
const ORDERED: [&str; 8] = [
    "rung",
    "step",
    "part",
    "week",
    "day",
    "round",
    "milestone",
    "set",
];

/// What a heading calls what it groups.
const GROUPED: [&str; 20] = [
    "experiment",
    "experiments",
    "run",
    "runs",
    "job",
    "jobs",
    "item",
    "items",
    "baseline",
    "baselines",
    "ablation",
    "ablations",
    "sweep",
    "sweeps",
    "seed",
    "seeds",
    "urgent",
    "first",
    "now",
    "next",
];

/// More words of a heading that may put off what is below it, or that make it none of the work.
const NO_GROUP: [&str; 7] = ["not", "no", "never", "note", "notes", "if", "after"];

/// Headings below which people explain, and list nothing that runs.
const EXPLAINING: [&str; 8] = [
    "note",
    "notes",
    "background",
    "context",
    "instructions",
    "rules",
    "legend",
    "overview",
];

fn first_word(title: &str) -> String {
    let mut words = title
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    words.next().unwrap_or("").to_lowercase()
}

/// Whether people explain below a heading.
pub(super) fn explains(title: &str) -> bool {
    EXPLAINING.contains(&first_word(title).as_str())
}

/// Whether a heading puts the items of a section in order: `Phase 1`, `High priority`.
pub(super) fn is_ordered(title: &str) -> bool {
    GROUPS.contains(&first_word(title).as_str())
}

/// Whether a heading is a section or only groups the items of one.
pub(super) fn is_group(title: &str) -> bool {
    QueueSection::from_title(title).is_some() || is_ordered(title)
}

/// Whether a heading between a section and an item only groups: by its first word, an id or what it calls its items.
pub(super) fn is_crossed(title: &str) -> bool {
    let title_words = title.to_lowercase();
    let has = |known: &[&str]| {
        let mut words = title_words.split(|c: char| !c.is_alphanumeric());
        words.any(|word| known.contains(&word))
    };
    let named = has(&GROUPED) || ORDERED.contains(&first_word(title).as_str());
    // `Phase 1: validate results` has work in it, `Results of phase 1` has none.
    let results = title_words.trim_matches(|c: char| !c.is_alphanumeric());
    let is_past = match is_ordered(title) {
        true => results.ends_with("results") && !results.contains(':'),
        false => has(&["results"]),
    };
    (is_group(title) || named || id::leading(title).is_some())
        && !has(&PUT_OFF)
        && !has(&NO_GROUP)
        && !is_past
}

/// More words beside READY that make it no list of what is to run now.
const NO_LIST: [&str; 11] = [
    "sample",
    "format",
    "frozen",
    "stop",
    "stopped",
    "tentative",
    "proposed",
    "review",
    "approval",
    "do",
    "ask",
];

/// Words of a heading around the sections that make all of them none of the work.
const NO_QUEUE: [&str; 6] = [
    "template",
    "templates",
    "example",
    "examples",
    "archive",
    "archived",
];

/// The reason why a heading around the section READY holds back everything in it: `Template`, `Old queue (archived)`. A
/// document's own title may speak of examples.
pub(super) fn by_outer(title: &str, is_document: bool) -> Option<String> {
    let known = match is_document {
        true => &["template", "archive", "archived"][..],
        false => &NO_QUEUE,
    };
    has_word(title, known).then(|| format!("it stands under `{}`", plain(title, 80)))
}

/// The reason why the heading of the section holds back everything below it: `READY (pending user go-ahead)`. "Pending"
/// and "queued" may mean anything, so every word beside them holds.
pub(super) fn by_section(title: &str) -> Option<String> {
    let all: Vec<String> = words::each(title).collect();
    let is_ready = QueueSection::from_title(title) == Some(QueueSection::Ready);
    let vague = is_ready
        && !all.iter().any(|word| word == "ready")
        && all.iter().any(|word| VAGUE.contains(&word.as_str()));
    let waits = all.iter().enumerate().any(|(at, word)| {
        let word = word.as_str();
        let known = VAGUE.contains(&word) || NOUNS.contains(&word) || is_count(word);
        // The first word is the section's own, which may be PENDING.
        let holds = at > 0 && (HOLDING.contains(&word) || CONDITIONS.contains(&word));
        let holds = if vague { !known } else { holds };
        holds || (is_ready && (PUT_OFF.contains(&word) || NO_LIST.contains(&word)))
    });
    let asks = is_ready && title.contains('?');
    (waits || asks).then(|| format!("it stands under `{}`", plain(title, 80)))
}

/// Titles of a section that say little about what is in it.
const VAGUE: [&str; 2] = ["pending", "queued"];

/// The reason why a heading between the section and the item holds it back: `### Phase 1 (DONE)`.
pub(super) fn by_group(title: &str) -> Option<String> {
    // Of what is not to be run people are asked: it may belong elsewhere.
    let said = held::by_heading(title, title).filter(|_| !put_off::forbids(title));
    said.map(|_| format!("it stands under `{}`", plain(title, 80)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_may_hold_back_all_its_items() {
        for held in [
            "READY (pending user go-ahead — do not stack mechanisms)",
            "READY - blocked on data",
            "Pending: waiting for Bob",
            "Pending (approval by Ada)",
            "Pending: review by Ada",
            "Queued (see the wiki)",
            "READY (template)",
            "READY - examples",
        ] {
            assert!(by_section(held).is_some(), "{held}");
        }
        for free in [
            "READY",
            "Pending",
            "2. Pending",
            "⏳ Pending (3)",
            "Pending experiments",
            "Queue: pending",
            "READY / QUEUED",
            "READY — run in this order",
            "READY: next up",
        ] {
            assert_eq!(by_section(free), None, "{free}");
        }
    }
}
