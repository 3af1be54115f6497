//! `--sweep`: what ended is written down, and the pipeline and the pidfiles say so.

use std::collections::BTreeMap;

use ralph_core::error::Code;
use ralph_front::failure::{Failure, Outcome};

use crate::cluster;
use crate::home::{Fetching, Homes};
use crate::record::{State, pid_file_paths};
use crate::render;
use crate::report::{LoopRow, SweepReport};
use crate::standing::{JobStanding, Look};
use crate::sweep::{self, Swept};
use crate::workbench::Workbench;

/// Sweeps and says what was swept.
pub(super) fn run(bench: &Workbench) -> Outcome {
    let jobs = cluster::refresh(bench)?;
    let (_, report) = noted(bench, &jobs, Fetching::Now)?;
    bench
        .output
        .answer(&report, &render::swept(&report, bench.output.columns()))?;
    let left = (!report.problems.is_empty()).then_some(Code::Partial);
    Ok(outcome(&report.swept).or(left))
}

/// Asks the remotes of what ended, and sweeps under the lock.
fn now(
    bench: &Workbench,
    jobs: &BTreeMap<String, JobStanding>,
    fetching: Fetching,
) -> Result<(Swept, Vec<LoopRow>), Failure> {
    let layout = &bench.layout;
    if !layout.lock().exists() {
        if pid_file_paths(layout).is_empty() {
            return Ok((Swept::default(), Vec::new()));
        }
        // Pidfiles of another launcher; the lock will be the first file of ours.
        bench.exclude()?;
    }
    let look = Look::new(layout, jobs);
    let homes = Homes::ask(layout, &bench.env, &look, fetching)?;
    let lock = sweep::lock(layout)?;
    let look = look.again();
    let swept = sweep::sweep(layout, &bench.env, &look, &homes, &lock)?;
    let rows = swept.settled.iter();
    let rows = rows
        .map(|record| LoopRow::new(&look.at(record.clone()), layout))
        .collect();
    Ok((swept, rows))
}

/// Sweeps before something else is done, and says so beside its answer: never silently. The answer is why the work of
/// jobs that ended is not here, by the repository.
pub(super) fn beside(
    bench: &Workbench,
    jobs: &BTreeMap<String, JobStanding>,
) -> Result<BTreeMap<String, String>, Failure> {
    let (swept, report) = noted(bench, jobs, Fetching::Now)?;
    if !report.swept.is_empty() || !report.pid_files.is_empty() {
        bench.output.note("swept what had ended:");
        bench
            .output
            .note(render::swept(&report, bench.output.columns()).trim_end());
    }
    Ok(swept.away)
}

/// The same before the status is shown, which says how each loop ended. Where nothing can be written, such as in a
/// workbench that somebody else's loops run in, that is said, and the status is shown all the same. Says whether
/// everything that ended is written down.
pub(super) fn before_status(
    bench: &Workbench,
    jobs: &BTreeMap<String, JobStanding>,
    fetching: Fetching,
) -> bool {
    let (swept, report) = match noted(bench, jobs, fetching) {
        Ok(found) => found,
        Err(failure) => {
            let why = failure.message();
            bench.output.note(&format!(
                "warning: what ended is not recorded: {why}; wb-ralph-dispatch --sweep tries again"
            ));
            return false;
        }
    };
    let text = render::swept_beside(&report);
    if !text.is_empty() {
        bench.output.note(text.trim_end());
    }
    for name in &swept.not_asked {
        bench.output.note(&format!(
            "{name}: what its job delivered is not fetched yet; wb-ralph-dispatch --sweep brings it home"
        ));
    }
    swept.problems.is_empty() && swept.not_asked.is_empty()
}

fn noted(
    bench: &Workbench,
    jobs: &BTreeMap<String, JobStanding>,
    fetching: Fetching,
) -> Result<(Swept, SweepReport), Failure> {
    let (swept, rows) = now(bench, jobs, fetching)?;
    let report = SweepReport::new(&swept, rows);
    for problem in &report.problems {
        bench.output.note(&format!("warning: {problem}"));
    }
    for note in &swept.notes {
        bench.output.note(note);
    }
    Ok((swept, report))
}

/// What ended loops mean for the exit code.
pub(super) fn outcome(rows: &[LoopRow]) -> Option<Code> {
    let wrong = rows.iter();
    let wrong = wrong.filter(|row| matches!(row.state, State::Failed | State::Lost));
    match wrong.count() {
        0 => None,
        count if count == rows.len() => Some(Code::Failed),
        _ => Some(Code::Partial),
    }
}
