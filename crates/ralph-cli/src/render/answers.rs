//! What the verbs answer that do one thing, as data. Their words for people stand with the verbs.

use schemars::JsonSchema;
use serde::Serialize;

/// `ralph init --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct InitReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// The workspace.
    pub(crate) root: String,
    /// The cluster that its configuration names; null when the file that was there says none.
    pub(crate) cluster: Option<String>,
    /// Each file and what was done with it.
    pub(crate) files: Vec<InitFile>,
}

/// A file of a new workspace.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct InitFile {
    /// The file, relative to the workspace.
    pub(crate) path: String,
    /// What was done.
    pub(crate) done: InitDone,
}

/// What `init` did with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum InitDone {
    /// It was not there.
    Made,
    /// It was there and is unchanged.
    Kept,
    /// Something was added to what was there.
    Extended,
}

/// `ralph new --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct NewReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// The project.
    pub(crate) project: String,
    /// Its folder.
    pub(crate) folder: String,
}

/// `ralph report -o FILE --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct WrittenReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// The page.
    pub(crate) path: String,
    /// Its length in bytes.
    pub(crate) bytes: usize,
}

/// `ralph on --json` and `ralph off --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SwitchReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// Whether the Stop hook keeps sessions going now.
    pub(crate) enabled: bool,
}

/// `ralph submit --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SubmitReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// The project.
    pub(crate) project: String,
    /// The job; null when there is none, or none is known yet.
    pub(crate) job: Option<String>,
    /// Whether it is not known yet if there is a job.
    pub(crate) unclear: bool,
    /// What came of it, in one sentence.
    pub(crate) outcome: String,
    /// Files that changed, relative to the project's folder.
    pub(crate) files: Vec<String>,
    /// The operation that changed them.
    pub(crate) op: Option<String>,
}

/// `ralph cancel --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CancelReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// The run.
    pub(crate) run_id: String,
    /// Its jobs.
    pub(crate) jobs: Vec<String>,
    /// `JOB STATE` of each, as last seen.
    pub(crate) states: Vec<String>,
    /// Whether all of them were seen to have ended.
    pub(crate) ended: bool,
}

/// `ralph cluster jobs --adopt --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AdoptReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// The project that has the job in its books now.
    pub(crate) project: String,
    /// The job.
    pub(crate) job: String,
    /// The run that it is of.
    pub(crate) run_id: String,
}

/// `ralph ops undo --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UndoReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// The project.
    pub(crate) project: String,
    /// The operation that is undone.
    pub(crate) undone: String,
    /// The operation that undid it.
    pub(crate) op: String,
}

/// `ralph logs --json`: one such line per piece.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LogPiece {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// The run.
    pub(crate) run_id: String,
    /// `out` or `err`.
    pub(crate) stream: String,
    /// The text; bytes that are no UTF-8 are replaced.
    pub(crate) text: String,
}
