//! The `ralph` command line: arguments in, library calls, text or JSON out.
//!
//! Only this crate (and the launcher's) knows clap, colours, exit codes and the environment. What a verb does is one
//! file under `commands`; what it prints is under `render`.

mod args;
mod commands;
mod env_vars;
mod exit;
mod render;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

pub use args::Cli;

/// The command as clap knows it; for completions, man pages and the checks of the documents.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Parses the command line, runs the verb, prints what went wrong, returns the exit code.
#[must_use]
pub fn main() -> ExitCode {
    #[cfg(feature = "crash-points")]
    ralph_front::environment::arm_crash_points();
    let arguments = env_vars::arguments();
    ExitCode::from(exit::whole(&arguments, || run(&arguments)))
}

fn run(arguments: &[OsString]) -> u8 {
    if let Some(ended) = ralph_front::environment::guarded() {
        return u8::from(ended.is_err());
    }
    if let [_, hook, verb] = arguments
        && hook == "hook"
        && verb == "stop"
    {
        return exit::run(stop_hook());
    }
    let command = command();
    let completed = args::with_the_verb(arguments.to_vec(), |word| is_of_loop(&command, word));
    let read = command.try_get_matches_from(completed);
    match read.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => {
            log_as_asked();
            exit::run(cli)
        }
        Err(error) => exit::usage(&error, arguments),
    }
}

/// The Stop hook as agents call it. Every turn of theirs waits for it: making up the whole command line is a good part of
/// the time that it takes.
fn stop_hook() -> Cli {
    Cli {
        global: args::Global::default(),
        verb: args::Verb::Hook(args::Hook::Stop),
    }
}

/// Whether a word is an option that only the loop has.
fn is_of_loop(command: &clap::Command, word: &str) -> bool {
    let name = word.split('=').next().unwrap_or(word);
    let Some(of_loop) = command.find_subcommand("loop") else {
        return false;
    };
    of_loop.get_arguments().any(|argument| {
        let long = argument.get_long_and_visible_aliases().unwrap_or_default();
        let short = argument.get_short().map(|letter| format!("-{letter}"));
        name.strip_prefix("--")
            .is_some_and(|name| long.contains(&name))
            || short.as_deref() == Some(name)
    })
}

/// Logs are for whoever mends ralph: off unless `RALPH_LOG` asks for them. What users are told is not logged.
fn log_as_asked() {
    let Some(filter) = env_vars::text(env_vars::RALPH_LOG) else {
        return;
    };
    let filter = tracing_subscriber::EnvFilter::new(filter);
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
    // A second subscriber in one process is a test's; the first one stays.
    drop(started);
}
