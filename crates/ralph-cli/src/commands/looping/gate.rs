//! What has to be there before a loop claims anything.

use std::path::{Path, PathBuf};

use ralph_core::error::Code;
use ralph_front::failure::Failure;
use ralph_front::output::Output;
use ralph_front::programs::find;
use ralph_loop::assemble::PLAN;
use ralph_loop::plan::{look, other_bullets};
use ralph_loop::settings::AgentSettings;

use super::here::{Here, Resolved};
use crate::env_vars;

/// Checks plan and agent.
pub(super) fn check(here: &Here, resolved: &Resolved, output: &Output) -> Result<(), Failure> {
    plan(here, output)?;
    agent(&here.root, &resolved.settings.agent).map(drop)
}

/// That there is a plan with something in it; and says what of it looks like a task and is none.
pub(super) fn plan(here: &Here, output: &Output) -> Result<(), Failure> {
    let path = here.folder().join(PLAN);
    if let Some(words) = other_bullets(&planned(&path)?, here.flavour) {
        output.note(&format!("{}: {words}", path.display()));
    }
    Ok(())
}

/// A plan with something in it.
pub(super) fn planned(path: &Path) -> Result<String, Failure> {
    let found = match look(path)? {
        None => "nothing",
        Some(text) if text.trim().is_empty() => "an empty file",
        Some(text) => return Ok(text),
    };
    Err(Failure::new(
        Code::NoFixPlan,
        format!("{}: expected a plan, found {found}", path.display()),
    )
    .hint("Write tasks into it, one per line: `- [ ] What is to be done`."))
}

/// Where the agent's program is, if it can be started.
pub(super) fn agent(root: &Path, settings: &AgentSettings) -> Result<PathBuf, Failure> {
    let engine = settings.engine.value;
    let program = match settings.command.value.first() {
        Some(program) => program.clone(),
        None => engine.as_str().to_owned(),
    };
    find(&program, root, &env_vars::search_path()).ok_or_else(|| {
        let message =
            format!("the agent `{engine}` cannot be started: there is no program {program}");
        Failure::new(Code::NoEngine, message).hint(
            "Install it, put it on the PATH, or choose another with --engine or --agent-command.",
        )
    })
}
