//! Every environment variable that a task reads. No other file here reads the environment.
#![expect(
    clippy::disallowed_methods,
    reason = "the one place of xtask that reads the environment"
)]

use std::path::PathBuf;

/// Whether a skipped test for want of a cluster is a failure (`RALPH_REQUIRE_CLUSTER=1`).
pub(crate) fn require_cluster() -> bool {
    is_set("RALPH_REQUIRE_CLUSTER")
}

/// Whether a skipped test for want of the corpus is a failure (`RALPH_REQUIRE_CORPUS=1`).
pub(crate) fn require_corpus() -> bool {
    is_set("RALPH_REQUIRE_CORPUS")
}

/// Whether the person names an OpenSSL of their own.
pub(crate) fn has_openssl_folder() -> bool {
    std::env::var_os("OPENSSL_DIR").is_some() || std::env::var_os("OPENSSL_LIB_DIR").is_some()
}

/// The home folder, whose name must not be in any file of the project.
pub(crate) fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from)
}

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0")
}
