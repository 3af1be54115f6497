//! `ralph report`: everything that happened, as data. How it looks as a page is in [`html`].

pub(crate) mod html;
mod timeline;

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use ralph_core::pipeline::{RunStatus, RunView};
use ralph_core::plan::Context;
use ralph_core::time::{LooseTime, stamp};
use ralph_core::world::{Facts, ProjectState, World};
use ralph_loop::record::AttemptLine;
use schemars::JsonSchema;
use serde::Serialize;

use super::runs::job_text;
use super::status::{self, ProjectStatus};
use crate::render::SCHEMA_VERSION;

/// `ralph report --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PageReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// When it was made (RFC 3339, UTC).
    pub(crate) at: String,
    /// The workspace or repository that it is about.
    pub(crate) folder: String,
    /// The projects, by name.
    pub(crate) projects: Vec<ProjectStatus>,
    /// The runs of all projects, those that are alive first, then as they were filed.
    pub(crate) runs: Vec<PageRun>,
    /// The entries of the projects' debugging documents.
    pub(crate) failures: Vec<PageFailure>,
    /// The loop of this folder; `null` where none ever ran.
    pub(crate) attempts: Option<PageAttempts>,
}

/// A run.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PageRun {
    /// The project.
    pub(crate) project: String,
    /// The run's id, where it has one.
    pub(crate) run_id: Option<String>,
    /// Its job or jobs, as found.
    pub(crate) job: Option<String>,
    /// The queue item or experiment that it is for.
    pub(crate) item: Option<String>,
    /// Its status, as found.
    pub(crate) status: Option<String>,
    /// What the status means: `live`, `completed`, `failed`, `cancelled`, `other`.
    pub(crate) standing: RunStanding,
    /// Why it failed, in the classifier's word.
    pub(crate) failure_class: Option<String>,
    /// When it was submitted (RFC 3339, UTC); `null` where no time can be read.
    pub(crate) submitted_at: Option<String>,
    /// When it ended (RFC 3339, UTC); `null` where no time can be read.
    pub(crate) ended_at: Option<String>,
}

/// What a run's status means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunStanding {
    /// Not known to have ended.
    Live,
    /// It succeeded.
    Completed,
    /// It failed, or its time was over.
    Failed,
    /// It was cancelled.
    Cancelled,
    /// It ended in another way.
    Other,
}

/// An entry of a debugging document.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PageFailure {
    /// The project.
    pub(crate) project: String,
    /// The entry's id, where it has one.
    pub(crate) id: Option<String>,
    /// Its title.
    pub(crate) title: String,
    /// Whether it is open.
    pub(crate) open: bool,
    /// Whether the project waits for it.
    pub(crate) blocking: bool,
}

/// What a loop did.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PageAttempts {
    /// How many are over.
    pub(crate) ended: usize,
    /// How many of the M attempts were spent.
    pub(crate) spent: usize,
    /// How many had which outcome.
    pub(crate) outcomes: BTreeMap<String, usize>,
    /// How long agents ran, in seconds.
    pub(crate) agent_seconds: f64,
    /// Tokens in, cached ones included.
    pub(crate) input_tokens: u64,
    /// Tokens out.
    pub(crate) output_tokens: u64,
    /// US dollars, as far as agents say so.
    pub(crate) cost_usd: f64,
    /// How many attempts do not say what they cost.
    pub(crate) without_cost: usize,
    /// All attempts, oldest first.
    pub(crate) lines: Vec<PageAttempt>,
}

/// An attempt that is over.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PageAttempt {
    /// Its id.
    pub(crate) attempt: String,
    /// The repository of a workspace plan.
    pub(crate) repository: Option<String>,
    /// Its task.
    pub(crate) task_id: String,
    /// The task's text.
    pub(crate) task: String,
    /// The agent.
    pub(crate) engine: String,
    /// When the agent was started (RFC 3339, UTC).
    pub(crate) started: String,
    /// When the attempt was over (RFC 3339, UTC).
    pub(crate) ended: String,
    /// How long the agent ran, in seconds.
    pub(crate) agent_seconds: f64,
    /// What became of it.
    pub(crate) outcome: String,
    /// Why, in one line.
    pub(crate) reason: Option<String>,
    /// Where its work is: the pull request, else the branch, else `merged`.
    pub(crate) work: Option<String>,
    /// US dollars; `null` where the agent does not say.
    pub(crate) cost_usd: Option<f64>,
}

/// The report; the zone of the context is that of times without one in the state files.
pub(crate) fn build(
    folder: String,
    world: Option<&World>,
    attempts: &[AttemptLine],
    context: &Context<'_>,
) -> PageReport {
    let Context { now, zone, .. } = *context;
    let readable = || {
        let projects = world.iter().flat_map(|world| &world.projects);
        projects.filter_map(|project| match &project.state {
            ProjectState::Readable(facts) => Some(&**facts),
            ProjectState::Unreadable(_) => None,
        })
    };
    PageReport {
        schema_version: SCHEMA_VERSION,
        at: stamp(now),
        folder,
        projects: world.map_or_else(Vec::new, |world| status::build(world, context).projects),
        runs: readable().flat_map(|facts| runs_of(facts, zone)).collect(),
        failures: readable().flat_map(failures_of).collect(),
        attempts: (!attempts.is_empty()).then(|| attempts_of(attempts)),
    }
}

fn runs_of(facts: &Facts, zone: &TimeZone) -> Vec<PageRun> {
    let view = &facts.view;
    let lists = [
        &view.active_runs,
        &view.completed_runs,
        &view.cancelled_runs,
    ];
    let runs = lists.into_iter().flatten();
    runs.map(|run| page_run(facts, run, zone)).collect()
}

fn page_run(facts: &Facts, run: &RunView, zone: &TimeZone) -> PageRun {
    let at = |time: Option<LooseTime>| Some(stamp(time?.instant(zone)?));
    let standing = match run.status {
        RunStatus::Live => RunStanding::Live,
        RunStatus::Completed => RunStanding::Completed,
        RunStatus::Failed | RunStatus::Timeout => RunStanding::Failed,
        RunStatus::Cancelled => RunStanding::Cancelled,
        RunStatus::OtherTerminal => RunStanding::Other,
    };
    PageRun {
        project: facts.slug.to_string(),
        run_id: run.key.run_id.clone(),
        job: job_text(run),
        item: run.queue_id.clone().or_else(|| run.experiment.clone()),
        status: run.status_text.clone(),
        standing,
        failure_class: run.failure_class.clone(),
        submitted_at: at(run.submitted_at),
        ended_at: at(run.ended_at),
    }
}

fn failures_of(facts: &Facts) -> Vec<PageFailure> {
    let entries = facts.debugging.iter();
    entries
        .map(|entry| PageFailure {
            project: facts.slug.to_string(),
            id: entry.id.clone(),
            title: entry.title.clone(),
            open: entry.open,
            blocking: entry.blocking,
        })
        .collect()
}

fn attempts_of(lines: &[AttemptLine]) -> PageAttempts {
    let mut outcomes = BTreeMap::new();
    for line in lines {
        *outcomes.entry(line.outcome.to_string()).or_default() += 1;
    }
    let sum = |tokens: fn(&AttemptLine) -> u64| lines.iter().map(tokens).sum();
    PageAttempts {
        ended: lines.len(),
        spent: lines.iter().filter(|line| line.spent).count(),
        outcomes,
        agent_seconds: total(lines.iter().map(|line| line.agent_seconds)),
        input_tokens: sum(|line| line.usage.input_tokens + line.usage.cached_tokens),
        output_tokens: sum(|line| line.usage.output_tokens),
        cost_usd: total(lines.iter().filter_map(|line| line.usage.cost_usd)),
        without_cost: lines
            .iter()
            .filter(|line| line.usage.cost_usd.is_none())
            .count(),
        lines: lines.iter().map(page_attempt).collect(),
    }
}

/// The sum of nothing is 0 here; that of the standard library is -0.
fn total(amounts: impl Iterator<Item = f64>) -> f64 {
    amounts.fold(0.0, |sum, amount| sum + amount)
}

fn page_attempt(line: &AttemptLine) -> PageAttempt {
    let merged = || line.merged.then(|| "merged".to_owned());
    PageAttempt {
        attempt: line.attempt.to_string(),
        repository: line.repository.clone(),
        task_id: line.task_id.clone(),
        task: line.task.clone(),
        engine: line.engine.clone(),
        started: stamp(line.started),
        ended: stamp(line.ended),
        agent_seconds: line.agent_seconds,
        outcome: line.outcome.to_string(),
        reason: line.reason.clone(),
        work: line
            .pull_request
            .clone()
            .or_else(merged)
            .or_else(|| line.branch.clone()),
        cost_usd: line.usage.cost_usd,
    }
}
