//! The lines of a document, and what the block scanner says of each.
//!
//! A line is a place in the text, not a copy of it. All line endings are known: `\n`, `\r\n` and a lone `\r`.

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineKind {
    /// Nothing but blank space, outside of code and comments.
    Blank,
    /// A paragraph, a table row, the first line of a list item.
    Text,
    /// A heading, or the text of an underlined one.
    Heading,
    /// The `---` or `===` below an underlined heading.
    Underline,
    /// A fence or what it holds, or indented code.
    Code,
    /// An HTML block or a comment.
    Html,
    /// A thematic break.
    Break,
}

/// A line and its place in the document, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub(crate) start: usize,
    /// The end without the line ending.
    pub(crate) text_end: usize,
    /// The end with the line ending.
    pub(crate) end: usize,
    pub(crate) kind: LineKind,
    /// How many list items the line is in.
    pub(crate) depth: usize,
    /// Whether a block quote is around it.
    pub(crate) quoted: bool,
    /// Whether it continues a fence, a comment or raw HTML, where nothing is Markdown.
    pub(crate) literal: bool,
}

/// Splits at `\n`, `\r\n` and a lone `\r`; a byte order mark is before the first line, not in it.
pub(crate) fn split_lines(doc: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut start = if doc.starts_with('\u{feff}') { 3 } else { 0 };
    let mut bytes = doc.bytes().enumerate().skip(start).peekable();
    let mut push = |start: usize, text_end: usize, end: usize| {
        lines.push(Line {
            start,
            text_end,
            end,
            kind: LineKind::Blank,
            depth: 0,
            quoted: false,
            literal: false,
        });
    };
    while let Some((at, byte)) = bytes.next() {
        let mut end = at + 1;
        match byte {
            b'\n' => {}
            b'\r' => {
                if bytes.next_if(|&(_, next)| next == b'\n').is_some() {
                    end += 1;
                }
            }
            _ => continue,
        }
        push(start, at, end);
        start = end;
    }
    if start < doc.len() {
        push(start, doc.len(), doc.len());
    }
    lines
}
