//! `--status`: how every loop is.

use std::collections::BTreeMap;

use ralph_front::failure::{Failure, Outcome, sentence};

use crate::cluster;
use crate::commands::sweep;
use crate::home::Fetching;
use crate::record::LoopRecord;
use crate::render;
use crate::report::{ForeignRow, StatusReport};
use crate::standing::{JobStanding, Look, Standing, foreign_pid};
use crate::sweep::pid_file_paths;
use crate::workbench::Workbench;

/// Shows the loops. When all have ended and somebody has still to write that down, it is done first, as
/// far as no remote has to be asked for it.
pub(super) fn run(bench: &Workbench) -> Outcome {
    let jobs = cluster::refresh(bench)?;
    let (mut standings, problems) = look(bench, &jobs)?;
    let all_ended = standings.iter().all(|standing| standing.state.is_final());
    let unswept = |standing: &Standing| standing.record.settled.is_none();
    if all_ended && standings.iter().any(unswept) {
        sweep::before_status(bench, &jobs, Fetching::Later);
        standings = look(bench, &jobs)?.0;
    }
    let report = report(bench, &standings, problems);
    for problem in &report.problems {
        bench.output.note(&format!("warning: {problem}"));
    }
    bench.output.answer(&report, &render::status(&report))?;
    if report.loops.is_empty() && report.foreign.is_empty() {
        bench.output.note("nothing was launched here yet");
    }
    Ok(None)
}

/// Looks at every loop there is a record of; what could not be read comes with it.
pub(super) fn look(
    bench: &Workbench,
    jobs: &BTreeMap<String, JobStanding>,
) -> Result<(Vec<Standing>, Vec<String>), Failure> {
    let (records, wrong) = LoopRecord::all(&bench.layout)?;
    let look = Look::new(&bench.layout, jobs);
    let standings = records.into_iter().map(|record| look.at(record)).collect();
    Ok((
        standings,
        wrong.iter().map(|error| sentence(error)).collect(),
    ))
}

/// The report on loops, and on pidfiles that have no record.
pub(super) fn report(
    bench: &Workbench,
    standings: &[Standing],
    problems: Vec<String>,
) -> StatusReport {
    let layout = &bench.layout;
    let known = |name: &str| standings.iter().any(|one| one.record.repository == name);
    let mut foreign = Vec::new();
    for path in pid_file_paths(layout) {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if known(&name) {
            continue;
        }
        if let Some(found) = foreign_pid(&path) {
            foreign.push(ForeignRow {
                file: layout.shown(&path),
                pid: found.pid,
                alive: found.is_alive,
            });
        }
    }
    StatusReport::new(standings, foreign, problems, layout)
}
