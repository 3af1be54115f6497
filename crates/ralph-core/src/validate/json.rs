//! JSON with positions: what a reader sees, and where it stands. Strict, except that duplicate keys are kept so
//! that they can be named. Nothing here knows what a key means.

use std::collections::BTreeMap;

use jsonc_parser::ast::{ObjectProp, Value};
use jsonc_parser::common::Ranged as _;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::Finding;

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// The line, from one.
    pub(super) line: usize,
    /// The column in characters, from one.
    pub(super) column: usize,
}

impl Position {
    /// The place behind a text.
    pub(super) fn after(text: &str) -> Self {
        let last = text.rsplit('\n').next().unwrap_or_default();
        Self {
            line: 1 + memchr::memchr_iter(b'\n', text.as_bytes()).count(),
            column: 1 + last.chars().count(),
        }
    }
}

/// A parsed file whose root is an object.
#[derive(Debug)]
pub(super) struct Document<'a> {
    pub(super) path: &'a str,
    text: &'a str,
    /// Where each line starts.
    lines: Vec<usize>,
    root: Value<'a>,
}

impl<'a> Document<'a> {
    /// Parses strictly.
    pub(super) fn parse(path: &'a str, text: &'a str) -> Result<Self, Box<Finding>> {
        // A byte order mark is no JSON and no harm.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        // The judge of what is JSON is the parser that the rest of the product reads with; the other one only
        // knows positions.
        serde_json::from_str::<serde::de::IgnoredAny>(text)
            .map_err(|error| corrupt(path, text, &error))?;
        let parsed = parse_to_ast(text, &CollectOptions::default(), &STRICT);
        match parsed.ok().and_then(|parsed| parsed.value) {
            Some(root @ Value::Object(_)) => {
                let breaks = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1);
                let lines = std::iter::once(0).chain(breaks).collect();
                Ok(Self {
                    path,
                    text,
                    lines,
                    root,
                })
            }
            _ => {
                let message = "expected an object at the top of the file";
                let fix = "Restore the file from git, or start from a new project's file.";
                Err(Box::new(Finding::error(
                    path,
                    "not_an_object",
                    message,
                    fix,
                )))
            }
        }
    }

    /// The object at the top.
    pub(super) fn root(&self) -> &Value<'a> {
        &self.root
    }

    /// Where a value starts.
    pub(super) fn place(&self, value: &Value<'a>) -> Position {
        self.position(value.start())
    }

    fn position(&self, offset: usize) -> Position {
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = line
            .checked_sub(1)
            .and_then(|index| self.lines.get(index))
            .copied()
            .unwrap_or_default();
        let column = 1 + self
            .text
            .get(start..offset)
            .map_or(0, |before| before.chars().count());
        Position { line, column }
    }

    /// One finding for every key that an object has twice; other readers silently keep one of them (incident 3).
    pub(super) fn duplicate_keys(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        // A list instead of recursion: depth is bounded by the parser, and stays harmless if that changes.
        let mut open = vec![&self.root];
        while let Some(value) = open.pop() {
            match value {
                Value::Array(array) => open.extend(&array.elements),
                Value::Object(object) => {
                    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
                    for property in &object.properties {
                        open.push(&property.value);
                        let key = property.name.as_str();
                        if let Some(first) = seen.insert(key, property.start()) {
                            findings.push(self.duplicate(property, first));
                        }
                    }
                }
                _ => {}
            }
        }
        findings
    }

    fn duplicate(&self, property: &ObjectProp<'a>, first: usize) -> Finding {
        let message = format!(
            "the key `{}` stands twice in one object, first on line {}",
            property.name.as_str(),
            self.position(first).line
        );
        let fix = "Merge both values into one; readers disagree about which of them counts.";
        Finding::error(self.path, "duplicate_key", message, fix).at(self.position(property.start()))
    }
}

const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// The text up to the comma, when a text ends with a comma and a closing bracket. The parser has stopped before
/// that at a comma that follows no value.
fn comma_before_bracket(text: &str) -> Option<&str> {
    text.strip_suffix([']', '}'])?.trim_end().strip_suffix(',')
}

/// Names the place of the mistake; for a comma before a closing bracket the comma itself (incidents 1 and 2).
fn corrupt(path: &str, text: &str, error: &serde_json::Error) -> Box<Finding> {
    let reason = error.to_string();
    let reason = reason
        .split(" at line ")
        .next()
        .unwrap_or_default()
        .to_owned();
    let line = error.line().max(1);
    let line_start: usize = text
        .split_inclusive('\n')
        .take(line - 1)
        .map(str::len)
        .sum();
    let offset = (line_start + error.column()).min(text.len());
    if let Some(comma) = comma_before_bracket(text.get(..offset).unwrap_or_default()) {
        let message = "there is a comma before the closing bracket";
        let fix = "Remove the comma (`ralph validate --repair` does just that).";
        return Box::new(
            Finding::error(path, "trailing_comma", message, fix).at(Position::after(comma)),
        );
    }
    let message = format!("this is no JSON: {reason}");
    let fix = "Correct the place by hand, or restore the file from git.";
    let position = Position {
        line,
        column: error.column().max(1),
    };
    Box::new(Finding::error(path, "corrupt_json", message, fix).at(position))
}

/// The member of an object; of several with one name the last, as most readers take it.
pub(super) fn member<'v, 'a>(value: &'v Value<'a>, key: &str) -> Option<&'v Value<'a>> {
    let object = value.as_object()?;
    let property = object
        .properties
        .iter()
        .rev()
        .find(|property| property.name.as_str() == key)?;
    Some(&property.value)
}

/// The members of an object with their names; none for any other value.
pub(super) fn members<'v, 'a>(
    value: &'v Value<'a>,
) -> impl Iterator<Item = (&'v str, &'v Value<'a>)> {
    value
        .as_object()
        .into_iter()
        .flat_map(|object| &object.properties)
        .map(|property| (property.name.as_str(), &property.value))
}

/// The elements of an array; none for any other value.
pub(super) fn elements<'v, 'a>(value: Option<&'v Value<'a>>) -> &'v [Value<'a>] {
    value
        .and_then(Value::as_array)
        .map_or(&[], |array| array.elements.as_slice())
}

/// A text, or a number as it is written.
pub(super) fn scalar<'v>(value: &'v Value<'_>) -> Option<&'v str> {
    match value {
        Value::StringLit(text) => Some(&text.value),
        Value::NumberLit(number) => Some(number.value),
        _ => None,
    }
}

/// What a value is, in words.
pub(super) fn kind(value: &Value<'_>) -> &'static str {
    match value {
        Value::StringLit(_) => "a text",
        Value::NumberLit(_) => "a number",
        Value::BooleanLit(_) => "true or false",
        Value::Object(_) => "an object",
        Value::Array(_) => "a list",
        Value::NullKeyword(_) => "null",
    }
}
