//! Files: where they are, how they are written, and who may write them now.
//!
//! - [`atomic`]: a reader sees the old file or the new one, also after a power cut.
//! - [`append`]: files that only grow, and may end in the middle of a line.
//! - [`link`]: a second name for a file that is only ever replaced.
//! - [`lock`]: one writer per project and one dispatcher per workspace, also against old shell scripts.
//! - [`layout`]: every path of the contract, once.
//! - [`crash`]: named points at which a test can kill the process.
//!
//! What must never be here: knowledge of what a file means. Several files that have to change together go
//! through [`crate::journal`].

pub mod append;
pub mod atomic;
pub mod crash;
mod error;
pub mod layout;
mod leftover;
pub mod link;
pub mod lock;
mod tree;

pub use error::StoreError;
pub use lock::{LockError, LockRequest, ProjectLock, WorkspaceGuard};

#[cfg(test)]
pub(crate) mod tests;
