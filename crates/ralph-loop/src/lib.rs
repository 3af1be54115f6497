//! The autonomous loop in one git repository: tasks in, reviewed commits out.
//!
//! The story of one attempt: *pick* an open task of the plan and *claim* it ([`plan`]), give it a *worktree* and a
//! branch of its own ([`worktree`]), run a coding agent there ([`agent`], [`engine`]), judge the *outcome*
//! ([`outcome`]), run the repository's own checks ([`gates`]), *integrate* the work into the base branch
//! (`integrate`) or *deliver* it as a pull request (`delivery`), and *record* it ([`record`]). [`pool`] keeps N
//! workers busy with that until M attempts are spent ([`budget`]) or the plan is drained.
//!
//! # Embedding
//!
//! | to… | take | as in the example |
//! |---|---|---|
//! | run a loop and hear of all it does | [`LoopLock`], [`assemble::Assembly`], [`run()`], [`event::Sink`] | `one_task` |
//! | give N slots and M attempts to any number of processes | [`budget`] | `shared_budget` |
//! | run one agent in a folder, without git | [`engine::engine`], [`agent::run`] | |
//! | read a plan, and who works on what | [`assemble::plan_file`], [`record`] | |
//!
//! The rest is public because the binaries and their tests share it.
//!
//! - Knobs are resolved by [`settings::resolve`] from what was typed, variables and files, all of them given as values;
//!   what is not said has the default of `ralph loop`.
//! - Any program can be the agent: the `command` engine starts it with the prompt on its standard input, in a worktree of
//!   its own. An [`engine::Engine`] of one's own usually wraps one of [`engine::engine`]: what that puts into the
//!   variables is how a crashed agent is found.
//! - A loop lives on one thread: [`run()`] is not `Send`. Events come from that thread, and a sink must not wait. To stop,
//!   send [`pool::Stop`] through [`assemble::Assembly::stop`]; signals are the caller's business.
//! - Agents and checks run under a guard, see [`ralph_core::process::guard`]: a binary that gives itself for one looks for
//!   that verb before anything else. The loop needs Linux, and a git of the `PATH` or one that is named.
//! - An error concerns the loop as a whole. What goes wrong with one attempt is its [`outcome::Outcome`], whose name is
//!   fixed; why a loop ended is in its [`pool::LoopEnd`].
//!
//! What must never be here: a terminal, an environment variable, an exit, a write to the user's checkout beyond the
//! one mark of a task in the plan.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::collections::BTreeMap;
//! use std::path::Path;
//!
//! use ralph_core::env::Env;
//! use ralph_core::process::Identity;
//! use ralph_core::process::guard::GuardProgram;
//! use ralph_loop::LoopLock;
//! use ralph_loop::assemble::Assembly;
//! use ralph_loop::settings::{CommandLine, resolve};
//!
//! let root = Path::new("/home/ada/repository");
//! let typed = CommandLine {
//!     agent_command: Some("my-agent --quiet".to_owned()),
//!     engine: Some("command".to_owned()),
//!     ..CommandLine::default()
//! };
//! let settings = resolve(&typed, &BTreeMap::new(), &[])?;
//! let env = Env::system("laptop", "ada");
//! let owner = Identity::of(env.pid).ok_or("this machine has no /proc")?;
//! let guard = GuardProgram {
//!     program: "/usr/local/bin/ralph".into(),
//!     args: vec!["__guard".to_owned()],
//! };
//!
//! let lock = LoopLock::take(root)?;
//! let assembly = Assembly::new(root, &env, owner, &settings, guard, "/run/user/1000/ralph");
//! let end = ralph_loop::run(&lock, assembly).await?;
//! println!("{}: {} attempts", end.reason, end.totals.spent);
//! # Ok(())
//! # }
//! ```

pub(crate) mod account;
pub mod agent;
pub mod assemble;
pub(crate) mod attempt;
pub mod breaker;
pub mod budget;
pub(crate) mod delivery;
pub mod engine;
pub mod event;
pub mod gates;
mod gathering;
pub mod git;
pub(crate) mod integrate;
pub mod log;
pub mod outcome;
pub mod plan;
pub mod pool;
pub(crate) mod prompt;
pub mod record;
pub(crate) mod recovery;
pub mod redact;
mod run;
pub mod run_log;
pub mod selftest;
pub mod settings;
pub mod shell_file;
pub mod task;
mod waiting;
pub mod workspace_plan;
pub mod worktree;

pub use run::{LoopLock, run};
