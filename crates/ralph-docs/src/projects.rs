//! `projects/PROJECTS.md`: the list of projects, which people keep in a style of their own.
//!
//! A project is added once, as a row of the table or an item of the list that is there, written like the
//! one before it. Nothing is ever removed or reordered.

use crate::blocks::ItemBlock;
use crate::document::Document;
use crate::edit::{Edit, EditSet};
use crate::error::DocError;
use crate::ids::is_id_char;
use crate::items::{TaskMark, item_text};
use crate::lines::LineKind;
use crate::machine::{bullet_of, indent_of};
use crate::quote::plain;
use crate::section::{self, Position};
use crate::table::{self, Table, add_row, row_text};
use crate::verify::checked_result;

/// The columns that name a project, and those that take the note.
const NAME_COLUMNS: [&str; 4] = ["Project", "Slug", "Name", "Projects"];
const NOTE_COLUMNS: [&str; 6] = [
    "Note",
    "Notes",
    "Description",
    "Summary",
    "Purpose",
    "About",
];

/// The longest note, in characters.
const MAX_NOTE: usize = 300;

/// Lists a project, with a note that may be empty: in the first table with a column for it, else in the
/// first list of a section `Projects`, else in a section of that name. A project that is named in any
/// table or list already is not listed again.
///
/// # Errors
/// The slug is no plain word, or the edit would change how the text around it is read.
pub fn register(doc: &str, slug: &str, note: &str) -> Result<EditSet, DocError> {
    if slug.is_empty() || !slug.chars().all(is_id_char) {
        return Err(DocError::refused(format!(
            "`{}` cannot be listed as a project; use letters, digits, `.`, `_` and `-`.",
            plain(slug, 60)
        )));
    }
    let document = Document::new(doc);
    if is_listed(&document, slug) {
        return Ok(EditSet::empty());
    }
    let edit = edit_for(&document, slug, note);
    checked_result(&document, vec![edit], |after| is_listed(after, slug))
}

/// Whether a list names a project, in an item or in a row of a table.
#[must_use]
pub fn lists(doc: &str, slug: &str) -> bool {
    is_listed(&Document::new(doc), slug)
}

/// Whether a project is named in a list item or a table row.
fn is_listed(document: &Document<'_>, slug: &str) -> bool {
    let tables = table::read(document, 0..document.count());
    let in_table = |line: usize| {
        let mut rows = tables.iter().flat_map(|table| &table.rows);
        rows.any(|row| row.line == line + 1)
    };
    (0..document.count()).any(|line| {
        let found = document.line(line);
        let listed = found.is_some_and(|l| l.kind == LineKind::Text && !l.quoted && l.depth > 0);
        (listed || in_table(line)) && names(document.line_text(line), slug)
    })
}

/// Whether a text has a slug as a word of its own.
fn names(text: &str, slug: &str) -> bool {
    let words = text.split(|c: char| !is_id_char(c));
    words
        .into_iter()
        .any(|word| word == slug || word.trim_end_matches('.') == slug)
}

/// The place that the file itself has for projects.
fn edit_for(document: &Document<'_>, slug: &str, note: &str) -> Edit {
    let tables = table::read(document, 0..document.count());
    if let Some(table) = tables.iter().find(|table| name_column(table).is_some()) {
        return table_edit(document, table, slug, note);
    }
    let section = section::find(document, &["projects", "active projects", "project list"]);
    let lines = section.map_or(0..document.count(), crate::outline::Span::direct);
    let mut items = document.blocks.items.iter();
    let in_section =
        |item: &&ItemBlock| lines.contains(&item.first) && item.depth == 0 && !item.quoted;
    if let Some(first) = items.find(in_section) {
        let last = last_of_list(document, first);
        let line = item_line(document, last, slug, note);
        return document.insertion(last.last + 1, &document.join(&[line]));
    }
    let bullet = document.style.bullet;
    let block = document.join(&[format!("{bullet} {}", plain_item(slug, note))]);
    match section {
        Some(span) => section::place(document, span, &block, Position::Bottom),
        None => section::append(document, "Projects", &block),
    }
}

fn name_column(table: &Table) -> Option<usize> {
    NAME_COLUMNS.iter().find_map(|name| table.column(name))
}

fn table_edit(document: &Document<'_>, table: &Table, slug: &str, note: &str) -> Edit {
    let named = |names: &[&'static str]| {
        names
            .iter()
            .copied()
            .find(|name| table.column(name).is_some())
    };
    let mut values = Vec::new();
    values.extend(named(&NAME_COLUMNS).map(|name| (name, slug)));
    values.extend(named(&NOTE_COLUMNS).map(|name| (name, note)));
    add_row(document, table, &row_text(table, &values))
}

/// The last item of the list that an item begins: the items that follow with nothing but blank lines
/// between.
fn last_of_list<'d>(document: &'d Document<'_>, first: &'d ItemBlock) -> &'d ItemBlock {
    let mut last = first;
    let siblings = document
        .blocks
        .items
        .iter()
        .filter(|item| item.depth == 0 && item.first > first.first);
    for item in siblings {
        let mut between = last.last + 1..item.first;
        if between.any(|line| document.kind(line) != Some(LineKind::Blank)) {
            break;
        }
        last = item;
    }
    last
}

/// An item written like another one: its bullet, its task mark, how its first word is set, and what stands
/// between that word and the rest.
fn item_line(document: &Document<'_>, like: &ItemBlock, slug: &str, note: &str) -> String {
    let text = item_text(document, like);
    let mark = if TaskMark::parse(&text).is_some() {
        "[ ] "
    } else {
        ""
    };
    let text = if mark.is_empty() {
        text.as_str()
    } else {
        text.get(3..).unwrap_or("").trim_start()
    };
    let shaped = shape_of(text).map(|shape| shape.write(slug, note));
    let content = shaped.unwrap_or_else(|| plain_item(slug, note));
    let (indent, bullet) = (indent_of(document, like), bullet_of(document, like));
    format!("{indent}{bullet} {mark}{content}")
}

fn plain_item(slug: &str, note: &str) -> String {
    let note = plain(note, MAX_NOTE);
    let gap = if note.is_empty() { "" } else { ": " };
    format!("`{slug}`{gap}{note}")
}

/// How a list names its projects.
struct Shape<'t> {
    before: &'t str,
    name: &'t str,
    /// What closes the name: a backtick, or a link's target.
    after: &'t str,
    separator: &'t str,
}

impl Shape<'_> {
    fn write(&self, slug: &str, note: &str) -> String {
        let after = self.after.replace(self.name, slug);
        let note = plain(note, MAX_NOTE);
        let separator = if note.is_empty() { "" } else { self.separator };
        format!("{}{slug}{after}{separator}{note}", self.before)
    }
}

/// The shape of an item that begins with a project's name; `None` for a sentence.
fn shape_of(text: &str) -> Option<Shape<'_>> {
    let start = text.find(is_id_char)?;
    let (before, rest) = text.split_at_checked(start)?;
    let end = rest.find(|c: char| !is_id_char(c)).unwrap_or(rest.len());
    let (name, rest) = rest.split_at_checked(end)?;
    let closing = match before {
        "" => 0,
        "`" | "**" | "*" => rest.starts_with(before).then_some(before.len())?,
        "[" => rest
            .strip_prefix("](")
            .and_then(|target| target.find(')'))
            .map(|end| end + 3)?,
        _ => return None,
    };
    let (after, rest) = rest.split_at_checked(closing)?;
    let separator = [": ", " — ", " – ", " - "]
        .into_iter()
        .find(|s| rest.starts_with(s));
    let separator = separator.unwrap_or(": ");
    let named = !before.is_empty() || rest.is_empty() || rest.starts_with(separator);
    named.then_some(Shape {
        before,
        name,
        after,
        separator,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DocErrorCode;

    fn listed(doc: &str, slug: &str, note: &str) -> String {
        let result = register(doc, slug, note).unwrap().apply(doc);
        assert!(
            register(&result, slug, "other").unwrap().is_empty(),
            "{result}"
        );
        result
    }

    #[test]
    fn an_empty_list_is_begun() {
        assert_eq!(
            listed("", "ired", "matrix inversion"),
            "## Projects\n\n- `ired`: matrix inversion\n"
        );
        assert_eq!(
            listed("# Projects\n\n(none)\n", "ired", ""),
            "# Projects\n\n- `ired`\n"
        );
        assert_eq!(
            listed("# Projects\n\nProse.\n", "ired", ""),
            "# Projects\n\nProse.\n\n- `ired`\n"
        );
    }

    #[test]
    fn the_style_of_the_list_is_copied() {
        let cases = [
            ("- one\n", "- one\n- two: x\n"),
            (
                "* **one** — a\n  more\n\ntext\n",
                "* **one** — a\n  more\n* **two** — x\n\ntext\n",
            ),
            (
                "- [one](one/README.md): a",
                "- [one](one/README.md): a\n- [two](two/README.md): x",
            ),
            ("- [x] `one` - a\n", "- [x] `one` - a\n- [ ] `two` - x\n"),
            ("1. `one`\n", "1. `one`\n- `two`: x\n"),
            ("- some sentence\n", "- some sentence\n- `two`: x\n"),
        ];
        for (doc, wanted) in cases {
            assert_eq!(listed(doc, "two", "x"), wanted);
        }
    }

    #[test]
    fn a_table_gets_a_row() {
        let doc =
            "| # | Project | Status | Description |\n|-|-|-|-|\n| 1 | one | on | a |\n\n- a list\n";
        let wanted = "| 1 | one | on | a |\n|  | two |  | x \\| &lt;y> |\n\n- a list\n";
        assert!(listed(doc, "two", "x | <y>").ends_with(wanted));
    }

    #[test]
    fn a_project_is_listed_once() {
        for doc in [
            "- **ired**: x\n",
            "* [ired](ired/)\n",
            "|Project|\n|-|\n|`ired`|\n",
            "- see projects/ired.\n",
        ] {
            assert!(register(doc, "ired", "").unwrap().is_empty(), "{doc}");
        }
        for doc in ["ired in prose\n", "```\n- ired\n```\n", "- ired-baseline\n"] {
            assert!(!register(doc, "ired", "").unwrap().is_empty(), "{doc}");
        }
        assert_eq!(
            register("", "a b", "").unwrap_err().code,
            DocErrorCode::Refused
        );
        assert_eq!(
            register("", "", "").unwrap_err().code,
            DocErrorCode::Refused
        );
    }
}
