//! Headings inside a section: those that only group its items, and those that mean another thing.
//!
//! A heading that is not known to group is never taken for one: what stands below it may be put off.

use super::QueueSection;
use super::id;

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

/// Words of a heading that put off what is below it, or make it none of the work.
const PUT_OFF: [&str; 28] = [
    "not",
    "no",
    "never",
    "backlog",
    "later",
    "idea",
    "ideas",
    "draft",
    "drafts",
    "note",
    "notes",
    "maybe",
    "someday",
    "future",
    "old",
    "archive",
    "archived",
    "previous",
    "past",
    "rejected",
    "template",
    "templates",
    "example",
    "examples",
    "optional",
    "if",
    "after",
    "results",
];

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
    (is_group(title) || named || id::leading(title).is_some()) && !has(&PUT_OFF)
}
