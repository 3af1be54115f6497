//! What an operation changes, as data: one entry per file, one semantic edit each.
//!
//! An edit is applied to the text found, so it can be applied again after somebody else has changed
//! another part of the file. Nothing here reads or writes a file; [`crate::journal`] does.

use ralph_docs::{DocError, EditSet, debates, debugging, queue, summary, todo};
use serde::{Deserialize, Serialize};

use crate::error::{Code, Coded, Hint};
use crate::id::Slug;
use crate::pipeline::{PipelineEdit, PipelineFile};
use crate::store::layout;

/// Everything that one operation changes, in the order in which the files are written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangeSet {
    /// The project.
    pub project: Slug,
    /// One line for `ralph ops list`.
    pub summary: String,
    /// The files. `.state/pipeline.json` is put last by [`ChangeSet::ordered`]: it is the commit point.
    pub files: Vec<FileChange>,
}

/// One file's change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileChange {
    /// Path relative to the project's folder, with `/`.
    pub path: String,
    /// What changes.
    pub edit: FileEdit,
}

/// A semantic edit of one file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "snake_case")]
pub enum FileEdit {
    /// A file of ours that must not exist yet, or exists with exactly this text.
    Create {
        /// The whole text.
        text: String,
    },
    /// A file of ours, replaced whole.
    Replace {
        /// The whole text.
        text: String,
    },
    /// A file of ours that is removed; one that is gone already is no error.
    Remove,
    /// `.state/pipeline.json`, by spans.
    Pipeline {
        /// In this order.
        edits: Vec<PipelineEdit>,
    },
    /// `documentation/queue.md`: an item is moved, and gets lines of ours.
    Queue {
        /// The item.
        id: String,
        /// Its new section.
        to: QueuePlace,
        /// Our lines, as (key, text).
        lines: Vec<(String, String)>,
    },
    /// `documentation/debugging.md`: a new entry, once per key.
    DebuggingEntry(EntryText),
    /// `documentation/debugging.md`: our entry is ticked.
    DebuggingResolved {
        /// The entry's key.
        key: String,
        /// What resolved it.
        note: String,
    },
    /// `documentation/implementation-todo.md`: a task is ticked, or gets lines of ours.
    Todo {
        /// The task's id, or its text where it has none.
        task: String,
        /// Whether it is ticked.
        done: bool,
        /// Our lines, as (key, text).
        lines: Vec<(String, String)>,
    },
    /// `documentation/debates.md`: a new section, once per key.
    Debate {
        /// The question.
        title: String,
        /// The machine's key.
        key: String,
        /// Its lines.
        body: Vec<String>,
    },
    /// `results/summary.md`: one row per run.
    Summary {
        /// The run.
        run: String,
        /// Its job.
        job: String,
        /// How it ended.
        status: String,
        /// When it ended.
        finished: String,
        /// One line.
        note: String,
    },
}

/// A section of the queue that the machine moves items to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueuePlace {
    /// Waits to be submitted.
    Ready,
    /// Submitted.
    InProgress,
    /// Succeeded.
    Done,
    /// Failed, or was cancelled.
    Failed,
}

/// A new entry of `debugging.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryText {
    /// One line.
    pub title: String,
    /// The machine's key: a second entry with the same key is never added.
    pub key: String,
    /// Whether the project cannot go on.
    pub blocking: bool,
    /// As (name, text), in this order.
    pub fields: Vec<(String, String)>,
    /// What the quoted lines are, and the lines.
    pub quote: Option<(String, String)>,
}

/// An edit that does not apply to the text found. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct EditError {
    /// Conflict, corrupt state or newer format.
    pub code: Code,
    /// What was expected and what was found, without the path.
    pub reason: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Coded for EditError {
    fn code(&self) -> Code {
        self.code
    }

    fn hint(&self) -> Option<Hint> {
        self.hint.as_deref().map(Hint::new)
    }
}

impl FileEdit {
    /// Applies the edit to the file's text, `None` where there is no file. Applying an edit to its own result
    /// changes nothing.
    ///
    /// # Errors
    /// The edit does not apply to this text.
    pub fn apply(&self, before: Option<&str>) -> Result<Option<String>, EditError> {
        match self {
            Self::Create { text } => match before {
                Some(found) if found != text => Err(EditError {
                    code: Code::Conflict,
                    reason: "the file exists with another content".to_owned(),
                    hint: Some(
                        "Move it away if it is not needed; it was left as it is.".to_owned(),
                    ),
                }),
                _ => Ok(Some(text.clone())),
            },
            Self::Replace { text } => Ok(Some(text.clone())),
            Self::Remove => Ok(None),
            Self::Pipeline { edits } => pipeline(before, edits).map(Some),
            document => document.apply_to_document(before),
        }
    }

    /// Whether the file is a person's document: an edit that does not apply to it is reported and left out,
    /// because the state file stays authoritative (section C, rule 3).
    #[must_use]
    pub fn is_document(&self) -> bool {
        !matches!(
            self,
            Self::Create { .. } | Self::Replace { .. } | Self::Remove | Self::Pipeline { .. }
        )
    }

    fn apply_to_document(&self, before: Option<&str>) -> Result<Option<String>, EditError> {
        let text = before.unwrap_or("");
        let edits = match self {
            // An absent queue or todo list has no item to move or tick.
            Self::Queue { .. } | Self::Todo { .. } | Self::DebuggingResolved { .. }
                if before.is_none() =>
            {
                return Ok(None);
            }
            Self::Queue { id, to, lines } => queue::move_item(text, id, &to.section(), lines),
            Self::DebuggingEntry(entry) => debugging::add_entry(text, &entry.for_document()),
            Self::DebuggingResolved { key, note } => debugging::resolve_entry(text, key, note),
            Self::Todo { task, done, lines } => task_edits(text, task, *done, lines),
            Self::Debate { title, key, body } => debates::add(text, title, key, body),
            Self::Summary {
                run,
                job,
                status,
                finished,
                note,
            } => summary::record(
                text,
                &summary::SummaryRow {
                    run: run.clone(),
                    job: job.clone(),
                    status: status.clone(),
                    finished: finished.clone(),
                    note: note.clone(),
                },
            ),
            _ => return Ok(before.map(str::to_owned)),
        };
        Ok(Some(edits.map_err(document_error)?.apply(text)))
    }
}

fn pipeline(before: Option<&str>, edits: &[PipelineEdit]) -> Result<String, EditError> {
    let text = before.ok_or_else(|| EditError {
        code: Code::Conflict,
        reason: "the state file is gone".to_owned(),
        hint: Some("Restore it from version control; nothing was written.".to_owned()),
    })?;
    PipelineFile::parse(text.to_owned())
        .and_then(|file| file.edit(edits))
        .map_err(|error| EditError {
            code: error.code(),
            reason: error.to_string(),
            hint: error.hint().map(|hint| hint.0),
        })
}

fn task_edits(
    text: &str,
    task: &str,
    done: bool,
    lines: &[(String, String)],
) -> Result<EditSet, DocError> {
    let by_id = todo::tasks(text)
        .iter()
        .any(|found| found.id.as_deref() == Some(task));
    let key = if by_id {
        todo::TaskKey::Id(task)
    } else {
        todo::TaskKey::Text(task)
    };
    let noted = if lines.is_empty() {
        EditSet::empty()
    } else {
        todo::note(text, key, lines)?
    };
    if done {
        todo::check(text, key)?.merge(noted)
    } else {
        Ok(noted)
    }
}

fn document_error(error: DocError) -> EditError {
    EditError {
        code: Code::Conflict,
        reason: error.to_string(),
        hint: None,
    }
}

impl QueuePlace {
    fn section(self) -> queue::QueueSection {
        match self {
            Self::Ready => queue::QueueSection::Ready,
            Self::InProgress => queue::QueueSection::InProgress,
            Self::Done => queue::QueueSection::Done,
            Self::Failed => queue::QueueSection::Failed,
        }
    }
}

impl EntryText {
    fn for_document(&self) -> debugging::NewEntry {
        debugging::NewEntry {
            title: self.title.clone(),
            key: self.key.clone(),
            blocking: self.blocking,
            fields: self.fields.clone(),
            quote: self
                .quote
                .clone()
                .map(|(label, text)| debugging::Quote { label, text }),
        }
    }
}

impl ChangeSet {
    /// The files in the order in which they are written: ledger, documents, `pipeline.json`, removals.
    #[must_use]
    pub fn ordered(&self) -> Vec<&FileChange> {
        let mut files: Vec<&FileChange> = self.files.iter().collect();
        files.sort_by_key(|file| match (&file.edit, file.path.as_str()) {
            (FileEdit::Remove, _) => 3,
            (_, layout::PIPELINE) => 2,
            (_, path) if path.starts_with("runs/") => 0,
            _ => 1,
        });
        files
    }
}
