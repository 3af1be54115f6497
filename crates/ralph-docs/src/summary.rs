//! `results/summary.md`: one row for every run, in a table below `## Runs`.
//!
//! A row belongs to the run in its `Run` cell. Columns that people add, other rows and everything outside of
//! the table are left alone.

use crate::document::Document;
use crate::edit::{Edit, EditSet};
use crate::error::DocError;
use crate::section::{self, Position};
use crate::table::{self, Table, add_row, cell_edit, row_of, row_text};
use crate::verify::checked_result;

/// The columns of the table.
const COLUMNS: [&str; 5] = ["Run", "Job", "Status", "Finished", "Note"];

/// What is known of a run. An empty text leaves the cell as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummaryRow {
    /// The run id.
    pub run: String,
    /// The scheduler's job id.
    pub job: String,
    /// How the run ended, or how it is.
    pub status: String,
    /// When it ended, as it is to be shown.
    pub finished: String,
    /// One line about it.
    pub note: String,
}

impl SummaryRow {
    fn values(&self) -> [(&'static str, &str); 5] {
        let [run, job, status, finished, note] = COLUMNS;
        [
            (run, self.run.as_str()),
            (job, &self.job),
            (status, &self.status),
            (finished, &self.finished),
            (note, &self.note),
        ]
    }
}

/// Writes the row of a run, or updates it: the first table with a column `Run` below `## Runs`, which is
/// appended where it is missing. The same row again changes nothing.
///
/// # Errors
/// The run has no id; it has more than one row; or the edit would change how the text around it is read.
pub fn record(doc: &str, row: &SummaryRow) -> Result<EditSet, DocError> {
    if row.run.trim().is_empty() {
        return Err(DocError::refused("a row of the summary needs a run id."));
    }
    let document = Document::new(doc);
    let edits = match section::find(&document, &["runs"]) {
        Some(span) => {
            let tables = table::read(&document, span.direct());
            match tables
                .into_iter()
                .find(|table| table.column("Run").is_some())
            {
                Some(table) => row_edits(&document, &table, row)?,
                None => vec![section::place(
                    &document,
                    span,
                    &new_table(&document, row),
                    Position::Bottom,
                )],
            }
        }
        None => vec![section::append(
            &document,
            "Runs",
            &new_table(&document, row),
        )],
    };
    checked_result(&document, edits, |after| has_row(after, row))
}

/// A new row, or the cells of the run's row that say something else.
fn row_edits(
    document: &Document<'_>,
    table: &Table,
    row: &SummaryRow,
) -> Result<Vec<Edit>, DocError> {
    let key_column = table.column("Run").unwrap_or(0);
    let Some(found) = row_of(table, key_column, row.run.trim())? else {
        return Ok(vec![add_row(
            document,
            table,
            &row_text(table, &row.values()),
        )]);
    };
    let known = row
        .values()
        .into_iter()
        .filter(|(name, value)| *name != "Run" && !value.is_empty());
    let edits =
        known.filter_map(|(name, value)| cell_edit(document, found, table.column(name)?, value));
    Ok(edits.collect())
}

fn new_table(document: &Document<'_>, row: &SummaryRow) -> String {
    let table = Table {
        range: 0..0,
        line: 1,
        columns: COLUMNS.map(str::to_owned).to_vec(),
        rows: Vec::new(),
    };
    let rule = "|---".repeat(COLUMNS.len());
    let header = format!("| {} |", COLUMNS.join(" | "));
    document.join(&[header, format!("{rule}|"), row_text(&table, &row.values())])
}

fn has_row(document: &Document<'_>, row: &SummaryRow) -> bool {
    let Some(span) = section::find(document, &["runs"]) else {
        return false;
    };
    let tables = table::read(document, span.direct());
    tables.iter().any(|table| {
        let column = table.column("Run");
        column.is_some_and(|column| {
            table
                .rows
                .iter()
                .any(|found| found.text(column) == row.run.trim())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DocErrorCode;

    fn row(run: &str, status: &str, note: &str) -> SummaryRow {
        SummaryRow {
            run: run.to_owned(),
            job: "7".to_owned(),
            status: status.to_owned(),
            finished: String::new(),
            note: note.to_owned(),
        }
    }

    fn recorded(doc: &str, row: &SummaryRow) -> String {
        let result = record(doc, row).unwrap().apply(doc);
        assert!(record(&result, row).unwrap().is_empty(), "{result}");
        result
    }

    #[test]
    fn a_table_grows_and_rows_are_updated() {
        let doc = "# Results\n\nProse.\n";
        let one = recorded(doc, &row("q001_a", "running", ""));
        let two = recorded(&one, &row("q002_b", "failed", "OOM | # x\n<b>"));
        let three = recorded(
            &two,
            &SummaryRow {
                finished: "2026-01-12".to_owned(),
                ..row("q001_a", "completed", "")
            },
        );
        insta::assert_snapshot!(three, @r#"
        # Results

        Prose.

        ## Runs

        | Run | Job | Status | Finished | Note |
        |---|---|---|---|---|
        | q001_a | 7 | completed | 2026-01-12 |  |
        | q002_b | 7 | failed |  | OOM \| # x &lt;b> |
        "#);
    }

    #[test]
    fn a_persons_columns_rows_and_notes_stay() {
        let doc = "## Runs\n(none)\n\n| Seed | Run | Status | MSE |\n|--|--|--|--|\n| 1 | q001_a | running | 0.1 |\n\nafter\n";
        let result = recorded(doc, &row("q001_a", "completed", "fine"));
        assert_eq!(result, doc.replace("running", "completed"));
        let result = recorded(doc, &row("q002_b", "failed", ""));
        assert_eq!(
            result,
            doc.replace("0.1 |\n", "0.1 |\n|  | q002_b | failed |  |\n")
        );
        let kept = recorded(
            &recorded("", &row("a", "failed", "why")),
            &row("a", "failed", ""),
        );
        assert!(kept.contains("| why |"), "{kept}");
    }

    #[test]
    fn a_placeholder_gives_way() {
        let doc = "## Runs\n\n(none yet)\n\n## Notes\n";
        let result = recorded(doc, &row("a", "running", ""));
        assert!(result.starts_with("## Runs\n\n| Run | Job |"), "{result}");
        assert!(
            result.ends_with("| a | 7 | running |  |  |\n\n## Notes\n"),
            "{result}"
        );
    }

    #[test]
    fn a_run_needs_an_id_and_one_row() {
        assert_eq!(
            record("", &row(" ", "x", "")).unwrap_err().code,
            DocErrorCode::Refused
        );
        let twice = "## Runs\n|Run|Job|\n|-|-|\n|a|1|\n|a|2|\n";
        assert_eq!(
            record(twice, &row("a", "x", "")).unwrap_err().code,
            DocErrorCode::Ambiguous
        );
    }
}
