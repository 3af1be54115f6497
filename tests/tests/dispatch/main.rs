//! Dispatch end to end: the real binary, the embedded cluster, real processes, real files.

mod crash_sweep;
mod exactly_once;
mod lifecycle;
