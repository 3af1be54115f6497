//! What an item waits for: the lines that say so, and the ids in their prose.
//!
//! A piece that names no item is kept as it is written, so that a condition that nobody can check does not look like
//! none. It is never guessed away.

use std::collections::HashMap;

use super::id::is_dash;
use super::known::{Known, parts, same};
use super::words::without_groups;
use crate::ids::{is_id_char, split_numbered};

/// The keys, in lower case, whose value says what has to be done first.
const KEYS: [&str; 25] = [
    "after",
    "run after",
    "must run after",
    "depends on",
    "depends",
    "depend on",
    "dependency",
    "dependencies",
    "deps",
    "requires",
    "require",
    "required",
    "needs",
    "prerequisite",
    "prerequisites",
    "prereq",
    "prereqs",
    "precondition",
    "preconditions",
    "blocked by",
    "blocked on",
    "waits for",
    "waiting for",
    "wait for",
    "gated on",
];

/// Keys that also name what hardware or software an item needs.
const ALSO_RESOURCES: [&str; 4] = ["requires", "require", "required", "needs"];

/// Words of a piece that is about resources.
const RESOURCES: [&str; 24] = [
    "gpu", "gpus", "cpu", "cpus", "core", "cores", "gb", "tb", "ram", "memory", "vram", "hour",
    "hours", "h", "min", "minutes", "node", "nodes", "a100", "h100", "v100", "cuda", "python",
    "disk",
];

/// What a piece of a reason begins with, which is no condition: `Q-001, for a fair comparison`.
const REASONS: [&str; 8] = [
    "for", "because", "as", "since", "see", "to", "so", "in order",
];

/// Whether the lines of a key say what has to be done first.
pub(super) fn is_key(key: &str) -> bool {
    KEYS.contains(&key.to_lowercase().as_str())
}

/// The ids that a text names, of those that the queue has and of those that look like one; what names none is kept.
/// `own` is the item that the text belongs to.
pub(super) fn named(key: &str, text: &str, own: &str, known: &Known<'_>) -> Vec<String> {
    let mut all = Vec::new();
    for piece in pieces(text) {
        let piece = piece.trim().trim_matches(['`', '.', ' ']);
        let ids = ids_in(piece, own, known);
        if !ids.is_empty() {
            all.extend(ids);
        } else if !is_nothing(piece)
            && !is_reason(piece, !all.is_empty())
            && !is_resource(key, piece)
        {
            all.push(piece.to_owned());
        }
    }
    all
}

/// Words in front of an id that make an item wait for that one, wherever a line says so.
const WAITS: [&str; 24] = [
    "after",
    "once",
    "until",
    "when",
    "if",
    "on",
    "for",
    "by",
    "gate",
    "needs",
    "requires",
    "checkpoint",
    "checkpoints",
    "weights",
    "nach",
    "sobald",
    "wenn",
    "braucht",
    "après",
    "quand",
    "después",
    "tras",
    "cuando",
    "auf",
];

/// What may stand between such a word and the id: `needs the checkpoint of Q-003`, `después de Q-003`.
const THROUGH: [&str; 24] = [
    "end",
    "completion",
    "la",
    "fin",
    "ende",
    "and",
    "or",
    "both",
    "the",
    "of",
    "from",
    "best",
    "last",
    "final",
    "output",
    "outputs",
    "result",
    "results",
    "de",
    "que",
    "den",
    "dem",
    "der",
    "von",
];

/// What makes `on`, `for`, `by` and `auf` one of them.
const WAITS_BEFORE: [&str; 11] = [
    "wartet",
    "warten",
    "depends",
    "depend",
    "dependent",
    "blocked",
    "gated",
    "wait",
    "waits",
    "waiting",
    "conditional",
];

/// How people say that an item failed, and what may stand between it and that: `after Q-001 hit OOM`.
const FAILED: [&str; 15] = [
    "fails",
    "failed",
    "failure",
    "crashed",
    "crash",
    "died",
    "killed",
    "preempted",
    "oom",
    "oomed",
    "timeout",
    "timed",
    "diverged",
    "hung",
    "stalled",
];
const TO_FAILED: [&str; 10] = [
    "s", "hit", "ran", "out", "has", "had", "was", "with", "an", "a",
];

/// The ids of other items that a line of prose makes this one wait for: `run after Q-001 and Q-002`. An id that the queue
/// does not have counts when it begins as the item's own does. That an item follows one that failed is why it is there.
pub(super) fn in_prose(text: &str, own: &str, known: &Known<'_>) -> Vec<String> {
    let word_of = |id: &str| parts(id).into_iter().next();
    let named = |word: &str| {
        let other = || split_numbered(word).map(|(id, _)| id);
        let other = known
            .get(word)
            .or_else(|| other().filter(|id| word_of(id) == word_of(own)));
        other.filter(|id| !same(id, own)).map(str::to_owned)
    };
    let mut ids: Vec<String> = Vec::new();
    let mut before = String::new();
    let mut waits = false;
    let mut is_named = false;
    let text = without_targets(text);
    let words = text.split(|c: char| !(c.is_alphanumeric() || is_id_char(c) || is_dash(c)));
    let words = words.map(|word| word.trim_matches(['.', '-', '_']));
    for written in words.filter(|word| !word.is_empty()) {
        let word = written.to_lowercase();
        match waits.then(|| named(written)).flatten() {
            Some(id) => {
                ids.push(id);
                is_named = true;
            }
            None if is_named && FAILED.contains(&word.as_str()) => {
                ids.pop();
                (is_named, waits) = (false, false);
            }
            None => {
                is_named = is_named && TO_FAILED.contains(&word.as_str());
                let joins = ["on", "for", "by", "auf"].contains(&word.as_str());
                let begins = WAITS.contains(&word.as_str())
                    && (!joins || WAITS_BEFORE.contains(&before.as_str()));
                waits = begins || waits && THROUGH.contains(&word.as_str());
            }
        }
        before = word;
    }
    ids
}

/// What each item waits for: what its fields name, and what its prose tells of. Prose that tells of an item further below
/// which itself waits for this one tells of what comes later: `if Q-002 is better, go on with Q-003`.
pub(super) fn together(
    ids: &[String],
    named: Vec<Vec<String>>,
    told: Vec<Vec<String>>,
) -> Vec<Vec<String>> {
    let mut places = HashMap::new();
    for (at, id) in ids.iter().enumerate() {
        places.entry(id.as_str()).or_insert(at);
    }
    let place = |id: &String| places.get(id.as_str()).copied();
    let before: Vec<Vec<usize>> = (named.iter().zip(&told).enumerate())
        .map(|(at, (named, told))| {
            let told = told.iter().filter_map(place).filter(|&other| other < at);
            named.iter().filter_map(place).chain(told).collect()
        })
        .collect();
    let mut all = named;
    for (at, (after, told)) in all.iter_mut().zip(told).enumerate() {
        for id in told {
            let below = place(&id).filter(|&other| other > at);
            let is_later = below.is_some_and(|other| reaches(&before, other, at));
            if !is_later && !after.contains(&id) {
                after.push(id);
            }
        }
    }
    all
}

/// Whether a way leads from one item to another.
fn reaches(before: &[Vec<usize>], from: usize, to: usize) -> bool {
    let mut seen = vec![false; before.len()];
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        if at == to {
            return true;
        }
        let is_new = seen
            .get_mut(at)
            .is_some_and(|seen| !std::mem::replace(seen, true));
        if is_new {
            open.extend(before.get(at).into_iter().flatten());
        }
    }
    false
}

/// The pieces between commas and semicolons that are not in parentheses.
pub(super) fn pieces(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut pieces) = (0_usize, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            ',' | ';' if depth == 0 => {
                pieces.extend(text.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.extend(text.get(start..));
    pieces
}

fn ids_in(piece: &str, own: &str, known: &Known<'_>) -> Vec<String> {
    if begins_with_none(&without_groups(piece)) {
        return Vec::new();
    }
    let mut ids = Vec::new();
    for word in without_targets(piece).split(|c: char| !(is_id_char(c) || is_dash(c))) {
        let word: String = word
            .chars()
            .map(|c| if is_dash(c) { '-' } else { c })
            .collect();
        let word = word.trim_matches(['.', '-', '_']);
        let id = match known.get(word) {
            Some(id) => id.to_owned(),
            None => match split_numbered(word) {
                Some((id, _)) => id.to_owned(),
                None => continue,
            },
        };
        if !id.eq_ignore_ascii_case(own) && !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// A text without where its links lead.
fn without_targets(text: &str) -> String {
    let mut parts = text.split("](");
    let first = parts.next().unwrap_or("").to_owned();
    parts.fold(first, |kept, part| {
        kept + " " + part.split_once(')').map_or(part, |(_, behind)| behind)
    })
}

pub(super) fn begins_with_none(text: &str) -> bool {
    let first: String = text
        .trim()
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '/')
        .collect();
    let of = text.trim().to_lowercase().starts_with("none of");
    !of && ["none", "nothing", "n/a", "na", "keine"].contains(&first.to_lowercase().as_str())
}

fn is_nothing(piece: &str) -> bool {
    let bare = piece
        .trim_matches(|c: char| !c.is_alphanumeric() && c != '/')
        .to_lowercase();
    ["", "no", "tbd", "no dependencies", "independent"].contains(&bare.as_str())
        || begins_with_none(piece.trim_start_matches(|c: char| !c.is_alphanumeric()))
}

/// Whether a piece behind an id only says why.
fn is_reason(piece: &str, behind_an_id: bool) -> bool {
    let begins = |word: &str| {
        piece
            .to_lowercase()
            .strip_prefix(word)
            .is_some_and(|rest| rest.starts_with(' '))
    };
    behind_an_id && REASONS.iter().any(|word| begins(word))
}

fn is_resource(key: &str, piece: &str) -> bool {
    let mut words = piece.split(|c: char| !c.is_alphanumeric());
    ALSO_RESOURCES.contains(&key.to_lowercase().as_str())
        && words.any(|word| {
            let unit = word
                .trim_start_matches(|c: char| c.is_ascii_digit())
                .to_lowercase();
            RESOURCES.contains(&word.to_lowercase().as_str()) || RESOURCES.contains(&unit.as_str())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_as_people_write_them() {
        let known = Known::new(["Q-001", "Q-002", "exp3", "Q-009"]);
        let named = |key: &str, text: &str| named(key, text, "Q-009", &known).join("|");
        for (text, wanted) in [
            ("Q-001 must complete successfully", "Q-001"),
            (
                "Run after Q-001 and Q-002 for fair comparison",
                "Q-001|Q-002",
            ),
            ("Q-001 completed", "Q-001"),
            ("Q1, q002", "Q-001|Q-002"),
            ("Q–001", "Q-001"),
            ("exp-3", "exp3"),
            ("Q-000", "Q-000"),
            ("Q-001 (must finish first, else nothing to load)", "Q-001"),
            ("the baseline (Q-001)", "Q-001"),
            ("Q-001, for a fair comparison", "Q-001"),
            ("Q-001, the calibration", "Q-001|the calibration"),
            ("after the data has arrived", "after the data has arrived"),
            ("Q-009", "Q-009"),
        ] {
            assert_eq!(named("Dependencies", text), wanted, "{text}");
        }
        for none in [
            "None",
            "none",
            "-",
            "n/a",
            "N/A",
            "(none)",
            "—",
            "",
            "None (independent of Q-001)",
            "None.",
            "no",
        ] {
            assert_eq!(named("After", none), "", "{none}");
        }
        assert_eq!(named("Requires", "1 GPU, 40GB"), "");
        assert_eq!(named("Requires", "Q-001"), "Q-001");
        assert_eq!(named("Requires", "the new tokenizer"), "the new tokenizer");
    }
}
