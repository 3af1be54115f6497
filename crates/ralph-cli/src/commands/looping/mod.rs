//! `ralph loop`: tasks in, reviewed commits out. Resolves, gates, runs, prints; the loop is `ralph_loop`'s.

mod doctor;
mod gate;
mod here;
mod old;
mod panes;
mod run;
mod show;

use std::path::PathBuf;

use ralph_front::failure::Failure;
use ralph_front::output::Output;
use ralph_loop::record::{AttemptLine, Records};
use ralph_loop::settings::{CommandLine, Settings};

use crate::args::{Global, Loop};
pub(crate) use doctor::checks as doctor_checks;
use here::Here;
use ralph_front::failure::Outcome;
pub(crate) use run::guard;

/// The loop, or one of the questions about it.
pub(crate) fn run(global: &Global, arguments: &Loop, output: &Output) -> Outcome {
    for note in old::answer(arguments)? {
        output.note(&note);
    }
    if arguments.old.reset_session {
        output.note(old::NO_SESSION);
        return Ok(None);
    }
    let here = Here::find(global, arguments)?;
    if arguments.status {
        return show::status(&here, output);
    }
    if arguments.circuit_status || arguments.reset_circuit {
        return show::circuit(&here, arguments.reset_circuit, output);
    }
    let resolved = here.resolve(arguments)?;
    for notice in &resolved.settings.notices {
        output.note(&notice.to_string());
    }
    if arguments.qg {
        return crate::commands::block_on(show::checks(&here, &resolved, output))?;
    }
    let chosen = here.repositories(arguments)?;
    if let Some(chosen) = &chosen {
        here.sections_left(chosen, output)?;
    }
    let repositories = chosen.map(|chosen| chosen.names);
    if arguments.dry_run {
        return show::plan(&here, &resolved, arguments, repositories.as_ref(), output);
    }
    gate::check(&here, &resolved, output)?;
    run::run(&here, &resolved, arguments, repositories, output)
}

/// The words of the command line that are settings.
fn typed(arguments: &Loop) -> CommandLine {
    CommandLine {
        parallel: match &arguments.old.parallel_bg {
            Some(workers) => vec![workers.clone()],
            None => arguments.parallel.clone(),
        },
        max_tasks: arguments.max_tasks.clone(),
        max_task_attempts: arguments.max_task_attempts.clone(),
        respawn_delay: arguments.respawn_delay.clone(),
        no_tabs: arguments.no_tabs || arguments.old.parallel_bg.is_some(),
        engine: arguments.engine.clone(),
        agent_command: arguments.agent_command.clone(),
        model: arguments.model.clone(),
        task: arguments.task.clone(),
        checks_only: arguments.qg,
        prompt: arguments.prompt.clone(),
        timeout: arguments.timeout.clone(),
        calls: arguments.calls.clone(),
        merge_strategy: arguments.merge_strategy.clone(),
        quality_gates: arguments.quality_gates.clone(),
        no_pr: arguments.no_pr,
        allowed_tools: arguments.allowed_tools.clone(),
        permission_mode: arguments.permission_mode.clone(),
        max_cost: arguments.max_cost.clone(),
        auto_reset_circuit: arguments.auto_reset_circuit,
        skip_permissions: arguments.dangerously_skip_permissions,
    }
}

/// The settings that a loop would have here, also where there is no repository.
pub(crate) fn settings_for(global: &Global, typed: &CommandLine) -> Result<Settings, Failure> {
    let here = Here::of_folder(global)?;
    Ok(here.resolve_typed(typed)?.settings)
}

/// The folder with a plan that holds the current one, and the attempts of its loops, oldest first.
pub(crate) fn attempts_of_folder(
    global: &Global,
) -> Option<Result<(PathBuf, Vec<AttemptLine>), Failure>> {
    let here = Here::of_loop(global)?;
    let attempts = Records::new(&here.folder()).attempts();
    Some(
        attempts
            .map(|attempts| (here.root, attempts))
            .map_err(Into::into),
    )
}

/// A loop's status where a person asks for `ralph status` in a repository that is no workspace of projects.
pub(crate) fn status_of_repository(
    global: &Global,
    is_watched: bool,
    output: &Output,
) -> Option<Outcome> {
    let here = Here::of_loop(global)?;
    Some(if is_watched {
        show::watch(&here, output)
    } else {
        show::status(&here, output)
    })
}
