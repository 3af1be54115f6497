//! What the launcher answers, as data: the shapes behind `--json`. Members may be added, none is ever removed.

use ralph_core::time::Timestamp;
use ralph_front::SCHEMA_VERSION;
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

/// All loops, and their sums.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct StatusReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// The loops, by the name of the repository.
    pub(crate) loops: Vec<LoopRow>,
    /// Pidfiles of other launchers.
    pub(crate) foreign: Vec<ForeignRow>,
    /// Attempts that were spent.
    pub(crate) attempts: u64,
    /// M of the last launch; null in batch mode.
    pub(crate) max_tasks: Option<u64>,
    /// Tasks that are not done.
    pub(crate) tasks_left: u64,
    /// US dollars.
    pub(crate) cost_usd: f64,
    /// Pull requests.
    pub(crate) pull_requests: usize,
    /// Records that could not be read, and the like.
    pub(crate) problems: Vec<String>,
}

impl StatusReport {
    /// The report on loops.
    pub(crate) fn new(
        standings: &[Standing],
        foreign: Vec<ForeignRow>,
        problems: Vec<String>,
        layout: &Layout,
    ) -> Self {
        let loops: Vec<LoopRow> = standings
            .iter()
            .map(|standing| LoopRow::new(standing, layout))
            .collect();
        let last = standings.iter().map(|standing| &standing.record);
        let last = last.max_by(|one, other| one.launch.cmp(&other.launch));
        Self {
            schema_version: SCHEMA_VERSION,
            attempts: loops.iter().filter_map(|row| row.attempts).sum(),
            max_tasks: last.and_then(|record| record.max_tasks),
            tasks_left: loops.iter().filter_map(|row| row.tasks_left).sum(),
            cost_usd: loops
                .iter()
                .filter_map(|row| row.cost_usd)
                .fold(0.0, |sum, cost| sum + cost),
            pull_requests: loops.iter().map(|row| row.pull_requests.len()).sum(),
            loops,
            foreign,
            problems,
        }
    }
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
