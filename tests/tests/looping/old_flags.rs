//! Options of the loop that this one replaces: rows 67 to 71, 74, 75 and 78 of the conformance table. What is done
//! anyway is accepted, what is done otherwise is said, what is not done at all is refused with what to do instead.

use ralph_tests::{Ran, Repository};

fn repository() -> Repository {
    Repository::with_plan(&["- [ ] One :: write a.txt one"])
}

#[track_caller]
fn refused(words: &[&str], messages: &[&str]) {
    let repository = repository();
    let ran = repository.ralph(words).ended(2);
    for message in messages {
        assert!(ran.stderr.contains(message), "{words:?}: {}", ran.stderr);
    }
    assert!(!repository.root().join(".ralph/state").exists());
}

#[track_caller]
fn noted(words: &[&str], note: &str) {
    let mut all = vec!["loop", "--dry-run"];
    all.extend(words);
    let ran = repository().ralph(&all).ended(0);
    assert_eq!(
        ran.stderr.contains("no effect"),
        !note.is_empty(),
        "{words:?}: {}",
        ran.stderr
    );
    assert!(ran.stderr.contains(note), "{words:?}: {}", ran.stderr);
}

/// Rows 67, 69 and 70. Sessions: theirs takes one up again only without worktrees, which were the default; here every
/// attempt is a session of its own.
#[test]
fn values_of_old_options_are_still_checked() {
    refused(&["loop", "--output-format", "xml"], &["'json' or 'text'"]);
    refused(&["loop", "--session-expiry", "0"], &["positive integer"]);
    noted(&["--output-format", "json"], "");
    noted(&["--output-format", "text"], ".ralph/logs");
    noted(&["--session-expiry", "24"], "session of its own");
    noted(&["--no-continue"], "");
    noted(&["--live"], "tail -f");
    noted(&["--allowed-tools", "Bash(git *)"], "");
    noted(&["--dangerously-skip-permissions"], "");
}

/// What is not done at all, with the way that there is.
#[test]
fn what_is_not_done_says_what_to_do_instead() {
    refused(&["loop", "--monitor"], &["tmux", "ralph loop --status"]);
    refused(&["-m"], &["tmux"]);
    refused(
        &["loop", "--no-worktree"],
        &["worktree of its own", "--no-pr"],
    );
}

/// `--parallel-bg N` is `--parallel N` without tabs, and row 78: not together with M or one task.
#[test]
fn workers_in_the_background_are_workers() {
    let ran = repository()
        .ralph(&["--parallel-bg", "3", "--dry-run"])
        .ended(0);
    assert!(ran.stdout.contains("parallel=3"), "{}", ran.stdout);
    assert!(ran.stdout.contains("tabs=off"), "{}", ran.stdout);
    for (words, other) in [
        (["--max-tasks", "4"], "--max-tasks"),
        (["--parallel", "2"], "--parallel"),
        (["--task", "One"], "--task"),
    ] {
        let mut all = vec!["loop", "--parallel-bg", "3"];
        all.extend(words);
        refused(&all, &["--parallel-bg", other]);
    }
    refused(&["--parallel-bg", "0"], &["positive integer"]);
}

/// Row 71: theirs refuses more than 10 workers. Here that many are no trouble; 512 is the limit.
#[test]
fn more_than_ten_workers_are_fine() {
    let _ = repository()
        .ralph(&["--parallel", "11", "--dry-run"])
        .ended(0);
    refused(&["--parallel", "513"], &["at most 512"]);
}

/// Row 74. There is no session to reset, and nothing to fail about it.
#[test]
fn questions_about_state_end_well_and_write_nothing() {
    let repository = repository();
    let ran = repository.ralph(&["--reset-session"]).ended(0);
    assert!(ran.stderr.contains("session of its own"), "{}", ran.stderr);
    // Defect 8.30: what only reads makes no file.
    for words in [
        &["loop", "--status"][..],
        &["loop", "--circuit-status"],
        &["loop", "--dry-run"],
        &["loop", "--help"],
    ] {
        let _ = repository.ralph(words).ended(0);
    }
    assert_eq!(repository.status(), "");
    let entries = std::fs::read_dir(repository.root().join(".ralph")).expect("a folder");
    assert_eq!(entries.count(), 2, "the plan and the prompt");
    let _ = repository.ralph(&["--reset-circuit-breaker"]).ended(0);
}

/// An open circuit refuses, `--auto-reset-circuit` closes it at the start.
#[test]
fn an_open_circuit_can_be_closed_at_the_start() {
    let open = r#"{"state":"OPEN","last_change":"2999-01-01T00:00:00Z","opened_at":"2999-01-01T00:00:00Z",
        "consecutive_no_progress":3,"consecutive_same_error":0,"consecutive_permission_denials":0,
        "last_progress_loop":0,"total_opens":1,"reason":"no progress","current_loop":3}"#;
    let repository = repository();
    repository.write(".ralph/.circuit_breaker_state", open);
    let ran = repository.ralph(&["loop", "--quality-gates", "none"]);
    assert!(
        ran.stderr.contains("circuit breaker open"),
        "{}",
        ran.stderr
    );
    assert_eq!(repository.agents().len(), 0);
    let words = ["loop", "--auto-reset-circuit", "--quality-gates", "none"];
    let _ = repository.ralph(&words).ended(0);
    assert_eq!(repository.outcomes(), ["done"]);
}

/// Row 75, and defect 8.12: short and long options in any order win over `.ralphrc`, and the origin is told.
#[test]
fn short_options_are_the_long_ones_and_win_over_the_file() {
    let repository = repository();
    repository.write(
        ".ralphrc",
        "MAX_CALLS_PER_HOUR=5\nWORKTREE_QUALITY_GATES=\"make test\"\nWORKTREE_MERGE_STRATEGY=rebase\n",
    );
    let plan = |words: &[&str]| {
        let mut all = words.to_vec();
        all.push("--dry-run");
        let ran = repository.ralph(&all).ended(0);
        let lines: Vec<String> = ran.stdout.lines().map(str::to_owned).collect();
        lines
    };
    let short = plan(&["-t", "20", "-c", "7", "-p", "other.md", "-v"]);
    let long = plan(&[
        "--verbose",
        "--prompt",
        "other.md",
        "--calls",
        "7",
        "--timeout",
        "20",
    ]);
    assert_eq!(short, long);
    let has = |lines: &[String], words: &[&str]| {
        lines
            .iter()
            .any(|line| words.iter().all(|word| line.contains(word)))
    };
    assert!(has(&short, &["calls_per_hour=7", "--calls"]), "{short:?}");
    assert!(
        has(&short, &["quality_gates=make test", ".ralphrc:2"]),
        "{short:?}"
    );
    assert!(
        has(&short, &["merge_strategy=rebase", ".ralphrc:3"]),
        "{short:?}"
    );
    let typed = plan(&[
        "loop",
        "--quality-gates",
        "none",
        "--merge-strategy",
        "merge",
    ]);
    assert!(
        has(&typed, &["quality_gates=none", "--quality-gates"]),
        "{typed:?}"
    );
    assert!(
        has(&typed, &["merge_strategy=merge", "--merge-strategy"]),
        "{typed:?}"
    );
    let _ = repository.ralph(&["-s"]).ended(0);
    let _ = repository.ralph(&["-h"]).ended(0);
}

/// Settings that mean nothing here are told with what is done instead, in the file and in the environment: a worktree
/// that is kept, a second loop that is forced, a session that goes on.
#[test]
fn settings_without_effect_are_told() {
    let repository = repository();
    repository.write(".ralphrc", "WORKTREE_AUTO_CLEANUP=false\nCLAUDE_MODLE=x\n");
    let mut command = repository.command(&["loop", "--dry-run"]);
    command.env("WORKTREE_ENABLED", "false");
    let ran = Ran::of_command(&mut command).ended(0);
    for words in [
        ".ralphrc:1: WORKTREE_AUTO_CLEANUP=false has no effect",
        "git worktree add",
        ".ralphrc:2: no setting is called CLAUDE_MODLE",
        "environment: WORKTREE_ENABLED=false has no effect",
    ] {
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
}
