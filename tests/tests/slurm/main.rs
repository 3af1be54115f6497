//! The product over the real cluster: the real binary, a real scheduler, a real SSH session. Where there is no cluster
//! each test says so aloud and passes; with `RALPH_REQUIRE_CLUSTER=1` it fails instead.

mod lives;
