//! What the launcher answers, as data: the shapes behind `--json`. Members may be added, none is ever removed.

use std::collections::BTreeMap;

use ralph_core::time::Timestamp;
use ralph_front::SCHEMA_VERSION;
use ralph_loop::budget::Budget;
use schemars::JsonSchema;
use serde::Serialize;

use crate::gate::Refusal;
use crate::layout::Layout;
use crate::log_text;
use crate::record::State;
use crate::standing::Standing;
use crate::sweep::Swept;

/// As many lines of a failed loop's log as are shown.
const SHOWN_LINES: usize = 30;

/// A knob as it was resolved.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Knob {
    /// Its name, as in the banner.
    pub(crate) name: &'static str,
    /// Its value.
    pub(crate) value: String,
    /// Where it was found.
    pub(crate) origin: String,
}

/// A loop of a launch.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LoopOrder {
    /// The repository.
    pub(crate) repository: String,
    /// Its folder.
    pub(crate) folder: String,
    /// The loop's program and its arguments.
    pub(crate) command: Vec<String>,
    /// Its log, relative to the workbench.
    pub(crate) log: String,
    /// The supervisor, once it runs.
    pub(crate) pid: Option<u32>,
    /// The job, with `--on cluster`.
    pub(crate) job: Option<String>,
    /// Why it was not started.
    pub(crate) error: Option<String>,
}

/// A reason against a launch.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RefusalRow {
    /// Its class.
    pub(crate) code: &'static str,
    /// The number of its class.
    pub(crate) exit_code: u8,
    /// What was found.
    pub(crate) message: String,
    /// What to do.
    pub(crate) fix: String,
}

impl From<&Refusal> for RefusalRow {
    fn from(refusal: &Refusal) -> Self {
        Self {
            code: refusal.code.name(),
            exit_code: refusal.code.exit_code(),
            message: refusal.message.clone(),
            fix: refusal.fix.clone(),
        }
    }
}

/// A launch, or what it would be.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LaunchReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// The launch; null when nothing was started.
    pub(crate) launch: Option<String>,
    /// Whether it was only shown.
    pub(crate) dry_run: bool,
    /// The knobs.
    pub(crate) knobs: Vec<Knob>,
    /// The loops.
    pub(crate) loops: Vec<LoopOrder>,
    /// Registered repositories that were passed over for want of a plan.
    pub(crate) without_plan: Vec<String>,
    /// What stands against it; nothing is started then.
    pub(crate) refusals: Vec<RefusalRow>,
}

/// A loop as it is.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct LoopRow {
    /// The repository.
    pub(crate) repository: String,
    /// How it is.
    pub(crate) state: State,
    /// The supervisor while it runs; the loop itself where that is orphaned.
    pub(crate) pid: Option<u32>,
    /// The job, with `--on cluster`.
    pub(crate) job: Option<String>,
    /// Exit code, or 128 and the signal.
    pub(crate) exit_code: Option<i32>,
    /// Why, where more is known than the code.
    pub(crate) reason: Option<String>,
    /// The launch.
    pub(crate) launch: String,
    /// When it was launched.
    pub(crate) launched: Timestamp,
    /// When it ended.
    pub(crate) ended: Option<Timestamp>,
    /// Its log, relative to the workbench.
    pub(crate) log: String,
    /// The last line of it.
    pub(crate) last_line: String,
    /// The end of it, where the loop failed or was lost.
    pub(crate) last_lines: Vec<String>,
    /// Attempts that were spent.
    pub(crate) attempts: Option<u64>,
    /// Tasks that are not done.
    pub(crate) tasks_left: Option<u64>,
    /// US dollars.
    pub(crate) cost_usd: Option<f64>,
    /// Pull requests.
    pub(crate) pull_requests: Vec<String>,
}

impl LoopRow {
    /// A row from a look.
    pub(crate) fn new(standing: &Standing, layout: &Layout) -> Self {
        let record = &standing.record;
        let log = layout.log(&record.repository);
        let work = standing.work(layout);
        let went_wrong = matches!(standing.state, State::Failed | State::Lost);
        let last_lines = if went_wrong {
            log_text::last_lines(&log, record.log_from, SHOWN_LINES)
        } else {
            Vec::new()
        };
        let job = record.job.as_ref().and_then(|job| job.job);
        Self {
            repository: record.repository.clone(),
            state: standing.state,
            pid: standing.pid,
            job: job.map(|job| job.to_string()),
            exit_code: standing.exit_code,
            reason: standing.reason.clone(),
            launch: record.launch.clone(),
            launched: record.launched,
            ended: standing.ended,
            log: layout.shown(&log),
            last_line: standing.last_line(layout),
            last_lines,
            attempts: work.figures.attempts,
            tasks_left: work.figures.tasks_left,
            cost_usd: work.figures.cost_usd,
            pull_requests: work.pull_requests,
        }
    }
}

/// A pidfile that no loop of ours stands behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct ForeignRow {
    /// The file, relative to the workbench.
    pub(crate) file: String,
    /// What is written in it.
    pub(crate) pid: Option<u32>,
    /// Whether a process that may be meant is alive.
    pub(crate) alive: bool,
}

/// A loop that runs in a registered repository and that no launch here knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct ByHandRow {
    /// The repository.
    pub(crate) repository: String,
    /// The loop's process, where it says who it is.
    pub(crate) pid: Option<u32>,
}

/// What a launch has come to, of whose loops at least one is the last of its repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct LaunchRow {
    /// The launch.
    pub(crate) launch: String,
    /// The repositories whose last loop is of this launch.
    pub(crate) repositories: Vec<String>,
    /// Attempts that were spent, of all its loops together.
    pub(crate) attempts: u64,
    /// M; null in batch mode.
    pub(crate) max_tasks: Option<u64>,
}

/// All loops, and their sums.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct StatusReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// The loops, by the name of the repository.
    pub(crate) loops: Vec<LoopRow>,
    /// Pidfiles of other launchers.
    pub(crate) foreign: Vec<ForeignRow>,
    /// Loops that were started in the registered repositories by hand.
    pub(crate) by_hand: Vec<ByHandRow>,
    /// The launches that these loops are of, the last one first.
    pub(crate) launches: Vec<LaunchRow>,
    /// Attempts that were spent in the last launch.
    pub(crate) attempts: u64,
    /// M of the last launch; null in batch mode.
    pub(crate) max_tasks: Option<u64>,
    /// Tasks that are not done, in all these repositories.
    pub(crate) tasks_left: u64,
    /// US dollars, of all these loops.
    pub(crate) cost_usd: f64,
    /// Pull requests, of all these loops.
    pub(crate) pull_requests: usize,
    /// Records that could not be read, and the like.
    pub(crate) problems: Vec<String>,
}

impl StatusReport {
    /// The report on loops.
    pub(crate) fn new(
        standings: &[Standing],
        foreign: Vec<ForeignRow>,
        by_hand: Vec<ByHandRow>,
        problems: Vec<String>,
        layout: &Layout,
    ) -> Self {
        let loops: Vec<LoopRow> = standings
            .iter()
            .map(|standing| LoopRow::new(standing, layout))
            .collect();
        let launches = launches(standings, &loops, layout);
        let last = launches.first();
        Self {
            schema_version: SCHEMA_VERSION,
            attempts: last.map_or(0, |launch| launch.attempts),
            max_tasks: last.and_then(|launch| launch.max_tasks),
            launches,
            tasks_left: loops.iter().filter_map(|row| row.tasks_left).sum(),
            cost_usd: loops
                .iter()
                .filter_map(|row| row.cost_usd)
                .fold(0.0, |sum, cost| sum + cost),
            pull_requests: loops.iter().map(|row| row.pull_requests.len()).sum(),
            loops,
            foreign,
            by_hand,
            problems,
        }
    }
}

/// The launches of these loops, the last one first. What a launch has spent stands in its ledger, also for loops whose
/// repositories were launched again since; where its loops share none, the rows say it.
fn launches(standings: &[Standing], rows: &[LoopRow], layout: &Layout) -> Vec<LaunchRow> {
    let mut launches: BTreeMap<&str, LaunchRow> = BTreeMap::new();
    for (standing, row) in standings.iter().zip(rows) {
        let record = &standing.record;
        let launch = launches.entry(&record.launch).or_insert_with(|| LaunchRow {
            launch: record.launch.clone(),
            repositories: Vec::new(),
            attempts: 0,
            max_tasks: record.max_tasks,
        });
        launch.repositories.push(record.repository.clone());
        // A bare record does not know.
        launch.max_tasks = launch.max_tasks.or(record.max_tasks);
        launch.attempts += row.attempts.unwrap_or(0);
    }
    for launch in launches.values_mut() {
        if let Ok(ledger) = Budget::look(&layout.budget(&launch.launch)) {
            launch.attempts = ledger.spent;
        }
    }
    launches.into_values().rev().collect()
}

/// The second name of the program.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LinkReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// The link.
    pub(crate) link: String,
    /// The program that it leads to.
    pub(crate) program: String,
    /// Whether it was made just now; else it was there already.
    pub(crate) made: bool,
}

/// A cell of `EPIC-PIPELINE.md` that changed.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CellRow {
    /// The row, by its first cell.
    pub(crate) row: String,
    /// What its Exec cell says now.
    pub(crate) exec: &'static str,
}

/// A sweep.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SweepReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// The loops whose end was written down.
    pub(crate) swept: Vec<LoopRow>,
    /// The cells that changed.
    pub(crate) cells: Vec<CellRow>,
    /// The pidfiles that were removed.
    pub(crate) pid_files: Vec<String>,
    /// What could not be done.
    pub(crate) problems: Vec<String>,
}

impl SweepReport {
    /// The report on a sweep.
    pub(crate) fn new(swept: &Swept, rows: Vec<LoopRow>) -> Self {
        let cells = swept.cells.iter().map(|cell| CellRow {
            row: cell.row.clone(),
            exec: cell.exec,
        });
        Self {
            schema_version: SCHEMA_VERSION,
            swept: rows,
            cells: cells.collect(),
            pid_files: swept.pid_files.clone(),
            problems: swept.problems.clone(),
        }
    }
}

/// A stop.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StopReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// The loops that were asked to stop, as they are now.
    pub(crate) loops: Vec<LoopRow>,
}

#[cfg(test)]
mod tests {
    use ralph_core::process::Identity;
    use ralph_loop::budget::{Settlement, Terms};
    use ralph_loop::outcome::AttemptId;

    use super::*;
    use crate::record::{Figures, LoopRecord, Settled};

    const FORMER: &str = "20261126_213300-00000001";
    const LATER: &str = "20261127_120000-00000002";

    fn standing(repository: &str, launch: &str, max_tasks: u64, attempts: u64) -> Standing {
        let settled = Settled {
            state: State::Done,
            exit_code: Some(0),
            reason: None,
            ended: None,
            pull_requests: Vec::new(),
            figures: Figures {
                attempts: Some(attempts),
                ..Figures::default()
            },
            in_pipeline: true,
        };
        let record = LoopRecord {
            max_tasks: Some(max_tasks),
            settled: Some(settled),
            ..LoopRecord::new(repository, launch, Timestamp::UNIX_EPOCH)
        };
        Standing {
            record,
            state: State::Done,
            pid: None,
            exit_code: Some(0),
            reason: None,
            ended: None,
        }
    }

    /// Of three repositories one was launched again, with a budget of its own.
    #[test]
    fn attempts_are_told_of_the_launch_that_spent_them() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path().to_owned());
        let standings = [
            standing("svc-a", LATER, 3, 1),
            standing("svc-b", FORMER, 9, 4),
            standing("svc-c", FORMER, 9, 2),
        ];
        let told = || {
            let report = StatusReport::new(&standings, Vec::new(), Vec::new(), Vec::new(), &layout);
            assert_eq!((report.attempts, report.max_tasks), (1, Some(3)));
            let launches = report.launches.iter();
            let told: Vec<_> = launches
                .map(|one| (one.repositories.join(" "), one.attempts, one.max_tasks))
                .collect();
            told
        };
        let later = ("svc-a".to_owned(), 1, Some(3));
        let former = |attempts| ("svc-b svc-c".to_owned(), attempts, Some(9));
        assert_eq!(told(), [later.clone(), former(6)]);
        // The ledger knows what the record of the repository that was launched again has forgotten.
        let terms = Terms {
            workers: 1,
            attempts: Some(9),
        };
        let budget = Budget::create(&layout.budget(FORMER), &terms).unwrap();
        let owner = Identity::of(std::process::id()).unwrap();
        for number in 1..=7 {
            let attempt: AttemptId = format!("20261126_213300-0000000{number}").parse().unwrap();
            let _ = budget.reserve(&attempt, "svc", &owner).unwrap();
            let _ = budget.settle(&attempt, Settlement::Spent).unwrap();
        }
        assert_eq!(told(), [later, former(7)]);
    }
}
