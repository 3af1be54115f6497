//! Rows in columns on a terminal: the only module that knows the table library. Nothing here knows what a cell means.

use std::iter::repeat_n;

use anstyle::Style;
use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table, presets};

use crate::render::{DIM, columns, one_line, paint};

/// Blanks between two columns.
const GAP: u16 = 2;

/// Columns that the last column keeps on a narrow terminal.
const LEAST: usize = 12;

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
/// and is cut there, so that no row is wrapped. Where too little remains the terminal wraps the rows itself, and each has
/// all of the lines that it takes.
pub(crate) fn list(header: &[&str], rows: Vec<Vec<Cell>>, width: usize) -> String {
    let width = width.max(1);
    let width = width * wide_enough(header, &rows).div_ceil(width).max(1);
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

/// The width at which something of the last column is still to be read. A terminal that has less wraps the lines itself,
/// which can be read; a column of single letters cannot.
fn wide_enough(header: &[&str], rows: &[Vec<Cell>]) -> usize {
    let Some((last, before)) = header.split_last() else {
        return 0;
    };
    let widest = |(index, name): (usize, &&str)| {
        let cells = rows.iter().filter_map(|row| row.get(index));
        let cells = cells.map(|Cell(_, text)| columns(text));
        cells.fold(columns(name), usize::max) + usize::from(GAP)
    };
    let before: usize = before.iter().enumerate().map(widest).sum();
    before + columns(last).max(LEAST)
}

/// The beginnings of rows, padded to the same width, and that width. There may be thousands of them, and nothing in
/// them is ever wrapped or cut, so the table library is not asked.
pub(crate) fn beginnings(rows: &[Vec<Cell>]) -> (Vec<String>, usize) {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut widths = vec![0; count];
    for row in rows {
        for (Cell(_, text), width) in row.iter().zip(&mut widths) {
            *width = columns(text).max(*width);
        }
    }
    let gap = usize::from(GAP);
    let begin = |row: &Vec<Cell>| {
        let mut line = String::new();
        for (Cell(style, text), width) in row.iter().zip(&widths) {
            line.push_str(&paint(*style, text));
            line.extend(repeat_n(' ', width - columns(text) + gap));
        }
        line
    };
    let width = widths.iter().map(|width| width + gap).sum();
    (rows.iter().map(begin).collect(), width)
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
    fn no_column_is_narrowed_to_letters() {
        let rows = vec![vec![
            plain("matrix-shapes"),
            plain("a question to somebody"),
        ]];
        let text = shown(&list(&["PROJECT", "NEXT"], rows, 16));
        insta::assert_snapshot!(text, @r"
        PROJECT        NEXT
        matrix-shapes  a question t…
        ");
    }

    #[test]
    fn beginnings_have_one_width() {
        let (lines, width) = beginnings(&[
            vec![plain("a"), plain("bb")],
            vec![cell(RED, "ccc"), plain("")],
            vec![cell(RED, "実験"), plain("é")],
        ]);
        let widths: Vec<usize> = lines.iter().map(|line| columns(&shown(line))).collect();
        assert_eq!(widths, [width; 3]);
    }
}
