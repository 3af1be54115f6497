//! `documentation/implementation-todo.md`: the tasks, in sections such as `Ready`, `Blocked`, `Completed`.
//!
//! A task is a list item with a task mark, at any depth, or one without under `Ready` where no box is; its id is whatever the file
//! uses (`(T1)`, `(T0.1)`, `S9:`), or none. Ticking changes one character, or gives each such task a box. Tasks are never
//! moved between sections: people keep them below the phase they belong to.

use std::ops::Range;

use crate::document::Document;
use crate::edit::{Edit, EditSet};
use crate::error::{DocError, DocErrorCode};
use crate::ids::leading_short;
use crate::machine::{Host, has_lines, set_lines};
use crate::outline::Span;
use crate::problems::{repeated, sorted, unclosed};
use crate::quote::{plain, unescape};
use crate::section::{self, Position, normalise};
use crate::verify::{checked, checked_result};

mod read;

use read::{Found, Shelf, read};

/// The longest text of a task that is added, in characters.
const MAX_TEXT: usize = 400;

/// How a task is told from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKey<'a> {
    /// Its id, without parentheses.
    Id(&'a str),
    /// Its exact text, without the task mark and the id.
    Text(&'a str),
}

impl<'a> From<&'a str> for TaskKey<'a> {
    fn from(id: &'a str) -> Self {
        Self::Id(id)
    }
}

impl<'a> From<&'a String> for TaskKey<'a> {
    fn from(id: &'a String) -> Self {
        Self::Id(id)
    }
}

/// A task of a todo list, with its place in the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// `T1`, `T0.1`, `P1-12`; `None` where there is none.
    pub id: Option<String>,
    /// The text of its first paragraph on one line, as it is written.
    pub text: String,
    /// Whether it is ticked.
    pub done: bool,
    /// The character of its task mark; a blank where it has none.
    pub state: char,
    /// The heading around it that has a meaning (`Ready`, `Backlog`, `Blocked`, `Completed`), as it is
    /// written; else the nearest heading of level 2; else the nearest.
    pub section: String,
    /// The nearest heading above it, such as a phase; empty where there is none.
    pub heading: String,
    /// It is open, not said to be `BLOCKED`, and stands under `Ready`; where nothing of that kind does, under
    /// nothing that says backlog (or later, ideas, nice to have), blocked or completed.
    pub ready: bool,
    /// Its first line, counted from 1.
    pub line: usize,
    /// How many list items are around it.
    pub depth: usize,
    /// From its first line to its last line with content, in bytes.
    pub range: Range<usize>,
}

/// The tasks, in the order of their lines.
#[must_use]
pub fn tasks(doc: &str) -> Vec<Task> {
    let document = Document::new(doc);
    read(&document)
        .into_iter()
        .map(|found| found.task)
        .collect()
}

/// What may be meant as tasks and is not read as any, where a document has no task at all or a section `Ready` holds none:
/// the first line of it, so that nobody takes such a list for one that is done.
#[must_use]
pub fn strays(doc: &str) -> Vec<Stray> {
    read::strays(&Document::new(doc))
}

/// Something that may be a task and is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// Its line, counted from 1.
    pub line: usize,
    /// Its text, on one line and cut to a readable length.
    pub text: String,
}

/// What a person should mend: an id that two open tasks share, a fence that is never closed. A ticked copy
/// of a task, as in a list of what is completed, is no problem.
#[must_use]
pub fn problems(doc: &str) -> Vec<DocError> {
    let document = Document::new(doc);
    let open = read(&document).into_iter().filter(|found| !found.task.done);
    let ids = open.filter_map(|found| Some((found.task.id?, found.task.line)));
    let mut found = repeated(
        ids,
        "the task cannot be ticked until each has an id of its own.",
    );
    found.extend(unclosed(&document));
    sorted(found)
}

/// Ticks a task. Where tasks have no boxes, each gets one: beside a ticked box, a bullet without one is a remark. Of several with one id the only one that is open is meant; when all are ticked already,
/// nothing changes.
///
/// # Errors
/// There is no such task, or more than one that is open.
pub fn check<'a>(doc: &str, key: impl Into<TaskKey<'a>>) -> Result<EditSet, DocError> {
    set_state(doc, key.into(), true)
}

/// Opens a ticked task again. Of several with one id the only one that is ticked is meant; when all are
/// open already, nothing changes.
///
/// # Errors
/// There is no such task, or more than one that is ticked.
pub fn uncheck<'a>(doc: &str, key: impl Into<TaskKey<'a>>) -> Result<EditSet, DocError> {
    set_state(doc, key.into(), false)
}

/// Adds an open task at the end of a section, before the section's first subsection; a section that is
/// missing is appended. A task that is there already, ticked or not, is not added again.
///
/// # Errors
/// The id cannot be one or belongs to another task, the text is empty, or the edit would change how the
/// text around it is read.
pub fn add<'i>(
    doc: &str,
    id: impl Into<Option<&'i str>>,
    text: &str,
    section: &str,
) -> Result<EditSet, DocError> {
    let document = Document::new(doc);
    let id = id.into();
    let content = task_content(id, text)?;
    if is_there(&document, id, text)? {
        return Ok(EditSet::empty());
    }
    let tasks = read(&document);
    // Among tasks without a box, one with a box would make remarks of the others.
    let has_bare = tasks.iter().any(|found| found.mark.is_none());
    let bare = has_bare && Shelf::named(&normalise(section)).is_some_and(Shelf::is_next);
    let mark = if bare { "" } else { "[ ] " };
    let block = document.join(&[format!("{} {mark}{content}", document.style.bullet)]);
    let edit = match find_section(&document, section)? {
        Some(span) => section::place(&document, span, &block, Position::Bottom),
        None => section::append(&document, &plain(section, 120), &block),
    };
    let count = tasks.len();
    checked_result(&document, vec![edit], |after| {
        // An open box elsewhere makes remarks of those without one, which are asked about.
        let is_added = || has_bare && is_there(after, id, text).unwrap_or(false);
        read(after).len() == count + 1 || is_added()
    })
}

/// Writes or updates the machine's own lines at the end of a task; they end with a comment that is not
/// shown. The same lines again change nothing.
///
/// # Errors
/// There is no such task, or more than one; a line's key cannot be one; the edit would change how the text
/// around it is read.
pub fn note<'a>(
    doc: &str,
    key: impl Into<TaskKey<'a>>,
    lines: &[(String, String)],
) -> Result<EditSet, DocError> {
    let document = Document::new(doc);
    let key = key.into();
    let host = host_of(&document, key)?;
    let edits = set_lines(&document, &host, lines)?;
    checked_result(&document, edits, |after| {
        host_of(after, key).is_ok_and(|host| has_lines(after, &host, lines))
    })
}

/// The one task that own lines are put below.
fn host_of(document: &Document<'_>, key: TaskKey<'_>) -> Result<Host, DocError> {
    let found = matching(document, key)?;
    match &found[..] {
        [only] => Ok(Host::Item {
            index: only.index,
            position: Position::Bottom,
        }),
        _ => Err(ambiguous(key, &found)),
    }
}

/// The tasks a key stands for, at least one.
fn matching(document: &Document<'_>, key: TaskKey<'_>) -> Result<Vec<Found>, DocError> {
    let mut found = read(document);
    found.retain(|found| is_meant(&found.task, key));
    if found.is_empty() {
        let what = describe(key);
        return Err(DocError::not_found(format!(
            "there is no task {what}; a task is a list item such as `- [ ] (T1) text`."
        )));
    }
    Ok(found)
}

/// A text is compared as it is written and as it was meant, because what we add is escaped.
fn is_meant(task: &Task, key: TaskKey<'_>) -> bool {
    match key {
        TaskKey::Id(id) => task.id.as_deref() == Some(id),
        TaskKey::Text(text) => task.text == text || unescape(&task.text) == text,
    }
}

fn describe(key: TaskKey<'_>) -> String {
    match key {
        TaskKey::Id(id) => format!("`{}`", plain(id, 60)),
        TaskKey::Text(text) => format!("with the text `{}`", plain(text, 60)),
    }
}

fn ambiguous(key: TaskKey<'_>, found: &[Found]) -> DocError {
    let lines: Vec<usize> = found.iter().map(|found| found.task.line).collect();
    let what = format!("the task {}", describe(key));
    DocError::ambiguous(
        &what,
        &lines,
        "nothing was changed; give each an id of its own.",
    )
}

fn set_state(doc: &str, key: TaskKey<'_>, done: bool) -> Result<EditSet, DocError> {
    let document = Document::new(doc);
    let mut found = matching(&document, key)?;
    found.retain(|found| found.task.done != done);
    let Some(first) = found.first() else {
        return Ok(EditSet::empty());
    };
    if found.len() > 1 {
        return Err(ambiguous(key, &found));
    }
    let edits = match first.mark {
        Some(mark) => {
            let at = mark.at..mark.at + mark.state.len_utf8();
            vec![Edit::replace(at, mark.with(done))]
        }
        None => boxes(&document, first),
    };
    checked(&document, edits)
}

/// A box for each task without one: a ticked one for `done`.
fn boxes(document: &Document<'_>, done: &Found) -> Vec<Edit> {
    let bare = read(document)
        .into_iter()
        .filter(|found| found.mark.is_none());
    bare.map(|found| {
        let own = if found.index == done.index {
            "[x] "
        } else {
            "[ ] "
        };
        Edit::insert(found.content_at, own)
    })
    .collect()
}

/// What stands behind the task mark of a new task.
fn task_content(id: Option<&str>, text: &str) -> Result<String, DocError> {
    let text = plain(text, MAX_TEXT);
    if text.is_empty() {
        return Err(DocError::refused("a task needs a text."));
    }
    let Some(id) = id else {
        return Ok(text);
    };
    let content = format!("({id}) {text}");
    if leading_short(&content).is_none_or(|(found, _)| found != id) {
        return Err(DocError::refused(format!(
            "`{}` cannot be a task's id; use letters and a number, such as `T7` or `T0.1`.",
            plain(id, 60)
        )));
    }
    Ok(content)
}

/// Whether the task to be added is there already.
fn is_there(document: &Document<'_>, id: Option<&str>, text: &str) -> Result<bool, DocError> {
    let shown = plain(text, MAX_TEXT);
    let has_text = |task: &Task| task.text == shown || is_meant(task, TaskKey::Text(text));
    let tasks = read(document);
    let Some(id) = id else {
        return Ok(tasks.iter().any(|found| has_text(&found.task)));
    };
    let mut same_id = tasks
        .iter()
        .filter(|found| found.task.id.as_deref() == Some(id))
        .peekable();
    let Some(first) = same_id.peek().map(|found| found.task.line) else {
        return Ok(false);
    };
    if same_id.any(|found| has_text(&found.task)) {
        return Ok(true);
    }
    Err(DocError::new(
        DocErrorCode::Refused,
        Some(first),
        format!(
            "the id `{}` belongs to another task; use one that is free.",
            plain(id, 60)
        ),
    ))
}

/// The first section with the meaning or, for other names, the title that was asked for.
fn find_section<'d>(
    document: &'d Document<'_>,
    section: &str,
) -> Result<Option<&'d Span>, DocError> {
    let name = normalise(section);
    if name.is_empty() {
        return Err(DocError::refused(
            "a section needs a title with letters or digits in it.",
        ));
    }
    let names = match Shelf::named(&name) {
        Some(Shelf::Completed) => vec!["completed", "done"],
        _ => vec![name.as_str()],
    };
    Ok(section::find_within(document, &names, 6))
}

#[cfg(test)]
mod tests;
