//! A launch from its start to its sweep.

use std::fs;

use ralph_tests::workbench::Workbench;

use crate::until::until;

const EPIC: &str = "\
# EPIC-PIPELINE

## EPIC 7 — Search

### PRDs

| PRD | Status | fix_plan repos | Exec |
|-----|--------|----------------|------|
| PRD-1 good | approved | svc-good, svc-more | ~ |
| PRD-2 bad | approved | svc-good, svc-bad | ~ |
| PRD-3 quiet | approved | svc-quiet | ~ |
| PRD-4 other | approved | svc-other | ~ |

| Symbol | Meaning |
|---|---|
| ~ | running |
";

/// Waits until no loop of the workbench runs.
fn all_ended(bench: &Workbench, names: &[&str]) {
    until("the end of all loops", || {
        let running = |name: &&str| bench.state(name) == "running";
        (!names.iter().any(running)).then_some(())
    });
}

#[test]
fn launched_seen_and_swept() {
    let names = ["svc-good", "svc-more", "svc-bad", "svc-quiet"];
    let bench = Workbench::new(&names);
    bench.write("wb/EPIC-PIPELINE.md", EPIC);
    bench.commit("wb");
    for name in ["svc-good", "svc-more"] {
        let script = format!("echo 'PR created: https://host.invalid/o/{name}/pull/7'\n");
        bench.script(name, &script);
    }
    bench.script(
        "svc-bad",
        "for i in $(seq 40); do echo line $i; done; exit 4\n",
    );
    bench.script(
        "svc-quiet",
        "echo nothing to push; until [ -e ../../../go ]; do sleep 0.02; done\n",
    );
    let ran = bench.run(&["--parallel", "4", "30"]).ended(0);
    assert!(
        ran.stdout.contains("| Repo | PID | Log |"),
        "{}",
        ran.stdout
    );
    let pid = bench.pid("wb/ralph/svc-quiet.pid").unwrap();
    let row = format!("| svc-quiet | {pid} | ralph/logs/svc-quiet.log |");
    assert!(ran.stdout.contains(&row), "{}", ran.stdout);

    // One still runs: the table says so, and nothing is swept yet.
    until("three ends", || {
        (bench.state("svc-bad") == "failed"
            && bench.state("svc-good") == "done"
            && bench.state("svc-more") == "done")
            .then_some(())
    });
    let status = bench.run(&["--status"]).ended(0).stdout;
    let table: Vec<&str> = status.lines().take(6).collect();
    let quiet = format!("| svc-quiet | {pid} | running | nothing to push |");
    assert_eq!(
        table,
        [
            "| Repo | PID | State | Last line |",
            "|---|---|---|---|",
            "| svc-bad | - | failed | line 40 |",
            "| svc-good | - | done | PR created: https://host.invalid/o/svc-good/pull/7 |",
            "| svc-more | - | done | PR created: https://host.invalid/o/svc-more/pull/7 |",
            quiet.as_str(),
        ]
    );
    // The last thirty lines of the failed one, and not the eleventh-last but thirty.
    assert!(
        status.contains("svc-bad failed, exit code 4: the last 30 lines of ralph/logs/svc-bad.log")
    );
    assert!(
        status.contains("\n    line 11\n") && !status.contains("line 10\n"),
        "{status}"
    );
    assert_eq!(bench.read("wb/EPIC-PIPELINE.md"), EPIC);

    bench.write("go", "");
    all_ended(&bench, &names);
    let swept = bench.run(&["--sweep"]);
    let said = format!("{}{}", swept.stdout, swept.stderr);
    let epic = EPIC
        .replace("svc-more | ~", "svc-more | ✓")
        .replace("svc-bad | ~", "svc-bad | ✗");
    assert_eq!(bench.read("wb/EPIC-PIPELINE.md"), epic, "{said}");
    for name in names {
        assert!(!bench.path(&format!("wb/ralph/{name}.pid")).exists());
    }
    let events = bench.read("wb/ralph/dispatch.log");
    for event in [
        "svc-bad started pid",
        "svc-bad exited 4",
        "svc-bad swept failed exit=4",
        "svc-good swept done exit=0 pr=https://host.invalid/o/svc-good/pull/7",
    ] {
        assert!(events.contains(event), "{event}\n{events}");
    }

    // Sweeping again changes nothing, and what ended stays told.
    let before = (bench.read("wb/EPIC-PIPELINE.md"), events);
    assert_eq!(
        bench.run(&["--sweep"]).ended(0).stdout,
        "nothing to sweep\n"
    );
    assert_eq!(
        (
            bench.read("wb/EPIC-PIPELINE.md"),
            bench.read("wb/ralph/dispatch.log")
        ),
        before
    );
    let status = bench.status();
    assert_eq!(status["schema_version"], 1);
    assert_eq!(status["loops"][0]["state"], "failed");
    assert_eq!(status["loops"][0]["exit_code"], 4);
    assert_eq!(
        status["loops"][1]["pull_requests"][0],
        "https://host.invalid/o/svc-good/pull/7"
    );
    assert_eq!(status["pull_requests"], 2);

    // The swept cells are ours: they keep nobody from launching again. A person's edit does.
    let _ = bench.run(&["--dry-run"]).ended(0);
    bench.write("wb/EPIC-PIPELINE.md", &epic.replace("approved", "draft"));
    let _ = bench.run(&["--dry-run"]).ended(30);
}

/// `--wait` stays until the end, tells states on standard error, and its exit code is the loops'.
#[test]
fn waited_for() {
    let bench = Workbench::new(&["svc-a", "svc-b"]);
    bench.script(
        "svc-a",
        "echo 'PR created: https://host.invalid/o/svc-a/pull/1'\n",
    );
    bench.script("svc-b", "echo broken; exit 1\n");
    let ran = bench.run(&["--wait", "--parallel", "2"]).ended(3);
    assert!(
        ran.stdout.contains("| svc-b | - | failed | broken |"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("svc-b failed, exit code 1"));
    assert!(
        !bench.path("wb/ralph/svc-a.pid").exists(),
        "swept at the end"
    );
    bench.script("svc-b", "echo fine\n");
    let ran = bench.run(&["--wait"]).ended(0);
    assert!(
        ran.stdout.contains("| svc-b | - | done | fine |"),
        "{}",
        ran.stdout
    );
    // Logs are appended to, and each launch has its own part.
    let log = bench.read("wb/ralph/logs/svc-b.log");
    assert!(log.contains("broken\n") && log.ends_with("fine\n"), "{log}");
    assert_eq!(log.matches("=== ").count(), 2);
}

/// Ctrl-C ends the looking, not the loops.
#[test]
fn detached_from() {
    let bench = Workbench::new(&["svc-a"]);
    bench.script(
        "svc-a",
        "echo at work; until [ -e ../../../go ]; do sleep 0.02; done\n",
    );
    let mut command = bench.command(&["--wait"]);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    until("the loop", || {
        (bench.state("svc-a") == "running").then_some(())
    });
    until("the launcher's table", || bench.pid("wb/ralph/svc-a.pid"));
    // It listens to the signal as soon as it looks on; sooner, the signal ends it all the same.
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(130) || output.status.code().is_none(),
        "{said}"
    );
    if output.status.code() == Some(130) {
        assert!(said.contains("detached: the loops go on"), "{said}");
    }
    assert_eq!(bench.state("svc-a"), "running");
    bench.write("go", "");
    all_ended(&bench, &["svc-a"]);
    assert_eq!(bench.state("svc-a"), "done");
}

/// A stop lets a loop finish what runs; one that does not is ended with all it started.
#[test]
fn stopped() {
    let bench = Workbench::new(&["svc-good", "svc-deaf"]);
    bench.script(
        "svc-good",
        "trap 'echo draining; exit 130' TERM; echo $$ >../../../good; while :; do sleep 0.02; done\n",
    );
    bench.script(
        "svc-deaf",
        "trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$ >../../../child; exec sleep 600' & echo $$ >../../../deaf; while :; do sleep 0.02; done\n",
    );
    let _ = bench.run(&["--parallel", "2"]).ended(0);
    let pids: Vec<u32> = ["good", "deaf", "child"]
        .iter()
        .map(|name| until(name, || bench.pid(name)))
        .collect();
    let ran = bench.run(&["--stop", "--within", "0"]).ended(0);
    assert!(
        ran.stdout.contains("| svc-good | - | stopped |"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.contains("| svc-deaf | - | stopped |"),
        "{}",
        ran.stdout
    );
    for pid in pids {
        assert!(
            !ralph_core::process::identity::is_pid_alive(pid),
            "{pid} is left"
        );
    }
    assert!(
        bench
            .read("wb/ralph/logs/svc-good.log")
            .contains("draining")
    );
    assert!(!bench.path("wb/ralph/svc-deaf.pid").exists());
    assert_eq!(
        bench.run(&["--stop"]).ended(0).stdout,
        "no loop is running\n"
    );
    // A stopped loop is nobody's failure and nobody's success.
    assert_eq!(
        bench.run(&["--sweep"]).ended(0).stdout,
        "nothing to sweep\n"
    );
}

/// The loop survives its launcher's terminal: it is in a session of its own.
#[test]
fn a_launch_leaves_the_work_trees_as_they_were() {
    let bench = Workbench::new(&["svc-a"]);
    let _ = bench.run(&["--wait"]).ended(0);
    assert_eq!(bench.git("wb", &["status", "--porcelain"]), "");
    let exclude = bench.read("wb/.git/info/exclude");
    let _ = bench.run(&["--wait"]).ended(0);
    assert_eq!(bench.read("wb/.git/info/exclude"), exclude, "told once");
    let names: Vec<String> = fs::read_dir(bench.path("wb/ralph"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert!(
        !names.iter().any(|name| name.ends_with(".pid")),
        "{names:?}"
    );
}

#[test]
fn nothing_was_launched() {
    let bench = Workbench::new(&["svc-a"]);
    // A table without a row would look like one that was cut off.
    let nothing =
        "nothing was launched here yet; `wb-ralph-dispatch --dry-run` shows what would be\n";
    let ran = bench.run(&["--status"]).ended(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), (nothing, ""));
    assert_eq!(
        bench.run(&["--sweep"]).ended(0).stdout,
        "nothing to sweep\n"
    );
    assert_eq!(
        bench.run(&["--stop"]).ended(0).stdout,
        "no loop is running\n"
    );
}

/// The second name is made beside the program, once, and is the same program.
#[test]
fn the_second_name() {
    let bench = Workbench::new(&["svc-a"]);
    let program = bench.path("bin/wb-ralph-dispatch");
    fs::copy(ralph_tests::binary("wb-ralph-dispatch-tested"), &program).unwrap();
    let run = |name: &str, arguments: &[&str]| {
        let mut command = std::process::Command::new(bench.path("bin").join(name));
        command.args(arguments).current_dir(bench.root());
        ralph_tests::Ran::of_command(&mut command)
    };
    assert!(
        run("wb-ralph-dispatch", &["--link"])
            .ended(0)
            .stdout
            .contains(": made")
    );
    assert!(
        run("wb.ralph-dispatch", &["--link"])
            .ended(0)
            .stdout
            .contains(": there already")
    );
    let status = run("wb.ralph-dispatch", &["--status"]).ended(0).stdout;
    assert!(
        status.starts_with("nothing was launched here yet"),
        "{status}"
    );
    fs::remove_file(bench.path("bin/wb.ralph-dispatch")).unwrap();
    bench.program("wb.ralph-dispatch", "#!/bin/sh\n");
    let refused = run("wb-ralph-dispatch", &["--link"]).ended(13);
    assert!(
        refused.stderr.contains("is something else already"),
        "{}",
        refused.stderr
    );
}

/// `--wait` alone: a launch where nothing was launched of which nobody knows the end, else a wait for that.
#[test]
fn waiting_for_loops_that_run_already() {
    let bench = Workbench::new(&["svc-a", "svc-b"]);
    bench.script(
        "svc-a",
        "until [ -e ../../../go ]; do sleep 0.02; done; exit 4\n",
    );
    let _ = bench.run(&["--repos", "svc-a"]).ended(0);
    let mut command = bench.command(&["--wait"]);
    let child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    bench.write("go", "");
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    // Whether the loop still runs when it is looked at is chance, and makes no difference.
    assert!(said.contains("nothing is launched: "), "{said}");
    assert!(said.contains(": svc-a\n"), "{said}");
    assert_eq!(bench.given("svc-b"), "");
    bench.script("svc-a", "");
    let ran = bench.run(&["--wait"]).ended(0);
    assert!(
        ran.stdout.contains("| svc-b | - | done |"),
        "{}",
        ran.stdout
    );
    // A launch waits for its own loops, and not for those of another.
    let _ = fs::remove_file(bench.path("go"));
    bench.script("svc-a", "until [ -e ../../../go ]; do sleep 0.02; done\n");
    let _ = bench.run(&["--repos", "svc-a"]).ended(0);
    let ran = bench.run(&["--wait", "--repos", "svc-b"]).ended(0);
    assert!(
        ran.stdout.contains("| svc-b | - | done |"),
        "{}",
        ran.stdout
    );
    assert_eq!(bench.state("svc-a"), "running");
    bench.write("go", "");
    all_ended(&bench, &["svc-a"]);
}

/// Where nothing may be written, what is there can still be read.
#[test]
fn a_status_that_cannot_be_recorded_is_shown_all_the_same() {
    let bench = Workbench::new(&["svc-a"]);
    bench.script("svc-a", "echo no luck; exit 4\n");
    let _ = bench.run(&[]).ended(0);
    until("the end", || {
        bench
            .read(&format!("{}/exit.json", bench.directory("svc-a")))
            .contains("ended")
            .then_some(())
    });
    let lock = bench.path("wb/ralph/state/lock");
    fs::remove_file(&lock).unwrap();
    // What root may do as well: nobody locks a folder.
    bench.write("wb/ralph/state/lock/x", "");
    for verb in ["--status", "--watch"] {
        let ran = bench.run(&[verb]).ended(0);
        assert!(
            ran.stdout.contains("| svc-a | - | failed | no luck |"),
            "{}",
            ran.stdout
        );
    }
    let ran = bench.run(&["--status"]).ended(0);
    assert!(
        ran.stderr.contains("what ended is not recorded"),
        "{}",
        ran.stderr
    );
    fs::remove_dir_all(&lock).unwrap();
    let _ = bench.run(&["--sweep"]).ended(1);
}

/// Somebody mends the file, or has taken a repository out of it, while its loop runs.
#[test]
fn loops_are_seen_and_stopped_whatever_is_wrong_with_the_file() {
    let bench = Workbench::new(&["svc-a", "svc-b"]);
    for name in ["svc-a", "svc-b"] {
        bench.script(name, "while :; do sleep 0.02; done\n");
    }
    let _ = bench.run(&[]).ended(0);
    let conf = bench.read("wb/project.conf");
    bench.write("wb/project.conf", &conf.replace("svc-a", "svc-c"));
    let ran = bench
        .run(&["--stop", "--repos", "svc-a", "--within", "0"])
        .ended(0);
    assert!(
        ran.stdout.contains("| svc-a | - | stopped |"),
        "{}",
        ran.stdout
    );
    bench.write("wb/project.conf", "X=$(date)\n");
    for verb in ["--status", "--sweep"] {
        let ran = bench.run(&[verb]).ended(0);
        assert!(ran.stderr.contains("project.conf:1: "), "{}", ran.stderr);
    }
    let _ = bench.run(&["--stop", "--repos", "svc-b"]).ended(2);
    let ran = bench.run(&["--stop", "--within", "0"]).ended(0);
    assert!(
        ran.stdout.contains("| svc-b | - | stopped |"),
        "{}",
        ran.stdout
    );
    let _ = bench.run(&["--wait"]).ended(2);
}

/// A loop that ended a moment before `--wait` was typed, and a budget that is spent, are no reason to launch.
#[test]
fn waiting_for_what_has_ended() {
    let bench = Workbench::new(&["svc-a", "svc-b"]);
    bench.script("svc-a", "touch ../../../ended; exit 4\n");
    let _ = bench
        .run(&["--repos", "svc-a", "--parallel", "1", "7"])
        .ended(0);
    until("the end", || bench.path("ended").exists().then_some(()));
    let ran = bench.run(&["--wait"]).ended(1);
    assert!(
        ran.stdout.contains("svc-a failed, exit code 4"),
        "{}",
        ran.stdout
    );
    // Its end is written down now, and the same is asked again.
    let ran = bench.run(&["--wait"]).ended(1);
    let told = "nothing is launched: the last launch, of 7 attempts, has ended; to begin another: \
                `wb-ralph-dispatch --parallel 1 7`";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    assert_eq!(bench.given("svc-a").lines().count(), 1);
    assert_eq!(bench.given("svc-b"), "");
    let _ = bench.run(&["--wait", "--no-tabs"]).ended(3);
    assert_eq!(bench.given("svc-a").lines().count(), 2);
    // A limit that stands in the environment is the same for every launch.
    let mut command = bench.command(&["--wait"]);
    let again = command.env("WB_RALPH_MAX_TASKS", "7");
    let _ = ralph_tests::Ran::of_command(again).ended(3);
    assert_eq!(bench.given("svc-a").lines().count(), 3);
}
