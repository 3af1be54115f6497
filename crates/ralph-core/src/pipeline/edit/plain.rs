//! A state file as plain values, on which the same actions are done a second time, to check the first.
//!
//! Numbers are kept as written, because `1.460` and `1.46` are not the same text to a person. What must never be
//! here: a span, a shared line of code with [`super::spans`].

use serde_json::{Map, Value};

use super::resolve::{Action, Target};
use crate::pipeline::PipelineFile;
use crate::pipeline::grammar::Kind;
use crate::pipeline::tree::{self, NodeId};

/// A value with its members in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plain {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as written.
    Number(String),
    /// A text, decoded.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// An object.
    Object(Vec<(String, Self)>),
}

impl Plain {
    /// The value at a node.
    pub(super) fn of(file: &PipelineFile, id: NodeId) -> Self {
        let raw = file.raw(id);
        let children = || file.tree.children(id);
        match file.tree.node(id).kind {
            Kind::Null => Self::Null,
            Kind::Bool => Self::Bool(raw == "true"),
            Kind::Number => Self::Number(raw.to_owned()),
            Kind::Text => Self::Text(tree::decode(raw).into_owned()),
            Kind::List => Self::List(children().map(|child| Self::of(file, child)).collect()),
            Kind::Object => Self::Object(
                children()
                    .map(|child| {
                        let key = file.tree.key(&file.text, child).into_owned();
                        (key, Self::of(file, child))
                    })
                    .collect(),
            ),
        }
    }

    /// A value that an edit brings; its numbers are written as `serde_json` writes them.
    fn of_value(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(number.to_string()),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(items) => Self::List(items.iter().map(Self::of_value).collect()),
            Value::Object(members) => Self::Object(
                members
                    .iter()
                    .map(|(key, value)| (key.clone(), Self::of_value(value)))
                    .collect(),
            ),
        }
    }

    /// Does one action.
    pub(super) fn perform(&mut self, action: &Action) {
        match action {
            Action::Merge {
                at: Target::Root,
                set,
            } => self.merge(set),
            Action::Merge {
                at: Target::Entry { list, index },
                set,
            } => {
                let entry = self.list(list).and_then(|items| items.get_mut(*index));
                if let Some(entry) = entry {
                    entry.merge(set);
                }
            }
            Action::Remove { path } => self.remove(path),
            Action::Append { list, value } => self.push(list, Self::of_value(value)),
            Action::Move { from, index, to } => {
                let source = self.list(from).filter(|items| *index < items.len());
                if let Some(entry) = source.map(|items| items.remove(*index)) {
                    self.push(to, entry);
                }
            }
            Action::Cut { list, index } => {
                if let Some(items) = self.list(list).filter(|items| *index < items.len()) {
                    items.remove(*index);
                }
            }
        }
    }

    /// Adds an entry at the end of a list.
    fn push(&mut self, list: &str, entry: Self) {
        if let Some(items) = self.list(list) {
            items.push(entry);
        }
    }

    /// Sets members where they differ. A number that means the same stays as it is written.
    fn merge(&mut self, set: &Map<String, Value>) {
        let Self::Object(members) = self else { return };
        for (key, value) in set {
            let known = members.iter_mut().find(|(name, _)| name == key);
            match (known, value) {
                (None, _) => members.push((key.clone(), Self::of_value(value))),
                (Some((_, old @ Self::Object(_))), Value::Object(inner)) => old.merge(inner),
                (Some((_, old)), _) if old.equals(value) => {}
                (Some((_, old)), _) => *old = Self::of_value(value),
            }
        }
    }

    /// Removes the member at a path, if there is one.
    fn remove(&mut self, path: &[String]) {
        let (Self::Object(members), Some((key, rest))) = (self, path.split_first()) else {
            return;
        };
        if rest.is_empty() {
            members.retain(|(name, _)| name != key);
        } else if let Some((_, inner)) = members.iter_mut().find(|(name, _)| name == key) {
            inner.remove(rest);
        }
    }

    /// The list with this key, created where it is absent or `null`.
    fn list(&mut self, key: &str) -> Option<&mut Vec<Self>> {
        let Self::Object(members) = self else {
            return None;
        };
        let known = members.iter().position(|(name, _)| name == key);
        let place = known.unwrap_or_else(|| {
            members.push((key.to_owned(), Self::Null));
            members.len() - 1
        });
        let (_, value) = members.get_mut(place)?;
        if *value == Self::Null {
            *value = Self::List(Vec::new());
        }
        match value {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// Whether the value means the same, however its numbers are written.
    fn equals(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Number(text), Value::Number(number)) => {
                serde_json::from_str::<serde_json::Number>(text).is_ok_and(|read| read == *number)
            }
            (Self::List(items), Value::Array(others)) => {
                items.len() == others.len()
                    && items
                        .iter()
                        .zip(others)
                        .all(|(item, other)| item.equals(other))
            }
            (Self::Object(members), Value::Object(others)) => {
                members.len() == others.len()
                    && members.iter().all(|(key, member)| {
                        others.get(key).is_some_and(|other| member.equals(other))
                    })
            }
            _ => *self == Self::of_value(value),
        }
    }

    /// Where two values differ first, and how. The path is built from its end.
    pub(super) fn first_difference(&self, other: &Self) -> Option<(String, String)> {
        match (self, other) {
            (Self::Object(members), Self::Object(others)) => {
                let differing = members.iter().zip(others).find_map(|(member, other)| {
                    if member.0 != other.0 {
                        let detail = format!("expected the key {:?} in this place", member.0);
                        return Some((other.0.clone(), detail));
                    }
                    let (path, detail) = member.1.first_difference(&other.1)?;
                    Some((format!("{}.{path}", member.0), detail))
                });
                differing.or_else(|| different_lengths(members.len(), others.len(), "members"))
            }
            (Self::List(items), Self::List(others)) => {
                let mut pairs = items.iter().zip(others).enumerate();
                let differing = pairs.find_map(|(index, (item, other))| {
                    let (path, detail) = item.first_difference(other)?;
                    Some((format!("[{index}].{path}"), detail))
                });
                differing.or_else(|| different_lengths(items.len(), others.len(), "elements"))
            }
            _ if self == other => None,
            _ => {
                let detail = format!("expected {self:?}, found {other:?}");
                Some(("value".to_owned(), detail.chars().take(200).collect()))
            }
        }
    }
}

fn different_lengths(expected: usize, found: usize, what: &str) -> Option<(String, String)> {
    let detail = format!("expected {expected} {what}, found {found}");
    (expected != found).then_some(("length".to_owned(), detail))
}
