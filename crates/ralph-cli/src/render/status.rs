//! Where every project stands, as data. How it looks is in [`super::status_table`].

use ralph_core::phase::Phase;
use ralph_core::pipeline::{JobRef, NextAction};
use ralph_core::plan::{Context, PassedBecause, ProjectStep, Step, next_step};
use ralph_core::time::stamp;
use ralph_core::words::plural;
use ralph_core::world::{Facts, Observations, Project, ProjectState, World};
use ralph_docs::queue::QueueSection;
use ralph_docs::quote::unescape;
use schemars::JsonSchema;
use serde::Serialize;

use crate::render::SCHEMA_VERSION;

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
    /// What matters most about it.
    pub(crate) standing: Standing,
    /// Its phase: the canonical word, or the text as found where it is none.
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

/// What matters most about a project; in the order in which a person looks at them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// Its state file cannot be read.
    Unreadable,
    /// A person has to answer.
    NeedsInput,
    /// A failure waits for its fix.
    Debug,
    /// The next dispatch can advance it.
    Active,
    /// Its jobs are alive.
    Waiting,
    /// Its phase is not one that the machine steps.
    External,
    /// There is nothing to do.
    Idle,
    /// It is done.
    Done,
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
pub(crate) fn build(world: &World, context: &Context<'_>) -> StatusReport {
    let projects = world
        .projects
        .iter()
        .map(|project| one(project, context))
        .collect();
    StatusReport {
        schema_version: SCHEMA_VERSION,
        at: stamp(context.now),
        projects,
    }
}

fn one(project: &Project, context: &Context<'_>) -> ProjectStatus {
    match &project.state {
        ProjectState::Readable(facts) => readable(facts, context),
        ProjectState::Unreadable(found) => ProjectStatus {
            project: project.slug.to_string(),
            state: "unreadable".to_owned(),
            standing: Standing::Unreadable,
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
            problem: Some(found.words()),
            warnings: Vec::new(),
        },
    }
}

fn readable(facts: &Facts, context: &Context<'_>) -> ProjectStatus {
    let Resting {
        standing,
        asks,
        why,
    } = resting(facts, context);
    let open = facts
        .debugging
        .iter()
        .filter(|entry| entry.open && entry.id.is_some());
    ProjectStatus {
        project: facts.slug.to_string(),
        state: "ok".to_owned(),
        standing,
        phase: facts.phase().to_string(),
        stepped: facts.phase().is_canonical(),
        next_action: why.or_else(|| next_action(&facts.view.next_action)),
        needs_input: asks,
        live_runs: facts.live_runs().map(run).collect(),
        ended_runs: facts.view.completed_runs.len(),
        next_poll: facts.next_poll(context.zone).map(stamp),
        queue: counts(facts),
        open_tasks: facts
            .tasks
            .iter()
            .filter(|task| task.ready && !task.done)
            .count(),
        open_entries: open
            .map(|entry| {
                format!(
                    "{} {}",
                    entry.id.as_deref().unwrap_or(""),
                    unescape(&entry.title)
                )
            })
            .collect(),
        unsettled: facts.unsettled(),
        problem: None,
        warnings: facts
            .view
            .warnings
            .iter()
            .map(|warning| format!("{}:{}: {}", warning.line, warning.column, warning.message))
            .collect(),
    }
}

/// How a project stands, by the rule that the next dispatch goes by.
struct Resting {
    standing: Standing,
    /// What a person is asked.
    asks: Option<String>,
    /// Why nothing happens, or what happens next, where the state file does not say it.
    why: Option<String>,
}

fn resting(facts: &Facts, context: &Context<'_>) -> Resting {
    let input = &facts.view.needs_user_input;
    let mut resting = Resting {
        standing: standing(facts),
        asks: input
            .value
            .then(|| input.prompt.clone().unwrap_or_default()),
        why: None,
    };
    if input.value {
        return resting;
    }
    match next_step(facts, &Observations::none(), context) {
        Err(passed) if passed.because == PassedBecause::NeedsInput => {
            resting.standing = Standing::NeedsInput;
            resting.asks = Some(passed.reason);
        }
        Err(passed) if resting.standing == Standing::Idle => resting.why = Some(passed.reason),
        Err(passed)
            if passed.because == PassedBecause::Waiting && resting.standing == Standing::Active =>
        {
            resting.standing = Standing::Waiting;
            resting.why = Some(passed.reason);
        }
        // What came to rest can go on.
        Ok(step) if matches!(resting.standing, Standing::Idle | Standing::Done) => {
            resting.standing = Standing::Active;
            resting.why = Some(words(&step));
        }
        Ok(step) if resting.standing == Standing::Active && is_past(&facts.view.next_action) => {
            resting.why = Some(words(&step));
        }
        _ => {}
    }
    resting
}

fn standing(facts: &Facts) -> Standing {
    if facts.view.needs_user_input.value {
        return Standing::NeedsInput;
    }
    let live = facts.live_runs().next().is_some() || !facts.intents.is_empty();
    match facts.phase() {
        Phase::Debug => Standing::Debug,
        Phase::External(_) if live => Standing::Waiting,
        Phase::External(_) => Standing::External,
        Phase::WaitSlurm if live => Standing::Waiting,
        Phase::Idle => Standing::Idle,
        Phase::Done => Standing::Done,
        _ => Standing::Active,
    }
}

/// What the next dispatch does with the project.
fn words(step: &ProjectStep) -> String {
    match &step.step {
        Step::Submit { item, .. } => format!("submit {item}"),
        Step::Poll => "ask about its jobs".to_owned(),
        Step::Check { runs } => format!("record the results of {}", plural(runs.len(), "run")),
        Step::Test(_) => "run the tests".to_owned(),
        Step::Order(order) => format!("{}: {}", order.kind.as_str(), order.title),
        Step::Advance { to } => format!("move on to {to}: {}", step.because),
    }
}

/// Whether the state file's own words are only why the machine came here; what a person or an agent wrote is kept.
fn is_past(next: &NextAction) -> bool {
    match next {
        NextAction::None => true,
        NextAction::Text(_) => false,
        NextAction::Action { hint, .. } => hint
            .as_deref()
            .is_some_and(|hint| hint.starts_with("dispatch ")),
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
