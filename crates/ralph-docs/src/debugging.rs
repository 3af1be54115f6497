//! `documentation/debugging.md`: what went wrong, the newest first.
//!
//! People write entries in many shapes, which are read for what they are. The machine writes one: a list
//! item `- [ ] (D1) title` with a hidden key, below `## Active Issues` or what the file calls it. Of an entry it
//! wrote it ticks the mark and updates its own lines; a status that a person wrote is never touched.

use std::ops::Range;

use crate::blocks::ItemBlock;
use crate::document::Document;
use crate::edit::EditSet;
use crate::error::DocError;
use crate::ids::{numbers_in, split_numbered};
use crate::items::{TaskMark, list_item};
use crate::key;
use crate::keyed::{self, EntryText, entry_field, places, render};
use crate::lines::LineKind;
use crate::machine::split_field;
use crate::outline::Span;
use crate::problems::{repeated, sorted, unclosed};
use crate::quote::plain;
use crate::section::{self, Position, innermost, normalise, with_ancestors};
use crate::verify::checked_result;

pub use crate::keyed::Quote;

/// The headings that hold what is open; what a file calls `Active Issues`.
const ACTIVE: [&str; 5] = ["active issues", "blocking", "active", "open", "open issues"];
const NON_BLOCKING: &str = "non blocking";
const RESOLVED: [&str; 4] = ["resolved", "recently resolved", "resolved issues", "closed"];

/// Words that say that an entry is over, in a title in capitals or as the first word of a status.
const OVER: [&str; 5] = ["RESOLVED", "FIXED", "COMPLETED", "CLOSED", "DONE"];

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
    /// Not ticked, not under a heading such as `Resolved`, not said to be over in its title or status.
    pub open: bool,
    /// Whether the project waits for it: an entry of the machine stands under `BLOCKING` or says `Blocking: yes`;
    /// one that a person wrote counts as blocking unless it stands under `NON-BLOCKING`.
    pub blocking: bool,
    /// The hidden key of an entry that the machine wrote.
    pub key: Option<String>,
    /// Its first line, counted from 1.
    pub line: usize,
    /// The whole entry to its last line with content, in bytes.
    pub range: Range<usize>,
}

/// The entries, in the order of their lines: headings with an issue's id or a date, headings of level 3 and
/// task items in a section of open or resolved issues, and task items with an id such as `(D1)`. A
/// checklist elsewhere is not a list of issues.
#[must_use]
pub fn entries(doc: &str) -> Vec<Entry> {
    read(&Document::new(doc))
}

/// What a person should mend: an id or a hidden key that two entries share, two sections of open issues, a
/// fence that is never closed.
#[must_use]
pub fn problems(doc: &str) -> Vec<DocError> {
    let document = Document::new(doc);
    let entries = read(&document);
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
        .filter(|span| span.level <= 2 && is_active(&span.title));
    let open = open.map(|span| ("the section of open issues".to_owned(), span.first + 1));
    found.extend(repeated(open, "entries are added to the first one."));
    found.extend(unclosed(&document));
    sorted(found)
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
    own.or_else(|| section::find(document, &ACTIVE))
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
            .into_iter()
            .filter(|entry| entry.key.as_deref() != Some(key));
        others
            .map(|entry| (entry.id, entry.title, entry.open, entry.range.len()))
            .collect()
    };
    places(after, key).len() == 1 && others(before) == others(after)
}

fn read(document: &Document<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut heading_lines: Vec<Range<usize>> = Vec::new();
    for span in &document.spans {
        if let Some(entry) = heading_entry(document, span) {
            heading_lines.push(span.first..span.body.end);
            entries.push(entry);
        }
    }
    let mut end = 0;
    for lines in &mut heading_lines {
        end = end.max(lines.end);
        lines.end = end;
    }
    for item in document
        .blocks
        .items
        .iter()
        .filter(|item| item.depth == 0 && !item.quoted)
    {
        let behind = heading_lines.partition_point(|lines| lines.start <= item.first);
        let around = behind
            .checked_sub(1)
            .and_then(|last| heading_lines.get(last));
        let inside = around.is_some_and(|lines| item.first < lines.end);
        entries.extend(task_entry(document, item, inside));
    }
    entries.sort_by_key(|entry| entry.line);
    entries
}

/// How a section, by its title or that of a section around it, stands to its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shelf {
    Open,
    Resolved,
    Other,
}

fn is_active(title: &str) -> bool {
    ACTIVE.contains(&normalise(title).as_str())
}

fn shelf_of<'d>(mut around: impl Iterator<Item = &'d Span>) -> Shelf {
    let shelf = |span: &Span| {
        let title = normalise(&span.title);
        if RESOLVED.contains(&title.as_str()) {
            Some(Shelf::Resolved)
        } else {
            let open = is_active(&span.title) || title == NON_BLOCKING;
            open.then_some(Shelf::Open)
        }
    };
    around.find_map(shelf).unwrap_or(Shelf::Other)
}

fn heading_entry(document: &Document<'_>, span: &Span) -> Option<Entry> {
    if !(2..=4).contains(&span.level) {
        return None;
    }
    let parent = span.parent.and_then(|parent| document.spans.get(parent));
    let shelf = shelf_of(with_ancestors(document, parent));
    let (id, title) = issue_id(&span.title);
    let dated = span.level == 2 && starts_with_date(&span.title);
    let listed = span.level == 3 && shelf != Shelf::Other;
    if id.is_none() && !dated && !listed {
        return None;
    }
    let lines = document.trimmed(span.first..span.body.end);
    let over = is_over_title(&span.title) || is_over_status(document, span);
    Some(Entry {
        id,
        title: title.to_owned(),
        open: shelf != Shelf::Resolved && !over,
        blocking: !under(document, parent, NON_BLOCKING),
        key: None,
        line: span.first + 1,
        range: document.bytes_of(lines),
    })
}

fn task_entry(document: &Document<'_>, block: &ItemBlock, inside_entry: bool) -> Option<Entry> {
    let line = document.line_text(block.first);
    let key = key::in_line(line);
    let item = list_item(document, block);
    let around = innermost(document, block.first);
    let shelf = shelf_of(with_ancestors(document, around));
    let numbered = item.id.as_deref().is_some_and(is_debug_id);
    let listed = shelf != Shelf::Other && item.task.is_some() && !inside_entry;
    if key.is_none() && !(numbered && item.task.is_some()) && !listed {
        return None;
    }
    Some(Entry {
        id: item.id,
        title: key::without(&item.text).to_owned(),
        open: shelf != Shelf::Resolved && !item.task.is_some_and(TaskMark::is_done),
        blocking: match key {
            Some(_) => {
                under(document, around, "blocking") || says_blocking(document, item.range.clone())
            }
            None => !under(document, around, NON_BLOCKING),
        },
        key,
        line: item.line,
        range: item.range,
    })
}

/// Whether a heading around a place has this name.
fn under(document: &Document<'_>, around: Option<&Span>, name: &str) -> bool {
    with_ancestors(document, around).any(|span| normalise(&span.title) == name)
}

/// Whether an entry has the line that [`add_entry`] gives to one that blocks.
fn says_blocking(document: &Document<'_>, range: Range<usize>) -> bool {
    let mut lines = document.slice(range).lines();
    lines.any(|line| line.trim().trim_start_matches(['-', '*', '+']).trim() == "Blocking: yes")
}

fn is_debug_id(id: &str) -> bool {
    id.strip_prefix('D')
        .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
}

/// The id of `Issue 12: t`, `Issue #11: t` or `DBG-001: t`, and the title behind it.
fn issue_id(title: &str) -> (Option<String>, &str) {
    let bare = title.trim_start_matches(|c: char| !c.is_alphanumeric());
    let number = bare
        .strip_prefix("Issue ")
        .map(|rest| rest.trim_start_matches('#'));
    let split = match number {
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            rest.split_at_checked(digits)
                .filter(|(number, _)| !number.is_empty())
        }
        None => split_numbered(bare),
    };
    match split.and_then(|(id, rest)| rest.strip_prefix(':').map(|rest| (id, rest))) {
        Some((id, rest)) => (Some(id.to_owned()), rest.trim()),
        None => (None, title),
    }
}

/// Whether a title begins with a day such as `2026-06-04`.
fn starts_with_date(title: &str) -> bool {
    let shape = title
        .bytes()
        .take(10)
        .map(|b| if b.is_ascii_digit() { b'0' } else { b });
    shape.eq(*b"0000-00-00")
}

/// Whether a title says in capitals that the issue is over; `NOT RESOLVED` does not.
fn is_over_title(title: &str) -> bool {
    let words: Vec<&str> = title
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .collect();
    let over = |index: usize, word: &&str| {
        let before = index.checked_sub(1).and_then(|before| words.get(before));
        OVER.contains(word) && before.is_none_or(|word| !word.eq_ignore_ascii_case("not"))
    };
    words
        .iter()
        .enumerate()
        .any(|(index, word)| over(index, word))
}

/// Whether the first `Status:` below the heading says that it is over.
fn is_over_status(document: &Document<'_>, span: &Span) -> bool {
    let texts = span
        .direct()
        .filter(|&line| document.kind(line) == Some(LineKind::Text));
    let fields = texts.filter_map(|line| {
        let text = document
            .line_text(line)
            .trim()
            .trim_start_matches(['-', '+']);
        split_field(text.strip_prefix("* ").unwrap_or(text))
    });
    let mut statuses = fields.filter(|(key, _)| key.eq_ignore_ascii_case("status"));
    statuses.next().is_some_and(|(_, value)| {
        let mut words = value
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty());
        words
            .next()
            .is_some_and(|word| OVER.contains(&word.to_uppercase().as_str()))
    })
}

#[cfg(test)]
mod tests;
