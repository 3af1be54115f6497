//! `documentation/queue.md`: the experiments, in the sections that say how far they are.
//!
//! An item is a heading with an id (`### Q-001: title`) and what follows it, or a list item
//! `- [ ] **Q-001**: title`. A move carries the item's bytes as they are. What a person wrote about its
//! status stays; the machine has lines of its own (see [`annotate`]). The file is a view for people: where it
//! is ambiguous, nothing is moved and the state file stays the authority.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::edit::EditSet;
use crate::error::DocError;
use crate::machine::{has_lines, set_lines};
use crate::problems::{repeated, sorted, unclosed};
use crate::verify::checked_result;

mod depend;
mod field;
mod fields;
mod groups;
mod held;
mod id;
mod known;
mod launch;
mod moves;
mod named;
mod outline;
mod put_off;
mod read;
mod said;
mod script;
mod sections;
mod stray;
mod words;

pub use moves::move_item;
pub use sections::QueueSection;
pub use stray::Stray;

/// One experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueItem {
    /// As it is written, such as `Q-001`.
    pub id: String,
    /// What follows the id.
    pub title: String,
    /// The nearest heading around the item that has a meaning.
    pub section: QueueSection,
    /// The line of its heading, counted from 1.
    pub line: usize,
    /// The line with the id, in bytes, with its line ending.
    pub heading: Range<usize>,
    /// The rest of the item to its last line with content, in bytes.
    pub body: Range<usize>,
    /// `Hypothesis`.
    pub hypothesis: Option<String>,
    /// `Config`, without backticks: a path below the project.
    pub config: Option<String>,
    /// `Resources`.
    pub resources: Option<String>,
    /// `Notes`.
    pub notes: Option<String>,
    /// The script that a field (`Script`, `SLURM Script`), a command (`sbatch …`) or else the title names: a path below
    /// the project.
    pub script: Option<String>,
    /// Another script, an option, an argument or a variable that is named beside the script: nothing runs it or passes it
    /// on, so a person has to say what is meant. Where no script is named, one that the item's prose mentions.
    pub script_more: Option<String>,
    /// `Artifacts`: files that must exist for success.
    pub artifacts: Vec<String>,
    /// `After`, `Depends on`, `Dependencies`, `Requires`, `Blocked by` and the like: the ids this item depends on. What
    /// names no id is kept as it is written, so that a dependency nobody can check does not look like none.
    pub after: Vec<String>,
    /// Why it is not to be submitted although it may stand under READY, as a fragment such as ``its status is `BLOCKED` ``.
    pub held: Option<String>,
    /// The machine's own `Run` line.
    pub run: Option<String>,
    /// The machine's own `Job` line.
    pub job: Option<String>,
    /// The machine's own `Status` line.
    pub status: Option<String>,
    /// All `Key: value` lines that are not the machine's, in their order.
    pub fields: Vec<(String, String)>,
}

impl QueueItem {
    /// Whether a field of its own names the script, and not only the title or a block of code, which may be about another
    /// item's.
    #[must_use]
    pub fn has_script_field(&self) -> bool {
        script::is_in_a_field(self)
    }

    /// Whether nothing but the heading of its section holds it back.
    fn is_held_by(&self, title: &str) -> bool {
        self.held.as_ref() == groups::by_group(title).as_ref()
    }
}

/// Whether two ids mean one item, however their parts are joined: `q1` and `Q-001`.
#[must_use]
pub fn is_same_id(one: &str, other: &str) -> bool {
    known::same(one, other)
}

/// The items, in the order of the document.
#[must_use]
pub fn items(doc: &str) -> Vec<QueueItem> {
    let document = outline::document(doc);
    read::scan(&document)
        .into_iter()
        .map(|found| found.item)
        .collect()
}

/// Both [`items`] and [`strays`], for whoever needs both: the document is read once.
#[must_use]
pub fn items_and_strays(doc: &str) -> (Vec<QueueItem>, Vec<Stray>) {
    let document = outline::document(doc);
    let found = read::scan(&document);
    let strays = stray::among(&document, &found);
    (found.into_iter().map(|found| found.item).collect(), strays)
}

/// What stands under READY and is no item, so that nobody takes a queue with it for an empty one.
#[must_use]
pub fn strays(doc: &str) -> Vec<Stray> {
    items_and_strays(doc).1
}

/// What a person should mend: an id that is used twice, however it is spelled, a section that is there twice, a fence that is
/// never closed.
#[must_use]
pub fn problems(doc: &str) -> Vec<DocError> {
    let document = outline::document(doc);
    let ids = read::scan(&document).into_iter();
    let mut first = BTreeMap::new();
    let ids = ids.map(|found| {
        // `Q1` and `Q-001` are one: a run names its item in either way.
        let name = first
            .entry(known::parts(&found.item.id))
            .or_insert_with(|| found.item.id.to_ascii_uppercase());
        (name.clone(), found.item.line)
    });
    let mut found = repeated(
        ids,
        "the item cannot be moved until each has an id of its own.",
    );
    let sections = document
        .spans
        .iter()
        .filter(|span| span.parent.is_none() || span.level <= 2);
    let sections = sections.filter_map(|span| {
        let section = QueueSection::from_title(&span.title)?;
        Some((format!("the section {}", section.title()), span.first + 1))
    });
    found.extend(repeated(sections, "items are moved into the first one."));
    found.extend(unclosed(&document));
    sorted(found)
}

/// Writes the machine's own lines (`Run`, `Job`, `Status`) below the item's heading, or updates those that
/// it wrote before. They end with a comment that is not shown, `<!-- ralph -->`; no other line is touched.
/// The same lines again change nothing.
///
/// # Errors
/// There is no such item, or more than one; a key cannot be one; the edit would change how the text around
/// it is read.
pub fn annotate(doc: &str, id: &str, lines: &[(String, String)]) -> Result<EditSet, DocError> {
    let document = outline::document(doc);
    let found = read::find(&document, id)?;
    let edits = set_lines(&document, &found.host, lines)?;
    checked_result(&document, edits, |after| {
        read::find(after, id).is_ok_and(|found| has_lines(after, &found.host, lines))
    })
}

#[cfg(test)]
mod caution_tests;
#[cfg(test)]
mod tests;
