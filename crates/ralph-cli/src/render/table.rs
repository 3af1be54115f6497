//! Rows in columns on a terminal: the only module that knows the table library. Nothing here knows what a cell means.

use anstyle::Style;
use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table, presets};

use crate::render::{DIM, one_line, paint};

/// Blanks between two columns.
const GAP: u16 = 2;

/// A text and how it is shown.
#[derive(Debug, Clone)]
pub(crate) struct Cell(Style, String);

/// A cell in a style; its text is put on one line.
pub(crate) fn cell(style: Style, text: &str) -> Cell {
    Cell(style, one_line(text))
}

/// A cell as the terminal shows plain text.
pub(crate) fn plain(text: &str) -> Cell {
    cell(Style::new(), text)
}

/// One line per row. All columns but the last are as wide as what they hold; the last one takes what remains of `width`
/// and is cut there, so that no row is ever wrapped.
pub(crate) fn list(header: &[&str], rows: Vec<Vec<Cell>>, width: usize) -> String {
    let mut table = table(rows);
    table.set_header(header.iter().map(|name| paint(DIM, name)));
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    let last = table.column_count().saturating_sub(1);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if index == last { 0 } else { GAP }));
        if index < last {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    let lines = table.lines();
    lines
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

/// The beginnings of rows, padded to the same width, and that width.
pub(crate) fn beginnings(rows: Vec<Vec<Cell>>) -> (Vec<String>, usize) {
    let mut table = table(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    let width = table
        .column_max_content_widths()
        .iter()
        .map(|width| usize::from(width + GAP))
        .sum();
    (table.lines().collect(), width)
}

fn table(rows: Vec<Vec<Cell>>) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    for row in rows {
        let mut row = Row::from(
            row.iter()
                .map(|Cell(style, text)| paint(*style, text))
                .collect::<Vec<_>>(),
        );
        row.max_height(1);
        table.add_row(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::RED;

    fn shown(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn the_last_column_is_cut_where_the_line_ends() {
        let rows = vec![
            vec![
                plain("a"),
                cell(RED, "DEBUG"),
                plain("a long text that does not fit"),
            ],
            vec![plain("longer"), plain("RUN"), plain("short\nbut two lines")],
        ];
        let text = shown(&list(&["PROJECT", "PHASE", "NEXT"], rows, 36));
        insta::assert_snapshot!(text, @r"
        PROJECT  PHASE  NEXT
        a        DEBUG  a long text that…
        longer   RUN    short but two lines
        ");
        assert!(text.lines().all(|line| line.chars().count() <= 36));
    }

    #[test]
    fn beginnings_have_one_width() {
        let (lines, width) = beginnings(vec![
            vec![plain("a"), plain("bb")],
            vec![cell(RED, "ccc"), plain("")],
        ]);
        assert_eq!(
            lines
                .iter()
                .map(|line| shown(line).chars().count())
                .collect::<Vec<_>>(),
            [width, width]
        );
    }
}
