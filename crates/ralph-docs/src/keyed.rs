//! Entries of ours in somebody's document: a list item with a task mark and a hidden key.
//!
//! The key makes writing idempotent: an entry that is there is found and never written twice, however its
//! text was edited since. What the entry says belongs to the reader once it is written; only the task mark
//! and the machine's own lines are changed later.

use crate::document::Document;
use crate::edit::{Edit, EditSet};
use crate::error::DocError;
use crate::items::TaskMark;
use crate::key;
use crate::machine::{Host, bullet_of, has_lines, indent_of, set_lines};
use crate::outline::Span;
use crate::quote::{fence, plain};
use crate::section::Position;
use crate::verify::checked_result;

/// The longest title and the longest line of an entry, in characters, and the longest quote, in bytes.
const MAX_TITLE: usize = 160;
const MAX_LINE: usize = 600;
const MAX_QUOTE: usize = 4096;

/// The lines of a log, and what they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// What is quoted, such as `Last lines of slurm/logs/q001_17.err`.
    pub label: String,
    /// The text as it was found. It is fenced, stripped of control characters and shortened to about 4 KiB.
    pub text: String,
}

/// What an entry says.
pub(crate) struct EntryText<'e> {
    pub(crate) id: Option<String>,
    pub(crate) title: &'e str,
    pub(crate) key: &'e str,
    /// The lines below the title, each of them one line of Markdown already.
    pub(crate) lines: Vec<String>,
    pub(crate) quote: Option<&'e Quote>,
}

/// A line of an entry: `Key: value`.
pub(crate) fn entry_field(key: &str, value: &str) -> String {
    let (key, value) = (plain(key, MAX_TITLE), plain(value, MAX_LINE));
    format!("{key}: {value}").trim_end().to_owned()
}

/// A line of an entry from any text.
pub(crate) fn entry_line(text: &str) -> String {
    plain(text, MAX_LINE)
}

/// The entry as a block of whole lines, with the bullet and indentation of the list that it is put in front
/// of, or the document's.
pub(crate) fn render(
    document: &Document<'_>,
    section: Option<&Span>,
    text: &EntryText<'_>,
) -> String {
    let (indent, bullet) = list_style(document, section);
    let id = text
        .id
        .as_deref()
        .map_or_else(String::new, |id| format!("({id}) "));
    let title = plain(text.title, MAX_TITLE);
    let mut lines = vec![format!(
        "{bullet} [ ] {id}{title} {}",
        key::comment(text.key)
    )];
    lines.extend(text.lines.iter().map(|line| format!("  {bullet} {line}")));
    if let Some(quote) = text.quote {
        lines.push(format!("  {bullet} {}:", plain(&quote.label, MAX_TITLE)));
        let fenced = fence(&quote.text, MAX_QUOTE);
        lines.extend(
            fenced
                .split('\n')
                .map(|line| format!("    {line}").trim_end().to_owned()),
        );
    }
    for line in lines.iter_mut().filter(|line| !line.is_empty()) {
        line.insert_str(0, &indent);
    }
    document.join(&lines)
}

/// The indentation and bullet of the list that a section begins with, so that an entry joins it and does not
/// make it a sublist of its own.
fn list_style(document: &Document<'_>, section: Option<&Span>) -> (String, char) {
    let first = section.and_then(|span| span.direct().find(|&line| document.has_content(line)));
    match first.and_then(|line| document.item_at(line)) {
        Some((_, item)) => (indent_of(document, item), bullet_of(document, item)),
        None => (String::new(), document.style.bullet),
    }
}

/// The places of the entries with a key, among the document's items.
pub(crate) fn places(document: &Document<'_>, key: &str) -> Vec<usize> {
    let items = document.blocks.items.iter().enumerate();
    items
        .filter(|(_, item)| !item.quoted)
        .filter(|(_, item)| key::in_line(document.line_text(item.first)).as_deref() == Some(key))
        .map(|(index, _)| index)
        .collect()
}

/// The one entry with a key.
fn find(document: &Document<'_>, key: &str) -> Result<usize, DocError> {
    let places = places(document, key);
    let what = format!("the entry with the key `{}`", plain(key, MAX_TITLE));
    match places[..] {
        [only] => Ok(only),
        [] => Err(DocError::not_found(format!(
            "{what} is not there; it was never written, or its comment was removed."
        ))),
        _ => {
            let items = places
                .iter()
                .filter_map(|&index| document.blocks.items.get(index));
            let lines: Vec<usize> = items.map(|item| item.first + 1).collect();
            Err(DocError::ambiguous(
                &what,
                &lines,
                "remove the comment from the copy.",
            ))
        }
    }
}

/// Updates the machine's own lines of the entry with a key.
pub(crate) fn annotate(
    doc: &str,
    key: &str,
    lines: &[(String, String)],
) -> Result<EditSet, DocError> {
    let document = Document::new(doc);
    let edits = set_lines(&document, &host(find(&document, key)?), lines)?;
    checked_result(&document, edits, |after| reads_back(after, key, lines))
}

/// Ticks the entry with a key and notes how it ended in an own line.
pub(crate) fn resolve(doc: &str, key: &str, note: &str) -> Result<EditSet, DocError> {
    let document = Document::new(doc);
    let index = find(&document, key)?;
    let lines = [("Resolved".to_owned(), note.to_owned())];
    let mut edits = set_lines(&document, &host(index), &lines)?;
    edits.extend(tick(&document, index));
    checked_result(&document, edits, |after| reads_back(after, key, &lines))
}

fn host(index: usize) -> Host {
    Host::Item {
        index,
        position: Position::Bottom,
    }
}

fn reads_back(document: &Document<'_>, key: &str, lines: &[(String, String)]) -> bool {
    find(document, key).is_ok_and(|index| has_lines(document, &host(index), lines))
}

/// The edit that ticks an open entry; an entry whose task mark was removed is not given a new one.
fn tick(document: &Document<'_>, index: usize) -> Option<Edit> {
    let item = document.blocks.items.get(index)?;
    let end = document.line(item.first)?.text_end;
    let mark = TaskMark::parse(document.slice(item.content_at..end))?;
    let at = item.content_at + mark.at;
    (!mark.is_done()).then(|| Edit::replace(at..at + mark.state.len_utf8(), "x"))
}
