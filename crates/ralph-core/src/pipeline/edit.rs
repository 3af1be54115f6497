//! Semantic edits of a state file, and their execution.
//!
//! An edit is resolved against the text as it stands ([`resolve`]) to a few primitive actions. Each action is done
//! twice: by replacing spans of the text ([`spans`]), and on a plain tree of values ([`plain`]). At the end the new
//! text is parsed, and must be that tree; and every record of a run that was there before must still be there.
//!
//! Edits are done one after the other, each on the text that the one before left, because only then the places in
//! lists are true. Reading the text again in between costs about a millisecond for the greatest real file.
//!
//! What must never be here: a serializer for what is already in the file, a change that was not asked for.

mod fold;
mod plain;
mod resolve;
mod spans;
mod style;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::plain::Plain;
use self::resolve::{Action, Resolved};
use self::style::Style;
use super::lines::Lines;
use super::record::{self, Identity, RUN_LISTS};
use super::tree::Tree;
use super::{FORMAT, PipelineError, PipelineFile, RunKey, view};

/// One change of a state file. Applied to its own result, every edit changes nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "snake_case")]
pub enum PipelineEdit {
    /// Sets a member. Objects on the way are created where they are absent or `null`; anything else on the way is
    /// a conflict. An object set over an object changes only the members it names.
    Set {
        /// Keys from the top of the file; never into a list.
        path: Vec<String>,
        /// The new value. An equal value is left as it is written.
        value: Value,
    },
    /// Removes a member. One that is absent is no change.
    Remove {
        /// Keys from the top of the file; never into a list.
        path: Vec<String>,
    },
    /// Adds a record at the end of `active_runs`. One that any run list holds already is no change.
    AddRun {
        /// The record; it needs a `run_id`.
        run: Map<String, Value>,
    },
    /// Sets members of a record in `active_runs`. One that was moved to another run list is no change.
    UpdateRun {
        /// The record.
        run: RunKey,
        /// The members. A job id may replace nothing or a placeholder, never another job id.
        set: Map<String, Value>,
    },
    /// Sets members of a record in `active_runs` and moves it, as it is written, to the end of `completed_runs`.
    ///
    /// A record that was moved already is no change. One that stands in both lists (incident 14) is only updated, for
    /// [`PipelineEdit::FoldRun`] to settle: a finished run is listed once.
    CompleteRun {
        /// The record.
        run: RunKey,
        /// The members.
        set: Map<String, Value>,
    },
    /// Puts a record of `active_runs` into the one of `completed_runs` with the same ids, which keeps all that it says
    /// and gets what it lacks: a run that has ended is listed once (incident 14). Where the two contradict each other
    /// the record is moved beside it, so that nothing is lost. One that is not in both lists is no change.
    FoldRun {
        /// The record.
        run: RunKey,
    },
    /// Adds an event at the end of `events`. One with the same `ts`, `action` and `detail` is no change.
    AppendEvent {
        /// The event; without an `id` it gets the next free `evt-NNNN` as its first member.
        event: Map<String, Value>,
    },
}

/// Applies edits in their order.
///
/// # Errors
/// As [`PipelineFile::edit`].
pub(super) fn apply(file: &PipelineFile, edits: &[PipelineEdit]) -> Result<String, PipelineError> {
    let format = view::named_format(file.source()).filter(|(_, format)| view::is_newer(*format));
    if let Some((id, _)) = format {
        return Err(PipelineError::NewerFormat {
            found: file.raw(id).to_owned(),
            ours: FORMAT,
        });
    }
    let mut draft = Draft {
        style: Style::of(file),
        file: file.clone(),
        done: Vec::new(),
        renamed: Vec::new(),
        folded: Vec::new(),
    };
    for edit in edits {
        draft.perform(resolve::resolve(edit, &draft.file)?)?;
    }
    if !draft.done.is_empty() {
        draft.check(file)?;
    }
    Ok(draft.file.text)
}

/// A text on its way.
struct Draft {
    /// How the file was written before the first edit.
    style: Style,
    file: PipelineFile,
    /// The actions that changed something, in their order.
    done: Vec<Action>,
    /// Records whose job id was filled in.
    renamed: Vec<(Identity, Identity)>,
    /// Records that went into another one with the same ids.
    folded: Vec<Identity>,
}

impl Draft {
    /// Does what one edit comes to; actions that change nothing leave no trace.
    fn perform(&mut self, resolved: Resolved) -> Result<(), PipelineError> {
        for action in resolved.actions {
            let splices = spans::splices(&self.file, &self.style, &action);
            if splices.is_empty() {
                continue;
            }
            let text = spans::splice(&self.file.text, splices)
                .ok_or_else(|| unintended("overlapping spans"))?;
            let (tree, duplicate) =
                Tree::parse(&text).map_err(|_| unintended("the result is not JSON"))?;
            if duplicate.is_some() {
                return Err(unintended("a key would stand in an object twice"));
            }
            self.file = PipelineFile { text, tree };
            self.done.push(action);
        }
        self.renamed.extend(resolved.renamed);
        self.folded.extend(resolved.folded);
        Ok(())
    }

    /// Checks the result against what was intended, and that no record was lost.
    fn check(&self, before: &PipelineFile) -> Result<(), PipelineError> {
        let mut intended = Plain::of(before, Tree::ROOT);
        for action in &self.done {
            intended.perform(action);
        }
        let result = Plain::of(&self.file, Tree::ROOT);
        if let Some((path, detail)) = intended.first_difference(&result) {
            return Err(PipelineError::UnintendedChange { path, detail });
        }
        self.check_records(before)
    }

    /// Every record that was there before is there now (incidents 4 and 5), counted, because a file may hold
    /// two records with the same ids.
    fn check_records(&self, before: &PipelineFile) -> Result<(), PipelineError> {
        let mut left: BTreeMap<Identity, usize> = BTreeMap::new();
        for (_, identity) in identities(&self.file) {
            *left.entry(identity).or_default() += 1;
        }
        // A record that went into another is there as long as that one is.
        for identity in &self.folded {
            if let Some(count) = left.get_mut(identity) {
                *count += 1;
            }
        }
        for (at, was) in identities(before) {
            let is =
                self.renamed.iter().fold(
                    was.clone(),
                    |is, (from, to)| if is == *from { to.clone() } else { is },
                );
            // Of two records with the same ids only one may have been given a job id.
            let found = [is, was.clone()].into_iter().find(|identity| {
                left.get_mut(identity)
                    .filter(|count| **count > 0)
                    .map(|count| *count -= 1)
                    .is_some()
            });
            if found.is_none() {
                return Err(PipelineError::RecordLost {
                    run_id: was.run_id.unwrap_or_else(|| "-".to_owned()),
                    job_id: was.job_id.unwrap_or_else(|| "-".to_owned()),
                    line: Lines::of(before.text.as_bytes()).line(at),
                });
            }
        }
        Ok(())
    }
}

/// The records of all run lists with their offsets.
fn identities(file: &PipelineFile) -> Vec<(usize, Identity)> {
    RUN_LISTS
        .iter()
        .flat_map(|list| record::records(file, list))
        .map(|(_, record)| (file.tree.node(record.id).start, record.identity()))
        .collect()
}

/// A result that could not even be compared.
fn unintended(detail: &str) -> PipelineError {
    PipelineError::UnintendedChange {
        path: "the whole file".to_owned(),
        detail: detail.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What the check says about `after`, when the phase was meant to become `B`.
    fn check(before: &str, after: &str) -> Option<String> {
        let parse = |text: &str| PipelineFile::parse(text.to_owned()).unwrap();
        let set = json!({"phase": "B"}).as_object().cloned().unwrap();
        let at = resolve::Target::Root;
        let draft = Draft {
            style: Style::of(&parse(before)),
            file: parse(after),
            done: vec![Action::Merge { at, set }],
            renamed: Vec::new(),
            folded: Vec::new(),
        };
        draft
            .check(&parse(before))
            .err()
            .map(|error| error.to_string())
    }

    #[test]
    fn a_result_that_is_not_what_was_intended_is_refused() {
        let before = r#"{"phase": "A", "loss": 1.460, "list": [1, {"a": null}]}"#;
        let good = before.replace("\"A\"", "\"B\"");
        assert_eq!(check(before, &good), None);
        for (wrong, place) in [
            (before.to_owned(), "phase.value"),
            (good.replace("1.460", "1.46"), "loss.value"),
            (good.replace("null", "false"), "list.[1].a.value"),
            (good.replace("[1, ", "["), "list.[0].value"),
            (good.replace("null}", "null}, 2"), "list.length"),
            (good.replace("\"loss\"", "\"lost\""), "lost"),
            (good.replace("null}]", "null}], \"more\": 1"), "length"),
        ] {
            let message = check(before, &wrong).unwrap();
            let start = format!("expected only the intended change, found another at {place}:");
            assert!(message.starts_with(&start), "{message}");
        }
    }
}
