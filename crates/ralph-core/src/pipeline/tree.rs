//! A parsed text as an arena of spans: what stands where, and nothing copied.
//!
//! Nodes are in document order, so a subtree is a run of neighbours. What must never be here: a meaning of
//! any key, a change of the text.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use super::fault::Fault;
use super::grammar::{self, Kind, Sink};

/// The place of a node in its [`Tree`].
pub(crate) type NodeId = usize;

/// One value: its span, and the span of its key when it is a member of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node {
    /// What it is.
    pub(crate) kind: Kind,
    /// Whether the key contains an escape.
    key_escaped: bool,
    /// Start of the key's opening quote; equal to `key_end` when there is no key.
    pub(crate) key_start: usize,
    /// End of the key's closing quote.
    pub(super) key_end: usize,
    /// First byte of the value.
    pub(crate) start: usize,
    /// First byte after the value.
    pub(super) end: usize,
    /// The node that follows this one and everything in it.
    next: NodeId,
}

impl Node {
    /// Where the element or member begins: at its key if it has one.
    pub(super) fn outer_start(&self) -> usize {
        if self.key_start == self.key_end {
            self.start
        } else {
            self.key_start
        }
    }

    /// The span of the value.
    pub(crate) fn span(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// Two equal keys in one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Duplicate {
    /// Offset of the first of the two keys.
    pub(super) first: usize,
    /// Span of the second, with its quotes.
    pub(super) second: Range<usize>,
}

/// The nodes of a text. The root is node 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    /// The root value.
    pub(crate) const ROOT: NodeId = 0;

    /// Reads a text.
    ///
    /// # Errors
    /// The text is not strict JSON.
    pub(crate) fn parse(text: &str) -> Result<(Self, Option<Duplicate>), Fault> {
        // Real files have a value for every 35 bytes or so; growing the arena would copy it.
        let mut builder = Builder::new(text, text.len() / 24 + 8);
        grammar::scan(text.as_bytes(), &mut builder)?;
        Ok(builder.finish())
    }

    /// The node with this id. An id that is not of this tree gives an empty `null` at the start.
    pub(crate) fn node(&self, id: NodeId) -> Node {
        const ABSENT: Node = Node {
            kind: Kind::Null,
            key_escaped: false,
            key_start: 0,
            key_end: 0,
            start: 0,
            end: 0,
            next: usize::MAX,
        };
        self.nodes.get(id).copied().unwrap_or(ABSENT)
    }

    /// The members of an object or the elements of a list, in their order.
    pub(crate) fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + use<'_> {
        children(&self.nodes, id)
    }

    /// The member of an object with this key.
    pub(super) fn member(&self, text: &str, id: NodeId, key: &str) -> Option<NodeId> {
        if self.node(id).kind != Kind::Object {
            return None;
        }
        self.children(id)
            .find(|child| key_matches(text, &self.node(*child), key))
    }

    /// The key of a node, decoded; empty for an element of a list.
    pub(crate) fn key<'t>(&self, text: &'t str, id: NodeId) -> Cow<'t, str> {
        decoded_key(text, &self.node(id))
    }
}

/// The nodes directly below one, each found from the end of the one before it.
fn children(nodes: &[Node], id: NodeId) -> impl Iterator<Item = NodeId> + use<'_> {
    let stop = nodes.get(id).map_or(0, |node| node.next);
    let first = (id + 1 < stop).then_some(id + 1);
    std::iter::successors(first, move |current| {
        let next = nodes.get(*current)?.next;
        (next < stop).then_some(next)
    })
}

/// A key as it is written, without its quotes.
fn raw_key<'t>(text: &'t str, node: &Node) -> &'t str {
    text.get(node.key_start + 1..node.key_end.saturating_sub(1))
        .unwrap_or_default()
}

fn decoded_key<'t>(text: &'t str, node: &Node) -> Cow<'t, str> {
    if node.key_escaped {
        decode(text.get(node.key_start..node.key_end).unwrap_or_default())
    } else {
        Cow::Borrowed(raw_key(text, node))
    }
}

fn key_matches(text: &str, node: &Node, key: &str) -> bool {
    if node.key_escaped {
        return decoded_key(text, node) == key;
    }
    // Nearly all keys already differ in length; two of the bytes are the quotes.
    node.key_end - node.key_start == key.len() + 2 && raw_key(text, node) == key
}

/// The text of a string token, given with its quotes.
pub(crate) fn decode(token: &str) -> Cow<'_, str> {
    if token.contains('\\') {
        Cow::Owned(serde_json::from_str(token).unwrap_or_default())
    } else {
        Cow::Borrowed(token.trim_matches('"'))
    }
}

/// Turns tokens into nodes.
pub(super) struct Builder<'t> {
    text: &'t str,
    nodes: Vec<Node>,
    /// The objects and lists that have not ended, the innermost last.
    open: Vec<NodeId>,
    /// Span of the key that was read last, and whether it has an escape.
    key: (usize, usize, bool),
    /// The first pair of equal keys, in the order in which objects end.
    duplicate: Option<Duplicate>,
}

impl<'t> Builder<'t> {
    /// A builder with room for so many nodes.
    pub(super) fn new(text: &'t str, room: usize) -> Self {
        Self {
            text,
            nodes: Vec::with_capacity(room),
            open: Vec::new(),
            key: (0, 0, false),
            duplicate: None,
        }
    }

    /// The tree, and the first pair of equal keys.
    pub(super) fn finish(self) -> (Tree, Option<Duplicate>) {
        let tree = Tree { nodes: self.nodes };
        (tree, self.duplicate)
    }

    /// Whether the value that comes next belongs to a member of the root with none of these keys.
    pub(super) fn is_at_unwanted_member(&self, wanted: &[&str]) -> bool {
        let (start, end, escaped) = self.key;
        let raw = self.text.get(start + 1..end.saturating_sub(1));
        self.open.len() == 1 && !escaped && raw.is_some_and(|key| !wanted.contains(&key))
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize) {
        let (key_start, key_end, key_escaped) = std::mem::take(&mut self.key);
        self.nodes.push(Node {
            kind,
            key_escaped,
            key_start,
            key_end,
            start,
            end,
            next: self.nodes.len() + 1,
        });
    }
}

impl Sink for Builder<'_> {
    #[inline]
    fn open(&mut self, kind: Kind, at: usize) {
        self.open.push(self.nodes.len());
        self.push(kind, at, at);
    }

    #[inline]
    fn close(&mut self, end: usize) {
        let next = self.nodes.len();
        let Some(id) = self.open.pop() else { return };
        let Some(node) = self.nodes.get_mut(id) else {
            return;
        };
        node.end = end;
        node.next = next;
        if node.kind == Kind::Object && self.duplicate.is_none() {
            self.duplicate = find_duplicate(self.text, &self.nodes, id);
        }
    }

    #[inline]
    fn key(&mut self, start: usize, end: usize, escaped: bool) {
        self.key = (start, end, escaped);
    }

    #[inline]
    fn scalar(&mut self, kind: Kind, start: usize, end: usize) {
        self.push(kind, start, end);
    }
}

/// Looks for two equal keys among the members of one object.
///
/// Nearly every object has none, so a set of 64 bits settles most keys without a comparison; objects with many
/// members, and keys with escapes, take the slow way.
fn find_duplicate(text: &str, nodes: &[Node], object: NodeId) -> Option<Duplicate> {
    let bytes = text.as_bytes();
    let mut seen = 0_u64;
    for (count, id) in children(nodes, object).enumerate() {
        let node = nodes.get(id)?;
        if node.key_escaped || count == 40 {
            return find_duplicate_slowly(text, nodes, object);
        }
        let byte = |at: usize| u64::from(bytes.get(at).copied().unwrap_or(0));
        let length = node.key_end - node.key_start;
        let mix = byte(node.key_start + 1) * 7
            + byte(node.key_start + length / 2) * 3
            + length as u64 * 13;
        let bit = 1_u64 << (mix & 63);
        if seen & bit != 0 {
            let key = raw_key(text, node);
            let earlier = children(nodes, object)
                .take(count)
                .filter_map(|id| nodes.get(id))
                .find(|other| raw_key(text, other) == key);
            if let Some(other) = earlier {
                return Some(Duplicate {
                    first: other.key_start,
                    second: node.key_start..node.key_end,
                });
            }
        }
        seen |= bit;
    }
    None
}

/// Looks for two equal keys with all keys decoded: `"a"` and `"\u0061"` are the same key.
fn find_duplicate_slowly(text: &str, nodes: &[Node], object: NodeId) -> Option<Duplicate> {
    let mut seen: BTreeMap<Cow<'_, str>, usize> = BTreeMap::new();
    for id in children(nodes, object) {
        let node = nodes.get(id)?;
        if let Some(first) = seen.insert(decoded_key(text, node), node.key_start) {
            return Some(Duplicate {
                first,
                second: node.key_start..node.key_end,
            });
        }
    }
    None
}
