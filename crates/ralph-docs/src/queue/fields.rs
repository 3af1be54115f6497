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
const OTHER: [&str; 7] = [
    "status",
    "state",
    "blocked",
    "on hold",
    "hypothesis",
    "resources",
    "notes",
];

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
fn plain_key(key: &str) -> String {
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
        .chain(&OTHER);
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

/// The rows of tables with two columns, of which the first is a key; the header may be a row like any other.
fn rows(document: &Document<'_>, lines: Range<usize>) -> Vec<Field> {
    let tables = table::read(document, lines).into_iter();
    let tables = tables.filter(|table| table.columns.len() == 2);
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
        .filter_map(|(line, cells): (usize, Vec<String>)| match &cells[..] {
            [key, value] if is_known(&plain_key(key)) => {
                Some(Field::new(line - 1, key.clone(), value.clone(), Vec::new()))
            }
            _ => None,
        })
        .collect()
}

/// The members of a fence of YAML, with the lists below them.
fn mapping(document: &Document<'_>, lines: Range<usize>) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    let mut inside = false;
    for line in lines {
        let text = document.line_text(line).trim();
        if document.kind(line) != Some(LineKind::Code) {
            inside = false;
        } else if let Some(language) = text
            .strip_prefix("```")
            .or_else(|| text.strip_prefix("~~~"))
        {
            inside = !inside && ["yaml", "yml"].contains(&language.trim().to_lowercase().as_str());
        } else if inside && let Some(listed) = text.strip_prefix("- ") {
            let last = fields.last_mut().filter(|field| field.value.is_empty());
            if let Some(field) = last {
                field
                    .nested
                    .push(listed.trim_matches(['"', '\'']).to_owned());
            }
        } else if inside && let Some((key, value)) = split_field(text) {
            let value = value.trim_matches(['"', '\'']).to_owned();
            fields.push(Field::new(line, key, value, Vec::new()));
        }
    }
    fields.retain(|field| is_known(&field.name));
    fields
}

/// Why a field that a person wrote holds the item back.
pub(super) fn held(fields: &[Field]) -> Option<String> {
    fields.iter().find_map(|field| {
        if field.is_one_of(&["status", "state"]) {
            return held::by_status(&field.name, &field.all());
        }
        let first = field
            .value
            .split(|c: char| !c.is_alphanumeric())
            .find(|word| !word.is_empty());
        let no = ["no", "none", "false", "n", "not"];
        let denied = first.is_none_or(|word| no.contains(&word.to_lowercase().as_str()));
        let holds = field.is_one_of(&["blocked", "on hold", "hold", "do not submit", "do not run"]);
        (holds && !denied).then(|| {
            format!(
                "it says `{}: {}`",
                field.key,
                crate::quote::plain(&field.value, 60)
            )
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
