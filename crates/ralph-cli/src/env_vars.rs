//! Every environment variable that `ralph` reads, and the only place that reads them.
#![expect(
    clippy::disallowed_methods,
    reason = "this module owns the environment"
)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// How wide a table may be where standard output is no terminal.
pub(crate) const COLUMNS: &str = "COLUMNS";
/// The caller of a lock when it is not the parent process; `scripts/ralph/lock.sh` had it first.
pub(crate) const LOCK_OWNER_PID: &str = "LOCK_OWNER_PID";
/// Where a crash is provoked, as `point:n`; only in builds with the feature `crash-points`.
#[cfg(feature = "crash-points")]
pub(crate) const RALPH_CRASH_AT: &str = "RALPH_CRASH_AT";
/// A file that lists the crash points passed; only in builds with the feature `crash-points`.
#[cfg(feature = "crash-points")]
pub(crate) const RALPH_CRASH_LOG: &str = "RALPH_CRASH_LOG";
/// What the libraries log to standard error, as `debug` or `ralph_slurm=trace`; nothing when it is not set.
pub(crate) const RALPH_LOG: &str = "RALPH_LOG";
/// Variables for the job of `scripts/cluster/submit.sh`, as `A=1,B=2`.
pub(crate) const SBATCH_EXPORTS: &str = "SBATCH_EXPORTS";
/// Jobs that have to succeed before that of `submit.sh`, as `afterok:1:2`.
pub(crate) const SBATCH_DEPENDENCY: &str = "SBATCH_DEPENDENCY";
/// Nodes that the job of `submit.sh` avoids, separated by commas.
pub(crate) const SBATCH_EXCLUDE: &str = "SBATCH_EXCLUDE";
/// Set by Claude Code for hooks: the folder of the project.
pub(crate) const CLAUDE_PROJECT_DIR: &str = "CLAUDE_PROJECT_DIR";

/// Only these repositories of a workspace plan.
pub(crate) const RALPH_WORKSPACE_REPOS: &str = "RALPH_WORKSPACE_REPOS";
/// Not these repositories of a workspace plan.
pub(crate) const RALPH_WORKSPACE_EXCLUDE: &str = "RALPH_WORKSPACE_EXCLUDE";

/// What the terminal can do; `dumb` cannot move its cursor.
pub(crate) const TERM: &str = "TERM";
/// Set inside a tmux session.
pub(crate) const TMUX: &str = "TMUX";

/// A variable as text; one that is not UTF-8 counts as unset.
pub(crate) fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A variable as a path.
pub(crate) fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// The arguments of this process.
pub(crate) fn arguments() -> Vec<OsString> {
    std::env::args_os().collect()
}

/// All variables; a job of the embedded cluster gets those that `--export` lets through.
pub(crate) fn all() -> BTreeMap<OsString, OsString> {
    std::env::vars_os().collect()
}

/// All variables that are text: what the loop's settings are looked up in, by the names that they have.
pub(crate) fn all_text() -> BTreeMap<String, String> {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
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

/// Where what all processes of this user share is kept. A path that is relative counts as not set (XDG Base Directory
/// Specification), and so does a runtime folder that is not there, as after `su`.
pub(crate) fn runtime_dir() -> Option<PathBuf> {
    let absolute = |name| path(name).filter(|path| path.is_absolute());
    absolute("XDG_RUNTIME_DIR")
        .filter(|folder| folder.is_dir())
        .or_else(|| absolute("XDG_STATE_HOME"))
        .or_else(|| Some(absolute("HOME")?.join(".local/state")))
}

/// The folder for temporary files.
pub(crate) fn temporary_dir() -> PathBuf {
    std::env::temp_dir()
}
