//! What is measured. Each case makes its workspace, shows once that the answers are right, then measures.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use xshell::{Shell, cmd};

use super::launcher;
use super::measure::{self, Program, Times};
use super::table::{Limits, Row};
use super::workspace::{self, FAR, PAST, Specification};
use crate::{cluster, openssl};

const TURNS: usize = 21;
const PAYLOAD: &str = r#"{"session_id":"bench","stop_hook_active":false}"#;

/// A case: its name and what it does.
pub(super) struct Case {
    /// The name on the command line and in the table.
    pub(super) name: &'static str,
    /// Measures; some cases have several rows.
    pub(super) run: fn(&Place) -> anyhow::Result<Vec<Row>>,
}

/// Where a case runs.
#[derive(Debug)]
pub(super) struct Place {
    /// The binary that is measured.
    pub(super) ralph: PathBuf,
    /// The checkout.
    pub(super) root: PathBuf,
    /// The case's own folder.
    pub(super) folder: PathBuf,
    /// Where programs are that a case starts: not every folder may hold some.
    pub(super) programs: PathBuf,
}

/// The Stop hook's index, in a workspace.
const HOOK_INDEX: &str = ".claude/ralph/hook-index";

/// The cases that are measured when none is named, in the order of the table.
pub(super) const ALL: [Case; 10] = [
    Case {
        name: "hook-large",
        run: |place| hook(place, &LARGE, 30),
    },
    Case {
        name: "hook-small",
        run: |place| hook(place, &SMALL, 15),
    },
    Case {
        name: "dispatch-dry-run",
        run: |place| Ok(vec![dispatch(place)?]),
    },
    Case {
        name: "launch",
        run: |place| Ok(vec![launcher::launch(place)?]),
    },
    Case {
        name: "launch-utilization",
        run: |place| Ok(vec![launcher::utilization(place)?]),
    },
    Case {
        name: "launch-status",
        run: |place| Ok(vec![launcher::status(place)?]),
    },
    Case {
        name: "lock",
        run: |place| Ok(vec![lock_pair(place)?]),
    },
    Case {
        name: "slurm-submit",
        run: |place| slurm(place, "submit"),
    },
    Case {
        name: "slurm-dispatch",
        run: |place| slurm(place, "dispatch"),
    },
    Case {
        name: "slurm-poll",
        run: |place| slurm(place, "poll"),
    },
];

/// As large as the mean of real state files.
const LARGE: Specification = Specification {
    projects: 100,
    active_runs: 4,
    state_bytes: 326_000,
    next_poll_after: FAR,
};

const SMALL: Specification = Specification {
    projects: 1_000,
    active_runs: 1,
    state_bytes: 2_000,
    next_poll_after: FAR,
};

const MANY_RUNS: Specification = Specification {
    projects: 1_000,
    active_runs: 5,
    state_bytes: 10_000,
    next_poll_after: PAST,
};

/// The Stop hook against a script that parses every state file whole; nothing is actionable, so both look at all. Once
/// as it is after each turn of an agent, and once with every state to be read: after a reboot, or when all have changed.
fn hook(place: &Place, of: &Specification, limit_ms: u64) -> anyhow::Result<Vec<Row>> {
    workspace::generate(&place.folder, of)?;
    let programs = |exit| -> anyhow::Result<[Program; 2]> {
        Ok([ours(place, &["hook", "stop"], exit), script(place, exit)?])
    };
    // Both find the one project that is due, so neither is fast for not looking.
    let last = of.projects - 1;
    workspace::set_actionable(&place.folder, of, last, true)?;
    for program in programs(2)? {
        measure::output(&program)?;
    }
    workspace::set_actionable(&place.folder, of, last, false)?;
    let [idle, script] = programs(0)?;
    let index = place.folder.join(HOOK_INDEX);
    until_remembered(&idle, &index)?;
    let anew = Program {
        forgotten: Some(index),
        ..idle.clone()
    };
    // The script in both turns: a comparison is of what ran side by side.
    let remembered = measure::in_turns(TURNS, &[idle.clone(), script.clone()])?;
    let read = measure::in_turns(TURNS, &[anew.clone(), script])?;
    let row = |what: &str, program: &Program, times: &[Times], ratio| -> anyhow::Result<Row> {
        Ok(Row {
            case: format!(
                "Stop hook, {} × {} kB, {what}",
                of.projects,
                of.state_bytes / 1_000
            ),
            ours: times[0],
            compared: Some(times[1]),
            peak_bytes: measure::peak_memory(program)?,
            limits: Limits {
                milliseconds: Some(limit_ms),
                ratio,
                megabytes: None,
            },
            figures: Vec::new(),
        })
    };
    Ok(vec![
        row("none changed since", &idle, &remembered, Some(10.0))?,
        row("all to be read", &anew, &read, None)?,
    ])
}

/// Runs the hook until it has an index: files that changed a moment ago are not remembered.
fn until_remembered(hook: &Program, index: &Path) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !index.exists() {
        ensure!(Instant::now() < deadline, "the hook writes no index");
        measure::output(hook)?;
    }
    Ok(())
}

/// `dispatch --dry-run` over 1,000 projects with 5,000 live runs, all of them due.
fn dispatch(place: &Place) -> anyhow::Result<Row> {
    workspace::generate(&place.folder, &MANY_RUNS)?;
    let program = ours(place, &["dispatch", "--dry-run", "--json"], 0);
    let shown = measure::output(&program)?;
    let shown = String::from_utf8_lossy(&shown.stdout);
    let last = workspace::slug(MANY_RUNS.projects - 1);
    ensure!(
        shown.contains(&last),
        "the plan says nothing about the project {last}"
    );
    let times = measure::in_turns(TURNS, std::slice::from_ref(&program))?;
    Ok(Row {
        case: format!(
            "dispatch --dry-run, {} projects, {} live runs",
            MANY_RUNS.projects,
            MANY_RUNS.projects * MANY_RUNS.active_runs
        ),
        ours: times[0],
        compared: None,
        peak_bytes: measure::peak_memory(&program)?,
        limits: Limits {
            milliseconds: Some(250),
            ratio: None,
            megabytes: Some(100),
        },
        figures: Vec::new(),
    })
}

/// Acquire and release of a project's lock, within one process: what a step pays beside its own work.
fn lock_pair(place: &Place) -> anyhow::Result<Row> {
    let sh = Shell::new()?;
    sh.change_dir(&place.root);
    let package = ["--release", "--quiet", "--package", "ralph-core"];
    let shown = cmd!(sh, "cargo run {package...} --example lock_pair").read()?;
    let times: Vec<u64> = shown
        .split_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect();
    let &[median, least] = times.as_slice() else {
        bail!("expected two numbers, found `{shown}`");
    };
    Ok(Row {
        case: "lock, acquire and release".to_owned(),
        ours: Times {
            median: Duration::from_nanos(median),
            least: Duration::from_nanos(least),
        },
        compared: None,
        peak_bytes: None,
        limits: Limits {
            milliseconds: Some(1),
            ratio: None,
            megabytes: None,
        },
        figures: Vec::new(),
    })
}

/// Runs the bench of `ralph-slurm` on the tests' own cluster. Submission: a hundred jobs with a script and a config of
/// 4 kB each, beside the same number of plain `sbatch` in one remote loop; twenty a second or more is the target. They
/// are held: what starts meanwhile would run on the machine that is measured.
fn slurm(place: &Place, what: &str) -> anyhow::Result<Vec<Row>> {
    let cluster = cluster::one(&place.root).context("this case needs the SLURM cluster")?;
    let file = cluster.env_files();
    let ralph = &place.ralph;
    let sh = Shell::new()?;
    sh.change_dir(&place.root);
    let package = ["--release", "--quiet", "--package", "ralph-slurm"];
    let flags = openssl::build_flags_of_one(openssl::has_headers());
    let shown = cmd!(
        sh,
        "cargo run {package...} {flags...} --example cluster_bench -- {file} {what} {ralph}"
    )
    .read()?;
    shown.lines().map(slurm_row).collect()
}

/// A line of that bench.
fn slurm_row(line: &str) -> anyhow::Result<Row> {
    let found: SlurmCase =
        serde_json::from_str(line).with_context(|| format!("expected a case, found `{line}`"))?;
    Ok(Row {
        case: found.case,
        ours: times(&found.ours).context("a case without times")?,
        compared: times(&found.floor),
        peak_bytes: found.peak_bytes,
        limits: Limits {
            milliseconds: Some(found.limit_ms),
            ratio: None,
            megabytes: Some(100),
        },
        figures: Vec::new(),
    })
}

#[derive(serde::Deserialize)]
struct SlurmCase {
    case: String,
    ours: Vec<u64>,
    floor: Vec<u64>,
    peak_bytes: Option<u64>,
    limit_ms: u64,
}

/// Median and least of times in nanoseconds.
fn times(nanoseconds: &[u64]) -> Option<Times> {
    let mut sorted = nanoseconds.to_vec();
    sorted.sort_unstable();
    Some(Times {
        median: Duration::from_nanos(*sorted.get(sorted.len() / 2)?),
        least: Duration::from_nanos(*sorted.first()?),
    })
}

/// A median that another program took.
pub(super) fn one_time(nanoseconds: u64) -> Times {
    let time = Duration::from_nanos(nanoseconds);
    Times {
        median: time,
        least: time,
    }
}

fn ours(place: &Place, args: &[&str], exit: i32) -> Program {
    Program {
        path: place.ralph.clone(),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        folder: place.folder.clone(),
        input: PAYLOAD,
        exit,
        forgotten: None,
    }
}

/// The script, run by the interpreter itself: a shim in front of it would be measured too.
fn script(place: &Place, exit: i32) -> anyhow::Result<Program> {
    let sh = Shell::new()?;
    let path = cmd!(sh, "python3 -c 'import sys; print(sys.executable)'")
        .quiet()
        .read()
        .context("looking for python3, which the comparison needs")?;
    Ok(Program {
        path: PathBuf::from(path),
        args: vec![
            place
                .root
                .join("xtask/bench/stop_hook.py")
                .display()
                .to_string(),
        ],
        folder: place.folder.clone(),
        input: PAYLOAD,
        exit,
        forgotten: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_of_the_comparison_answers_as_it_should() -> anyhow::Result<()> {
        if !crate::setup::on_path("python3") {
            eprintln!("SKIPPED: python3: not installed, the bench's script was not run");
            return Ok(());
        }
        let folder = Shell::new()?.create_temp_dir()?;
        let place = Place {
            ralph: PathBuf::from("ralph"),
            root: crate::workspace::root(),
            folder: folder.path().join("workspace"),
            programs: folder.path().to_owned(),
        };
        let of = Specification {
            projects: 3,
            ..SMALL
        };
        workspace::generate(&place.folder, &of)?;
        measure::output(&script(&place, 0)?)?;
        workspace::set_actionable(&place.folder, &of, 2, true)?;
        let blocked = measure::output(&script(&place, 2)?)?;
        let said = String::from_utf8_lossy(&blocked.stderr).into_owned();
        assert_eq!(said.lines().count(), 4);
        assert!(said.contains("Next: p0002."), "{said}");
        Ok(())
    }
}
