//! `ralph results`: what the last dispatch did, with the differences of each file.

use std::fs;
use std::io;
use std::path::Path;

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
    let report = last_report(&root.join(layout::LAST_DISPATCH))?;
    let details = match &report {
        Some(report) if arguments.compare_last => details(&root, report)?,
        _ => Vec::new(),
    };
    let words = report.as_ref().map_or_else(
        || "No dispatch has run in this workspace yet.".to_owned(),
        |report| words(report, &details, output),
    );
    let results = ResultsReport {
        schema_version: SCHEMA_VERSION,
        operations: render::ops::diffs(&details),
        report,
    };
    output.answer(&results, &words)?;
    Ok(None)
}

/// The kept report; `None` where no dispatch has run yet.
fn last_report(path: &Path) -> Result<Option<DispatchReport>, Failure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let message = format!("{}: cannot be read: {error}", path.display());
            return Err(Failure::new(Code::Failed, message));
        }
    };
    serde_json::from_str(&text).map(Some).map_err(|error| {
        let path = path.display();
        let message = format!("{path}: expected the report of a dispatch: {error}");
        Failure::new(Code::CorruptState, message).hint("The next dispatch writes it anew.")
    })
}

fn words(report: &DispatchReport, details: &[(Slug, OpDetail)], output: &Output) -> String {
    let view = View {
        with_files: true,
        ..View::of(output)
    };
    let mut words = format!(
        "The dispatch of {}, {} ago:\n",
        stamp(report.finished_at),
        span_text(elapsed(report.finished_at, env().now()))
    );
    words += &human(report, &view);
    for (slug, detail) in details {
        words += &render::ops::diff(slug.as_str(), detail);
    }
    words
}

/// The operations of a report, in the order in which they were made. One that was cleaned away is left out.
fn details(root: &Path, report: &DispatchReport) -> Result<Vec<(Slug, OpDetail)>, Failure> {
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
