//! The embedded cluster with real processes. Each test waits for a state; nothing sleeps for time to pass.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod arrays;
mod bed;
mod dependencies;
mod script;
mod states;
mod submission;
#[path = "../until/mod.rs"]
mod until;
