//! When a loop stops by itself: the same error, no progress, refused tools, cost, calls per hour.
//!
//! Three decisions, each a value that is told what happened and answers what may happen next: [`Circuit`], [`Calls`]
//! and [`CostCeiling`]. All judge by evidence: what an attempt changed in its own worktree, how it ended, what it
//! cost. What an agent says of itself, a promise or a word in its output, never opens or closes anything (defects
//! 8.9 and 8.11 of the loop that this replaces); and whether the plan is done is the plan's to say.
//!
//! What must never be here: a clock, a process, a wait. Only [`files`] touches the disk.

mod calls;
mod circuit;
mod cost;
pub mod files;

pub use calls::{CallAnswer, Calls};
pub use circuit::{Admission, Circuit, CircuitState, Observation, Thresholds, Transition};
pub use cost::{CostAnswer, CostCeiling};

#[cfg(test)]
mod tests;
