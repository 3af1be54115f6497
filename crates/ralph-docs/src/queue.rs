//! `documentation/queue.md`: the experiments, in the sections that say how far they are.
//!
//! An item is a heading with an id (`### Q-001: title`) and what follows it, or a list item
//! `- [ ] **Q-001**: title`. A move carries the item's bytes as they are. What a person wrote about its
//! status stays; the machine has lines of its own (see [`annotate`]). The file is a view for people: where it
//! is ambiguous, nothing is moved and the state file stays the authority.

use std::ops::Range;

use crate::document::Document;
use crate::edit::EditSet;
use crate::error::DocError;
use crate::machine::{has_lines, set_lines};
use crate::problems::{repeated, sorted, unclosed};
use crate::section::normalise;
use crate::verify::checked_result;

mod depend;
mod held;
mod moves;
mod read;
mod stray;

pub use moves::move_item;
pub use stray::Stray;

/// Where an item stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueSection {
    /// `READY`: may be submitted.
    Ready,
    /// `IN_PROGRESS`, also `RUNNING` and `In-flight`.
    InProgress,
    /// `DONE`, also `COMPLETED`.
    Done,
    /// `FAILED`.
    Failed,
    /// Any other heading, such as `PARKED`, as it is written; empty where there is none.
    Other(String),
}

impl QueueSection {
    /// The heading that is written when the section is missing.
    #[must_use]
    pub fn title(&self) -> &str {
        match self {
            Self::Ready => "READY",
            Self::InProgress => "IN_PROGRESS",
            Self::Done => "DONE",
            Self::Failed => "FAILED",
            Self::Other(title) => title,
        }
    }

    /// The section with one of the four meanings that a heading has. A number in front does not count, nor what follows
    /// a dash or a colon, nor `Queue:` in front.
    #[must_use]
    pub fn from_title(title: &str) -> Option<Self> {
        let unnumbered = title.trim_start_matches(|c: char| c.is_ascii_digit());
        let numbered = unnumbered.len() < title.len();
        let title = match unnumbered.strip_prefix(['.', ')']) {
            Some(rest) if numbered => rest.trim_start(),
            _ => title,
        };
        let named = |title: &str| {
            let name = normalise(title);
            let known = [Self::Ready, Self::InProgress, Self::Done, Self::Failed];
            known
                .into_iter()
                .find(|section| section.names().contains(&name))
        };
        let cut = [" — ", " – ", " - ", ": "]
            .into_iter()
            .filter_map(|mark| title.split_once(mark));
        let (head, tail) = cut
            .min_by_key(|(head, _)| head.len())
            .unwrap_or((title, ""));
        let prefixed = ["queue", "experiments", "section"].contains(&normalise(head).as_str());
        named(title).or_else(|| named(if prefixed { tail } else { head }))
    }

    /// The normalised titles that mean this section.
    fn names(&self) -> Vec<String> {
        let names: &[&str] = match self {
            Self::Ready => &[
                "ready",
                "ready to run",
                "ready to submit",
                "ready to launch",
                "ready to go",
                "ready for submission",
                "ready queue",
                "queued",
                "pending",
                "to run",
            ],
            Self::InProgress => &[
                "in progress",
                "running",
                "in flight",
                "currently running",
                "submitted",
                "active",
            ],
            Self::Done => &[
                "done",
                "completed",
                "complete",
                "finished",
                "completed runs",
                "completed experiments",
            ],
            Self::Failed => &["failed", "failures", "failed runs", "failed experiments"],
            Self::Other(title) => return vec![normalise(title)],
        };
        names.iter().map(|&name| name.to_owned()).collect()
    }

    /// Whether a heading is one of this section's.
    fn is_titled(&self, title: &str) -> bool {
        match Self::from_title(title) {
            Some(section) => section.is_same(self),
            None => self.names().contains(&normalise(title)),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.names() == other.names()
    }
}

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
    /// `Script` or `SLURM Script`, without backticks: a path below the project.
    pub script: Option<String>,
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

/// The items, in the order of the document.
#[must_use]
pub fn items(doc: &str) -> Vec<QueueItem> {
    let document = Document::new(doc);
    read::scan(&document)
        .into_iter()
        .map(|found| found.item)
        .collect()
}

/// What stands under READY and is no item, so that nobody takes a queue with it for an empty one.
#[must_use]
pub fn strays(doc: &str) -> Vec<Stray> {
    stray::find(&Document::new(doc))
}

/// What a person should mend: an id that is used twice, a section that is there twice, a fence that is
/// never closed.
#[must_use]
pub fn problems(doc: &str) -> Vec<DocError> {
    let document = Document::new(doc);
    let ids = read::scan(&document).into_iter();
    let ids = ids.map(|found| (found.item.id.to_ascii_uppercase(), found.item.line));
    let mut found = repeated(
        ids,
        "the item cannot be moved until each has an id of its own.",
    );
    let sections = document.spans.iter().filter(|span| span.level <= 2);
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
    let document = Document::new(doc);
    let found = read::find(&document, id)?;
    let edits = set_lines(&document, &found.host, lines)?;
    checked_result(&document, edits, |after| {
        read::find(after, id).is_ok_and(|found| has_lines(after, &found.host, lines))
    })
}

#[cfg(test)]
mod tests;
