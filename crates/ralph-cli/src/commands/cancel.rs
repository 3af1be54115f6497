//! `ralph cancel RUN_ID`: asks the cluster, then looks until the jobs have ended.

use ralph_core::error::Code;

use crate::args::{Cancel, Global};
use crate::commands::{block_on, one_project};
use crate::render::SCHEMA_VERSION;
use crate::render::answers::CancelReport;
use crate::workspace::Workspace;
use ralph_front::failure::Outcome;
use ralph_front::output::Output;

/// Cancels; the books are made true by the verification that follows.
pub(crate) fn run(global: &Global, arguments: &Cancel, output: &Output) -> Outcome {
    let workspace = Workspace::open(global, output)?;
    let dispatcher = workspace.dispatcher(output);
    let project = one_project(arguments.project.as_deref(), &dispatcher.slugs()?)?;
    let cancelled = block_on(dispatcher.cancel(project.as_ref(), &arguments.run))??;
    let words = format!("{}: {}", cancelled.run, cancelled.states.join(", "));
    let report = CancelReport {
        schema_version: SCHEMA_VERSION,
        run_id: cancelled.run,
        jobs: cancelled.jobs,
        states: cancelled.states,
        ended: cancelled.ended,
    };
    output.answer(&report, &words)?;
    if report.ended {
        output.note("the next `ralph dispatch`, or `ralph verify`, writes it down");
    }
    // A cancel that is not seen to work is not done: the next verification tells.
    Ok((!report.ended).then_some(Code::Unclear))
}
