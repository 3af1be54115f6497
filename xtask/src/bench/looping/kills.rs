//! Loops that are told to end, or killed: what is left then, and after the next start.

use std::collections::BTreeMap;
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::process::{self, wait_until};
use super::repository::Repository;
use crate::bench::cases::{Place, one_time};
use crate::bench::table::{Bound, Figure, Limits, Row};

const TRIALS: u32 = 100;
const KILLS: u32 = 200;
/// The moments follow from it.
const SEED: u64 = 20_261_126;
const WORKERS: &str = "3";

/// Agents with children that ignore TERM; the loop is told to end. How long until nothing of them runs.
pub(super) fn orphans(place: &Place, signal: &str) -> anyhow::Result<Row> {
    let tasks: Vec<String> = (0..4)
        .map(|number| format!("Task {number} :: child 300; write f{number}.txt x; hang"))
        .collect();
    let repository = Repository::new(place, &tasks)?;
    let words = ["--parallel", "2", "--quality-gates", "none"];
    let (mut whole, mut longest) = (Duration::ZERO, Duration::ZERO);
    for trial in 0..TRIALS {
        std::fs::File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .open(repository.agent_log())?;
        let mut command = repository.command(&words)?;
        let mut child = command.env("RALPH_STOP_GRACE", "0.1").spawn()?;
        let sleepers = || {
            let of_attempts = process::of_attempts(repository.home());
            of_attempts
                .iter()
                .filter(|pid| process::name(**pid) == "sleep")
                .count()
        };
        wait_until("both agents have children", || sleepers() == 2)?;
        let started = Instant::now();
        if signal == "KILL" {
            child.kill()?;
            child.wait()?;
        } else {
            process::stop(&mut child, signal)?;
        }
        let left = || process::of_attempts(repository.home());
        wait_until("nothing of its agents runs", || left().is_empty())
            .with_context(|| format!("{signal}, trial {trial}: orphans {:?}", left()))?;
        whole += started.elapsed();
        longest = longest.max(started.elapsed());
    }
    Ok(Row {
        case: format!("{signal} to the loop, {TRIALS} trials, until nothing runs"),
        ours: one_time(u64::try_from((whole / TRIALS).as_nanos())?),
        compared: None,
        peak_bytes: None,
        limits: Limits {
            milliseconds: None,
            ratio: None,
            megabytes: None,
        },
        figures: vec![
            Figure::new("orphans", 0.0, Bound::AtMost(0.0)),
            Figure::new("longest ms", longest.as_secs_f64() * 1_000.0, Bound::None),
        ],
    })
}

/// The loop is killed at random moments, each third time with its guards, and started again each time.
pub(super) fn kills(place: &Place) -> anyhow::Result<Row> {
    let mut random = Random(SEED);
    // More than are done until the last kill.
    let tasks: Vec<String> = (0..KILLS * 3)
        .map(|number| {
            let pause = random.below(80);
            format!(
                "Task {number} :: write f{number}.txt {number}; sleep {pause}; commit task {number}"
            )
        })
        .collect();
    let repository = Repository::new(place, &tasks)?;
    let words = ["--parallel", WORKERS, "--quality-gates", "none"];
    let started = Instant::now();
    let mut with_guards = 0;
    let mut finished = 0;
    for kill in 0..KILLS {
        let mut child = repository.command(&words)?.spawn()?;
        let moment = Duration::from_millis(random.below(600));
        std::thread::sleep(moment);
        if let Some(status) = child.try_wait()? {
            ensure!(
                status.success(),
                "kill {kill}: the loop ended with {status}"
            );
            finished += 1;
            continue;
        }
        let is_with_guards = kill % 3 == 2;
        with_guards += u32::from(is_with_guards);
        end(&mut child, is_with_guards)?;
        if !is_with_guards {
            let left = || process::of_attempts(repository.home());
            wait_until("nothing of its agents runs", || left().is_empty())
                .with_context(|| format!("kill {kill} after {moment:?}"))?;
        }
    }
    repository.run(&words)?;
    let left = || process::of_attempts(repository.home());
    wait_until("nothing runs in the end", || left().is_empty())?;
    let lost = verify(&repository, tasks.len())?;
    Ok(Row {
        case: format!("kill -9 at {KILLS} moments (seed {SEED}), then all done once; a round"),
        ours: one_time(u64::try_from((started.elapsed() / KILLS).as_nanos())?),
        compared: None,
        peak_bytes: None,
        limits: Limits {
            milliseconds: None,
            ratio: None,
            megabytes: None,
        },
        figures: vec![
            Figure::new("with guards", f64::from(with_guards), Bound::None),
            Figure::new(
                "kills",
                f64::from(KILLS - finished),
                Bound::AtLeast(f64::from(KILLS)),
            ),
            Figure::new("commits lost", lost, Bound::AtMost(0.0)),
        ],
    })
}

fn end(child: &mut Child, with_guards: bool) -> anyhow::Result<()> {
    if with_guards {
        // Stopped, so that neither sees the other's end.
        process::signal("STOP", &[child.id()])?;
        process::signal("KILL", &process::guards(child.id()))?;
    }
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// Each task is ticked, in one commit, recorded as done once; nothing of a crash is left but named branches; each
/// commit of an agent is on a branch or its task is done by it. The answer is how many commits are lost.
fn verify(repository: &Repository, tasks: usize) -> anyhow::Result<f64> {
    let plan = repository.read("project/.ralph/fix_plan.md");
    let ticks = plan.matches("- [x]").count();
    ensure!(ticks == tasks, "{ticks} of {tasks} tasks are ticked");
    for number in 0..tasks {
        let path = format!("f{number}.txt");
        let commits = repository.git(&["log", "--format=%h", "main", "--", &path])?;
        ensure!(commits.lines().count() == 1, "{path}: commits {commits:?}");
    }
    let status = repository.git(&["status", "--porcelain"])?;
    ensure!(status.is_empty(), "git status: {status}");
    let worktrees = repository.git(&["worktree", "list"])?;
    ensure!(worktrees.lines().count() == 1, "worktrees: {worktrees}");
    let attempts = std::fs::read_dir(repository.root().join(".ralph/state/attempts"))?.count();
    ensure!(attempts == 0, "{attempts} attempts are not over");
    let outcomes = outcomes(repository)?;
    let done = outcomes
        .values()
        .filter(|outcome| *outcome == "done")
        .count();
    ensure!(done == tasks, "{done} attempts are recorded as done");
    let kept = repository.git(&["rev-list", "--branches"])?;
    let log = repository.read("agent.log");
    let commits = log.lines().filter_map(|line| {
        let mut words = line.strip_prefix("commit:")?.split(' ');
        Some((words.next()?, words.next()?))
    });
    let is_lost = |(commit, attempt): &(&str, &str)| {
        outcomes
            .get(*attempt)
            .is_none_or(|outcome| outcome != "done")
            && !kept.contains(commit)
    };
    let lost: Vec<(&str, &str)> = commits.filter(is_lost).collect();
    for (commit, attempt) in &lost {
        eprintln!("lost: {commit} of {attempt}, {:?}", outcomes.get(*attempt));
    }
    Ok(f64::from(u32::try_from(lost.len())?))
}

/// The outcome of each attempt; twice the same attempt is an error.
fn outcomes(repository: &Repository) -> anyhow::Result<BTreeMap<String, String>> {
    let mut outcomes = BTreeMap::new();
    for line in repository.read("project/.ralph/attempts.jsonl").lines() {
        let Ok(value) = serde_json::from_str::<serde_json::Value>(line) else {
            continue;
        };
        let text = |name: &str| value[name].as_str().unwrap_or("").to_owned();
        let before = outcomes.insert(text("attempt"), text("outcome"));
        ensure!(before.is_none(), "recorded twice: {line}");
    }
    Ok(outcomes)
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
