//! The knobs of a launch as its banner and its report show them, each with its origin.

use super::Plan;
use crate::report::Knob;
use crate::resolve::{Filter, Place};
use crate::setting::Origin;

/// The knobs as the banner shows them; the names and the words for "nothing" are those of the launcher before.
pub(super) fn shown(plan: &Plan) -> Vec<Knob> {
    let knobs = &plan.knobs;
    let knob = |name: &'static str, value: String, origin: &Origin| Knob {
        name,
        value,
        origin: origin.to_string(),
    };
    let m = &knobs.max_tasks;
    let mode = if m.value.is_some() {
        "continuous"
    } else {
        "batch"
    };
    let (repos, exclude) = match &knobs.filter.value {
        Filter::All => ("<all>".to_owned(), "<none>".to_owned()),
        Filter::Only(names) => (names.join(","), "<none>".to_owned()),
        Filter::Except(names) => ("<all>".to_owned(), names.join(",")),
    };
    let max_tasks = m
        .value
        .map_or_else(|| "<unset>".to_owned(), |m| m.to_string());
    let place = match knobs.place.value {
        Place::Here => "here",
        Place::Cluster => "cluster",
    };
    let attempts = &knobs.max_task_attempts;
    let delay = &knobs.respawn_delay;
    let mut all = vec![
        knob("mode", mode.to_owned(), &m.origin),
        knob(
            "parallel",
            plan.workers.value.to_string(),
            &plan.workers.origin,
        ),
        knob("max_tasks", max_tasks, &m.origin),
        knob(
            "max_task_attempts",
            attempts.value.to_string(),
            &attempts.origin,
        ),
        knob("respawn_delay", delay.value.to_string(), &delay.origin),
        knob("tabs", "off".to_owned(), &knobs.no_tabs),
        knob(
            "engine",
            knobs.engine.value.name().to_owned(),
            &knobs.engine.origin,
        ),
        knob("repos", repos, &knobs.filter.origin),
        knob("exclude", exclude, &knobs.filter.origin),
        knob("on", place.to_owned(), &knobs.place.origin),
    ];
    if let Some(command) = &knobs.agent_command {
        all.push(knob(
            "agent_command",
            command.value.clone(),
            &command.origin,
        ));
    }
    if let Some(program) = &plan.program {
        let origin = match knobs.place.value {
            Place::Cluster => knobs.job_program.origin.clone(),
            Place::Here => knobs.program.as_ref().map_or_else(
                || Origin::Default("found by its name".to_owned()),
                |program| program.origin.clone(),
            ),
        };
        all.push(knob("ralph", program.path.display().to_string(), &origin));
        let (budget, why) = if program.capabilities.budget {
            ("shared", "its --help knows --budget")
        } else {
            ("divided", "its loops share no budget")
        };
        let why = Origin::Default(why.to_owned());
        all.push(knob("budget", budget.to_owned(), &why));
    }
    all
}
