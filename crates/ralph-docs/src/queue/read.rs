//! Reading the queue: which headings and list items are experiments, and what their lines say.
//!
//! Nothing is edited here, and prose is not interpreted.

use std::ops::Range;

use super::field::{Field, is_nothing};
use super::id::{self, Form, Leading};
use super::known::Known;
use super::{QueueItem, QueueSection, depend, fields, groups, held, said, script};
use crate::blocks::ItemBlock;
use crate::document::Document;
use crate::error::DocError;
use crate::items::{TaskMark, item_text};
use crate::lines::LineKind;
use crate::machine::{Host, own_lines};
use crate::outline::Span;
use crate::quote::plain;
use crate::section::{Position, innermost, placeholder, with_ancestors};

/// An item and where it is.
pub(super) struct Found {
    pub(super) item: QueueItem,
    /// From its heading to behind its last line with content.
    pub(super) lines: Range<usize>,
    pub(super) host: Host,
    /// The lines that say what has to be done first, as key and text.
    waits: Vec<(String, String)>,
    /// Its title and its lines of prose.
    prose: Vec<String>,
}

/// The one item with an id; case does not matter.
pub(super) fn find(document: &Document<'_>, id: &str) -> Result<Found, DocError> {
    let mut found = scan(document);
    found.retain(|found| found.item.id.eq_ignore_ascii_case(id));
    let lines: Vec<usize> = found.iter().map(|found| found.item.line).collect();
    match (found.pop(), lines.len()) {
        (Some(only), 1) => Ok(only),
        (None, _) => Err(DocError::not_found(format!(
            "there is no item `{}`; an item is a heading such as `### Q-001: title`.",
            plain(id, 60)
        ))),
        _ => Err(DocError::ambiguous(
            &plain(id, 60),
            &lines,
            "nothing was moved; give each an id of its own.",
        )),
    }
}

/// All items, in the order of their lines.
pub(super) fn scan(document: &Document<'_>) -> Vec<Found> {
    let mut found: Vec<Found> = heading_items(document);
    let mut taken: Vec<Range<usize>> = found.iter().map(|found| found.lines.clone()).collect();
    let mut end = 0;
    for lines in &mut taken {
        end = end.max(lines.end);
        lines.end = end;
    }
    let mut listed = Vec::new();
    for (index, block) in document.blocks.items.iter().enumerate() {
        // An item's own checklist may name other items; it does not hold them.
        let behind = taken.partition_point(|lines| lines.start <= block.first);
        let inside = behind.checked_sub(1).and_then(|last| taken.get(last));
        let inside = inside.is_some_and(|lines| block.first < lines.end);
        if block.depth == 0 && !block.quoted && !inside {
            listed.extend(list_item(document, index, block));
        }
    }
    // A bullet that says something about an item elsewhere is no second one.
    let (boxed, bare): (Vec<Found>, Vec<Found>) = listed
        .into_iter()
        .partition(|found| has_box(document, found));
    found.extend(boxed);
    let sure = Known::new(found.iter().map(|found| found.item.id.as_str()));
    let bare: Vec<Found> = bare
        .into_iter()
        .filter(|bare| sure.get(&bare.item.id).is_none())
        .collect();
    found.extend(bare);
    found.sort_by_key(|found| found.lines.start);
    let ids: Vec<String> = found.iter().map(|found| found.item.id.clone()).collect();
    let known = Known::new(ids.iter().map(String::as_str));
    put_aside(document, &mut found);
    let named = |found: &Found| {
        let waits = found.waits.iter();
        let named = waits.flat_map(|(key, text)| depend::named(key, text, &found.item.id, &known));
        each_once(named)
    };
    let told = |found: &Found| {
        let prose = found.prose.iter();
        each_once(prose.flat_map(|text| depend::in_prose(text, &found.item.id, &known)))
    };
    let (named, told) = (found.iter().map(named), found.iter().map(told));
    let after = depend::together(&ids, named.collect(), told.collect());
    for (found, after) in found.iter_mut().zip(after) {
        found.item.after = after;
    }
    found
}

fn each_once(ids: impl Iterator<Item = String>) -> Vec<String> {
    let mut each: Vec<String> = Vec::new();
    ids.for_each(|id| {
        if !each.contains(&id) {
            each.push(id);
        }
    });
    each
}

/// Holds back what somebody folded away beside the items.
fn put_aside(document: &Document<'_>, found: &mut [Found]) {
    let mut depth = 0_usize;
    let mut from = 0;
    for found in found {
        for line in from..found.lines.start {
            if document.kind(line) == Some(LineKind::Html) {
                let text = document.line_text(line).to_lowercase();
                depth += text.matches("<details").count();
                depth = depth.saturating_sub(text.matches("</details").count());
            }
        }
        from = found.lines.start;
        let reason = || "it stands in a `details` block".to_owned();
        if depth > 0 {
            found.item.held.get_or_insert_with(reason);
        }
    }
}

fn has_box(document: &Document<'_>, found: &Found) -> bool {
    let (Host::Item { index, .. }, items) = (&found.host, &document.blocks.items) else {
        return true;
    };
    let block = items.get(*index);
    block.is_some_and(|block| TaskMark::parse(&item_text(document, block)).is_some())
}

/// Items that are headings.
fn heading_items(document: &Document<'_>) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let mut inside = 0;
    for span in &document.spans {
        // A heading nested in an item belongs to it, whatever it is called: it moves with it.
        if span.first < inside {
            continue;
        }
        if let Some(item) = heading_item(document, span) {
            inside = span.body.end;
            found.push(item);
        }
    }
    found
}

fn heading_item(document: &Document<'_>, span: &Span) -> Option<Found> {
    let leading = id::leading(&span.title)?;
    let parent = span.parent.and_then(|parent| document.spans.get(parent));
    let around: Vec<&Span> = with_ancestors(document, parent).collect();
    let listed = is_listed(&around);
    if !listed && span.level < 3 || QueueSection::from_title(&span.title).is_some() {
        return None;
    }
    let host = Host::Heading {
        body: document.trimmed(span.direct()),
    };
    let mut fields = fields::of(document, &host);
    fields.extend(fields::below(document, span));
    let fits = match leading.form {
        Form::Plain => true,
        Form::Listed => listed && !holds_items(document, span),
        Form::Described => listed && describes(&fields) && !holds_items(document, span),
    };
    let place = Place {
        lines: own_end(document, span, parent),
        text_end: span.body.start,
        host,
        around,
    };
    let held = held::by_heading(&span.title, leading.title);
    fits.then(|| build(document, place, &leading, fields, held))
}

/// The lines of an item without what stands at the end of its section and is the section's: `(none)`, or a comment such as
/// `<!-- new items here -->`, behind a blank line.
fn own_end(document: &Document<'_>, span: &Span, parent: Option<&Span>) -> Range<usize> {
    let mut lines = document.trimmed(span.first..span.body.end);
    if parent.is_none_or(|parent| parent.body.end != span.body.end) {
        return lines;
    }
    let is_blank = |line: usize| document.kind(line) == Some(LineKind::Blank);
    while let Some(blank) = (span.body.start..lines.end)
        .rev()
        .find(|&line| is_blank(line))
    {
        let last = blank + 1..lines.end;
        let is_comment = last
            .clone()
            .all(|line| document.kind(line) == Some(LineKind::Html))
            && document.line_text(last.start).trim().starts_with("<!--");
        if !is_comment && placeholder(document, last).is_none() {
            break;
        }
        lines = document.trimmed(span.first..blank);
    }
    lines
}

/// Whether a heading whose id is only a guess groups items that are sure.
fn holds_items(document: &Document<'_>, span: &Span) -> bool {
    let inner = document
        .spans
        .iter()
        .filter(|inner| inner.first > span.first && inner.first < span.body.end);
    inner
        .filter_map(|inner| id::leading(&inner.title))
        .any(|leading| leading.form == Form::Plain)
}

/// Whether the nearest heading with a meaning is one of the four.
fn is_listed(around: &[&Span]) -> bool {
    around
        .iter()
        .any(|span| QueueSection::from_title(&span.title).is_some())
}

/// Whether fields say what is to be run.
fn describes(fields: &[Field]) -> bool {
    let keys = [
        &script::KEYS[..],
        &script::COMMANDS,
        &fields::CONFIG,
        &fields::ARTIFACTS,
    ];
    fields.iter().any(|field| {
        keys.iter().any(|keys| field.is_one_of(keys))
            || field.is_one_of(&["hypothesis", "resources"])
    })
}

/// An item that is a list item: one with a box wherever it stands, such as those in a list of later ideas; one without
/// directly in a section, or in a group of one. Under READY, a bullet is a remark until a field below it says what to run.
fn list_item(document: &Document<'_>, index: usize, block: &ItemBlock) -> Option<Found> {
    let all = item_text(document, block);
    let mark = TaskMark::parse(&all);
    let text = match mark {
        Some(_) => all.get(3..)?,
        None => &all,
    };
    let leading = id::leading(text)?;
    let around: Vec<&Span> = with_ancestors(document, innermost(document, block.first)).collect();
    let listed = is_listed(&around);
    let host = Host::Item {
        index,
        position: Position::Top,
    };
    let fields = fields::of(document, &host);
    let fits = match (mark, leading.form) {
        (Some(_), Form::Plain) => true,
        (Some(_), Form::Listed) => listed,
        (Some(_), Form::Described) => listed && (leading.is_usual() || describes(&fields)),
        (None, _) => {
            let own = around
                .first()
                .is_some_and(|span| groups::is_group(&span.title));
            let is_ready = section_of(document, &around).0 == QueueSection::Ready;
            own && listed && (describes(&fields) || leading.is_set_off && !is_ready)
        }
    };
    let place = Place {
        lines: document.item_lines(block),
        text_end: block.text_last + 1,
        host,
        around,
    };
    let held = match mark.map(|mark| mark.state) {
        None | Some(' ') => held::by_heading(text, leading.title),
        Some('x' | 'X') => Some("its box is ticked".to_owned()),
        Some(state) => Some(format!("its box is marked `{state}`")),
    };
    fits.then(|| build(document, place, &leading, fields, held))
}

/// The innermost heading with a meaning; else the one that would be a section if it had one. With it, why the headings
/// hold back what is below them. READY does not reach below a heading of its own that may mean another thing.
fn section_of(document: &Document<'_>, around: &[&Span]) -> (QueueSection, Option<String>) {
    let mut other = String::new();
    let mut between: Option<&str> = None;
    let mut held = None;
    for (index, span) in around.iter().enumerate() {
        if let Some(section) = QueueSection::from_title(&span.title) {
            let between = between.filter(|_| section == QueueSection::Ready && held.is_none());
            let outer = around.get(index + 1..).unwrap_or(&[]);
            let by_outer = || {
                outer.iter().find_map(|span| {
                    let is_document =
                        span.level == 1 && span.parent.is_none() && is_first(document, span);
                    groups::by_outer(&span.title, is_document)
                })
            };
            return match between {
                Some(title) => (QueueSection::Other(title.to_owned()), None),
                None => {
                    let held = held.or_else(|| groups::by_section(&span.title));
                    let held = held.or_else(|| said::forbidden(document, span));
                    (section, held.or_else(by_outer))
                }
            };
        }
        held = held.or_else(|| groups::by_group(&span.title));
        held = held.or_else(|| said::forbidden(document, span));
        if !groups::is_crossed(&span.title) {
            between = between.or(Some(&span.title));
        }
        if span.level == 2 || (span.level > 2 && other.is_empty()) {
            other.clone_from(&span.title);
        }
    }
    (QueueSection::Other(other), held)
}

fn is_first(document: &Document<'_>, span: &Span) -> bool {
    document
        .spans
        .first()
        .is_some_and(|first| first.first == span.first)
}

/// Where an item is, before it is known what it says.
struct Place<'d> {
    lines: Range<usize>,
    text_end: usize,
    host: Host,
    /// The headings around it, the innermost first.
    around: Vec<&'d Span>,
}

fn build(
    document: &Document<'_>,
    place: Place<'_>,
    leading: &Leading<'_>,
    fields: Vec<Field>,
    held: Option<String>,
) -> Found {
    let (section, held_around) = section_of(document, &place.around);
    let waits = fields.iter().filter(|field| depend::is_key(&field.name));
    let waits = waits.map(|field| (field.name.clone(), field.all()));
    let waits = waits.collect();
    let own = own_code(document, &place);
    let depth = usize::from(matches!(place.host, Host::Item { .. }));
    let may_go = matches!(section, QueueSection::Ready | QueueSection::Other(_));
    let said = match may_go {
        true => said::statements(document, own.clone(), depth),
        false => Vec::new(),
    };
    let script = script::of(&fields, leading.title, document, own);
    let held = held.or_else(|| (!describes(&fields)).then(|| held::by_report(leading.title))?);
    let held_below = fields::held(&fields).or_else(|| {
        said.iter()
            .find_map(|(text, begins)| held::by_line(text, *begins))
    });
    let machine = own_lines(document, &place.host);
    let own = |key: &str| {
        machine
            .iter()
            .find(|line| line.key == key)
            .map(|line| line.value.clone())
    };
    let first = |names: &[&str]| fields.iter().find(|field| field.is_one_of(names));
    let value = |names: &[&str]| {
        first(names)
            .map(Field::text)
            .filter(|text| !is_nothing(text))
    };
    let mut configs = fields
        .iter()
        .filter(|field| field.is_one_of(&fields::CONFIG));
    let item = QueueItem {
        id: leading.id.clone(),
        title: leading.title.to_owned(),
        section,
        line: place.lines.start + 1,
        heading: document.bytes_of(place.lines.start..place.text_end),
        body: document.bytes_of(place.text_end..place.lines.end),
        hypothesis: value(&["hypothesis"]),
        config: configs.find_map(Field::path),
        resources: value(&["resources"]),
        notes: value(&["notes"]),
        script: script.path,
        script_more: script.more,
        artifacts: first(&fields::ARTIFACTS)
            .map(Field::list)
            .unwrap_or_default(),
        after: Vec::new(),
        held: held.or(held_below).or(held_around),
        run: own("Run"),
        job: own("Job"),
        status: own("Status"),
        fields: fields
            .iter()
            .map(|field| (field.key.clone(), field.text()))
            .collect(),
    };
    Found {
        item,
        lines: place.lines,
        host: place.host,
        waits,
        prose: std::iter::once(leading.title.to_owned())
            .chain(said.into_iter().map(|(text, _)| text))
            .collect(),
    }
}

/// The lines of an item that are its own: those below its title, before an item that is in it.
fn own_code(document: &Document<'_>, place: &Place<'_>) -> Range<usize> {
    let Host::Heading { body } = &place.host else {
        return document.trimmed(place.lines.clone());
    };
    let from = document
        .spans
        .partition_point(|span| span.first < body.start);
    let inner = document.spans.get(from..).unwrap_or(&[]).iter();
    let mut inner = inner.take_while(|span| span.first < place.lines.end);
    let other = inner.find(|span| id::leading(&span.title).is_some());
    body.start..other.map_or(place.lines.end, |span| span.first)
}
