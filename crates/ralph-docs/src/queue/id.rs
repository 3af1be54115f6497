//! The id that a heading or a list item of the queue begins with, in every form that people give it.
//!
//! `Q-001` and `EXP-3:` are ids wherever they stand. `Q001`, `exp3`, `Exp_3` and `Experiment 3` look like many other words,
//! so they count only where something else says that an item is meant: see [`Form`]. An id is what is written, with `-`
//! for any dash and for the blank of `Experiment 3`; the document keeps its own.

use crate::ids::{is_id_char, split_numbered};

/// What an id needs beside itself to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    /// Nothing.
    Plain,
    /// A status section around it.
    Listed,
    /// A status section around it, and fields of an item below it: nothing sets the id off from the title.
    Described,
}

/// An id and the title behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leading<'t> {
    pub(super) id: String,
    pub(super) title: &'t str,
    pub(super) form: Form,
    /// Whether the id is in bold or something sets it off from the title.
    pub(super) is_set_off: bool,
}

impl Leading<'_> {
    /// Whether the id is all there is or a colon or a dash sets it off.
    pub(super) fn is_title(&self) -> bool {
        self.is_set_off && !self.title.starts_with(['(', '['])
    }

    /// Whether the id begins with a word that people number experiments with.
    pub(super) fn is_usual(&self) -> bool {
        let word = self
            .id
            .split(|c: char| !c.is_ascii_alphabetic())
            .next()
            .unwrap_or("");
        NOUNS.contains(&word.to_lowercase().as_str())
    }
}

/// Words in front of a number that order or measure other things.
const NO_ITEMS: [&str; 38] = [
    "phase",
    "stage",
    "step",
    "group",
    "batch",
    "wave",
    "tier",
    "part",
    "section",
    "week",
    "day",
    "round",
    "version",
    "v",
    "p",
    "prio",
    "priority",
    "milestone",
    "m",
    "sprint",
    "level",
    "rung",
    "seed",
    "gpu",
    "cpu",
    "node",
    "a",
    "h",
    "t",
    "l",
    "rtx",
    "cuda",
    "sm",
    "figure",
    "table",
    "eq",
    "line",
    "top",
];

/// Words that a number may follow behind a blank or a `#`.
const NOUNS: [&str; 7] = [
    "q",
    "exp",
    "expt",
    "experiment",
    "ablation",
    "trial",
    "item",
];

/// What may stand in front of an id and means nothing: emphasis, quotes, an opening bracket.
const DECORATION: [char; 9] = [' ', '\t', '*', '_', '`', '~', '(', '"', '\''];

/// Signs in front of an id that say that it is open, or nothing of how it stands.
const OPEN_SIGNS: [char; 14] = [
    '☐', '⬜', '◻', '□', '▢', '🔲', '🧪', '🔬', '🔥', '⭐', '🌟', '⚡', '🎯', '🆕',
];

/// What stands in front of an id.
struct Front<'t> {
    decoration: &'t str,
    /// A sign, or a character in brackets, that is no sign of what is open.
    mark: Option<String>,
    /// Whether the id is in brackets.
    is_bracketed: bool,
}

/// What a text begins with, and the rest of it. Nothing where that makes it no item: a comment, a quote, an image.
fn front(text: &str) -> Option<(Front<'_>, &str)> {
    let mut front = Front {
        decoration: "",
        mark: None,
        is_bracketed: false,
    };
    let mut rest = text;
    while let Some(c) = rest.chars().next().filter(|c| !c.is_ascii_alphanumeric()) {
        let behind = rest.get(c.len_utf8()..)?;
        let boxed = behind.split_once(']').filter(|_| c == '[');
        let boxed = boxed.filter(|(inner, _)| inner.chars().count() <= 1);
        rest = match boxed {
            Some((inner, behind)) => {
                if !inner.trim().is_empty() {
                    front.mark.get_or_insert_with(|| format!("[{inner}]"));
                }
                behind
            }
            None if c == '[' && !front.is_bracketed => {
                front.is_bracketed = true;
                behind
            }
            None if c.is_ascii() && !DECORATION.contains(&c) => return None,
            None => {
                let is_open = OPEN_SIGNS.contains(&c) || c == '\u{fe0f}' || c.is_whitespace();
                if !c.is_ascii() && !is_open {
                    front.mark.get_or_insert_with(|| c.to_string());
                }
                behind
            }
        };
    }
    front.decoration = text.get(..text.len() - rest.len())?;
    Some((front, rest))
}

/// A sign or a bracketed character in front of an id that does not say that it is open.
pub(super) fn mark(text: &str) -> Option<String> {
    front(text)?.0.mark
}

/// The id that a text begins with, behind what decorates it.
pub(super) fn leading(text: &str) -> Option<Leading<'_>> {
    let (front, text) = front(text)?;
    let decoration = front.decoration;
    let (id, is_one_word, rest) = split(text)?;
    // `[Q-001: a](results.md)` and `[Q-001](results.md)` lead elsewhere.
    if names_another(rest) {
        return None;
    }
    let closed = rest.strip_prefix(']');
    if front.is_bracketed && closed.is_none_or(|behind| behind.starts_with('(')) {
        return None;
    }
    let is_plain = is_one_word && split_numbered(&id).is_some_and(|(all, _)| all == id);
    let is_queue = id
        .get(..2)
        .is_some_and(|two| two.eq_ignore_ascii_case("q-"));
    let unmarked = rest.trim_start_matches('*');
    let is_set_off = is_separated(unmarked) || decoration.contains("**") && rest.starts_with("**");
    let form = if is_plain && (is_queue || unmarked.starts_with(':')) {
        Form::Plain
    } else if is_set_off {
        Form::Listed
    } else {
        Form::Described
    };
    let bold_title = decoration.contains("**") && !rest.starts_with("**");
    let title = rest
        .trim_start_matches('`')
        .trim_start_matches(|c: char| !c.is_alphanumeric() && !"✓✗✅❌([<`\"'".contains(c));
    let title = if bold_title {
        title.trim_end_matches('*')
    } else {
        title
    };
    Some(Leading {
        id,
        title: title.trim(),
        form,
        is_set_off,
    })
}

/// Whether an id is joined to another one, as in `Q-001/Q-002` and `Q-101 to Q-103`: one item is one script.
fn names_another(rest: &str) -> bool {
    let joined = rest.trim_start_matches(['*', '`', ' ']);
    let joins = ["/", "&", "+", ",", "..", "–", "and ", "to ", "through "];
    let mut others = joins.iter().filter_map(|join| joined.strip_prefix(join));
    others.any(|other| {
        let other = other.trim_start_matches([' ', '.', '*', '`']);
        one_word(other).is_some_and(|(id, _)| split_numbered(&id).is_some())
    })
}

/// The id at the beginning of a text, whether it is written in one word, and the text behind it.
fn split(text: &str) -> Option<(String, bool, &str)> {
    let (id, is_one_word, rest) = match noun_and_number(text) {
        Some((id, rest)) => (id, false, rest),
        None => one_word(text).map(|(id, rest)| (id, true, rest))?,
    };
    let digit = id.find(|c: char| c.is_ascii_digit())?;
    let word = id.get(..digit)?.trim_end_matches(['-', '_', '.']);
    let is_word = word.starts_with(|c: char| c.is_ascii_alphabetic()) && id.len() <= 60;
    // `A-1:` and `IRED-CD-004:` are names, `A1` is a size of paper.
    let is_name = split_numbered(&id).is_some() && (word.len() == 1 || word.contains('-'));
    let orders = NO_ITEMS.contains(&word.to_lowercase().as_str());
    (is_word && (is_name || !orders)).then_some((id, is_one_word, rest))
}

/// `Q–001`, `exp3`, `Q_001a`: a dash of any length before a digit belongs to it.
fn one_word(text: &str) -> Option<(String, &str)> {
    let mut id = String::new();
    let mut end = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let before_digit = chars.peek().is_some_and(|(_, next)| next.is_ascii_digit());
        let part = match c {
            _ if is_id_char(c) => c,
            _ if is_dash(c) && before_digit => '-',
            _ => break,
        };
        id.push(part);
        end = at + c.len_utf8();
    }
    let kept = id.trim_end_matches(['.', '-', '_']).len();
    let cut = id.len() - kept;
    id.truncate(kept);
    Some((id, text.get(end - cut..)?))
}

/// `Experiment 3`, `Exp #3`, `Q 001`.
fn noun_and_number(text: &str) -> Option<(String, &str)> {
    let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (noun, rest) = text.split_at_checked(letters)?;
    let number = rest.trim_start_matches([' ', '#', '-']);
    let joined =
        rest.len() > number.len() && rest.starts_with([' ', '#']) || rest.starts_with("-#");
    let begins = number.starts_with(|c: char| c.is_ascii_digit());
    if !joined || !begins || !NOUNS.contains(&noun.to_lowercase().as_str()) {
        return None;
    }
    let (number, rest) = one_word(number)?;
    Some((format!("{noun}-{number}"), rest))
}

/// Whether what follows an id sets it off: nothing, a colon, a dash with blanks, a bracket, a full stop.
fn is_separated(rest: &str) -> bool {
    let trimmed = rest.trim_start();
    trimmed.is_empty()
        || rest.starts_with([':', ')', ']', '|', '`'])
        || rest.starts_with(". ")
        || trimmed.starts_with(|c: char| is_dash(c) || "-:|([→✓✗✅❌".contains(c))
}

/// A dash that is not the ASCII one.
pub(super) fn is_dash(c: char) -> bool {
    matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        leading(text).map(|found| format!("{}|{}|{:?}", found.id, found.title, found.form))
    }

    #[test]
    fn ids_that_need_nothing_else() {
        for (text, wanted) in [
            ("Q-001: <title>", "Q-001|<title>|Plain"),
            ("Q-004 - ATTEMPT 9", "Q-004|ATTEMPT 9|Plain"),
            ("✓ Q-220: TAM (8-seed)", "Q-220|TAM (8-seed)|Plain"),
            ("**Q-004**: Larger", "Q-004|Larger|Plain"),
            ("**Q-004: Larger**", "Q-004|Larger|Plain"),
            ("EXP-A-3b: x", "EXP-A-3b|x|Plain"),
            ("Q-7", "Q-7||Plain"),
            ("Q-001 ✓ COMPLETED", "Q-001|✓ COMPLETED|Plain"),
            ("Q–001: en dash", "Q-001|en dash|Plain"),
            ("Q‑001 non-breaking", "Q-001|non-breaking|Plain"),
            ("Q-001a: x", "Q-001a|x|Plain"),
            ("[Q-001] Baseline", "Q-001|Baseline|Plain"),
            ("q-001: x", "q-001|x|Plain"),
            ("Q-001—Baseline", "Q-001|Baseline|Plain"),
        ] {
            assert_eq!(read(text).as_deref(), Some(wanted), "{text}");
        }
    }

    #[test]
    fn ids_that_need_a_section_or_fields() {
        for (text, wanted) in [
            ("Q1: x", "Q1|x|Listed"),
            ("Q001 — Baseline", "Q001|Baseline|Listed"),
            ("q001", "q001||Listed"),
            ("exp3: x", "exp3|x|Listed"),
            ("Exp-3 (small)", "Exp-3|(small)|Listed"),
            ("EXP-3 - x", "EXP-3|x|Listed"),
            ("Q_001: x", "Q_001|x|Listed"),
            ("**exp3** larger", "exp3|larger|Listed"),
            ("Experiment 3: x", "Experiment-3|x|Listed"),
            ("Q 001: x", "Q-001|x|Listed"),
            ("`exp3`: x", "exp3|x|Listed"),
            ("Q201 \"Regression\"", "Q201|\"Regression\"|Described"),
            ("baseline2 lr sweep", "baseline2|lr sweep|Described"),
            ("RUN-2 notes", "RUN-2|notes|Described"),
            ("EXP #3: x", "EXP-3|x|Listed"),
        ] {
            assert_eq!(read(text).as_deref(), Some(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_id() {
        for none in [
            "Rung 10: frozen",
            "IRED-CD Experiments - x",
            "Phase 1: x",
            "Phase1: x",
            "GPU-2: notes",
            "P1: urgent",
            "A100: two of them",
            "Q-: x",
            "2026-06-04: x",
            "Run all 3: x",
            "<!-- Q-001: a -->",
            "> Q-001: a",
            "![Q-001](a.png)",
            "[Q-001: a](results/a.md)",
            "[Q-001](results/a.md)",
            "**[Q-001: a](results/a.md)**",
            "+ Q-001: a",
            "Q-001/Q-002: both",
            "Q-001 & Q-002: both",
            "**Q-101** to Q-103: seeds",
            "Q-001–Q-003: sweep",
            "",
        ] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    #[test]
    fn what_stands_in_front_of_an_id_may_say_that_it_is_not_open() {
        for (text, wanted) in [
            ("🔄 Q-001: a", Some("🔄")),
            ("☒ Q-001: a", Some("☒")),
            ("[✕] Q-001: a", Some("[✕]")),
            ("[*] **Q-001**: a", Some("[*]")),
            ("[ ] Q-001: a", None),
            ("[] Q-001: a", None),
            ("☐ Q-001: a", None),
            ("**[Q-001]** a", None),
            ("~~(`Q-001`)~~ a", None),
        ] {
            assert_eq!(
                leading(text).map(|found| found.id).as_deref(),
                Some("Q-001"),
                "{text}"
            );
            assert_eq!(mark(text).as_deref(), wanted, "{text}");
        }
    }
}
