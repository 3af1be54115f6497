//! Every environment variable that `wb-ralph-dispatch` reads, and the only place that reads them.
#![expect(
    clippy::disallowed_methods,
    reason = "this module owns the environment"
)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// How wide a table may be where standard output is no terminal.
pub(crate) const COLUMNS: &str = "COLUMNS";
/// What the terminal can do.
pub(crate) const TERM: &str = "TERM";
/// The workbench.
pub(crate) const WB_ROOT: &str = "WB_ROOT";
/// Where a crash is provoked, as `point:n`; only in builds with the feature `crash-points`.
#[cfg(feature = "crash-points")]
pub(crate) const RALPH_CRASH_AT: &str = "RALPH_CRASH_AT";
/// A file that lists the crash points passed; only in builds with the feature `crash-points`.
#[cfg(feature = "crash-points")]
pub(crate) const RALPH_CRASH_LOG: &str = "RALPH_CRASH_LOG";

/// A variable as text; one that is empty or not UTF-8 counts as unset.
pub(crate) fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A variable as a path.
pub(crate) fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// The knobs: every variable that is text and not empty.
pub(crate) fn texts() -> BTreeMap<String, String> {
    let all = std::env::vars_os().filter_map(|(name, value)| {
        let pair = (name.into_string().ok()?, value.into_string().ok()?);
        (!pair.1.is_empty()).then_some(pair)
    });
    all.collect()
}

/// All variables; a job of the embedded cluster gets those that `--export` lets through.
pub(crate) fn all() -> BTreeMap<OsString, OsString> {
    std::env::vars_os().collect()
}

/// The arguments of this process.
pub(crate) fn arguments() -> Vec<OsString> {
    std::env::args_os().collect()
}

/// The folders in which programs are looked for.
pub(crate) fn search_path() -> Vec<PathBuf> {
    std::env::var_os("PATH").map_or_else(Vec::new, |path| std::env::split_paths(&path).collect())
}

/// The current folder.
pub(crate) fn current_dir() -> std::io::Result<PathBuf> {
    std::env::current_dir()
}

/// The program that is running: what supervisors are started from.
pub(crate) fn program() -> std::io::Result<PathBuf> {
    std::env::current_exe()
}

/// This user's name.
pub(crate) fn user() -> String {
    text("USER")
        .or_else(|| text("LOGNAME"))
        .unwrap_or_else(|| "unknown".to_owned())
}

/// Where what all processes of this user share is kept.
pub(crate) fn runtime_dir() -> Option<PathBuf> {
    path("XDG_RUNTIME_DIR")
        .or_else(|| path("XDG_STATE_HOME"))
        .or_else(|| Some(path("HOME")?.join(".local/state")))
}
