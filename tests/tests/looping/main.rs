//! `ralph loop` end to end: real repositories, real processes, a scripted agent.
#![expect(
    clippy::expect_used,
    reason = "a fixture that cannot be made ends the test that needs it"
)]

mod command_line;
mod continuous;
mod defects;
mod gauntlet;
mod killed;
mod old_flags;
mod outcomes;
mod pull_requests;
mod recovery;
mod repositories;
mod selection;
mod selftest;
mod shared;
mod workspaces;
