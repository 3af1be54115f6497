//! The Stop hook: may the agent stop, or is work due in this workspace?
//!
//! The protocol is the one of the script that it replaces (section G of the field study): switched on by the file
//! `.claude/ralph/enabled`, a JSON object on standard input, exit 0 for "may stop" and 2 for "work is due" with
//! four lines for the agent on standard error, a counter for each session in `.claude/ralph/loop-state.json`.
//! No other exit exists, whatever the files hold (incidents 21 and 22).
//!
//! # What counts as work
//!
//! Due work, not prose (incident 23). For one project, the first of these that applies:
//!
//! 1. Its state cannot be read: not counted, but named on standard error, since unreadable is not empty
//!    (incidents 1 and 2).
//! 2. A person's input is needed: not work for the agent.
//! 3. Jobs are live: work when a poll is due, else waiting, whatever phase and next action say. A run without a
//!    time of its own has the project's. Without any, or with one that cannot be read, a poll is due.
//! 4. The phase is `WAIT_SLURM` and no job is live: waiting until the project's poll time, then work.
//! 5. The phase is `TEST` or `CHECK`: work, for these steps need nobody.
//! 6. There is a next action: work. This holds for phases that the machine never steps too, as before; the
//!    limit of blocks in one session is what ends a loop that gets nowhere.
//! 7. Anything else is idle: an empty next action means that there is nothing to do.
//!
//! # What bounds the loop
//!
//! `max_iterations` blocks in one session; a new session starts from zero. `min_seconds_between_blocks`, which
//! the old script read and ignored, is honoured: a stop sooner than that is allowed. When the counter cannot
//! be written, stopping is allowed too, because nothing would bound the loop.
//!
//! A state that has not changed since the hook last looked is not read again; `memory` says how that is known.
//!
//! Decisions are pure ([`decide`]); files are touched in [`run`] alone. Nothing here asks a cluster, changes a
//! project, or fails.

mod decide;
mod files;
mod glance;
mod memory;
mod run;
mod scan;
#[cfg(test)]
mod tests;

pub use decide::{HookDecision, StopReason, decide};
pub use files::{HookConfig, HookInput, LoopState};
pub use glance::{Due, ProjectGlance, Standing, glance, standing};
pub use run::{HookOutcome, run};
