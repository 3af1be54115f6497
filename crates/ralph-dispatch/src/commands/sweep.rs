//! `--sweep`: what ended is written down, and the pipeline and the pidfiles say so.

use std::collections::BTreeMap;

use ralph_front::failure::{Failure, Outcome};

use crate::cluster;
use crate::render;
use crate::report::{LoopRow, SweepReport};
use crate::standing::{JobStanding, Look};
use crate::sweep::{self, Swept};
use crate::workbench::Workbench;

/// Sweeps and says what was swept.
pub(super) fn run(bench: &Workbench) -> Outcome {
    let jobs = cluster::refresh(bench)?;
    let (swept, rows) = now(bench, &jobs)?;
    for problem in &swept.problems {
        bench.output.note(&format!("warning: {problem}"));
    }
    let report = SweepReport::new(&swept, rows);
    bench.output.answer(&report, &render::swept(&report))?;
    Ok(outcome(&report.swept))
}

/// Sweeps under the lock.
pub(super) fn now(
    bench: &Workbench,
    jobs: &BTreeMap<String, JobStanding>,
) -> Result<(Swept, Vec<LoopRow>), Failure> {
    let layout = &bench.layout;
    if !layout.lock().exists() {
        if sweep::pid_file_paths(layout).is_empty() {
            return Ok((Swept::default(), Vec::new()));
        }
        // Pidfiles of another launcher; the lock will be the first file of ours.
        bench.exclude()?;
    }
    let lock = sweep::lock(layout)?;
    let look = Look::new(layout, jobs);
    let swept = sweep::sweep(layout, &bench.env, &look, &lock)?;
    let rows = swept.settled.iter();
    let rows = rows
        .map(|record| LoopRow::new(&look.at(record.clone()), layout))
        .collect();
    Ok((swept, rows))
}

/// Sweeps before something else is done, and says so beside its answer: never silently.
pub(super) fn beside(
    bench: &Workbench,
    jobs: &BTreeMap<String, JobStanding>,
) -> Result<(), Failure> {
    let report = noted(bench, jobs)?;
    if !report.swept.is_empty() || !report.pid_files.is_empty() {
        bench.output.note("swept what had ended:");
        bench.output.note(render::swept(&report).trim_end());
    }
    Ok(())
}

/// The same before the status is shown, which says how each loop ended. Where nothing can be written, such as in a
/// workbench that somebody else's loops run in, that is said, and the status is shown all the same.
pub(super) fn before_status(bench: &Workbench, jobs: &BTreeMap<String, JobStanding>) {
    let report = match noted(bench, jobs) {
        Ok(report) => report,
        Err(failure) => {
            let why = failure.message();
            bench.output.note(&format!(
                "warning: what ended is not recorded: {why}; wb-ralph-dispatch --sweep tries again"
            ));
            return;
        }
    };
    let text = render::swept_beside(&report);
    if !text.is_empty() {
        bench.output.note(text.trim_end());
    }
}

fn noted(bench: &Workbench, jobs: &BTreeMap<String, JobStanding>) -> Result<SweepReport, Failure> {
    let (swept, rows) = now(bench, jobs)?;
    let report = SweepReport::new(&swept, rows);
    for problem in &report.problems {
        bench.output.note(&format!("warning: {problem}"));
    }
    Ok(report)
}

/// What ended loops mean for the exit code.
pub(super) fn outcome(rows: &[LoopRow]) -> Option<ralph_core::error::Code> {
    use crate::record::State;
    use ralph_core::error::Code;
    let wrong = rows.iter();
    let wrong = wrong.filter(|row| matches!(row.state, State::Failed | State::Lost));
    match wrong.count() {
        0 => None,
        count if count == rows.len() => Some(Code::Failed),
        _ => Some(Code::Partial),
    }
}
