//! A record of a run as the lists of a state file hold it: its members under their many names, and which
//! record it is.
//!
//! A record is identified by its run id and its job id together; either may be missing. What must never be
//! here: a judgement about a record's status, a change of the text.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::PipelineFile;
use super::grammar::Kind;
use super::source::Source;
use super::tree::{NodeId, Tree};

/// The lists that hold records of runs, in the order in which messages name them.
pub(super) const RUN_LISTS: [&str; 3] = ["active_runs", "completed_runs", "cancelled_runs"];

/// The names under which a job id was found, the usual one first.
pub(crate) const JOB_MEMBERS: [&str; 9] = [
    "job_id",
    "job_ids",
    "slurm_job_id",
    "array_job_id",
    "jobid",
    "jobId",
    "slurm_jobid",
    "slurm_id",
    "slurmJobId",
];

/// Which record of a list is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunKey {
    /// Place in `active_runs` when it was read, from 0; decides only between records with the same ids.
    pub index: usize,
    /// The run id as found.
    pub run_id: Option<String>,
    /// The job id as found, as text; a list of ids is joined with commas. Never empty.
    pub job_id: Option<String>,
}

impl RunKey {
    /// What identifies the record.
    pub(super) fn identity(&self) -> Identity {
        Identity {
            run_id: self.run_id.clone(),
            job_id: self.job_id.clone(),
        }
    }
}

/// What makes two records the same record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity {
    /// The run id as found.
    pub(super) run_id: Option<String>,
    /// The job id as found.
    pub(super) job_id: Option<String>,
}

impl Identity {
    /// The identity of a record that is about to be written.
    pub(super) fn of_map(record: &Map<String, Value>) -> Self {
        Self {
            run_id: record.get("run_id").and_then(id_text),
            job_id: JOB_MEMBERS
                .iter()
                .find_map(|name| record.get(*name).and_then(id_text)),
        }
    }

    /// Whether there is nothing to find the record by.
    pub(super) fn is_empty(&self) -> bool {
        self.run_id.is_none() && self.job_id.is_none()
    }

    /// `run q001 (job 123)`, for messages.
    pub(super) fn words(&self) -> String {
        let run = self.run_id.as_deref().unwrap_or("without run id");
        match &self.job_id {
            Some(job) => format!("run {run} (job {job})"),
            None => format!("run {run} (no job id)"),
        }
    }
}

/// An id as text: `null`, an empty string and other types are none.
pub(super) fn id_text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Array(parts) => {
            let parts: Vec<String> = parts.iter().filter_map(id_text).collect();
            parts.join(",")
        }
        Value::Null | Value::Bool(_) | Value::Object(_) => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// One entry of a list that is an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'f> {
    source: Source<'f>,
    /// The object.
    pub(super) id: NodeId,
}

impl<'f> Record<'f> {
    /// The record at a node, if the node is an object.
    pub(super) fn at(source: Source<'f>, id: NodeId) -> Option<Self> {
        (source.node(id).kind == Kind::Object).then_some(Self { source, id })
    }

    /// The place of a member's value; `None` when it is absent.
    pub(super) fn place(&self, name: &str) -> Option<NodeId> {
        self.source.tree.member(self.source.text, self.id, name)
    }

    /// A member's value; `None` when it is absent.
    pub(super) fn get(&self, name: &str) -> Option<Value> {
        Some(self.source.value(self.place(name)?))
    }

    /// The keys of all members, decoded, with the places of their values.
    pub(super) fn keys(&self) -> impl Iterator<Item = (Cow<'f, str>, NodeId)> + use<'f> {
        let Source { text, tree } = self.source;
        tree.children(self.id).map(|id| (tree.key(text, id), id))
    }

    /// The name and the value of the member that holds the job id.
    pub(super) fn job(&self) -> Option<(&'static str, Value)> {
        self.job_of(JOB_MEMBERS.map(|name| self.place(name)))
    }

    /// As [`Record::job`], when the members of [`JOB_MEMBERS`] have been found before.
    pub(super) fn job_of(
        &self,
        members: [Option<NodeId>; JOB_MEMBERS.len()],
    ) -> Option<(&'static str, Value)> {
        JOB_MEMBERS.iter().zip(members).find_map(|(name, id)| {
            let value = self.source.value(id?);
            id_text(&value).map(|_| (*name, value))
        })
    }

    /// Which record this is.
    pub(super) fn identity(&self) -> Identity {
        Identity {
            run_id: self.get("run_id").as_ref().and_then(id_text),
            job_id: self.job().as_ref().and_then(|(_, value)| id_text(value)),
        }
    }

    /// The text and the tree that it stands in.
    pub(super) fn source(&self) -> Source<'f> {
        self.source
    }

    /// All members, decoded.
    pub(super) fn members(&self) -> Map<String, Value> {
        match self.source.value(self.id) {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }
}

/// The list with this name, when there is one at the top of the file.
pub(super) fn list_node(file: &PipelineFile, name: &str) -> Option<NodeId> {
    let id = file.tree.member(&file.text, Tree::ROOT, name)?;
    (file.tree.node(id).kind == Kind::List).then_some(id)
}

/// The records of a list with their places in it; entries that are no objects are left out.
pub(super) fn records<'f>(file: &'f PipelineFile, list: &str) -> Vec<(usize, Record<'f>)> {
    let Some(list) = list_node(file, list) else {
        return Vec::new();
    };
    file.tree
        .children(list)
        .enumerate()
        .filter_map(|(index, id)| Some((index, Record::at(file.source(), id)?)))
        .collect()
}
