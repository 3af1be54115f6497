//! The autonomous loop in one git repository: tasks in, reviewed commits out.
//!
//! The story of one attempt: *pick* an open task of the plan and *claim* it ([`plan`]), give it a *worktree* and a
//! branch of its own ([`worktree`]), run a coding agent there ([`agent`], [`engine`]), judge the *outcome*
//! ([`outcome`]), run the repository's own checks ([`gates`]), *integrate* the work into the base branch
//! ([`integrate`]) or *deliver* it as a pull request ([`delivery`]), and *record* it ([`record`]). [`pool`] keeps N
//! workers busy with that until M attempts are spent ([`budget`]) or the plan is drained.
//!
//! What must never be here: a terminal, an environment variable, an exit, a write to the user's checkout beyond the
//! one mark of a task in the plan.

pub mod account;
pub mod agent;
pub mod assemble;
pub mod attempt;
pub mod breaker;
pub mod budget;
pub mod delivery;
pub mod engine;
pub mod event;
pub mod gates;
mod gathering;
pub mod git;
pub mod integrate;
pub mod log;
pub mod outcome;
pub mod plan;
pub mod pool;
pub mod prompt;
pub mod record;
pub mod recovery;
pub mod redact;
mod run;
pub mod run_log;
pub mod selftest;
pub mod settings;
pub mod shell_file;
pub mod task;
pub mod workspace_plan;
pub mod worktree;

pub use run::{LoopLock, run};
