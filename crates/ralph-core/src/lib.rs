//! The core of ralph: state, planning, exactly-once submission, supervision.
//!
//! A dispatch is six steps: *load* the projects ([`world`]), *verify* every outstanding job, *plan* one step per
//! project ([`plan`]), *act* ([`act`]), *commit* all files as one operation ([`journal`]), *report* ([`report`]).
//! Planning is pure; effects are at the edges; clock, ids and environment come from [`mod@env`].
//!
//! What must never be here: a scheduler's command, a terminal, an environment variable, an exit.

pub mod act;
pub mod backend;
pub mod change;
pub mod classify;
pub mod cluster;
pub mod digest;
pub mod env;
pub mod error;
#[cfg(test)]
mod fixture;
pub mod hook;
pub mod id;
pub mod job;
pub mod journal;
pub mod ledger;
pub mod order;
pub mod phase;
pub mod pipeline;
pub mod plan;
pub mod process;
pub mod project;
pub mod report;
pub mod sbatch;
pub mod settings;
pub mod settle;
pub mod store;
pub mod time;
pub mod validate;
pub mod world;
