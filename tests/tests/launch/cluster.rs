//! `--on cluster` over the embedded cluster: the same records, status, sweep and stop; results come back as branches.

use ralph_tests::workbench::Workbench;
use ralph_tests::{Ran, binary};

use crate::until::until;

/// A workbench whose repositories are pushed, with the embedded cluster configured.
fn clustered(names: &[&str]) -> Workbench {
    let bench = Workbench::new(names);
    bench.write(
        "wb/.claude/ralph/config.json",
        r#"{"cluster": {"kind": "local"}}"#,
    );
    bench.commit("wb");
    for name in names {
        bench.write(&format!("remotes/{name}/README"), "");
        let remote = format!("remotes/{name}");
        let _ = bench.git(
            &remote,
            &["init", "--quiet", "--bare", "--initial-branch=main", "."],
        );
        let folder = format!("wb/repos/{name}");
        let url = bench.path(&remote).display().to_string();
        let _ = bench.git(&folder, &["remote", "add", "origin", &url]);
        let _ = bench.git(&folder, &["push", "--quiet", "origin", "main"]);
    }
    bench
}

#[test]
fn loops_as_jobs() {
    let bench = clustered(&["svc-a", "svc-b"]);
    bench.script(
        "svc-a",
        "echo work >result.txt; git add result.txt; git commit --quiet --message=result\n\
         git branch ralph-claude/kept-1\n\
         echo 'PR created: https://host.invalid/o/svc-a/pull/3'\n",
    );
    bench.script("svc-b", "echo no luck; exit 4\n");
    bench.write("wb/EPIC-PIPELINE.md", "| PRD | fix_plan repos | Exec |\n|---|---|---|\n| one | svc-a | ~ |\n| two | svc-b | ~ |\n");
    bench.commit("wb");
    let ran = bench
        .run(&["--on", "cluster", "--wait", "--parallel", "2", "6"])
        .ended(3);
    assert!(ran.stdout.contains("on = cluster"), "{}", ran.stdout);
    assert!(
        ran.stdout
            .contains("| svc-a | job 1001 | ralph/logs/svc-a.log |"),
        "{}",
        ran.stdout
    );
    assert_eq!(
        bench.given("svc-a"),
        "ralph --parallel 1 3 --engine claude --no-tabs\n"
    );
    let status = bench.status();
    let rows = &status["loops"];
    assert_eq!(
        (&rows[0]["state"], &rows[0]["exit_code"]),
        (&"done".into(), &0.into())
    );
    assert_eq!(
        (&rows[1]["state"], &rows[1]["exit_code"]),
        (&"failed".into(), &4.into())
    );
    assert_eq!(
        rows[0]["pull_requests"][0],
        "https://host.invalid/o/svc-a/pull/3"
    );
    assert!(
        ran.stdout.contains("svc-b failed, exit code 4"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("    no luck\n"), "{}", ran.stdout);
    let epic = bench.read("wb/EPIC-PIPELINE.md");
    assert!(
        epic.contains("| svc-a | ✓ |") && epic.contains("| svc-b | ✗ |"),
        "{epic}"
    );
    // What the loop merged is on a branch of the remote, and so is every branch that holds work.
    let branch = bench.record("svc-a")["job"]["branch"]
        .as_str()
        .unwrap()
        .to_owned();
    let shown = bench.git("remotes/svc-a", &["show", &format!("{branch}:result.txt")]);
    assert_eq!(shown, "work\n");
    assert!(
        bench
            .git(
                "remotes/svc-a",
                &["branch", "--list", "ralph-claude/kept-1"]
            )
            .contains("kept-1")
    );
    assert_eq!(
        bench.run(&["--sweep"]).ended(0).stdout,
        "nothing to sweep\n"
    );
    assert_eq!(
        bench.git("wb", &["status", "--porcelain"]),
        " M EPIC-PIPELINE.md\n"
    );
}

/// The workbench's loops work with the program `agent`.
fn work_with_the_agent(bench: &Workbench) {
    let conf = bench.read("wb/project.conf");
    let agent = bench.path("bin/agent").display().to_string();
    bench.write(
        "wb/project.conf",
        &format!("{conf}WB_RALPH_ENGINE=command\nWB_RALPH_AGENT_COMMAND=\"{agent}\"\n"),
    );
    bench.commit("wb");
}

/// The clone on the node is gone with its job. What was delivered there waits to be merged, with pull requests and
/// without, and neither the next job nor the next loop at home does it again.
#[test]
fn what_a_job_delivered_is_not_done_again() {
    let bench = clustered(&["svc-a", "svc-b"]);
    bench.link("ralph", &binary("ralph-tested"));
    bench.program("gh", "#!/bin/sh\ncase \"$1 $2\" in\n'pr list') echo '[]' ;;\n'pr create') cat >/dev/null; echo https://host.invalid/o/r/pull/7 ;;\nesac\n");
    bench.program(
        "agent",
        "#!/bin/sh\ncat >/dev/null\necho \"$RALPH_TASK_ID\" >>\"${0%/*}/../done.$(basename \"$PWD\")\"\necho x >\"$RALPH_TASK_ID.txt\"\n",
    );
    work_with_the_agent(&bench);
    // Without pull requests a loop merges into its base, which comes back as one branch.
    bench.write("wb/repos/svc-b/.ralphrc", "PR_ENABLED=false\n");
    bench.commit("wb/repos/svc-b");
    let _ = bench.git("wb/repos/svc-b", &["push", "--quiet", "origin", "main"]);
    let delivered = |name: &str| {
        let folder = bench.path(&format!("wb/repos/{name}/.ralph/state/delivered"));
        std::fs::read_dir(folder).unwrap().count()
    };
    for count in 1..=2 {
        let _ = bench
            .run(&["--on", "cluster", "--wait", "--parallel", "2", "2"])
            .ended(0);
        for name in ["svc-a", "svc-b"] {
            assert_eq!(delivered(name), count, "{name}");
            // Nor does it show in git.
            assert_eq!(
                bench.git(&format!("wb/repos/{name}"), &["status", "--porcelain"]),
                ""
            );
        }
    }
    let status = bench.status();
    assert_eq!(
        status["loops"][0]["last_line"],
        "queue empty: 1 done of 1 attempt"
    );
    let done = || -> Vec<String> {
        let all = std::fs::read_dir(bench.path(".")).unwrap();
        let all = all.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut found: Vec<String> = all
            .filter(|name| name.starts_with("done."))
            .flat_map(|name| {
                bench
                    .read(&name)
                    .lines()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .collect();
        found.sort();
        found
    };
    let once_each = ["r01-first", "r01-first", "r02-second", "r02-second"];
    assert_eq!(done(), once_each);
    let _ = bench.run(&["--wait", "--parallel", "2", "2"]).ended(0);
    assert_eq!(done(), once_each);
    assert_eq!(
        bench.run(&["--sweep"]).ended(0).stdout,
        "nothing to sweep\n"
    );
}

/// A clone of one branch, whose remote cannot be asked when the job has ended, and then has lost the branch: work that
/// is not home is not forgotten by the next launch, and what the remote answers is taken.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a remote that is away for a while"
)]
fn work_that_is_not_home_is_not_forgotten() {
    let bench = clustered(&["svc-a"]);
    bench.link("ralph", &binary("ralph-tested"));
    bench.program(
        "agent",
        "#!/bin/sh\ncat >/dev/null\necho x >\"$RALPH_TASK_ID.txt\"\n",
    );
    work_with_the_agent(&bench);
    bench.write("wb/repos/svc-a/.ralphrc", "PR_ENABLED=false\n");
    bench.commit("wb/repos/svc-a");
    let _ = bench.git("wb/repos/svc-a", &["push", "--quiet", "origin", "main"]);
    let main_only = "+refs/heads/main:refs/remotes/origin/main";
    let _ = bench.git(
        "wb/repos/svc-a",
        &["config", "remote.origin.fetch", main_only],
    );
    let delivered = || {
        let folder = bench.path("wb/repos/svc-a/.ralph/state/delivered");
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    };
    let launched = || {
        let _ = bench
            .run(&["--on", "cluster", "--parallel", "1", "1"])
            .ended(0);
        until("the end", || (bench.state("svc-a") == "done").then_some(()));
        let branch = bench.record("svc-a")["job"]["branch"].clone();
        branch.as_str().unwrap().to_owned()
    };
    let branch = launched();
    let (remote, aside) = (bench.path("remotes/svc-a"), bench.path("aside"));
    let dry_run = ["--dry-run", "--parallel", "1", "1"];
    let _ = bench.run(&dry_run).ended(0);
    std::fs::rename(&remote, &aside).unwrap();
    let ran = bench.run(&dry_run).ended(25);
    assert!(
        ran.stderr.contains("origin cannot be asked"),
        "{}",
        ran.stderr
    );
    let ran = bench.run(&["--sweep"]).ended(3);
    assert!(ran.stderr.contains(&branch), "{}", ran.stderr);
    let ran = bench.run(&["--parallel", "1", "1"]).ended(25);
    assert!(
        ran.stderr
            .contains("svc-a: what its job delivered is not here yet"),
        "{}",
        ran.stderr
    );
    assert_eq!(
        bench.record("svc-a")["job"]["branch"].as_str(),
        Some(&*branch)
    );
    std::fs::rename(&aside, &remote).unwrap();
    let _ = bench.run(&["--sweep"]).ended(0);
    assert_eq!(delivered(), 1);

    let branch = launched();
    let _ = bench.git("remotes/svc-a", &["branch", "-D", &branch]);
    let ran = bench.run(&["--sweep"]).ended(0);
    let gone = format!("{branch}, is not on origin any more");
    assert!(ran.stderr.contains(&gone), "{}", ran.stderr);
    assert_eq!(
        bench.run(&["--sweep"]).ended(0).stdout,
        "nothing to sweep\n"
    );
}

/// What the cluster would clone has to be there.
#[test]
fn what_is_not_pushed_is_refused() {
    let bench = clustered(&["svc-a"]);
    bench.write("wb/repos/svc-a/new.txt", "x\n");
    bench.commit("wb/repos/svc-a");
    let ran = bench.run(&["--on", "cluster"]).ended(30);
    assert!(
        ran.stderr
            .contains("svc-a: not ready for the cluster: commit "),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("is not pushed"), "{}", ran.stderr);
    let other = Workbench::new(&["svc-a"]);
    let ran = other.run(&["--on", "cluster"]).ended(30);
    assert!(
        ran.stderr.contains("No such remote 'origin'"),
        "{}",
        ran.stderr
    );
}

/// A launcher that dies at any point of a submission leaves one job or none, and the next one knows which.
#[test]
fn a_launcher_that_dies_while_it_submits() {
    for (point, begun) in [
        ("dispatch.job-intended:1", false),
        ("dispatch.job-submitted:1", true),
    ] {
        let bench = clustered(&["svc-a"]);
        bench.script(
            "svc-a",
            "until [ -e \"$(dirname \"$0\")/../go\" ]; do sleep 0.02; done\n",
        );
        let mut command = bench.command(&["--on", "cluster"]);
        command.env("RALPH_CRASH_AT", point);
        assert!(Ran::of_command(&mut command).code != 0);
        if begun {
            until("the job", || {
                (bench.state("svc-a") == "running").then_some(())
            });
            let ran = bench.run(&["--on", "cluster"]).ended(33);
            assert!(
                ran.stderr.contains("its loop is job 1001 of the cluster"),
                "{}",
                ran.stderr
            );
            bench.write("go", "");
            until("the end", || (bench.state("svc-a") == "done").then_some(()));
        } else {
            assert_eq!(bench.state("svc-a"), "lost");
            bench.write("go", "");
            let _ = bench.run(&["--on", "cluster", "--wait"]).ended(0);
        }
        assert_eq!(bench.given("svc-a").lines().count(), 1, "after {point}");
    }
}

/// Its submission is written down twice: a damaged record keeps no job from being seen and stopped.
#[test]
fn a_job_whose_record_is_damaged_is_stopped() {
    let bench = clustered(&["svc-a"]);
    bench.script("svc-a", "trap 'exit 130' TERM; echo $$ >\"$(dirname \"$0\")/../pid\"; while :; do sleep 0.02; done\n");
    let _ = bench.run(&["--on", "cluster"]).ended(0);
    let pid = until("the loop", || bench.pid("pid"));
    let record = "wb/ralph/state/loops/svc-a.json";
    bench.write(record, "{");
    assert_eq!(bench.state("svc-a"), "running");
    let _ = bench.run(&["--on", "cluster"]).ended(11);
    let ran = bench.run(&["--stop"]).ended(3);
    assert!(ran.stdout.contains("| stopped |"), "{}", ran.stdout);
    assert!(!ralph_core::process::identity::is_pid_alive(pid));
    // A person may still mend it.
    assert_eq!(bench.read(record), "{");
}

#[test]
fn a_stopped_job() {
    let bench = clustered(&["svc-a"]);
    bench.script("svc-a", "trap 'exit 130' TERM; echo $$ >\"$(dirname \"$0\")/../pid\"; while :; do sleep 0.02; done\n");
    let _ = bench.run(&["--on", "cluster"]).ended(0);
    let pid = until("the loop", || bench.pid("pid"));
    let ran = bench.run(&["--stop"]).ended(0);
    assert!(ran.stdout.contains("| stopped |"), "{}", ran.stdout);
    assert!(!ralph_core::process::identity::is_pid_alive(pid));
}
