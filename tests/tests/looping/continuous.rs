//! N workers, M attempts, K attempts per task: the counts are exact.

use std::process::Command;

use ralph_tests::{Ran, Repository, wait_until};

fn plan(tasks: usize, script: &str) -> Vec<String> {
    (1..=tasks)
        .map(|number| {
            format!(
                "- [ ] **T{number:02}.** Task :: {}",
                script.replace('#', &number.to_string())
            )
        })
        .collect()
}

fn repository(tasks: usize, script: &str) -> Repository {
    let lines = plan(tasks, script);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    Repository::with_plan(&lines)
}

/// The most agents that were alive at once.
fn peak(repository: &Repository) -> usize {
    let agents = repository.agents();
    let alive = |at: u128| {
        agents
            .iter()
            .filter(|(_, begin, end)| *begin <= at && end.is_none_or(|end| at < end))
            .count()
    };
    agents
        .iter()
        .map(|(_, begin, _)| alive(*begin))
        .max()
        .unwrap_or(0)
}

/// Cases 80 and 88.
#[test]
fn exactly_m_attempts_are_spent() {
    let repository = repository(6, "write f#.txt x");
    let ran = repository
        .ralph(&["--parallel", "2", "4", "--quality-gates", "none"])
        .ended(0);
    assert!(ran.stderr.contains("target reached (4)"), "{}", ran.stderr);
    for count in 1..=4 {
        assert!(
            ran.stderr.contains(&format!("completed={count}/4")),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(repository.attempts().len(), 4);
    assert_eq!(repository.plan().matches("- [ ]").count(), 2);
    assert_eq!(repository.plan().matches("- [x]").count(), 4);
    assert_eq!(repository.status(), "");
}

/// Case 81.
#[test]
fn a_drained_plan_ends_it() {
    let repository = repository(3, "write f#.txt x");
    let ran = repository
        .ralph(&["--parallel", "2", "20", "--quality-gates", "none"])
        .ended(0);
    assert!(ran.stderr.contains("queue empty"), "{}", ran.stderr);
    assert_eq!(repository.attempts().len(), 3);
}

/// Cases 82, 83 and 85.
#[test]
fn a_failing_task_is_skip_listed_and_no_other_is() {
    let repository = Repository::with_plan(&[
        "- [ ] task 5 :: exit 1",
        "- [ ] task 55 :: write good.txt x",
        "- [ ] task 6 :: write also.txt x",
    ]);
    let ran = repository
        .ralph(&["--parallel", "1", "10", "--quality-gates", "none"])
        .ended(3);
    assert!(
        ran.stderr.contains("skip-list += task-5-")
            && !ran.stderr.contains("skip-list += task-55-"),
        "{}",
        ran.stderr
    );
    for word in ["Completed: 3", "Succeeded: 2", "Failed: 1"] {
        assert!(ran.stderr.contains(word), "{}", ran.stderr);
    }
    assert_eq!(repository.outcomes(), ["crashed", "done", "done"]);
}

/// Case 84.
#[test]
fn a_task_gets_k_attempts() {
    let repository = Repository::with_plan(&["- [ ] never :: exit 1"]);
    let ran = repository
        .ralph(&["--parallel", "1", "10", "--max-task-attempts", "2"])
        .ended(1);
    assert!(ran.stderr.contains("queue empty"), "{}", ran.stderr);
    assert_eq!(repository.outcomes(), ["crashed", "crashed"]);
    assert_eq!(repository.attempts()[1]["number"], 2);
}

/// Case 86.
#[test]
fn never_more_than_n_agents_run() {
    // Nobody ends before three have begun, however slow the machine is, and whichever they are.
    let repository = repository(6, "wait ../../go; write f#.txt x; sleep 20");
    let mut running = repository.start(&["--parallel", "3", "--quality-gates", "none"]);
    wait_until("three agents run", || repository.agents().len() == 3);
    repository.write("../go", "");
    assert!(running.wait().expect("it ends").success());
    assert_eq!(peak(&repository), 3);
}

/// Case 90, with the exit code of `cli.md`.
#[test]
fn a_second_loop_in_the_same_repository_is_refused() {
    let repository = Repository::with_plan(&["- [ ] long :: wait ../../go; write a.txt x"]);
    let mut first = repository.start(&["loop", "--quality-gates", "none"]);
    wait_until("the agent runs", || !repository.agents().is_empty());
    let second = repository.ralph(&["loop"]).ended(33);
    assert!(
        second.stderr.contains("already running"),
        "{}",
        second.stderr
    );
    repository.write("../go", "");
    assert!(first.wait().expect("it ends").success());
}

/// Case 91: the first TERM drains.
#[test]
fn the_first_signal_lets_agents_finish_and_starts_none() {
    let repository = repository(10, "write f#.txt x; wait ../../go");
    repository.write(".gitignore", "agent.log\n");
    let mut running = repository.start(&["--parallel", "2", "10", "--quality-gates", "none"]);
    wait_until("two agents run", || repository.agents().len() == 2);
    signal("TERM", running.id());
    wait_until("it drains", || {
        repository.read(".ralph/status.json").contains("draining")
    });
    repository.write("../go", "");
    assert_eq!(running.wait().expect("it ends").code(), Some(130));
    assert_eq!(repository.outcomes(), ["done", "done"]);
    assert!(
        repository
            .read(".ralph/logs/ralph.log")
            .contains("user interrupt")
    );
    assert_eq!(repository.plan().matches("- [ ]").count(), 8);
    assert!(!repository.plan().contains("[~]"));
    assert_eq!(repository.status(), "");
}

#[test]
fn the_second_signal_ends_agents_and_spends_nothing() {
    let repository = repository(2, "write half#.txt x; child 300; hang");
    let mut running = repository.start(&["--parallel", "2", "10"]);
    wait_until("two agents run", || repository.agents().len() == 2);
    wait_until("they have children", || sleepers(&repository) == 2);
    signal("INT", running.id());
    wait_until("it drains", || {
        repository.read(".ralph/status.json").contains("draining")
    });
    signal("INT", running.id());
    assert_eq!(running.wait().expect("it ends").code(), Some(130));
    assert_eq!(sleepers(&repository), 0, "no orphan");
    assert_eq!(repository.outcomes(), ["interrupted", "interrupted"]);
    assert!(
        repository
            .attempts()
            .iter()
            .all(|line| line["spent"] == false)
    );
    assert_eq!(repository.plan().matches("- [ ]").count(), 2);
    assert_eq!(
        repository.branches().len(),
        2,
        "what they had written is kept"
    );
    assert_eq!(
        (repository.status(), repository.worktrees().len()),
        (String::new(), 0)
    );
}

/// More signals than two, while agents that are deaf to theirs are still being ended, change nothing.
#[test]
fn an_impatient_person_is_heard_too() {
    let repository = repository(1, "none");
    repository.write(
        "../agent.sh",
        "trap '' TERM INT\n: >\"$(dirname \"$AGENT_LOG\")/begun\"\nwhile :; do sleep 0.1; done\n",
    );
    let agent = format!("sh {}", repository.home().join("agent.sh").display());
    let mut running = repository
        .command(&["--parallel", "1", "10"])
        .env("RALPH_AGENT_COMMAND", agent)
        .env("RALPH_STOP_GRACE", "1")
        .spawn()
        .expect("ralph");
    wait_until("the agent runs", || {
        repository.home().join("begun").exists()
    });
    signal("INT", running.id());
    let log = || repository.read(".ralph/logs/ralph.log");
    wait_until("it drains", || {
        repository.read(".ralph/status.json").contains("draining")
    });
    signal("INT", running.id());
    wait_until("it ends the agent", || log().contains("stopping now"));
    signal("INT", running.id());
    assert_eq!(running.wait().expect("it ends").code(), Some(130));
    assert_eq!(repository.outcomes(), ["interrupted"]);
}

pub(crate) fn signal(name: &str, pid: u32) {
    let sent = Ran::of_command(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]));
    assert_eq!(sent.code, 0, "{}", sent.stderr);
}

/// Processes that agents of this repository left behind, by the attempt that stands in their environment and the folder they run in.
pub(crate) fn sleepers(repository: &Repository) -> usize {
    let home = repository.home().display().to_string();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return 0;
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| {
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let text = String::from_utf8_lossy(&environment).into_owned();
            text.contains(&home)
                && text.contains("RALPH_ATTEMPT_ID=")
                && String::from_utf8_lossy(&command).starts_with("sleep")
        })
        .count()
}
