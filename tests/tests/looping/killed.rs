//! A loop that is killed, started again: each task is done once, nothing runs on, no commit is lost, and never more
//! attempts are spent than there are.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ralph_tests::{Repository, wait_until};
use serde_json::Value;

use crate::continuous::sleepers;

const WORDS: [&str; 4] = ["--parallel", "3", "--quality-gates", "none"];

/// Kills the loop's own process, as the kernel would.
fn kill(running: &mut Child) {
    running.kill().expect("a process to kill");
    running.wait().expect("it ends");
}

/// Kills the loop and each of its guards, so that nobody is left who could end the agents: the loop is stopped first,
/// and so neither sees the other's end.
fn kill_with_guards(running: &mut Child) {
    let pid = running.id();
    signal("-STOP", &[&pid.to_string()]);
    // Each thread lists its own children, and guards are started by several.
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        // It has come to its own end.
        return;
    };
    let children: String = threads
        .flatten()
        .map(|thread| {
            let children = std::fs::read_to_string(thread.path().join("children"));
            children.unwrap_or_default() + " "
        })
        .collect();
    let guards = children.split_whitespace().filter(|child| {
        let words = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).contains("__guard")
    });
    let guards: Vec<&str> = guards.collect();
    signal("-KILL", &guards);
    kill(running);
}

fn signal(name: &str, pids: &[&str]) {
    let mut command = Command::new("kill");
    command.arg(name).args(pids).stderr(Stdio::null());
    command.status().expect("kill");
}

/// Numbers that are the same on every machine (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
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
    taken_up_again(&repository);
}

#[test]
fn what_a_killed_guard_leaves_is_ended_at_the_next_start() {
    let repository = Repository::with_plan(&[
        "- [ ] One :: append ../../ran.log one; write one.txt x; child 300; wait ../../go",
        "- [ ] Two :: append ../../ran.log two; write two.txt x; orphan 300; wait ../../go",
    ]);
    let mut running = repository.start(&["--parallel", "2", "10", "--quality-gates", "none"]);
    wait_until("agents have children", || {
        sleepers(&repository) == 1 && nameless(&repository) == 1
    });
    kill_with_guards(&mut running);
    assert_eq!(
        (sleepers(&repository), nameless(&repository)),
        (1, 1),
        "nobody is left who could end them"
    );
    taken_up_again(&repository);
    assert_eq!((sleepers(&repository), nameless(&repository)), (0, 0));
}

/// Children that know nothing of their attempt, by their folder.
fn nameless(repository: &Repository) -> usize {
    let home = repository.home().canonicalize().expect("a folder");
    let entries = std::fs::read_dir("/proc").expect("/proc");
    let is_one = |entry: &std::fs::DirEntry| {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        let folder = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        name.trim_end() == "sleep" && environment.is_empty() && folder.starts_with(&home)
    };
    entries.flatten().filter(is_one).count()
}

fn taken_up_again(repository: &Repository) {
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
    let outcomes = repository.outcomes();
    assert_eq!(outcomes.iter().filter(|word| *word == "done").count(), 2);
    // The half-done work of the killed attempts is kept and named.
    assert_eq!(repository.branches().len(), 2);
}

#[test]
fn killed_at_random_moments_each_task_is_done_once_seed_1() {
    done_once(1, kill);
}

#[test]
fn killed_with_its_guards_at_random_moments_each_task_is_done_once_seed_2() {
    done_once(2, kill_with_guards);
}

/// The agents of a few tasks write, wait and commit, while the loop is killed again and again.
fn done_once(seed: u64, kill: fn(&mut Child)) {
    const TASKS: usize = 12;
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let lines: Vec<String> = (0..TASKS)
        .map(|number| {
            let pause = random.below(60);
            format!("- [ ] Task {number} :: write f{number}.txt {number}; sleep {pause}; commit task {number}")
        })
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let repository = Repository::with_plan(&lines);
    for _ in 0..8 {
        kill_at(&repository, &WORDS, &mut random, kill);
        one_state_each(&repository, TASKS);
    }
    let ran = repository.ralph(&WORDS).ended(0);
    assert_eq!(
        one_state_each(&repository, TASKS),
        TASKS,
        "{}\n{}\n{}\n{}",
        ran.stderr,
        repository.plan(),
        repository.read(".ralph/attempts.jsonl"),
        repository.git(&["log", "--oneline", "--all"]),
    );
    let added = repository.git(&["log", "--format=%H", "--diff-filter=A", "--", "f*.txt"]);
    assert_eq!(added.lines().count(), TASKS, "each task is in one commit");
    assert_eq!(
        (repository.status(), repository.worktrees().len()),
        (String::new(), 0)
    );
    nothing_is_lost(&repository, TASKS);
}

/// Lets a loop run until its agents have done a random number of steps, and a random moment more: whatever it does just
/// then is cut off, on a slow machine too.
fn kill_at(repository: &Repository, words: &[&str], random: &mut Random, kill: fn(&mut Child)) {
    let steps = || {
        let log = std::fs::read_to_string(repository.home().join("agent.log"));
        log.unwrap_or_default().lines().count() as u64
    };
    let mut running = repository.start(words);
    let wanted = steps() + random.below(4);
    wait_until("agents work, or all is done", || {
        steps() >= wanted || running.try_wait().expect("a child").is_some()
    });
    std::thread::sleep(Duration::from_millis(random.below(50)));
    kill(&mut running);
    // A git of the killed loop lives for a moment, and what it writes can be seen half written.
    wait_until("no git runs on", || gits(repository) == 0);
}

/// Living gits, by their folder.
fn gits(repository: &Repository) -> usize {
    let home = repository.home().canonicalize().expect("a folder");
    let entries = std::fs::read_dir("/proc").expect("/proc");
    let is_one = |entry: &std::fs::DirEntry| {
        let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        let folder = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        name.trim_end() == "git" && folder.starts_with(&home)
    };
    entries.flatten().filter(is_one).count()
}

/// The plan has each task once, in one of three states; how many are ticked. No attempt is recorded twice.
fn one_state_each(repository: &Repository, tasks: usize) -> usize {
    let plan = repository.plan();
    let rows = |mark: &str| plan.matches(&format!("- [{mark}] Task ")).count();
    assert_eq!(rows(" ") + rows("~") + rows("x"), tasks, "{plan}");
    let names: BTreeSet<&str> = plan
        .lines()
        .filter_map(|line| line.split_once("] Task ").map(|(_, name)| name))
        .collect();
    assert_eq!(names.len(), tasks, "{plan}");
    let attempts = repository.attempts();
    let ids: BTreeSet<&str> = attempts
        .iter()
        .filter_map(|line| line["attempt"].as_str())
        .collect();
    assert_eq!(ids.len(), attempts.len(), "an attempt is recorded twice");
    rows("x")
}

/// Each commit that an agent made is on a branch, or is what its task was done with.
fn nothing_is_lost(repository: &Repository, tasks: usize) {
    let attempts = repository.attempts();
    let done: BTreeSet<&str> = attempts
        .iter()
        .filter(|line| line["outcome"] == "done")
        .filter_map(|line| line["attempt"].as_str())
        .collect();
    assert_eq!(done.len(), tasks);
    let kept = repository.git(&["rev-list", "--branches"]);
    let log = std::fs::read_to_string(repository.home().join("agent.log")).expect("a log");
    for line in log.lines() {
        let Some((commit, rest)) = line
            .strip_prefix("commit:")
            .and_then(|line| line.split_once(' '))
        else {
            continue;
        };
        let attempt = rest.split(' ').next().unwrap_or("");
        assert!(
            done.contains(attempt) || kept.contains(commit),
            "{commit} of {attempt} is lost: {attempts:?}"
        );
    }
}

#[test]
fn however_often_it_is_killed_no_more_attempts_are_spent_than_there_are_seed_3() {
    spent_at_most(3, kill);
}

#[test]
fn however_often_it_is_killed_with_its_guards_no_more_attempts_are_spent_than_there_are_seed_4() {
    spent_at_most(4, kill_with_guards);
}

/// Plan, budget and records together: a budget that outlives the loops, tasks that succeed, fail and change nothing.
fn spent_at_most(seed: u64, kill: fn(&mut Child)) {
    const TASKS: usize = 14;
    const ATTEMPTS: u64 = 9;
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let scripts = [
        "write f#.txt x",
        "exit 1",
        "print nothing",
        "write f#.txt x; commit f#",
    ];
    let lines: Vec<String> = (0..TASKS)
        .map(|number| {
            let script = scripts[number % scripts.len()].replace('#', &number.to_string());
            format!(
                "- [ ] Task {number} :: sleep {}; {script}",
                random.below(40)
            )
        })
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let repository = Repository::with_plan(&lines);
    // Which of the tasks are cut off is chance, and so is how many fail in a row: that is not what is counted here.
    let circuit = "CB_NO_PROGRESS_THRESHOLD=100\nCB_SAME_ERROR_THRESHOLD=100\n";
    repository.write(".ralphrc", circuit);
    repository.git(&["add", "-A"]);
    repository.git(&["commit", "-q", "-m", "No circuit breaker"]);
    let folder = budget(&repository, ATTEMPTS);
    let folder = folder.display().to_string();
    let mut words = WORDS.to_vec();
    words.extend(["--budget", &folder, "--max-task-attempts", "2"]);
    for _ in 0..6 {
        kill_at(&repository, &words, &mut random, kill);
        one_state_each(&repository, TASKS);
        spent(&repository, &folder, ATTEMPTS);
    }
    let _ = repository.ralph(&words);
    let ticked = one_state_each(&repository, TASKS);
    let (in_ledger, in_records) = spent(&repository, &folder, ATTEMPTS);
    assert_eq!(in_ledger, ATTEMPTS, "none is left");
    assert_eq!(in_records, ATTEMPTS, "ledger and records say the same");
    assert!(!repository.plan().contains("[~]"), "{}", repository.plan());
    let outcomes = repository.outcomes();
    let done = outcomes.iter().filter(|word| *word == "done").count();
    assert_eq!(ticked, done, "{}", repository.plan());
    assert_eq!(
        (repository.status(), repository.worktrees().len()),
        (String::new(), 0)
    );
}

/// A budget as the launcher makes it.
fn budget(repository: &Repository, attempts: u64) -> PathBuf {
    let terms = format!("{{\"schema_version\": 1, \"workers\": 3, \"attempts\": {attempts}}}\n");
    repository.write("../budget/terms.json", &terms);
    repository.home().join("budget")
}

/// Attempts that count, by the ledger and by the records.
fn spent(repository: &Repository, folder: &str, most: u64) -> (u64, u64) {
    let ledger = std::fs::read_to_string(PathBuf::from(folder).join("attempts.jsonl"));
    let ledger = ledger.unwrap_or_default();
    let counted: BTreeSet<String> = ledger
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["event"] == "spent")
        .filter_map(|line| Some(line["attempt"].as_str()?.to_owned()))
        .collect();
    let attempts = repository.attempts();
    let recorded = attempts.iter().filter(|line| line["spent"] == true).count();
    let sums = (counted.len() as u64, recorded as u64);
    assert!(sums.0 <= most && sums.1 <= most, "{sums:?} of {most}");
    sums
}
