//! Dispatch end to end: the real binary, the embedded cluster, real processes, real files.

mod exactly_once;
mod lifecycle;
