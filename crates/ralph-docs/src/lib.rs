//! Surgical edits of Markdown documents that people own.
//!
//! Text goes in, edits come out: a function reads a document and returns an [`EditSet`], byte ranges with the
//! text that takes their place. No document is ever parsed and printed again, so whatever is not the
//! subject of an edit stays as it is, byte for byte: line endings, bullets, blank lines, the missing last
//! newline, the odd heading. Asking for what is there already gives the empty set.
//!
//! Every set has been checked when it is handed out: nothing but the inserted and cut ranges differs, and
//! every line that stays is still read as what it was, so that nothing inserted (a quoted log line, for
//! example) can swallow what follows. What cannot be done so is a [`DocError`], and the document stays.
//!
//! | document | module |
//! |---|---|
//! | `documentation/queue.md` | [`queue`] |
//! | `documentation/debugging.md` | [`debugging`] |
//! | `documentation/implementation-todo.md` | [`mod@todo`] |
//! | `documentation/debates.md` | [`debates`] |
//! | `results/summary.md` | [`summary`] |
//! | `projects/PROJECTS.md` | [`projects`] |
//! | `.ralph/fix_plan.md` | [`fix_plan`] |
//! | any table, such as that of `EPIC-PIPELINE.md` | [`table`] |
//!
//! Everything is a pure function of its arguments, on any thread, in any runtime. A document is handed over whole and as
//! text; who reads and writes the file, and holds its lock, is the caller's business. Lines are counted from one, ranges
//! are of bytes. Callers branch on [`DocErrorCode`].
//!
//! What must never be here: files, clocks, other crates of the workspace, a renderer of Markdown.
//!
//! ```
//! use ralph_docs::queue::{QueueSection, move_item};
//!
//! let doc = "## READY\n### Q-001: Baseline\n- Config: configs/q001.json\n\n## RUNNING\n(none)\n";
//! let lines = [("Job".to_owned(), "56017331".to_owned())];
//! let edits = move_item(doc, "Q-001", &QueueSection::InProgress, &lines)?;
//! assert_eq!(
//!     edits.apply(doc),
//!     "## READY\n(none)\n\n## RUNNING\n### Q-001: Baseline\n- Job: 56017331 <!-- ralph -->\n- Config: configs/q001.json\n",
//! );
//! # Ok::<(), ralph_docs::DocError>(())
//! ```

pub mod ansi;
mod blocks;
mod cursor;
pub mod debates;
pub mod debugging;
mod document;
pub mod edit;
pub mod error;
pub mod fix_plan;
mod html;
mod ids;
pub mod items;
mod key;
mod keyed;
#[cfg(test)]
mod laws;
mod leaf;
mod lines;
mod machine;
pub mod outline;
mod problems;
pub mod projects;
pub mod queue;
pub mod quote;
mod section;
pub mod style;
pub mod summary;
pub mod table;
#[cfg(test)]
mod test_support;
pub mod todo;
mod verify;

pub use edit::{Edit, EditSet};
pub use error::{DocError, DocErrorCode};
