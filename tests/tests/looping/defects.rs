//! The defects of the replaced loop (section 8 of its study) that no row of the conformance table stands for, each as
//! a test of the better behaviour. Elsewhere: 8.1, 8.2, 8.18 and 8.36 in `plan_conformance.rs` and the plan's own tests,
//! 8.6, 8.19 and 8.34 in `workspaces`, 8.7, 8.8, 8.9, 8.17, 8.21 and 8.22 in `pull_requests`, 8.12, 8.27 and 8.30 in
//! `old_flags`, 8.14 in `continuous`, 8.15 and 8.16 in `recovery`, 8.20 and 8.25 here and in `selection`, 8.26, 8.28 and 8.31
//! with the engines, 8.23 and 8.24 with the launcher. 8.33 is of a planner, which this project has not.

use std::process::Command;

use ralph_tests::{Ran, Repository, wait_until};

use crate::continuous::signal;

/// `ralph` with a shell script as its agent.
pub(crate) fn with_agent(repository: &Repository, words: &[&str], script: &str) -> Command {
    repository.write("../agent.sh", script);
    let mut command = repository.command(words);
    let agent = format!("sh {}", repository.home().join("agent.sh").display());
    command.env("RALPH_AGENT_COMMAND", agent);
    command
}

/// 8.3, 8.4, 8.5, 8.13 and 8.32: agents that end at once, side by side, of tasks with the same first 50 characters and of
/// two that are equal altogether. Each has its own order, branch, log and folder.
#[test]
fn attempts_share_nothing() {
    let same = "A title whose first fifty characters are those of another";
    let lines = [
        format!("- [ ] {same}, one"),
        format!("- [ ] {same}, two"),
        "- [ ] Twin".to_owned(),
        "- [ ] Twin".to_owned(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let repository = Repository::with_plan(&lines);
    let words = ["--parallel", "4", "--quality-gates", "none"];
    let script = "cat >\"order-$RALPH_ATTEMPT_ID.json\"\n\
        echo \"I am $RALPH_ATTEMPT_ID\"\n\
        test ! -e .ralph/.ralph || exit 9\n";
    let _ = Ran::of_command(&mut with_agent(&repository, &words, script)).ended(0);
    assert_eq!(repository.outcomes(), ["done"; 4]);
    assert_eq!(repository.plan().matches("- [x]").count(), 4);
    let attempts = repository.attempts();
    let all: Vec<&str> = attempts
        .iter()
        .filter_map(|attempt| attempt["attempt"].as_str())
        .collect();
    let mut keys: Vec<String> = Vec::new();
    for (attempt, id) in attempts.iter().zip(&all) {
        keys.push(attempt["task_key"].to_string());
        let order = repository.read(&format!("order-{id}.json"));
        let task = attempt["task"].as_str().unwrap_or("none");
        assert!(order.contains(task), "{order}");
        let other = if task.ends_with("one") {
            ", two"
        } else {
            ", one"
        };
        assert!(!order.contains(other), "{order}");
        let log = repository.read(&format!(".ralph/{}", attempt["log"].as_str().unwrap_or("")));
        let said: Vec<&&str> = all.iter().filter(|id| log.contains(**id)).collect();
        assert_eq!(said, [id], "{log}");
    }
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 4, "four tasks");
}

/// 8.10: a budget of agents per hour is kept. Theirs logs `call 3/1` and goes on.
#[test]
fn a_budget_of_calls_is_kept() {
    let lines = [
        "- [ ] A :: write a.txt x",
        "- [ ] B :: write b.txt x",
        "- [ ] C :: write c.txt x",
    ];
    let repository = Repository::with_plan(&lines);
    let mut running = repository.start(&["loop", "--calls", "1", "--quality-gates", "none"]);
    wait_until("it waits for the next hour", || {
        let status = repository.read(".ralph/status.json");
        status.contains("\"waiting\"") && !repository.outcomes().is_empty()
    });
    signal("TERM", running.id());
    assert_eq!(running.wait().expect("it ends").code(), Some(130));
    // Two, if the hour has just turned.
    assert!(repository.agents().len() < 3, "{:?}", repository.agents());
    assert!(!repository.plan().contains("[~]"), "{}", repository.plan());
    assert_eq!(repository.status(), "");
}

/// 8.9, the other half: a loop that makes no progress starts no more agents; theirs goes on. A worker's next agent begins
/// while the end of the last one is recorded, so one may have begun when the circuit opens; here each agent ends only
/// when all before it are recorded.
#[test]
fn without_progress_the_circuit_opens() {
    let lines: Vec<String> = (0..6)
        .map(|number| format!("- [ ] Idle {number}"))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let repository = Repository::with_plan(&lines);
    let script = "here=$(dirname \"$AGENT_LOG\")\n\
        echo x >>\"$here/begun\"\n\
        before=$(($(wc -l <\"$here/begun\") - 1))\n\
        recorded() { grep -c completed= \"$here/project/.ralph/logs/ralph.log\"; }\n\
        while [ \"$(recorded)\" -lt \"$before\" ]; do sleep 0.02; done\n";
    let ran = Ran::of_command(&mut with_agent(&repository, &["loop"], script)).ended(1);
    assert!(
        ran.stderr.contains("circuit breaker open"),
        "{}",
        ran.stderr
    );
    let attempts = repository.attempts().len();
    assert!((3..=4).contains(&attempts), "{attempts}");
    assert!(!repository.plan().contains("[~]"), "{}", repository.plan());
    let ran = repository.ralph(&["loop", "--circuit-status"]).ended(0);
    assert!(ran.stdout.contains("OPEN"), "{}", ran.stdout);
}

/// 8.11: words about limits are no limit where the agent succeeds.
#[test]
fn words_do_not_make_a_failure() {
    let repository = Repository::with_plan(&[
        "- [ ] One :: print the rate_limit test: you have hit your limit, quota exceeded; write a.txt x",
    ]);
    let _ = repository
        .ralph(&["loop", "--quality-gates", "none"])
        .ended(0);
    assert_eq!(repository.outcomes(), ["done"]);
}

/// 8.20: titles without a letter of ASCII have branches, and one of them that fails does not skip the others.
#[test]
fn a_title_in_any_script_is_a_task_of_its_own() {
    let repository =
        Repository::with_plan(&["- [ ] 修复登录", "- [ ] 添加测试", "- [ ] Исправить"]);
    let words = ["--parallel", "1", "9", "--quality-gates", "none"];
    let script =
        "case $RALPH_TASK_TEXT in 修复登录) exit 1 ;; esac\necho x >\"$RALPH_ATTEMPT_ID\"\n";
    let _ = Ran::of_command(&mut with_agent(&repository, &words, script)).ended(3);
    assert_eq!(repository.outcomes(), ["crashed", "done", "done"]);
    assert_eq!(repository.plan().matches("- [x]").count(), 2);
}

/// 8.21: what the user has staged is in no commit of the loop, and is staged still.
#[test]
fn the_users_index_is_not_swept_up() {
    let repository = Repository::with_plan(&["- [ ] One :: write a.txt x"]);
    repository.write("mine.txt", "mine\n");
    repository.git(&["add", "mine.txt"]);
    let _ = repository
        .ralph(&["loop", "--quality-gates", "none"])
        .ended(0);
    assert_eq!(repository.status(), "A  mine.txt");
    let all = repository.git(&["log", "--all", "--format=", "--name-only"]);
    assert!(all.contains("a.txt") && !all.contains("mine.txt"), "{all}");
}

/// 8.35: `--qg` runs the checks where they are asked for, and no agent.
#[test]
fn checks_alone_start_no_agent() {
    let repository = Repository::with_plan(&["- [ ] One :: write a.txt x"]);
    let head = repository.git(&["rev-parse", "HEAD"]);
    let ran = repository
        .ralph(&["--qg", "--quality-gates", "test -e README.md"])
        .ended(0);
    assert!(ran.stdout.contains("test -e README.md"), "{}", ran.stdout);
    let ran = repository
        .ralph(&[
            "--qg",
            "--quality-gates",
            "test -e README.md; test -e nowhere",
        ])
        .ended(1);
    assert!(ran.stdout.contains("test -e nowhere"), "{}", ran.stdout);
    assert_eq!(repository.agents().len(), 0);
    assert_eq!(repository.git(&["rev-parse", "HEAD"]), head);
    assert_eq!(
        (repository.status(), repository.worktrees().len()),
        (String::new(), 0)
    );
}

/// 8.37: a check that hangs is ended, one that reads its input finds none, and neither stops the loop. The other task's
/// check passes.
#[test]
fn a_check_that_hangs_is_ended() {
    let repository = Repository::with_plan(&[
        "- [ ] Stuck :: write stuck.txt x",
        "- [ ] Good :: write good.txt x",
    ]);
    repository.write(".ralphrc", "WORKTREE_GATE_TIMEOUT=1\n");
    repository.git(&["add", "-A"]);
    repository.git(&["commit", "-qm", "Settings"]);
    let gates = "cat; test ! -e stuck.txt || sleep 600";
    let _ = repository
        .ralph(&["loop", "--quality-gates", gates])
        .ended(3);
    let mut outcomes = repository.outcomes();
    outcomes.sort();
    assert_eq!(outcomes, ["done", "gates_failed"]);
    assert_eq!(repository.read("good.txt"), "x\n");
}

/// 8.19 and 8.37: theirs waits for the slowest agent, and a slot that once found nothing is never used again. Here the
/// first agent ends only when a task that was written meanwhile has been done.
#[test]
fn a_worker_without_work_looks_again() {
    let repository = Repository::with_plan(&["- [ ] Slow :: wait ../../go; write slow.txt x"]);
    repository.write(".gitignore", "/.ralph/\n");
    repository.git(&["rm", "-rq", "--cached", ".ralph"]);
    repository.git(&["add", ".gitignore"]);
    repository.git(&["commit", "-qm", "Keep the plan to myself"]);
    let mut running = repository.start(&["--parallel", "2", "--quality-gates", "none"]);
    wait_until("the slow one runs", || repository.agents().len() == 1);
    let plan = format!(
        "{}- [ ] New :: write new.txt x; write ../../go x\n",
        repository.plan()
    );
    repository.write(".ralph/fix_plan.md", &plan);
    wait_until("it has ended", || {
        running.try_wait().expect("a process").is_some()
    });
    assert_eq!(
        repository.plan().matches("- [x]").count(),
        2,
        "{}",
        repository.plan()
    );
    assert_eq!(repository.status(), "");
}

/// Rows 83, 84 and 87: the pause is each worker's own, before it begins again, and a task is tried K times and no more,
/// whatever else is open.
#[test]
fn a_pause_is_kept_and_tries_are_counted() {
    let repository = Repository::with_plan(&[
        "- [ ] Bad :: exit 1",
        "- [ ] Good one :: write a.txt x",
        "- [ ] Good two :: write b.txt x",
    ]);
    let ran = repository
        .ralph(&[
            "--parallel",
            "1",
            "10",
            "--max-task-attempts",
            "2",
            "--respawn-delay",
            "0.3",
            "--quality-gates",
            "none",
        ])
        .ended(3);
    assert!(ran.stderr.contains("skip-list += bad"), "{}", ran.stderr);
    assert!(ran.stderr.contains("queue empty"), "{}", ran.stderr);
    let mut outcomes = repository.outcomes();
    outcomes.sort();
    assert_eq!(outcomes, ["crashed", "crashed", "done", "done"]);
    let agents = repository.agents();
    for pair in agents.windows(2) {
        let ended = pair[0].2.expect("it ended");
        assert!(pair[1].1 >= ended + 300_000_000, "{agents:?}");
    }
}
