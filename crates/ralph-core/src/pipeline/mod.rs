//! `.state/pipeline.json`: read leniently, edited by spans.
//!
//! A state file is written by people, agents and scripts, and a third of the real ones cannot be reproduced by any
//! serializer. So a file is parsed to a tree of spans ([`PipelineFile`]), read through a typed view that accepts
//! every shape that was seen ([`PipelineView`]), and changed by replacing only the bytes of the members concerned
//! ([`PipelineEdit`]). Every edited text is parsed again and compared with the intended tree, and no record of
//! a run may disappear (incidents 1 to 5).
//!
//! The way of a text: `grammar` says what is JSON and where it stops being it, `tree` keeps the spans, `record`
//! knows which record is which. On these stand `view` and `scan`, which read, and `edit`, which writes.
//!
//! What must never be here: reading or writing a file, a clock, a decision about what a project does next.

mod edit;
mod error;
pub(crate) mod fault;
pub(crate) mod grammar;
pub(crate) mod lines;
pub(crate) mod record;
mod repair;
mod scan;
mod sieve;
mod source;
pub(crate) mod tree;
mod view;

#[cfg(test)]
mod tests;

use serde_json::Value;

pub use self::edit::PipelineEdit;
pub use self::error::PipelineError;
pub use self::record::RunKey;
pub use self::repair::{Repaired, repair_trailing_commas};
pub use self::scan::{Skim, skim};
pub(crate) use self::view::is_counted;
pub use self::view::{
    JobRef, NeedsInput, NextAction, PipelineView, RunStatus, RunView, SlurmWait, Warning,
};

use self::fault::{Fault, FaultKind};
use self::grammar::Kind;
use self::source::Source;
use self::tree::{NodeId, Tree};

/// The newest format of a state file that this version writes. A file may name its own in `schema_version` or in
/// `ralph.format`; one with a greater number is read and never written.
pub const FORMAT: u64 = 1;

/// A state file that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineFile {
    text: String,
    tree: Tree,
}

impl PipelineFile {
    /// Reads a state file.
    ///
    /// # Errors
    /// [`PipelineError::Corrupt`], [`PipelineError::DuplicateKey`] or [`PipelineError::NotAnObject`].
    pub fn parse(text: String) -> Result<Self, PipelineError> {
        let tree = read_tree(&text)?;
        Ok(Self { text, tree })
    }

    /// Reads a state file as it is on disk.
    ///
    /// # Errors
    /// As [`PipelineFile::parse`]; bytes that are not UTF-8 are [`PipelineError::Corrupt`] at their place.
    pub fn parse_bytes(bytes: Vec<u8>) -> Result<Self, PipelineError> {
        match String::from_utf8(bytes) {
            Ok(text) => Self::parse(text),
            Err(error) => {
                let fault = Fault {
                    at: error.utf8_error().valid_up_to(),
                    kind: FaultKind::Utf8,
                };
                Err(PipelineError::corrupt(error.as_bytes(), fault))
            }
        }
    }

    /// The text, byte for byte as it was read.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the file says, with a warning for everything that had to be guessed or passed over.
    #[must_use]
    pub fn view(&self) -> PipelineView {
        view::view(self.source())
    }

    /// The text after the edits, applied in their order. Edits that change nothing give the same text.
    ///
    /// # Errors
    /// [`PipelineError::NewerFormat`]; [`PipelineError::Conflict`] when an edit does not apply to what is there;
    /// [`PipelineError::RecordLost`] and [`PipelineError::UnintendedChange`] when the result failed its check.
    pub fn edit(&self, edits: &[PipelineEdit]) -> Result<String, PipelineError> {
        edit::apply(self, edits)
    }

    /// What readers share.
    fn source(&self) -> Source<'_> {
        Source {
            text: &self.text,
            tree: &self.tree,
        }
    }

    /// The source of a value.
    fn raw(&self, id: NodeId) -> &str {
        self.source().raw(id)
    }

    /// A value, decoded.
    fn value(&self, id: NodeId) -> Value {
        self.source().value(id)
    }

    /// A member at the top of the file.
    fn top(&self, name: &str) -> Option<NodeId> {
        self.source().top(name)
    }
}

/// Reads a text as a state file: strict JSON, no key twice, an object at the top.
fn read_tree(text: &str) -> Result<Tree, PipelineError> {
    let (tree, duplicate) =
        Tree::parse(text).map_err(|fault| PipelineError::corrupt(text.as_bytes(), fault))?;
    let root = tree.node(Tree::ROOT);
    if root.kind != Kind::Object {
        return Err(PipelineError::not_an_object(text, root));
    }
    match duplicate {
        Some(duplicate) => Err(PipelineError::duplicate(text, &duplicate)),
        None => Ok(tree),
    }
}
