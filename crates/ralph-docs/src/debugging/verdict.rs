//! Whether the words of a title, a status line or a placeholder say that an issue is over.
//!
//! A wrong "over" lets a project run on a known defect; a wrong "open" costs a person a look. So a word of being
//! over counts only where it is a marker, and whatever qualifies it (`NOT YET`, `PARTIALLY`, `REOPENED`) wins.
//! Nothing here knows a document: the rules are about one line of text.

/// What a text says of its issue. A text that says nothing has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is over.
    Over,
    /// It is open, or half over.
    Open,
    /// It was over and is open again, which outweighs a tick and a section of what is resolved.
    Reopened,
}

/// Words of being over that mean nothing else in capitals.
const OVER: [&str; 5] = ["resolved", "fixed", "solved", "closed", "wontfix"];
/// Words of being over that are the states of jobs as well.
const OVER_OR_JOB: [&str; 2] = ["completed", "done"];
const REOPENED: [&str; 5] = ["reopened", "reopen", "regressed", "recurred", "reappeared"];
/// What a status begins with that is not over.
const OPEN: [&str; 15] = [
    "open",
    "active",
    "investigating",
    "ongoing",
    "pending",
    "blocked",
    "unresolved",
    "unfixed",
    "unsolved",
    "partially",
    "partly",
    "not",
    "waiting",
    "awaiting",
    "todo",
];
/// What takes a word of being over back, wherever it stands behind it.
const HEDGES: [&str; 18] = [
    "but",
    "partially",
    "partly",
    "mostly",
    "almost",
    "unresolved",
    "unfixed",
    "untested",
    "unverified",
    "unconfirmed",
    "pending",
    "awaiting",
    "waiting",
    "however",
    "except",
    "remains",
    "until",
    "unless",
];
/// Pairs of words that do.
const HEDGING_PAIRS: [(&str, &str); 12] = [
    ("still", "open"),
    ("still", "failing"),
    ("still", "fails"),
    ("still", "broken"),
    ("still", "happens"),
    ("still", "occurs"),
    ("to", "be"),
    ("needs", "to"),
    ("to", "verify"),
    ("to", "confirm"),
    ("in", "progress"),
    ("still", "present"),
];
/// What is still missing behind a `not`.
const NOT_YET: [&str; 14] = [
    "yet",
    "verified",
    "validated",
    "confirmed",
    "tested",
    "deployed",
    "merged",
    "pushed",
    "fully",
    "completely",
    "resolved",
    "fixed",
    "solved",
    "working",
];
/// What may stand directly behind a marker: when, where and how.
const DETAILS: [&str; 20] = [
    "on",
    "in",
    "by",
    "at",
    "as",
    "via",
    "with",
    "since",
    "after",
    "and",
    "validated",
    "verified",
    "confirmed",
    "tested",
    "commit",
    "job",
    "pr",
    "see",
    "upstream",
    "manually",
];
const ADVERBS: [&str; 6] = ["fully", "now", "all", "already", "finally", "completely"];
const TICKS: [char; 5] = ['✅', '✓', '✔', '☑', '🟢'];

/// A word in lower case, and where it ends.
struct Word<'t> {
    text: String,
    rest: &'t str,
}

/// The words, with apostrophes taken out: `Won't fix` is `wont` and `fix`.
fn words(text: &str) -> Vec<Word<'_>> {
    let inner = |c: char| c.is_alphanumeric() || matches!(c, '\'' | '’');
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(char::is_alphanumeric) {
        let from = rest.get(start..).unwrap_or("");
        let end = from.find(|c| !inner(c)).unwrap_or(from.len());
        let (word, behind) = from.split_at_checked(end).unwrap_or((from, ""));
        words.push(Word {
            text: word.replace(['\'', '’'], "").to_lowercase(),
            rest: behind,
        });
        rest = behind;
    }
    words
}

/// The text behind the word of being over that a text begins with, and whether a job can be meant.
fn leading_over(text: &str) -> Option<(&str, bool)> {
    let found = words(text);
    let skipped = found
        .iter()
        .take_while(|word| ADVERBS.contains(&word.text.as_str()))
        .count();
    let (first, second) = (found.get(skipped)?, found.get(skipped + 1));
    let third = found.get(skipped + 2);
    let is = |word: Option<&Word<'_>>, wanted: &str| word.is_some_and(|word| word.text == wanted);
    if OVER.contains(&first.text.as_str()) {
        return Some((first.rest, false));
    }
    if OVER_OR_JOB.contains(&first.text.as_str()) {
        return Some((first.rest, true));
    }
    match first.text.as_str() {
        "wont" if is(second, "fix") => second.map(|word| (word.rest, false)),
        "will" if is(second, "not") && is(third, "fix") => third.map(|word| (word.rest, false)),
        _ => None,
    }
}

/// Whether a text takes back what was said before it.
fn is_hedged(text: &str) -> bool {
    let words = words(text);
    let pair = |pair: &[Word<'_>]| {
        let [one, two] = pair else { return false };
        let (one, two) = (one.text.as_str(), two.text.as_str());
        HEDGING_PAIRS.contains(&(one, two)) || (one == "not" && NOT_YET.contains(&two))
    };
    text.contains('?')
        || words
            .iter()
            .any(|word| HEDGES.contains(&word.text.as_str()))
        || words.windows(2).any(pair)
}

/// Whether the last word about it is that it is open again.
fn is_reopened(text: &str) -> bool {
    let words = words(text);
    let again = words
        .iter()
        .rposition(|word| REOPENED.contains(&word.text.as_str()));
    let over = words
        .iter()
        .rposition(|word| OVER.contains(&word.text.as_str()));
    again.is_some_and(|again| over.is_none_or(|over| over < again))
}

/// The part of a text that follows its last `REOPENED`, or all of it.
fn behind_reopened(text: &str) -> &str {
    let words = words(text);
    let again = words
        .iter()
        .rev()
        .find(|word| REOPENED.contains(&word.text.as_str()));
    again.map_or(text, |word| {
        word.rest
            .find([',', ';', '>', '→'])
            .and_then(|at| word.rest.get(at..))
            .unwrap_or("")
    })
}

/// What the value of a `Status:` says: `RESOLVED - in a2edff8`, `Won't fix`, `REOPENED`.
pub(super) fn of_status(value: &str) -> Option<Verdict> {
    if is_reopened(value) {
        return Some(Verdict::Reopened);
    }
    let value = behind_reopened(value);
    if let Some((rest, _)) = leading_over(value) {
        let verdict = if is_hedged(rest) {
            Verdict::Open
        } else {
            Verdict::Over
        };
        return Some(verdict);
    }
    let found = words(value);
    let first = found.first()?.text.as_str();
    let progress = first == "in" && found.get(1).is_some_and(|word| word.text == "progress");
    (progress || OPEN.contains(&first)).then_some(Verdict::Open)
}

/// What the title of an entry says, without its id: `[RESOLVED] t`, `t (fixed 2026-02-01)`, `t - DONE`,
/// `✅ Resolved: t`, `~~t~~`. A word in the middle of a sentence says nothing.
pub(super) fn of_title(title: &str) -> Option<Verdict> {
    if is_reopened(title) {
        return Some(Verdict::Reopened);
    }
    let title = title.trim();
    if is_struck(title) || is_over_at_start(title) || is_over_behind_tick(title) {
        return Some(Verdict::Over);
    }
    let groups: Vec<Verdict> = groups(title)
        .into_iter()
        .filter_map(|(inner, place)| of_group(inner, place))
        .collect();
    if groups.contains(&Verdict::Open) {
        return Some(Verdict::Open);
    }
    let over = groups.contains(&Verdict::Over) || is_over_at_end(title);
    over.then_some(Verdict::Over)
}

/// `~~all of it~~`, with nothing behind it but a marker.
fn is_struck(title: &str) -> bool {
    let behind = title
        .strip_prefix("~~")
        .and_then(|rest| rest.split_once("~~"));
    behind.is_some_and(|(_, rest)| {
        let bare = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
        bare.is_empty() || (leading_over(rest).is_some() && !is_hedged(rest))
    })
}

/// Whether a marker ends right behind its word, or says only when, where and how.
fn ends_marker(rest: &str, may_be_job: bool) -> bool {
    let punctuation = |c: char| {
        matches!(
            c,
            ':' | '-' | '–' | '—' | ',' | ';' | '.' | ')' | ']' | '|' | '*' | '_' | '('
        )
    };
    let trimmed = rest.trim_start();
    if trimmed.is_empty() || trimmed.starts_with(punctuation) {
        return true;
    }
    words(trimmed).first().is_some_and(|next| {
        let dated = next.text.starts_with(|c: char| c.is_ascii_digit());
        let known = DETAILS.contains(&next.text.as_str()) || OVER.contains(&next.text.as_str());
        dated || (known && !may_be_job)
    })
}

/// `RESOLVED: t` and `[DONE] t`: what follows is the issue's own text and is not looked at.
fn is_over_at_start(title: &str) -> bool {
    let Some((rest, may_be_job)) = leading_over(title) else {
        return false;
    };
    let bracketed = title
        .trim_start_matches(['*', '_', ' '])
        .starts_with(['[', '(']);
    if bracketed {
        let inner = rest.split([']', ')']).next().unwrap_or("");
        return ends_marker(inner, may_be_job) && !is_hedged(inner);
    }
    let rest = rest.trim_start_matches(['*', '_']).trim_start();
    let separated = rest.is_empty() || rest.starts_with([':', '–', '—']) || rest.starts_with("- ");
    separated && !(is_hedged(rest) && may_be_job) && !is_hedged(first_words(rest))
}

/// The first few words, where `RESOLVED - but only for one seed` takes itself back.
fn first_words(text: &str) -> &str {
    let end = words(text)
        .get(1)
        .map_or(text.len(), |word| text.len() - word.rest.len());
    text.get(..end).unwrap_or("")
}

fn is_over_behind_tick(title: &str) -> bool {
    title.split(TICKS).skip(1).any(|rest| {
        let behind = rest.trim_start_matches(['\u{fe0f}', ' ', '*', '_']);
        leading_over(behind).is_some_and(|(rest, _)| !is_hedged(rest))
    })
}

/// Where a bracketed group stands in a title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place<'t> {
    /// Nothing but further groups and decoration follow.
    End,
    /// This text follows.
    Before(&'t str),
}

/// The `(…)` and `[…]` of a title, with their places.
fn groups(title: &str) -> Vec<(&str, Place<'_>)> {
    let mut groups = Vec::new();
    let mut rest = title;
    while let Some((_, behind)) = rest.split_once(['(', '[']) {
        let Some((inner, after)) = behind.split_once([')', ']']) else {
            break;
        };
        let mut tail = after;
        while let Some((before, group)) = tail.split_once(['(', '[']) {
            if before.contains(char::is_alphanumeric) {
                break;
            }
            tail = group.split_once([')', ']']).map_or("", |(_, tail)| tail);
        }
        let ended = !tail.contains(char::is_alphanumeric);
        groups.push((
            inner,
            if ended {
                Place::End
            } else {
                Place::Before(after)
            },
        ));
        rest = after;
    }
    groups
}

fn of_group(inner: &str, place: Place<'_>) -> Option<Verdict> {
    let inner = behind_reopened(inner);
    let Some((rest, may_be_job)) = leading_over(inner) else {
        let found = words(inner);
        let named = found.iter().any(|word| OVER.contains(&word.text.as_str()));
        let negated = found.iter().any(|word| {
            [
                "not",
                "unresolved",
                "unfixed",
                "partially",
                "partly",
                "half",
                "almost",
                "be",
            ]
            .contains(&word.text.as_str())
        });
        let unresolved = found
            .first()
            .is_some_and(|word| ["unresolved", "unfixed"].contains(&word.text.as_str()));
        return (unresolved || (named && negated)).then_some(Verdict::Open);
    };
    if !ends_marker(rest, may_be_job) {
        return None;
    }
    if is_hedged(rest) {
        return Some(Verdict::Open);
    }
    match place {
        Place::End => Some(Verdict::Over),
        // A job's state and a fixed quantity stand in brackets as well, so in the middle it is said aloud.
        Place::Before(after) => {
            let aloud = inner.trim_start().starts_with(|c: char| c.is_uppercase())
                && inner
                    .split_whitespace()
                    .next()
                    .is_some_and(|word| !word.contains(char::is_lowercase));
            (aloud && !may_be_job && !is_hedged(after)).then_some(Verdict::Over)
        }
    }
}

/// `t - RESOLVED`, `t — fixed in 5437b3f`, `t: FIXED`, `t - RESOLVED: in 5437b3f`.
fn is_over_at_end(title: &str) -> bool {
    let mut from = 0;
    while let Some((at, length)) = separator(title.get(from..).unwrap_or("")) {
        let is_colon = title
            .get(from + at..)
            .is_some_and(|rest| rest.starts_with(':'));
        from += at + length;
        let segment = title.get(from..).unwrap_or("");
        if let Some((rest, may_be_job)) = leading_over(segment) {
            let last = separator(rest).is_none();
            let aloud = segment
                .trim_start_matches(['*', '_', ' '])
                .starts_with(char::is_uppercase);
            let fits = if may_be_job { last && !is_colon } else { true };
            if fits && (aloud || !is_colon) && ends_marker(rest, may_be_job) && !is_hedged(rest) {
                return true;
            }
        }
    }
    false
}

/// The first dash or colon that parts a title, and its length.
fn separator(text: &str) -> Option<(usize, usize)> {
    let found = [" - ", " – ", "—", ": ", " | "].into_iter();
    found
        .filter_map(|mark| text.find(mark).map(|at| (at, mark.len())))
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_over_only_by_a_marker() {
        for title in [
            "R2 OOM (RESOLVED 2026-04-27)",
            "x (resolved 2026-02-01)",
            "x (fixed)",
            "x [SOLVED]",
            "x (won't fix)",
            "x [RESOLVED 2026-02-01] [2026-01-02]",
            "Finding: y [COMPLETED]",
            "[RESOLVED] results are not written",
            "**[FIXED]** x",
            "RESOLVED: results are not written",
            "RESOLVED - x",
            "✅ Resolved",
            "x ✅ Resolved",
            "✅ Resolved: x",
            "✔️ FIXED x",
            "x - RESOLVED",
            "x — fixed in 5437b3f",
            "x: FIXED",
            "x - DONE",
            "x - RESOLVED: in 5437b3f",
            "x (WONTFIX)",
            "~~x~~",
            "~~x~~ (fixed)",
            "x [REOPENED 2026-01-02, RESOLVED 2026-02-01]",
            "Outputs of dead jobs (FIXED by a flag)",
            "x (RESOLVED in a2edff8) see the log",
        ] {
            assert_eq!(of_title(title), Some(Verdict::Over), "{title}");
        }
        for title in [
            "Slurm says COMPLETED, but results are empty (NOT YET FIXED)",
            "x (NOT RESOLVED)",
            "x (not yet resolved)",
            "x [NOT YET RESOLVED]",
            "x - NOT YET RESOLVED",
            "x (PARTIALLY FIXED)",
            "x - PARTIALLY FIXED",
            "PARTIALLY FIXED",
            "TO BE FIXED",
            "x (TO BE FIXED)",
            "x (needs to be fixed)",
            "x [UNRESOLVED]",
            "x - half fixed",
            "x (almost done)",
            "x (waiting to be RESOLVED)",
            "x [RESOLVED 2026-01-02, REOPENED 2026-02-01]",
            "RESOLVED -> REOPENED",
            "x - RESOLVED, then REOPENED",
            "~~x~~ REOPENED",
            "~~old~~ a new defect",
            "job COMPLETED but no artifact",
            "Slurm says: COMPLETED - nothing written",
            "Job state: COMPLETED",
            "COMPLETED jobs leave no artifact",
            "FIXED seed is ignored",
            "COMPLETED - but nothing written",
            "Not RESOLVED yet",
            "x (COMPLETED jobs only)",
            "Job 12 (COMPLETED) wrote nothing",
            "Learning rate (fixed) diverges",
            "x (RESOLVED?)",
            "x (RESOLVED, not verified)",
            "x (fixed seed)",
            "x - fixed seed is ignored",
            "Forward signature SOLVED!",
            "",
        ] {
            assert_ne!(of_title(title), Some(Verdict::Over), "{title}");
        }
        assert_eq!(of_title("x (REOPENED)"), Some(Verdict::Reopened));
        assert_eq!(of_title("x (NOT YET FIXED)"), Some(Verdict::Open));
    }

    #[test]
    fn a_status_is_over_by_its_first_word() {
        for status in [
            "RESOLVED - Commit now pushed to origin/main, ready to resubmit",
            "RESOLVED AND VALIDATED - Fix applied and confirmed working. Safe to run all future experiments",
            "FULLY RESOLVED AND VALIDATED",
            "Solved",
            "WONTFIX",
            "won't fix",
            "Won’t fix - by design",
            "will not fix",
            "✅ Resolved",
            "closed",
            "Done",
            "REOPENED 2026-01-02 -> RESOLVED 2026-02-01",
        ] {
            assert_eq!(of_status(status), Some(Verdict::Over), "{status}");
        }
        for status in [
            "NOT RESOLVED",
            "Partially fixed",
            "Unresolved",
            "Fixed in a branch, not yet merged",
            "Fixed but not verified",
            "RESOLVED?",
            "to be fixed",
            "half fixed",
            "All 5 bugs fixed",
            "OPEN",
            "RESOLVED -> REOPENED",
            "Re-submitted",
            "",
            "CONFIRMED - root cause known, fix not implemented",
            "Resolved, pending verification",
        ] {
            assert_ne!(of_status(status), Some(Verdict::Over), "{status}");
        }
        assert_eq!(of_status("REOPENED"), Some(Verdict::Reopened));
        assert_eq!(of_status("in progress"), Some(Verdict::Open));
    }
}
