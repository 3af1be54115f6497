//! SLURM over SSH: a submission happens exactly once, one question asks for all jobs, and no silence is taken for an end.
//!
//! The user opens one session ([`Session::connect`]); everything else attaches to it ([`ControlMaster`]) or, where no
//! person is needed, brings its own connection (`Libssh2`, in this process or behind a [`Relay`]). A remote call is one
//! fixed script with quoted arguments and a framed reply; [`SlurmBackend`] builds submission, observation, logs and
//! cancelling from such calls.
//!
//! # Embedding
//!
//! [`SlurmBackend`] is the crate's face: it implements [`ClusterBackend`](ralph_core::backend::ClusterBackend), alone or
//! under a [`Dispatcher`](ralph_core::act::Dispatcher). Over another way to the login node, implement [`Transport`]. The
//! example `submit_once` keeps its intent in a file, so that it can be killed anywhere and run again.
//!
//! - *Exactly once* is a promise about a token: who calls `submit` again with the same request gets the same job. So the
//!   request has to be on disk before it is sent, and a new token is only for a new run.
//! - An error says that the cluster could not be asked, and nothing about a job. What it said is a
//!   [`Receipt`](ralph_core::backend::Receipt) or a [`Sighting`](ralph_core::job::Sighting).
//! - Nothing but [`Session::connect`] ever asks a person, or opens a session.
//! - It runs in any tokio runtime with I/O and time, and starts the `ssh` of the `PATH`. Calls are counted against the
//!   [`Rate`] of the host, over all processes that name the same `budget_folder`; a call may have to wait for its turn.
//! - `default-features = false` leaves out libssh2, and with it OpenSSL.
//!
//! Only this crate knows `sbatch`, `squeue`, `sacct`, `scancel` and `ssh`. What must never be here: a decision about a
//! run (the planner's), a file of the workspace written, a terminal (except the one that `ssh` itself is given).
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//!
//! use ralph_core::backend::ClusterBackend as _;
//! use ralph_core::env::Env;
//! use ralph_slurm::{ClusterSettings, ControlMaster, Rate, Session, SlurmBackend, SlurmOptions};
//!
//! let text = r#"{"ssh": {"host": "login"}, "remote": {"repo_root": "~/research"}}"#;
//! let (settings, _unknown_members) = ClusterSettings::parse(text)?;
//! let transport = Arc::new(ControlMaster::new(Session::new(settings.ssh.clone())));
//! let options = SlurmOptions {
//!     workspace: "/home/ada/research".into(),
//!     budget_folder: None,
//!     rate: Rate::default(),
//! };
//! let cluster = SlurmBackend::new(&settings, options, transport, Env::system("laptop", "ada"));
//! for job in cluster.jobs().await? {
//!     println!("{} {}", job.job, job.state);
//! }
//! # Ok(())
//! # }
//! ```

mod backend;
mod budget;
mod capabilities;
#[cfg(any(test, feature = "test-util"))]
mod faulty;
mod fetch;
mod frame;
mod observe;
mod parse;
mod remote;
mod script;
mod settings;
pub mod shims;
mod submit;
mod sync;
mod transport;

pub use backend::{SlurmBackend, SlurmOptions};
pub use budget::{Budget, Rate};
#[cfg(any(test, feature = "test-util"))]
pub use faulty::{Fault, Faulty};
pub use settings::{
    ClusterSettings, GitSettings, RemoteSettings, SettingsError, SshSettings, TransportKind,
};
#[cfg(any(test, feature = "test-util"))]
pub use transport::Local;
pub use transport::{
    Connected, ControlMaster, ExecRequest, Exit, Opening, Receiver, Relay, Session, SessionError,
    SessionState, Transport, TransportError, quote, serve,
};
#[cfg(feature = "libssh2")]
pub use transport::{Libssh2, Prompt, Prompter};
