//! The launcher: one loop per repository of a workbench, launched once, seen through to the end.
//!
//! `resolve` turns the four sources of each knob into values with origins, `probe` looks at everything a launch
//! depends on, `gate` decides, `launch` starts supervised loops, `standing` says how they are, `sweep` writes
//! down what became of them, `stop` ends them. `cluster` runs them as jobs instead, and `carry` brings home what those
//! delivered. `commands` joins these and prints.
//!
//! What must never be here: a run of `project.conf`, a decision by a pid alone, an edit of a user's file beyond the
//! Exec cells.

mod args;
mod carry;
mod cluster;
mod commands;
mod conf;
mod env_vars;
mod epic;
mod gate;
mod home;
mod launch;
mod layout;
mod log_text;
mod probe;
mod program;
mod record;
mod render;
mod report;
mod resolve;
mod schemas;
mod setting;
mod share;
mod standing;
mod stop;
mod sweep;
mod window;
mod work;
mod workbench;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use ralph_core::error::Code;
use ralph_front::explain::{caught, explain_usage};

pub use args::Cli;

/// The command as clap knows it; for completions, man pages and the checks of the documents.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Parses the command line, does what it says, prints what went wrong, returns the exit code.
#[must_use]
pub fn main() -> ExitCode {
    #[cfg(feature = "crash-points")]
    ralph_front::environment::arm_crash_points();
    let arguments = env_vars::arguments();
    ExitCode::from(caught(&arguments, || run(&arguments)))
}

fn run(arguments: &[OsString]) -> u8 {
    if let Some(ended) = ralph_front::environment::guarded() {
        return u8::from(ended.is_err());
    }
    match Cli::try_parse_from(arguments) {
        Ok(cli) => commands::run(cli),
        Err(error) => explain_usage(&error, arguments).map_or(0, Code::exit_code),
    }
}
