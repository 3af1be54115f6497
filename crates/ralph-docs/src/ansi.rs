//! What a terminal would have done with a text: escape sequences and control characters are taken out.
//!
//! Log lines come from programs that nobody here controls. What is left after this holds no escape, no
//! control character but `\n`, `\r` and the tab, and nothing invisible that reorders or hides text.

use std::iter::Peekable;
use std::str::Chars;

/// The text without escape sequences, control characters and invisible formatting.
#[must_use]
pub fn visible(text: &str) -> String {
    // Logs are mostly plain, and long.
    if text
        .bytes()
        .all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t'))
    {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_control_sequence(&mut chars),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => skip_string(&mut chars),
            '\u{2028}' | '\u{2029}' => out.push(' '),
            c if is_invisible(c) => {}
            c => out.push(c),
        }
    }
    out
}

fn is_invisible(c: char) -> bool {
    let formatting = matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    );
    formatting || (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}

fn skip_escape(chars: &mut Peekable<Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_control_sequence(chars);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            chars.next();
            skip_string(chars);
        }
        Some(' '..='/') => {
            while chars.next_if(|c| (' '..='/').contains(c)).is_some() {}
            chars.next_if(|c| ('0'..='~').contains(c));
        }
        _ => {
            chars.next_if(|c| ('0'..='~').contains(c));
        }
    }
}

/// Parameters, intermediates and the final character; stops before anything else.
fn skip_control_sequence(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|c| (' '..='?').contains(c)).is_some() {}
    chars.next_if(|c| ('@'..='~').contains(c));
}

/// Everything to the terminator. A string that is never terminated ends with its line, so that it cannot
/// hide the rest of a log.
fn skip_string(chars: &mut Peekable<Chars<'_>>) {
    while let Some(c) = chars.next_if(|c| !matches!(c, '\n' | '\r')) {
        match c {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' => {
                chars.next_if_eq(&'\\');
                return;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn colours_titles_and_controls_go() {
        assert_eq!(
            visible("\u{1b}[1;31mred\u{1b}[0m \u{1b}]0;title\u{7}x\u{1b}(By\u{8}"),
            "red xy"
        );
        assert_eq!(visible("\u{9b}2Ka\u{1b}Pq\u{1b}\\b\u{1b}=c"), "abc");
        assert_eq!(visible("a\u{202e}b\u{200b}c\u{2028}d\te"), "abc d\te");
    }

    #[test]
    fn an_unfinished_sequence_hides_no_other_line() {
        assert_eq!(visible("\u{1b}]0;never ends\nError: x"), "\nError: x");
        assert_eq!(visible("a\u{1b}"), "a");
        assert_eq!(visible("a\u{1b}["), "a");
        assert_eq!(visible("\u{1b}[\u{e9}t\u{e9}"), "\u{e9}t\u{e9}");
    }

    proptest! {
        #[test]
        fn nothing_invisible_is_left(text in any::<String>()) {
            let left = visible(&text);
            prop_assert!(!left.chars().any(is_invisible));
            prop_assert_eq!(visible(&left), left.clone());
        }
    }
}
