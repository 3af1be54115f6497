//! The plan alone: runs the bench of `ralph-loop`, which checks that nothing is had twice and nothing lost.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{bail, ensure};
use xshell::{Shell, cmd};

use crate::bench::cases::Place;
use crate::bench::measure::Times;
use crate::bench::table::{Limits, Row};

/// One of its measurements.
#[derive(Debug)]
pub(super) struct Measurement {
    case: &'static str,
    what: &'static str,
    milliseconds: Option<u64>,
    /// Whether the disk is left out of it: what counts is who gets what, a hundred thousand times.
    in_memory: bool,
}

/// Claims on a plan whose only open task is the last of many.
pub(super) const PICK: Measurement = Measurement {
    case: "plan of 1,000 rows, a pick",
    what: "pick",
    milliseconds: Some(10),
    in_memory: false,
};

/// Ticks by many processes at once.
pub(super) const COMPLETIONS: Measurement = Measurement {
    case: "plan, 1,000 completions by 12 processes, one of them",
    what: "completions",
    milliseconds: None,
    in_memory: false,
};

/// Claims and returns by many processes at once.
pub(super) const CLAIMS: Measurement = Measurement {
    case: "plan, 100,000 claims by 12 processes, none double, one of them",
    what: "claims",
    milliseconds: None,
    in_memory: true,
};

/// Runs it.
pub(super) fn measure(place: &Place, what: &Measurement) -> anyhow::Result<Row> {
    let memory = Path::new("/dev/shm");
    let folder = if what.in_memory && memory.is_dir() {
        memory.join(format!("ralph-bench-{}", std::process::id()))
    } else {
        place.folder.clone()
    };
    let shown = run(&place.root, &folder, what.what)?;
    let numbers: Vec<u64> = shown
        .split_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect();
    let &[median, least] = numbers.as_slice() else {
        bail!("expected two numbers, found `{shown}`");
    };
    Ok(Row {
        case: what.case.to_owned(),
        ours: Times {
            median: Duration::from_nanos(median),
            least: Duration::from_nanos(least),
        },
        compared: None,
        peak_bytes: None,
        limits: Limits {
            milliseconds: what.milliseconds,
            ratio: None,
            megabytes: None,
        },
        figures: Vec::new(),
    })
}

fn run(root: &Path, folder: &PathBuf, what: &str) -> anyhow::Result<String> {
    let sh = Shell::new()?;
    sh.change_dir(root);
    let package = ["--release", "--quiet", "--package", "ralph-loop"];
    let shown = cmd!(
        sh,
        "cargo run {package...} --example plan_bench -- {folder} {what}"
    )
    .read()?;
    sh.remove_path(folder)?;
    ensure!(!shown.is_empty(), "it printed nothing");
    Ok(shown)
}
