//! From data to text. Nothing here reads a file or decides anything; colour never carries meaning alone.

pub(crate) mod answers;
pub(crate) mod cluster;
pub(crate) mod doctor;
pub(crate) mod lock;
pub(crate) mod looping;
pub(crate) mod loops;
pub(crate) mod ops;
pub(crate) mod report;
pub(crate) mod runs;
pub(crate) mod schemas;
pub(crate) mod selftest;
pub(crate) mod status;
pub(crate) mod status_table;
pub(crate) mod table;
pub(crate) mod validate;

use anstyle::{AnsiColor, Style};

pub(crate) use ralph_front::SCHEMA_VERSION;

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
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).collect()
}

/// At most so many characters, with an ellipsis where something was cut; always one line.
pub(crate) fn cut(text: &str, most: usize) -> String {
    let line = one_line(text);
    if line.chars().count() <= most {
        return line;
    }
    let mut short: String = line.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}
