//! A launch with the real loop: six repositories, sixty tasks, three workers, thirty attempts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Stdio;

use ralph_core::process::Record;
use ralph_core::process::table::ProcessTable;
use ralph_tests::workbench::Workbench;
use ralph_tests::{binary, wait_until};
use rustix::process::{Pid, Signal, kill_process};

const NAMES: [&str; 6] = ["svc-a", "svc-b", "svc-c", "svc-d", "svc-bad", "svc-quiet"];
const WORKERS: usize = 3;
const ATTEMPTS: u64 = 30;

/// An agent that does its task, except in one repository, where it never can.
const AGENT: &str = "#!/bin/bash\ncat >/dev/null\nsleep 0.1\ncase $RALPH_WORKTREE in *svc-bad*) echo 'I cannot' >&2; exit 1 ;; esac\necho \"$RALPH_TASK_TEXT\" >>\"$RALPH_TASK_ID.txt\"\n";

/// A `gh` that makes a pull request of everything.
const GH: &str = "#!/bin/sh\ncase \"$1 $2\" in\n'pr list') echo '[]' ;;\n'pr create') cat >/dev/null; echo \"https://host.invalid/o/r/pull/$$\" ;;\nesac\nexit 0\n";

const EPIC: &str = "\
| PRD | fix_plan repos | Exec |
|-----|----------------|------|
| PRD-1 | svc-a, svc-b | ~ |
| PRD-2 | svc-c, svc-bad | ~ |
| PRD-3 | svc-quiet | ~ |
";

fn bench() -> Workbench {
    let bench = Workbench::new(&NAMES);
    bench.link("ralph", &binary("ralph-tested"));
    bench.program("gh", GH);
    bench.write("wb/EPIC-PIPELINE.md", EPIC);
    agent_is(&bench, AGENT);
    bench.commit("wb");
    for name in NAMES {
        let folder = format!("wb/repos/{name}");
        // Pull requests are made one every two seconds, so only two repositories have a remote, and few tasks.
        let has_remote = matches!(name, "svc-a" | "svc-b");
        let tasks: String = (1..=if has_remote { 2 } else { 14 })
            .map(|number| format!("- [ ] **R{number:02}** task {number}\n"))
            .collect();
        bench.write(
            &format!("{folder}/.ralph/fix_plan.md"),
            &format!("# Plan\n\n{tasks}"),
        );
        bench.commit(&folder);
        if has_remote {
            let remote = bench
                .path(&format!("remotes/{name}.git"))
                .display()
                .to_string();
            let _ = bench.git(".", &["clone", "--quiet", "--bare", &folder, &remote]);
            let _ = bench.git(&folder, &["remote", "add", "origin", &remote]);
        }
    }
    bench
}

/// Makes a script the agent of a workbench.
fn agent_is(bench: &Workbench, script: &str) {
    bench.program("agent", script);
    let conf = bench.read("wb/project.conf");
    let agent = bench.path("bin/agent").display().to_string();
    bench.write(
        "wb/project.conf",
        &format!("{conf}WB_RALPH_ENGINE=command\nWB_RALPH_AGENT_COMMAND=\"{agent}\"\n"),
    );
}

/// The living agents: the script, and not what it forks.
fn agents(agent: &Path) -> usize {
    let table = ProcessTable::read();
    let is_agent = |pid: u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = words.split(|byte| *byte == 0);
        words.nth(1) == Some(agent.as_os_str().as_encoded_bytes())
    };
    let found: BTreeMap<u32, u32> = table
        .entries()
        .filter(|entry| entry.is_living() && is_agent(entry.pid))
        .map(|entry| (entry.pid, entry.parent))
        .collect();
    found
        .values()
        .filter(|parent| !found.contains_key(parent))
        .count()
}

/// The most agents at once by the loops' own records, of all repositories together.
fn overlap(bench: &Workbench) -> usize {
    let mut moments: Vec<(f64, i32)> = Vec::new();
    for name in NAMES {
        for line in bench
            .read(&format!("wb/repos/{name}/.ralph/attempts.jsonl"))
            .lines()
        {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let started: jiff::Timestamp = line["started"].as_str().unwrap().parse().unwrap();
            let began = started.as_duration().as_secs_f64();
            let took = line["agent_seconds"].as_f64().unwrap();
            moments.extend([(began, 1), (began + took, -1)]);
        }
    }
    moments.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    let counts = moments.iter().scan(0, |count, (_, change)| {
        *count += change;
        Some(*count)
    });
    usize::try_from(counts.max().unwrap_or(0)).unwrap()
}

#[test]
fn six_repositories_share_three_workers_and_thirty_attempts() {
    let bench = bench();
    let agent = bench.path("bin/agent");
    let mut command = bench.command(&["--wait", "--parallel", "3", "30"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        most = most.max(agents(&agent));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    let said = format!(
        "{}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        NAMES
            .map(|name| bench.read(&format!("wb/ralph/logs/{name}.log")))
            .join("\n")
    );
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(most <= WORKERS, "{most} agents at once\n{said}");
    assert_eq!(overlap(&bench), WORKERS, "never all busy\n{said}");
    // Exactly M attempts, and every repository had its part.
    let attempts: BTreeMap<&str, usize> = NAMES
        .iter()
        .map(|name| {
            let lines = bench.read(&format!("wb/repos/{name}/.ralph/attempts.jsonl"));
            (
                *name,
                lines
                    .lines()
                    .filter(|line| line.contains("\"spent\":true"))
                    .count(),
            )
        })
        .collect();
    assert_eq!(
        attempts.values().sum::<usize>() as u64,
        ATTEMPTS,
        "{attempts:?}\n{said}"
    );
    assert_eq!(
        (attempts["svc-a"], attempts["svc-b"]),
        (2, 2),
        "{attempts:?}"
    );
    // Its circuit opens after three failures in a row; as many as there are workers may be under way then.
    assert!((3..=5).contains(&attempts["svc-bad"]), "{attempts:?}");
    let others = ["svc-c", "svc-d", "svc-quiet"].map(|name| attempts[name]);
    assert!(
        others.iter().all(|count| (3..=14).contains(count)),
        "{attempts:?}"
    );
    let status = bench.status();
    assert_eq!(
        (&status["attempts"], &status["max_tasks"]),
        (&30.into(), &30.into()),
        "{said}"
    );
    let states: BTreeMap<&str, &str> = status["loops"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (
                row["repository"].as_str().unwrap(),
                row["state"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = NAMES.map(|name| (name, if name == "svc-bad" { "failed" } else { "done" }));
    assert_eq!(states, BTreeMap::from(expected), "{said}");
    let urls: BTreeSet<&str> = status["loops"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| {
            row["pull_requests"]
                .as_array()
                .is_some_and(|urls| !urls.is_empty())
        })
        .map(|row| row["repository"].as_str().unwrap())
        .collect();
    assert_eq!(urls, BTreeSet::from(["svc-a", "svc-b"]), "{said}");
    assert_eq!(
        bench.read("wb/EPIC-PIPELINE.md"),
        EPIC.replace("svc-b | ~", "svc-b | ✓")
            .replace("svc-bad | ~", "svc-bad | ✗")
    );
    // Nothing is left running, and no work tree is changed.
    assert_eq!(agents(&agent), 0);
    for name in NAMES {
        assert_eq!(
            bench.git(&format!("wb/repos/{name}"), &["status", "--porcelain"]),
            "",
            "{name}"
        );
    }
}

/// An agent that works only once it may.
const WAITING: &str = "#!/bin/bash\ncat >/dev/null\nwhile [ ! -e \"${0%/*}/may-work\" ]; do sleep 0.02; done\necho x >\"$RALPH_TASK_ID.txt\"\n";

#[test]
fn what_a_killed_loop_left_in_the_plan_does_not_keep_the_next_launch_away() {
    let bench = Workbench::new(&["svc-a"]);
    bench.link("ralph", &binary("ralph-tested"));
    agent_is(&bench, WAITING);
    bench.commit("wb");
    let plan = "wb/repos/svc-a/.ralph/fix_plan.md";
    let rows = "# Plan\n\n- [ ] **R1** one\n- [ ] **R2** two\n";
    bench.write(plan, rows);
    bench.commit("wb/repos/svc-a");
    let launch = ["--parallel", "2", "9"];
    let _ = bench.run(&launch).ended(0);
    wait_until("both tasks are claimed", || {
        bench.read(plan).matches("[~]").count() == 2
    });
    let record = bench.read(&format!("{}/record.json", bench.directory("svc-a")));
    let record: Record = serde_json::from_str(&record).unwrap();
    let worker = Pid::from_raw(i32::try_from(record.worker.unwrap().pid).unwrap());
    kill_process(worker.unwrap(), Signal::KILL).unwrap();
    wait_until("the loop has ended", || bench.state("svc-a") == "failed");

    // A word of a person beside the marks is a change like any other.
    let left = bench.read(plan);
    bench.write(plan, &left.replace("one", "one and a half"));
    let refused = bench.run(&launch).ended(30);
    assert!(
        refused.stderr.contains("the work tree is not clean"),
        "{}",
        refused.stderr
    );
    bench.write(plan, &left);
    bench.write("bin/may-work", "");
    let _ = bench.run(&["--wait", "--parallel", "2", "9"]).ended(0);
    assert_eq!(bench.read(plan), rows.replace("[ ]", "[x]"));
}
