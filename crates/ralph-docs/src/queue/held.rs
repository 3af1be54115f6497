//! What keeps an item from being submitted although it stands under READY: a box that is ticked, an id that is struck
//! out, a status or a heading that says that the work is done or must wait.
//!
//! Words of people are judged here, and only towards caution: what is not known to mean "go" holds an item back, and
//! the reason quotes the words, so that a person sees at once what to change.

use super::id;
use super::put_off::{self, Said, forbids, names_item, puts_off};
use super::words::{
    self, CONDITIONS, ENDED, ENDED_PAIRS, HOLDING, has_word, is_capital, is_count, is_told,
    without_groups,
};
use crate::quote::plain;

/// What a remark in parentheses begins with that puts the item off, where it names no other item to wait for.
const DEFERS: [&str; 11] = [
    "pending",
    "after",
    "once",
    "until",
    "wait",
    "depends",
    "gated",
    "if",
    "when",
    "unless",
    "conditional",
];

/// Words of both kinds that also describe what is behind them: `(failed seeds)`, `(draft model)`, `(after the fix)`.
const DESCRIBING: [&str; 6] = [
    "draft",
    "template",
    "example",
    "duplicate",
    "rejected",
    "failed",
];
const NOW: [&str; 7] = [
    "already",
    "again",
    "today",
    "yesterday",
    "only",
    "twice",
    "copy",
];
const HAPPENED: [&str; 5] = ["fix", "fixes", "fixing", "bugfix", "more"];

/// Words in front of one that says how an item stands: `ready, was submitted on Monday`.
const TOLD_AS: [&str; 9] = [
    "was",
    "is",
    "now",
    "then",
    "already",
    "been",
    "and",
    "currently",
    "since",
];

/// Words behind one in capitals that make it an aim: `DONE when the loss is below 0.01`.
const AIMS: [&str; 5] = ["when", "if", "criteria", "criterion", "out"];

/// What a heading about an item that has run ends with.
const REPORTS: [&str; 11] = [
    "result",
    "results",
    "finding",
    "findings",
    "outcome",
    "outcomes",
    "summary",
    "notes",
    "discussion",
    "conclusion",
    "conclusions",
];

/// Signs that people tick off, cross out or stop an item with.
pub(super) const SIGNS: [char; 21] = [
    '✓', '✔', '✅', '☑', '☒', '❌', '❎', '✕', '✗', '✘', '✖', '⏸', '⛔', '🚫', '🛑', '⏹', '🔒',
    '⏳', '⌛', '🔄', '🚧',
];

/// Words behind one that says how an item stands: `superseded by Q-002`, `running since Monday`.
const STANDING: [&str; 12] = [
    "by", "on", "until", "since", "for", "because", "due", "pending", "as", "off", "yes", "see",
];

/// What a status may begin with for the item to be free.
const FREE: [&str; 19] = [
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
    "not yet submitted",
    "not yet run",
    "to submit",
    "to be submitted",
];

/// What ranks an item among those that are ready, and is no condition.
const RANKS: [&str; 9] = [
    " low priority",
    " lowest priority",
    " lower priority",
    " high priority",
    " highest priority",
    " medium priority",
    " not urgent",
    " no rush",
    " no hurry",
];

/// Whether a status says that the item may go: empty, `READY`, `queued (waiting for a slot)`, `not started`.
fn is_free(status: &str) -> bool {
    let outside = without_groups(status);
    let outside = words::each(&outside).collect::<Vec<_>>().join(" ");
    let outside = RANKS
        .iter()
        .fold(outside, |rest, rank| rest.replace(rank, ""));
    let outside = outside.trim_end().trim_end_matches(" but");
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
        || rest.is_some_and(|rest| {
            // `queued as job 61003257`.
            !has_word(rest, &CONDITIONS) && !has_word(rest, &["job"]) && !has_ended(rest)
        })
}

/// Whether what follows a "ready" says that the item has gone on: `READY -> RUNNING`. That its smoke test passed does not.
fn has_ended(rest: &str) -> bool {
    let mut before = "now";
    rest.split_whitespace().any(|word| {
        let before = std::mem::replace(&mut before, word);
        ENDED.contains(&word) && TOLD_AS.contains(&before)
    })
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
    if title.starts_with('<') && title.ends_with('>') {
        return Some(format!("its title is still `{title}`"));
    }
    if forbids(title) {
        return Some(format!("its heading says `{}`", plain(title, 60)));
    }
    let word = title
        .split(|c: char| !c.is_alphanumeric())
        .find(|word| is_capital(word) && is_told(&word.to_lowercase()))
        .map(str::to_owned);
    let groups = [last_group(title), first_group(title)];
    let mut groups = groups.into_iter().flatten();
    let word = word.or_else(|| groups.find(|group| is_told_aside(group)));
    let word = word.or_else(|| parts(title).find(|part| stands(part)).map(str::to_owned));
    word.map(|word| format!("its heading says `{}`", plain(&word, 60)))
}

/// The reason why a title below which nothing says what is to run holds the item back: `Q-001 results`.
pub(super) fn by_report(title: &str) -> Option<String> {
    let outside = without_groups(title);
    let said = [outside.as_str(), title];
    let mut said = said
        .into_iter()
        .map(|text| words::each(text).collect::<Vec<_>>());
    let said = said.find(|words| !words.is_empty())?;
    let is_report = said.len() <= 2
        && said
            .last()
            .is_some_and(|word| REPORTS.contains(&word.as_str()));
    is_report.then(|| {
        format!(
            "its heading says `{}`, and nothing below it what to run",
            plain(title, 60)
        )
    })
}

/// The parts of a title between dashes and colons.
fn parts(title: &str) -> impl Iterator<Item = &str> {
    let parts = title.split([':', '—', '–']);
    parts.flat_map(|part| part.split(" - ")).map(str::trim)
}

/// Whether what stands in parentheses says how the item stands.
fn is_told_aside(group: &str) -> bool {
    // `only once phase 1 looks right`.
    let all = words::each(group).skip_while(|word| ["only", "erst"].contains(&word.as_str()));
    let all: Vec<String> = all.collect();
    let Some((first, rest)) = all.split_first() else {
        return false;
    };
    let pair = rest.first().map(|second| format!("{first} {second}"));
    let happened = ["after", "once"].contains(&first.as_str()) && has_word(group, &HAPPENED);
    let puts_off = DEFERS.contains(&first.as_str()) && !rest.is_empty() && !happened;
    let is_number = |word: &String| word.len() > 3 && is_count(word);
    // `failed seeds` are what is run; `failed: OOM` and `failed again` are not.
    let behind = group.trim_start().get(first.len()..).unwrap_or("");
    let is_noun = |word: &String| {
        let word = word.as_str();
        word.len() > 3 && !STANDING.contains(&word) && behind.starts_with(&format!(" {word}"))
    };
    let describes = DESCRIBING.contains(&first.as_str())
        && rest.first().is_some_and(is_noun)
        && !has_word(group, &NOW)
        && !rest.iter().any(is_number);
    is_told(first) && !describes
        || pair.is_some_and(|pair| ENDED_PAIRS.contains(&pair.as_str()))
        || first == "job" && rest.first().is_some_and(is_number)
        || puts_off && !names_item(group)
}

/// Whether a text begins by saying how the item stands: `superseded by Q-002`, `✅ DONE 2026-06-01`, `On hold`.
pub(super) fn stands(text: &str) -> bool {
    let mut all = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    let Some(written) = all.next() else {
        return false;
    };
    let first = written.to_lowercase();
    let Some(second) = all.next().map(str::to_lowercase) else {
        return is_told(&first);
    };
    let second = second.as_str();
    let third = all.next().map(str::to_lowercase);
    let ends = |word: Option<&str>| {
        word.is_none_or(|word| {
            STANDING.contains(&word) || word.starts_with(|c: char| c.is_ascii_digit())
        })
    };
    let pair = format!("{first} {second}");
    // `Running 5 seeds`, `running on 4 GPUs` and `complete 3 seeds` describe the work.
    let counts = |word: &str| word.len() < 4 && is_count(word);
    if !is_capital(written) && (counts(second) || third.as_deref().is_some_and(counts)) {
        return false;
    }
    is_told(&first) && (ends(Some(second)) || is_capital(written) && !AIMS.contains(&second))
        || ENDED_PAIRS.contains(&pair.as_str()) && ends(third.as_deref())
}

/// The reason why what is written below the item's heading holds it back.
pub(super) fn by_line(text: &str, said: Said) -> Option<String> {
    let holds = forbids(text)
        || matches!(said, Said::Note | Said::Begins) && puts_off(text)
        || said == Said::Note && put_off::asks(text)
        || said == Said::Value && put_off::is_conditional(text)
        || said == Said::Begins && stands(text);
    holds.then(|| format!("it says `{}`", plain(text, 60)))
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
}
