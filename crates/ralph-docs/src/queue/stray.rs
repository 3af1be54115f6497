//! What stands under READY and is no item: work that somebody meant and wrote in a notation that is not read.
//!
//! Nothing is guessed about it. It is named, so that a project with such work is never taken for one that is done.
//! Prose is prose: a paragraph counts only when it begins like an item, or is all there is and names a script.

use std::ops::Range;

use super::QueueSection;

use super::known::Known;
use super::read::Found;
use super::words::without_groups;
use super::{fields, groups, held, id};
use crate::document::Document;
use crate::items::{TaskMark, item_text};
use crate::lines::LineKind;
use crate::machine::Host;
use crate::outline::Span;
use crate::quote::quoted;
use crate::section::{innermost, normalise};
use crate::table;

/// Something under READY that is no item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// Its line, counted from 1.
    pub line: usize,
    /// Its text, on one line and cut to a readable length.
    pub text: String,
    /// Whether it stands under no heading that says READY, in a queue that has none.
    pub is_outside: bool,
}

/// Headings of a queue without READY below which items may be meant to run.
const NEXT: [&str; 9] = [
    "todo",
    "to do",
    "next",
    "next up",
    "up next",
    "queue",
    "experiment queue",
    "experiments",
    "planned",
];

/// Everything under READY that is no item, in the order of its lines.
pub(super) fn among(document: &Document<'_>, items: &[Found]) -> Vec<Stray> {
    let look = Look {
        document,
        items,
        known: Known::new(items.iter().map(|found| found.item.id.as_str())),
        ready: ready_spans(document),
    };
    let mut strays: Vec<Stray> = look
        .headings()
        .chain(look.list_items())
        .chain(look.lines())
        .chain(look.outside())
        .chain(look.cut_off())
        .chain(look.beside())
        .collect();
    strays.sort_by_key(|stray| stray.line);
    strays
}

struct Look<'a, 't> {
    document: &'a Document<'t>,
    /// In the order of their lines; none reaches into another.
    items: &'a [Found],
    known: Known<'a>,
    /// For each heading the READY section that it is, or is in.
    ready: Vec<Option<usize>>,
}

/// For each heading the READY section that it is or is in; the nearest heading with a meaning decides.
fn ready_spans(document: &Document<'_>) -> Vec<Option<usize>> {
    let mut ready: Vec<Option<usize>> = Vec::with_capacity(document.spans.len());
    for (index, span) in document.spans.iter().enumerate() {
        let around = span.parent.and_then(|parent| *ready.get(parent)?);
        ready.push(match QueueSection::from_title(&span.title) {
            Some(section) => (section == QueueSection::Ready).then_some(index),
            None => around,
        });
    }
    ready
}

impl<'a> Look<'a, '_> {
    /// Whether a line belongs to an item.
    fn is_taken(&self, line: usize) -> bool {
        let behind = self
            .items
            .partition_point(|found| found.lines.start <= line);
        let last = behind.checked_sub(1).and_then(|last| self.items.get(last));
        last.is_some_and(|found| line < found.lines.end)
    }

    fn has_item(&self, lines: &Range<usize>) -> bool {
        let from = self
            .items
            .partition_point(|found| found.lines.start < lines.start);
        let first = self.items.get(from);
        first.is_some_and(|found| found.lines.start < lines.end)
    }

    /// The READY section that a line is in.
    fn ready_around(&self, line: usize) -> Option<&'a Span> {
        let spans = &self.document.spans;
        let behind = spans.partition_point(|span| span.first <= line);
        let ready = *self.ready.get(behind.checked_sub(1)?)?;
        spans.get(ready?)
    }

    fn stray(line: usize, text: &str) -> Stray {
        Stray {
            line: line + 1,
            text: quoted(text, 80),
            is_outside: false,
        }
    }

    /// Headings that read like an item and stand beside READY, behind another heading than a section's.
    fn beside(&self) -> impl Iterator<Item = Stray> {
        let spans = &self.document.spans;
        let is_section = |span: &Span| QueueSection::from_title(&span.title).is_some();
        let holds_sections = move |span: &Span| {
            let from = spans.partition_point(|inner| inner.first <= span.first);
            let inner = spans.get(from..).unwrap_or(&[]).iter();
            let mut inner = inner.take_while(|inner| inner.first < span.body.end);
            inner.any(is_section)
        };
        let has_ready = self.ready.iter().any(Option::is_some);
        let named = move |(index, span): (usize, &'a Span)| {
            let leading = id::leading(&span.title)?;
            let above = index.checked_sub(1)?;
            let above_is_ready = *self.ready.get(above)? == Some(above);
            let is_left_open = above_is_ready && !self.has_content(spans.get(above)?);
            let is_usual = leading.form == id::Form::Plain || leading.is_usual();
            let reads = is_usual && (leading.is_title() || is_left_open);
            let top = span.parent.and_then(|parent| spans.get(parent));
            let is_beside = top.is_none_or(|top| !is_section(top) && holds_sections(top));
            let is_known = self.known.get(&leading.id).is_some();
            let is_other = is_section(span) || self.is_taken(span.first) || is_known;
            (has_ready && reads && is_beside && !is_other && self.ready.get(index) == Some(&None))
                .then_some(span)
        };
        let found = spans.iter().enumerate().filter_map(named);
        let found = found.filter(move |span| !holds_sections(span) && self.is_free(span));
        found.map(|span| Self::stray(span.first, &span.title))
    }

    fn has_content(&self, span: &Span) -> bool {
        span.direct().any(|line| self.document.has_content(line))
    }

    /// Items below READY and below a heading in it that may mean another thing.
    fn cut_off(&self) -> impl Iterator<Item = Stray> {
        let others = self.items.iter().filter(|found| {
            matches!(found.item.section, QueueSection::Other(_))
                && self.ready_around(found.lines.start).is_some()
        });
        others.map(|found| {
            let text = self.document.slice(found.item.heading.clone());
            let text = text.trim().trim_start_matches('#').trim();
            Self::stray(found.lines.start, text)
        })
    }

    /// What reads like an item in a queue that has no section READY: below a heading that may mean it, or anywhere where
    /// no heading is one of the four.
    fn outside(&self) -> Vec<Stray> {
        let spans = &self.document.spans;
        let sections: Vec<QueueSection> = spans
            .iter()
            .filter_map(|span| QueueSection::from_title(&span.title))
            .collect();
        let has_ready = sections.contains(&QueueSection::Ready);
        let is_next = |title: &str| {
            let may = sections.is_empty()
                || NEXT.contains(&normalise(title).as_str())
                || QueueSection::is_near_ready(title);
            QueueSection::is_mixed(title) || (may && !has_ready)
        };
        let items = self.items.iter().filter(|found| {
            // What holds back all items of a mixed section is the other half of its title.
            matches!(&found.item.section, QueueSection::Other(title)
                if is_next(title) && (found.item.held.is_none() || found.item.is_held_by(title)))
        });
        let items = items.map(|found| (found.lines.start, found.item.heading.clone()));
        let mut found: Vec<(usize, String)> = items
            .map(|(line, bytes)| {
                (
                    line,
                    self.document
                        .slice(bytes)
                        .trim()
                        .trim_start_matches('#')
                        .trim()
                        .to_owned(),
                )
            })
            .collect();
        if sections.is_empty() {
            found.extend(self.unread());
        }
        found.extend(self.hidden(sections.is_empty()));
        let stray = |(line, text): (usize, String)| Stray {
            is_outside: true,
            ..Self::stray(line, &text)
        };
        found.into_iter().map(stray).collect()
    }

    /// Whether neither the heading nor a field below it holds back what it names.
    fn is_free(&self, span: &Span) -> bool {
        let host = Host::Heading {
            body: span.direct(),
        };
        let fields = fields::of(self.document, &host);
        held::by_heading(&span.title, &span.title).is_none() && fields::held(&fields).is_none()
    }

    /// What would be an item if a section were around it.
    fn unread(&self) -> Vec<(usize, String)> {
        let reads = |text: &str| {
            id::leading(text).is_some_and(|leading| leading.is_usual() && leading.is_set_off)
        };
        let headings = self
            .document
            .spans
            .iter()
            .filter(|span| !self.is_taken(span.first));
        let headings = headings
            .filter(|span| reads(&span.title) && self.is_free(span))
            .map(|span| (span.first, span.title.clone()));
        let blocks = self.document.blocks.items.iter();
        let blocks =
            blocks.filter(|block| block.depth == 0 && !block.quoted && !self.is_taken(block.first));
        let blocks = blocks.filter_map(|block| {
            let text = item_text(self.document, block);
            let open = match TaskMark::parse(&text) {
                Some(mark) => mark.state == ' ',
                None => true,
            };
            let own = text.trim_start_matches("[ ]").trim_start();
            (open && reads(own) && held::by_heading(own, own).is_none())
                .then_some((block.first, text))
        });
        let tables = table::read(self.document, 0..self.document.count()).into_iter();
        let tables = tables
            .filter(|table| !self.is_taken(table.line - 1))
            .filter_map(|table| {
                let row = table.rows.iter().find(|row| reads(row.text(0)))?;
                Some((
                    row.line - 1,
                    self.document.line_text(row.line - 1).to_owned(),
                ))
            });
        headings.chain(blocks).chain(tables).collect()
    }

    /// The first item that a fence or a comment hides that is never closed, or that lacks the blank behind its `#`.
    fn hidden(&self, has_no_section: bool) -> Option<(usize, String)> {
        let open = self.document.blocks.unclosed;
        let from = if has_no_section { Some(0) } else { open }?;
        let mut lines =
            (from..self.document.count()).map(|line| (line, self.document.line_text(line)));
        lines.find_map(|(line, text)| {
            let kind = self.document.kind(line)?;
            let text = text.trim_start();
            let is_hidden = open.is_some_and(|open| line > open) || kind == LineKind::Text;
            let title = text.trim_start_matches('#');
            let reads = |leading: id::Leading<'_>| leading.is_usual() && leading.is_set_off;
            let reads = title.len() < text.len() && id::leading(title).is_some_and(reads);
            (is_hidden && reads).then(|| (line, text.to_owned()))
        })
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
        (groups::explains(&span.title) || groups::is_ordered(&span.title)) && !has_field
    }

    /// A list item with an open box; any other one where its heading has no item.
    fn list_items(&self) -> impl Iterator<Item = Stray> {
        let blocks = self
            .document
            .blocks
            .items
            .iter()
            .filter(|block| !block.quoted);
        blocks.filter_map(|block| {
            self.ready_around(block.first)
                .filter(|_| !self.is_taken(block.first))?;
            let text = item_text(self.document, block);
            if block.depth > 0 && !self.is_open_item(&text) {
                return None;
            }
            let own = innermost(self.document, block.first)?;
            let told_by_heading =
                QueueSection::from_title(&own.title).is_none() && !self.has_item(&own.body);
            let wanted = match TaskMark::parse(&text) {
                Some(mark) => mark.state == ' ',
                None => {
                    let begins = begins_like_an_item(&text)
                        || id::leading(&text).is_some_and(|leading| leading.is_set_off);
                    begins || !self.has_item(&own.body) && !is_none(&text)
                }
            };
            let told = told_by_heading && (self.is_remark(&text, own) || !self.explains(own));
            (wanted && !told && !text.contains("~~")).then(|| Self::stray(block.first, &text))
        })
    }

    /// Whether a bullet in another one has an open box and the id of an item that is nowhere else.
    fn is_open_item(&self, text: &str) -> bool {
        let open = text.strip_prefix("[ ]").and_then(id::leading);
        open.is_some_and(|found| found.is_usual() && self.known.get(&found.id).is_none())
    }

    /// Whether a bullet below a heading is what people explain with, and names no work that is nowhere else.
    fn is_remark(&self, text: &str, own: &Span) -> bool {
        let explains = groups::explains(&own.title);
        let names =
            |leading: id::Leading<'_>| leading.is_set_off && self.known.get(&leading.id).is_none();
        TaskMark::parse(text).is_none() && (explains || !id::leading(text).is_some_and(names))
    }

    /// The first line of a table or of code where the section has no item, and a paragraph that is written like one.
    fn lines(&self) -> impl Iterator<Item = Stray> {
        (0..self.document.count()).filter_map(|index| {
            let line = self.document.line(index)?;
            if line.quoted {
                return self.quoted_line(index);
            }
            if line.depth > 0 || !matches!(line.kind, LineKind::Text | LineKind::Code) {
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
                _ if text.starts_with('|') && empty => !same,
                _ if text.starts_with('|') => self.is_unknown(text),
                _ => begins_like_an_item(text) || empty && text.contains(".sbatch"),
            };
            is_stray.then(|| Self::stray(index, text))
        })
    }

    /// Whether the first cell of a row is the id of an item that is nowhere else.
    fn is_unknown(&self, row: &str) -> bool {
        let cell = row.trim_start_matches('|').split('|').next().unwrap_or("");
        id::leading(cell.trim())
            .is_some_and(|found| found.is_usual() && self.known.get(&found.id).is_none())
    }

    /// The first line of a quote that reads like an item, where the section has none.
    fn quoted_line(&self, index: usize) -> Option<Stray> {
        let section = self.ready_around(index)?;
        let before = index
            .checked_sub(1)
            .and_then(|above| self.document.line(above));
        let first = !before.is_some_and(|before| before.quoted);
        let text = self
            .document
            .line_text(index)
            .trim_start_matches(['>', ' ', '#']);
        let reads = id::leading(text).is_some() || text.contains(".sbatch");
        (first && reads && !self.has_item(&section.body)).then(|| Self::stray(index, text))
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
    let is_comment = text.starts_with("<!--") && text.ends_with("-->");
    bare.is_empty()
        || is_comment
        || ["none", "nothing", "empty", "no "]
            .iter()
            .any(|word| bare.starts_with(word))
}
