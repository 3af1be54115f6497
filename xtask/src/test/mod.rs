//! `cargo xtask test`: sets the machine up, builds everything once, runs all tests and doctests, and says at
//! the end what was skipped. A test never decides here whether it may be skipped: it says so aloud, on a line
//! that starts with `SKIPPED:`, and this module collects the lines.

mod report;
mod runner;

use std::path::Path;
use std::process::ExitCode;

use xshell::{Shell, cmd};

use crate::{cluster, env_vars, setup};
use report::{Demand, Report};

/// Runs all tests, or those whose names contain one of the filters.
pub(crate) fn run(root: &Path, filters: &[&str]) -> anyhow::Result<ExitCode> {
    let flags = setup::prepare(root, setup::Purpose::Test)?;
    let flags = flags.as_slice();
    let sh = Shell::new()?;
    sh.change_dir(root);
    // Built first, with the features of the test build, so that end-to-end tests find both binaries.
    cmd!(sh, "cargo build --workspace --all-targets {flags...}").run()?;
    let cluster = cluster::for_tests(root);
    let files = cluster.as_ref().map(cluster::ForTests::env_files);
    let environment = files.as_deref().map(|files| ("RALPH_CLUSTER_ENV", files));
    let mut report = if runner::has_nextest(&sh) {
        runner::nextest(&sh, root, flags, filters, environment)?
    } else {
        eprintln!("note: cargo-nextest is not installed; `cargo test` runs the tests");
        runner::cargo_test(root, flags, filters, environment)?
    };
    if let Some(cluster) = cluster {
        println!("\nfaults on the cluster, and how often the job of each was started:");
        println!("{}", cluster.fault_table());
    }
    if filters.is_empty() {
        report.doctests_failed = cmd!(sh, "cargo test --doc --workspace {flags...}")
            .run()
            .is_err();
    }
    finish(&report)
}

fn finish(report: &Report) -> anyhow::Result<ExitCode> {
    let demands = [
        Demand {
            word: "cluster",
            is_made: env_vars::require_cluster(),
        },
        Demand {
            word: "corpus",
            is_made: env_vars::require_corpus(),
        },
    ];
    print!("{}", report.text(&demands));
    Ok(if report.is_good(&demands) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
