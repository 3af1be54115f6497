//! `cargo xtask bench`: the release build against its targets. What is compared runs in turns in the same run,
//! so that a busy machine slows both; the ratio is what counts. Nothing fails here for being slow: the table
//! says what was met, and `target/bench.json` keeps it.

mod cases;
mod launcher;
mod looping;
mod measure;
mod table;
mod workspace;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::json;
use xshell::Shell;

use crate::setup;
use crate::workspace::{Profile, build_binaries, target_folder};
use table::Row;

/// Runs the cases whose names contain one of the words; without a word, all but the long ones.
pub(crate) fn run(root: &Path, words: &[&str]) -> anyhow::Result<ExitCode> {
    let all = || {
        cases::ALL
            .iter()
            .chain(&looping::SHORT)
            .chain(&looping::LONG)
    };
    let is_named = |case: &&cases::Case| words.iter().any(|word| case.name.contains(word));
    let chosen: Vec<&cases::Case> = if words.is_empty() {
        cases::ALL.iter().chain(&looping::SHORT).collect()
    } else {
        all().filter(is_named).collect()
    };
    if chosen.is_empty() {
        let names: Vec<&str> = all().map(|case| case.name).collect();
        bail!("no case has such a name; there are {}", names.join(", "));
    }
    let flags = setup::prepare(root, setup::Purpose::Bench)?;
    let ralph = build_binaries(root, Profile::Release, &flags)?.join("ralph");
    let target = target_folder(root)?;
    let mut rows = Vec::new();
    for case in chosen {
        eprintln!("measuring {}", case.name);
        let place = cases::Place {
            ralph: ralph.clone(),
            root: root.to_path_buf(),
            folder: target.join("bench").join(case.name),
            programs: target.join("bench"),
        };
        rows.extend((case.run)(&place).with_context(|| format!("in the case {}", case.name))?);
    }
    print!("{}", table::text(&rows));
    if let Some(load) = load() {
        println!("load average {load}: on a busy machine read the ratio and the least");
    }
    write(&target.join("bench.json"), &rows)?;
    Ok(ExitCode::SUCCESS)
}

/// The load average of the last minute, where the system tells it.
fn load() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

fn write(path: &Path, rows: &[Row]) -> anyhow::Result<()> {
    let report = json!({
        "schema_version": 1,
        "processors": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "load_average": load(),
        "cases": rows.iter().map(Row::json).collect::<Vec<_>>(),
    });
    Shell::new()?.write_file(path, format!("{report:#}\n"))?;
    println!("written: {}", path.display());
    Ok(())
}
