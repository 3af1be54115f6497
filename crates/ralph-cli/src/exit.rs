//! From what happened to an exit code.

use std::ffi::OsString;

use ralph_core::error::Code;
use ralph_front::explain::{caught, explain, explain_usage};
use ralph_front::output::Output;

use crate::args::{Cli, Hook, Verb};
use crate::commands;
use crate::env_vars;

/// Runs the verb. The Stop hook never ends with any code but 0 and 2.
pub(crate) fn run(cli: Cli) -> u8 {
    let columns = env_vars::text(env_vars::COLUMNS);
    let output = Output::new(&cli.global.printing, columns.as_deref());
    let is_hook = matches!(cli.verb, Verb::Hook(Hook::Stop));
    let code = match commands::run(cli, &output) {
        Ok(code) => code.map_or(0, Code::exit_code),
        Err(failure) => {
            explain(&failure, &output);
            // A hook's 2 means that work remains, which no failure may say.
            if is_hook {
                0
            } else {
                failure.code().exit_code()
            }
        }
    };
    if is_hook && code != 2 { 0 } else { code }
}

/// A command line that cannot be parsed, and `--help`.
pub(crate) fn usage(error: &clap::Error, arguments: &[OsString]) -> u8 {
    let code = explain_usage(error, arguments);
    let hook = arguments.get(1).is_some_and(|word| word == "hook");
    code.filter(|_| !hook).map_or(0, Code::exit_code)
}

/// The whole program. A bug in the Stop hook is none of the session's, which may stop.
pub(crate) fn whole(arguments: &[OsString], work: impl FnOnce() -> u8) -> u8 {
    let code = caught(arguments, work);
    let is_hook = arguments.windows(2).any(|words| words == ["hook", "stop"]);
    if is_hook && code == Code::Bug.exit_code() {
        return 0;
    }
    code
}
