//! The project's own tasks, run as `cargo xtask TASK`: the demo, the tests, the checks, the benches.
//!
//! Nothing here is part of the product. No crate of the product is a dependency, so that the first task on a
//! fresh machine starts after seconds; what a task needs of the product it builds and runs as a program.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tasks talk to the person who runs them"
)]

mod bench;
mod cluster;
mod demo;
mod env_vars;
mod generate;
mod openssl;
mod picture;
mod setup;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::bail;

const HELP: &str = "\
The project's own tasks.

Usage: cargo xtask TASK

Tasks:
  demo [DIR]           builds ralph and runs its demo in a new folder, or in DIR
  test [FILTER]...     installs what the tests need, where it may, and runs all of them
  tidy [DIR]           checks the sources against the invariants of docs/ARCHITECTURE.md
  bench [CASE]...      measures the release build against its targets
  cluster COMMAND      the tests' own SLURM cluster: up, down, status, break, heal, … (`cluster help`)
  generate             rewrites the generated documents under docs/
  picture              draws docs/demo.svg from what the demo prints
  setup                only the installing; prints the flags that this machine's builds need

Environment:
  RALPH_REQUIRE_CLUSTER=1  a test that was skipped for want of a cluster is a failure
  RALPH_REQUIRE_CORPUS=1   a test that was skipped for want of the corpus is a failure
";

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> anyhow::Result<ExitCode> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let root = workspace::root();
    match args.as_slice() {
        ["demo"] => demo::run(&root, None),
        ["demo", folder] => demo::run(&root, Some(folder)),
        ["test", filters @ ..] => test::run(&root, filters),
        ["tidy"] => tidy::run(&root),
        ["tidy", folder] => tidy::run(std::path::Path::new(folder)),
        ["bench", cases @ ..] => bench::run(&root, cases),
        ["cluster", command @ ..] => cluster::run(&root, command),
        ["picture"] => picture::run(&root),
        ["generate"] => generate::run(&root),
        ["setup"] => setup::print_flags(&root),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!(
            "`{}` is not a task; `cargo xtask help` lists them",
            args.join(" ")
        ),
    }
}
