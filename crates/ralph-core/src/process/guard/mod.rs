//! Attached programs that can never outlive whoever started them.
//!
//! The owner starts its own program again under a hidden verb, whose only work is [`main`]: a small process that
//! makes itself a session and a subreaper, waits for its order, starts the program, and leaves nothing of it behind,
//! whatever ends first: the program, the owner's patience, or the owner. Owner and guard talk over one socket, which
//! is the guard's standard input; its end is how a guard learns that its owner is gone, also by KILL. The program
//! writes into pipes that lead straight to the owner.
//!
//! A guard is started ahead of time and waits without using the processor: giving it an order costs no more than
//! starting a program. Where a guard itself was killed, [`sweep`] ends what it left, found by a variable in its
//! environment.
//!
//! A job that the program has submitted to the embedded cluster is not the program's: it goes on, as it would on SLURM.
//! It is told by the record in which its supervisor has written itself down; nothing else gets away.
//!
//! What must never be here: a decision about when a program has run long enough, or a copy of its output.

mod inside;
mod owner;
mod sweep;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::job::ExitInfo;

pub use inside::main;
pub use owner::{Guard, GuardError, Guarded};
pub use sweep::{ATTEMPT_ID, Leftovers, sweep, sweep_attempts};

/// Which program guards: the running binary and its hidden verb, or an installed `ralph` of the same version and its
/// `__guard`.
///
/// The running binary has to look for the verb before anything else. One that does not would start itself without end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardProgram {
    /// The program: an absolute path, because a guard runs in the root folder, or a name that is found on the `PATH`.
    pub program: PathBuf,
    /// Its arguments, such as `__guard`.
    pub args: Vec<String>,
}

impl GuardProgram {
    /// `ralph __guard`, found on the `PATH`; for programs that have no such verb of their own. It has to be of the same
    /// version as this library.
    #[must_use]
    pub fn installed() -> Self {
        Self {
            program: "ralph".into(),
            args: vec!["__guard".to_owned()],
        }
    }
}

/// Which of the owner's variables the program gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Inherit {
    /// All.
    All,
    /// All but these.
    Without(BTreeSet<String>),
    /// These, where they are set.
    Only(BTreeSet<String>),
}

/// A program to run under a guard; see [`GuardRequest::new`] for the usual values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardRequest {
    /// The program: a path, absolute or else relative to `workdir`, or a name to be found on the `PATH`.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// The folder it starts in; has to exist.
    pub workdir: PathBuf,
    /// What it inherits of the owner's variables.
    pub inherit: Inherit,
    /// Variables on top of those.
    pub variables: BTreeMap<String, String>,
    /// What it reads on standard input, then end of file; nothing is `/dev/null`.
    #[serde(skip)]
    pub stdin: Vec<u8>,
    /// Time between TERM and KILL where the owner can not be asked, because it is gone.
    pub grace: Duration,
}

impl GuardRequest {
    /// A program with arguments, in a folder: all of the owner's variables, nothing to read, five seconds of grace.
    pub fn new<A: Into<String>>(
        program: impl Into<PathBuf>,
        args: impl IntoIterator<Item = A>,
        workdir: impl Into<PathBuf>,
    ) -> Self {
        Self {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            workdir: workdir.into(),
            inherit: Inherit::All,
            variables: BTreeMap::new(),
            stdin: Vec::new(),
            grace: Duration::from_secs(5),
        }
    }
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardEnd {
    /// Exit code and signal of the program itself.
    pub exit: ExitInfo,
    /// Whether its guard had told it to end before it did.
    pub stopped: bool,
    /// How many processes it left running, which its guard has ended.
    pub left_running: usize,
    /// Processes that could not be ended, by pid; empty but for those stuck in the kernel.
    pub remaining: Vec<u32>,
}
