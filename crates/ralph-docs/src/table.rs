//! GFM tables: cells by the key in a row's first column and by the name of a column.
//!
//! A column is found by its header, never by its position, and a table without it is passed over. Changing a
//! cell leaves the padding and every other cell as they are. Tables in lists and quotes are not looked at.

use std::ops::Range;

use crate::document::Document;
use crate::edit::{Edit, EditSet};
use crate::error::DocError;
use crate::lines::LineKind;
use crate::quote::{cell, plain, unescape};
use crate::verify::checked;

/// The longest text of a cell, in characters.
const MAX_CELL: usize = 300;

/// A table of a document, with the ranges of its cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// All of its lines, in bytes.
    pub range: Range<usize>,
    /// Its first line, counted from 1.
    pub line: usize,
    /// The column names.
    pub columns: Vec<String>,
    /// The rows below the header.
    pub rows: Vec<Row>,
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its line, counted from 1.
    pub line: usize,
    /// Its line, in bytes, without the line ending.
    pub range: Range<usize>,
    /// Its cells; there may be fewer than columns, or more.
    pub cells: Vec<Cell>,
}

/// A cell of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// What it says, without code and bold marks and without escapes.
    pub text: String,
    /// Its text in bytes, without the blank space around it; where it is empty, all that is between the
    /// bars.
    pub range: Range<usize>,
}

impl Table {
    /// The place of a column, from 0, by its name; case does not matter. `None` where the table has no such column.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        let same = |column: &String| column.eq_ignore_ascii_case(name.trim());
        self.columns.iter().position(same)
    }
}

impl Row {
    /// What the cell of a column says; empty where the row has none.
    #[must_use]
    pub fn text(&self, column: usize) -> &str {
        self.cells.get(column).map_or("", |cell| cell.text.as_str())
    }
}

/// The tables of a document.
#[must_use]
pub fn tables(doc: &str) -> Vec<Table> {
    read(&Document::new(doc), 0..usize::MAX)
}

/// Sets the cell of a column in the row whose first cell is `row_key`. All tables that have the column are
/// looked at. A cell that says it already is left alone.
///
/// # Errors
/// No table has the column, or none of their rows the key: `NotFound`. More than one row has it:
/// `Ambiguous`.
pub fn set_cell(doc: &str, row_key: &str, column: &str, value: &str) -> Result<EditSet, DocError> {
    let document = Document::new(doc);
    let mut found = Vec::new();
    let mut with_column = false;
    for table in read(&document, 0..document.count()) {
        let Some(place) = table.column(column) else {
            continue;
        };
        with_column = true;
        let rows = table.rows.into_iter();
        found.extend(
            rows.filter(|row| row.text(0) == row_key.trim())
                .map(|row| (row, place)),
        );
    }
    let (column, key) = (plain(column, 60), plain(row_key, 60));
    match &found[..] {
        [(row, place)] => {
            let edit = cell_edit(&document, row, *place, value);
            checked(&document, edit.into_iter().collect())
        }
        [] if with_column => Err(DocError::not_found(format!(
            "no row of a table with a column `{column}` begins with `{key}`."
        ))),
        [] => Err(DocError::not_found(format!(
            "no table has a column `{column}`."
        ))),
        _ => {
            let lines: Vec<usize> = found.iter().map(|(row, _)| row.line).collect();
            Err(DocError::ambiguous(
                &format!("the row `{key}`"),
                &lines,
                "give each a first cell of its own.",
            ))
        }
    }
}

/// Sets cells of a column in all tables that have it: `value` looks at a row and says what is to stand there, or
/// nothing. A cell that says it already is left alone.
///
/// # Errors
/// An edit would change how another line is read: `Refused`.
pub fn set_cells<'v>(
    doc: &str,
    column: &str,
    mut value: impl FnMut(&Table, &Row) -> Option<&'v str>,
) -> Result<EditSet, DocError> {
    let document = Document::new(doc);
    let mut edits = Vec::new();
    for table in read(&document, 0..document.count()) {
        let Some(place) = table.column(column) else {
            continue;
        };
        for row in &table.rows {
            let edit = value(&table, row).and_then(|value| cell_edit(&document, row, place, value));
            edits.extend(edit);
        }
    }
    checked(&document, edits)
}

/// The tables whose header is in a range of lines.
pub(crate) fn read(document: &Document<'_>, lines: Range<usize>) -> Vec<Table> {
    let mut tables = Vec::new();
    let mut line = lines.start;
    let end = lines.end.min(document.count());
    while line < end {
        match table_at(document, line) {
            Some(table) => {
                line += table.rows.len() + 2;
                tables.push(table);
            }
            None => line += 1,
        }
    }
    tables
}

/// The table whose header is on a line: the delimiters below it must have as many cells.
fn table_at(document: &Document<'_>, header: usize) -> Option<Table> {
    let columns = row_at(document, header)?;
    let delimiters = row_at(document, header + 1)?;
    let all_delimit = delimiters.cells.iter().all(|cell| is_delimiter(&cell.text));
    if columns.cells.len() != delimiters.cells.len() || !all_delimit {
        return None;
    }
    let rows: Vec<Row> = (header + 2..document.count())
        .map_while(|line| row_line(document, line))
        .collect();
    Some(Table {
        range: document.bytes_of(header..header + 2 + rows.len()),
        line: header + 1,
        columns: columns.cells.into_iter().map(|cell| cell.text).collect(),
        rows,
    })
}

fn is_delimiter(text: &str) -> bool {
    let dashes = text.strip_prefix(':').unwrap_or(text);
    let dashes = dashes.strip_suffix(':').unwrap_or(dashes);
    !dashes.is_empty() && dashes.bytes().all(|b| b == b'-')
}

/// A row with at least one bar, which a header and its delimiters need.
fn row_at(document: &Document<'_>, line: usize) -> Option<Row> {
    row_line(document, line).filter(|row| document.slice(row.range.clone()).contains('|'))
}

fn row_line(document: &Document<'_>, line: usize) -> Option<Row> {
    let found = document.line(line)?;
    if found.kind != LineKind::Text || found.depth > 0 || found.quoted {
        return None;
    }
    let text = document.line_text(line);
    let cell = |range: Range<usize>| Cell {
        text: cell_text(text.get(range.clone()).unwrap_or("")),
        range: found.start + range.start..found.start + range.end,
    };
    Some(Row {
        line: line + 1,
        range: found.start..found.text_end,
        cells: split_cells(text).into_iter().map(cell).collect(),
    })
}

/// The cells of a line, without the blank space around them unless there is nothing else.
fn split_cells(text: &str) -> Vec<Range<usize>> {
    let content = text.trim_end_matches([' ', '\t']);
    let start = text.len() - text.trim_start_matches([' ', '\t']).len();
    let mut cells = Vec::new();
    let mut from = start + usize::from(content.get(start..).is_some_and(|c| c.starts_with('|')));
    let mut escaped = false;
    for (at, byte) in content.bytes().enumerate().skip(from) {
        if byte == b'|' && !escaped {
            cells.push(trim(text, from..at));
            from = at + 1;
        }
        escaped = byte == b'\\' && !escaped;
    }
    if from < content.len() {
        cells.push(trim(text, from..content.len()));
    }
    cells
}

/// A cell's bytes without the padding, which an edit leaves as it is.
fn trim(text: &str, range: Range<usize>) -> Range<usize> {
    let inner = text.get(range.clone()).unwrap_or("");
    let trimmed = inner.trim_matches([' ', '\t']);
    if trimmed.is_empty() {
        return range;
    }
    let start = range.start + inner.len() - inner.trim_start_matches([' ', '\t']).len();
    start..start + trimmed.len()
}

/// What a cell says: a key is the same key in backticks or in bold.
fn cell_text(text: &str) -> String {
    let text = text.trim();
    let marked = |mark: &str| {
        text.strip_prefix(mark)
            .and_then(|rest| rest.strip_suffix(mark))
    };
    let bare = marked("**")
        .or_else(|| marked("`"))
        .filter(|bare| !bare.is_empty());
    unescape(bare.unwrap_or(text).trim())
}

/// The edit that makes a cell say something, or nothing where it does.
pub(crate) fn cell_edit(
    document: &Document<'_>,
    row: &Row,
    column: usize,
    value: &str,
) -> Option<Edit> {
    let shown = cell(value, MAX_CELL);
    if unescape(&shown) == row.text(column) {
        return None;
    }
    match row.cells.get(column) {
        Some(found) => {
            let empty = document.slice(found.range.clone()).trim().is_empty();
            let text = if empty { format!(" {shown} ") } else { shown };
            Some(Edit::replace(found.range.clone(), text))
        }
        None => Some(Edit::insert(
            row.range.end,
            missing_cells(document, row, column, &shown),
        )),
    }
}

/// The cells that a short row needs to reach a column.
fn missing_cells(document: &Document<'_>, row: &Row, column: usize, shown: &str) -> String {
    let text = document.slice(row.range.clone()).trim_end();
    let closed = text.ends_with('|') && !text.ends_with("\\|");
    let between = " |".repeat(column - row.cells.len());
    if closed {
        format!("{between} {shown} |")
    } else {
        format!("{between} | {shown}")
    }
}

/// A row for a table, as a whole line: each column's value by its name, where there is one.
pub(crate) fn row_text(table: &Table, values: &[(&str, &str)]) -> String {
    let value = |column: &String| {
        let named = values
            .iter()
            .find(|(name, _)| column.eq_ignore_ascii_case(name));
        named.map_or_else(String::new, |(_, value)| cell(value, MAX_CELL))
    };
    let cells: Vec<String> = table.columns.iter().map(value).collect();
    format!("| {} |", cells.join(" | "))
}

/// The row of a table with a key in a column.
///
/// # Errors
/// More than one row has it.
pub(crate) fn row_of<'t>(
    table: &'t Table,
    column: usize,
    key: &str,
) -> Result<Option<&'t Row>, DocError> {
    let found: Vec<&Row> = table
        .rows
        .iter()
        .filter(|row| row.text(column) == key)
        .collect();
    match found[..] {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        _ => {
            let lines: Vec<usize> = found.iter().map(|row| row.line).collect();
            let what = format!("the row `{}`", plain(key, 60));
            Err(DocError::ambiguous(&what, &lines, "keep one of them."))
        }
    }
}

/// The edit that adds a row at the end of a table.
pub(crate) fn add_row(document: &Document<'_>, table: &Table, text: &str) -> Edit {
    // The line behind the last row: the header's line counts from 1, and the delimiters follow it.
    let below = table.line + 1 + table.rows.len();
    document.insertion(below, &document.join(&[text.to_owned()]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::DocErrorCode;

    const EPIC: &str = "\
## EPIC 7 — Search

### PRDs
| PRD | Status | fix_plan repos | Exec |
|-----|:------:|----------------|------|
| PRD-007 Title | approved | svc-a, svc-web | ~ |
| **PRD-008** x \\| y | approved | svc-b |  |
| `PRD-009` | draft

| Key | Meaning |
|---|---|
| PRD-007 Title | another table |
";

    fn set(key: &str, column: &str, value: &str) -> Result<String, DocErrorCode> {
        let edits = set_cell(EPIC, key, column, value).map_err(|error| error.code)?;
        let result = edits.apply(EPIC);
        assert!(set_cell(&result, key, column, value).unwrap().is_empty());
        Ok(result)
    }

    #[test]
    fn reads_columns_and_cells() {
        let found = tables(EPIC);
        assert_eq!(found.len(), 2);
        assert_eq!(
            found[0].columns,
            ["PRD", "Status", "fix_plan repos", "Exec"]
        );
        let keys: Vec<_> = found[0]
            .rows
            .iter()
            .map(|row| (row.line, row.text(0), row.text(3)))
            .collect();
        assert_eq!(
            keys,
            [
                (6, "PRD-007 Title", "~"),
                (7, "**PRD-008** x | y", ""),
                (8, "PRD-009", "")
            ]
        );
        assert!(EPIC[found[0].range.clone()].ends_with("draft\n"));
    }

    #[test]
    fn sets_one_cell_and_nothing_else() {
        let line = |result: &str, n: usize| result.lines().nth(n).unwrap().to_owned();
        let done = set("PRD-007 Title", "exec", "✓").unwrap();
        assert_eq!(done, EPIC.replace("svc-web | ~ |", "svc-web | ✓ |"));
        assert_eq!(
            line(&set("**PRD-008** x | y", "Exec", "✗").unwrap(), 6),
            "| **PRD-008** x \\| y | approved | svc-b | ✗ |"
        );
        assert_eq!(
            line(&set("PRD-009", "Exec", "a|b").unwrap(), 7),
            "| `PRD-009` | draft | | a\\|b"
        );
        assert_eq!(
            line(&set("PRD-009", "Status", "approved").unwrap(), 7),
            "| `PRD-009` | approved"
        );
    }

    #[test]
    fn cells_of_a_column_are_set_row_by_row() {
        let approved = |table: &Table, row: &Row| {
            let status = row.text(table.column("Status").unwrap());
            (status == "approved").then_some("✓")
        };
        let done = set_cells(EPIC, "exec", approved).unwrap().apply(EPIC);
        assert_eq!(
            done,
            EPIC.replace("svc-web | ~ |", "svc-web | ✓ |")
                .replace("svc-b |  |", "svc-b | ✓ |")
        );
        assert!(set_cells(&done, "Exec", approved).unwrap().is_empty());
        assert!(
            set_cells(EPIC, "None", |_, _| Some("x"))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_short_row_is_filled_up() {
        let doc = "|a|b|c|\n|-|-|-|\n| x |\n||y|z|\n";
        assert_eq!(
            set_cell(doc, "x", "c", "v").unwrap().apply(doc),
            "|a|b|c|\n|-|-|-|\n| x | | v |\n||y|z|\n"
        );
        let row = &tables(doc)[0].rows[1];
        assert_eq!((row.text(0), row.text(1), row.text(2)), ("", "y", "z"));
        assert_eq!(
            set_cell(doc, "", "a", "k").unwrap().apply(doc),
            doc.replace("||y", "| k |y")
        );
    }

    #[test]
    fn what_cannot_be_found_is_said() {
        assert_eq!(
            set("PRD-1", "Exec", "x").unwrap_err(),
            DocErrorCode::NotFound
        );
        assert_eq!(
            set("PRD-009", "None", "x").unwrap_err(),
            DocErrorCode::NotFound
        );
        let twice = "|a|b|\n|-|-|\n|x|1|\n|x|2|\n";
        assert_eq!(
            set_cell(twice, "x", "b", "3").unwrap_err().code,
            DocErrorCode::Ambiguous
        );
    }

    #[test]
    fn what_is_no_table() {
        for doc in [
            "a | b\n",
            "a\n---\n",
            "| a |\n| - | - |\n",
            "```\n|a|\n|-|\n```\n",
            "- |a|\n  |-|\n",
        ] {
            assert_eq!(tables(doc), [], "{doc:?}");
        }
        assert_eq!(tables("text\n|a|\n|-|\nrow\n\nafter\n")[0].rows.len(), 1);
    }

    proptest! {
        #[test]
        fn any_value_can_be_read_back(value in "[a-z|\\\\`* ~<>&;_-]{0,12}") {
            let doc = "|k|v|w|\n|-|-|-|\n|x|old|z|\n";
            let result = set_cell(doc, "x", "v", &value).unwrap().apply(doc);
            let row = &tables(&result)[0].rows[0];
            prop_assert_eq!(row.cells.len(), 3);
            prop_assert_eq!(row.text(2), "z");
            prop_assert!(set_cell(&result, "x", "v", &value).unwrap().is_empty());
        }
    }
}
