//! A document with its structure: the lines, the sections, the style, and how text is put between lines.
//!
//! Everything that reads or edits a kind of document goes through this view. It borrows the text and
//! never changes it; changes are [`Edit`]s.

use std::ops::Range;

use crate::blocks::{Blocks, ItemBlock, scan};
use crate::edit::Edit;
use crate::lines::{Line, LineKind};
use crate::outline::{Span, spans};
use crate::style::Style;

/// A scanned document.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    pub(crate) text: &'a str,
    pub(crate) blocks: Blocks,
    pub(crate) spans: Vec<Span>,
    pub(crate) style: Style,
    arrange: Arrange,
}

/// What a kind of document makes of the headings before they nest.
type Arrange = fn(&str, &mut Blocks);

impl<'a> Document<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self::arranged(text, |_, _| ())
    }

    /// A document whose headings are changed as its kind says: the result of an edit is read with [`Self::again`].
    pub(crate) fn arranged(text: &'a str, arrange: Arrange) -> Self {
        let mut blocks = scan(text);
        arrange(text, &mut blocks);
        let style = Style::from_blocks(text, &blocks);
        let spans = spans(text, &blocks);
        Self {
            text,
            blocks,
            spans,
            style,
            arrange,
        }
    }

    /// Another text of the same kind.
    pub(crate) fn again<'b>(&self, text: &'b str) -> Document<'b> {
        Document::arranged(text, self.arrange)
    }

    /// The number of lines.
    pub(crate) fn count(&self) -> usize {
        self.blocks.lines.len()
    }

    pub(crate) fn line(&self, index: usize) -> Option<&Line> {
        self.blocks.lines.get(index)
    }

    /// The kind of a line; `None` behind the last one.
    pub(crate) fn kind(&self, index: usize) -> Option<LineKind> {
        self.line(index).map(|line| line.kind)
    }

    /// A line without its line ending.
    pub(crate) fn line_text(&self, index: usize) -> &'a str {
        self.line(index)
            .and_then(|line| self.text.get(line.start..line.text_end))
            .unwrap_or("")
    }

    /// The byte offset where a line begins; the end of the document behind the last line.
    pub(crate) fn start_of(&self, index: usize) -> usize {
        self.line(index).map_or(self.text.len(), |line| line.start)
    }

    /// The bytes of a range of lines, with their line endings.
    pub(crate) fn bytes_of(&self, lines: Range<usize>) -> Range<usize> {
        let start = self.start_of(lines.start);
        start..self.start_of(lines.end).max(start)
    }

    /// The text of a byte range.
    pub(crate) fn slice(&self, range: Range<usize>) -> &'a str {
        self.text.get(range).unwrap_or("")
    }

    /// The lines of a list item.
    pub(crate) fn item_lines(&self, item: &ItemBlock) -> Range<usize> {
        item.first..item.last + 1
    }

    /// Whether a line has content: not blank, not a thematic break.
    pub(crate) fn has_content(&self, index: usize) -> bool {
        self.kind(index)
            .is_some_and(|kind| !matches!(kind, LineKind::Blank | LineKind::Break))
    }

    /// The lines without the blank lines and thematic breaks at their end.
    pub(crate) fn trimmed(&self, lines: Range<usize>) -> Range<usize> {
        let last = lines.clone().rev().find(|&index| self.has_content(index));
        lines.start..last.map_or(lines.start, |last| last + 1)
    }

    /// The list item that begins on a line, the outermost where there are several.
    pub(crate) fn item_at(&self, line: usize) -> Option<(usize, &ItemBlock)> {
        let from = self.blocks.items.partition_point(|item| item.first < line);
        let item = self.blocks.items.get(from)?;
        (item.first == line).then_some((from, item))
    }

    /// Puts whole lines before a line, or behind the last one. `block` ends with a line ending; a document
    /// that does not end with one still does not afterwards.
    pub(crate) fn insertion(&self, before: usize, block: &str) -> Edit {
        let at = self.start_of(before);
        if before < self.count() || self.style.final_newline {
            return Edit::insert(at, block);
        }
        let newline = self.style.newline.as_str();
        let unended = block.strip_suffix('\n').unwrap_or(block);
        let unended = unended.strip_suffix('\r').unwrap_or(unended);
        Edit::insert(at, format!("{newline}{unended}"))
    }

    /// The lines as one block, each with the document's line ending.
    pub(crate) fn join(&self, lines: &[String]) -> String {
        let newline = self.style.newline.as_str();
        lines
            .iter()
            .flat_map(|line| [line.as_str(), newline])
            .collect()
    }
}
