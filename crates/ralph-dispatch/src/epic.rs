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
        let edits = set_cells(doc, EXEC, |_, _| Some(RUNNING)).ok()?;
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
    if exec.trim() != RUNNING {
        return None;
    }
    let list = row.text(table.column(REPOSITORIES)?);
    let names: Vec<&str> = list
        .split(',')
        .map(|name| name.trim().trim_matches('`'))
        .filter(|name| !name.is_empty())
        .collect();
    if !names.iter().any(|name| fresh.contains(*name)) {
        return None;
    }
    let effect = |name: &&str| effects.get(*name).copied().unwrap_or(Effect::Nothing);
    if names.iter().any(|name| effect(name) == Effect::Failed) {
        return Some(FAILED);
    }
    names
        .iter()
        .all(|name| effect(name) == Effect::Delivered)
        .then_some(DONE)
}

#[cfg(test)]
mod tests {
    use super::*;

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
