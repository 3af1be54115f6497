//! Dead time between agents and the use of the workers, beside what only starts programs: `xargs -P` and GNU `parallel`.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use xshell::Shell;

use super::process;
use super::repository::Repository;
use super::timeline::{Timeline, percentile};
use crate::bench::cases::Place;
use crate::bench::measure::Times;
use crate::bench::table::{Bound, Figure, Limits, Row};
use crate::setup;

/// What an agent takes.
const EACH: Duration = Duration::from_millis(500);

/// How many workers do how many tasks, and what part of them has to be used.
#[derive(Debug)]
pub(super) struct Crew {
    workers: usize,
    tasks: usize,
    used: f64,
    /// How long a disk that is busy with what was deleted is waited for.
    patience: Duration,
}

/// Enough tasks for a percentile.
pub(super) const FOUR: Crew = Crew {
    workers: 4,
    tasks: 120,
    used: 0.97,
    patience: Duration::ZERO,
};

/// As many as the loop has to hold, often enough that the first start and the last end count little.
const MANY: Crew = Crew {
    workers: 32,
    tasks: 512,
    used: 0.95,
    // What was deleted counts for six minutes.
    patience: Duration::from_secs(7 * 60),
};

/// Where the repository is, for the name of the case.
pub(super) const ON_DISK: &str = "on disk";
const IN_MEMORY: &str = "in memory";
/// A file system in memory, where there is one (shm_overview(7)).
const MEMORY: &str = "/dev/shm";

/// A new file that takes longer is kept waiting by what was deleted.
const CALM: Duration = Duration::from_micros(40);
/// How many new files tell, in how many folders.
const FOLDERS: u32 = 64;
const FILES: u32 = 8;

/// Sixty attempts a second, twice: in memory, which shows what the loop takes, and on the disk, which shows what this
/// disk makes of it. Each attempt makes some sixty files in forty worktrees, and a file system may be slow at that: ext4
/// without a journal looks, for each file that is made, at those that were deleted in the last six minutes, such as by
/// the end of an earlier run. So the disk is given time to forget, and what a new file takes just before is among the
/// figures.
pub(super) fn many(place: &Place) -> anyhow::Result<Vec<Row>> {
    let sh = Shell::new()?;
    let mut rows = Vec::new();
    let folder = Path::new(MEMORY).join(format!("ralph-bench-{}", std::process::id()));
    if sh.create_dir(&folder).is_ok() {
        let place = Place {
            ralph: place.ralph.clone(),
            root: place.root.clone(),
            folder: folder.join("pace"),
            programs: place.programs.clone(),
        };
        let row = pace(&place, &MANY, IN_MEMORY);
        sh.remove_path(&folder)?;
        rows.push(row?);
    } else {
        eprintln!("{MEMORY}: no folder to write in, left out");
    }
    rows.push(pace(place, &MANY, ON_DISK)?);
    Ok(rows)
}

/// A loop over the tasks of a plan, worktrees on, no checks, each result on the base branch; then its peers.
pub(super) fn pace(place: &Place, crew: &Crew, ground: &str) -> anyhow::Result<Row> {
    let task = |number| format!("Task {number} :: write f{number}.txt x; sleep 500");
    let tasks: Vec<String> = (0..crew.tasks).map(task).collect();
    let repository = Repository::new(place, &tasks)?;
    let new_file = calm(&repository, crew.patience)?;
    let (timeline, whole, peak) = ours(&repository, crew)?;
    let done = repository.read("project/.ralph/fix_plan.md");
    let done = done.matches("- [x]").count();
    ensure!(done == crew.tasks, "{done} of {} tasks done", crew.tasks);
    let gaps = timeline.gaps(crew.workers);
    let xargs = peer(&repository, crew, "xargs", &["-n1", "-P"])?;
    let parallel = ["--will-cite", "-n1", "-j"];
    let parallel = if setup::on_path("parallel") {
        Some(peer(&repository, crew, "parallel", &parallel)?)
    } else {
        eprintln!("parallel: not installed, left out");
        None
    };
    let mut figures = vec![
        Figure::new(
            "p99 ms",
            milliseconds(percentile(&gaps, 99)),
            Bound::AtMost(50.0),
        ),
        Figure::new(
            "used",
            timeline.utilization(crew.workers, EACH),
            Bound::AtLeast(crew.used),
        ),
        Figure::new("whole run s", whole.as_secs_f64(), Bound::None),
        Figure::new("a new file ms", milliseconds(new_file), Bound::None),
    ];
    let peers = [("xargs", Some(&xargs)), ("parallel", parallel.as_ref())];
    for (name, peer) in peers {
        let Some(peer) = peer else { continue };
        let gaps = peer.gaps(crew.workers);
        let (p50, p99) = (percentile(&gaps, 50), percentile(&gaps, 99));
        figures.extend([
            Figure::new(format!("{name} median ms"), milliseconds(p50), Bound::None),
            Figure::new(format!("{name} p99 ms"), milliseconds(p99), Bound::None),
            Figure::new(
                format!("{name} used"),
                peer.utilization(crew.workers, EACH),
                Bound::None,
            ),
        ]);
    }
    Ok(Row {
        case: format!(
            "loop, {} workers × {} tasks of 0.5 s, {ground}: dead time",
            crew.workers, crew.tasks
        ),
        ours: times(&gaps),
        compared: Some(times(&xargs.gaps(crew.workers))),
        peak_bytes: peak,
        limits: Limits {
            milliseconds: Some(20),
            ratio: None,
            megabytes: Some(15),
        },
        figures,
    })
}

/// What it takes to make an empty file beside the repository, once that does not get better by waiting.
fn calm(repository: &Repository, patience: Duration) -> anyhow::Result<Duration> {
    // Where the worktrees will be; the loop leaves alone what it does not know.
    let folder = repository.home().join("project-worktrees/new-files");
    let started = Instant::now();
    let mut round = 0;
    loop {
        let took = new_file(&folder.join(round.to_string()))?;
        if took <= CALM || started.elapsed() >= patience {
            return Ok(took);
        }
        if round == 0 {
            let milliseconds = milliseconds(took);
            eprintln!(
                "a new file takes {milliseconds:.2} ms: waiting until the disk has forgotten what was deleted"
            );
        }
        round += 1;
        std::thread::sleep(Duration::from_secs(10));
    }
}

/// The mean of some hundreds, in as many folders as there are worktrees: a file system may put each somewhere else.
fn new_file(folder: &Path) -> anyhow::Result<Duration> {
    let sh = Shell::new()?;
    let mut took = Duration::ZERO;
    for worktree in 0..FOLDERS {
        let folder = folder.join(worktree.to_string());
        sh.create_dir(&folder)?;
        for number in 0..FILES {
            let started = Instant::now();
            File::create(folder.join(number.to_string()))?;
            took += started.elapsed();
        }
    }
    Ok(took / (FOLDERS * FILES))
}

fn ours(repository: &Repository, crew: &Crew) -> anyhow::Result<(Timeline, Duration, Option<u64>)> {
    let workers = crew.workers.to_string();
    let words = ["--parallel", &workers, "--quality-gates", "none"];
    let started = Instant::now();
    let mut child = repository.command(&words)?.spawn()?;
    let mut peak = None;
    let status = loop {
        peak = peak.max(process::peak_memory(child.id()));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    ensure!(status.success(), "the loop ended with {status}");
    let timeline = Timeline::read(&repository.read("agent.log"))?;
    ensure!(
        timeline.agents() == crew.tasks,
        "{} agents",
        timeline.agents()
    );
    Ok((timeline, started.elapsed(), peak))
}

/// The same agents, one after the other in so many places, by a program that does nothing else.
fn peer(
    repository: &Repository,
    crew: &Crew,
    program: &str,
    words: &[&str],
) -> anyhow::Result<Timeline> {
    let name = format!("{program}.log");
    let mut child = Command::new(program)
        .args(words)
        .arg(crew.workers.to_string())
        .arg(repository.agent())
        .env("AGENT_LOG", repository.home().join(&name))
        .env("RALPH_TASK_TEXT", ":: sleep 500")
        .stdin(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {program}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        let numbers: String = (0..crew.tasks)
            .map(|number| format!("{number}\n"))
            .collect();
        std::io::Write::write_all(&mut stdin, numbers.as_bytes())?;
    }
    let status = child.wait()?;
    ensure!(status.success(), "{program} ended with {status}");
    Timeline::read(&repository.read(&name))
}

fn times(sorted: &[Duration]) -> Times {
    Times {
        median: percentile(sorted, 50),
        least: sorted.first().copied().unwrap_or_default(),
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
