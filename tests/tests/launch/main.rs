//! The launcher, end to end: the real binary, real repositories, real processes, scripted loops and real ones.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../until/mod.rs"]
mod until;

mod cluster;
mod contract;
mod faults;
mod foreign;
mod lifecycle;
mod real_loop;
mod refusals;
mod slurm;
