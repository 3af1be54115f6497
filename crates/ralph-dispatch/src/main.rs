//! The `wb-ralph-dispatch` binary: hands its arguments to the library beside it and returns its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ralph_dispatch::main()
}
