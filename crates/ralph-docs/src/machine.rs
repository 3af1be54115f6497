//! The machine's own lines in somebody's item: `- Run: q001_… <!-- ralph -->`.
//!
//! They stand below the item's heading or first paragraph and are the only lines of an item that are ever
//! updated; a person's `Status:` is never touched, whatever it says. A line whose mark was removed belongs
//! to the person, and the next update adds a new one.

use std::ops::Range;

use crate::blocks::ItemBlock;
use crate::document::Document;
use crate::edit::Edit;
use crate::error::DocError;
use crate::key::LINE_MARK;
use crate::leaf::Marker;
use crate::lines::LineKind;
use crate::quote::{self, unescape};
use crate::section::Position;

/// The longest value of an own line, in characters.
const MAX_VALUE: usize = 400;

/// What the lines are put below.
#[derive(Debug, Clone)]
pub(crate) enum Host {
    /// A heading and the lines of its body.
    Heading { body: Range<usize> },
    /// A list item, by its place among the items; own lines begin below its text or at its end.
    Item { index: usize, position: Position },
}

/// A line of ours that is in the document.
#[derive(Debug, Clone)]
pub(crate) struct OwnLine {
    pub(crate) key: String,
    /// The value as it was meant, without the escapes.
    pub(crate) value: String,
    item: ItemBlock,
    /// The bytes of the line from behind its marker to its end.
    content: Range<usize>,
}

impl OwnLine {
    /// The line in the document, counted from 0.
    pub(crate) fn first_line(&self) -> usize {
        self.item.first
    }
}

/// The own lines of an item, in their order.
pub(crate) fn own_lines(document: &Document<'_>, host: &Host) -> Vec<OwnLine> {
    let items = children(document, host);
    items
        .filter_map(|item| parse_own_line(document, item))
        .collect()
}

/// The list items directly in an item, or directly below a heading and before its first subsection.
pub(crate) fn children<'d, 't>(
    document: &'d Document<'t>,
    host: &Host,
) -> impl Iterator<Item = &'d ItemBlock> + use<'d, 't> {
    let (from, to, parent) = match host {
        Host::Heading { body } => {
            let items = &document.blocks.items;
            let from = items.partition_point(|item| item.first < body.start);
            (
                from,
                items.partition_point(|item| item.first < body.end),
                None,
            )
        }
        Host::Item { index, .. } => {
            let last = document
                .blocks
                .items
                .get(*index)
                .map_or(0, |item| item.last);
            let to = document
                .blocks
                .items
                .partition_point(|item| item.first <= last);
            (index + 1, to.max(index + 1), Some(*index))
        }
    };
    let items = document.blocks.items.get(from..to).unwrap_or(&[]);
    items
        .iter()
        .filter(move |item| item.parent == parent && !item.quoted)
}

fn parse_own_line(document: &Document<'_>, item: &ItemBlock) -> Option<OwnLine> {
    let line = document.line(item.first)?;
    let content = item.content_at..line.text_end;
    let text = document.text.get(content.clone())?.trim_end();
    let (key, value) = text.strip_suffix(LINE_MARK)?.split_once(':')?;
    Some(OwnLine {
        key: key.to_owned(),
        value: unescape(value.trim()),
        item: *item,
        content: content.start..content.start + text.len(),
    })
}

/// Updates the own lines of an item, and adds those that are missing in the order given.
///
/// # Errors
/// A key is not one plain word or a few, or is given twice: `Refused`.
pub(crate) fn set_lines(
    document: &Document<'_>,
    host: &Host,
    lines: &[(String, String)],
) -> Result<Vec<Edit>, DocError> {
    check_keys(lines)?;
    let own = own_lines(document, host);
    let mut edits = Vec::new();
    let mut missing = Vec::new();
    for (key, value) in lines {
        let content = render(key, value);
        match own.iter().find(|line| line.key == *key) {
            Some(found) if document.slice(found.content.clone()) == content => {}
            Some(found) => edits.push(Edit::replace(found.content.clone(), content)),
            None => missing.push(content),
        }
    }
    if !missing.is_empty() {
        edits.push(insert(document, host, own.last(), &missing));
    }
    Ok(edits)
}

/// Whether an item has own lines that say what was asked for.
pub(crate) fn has_lines(document: &Document<'_>, host: &Host, lines: &[(String, String)]) -> bool {
    let own = own_lines(document, host);
    lines.iter().all(|(key, value)| {
        let found = own.iter().find(|line| line.key == *key);
        found.is_some_and(|line| document.slice(line.content.clone()) == render(key, value))
    })
}

fn check_keys(lines: &[(String, String)]) -> Result<(), DocError> {
    for (index, (key, _)) in lines.iter().enumerate() {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '-');
        let plain = key.starts_with(|c: char| c.is_ascii_alphabetic())
            && key.len() <= 40
            && key.chars().all(word)
            && !key.ends_with(' ');
        let twice = lines.iter().skip(index + 1).any(|(other, _)| other == key);
        if !plain || twice {
            let shown = quote::plain(key, 60);
            return Err(DocError::refused(format!(
                "`{shown}` cannot be a key of the machine's own lines; use each key once: letters, digits and blanks, at most 40."
            )));
        }
    }
    Ok(())
}

/// What stands behind the bullet of an own line.
fn render(key: &str, value: &str) -> String {
    let value = quote::plain(value, MAX_VALUE);
    let gap = if value.is_empty() { "" } else { " " };
    format!("{key}:{gap}{value} {LINE_MARK}")
}

/// Inserts lines below the last own line, or where own lines begin.
fn insert(
    document: &Document<'_>,
    host: &Host,
    last: Option<&OwnLine>,
    missing: &[String],
) -> Edit {
    let spot = match (last, host) {
        (Some(line), _) => Spot::beside(document, &line.item, line.item.last + 1),
        (None, Host::Heading { body }) => below_heading(document, body),
        (None, Host::Item { index, position }) => in_item(document, host, *index, *position),
    };
    let mut lines: Vec<String> = missing
        .iter()
        .map(|content| format!("{}{} {content}", spot.indent, spot.bullet))
        .collect();
    if spot.blank_after {
        lines.push(String::new());
    }
    document.insertion(spot.before, &document.join(&lines))
}

/// Where own lines go, and how they are written there.
struct Spot {
    before: usize,
    indent: String,
    bullet: char,
    blank_after: bool,
}

impl Spot {
    /// In the list that `item` is in, with its indentation and bullet.
    fn beside(document: &Document<'_>, item: &ItemBlock, before: usize) -> Self {
        Self {
            before,
            indent: indent_of(document, item),
            bullet: bullet_of(document, item),
            blank_after: false,
        }
    }
}

/// In front of the list that the body begins with; else directly below the heading, set off from what
/// follows.
fn below_heading(document: &Document<'_>, body: &Range<usize>) -> Spot {
    let first = body
        .clone()
        .find(|&line| document.kind(line) != Some(LineKind::Blank));
    if let Some((_, item)) = first.and_then(|line| document.item_at(line)) {
        return Spot::beside(document, item, item.first);
    }
    let next = document.kind(body.start);
    Spot {
        before: body.start,
        indent: String::new(),
        bullet: document.style.bullet,
        blank_after: next.is_some_and(|kind| kind != LineKind::Blank),
    }
}

/// Below the paragraph that the item begins with, or at the item's end; in its list if it has one.
fn in_item(document: &Document<'_>, host: &Host, index: usize, position: Position) -> Spot {
    let Some(item) = document.blocks.items.get(index) else {
        return below_heading(document, &(document.count()..document.count()));
    };
    let mut children = children(document, host);
    let (before, child) = match position {
        Position::Top => (item.text_last + 1, children.next()),
        Position::Bottom => (item.last + 1, children.last()),
    };
    if let Some(child) = child {
        return Spot::beside(document, child, before);
    }
    let outer = indent_of(document, item);
    let inner = " ".repeat(item.content_at.saturating_sub(item.marker_at).clamp(2, 4));
    let next = document.kind(before).filter(|_| before <= item.last);
    Spot {
        before,
        indent: format!("{outer}{inner}"),
        bullet: document.style.bullet,
        blank_after: next.is_some_and(|kind| kind != LineKind::Blank),
    }
}

/// What stands before an item's marker, as blank space: the marker of an outer item on the same line is not
/// repeated.
pub(crate) fn indent_of(document: &Document<'_>, item: &ItemBlock) -> String {
    let prefix = document.slice(document.start_of(item.first)..item.marker_at);
    prefix
        .chars()
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect()
}

/// The bullet of an item, or the document's where the item is numbered.
pub(crate) fn bullet_of(document: &Document<'_>, item: &ItemBlock) -> char {
    match item.marker {
        Marker::Bullet { bullet, .. } => bullet,
        Marker::Ordered { .. } => document.style.bullet,
    }
}

/// Splits `Key: value` or `**Key**: value`.
pub(crate) fn split_field(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once(':')?;
    let value = value
        .strip_prefix("**")
        .or_else(|| value.strip_prefix("__"))
        .unwrap_or(value);
    let key = key.trim().trim_matches(['*', '_']).trim();
    let plain = !key.is_empty() && key.len() <= 60 && !key.contains(['`', '[', '<', '|']);
    plain.then(|| (key.to_owned(), value.trim().to_owned()))
}
