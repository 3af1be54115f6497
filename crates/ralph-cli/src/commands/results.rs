//! `ralph results`: what the last dispatch did, with the differences of each file.

use std::fs;
use std::io;

use ralph_core::error::Code;
use ralph_core::id::{OpId, Slug};
use ralph_core::journal::{Journal, JournalError, OpDetail};
use ralph_core::project;
use ralph_core::report::DispatchReport;
use ralph_core::store::layout;
use ralph_core::time::{elapsed, span_text, stamp};

use crate::args::{Global, Results};
use crate::render::ops::ResultsReport;
use crate::render::report::{View, human};
use crate::render::{self, SCHEMA_VERSION};
use crate::workspace::{env, find_root};
use ralph_front::failure::{Failure, Outcome};
use ralph_front::output::Output;

/// Shows the kept report of the last dispatch.
pub(crate) fn run(global: &Global, arguments: &Results, output: &Output) -> Outcome {
    let root = find_root(global)?;
    let path = root.join(layout::LAST_DISPATCH);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let none = ResultsReport {
                schema_version: SCHEMA_VERSION,
                report: None,
                operations: Vec::new(),
            };
            output.answer(&none, "No dispatch has run in this workspace yet.")?;
            return Ok(None);
        }
        Err(error) => {
            return Err(Failure::new(
                Code::Failed,
                format!("{}: cannot be read: {error}", path.display()),
            ));
        }
    };
    let report: DispatchReport = serde_json::from_str(&text).map_err(|error| {
        Failure::new(
            Code::CorruptState,
            format!(
                "{}: expected the report of a dispatch: {error}",
                path.display()
            ),
        )
        .hint("The next dispatch writes it anew.")
    })?;
    let details = if arguments.compare_last {
        details(&root, &report)?
    } else {
        Vec::new()
    };
    let mut words = format!(
        "The dispatch of {}, {} ago:\n",
        stamp(report.finished_at),
        span_text(elapsed(report.finished_at, env().now()))
    );
    words += &human(
        &report,
        &View {
            with_files: true,
            ..View::of(output)
        },
    );
    for (slug, detail) in &details {
        words.push_str(&render::ops::diff(slug.as_str(), detail));
    }
    let operations = render::ops::diffs(&details);
    output.answer(
        &ResultsReport {
            schema_version: SCHEMA_VERSION,
            report: Some(report),
            operations,
        },
        &words,
    )?;
    Ok(None)
}

/// The operations of a report, in the order in which they were made. One that was cleaned away is left out.
fn details(
    root: &std::path::Path,
    report: &DispatchReport,
) -> Result<Vec<(Slug, OpDetail)>, Failure> {
    let verified = report
        .verified
        .iter()
        .map(|found| (&found.project, &found.op));
    let steps = report.steps.iter().map(|step| (&step.project, &step.op));
    let mut details = Vec::new();
    for (project, op) in verified.chain(steps) {
        let (Ok(slug), Some(op)) = (
            project.parse::<Slug>(),
            op.as_ref().and_then(|op| op.parse::<OpId>().ok()),
        ) else {
            continue;
        };
        // By its name: a long `--until-idle` has many rows, and a list is a look at every operation that is kept.
        match Journal::open(&project::folder(root, &slug)).show(&op) {
            Ok(detail) => details.push((slug, detail)),
            Err(JournalError::UnknownOp { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // Of several rounds, what was verified in the later ones came after the steps of the first.
    details.sort_by_key(|(_, detail)| detail.record.made_at);
    Ok(details)
}
