//! Moving an item: its bytes are cut here and pasted there unchanged, and only blank lines, placeholders
//! and the machine's own lines change around and in it.

use std::ops::Range;

use super::read::{Found, find, scan};
use super::{QueueSection, outline};
use crate::document::Document;
use crate::edit::{Edit, EditSet};
use crate::error::DocError;
use crate::lines::LineKind;
use crate::machine::{has_lines, set_lines};
use crate::outline::Span;
use crate::quote::plain;
use crate::section::{self, Position, innermost, normalise, with_ancestors};
use crate::verify::checked_result;

/// Moves an item below the heading of a section, behind what stands before the section's first item, and
/// writes the machine's own lines as [`annotate`](super::annotate) does, in one edit set. An item that is there
/// already stays where it is; with the same lines nothing changes. A lone placeholder such as `(none)` gives
/// way, a section that becomes empty gets one, and a section that is missing is appended at the end.
///
/// # Errors
/// There is no such item, or more than one; a key or the section's title cannot be one; the move would
/// change how the text around it is read.
pub fn move_item(
    doc: &str,
    id: &str,
    to: &QueueSection,
    lines: &[(String, String)],
) -> Result<EditSet, DocError> {
    if normalise(to.title()).is_empty() {
        return Err(DocError::refused(
            "a section needs a title with letters or digits in it.",
        ));
    }
    let document = outline::document(doc);
    let found = find(&document, id)?;
    let own = set_lines(&document, &found.host, lines)?;
    let edits = if found.item.section.is_same(to) {
        own
    } else {
        let block = moved_block(&document, &found, own)?;
        vec![
            cut(&document, found.lines.clone()),
            paste(&document, found.lines.start, to, &block),
        ]
    };
    checked_result(&document, edits, |after| {
        is_moved(&document, after, id, to, lines)
    })
}

/// The item's bytes with its own lines up to date, ending with one line ending: its own where it has one.
fn moved_block(document: &Document<'_>, found: &Found, own: Vec<Edit>) -> Result<String, DocError> {
    let bytes = document.bytes_of(found.lines.clone());
    let shift = |edit: Edit| Edit {
        range: edit.range.start.saturating_sub(bytes.start)
            ..edit.range.end.saturating_sub(bytes.start),
        text: edit.text,
    };
    let own = EditSet::new(own.into_iter().map(shift).collect())?;
    let mut block = own.apply(document.slice(bytes));
    let ended = block.split_off(block.trim_end_matches(['\n', '\r']).len());
    let mut ends = ["\r\n", "\n", "\r"].into_iter();
    let own = ends.find(|end| ended.starts_with(end));
    block.push_str(own.unwrap_or(document.style.newline.as_str()));
    Ok(block)
}

/// Puts the block into the section of that meaning beside the item's own, else into the first one, else into a new one
/// at the end.
fn paste(document: &Document<'_>, from: usize, to: &QueueSection, block: &str) -> Edit {
    let around = section_around(document, from);
    let beside = |span: &&&Span| around.is_some_and(|own| own.parent == span.parent);
    let named = sections_of(document, to);
    match named.iter().find(beside).or_else(|| named.first()) {
        Some(span) => section::place(document, span, block, Position::Bottom),
        None => append(document, &plain(to.title(), 120), block),
    }
}

/// The sections of a meaning; those of the first two levels come first. A heading in an item is none.
fn sections_of<'d>(document: &'d Document<'_>, to: &QueueSection) -> Vec<&'d Span> {
    let items = scan(document);
    let is_in_item = |span: &Span| items.iter().any(|found| found.lines.contains(&span.first));
    let mut named: Vec<&Span> = document
        .spans
        .iter()
        .filter(|span| to.is_titled(&span.title) && !is_in_item(span))
        .collect();
    named.sort_by_key(|span| (span.level > 2, span.first));
    named
}

/// A new section at the end, written as the last of the four is where that reaches the end. Sections in bold would be none
/// beside a heading, so another one is put behind the last of them.
fn append(document: &Document<'_>, title: &str, block: &str) -> Edit {
    let mut around = with_ancestors(document, document.spans.last());
    let last = around.find(|span| QueueSection::from_title(&span.title).is_some());
    let mut sections = document
        .spans
        .iter()
        .filter(|span| QueueSection::from_title(&span.title).is_some());
    if let Some(span) = sections.rfind(|span| is_bold(document, span)) {
        let heading = format!("**{title}**");
        return section::insert_below(document, span.body.end, &heading, block);
    }
    let heading = match last {
        Some(span) if span.level > 2 => format!("{} {title}", "#".repeat(usize::from(span.level))),
        _ => format!("## {title}"),
    };
    section::append_below(document, &heading, block)
}

fn is_bold(document: &Document<'_>, span: &Span) -> bool {
    !document.line_text(span.first).trim_start().starts_with('#')
        && document.kind(span.first + 1) != Some(LineKind::Underline)
}

/// Cuts the lines with the blank lines that only they needed.
fn cut(document: &Document<'_>, lines: Range<usize>) -> Edit {
    if let Some(span) = section_around(document, lines.start)
        && becomes_empty(document, span, &lines)
    {
        let start = document.start_of(lines.start);
        let end = lines
            .end
            .checked_sub(1)
            .and_then(|last| document.line(last));
        return Edit::replace(start..end.map_or(start, |line| line.text_end), "(none)");
    }
    let next = (lines.end..document.count()).find(|&line| !is_blank(document, line));
    let Some(next) = next else {
        return cut_at_end(document, lines.start);
    };
    let above = lines
        .start
        .checked_sub(1)
        .and_then(|line| document.kind(line));
    let apart = matches!(
        above,
        None | Some(LineKind::Blank | LineKind::Heading | LineKind::Underline)
    );
    let end = if apart { next } else { lines.end };
    Edit::replace(document.bytes_of(lines.start..end), "")
}

/// Cuts everything from a line to the end, so that the document ends as it did: with a line ending or not.
fn cut_at_end(document: &Document<'_>, first: usize) -> Edit {
    let last = (0..first).rev().find(|&line| !is_blank(document, line));
    let start = match last.and_then(|last| document.line(last)) {
        Some(line) if document.style.final_newline => line.end,
        Some(line) => line.text_end,
        None => document.start_of(first),
    };
    Edit::replace(start..document.text.len(), "")
}

/// The section that an item is listed in: the nearest heading around it that has a meaning, else that of level 1 or 2.
fn section_around<'d>(document: &'d Document<'_>, line: usize) -> Option<&'d Span> {
    let around =
        || with_ancestors(document, innermost(document, line)).filter(|span| span.first < line);
    around()
        .find(|span| QueueSection::from_title(&span.title).is_some())
        .or_else(|| around().find(|span| span.level <= 2))
}

/// Whether nothing but blank lines and rules would be left in a section.
fn becomes_empty(document: &Document<'_>, span: &Span, lines: &Range<usize>) -> bool {
    let mut others = span.body.clone().filter(|line| !lines.contains(line));
    !others.any(|line| document.has_content(line))
}

fn is_blank(document: &Document<'_>, line: usize) -> bool {
    document.kind(line) == Some(LineKind::Blank)
}

/// Whether the item is in the section now, with its lines, and every other item is where it was.
fn is_moved(
    before: &Document<'_>,
    after: &Document<'_>,
    id: &str,
    to: &QueueSection,
    lines: &[(String, String)],
) -> bool {
    let others = |document: &Document<'_>| {
        let mut others: Vec<_> = scan(document)
            .into_iter()
            .filter(|found| !found.item.id.eq_ignore_ascii_case(id))
            .map(|found| {
                (
                    found.item.id,
                    found.item.title,
                    found.item.section.title().to_owned(),
                )
            })
            .collect();
        others.sort();
        others
    };
    let there = find(after, id)
        .is_ok_and(|found| found.item.section.is_same(to) && has_lines(after, &found.host, lines));
    there && others(before) == others(after)
}
