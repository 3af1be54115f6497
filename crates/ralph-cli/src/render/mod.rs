//! From data to text. Nothing here reads a file or decides anything; colour never carries meaning alone.

pub(crate) mod answers;
pub(crate) mod cluster;
pub(crate) mod doctor;
pub(crate) mod lock;
pub(crate) mod loop_checks;
pub(crate) mod loop_end;
pub(crate) mod looping;
pub(crate) mod loops;
pub(crate) mod ops;
pub(crate) mod page;
pub(crate) mod report;
pub(crate) mod runs;
pub(crate) mod schemas;
pub(crate) mod selftest;
pub(crate) mod status;
pub(crate) mod status_table;
pub(crate) mod table;
pub(crate) mod validate;

use anstyle::{AnsiColor, Style};
use ralph_core::time::{Timestamp, elapsed, span_text};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr};

pub(crate) use ralph_front::SCHEMA_VERSION;
pub(crate) use ralph_front::wrapping::wrapped;

/// Good news.
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
/// Something waits.
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
/// Something failed.
pub(crate) const RED: Style = AnsiColor::Red.on_default();
/// Names of things.
pub(crate) const CYAN: Style = AnsiColor::Cyan.on_default();
/// Less important.
pub(crate) const DIM: Style = Style::new().dimmed();
/// Headings.
pub(crate) const BOLD: Style = Style::new().bold();

/// Text in a style.
pub(crate) fn paint(style: Style, text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("{style}{text}{style:#}")
    }
}

/// The text on one line, with one blank for every run of white space and without control characters.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().filter(|c| !c.is_control()));
    }
    line
}

/// How long ago a time is, for a column of a table; one that cannot be read stands as it was found.
pub(crate) fn age(at: &str, now: Timestamp) -> String {
    at.parse().map_or_else(
        |_| at.to_owned(),
        |at| format!("{} ago", span_text(elapsed(at, now))),
    )
}

/// The columns that a text takes on a terminal: two for each wide character, none for a combining one.
pub(crate) fn columns(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// At most so many columns, with an ellipsis where something was cut; always one line.
pub(crate) fn cut(text: &str, most: usize) -> String {
    let mut line = one_line(text);
    if columns(&line) <= most {
        return line;
    }
    let mut taken = 0;
    let end = line.char_indices().find_map(|(at, c)| {
        taken += c.width().unwrap_or(0);
        (taken >= most).then_some(at)
    });
    line.truncate(end.unwrap_or(line.len()));
    line.push('…');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_put_on_one_line_and_cut_by_the_columns_it_takes() {
        assert_eq!(one_line(" a\n\tb \u{1b}[31mc\u{7} "), "a b [31mc");
        assert_eq!(cut("four", 4), "four");
        assert_eq!(cut("fourteen", 4), "fou…");
        assert_eq!(cut("実験の結果", 5), "実験…");
        assert_eq!(cut("実験の結果", 4), "実…");
        assert_eq!(cut("実験", 4), "実験");
        assert_eq!(
            cut("e\u{301}e\u{301}e\u{301}", 3),
            "e\u{301}e\u{301}e\u{301}"
        );
        assert_eq!(cut("a", 0), "…");
    }

    #[test]
    fn a_time_is_told_by_its_age_and_what_is_none_as_it_stands() {
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        assert_eq!(age("2026-11-20T11:48:00Z", now), "12 min ago");
        assert_eq!(age("last week", now), "last week");
        assert_eq!(age("", now), "");
    }
}
