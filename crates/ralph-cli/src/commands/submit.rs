//! `ralph submit`: one READY item, now.

use ralph_core::error::Code;
use ralph_core::id::{QueueId, Slug};

use crate::args::{Global, Submit};
use crate::commands::{block_on, projects};
use crate::render::SCHEMA_VERSION;
use crate::render::answers::SubmitReport;
use crate::workspace::Workspace;
use ralph_front::failure::{Failure, Outcome};
use ralph_front::output::Output;

/// Submits the item, after the same preflight and with the same protocol as a dispatch.
pub(crate) fn run(global: &Global, arguments: &Submit, output: &Output) -> Outcome {
    let workspace = Workspace::open(global, output)?;
    let dispatcher = workspace.dispatcher(output);
    let chosen = projects(
        std::slice::from_ref(&arguments.project),
        &dispatcher.slugs()?,
    )?;
    let slug: Slug = chosen
        .into_iter()
        .next()
        .ok_or_else(|| Failure::new(Code::Usage, "no project is named"))?;
    let item = arguments
        .queue_id
        .as_deref()
        .map(str::parse::<QueueId>)
        .transpose();
    let item = item.map_err(|error| Failure::new(Code::Usage, error.to_string()))?;
    let submitted = block_on(dispatcher.submit_now(&slug, item.as_ref()))??;
    let report = SubmitReport {
        schema_version: SCHEMA_VERSION,
        project: slug.to_string(),
        job: submitted.job.map(|job| job.to_string()),
        unclear: submitted.unclear,
        outcome: submitted.outcome,
        files: submitted.files,
        op: submitted.op,
    };
    output.answer(&report, &format!("{slug}: {}", report.outcome))?;
    Ok(match (submitted.job, submitted.unclear) {
        (Some(_), _) => None,
        (None, true) => Some(Code::Unclear),
        (None, false) => Some(Code::Refused),
    })
}
