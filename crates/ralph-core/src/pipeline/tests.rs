//! Tests of the whole module: examples, laws over random documents, and the real files.
//!
//! What must never be here: a copy of a real file.

mod by_hand;
mod corpus;
mod edits;
mod generate;
mod grammar;
mod laws;
mod reading;
mod variations;

use serde_json::{Map, Value};

use super::{PipelineEdit, PipelineFile, RunKey};

fn parse(text: &str) -> PipelineFile {
    PipelineFile::parse(text.to_owned()).unwrap()
}

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

fn key(index: usize, run_id: &str, job_id: Option<&str>) -> RunKey {
    RunKey {
        index,
        run_id: Some(run_id.to_owned()),
        job_id: job_id.map(str::to_owned),
    }
}

fn set(path: &[&str], value: impl Into<Value>) -> PipelineEdit {
    PipelineEdit::Set {
        path: path.iter().map(|&key| key.to_owned()).collect(),
        value: value.into(),
    }
}

fn remove(path: &[&str]) -> PipelineEdit {
    PipelineEdit::Remove {
        path: path.iter().map(|&key| key.to_owned()).collect(),
    }
}
