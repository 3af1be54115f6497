//! A run that stands in `active_runs` and in `completed_runs` at once: one record of it is to be left, and nothing that
//! a record says may be lost (incidents 4, 5 and 14).
//!
//! What must never be here: a choice between two records that contradict each other.

use serde_json::{Map, Value};

use super::resolve::{ACTIVE, Action, COMPLETED, Resolved, Target, find};
use crate::pipeline::record::{self, JOB_MEMBERS};
use crate::pipeline::{PipelineFile, RunKey, RunStatus};

/// Folds the active records with these ids into the one of `completed_runs`. What that one lacks it gets; a record that
/// contradicts it is moved beside it instead, with its status put right. A run that is not in both lists is no change.
pub(super) fn fold_run(file: &PipelineFile, run: &RunKey) -> Resolved {
    let identity = run.identity();
    let mut resolved = Resolved::default();
    let filed = find(file, COMPLETED, &identity).first().copied();
    let Some((to, mut other)) = filed.and_then(|to| Some((to, members(file, COMPLETED, to)?)))
    else {
        return resolved;
    };
    // From the last to the first: places before a record that is taken out stay as they were read.
    for from in find(file, ACTIVE, &identity).into_iter().rev() {
        let Some(one) = members(file, ACTIVE, from) else {
            continue;
        };
        match missing(&one, &other) {
            Some(set) => {
                other.extend(set.clone());
                resolved.actions.extend(into(from, to, set));
                resolved.folded.push(identity.clone());
            }
            None => resolved.actions.extend(beside(from, &one, &other)),
        }
    }
    resolved
}

fn into(from: usize, to: usize, set: Map<String, Value>) -> impl Iterator<Item = Action> {
    let at = Target::Entry {
        list: COMPLETED,
        index: to,
    };
    let cut = Action::Cut {
        list: ACTIVE,
        index: from,
    };
    let merge = (!set.is_empty()).then_some(Action::Merge { at, set });
    merge.into_iter().chain([cut])
}

fn beside(
    index: usize,
    one: &Map<String, Value>,
    other: &Map<String, Value>,
) -> impl Iterator<Item = Action> + use<> {
    let at = Target::Entry {
        list: ACTIVE,
        index,
    };
    // Only ends are filed: a word that says that it lives would be asked about no more, and believed.
    let word = other.get("status").filter(|_| status(one).is_live());
    let set = word.map(|word| [("status".to_owned(), word.clone())].into_iter().collect());
    let moved = Action::Move {
        from: ACTIVE,
        index,
        to: COMPLETED,
    };
    let merge = set.map(|set| Action::Merge { at, set });
    merge.into_iter().chain([moved])
}

/// What the completed record lacks; `None` when the two contradict each other. Of two words for its status the one that
/// says how it ended counts, and when it was to be asked about next means nothing any more.
fn missing(one: &Map<String, Value>, other: &Map<String, Value>) -> Option<Map<String, Value>> {
    let names = |key: &str| key == "run_id" || JOB_MEMBERS.contains(&key);
    let mut set = Map::new();
    for (key, value) in one {
        match (key.as_str(), other.get(key)) {
            (_, Some(same)) if same == value => {}
            ("next_poll_after", _) => {}
            // Records with the same ids may write them as a text and as a number.
            (key, Some(_)) if names(key) => {}
            ("status", _) if status(one).is_live() => {}
            ("status", Some(_)) if !status(other).is_live() => return None,
            ("status", _) | (_, None) => {
                set.insert(key.clone(), value.clone());
            }
            (_, Some(_)) => return None,
        }
    }
    Some(set)
}

fn status(record: &Map<String, Value>) -> RunStatus {
    let word = record.get("status").and_then(Value::as_str);
    word.map_or(RunStatus::Live, RunStatus::parse)
}

fn members(file: &PipelineFile, list: &str, index: usize) -> Option<Map<String, Value>> {
    let records = record::records(file, list);
    let found = records.into_iter().find(|(place, _)| *place == index);
    found.map(|(_, record)| record.members())
}
