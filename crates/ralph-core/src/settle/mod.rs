//! From an outcome to the files that change. Pure: facts and outcome in, [`ChangeSet`] out.
//!
//! Each function here is the whole meaning of one thing that can happen to a project. What the machine does not
//! own it does not touch: a phase that is not canonical stays, a person's input flag stays.

pub(crate) mod check;
pub(crate) mod ending;
pub(crate) mod entry;
pub(crate) mod finish;
pub(crate) mod order;
pub(crate) mod submission;
pub(crate) mod words;

use serde_json::{Map, Value, json};

use crate::change::{ChangeSet, FileChange, FileEdit};
use crate::phase::Phase;
use crate::pipeline::PipelineEdit;
use crate::store::layout;
use crate::time::{Timestamp, stamp};
use crate::world::{Facts, Sightings};

/// How `set_by` of every question of the machine starts.
const OURS: &str = "ralph:";
/// Who asks when a document cannot be edited.
const SET_BY_DOCUMENT: &str = "ralph:document";
/// Who asks when an agent does.
const SET_BY_AGENT: &str = "ralph:agent";

/// Collects the changes of one operation.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    facts: &'a Facts,
    now: Timestamp,
    pipeline: Vec<PipelineEdit>,
    files: Vec<FileChange>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(facts: &'a Facts, now: Timestamp) -> Self {
        Self {
            facts,
            now,
            pipeline: Vec::new(),
            files: Vec::new(),
        }
    }

    pub(crate) fn file(&mut self, path: impl Into<String>, edit: FileEdit) {
        self.files.push(FileChange {
            path: path.into(),
            edit,
        });
    }

    /// A file of the machine's own, whatever stood in it.
    pub(crate) fn replace(&mut self, path: impl Into<String>, text: String) {
        self.file(path, FileEdit::Replace { text });
    }

    /// A file of the machine's own that is written once.
    pub(crate) fn create(&mut self, path: impl Into<String>, text: String) {
        self.file(path, FileEdit::Create { text });
    }

    pub(crate) fn pipeline(&mut self, edit: PipelineEdit) {
        self.pipeline.push(edit);
    }

    pub(crate) fn set(&mut self, path: &[&str], value: Value) {
        let path = path.iter().map(|key| (*key).to_owned()).collect();
        self.pipeline.push(PipelineEdit::Set { path, value });
    }

    /// Sets members of `slurm_wait`. What people write there as a single value (incident 22) becomes an object that keeps
    /// what it said.
    pub(crate) fn wait<const N: usize>(&mut self, set: [(&str, Value); N]) {
        let wait = &self.facts.view.slurm_wait;
        if !wait.is_plain {
            for (key, value) in set {
                self.set(&["slurm_wait", key], value);
            }
            return;
        }
        let mut object = members([
            (
                "poll_interval_seconds",
                wait.poll_interval_seconds.map(|seconds| json!(seconds)),
            ),
            ("note", wait.note.as_ref().map(|note| json!(note))),
        ]);
        object.extend(set.map(|(key, value)| (key.to_owned(), value)));
        self.set(&["slurm_wait"], Value::Object(object));
    }

    /// Moves to a phase, unless the phase is a person's own sentence: 92 % of real files are in that class, and
    /// overwriting it would lose information.
    pub(crate) fn phase(&mut self, to: &Phase) {
        if self.facts.phase().is_canonical() && self.facts.phase() != to {
            self.set(&["phase"], json!(to.as_str()));
        }
    }

    /// Says what comes next; `None` where nothing does.
    pub(crate) fn next_action(&mut self, reason_and_hint: Option<(&str, &str)>) {
        if !self.facts.phase().is_canonical() {
            return;
        }
        let value = match reason_and_hint {
            None => Value::Null,
            Some((reason, hint)) => json!({
                "command": format!("/dispatch --project {}", self.facts.slug),
                "reason": reason,
                "hint": hint,
            }),
        };
        self.set(&["next_action"], value);
    }

    pub(crate) fn event(&mut self, action: &str, detail: &str) {
        let mut event = Map::new();
        event.insert("ts".to_owned(), json!(stamp(self.now)));
        event.insert("action".to_owned(), json!(action));
        event.insert("detail".to_owned(), json!(detail));
        self.pipeline.push(PipelineEdit::AppendEvent { event });
    }

    /// Asks a person, once: the same question is not written again, and one that only a person can answer stays. What the
    /// machine asked and takes back by itself gives way.
    pub(crate) fn ask(&mut self, prompt: &str, set_by: &str) {
        let input = &self.facts.view.needs_user_input;
        let asked_by = input.set_by.as_deref();
        let of_a_person = !asked_by.is_some_and(|by| by.starts_with(OURS));
        let of_work = asked_by.is_some_and(|by| [SET_BY_AGENT, SET_BY_DOCUMENT].contains(&by));
        let same = input.prompt.as_deref() == Some(prompt) && asked_by == Some(set_by);
        let stays = of_a_person || of_work && asked_by != Some(set_by);
        if input.value && (stays || same) {
            return;
        }
        let value =
            json!({ "value": true, "prompt": prompt, "set_by": set_by, "set_at": stamp(self.now) });
        self.set(&["needs_user_input"], value);
    }

    /// Takes back a question that the machine itself asked, when what it was set by starts like this.
    pub(crate) fn answered(&mut self, set_by: &str) {
        let input = &self.facts.view.needs_user_input;
        let asked_by = input.set_by.as_deref();
        if input.value && asked_by.is_some_and(|by| by.starts_with(set_by)) {
            self.set(&["needs_user_input", "value"], json!(false));
            self.set(&["needs_user_input", "prompt"], json!(""));
            for key in ["set_by", "set_at"] {
                self.pipeline.push(PipelineEdit::Remove {
                    path: vec!["needs_user_input".to_owned(), key.to_owned()],
                });
            }
        }
    }

    pub(crate) fn sightings(&mut self, sightings: &Sightings) {
        if *sightings != self.facts.sightings {
            self.replace(layout::SIGHTINGS, crate::ledger::json(sightings));
        }
    }

    pub(crate) fn finish(mut self, summary: impl Into<String>) -> ChangeSet {
        if !self.pipeline.is_empty() {
            let edits = std::mem::take(&mut self.pipeline);
            self.file(layout::PIPELINE, FileEdit::Pipeline { edits });
        }
        ChangeSet {
            project: self.facts.slug.clone(),
            summary: summary.into(),
            files: self.files,
        }
    }
}

/// Adds a question to changes that could not be made whole: a document that must say something cannot be edited.
pub(crate) fn also_ask(changes: &mut ChangeSet, facts: &Facts, prompt: &str, now: Timestamp) {
    let mut draft = Draft::new(facts, now);
    draft.ask(prompt, SET_BY_DOCUMENT);
    let asked = std::mem::take(&mut draft.pipeline);
    let pipeline = changes
        .files
        .iter_mut()
        .find_map(|file| match &mut file.edit {
            FileEdit::Pipeline { edits } => Some(edits),
            _ => None,
        });
    match pipeline {
        Some(edits) => edits.extend(asked),
        None => changes.files.push(FileChange {
            path: layout::PIPELINE.to_owned(),
            edit: FileEdit::Pipeline { edits: asked },
        }),
    }
}

/// A job that nobody recorded is in the books from now on.
#[must_use]
pub(crate) fn adopted(
    facts: &Facts,
    record: Map<String, Value>,
    run: &str,
    job: crate::id::JobId,
    now: Timestamp,
) -> ChangeSet {
    let mut draft = Draft::new(facts, now);
    draft.pipeline(PipelineEdit::AddRun { run: record });
    draft.event("ADOPT", &format!("job {job} is in the books as {run}"));
    draft.finish(format!("adopt job {job}"))
}

/// An object from pairs, without the absent ones.
pub(crate) fn members<const N: usize>(pairs: [(&str, Option<Value>); N]) -> Map<String, Value> {
    pairs
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect()
}

#[cfg(test)]
pub(crate) mod tests;
