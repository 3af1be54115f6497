//! How a document is written: what an insertion copies so that it looks like the rest of the file.
//!
//! A style is only read from a document. Nothing here changes one to match another.

use crate::blocks::Blocks;
use crate::leaf::Marker;
use crate::lines::LineKind;

/// How a line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Newline {
    /// `\n`.
    #[default]
    Lf,
    /// `\r\n`.
    CrLf,
}

impl Newline {
    /// The bytes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lf => "\n",
            Self::CrLf => "\r\n",
        }
    }
}

/// What an insertion copies from the document around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// The line ending that most lines have; `\n` for a tie.
    pub newline: Newline,
    /// The bullet of most list items; `-` where there is none.
    pub bullet: char,
    /// Whether a heading is followed by a blank line; so it is where there is no heading to ask.
    pub blank_after_heading: bool,
    /// Whether the last line ends with a line ending; an empty document is taken to.
    pub final_newline: bool,
    /// Whether the document begins with a byte order mark.
    pub bom: bool,
}

impl Style {
    /// The style of a document.
    #[must_use]
    pub fn of(doc: &str) -> Self {
        Self::from_blocks(doc, &crate::blocks::scan(doc))
    }

    pub(crate) fn from_blocks(doc: &str, blocks: &Blocks) -> Self {
        Self {
            newline: newline_of(doc),
            bullet: bullet_of(blocks),
            blank_after_heading: blank_after_heading(blocks),
            final_newline: blocks
                .lines
                .last()
                .is_none_or(|line| line.end > line.text_end),
            bom: doc.starts_with('\u{feff}'),
        }
    }
}

/// The more frequent line ending: a file that was edited on two systems keeps what most of it has.
fn newline_of(doc: &str) -> Newline {
    let all = doc.matches('\n').count();
    let paired = doc.matches("\r\n").count();
    if paired > all - paired {
        Newline::CrLf
    } else {
        Newline::Lf
    }
}

fn bullet_of(blocks: &Blocks) -> char {
    let count = |wanted: char| {
        let is_wanted =
            |marker| matches!(marker, Marker::Bullet { bullet, .. } if bullet == wanted);
        blocks
            .items
            .iter()
            .filter(|item| is_wanted(item.marker))
            .count()
    };
    let (mut best, mut most) = ('-', count('-'));
    for bullet in ['*', '+'] {
        if count(bullet) > most {
            (best, most) = (bullet, count(bullet));
        }
    }
    best
}

/// Titles of the whole document (level 1) are left out: what follows them is habit, not style.
fn blank_after_heading(blocks: &Blocks) -> bool {
    let (mut with, mut without) = (0, 0);
    for heading in blocks.headings.iter().filter(|heading| heading.level > 1) {
        match blocks.lines.get(heading.last + 1).map(|line| line.kind) {
            Some(LineKind::Blank) => with += 1,
            Some(LineKind::Heading) | None => {}
            Some(_) => without += 1,
        }
    }
    with >= without
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_empty_document() {
        let style = Style::of("");
        assert_eq!((style.newline, style.bullet), (Newline::Lf, '-'));
        assert!(style.blank_after_heading && style.final_newline && !style.bom);
    }

    #[test]
    fn is_what_most_of_the_document_does() {
        let style = Style::of(
            "\u{feff}## a\r\n* x\r\n* y\n- z\r\n```\n- q\n- q\n```\r\n## b\r\n\r\n## c\r\nend",
        );
        assert_eq!((style.newline, style.bullet), (Newline::CrLf, '*'));
        assert!(!style.blank_after_heading && !style.final_newline && style.bom);
    }

    #[test]
    fn bullets_in_code_do_not_count() {
        assert_eq!(Style::of("```\n* a\n* b\n```\n- c\n").bullet, '-');
    }
}
