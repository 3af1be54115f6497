//! What keeps an item from being submitted although it stands under READY: a box that is ticked, an id that is struck
//! out, a status or a heading that says that the work is done or must wait.
//!
//! Words of people are judged here, and only towards caution: what is not known to mean "go" holds an item back, and
//! the reason quotes the words, so that a person sees at once what to change.

use super::QueueSection;
use super::id;
use super::sections::NOUNS;
use crate::quote::plain;

/// Words that hold work back wherever they stand in a remark.
const HOLDING: [&str; 16] = [
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
const CONDITIONS: [&str; 17] = [
    "pending", "wait", "waits", "waiting", "await", "awaiting", "awaits", "until", "once", "when",
    "after", "if", "unless", "but", "not", "needs", "except",
];

/// Words in capitals, or in parentheses at the end, that say in a title that the item is not to be submitted.
const ENDED: [&str; 12] = [
    "done",
    "completed",
    "complete",
    "finished",
    "failed",
    "running",
    "submitted",
    "successful",
    "blocked",
    "waiting",
    "wip",
    "dropped",
];

/// Signs that people tick off, cross out or stop an item with.
const SIGNS: [char; 21] = [
    '✓', '✔', '✅', '☑', '☒', '❌', '❎', '✕', '✗', '✘', '✖', '⏸', '⛔', '🚫', '🛑', '⏹', '🔒',
    '⏳', '⌛', '🔄', '🚧',
];

/// Words behind one that says how an item stands: `superseded by Q-002`, `running since Monday`.
const STANDING: [&str; 8] = [
    "by", "on", "until", "since", "for", "because", "due", "pending",
];

/// What a status may begin with for the item to be free.
const FREE: [&str; 15] = [
    "ready",
    "queued",
    "queue",
    "todo",
    "to do",
    "to run",
    "open",
    "new",
    "planned",
    "scheduled",
    "unblocked",
    "approved",
    "not started",
    "not yet started",
    "not submitted",
];

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

fn has_word(text: &str, known: &[&str]) -> bool {
    words(text).any(|word| known.contains(&word.as_str()))
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

/// Whether a status says that the item may go: empty, `READY`, `queued (waiting for a slot)`, `not started`.
fn is_free(status: &str) -> bool {
    let outside = without_groups(status);
    let outside = words(&outside).collect::<Vec<_>>().join(" ");
    if has_word(status, &HOLDING) {
        return false;
    }
    let begins = |word: &&str| {
        outside
            .strip_prefix(*word)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    let rest = FREE
        .iter()
        .find(|word| begins(word))
        .map(|word| &outside[word.len()..]);
    outside.is_empty()
        || outside == "pending"
        || rest.is_some_and(|rest| !has_word(rest, &CONDITIONS))
}

/// The reason why a status that a person wrote holds the item back.
pub(super) fn by_status(key: &str, value: &str) -> Option<String> {
    (!is_free(value)).then(|| format!("its {} is `{}`", key.to_lowercase(), plain(value, 60)))
}

/// The reason why the text of its heading or list item, behind the box, holds it back. `title` is what follows the id.
pub(super) fn by_heading(text: &str, title: &str) -> Option<String> {
    let before_title = text.strip_suffix(title).unwrap_or(text);
    if before_title.contains("~~") || title.starts_with("~~") {
        return Some("it is struck out".to_owned());
    }
    let sign = text.chars().find(|c| SIGNS.contains(c));
    let sign = sign.map(String::from).or_else(|| id::mark(before_title));
    if let Some(sign) = sign {
        return Some(format!("its heading has a {sign}"));
    }
    let capital = |word: &&str| word.len() > 2 && word.bytes().all(|b| b.is_ascii_uppercase());
    let told = |word: &str| ENDED.contains(&word) || HOLDING.contains(&word);
    let word = title
        .split(|c: char| !c.is_alphanumeric())
        .filter(capital)
        .find(|word| told(&word.to_lowercase()))
        .map(str::to_owned);
    let word = word.or_else(|| {
        let mut groups = [last_group(title), first_group(title)]
            .into_iter()
            .flatten();
        groups.find(|group| {
            words(group).next().is_some_and(|word| told(&word))
                || group.eq_ignore_ascii_case("on hold")
        })
    });
    let mut first = words(title);
    let (first, second) = (first.next(), first.next());
    let stands = second.is_none_or(|second| STANDING.contains(&second.as_str()));
    let word = word.or_else(|| first.filter(|first| stands && told(first)));
    word.map(|word| format!("its heading says `{}`", plain(&word, 60)))
}

/// What stands in parentheses or brackets at the end of a title.
fn last_group(title: &str) -> Option<String> {
    let inner = title.trim_end().strip_suffix([')', ']'])?;
    let at = inner.rfind(['(', '['])?;
    inner.get(at + 1..).map(str::to_owned)
}

/// What stands in parentheses or brackets directly behind the id.
fn first_group(title: &str) -> Option<String> {
    let inner = title.strip_prefix(['(', '['])?;
    let end = inner.find([')', ']'])?;
    inner.get(..end).map(str::to_owned)
}

/// Words beside READY that make it no list of what is to run now.
const NO_LIST: [&str; 16] = [
    "template",
    "templates",
    "example",
    "examples",
    "sample",
    "format",
    "draft",
    "drafts",
    "old",
    "archive",
    "archived",
    "later",
    "someday",
    "maybe",
    "idea",
    "ideas",
];

/// The reason why the heading of the section holds back everything below it: `READY (pending user go-ahead)`. "Pending"
/// and "queued" may mean anything, so every word beside them holds.
pub(super) fn by_section(title: &str) -> Option<String> {
    let all: Vec<String> = words(title).collect();
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
        holds || (is_ready && NO_LIST.contains(&word))
    });
    waits.then(|| format!("it stands under `{}`", plain(title, 80)))
}

/// Titles of a section that say little about what is in it.
const VAGUE: [&str; 2] = ["pending", "queued"];

fn is_count(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_digit())
}

/// The reason why a heading between the section and the item holds it back: `### Phase 1 (DONE)`.
pub(super) fn by_group(title: &str) -> Option<String> {
    by_heading(title, title).map(|_| format!("it stands under `{}`", plain(title, 80)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_free_only_when_it_is_known_to_be() {
        for free in [
            "",
            "READY",
            "✅ ready",
            "Queued",
            "PENDING",
            "pending (SLURM)",
            "QUEUED LOCALLY (waiting for job slot)",
            "not started",
            "TODO",
            "Ready to submit",
        ] {
            assert_eq!(by_status("Status", free), None, "{free}");
        }
        for held in [
            "BLOCKED on Q-001",
            "on hold",
            "waiting for data",
            "DONE",
            "cancelled",
            "Running",
            "✓ COMPLETED",
            "ready once the data is there",
            "ready (blocked)",
            "pending approval",
            "not ready",
            "ask Bob",
            "readyish",
        ] {
            assert!(by_status("Status", held).is_some(), "{held}");
        }
    }

    #[test]
    fn a_heading_tells_what_is_done_or_must_wait() {
        for (text, title) in [
            ("~~Q-001~~: x", "x"),
            ("~~Q-001: x~~", "x~~"),
            ("Q-001: ~~x~~", "~~x~~"),
            ("Q-001: x ✓", "x ✓"),
            ("Q-001: x - COMPLETED", "x - COMPLETED"),
            ("Q-001 [BLOCKED]", "[BLOCKED]"),
            ("Q-001: x (on hold)", "x (on hold)"),
            ("Q-001: x (done)", "x (done)"),
            ("Q-001 (done 2026-01-02): x", "(done 2026-01-02): x"),
            ("Q-001: superseded by Q-002", "superseded by Q-002"),
            ("Q-001: running since Monday", "running since Monday"),
            ("Q-001: done", "done"),
            ("🔄 Q-001: x", "x"),
            ("⏳ Q-001: x", "x"),
            ("☒ Q-001: x", "x"),
            ("[✕] Q-001: x", "x"),
            ("[*] Q-001: x", "x"),
        ] {
            assert!(by_heading(text, title).is_some(), "{text}");
        }
        for (text, title) in [
            ("Q-001: x", "x"),
            ("Q-001: Pilot (Debug Run)", "Pilot (Debug Run)"),
            ("Q-002: Random (RERUN)", "Random (RERUN)"),
            (
                "Q-001: blocked sparse attention",
                "blocked sparse attention",
            ),
            ("☐ Q-001: x", "x"),
            ("Q-001: running mean of 5", "running mean of 5"),
            ("Q-001: 10 ~ 20 ~~not~~ seeds", "10 ~ 20 ~~not~~ seeds"),
        ] {
            assert_eq!(by_heading(text, title), None, "{text}");
        }
    }

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
