//! Tests on the real cluster that `cargo xtask cluster up` brings up. Where there is none they say so aloud and pass;
//! with `RALPH_REQUIRE_CLUSTER=1` they fail instead.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and says what it skips"
)]

mod child;
mod faults;
mod jobs;
mod login;
#[path = "../shared/mod.rs"]
mod shared;
mod site;
