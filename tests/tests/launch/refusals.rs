//! Every refusal of the protocol, with the message that a user reads; nothing is started by any.

use std::fs;

use ralph_tests::Ran;
use ralph_tests::workbench::Workbench;

/// Refused with this code, and the message on standard error; no loop was started and none is recorded.
#[track_caller]
fn refused(bench: &Workbench, arguments: &[&str], code: i32, message: &str, fix: &str) {
    let ran = bench.run(arguments).ended(code);
    assert!(
        ran.stderr.contains(message),
        "{message}\n--\n{}",
        ran.stderr
    );
    assert!(ran.stderr.contains(fix), "{fix}\n--\n{}", ran.stderr);
    // The commands would look as if they had been run.
    assert!(!ran.stdout.contains("> (cd "), "{}", ran.stdout);
    if ran.stderr.contains("refused: ") {
        let end = "nothing was launched; --exclude leaves repositories out\n";
        assert!(ran.stderr.ends_with(end), "{}", ran.stderr);
    }
    assert!(!bench.path("wb/ralph/state").exists());
    for name in ["svc-a", "svc-b"] {
        assert_eq!(bench.given(name), "");
    }
}

#[test]
fn a_dirty_workbench() {
    let bench = Workbench::new(&["svc-a", "svc-b"]);
    bench.write("wb/notes.md", "unsaved\n");
    refused(
        &bench,
        &[],
        30,
        "workbench: the work tree is not clean: ?? notes.md",
        "fix: Commit, stash or ignore it: git -C",
    );
}

/// A hook of git that launches has variables by which every git below it looks at the hook's repository.
#[test]
fn a_repository_that_is_dirty_is_seen_from_a_hook_too() {
    let bench = Workbench::new(&["svc-a", "svc-b"]);
    bench.write("wb/repos/svc-a/README.md", "unsaved\n");
    let mut command = bench.command(&[]);
    command.env("GIT_DIR", bench.path("wb/.git"));
    command.env("GIT_WORK_TREE", bench.path("wb"));
    let ran = Ran::of_command(&mut command).ended(30);
    let told = "svc-a: the work tree is not clean: ?? README.md";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
}

#[test]
fn a_dirty_repository_and_the_others_that_are_wrong_at_once() {
    let bench = Workbench::new(&["svc-a", "svc-b", "svc-c"]);
    bench.write("wb/repos/svc-a/README.md", "unsaved\n");
    bench.write("wb/repos/svc-b/.ralph/fix_plan.md", "\n \n");
    bench.commit("wb/repos/svc-b");
    fs::remove_dir_all(bench.path("wb/repos/svc-c/.git")).unwrap();
    let all = ["--repos", "svc-a,svc-b,svc-c"];
    refused(
        &bench,
        &all,
        30,
        "svc-a: the work tree is not clean: ?? README.md",
        "fix: ",
    );
    refused(
        &bench,
        &all,
        30,
        "fix_plan missing or empty: svc-b: .ralph/fix_plan.md is empty",
        "leave it out: --exclude svc-b",
    );
    refused(
        &bench,
        &all,
        30,
        "svc-c: not a git repository of its own",
        "fix: ",
    );
    // By default a repository without a plan is passed over, and said to be; one that is gone needs no plan.
    fs::remove_dir_all(bench.path("wb/repos/svc-b")).unwrap();
    let ran = bench
        .run(&["--dry-run", "--exclude", "svc-a,svc-c"])
        .ended(31);
    assert!(
        ran.stdout.contains("passed over, without a plan: svc-b"),
        "{}",
        ran.stdout
    );
    let told = "svc-b: there is no such folder; clone it: git clone URL ";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
}

#[test]
fn no_plan() {
    let bench = Workbench::new(&["svc-a", "svc-b"]);
    fs::remove_file(bench.path("wb/repos/svc-a/.ralph/fix_plan.md")).unwrap();
    bench.commit("wb/repos/svc-a");
    refused(
        &bench,
        &["--repos", "svc-a"],
        31,
        "fix_plan missing or empty: svc-a: .ralph/fix_plan.md is missing",
        "/ralph-workspace-plan",
    );
}

#[test]
fn no_folder() {
    let bench = Workbench::new(&["svc-a", "svc-b"]);
    fs::remove_dir_all(bench.path("wb/repos/svc-b")).unwrap();
    refused(
        &bench,
        &["--repos", "svc-b"],
        30,
        "svc-b: there is no such folder",
        "Clone it: git clone",
    );
}

#[test]
fn no_engine_and_no_loop_program() {
    let bench = Workbench::new(&["svc-a", "svc-b"]);
    refused(
        &bench,
        &["--agent", "codex"],
        32,
        "there is no loop program `ralph-codex` on the PATH",
        "Install this project's ralph",
    );
    bench.write(
        "stub/help",
        &format!("{}  --engine E\n", ralph_tests::workbench::CONTINUOUS),
    );
    refused(
        &bench,
        &["--agent", "codex"],
        32,
        "engine codex: there is no program `codex` on the PATH",
        "choose another engine with --agent",
    );
    refused(
        &bench,
        &["--ralph", "no-such-ralph"],
        32,
        "there is no loop program `no-such-ralph` on the PATH",
        "name a program with --ralph",
    );
}

#[test]
fn an_unknown_repository_lists_those_there_are() {
    let bench = Workbench::new(&["svc-a", "svc-b"]);
    refused(
        &bench,
        &["--repos", "svc"],
        2,
        "--repos names unknown repo 'svc'",
        "Registered are: svc-a, svc-b.",
    );
    refused(
        &bench,
        &["--repos", "svc-a", "--exclude", "svc-b"],
        2,
        "--repos and --exclude cannot be combined",
        "Give the one or the other.",
    );
}

#[test]
fn a_conf_that_would_have_to_be_run() {
    let bench = Workbench::new(&["svc-a", "svc-b"]);
    let conf = bench.read("wb/project.conf");
    bench.write(
        "wb/project.conf",
        &format!("{conf}WB_RALPH_PARALLEL=$(nproc)\n"),
    );
    refused(&bench, &[], 2, "project.conf:6: ", "hint: ");
    let elsewhere = bench.run(&["--root", "/"]).ended(2);
    assert!(elsewhere.stderr.contains("there is no project.conf"));
}

/// What ends the loop of another launcher is not known here, and a stop says so.
#[test]
fn a_stop_leaves_the_loops_of_others_running() {
    let bench = Workbench::new(&["svc-a", "svc-b"]);
    bench.write("wb/ralph/svc-a.pid", &format!("{}\n", std::process::id()));
    let ran = bench.run(&["--stop"]).ended(0);
    assert!(
        ran.stderr.contains("left running: ralph/svc-a.pid"),
        "{}",
        ran.stderr
    );
    let ran = bench.run(&["--stop", "--repos", "svc-b"]).ended(0);
    assert!(!ran.stderr.contains("left running"), "{}", ran.stderr);
}

#[test]
fn a_loop_that_runs_already_and_one_started_by_hand() {
    let bench = Workbench::new(&["svc-a", "svc-b"]);
    // A pidfile of another launcher, whose process is alive and older than the file.
    bench.write("wb/ralph/svc-a.pid", &format!("{}\n", std::process::id()));
    bench.commit("wb");
    refused(
        &bench,
        &[],
        33,
        "svc-a: ralph/svc-a.pid of another launcher names a living process",
        "rm ralph/svc-a.pid",
    );
    fs::remove_file(bench.path("wb/ralph/svc-a.pid")).unwrap();
    bench.commit("wb");
    bench.write("wb/repos/svc-b/.gitignore", ".ralph/state/\n");
    bench.write("wb/repos/svc-b/.ralph/state/loop.lock", "");
    bench.commit("wb/repos/svc-b");
    let lock = fs::File::open(bench.path("wb/repos/svc-b/.ralph/state/loop.lock")).unwrap();
    lock.lock().unwrap();
    refused(
        &bench,
        &[],
        33,
        "svc-b: a loop that was not launched from here runs there",
        "end it where it was started",
    );
}

/// What is refused is also refused with `--json`, as data.
#[test]
fn refusals_as_data() {
    let bench = Workbench::new(&["svc-a"]);
    bench.write("wb/notes.md", "unsaved\n");
    let answer = bench.run(&["--json"]).ended(30).json();
    assert_eq!(answer["schema_version"], 1);
    assert_eq!(answer["launch"], serde_json::Value::Null);
    assert_eq!(answer["refusals"][0]["code"], "dirty");
    assert_eq!(answer["refusals"][0]["exit_code"], 30);
}

/// A loop would refuse the one, and the other would be two loops in one repository.
#[test]
fn a_head_on_no_branch_and_a_second_name() {
    let bench = Workbench::new(&["svc-a", "svc-b", "svc-c"]);
    let _ = bench.git("wb/repos/svc-a", &["checkout", "--quiet", "--detach"]);
    let folder = bench.path("wb/repos/svc-c");
    std::fs::remove_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink("svc-b", &folder).unwrap();
    let ran = bench.run(&["--dry-run"]).ended(30);
    for told in [
        "svc-a: on no branch (detached HEAD)",
        "svc-c: the same folder as svc-b",
    ] {
        assert!(ran.stderr.contains(told), "{told}\n{}", ran.stderr);
    }
    let ran = bench.run(&["--exclude", "svc-a"]).ended(33);
    assert!(ran.stderr.contains("--exclude svc-c"), "{}", ran.stderr);
    assert_eq!(bench.given("svc-b"), "");
    // With a base of its own, or a remote that has one, a loop needs no branch.
    bench.write("wb/repos/svc-a/.ralphrc", "PR_BASE_BRANCH=main\n");
    bench.commit("wb/repos/svc-a");
    let _ = bench.run(&["--dry-run", "--repos", "svc-a"]).ended(0);
}

#[test]
fn the_second_name_of_the_program_as_json() {
    let bench = Workbench::new(&["svc-a"]);
    let program = bench.path("bin/wb-ralph-dispatch");
    std::fs::copy(ralph_tests::binary("wb-ralph-dispatch-tested"), &program).unwrap();
    for made in [true, false] {
        let mut command = std::process::Command::new(&program);
        let ran = ralph_tests::Ran::of_command(command.args(["--link", "--json"])).ended(0);
        let answer = ran.json();
        assert_eq!(
            (&answer["schema_version"], &answer["made"]),
            (&1.into(), &made.into())
        );
        let link = answer["link"].as_str().unwrap();
        assert!(link.ends_with("/bin/wb.ralph-dispatch"), "{link}");
    }
}

/// What is shown can be copied, and a program's name is read as the loop reads it.
#[test]
fn blanks_in_paths() {
    let bench = Workbench::new(&["svc-a"]);
    bench.program("my agent", "#!/bin/sh\n");
    let agent = format!("'{}' --quiet", bench.path("bin/my agent").display());
    let run =
        |agent: &str| bench.run(&["--dry-run", "--agent", "command", "--agent-command", agent]);
    bench.write("stub/help", "--parallel N M --engine E");
    let _ = run(&agent).ended(0);
    let ran = run("'no such agent' --quiet").ended(32);
    assert!(
        ran.stderr.contains("no program `no such agent`"),
        "{}",
        ran.stderr
    );
}

/// More workers than a shared budget has slots: also a dry run says so, and nothing is begun.
#[test]
fn too_many_workers() {
    let bench = Workbench::new(&["svc-a", "svc-b"]);
    let dry_run = ["--dry-run", "--parallel", "513"];
    let _ = bench.run(&dry_run).ended(0);
    bench.write(
        "stub/help",
        "--parallel N M --max-task-attempts K --respawn-delay SEC --engine E --budget DIR",
    );
    let told = "513 workers; expected 1 to 512";
    refused(&bench, &dry_run, 2, told, "hint: ");
    refused(&bench, &dry_run[1..], 2, told, "hint: ");
}
