//! The command line of the loop, case by case of the conformance table of the loop that it replaces. Where ours is
//! meant to differ, the test says what and why. Usage errors exit with 2 here, as everywhere in ralph; with 1 there.

use ralph_tests::{Ran, Repository};

fn repository() -> Repository {
    Repository::with_plan(&["- [ ] One :: write a.txt one"])
}

#[track_caller]
fn refused(words: &[&str], message: &str) {
    let repository = repository();
    let ran = repository.ralph(words).ended(2);
    assert!(ran.stderr.contains(message), "{words:?}: {}", ran.stderr);
    assert_eq!(ran.stdout, "");
    for made in [".ralph/logs", ".ralph/state"] {
        assert!(!repository.root().join(made).exists(), "nothing is made");
    }
}

#[test]
fn a_loop_whose_prompt_is_not_there_leaves_nothing() {
    refused(
        &["loop", "--prompt", "none.md"],
        "none.md: expected a prompt",
    );
}

/// 64.
#[test]
fn help_names_what_launchers_probe_for_and_makes_no_file() {
    let repository = repository();
    for words in [&["--help"][..], &["-h"], &["--parallel", "3", "--help"]] {
        let ran = repository.ralph(words).ended(0);
        for word in [
            "Usage:",
            "--parallel N M",
            "Continuous Parallel Execution",
            "--max-tasks",
            "--max-task-attempts",
            "--respawn-delay",
            "--no-tabs",
            "--repos",
            "--exclude",
        ] {
            assert!(
                ran.stdout.contains(word),
                "{words:?} has no {word}: {}",
                ran.stdout
            );
        }
    }
    assert_eq!(repository.status(), "");
    let names: Vec<_> = std::fs::read_dir(repository.root().join(".ralph"))
        .expect("a folder")
        .collect();
    assert_eq!(names.len(), 2, "the plan and the prompt");
}

/// 65: the words are those of the argument parser.
#[test]
fn an_unknown_option_is_named() {
    refused(&["--bogus"], "--bogus");
    refused(&["loop", "--bogus"], "--bogus");
}

/// 66 to 72, 76 and 77.
#[test]
fn values_are_checked_before_anything_is_done() {
    for value in ["0", "121", "abc"] {
        refused(&["loop", "--timeout", value], "between 1 and 120");
    }
    refused(&["loop", "--merge-strategy", "foo"], "squash");
    refused(&["loop", "--allowed-tools", "Foo"], "Foo");
    for value in ["0", "abc", "-1"] {
        refused(
            &["loop", &format!("--parallel={value}")],
            "positive integer",
        );
    }
    refused(&["--parallel"], "--parallel");
    refused(&["loop", "--task"], "--task");
    for value in ["abc", "0", "-3"] {
        refused(
            &["loop", "--parallel", "3", &format!("--max-tasks={value}")],
            "positive integer",
        );
    }
    refused(&["--parallel", "3", "0"], "positive integer");
    refused(&["--parallel", "3", "007"], "positive integer");
    for value in ["0", "xyz"] {
        refused(&["loop", "--max-task-attempts", value], "positive integer");
    }
    refused(&["loop", "--respawn-delay", "foo"], "--respawn-delay");
}

/// 77: zero and fractions are pauses.
#[test]
fn a_pause_may_be_zero_or_a_fraction() {
    for value in ["0", "0.5"] {
        let ran = repository()
            .ralph(&["loop", "--respawn-delay", value, "--dry-run"])
            .ended(0);
        assert!(ran.stdout.contains("respawn_delay"), "{}", ran.stdout);
    }
}

/// 73.
#[test]
fn a_repository_where_no_loop_ever_ran_says_so() {
    let ran = repository().ralph(&["-s"]).ended(0);
    assert!(ran.stdout.contains("no loop"), "{}", ran.stdout);
}

/// 74.
#[test]
fn the_circuit_is_shown_and_closed() {
    let repository = repository();
    let ran = repository.ralph(&["loop", "--circuit-status"]).ended(0);
    assert!(ran.stdout.contains("CLOSED"), "{}", ran.stdout);
    let _ = repository.ralph(&["loop", "--reset-circuit"]).ended(0);
    assert!(
        repository
            .read(".ralph/.circuit_breaker_state")
            .contains("CLOSED")
    );
}

/// 78: a number of attempts and one task exclude each other; `--max-tasks` alone means one worker here.
#[test]
fn what_does_not_go_together_is_named_together() {
    for words in [
        &["loop", "--parallel", "2", "4", "--task", "One"][..],
        &["loop", "--max-tasks", "4", "--qg"],
    ] {
        let ran = repository().ralph(words).ended(2);
        assert!(
            ran.stderr.contains("--task") || ran.stderr.contains("--qg"),
            "{}",
            ran.stderr
        );
    }
}

/// 79.
#[test]
fn the_command_line_is_stronger_than_the_environment() {
    let repository = repository();
    let mut command =
        repository.command(&["loop", "--parallel", "2", "--max-tasks", "7", "--dry-run"]);
    let ran = Ran::of_command(command.env("RALPH_MAX_TASKS", "9")).ended(0);
    assert!(ran.stdout.contains("max_tasks=7"), "{}", ran.stdout);
    let mut command = repository.command(&["loop", "--parallel", "2", "--dry-run"]);
    let ran = Ran::of_command(command.env("RALPH_MAX_TASKS", "9")).ended(0);
    assert!(ran.stdout.contains("max_tasks=9"), "{}", ran.stdout);
}

/// 1, 7 and 10, through the binary.
#[test]
fn one_task_can_be_chosen() {
    let repository = Repository::with_plan(&[
        "- [x] **E4.** Done",
        "- [ ] **E50.** Not this :: exit 1",
        "- [ ] **E5.** This :: write a.txt one",
    ]);
    let ran = repository.ralph(&["loop", "--task", "E4"]).ended(1);
    assert!(ran.stderr.contains("completed"), "{}", ran.stderr);
    let _ = repository.ralph(&["loop", "--task", "E99"]).ended(1);
    let _ = repository
        .ralph(&["loop", "--task", "e5", "--quality-gates", "none"])
        .ended(0);
    assert_eq!(repository.read("a.txt"), "one\n");
    assert_eq!(repository.attempts().len(), 1);
}

#[test]
fn a_dry_run_says_what_and_changes_nothing() {
    let repository = repository();
    let ran = repository.ralph(&["loop", "--dry-run"]).ended(0);
    assert!(ran.stdout.contains("One"), "{}", ran.stdout);
    assert_eq!(repository.status(), "");
    assert!(!repository.root().join(".ralph/state").exists());
}

#[test]
fn a_folder_that_is_no_repository_and_a_repository_without_a_plan_are_refused() {
    let repository = repository();
    repository.git(&["rm", "-q", ".ralph/fix_plan.md"]);
    repository.git(&["commit", "-qm", "No plan"]);
    let ran = repository.ralph(&["loop"]).ended(31);
    assert!(ran.stderr.contains("fix_plan.md"), "{}", ran.stderr);
    let mut command = repository.command(&["loop"]);
    let ran = Ran::of_command(command.current_dir(repository.home()));
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("git"), "{}", ran.stderr);
}

#[test]
fn an_engine_that_is_not_there_is_named_before_anything_is_claimed() {
    let repository = repository();
    let ran = repository
        .ralph(&[
            "loop",
            "--engine",
            "command",
            "--agent-command",
            "/nowhere/agent",
        ])
        .ended(32);
    assert!(ran.stderr.contains("/nowhere/agent"), "{}", ran.stderr);
    assert_eq!(repository.attempts().len(), 0);
    let _ = repository.ralph(&["loop", "--engine", "foo"]).ended(2);
}

/// What a loop needs is looked at where there is one.
#[test]
fn the_doctor_says_what_the_loop_needs() {
    let repository = Repository::with_plan(&["- [ ] one", "- [x] two", "* [ ] three"]);
    let found = |agent: &str| {
        let mut command = repository.command(&["doctor", "--json"]);
        let ran = Ran::of_command(command.env("RALPH_AGENT_COMMAND", agent));
        let checks = ran.json()["checks"].as_array().cloned().unwrap_or_default();
        let found = |what: &str| {
            let check = checks.iter().find(|check| check["what"] == what);
            let check = check.cloned().unwrap_or_default();
            let word = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
            (word("verdict"), word("found"))
        };
        ["loop plan", "loop agent", "loop worktrees", "loop forge"].map(found)
    };
    let [plan, agent, worktrees, forge] = found("no-such-agent");
    assert_eq!(forge.0, "", "nothing is delivered without a remote");
    assert_eq!(plan.0, "warning");
    assert!(plan.1.starts_with("2 tasks, 1 open; "), "{plan:?}");
    assert_eq!(agent.0, "error");
    assert!(agent.1.contains("no program no-such-agent"), "{agent:?}");
    assert_eq!(worktrees.0, "ok");
    assert!(worktrees.1.ends_with("project-worktrees"), "{worktrees:?}");
    std::fs::remove_file(repository.root().join(".ralph/fix_plan.md")).expect("a file");
    repository.git(&["remote", "add", "origin", "/nowhere"]);
    let [plan, agent, _, forge] = found("true");
    assert_ne!(forge.0, "");
    assert_eq!(plan.0, "warning");
    assert!(
        plan.1.contains("expected a plan, found nothing"),
        "{plan:?}"
    );
    assert!(
        agent.0 == "ok" && agent.1.starts_with("command (/"),
        "{agent:?}"
    );
}
