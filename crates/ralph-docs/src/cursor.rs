//! A place in one line, in bytes and in columns.
//!
//! Indentation in Markdown is counted in columns with tab stops of four, and a container may take only
//! part of a tab. This is the only place that knows about it.

const TAB_STOP: usize = 4;

/// What of a line its containers have not taken yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    /// The first byte that is not wholly taken.
    position: usize,
    /// The column where that byte starts.
    position_column: usize,
    /// The first column that is not taken; beyond `position_column` when part of a tab is.
    column: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            position: 0,
            position_column: 0,
            column: 0,
        }
    }

    /// Columns of blank space ahead.
    pub(crate) fn indent(&self) -> usize {
        self.next_content().1.saturating_sub(self.column)
    }

    /// The byte offset in the line of the first character that is not blank.
    pub(crate) fn content_position(&self) -> usize {
        self.next_content().0
    }

    /// The text from the first character that is not blank.
    pub(crate) fn content(&self) -> &'a str {
        self.text.get(self.content_position()..).unwrap_or("")
    }

    /// Whether nothing but blank space is left.
    pub(crate) fn is_blank(&self) -> bool {
        self.content().is_empty()
    }

    /// Takes up to `count` columns of blank space.
    pub(crate) fn take_columns(&mut self, count: usize) {
        let target = self.column + count.min(self.indent());
        self.column = target;
        for byte in self.text.bytes().skip(self.position) {
            let Some(next) = column_after(byte, self.position_column) else {
                break;
            };
            if next > target {
                break;
            }
            self.position += 1;
            self.position_column = next;
        }
    }

    /// Takes the blank space ahead and `count` bytes of ASCII behind it.
    pub(crate) fn take_marker(&mut self, count: usize) {
        let (position, column) = self.next_content();
        self.position = (position + count).min(self.text.len());
        self.position_column = column + count;
        self.column = self.position_column;
    }

    fn next_content(&self) -> (usize, usize) {
        let mut position = self.position;
        let mut column = self.position_column;
        for byte in self.text.bytes().skip(self.position) {
            let Some(next) = column_after(byte, column) else {
                break;
            };
            column = next;
            position += 1;
        }
        (position, column.max(self.column))
    }
}

/// The column behind a blank byte; `None` for any other byte.
fn column_after(byte: u8, column: usize) -> Option<usize> {
    match byte {
        b' ' => Some(column + 1),
        b'\t' => Some(column / TAB_STOP * TAB_STOP + TAB_STOP),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tab_can_be_taken_in_part() {
        let mut cursor = Cursor::new("-\tx");
        cursor.take_marker(1);
        assert_eq!(cursor.indent(), 3);
        cursor.take_columns(1);
        assert_eq!(cursor.indent(), 2);
        cursor.take_columns(2);
        assert_eq!((cursor.indent(), cursor.content()), (0, "x"));
    }

    #[test]
    fn taking_more_than_there_is_stops_at_the_content() {
        let mut cursor = Cursor::new("  x  ");
        cursor.take_columns(9);
        assert_eq!(cursor.content(), "x  ");
        cursor.take_marker(40);
        assert!(cursor.is_blank());
    }
}
