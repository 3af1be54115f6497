//! Where every project stands: as data, and as a table that one likes to look at.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use ralph_core::phase::Phase;
use ralph_core::pipeline::{JobRef, NextAction};
use ralph_core::time::{Timestamp, elapsed, span_text, stamp};
use ralph_core::world::{Facts, Project, ProjectState, World};
use ralph_docs::queue::QueueSection;
use schemars::JsonSchema;
use serde::Serialize;

use crate::output::Output;
use crate::render::{BOLD, CYAN, DIM, GREEN, RED, YELLOW, cut, lines, paint, table};

/// `ralph status --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StatusReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// When it was made (RFC 3339, UTC).
    pub(crate) at: String,
    /// The projects, by name.
    pub(crate) projects: Vec<ProjectStatus>,
}

/// One project.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ProjectStatus {
    /// Its name.
    pub(crate) project: String,
    /// `ok` or `unreadable`.
    pub(crate) state: String,
    /// Its phase, as found.
    pub(crate) phase: String,
    /// Whether the machine steps this phase.
    pub(crate) stepped: bool,
    /// What comes next, in words.
    pub(crate) next_action: Option<String>,
    /// What a person is asked.
    pub(crate) needs_input: Option<String>,
    /// Runs that are said to be alive.
    pub(crate) live_runs: Vec<RunStatusRow>,
    /// How many runs have ended.
    pub(crate) ended_runs: usize,
    /// When the next poll is due (RFC 3339, UTC).
    pub(crate) next_poll: Option<String>,
    /// Items of the queue by section.
    pub(crate) queue: QueueCounts,
    /// Open todo items.
    pub(crate) open_tasks: usize,
    /// Open entries of the debugging document.
    pub(crate) open_entries: Vec<String>,
    /// Submissions that are not settled.
    pub(crate) unsettled: usize,
    /// Why it is unreadable, with the likely fix.
    pub(crate) problem: Option<String>,
    /// What could not be read as expected.
    pub(crate) warnings: Vec<String>,
}

/// A live run.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RunStatusRow {
    /// Its id.
    pub(crate) run_id: Option<String>,
    /// Its jobs.
    pub(crate) jobs: Vec<String>,
    /// Its status, as found.
    pub(crate) status: Option<String>,
}

/// Items by section.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct QueueCounts {
    /// Waiting to be submitted.
    pub(crate) ready: usize,
    /// Submitted.
    pub(crate) in_progress: usize,
    /// Succeeded.
    pub(crate) done: usize,
    /// Failed or cancelled.
    pub(crate) failed: usize,
    /// In sections that are not the machine's.
    pub(crate) other: usize,
}

/// The status of all projects.
pub(crate) fn build(world: &World, now: Timestamp, zone: &TimeZone) -> StatusReport {
    let projects = world
        .projects
        .iter()
        .map(|project| one(project, zone))
        .collect();
    StatusReport {
        schema_version: 1,
        at: stamp(now),
        projects,
    }
}

fn one(project: &Project, zone: &TimeZone) -> ProjectStatus {
    match &project.state {
        ProjectState::Readable(facts) => readable(facts, zone),
        ProjectState::Unreadable(found) => {
            let hint = found
                .hint
                .as_deref()
                .map_or_else(String::new, |hint| format!(" ({hint})"));
            ProjectStatus {
                project: project.slug.to_string(),
                state: "unreadable".to_owned(),
                phase: String::new(),
                stepped: false,
                next_action: None,
                needs_input: None,
                live_runs: Vec::new(),
                ended_runs: 0,
                next_poll: None,
                queue: QueueCounts::default(),
                open_tasks: 0,
                open_entries: Vec::new(),
                unsettled: 0,
                problem: Some(format!("{}{hint}", found.message)),
                warnings: Vec::new(),
            }
        }
    }
}

fn readable(facts: &Facts, zone: &TimeZone) -> ProjectStatus {
    let input = &facts.view.needs_user_input;
    let open = facts
        .debugging
        .iter()
        .filter(|entry| entry.open && entry.id.is_some());
    ProjectStatus {
        project: facts.slug.to_string(),
        state: "ok".to_owned(),
        phase: facts.phase().to_string(),
        stepped: facts.phase().is_canonical(),
        next_action: next_action(&facts.view.next_action),
        needs_input: input
            .value
            .then(|| input.prompt.clone().unwrap_or_default()),
        live_runs: facts.live_runs().map(run).collect(),
        ended_runs: facts.view.completed_runs.len(),
        next_poll: facts.next_poll(zone).map(stamp),
        queue: counts(facts),
        open_tasks: facts
            .tasks
            .iter()
            .filter(|task| task.ready && !task.done)
            .count(),
        open_entries: open
            .map(|entry| format!("{} {}", entry.id.as_deref().unwrap_or(""), entry.title))
            .collect(),
        unsettled: facts.intents.len(),
        problem: None,
        warnings: facts
            .view
            .warnings
            .iter()
            .map(|warning| format!("{}:{}: {}", warning.line, warning.column, warning.message))
            .collect(),
    }
}

fn next_action(next: &NextAction) -> Option<String> {
    match next {
        NextAction::None => None,
        NextAction::Text(text) => Some(text.clone()),
        NextAction::Action {
            command,
            reason,
            hint,
        } => reason
            .clone()
            .or_else(|| hint.clone())
            .or_else(|| command.clone()),
    }
}

fn run(run: &ralph_core::pipeline::RunView) -> RunStatusRow {
    let jobs = match &run.jobs {
        JobRef::None => Vec::new(),
        JobRef::One(job) => vec![job.to_string()],
        JobRef::Many(jobs) => jobs.iter().map(ToString::to_string).collect(),
        JobRef::Placeholder(text) => vec![text.clone()],
    };
    RunStatusRow {
        run_id: run.key.run_id.clone(),
        jobs,
        status: run.status_text.clone(),
    }
}

fn counts(facts: &Facts) -> QueueCounts {
    let mut counts = QueueCounts::default();
    for item in &facts.queue {
        *match item.section {
            QueueSection::Ready => &mut counts.ready,
            QueueSection::InProgress => &mut counts.in_progress,
            QueueSection::Done => &mut counts.done,
            QueueSection::Failed => &mut counts.failed,
            QueueSection::Other(_) => &mut counts.other,
        } += 1;
    }
    counts
}

/// The table; with `detailed` also runs, queue and open entries of each project.
pub(crate) fn human(
    report: &StatusReport,
    now: Timestamp,
    detailed: bool,
    output: &Output,
) -> String {
    if report.projects.is_empty() {
        return "No projects yet. `ralph new SLUG` makes one.\n".to_owned();
    }
    let mut rows = table(
        &[
            "Project",
            "Phase",
            "Next",
            "Live",
            "Next poll",
            "Input needed",
        ],
        output.width(),
    );
    for project in &report.projects {
        rows.add_row(row(project, now));
    }
    let mut text = lines(&rows);
    if detailed {
        report
            .projects
            .iter()
            .for_each(|project| details(&mut text, project));
    }
    text
}

fn row(project: &ProjectStatus, now: Timestamp) -> Vec<String> {
    if let Some(problem) = &project.problem {
        let cells = [
            paint(CYAN, &project.project),
            paint(RED, "unreadable"),
            cut(problem, 120),
        ];
        return cells
            .into_iter()
            .chain(std::iter::repeat_n(String::new(), 3))
            .collect();
    }
    let due = project
        .next_poll
        .as_deref()
        .and_then(|at| at.parse::<Timestamp>().ok());
    let poll = match due {
        _ if project.live_runs.is_empty() => String::new(),
        None => "due".to_owned(),
        Some(at) if at <= now => paint(YELLOW, "due"),
        Some(at) => format!("in {}", span_text(elapsed(now, at))),
    };
    vec![
        paint(CYAN, &project.project),
        paint(phase_style(&project.phase), &cut(&project.phase, 40)),
        cut(project.next_action.as_deref().unwrap_or(""), 60),
        if project.live_runs.is_empty() {
            String::new()
        } else {
            project.live_runs.len().to_string()
        },
        poll,
        project
            .needs_input
            .as_deref()
            .map_or_else(String::new, |prompt| {
                paint(YELLOW, &format!("! {}", cut(prompt, 80)))
            }),
    ]
}

fn phase_style(phase: &str) -> anstyle::Style {
    match Phase::parse(phase) {
        Phase::Done => GREEN,
        Phase::Debug => RED,
        Phase::WaitSlurm | Phase::Run | Phase::Check => YELLOW,
        Phase::External(_) | Phase::Idle => DIM,
        _ => anstyle::Style::new(),
    }
}

fn details(text: &mut String, project: &ProjectStatus) {
    let _ = writeln!(text, "\n{}", paint(BOLD, &project.project));
    if let Some(problem) = &project.problem {
        let _ = writeln!(text, "  {problem}");
        return;
    }
    let queue = &project.queue;
    let _ = writeln!(
        text,
        "  queue: {} ready, {} in progress, {} done, {} failed; {} open tasks; {} runs ended",
        queue.ready,
        queue.in_progress,
        queue.done,
        queue.failed,
        project.open_tasks,
        project.ended_runs
    );
    for run in &project.live_runs {
        let (id, status) = (
            run.run_id.as_deref().unwrap_or("(no run id)"),
            run.status.as_deref().unwrap_or("(no status)"),
        );
        let _ = writeln!(
            text,
            "  run {id} {} {}",
            paint(YELLOW, status),
            run.jobs.join(", ")
        );
    }
    for entry in &project.open_entries {
        let _ = writeln!(text, "  open {}", cut(entry, 110));
    }
    if project.unsettled > 0 {
        let _ = writeln!(text, "  {} submissions are not settled", project.unsettled);
    }
    for warning in project.warnings.iter().take(5) {
        let _ = writeln!(
            text,
            "  {} pipeline.json:{}",
            paint(DIM, "note"),
            cut(warning, 100)
        );
    }
    if project.warnings.len() > 5 {
        let _ = writeln!(
            text,
            "  {}",
            paint(
                DIM,
                &format!(
                    "and {} more notes (ralph validate)",
                    project.warnings.len() - 5
                )
            )
        );
    }
}
