//! `.ralph/fix_plan.md`: tasks, their states and sections; one state character changes at a time.
//!
//! A task is a line: blanks, `- [`, one character of state, `] `, a text. It is read by lines and not as a list,
//! because the files of the loop that came before are read so; but a fence, a comment or raw HTML holds no tasks,
//! and neither does a box without a text. Sections and order are what people made of them: there are no
//! priorities here. What must never be here: a task addressed by its line, and a change to anything but the mark.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;

use crate::document::Document;
use crate::error::{DocError, DocErrorCode};
use crate::lines::LineKind;
use crate::problems::{sorted, unclosed};

mod reading;
mod select;

pub use reading::{Marked, Reading};
pub use select::{SelectError, select};

/// The longest id that is made from a text, in characters; all of them are ASCII.
const MAX_ID: usize = 50;
/// The id of a task whose text has no ASCII letter or digit.
const NO_ID: &str = "task";

/// Whose plan it is, which decides how its sections are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flavour {
    /// One repository's: indented tasks are tasks of their own, and headings are only for people.
    Repository,
    /// A folder of repositories: a heading `## name` or `### name` opens the section of a repository, a task
    /// begins in the first column, and what stands before the first such heading is no task.
    Workspace,
}

/// The state of a task, as it stands in its box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// `[ ]`
    Open,
    /// `[~]`
    Claimed,
    /// `[x]` or `[X]`
    Done,
}

impl Mark {
    /// The character between the brackets, as it is written.
    #[must_use]
    pub fn character(self) -> char {
        match self {
            Self::Open => ' ',
            Self::Claimed => '~',
            Self::Done => 'x',
        }
    }

    fn of(state: char) -> Option<Self> {
        match state {
            ' ' => Some(Self::Open),
            '~' => Some(Self::Claimed),
            'x' | 'X' => Some(Self::Done),
            _ => None,
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.character())
    }
}

/// Where a task stands, independent of its line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// The heading above it, without its marks; empty before the first one.
    pub section: String,
    /// The text after the checkbox, without blanks at its end.
    pub text: String,
    /// How many equal rows of the section stand before it.
    pub occurrence: u32,
}

/// A task of the plan: one line with a checkbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where it stands.
    pub key: RowKey,
    /// Its state.
    pub mark: Mark,
    /// Its name for people and branches: the bead id, else a slug of the text, else `task`. Not unique.
    pub id: String,
    /// The id of a bead: `[id]` in front of the text.
    pub bead: Option<String>,
    /// Its line, from 1.
    pub line: usize,
    /// Its place among the tasks of every state, from 1.
    pub ordinal: usize,
    /// The bytes of blank space in front of its bullet.
    pub indent: usize,
}

/// The tasks, in the order of their lines.
#[must_use]
pub fn rows(doc: &str, flavour: Flavour) -> Vec<Row> {
    rows_of(&Document::new(doc), flavour).0
}

/// The task with this key. In the plan of one repository a task may have been moved below another heading: then
/// the only task with its text is meant, unless its old section still has one.
#[must_use]
pub fn find<'r, R: Borrow<Row>>(rows: &'r [R], flavour: Flavour, key: &RowKey) -> Option<&'r R> {
    let found = rows.iter().find(|row| key_of(*row) == key);
    if found.is_some() {
        return found;
    }
    if flavour == Flavour::Workspace {
        // Below another heading it would be the task of another repository.
        return None;
    }
    let mut equal = rows.iter().filter(|row| key_of(*row).text == key.text);
    let only = equal.next().filter(|_| equal.next().is_none())?;
    (key_of(only).section != key.section).then_some(only)
}

fn key_of<R: Borrow<Row>>(row: &R) -> &RowKey {
    &row.borrow().key
}

/// Whether there are tasks and all of them are done. A claimed one is not.
#[must_use]
pub fn is_complete(rows: &[Row]) -> bool {
    !rows.is_empty() && rows.iter().all(|row| row.mark == Mark::Done)
}

fn problems_of(document: &Document<'_>, flavour: Flavour) -> Vec<DocError> {
    let mut found: Vec<DocError> = unclosed(document).into_iter().collect();
    if flavour == Flavour::Workspace {
        let first = headings(document, flavour).map(|(line, _)| line).next();
        let before = (0..first.unwrap_or(document.count()))
            .find(|&line| box_of(document, line, flavour).is_some());
        found.extend(before.map(|line| {
            DocError::new(
                DocErrorCode::Malformed,
                Some(line + 1),
                "a task stands before the first repository; put it below a heading such as `## name`.",
            )
        }));
    }
    sorted(found)
}

/// The tasks, and the bytes in which their marks stand.
fn rows_of(document: &Document<'_>, flavour: Flavour) -> (Vec<Row>, Vec<usize>) {
    let mut headings = headings(document, flavour).peekable();
    let mut section = None;
    let mut seen: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    let mut rows: Vec<Row> = Vec::new();
    let mut places = Vec::new();
    for line in 0..document.count() {
        while let Some((_, title)) = headings.next_if(|(first, _)| *first <= line) {
            section = Some(title);
        }
        if section.is_none() && flavour == Flavour::Workspace {
            continue;
        }
        let Some(task) = box_of(document, line, flavour) else {
            continue;
        };
        let section = section.unwrap_or("");
        let count = seen.entry((section, task.text)).or_insert(0);
        let key = RowKey {
            section: section.to_owned(),
            text: task.text.to_owned(),
            occurrence: *count,
        };
        *count += 1;
        let bead = bead(task.text);
        places.push(document.start_of(line) + task.indent + "- [".len());
        rows.push(Row {
            key,
            mark: task.mark,
            id: bead.map_or_else(|| slug(task.text), str::to_owned),
            bead: bead.map(str::to_owned),
            line: line + 1,
            ordinal: rows.len() + 1,
            indent: task.indent,
        });
    }
    (rows, places)
}

/// The headings that open a section, by their first line.
fn headings<'d>(
    document: &'d Document<'_>,
    flavour: Flavour,
) -> impl Iterator<Item = (usize, &'d str)> {
    document
        .spans
        .iter()
        .filter(move |span| {
            flavour == Flavour::Repository || names_repository(document, span.first)
        })
        .map(|span| (span.first, span.title.as_str()))
}

/// Whether a heading opens a repository's section: `## name` or `### name` at the beginning of the line.
fn names_repository(document: &Document<'_>, line: usize) -> bool {
    let text = document.line_text(line);
    let title = text
        .strip_prefix("## ")
        .or_else(|| text.strip_prefix("### "));
    title.is_some_and(|title| title.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

struct TaskBox<'a> {
    mark: Mark,
    text: &'a str,
    indent: usize,
}

/// The task that a line is.
fn box_of<'a>(document: &Document<'a>, line: usize, flavour: Flavour) -> Option<TaskBox<'a>> {
    let found = document.line(line)?;
    if found.literal || matches!(found.kind, LineKind::Blank | LineKind::Heading) {
        return None;
    }
    let whole = document.line_text(line);
    let bullet = whole.trim_start_matches([' ', '\t']);
    let indent = whole.len() - bullet.len();
    if indent > 0 && flavour == Flavour::Workspace {
        return None;
    }
    let mut inside = bullet.strip_prefix("- [")?.chars();
    let mark = Mark::of(inside.next()?)?;
    let text = inside.as_str().strip_prefix("] ")?.trim_end();
    (!text.trim_start().is_empty()).then_some(TaskBox { mark, text, indent })
}

/// The id in brackets that a text begins with; a link is none.
fn bead(text: &str) -> Option<&str> {
    let (id, rest) = text.strip_prefix('[')?.split_once(']')?;
    let is_id = !id.is_empty()
        && id
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    (is_id && (rest.is_empty() || rest.starts_with([' ', '\t']))).then_some(id)
}

/// A text as a name: ASCII letters and digits in lower case, and one `-` for everything between them.
fn slug(text: &str) -> String {
    let mut slug = String::with_capacity(MAX_ID);
    for c in text.chars() {
        if slug.len() == MAX_ID {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let end = slug.trim_end_matches('-').len();
    slug.truncate(end);
    if slug.is_empty() {
        slug.push_str(NO_ID);
    }
    slug
}

#[cfg(test)]
mod tests;
