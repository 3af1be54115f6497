//! Lines that end between two words. Nothing here knows whether there is a terminal.

use unicode_width::UnicodeWidthStr;

/// Columns by which what goes on of a line stands further to the right than its beginning.
const FURTHER: usize = 2;

/// The least columns that are worth ending a line for.
const LEAST: usize = 20;

/// A text in lines of at most so many columns; a longer word has a line of its own. What stands in backquotes is one word:
/// it is there to be copied.
#[must_use]
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words(text) {
        match lines.last_mut() {
            Some(line) if columns(line) + 1 + columns(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A text whose lines are shortened to so many columns by [`wrapped`], and go on below, further to the right. Lines that fit
/// stay as they are.
#[must_use]
pub fn fitted(text: &str, width: usize) -> String {
    let fit = |line: &str| {
        let words = line.trim_start();
        let indent = line.len() - words.len() + FURTHER;
        let room = width.saturating_sub(indent);
        if columns(line) <= width || room < LEAST {
            return line.to_owned();
        }
        let begins = &line[..line.len() - words.len()];
        let between = format!("\n{}", " ".repeat(indent));
        begins.to_owned() + &wrapped(words, room).join(&between)
    };
    text.split('\n').map(fit).collect::<Vec<_>>().join("\n")
}

/// The columns that a text takes; what colours it takes none.
fn columns(text: &str) -> usize {
    UnicodeWidthStr::width(anstream::adapter::strip_str(text).to_string().as_str())
}

fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (word, after) = rest.split_at(end_of_word(rest));
        words.push(word);
        rest = after.trim_start();
    }
    words
}

/// Where the first word of a text ends. A backquote that nothing closes quotes nothing.
fn end_of_word(text: &str) -> usize {
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_whitespace() {
            break;
        }
        at += c.len_utf8();
        if c == '`' {
            at += text[at..].find('`').map_or(0, |length| length + 1);
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_between_words_and_goes_on_further_to_the_right() {
        let text = "\u{1b}[31merror\u{1b}[0m: /a/long/path: the file cannot be read\nshort";
        assert_eq!(
            fitted(text, 30),
            "\u{1b}[31merror\u{1b}[0m: /a/long/path: the\n  file cannot be read\nshort"
        );
        assert_eq!(
            fitted("  fix: one two three four", 24),
            "  fix: one two three\n    four"
        );
        assert_eq!(
            fitted("a line that has no room", 10),
            "a line that has no room"
        );
    }

    #[test]
    fn what_is_to_be_copied_is_never_broken() {
        assert_eq!(
            wrapped(
                "see them with `wb-ralph-dispatch --status --json`, or not",
                20
            ),
            [
                "see them with",
                "`wb-ralph-dispatch --status --json`,",
                "or not"
            ]
        );
        assert_eq!(
            wrapped("a ` alone is a word", 9),
            ["a ` alone", "is a word"]
        );
        assert_eq!(wrapped("実験 の 結果", 7), ["実験 の", "結果"]);
        assert!(wrapped(" \n ", 9).is_empty());
    }
}
