//! From data to text. Nothing here reads a file or decides anything; colour never carries meaning alone.

pub(crate) mod ops;
pub(crate) mod report;
pub(crate) mod status;

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};

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

/// A table without lines, as wide as the terminal.
pub(crate) fn table(header: &[&str], width: usize) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    table.set_header(header.iter().map(|name| paint(BOLD, name)));
    table
}

/// A table's text, without blanks at the ends of lines.
pub(crate) fn lines(table: &Table) -> String {
    table
        .lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

/// At most so many characters, with an ellipsis where something was cut; always one line.
pub(crate) fn cut(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= most {
        return line;
    }
    let mut short: String = line.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}
