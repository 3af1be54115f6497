//! The actions as replacements of spans: the only bytes that change are those of the member concerned, and the
//! comma and the blanks next to a new or removed one.
//!
//! A new member or element follows the last one of its object or list, so the comma in front of it is the only byte
//! that a neighbour gets. A changed value takes the place of the old one. A moved record is copied byte for byte; only
//! the indent of its lines follows the new place, where that lies deeper or less deep.
//!
//! What must never be here: a look at what a record means, a rewritten neighbour.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::{Map, Value};

use super::resolve::{Action, Target};
use super::style::{self, Style};
use crate::pipeline::PipelineFile;
use crate::pipeline::grammar::Kind;
use crate::pipeline::record::{self, RUN_LISTS};
use crate::pipeline::tree::{NodeId, Tree};

/// A span and what takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Splice {
    range: Range<usize>,
    text: String,
}

/// What has to be replaced; nothing when the action changes nothing. `style` is that of the file before any edit,
/// so that the order of edits cannot matter to it.
pub(super) fn splices(file: &PipelineFile, style: &Style, action: &Action) -> Vec<Splice> {
    let writer = Writer { file, style };
    let mut splices = Vec::new();
    match action {
        Action::Merge { at, set } => {
            if let Some(object) = writer.target(*at) {
                writer.merge(object, set, &mut splices);
            }
        }
        Action::Remove { path } => splices.extend(writer.remove_member(path)),
        Action::Append { list, value } => splices.extend(writer.append(list, Item::Value(value))),
        Action::Move { from, index, to } => {
            if let Some((list, entry)) = writer.entry(from, *index) {
                splices.extend(writer.append(to, Item::Record(entry)));
                splices.extend(writer.remove(list, entry));
            }
        }
        Action::Cut { list, index } => {
            if let Some((list, entry)) = writer.entry(list, *index) {
                splices.extend(writer.remove(list, entry));
            }
        }
    }
    splices
}

/// Replaces spans of a text; `None` when two of them overlap, or one is not in the text.
pub(super) fn splice(text: &str, mut splices: Vec<Splice>) -> Option<String> {
    splices.sort_by_key(|splice| splice.range.start);
    let added: usize = splices.iter().map(|splice| splice.text.len()).sum();
    let mut result = String::with_capacity(text.len() + added);
    let mut done = 0;
    for splice in &splices {
        result.push_str(text.get(done..splice.range.start)?);
        result.push_str(&splice.text);
        done = splice.range.end;
    }
    result.push_str(text.get(done..)?);
    Some(result)
}

/// A new element of a list.
#[derive(Clone, Copy)]
enum Item<'a> {
    /// A value.
    Value(&'a Value),
    /// The source of a node elsewhere in the file.
    Record(NodeId),
}

/// Writes what is new into the gaps of one text.
struct Writer<'f> {
    file: &'f PipelineFile,
    style: &'f Style,
}

impl Writer<'_> {
    /// The node of an object that members are set in.
    fn target(&self, at: Target) -> Option<NodeId> {
        match at {
            Target::Root => Some(Tree::ROOT),
            Target::Entry { list, index } => self.entry(list, index).map(|(_, entry)| entry),
        }
    }

    /// A list at the top, and an entry of it.
    fn entry(&self, list: &str, index: usize) -> Option<(NodeId, NodeId)> {
        let list = record::list_node(self.file, list)?;
        Some((list, self.file.tree.children(list).nth(index)?))
    }

    /// Sets members where they differ; new ones go to the end of their object.
    fn merge(&self, object: NodeId, set: &Map<String, Value>, splices: &mut Vec<Splice>) {
        let (file, tree) = (self.file, &self.file.tree);
        let mut fresh = Vec::new();
        for (key, value) in set {
            match (tree.member(&file.text, object, key), value) {
                (None, _) => fresh.push((key, value)),
                (Some(member), Value::Object(inner)) if tree.node(member).kind == Kind::Object => {
                    self.merge(member, inner, splices);
                }
                (Some(member), _) if file.value(member) == *value => {}
                (Some(member), _) => {
                    let style = self.style.clone().like(file, object);
                    splices.push(Splice {
                        range: tree.node(member).span(),
                        text: style.write(value, self.indent_at(member)),
                    });
                }
            }
        }
        let fresh: Vec<_> = fresh
            .into_iter()
            .map(|(key, value)| {
                let write = move |style: &Style, indent: Option<&str>| style.write(value, indent);
                (key.as_str(), write)
            })
            .collect();
        splices.extend(self.insert_members(object, &fresh));
    }

    /// The indent that a container at this place continues, when it may take more than one line: not in a file on one
    /// line, and not in the middle of a line of a file with many.
    fn indent_at(&self, id: NodeId) -> Option<&str> {
        self.style.unit.as_ref()?;
        if id == Tree::ROOT {
            return Some("");
        }
        style::own_line_indent(&self.file.text, self.file.tree.node(id).outer_start())
    }

    /// Adds members at the end of an object.
    fn insert_members<W: Fn(&Style, Option<&str>) -> String>(
        &self,
        object: NodeId,
        members: &[(&str, W)],
    ) -> Option<Splice> {
        if members.is_empty() {
            return None;
        }
        let style = self.style.clone().like(self.file, object);
        let member = |(key, write): &(&str, W), indent: Option<&str>| {
            format!(
                "{}{}{}",
                style.quote(key),
                style.colon,
                write(&style, indent)
            )
        };
        let Some(last) = self.file.tree.children(object).last() else {
            let indent = self.indent_at(object);
            let parts = members
                .iter()
                .map(|one| |inner: Option<&str>| member(one, inner));
            return Some(Splice {
                range: self.file.tree.node(object).span(),
                text: style.enclose("{", parts, "}", indent),
            });
        };
        let gap = self.gap_after(object, last, &style);
        let indent = gap.rsplit_once('\n').map(|(_, indent)| indent);
        let parts: Vec<String> = members
            .iter()
            .map(|one| format!(",{gap}{}", member(one, indent)))
            .collect();
        let end = self.file.tree.node(last).end;
        Some(Splice {
            range: end..end,
            text: parts.concat(),
        })
    }

    /// The blanks in front of a new sibling: those in front of the last one, unless that is the first in a line.
    fn gap_after(&self, parent: NodeId, last: NodeId, style: &Style) -> String {
        let gap = style::gap_before(self.file, parent, last);
        if gap.contains('\n') {
            gap.to_owned()
        } else {
            style.gap.clone()
        }
    }

    /// Takes out the member at a path; nothing when any part of the path is absent.
    fn remove_member(&self, path: &[String]) -> Option<Splice> {
        let (file, tree) = (self.file, &self.file.tree);
        let (last, parents) = path.split_last()?;
        let parent = parents.iter().try_fold(Tree::ROOT, |object, key| {
            tree.member(&file.text, object, key)
        })?;
        let member = tree.member(&file.text, parent, last)?;
        self.remove(parent, member)
    }

    /// Takes out a member or an element with one comma beside it: the one behind it, or for the last one the one in
    /// front, which is what was forgotten in all thirteen unreadable files (incidents 1 and 2). The blanks between
    /// brackets go with the last element that stood there.
    fn remove(&self, parent: NodeId, child: NodeId) -> Option<Splice> {
        let tree = &self.file.tree;
        let siblings: Vec<NodeId> = tree.children(parent).collect();
        let place = siblings.iter().position(|id| *id == child)?;
        let next = siblings.get(place + 1);
        let previous = place.checked_sub(1).and_then(|place| siblings.get(place));
        let node = tree.node(child);
        let range = match (previous, next) {
            (_, Some(next)) => node.outer_start()..tree.node(*next).outer_start(),
            (Some(previous), None) => tree.node(*previous).end..node.end,
            (None, None) => tree.node(parent).start + 1..tree.node(parent).end - 1,
        };
        Some(Splice {
            range,
            text: String::new(),
        })
    }

    /// Adds an element at the end of a list at the top of the file.
    fn append(&self, list: &str, item: Item<'_>) -> Option<Splice> {
        let file = self.file;
        let found = file.top(list);
        let Some(id) = found.filter(|id| file.tree.node(*id).kind == Kind::List) else {
            let whole = |style: &Style, indent: Option<&str>| {
                let element = |inner: Option<&str>| self.element(list, item, style, inner);
                style.enclose("[", std::iter::once(element), "]", indent)
            };
            return match found {
                None => self.insert_members(Tree::ROOT, &[(list, whole)]),
                Some(null) => Some(Splice {
                    range: file.tree.node(null).span(),
                    text: whole(self.style, self.indent_at(null)),
                }),
            };
        };
        let Some(last) = file.tree.children(id).last() else {
            let element = |inner: Option<&str>| self.element(list, item, self.style, inner);
            return Some(Splice {
                range: file.tree.node(id).span(),
                text: self
                    .style
                    .enclose("[", std::iter::once(element), "]", self.indent_at(id)),
            });
        };
        Some(self.append_after(list, id, last, item))
    }

    /// Adds an element behind the last one, with the blanks that stand in front of that.
    fn append_after(&self, list: &str, id: NodeId, last: NodeId, item: Item<'_>) -> Splice {
        let style = self.style.clone().like(self.file, id);
        let gap = self.gap_after(id, last, &style);
        let end = self.file.tree.node(last).end;
        let indent = match gap.rsplit_once('\n') {
            Some((_, indent)) => Some(indent),
            // `}, {` on one line between records of several lines.
            None if self.file.raw(last).contains('\n') => {
                Some(style::line_indent(&self.file.text, end))
            }
            None => None,
        };
        Splice {
            range: end..end,
            text: format!(",{gap}{}", self.element(list, item, self.style, indent)),
        }
    }

    /// An element as its siblings are written: on one line where the last of them is.
    fn element(&self, list: &str, item: Item<'_>, style: &Style, indent: Option<&str>) -> String {
        let sibling = self.sibling(list);
        match item {
            Item::Record(id) => self.moved(id, indent).into_owned(),
            Item::Value(value) => {
                let style = sibling.map_or_else(
                    || style.clone(),
                    |sibling| style.clone().like(self.file, sibling),
                );
                let one_line = sibling.is_some_and(|id| !self.file.raw(id).contains('\n'));
                style.write(value, indent.filter(|_| !one_line))
            }
        }
    }

    /// The record to copy the form of: the last of the list, or else of another list of runs.
    fn sibling(&self, list: &str) -> Option<NodeId> {
        let others = RUN_LISTS.into_iter().filter(|_| RUN_LISTS.contains(&list));
        std::iter::once(list)
            .chain(others)
            .filter_map(|name| record::list_node(self.file, name))
            .filter_map(|id| self.file.tree.children(id).last())
            .find(|id| self.file.tree.children(*id).next().is_some())
    }

    /// The source of a record, with the indent of its lines exchanged where it stood deeper or less deep.
    fn moved(&self, id: NodeId, indent: Option<&str>) -> Cow<'_, str> {
        let raw = self.file.raw(id);
        let from = style::line_indent(&self.file.text, self.file.tree.node(id).end);
        let Some(to) = indent.filter(|to| *to != from && raw.contains('\n')) else {
            return Cow::Borrowed(raw);
        };
        // A line end inside a string cannot occur, so every line starts between two tokens.
        let lines: Vec<Cow<'_, str>> = raw
            .split('\n')
            .enumerate()
            .map(|(number, line)| match line.strip_prefix(from) {
                Some(rest) if number > 0 => Cow::Owned(format!("{to}{rest}")),
                _ => Cow::Borrowed(line),
            })
            .collect();
        Cow::Owned(lines.join("\n"))
    }
}
