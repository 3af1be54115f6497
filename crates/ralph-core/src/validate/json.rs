//! JSON with positions: what a reader sees, and where it stands, as the reader of state files parsed it. Duplicate
//! keys are kept so that all of them can be named. Nothing here knows what a key means.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Findings;
use crate::error::Coded as _;
use crate::pipeline::PipelineError;
use crate::pipeline::fault::{Fault, FaultKind};
use crate::pipeline::grammar::Kind;
use crate::pipeline::lines::{Lines, Place};
use crate::pipeline::tree::{Node, NodeId, Tree, decode};

/// A parsed file whose root is an object.
#[derive(Debug)]
pub(super) struct Document<'a> {
    text: &'a str,
    lines: Lines,
    tree: Tree,
}

/// A value of a document; cheap to hand on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'d> {
    document: &'d Document<'d>,
    id: NodeId,
}

impl<'a> Document<'a> {
    /// Parses strictly; a text that is no object is a finding.
    pub(super) fn parse(text: &'a str, findings: &mut Findings<'_>) -> Option<Self> {
        // The tree tells of one duplicate key; all of them are found below.
        let tree = match Tree::parse(text) {
            Ok((tree, _)) => tree,
            Err(fault) => {
                corrupt(text, fault, findings);
                return None;
            }
        };
        let document = Self {
            text,
            lines: Lines::of(text.as_bytes()),
            tree,
        };
        let root = document.root();
        if root.node().kind == Kind::Object {
            return Some(document);
        }
        let message = format!(
            "expected an object at the top of the file, found {}",
            root.kind()
        );
        let fix = "Restore the file from git, or start from a new project's file.";
        findings
            .error("not_an_object", message, fix)
            .at(root.place());
        None
    }

    /// The whole text.
    pub(super) fn whole(&self) -> &'a str {
        self.text
    }

    /// The object at the top.
    pub(super) fn root(&self) -> Value<'_> {
        self.value(Tree::ROOT)
    }

    fn value(&self, id: NodeId) -> Value<'_> {
        Value { document: self, id }
    }

    /// One finding for every key that an object has twice; other readers silently keep one of them (incident 3).
    pub(super) fn duplicate_keys(&self, findings: &mut Findings<'_>) {
        let mut open = vec![Tree::ROOT];
        while let Some(id) = open.pop() {
            let is_object = self.tree.node(id).kind == Kind::Object;
            let mut seen: BTreeMap<Cow<'_, str>, usize> = BTreeMap::new();
            for child in self.tree.children(id) {
                open.push(child);
                let at = self.tree.node(child).key_start;
                if is_object && let Some(first) = seen.insert(self.tree.key(self.text, child), at) {
                    self.duplicate(child, first, findings);
                }
            }
        }
    }

    fn duplicate(&self, member: NodeId, first: usize, findings: &mut Findings<'_>) {
        let message = format!(
            "the key `{}` stands twice in one object, first on line {}",
            self.tree.key(self.text, member),
            self.lines.line(first)
        );
        let fix = "Merge both values into one; readers disagree about which of them counts.";
        let bytes = self.text.as_bytes();
        let place = self.lines.place(bytes, self.tree.node(member).key_start);
        findings.error("duplicate_key", message, fix).at(place);
    }
}

impl<'d> Value<'d> {
    fn node(self) -> Node {
        self.document.tree.node(self.id)
    }

    /// Where it starts.
    pub(super) fn place(self) -> Place {
        let document = self.document;
        document
            .lines
            .place(document.text.as_bytes(), self.node().start)
    }

    /// The member of an object; of several with one name the last, as most readers take it.
    pub(super) fn member(self, key: &str) -> Option<Self> {
        self.members()
            .filter(|(name, _)| name == key)
            .map(|(_, value)| value)
            .last()
    }

    /// The members of an object with their names; none for any other value.
    pub(super) fn members(self) -> impl Iterator<Item = (Cow<'d, str>, Self)> {
        let document = self.document;
        self.children(Kind::Object)
            .map(move |value| (document.tree.key(document.text, value.id), value))
    }

    /// The elements of an array; none for any other value.
    pub(super) fn elements(self) -> impl Iterator<Item = Self> {
        self.children(Kind::List)
    }

    /// What is in it, if it is of this kind.
    fn children(self, kind: Kind) -> impl Iterator<Item = Self> {
        let document = self.document;
        (self.node().kind == kind)
            .then(|| document.tree.children(self.id))
            .into_iter()
            .flatten()
            .map(move |id| document.value(id))
    }

    /// A text, or a number as it is written.
    pub(super) fn scalar(self) -> Option<Cow<'d, str>> {
        match self.node().kind {
            Kind::Number => Some(Cow::Borrowed(self.raw())),
            _ => self.text(),
        }
    }

    /// A text.
    pub(super) fn text(self) -> Option<Cow<'d, str>> {
        (self.node().kind == Kind::Text).then(|| decode(self.raw()))
    }

    /// A whole number that is not below zero.
    pub(super) fn whole_number(self) -> Option<u64> {
        (self.node().kind == Kind::Number).then(|| self.raw().parse().ok())?
    }

    /// Whether it is an object.
    pub(super) fn is_object(self) -> bool {
        self.node().kind == Kind::Object
    }

    /// Whether it is null.
    pub(super) fn is_null(self) -> bool {
        self.node().kind == Kind::Null
    }

    /// What it is, in words.
    pub(super) fn kind(self) -> &'static str {
        match self.node().kind {
            Kind::Text => "a text",
            Kind::Number => "a number",
            Kind::Bool => "true or false",
            Kind::Object => "an object",
            Kind::List => "a list",
            Kind::Null => "null",
        }
    }

    fn raw(self) -> &'d str {
        let text = self.document.text;
        text.get(self.node().span()).unwrap_or_default()
    }
}

/// Names the place of the mistake; for a comma before a closing bracket the comma itself (incidents 1 and 2).
fn corrupt(text: &str, fault: Fault, findings: &mut Findings<'_>) {
    let place = Lines::of(text.as_bytes()).place(text.as_bytes(), fault.at);
    if fault.kind == FaultKind::TrailingComma {
        let message = "there is a comma before the closing bracket";
        let fix = "Remove the comma (`ralph validate --repair` does just that).";
        findings.error("trailing_comma", message, fix).at(place);
        return;
    }
    let error = PipelineError::corrupt(text.as_bytes(), fault);
    let fix = error.hint().map(|hint| hint.0).unwrap_or_default();
    // The place is told by the finding itself.
    let message = match error {
        PipelineError::Corrupt {
            expected, found, ..
        } => format!("this is no JSON: expected {expected}, found {found}"),
        other => other.to_string(),
    };
    findings.error("corrupt_json", message, &fix).at(place);
}
