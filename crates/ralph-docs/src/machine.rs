//! The machine's own lines in somebody's item: `- Run: q001_… <!-- ralph -->`.
//!
//! They stand below the item's heading or first paragraph and are the only lines of an item that are ever
//! updated; a person's `Status:` is never touched, whatever it says. A line whose mark was removed belongs
//! to the person, and the next update adds a new one.

use std::ops::Range;

use crate::blocks::{ItemBlock, LineKind};
use crate::document::Document;
use crate::edit::Edit;
use crate::error::DocError;
use crate::items::item_text;
use crate::key::LINE_MARK;
use crate::leaf::Marker;
use crate::quote::{plain, unescape};

/// The longest value of an own line, in characters.
const MAX_VALUE: usize = 400;

/// What the lines are put below.
#[derive(Debug, Clone)]
pub(crate) enum Host {
    /// A heading and the lines of its body.
    Heading { body: Range<usize> },
    /// A list item, by its place among the items.
    Item { index: usize },
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

/// The own lines of an item, in their order.
pub(crate) fn own_lines(document: &Document<'_>, host: &Host) -> Vec<OwnLine> {
    let items = children(document, host);
    items.filter_map(|item| parse_own_line(document, item)).collect()
}

/// The list items directly in an item, or directly below a heading and before its first subsection.
pub(crate) fn children<'d>(
    document: &'d Document<'_>,
    host: &Host,
) -> impl Iterator<Item = &'d ItemBlock> {
    let (from, to, parent) = match host {
        Host::Heading { body } => {
            let items = &document.blocks.items;
            let from = items.partition_point(|item| item.first < body.start);
            (from, items.partition_point(|item| item.first < body.end), None)
        }
        Host::Item { index } => {
            let last = document.blocks.items.get(*index).map_or(0, |item| item.last);
            let to = document.blocks.items.partition_point(|item| item.first <= last);
            (index + 1, to.max(index + 1), Some(*index))
        }
    };
    let items = document.blocks.items.get(from..to).unwrap_or(&[]);
    items.iter().filter(move |item| item.parent == parent && !item.quoted)
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

fn check_keys(lines: &[(String, String)]) -> Result<(), DocError> {
    for (index, (key, _)) in lines.iter().enumerate() {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '-');
        let plain = key.starts_with(|c: char| c.is_ascii_alphabetic())
            && key.len() <= 40
            && key.chars().all(word)
            && !key.ends_with(' ');
        let twice = lines.iter().skip(index + 1).any(|(other, _)| other == key);
        if !plain || twice {
            let shown = plain_key(key);
            return Err(DocError::refused(format!(
                "`{shown}` cannot be a key of the machine's own lines; use each key once: letters, digits and blanks, at most 40."
            )));
        }
    }
    Ok(())
}

fn plain_key(key: &str) -> String {
    plain(key, 60)
}

/// What stands behind the bullet of an own line.
pub(crate) fn render(key: &str, value: &str) -> String {
    let value = plain(value, MAX_VALUE);
    let gap = if value.is_empty() { "" } else { " " };
    format!("{key}:{gap}{value} {LINE_MARK}")
}

/// Inserts lines below the last own line, or where own lines begin.
fn insert(document: &Document<'_>, host: &Host, last: Option<&OwnLine>, missing: &[String]) -> Edit {
    let spot = match (last, host) {
        (Some(line), _) => Spot::beside(document, &line.item, line.item.last + 1),
        (None, Host::Heading { body }) => below_heading(document, body),
        (None, Host::Item { index }) => in_item(document, *index),
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
        let start = document.start_of(item.first);
        let prefix = document.slice(start..item.marker_at);
        let bullet = match item.marker {
            Marker::Bullet { bullet, .. } => bullet,
            Marker::Ordered { .. } => document.style.bullet,
        };
        Self {
            before,
            indent: prefix.to_owned(),
            bullet,
            blank_after: false,
        }
    }
}

/// In front of the list that the body begins with; else directly below the heading, set off from what
/// follows.
fn below_heading(document: &Document<'_>, body: &Range<usize>) -> Spot {
    let first = body.clone().find(|&line| document.kind(line) != Some(LineKind::Blank));
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

/// Below the paragraph that the item begins with, in its list if it has one.
fn in_item(document: &Document<'_>, index: usize) -> Spot {
    let host = Host::Item { index };
    let Some(item) = document.blocks.items.get(index) else {
        return below_heading(document, &(document.count()..document.count()));
    };
    let before = item.text_last + 1;
    if let Some(child) = children(document, &host).next() {
        return Spot::beside(document, child, before);
    }
    let start = document.start_of(item.first);
    let prefix = document.slice(start..item.marker_at);
    let blank: String = prefix.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let inner = " ".repeat(item.content_at.saturating_sub(item.marker_at).clamp(2, 4));
    let kind = document.kind(before);
    let more = before <= item.last && kind.is_some_and(|kind| kind != LineKind::Blank);
    Spot {
        before,
        indent: format!("{blank}{inner}"),
        bullet: document.style.bullet,
        blank_after: more,
    }
}

/// The text of a list item as key and value, where it is written so: `Key: value`, `**Key**: value`.
pub(crate) fn field_of(document: &Document<'_>, item: &ItemBlock) -> Option<(String, String)> {
    split_field(&item_text(document, item))
}

/// Splits `Key: value` or `**Key**: value`.
pub(crate) fn split_field(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once(':')?;
    let value = value.strip_prefix("**").or_else(|| value.strip_prefix("__")).unwrap_or(value);
    let key = key.trim().trim_matches(['*', '_']).trim();
    let plain = !key.is_empty() && key.len() <= 60 && !key.contains(['`', '[', '<', '|']);
    plain.then(|| (key.to_owned(), value.trim().to_owned()))
}
