//! What the prose of an item and of its section says of whether it may go.
//!
//! Fields are not read here: see [`super::fields`].

use std::ops::Range;

use super::field::plain_key;
use super::held;
use super::put_off::{self, Said};
use crate::document::Document;
use crate::items::{TaskMark, item_text};
use crate::key::LINE_MARK;
use crate::lines::LineKind;
use crate::machine::split_field;
use crate::outline::Span;
use crate::quote::plain;

/// Why the paragraphs that a section begins with hold back what is below them.
pub(super) fn forbidden(document: &Document<'_>, span: &Span) -> Option<String> {
    let is_list = |line: &usize| document.line(*line).is_some_and(|line| line.depth > 0);
    let lines = span.direct().take_while(|line| !is_list(line));
    let mut texts = lines.filter(|&line| is_prose(document, line));
    texts.find_map(|line| {
        let text = document.line_text(line).trim();
        // Above several items, what comes first is their order: `the cheap baselines first`.
        let sentences = text.split_inclusive(['.', ';']);
        let is_order = |said: &&str| said.trim_end_matches(['.', ';', ' ']).ends_with("first");
        let said: String = sentences.filter(|said| !is_order(said)).collect();
        (put_off::forbids(text) || put_off::puts_off(&said))
            .then(|| format!("`{}` stands above it", plain(text, 80)))
    })
}

/// Whether a line is a text that its reader sees as said here.
fn is_prose(document: &Document<'_>, line: usize) -> bool {
    let found = document.line(line);
    found.is_some_and(|found| found.kind == LineKind::Text && !found.quoted)
}

/// The keys whose value is a remark.
const NOTES: [&str; 12] = [
    "note",
    "notes",
    "comment",
    "comments",
    "remark",
    "remarks",
    "caveat",
    "hinweis",
    "bemerkung",
    "remarque",
    "nota",
    "notas",
];

/// What an item says, and whether a statement begins there: in a paragraph, or without a key in a bullet of this depth.
pub(super) fn statements(
    document: &Document<'_>,
    lines: Range<usize>,
    depth: usize,
) -> Vec<(String, Said)> {
    let mut all = Vec::new();
    let mut is_below_notes = false;
    for line in lines.filter(|&line| is_prose(document, line)) {
        let text = document.line_text(line).trim();
        if text.contains(LINE_MARK) {
            continue;
        }
        let Some((_, item)) = document.item_at(line) else {
            let above = line.checked_sub(1).and_then(|above| document.line(above));
            // A sign begins a statement, also where the line is the rest of a bullet for Markdown.
            let goes_on = above.is_some_and(|above| above.kind == LineKind::Text)
                && !text.starts_with(held::SIGNS);
            all.push(match split_field(text) {
                Some((key, value)) if is_note(&key) => (value, Said::Note),
                None if !goes_on => (text.to_owned(), Said::Begins),
                _ => (text.to_owned(), Said::Within),
            });
            continue;
        };
        let text = item_text(document, item);
        let (mark, text) = match TaskMark::split(&text) {
            Some((mark, rest)) => (Some(mark), rest),
            None => (None, text.as_str()),
        };
        // What is still to be ticked has not been done.
        let is_open = mark.is_some_and(TaskMark::is_open);
        let field = split_field(text);
        let is_own = item.depth <= depth;
        if is_own {
            is_below_notes = field.as_ref().is_some_and(|(key, _)| is_note(key));
        }
        all.push(match field {
            Some((_, value)) if is_own && is_below_notes => (value, Said::Note),
            _ if !is_own && is_below_notes && !is_open => (text.to_owned(), Said::Note),
            Some((key, _)) if is_own && !is_open && !is_aim(&key) => (text.to_owned(), Said::Value),
            None if item.depth == depth && !is_open => (text.to_owned(), Said::Begins),
            _ => (text.to_owned(), Said::Within),
        });
    }
    all
}

/// The keys whose value is what is expected of the run, in whatever words.
const AIMS: [&str; 7] = [
    "hypothesis",
    "hypotheses",
    "purpose",
    "question",
    "goal",
    "expected",
    "expected result",
];

pub(super) fn is_aim(key: &str) -> bool {
    AIMS.contains(&plain_key(key).as_str())
}

fn is_note(key: &str) -> bool {
    NOTES.contains(&plain_key(key).as_str())
}
