//! What the title of a section says of its entries, and what a section says that has none.
//!
//! Titles are made of a few words in any order (`Current Blocking Issues`), so the words are judged, not a list of
//! titles: one word that is not known here and the section means nothing.

use crate::section::normalise;

/// How a section stands to its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shelf {
    Open,
    /// Open, and the project does not wait for it.
    NonBlocking,
    Resolved,
}

/// Words that mean open issues on their own.
const OPEN: [&str; 15] = [
    "active",
    "open",
    "blocking",
    "blocker",
    "blockers",
    "unresolved",
    "unsolved",
    "unfixed",
    "outstanding",
    "ongoing",
    "critical",
    "urgent",
    "issues",
    "bugs",
    "problems",
];
/// Words that mean open issues beside a noun.
const OPEN_BESIDE: [&str; 9] = [
    "current",
    "known",
    "new",
    "pending",
    "existing",
    "remaining",
    "major",
    "still",
    "reopened",
];
const OVER: [&str; 7] = [
    "resolved",
    "fixed",
    "closed",
    "solved",
    "completed",
    "done",
    "wontfix",
];
const OVER_BESIDE: [&str; 7] = [
    "recently",
    "previously",
    "past",
    "old",
    "all",
    "archived",
    "now",
];
/// In the plural: `Issue 12` is an entry.
const NOUNS: [&str; 7] = [
    "issues", "bugs", "problems", "errors", "failures", "entries", "blockers",
];
/// Nouns that stand for what is looked into only beside a word of being open or over, and not in front of a title.
const MORE_NOUNS: [&str; 6] = [
    "investigation",
    "investigations",
    "incident",
    "incidents",
    "entry",
    "debugging",
];
const NOT_BLOCKING: [&str; 5] = [
    "non blocking",
    "nonblocking",
    "not blocking",
    "non critical",
    "low priority",
];
const WAITING: [&str; 9] = [
    "in progress",
    "investigating",
    "under investigation",
    "to fix",
    "to be fixed",
    "needs fix",
    "not resolved",
    "not yet resolved",
    "not fixed",
];

/// The meaning of a title; the most cautious one of the parts of `Critical / Blocking`.
pub(super) fn of(title: &str) -> Option<Shelf> {
    let whole = title
        .split_once(" / ")
        .is_none()
        .then(|| of_words(&normalise(title)));
    let found: Vec<Option<Shelf>> = match whole {
        Some(shelf) => vec![shelf.or_else(|| of_first_part(title))],
        None => title
            .split(" / ")
            .map(|part| of_words(&normalise(part)))
            .collect(),
    };
    let is = |shelf: Shelf| found.contains(&Some(shelf)).then_some(shelf);
    is(Shelf::Open)
        .or_else(|| is(Shelf::NonBlocking))
        .or_else(|| found.first().copied().flatten())
}

/// Whether a title speaks of something open, whatever else it says: `Active Investigation: results`.
pub(super) fn is_about_open(title: &str) -> bool {
    let title = normalise(title);
    let mut words = title.split(' ');
    words.any(|word| (OPEN.contains(&word) && !NOUNS.contains(&word)) || word == "current")
}

/// `Active issues - as of today` means open issues; of what is over only a whole title speaks.
fn of_first_part(title: &str) -> Option<Shelf> {
    let (first, _) = [" - ", " – ", " — ", ": "]
        .iter()
        .find_map(|mark| title.split_once(mark))?;
    let first = normalise(first);
    let named = first.split(' ').any(|word| NOUNS.contains(&word));
    of_words(&first).filter(|shelf| named && *shelf != Shelf::Resolved)
}

fn of_words(title: &str) -> Option<Shelf> {
    let bare = |name: &str| {
        title == name
            || title
                .strip_prefix(name)
                .is_some_and(|rest| NOUNS.contains(&rest.trim_start()))
    };
    if NOT_BLOCKING.iter().any(|name| bare(name)) || title == "minor issues" {
        return Some(Shelf::NonBlocking);
    }
    if WAITING.iter().any(|name| bare(name)) {
        return Some(Shelf::Open);
    }
    let dated = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    let words: Vec<&str> = title
        .split(' ')
        .filter(|word| !dated(word) && !word.is_empty() && *word != "and")
        .collect();
    let all = |sets: [&[&str]; 3]| {
        words
            .iter()
            .all(|word| sets.iter().any(|set| set.contains(word)) || MORE_NOUNS.contains(word))
    };
    let any = |set: &[&str]| words.iter().any(|word| set.contains(word));
    if any(&OVER) && all([&OVER, &OVER_BESIDE, &NOUNS]) {
        return Some(Shelf::Resolved);
    }
    let open = any(&OPEN) || (any(&OPEN_BESIDE) && any(&NOUNS));
    (open && all([&OPEN, &OPEN_BESIDE, &NOUNS])).then_some(Shelf::Open)
}

/// Whether a line says that there is nothing: `(none)`, `None yet.`, `No open issues.`, `- N/A`, `...`.
pub(super) fn is_nothing(text: &str) -> bool {
    const FIRST: [&str; 6] = ["none", "no", "nothing", "empty", "n", "all"];
    const MORE: [&str; 39] = [
        "none",
        "yet",
        "currently",
        "at",
        "the",
        "this",
        "moment",
        "time",
        "now",
        "right",
        "known",
        "open",
        "active",
        "present",
        "so",
        "far",
        "as",
        "of",
        "all",
        "resolved",
        "fixed",
        "closed",
        "clear",
        "here",
        "a",
        "current",
        "blocking",
        "critical",
        "outstanding",
        "unresolved",
        "is",
        "are",
        "to",
        "report",
        "other",
        "new",
        "remaining",
        "previous",
        "have",
    ];
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let Some((first, rest)) = words.split_first() else {
        return true;
    };
    let known = |word: &&str| {
        let dated = word.starts_with(|c: char| c.is_ascii_digit());
        dated
            || MORE.contains(word)
            || NOUNS.contains(word)
            || ["been", "issue", "see", "below"].contains(word)
    };
    let complete = match *first {
        "no" => rest.iter().any(|word| NOUNS.contains(word)),
        "n" => rest == ["a"],
        "all" => rest
            .iter()
            .any(|word| OVER.contains(word) || *word == "clear"),
        _ => true,
    };
    FIRST.contains(first) && complete && rest.iter().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_named_in_many_ways() {
        for title in [
            "Active Issues",
            "BLOCKING",
            "Open",
            "Current Issues",
            "Unresolved",
            "Critical / Blocking",
            "Known Issues",
            "🔴 Critical Issues",
            "Open issues (3)",
            "Active Issues — as of today",
            "Open Problems:",
            "Issues",
            "Open / Resolved",
            "Unresolved issues",
            "Not yet resolved",
            "Active Blockers",
            "Active Investigation",
            "Open incidents",
            "Ongoing Investigations (2)",
            "In Progress",
        ] {
            assert_eq!(of(title), Some(Shelf::Open), "{title}");
        }
        for title in ["NON-BLOCKING", "Non-blocking issues", "Low priority"] {
            assert_eq!(of(title), Some(Shelf::NonBlocking), "{title}");
        }
        for title in [
            "Resolved",
            "Recently Resolved",
            "Resolved issues",
            "Fixed",
            "✅ Fixed",
            "Closed",
            "Resolved / Closed",
            "Fixed Bugs",
            "Solved",
            "Resolved (2026-02)",
        ] {
            assert_eq!(of(title), Some(Shelf::Resolved), "{title}");
        }
        for title in [
            "Common Issues & Solutions",
            "Common Failure Modes (Preemptive Checklist)",
            "Training Issues",
            "Notes",
            "Error Patterns",
            "Resolved: OOM on the test card",
            "Active Investigation: results",
            "New",
            "Errors",
            "Methodology lessons",
            "OOM Issues (Q208)",
            "Issue 12: x",
            "Issue: x",
            "",
        ] {
            assert_eq!(of(title), None, "{title}");
        }
    }

    #[test]
    fn nothing_is_said_in_many_ways() {
        for text in [
            "(none)",
            "None",
            "- None yet.",
            "No open issues.",
            "_No active issues at this time._",
            "N/A",
            "...",
            "Nothing yet",
            "| (none) | | |",
            "None currently",
            "All resolved",
            "No known blockers",
            "---",
            "None - all issues resolved",
        ] {
            assert!(is_nothing(text), "{text}");
        }
        for text in [
            "(none - BLOCKED on Q-001)",
            "None of the jobs starts",
            "No artifact is written",
            "See queue.md",
            "All jobs fail",
            "D1: x",
            "No",
        ] {
            assert!(!is_nothing(text), "{text}");
        }
    }
}
