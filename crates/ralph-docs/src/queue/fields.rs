//! The fields of an item: `Key: value` in a list item of its own, on a line of its own, or in a row of a table.
//!
//! Prose is not interpreted: it has colons too, so a line without a bullet counts only when its key is known or in bold.

use std::borrow::Cow;
use std::ops::Range;

use super::field::{Field, plain_key};
use super::put_off::Said;
use super::words::{self, CONDITIONS, HOLDING, has_word};
use super::{depend, held, id, launch, said, script};
use crate::blocks::ItemBlock;
use crate::document::Document;
use crate::items::{TaskMark, item_text};
use crate::lines::LineKind;
use crate::machine::{Host, children, own_lines, split_field};
use crate::outline::Span;
use crate::section::Position;
use crate::table;

/// The keys that name the configuration of an item.
pub(super) const CONFIG: [&str; 6] = [
    "config",
    "configs",
    "configuration",
    "config file",
    "configuration file",
    "config path",
];

/// The keys that name files that must be there for success.
pub(super) const ARTIFACTS: [&str; 6] = [
    "artifacts",
    "artifact",
    "expected artifacts",
    "expected artifact",
    "required artifacts",
    "output artifacts",
];

/// Other keys that are known without a bullet.
const OTHER: [&str; 5] = ["status", "state", "hypothesis", "resources", "notes"];

/// The keys that hold an item back, unless their value is a no.
const HOLDS: [&str; 19] = [
    "blocked",
    "on hold",
    "hold",
    "do not submit",
    "do not run",
    "not ready",
    "paused",
    "parked",
    "cancelled",
    "canceled",
    "obsolete",
    "superseded",
    "superseded by",
    "replaced by",
    "deferred",
    "postponed",
    "skip",
    "abandoned",
    "done",
];

/// Keys of a status that is the cluster's: it holds an item back where it says that the item has run.
const OF_THE_JOB: [&str; 3] = ["slurm status", "job status", "run status"];

/// Keys that let an item go, unless their value is a no.
const LETS_GO: [&str; 6] = [
    "ready",
    "ready to run",
    "ready to submit",
    "approved",
    "approval",
    "go ahead",
];

/// The fields of an item whose lines these are, in the order of their lines.
pub(super) fn of(document: &Document<'_>, host: &Host) -> Vec<Field> {
    let own: Vec<usize> = own_lines(document, host)
        .iter()
        .map(|line| line.first_line())
        .collect();
    let mut fields: Vec<Field> = Vec::new();
    for item in children(document, host).filter(|item| !own.contains(&item.first)) {
        if let Some((key, value)) = listed(&item_text(document, item)) {
            fields.push(Field::new(item.first, key, value, nested(document, item)));
        }
    }
    if let Host::Heading { body } = host {
        let lines = body.clone();
        fields.extend(lines.filter_map(|line| line_field(document, line, body.end)));
        fields.extend(rows(document, body.clone()));
        fields.extend(mapping(document, body.clone()));
    }
    fields.sort_by_key(|field| field.line);
    fields
}

/// The fields below the headings in an item that are no items themselves: `#### Dependencies` is a key, and so is what
/// stands below `#### Submission`.
pub(super) fn below(document: &Document<'_>, span: &Span) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut item_end = 0;
    let from = document
        .spans
        .partition_point(|inner| inner.first <= span.first);
    let inner = document.spans.get(from..).unwrap_or(&[]).iter();
    for inner in inner.take_while(|inner| inner.first < span.body.end) {
        if inner.first < item_end {
            continue;
        }
        if id::leading(&inner.title).is_some() {
            item_end = inner.body.end;
            continue;
        }
        let alone = || (inner.title.clone(), String::new());
        let (key, value) = split(&inner.title).unwrap_or_else(alone);
        if is_known(&plain_key(&key)) {
            let said = following(document, inner.body.start, inner.direct_end);
            fields.push(Field::new(inner.first, key, value, said));
        }
        let host = Host::Heading {
            body: document.trimmed(inner.direct()),
        };
        fields.extend(of(document, &host));
    }
    fields
}

/// A field in a list item: behind a box, with a remark in a comment, or as a known key alone above a list. What is still to
/// be ticked holds nothing back.
fn listed(text: &str) -> Option<(String, String)> {
    let (is_open, text) = match TaskMark::split(text) {
        Some((mark, rest)) => (mark.is_open(), rest),
        None => (false, text),
    };
    let text = without_comments(text);
    let text = text.trim();
    let alone = || is_known(&plain_key(text)).then(|| (text.to_owned(), String::new()));
    let found = split(text).or_else(alone);
    found.filter(|(key, _)| !is_open || !HOLDS.contains(&plain_key(key).as_str()))
}

fn without_comments(text: &str) -> Cow<'_, str> {
    if !text.contains("<!--") {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split("<!--");
    let first = parts.next().unwrap_or("").to_owned();
    Cow::Owned(parts.fold(first, |kept, part| {
        kept + part.split_once("-->").map_or("", |(_, behind)| behind)
    }))
}

fn nested(document: &Document<'_>, item: &ItemBlock) -> Vec<String> {
    let Some((index, _)) = document.item_at(item.first) else {
        return Vec::new();
    };
    let below = children(
        document,
        &Host::Item {
            index,
            position: Position::Top,
        },
    );
    below.map(|child| item_text(document, child)).collect()
}

/// `Key: value`, and `**Key** value`, `**Key** — value` or `Key = value` where the key is known.
fn split(text: &str) -> Option<(String, String)> {
    let alone = text.trim_matches(|c: char| !c.is_alphanumeric());
    if !text.contains(':') && HOLDS.contains(&plain_key(alone).as_str()) {
        // The word alone says it, as in a bullet `**BLOCKED**`.
        return Some((alone.to_owned(), alone.to_owned()));
    }
    if let Some(bold) = text.strip_prefix("**")
        && let Some((key, value)) = bold.split_once("**")
        && !key.contains(':')
        && is_known(&plain_key(key))
        && !value.trim_start().starts_with(':')
    {
        let value = value.trim_start_matches([' ', '-', '–', '—', '=', '→']);
        return Some((key.trim().to_owned(), value.trim().to_owned()));
    }
    let assigned = text
        .split_once('=')
        .map(|(key, value)| (key.trim_matches(['*', '`', ' ']), value));
    if let Some((key, value)) = assigned.filter(|(key, _)| is_known(&plain_key(key))) {
        return Some((key.to_owned(), value.trim_matches(['"', ' ']).to_owned()));
    }
    split_field(text)
}

fn is_known(name: &str) -> bool {
    let mut known = script::KEYS
        .iter()
        .chain(&script::COMMANDS)
        .chain(&CONFIG)
        .chain(&ARTIFACTS)
        .chain(&OTHER)
        .chain(&HOLDS);
    known.any(|known| *known == name) || depend::is_key(name)
}

/// A line of a paragraph that is `**Key**: value`, or `Key: value` with a key that is known. Where a known key stands alone,
/// its value is what follows.
fn line_field(document: &Document<'_>, line: usize, end: usize) -> Option<Field> {
    let found = document.line(line)?;
    let text = without_comments(document.line_text(line));
    let text = text.trim();
    if found.kind != LineKind::Text || found.depth > 0 || found.quoted || text.starts_with('|') {
        return None;
    }
    let (key, value) = split(text)?;
    let known = is_known(&plain_key(&key));
    let said = match known && value.is_empty() {
        true => following(document, line + 1, end),
        false => Vec::new(),
    };
    (text.starts_with("**") || known).then(|| Field::new(line, key, value, said))
}

/// The paragraph or the list that begins on these lines, if no key of its own does.
fn following(document: &Document<'_>, first: usize, end: usize) -> Vec<String> {
    let is_blank = |line: &usize| document.kind(*line) == Some(LineKind::Blank);
    let mut said = Vec::new();
    let mut depth = None;
    for line in (first..end).skip_while(is_blank) {
        let Some(found) = document.line(line) else {
            break;
        };
        let (text, nested) = match document.item_at(line) {
            Some((_, item)) => (item_text(document, item), item.depth > 0),
            None => (document.line_text(line).trim().to_owned(), found.depth > 0),
        };
        let listed = found.depth > 0;
        let is_key = split(&text).is_some_and(|(key, _)| is_known(&plain_key(&key)));
        if *depth.get_or_insert(listed) != listed || found.kind != LineKind::Text || is_key {
            break;
        }
        if !nested {
            said.push(text);
        }
    }
    said
}

/// The rows of tables with two columns, of which the first is a key; the header may be a row like any other. So is a row
/// of a wider table whose first cell is a key: what stands behind the value belongs to it, as in `Status | BLOCKED | Ada`.
fn rows(document: &Document<'_>, lines: Range<usize>) -> Vec<Field> {
    let tables = table::read(document, lines).into_iter();
    let tables = tables.filter(|table| table.columns.len() >= 2);
    tables
        .flat_map(|table| {
            let header = (table.line, table.columns.clone());
            let rows = table.rows.into_iter();
            let rows = rows.map(|row| {
                (
                    row.line,
                    row.cells.into_iter().map(|cell| cell.text).collect(),
                )
            });
            std::iter::once(header).chain(rows).collect::<Vec<_>>()
        })
        .filter_map(|(line, cells): (usize, Vec<String>)| row(line - 1, &cells))
        .collect()
}

fn row(line: usize, cells: &[String]) -> Option<Field> {
    let (key, values) = cells.split_first()?;
    let (value, remarks) = values.split_first()?;
    let name = plain_key(key);
    if !is_known(&name) {
        return None;
    }
    // A remark is no part of a file's name.
    let is_file = CONFIG.contains(&name.as_str()) || ARTIFACTS.contains(&name.as_str());
    let remarks = remarks.iter().filter(|text| !is_file && !text.is_empty());
    let all: Vec<&str> = std::iter::once(value)
        .chain(remarks)
        .map(String::as_str)
        .collect();
    Some(Field::new(line, key.clone(), all.join(", "), Vec::new()))
}

/// The members of a fence of YAML, with the lists below them. A fence that is shown inside a longer one is an example.
fn mapping(document: &Document<'_>, lines: Range<usize>) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    // The line that opened the fence, and whether it is one of YAML.
    let mut open: Option<(&str, bool)> = None;
    for line in lines {
        let text = document.line_text(line).trim();
        let marks = fence(text);
        if document.kind(line) != Some(LineKind::Code) {
            open = None;
        } else if let Some((opening, is_yaml)) = open {
            let is_closing = marks.starts_with(opening) && marks.len() == text.len();
            if is_closing {
                open = None;
            } else if is_yaml {
                member(&mut fields, line, text);
            }
        } else if !marks.is_empty() {
            let language = text.trim_start_matches(marks).trim().to_lowercase();
            open = Some((marks, ["yaml", "yml"].contains(&language.as_str())));
        }
    }
    fields.retain(|field| is_known(&field.name));
    fields
}

/// The backticks or tildes, three at least, that a line begins with.
fn fence(text: &str) -> &str {
    let marks = |mark: char| {
        let rest = text.trim_start_matches(mark);
        text.get(..text.len() - rest.len())
            .filter(|marks| marks.len() >= 3)
    };
    marks('`').or_else(|| marks('~')).unwrap_or("")
}

/// A line of a fence of YAML.
fn member(fields: &mut Vec<Field>, line: usize, text: &str) {
    if let Some(listed) = text.strip_prefix("- ") {
        let last = fields.last_mut().filter(|field| field.value.is_empty());
        if let Some(field) = last {
            field
                .nested
                .push(listed.trim_matches(['"', '\'']).to_owned());
        }
    } else if let Some((key, value)) = split_field(text) {
        let value = value.trim_matches(['"', '\'']).to_owned();
        fields.push(Field::new(line, key, value, Vec::new()));
    }
}

/// Keys of what there is when an item has run.
const RESULTS: [&str; 5] = ["result", "results", "outcome", "finding", "verdict"];

/// Keys whose value comes with the run: it may be left open.
const COMES_LATER: [&str; 14] = [
    "result",
    "results",
    "outcome",
    "finding",
    "verdict",
    "job",
    "job id",
    "run id",
    "submitted",
    "started",
    "completed",
    "finished",
    "git sha",
    "commit",
];

/// Whether a field that the format does not know says that the item has its result, lacks something or comes later.
fn is_told_elsewhere(field: &Field) -> bool {
    let said = field.all();
    let mut key = words::each(&field.name);
    let (first, second) = (
        key.next().unwrap_or_default(),
        key.next().unwrap_or_default(),
    );
    let is_alone = words::each(&said).count() == 1 && has_word(&said, &HOLDING);
    let asks = said.ends_with('?') && !said::is_aim(&field.key);
    let is_open = asks || !field.is_one_of(&COMES_LATER) && field.is_left_open();
    let steps = field.nested.iter().filter_map(|step| TaskMark::parse(step));
    let steps: Vec<bool> = steps.map(TaskMark::is_open).collect();
    let is_before = first == "before"
        && !second.is_empty()
        && (steps.iter().any(|open| *open) || steps.is_empty() && !said.is_empty());
    let on_day = ["run", "submit", "start", "launch"].contains(&first.as_str())
        && (["when", "if", "once", "after", "only"].contains(&second.as_str())
            || ["on", "at", "from"].contains(&second.as_str()) && launch::names_time(&said));
    let choice = field.key.split(['(', ')']).skip(1).any(launch::is_open);
    let is_result = field.is_one_of(&RESULTS) && field.has_result();
    is_alone || is_open || is_before || on_day || choice || is_result
}

/// Why a field that a person wrote holds the item back.
pub(super) fn held(fields: &[Field]) -> Option<String> {
    fields.iter().find_map(|field| {
        if field.is_one_of(&["status", "state"]) {
            return held::by_status(&field.name, &field.all());
        }
        if field.is_one_of(&OF_THE_JOB) {
            return held::by_line(&field.all(), Said::Begins);
        }
        if field.is_one_of(&CONFIG) || field.is_one_of(&script::KEYS) {
            return field.unsettled();
        }
        // The reason may be listed below the key.
        let said = field.all();
        if is_told_elsewhere(field) {
            let said = crate::quote::plain(&said, 60);
            return Some(format!("it says `{}: {said}`", field.key));
        }
        let first = words::each(&said).next();
        let no = ["no", "none", "false", "n", "not"];
        let denied = first.is_none_or(|word| no.contains(&word.as_str()));
        if field.is_one_of(&LETS_GO) {
            let is_no = denied || has_word(&said, &HOLDING) || has_word(&said, &CONDITIONS);
            return is_no.then(|| {
                format!(
                    "it says `{}: {}`",
                    field.key,
                    crate::quote::plain(&said, 60)
                )
            });
        }
        let comes_first =
            field.is_one_of(&["todo", "to do"]) && has_word(&said, &["first", "before"]);
        (field.is_one_of(&HOLDS) && !denied || comes_first).then(|| match said == field.key {
            true => format!("it says `{said}`"),
            false => format!(
                "it says `{}: {}`",
                field.key,
                crate::quote::plain(&said, 60)
            ),
        })
    })
}
