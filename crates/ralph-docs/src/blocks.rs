//! The block scanner: which line is a heading, code, a list item, a comment.
//!
//! One pass over the lines with the container rules of CommonMark 0.31 (quotes, list items, lazy
//! continuation), so that a `# line` inside a fence, an indented fence or a comment is never taken for a
//! heading. Inline structure is not looked at, nothing is rendered, and nothing here can fail: every text
//! has a block structure.

use crate::cursor::Cursor;
use crate::html::{HtmlEnd, block_start};
use crate::leaf::{Fence, Marker, atx_level, is_thematic_break, setext_level};
use crate::lines::{Line, LineKind, split_lines};

/// A heading that is in no container.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heading {
    pub(crate) level: u8,
    pub(crate) first: usize,
    pub(crate) last: usize,
}

/// A list item; the lines are counted from 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ItemBlock {
    pub(crate) first: usize,
    /// The last line with content.
    pub(crate) last: usize,
    /// The last line of the paragraph that the item begins with.
    pub(crate) text_last: usize,
    /// Enclosing list items.
    pub(crate) depth: usize,
    pub(crate) parent: Option<usize>,
    pub(crate) quoted: bool,
    pub(crate) marker: Marker,
    /// The byte offset of the marker.
    pub(crate) marker_at: usize,
    /// The byte offset of the text behind the marker.
    pub(crate) content_at: usize,
}

/// The block structure of a document.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    pub(crate) lines: Vec<Line>,
    pub(crate) headings: Vec<Heading>,
    pub(crate) items: Vec<ItemBlock>,
    /// The line of the fence or comment outside of lists and quotes that is still open at the end.
    pub(crate) unclosed: Option<usize>,
}

/// Scans a document.
pub(crate) fn scan(doc: &str) -> Blocks {
    let lines = split_lines(doc);
    let mut scanner = Scanner {
        blocks: Blocks::default(),
        stack: Vec::new(),
        leaf: Leaf::None,
    };
    scanner.blocks.lines = lines;
    for index in 0..scanner.blocks.lines.len() {
        scanner.line(doc, index);
    }
    scanner.blocks.unclosed = match scanner.leaf {
        _ if !scanner.stack.is_empty() => None,
        Leaf::Fence { first, .. } => Some(first),
        Leaf::Html { first, end } if end != HtmlEnd::Blank => Some(first),
        _ => None,
    };
    scanner.blocks
}

/// A block that holds blocks, and that a line must continue to be inside of it.
#[derive(Debug, Clone, Copy)]
enum Container {
    Quote,
    Item {
        index: usize,
        /// Columns to the item's content, from where its container's content begins.
        width: usize,
        /// Nothing but the marker so far: a blank line ends it.
        empty: bool,
    },
}

/// The block of lines that is open in the innermost container. Its first line is kept for what has to be said
/// about it at its end.
#[derive(Debug, Clone, Copy)]
enum Leaf {
    None,
    Paragraph { first: usize },
    Fence { fence: Fence, first: usize },
    Indented,
    Html { end: HtmlEnd, first: usize },
}

impl Leaf {
    /// Whether a line that continues it is taken as it is, whatever it looks like.
    fn is_literal(self) -> bool {
        match self {
            Self::Fence { .. } => true,
            Self::Html { end, .. } => end != HtmlEnd::Blank,
            Self::None | Self::Paragraph { .. } | Self::Indented => false,
        }
    }
}

/// The state between two lines.
struct Scanner {
    blocks: Blocks,
    stack: Vec<Container>,
    leaf: Leaf,
}

impl Scanner {
    /// Reads one line: what it continues, then what it opens.
    fn line(&mut self, doc: &str, index: usize) {
        let Some(line) = self.blocks.lines.get(index).copied() else {
            return;
        };
        let mut cursor = Cursor::new(doc.get(line.start..line.text_end).unwrap_or(""));
        let matched = self.match_containers(&mut cursor);
        let all = matched == self.stack.len();
        let literal = all && self.leaf.is_literal();
        let kind = if all {
            self.continue_leaf(&cursor)
        } else {
            None
        };
        let kind = match kind {
            Some(kind) => kind,
            None => self.open_blocks(&mut cursor, index, line.start, matched),
        };
        self.record(index, kind);
        if let Some(line) = self.blocks.lines.get_mut(index) {
            line.literal = literal;
        }
    }

    /// Walks the open containers and takes their markers and indentation; returns how many go on.
    fn match_containers(&self, cursor: &mut Cursor<'_>) -> usize {
        let mut matched = 0;
        for container in &self.stack {
            let goes_on = match *container {
                Container::Quote => take_quote_marker(cursor),
                Container::Item { empty, .. } if cursor.is_blank() => !empty,
                Container::Item { width, .. } => {
                    let inside = cursor.indent() >= width;
                    if inside {
                        cursor.take_columns(width);
                    }
                    inside
                }
            };
            if !goes_on {
                break;
            }
            matched += 1;
        }
        matched
    }

    /// The kind of a line that belongs to the code or comment that is open, if it does.
    fn continue_leaf(&mut self, cursor: &Cursor<'_>) -> Option<LineKind> {
        match self.leaf {
            Leaf::Fence { fence, .. } => {
                if cursor.indent() < 4 && fence.is_closed_by(cursor.content()) {
                    self.leaf = Leaf::None;
                }
                Some(LineKind::Code)
            }
            Leaf::Html { end, .. } => {
                if end == HtmlEnd::Blank && cursor.is_blank() {
                    self.leaf = Leaf::None;
                    return None;
                }
                if end.is_in(cursor.content()) {
                    self.leaf = Leaf::None;
                }
                Some(LineKind::Html)
            }
            Leaf::Indented if !cursor.is_blank() && cursor.indent() >= 4 => Some(LineKind::Code),
            Leaf::Indented => {
                self.leaf = Leaf::None;
                None
            }
            Leaf::None | Leaf::Paragraph { .. } => None,
        }
    }

    /// Opens what begins on this line, after its open containers; returns the line's kind.
    fn open_blocks(
        &mut self,
        cursor: &mut Cursor<'_>,
        index: usize,
        line_start: usize,
        mut matched: usize,
    ) -> LineKind {
        if matched < self.stack.len() && !matches!(self.leaf, Leaf::Paragraph { .. }) {
            self.leaf = Leaf::None;
        }
        let mut opened = false;
        loop {
            let lazy = matched < self.stack.len();
            let paragraph = match self.leaf {
                Leaf::Paragraph { first } => Some(first),
                _ => None,
            };
            if cursor.is_blank() {
                self.close_to(matched);
                return if opened {
                    LineKind::Text
                } else {
                    LineKind::Blank
                };
            }
            if cursor.indent() >= 4 {
                if paragraph.is_none() {
                    self.close_to(matched);
                    self.leaf = Leaf::Indented;
                    return LineKind::Code;
                }
                return LineKind::Text;
            }
            let content = cursor.content();
            if content.starts_with('>') {
                self.close_to(matched);
                take_quote_marker(cursor);
                self.stack.push(Container::Quote);
            } else if let Some(kind) = self.open_leaf(cursor, index, matched) {
                return kind;
            } else if let Some(marker) = Marker::parse(content)
                && (lazy || paragraph.is_none() || marker.may_interrupt())
            {
                self.close_to(matched);
                self.open_item(cursor, marker, index, line_start);
            } else {
                if paragraph.is_none() {
                    self.close_to(matched);
                    self.leaf = Leaf::Paragraph { first: index };
                }
                return LineKind::Text;
            }
            matched = self.stack.len();
            opened = true;
        }
    }

    /// Opens a heading, a fence, an HTML block or a break, if the line is one.
    fn open_leaf(&mut self, cursor: &Cursor<'_>, index: usize, matched: usize) -> Option<LineKind> {
        let content = cursor.content();
        let paragraph = match self.leaf {
            Leaf::Paragraph { first } => Some(first),
            _ => None,
        };
        if let Some(level) = atx_level(content) {
            self.close_to(matched);
            self.push_heading(level, index, index);
            return Some(LineKind::Heading);
        }
        if let Some(fence) = Fence::open(content) {
            self.close_to(matched);
            self.leaf = Leaf::Fence {
                fence,
                first: index,
            };
            return Some(LineKind::Code);
        }
        if let Some(end) = block_start(content, paragraph.is_some()) {
            self.close_to(matched);
            if !end.is_in(content) {
                self.leaf = Leaf::Html { end, first: index };
            }
            return Some(LineKind::Html);
        }
        if let Some(first) = paragraph
            && matched == self.stack.len()
            && let Some(level) = setext_level(content)
        {
            self.close_to(matched);
            self.push_heading(level, first, index);
            for line in self.blocks.lines.iter_mut().take(index).skip(first) {
                line.kind = LineKind::Heading;
            }
            return Some(LineKind::Underline);
        }
        if is_thematic_break(content) {
            self.close_to(matched);
            return Some(LineKind::Break);
        }
        None
    }

    /// Opens the list item whose marker comes next. Its width decides which lines belong to it, so it follows the
    /// rule for markers with nothing, or with indented code, behind them.
    fn open_item(
        &mut self,
        cursor: &mut Cursor<'_>,
        marker: Marker,
        index: usize,
        line_start: usize,
    ) {
        let indent = cursor.indent();
        let marker_at = line_start + cursor.content_position();
        cursor.take_marker(marker.width());
        let empty = cursor.is_blank();
        let spaces = cursor.indent();
        let padding = if empty || spaces > 4 { 1 } else { spaces };
        cursor.take_columns(padding);
        let parent = self.innermost_item();
        let item = self.blocks.items.len();
        self.blocks.items.push(ItemBlock {
            first: index,
            last: index,
            text_last: index,
            depth: self.depth(),
            parent,
            quoted: self.is_quoted(),
            marker,
            marker_at,
            content_at: line_start + cursor.content_position(),
        });
        self.stack.push(Container::Item {
            index: item,
            width: indent + marker.width() + padding,
            empty,
        });
    }

    /// Headings in containers are part of an item or a quote, not of the outline.
    fn push_heading(&mut self, level: u8, first: usize, last: usize) {
        if self.stack.is_empty() {
            self.blocks.headings.push(Heading { level, first, last });
        }
    }

    /// Closes the containers that did not go on, and the open leaf.
    fn close_to(&mut self, matched: usize) {
        self.stack.truncate(matched);
        self.leaf = Leaf::None;
    }

    /// Notes the line's kind, and that it belongs to the items it is in.
    fn record(&mut self, index: usize, kind: LineKind) {
        let (depth, quoted) = (self.depth(), self.is_quoted());
        if let Some(line) = self.blocks.lines.get_mut(index) {
            line.kind = kind;
            line.depth = depth;
            line.quoted = quoted;
        }
        let paragraph = match self.leaf {
            Leaf::Paragraph { first } => Some(first),
            _ => None,
        };
        for container in &mut self.stack {
            let Container::Item {
                index: item, empty, ..
            } = container
            else {
                continue;
            };
            let Some(item) = self.blocks.items.get_mut(*item) else {
                continue;
            };
            if kind != LineKind::Blank {
                item.last = index;
                *empty &= item.first == index;
                if paragraph == Some(item.first) {
                    item.text_last = index;
                }
            }
        }
    }

    fn depth(&self) -> usize {
        let items = self
            .stack
            .iter()
            .filter(|c| matches!(c, Container::Item { .. }));
        items.count()
    }

    fn is_quoted(&self) -> bool {
        self.stack.iter().any(|c| matches!(c, Container::Quote))
    }

    fn innermost_item(&self) -> Option<usize> {
        self.stack.iter().rev().find_map(|c| match c {
            Container::Item { index, .. } => Some(*index),
            Container::Quote => None,
        })
    }
}

/// Takes `>` and the blank behind it, where the line goes on with one.
fn take_quote_marker(cursor: &mut Cursor<'_>) -> bool {
    let quoted = cursor.indent() < 4 && cursor.content().starts_with('>');
    if quoted {
        cursor.take_marker(1);
        cursor.take_columns(1);
    }
    quoted
}

#[cfg(test)]
mod tests;
