//! The remote scripts over the local transport, with fake scheduler commands on `PATH`: every way in which a cluster
//! or a connection can lie, without a cluster.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod items;
mod observe;
mod scheduler;
#[path = "../shared/mod.rs"]
mod shared;
mod submit;
mod sync;
mod turns;
