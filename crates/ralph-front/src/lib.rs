//! What both binaries share where they face a person: errors on their way out, where text goes, which cluster is meant.
//!
//! Not for embedding: whoever builds another front end takes the crates below this one.
//!
//! What must never be here: a verb, a command line beyond the options that all verbs have, and a variable of one binary
//! alone: each names its own and hands in what is needed. `environment` is read by the binaries, not by this crate.

pub mod cluster;
pub mod environment;
pub mod explain;
pub mod failure;
pub mod machine;
pub mod manual;
pub mod output;
pub mod programs;
pub mod shell;
pub mod wrapping;

/// Version of the shape of every `--json` output but the dispatch report's, which has its own. Members may be added
/// within a version; one is never removed or given another meaning.
pub const SCHEMA_VERSION: u32 = 1;
