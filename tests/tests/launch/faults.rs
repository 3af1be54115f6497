//! What may be killed, lost or raced, is: the status stays true, the sweep right, and nothing is lost.

use std::fs;
use std::process::Stdio;

use ralph_core::process::identity::is_pid_alive;
use ralph_core::process::{Record, end_orphans};
use ralph_tests::Ran;
use ralph_tests::workbench::Workbench;
use rustix::process::{Pid, Signal, kill_process};

use crate::until::until;

fn kill(pid: u32) {
    kill_process(
        Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(),
        Signal::KILL,
    )
    .unwrap();
}

/// A loop that works until it is told to go, and then ends well with a pull request.
const WORK: &str = "echo $$ >../../../$(basename \"$PWD\").loop; until [ -e ../../../go ]; do sleep 0.02; done; echo 'PR created: https://host.invalid/o/r/pull/1'\n";

fn working(names: &[&str]) -> Workbench {
    let bench = Workbench::new(names);
    for name in names {
        bench.script(name, WORK);
    }
    bench
}

fn loop_pid(bench: &Workbench, name: &str) -> u32 {
    until("the loop", || bench.pid(&format!("{name}.loop")))
}

/// The launcher dies of a bug, and says so as `ralph` does.
#[test]
fn a_bug_has_its_own_exit_code() {
    let bench = working(&["svc-a"]);
    let mut command = bench.command(&["--json"]);
    command.env("RALPH_CRASH_AT", "panic dispatch.recorded:1");
    let said = Ran::of_command(&mut command).ended(70).stderr;
    assert!(said.contains(r#""code":"bug""#), "{said}");
    assert_eq!(bench.state("svc-a"), "lost");
}

/// At every point at which a launcher can die, the loops that began are seen and swept, the others can be launched.
#[test]
fn a_killed_launcher() {
    for (point, begun) in [("dispatch.recorded:1", false), ("dispatch.spawned:1", true)] {
        let bench = working(&["svc-a"]);
        let mut command = bench.command(&[]);
        command.env("RALPH_CRASH_AT", point);
        let ran = Ran::of_command(&mut command);
        assert!(ran.code != 0, "it was to die at {point}");
        if begun {
            let pid = loop_pid(&bench, "svc-a");
            assert_eq!(bench.state("svc-a"), "running");
            let _ = bench.run(&[]).ended(33);
            assert!(is_pid_alive(pid));
            bench.write("go", "");
            until("the end", || (bench.state("svc-a") == "done").then_some(()));
        } else {
            assert_eq!(bench.state("svc-a"), "lost");
            assert_eq!(bench.given("svc-a"), "");
            let status = bench.run(&["--status"]).ended(0).stdout;
            assert!(status.contains("it was never started"), "{status}");
        }
        bench.write("go", "");
        let _ = bench.run(&["--wait"]).ended(0);
        assert_eq!(bench.state("svc-a"), "done", "after {point}");
        let starts = bench.given("svc-a").lines().count();
        assert_eq!(starts, 1 + usize::from(begun), "after {point}");
    }
}

/// A sweep that dies in the middle is finished by the next one.
#[test]
fn a_killed_sweep() {
    const EPIC: &str = "| PRD | fix_plan repos | Exec |\n|---|---|---|\n| one | svc-a | ~ |\n";
    for point in ["dispatch.settled:1", "dispatch.pipeline:1"] {
        let bench = working(&["svc-a"]);
        bench.write("wb/EPIC-PIPELINE.md", EPIC);
        bench.commit("wb");
        bench.write("go", "");
        let _ = bench.run(&[]).ended(0);
        until("the exit", || {
            let exit = format!("{}/exit.json", bench.directory("svc-a"));
            bench.path(&exit).exists().then_some(())
        });
        let mut command = bench.command(&["--sweep"]);
        command.env("RALPH_CRASH_AT", point);
        assert!(Ran::of_command(&mut command).code != 0);
        let _ = bench.run(&["--sweep"]).ended(0);
        assert_eq!(
            bench.read("wb/EPIC-PIPELINE.md"),
            EPIC.replace('~', "✓"),
            "after {point}"
        );
        assert!(!bench.path("wb/ralph/svc-a.pid").exists());
        assert_eq!(bench.record("svc-a")["settled"]["in_pipeline"], true);
        assert_eq!(
            bench.run(&["--sweep"]).ended(0).stdout,
            "nothing to sweep\n"
        );
    }
}

/// The loop goes on without its supervisor; it is seen, nobody starts a second one, and it can be ended.
#[test]
fn a_killed_supervisor() {
    let bench = working(&["svc-a"]);
    let _ = bench.run(&[]).ended(0);
    let pid = loop_pid(&bench, "svc-a");
    kill(bench.pid("wb/ralph/svc-a.pid").unwrap());
    until("an orphan", || {
        (bench.state("svc-a") == "orphaned").then_some(())
    });
    let row = bench.status()["loops"][0]["pid"].clone();
    assert_eq!(row, pid);
    let ran = bench.run(&[]).ended(33);
    assert!(
        ran.stderr
            .contains("a loop whose supervisor was killed still runs there"),
        "{}",
        ran.stderr
    );
    let _ = bench.run(&["--stop", "--within", "0"]).ended(0);
    assert!(!is_pid_alive(pid));
    // How it ended is nobody's to say: never a success.
    assert_eq!(bench.state("svc-a"), "lost");
    assert!(!bench.path("wb/ralph/svc-a.pid").exists());
    bench.write("go", "");
    let _ = bench.run(&["--wait"]).ended(0);
}

#[test]
fn a_killed_loop() {
    let bench = working(&["svc-a"]);
    let _ = bench.run(&[]).ended(0);
    kill(loop_pid(&bench, "svc-a"));
    until("a failure", || {
        (bench.state("svc-a") == "failed").then_some(())
    });
    let status = bench.status();
    assert_eq!(status["loops"][0]["exit_code"], 137);
    assert_eq!(status["loops"][0]["reason"], "ended by signal 9");
}

/// After a restart of the machine nothing of the former boot is alive, whatever has its pids now.
#[test]
fn a_restarted_machine_and_a_recycled_pid() {
    let bench = working(&["svc-a", "svc-b"]);
    let _ = bench.run(&["--parallel", "2"]).ended(0);
    for (name, change) in [("svc-a", "boot_id"), ("svc-b", "start_ticks")] {
        let _ = loop_pid(&bench, name);
        let path = format!("{}/record.json", bench.directory(name));
        let record: Record = serde_json::from_str(&bench.read(&path)).unwrap();
        kill(record.supervisor.pid);
        until("its end", || (!record.supervisor.is_alive()).then_some(()));
        let _ = end_orphans(&record, std::time::Duration::ZERO);
        // The pids of the record are those of a living process that is another one.
        let mut json: serde_json::Value = serde_json::from_str(&bench.read(&path)).unwrap();
        for who in ["supervisor", "worker"] {
            json[who]["pid"] = std::process::id().into();
            json[who][change] = match change {
                "boot_id" => "00000000-0000-0000-0000-000000000000".into(),
                _ => 1.into(),
            };
        }
        bench.write(&path, &json.to_string());
        bench.write(
            &format!("wb/ralph/{name}.pid"),
            &format!("{}\n", std::process::id()),
        );
    }
    // The look sweeps, because all are gone.
    assert_eq!(
        (bench.state("svc-a"), bench.state("svc-b")),
        ("lost".to_owned(), "lost".to_owned())
    );
    assert!(!bench.path("wb/ralph/svc-a.pid").exists());
    assert!(!bench.path("wb/ralph/svc-b.pid").exists());
    bench.write("go", "");
    let _ = bench.run(&["--wait", "--parallel", "2"]).ended(0);
}

/// Two launchers at once: one starts the loop, the other says so, and there is never a second loop.
#[test]
fn two_launchers_at_once() {
    let bench = working(&["svc-a"]);
    for _ in 0..3 {
        let launchers: Vec<_> = (0..4)
            .map(|_| {
                let mut command = bench.command(&[]);
                command.stdout(Stdio::piped()).stderr(Stdio::piped());
                command.spawn().unwrap()
            })
            .collect();
        let codes: Vec<Option<i32>> = launchers
            .into_iter()
            .map(|child| child.wait_with_output().unwrap().status.code())
            .collect();
        assert_eq!(
            codes.iter().filter(|code| **code == Some(0)).count(),
            1,
            "{codes:?}"
        );
        assert_eq!(
            codes.iter().filter(|code| **code == Some(33)).count(),
            3,
            "{codes:?}"
        );
        bench.write("go", "");
        until("the end", || (bench.state("svc-a") == "done").then_some(()));
        fs::remove_file(bench.path("go")).unwrap();
        let starts = bench.given("svc-a").lines().count();
        fs::remove_file(bench.path("stub/given.svc-a")).unwrap();
        assert_eq!(starts, 1);
    }
}

/// A log that somebody deleted takes no state with it.
#[test]
fn a_deleted_log() {
    let bench = working(&["svc-a"]);
    let _ = bench.run(&[]).ended(0);
    let _ = loop_pid(&bench, "svc-a");
    fs::remove_file(bench.path("wb/ralph/logs/svc-a.log")).unwrap();
    assert_eq!(bench.state("svc-a"), "running");
    bench.write("go", "");
    until("the end", || (bench.state("svc-a") == "done").then_some(()));
    assert_eq!(bench.record("svc-a")["settled"]["exit_code"], 0);
}

/// A disk without space: what cannot be started says why; what runs is not hurt by a list that cannot be written.
#[test]
fn a_full_disk() {
    let bench = working(&["svc-a", "svc-b"]);
    fs::create_dir_all(bench.path("wb/ralph/logs")).unwrap();
    std::os::unix::fs::symlink("/dev/full", bench.path("wb/ralph/logs/svc-a.log")).unwrap();
    std::os::unix::fs::symlink("/dev/full", bench.path("wb/ralph/dispatch.log")).unwrap();
    bench.write("go", "");
    let ran = bench.run(&["--parallel", "2"]).ended(3);
    assert!(
        ran.stdout.contains("not started: svc-a: "),
        "{}",
        ran.stdout
    );
    until("the other's end", || {
        (bench.state("svc-b") == "done").then_some(())
    });
    assert_eq!(bench.state("svc-a"), "failed");
    let status = bench.run(&["--status"]).ended(0).stdout;
    assert!(status.contains("No space left on device"), "{status}");
    assert_eq!(bench.given("svc-a"), "");
}

/// A program that cannot be started is a failure with its reason, at once.
#[test]
fn a_loop_that_cannot_be_started() {
    let bench = Workbench::new(&["svc-a", "svc-b"]);
    bench.program("broken", "#!/no/such/interpreter\n--parallel N M\n");
    let ran = bench.run(&["--ralph", "broken"]).ended(32);
    assert!(ran.stderr.contains("cannot be started"), "{}", ran.stderr);
}

/// Whatever became of its record, a loop that lives is seen and stopped, and none is started over it.
#[test]
fn a_record_that_is_damaged_or_gone() {
    for (damage, refused, stopped) in [(Some("{\"format\": 1"), 11, 3), (None, 33, 0)] {
        let bench = working(&["svc-a", "svc-b"]);
        let _ = bench.run(&["--parallel", "2", "9"]).ended(0);
        let pids = ["svc-a", "svc-b"].map(|name| loop_pid(&bench, name));
        let record = "wb/ralph/state/loops/svc-a.json";
        match damage {
            Some(text) => bench.write(record, text),
            None => fs::remove_file(bench.path(record)).unwrap(),
        }
        assert_eq!(bench.state("svc-a"), "running");
        let status = bench.status();
        assert_eq!(status["foreign"], serde_json::json!([]));
        assert_eq!(status["launches"][0]["max_tasks"], 9);
        let ran = bench.run(&["--repos", "svc-a"]).ended(refused);
        let told = "svc-a: a loop runs there already";
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
        let ran = bench.run(&["--stop", "--within", "0"]).ended(stopped);
        let ended = ran.stdout.matches("| stopped |").count();
        assert_eq!(ended, 2, "{}", ran.stdout);
        assert!(pids.iter().all(|pid| !is_pid_alive(*pid)));
        assert!(!bench.path("wb/ralph/svc-a.pid").exists());
        // Nothing of a person's or of ours is written over.
        assert_eq!(bench.read(record), damage.unwrap_or_default());
        bench.write("go", "");
        let again = bench.run(&["--repos", "svc-a", "--wait"]);
        let _ = again.ended(if damage.is_some() { 11 } else { 0 });
    }
}

/// The files of a launch are removed while its loop runs: it is neither lost nor begun again, and the status says how it
/// can be ended.
#[test]
fn a_launch_that_is_removed() {
    let bench = working(&["svc-a"]);
    let _ = bench.run(&[]).ended(0);
    let pid = loop_pid(&bench, "svc-a");
    fs::remove_dir_all(bench.path("wb/ralph/state/launches")).unwrap();
    let row = bench.status()["loops"][0].clone();
    assert_eq!(row["state"], "unknown");
    let supervisor = bench.pid("wb/ralph/svc-a.pid").unwrap();
    assert_eq!(row["pid"], supervisor);
    let told = format!("its files are gone; end it with: kill {supervisor}");
    assert_eq!(row["reason"], *told);
    let _ = bench.run(&[]).ended(33);
    let ran = bench.run(&["--stop", "--within", "0"]).ended(1);
    assert!(ran.stdout.contains(&told), "{}", ran.stdout);
    assert!(is_pid_alive(pid));
    bench.write("go", "");
    until("the end", || (bench.state("svc-a") == "lost").then_some(()));
    let _ = bench.run(&["--wait"]).ended(0);
}

/// All of the launcher's folder is gone, and the loops are told of by the locks of their repositories.
#[test]
fn a_loop_that_no_launch_knows() {
    let bench = Workbench::new(&["svc-a"]);
    let folder = "wb/repos/svc-a/.ralph/state";
    bench.write(&format!("{folder}/loop.lock"), "");
    let lock = fs::File::open(bench.path(&format!("{folder}/loop.lock"))).unwrap();
    lock.lock().unwrap();
    let told = "repos/svc-a: a loop that was not launched from here runs there";
    for verb in ["--status", "--stop"] {
        let ran = bench.run(&[verb]).ended(0);
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
    }
    let row = serde_json::json!([{ "repository": "svc-a", "pid": null }]);
    assert_eq!(bench.status()["by_hand"], row);
    drop(lock);
    assert_eq!(bench.status()["by_hand"], serde_json::json!([]));
    assert!(!bench.run(&["--status"]).ended(0).stderr.contains(told));
}

/// Where nothing can be written, such as on a full disk, loops are stopped all the same.
#[test]
fn a_stop_without_space() {
    let bench = working(&["svc-a", "svc-b"]);
    let _ = bench.run(&["--parallel", "2"]).ended(0);
    let pids = ["svc-a", "svc-b"].map(|name| loop_pid(&bench, name));
    let launcher = bench.command(&[]).get_program().to_owned();
    let full = "trap '' XFSZ; ulimit -f 0; exec \"$0\" --stop --within 0";
    let mut command = bench.environment(std::path::Path::new("bash"));
    command.args(["-c", full]).arg(launcher);
    let ran = Ran::of_command(&mut command).ended(3);
    assert!(pids.iter().all(|pid| !is_pid_alive(*pid)));
    assert!(
        ran.stderr.contains("it is stopped all the same"),
        "{}",
        ran.stderr
    );
    assert_eq!(
        ran.stdout.matches("| stopped |").count(),
        2,
        "{}",
        ran.stdout
    );
}

/// What a loop changes while it runs is not a person's to commit, and a patience without end is one.
#[test]
fn a_running_loop_is_told_before_what_it_changes() {
    let bench = working(&["svc-a"]);
    let _ = bench.run(&[]).ended(0);
    let _ = loop_pid(&bench, "svc-a");
    bench.write("wb/repos/svc-a/half.txt", "x");
    let ran = bench.run(&[]).ended(33);
    assert!(!ran.stderr.contains("not clean"), "{}", ran.stderr);
    bench.write("go", "");
    let forever = u64::MAX.to_string();
    let _ = bench.run(&["--stop", "--within", &forever]).ended(0);
}

/// A loop that ends before it opens the budget says so there, for those that would wait for it.
#[test]
fn a_loop_that_never_comes_is_not_waited_for() {
    let bench = Workbench::new(&["svc-a", "svc-b"]);
    bench.write("stub/help", "--parallel N M --max-task-attempts K --respawn-delay SEC --no-tabs --engine E --budget DIR");
    let _ = bench.run(&["--parallel", "2", "4"]).ended(0);
    let launch = bench.record("svc-a")["launch"].clone();
    let there = format!(
        "wb/ralph/state/launches/{}/budget/there",
        launch.as_str().unwrap()
    );
    until("both departures", || {
        (bench.read(&there).lines().count() == 2).then_some(())
    });
}
