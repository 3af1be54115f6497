//! The environment of this process: its variables, its arguments, its folders. The only module that reads them.
//!
//! What must never be here: what a variable means. Each binary names its own variables and hands their values in.
#![expect(
    clippy::disallowed_methods,
    reason = "this module owns the environment"
)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use ralph_core::process::guard::{self, GuardProgram};

/// How wide a table may be where standard output is no terminal, in columns.
pub const COLUMNS: &str = "COLUMNS";
/// Where a crash is provoked, as `point:n`.
#[cfg(feature = "crash-points")]
const RALPH_CRASH_AT: &str = "RALPH_CRASH_AT";
/// A file that lists the crash points passed.
#[cfg(feature = "crash-points")]
const RALPH_CRASH_LOG: &str = "RALPH_CRASH_LOG";

/// A variable as text; one that is empty or not UTF-8 counts as unset.
#[must_use]
pub fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A variable as a path; one that is empty counts as unset.
#[must_use]
pub fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// All variables; a job of the embedded cluster gets those that `--export` lets through.
#[must_use]
pub fn all() -> BTreeMap<OsString, OsString> {
    std::env::vars_os().collect()
}

/// All variables that are text, also empty ones: what settings are looked up in.
#[must_use]
pub fn all_text() -> BTreeMap<String, String> {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// The arguments of this process.
#[must_use]
pub fn arguments() -> Vec<OsString> {
    std::env::args_os().collect()
}

/// The folders in which programs are looked for.
#[must_use]
pub fn search_path() -> Vec<PathBuf> {
    std::env::var_os("PATH").map_or_else(Vec::new, |path| std::env::split_paths(&path).collect())
}

/// The current folder.
///
/// # Errors
/// It is gone, or may not be read.
pub fn current_dir() -> io::Result<PathBuf> {
    std::env::current_dir()
}

/// The program that is running: what supervisors are started from.
///
/// # Errors
/// The system does not say.
pub fn program() -> io::Result<PathBuf> {
    std::env::current_exe()
}

/// The hidden verb of a guard (`ralph_core::process::guard`); started by the commands themselves.
pub const GUARD: &str = "__guard";

/// What attached programs are started through: the running program again.
///
/// # Errors
/// It cannot be found.
pub fn guard_program() -> io::Result<GuardProgram> {
    Ok(GuardProgram {
        program: program()?,
        args: vec![GUARD.to_owned()],
    })
}

/// The guard itself, where the command line asks for one: before anything else, outside any async runtime. A worker waits
/// for its guard between two agents, and 32 of them may wait for an order: neither the time nor the memory to make up
/// the whole command line is theirs.
#[must_use]
pub fn guarded() -> Option<io::Result<()>> {
    match &arguments()[..] {
        [_, verb] if verb == GUARD => Some(guard::main()),
        _ => None,
    }
}

/// This user's name.
#[must_use]
pub fn user() -> String {
    text("USER")
        .or_else(|| text("LOGNAME"))
        .unwrap_or_else(|| "unknown".to_owned())
}

/// Where what all processes of this user share is kept. A path that is relative counts as not set (XDG Base Directory
/// Specification), and so does a runtime folder that is not there, as after `su`.
#[must_use]
pub fn runtime_dir() -> Option<PathBuf> {
    let absolute = |name| path(name).filter(|path| path.is_absolute());
    absolute("XDG_RUNTIME_DIR")
        .filter(|folder| folder.is_dir())
        .or_else(|| absolute("XDG_STATE_HOME"))
        .or_else(|| Some(absolute("HOME")?.join(".local/state")))
}

/// The folder for temporary files.
#[must_use]
pub fn temporary_dir() -> PathBuf {
    std::env::temp_dir()
}

/// Lets a test say where this process dies. A text that names no point is no plan.
#[cfg(feature = "crash-points")]
pub fn arm_crash_points() {
    use ralph_core::store::crash::{CrashPlan, arm};
    let at = text(RALPH_CRASH_AT).and_then(|text| text.parse::<CrashPlan>().ok());
    arm(CrashPlan {
        log: path(RALPH_CRASH_LOG),
        ..at.unwrap_or_default()
    });
}
