//! How a file is written: its indent, its colons, its line ends, its escapes. Copied from the nearest sibling.
//!
//! The real files differ in all of these, and most of them in more than one place: records on one line in a file of
//! many lines, colons without a blank in one list and with one in the next (section B of the field study).
//!
//! What must never be here: a house style. Where a file gives no example, what Python's `json.dumps` would write
//! is assumed, because that is what most of the real files came from.

use std::fmt::Write as _;

use memchr::memchr_iter;
use serde_json::{Map, Value};

use crate::pipeline::PipelineFile;
use crate::pipeline::tree::{NodeId, Tree};

/// How values are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Style {
    /// One level of indent; `None` when the document stands on one line.
    pub(super) unit: Option<String>,
    /// Line end.
    pub(super) newline: &'static str,
    /// What stands between a key and its value.
    pub(super) colon: String,
    /// What follows a comma when the next member stays on the line.
    pub(super) gap: String,
    /// Whether characters outside ASCII are written as `\uXXXX`.
    escape: bool,
}

impl Style {
    /// The style of a file, by its first member.
    pub(super) fn of(file: &PipelineFile) -> Self {
        let text = &file.text;
        let first = file.tree.children(Tree::ROOT).next();
        let before_first = first.map(|id| gap_before(file, Tree::ROOT, id));
        let unit = match before_first {
            None => Some("  ".to_owned()),
            Some(gap) => gap.rsplit_once('\n').map(|(_, indent)| indent.to_owned()),
        };
        // A file with mixed line ends is continued as it begins.
        let crlf = memchr_iter(b'\n', text.as_bytes())
            .next()
            .is_some_and(|feed| text.as_bytes().get(feed.wrapping_sub(1)) == Some(&b'\r'));
        let style = Self {
            unit,
            newline: if crlf { "\r\n" } else { "\n" },
            colon: ": ".to_owned(),
            gap: " ".to_owned(),
            escape: text.is_ascii() && has_wide_escape(text),
        };
        style.like(file, Tree::ROOT)
    }

    /// The same, with colons and gaps as in an object or a list that has some.
    pub(super) fn like(mut self, file: &PipelineFile, id: NodeId) -> Self {
        let children: Vec<NodeId> = file.tree.children(id).collect();
        let Some(last) = children.last() else {
            return self;
        };
        let node = file.tree.node(*last);
        if node.key_end > node.key_start {
            let colon = file.text.get(node.key_end..node.start).unwrap_or(": ");
            // A value on the line below its key is no example to follow.
            if !colon.contains('\n') {
                colon.clone_into(&mut self.colon);
            }
            self.gap = if self.colon.ends_with(' ') { " " } else { "" }.to_owned();
        }
        let gap = gap_before(file, id, *last);
        if children.len() > 1 && !gap.contains('\n') {
            gap.clone_into(&mut self.gap);
        }
        self
    }

    /// Writes a value; `indent` is that of the line it begins on, `None` keeps it on one line.
    pub(super) fn write(&self, value: &Value, indent: Option<&str>) -> String {
        match value {
            Value::Object(members) => self.write_object(members, indent),
            Value::Array(items) => {
                let items = items
                    .iter()
                    .map(|item| move |inner: Option<&str>| self.write(item, inner));
                self.enclose("[", items, "]", indent)
            }
            Value::String(text) => self.quote(text),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        }
    }

    /// Writes an object: its members in their order.
    fn write_object(&self, members: &Map<String, Value>, indent: Option<&str>) -> String {
        let members = members.iter().map(|(key, value)| {
            move |inner: Option<&str>| {
                format!(
                    "{}{}{}",
                    self.quote(key),
                    self.colon,
                    self.write(value, inner)
                )
            }
        });
        self.enclose("{", members, "}", indent)
    }

    /// Puts brackets around items, each written for the indent it gets.
    pub(super) fn enclose<I: Fn(Option<&str>) -> String>(
        &self,
        open: &str,
        items: impl Iterator<Item = I>,
        close: &str,
        indent: Option<&str>,
    ) -> String {
        let (unit, newline) = (self.unit.as_deref().unwrap_or_default(), self.newline);
        let inner = indent.map(|indent| format!("{indent}{unit}"));
        let parts: Vec<String> = items.map(|item| item(inner.as_deref())).collect();
        match (indent, inner) {
            _ if parts.is_empty() => format!("{open}{close}"),
            (Some(indent), Some(inner)) => {
                let joined = parts.join(&format!(",{newline}{inner}"));
                format!("{open}{newline}{inner}{joined}{newline}{indent}{close}")
            }
            _ => format!("{open}{}{close}", parts.join(&format!(",{}", self.gap))),
        }
    }

    /// Writes a text with its quotes.
    pub(super) fn quote(&self, text: &str) -> String {
        let quoted = Value::from(text).to_string();
        if !self.escape || quoted.is_ascii() {
            return quoted;
        }
        let mut escaped = String::with_capacity(quoted.len() + 16);
        for character in quoted.chars() {
            if character.is_ascii() {
                escaped.push(character);
                continue;
            }
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a `String` cannot fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
        escaped
    }
}

/// The blanks in front of a member or an element, from its bracket or comma on.
pub(super) fn gap_before(file: &PipelineFile, parent: NodeId, child: NodeId) -> &str {
    let start = file.tree.node(child).outer_start();
    let floor = file.tree.node(parent).start;
    let before = file.text.get(floor..start).unwrap_or_default();
    let blanks = before.trim_end_matches([' ', '\t', '\r', '\n']).len();
    before.get(blanks..).unwrap_or_default()
}

/// The blanks at the start of the line that an offset is in.
pub(super) fn line_indent(text: &str, at: usize) -> &str {
    let before = text.get(..at).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |feed| feed + 1);
    let line = text.get(start..).unwrap_or_default();
    let blanks = line.len() - line.trim_start_matches([' ', '\t']).len();
    line.get(..blanks).unwrap_or_default()
}

/// The indent of a line when nothing but it stands before an offset; `None` when something does.
pub(super) fn own_line_indent(text: &str, at: usize) -> Option<&str> {
    let before = text.get(..at)?;
    let start = before.rfind('\n')? + 1;
    let indent = before.get(start..)?;
    indent
        .trim_start_matches([' ', '\t'])
        .is_empty()
        .then_some(indent)
}

/// Whether a text has an escape for a character outside ASCII. Backslashes occur only in strings.
fn has_wide_escape(text: &str) -> bool {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('\\') {
        let code = after
            .strip_prefix('u')
            .and_then(|hex| u16::from_str_radix(hex.get(..4)?, 16).ok());
        if code.is_some_and(|code| code >= 0x80) {
            return true;
        }
        // What is escaped may be a backslash itself.
        rest = after.get(1..).unwrap_or_default();
    }
    false
}
