//! The two ways to run the tests: cargo-nextest, and `cargo test` where that is not installed. Both hand back
//! a [`Report`] and leave the judging to it.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use xshell::{Shell, cmd};

use super::report::Report;
use crate::workspace::target_folder;

/// Whether cargo-nextest is installed.
pub(super) fn has_nextest(sh: &Shell) -> bool {
    cmd!(sh, "cargo nextest --version")
        .quiet()
        .ignore_stderr()
        .read()
        .is_ok()
}

/// Runs the tests with nextest. The output of passing tests, which holds the skips, is in its JUnit file.
pub(super) fn nextest(
    sh: &Shell,
    root: &Path,
    flags: &[String],
    filters: &[&str],
    environment: Option<(&str, &OsStr)>,
) -> anyhow::Result<Report> {
    let junit = target_folder(root)?.join("nextest/ci/junit.xml");
    // A file of an earlier run must not stand in for this one.
    sh.remove_path(&junit)?;
    let passed = cmd!(
        sh,
        "cargo nextest run --workspace --profile ci {flags...} {filters...}"
    )
    .envs(environment)
    .run()
    .is_ok();
    let text = sh
        .read_file(&junit)
        .context("reading nextest's report; did the build fail?")?;
    Ok(Report::from_junit(&text, passed))
}

/// Runs the tests with `cargo test`, showing what it prints and keeping it for the report.
pub(super) fn cargo_test(
    root: &Path,
    flags: &[String],
    filters: &[&str],
    environment: Option<(&str, &OsStr)>,
) -> anyhow::Result<Report> {
    let mut child = Command::new("cargo")
        .args(["test", "--workspace", "--no-fail-fast"])
        .args(["--lib", "--bins", "--tests", "--examples"])
        .args(flags)
        .args(["--", "--show-output"])
        .args(filters)
        .envs(environment)
        .current_dir(root)
        .stdout(Stdio::piped())
        .spawn()
        .context("starting `cargo test`")?;
    let mut shown = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            println!("{line}");
            shown.push(line);
        }
    }
    std::io::stdout().flush()?;
    let passed = child.wait()?.success();
    Ok(Report::from_lines(&shown, passed))
}
