//! Reading the queue: which headings and list items are experiments, and what their lines say.
//!
//! Nothing is edited here, and prose is not interpreted: a field counts when it is written as
//! `Key: value` in a list item of its own, or as `**Key**: value` on a line of its own.

use std::ops::Range;

use super::{QueueItem, QueueSection, depend, held};
use crate::blocks::ItemBlock;
use crate::document::Document;
use crate::error::DocError;
use crate::ids::split_numbered;
use crate::items::{TaskMark, item_text};
use crate::lines::LineKind;
use crate::machine::{Host, children, own_lines, split_field};
use crate::outline::Span;
use crate::quote::plain;
use crate::section::{Position, innermost, with_ancestors};

/// The keys that name the script of an item.
const SCRIPT: [&str; 9] = [
    "script",
    "slurm script",
    "job script",
    "sbatch",
    "sbatch script",
    "submission script",
    "submit script",
    "batch script",
    "slurm job",
];

/// The keys that name its configuration.
const CONFIG: [&str; 6] = [
    "config",
    "configs",
    "configuration",
    "config file",
    "configuration file",
    "config path",
];

/// An item and where it is.
pub(super) struct Found {
    pub(super) item: QueueItem,
    /// From its heading to behind its last line with content.
    pub(super) lines: Range<usize>,
    pub(super) host: Host,
    /// The lines that say what has to be done first, as key and text.
    waits: Vec<(String, String)>,
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
    for (index, block) in document.blocks.items.iter().enumerate() {
        // An item's own checklist may name other items; it does not hold them.
        let behind = taken.partition_point(|lines| lines.start <= block.first);
        let inside = behind.checked_sub(1).and_then(|last| taken.get(last));
        let inside = inside.is_some_and(|lines| block.first < lines.end);
        if block.depth == 0 && !block.quoted && !inside {
            found.extend(list_item(document, index, block));
        }
    }
    found.sort_by_key(|found| found.lines.start);
    let known: Vec<String> = found.iter().map(|found| found.item.id.clone()).collect();
    for found in &mut found {
        let waits = std::mem::take(&mut found.waits);
        let named = waits
            .iter()
            .flat_map(|(key, text)| depend::named(key, text, &found.item.id, &known));
        let mut after: Vec<String> = Vec::new();
        named.for_each(|id| {
            if !after.contains(&id) {
                after.push(id);
            }
        });
        found.item.after = after;
    }
    found
}

/// Items that are headings, at the two levels that the contract and its phases use.
fn heading_items(document: &Document<'_>) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let mut inside = 0;
    for span in document
        .spans
        .iter()
        .filter(|span| matches!(span.level, 3 | 4))
    {
        // A heading nested in an item belongs to it, whatever it is called: it moves with it.
        if span.first < inside {
            continue;
        }
        let Some((id, title)) = leading_id(&span.title) else {
            continue;
        };
        inside = span.body.end;
        let lines = document.trimmed(span.first..span.body.end);
        let host = Host::Heading {
            body: document.trimmed(span.direct()),
        };
        let around = span.parent.and_then(|parent| document.spans.get(parent));
        let place = Place {
            lines,
            text_end: span.body.start,
            host,
            around: with_ancestors(document, around).collect(),
        };
        let held = held::by_heading(&span.title, title);
        found.push(build(document, place, id, title, held));
    }
    found
}

/// An item that is a list item with a task mark, such as those in a list of later ideas.
fn list_item(document: &Document<'_>, index: usize, block: &ItemBlock) -> Option<Found> {
    let text = item_text(document, block);
    let mark = TaskMark::parse(&text)?;
    let text = text.get(3..)?;
    let (id, title) = leading_id(text)?;
    let place = Place {
        lines: document.item_lines(block),
        text_end: block.text_last + 1,
        host: Host::Item {
            index,
            position: Position::Top,
        },
        around: with_ancestors(document, innermost(document, block.first)).collect(),
    };
    let held = match mark.state {
        ' ' => held::by_heading(text, title),
        'x' | 'X' => Some("its box is ticked".to_owned()),
        state => Some(format!("its box is marked `{state}`")),
    };
    Some(build(document, place, id, title, held))
}

/// The innermost heading with a meaning; else the one that would be a section if it had one. With it, why the headings
/// hold back what is below them.
fn section_of(around: &[&Span]) -> (QueueSection, Option<String>) {
    let mut other = String::new();
    let mut held = None;
    for span in around {
        if let Some(section) = QueueSection::from_title(&span.title) {
            return (section, held.or_else(|| held::by_section(&span.title)));
        }
        held = held.or_else(|| held::by_group(&span.title));
        if span.level == 2 || (span.level > 2 && other.is_empty()) {
            other.clone_from(&span.title);
        }
    }
    (QueueSection::Other(other), held)
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
    id: &str,
    title: &str,
    held: Option<String>,
) -> Found {
    let fields = fields_of(document, &place);
    let (section, held_around) = section_of(&place.around);
    let waits = fields.iter().filter(|field| depend::is_key(&field.key));
    let waits = waits.map(|field| (field.key.clone(), field.all()));
    let waits = waits.collect();
    let own = own_lines(document, &place.host);
    let own = |key: &str| {
        own.iter()
            .find(|line| line.key == key)
            .map(|line| line.value.clone())
    };
    let first = |names: &[&str]| {
        fields
            .iter()
            .find(|field| names.iter().any(|name| field.is(name)))
    };
    let said = |names: &[&str]| {
        first(names)
            .map(Field::text)
            .filter(|text| !is_nothing(text))
    };
    // A key that people also use for prose names a path only where the value looks like one.
    let path = |names: &[&str]| {
        let named = fields
            .iter()
            .filter(|field| names.iter().any(|name| field.is(name)));
        let plain = |field: &&Field| {
            ["config", "script", "slurm script"]
                .iter()
                .any(|name| field.is(name))
        };
        let mut named = named.filter(|field| {
            plain(field) || field.path().is_some_and(|path| looks_like_path(&path))
        });
        named.next().and_then(Field::path)
    };
    let item = QueueItem {
        id: id.to_owned(),
        title: title.to_owned(),
        section,
        line: place.lines.start + 1,
        heading: document.bytes_of(place.lines.start..place.text_end),
        body: document.bytes_of(place.text_end..place.lines.end),
        hypothesis: said(&["hypothesis"]),
        config: path(&CONFIG),
        resources: said(&["resources"]),
        notes: said(&["notes"]),
        script: path(&SCRIPT),
        artifacts: first(&["artifacts", "artifact"])
            .map(Field::list)
            .unwrap_or_default(),
        after: Vec::new(),
        held: held.or_else(|| held_by_field(&fields)).or(held_around),
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
    }
}

/// Why a status that a person wrote holds the item back.
fn held_by_field(fields: &[Field]) -> Option<String> {
    let status = ["status", "state"];
    let mut said = fields
        .iter()
        .filter(|field| status.iter().any(|name| field.is(name)));
    said.find_map(|field| held::by_status(&field.key, &field.all()))
}

/// A `Key: value` line and the list items below it.
struct Field {
    line: usize,
    key: String,
    value: String,
    nested: Vec<String>,
}

impl Field {
    fn is(&self, name: &str) -> bool {
        self.key.eq_ignore_ascii_case(name)
    }

    fn text(&self) -> String {
        if self.nested.is_empty() || !self.value.is_empty() {
            return self.value.clone();
        }
        self.nested.join(", ")
    }

    /// The value and what is listed below it.
    fn all(&self) -> String {
        let all = std::iter::once(&self.value).chain(&self.nested);
        let all: Vec<&str> = all
            .map(String::as_str)
            .filter(|text| !text.is_empty())
            .collect();
        all.join(", ")
    }

    /// The value as a path: what the first code span holds, or the value as it is.
    fn path(&self) -> Option<String> {
        let text = self.text();
        let code = text.strip_prefix('`').and_then(|rest| rest.split_once('`'));
        let path = code.map_or(text.as_str(), |(path, _)| path).trim();
        (!is_nothing(path)).then(|| path.to_owned())
    }

    fn pieces(&self) -> impl Iterator<Item = &str> {
        let all =
            std::iter::once(self.value.as_str()).chain(self.nested.iter().map(String::as_str));
        all.flat_map(|text| depend::pieces(text))
            .flat_map(|piece| piece.split(" and "))
            .map(bare_name)
            .filter(|piece| !is_nothing(piece))
    }

    fn list(&self) -> Vec<String> {
        self.pieces().map(str::to_owned).collect()
    }
}

/// Whether a value is a path with perhaps a remark behind it, and no sentence.
fn looks_like_path(value: &str) -> bool {
    let word = bare_name(value);
    word.contains(['/', '.']) && !word.contains(' ')
}

/// A file's name without the backticks around it and the remark behind it.
fn bare_name(piece: &str) -> &str {
    let piece = piece.trim();
    let piece = piece.strip_prefix("and ").unwrap_or(piece).trim();
    match piece
        .strip_prefix('`')
        .and_then(|rest| rest.split_once('`'))
    {
        Some((name, _)) => name.trim(),
        None => piece
            .split(" (")
            .next()
            .unwrap_or(piece)
            .trim_matches('`')
            .trim(),
    }
}

/// Whether a value is left open or says that there is none.
fn is_nothing(value: &str) -> bool {
    let bare = value
        .trim_matches(['(', ')', '`', '_', '*', ' '])
        .to_ascii_lowercase();
    ["", "none", "-", "—", "n/a", "tbd"].contains(&bare.as_str())
}

fn fields_of(document: &Document<'_>, place: &Place<'_>) -> Vec<Field> {
    let own: Vec<usize> = own_lines(document, &place.host)
        .iter()
        .map(|line| line.first_line())
        .collect();
    let mut fields: Vec<Field> = Vec::new();
    for item in children(document, &place.host).filter(|item| !own.contains(&item.first)) {
        let Some((key, value)) = split_field(&item_text(document, item)) else {
            continue;
        };
        fields.push(Field {
            line: item.first,
            key,
            value,
            nested: nested_texts(document, item),
        });
    }
    if let Host::Heading { body } = &place.host {
        fields.extend(body.clone().filter_map(|line| line_field(document, line)));
    }
    fields.sort_by_key(|field| field.line);
    fields
}

fn nested_texts(document: &Document<'_>, item: &ItemBlock) -> Vec<String> {
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

/// A line of a paragraph that is `**Key**: value`, or `Key: value` with a key that is known: prose has colons too.
fn line_field(document: &Document<'_>, line: usize) -> Option<Field> {
    let found = document.line(line)?;
    let text = document.line_text(line).trim();
    if found.kind != LineKind::Text || found.depth > 0 || found.quoted {
        return None;
    }
    let (key, _) = split_field(text)?;
    let lower = key.to_lowercase();
    let other = [
        "artifacts",
        "artifact",
        "status",
        "hypothesis",
        "resources",
        "notes",
    ];
    let mut known = SCRIPT.iter().chain(&CONFIG).chain(&other);
    if !text.starts_with("**") && !known.any(|name| *name == lower) && !depend::is_key(&key) {
        return None;
    }
    let (key, value) = split_field(text)?;
    Some(Field {
        line,
        key,
        value,
        nested: Vec::new(),
    })
}

/// The id that a heading or a list item begins with, behind any symbols, and the title behind it.
fn leading_id(text: &str) -> Option<(&str, &str)> {
    let start = text.find(char::is_alphanumeric)?;
    let (decoration, text) = text.split_at_checked(start)?;
    let (id, rest) = split_numbered(text)?;
    let numbered_queue_item = id
        .get(..2)
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case("q-"));
    if !numbered_queue_item && !rest.trim_start_matches('*').starts_with(':') {
        return None;
    }
    let bold_title = decoration.contains("**") && !rest.starts_with("**");
    let title =
        rest.trim_start_matches(|c: char| !c.is_alphanumeric() && !"✓✗✅❌([<`\"'".contains(c));
    let title = if bold_title {
        title.trim_end_matches('*')
    } else {
        title
    };
    Some((id, title.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_headings() {
        let id = |text| leading_id(text).map(|(id, title)| format!("{id}|{title}"));
        assert_eq!(id("Q-001: <title>").as_deref(), Some("Q-001|<title>"));
        assert_eq!(id("Q-004 - ATTEMPT 9").as_deref(), Some("Q-004|ATTEMPT 9"));
        assert_eq!(
            id("✓ Q-220: TAM (8-seed)").as_deref(),
            Some("Q-220|TAM (8-seed)")
        );
        assert_eq!(id("**Q-004**: Larger").as_deref(), Some("Q-004|Larger"));
        assert_eq!(id("**Q-004: Larger**").as_deref(), Some("Q-004|Larger"));
        assert_eq!(id("EXP-A-3b: x").as_deref(), Some("EXP-A-3b|x"));
        assert_eq!(id("Q-7").as_deref(), Some("Q-7|"));
        assert_eq!(
            id("Q-001 ✓ COMPLETED").as_deref(),
            Some("Q-001|✓ COMPLETED")
        );
        for none in [
            "Rung 10: frozen",
            "Q201 \"Regression\"",
            "IRED-CD Experiments - x",
            "GPU-2 notes",
            "Phase 1: x",
            "Q-: x",
            "",
        ] {
            assert_eq!(id(none), None, "{none}");
        }
    }
}
