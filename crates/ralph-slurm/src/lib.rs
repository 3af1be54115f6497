//! SLURM over SSH: a submission happens exactly once, one question asks for all jobs, and no silence is taken for an end.
//!
//! The user opens one session ([`Session::connect`]); everything else attaches to it ([`ControlMaster`]) or, where no
//! person is needed, brings its own connection (`Libssh2`, in this process or behind a [`Relay`]). A remote call is one fixed script with quoted arguments
//! and a framed reply; [`SlurmBackend`] builds submission, observation, logs and cancelling from such calls.
//!
//! Only this crate knows `sbatch`, `squeue`, `sacct`, `scancel` and `ssh`. What must never be here: a decision about a
//! run (the planner's), a file of the workspace written, a terminal (except the one that `ssh` itself is given).

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
