//! Who a process is, and whether it still lives: the identity that locks use too, as methods.
//!
//! Nothing here signals a process.

use crate::store::owner;
pub use crate::store::owner::{Identity, boot_id};

impl Identity {
    /// The process that has this pid now. A zombie has an identity too: a worker that exits at once is one
    /// before anybody can read it.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        owner::identity_of(pid)
    }

    /// Whether this very process still runs. A zombie does not: where PID 1 does not reap (containers), it stays
    /// one for ever.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        owner::is_alive(self)
    }
}
