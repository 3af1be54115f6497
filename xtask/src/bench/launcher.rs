//! The launcher's cases: many repositories launched, many records looked at, each beside a script that does the same.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::json;
use xshell::{Shell, cmd};

use super::cases::Place;
use super::measure::{self, Program, Times};
use super::table::{Limits, Row};

const REPOSITORIES: usize = 50;
const RECORDS: usize = 500;
const LAUNCHES: usize = 5;
const LOOKS: usize = 21;

/// A loop that is ready at once and works for ever.
const STUB: &str =
    "#!/bin/sh\n[ \"$1\" = --help ] && echo '--parallel N M --no-tabs' && exit\nexec sleep 600\n";

/// An agent that takes its time.
const AGENT: &str = "#!/bin/sh\ncat >/dev/null\nsleep 2\necho done >\"$RALPH_TASK_ID.txt\"\n";

/// From the command to all loops ready.
pub(super) fn launch(place: &Place) -> anyhow::Result<Row> {
    let sh = Shell::new()?;
    let names: Vec<String> = (0..REPOSITORIES).map(|n| format!("r{n:03}")).collect();
    let bench = workbench(&sh, place, &names)?;
    let program = launcher(place);
    let script = place.root.join("xtask/bench/launch.sh");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for turn in 0..=LAUNCHES {
        let begun = Instant::now();
        cmd!(sh, "{program} --root {bench} --quiet")
            .quiet()
            .ignore_stdout()
            .run()?;
        let took = begun.elapsed();
        let shown = cmd!(sh, "{program} --root {bench} --status")
            .quiet()
            .read()?;
        ensure!(
            shown.matches("| running |").count() == REPOSITORIES,
            "not all loops run:\n{shown}"
        );
        cmd!(sh, "{program} --root {bench} --stop --within 0 --quiet")
            .quiet()
            .ignore_stdout()
            .run()?;
        let begun = Instant::now();
        cmd!(sh, "bash {script} {bench}").quiet().run()?;
        let compared = begun.elapsed();
        for name in &names {
            let pid = sh.read_file(bench.join(format!("ralph/{name}.pid")))?;
            let pid = pid.trim();
            cmd!(sh, "kill {pid}").quiet().ignore_status().run()?;
            sh.remove_path(bench.join(format!("ralph/{name}.pid")))?;
        }
        // The first turn warms the disk.
        if turn > 0 {
            ours.push(took);
            theirs.push(compared);
        }
    }
    Ok(Row {
        case: format!("launch, {REPOSITORIES} repositories, until all are ready"),
        ours: times(ours)?,
        compared: Some(times(theirs)?),
        peak_bytes: None,
        limits: Limits {
            milliseconds: Some(3_000),
            ratio: None,
            megabytes: None,
        },
        figures: Vec::new(),
    })
}

/// One look at many loops, one of which runs, so that nothing is swept.
pub(super) fn status(place: &Place) -> anyhow::Result<Row> {
    let sh = Shell::new()?;
    let bench = workbench(&sh, place, &["running".to_owned()])?;
    let program = launcher(place);
    cmd!(sh, "{program} --root {bench} --quiet")
        .quiet()
        .ignore_stdout()
        .run()?;
    for number in 1..RECORDS {
        record(&sh, &bench, number)?;
    }
    let ours = Program {
        path: program.clone(),
        args: ["--root", &bench.display().to_string(), "--status", "--json"]
            .map(str::to_owned)
            .to_vec(),
        folder: place.folder.clone(),
        input: "",
        exit: 0,
        forgotten: None,
    };
    let script = Program {
        path: PathBuf::from("bash"),
        args: vec![
            place
                .root
                .join("xtask/bench/launch_status.sh")
                .display()
                .to_string(),
            bench.display().to_string(),
        ],
        ..ours.clone()
    };
    let shown = measure::output(&ours)?;
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout)?;
    let rows = shown.get("loops").and_then(serde_json::Value::as_array);
    let running =
        |row: &&serde_json::Value| row.get("state").is_some_and(|state| state == "running");
    ensure!(
        rows.is_some_and(|rows| rows.len() == RECORDS && rows.iter().filter(running).count() == 1),
        "not all loops are shown"
    );
    let measured = measure::in_turns(LOOKS, &[ours.clone(), script]);
    let peak_bytes = measure::peak_memory(&ours)?;
    cmd!(sh, "{program} --root {bench} --stop --within 0 --quiet")
        .quiet()
        .ignore_stdout()
        .run()?;
    let measured = measured?;
    Ok(Row {
        case: format!("launcher's --status, {RECORDS} records"),
        ours: measured[0],
        compared: Some(measured[1]),
        peak_bytes,
        limits: Limits {
            milliseconds: Some(50),
            ratio: Some(10.0),
            megabytes: None,
        },
        figures: Vec::new(),
    })
}

/// Sixty tasks in six repositories, three workers, thirty attempts, with an agent that takes two seconds: from the
/// first agent's start to the last one's end, beside the same agents without a gap between them.
pub(super) fn utilization(place: &Place) -> anyhow::Result<Row> {
    let sh = Shell::new()?;
    let names: Vec<String> = (0..6).map(|n| format!("r{n:03}")).collect();
    let bench = workbench(&sh, place, &names)?;
    let agent = place.folder.join("bin/agent");
    sh.write_file(&agent, AGENT)?;
    cmd!(sh, "chmod +x {agent}").quiet().run()?;
    let tasks: String = (0..10)
        .map(|n| format!("- [ ] **R{n:02}** task {n}\n"))
        .collect();
    for name in &names {
        let folder = bench.join("repos").join(name);
        sh.write_file(folder.join(".ralph/fix_plan.md"), &tasks)?;
        commit(&sh, &folder)?;
    }
    let (program, ralph) = (launcher(place), &place.ralph);
    let options = [
        "--quiet",
        "--wait",
        "--parallel",
        "3",
        "30",
        "--agent",
        "command",
    ];
    cmd!(
        sh,
        "{program} --root {bench} {options...} --ralph {ralph} --agent-command {agent}"
    )
    .quiet()
    .ignore_stdout()
    .run()?;
    let (mut begun, mut ended, mut busy, mut spent) = (f64::MAX, 0.0_f64, 0.0, 0);
    for name in &names {
        let text = sh.read_file(bench.join(format!("repos/{name}/.ralph/attempts.jsonl")))?;
        for line in text.lines() {
            let line: serde_json::Value = serde_json::from_str(line)?;
            let number = |key: &str| line.get(key).and_then(serde_json::Value::as_f64);
            let took = number("agent_seconds").context("an attempt without agent_seconds")?;
            let started = line.get("started").and_then(serde_json::Value::as_str);
            let started = seconds(&sh, started.context("an attempt without a start")?)?;
            begun = begun.min(started);
            ended = ended.max(started + took);
            busy += took;
            spent += 1;
        }
    }
    ensure!(spent == 30, "{spent} attempts instead of 30");
    let one = |seconds: f64| Times {
        median: Duration::from_secs_f64(seconds),
        least: Duration::from_secs_f64(seconds),
    };
    Ok(Row {
        case: "launch, 3 workers in 6 repositories (beside: no gap at all)".to_owned(),
        ours: one(ended - begun),
        compared: Some(one(busy / 3.0)),
        peak_bytes: None,
        limits: Limits {
            milliseconds: Some(25_000),
            ratio: Some(0.97),
            megabytes: None,
        },
        figures: Vec::new(),
    })
}

/// A time as seconds since the epoch.
fn seconds(sh: &Shell, time: &str) -> anyhow::Result<f64> {
    Ok(cmd!(sh, "date --utc --date={time} +%s.%N")
        .quiet()
        .read()?
        .parse()?)
}

fn launcher(place: &Place) -> PathBuf {
    place.ralph.with_file_name("wb-ralph-dispatch")
}

/// Makes a committed workbench anew, with a loop that works for ever.
fn workbench(sh: &Shell, place: &Place, names: &[String]) -> anyhow::Result<PathBuf> {
    let bench = place.folder.join("workbench");
    let program = launcher(place);
    if bench.exists() {
        // What a run that was interrupted left.
        cmd!(sh, "{program} --root {bench} --stop --within 0 --quiet")
            .quiet()
            .ignore_stdout()
            .ignore_status()
            .run()?;
    }
    sh.remove_path(&place.folder)?;
    let stub = place.folder.join("bin/ralph");
    sh.write_file(&stub, STUB)?;
    cmd!(sh, "chmod +x {stub}").quiet().run()?;
    let entries: String = names
        .iter()
        .map(|name| format!("  \"name={name}\"\n"))
        .collect();
    let conf = format!("WB_RALPH_PROGRAM={}\nREPOS=(\n{entries})\n", stub.display());
    sh.write_file(bench.join("project.conf"), conf)?;
    sh.write_file(bench.join(".gitignore"), "repos/\n")?;
    for name in names {
        let folder = bench.join("repos").join(name);
        sh.write_file(folder.join(".ralph/fix_plan.md"), "- [ ] one\n")?;
        // The engine that the gate looks for.
        sh.write_file(folder.join(".ralphrc"), "CLAUDE_CODE_CMD=true\n")?;
        commit(sh, &folder)?;
    }
    commit(sh, &bench)?;
    Ok(bench)
}

fn commit(sh: &Shell, folder: &Path) -> anyhow::Result<()> {
    let _folder = sh.push_dir(folder);
    cmd!(sh, "git init --quiet")
        .quiet()
        .run()
        .context("git, which the case needs")?;
    cmd!(sh, "git add --all").quiet().run()?;
    let who = [
        "-c",
        "user.name=bench",
        "-c",
        "user.email=bench@host.invalid",
    ];
    cmd!(sh, "git {who...} commit --quiet --message=state")
        .quiet()
        .run()?;
    Ok(())
}

/// A loop that has ended: every second one is swept, every tenth one failed.
fn record(sh: &Shell, bench: &Path, number: usize) -> anyhow::Result<()> {
    let name = format!("n{number:04}");
    let launch = "20261101_000000-00000001";
    let code = i32::from(number.is_multiple_of(10));
    let figures = json!({ "attempts": 5, "tasks_left": 1, "cost_usd": 0.5 });
    let settled = json!({
        "state": if code == 0 { "done" } else { "failed" }, "exit_code": code, "reason": null,
        "ended": "2026-11-01T01:00:00Z", "pull_requests": ["https://host.invalid/o/r/pull/1"],
        "figures": figures, "in_pipeline": true,
    });
    let mut record = json!({
        "format": 1, "repository": name, "launch": launch, "launched": "2026-11-01T00:00:00Z",
        "engine": "claude", "workers": 4, "max_tasks": 30, "log_from": 0,
    });
    if number.is_multiple_of(2) {
        record["settled"] = settled;
    }
    let state = bench.join("ralph/state");
    sh.write_file(state.join(format!("loops/{name}.json")), record.to_string())?;
    let folder = state.join(format!("launches/{launch}/loops/{name}"));
    let exit = json!({
        "exit": { "code": code, "signal": 0 }, "ending": "own", "reason": null,
        "ended": "2026-11-01T01:00:00Z", "remaining": [],
    });
    sh.write_file(folder.join("exit.json"), exit.to_string())?;
    sh.write_file(folder.join("lock"), "")?;
    let line = "2026-11-01T00:30:00Z attempt 3 of R07 ended: done\n";
    sh.write_file(
        bench.join(format!("ralph/logs/{name}.log")),
        line.repeat(2_000),
    )?;
    // For the script; it has no other way to know a loop.
    sh.write_file(bench.join(format!("ralph/{name}.pid")), "999999\n")?;
    Ok(())
}

fn times(mut all: Vec<Duration>) -> anyhow::Result<Times> {
    all.sort_unstable();
    let median = all
        .get(all.len() / 2)
        .copied()
        .context("nothing was measured")?;
    let least = all.first().copied().unwrap_or(median);
    Ok(Times { median, least })
}
