//! Agents that do everything wrong, side by side: each outcome is the right one, and afterwards there is nothing but
//! the work that passed and the branches that are named.

use std::path::Path;
use std::process::Command;

use ralph_tests::{Ran, Repository};
use serde_json::Value;

use crate::outcomes::left_nothing;

/// One bad agent, and what has to become of it.
struct Trial {
    id: &'static str,
    script: &'static str,
    outcome: &'static str,
    /// What the reason has to say.
    reason: &'static str,
    /// Whether unfinished work is kept on a branch.
    keeps: bool,
}

const fn trial(
    id: &'static str,
    script: &'static str,
    outcome: &'static str,
    reason: &'static str,
    keeps: bool,
) -> Trial {
    Trial {
        id,
        script,
        outcome,
        reason,
        keeps,
    }
}

/// Every outcome that spends an attempt, and what agents do to files and processes.
const TRIALS: [Trial; 19] = [
    trial("HANG", "hang", "hung", "no sign of life", false),
    trial(
        "SILENCE",
        "print hello; write silent.txt half; hang",
        "hung",
        "no sign of life",
        true,
    ),
    trial(
        "CRASH",
        "write crash.txt half; error it broke; exit 7",
        "crashed",
        "exit 7: it broke",
        true,
    ),
    trial("ABORT", "abort", "crashed", "signal 6", false),
    trial(
        "UNGUARD",
        "write unguard.txt half; child 300; unguard KILL; hang",
        "crashed",
        "somebody ended its guard",
        true,
    ),
    trial(
        "ENDGUARD",
        "child 300; unguard TERM; hang",
        "crashed",
        "somebody ended its guard",
        false,
    ),
    trial(
        "FORK",
        "child 300; child 300; write fork.txt x",
        "done",
        "",
        false,
    ),
    trial(
        "FORKHANG",
        "child 300; child 300; hang",
        "hung",
        "no sign of life",
        false,
    ),
    trial(
        "RUBBISH",
        "write rubbish.txt bad; commit rubbish",
        "gates_failed",
        "rubbish.txt",
        true,
    ),
    trial(
        "PLAN",
        "write .ralph/fix_plan.md nothing left; write plan.txt x",
        "done",
        "",
        false,
    ),
    trial(
        "DELETE",
        "remove .ralph; write delete.txt x",
        "done",
        "",
        false,
    ),
    trial("FLOOD", "flood 200; write flood.txt x", "done", "", false),
    trial("TOKEN", "write token.txt x; token", "done", "", false),
    trial(
        "STAY",
        "write stay.txt x; print {\"ralph\":\"outcome\",\"outcome\":\"done\"}; hang",
        "done",
        "",
        false,
    ),
    trial("NOTHING", "print I did a lot", "no_change", "", false),
    trial(
        "ASK",
        "print {\"ralph\":\"outcome\",\"outcome\":\"needs_input\",\"prompt\":\"Which colour?\"}",
        "no_change",
        "Which colour?",
        false,
    ),
    trial(
        "DENIED",
        "print {\"ralph\":\"outcome\",\"outcome\":\"permission_denied\",\"message\":\"Bash(rm)\"}",
        "permission_denied",
        "Bash(rm)",
        false,
    ),
    trial(
        "BLOCKED",
        "print {\"ralph\":\"outcome\",\"outcome\":\"blocked\",\"reason\":\"no database\"}",
        "no_change",
        "no database",
        false,
    ),
    trial("GOOD", "write good.txt x; commit good", "done", "", false),
];

/// `ralph` with limits that fit a test, and no breaker in the way.
fn command(repository: &Repository, words: &[&str]) -> Command {
    let mut command = repository.command(words);
    for (name, value) in [
        ("RALPH_SILENCE_TIMEOUT", "2"),
        ("RALPH_AFTER_RESULT_TIMEOUT", "1"),
        ("RALPH_STOP_GRACE", "1"),
        ("RALPH_LIMIT_MARGIN", "1"),
        ("CB_NO_PROGRESS_THRESHOLD", "1000"),
        ("CB_SAME_ERROR_THRESHOLD", "1000"),
        ("CB_PERMISSION_DENIAL_THRESHOLD", "1000"),
    ] {
        command.env(name, value);
    }
    command
}

/// Programs of an agent of this repository that are alive, by the attempt and the home in their environment.
fn survivors(repository: &Repository) -> Vec<String> {
    let home = repository.home().display().to_string();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let alive = |path: &Path| {
        let environment = std::fs::read(path.join("environ")).ok()?;
        let environment = String::from_utf8_lossy(&environment);
        let command = std::fs::read(path.join("cmdline")).ok()?;
        (environment.contains(&home) && environment.contains("RALPH_ATTEMPT_ID="))
            .then(|| String::from_utf8_lossy(&command).replace('\0', " "))
    };
    entries
        .filter_map(|entry| alive(&entry.ok()?.path()))
        .collect()
}

#[track_caller]
fn is_clean(repository: &Repository) {
    left_nothing(repository);
    assert_eq!(survivors(repository), Vec::<String>::new());
    let state = repository.root().join(".ralph/state");
    for folder in ["claims", "attempts"] {
        let left = std::fs::read_dir(state.join(folder)).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{folder} of no loop");
    }
}

fn attempt<'a>(attempts: &'a [Value], id: &str) -> &'a Value {
    let found = attempts.iter().find(|line| {
        line["task"]
            .as_str()
            .is_some_and(|task| task.starts_with(&format!("**{id}.**")))
    });
    found.unwrap_or_else(|| panic!("{id} was not tried: {attempts:?}"))
}

/// Every file of a folder that holds these words.
fn holding(folder: &Path, words: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path, words));
        } else if std::fs::read(&path)
            .is_ok_and(|bytes| bytes.windows(words.len()).any(|w| w == words.as_bytes()))
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[expect(
    clippy::print_stdout,
    reason = "the table is what the test is read for"
)]
fn table(attempts: &[Value]) {
    println!(
        "{:<10} {:<18} {:<18} {:<6} why",
        "agent", "expected", "outcome", "spent"
    );
    for trial in &TRIALS {
        let line = attempt(attempts, trial.id);
        println!(
            "{:<10} {:<18} {:<18} {:<6} {}",
            trial.id,
            trial.outcome,
            line["outcome"].as_str().unwrap_or("none"),
            line["spent"],
            line["reason"].as_str().unwrap_or(""),
        );
    }
}

#[test]
fn every_bad_agent_gets_its_outcome_and_leaves_nothing() {
    let lines: Vec<String> = TRIALS
        .iter()
        .map(|trial| format!("- [ ] **{}.** Trial :: {}", trial.id, trial.script))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let repository = Repository::with_plan(&lines);
    let words = [
        "--parallel",
        "5",
        "--quality-gates",
        "test ! -e rubbish.txt",
    ];
    let ran = Ran::of_command(&mut command(&repository, &words)).ended(3);
    let attempts = repository.attempts();
    table(&attempts);
    assert_eq!(attempts.len(), TRIALS.len(), "{}", ran.stderr);
    for trial in &TRIALS {
        let line = attempt(&attempts, trial.id);
        assert_eq!(line["outcome"], trial.outcome, "{}: {line}", trial.id);
        assert_eq!(line["spent"], true, "{}", trial.id);
        let reason = line["reason"].as_str().unwrap_or("");
        assert!(reason.contains(trial.reason), "{}: {reason}", trial.id);
        let ticked = repository
            .plan()
            .contains(&format!("- [x] **{}.**", trial.id));
        assert_eq!(ticked, trial.outcome == "done", "{}", repository.plan());
        let branch = line["branch"].as_str().unwrap_or("");
        let is_kept = repository.branches().iter().any(|name| name == branch);
        assert_eq!(is_kept, trial.keeps, "{}: {line}", trial.id);
    }
    is_clean(&repository);
    assert_eq!(repository.read("rubbish.txt"), "");
    let logs = repository.root().join(".ralph/logs");
    let size = |entry: std::fs::DirEntry| entry.metadata().map_or(0, |found| found.len());
    let bytes: u64 = std::fs::read_dir(logs)
        .expect("logs")
        .flatten()
        .map(size)
        .sum();
    assert!(
        bytes < 14 << 20,
        "24 MiB were printed by one, {bytes} bytes are kept of all"
    );
    // The agent said it on both streams, as progress and as its summary.
    let secret = "Zz9".repeat(3);
    assert_eq!(holding(&repository.root(), &secret), Vec::<String>::new());
    assert!(!ran.stdout.contains(&secret) && !ran.stderr.contains(&secret));
    assert!(!repository.git(&["log", "--format=%B"]).contains(&secret));
    assert!(!holding(&repository.root().join(".ralph"), "[masked]").is_empty());
}

#[test]
fn a_usage_limit_spends_nothing_and_work_goes_on_when_it_is_over() {
    let repository = Repository::with_plan(&[
        "- [ ] **LIMIT.** Limited :: limit ../../limited 3; write limited.txt x",
        "- [ ] **NEXT.** Next :: write next.txt x",
    ]);
    let words = ["--parallel", "1", "2", "--quality-gates", "none"];
    let ran = Ran::of_command(&mut command(&repository, &words)).ended(0);
    assert!(ran.stderr.contains("waiting until"), "{}", ran.stderr);
    assert!(ran.stderr.contains("resumed"), "{}", ran.stderr);
    let attempts = repository.attempts();
    let spent: Vec<_> = attempts
        .iter()
        .map(|line| {
            (
                line["outcome"].as_str().unwrap_or(""),
                line["spent"].clone(),
            )
        })
        .collect();
    assert_eq!(
        spent,
        [
            ("usage_limit", Value::Bool(false)),
            ("done", Value::Bool(true)),
            ("done", Value::Bool(true))
        ]
    );
    is_clean(&repository);
    // Nothing started before the account was open again, its margin of a second included.
    let log = std::fs::read_to_string(repository.home().join("agent.log")).expect("a log");
    let opens = log.lines().find_map(|line| line.strip_prefix("limit:"));
    let opens = opens.and_then(|line| line.split(' ').next());
    let opens: u128 = opens.expect("a limit").parse().expect("seconds");
    let (_, began, _) = repository.agents()[1];
    assert!(
        began >= (opens + 1) * 1_000_000_000,
        "began {began}, open from {opens}"
    );
    told("usage limit", began, opens + 1);
}

/// How soon an agent ran again; what is measured for good is measured by the bench.
#[expect(
    clippy::print_stdout,
    reason = "the number is what the test is read for"
)]
fn told(what: &str, began: u128, opens: u128) {
    let late = began.saturating_sub(opens * 1_000_000_000) / 1_000_000;
    println!("{what}: the next agent ran {late} ms after the reset and its margin");
}

#[test]
fn a_busy_service_is_tried_again_and_spends_nothing() {
    let repository =
        Repository::with_plan(&["- [ ] **BUSY.** Busy :: throttle ../../busy 1; write busy.txt x"]);
    let words = ["--quality-gates", "none"];
    let _ = Ran::of_command(&mut command(&repository, &words)).ended(0);
    assert_eq!(repository.outcomes(), ["throttled", "done"]);
    assert_eq!(repository.attempts()[0]["spent"], false);
    is_clean(&repository);
}

/// What would end the next agent the same way stops the loop, which says so.
#[test]
fn a_login_that_is_missing_or_a_wrong_start_stops_the_loop() {
    for (outcome, words) in [
        ("auth", "not logged in, or not paid: please log in"),
        (
            "config_error",
            "cannot be started as configured: please log in",
        ),
    ] {
        let line = format!(
            "- [ ] **ONE.** One :: print {{\"ralph\":\"outcome\",\"outcome\":\"{outcome}\",\"message\":\"please log in\"}}; exit 1"
        );
        let repository = Repository::with_plan(&[&line, "- [ ] **TWO.** Two :: write two.txt x"]);
        let ran = Ran::of_command(&mut command(&repository, &["--parallel", "1", "5"])).ended(1);
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
        assert!(ran.stdout.contains(words), "{}", ran.stdout);
        assert_eq!(repository.outcomes(), [outcome]);
        assert_eq!(repository.attempts()[0]["spent"], false);
        assert_eq!(repository.plan().matches("- [ ]").count(), 2);
        is_clean(&repository);
    }
}

#[test]
fn when_only_a_person_can_go_on_the_loop_says_so_with_its_exit_code() {
    let repository = Repository::with_plan(&[
        "- [ ] **ASK.** Ask :: print {\"ralph\":\"outcome\",\"outcome\":\"needs_input\",\"prompt\":\"Which colour?\"}",
    ]);
    let ran = Ran::of_command(&mut command(&repository, &["loop"])).ended(5);
    assert!(
        ran.stderr.contains("needs input: Which colour?"),
        "{}",
        ran.stderr
    );
    is_clean(&repository);
}
