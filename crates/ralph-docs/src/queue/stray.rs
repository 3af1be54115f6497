//! What stands under READY and is no item: work that somebody meant and wrote in a notation that is not read.
//!
//! Nothing is guessed about it. It is named, so that a project with such work is never taken for one that is done.
//! Prose is prose: a paragraph counts only when it begins like an item, or is all there is and names a script.

use std::ops::Range;

use super::QueueSection;
use super::held::without_groups;
use super::read::{Found, scan};
use crate::document::Document;
use crate::items::{TaskMark, item_text};
use crate::lines::LineKind;
use crate::outline::Span;
use crate::quote::plain;
use crate::section::{innermost, with_ancestors};

/// Something under READY that is no item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// Its line, counted from 1.
    pub line: usize,
    /// Its text, on one line and cut to a readable length.
    pub text: String,
}

/// Headings below which people explain, and list nothing that runs; those of the first kind only group items.
const EXPLAINING: [&str; 14] = [
    "phase",
    "stage",
    "group",
    "batch",
    "wave",
    "tier",
    "note",
    "notes",
    "background",
    "context",
    "instructions",
    "rules",
    "legend",
    "overview",
];

/// Everything under READY that is no item, in the order of its lines.
pub(super) fn find(document: &Document<'_>) -> Vec<Stray> {
    let items = scan(document);
    let look = Look {
        document,
        items: &items,
    };
    let mut strays: Vec<Stray> = look
        .headings()
        .chain(look.list_items())
        .chain(look.lines())
        .collect();
    strays.sort_by_key(|stray| stray.line);
    strays
}

struct Look<'a, 't> {
    document: &'a Document<'t>,
    items: &'a [Found],
}

impl<'a> Look<'a, '_> {
    /// Whether a line belongs to an item.
    fn is_taken(&self, line: usize) -> bool {
        self.items.iter().any(|found| found.lines.contains(&line))
    }

    fn has_item(&self, lines: &Range<usize>) -> bool {
        self.items
            .iter()
            .any(|found| lines.contains(&found.lines.start))
    }

    /// The READY section that a line is in; the nearest heading with a meaning decides.
    fn ready_around(&self, line: usize) -> Option<&'a Span> {
        let mut around = with_ancestors(self.document, innermost(self.document, line));
        let (span, section) =
            around.find_map(|span| Some((span, QueueSection::from_title(&span.title)?)))?;
        (section == QueueSection::Ready).then_some(span)
    }

    fn stray(line: usize, text: &str) -> Stray {
        Stray {
            line: line + 1,
            text: plain(text, 80),
        }
    }

    /// A heading with no item in it; what is below it is told with it.
    fn headings(&self) -> impl Iterator<Item = Stray> {
        let alone = |span: &&Span| {
            let is_section = QueueSection::from_title(&span.title).is_some();
            let reached = self.ready_around(span.first).is_some() && !self.is_taken(span.first);
            reached && !is_section && !self.has_item(&span.body) && !self.explains(span)
        };
        let outermost = move |span: &&Span| {
            let parent = span
                .parent
                .and_then(|parent| self.document.spans.get(parent));
            parent.is_none_or(|parent| !alone(&parent))
        };
        let spans = self.document.spans.iter().filter(alone).filter(outermost);
        spans.map(|span| Self::stray(span.first, &span.title))
    }

    /// Whether a heading only groups or explains: by its first word, unless fields of an item stand below it.
    fn explains(&self, span: &Span) -> bool {
        let mut words = span
            .title
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty());
        let first = words.next().unwrap_or("").to_lowercase();
        let fields = [
            "config",
            "script",
            "hypothesis",
            "resources",
            "command",
            "sbatch",
        ];
        let has_field = span.direct().any(|line| {
            let text = self.document.line_text(line).to_lowercase();
            let text = text.trim_start_matches(|c: char| !c.is_alphanumeric());
            fields.iter().any(|name| text.starts_with(name))
        });
        EXPLAINING.contains(&first.as_str()) && !has_field
    }

    /// A list item with an open box; any other one where its heading has no item.
    fn list_items(&self) -> impl Iterator<Item = Stray> {
        let blocks = self
            .document
            .blocks
            .items
            .iter()
            .filter(|block| block.depth == 0 && !block.quoted);
        blocks.filter_map(|block| {
            self.ready_around(block.first)
                .filter(|_| !self.is_taken(block.first))?;
            let text = item_text(self.document, block);
            let own = innermost(self.document, block.first)?;
            let told_by_heading =
                QueueSection::from_title(&own.title).is_none() && !self.has_item(&own.body);
            let wanted = match TaskMark::parse(&text) {
                Some(mark) => mark.state == ' ',
                None => begins_like_an_item(&text) || !self.has_item(&own.body) && !is_none(&text),
            };
            let told = told_by_heading && (TaskMark::parse(&text).is_none() || !self.explains(own));
            (wanted && !told && !text.contains("~~")).then(|| Self::stray(block.first, &text))
        })
    }

    /// The first line of a table or of code where the section has no item, and a paragraph that is written like one.
    fn lines(&self) -> impl Iterator<Item = Stray> {
        (0..self.document.count()).filter_map(|index| {
            let line = self.document.line(index)?;
            if line.depth > 0
                || line.quoted
                || !matches!(line.kind, LineKind::Text | LineKind::Code)
            {
                return None;
            }
            let section = self.ready_around(index).filter(|_| !self.is_taken(index))?;
            let own = innermost(self.document, index)?;
            if own.first != section.first && !self.has_item(&own.body) {
                return None;
            }
            let before = index
                .checked_sub(1)
                .and_then(|above| self.document.line(above));
            let same = before.is_some_and(|before| before.kind == line.kind && before.depth == 0);
            let text = self.document.line_text(index).trim();
            let empty = !self.has_item(&section.body);
            let is_stray = match line.kind {
                LineKind::Code => empty && !same,
                _ if text.starts_with('|') => empty && !same,
                _ => begins_like_an_item(text) || empty && text.contains(".sbatch"),
            };
            is_stray.then(|| Self::stray(index, text))
        })
    }
}

/// Whether a text begins with a word that may be an id: letters and a digit, in bold or followed by a colon or nothing.
fn begins_like_an_item(text: &str) -> bool {
    let inner = text.trim_start_matches(['*', '_', '`', '~']);
    let end = inner
        .find(|c: char| {
            !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '\u{2010}'..='\u{2015}'))
        })
        .unwrap_or(inner.len());
    let (word, rest) = inner.split_at_checked(end).unwrap_or((inner, ""));
    let is_id =
        word.starts_with(char::is_alphabetic) && word.contains(|c: char| c.is_ascii_digit());
    is_id && (rest.is_empty() || rest.starts_with([':', '*', '_', '`']))
}

/// Whether a text says that there is nothing: `(none)`, `none - blocked on Q-7`.
fn is_none(text: &str) -> bool {
    let outside = without_groups(text);
    let bare = outside
        .trim_matches(|c: char| !c.is_alphanumeric())
        .to_lowercase();
    bare.is_empty()
        || ["none", "nothing", "empty", "no "]
            .iter()
            .any(|word| bare.starts_with(word))
}
