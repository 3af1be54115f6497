//! The product over the real cluster: the real binary, a real scheduler, a real SSH session. Where there is no cluster
//! each test says so aloud and passes; with `RALPH_REQUIRE_CLUSTER=1` it fails instead.
#![expect(
    clippy::expect_used,
    reason = "a fixture that cannot be made ends the test that needs it"
)]

mod by_hand;
mod embedded;
mod exactly_once;
mod limits;
mod lives;
mod login;
mod session;
mod shims;
