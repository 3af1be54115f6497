//! `documentation/debugging.md`: what went wrong, the newest first.
//!
//! People write entries in many shapes, which are read for what they are. The machine writes one: a list
//! item `- [ ] (D1) title` with a hidden key, below `## Active Issues` or what the file calls it. Of an entry it
//! wrote it ticks the mark and updates its own lines; a status that a person wrote is never touched.

use std::ops::Range;

use crate::document::Document;
use crate::edit::EditSet;
use crate::error::{DocError, DocErrorCode};
use crate::ids::numbers_in;
use crate::keyed::{self, EntryText, entry_field, places, render};
use crate::lines::LineKind;
use crate::outline::Span;
use crate::problems::{repeated, sorted, unclosed};
use crate::quote::plain;
use crate::section::{self, Position, normalise};
use crate::verify::checked_result;

pub use crate::keyed::Quote;

mod read;
mod shelf;
mod title;
mod verdict;

use read::read;
use shelf::Shelf;

/// The headings below which an entry is written; what a file calls `Active Issues`.
const ACTIVE: [&str; 5] = ["active issues", "blocking", "active", "open", "open issues"];
const NON_BLOCKING: &str = "non blocking";

/// An entry to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// One line; longer ones are cut at 160 characters.
    pub title: String,
    /// What the entry is about, for machines: for example run id and job id. A second entry with the same
    /// key is not written. It is kept in a comment that is not shown.
    pub key: String,
    /// Whether the project waits for it.
    pub blocking: bool,
    /// The lines below the title. Once written they belong to the reader; see [`annotate_entry`].
    pub fields: Vec<(String, String)>,
    /// Lines of a log, fenced.
    pub quote: Option<Quote>,
}

/// An entry as it is found, whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `D1`, `DBG-001`, `IRED-CD-001`, or the number of an `Issue 12`; `None` where there is none.
    pub id: Option<String>,
    /// The text without the id, the task mark and the hidden key.
    pub title: String,
    /// Not ticked, not under a heading such as `Resolved`, not said to be over by a marker in its title or by its
    /// last status; or reopened. In doubt an entry is open.
    pub open: bool,
    /// Whether the project waits for it: an entry of the machine stands under `BLOCKING` or says `Blocking: yes`;
    /// one that a person wrote counts as blocking unless it stands under `NON-BLOCKING` or says `Blocking: no`.
    pub blocking: bool,
    /// The hidden key of an entry that the machine wrote.
    pub key: Option<String>,
    /// Its first line, counted from 1.
    pub line: usize,
    /// The whole entry to its last line with content, in bytes.
    pub range: Range<usize>,
}

/// The entries, in the order of their lines: headings with an issue's id or a date, headings and task items in a
/// section of open or resolved issues, other list items in one of open issues, and task items with an id such as
/// `(D1)`. A checklist elsewhere is not a list of issues. A section of open issues that holds something else and
/// no entry is one open entry: see [`problems`].
#[must_use]
pub fn entries(doc: &str) -> Vec<Entry> {
    let reading = read(&Document::new(doc));
    let mut entries = reading.entries;
    entries.extend(reading.unread);
    entries.sort_by_key(|entry| entry.line);
    entries
}

/// What a person should mend: an id or a hidden key that two entries share, two sections of open issues, a
/// section of open issues in which nothing can be read as an entry, a fence that is never closed.
#[must_use]
pub fn problems(doc: &str) -> Vec<DocError> {
    let document = Document::new(doc);
    let reading = read(&document);
    let entries = reading.entries;
    let ids = entries
        .iter()
        .filter_map(|entry| Some((entry.id.clone()?, entry.line)));
    let mut found = repeated(ids, "give each entry an id of its own.");
    let keys = entries.iter().filter_map(|entry| {
        let key = plain(entry.key.as_deref()?, 160);
        Some((format!("the hidden key `{key}`"), entry.line))
    });
    found.extend(repeated(
        keys,
        "remove the comment from the copy; none of them is updated.",
    ));
    let open = document
        .spans
        .iter()
        .filter(|span| span.level <= 2 && ACTIVE.contains(&normalise(&span.title).as_str()));
    let open = open.map(|span| ("the section of open issues".to_owned(), span.first + 1));
    found.extend(repeated(open, "entries are added to the first one."));
    found.extend(reading.unread.iter().map(unread));
    found.extend(unclosed(&document));
    sorted(found)
}

fn unread(entry: &Entry) -> DocError {
    DocError::new(
        DocErrorCode::Unread,
        Some(entry.line),
        "the section of open issues holds text that is no entry, so it counts as one that is open; write each \
         issue as `- [ ] (D1) title`, or `(none)`.",
    )
}

/// Writes an entry below the heading of the open issues, the newest first, with the next free number. The
/// section is the file's own (`Active Issues`, `BLOCKING`, `ACTIVE`, `OPEN`; `NON-BLOCKING` for what does
/// not block, where there is one), or is appended. An entry whose key is there already changes nothing.
///
/// # Errors
/// The text could not be added without changing how the rest is read: `Malformed` for a fence that is
/// never closed, `Refused` otherwise.
pub fn add_entry(doc: &str, entry: &NewEntry) -> Result<EditSet, DocError> {
    let document = Document::new(doc);
    if !places(&document, &entry.key).is_empty() {
        return Ok(EditSet::empty());
    }
    let section = section_for(&document, entry.blocking);
    let id = format!("D{}", next_number(&document));
    let mut lines: Vec<String> = entry
        .fields
        .iter()
        .map(|(key, value)| entry_field(key, value))
        .collect();
    if entry.blocking && section.is_none_or(|span| normalise(&span.title) != "blocking") {
        lines.push("Blocking: yes".to_owned());
    }
    let text = EntryText {
        id: Some(id),
        title: &entry.title,
        key: &entry.key,
        lines,
        quote: entry.quote.as_ref(),
    };
    let block = render(&document, section, &text);
    let edit = match section {
        Some(span) => section::place(&document, span, &block, Position::Top),
        None => section::append(&document, "Active Issues", &block),
    };
    checked_result(&document, vec![edit], |after| {
        is_added(&document, after, &entry.key)
    })
}

/// Ticks the mark of the entry with a key, and notes how it ended in an own line `- Resolved: note` at the
/// entry's end. The same note again changes nothing.
///
/// # Errors
/// No entry has the key, or more than one has; the edit would change how the text around it is read.
pub fn resolve_entry(doc: &str, key: &str, note: &str) -> Result<EditSet, DocError> {
    keyed::resolve(doc, key, note)
}

/// Writes or updates the machine's own lines at the end of the entry with a key; they end with a comment
/// that is not shown. Lines the entry was created with are not the machine's any more.
///
/// # Errors
/// No entry has the key, or more than one has; a line's key cannot be one; the edit would change how the
/// text around it is read.
pub fn annotate_entry(
    doc: &str,
    key: &str,
    lines: &[(String, String)],
) -> Result<EditSet, DocError> {
    keyed::annotate(doc, key, lines)
}

fn section_for<'d>(document: &'d Document<'_>, blocking: bool) -> Option<&'d Span> {
    let own = if blocking {
        None
    } else {
        section::find(document, &[NON_BLOCKING])
    };
    let named = || section::find(document, &ACTIVE);
    let meant = || {
        let mut spans = document.spans.iter().filter(|span| span.level <= 2);
        spans.find(|span| shelf::of(&span.title) == Some(Shelf::Open))
    };
    own.or_else(named).or_else(meant)
}

/// One more than the highest `(Dn)` outside of code.
fn next_number(document: &Document<'_>) -> u32 {
    let lines = (0..document.count()).filter(|&line| document.kind(line) != Some(LineKind::Code));
    let numbers = lines.flat_map(|line| numbers_in(document.line_text(line), 'D'));
    numbers
        .filter(|&number| number < 1_000_000)
        .max()
        .unwrap_or(0)
        + 1
}

/// Whether the entry with the key is there now, and every other entry is what it was.
fn is_added(before: &Document<'_>, after: &Document<'_>, key: &str) -> bool {
    let others = |document: &Document<'_>| -> Vec<_> {
        let others = read(document)
            .entries
            .into_iter()
            .filter(|entry| entry.key.as_deref() != Some(key));
        // A line that was the last one may have got its end.
        let text = |entry: &Entry| document.slice(entry.range.clone()).trim_end().to_owned();
        others
            .map(|entry| (text(&entry), entry.id, entry.title, entry.open))
            .collect()
    };
    places(after, key).len() == 1 && others(before) == others(after)
}

#[cfg(test)]
mod tests;
