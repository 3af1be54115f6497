//! Words by which people say how work stands, and how a text is taken apart into words.
//!
//! What a word means depends on where it stands: that is for [`super::held`] (an item), [`super::groups`] (the headings
//! around it) and [`super::script`] (a remark on a script).

/// Words that hold work back wherever they stand in a remark.
pub(super) const HOLDING: [&str; 16] = [
    "block",
    "blocked",
    "hold",
    "held",
    "paused",
    "parked",
    "cancelled",
    "canceled",
    "killed",
    "obsolete",
    "superseded",
    "deferred",
    "postponed",
    "skip",
    "skipped",
    "abandoned",
];

/// Words that make a "ready" depend on something.
pub(super) const CONDITIONS: [&str; 18] = [
    "soon", "pending", "wait", "waits", "waiting", "await", "awaiting", "awaits", "until", "once",
    "when", "after", "if", "unless", "but", "not", "needs", "except",
];

/// Words in capitals, in parentheses or behind a dash that say in a title that the item is not to be submitted.
pub(super) const ENDED: [&str; 27] = [
    "done",
    "completed",
    "complete",
    "finished",
    "failed",
    "running",
    "submitted",
    "resubmitted",
    "successful",
    "success",
    "passed",
    "aborted",
    "stopped",
    "retired",
    "rejected",
    "deprecated",
    "archived",
    "duplicate",
    "blocked",
    "waiting",
    "awaiting",
    "wip",
    "dropped",
    "draft",
    "template",
    "example",
    "tbd",
];

/// Two words that say the same.
pub(super) const ENDED_PAIRS: [&str; 3] = ["in progress", "in flight", "on hold"];

/// Words of a heading that put off what is below it, or make it none of the work.
pub(super) const PUT_OFF: [&str; 21] = [
    "backlog",
    "later",
    "idea",
    "ideas",
    "draft",
    "drafts",
    "maybe",
    "someday",
    "future",
    "old",
    "archive",
    "archived",
    "previous",
    "past",
    "rejected",
    "deprecated",
    "template",
    "templates",
    "example",
    "examples",
    "optional",
];

/// Words of what is not as it will be.
pub(super) const UNFINISHED: [&str; 15] = [
    "todo", "tbd", "tba", "tbc", "fixme", "wip", "draft", "fix", "edit", "modify", "modified",
    "change", "changed", "adapt", "adapted",
];

/// The words of a text, in lower case.
pub(super) fn each(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

pub(super) fn has_word(text: &str, known: &[&str]) -> bool {
    each(text).any(|word| known.contains(&word.as_str()))
}

/// A text without what stands in parentheses.
pub(super) fn without_groups(text: &str) -> String {
    let mut depth = 0_usize;
    let kept = text.chars().filter(|c| {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ => return depth == 0,
        }
        false
    });
    kept.collect()
}

pub(super) fn is_count(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_digit())
}

pub(super) fn is_capital(word: &str) -> bool {
    word.len() > 2 && word.bytes().all(|b| b.is_ascii_uppercase())
}

pub(super) fn is_told(word: &str) -> bool {
    ENDED.contains(&word) || HOLDING.contains(&word)
}
