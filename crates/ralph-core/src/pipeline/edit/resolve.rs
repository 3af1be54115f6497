//! From an edit to primitive actions on the text as it stands: which record is meant, whether the edit was made
//! already, whether it still applies.
//!
//! What must never be here: a span, a blank, anything about how the text is written.

use serde_json::{Map, Value};

use super::PipelineEdit;
use super::fold::fold_run;
use crate::pipeline::grammar::Kind;
use crate::pipeline::record::{self, Identity, RUN_LISTS, Record};
use crate::pipeline::tree::Tree;
use crate::pipeline::{JobRef, PipelineError, PipelineFile, RunKey};

/// Where runs stand from their submission until they have ended.
pub(super) const ACTIVE: &str = "active_runs";
/// Where runs stand for good.
pub(super) const COMPLETED: &str = "completed_runs";
/// The log, which is only ever added to (incident 17).
const EVENTS: &str = "events";

/// A primitive change. Lists are named by their key at the top of the file, entries by their place.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    /// Sets members of an object, and of objects in it, where they differ.
    Merge {
        /// The object.
        at: Target,
        /// The members.
        set: Map<String, Value>,
    },
    /// Removes a member; one that is absent is no change.
    Remove {
        /// Keys from the top.
        path: Vec<String>,
    },
    /// Adds an element at the end of a list, which is created where it is absent or `null`.
    Append {
        /// The list.
        list: &'static str,
        /// The element.
        value: Value,
    },
    /// Moves an element, as it is written, to the end of another list, which may have to be created.
    Move {
        /// The list it is in.
        from: &'static str,
        /// Its place there.
        index: usize,
        /// The list it goes to.
        to: &'static str,
    },
    /// Takes an element out of a list: one whose content stands elsewhere.
    Cut {
        /// The list.
        list: &'static str,
        /// The place in it.
        index: usize,
    },
}

/// An object that members are set in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The whole document.
    Root,
    /// An entry of a list at the top.
    Entry {
        /// The list.
        list: &'static str,
        /// The place in it.
        index: usize,
    },
}

/// What an edit comes to.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    /// Nothing when the edit was made already.
    pub(super) actions: Vec<Action>,
    /// Records that get a job id they did not have.
    pub(super) renamed: Vec<(Identity, Identity)>,
    /// Records that went into another one with the same ids.
    pub(super) folded: Vec<Identity>,
}

impl From<Action> for Resolved {
    fn from(action: Action) -> Self {
        Self {
            actions: vec![action],
            ..Self::default()
        }
    }
}

/// Resolves one edit.
///
/// # Errors
/// [`PipelineError::Conflict`].
pub(super) fn resolve(edit: &PipelineEdit, file: &PipelineFile) -> Result<Resolved, PipelineError> {
    match edit {
        PipelineEdit::Set { path, value } => set(file, path, value),
        PipelineEdit::Remove { path } if path.is_empty() => Err(empty_path()),
        PipelineEdit::Remove { path } => Ok(Action::Remove { path: path.clone() }.into()),
        PipelineEdit::AddRun { run } => add_run(file, run),
        PipelineEdit::UpdateRun { run, set } => update_run(file, run, set),
        PipelineEdit::CompleteRun { run, set } => complete_run(file, run, set),
        PipelineEdit::FoldRun { run } => Ok(fold_run(file, run)),
        PipelineEdit::AppendEvent { event } => append_event(file, event),
    }
}

/// One merge at the top does it all: it creates what is missing on the way, and leaves alone what is not named.
/// Only what stands in the way has to be found here, because a merge would replace it.
fn set(file: &PipelineFile, path: &[String], value: &Value) -> Result<Resolved, PipelineError> {
    let Some((last, parents)) = path.split_last() else {
        return Err(empty_path());
    };
    let mut at = Some(Tree::ROOT);
    for (depth, key) in parents.iter().enumerate() {
        at = at.and_then(|id| file.tree.member(&file.text, id, key));
        if let Some(id) = at {
            let kind = file.tree.node(id).kind;
            if !matches!(kind, Kind::Object | Kind::Null) {
                let path = parents.get(..=depth).unwrap_or_default().join(".");
                return Err(conflict(path, "an object or null", excerpt(file.raw(id))));
            }
        }
    }
    let mut members = Map::new();
    members.insert(last.clone(), value.clone());
    for key in parents.iter().rev() {
        let inner = std::mem::take(&mut members);
        members.insert(key.clone(), Value::Object(inner));
    }
    Ok(Action::Merge {
        at: Target::Root,
        set: members,
    }
    .into())
}

/// A record needs a run id, or nothing could tell later that it was added already. All three lists are searched: a
/// run that was finished or cancelled by hand since must not come back to life.
fn add_run(file: &PipelineFile, run: &Map<String, Value>) -> Result<Resolved, PipelineError> {
    let identity = Identity::of_map(run);
    if identity.run_id.is_none() {
        let found = "none".to_owned();
        return Err(conflict("the new run".to_owned(), "a `run_id`", found));
    }
    require_list(file, ACTIVE)?;
    let listed = RUN_LISTS
        .iter()
        .any(|list| !find(file, list, &identity).is_empty());
    // A record that was added without a job id may have been given one since.
    let grown = !has_job(run)
        && record::records(file, ACTIVE)
            .iter()
            .any(|(_, record)| record.identity().run_id == identity.run_id);
    if listed || grown {
        return Ok(Resolved::default());
    }
    Ok(Action::Append {
        list: ACTIVE,
        value: Value::Object(run.clone()),
    }
    .into())
}

/// Exactly one record gets the members. Of several with the same ids it is the one whose place was read.
fn update_run(
    file: &PipelineFile,
    run: &RunKey,
    set: &Map<String, Value>,
) -> Result<Resolved, PipelineError> {
    let found = find_active(file, run, set)?;
    let index = match found.as_slice() {
        [] => return settled_or_missing(file, run, set),
        [index] => *index,
        several if several.contains(&run.index) => run.index,
        several => {
            return Err(conflict(
                ACTIVE.to_owned(),
                "one record with these ids",
                format!("{} of {}", several.len(), run.identity().words()),
            ));
        }
    };
    set_members(file, index, set)
}

/// Sets the members where the record is, then moves it. Where several records have the same ids all of them get
/// the members, and one is moved, unless `completed_runs` holds the run already.
fn complete_run(
    file: &PipelineFile,
    run: &RunKey,
    set: &Map<String, Value>,
) -> Result<Resolved, PipelineError> {
    let found = find_active(file, run, set)?;
    let Some(first) = found.first() else {
        return settled_or_missing(file, run, set);
    };
    require_list(file, COMPLETED)?;
    let mut resolved = Resolved::default();
    for index in &found {
        let one = set_members(file, *index, set)?;
        resolved.actions.extend(one.actions);
        resolved.renamed.extend(one.renamed);
    }
    let [left, _] = wanted(run, set);
    if find(file, COMPLETED, &left).is_empty() {
        let index = if found.contains(&run.index) {
            run.index
        } else {
            *first
        };
        resolved.actions.push(Action::Move {
            from: ACTIVE,
            index,
            to: COMPLETED,
        });
    }
    Ok(resolved)
}

/// The id is given here and not by the caller, because another writer may have added events since.
fn append_event(
    file: &PipelineFile,
    event: &Map<String, Value>,
) -> Result<Resolved, PipelineError> {
    require_list(file, EVENTS)?;
    let events = record::records(file, EVENTS);
    if events.iter().any(|(_, old)| same_event(*old, event)) {
        return Ok(Resolved::default());
    }
    let mut value = Map::new();
    if !event.contains_key("id") {
        let number = next_event_number(&events);
        value.insert("id".to_owned(), format!("evt-{number:04}").into());
    }
    value.extend(event.clone());
    Ok(Action::Append {
        list: EVENTS,
        value: Value::Object(value),
    }
    .into())
}

/// Two events are the same when time, action and detail are; one that has none of these is compared whole.
fn same_event(old: Record<'_>, event: &Map<String, Value>) -> bool {
    const MEMBERS: [&str; 3] = ["ts", "action", "detail"];
    if MEMBERS.iter().any(|name| event.contains_key(*name)) {
        return MEMBERS
            .iter()
            .all(|name| old.get(name).as_ref() == event.get(*name));
    }
    let mut members = old.members();
    if !event.contains_key("id") {
        members.remove("id");
    }
    members == *event
}

/// The number after the greatest that is in use.
fn next_event_number(events: &[(usize, Record<'_>)]) -> u64 {
    events
        .iter()
        .filter_map(|(_, event)| {
            event
                .get("id")?
                .as_str()?
                .strip_prefix("evt-")?
                .parse()
                .ok()
        })
        .max()
        .map_or(1, |greatest: u64| greatest.saturating_add(1))
}

/// The entry's members, unless that would exchange an id for another.
fn set_members(
    file: &PipelineFile,
    index: usize,
    set: &Map<String, Value>,
) -> Result<Resolved, PipelineError> {
    let mut resolved = Resolved::default();
    let Some((_, record)) = record::records(file, ACTIVE)
        .into_iter()
        .find(|(place, _)| *place == index)
    else {
        return Ok(resolved);
    };
    let was = record.identity();
    let mut members = record.members();
    members.extend(set.clone());
    let is = Identity::of_map(&members);
    let fixed_job = record
        .job()
        .is_some_and(|(_, value)| !JobRef::read(&value).ids().is_empty());
    if was.run_id.is_some() && is.run_id != was.run_id {
        let path = format!("{ACTIVE}[{index}].run_id");
        return Err(conflict(path, "the same run id for good", was.words()));
    }
    if fixed_job && is.job_id != was.job_id {
        let path = format!("{ACTIVE}[{index}].job_id");
        return Err(conflict(path, "the same job id for good", was.words()));
    }
    if is != was {
        resolved.renamed.push((was, is));
    }
    resolved.actions.push(Action::Merge {
        at: Target::Entry {
            list: ACTIVE,
            index,
        },
        set: set.clone(),
    });
    Ok(resolved)
}

/// Places in `active_runs` of the records that a key means, after or before `set` gave them a job id.
fn find_active(
    file: &PipelineFile,
    run: &RunKey,
    set: &Map<String, Value>,
) -> Result<Vec<usize>, PipelineError> {
    if run.identity().is_empty() {
        let found = "neither".to_owned();
        return Err(conflict(
            format!("{ACTIVE}[{}]", run.index),
            "a run id or a job id to find the record by",
            found,
        ));
    }
    require_list(file, ACTIVE)?;
    let found = wanted(run, set)
        .iter()
        .map(|identity| find(file, ACTIVE, identity))
        .find(|found| !found.is_empty());
    Ok(found.unwrap_or_default())
}

/// The identities under which a record may be found: as `set` leaves it, which tells that the edit was made
/// already, and as it was read.
fn wanted(run: &RunKey, set: &Map<String, Value>) -> [Identity; 2] {
    let read = run.identity();
    let given = Identity::of_map(set);
    let left = Identity {
        run_id: given.run_id.or_else(|| read.run_id.clone()),
        job_id: given.job_id.or_else(|| read.job_id.clone()),
    };
    [left, read]
}

/// Places of the records with exactly these ids.
pub(super) fn find(file: &PipelineFile, list: &str, identity: &Identity) -> Vec<usize> {
    record::records(file, list)
        .into_iter()
        .filter(|(_, record)| record.identity() == *identity)
        .map(|(index, _)| index)
        .collect()
}

/// A record that is not active: moved already, which is no change, or gone, which is a conflict.
fn settled_or_missing(
    file: &PipelineFile,
    run: &RunKey,
    set: &Map<String, Value>,
) -> Result<Resolved, PipelineError> {
    let settled = wanted(run, set).iter().any(|identity| {
        RUN_LISTS
            .iter()
            .any(|list| !find(file, list, identity).is_empty())
    });
    if settled {
        return Ok(Resolved::default());
    }
    let found = "no such record".to_owned();
    Err(conflict(ACTIVE.to_owned(), &run.identity().words(), found))
}

/// A list that can be added to, or none yet. Anything else is a person's, and stays.
fn require_list(file: &PipelineFile, name: &str) -> Result<(), PipelineError> {
    match file.top(name) {
        Some(id) if !matches!(file.tree.node(id).kind, Kind::List | Kind::Null) => Err(conflict(
            name.to_owned(),
            "a list or null",
            excerpt(file.raw(id)),
        )),
        _ => Ok(()),
    }
}

/// Whether the record names a job, rather than nothing or a placeholder.
fn has_job(run: &Map<String, Value>) -> bool {
    run.get("job_id")
        .is_some_and(|value| !JobRef::read(value).ids().is_empty())
}

fn empty_path() -> PipelineError {
    conflict(
        "the path of the edit".to_owned(),
        "a key",
        "none".to_owned(),
    )
}

fn conflict(path: String, expected: &str, found: String) -> PipelineError {
    PipelineError::Conflict {
        path,
        expected: expected.to_owned(),
        found,
    }
}

/// The start of a value, for a message.
fn excerpt(raw: &str) -> String {
    let mut short: String = raw.chars().take(40).collect();
    if short.len() < raw.len() {
        short.push('\u{2026}');
    }
    format!("`{short}`")
}
