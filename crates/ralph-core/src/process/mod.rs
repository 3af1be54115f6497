//! Detached processes that outlive their caller, each watched by a supervisor that records how it ended.
//!
//! A caller hands a [`SpawnRequest`] to [`spawn`](spawn::spawn). That starts the caller's own program again with a
//! hidden verb, whose only work is to call [`supervise::main`]: an own session, a lock held for life, the worker in
//! its own process group, and at the end an exit record. Whoever looks later puts three facts together in
//! [`verdict`](verdict::verdict): is the lock held, is an exit recorded, is the worker alive.
//!
//! Where the caller stays, [`guard`] runs a program that can not outlive it, and [`bounded`] runs one there to its end or its
//! limit.
//!
//! What must never be here: a decision about what runs, a scheduler, a terminal, a lock that a stranger's process
//! could inherit, or liveness judged by a pid alone (pids are reused, and a zombie has one).

pub mod bounded;
pub(crate) mod ending;
pub mod guard;
pub mod hold;
pub mod identity;
pub mod lock;
pub mod record;
pub(crate) mod signal;
pub mod spawn;
pub mod supervise;
pub mod table;
pub mod variable;
pub mod verdict;

pub use ending::end_orphans;
pub use hold::{Hold, HoldError, Tie};
pub use identity::Identity;
pub(crate) use identity::boot_id;
pub use record::{Ask, Ending, ExitRecord, Record, SpawnRequest};
pub use spawn::{
    SpawnError, Spawned, Supervisor, ask_to_drain, ask_to_hasten, ask_to_stop, launch, spawn,
};
pub use supervise::SuperviseError;
pub use verdict::{Facts, Verdict, verdict};
