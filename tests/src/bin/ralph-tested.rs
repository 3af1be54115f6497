//! The product's binary with crash points in it: what the end-to-end tests run.
//!
//! A binary of this package is built whenever its tests are, by `cargo test` and by nextest, for one package and for
//! all; the product's own binary is not, and never carries crash points.

use std::process::ExitCode;

fn main() -> ExitCode {
    ralph_cli::main()
}
