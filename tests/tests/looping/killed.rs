//! A loop that is killed, started again: each task is done once, nothing runs on, no commit is lost.

use std::time::Duration;

use ralph_tests::{Repository, wait_until};

use crate::continuous::sleepers;

/// Kills the loop's own process, as the kernel would.
fn kill(running: &mut std::process::Child) {
    running.kill().expect("a process to kill");
    running.wait().expect("it ends");
}

#[test]
fn agents_die_with_a_killed_loop_and_its_tasks_are_taken_up_again() {
    let repository = Repository::with_plan(&[
        "- [ ] One :: append ../../ran.log one; write one.txt x; child 300; wait ../../go",
        "- [ ] Two :: append ../../ran.log two; write two.txt x; child 300; wait ../../go",
    ]);
    let mut running = repository.start(&["--parallel", "2", "10", "--quality-gates", "none"]);
    wait_until("agents have children", || sleepers(&repository) == 2);
    kill(&mut running);
    wait_until("nothing runs on", || sleepers(&repository) == 0);
    assert!(
        repository.plan().contains("[~]"),
        "what a crash leaves is visible"
    );
    repository.write("../go", "");
    let ran = repository
        .ralph(&["--parallel", "2", "10", "--quality-gates", "none"])
        .ended(0);
    assert!(ran.stderr.contains("recovered"), "{}", ran.stderr);
    assert_eq!(repository.plan().matches("- [x]").count(), 2);
    assert_eq!(
        (repository.status(), repository.worktrees().len()),
        (String::new(), 0)
    );
    let done = repository
        .outcomes()
        .iter()
        .filter(|outcome| *outcome == "done")
        .count();
    assert_eq!(done, 2);
    // The half-done work of the killed attempts is kept and named.
    assert_eq!(repository.branches().len(), 2);
}

#[test]
fn killed_at_random_moments_each_task_is_done_once() {
    let lines: Vec<String> = (0..12)
        .map(|number| format!("- [ ] Task {number} :: write f{number}.txt {number}; sleep 30; commit task {number}"))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let repository = Repository::with_plan(&lines);
    // Moments that fall into every stage of an attempt; the seed is the list.
    for pause in [40, 90, 150, 210, 330, 120, 70, 260] {
        let mut running = repository.start(&["--parallel", "3", "--quality-gates", "none"]);
        std::thread::sleep(Duration::from_millis(pause));
        kill(&mut running);
    }
    let _ = repository
        .ralph(&["--parallel", "3", "--quality-gates", "none"])
        .ended(0);
    assert_eq!(
        repository.plan().matches("- [x]").count(),
        12,
        "{}",
        repository.plan()
    );
    let subjects = repository.git(&["log", "--format=%H", "--diff-filter=A", "--", "f*.txt"]);
    assert_eq!(subjects.lines().count(), 12, "each task is in one commit");
    assert_eq!(
        (repository.status(), repository.worktrees().len()),
        (String::new(), 0)
    );
    let mut done: Vec<String> = repository
        .attempts()
        .iter()
        .filter(|line| line["outcome"] == "done")
        .map(|line| line["task_key"].as_str().unwrap_or("").to_owned())
        .collect();
    done.sort();
    done.dedup();
    assert_eq!(done.len(), 12);
}
