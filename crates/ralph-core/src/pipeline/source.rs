//! A text and its tree, borrowed together: what everything that reads a state file looks at.
//!
//! What must never be here: a meaning of any key, a change of the text.

use std::borrow::Cow;

use serde_json::Value;

use super::grammar::Kind;
use super::tree::{self, Node, NodeId, Tree};

/// A text with its tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'f> {
    /// The text.
    pub(super) text: &'f str,
    /// Its tree.
    pub(super) tree: &'f Tree,
}

impl<'f> Source<'f> {
    /// A node of the tree.
    pub(super) fn node(self, id: NodeId) -> Node {
        self.tree.node(id)
    }

    /// The source of a value.
    pub(super) fn raw(self, id: NodeId) -> &'f str {
        self.text.get(self.node(id).span()).unwrap_or_default()
    }

    /// A value, decoded.
    pub(super) fn value(self, id: NodeId) -> Value {
        match self.text_of(id) {
            Some(text) => Value::String(text.into_owned()),
            None => serde_json::from_str(self.raw(id)).unwrap_or_default(),
        }
    }

    /// A text, decoded; `None` for every other kind of value.
    pub(super) fn text_of(self, id: NodeId) -> Option<Cow<'f, str>> {
        (self.node(id).kind == Kind::Text).then(|| tree::decode(self.raw(id)))
    }

    /// A member at the top of the file.
    pub(super) fn top(self, name: &str) -> Option<NodeId> {
        self.tree.member(self.text, Tree::ROOT, name)
    }
}
