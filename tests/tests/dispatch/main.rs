//! Dispatch end to end: the real binary, the embedded cluster, real processes, real files.
#![expect(
    clippy::expect_used,
    reason = "a fixture that cannot be made ends the test that needs it"
)]

mod attached;
mod crash_sweep;
mod demo;
mod exactly_once;
mod guide;
mod killed;
mod lifecycle;
mod mcp;
