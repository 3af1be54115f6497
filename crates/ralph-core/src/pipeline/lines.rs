//! From an offset to the line and column that an editor shows.
//!
//! What must never be here: a message.

use memchr::memchr_iter;

/// The line starts of one text.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    /// Offsets of the line feeds.
    feeds: Vec<usize>,
}

/// A place in a text, both numbers counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Line.
    pub(crate) line: usize,
    /// Column in characters; a byte order mark does not count.
    pub(crate) column: usize,
}

impl Lines {
    /// Finds the lines of a text.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self {
            feeds: memchr_iter(b'\n', bytes).collect(),
        }
    }

    /// The line of an offset.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.feeds.partition_point(|feed| *feed < at) + 1
    }

    /// The place of an offset in the text that the lines were found in.
    pub(crate) fn place(&self, bytes: &[u8], at: usize) -> Place {
        let line = self.line(at);
        let start = match line {
            1 if bytes.starts_with(b"\xEF\xBB\xBF") => 3,
            1 => 0,
            _ => self.feeds.get(line - 2).map_or(0, |feed| feed + 1),
        };
        let before = bytes.get(start..at).unwrap_or_default();
        // Continuation bytes of UTF-8 begin with the bits 10.
        let column = before.iter().filter(|byte| *byte & 0xC0 != 0x80).count() + 1;
        Place { line, column }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_characters_and_a_mark_is_none() {
        let place = |text: &str, at| {
            let place = Lines::of(text.as_bytes()).place(text.as_bytes(), at);
            (place.line, place.column)
        };
        assert_eq!(place("", 0), (1, 1));
        assert_eq!(place("ab\ncd", 2), (1, 3));
        assert_eq!(place("ab\ncd", 3), (2, 1));
        assert_eq!(place("ab\r\ncd", 5), (2, 2));
        assert_eq!(place("\u{2014}\u{1F600}x", 7), (1, 3));
        assert_eq!(place("\u{FEFF}{", 3), (1, 1));
    }
}
