//! The fields of an item: `Key: value` in a list item of its own, on a line of its own, or in a row of a table.
//!
//! Prose is not interpreted: it has colons too, so a line without a bullet counts only when its key is known or in bold.

use std::ops::Range;

use super::depend;
use super::held;
use crate::blocks::ItemBlock;
use crate::document::Document;
use crate::items::item_text;
use crate::lines::LineKind;
use crate::machine::{Host, children, own_lines, split_field};
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
const HOLDS: [&str; 5] = ["blocked", "on hold", "hold", "do not submit", "do not run"];

/// A `Key: value` line and the list items below it.
pub(super) struct Field {
    line: usize,
    /// As it is written.
    pub(super) key: String,
    /// The key in lower case and in plain words: `depends_on` is `depends on`.
    pub(super) name: String,
    pub(super) value: String,
    nested: Vec<String>,
}

impl Field {
    pub(super) fn new(line: usize, key: String, value: String, nested: Vec<String>) -> Self {
        Self {
            line,
            name: plain_key(&key),
            key,
            value,
            nested,
        }
    }

    pub(super) fn is_one_of(&self, names: &[&str]) -> bool {
        names.contains(&self.name.as_str())
    }

    pub(super) fn text(&self) -> String {
        if self.nested.is_empty() || !self.value.is_empty() {
            return self.value.clone();
        }
        self.nested.join(", ")
    }

    /// The value and what is listed below it.
    pub(super) fn all(&self) -> String {
        let all = std::iter::once(&self.value).chain(&self.nested);
        let all: Vec<&str> = all
            .map(String::as_str)
            .filter(|text| !text.is_empty())
            .collect();
        all.join(", ")
    }

    /// The value as a path: what the first code span holds, or the value as it is. A sentence names none.
    pub(super) fn path(&self) -> Option<String> {
        let text = self.text();
        let code = text.strip_prefix('`').and_then(|rest| rest.split_once('`'));
        let path = code.map_or(text.as_str(), |(path, _)| path).trim();
        (!is_nothing(path) && looks_like_path(path)).then(|| path.to_owned())
    }

    fn pieces(&self) -> impl Iterator<Item = &str> {
        let all =
            std::iter::once(self.value.as_str()).chain(self.nested.iter().map(String::as_str));
        all.flat_map(|text| depend::pieces(text))
            .flat_map(|piece| piece.split(" and "))
            .map(bare_name)
            .filter(|piece| !is_nothing(piece))
    }

    pub(super) fn list(&self) -> Vec<String> {
        self.pieces().map(str::to_owned).collect()
    }
}

/// `**Depends_on**` as `depends on`, `📄 Script(s)` as `scripts`.
pub(super) fn plain_key(key: &str) -> String {
    let key = key.replace(['_', '-'], " ").replace("(s)", "s");
    let key = key.trim_matches(|c: char| !c.is_alphanumeric());
    key.to_lowercase()
}

/// Whether a value is a path with perhaps a remark behind it, and no list of settings such as `lr=1e-4, 2 layers`.
fn looks_like_path(value: &str) -> bool {
    const ENDINGS: [&str; 12] = [
        "json",
        "jsonc",
        "yaml",
        "yml",
        "toml",
        "ini",
        "cfg",
        "conf",
        "py",
        "gin",
        "libsonnet",
        "txt",
    ];
    let value = value.trim_start_matches("./");
    let word = bare_name(value)
        .split_whitespace()
        .next()
        .unwrap_or("")
        .trim_end_matches([',', ';']);
    let ending = word
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_lowercase());
    let is_file = ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()));
    let is_alone = !bare_name(value).contains([' ', '=']);
    let is_linked = word.starts_with('[') && value.contains("](");
    is_file || is_linked || is_alone || (word.contains('/') && !word.contains(['=', ':']))
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
pub(super) fn is_nothing(value: &str) -> bool {
    let bare = value
        .trim_matches(['(', ')', '`', '_', '*', ' ', '<', '>', '.'])
        .to_ascii_lowercase();
    [
        "", "none", "-", "—", "–", "n/a", "na", "tbd", "todo", "null", "?",
    ]
    .contains(&bare.as_str())
}

/// The fields of an item whose lines these are, in the order of their lines.
pub(super) fn of(document: &Document<'_>, host: &Host) -> Vec<Field> {
    let own: Vec<usize> = own_lines(document, host)
        .iter()
        .map(|line| line.first_line())
        .collect();
    let mut fields: Vec<Field> = Vec::new();
    for item in children(document, host).filter(|item| !own.contains(&item.first)) {
        if let Some((key, value)) = split(&item_text(document, item)) {
            fields.push(Field::new(item.first, key, value, nested(document, item)));
        }
    }
    if let Host::Heading { body } = host {
        fields.extend(body.clone().filter_map(|line| line_field(document, line)));
        fields.extend(rows(document, body.clone()));
        fields.extend(mapping(document, body.clone()));
    }
    fields.sort_by_key(|field| field.line);
    fields
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
    let mut known = super::script::KEYS
        .iter()
        .chain(&super::script::COMMANDS)
        .chain(&CONFIG)
        .chain(&ARTIFACTS)
        .chain(&OTHER)
        .chain(&HOLDS);
    known.any(|known| *known == name) || depend::is_key(name)
}

/// A line of a paragraph that is `**Key**: value`, or `Key: value` with a key that is known.
fn line_field(document: &Document<'_>, line: usize) -> Option<Field> {
    let found = document.line(line)?;
    let text = document.line_text(line).trim();
    if found.kind != LineKind::Text || found.depth > 0 || found.quoted || text.starts_with('|') {
        return None;
    }
    let (key, value) = split(text)?;
    (text.starts_with("**") || is_known(&plain_key(&key)))
        .then(|| Field::new(line, key, value, Vec::new()))
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

/// Why a field that a person wrote holds the item back.
pub(super) fn held(fields: &[Field]) -> Option<String> {
    fields.iter().find_map(|field| {
        if field.is_one_of(&["status", "state"]) {
            return held::by_status(&field.name, &field.all());
        }
        // The reason may be listed below the key.
        let said = field.all();
        let first = said
            .split(|c: char| !c.is_alphanumeric())
            .find(|word| !word.is_empty());
        let no = ["no", "none", "false", "n", "not"];
        let denied = first.is_none_or(|word| no.contains(&word.to_lowercase().as_str()));
        (field.is_one_of(&HOLDS) && !denied).then(|| match said == field.key {
            true => format!("it says `{said}`"),
            false => format!(
                "it says `{}: {}`",
                field.key,
                crate::quote::plain(&said, 60)
            ),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_is_a_path_or_prose() {
        for path in [
            "configs/a.json",
            "`configs/a.json`",
            "configs/a.yaml (seed 0)",
            "configs/a.json, seed 0",
            "a.yaml",
            "base",
            "[a](configs/a.json)",
            "configs/sweep",
        ] {
            assert!(looks_like_path(path), "{path}");
        }
        for prose in [
            "lr=1e-4, 2 layers",
            "rank 20, ood=False",
            "default settings",
            "lr=1e-4/2",
            "batch: 64/128",
        ] {
            assert!(!looks_like_path(prose), "{prose}");
        }
    }

    #[test]
    fn keys_are_compared_in_plain_words() {
        for (key, wanted) in [
            ("Depends_On", "depends on"),
            ("📄 Script(s)", "scripts"),
            ("SLURM-Script", "slurm script"),
        ] {
            assert_eq!(plain_key(key), wanted);
        }
    }
}
