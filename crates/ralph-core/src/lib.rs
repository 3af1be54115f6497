//! The core of ralph: state, planning, exactly-once submission, supervision.
//!
//! A dispatch is six steps: *load* the projects ([`world`]), *verify* every outstanding job, *plan* one step per
//! project ([`plan`]), *act* ([`act`]), *commit* all files as one operation ([`journal`]), *report* ([`report`]).
//! Planning is pure; effects are at the edges; clock, ids and environment come from [`mod@env`].
//!
//! # What can be taken out of it
//!
//! | to… | take | as in the example |
//! |---|---|---|
//! | read a state file, and change one member of it | [`pipeline`] | `edit_state` |
//! | see what a dispatch would do, and why | [`project`], [`plan`] | `plan` |
//! | dispatch a workspace | [`act::Dispatcher`] | `dispatch` |
//! | bring a cluster of one's own | [`backend::ClusterBackend`] | `own_cluster` |
//! | try a dispatch without a cluster or a wait | [`cluster::mock`] | `own_cluster` |
//! | run a program that leaves nothing behind | [`process::guard`] | `guarded` |
//! | run one that outlives its caller | [`mod@process`] | |
//! | read job scripts, and say why a job failed | [`sbatch`], [`classify`] | `why_failed` |
//! | replace a file, take a project's lock | [`store`] | `edit_state` |
//!
//! The rest is public because the binaries and their tests share it.
//!
//! # What the caller brings
//!
//! An [`env::Env`], absolute paths, and the environment of its process where it is asked for; nothing here looks for any
//! of them. For [`act`], a cluster and a tokio runtime with I/O and time: a dispatch reads, writes and waits for locks on
//! the thread that polls it, so one with other work to do gives it a runtime of its own. Whoever uses [`cluster::local`],
//! [`process::spawn`](mod@process::spawn) or [`process::guard`] names a program that does their hidden verb, such as its
//! own binary, which then has to look for that verb before anything else. They need Linux.
//!
//! Errors implement [`error::Coded`]: a program branches on the [`error::Code`], a person reads the chain of sources and
//! the hint, which is worded for users of the commands. Log lines are events of `tracing`, and go nowhere without a
//! subscriber. There is no global state but facts of this boot.
//!
//! What must never be here: a scheduler's command, a terminal, an environment variable, an exit.
//!
//! ```
//! use ralph_core::pipeline::{PipelineEdit, PipelineFile};
//!
//! let found = "{\"phase\": \"RUN\",\n  \"budget_hours\": 1.50 , \"active_runs\": []}";
//! let file = PipelineFile::parse(found.to_owned())?;
//! assert_eq!(file.view().phase.to_string(), "RUN");
//!
//! let path = vec!["phase".to_owned()];
//! let edited = file.edit(&[PipelineEdit::Set { path, value: "CHECK".into() }])?;
//! assert_eq!(edited, found.replace("RUN", "CHECK"));
//! # Ok::<(), ralph_core::pipeline::PipelineError>(())
//! ```

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
pub(crate) mod settle;
pub mod store;
pub mod time;
pub mod validate;
pub mod words;
pub mod world;
