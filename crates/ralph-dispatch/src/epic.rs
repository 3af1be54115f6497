//! The Exec cells of `EPIC-PIPELINE.md`: which change, by what became of the loops. Pure.
//!
//! A table is known by its column `Exec`, wherever it stands, and a row's repositories by the column `fix_plan repos`.
//! Only a `~` changes: to `✓` when every repository of the row exited with 0 and surfaced a pull request, to `✗` when
//! one failed. Everything else stays.

use std::collections::{BTreeMap, BTreeSet};

use ralph_docs::table::{Row, Table, set_cells};
use ralph_docs::{DocError, EditSet};

const EXEC: &str = "Exec";
const REPOSITORIES: &str = "fix_plan repos";
/// What people put around a name or a symbol.
const MARKS: [char; 4] = ['`', '*', '_', ' '];
const RUNNING: &str = "~";
const DONE: &str = "✓";
const FAILED: &str = "✗";

/// What a repository's loop means for its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It exited with 0 and surfaced a pull request.
    Delivered,
    /// It failed.
    Failed,
    /// Anything else.
    Nothing,
}

/// A cell that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The row, by its first cell.
    pub(crate) row: String,
    /// What the cell says now.
    pub(crate) exec: &'static str,
}

/// The edits, and what they change. Rows none of whose repositories is `fresh` stay: what a person wrote there since
/// is theirs.
///
/// # Errors
/// The document cannot be edited safely.
pub(crate) fn edits(
    doc: &str,
    effects: &BTreeMap<String, Effect>,
    fresh: &BTreeSet<String>,
) -> Result<(EditSet, Vec<Change>), DocError> {
    let mut changes = Vec::new();
    let edits = set_cells(doc, EXEC, |table, row| {
        let exec = cell(table, row, effects, fresh)?;
        changes.push(Change {
            row: row.text(0).to_owned(),
            exec,
        });
        Some(exec)
    })?;
    Ok((edits, changes))
}

/// Whether two texts of the pipeline differ in Exec cells only: what a sweep leaves is no work of a person's.
pub(crate) fn differ_in_exec_only(one: &str, other: &str) -> bool {
    let blind = |doc: &str| {
        // A word that stands in no cell, so that all of each is replaced, with the marks around what it said.
        let edits = set_cells(doc, EXEC, |_, _| Some("(Exec)")).ok()?;
        Some(edits.apply(doc))
    };
    blind(one).is_some_and(|text| blind(other).as_ref() == Some(&text))
}

fn cell(
    table: &Table,
    row: &Row,
    effects: &BTreeMap<String, Effect>,
    fresh: &BTreeSet<String>,
) -> Option<&'static str> {
    let exec = row.text(table.column(EXEC)?);
    if exec.trim_matches(MARKS) != RUNNING {
        return None;
    }
    let names = names(row.text(repositories(table)?));
    if !names.iter().any(|name| fresh.contains(name)) {
        return None;
    }
    let effect = |name: &String| effects.get(name).copied().unwrap_or(Effect::Nothing);
    if names.iter().any(|name| effect(name) == Effect::Failed) {
        return Some(FAILED);
    }
    names
        .iter()
        .all(|name| effect(name) == Effect::Delivered)
        .then_some(DONE)
}

/// The place of the column with a row's repositories, whatever marks are in its name.
fn repositories(table: &Table) -> Option<usize> {
    let bare = |name: &str| {
        let words: Vec<String> = name
            .split(|c: char| c.is_whitespace() || MARKS.contains(&c))
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        words.join(" ")
    };
    let wanted = bare(REPOSITORIES);
    let mut columns = table.columns.iter();
    columns.position(|column| bare(column) == wanted)
}

/// The names in a cell, as people write lists. Any other word is a name that nothing is known of, so that a row is not
/// called done for what was not understood.
fn names(cell: &str) -> Vec<String> {
    let text = without_addresses(cell);
    let mut names = Vec::new();
    for part in text
        .replace("<br>", ",")
        .replace("<br/>", ",")
        .replace("<br />", ",")
        .split([',', ';', '|', '&', '+', ' ', '\t', '\u{a0}'])
    {
        let name = part.trim_matches(MARKS);
        if name.contains(char::is_alphanumeric) && name != "and" {
            names.push(name.to_owned());
        }
    }
    names
}

/// A text in which links are their words: `[svc-a](https://host/o/svc-a)`.
fn without_addresses(text: &str) -> String {
    let mut found = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        let link = after.split_once("](").and_then(|(words, behind)| {
            let (_, behind) = behind.split_once(')')?;
            Some((words, behind))
        });
        let Some((words, behind)) = link else { break };
        found.push_str(before);
        found.push_str(words);
        rest = behind;
    }
    found + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_people_write_them() {
        let found = |cell: &str| names(cell).join(" ");
        for cell in [
            "svc-a, svc-b",
            "`svc-a`,`svc-b`",
            "**svc-a**; *svc-b*",
            "svc-a and svc-b",
            "svc-a & svc-b",
            "svc-a<br>svc-b",
            "svc-a | svc-b",
            "✅ svc-a 🚀 svc-b —",
            "[svc-a](https://h/o/svc-a), [`svc-b`](https://h/o/svc-b \"t\")",
            " svc-a ,, svc-b, ",
        ] {
            assert_eq!(found(cell), "svc-a svc-b", "{cell}");
        }
        assert_eq!(found("—"), "");
        assert_eq!(found("[x] svc-a"), "[x] svc-a");
        assert_eq!(found("svc-a (later)"), "svc-a (later)");
    }

    #[test]
    fn rows_as_people_write_them() {
        let doc = "\
|PRD|`fix_plan` Repos|**Exec**|
|---|:--:|--:|
|[PRD-1](a.md) \\| first|**svc-a**, [svc-web](https://h/svc-web)|**~**|
| PRD-2 🚀 | svc-a and svc-bad | `~` |
| PRD-3 | svc-a (later) | ~ |
| PRD-4 | svc-a |
| PRD-5 | svc-a | ~~ |
| PRD-6 | svc-a | ✓ ~ |
";
        let (done, changes) = run(doc, &["svc-a"]);
        assert_eq!(
            done,
            doc.replace("|**~**|", "|✓|").replace("| `~` |", "| ✗ |")
        );
        assert_eq!(changes.len(), 2);
        assert!(differ_in_exec_only(doc, &done));
    }

    const DOC: &str = "\
# Pipeline

## EPIC 7 — Search

### PRDs
| PRD | Status | fix_plan repos | Exec |
|-----|--------|----------------|------|
| PRD-1 both | approved | svc-a, svc-web | ~ |
| PRD-2 one failed | approved | svc-a, svc-bad | ~ |
| PRD-3 one without a pull request | approved | svc-a, svc-quiet | ~ |
| PRD-4 one not launched | approved | svc-a, svc-other | ~ |
| PRD-5 not running | approved | svc-a | — |
| PRD-6 ticked | approved | svc-bad | ✓ |
| PRD-7 nobody's | approved | — | ~ |
| PRD-8 code | approved | `svc-a` ,svc-web |~|

### Another order
|Exec|fix_plan repos|PRD|
|:-:|-|-|
| ~ | svc-web | PRD-9 |

### Smoke
| PRD | Exec |
|-----|------|
| PRD-10 | ~ |

| Symbol | Meaning |
|---|---|
| ~ | svc-a |
";

    fn run(doc: &str, fresh: &[&str]) -> (String, Vec<String>) {
        let effects = [
            ("svc-a", Effect::Delivered),
            ("svc-web", Effect::Delivered),
            ("svc-bad", Effect::Failed),
            ("svc-quiet", Effect::Nothing),
        ]
        .map(|(name, effect)| (name.to_owned(), effect))
        .into();
        let fresh = fresh.iter().map(|name| (*name).to_owned()).collect();
        let (edits, changes) = edits(doc, &effects, &fresh).unwrap();
        let changes = changes.iter().map(|c| format!("{} {}", c.row, c.exec));
        (edits.apply(doc), changes.collect())
    }

    #[test]
    fn rows_follow_their_repositories_and_nothing_else_changes() {
        let (done, changes) = run(DOC, &["svc-a", "svc-web", "svc-bad", "svc-quiet"]);
        assert_eq!(
            done,
            DOC.replace("svc-a, svc-web | ~ |", "svc-a, svc-web | ✓ |")
                .replace("svc-bad | ~ |", "svc-bad | ✗ |")
                .replace("svc-web |~|", "svc-web |✓|")
                .replace("| ~ | svc-web |", "| ✓ | svc-web |")
        );
        assert_eq!(
            changes,
            ["PRD-1 both ✓", "PRD-2 one failed ✗", "PRD-8 code ✓", "✓ ✓"].map(str::to_owned)[..3]
                .iter()
                .cloned()
                .chain(["~ ✓".to_owned()])
                .collect::<Vec<_>>()
        );
        let (again, changes) = run(&done, &["svc-a", "svc-web", "svc-bad", "svc-quiet"]);
        assert_eq!((again, changes.len()), (done, 0));
    }

    #[test]
    fn a_sweep_is_told_from_a_persons_work() {
        let (swept, _) = run(DOC, &["svc-a", "svc-bad"]);
        assert!(swept != DOC && differ_in_exec_only(DOC, &swept));
        assert!(!differ_in_exec_only(
            DOC,
            &swept.replace("PRD-1 ", "PRD-11 ")
        ));
        assert!(!differ_in_exec_only(DOC, &DOC.replace("approved", "draft")));
    }

    #[test]
    fn only_rows_of_newly_ended_loops_are_touched() {
        assert_eq!(run(DOC, &[]).1.len(), 0);
        assert_eq!(run(DOC, &["svc-bad"]).1, ["PRD-2 one failed ✗"]);
        let windows = DOC.replace('\n', "\r\n");
        assert_eq!(
            run(&windows, &["svc-bad"]).0,
            windows.replace("svc-bad | ~ |", "svc-bad | ✗ |")
        );
    }
}
