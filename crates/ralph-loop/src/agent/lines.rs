//! Puts the lines of a stream together from the pieces in which it is read. Pure.

use crate::redact::without_last_token;

/// The longest line that is kept, in bytes; what is beyond is cut off.
pub(super) const LONGEST: usize = 1024 * 1024;

/// The unfinished line of a stream.
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// Bytes of the line that were dropped.
    dropped: u64,
}

impl Lines {
    /// Takes a piece and hands out every line that it completes.
    pub(super) fn push(&mut self, mut piece: &[u8], take: &mut dyn FnMut(&str)) {
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = piece.split_at(end);
            self.append(line);
            self.hand_out(take);
            piece = rest.get(1..).unwrap_or_default();
        }
        self.append(piece);
    }

    /// Hands out what stands after the last newline, if anything does.
    pub(super) fn end(&mut self, take: &mut dyn FnMut(&str)) {
        if !self.buffer.is_empty() {
            self.hand_out(take);
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        let room = LONGEST.saturating_sub(self.buffer.len()).min(bytes.len());
        let (kept, dropped) = bytes.split_at(room);
        self.buffer.extend_from_slice(kept);
        self.dropped += dropped.len() as u64;
    }

    fn hand_out(&mut self, take: &mut dyn FnMut(&str)) {
        if self.dropped == 0 {
            take(&String::from_utf8_lossy(&self.buffer));
        } else {
            let line = String::from_utf8_lossy(&self.buffer);
            let line = without_last_token(&line);
            take(&format!("{line} [{} more bytes]", self.dropped));
        }
        self.buffer.clear();
        self.dropped = 0;
        // One long line must not cost its memory for ever.
        self.buffer.shrink_to(64 * 1024);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for piece in pieces {
            lines.push(piece, &mut |line| found.push(line.to_owned()));
        }
        lines.end(&mut |line| found.push(line.to_owned()));
        found
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_says_so_and_the_next_is_whole() {
        let long = vec![b'x'; LONGEST + 500];
        let token = format!(" ghp_{}", "a".repeat(100));
        let mut text = b"a ".repeat((LONGEST - 60) / 2);
        text.extend_from_slice(token.as_bytes());
        text.extend_from_slice(b"\nnext");
        let found = lines(&[&long, b"\n", &text]);
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].len(), LONGEST - 8192 + " [500 more bytes]".len());
        assert!(
            !found[1].contains("ghp_") && found[1].ends_with(" more bytes]"),
            "half a token is no token"
        );
        assert_eq!(found[2], "next");
    }

    proptest! {
        #[test]
        fn the_pieces_do_not_matter(text in "[a-zäß€\n]{0,200}", cuts in prop::collection::vec(0_usize..200, 0..10)) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(lines(&pieces), lines(&[bytes]));
            let expected: Vec<&str> = text.split_terminator('\n').collect();
            prop_assert_eq!(lines(&[bytes]), expected);
        }
    }
}
