//! What a loop is doing and would do, as data and as text. The live lines are [`super::looping`]'s, how one ended is
//! [`super::loop_end`]'s.

use ralph_core::time::{Timestamp, span_text};
use ralph_loop::record::{AttemptLine, State, Status};
use ralph_loop::settings::Settings;
use schemars::JsonSchema;
use serde::Serialize;

use crate::render::loop_end::LoopTotals;
use crate::render::table::{cell, list, plain};
use crate::render::{BOLD, CYAN, DIM, GREEN, RED, SCHEMA_VERSION, YELLOW, cut, paint};

/// Attempts that a status shows.
const RECENT: usize = 10;

/// Why nothing is known of a loop that runs: what is told here is of one before it.
const UNTOLD: &str =
    "it takes up what an earlier loop left, or is a workspace's, which tells there what it does";

/// `ralph loop --status --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LoopStatus {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// `running`, `waiting`, `draining`, `ended`, `lost` (its process is gone), `none`.
    pub(crate) state: String,
    /// Why nothing starts, or why it ended.
    pub(crate) reason: Option<String>,
    /// When it goes on by itself.
    pub(crate) wakes: Option<String>,
    /// The loop's process.
    pub(crate) pid: Option<u32>,
    /// Workers at once.
    pub(crate) workers: Option<u32>,
    /// Attempts altogether.
    pub(crate) max_attempts: Option<u64>,
    /// Open tasks, and tasks that are held, delivered, done.
    pub(crate) tasks: Option<LoopTasks>,
    /// Who works.
    pub(crate) running: Vec<LoopWorker>,
    /// The sums of the run.
    pub(crate) totals: LoopTotals,
    /// The last attempts, newest first.
    pub(crate) attempts: Vec<LoopAttempt>,
    /// The exit code, once ended.
    pub(crate) exit_code: Option<u8>,
}

/// Tasks by state.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LoopTasks {
    /// Open.
    pub(crate) open: usize,
    /// Held by a worker.
    pub(crate) claimed: usize,
    /// Delivered, not merged yet.
    pub(crate) delivered: usize,
    /// Done.
    pub(crate) done: usize,
}

/// What a worker does.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LoopWorker {
    /// Which, from 1.
    pub(crate) worker: usize,
    /// Its task.
    pub(crate) task_id: String,
    /// The task's text.
    pub(crate) task: String,
    /// For how long, in seconds.
    pub(crate) seconds: u64,
    /// What the agent does, if it says so.
    pub(crate) doing: Option<String>,
}

/// An attempt that is over.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LoopAttempt {
    /// Its id.
    pub(crate) attempt: String,
    /// Its task.
    pub(crate) task_id: String,
    /// Its outcome.
    pub(crate) outcome: String,
    /// Why.
    pub(crate) reason: Option<String>,
    /// How long the agent ran, in seconds.
    pub(crate) seconds: f64,
    /// The branch that holds its work.
    pub(crate) branch: Option<String>,
    /// Its pull request.
    pub(crate) pull_request: Option<String>,
}

impl LoopStatus {
    /// Whether no loop runs, so that nothing changes until somebody starts one.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state.as_str(), "ended" | "lost" | "none")
    }

    /// The status of a loop, with the truth about its process. `is_held`: whether a loop holds this folder now.
    pub(crate) fn new(
        status: Option<Status>,
        attempts: &[AttemptLine],
        is_held: bool,
        now: Timestamp,
    ) -> Self {
        let is_gone = |status: &Status| !status.process.is_alive();
        if is_held && status.as_ref().is_none_or(is_gone) {
            return Self {
                reason: Some(UNTOLD.to_owned()),
                ..Self::bare("running", attempts)
            };
        }
        let Some(status) = status else {
            return Self::bare("none", attempts);
        };
        let is_lost = status.state != State::Ended && is_gone(&status);
        let running = status.running.iter().map(|worker| LoopWorker {
            worker: worker.worker,
            task_id: worker.task_id.clone(),
            task: worker.task.clone(),
            seconds: ralph_core::time::elapsed(worker.since, now).as_secs(),
            doing: worker.doing.clone(),
        });
        Self {
            schema_version: SCHEMA_VERSION,
            state: if is_lost { "lost" } else { word(status.state) }.to_owned(),
            reason: status.reason,
            wakes: status.wakes.map(ralph_core::time::stamp),
            pid: Some(status.process.pid),
            workers: Some(status.workers),
            max_attempts: status.max_attempts,
            tasks: Some(LoopTasks {
                open: status.tasks.open,
                claimed: status.tasks.claimed,
                delivered: status.tasks.delivered,
                done: status.tasks.done,
            }),
            running: if is_lost {
                Vec::new()
            } else {
                running.collect()
            },
            totals: LoopTotals::new(&status.totals),
            attempts: recent(attempts),
            exit_code: status.exit_code,
        }
    }

    /// Without anything that a loop told about itself.
    fn bare(state: &str, attempts: &[AttemptLine]) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            state: state.to_owned(),
            reason: None,
            wakes: None,
            pid: None,
            workers: None,
            max_attempts: None,
            tasks: None,
            running: Vec::new(),
            totals: LoopTotals::default(),
            attempts: recent(attempts),
            exit_code: None,
        }
    }
}

fn recent(attempts: &[AttemptLine]) -> Vec<LoopAttempt> {
    attempts.iter().rev().take(RECENT).map(attempt).collect()
}

fn word(state: State) -> &'static str {
    match state {
        State::Running => "running",
        State::Waiting => "waiting",
        State::Draining => "draining",
        State::Ended => "ended",
    }
}

fn attempt(line: &AttemptLine) -> LoopAttempt {
    LoopAttempt {
        attempt: line.attempt.to_string(),
        task_id: line.task_id.clone(),
        outcome: line.outcome.name().to_owned(),
        reason: line.reason.clone(),
        seconds: line.agent_seconds,
        branch: line.branch.clone(),
        pull_request: line.pull_request.clone(),
    }
}

/// The status in words.
pub(crate) fn status(status: &LoopStatus, width: usize) -> String {
    if status.state == "none" {
        return "no loop ever ran here\n".to_owned();
    }
    let style = match status.state.as_str() {
        "running" => GREEN,
        "lost" => RED,
        _ => YELLOW,
    };
    let mut head = paint(style, &status.state);
    if let Some(reason) = &status.reason {
        head = format!("{head}: {reason}");
    }
    if let Some(wakes) = &status.wakes {
        head = format!("{head}, until {wakes}");
    }
    if status.state == "lost" {
        head = format!(
            "{head}: its process {} is gone; the next loop takes up what it left",
            status.pid.unwrap_or(0)
        );
    }
    let of = status
        .max_attempts
        .map_or_else(String::new, |most| format!(" of {most}"));
    let mut text = format!("{head}\n{}{of} attempts spent", status.totals.spent);
    if let Some(tasks) = &status.tasks {
        text = format!(
            "{text}; tasks: {} open, {} held, {} delivered, {} done",
            tasks.open, tasks.claimed, tasks.delivered, tasks.done
        );
    }
    if status.totals.cost_usd > 0.0 {
        text = format!("{text}; ${:.2}", status.totals.cost_usd);
    }
    text.push('\n');
    text + &workers(&status.running, width) + &last_ones(&status.attempts, width)
}

/// A task's name is a whole sentence where it has no id; what is said of it needs the room.
fn name(task: &str, width: usize) -> String {
    cut(task, (width / 3).max(16))
}

fn workers(running: &[LoopWorker], width: usize) -> String {
    if running.is_empty() {
        return String::new();
    }
    let rows = running.iter().map(|worker| {
        vec![
            plain(&worker.worker.to_string()),
            cell(CYAN, &name(&worker.task_id, width)),
            plain(&span_text(std::time::Duration::from_secs(worker.seconds))),
            plain(worker.doing.as_deref().unwrap_or(&worker.task)),
        ]
    });
    format!(
        "\n{}",
        list(&["WORKER", "TASK", "FOR", "DOING"], rows.collect(), width)
    )
}

fn last_ones(attempts: &[LoopAttempt], width: usize) -> String {
    if attempts.is_empty() {
        return String::new();
    }
    let rows = attempts.iter().map(|attempt| {
        let style = if attempt.outcome == "done" {
            GREEN
        } else {
            RED
        };
        // The branch comes first: what has no room is cut off.
        let more = match (&attempt.pull_request, &attempt.branch, &attempt.reason) {
            (Some(url), ..) => url.clone(),
            (None, Some(branch), Some(reason)) => format!("{branch}: {reason}"),
            (None, branch, reason) => branch
                .as_ref()
                .or(reason.as_ref())
                .cloned()
                .unwrap_or_default(),
        };
        vec![
            cell(CYAN, &name(&attempt.task_id, width)),
            cell(style, &attempt.outcome),
            plain(&format!("{:.0} s", attempt.seconds)),
            plain(&more),
        ]
    });
    let rows = list(&["TASK", "OUTCOME", "AGENT", "MORE"], rows.collect(), width);
    let is_asked = attempts.iter().any(|attempt| attempt.outcome != "done");
    let logs = if is_asked {
        "what agents printed: .ralph/logs/, by the name of the task\n"
    } else {
        ""
    };
    format!("\n{rows}{logs}")
}

/// `ralph loop --dry-run --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LoopPlan {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// `continuous` or `batch`.
    pub(crate) mode: String,
    /// The knobs with their origins.
    pub(crate) settings: Vec<LoopSetting>,
    /// The only task, if one was named.
    pub(crate) task: Option<String>,
    /// The open tasks in the order in which they are taken.
    pub(crate) tasks: Vec<PlannedTask>,
}

/// A knob.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LoopSetting {
    /// Its name.
    pub(crate) name: String,
    /// Its value.
    pub(crate) value: String,
    /// Where that comes from.
    pub(crate) origin: String,
}

/// An open task.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PlannedTask {
    /// Its name.
    pub(crate) id: String,
    /// Its text.
    pub(crate) text: String,
    /// Its repository, in a workspace plan.
    pub(crate) repository: Option<String>,
    /// Its line now, from 1.
    pub(crate) line: usize,
}

impl LoopPlan {
    /// What would be done.
    pub(crate) fn new(settings: &Settings, task: Option<&str>, tasks: Vec<PlannedTask>) -> Self {
        let mode = if settings.pool.attempts.value.is_some() {
            "continuous"
        } else {
            "batch"
        };
        let rows = settings.rows().into_iter();
        Self {
            schema_version: SCHEMA_VERSION,
            mode: mode.to_owned(),
            settings: rows
                .map(|row| LoopSetting {
                    name: row.name.to_owned(),
                    value: row.value,
                    origin: row.origin,
                })
                .collect(),
            task: task.map(str::to_owned),
            tasks,
        }
    }
}

/// What would be done, in words.
pub(crate) fn plan(plan: &LoopPlan, width: usize) -> String {
    let mut text = format!("mode={}\n", plan.mode);
    for setting in &plan.settings {
        let origin = if setting.origin == "default" {
            String::new()
        } else {
            format!("  ({})", setting.origin)
        };
        text = format!(
            "{text}{}={}{}\n",
            setting.name,
            setting.value,
            paint(DIM, &origin)
        );
    }
    if let Some(task) = &plan.task {
        text = format!("{text}only {task}\n");
    }
    text = format!(
        "{text}\n{}\n",
        paint(BOLD, &format!("{} open tasks", plan.tasks.len()))
    );
    for (index, task) in plan.tasks.iter().enumerate() {
        let place = task
            .repository
            .as_ref()
            .map_or_else(String::new, |name| format!("{name}: "));
        text = format!(
            "{text}{}\n",
            cut(&format!("{:>3}  {place}{}", index + 1, task.text), width)
        );
    }
    format!("{text}\n[dry-run] not executing\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_agents_printed_is_told_when_something_did_not_become_done() {
        let attempt = |outcome: &str| LoopAttempt {
            attempt: "a".to_owned(),
            task_id: "t1".to_owned(),
            outcome: outcome.to_owned(),
            reason: (outcome != "done").then(|| "exit 1".to_owned()),
            seconds: 2.0,
            branch: None,
            pull_request: None,
        };
        let shown = |attempts: &[LoopAttempt]| {
            anstream::adapter::strip_str(&last_ones(attempts, 80)).to_string()
        };
        insta::assert_snapshot!(shown(&[attempt("crashed"), attempt("done")]), @r"
        TASK  OUTCOME  AGENT  MORE
        t1    crashed  2 s    exit 1
        t1    done     2 s
        what agents printed: .ralph/logs/, by the name of the task
        ");
        assert!(!shown(&[attempt("done")]).contains(".ralph/logs/"));
    }
}
