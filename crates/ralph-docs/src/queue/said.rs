//! What the prose of an item and of its section says of whether it may go.
//!
//! Fields are not read here: see [`super::fields`].

use std::ops::Range;

use super::held;
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
        held::forbids(text).then(|| format!("`{}` stands above it", plain(text, 80)))
    })
}

/// Whether a line is a text that its reader sees as said here.
fn is_prose(document: &Document<'_>, line: usize) -> bool {
    let found = document.line(line);
    found.is_some_and(|found| found.kind == LineKind::Text && !found.quoted)
}

/// What an item says, and whether a statement without a key begins there: in a paragraph, or in a bullet of this depth.
pub(super) fn statements(
    document: &Document<'_>,
    lines: Range<usize>,
    depth: usize,
) -> Vec<(String, bool)> {
    let mut all = Vec::new();
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
            let key = split_field(text).is_some();
            all.push((text.to_owned(), !goes_on && !key));
            continue;
        };
        let text = item_text(document, item);
        let (mark, text) = match TaskMark::split(&text) {
            Some((mark, rest)) => (Some(mark), rest),
            None => (None, text.as_str()),
        };
        // What is still to be ticked has not been done.
        let is_open = mark.is_some_and(TaskMark::is_open);
        let begins = item.depth == depth && !is_open && split_field(text).is_none();
        all.push((text.to_owned(), begins));
    }
    all
}
