//! Foreign text made safe to put into a document: one line of it, a table cell, or a fenced block.
//!
//! Whatever a log line holds, the outline of the document around it stays what it was. Text that is
//! already part of a document is never passed through here.

use crate::ansi::visible;
use crate::items::TaskMark;
use crate::leaf::{Marker, atx_level, is_thematic_break, setext_level};

/// Room for the sentence that marks a cut, in bytes.
const CUT_NOTE: usize = 48;

/// One line of plain text of at most `max_chars` characters before escaping (a cut is marked with `…`):
/// escape sequences, control characters and line breaks are gone, and what could open a link, code,
/// emphasis, HTML or a block is escaped.
#[must_use]
pub fn plain(text: &str, max_chars: usize) -> String {
    escape(&one_line(text, max_chars), false)
}

/// As [`plain`], for a cell of a table: `|` is escaped too.
#[must_use]
pub fn cell(text: &str, max_chars: usize) -> String {
    escape(&one_line(text, max_chars), true)
}

/// The text that [`plain`] or [`cell`] escaped, and that of any other line of Markdown as far as
/// backslashes and the three entities go.
#[must_use]
pub fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let entity = ENTITIES.iter().find(|(_, name)| rest.starts_with(name));
        let escaped = rest
            .strip_prefix('\\')
            .and_then(|after| after.chars().next());
        let taken = match (entity, escaped) {
            (Some((plain, name)), _) => {
                out.push(*plain);
                name.len()
            }
            (_, Some(next)) if next.is_ascii_punctuation() => {
                out.push(next);
                2
            }
            _ => {
                out.push(c);
                c.len_utf8()
            }
        };
        rest = rest.get(taken..).unwrap_or("");
    }
    out
}

/// The text as a fenced block of at most about `max_bytes` bytes between its fences, without a line ending
/// behind the closing fence. The fence is longer than any run of backticks inside; escape sequences and control
/// characters are gone; of a progress bar only the last state is left. A longer text keeps its head and,
/// because errors stand at the end, more of its tail, with a marked cut between them.
#[must_use]
pub fn fence(text: &str, max_bytes: usize) -> String {
    let body = cap(&settled_lines(&visible(text)), max_bytes);
    let mark = "`".repeat(longest_run(&body, '`').max(2) + 1);
    if body.is_empty() {
        return format!("{mark}text\n{mark}");
    }
    format!("{mark}text\n{body}\n{mark}")
}

/// Characters that a backslash would leave visible to a search for our own comments, so they are written as
/// entities.
const ENTITIES: [(char, &str); 3] = [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;")];

/// The text on one line, cut to a length before anything is escaped, so that no escape is cut in two.
/// A text in one line, as a message quotes it between backticks.
pub(crate) fn quoted(text: &str, max_chars: usize) -> String {
    one_line(text, max_chars).replace('`', "'")
}

fn one_line(text: &str, max_chars: usize) -> String {
    let text = visible(text);
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    if line.chars().count() <= max_chars {
        return line;
    }
    let mut cut: String = line.chars().take(max_chars.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// Escapes what could open a block at the line's beginning, and inline structure anywhere.
fn escape(line: &str, in_table: bool) -> String {
    let mut out = String::with_capacity(line.len() + 8);
    let block_at = block_opener(line);
    for (at, c) in line.char_indices() {
        let before = line.get(..at).unwrap_or("");
        let after = line.get(at + c.len_utf8()..).unwrap_or("");
        let splits_cell = in_table && c == '|';
        if block_at != Some(at) && !splits_cell && !opens_inline(before, c, after) {
            out.push(c);
        } else if let Some((_, name)) = ENTITIES.iter().find(|(plain, _)| *plain == c) {
            out.push_str(name);
        } else {
            out.push('\\');
            out.push(c);
        }
    }
    out
}

/// The place of the character that would make the line a block of its own, or change the line before it.
fn block_opener(line: &str) -> Option<usize> {
    match Marker::parse(line) {
        Some(Marker::Ordered { digits, .. }) => Some(digits),
        Some(Marker::Bullet { .. }) => Some(0),
        None => (TaskMark::parse(line).is_some()
            || line.starts_with(['>', '|'])
            || line.starts_with(":-")
            || atx_level(line).is_some()
            || setext_level(line).is_some()
            || is_thematic_break(line))
        .then_some(0),
    }
}

/// Whether a character between these two texts could open or close inline structure. Underscores within a
/// word cannot, so that run ids stay as they are.
fn opens_inline(before: &str, c: char, after: &str) -> bool {
    let (previous, next) = (before.chars().next_back(), after.chars().next());
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let is_space = |c: Option<char>| c.is_none_or(char::is_whitespace);
    match c {
        '\\' => next.is_none_or(|c| c.is_ascii_punctuation()),
        '`' | '<' => true,
        '>' => before.ends_with("--"),
        '&' => next.is_some_and(|c| c == '#' || c.is_ascii_alphanumeric()),
        '*' => !(is_space(previous) && is_space(next)),
        '_' => !(is_word(previous) && is_word(next)),
        ']' => matches!(next, Some('(' | '[' | ':')),
        '~' => previous == Some('~') || next == Some('~'),
        _ => false,
    }
}

/// Each line as a terminal would leave it: behind the last carriage return that something follows.
fn settled_lines(text: &str) -> String {
    let settled = |line: &str| -> String {
        let line = line.trim_end_matches('\r');
        line.rsplit('\r').next().unwrap_or("").trim_end().to_owned()
    };
    let lines: Vec<String> = text.split('\n').map(settled).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

/// Shortens a text, keeping whole lines where there are some.
fn cap(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    let room = max_bytes.saturating_sub(CUT_NOTE);
    let head_end = line_end_before(text, room / 4);
    let tail_start = line_start_after(text, text.len() - (room - room / 4));
    let left_out = tail_start - head_end;
    let head = text.get(..head_end).unwrap_or("");
    let tail = text.get(tail_start..).unwrap_or("");
    let note = format!("[… {left_out} bytes left out …]");
    let parts = [head.trim_end_matches('\n'), &note, tail];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}

/// The end of the last whole line in the first `limit` bytes; a character boundary where a line is longer.
fn line_end_before(text: &str, limit: usize) -> usize {
    let limit = boundary(text, (0..=limit).rev());
    let head = text.get(..limit).unwrap_or("");
    head.rfind('\n').map_or(limit, |newline| newline + 1)
}

/// The start of the first whole line in what begins at `from`; a character boundary where there is none.
fn line_start_after(text: &str, from: usize) -> usize {
    let from = boundary(text, from..=text.len());
    let before = text.get(..from).unwrap_or("");
    if before.is_empty() || before.ends_with('\n') {
        return from;
    }
    let tail = text.get(from..).unwrap_or("");
    tail.find('\n').map_or(from, |newline| from + newline + 1)
}

/// The first of the places that is not inside a character.
fn boundary(text: &str, mut places: impl Iterator<Item = usize>) -> usize {
    places.find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

fn longest_run(text: &str, mark: char) -> usize {
    let (mut longest, mut current) = (0, 0);
    for c in text.chars() {
        current = if c == mark { current + 1 } else { 0 };
        longest = longest.max(current);
    }
    longest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Parser, Tag};

    use super::*;
    use crate::blocks::scan;
    use crate::lines::LineKind;

    #[test]
    fn common_log_lines_stay_readable() {
        for text in [
            "Run q001_20260112_233413 failed: CUDA out of memory",
            "[Errno 28] No space left on device: '/tmp/x.pt'",
            "slurmstepd: error: *** JOB 1 ***"
                .trim_end_matches(" ***")
                .trim_start_matches('*'),
            "loss -> nan at step 12 (lr = 3e-4)",
            "~/runs/a-b.log",
            "AT&T is not R&D;",
        ] {
            let wanted = text
                .replace("***", "\\*\\*\\*")
                .replace("AT&T", "AT&amp;T")
                .replace("R&D", "R&amp;D");
            assert_eq!(plain(text, 200), wanted);
        }
    }

    #[test]
    fn structure_is_escaped() {
        let cases = [
            ("# heading", "\\# heading"),
            ("#12 is a number", "#12 is a number"),
            ("- item", "\\- item"),
            ("-3.5 degrees", "-3.5 degrees"),
            ("12. item", "12\\. item"),
            ("> quote", "&gt; quote"),
            ("[x] done", "\\[x] done"),
            ("```", "\\`\\`\\`"),
            ("<!-- ralph --> <b>", "&lt;!-- ralph --&gt; &lt;b>"),
            ("[a](http://b)", "[a\\](http://b)"),
            ("__init__ and a_b", "\\_\\_init\\_\\_ and a_b"),
            ("*.out 2 * 3", "\\*.out 2 * 3"),
            ("C:\\new \\* x\\", "C:\\new \\\\\\* x\\\\"),
            ("===", "\\==="),
            ("---", "\\---"),
            ("| a |", "\\| a |"),
        ];
        for (text, wanted) in cases {
            assert_eq!(plain(text, 99), wanted, "{text}");
        }
        assert_eq!(cell("a|b", 9), "a\\|b");
    }

    #[test]
    fn one_line_of_limited_length() {
        assert_eq!(plain("a\n  b\r\nc\u{1b}[31m d\t", 99), "a b c d");
        assert_eq!(plain("abcdef", 4), "abc…");
        assert_eq!(plain("ééé", 2), "é…");
        assert_eq!(plain("ééé", 0), "…");
        assert_eq!(plain(" \n ", 9), "");
    }

    #[test]
    fn fences_are_longer_than_what_they_hold() {
        assert_eq!(fence("a", 99), "```text\na\n```");
        assert_eq!(
            fence("```\n# x\n````\n", 99),
            "`````text\n```\n# x\n````\n`````"
        );
        assert_eq!(fence("", 99), "```text\n```");
    }

    #[test]
    fn progress_bars_are_settled() {
        assert_eq!(
            fence(" 10%\r 50%\r100%\r\ndone\r\n", 99),
            "```text\n100%\ndone\n```"
        );
    }

    #[test]
    fn long_text_keeps_head_and_tail() {
        let lines: Vec<String> = (1..=100).map(|n| format!("line {n}")).collect();
        insta::assert_snapshot!(fence(&lines.join("\n"), 120), @"
        ```text
        line 1
        line 2
        [… 729 bytes left out …]
        line 95
        line 96
        line 97
        line 98
        line 99
        line 100
        ```
        ");
        insta::assert_snapshot!(fence(&"é".repeat(100), 70), @"
        ```text
        éé
        [… 180 bytes left out …]
        éééééééé
        ```
        ");
        insta::assert_snapshot!(fence("abc", 0), @"
        ```text
        [… 3 bytes left out …]
        ```
        ");
    }

    proptest! {
        #[test]
        fn plain_text_is_one_paragraph_of_text(text in "\\PC{0,40}|[-#>*_`~\\[\\]<!&|:=+.0-9a \\\\\n\u{1b}]{0,30}") {
            let line = plain(&text, 60);
            prop_assert_eq!(line.find(['\n', '\r', '\u{1b}']), None);
            let blocks = scan(&line);
            prop_assert!(blocks.items.is_empty(), "{:?}", line);
            prop_assert!(blocks.lines.iter().all(|l| l.kind == LineKind::Text), "{:?}", line);
            for event in Parser::new(&line) {
                let harmless = matches!(event, Event::Text(_) | Event::Start(Tag::Paragraph) | Event::End(_));
                prop_assert!(harmless, "{:?} in {:?}", event, line);
            }
        }

        #[test]
        fn escaping_can_be_undone(text in "[-#>*_`~\\[\\]<!&|:=+.0-9a \\\\;mplt]{0,30}") {
            let line = one_line(&text, 99);
            prop_assert_eq!(unescape(&plain(&text, 99)), line.clone());
            prop_assert_eq!(unescape(&cell(&text, 99)), line);
        }

        #[test]
        fn a_fence_is_one_code_block(text in "([`~#a -]{0,6}[\n\r]){0,8}", limit in 0usize..90) {
            let fenced = fence(&text, limit);
            prop_assert!(fenced.len() <= limit + 120);
            let doc = format!("{fenced}\n# after\n");
            let blocks = scan(&doc);
            prop_assert_eq!(blocks.headings.len(), 1);
            let code = blocks.lines.iter().filter(|line| line.kind == LineKind::Code).count();
            prop_assert_eq!(code + 1, blocks.lines.len());
            let parsed = Parser::new(&doc).filter(|e| matches!(e, Event::Start(Tag::CodeBlock(_)))).count();
            prop_assert_eq!(parsed, 1);
        }
    }
}
