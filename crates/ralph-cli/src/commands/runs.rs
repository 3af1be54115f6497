//! `ralph runs`: the runs of all projects with their jobs. Reads only.

use ralph_core::project;
use ralph_core::world::ProjectState;

use crate::args::{Chosen, Global};
use crate::commands::selected;
use crate::render::runs;
use crate::workspace::{Workspace, env};
use ralph_front::failure::Outcome;
use ralph_front::output::Output;

/// Lists live runs first, then the ended ones, newest last as they are filed.
pub(crate) fn run(global: &Global, arguments: &Chosen, output: &Output) -> Outcome {
    let workspace = Workspace::open(global, output)?;
    let slugs = selected(arguments, &workspace.dispatcher(output).slugs()?)?;
    let mut report = runs::empty();
    for project in project::load_all(&workspace.root, &slugs).projects {
        match project.state {
            ProjectState::Readable(facts) => report.runs.extend(runs::rows_of(&facts)),
            ProjectState::Unreadable(found) => {
                output.note(&found.message);
                report.unreadable.push(found.message);
            }
        }
    }
    output.answer(&report, &runs::human(&report, env().now(), output.width()))?;
    Ok(None)
}
