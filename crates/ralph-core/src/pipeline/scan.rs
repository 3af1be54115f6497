//! What the Stop hook needs of a state file, and nothing more.
//!
//! The hook runs after every turn of an agent, over all projects. The whole text is still read strictly, because
//! an unreadable file must never look like one without work (incident 1); reading is fast enough for that, and
//! what is left out here is only the work of looking at finished runs. What must never be here: a decision
//! whether there is work, a comparison with the clock.

use super::sieve::{self, Sifted};
use super::source::Source;
use super::{PipelineError, PipelineFile, view};
use crate::phase::Phase;
use crate::time::LooseTime;

/// The members of the file that are looked at.
const MEMBERS: [&str; 6] = [
    "phase",
    "next_action",
    "needs_user_input",
    "slurm_wait",
    "next_poll_after",
    "active_runs",
];

/// What the Stop hook needs of a state file. Read by the same rules as [`super::PipelineView`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skim {
    /// The phase.
    pub phase: Phase,
    /// Whether somebody wrote down a next step.
    pub has_next_action: bool,
    /// Whether the project waits for a person.
    pub needs_user_input: bool,
    /// Not before this is the cluster asked again. None, unreadable or past means due.
    pub next_poll_after: Option<LooseTime>,
    /// Runs in `active_runs` that are not known to have ended.
    pub live_runs: usize,
    /// The times that live runs name for themselves, in their order.
    pub run_polls: Vec<LooseTime>,
}

/// Reads what the Stop hook needs.
///
/// # Errors
/// As [`PipelineFile::parse_bytes`].
pub fn skim(bytes: &[u8]) -> Result<Skim, PipelineError> {
    // Whatever is not plainly in order is read again with care, which also knows what to say about it.
    let with_care = || {
        let file = PipelineFile::parse_bytes(bytes.to_vec())?;
        Ok(view::skim(file.source()))
    };
    let Ok(text) = std::str::from_utf8(bytes) else {
        return with_care();
    };
    match sieve::sift(text, &MEMBERS) {
        Sifted::Plain(tree) => Ok(view::skim(Source { text, tree: &tree })),
        Sifted::Odd => with_care(),
    }
}
