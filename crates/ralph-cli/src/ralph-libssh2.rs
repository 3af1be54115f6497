//! Speaks SSH for a `ralph` that started it, over its standard streams, until that one is gone. Nothing for people.

use std::io::{IsTerminal as _, stdin, stdout};
use std::process::ExitCode;

use ralph_slurm::{Libssh2, Opening, serve};

fn main() -> ExitCode {
    if stdin().is_terminal() {
        return failed("`ralph` starts this program where `ssh.transport` is `libssh2`");
    }
    let open = |Opening {
                    settings,
                    home,
                    user,
                    ..
                }| Libssh2::new(settings, home, &user, None);
    match serve(stdin(), stdout(), open, hang_up) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error.to_string()),
    }
}

/// The other side is gone, and a command that still runs there would answer nobody.
#[expect(
    clippy::exit,
    clippy::disallowed_methods,
    reason = "a command that waits for a reply cannot be ended in another way"
)]
fn hang_up() {
    std::process::exit(0);
}

#[expect(
    clippy::print_stderr,
    reason = "whoever started this shows it to the user"
)]
fn failed(why: &str) -> ExitCode {
    eprintln!("ralph-libssh2: {why}");
    ExitCode::FAILURE
}
