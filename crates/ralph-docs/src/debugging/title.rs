//! What the title of a heading says of the issue that it is about: its number, its day, a word that calls it open.
//!
//! Whether it is over is judged elsewhere. Nothing here knows a document.

use crate::ids::{split_numbered, split_short};

pub(super) fn is_debug_id(id: &str) -> bool {
    id.strip_prefix('D')
        .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
}

/// Words that begin the title of an issue.
const ISSUES: [&str; 4] = ["issue", "bug", "incident", "problem"];

/// The id of `Issue 12: t`, `Bug #11 — t`, `DBG-001: t` or `(D1) t`, and the title behind it.
pub(super) fn issue_id(title: &str) -> (Option<String>, &str) {
    let bare = title.trim_start_matches(|c: char| !c.is_alphanumeric());
    let split = numbered(bare).or_else(|| {
        let (id, rest) =
            split_numbered(bare).or_else(|| split_short(bare).filter(|(id, _)| is_debug_id(id)))?;
        Some((id.to_owned(), rest))
    });
    let behind = |rest: &str| {
        let own = rest.strip_prefix(')').unwrap_or(rest);
        let marks = [":", " - ", " – ", " — "];
        let found = marks.iter().find_map(|mark| own.strip_prefix(mark));
        found
            .map(str::len)
            .or_else(|| (own.len() < rest.len()).then_some(own.len()))
    };
    match split.and_then(|(id, rest)| Some((id, rest.get(rest.len() - behind(rest)?..)?))) {
        Some((id, rest)) => (Some(id), rest.trim()),
        None => (None, title),
    }
}

/// The number of `Issue 12`, and `Bug 3` as it is.
fn numbered(title: &str) -> Option<(String, &str)> {
    let (word, rest) = title.split_once(' ')?;
    let rest = rest.trim_start_matches('#');
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = rest
        .split_at_checked(digits)
        .filter(|(number, _)| !number.is_empty())?;
    match word.to_lowercase().as_str() {
        "issue" => Some((number.to_owned(), rest)),
        lower if ISSUES.contains(&lower) => Some((format!("{word} {number}"), rest)),
        _ => None,
    }
}

/// The title of `Issue: t`, `[OPEN] t` or `🔴 BLOCKING: t`.
pub(super) fn told_open(title: &str, tells_issues: bool) -> Option<&str> {
    let bare = title.trim_start_matches(|c: char| !c.is_alphanumeric());
    let end = bare.find([':', ']'])?;
    let (word, rest) = bare.split_at_checked(end)?;
    let marked = [
        "OPEN",
        "ACTIVE",
        "BLOCKING",
        "BLOCKER",
        "UNRESOLVED",
        "ONGOING",
        "REOPENED",
    ];
    let rest = rest.get(1..)?.trim_start_matches([':', ' ']).trim();
    let is_issue = tells_issues && ISSUES.contains(&word.to_lowercase().as_str());
    let is_told = is_issue || marked.contains(&word);
    (is_told && !rest.is_empty()).then_some(rest)
}

/// Whether a title begins with a day such as `2026-06-04`.
pub(super) fn starts_with_date(title: &str) -> bool {
    let shape = title
        .bytes()
        .take(10)
        .map(|b| if b.is_ascii_digit() { b'0' } else { b });
    shape.eq(*b"0000-00-00")
}
