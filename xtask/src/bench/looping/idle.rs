//! A loop whose agents all sleep, and one whose account has met its limit.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::process::{self, wait_until};
use super::repository::Repository;
use super::timeline::Timeline;
use crate::bench::cases::{Place, one_time};
use crate::bench::table::{Bound, Figure, Limits, Row};

const WORKERS: usize = 32;
const MINUTE: Duration = Duration::from_secs(60);
/// Added to a limit's reset, in seconds.
const MARGIN: &str = "0.5";

/// Memory and processor time of the loop while 32 agents sleep for a minute.
pub(super) fn idle(place: &Place) -> anyhow::Result<Row> {
    let tasks: Vec<String> = (0..2 * WORKERS)
        .map(|number| format!("Task {number} :: hang"))
        .collect();
    let repository = Repository::new(place, &tasks)?;
    let workers = WORKERS.to_string();
    let words = ["--parallel", &workers, "--quality-gates", "none"];
    let mut child = repository
        .command(&words)?
        .env("RALPH_STOP_GRACE", "0.2")
        .spawn()?;
    let pid = child.id();
    wait_until("all agents run", || {
        repository.read("agent.log").matches("begin").count() == WORKERS
    })?;
    // The attempts that are made ready ahead are still to come.
    std::thread::sleep(Duration::from_secs(5));
    let before = process::ticks(pid).context("the loop is gone")?;
    let started = Instant::now();
    std::thread::sleep(MINUTE);
    let after = process::ticks(pid).context("the loop is gone")?;
    let peak = process::peak_memory(pid);
    let guards = process::guards(pid);
    let guard = guards
        .iter()
        .filter_map(|guard| process::peak_memory(*guard));
    let guard_megabytes = guard.max().map_or(0, |bytes| bytes / 100_000);
    let time = started.elapsed();
    process::stop(&mut child, "INT")?;
    Ok(Row {
        case: format!("loop, {WORKERS} agents asleep for a minute"),
        ours: one_time(u64::try_from(time.as_nanos())?),
        compared: None,
        peak_bytes: peak,
        limits: Limits {
            milliseconds: None,
            ratio: None,
            megabytes: Some(15),
        },
        figures: vec![
            Figure::new("ticks of 10 ms", number(after - before), Bound::AtMost(1.0)),
            Figure::new(
                "largest guard, 0.1 MB",
                number(guard_megabytes),
                Bound::None,
            ),
        ],
    })
}

/// One agent meets a usage limit that is over in 3 s: nothing is spent, and work goes on in time.
pub(super) fn limit(place: &Place) -> anyhow::Result<Row> {
    let met = place.folder.join("limit-met");
    let tasks = [
        format!("First :: limit {} 3; write a.txt x", met.display()),
        "Second :: write b.txt x; sleep 100".to_owned(),
    ];
    let repository = Repository::new(place, &tasks)?;
    // Two attempts for two tasks: one that was spent on the limit would be missed.
    let words = ["--parallel", "1", "2", "--quality-gates", "none"];
    let mut child = repository
        .command(&words)?
        .env("RALPH_LIMIT_MARGIN", MARGIN)
        .spawn()?;
    let status = process::ended(&mut child)?;
    ensure!(status.success(), "the loop ended with {status}");
    let log = repository.read("agent.log");
    let reset: u64 = log
        .lines()
        .find_map(|line| line.strip_prefix("limit:")?.split(' ').next()?.parse().ok())
        .context("no limit was met")?;
    let timeline = Timeline::read(&log)?;
    let resumed = timeline.begin(1).context("work did not go on")?;
    let records = repository.read("project/.ralph/attempts.jsonl");
    let spent = records.matches(r#""spent":true"#).count();
    let after = resumed.saturating_sub(reset * 1_000_000_000);
    Ok(Row {
        case: format!("usage limit, start after the reset (margin {MARGIN} s)"),
        ours: one_time(after),
        compared: None,
        peak_bytes: None,
        limits: Limits {
            milliseconds: Some(5_500),
            ratio: None,
            megabytes: None,
        },
        figures: vec![
            Figure::new(
                "agents",
                number(timeline.agents() as u64),
                Bound::AtLeast(3.0),
            ),
            Figure::new("attempts spent", number(spent as u64), Bound::AtMost(2.0)),
        ],
    })
}

fn number(value: u64) -> f64 {
    f64::from(u32::try_from(value).unwrap_or(u32::MAX))
}
