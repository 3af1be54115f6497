//! The launcher with crash points in it: what the end-to-end tests run, built whenever they are.

use std::process::ExitCode;

fn main() -> ExitCode {
    ralph_dispatch::main()
}
