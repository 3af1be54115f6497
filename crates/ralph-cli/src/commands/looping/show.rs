//! The questions about a loop: where it is, what it would do, what its checks say. Nothing is changed but the circuit
//! that is to be closed.

use std::collections::{BTreeMap, BTreeSet};

use ralph_core::error::Code;
use ralph_core::process::lock;
use ralph_front::failure::Failure;
use ralph_front::output::Output;
use ralph_loop::assemble::{LOCK, STATE};
use ralph_loop::breaker::files;
use ralph_loop::gates::GateRun;
use ralph_loop::git::{Git, GitProgram};
use ralph_loop::plan::Standing;
use ralph_loop::record::Records;
use ralph_loop::redact::Redactor;
use ralph_loop::worktree::Worktrees;

use super::gate;
use super::here::{Here, Resolved};
use crate::args::Loop;
use crate::commands::status::Drawn;
use crate::render::loop_checks;
use crate::render::loops::{self, LoopPlan, PlannedTask};
use ralph_front::failure::Outcome;

/// Where the loop of this repository is.
pub(super) fn status(here: &Here, output: &Output) -> Outcome {
    let view = view(here)?;
    output.answer(&view, &loops::status(&view, output.width()))?;
    Ok(None)
}

/// The same, drawn again whenever it changes, until no loop runs (any more).
pub(super) fn watch(here: &Here, output: &Output) -> Outcome {
    let draw = |_| {
        let view = view(here)?;
        let text = if output.is_json() {
            serde_json::to_string_pretty(&view)
                .map_err(|error| Failure::new(Code::Bug, error.to_string()))?
        } else {
            loops::status(&view, output.width())
        };
        Ok(Drawn {
            text,
            is_last: view.is_over() && !is_held(here),
        })
    };
    crate::commands::block_on(crate::commands::status::watch(output, draw))?
}

fn view(here: &Here) -> Result<loops::LoopStatus, Failure> {
    let records = Records::new(&here.folder());
    let (status, attempts) = (records.status()?, records.attempts()?);
    let now = crate::workspace::env().now();
    Ok(loops::LoopStatus::new(
        status,
        &attempts,
        is_held(here),
        now,
    ))
}

/// Whether a loop holds this folder. A lock that cannot be looked at tells nothing.
fn is_held(here: &Here) -> bool {
    lock::is_held(&here.folder().join(STATE).join(LOCK)).unwrap_or(false)
}

/// What would be done.
pub(super) fn plan(
    here: &Here,
    resolved: &Resolved,
    arguments: &Loop,
    repositories: Option<&BTreeSet<String>>,
    output: &Output,
) -> Outcome {
    gate::plan(here, output)?;
    let file = here.plan()?;
    let is_chosen = |name: &Option<String>| match (repositories, name) {
        (Some(chosen), Some(name)) => chosen.contains(name),
        _ => true,
    };
    let mut tasks = match &arguments.task {
        Some(named) => vec![file.find(named)?],
        None => {
            let plan = file.read()?;
            for problem in &plan.problems {
                output.note(&format!("{}: {problem}", file.path().display()));
            }
            plan.tasks
        }
    };
    tasks.retain(|planned| {
        let is_open = arguments.task.is_some() || planned.standing == Standing::Open;
        is_open && is_chosen(&planned.task.repository)
    });
    let tasks = tasks.into_iter().map(|planned| PlannedTask {
        id: planned.task.id.clone(),
        text: planned.task.row.text.clone(),
        repository: planned.task.repository.clone(),
        line: planned.task.line,
    });
    let report = LoopPlan::new(
        &resolved.settings,
        arguments.task.as_deref(),
        tasks.collect(),
    );
    output.answer(&report, &loops::plan(&report, output.width()))?;
    Ok(None)
}

/// Where the circuit breaker is; closed on request.
pub(super) fn circuit(here: &Here, reset: bool, output: &Output) -> Outcome {
    let (folder, now) = (here.folder(), crate::workspace::env().now());
    let mut circuit = files::load(&folder, now)?;
    if reset {
        let transition = circuit.reset(now, "closed by a person");
        files::save(&folder, &circuit, transition.as_ref())?;
    }
    let report = loop_checks::CircuitReport::new(&circuit);
    output.answer(&report, &loop_checks::circuit(&report))?;
    Ok(None)
}

/// The checks of the current folder, and nothing else. The folder is as they leave it.
pub(super) async fn checks(here: &Here, resolved: &Resolved, output: &Output) -> Outcome {
    let git = Git::open(GitProgram::default(), &here.root).await?;
    let env = crate::workspace::env();
    let redactor = Redactor::new(&resolved.environment);
    let gates =
        ralph_loop::assemble::gates_of(&here.root, &resolved.settings, super::run::guard()?);
    let base = git.base(None, None).await?;
    let worktrees =
        Worktrees::open(&git, &base, &resolved.settings.work.branch_prefix.value).await?;
    let run = GateRun {
        folder: &here.root,
        base: None,
        variables: &BTreeMap::new(),
        redactor: &redactor,
        now: env.now(),
    };
    let report = gates.run(&run, &worktrees).await;
    worktrees.close();
    let report = report?;
    let checks = loop_checks::ChecksReport::new(&report);
    output.answer(&checks, &loop_checks::checks(&checks))?;
    Ok((!report.has_passed()).then_some(Code::Failed))
}
