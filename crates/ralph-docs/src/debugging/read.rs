//! The entries of a document, in whatever shape people write them.

use std::ops::Range;

use super::Entry;
use super::shelf::{self, Shelf, is_nothing};
use super::title::{is_debug_id, issue_id, starts_with_date, told_open};
use super::verdict::{self, Verdict};
use crate::blocks::ItemBlock;
use crate::document::Document;
use crate::items::{ListItem, TaskMark, list_item};
use crate::key;
use crate::lines::LineKind;
use crate::machine::split_field;
use crate::outline::Span;
use crate::section::{innermost, normalise, with_ancestors};
use crate::table;

/// What is read of a document.
pub(super) struct Reading {
    /// The entries, in the order of their lines.
    pub(super) entries: Vec<Entry>,
    /// One for each section of open issues that holds something of which nothing is an entry.
    pub(super) unread: Vec<Entry>,
}

pub(super) fn read(document: &Document<'_>) -> Reading {
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
        entries.extend(item_entry(document, item, inside));
    }
    entries.sort_by_key(|entry| entry.line);
    let spans = document.spans.iter();
    let unread = spans
        .filter_map(|span| unread_section(document, span, &entries))
        .collect();
    Reading { entries, unread }
}

/// The meaning of the innermost section around that has one.
fn shelf_of<'d>(mut around: impl Iterator<Item = &'d Span>) -> Option<Shelf> {
    around.find_map(|span| shelf::of(&span.title))
}

/// What is said of an entry: by its title, its last status, its box, its section.
#[derive(Default)]
struct Said {
    title: Option<Verdict>,
    status: Option<Verdict>,
    ticked: bool,
    resolved_section: bool,
}

impl Said {
    /// A later `REOPENED` outweighs everything; a tick and a section are decided by whoever moved the entry there;
    /// of title and status both have to agree.
    fn is_open(&self) -> bool {
        let says = |verdict| self.title == Some(verdict) || self.status == Some(verdict);
        if says(Verdict::Reopened) {
            return true;
        }
        if self.ticked || self.resolved_section {
            return false;
        }
        says(Verdict::Open) || !says(Verdict::Over)
    }
}

fn heading_entry(document: &Document<'_>, span: &Span) -> Option<Entry> {
    if !(2..=4).contains(&span.level) {
        return None;
    }
    let (id, title) = is_entry(document, span)?;
    let parent = span.parent.and_then(|parent| document.spans.get(parent));
    let shelf = shelf_of(with_ancestors(document, parent));
    let lines = document.trimmed(span.first..span.body.end);
    let own = own_lines(document, span);
    let said = Said {
        title: title_verdict(&span.title, title),
        status: last_status(document, own.clone(), 1),
        resolved_section: shelf == Some(Shelf::Resolved),
        ticked: false,
    };
    Some(Entry {
        id,
        title: title.to_owned(),
        open: said.is_open(),
        blocking: shelf != Some(Shelf::NonBlocking) && blocks(document, own) != Some(false),
        key: None,
        line: span.first + 1,
        range: document.bytes_of(lines),
    })
}

/// The id and the title of a heading that is an entry: one with an issue's id or a word such as `Issue:`, a dated one,
/// one in a section of open or resolved issues. A heading that means a section is none.
fn is_entry<'s>(document: &Document<'_>, span: &'s Span) -> Option<(Option<String>, &'s str)> {
    let parent = span.parent.and_then(|parent| document.spans.get(parent));
    let (id, title) = issue_id(&span.title);
    let title = match (&id, told_open(&span.title, tells_issues(parent))) {
        (None, Some(told)) => told,
        _ => title,
    };
    let told = title.len() < span.title.len();
    let dated = span.level <= 3 && starts_with_date(&span.title) && !only_groups(document, span);
    let listed = || {
        let direct = parent.is_some_and(|parent| shelf::of(&parent.title).is_some());
        let on_shelf =
            direct || (span.level == 3 && shelf_of(with_ancestors(document, parent)).is_some());
        on_shelf && shelf::of(&span.title).is_none() && !is_nothing(&span.title)
    };
    (id.is_some() || told || dated || listed()).then_some((id, title))
}

/// Whether a heading is a day alone, with nothing below it but other headings.
fn only_groups(document: &Document<'_>, span: &Span) -> bool {
    let named = span.title.chars().skip(10).any(char::is_alphabetic);
    let empty = !span.direct().any(|line| document.has_content(line));
    !named && empty && span.direct_end < span.body.end
}

/// Whether `Issue: t` below a heading is one of this project's, and no example in a list of common ones.
fn tells_issues(parent: Option<&Span>) -> bool {
    parent.is_none_or(|parent| parent.level == 1 || shelf::is_about_open(&parent.title))
}

/// The lines of a heading's entry, to the first entry inside of it.
fn own_lines(document: &Document<'_>, span: &Span) -> Range<usize> {
    let from = document
        .spans
        .partition_point(|other| other.first <= span.first);
    let inside = document
        .spans
        .iter()
        .skip(from)
        .take_while(|other| other.first < span.body.end);
    let next = inside
        .filter(|other| (2..=4).contains(&other.level))
        .find(|other| is_entry(document, other).is_some());
    span.body.start..next.map_or(span.body.end, |next| next.first)
}

/// A word may stand before the id as well as behind it.
fn title_verdict(whole: &str, title: &str) -> Option<Verdict> {
    let found = [verdict::of_title(whole), verdict::of_title(title)];
    let is = |verdict| found.contains(&Some(verdict)).then_some(verdict);
    is(Verdict::Reopened)
        .or_else(|| is(Verdict::Open))
        .or_else(|| is(Verdict::Over))
}

fn item_entry(document: &Document<'_>, block: &ItemBlock, inside_entry: bool) -> Option<Entry> {
    let line = document.line_text(block.first);
    let key = key::in_line(line);
    let item = list_item(document, block);
    let around = innermost(document, block.first);
    let shelf = shelf_of(with_ancestors(document, around));
    let numbered = item.id.as_deref().is_some_and(is_debug_id);
    let listed = shelf.is_some() && !inside_entry && is_listed(&item, shelf);
    if key.is_none() && !(numbered && item.task.is_some()) && !listed {
        return None;
    }
    let lines = block.first + 1..block.last + 1;
    let title = key::without(&item.text).to_owned();
    let said = Said {
        // What the machine wrote quotes a log, and a log may say anything.
        title: title_verdict(&title, &title).filter(|_| key.is_none()),
        status: last_status(document, lines.clone(), block.depth + 2),
        ticked: item.task.is_some_and(TaskMark::is_done),
        resolved_section: shelf == Some(Shelf::Resolved),
    };
    let says = blocks(document, lines);
    let blocking = match key {
        Some(_) => says != Some(false) && (under_blocking(document, around) || says == Some(true)),
        None => says != Some(false) && shelf != Some(Shelf::NonBlocking),
    };
    Some(Entry {
        id: item.id,
        open: said.is_open(),
        title,
        blocking,
        key,
        line: item.line,
        range: item.range,
    })
}

/// Whether a list item of such a section is an issue, unless it says that there is none: one with a box is, one
/// without in a section of open issues only, and not as a remark about the list. What is listed as resolved that
/// way is a sentence.
fn is_listed(item: &ListItem, shelf: Option<Shelf>) -> bool {
    let plain = shelf != Some(Shelf::Resolved) && !is_remark(&item.text);
    (item.task.is_some() || plain) && !is_nothing(&item.text)
}

/// Whether a line is about the list and not about an issue.
fn is_remark(text: &str) -> bool {
    const REMARKS: [&str; 8] = [
        "note",
        "notes",
        "legend",
        "format",
        "last updated",
        "updated",
        "status",
        "template",
    ];
    let text = text.trim().trim_start_matches(['-', '+', ' ']);
    let key =
        split_field(text.strip_prefix("* ").unwrap_or(text)).map(|(key, _)| key.to_lowercase());
    key.is_some_and(|key| REMARKS.contains(&key.as_str()))
}

/// Whether a heading around a place is called `BLOCKING`.
fn under_blocking(document: &Document<'_>, around: Option<&Span>) -> bool {
    with_ancestors(document, around).any(|span| normalise(&span.title) == "blocking")
}

/// The fields of an entry, at most as deep in lists as its own bullets are: a job's `Status` below a run is not the
/// issue's.
fn fields<'d>(
    document: &'d Document<'_>,
    lines: Range<usize>,
    depth: usize,
) -> impl Iterator<Item = (String, String)> + 'd {
    let own = move |line: &usize| {
        document
            .line(*line)
            .is_some_and(|line| line.kind == LineKind::Text && !line.quoted && line.depth <= depth)
    };
    lines.filter(own).filter_map(|line| {
        let text = document
            .line_text(line)
            .trim()
            .trim_start_matches(['-', '+']);
        split_field(text.strip_prefix("* ").unwrap_or(text))
    })
}

/// What the last line says that speaks of the issue's status.
fn last_status(document: &Document<'_>, lines: Range<usize>, depth: usize) -> Option<Verdict> {
    let statuses = fields(document, lines, depth).filter_map(|(key, value)| {
        let key = key.to_lowercase();
        let words: Vec<&str> = key
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .collect();
        match words[..] {
            ["reopened" | "reopen", ..] => Some(Some(Verdict::Reopened)),
            ["status", ..]
            | [
                "current" | "new" | "final" | "latest" | "updated" | "overall" | "issue",
                "status",
                ..,
            ] => Some(verdict::of_status(&value)),
            _ => None,
        }
    });
    statuses.last().flatten()
}

/// What the last `Blocking:` of an entry says.
fn blocks(document: &Document<'_>, lines: Range<usize>) -> Option<bool> {
    let said = fields(document, lines, usize::MAX).filter(|(key, _)| {
        ["blocking", "blocker"].contains(&key.trim_end_matches('?').trim().to_lowercase().as_str())
    });
    let word = |value: &str| {
        let first = value
            .split(|c: char| !c.is_alphanumeric())
            .find(|word| !word.is_empty())?;
        match first.to_lowercase().as_str() {
            "no" | "non" | "false" | "none" => Some(false),
            "yes" | "true" => Some(true),
            _ => None,
        }
    };
    said.filter_map(|(_, value)| word(&value)).last()
}

/// A section of open issues with something in it that is no entry, as one open entry: what cannot be read must not
/// count as nothing.
fn unread_section(document: &Document<'_>, span: &Span, entries: &[Entry]) -> Option<Entry> {
    let shelf = shelf::of(&span.title).filter(|shelf| *shelf != Shelf::Resolved)?;
    let within = |entry: &Entry| span.body.contains(&(entry.line - 1));
    let (ours, theirs): (Vec<&Entry>, Vec<&Entry>) = entries
        .iter()
        .filter(|entry| within(entry))
        .partition(|entry| entry.key.is_some());
    let first_own = document
        .spans
        .iter()
        .find(|other| other.first > span.first && shelf::of(&other.title).is_some());
    let end = first_own.map_or(span.body.end, |other| other.first.min(span.body.end));
    if !theirs.is_empty() {
        return None;
    }
    let is_ours = |line: usize| {
        let at = document.start_of(line);
        ours.iter().any(|entry| entry.range.contains(&at))
    };
    let over = rows_that_are_over(document, span.body.start..end);
    let content: Vec<usize> = content_lines(document, span.body.start..end)
        .into_iter()
        .filter(|&line| !is_ours(line) && !over.contains(&line))
        .collect();
    let says_nothing = |line: &usize| is_nothing(document.line_text(*line));
    let first = content.iter().copied().find(|line| !says_nothing(line))?;
    let last = content.last().copied()?;
    // An introduction that ends with `(none)` says so.
    let is_prose = |line: &usize| {
        document
            .line(*line)
            .is_some_and(|line| line.kind == LineKind::Text && line.depth == 0)
            && !document.line_text(*line).trim_start().starts_with('|')
    };
    let is_aside = |line: &usize| is_prose(line) || is_remark(document.line_text(*line));
    if says_nothing(&last)
        && content
            .iter()
            .filter(|line| !says_nothing(line))
            .all(is_aside)
    {
        return None;
    }
    let text = document
        .line_text(first)
        .trim()
        .trim_start_matches(['-', '*', '+', '|', '#', ' ']);
    Some(Entry {
        id: None,
        title: text.trim_end_matches(['|', ' ']).to_owned(),
        open: true,
        blocking: shelf == Shelf::Open,
        key: None,
        line: first + 1,
        range: document.bytes_of(first..last + 1),
    })
}

/// The rows of tables with a cell that says that the issue is over.
fn rows_that_are_over(document: &Document<'_>, lines: Range<usize>) -> Vec<usize> {
    let tables = table::read(document, lines).into_iter();
    let rows = tables.flat_map(|table| {
        let status = table.columns.iter().position(|column| {
            ["status", "state", "resolution"].contains(&column.to_lowercase().as_str())
        });
        table
            .rows
            .into_iter()
            .filter_map(move |row| Some((row.line - 1, row.text(status?).to_owned())))
    });
    rows.filter(|(_, status)| verdict::of_status(status) == Some(Verdict::Over))
        .map(|(line, _)| line)
        .collect()
}

/// The lines that say something: not the head of a table, not a comment.
fn content_lines(document: &Document<'_>, lines: Range<usize>) -> Vec<usize> {
    let is_rule = |line: usize| {
        let text = document.line_text(line).trim();
        text.contains('|') && text.contains('-') && text.chars().all(|c| "|-: ".contains(c))
    };
    let mut in_comment = false;
    let mut found = Vec::new();
    for line in lines {
        let text = document.line_text(line);
        in_comment |= text.trim_start().starts_with("<!--");
        let commented = in_comment && document.kind(line) == Some(LineKind::Html);
        in_comment = commented && !text.contains("-->");
        if document.has_content(line) && !commented && !is_rule(line) && !is_rule(line + 1) {
            found.push(line);
        }
    }
    found
}
