//! `ralph cancel RUN_ID`: asks the cluster, then looks until the jobs have ended.

use ralph_core::error::Code;

use crate::args::{Cancel, Global};
use crate::commands::block_on;
use crate::exit::{Outcome, printed};
use crate::output::Output;
use crate::workspace::Workspace;

/// Cancels; the books are made true by the verification that follows.
pub(crate) fn run(global: &Global, arguments: &Cancel, output: &Output) -> Outcome {
    let workspace = Workspace::open(global, output)?;
    let dispatcher = workspace.dispatcher(output);
    let cancelled = block_on(dispatcher.cancel(&arguments.run))??;
    if output.is_json() {
        printed(output.json(&serde_json::json!({
            "schema_version": 1, "run_id": arguments.run, "jobs": cancelled.jobs, "ended": cancelled.ended, "states": cancelled.states,
        })))?;
    } else {
        printed(output.print(&format!(
            "{}: {}",
            arguments.run,
            cancelled.states.join(", ")
        )))?;
    }
    // A cancel that is not seen to work is not done: the next verification tells.
    Ok((!cancelled.ended).then_some(Code::Unclear))
}
