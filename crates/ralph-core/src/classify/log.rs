//! A log as the classifier sees it: bounded, split into lines, freed of terminal codes, with true line numbers.
//!
//! Real logs have progress bars that overwrite themselves with carriage returns, single lines of hundreds of
//! kilobytes, colours, broken UTF-8 and no final newline. Nothing here knows what any line means.

use memchr::{memchr_iter, memchr2};

use crate::backend::Stream;

/// How much of the start of a log is read.
pub const HEAD_BYTES: usize = 16 * 1024;
/// How much of the end of a log is read.
pub const TAIL_BYTES: usize = 256 * 1024;
/// How far from a cut the next line break is looked for, so that a line is not cut in the middle.
const CUT_SLACK: usize = 4 * 1024;

/// The parts of one log that matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogText {
    path: String,
    stream: Stream,
    text: String,
    spans: Vec<Span>,
    bytes: usize,
}

/// Where a line lies in the cleaned text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: usize,
    end: usize,
    number: usize,
    exact: bool,
}

/// One line, or one state of a line that overwrites itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// The text without terminal codes; never empty.
    pub text: &'a str,
    /// The line's number, from one; carriage returns do not count, so editors agree.
    pub number: usize,
    /// Whether `number` counts from the start of the file; else from the first line that was read of its end.
    pub exact: bool,
    /// Offset of the line in [`LogText::text`].
    pub(super) start: usize,
}

impl LogText {
    /// A log that is there as a whole; only its start and end are kept.
    #[must_use]
    pub fn from_bytes(path: impl Into<String>, stream: Stream, bytes: &[u8]) -> Self {
        if bytes.len() <= HEAD_BYTES + TAIL_BYTES {
            let mut log = Self::empty(path.into(), stream, bytes.len());
            log.push(bytes, 1, true);
            return log;
        }
        let (head, tail) = bytes.split_at(HEAD_BYTES);
        let line = 1 + memchr_iter(b'\n', head).count();
        Self::from_parts(path, stream, head, tail, Some(line))
    }

    /// A log of which the start and the end were fetched. `tail_line` is the number of the line that the first
    /// byte of `tail` belongs to, where that is known.
    #[must_use]
    pub fn from_parts(
        path: impl Into<String>,
        stream: Stream,
        head: &[u8],
        tail: &[u8],
        tail_line: Option<usize>,
    ) -> Self {
        let mut log = Self::empty(path.into(), stream, head.len() + tail.len());
        let head = head.get(..HEAD_BYTES).unwrap_or(head);
        let skipped = tail.len().saturating_sub(TAIL_BYTES);
        let (dropped, kept) = tail.split_at(skipped);
        let kept_line = tail_line.unwrap_or(1) + memchr_iter(b'\n', dropped).count();
        log.push(cut_end(head), 1, true);
        let (kept, line) = cut_start(kept, kept_line);
        log.push(kept, line, tail_line.is_some());
        log
    }

    fn empty(path: String, stream: Stream, bytes: usize) -> Self {
        Self {
            path,
            stream,
            text: String::with_capacity(bytes.min(HEAD_BYTES + TAIL_BYTES)),
            spans: Vec::new(),
            bytes,
        }
    }

    /// Adds the lines of one part.
    fn push(&mut self, mut bytes: &[u8], mut number: usize, exact: bool) {
        while !bytes.is_empty() {
            let at = memchr2(b'\n', b'\r', bytes).unwrap_or(bytes.len());
            let (line, rest) = bytes.split_at(at);
            let start = self.text.len();
            push_cleaned(&mut self.text, line);
            if self.text.len() > start {
                self.spans.push(Span {
                    start,
                    end: self.text.len(),
                    number,
                    exact,
                });
                self.text.push('\n');
            }
            number += usize::from(rest.first() == Some(&b'\n'));
            bytes = rest.get(1..).unwrap_or_default();
        }
    }

    /// The log's path, as given.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Which of the job's logs this is.
    #[must_use]
    pub fn stream(&self) -> Stream {
        self.stream
    }

    /// Whether the log holds no byte at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The lines that are not empty, in their order.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = Line<'_>> + ExactSizeIterator {
        self.spans.iter().map(|span| self.line_of(*span))
    }

    /// All lines, each followed by a line feed.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn line(&self, index: usize) -> Option<Line<'_>> {
        self.spans.get(index).map(|span| self.line_of(*span))
    }

    pub(super) fn line_count(&self) -> usize {
        self.spans.len()
    }

    /// The index of the line that holds an offset of [`LogText::text`].
    pub(super) fn line_at(&self, offset: usize) -> usize {
        self.spans
            .partition_point(|span| span.start <= offset)
            .saturating_sub(1)
    }

    fn line_of(&self, span: Span) -> Line<'_> {
        Line {
            text: self.text.get(span.start..span.end).unwrap_or_default(),
            number: span.number,
            exact: span.exact,
            start: span.start,
        }
    }
}

/// The largest index up to `at` where a text may be cut.
pub(super) fn floor_boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

/// The head without its last, possibly cut, line.
fn cut_end(head: &[u8]) -> &[u8] {
    let from = head.len().saturating_sub(CUT_SLACK);
    if head.len() < HEAD_BYTES {
        return head;
    }
    let window = head.get(from..).unwrap_or_default();
    match memchr::memrchr2(b'\n', b'\r', window) {
        Some(at) => head.get(..=from + at).unwrap_or(head),
        None => head,
    }
}

/// The tail without its first, possibly cut, line, and the number of the line that it then starts with.
fn cut_start(tail: &[u8], line: usize) -> (&[u8], usize) {
    if tail.len() < TAIL_BYTES {
        return (tail, line);
    }
    let window = tail.get(..CUT_SLACK).unwrap_or(tail);
    match memchr2(b'\n', b'\r', window) {
        Some(at) => {
            let rest = tail.get(at + 1..).unwrap_or_default();
            (rest, line + usize::from(tail.get(at) == Some(&b'\n')))
        }
        None => (tail, line),
    }
}

/// Appends a line without ANSI sequences and control characters; bytes that are no UTF-8 become U+FFFD.
fn push_cleaned(text: &mut String, line: &[u8]) {
    let plain = |c: char| !c.is_control() || c == '\t';
    if !line.contains(&0x1b) {
        text.extend(String::from_utf8_lossy(line).chars().filter(|c| plain(*c)));
        return;
    }
    let mut bytes = line;
    while let Some(at) = memchr::memchr(0x1b, bytes) {
        let (before, sequence) = bytes.split_at(at);
        text.extend(
            String::from_utf8_lossy(before)
                .chars()
                .filter(|c| plain(*c)),
        );
        bytes = after_sequence(sequence);
    }
    text.extend(String::from_utf8_lossy(bytes).chars().filter(|c| plain(*c)));
}

/// What follows the escape sequence that the bytes start with: `ESC [ … letter`, `ESC ] … BEL`, or `ESC` and one byte.
fn after_sequence(bytes: &[u8]) -> &[u8] {
    let end = match bytes.get(1) {
        Some(b'[') => bytes
            .iter()
            .skip(2)
            .position(|b| (0x40..=0x7e).contains(b))
            .map(|at| at + 3),
        Some(b']') => bytes.iter().position(|b| *b == 0x07).map(|at| at + 1),
        _ => Some(2),
    };
    bytes.get(end.unwrap_or(2)..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<(usize, String)> {
        LogText::from_bytes("job.err", Stream::Err, bytes)
            .lines()
            .map(|line| (line.number, line.text.to_owned()))
            .collect()
    }

    #[test]
    fn carriage_returns_split_but_do_not_count() {
        insta::assert_debug_snapshot!(
            lines(b"one\r\n 10%|#\r 20%|##\x1b[A\x1b[31mKilled\x1b[0m\n\n\x1b]0;title\x07four\xff\0end"),
            @r#"
        [
            (
                1,
                "one",
            ),
            (
                2,
                " 10%|#",
            ),
            (
                2,
                " 20%|##Killed",
            ),
            (
                4,
                "four�end",
            ),
        ]
        "#
        );
    }

    #[test]
    fn long_logs_keep_start_end_and_true_numbers() {
        let whole: String = (1..=60_000).map(|n| format!("line {n}\n")).collect();
        let log = LogText::from_bytes("job.out", Stream::Out, whole.as_bytes());
        assert!(log.text().len() <= HEAD_BYTES + TAIL_BYTES);
        assert!(
            log.lines()
                .all(|line| line.exact && line.text == format!("line {}", line.number))
        );
        assert_eq!(
            log.lines().next_back().map(|line| line.number),
            Some(60_000)
        );
        let unknown = LogText::from_parts("job.out", Stream::Out, b"a\n", b"b\nc\n", None);
        let last = unknown.lines().next_back();
        assert_eq!(last.map(|line| (line.number, line.exact)), Some((2, false)));
    }

    #[test]
    fn one_endless_line_is_bounded() {
        let log = LogText::from_bytes("job.err", Stream::Err, &vec![b'x'; 2_000_000]);
        assert!(log.text().len() <= HEAD_BYTES + TAIL_BYTES + 2);
        assert!(!log.is_empty());
        assert!(LogText::from_bytes("job.err", Stream::Err, b"").is_empty());
    }
}
