//! What the Stop hook needs of a state file, and nothing more.
//!
//! The hook runs after every turn of an agent, over all projects. The whole text is still read strictly, because
//! an unreadable file must never look like one without work (incident 1); reading is fast enough for that, and
//! what is left out here is only the work of looking at finished runs. What must never be here: a decision
//! whether there is work, a comparison with the clock.

use jiff::tz::TimeZone;

use super::view::{NextAction, Reader};
use super::{PipelineError, PipelineFile};
use crate::phase::Phase;
use crate::time::{LooseTime, Timestamp};

/// At most so many characters of the next action are kept.
/// The hook hands it to an agent as one line among others.
const SHORT: usize = 120;

/// What the Stop hook needs of a state file. Read by the same rules as [`super::PipelineView`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skim {
    /// The phase.
    pub phase: Phase,
    /// The start of the next action, at most 120 characters in one line; `None` when there is nothing to do.
    pub next_action: Option<String>,
    /// Whether the project waits for a person.
    pub needs_user_input: bool,
    /// Not before this is the cluster asked again. None, unreadable or past means due.
    pub next_poll_after: Option<LooseTime>,
    /// Runs in `active_runs` that are not known to have ended.
    pub live_runs: usize,
    /// The times that live runs name for themselves, in their order.
    pub run_polls: Vec<LooseTime>,
}

impl Skim {
    /// The earliest time that a live run names for itself, with times without a zone read in `zone`. Times that
    /// cannot be read are left out; the caller treats them as due.
    #[must_use]
    pub fn earliest_run_poll(&self, zone: &TimeZone) -> Option<Timestamp> {
        self.run_polls
            .iter()
            .filter_map(|time| time.instant(zone))
            .min()
    }
}

/// Reads what the Stop hook needs.
///
/// # Errors
/// As [`PipelineFile::parse_bytes`].
pub fn skim(bytes: &[u8]) -> Result<Skim, PipelineError> {
    let file = PipelineFile::parse_bytes(bytes.to_vec())?;
    let mut reader = Reader::new(&file);
    let live = reader.live_polls();
    Ok(Skim {
        phase: reader.phase(),
        next_action: short(&reader.next_action()),
        needs_user_input: reader.needs_user_input().value,
        next_poll_after: reader.slurm_wait().next_poll_after,
        live_runs: live.len(),
        run_polls: live.into_iter().flatten().collect(),
    })
}

/// The first words of an action. One without any text still counts as one.
fn short(action: &NextAction) -> Option<String> {
    if !action.is_some() {
        return None;
    }
    let words: Vec<&str> = action.text().split_whitespace().take(SHORT).collect();
    let line = words.join(" ");
    match line.char_indices().nth(SHORT - 1) {
        Some((cut, last)) if cut + last.len_utf8() < line.len() => {
            Some(format!("{}\u{2026}", line.get(..cut)?))
        }
        _ => Some(line),
    }
}
