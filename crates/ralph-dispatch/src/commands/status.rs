//! `--status`: how every loop is.

use std::collections::BTreeMap;

use ralph_front::failure::{Failure, Outcome, sentence};

use crate::cluster;
use crate::commands::sweep;
use crate::gate::Running;
use crate::home::Fetching;
use crate::probe;
use crate::record::{LoopRecord, pid_file_paths};
use crate::render;
use crate::report::{ByHandRow, ForeignRow, StatusReport};
use crate::standing::{JobStanding, Look, Standing, foreign_pid};
use crate::workbench::Workbench;

/// Shows the loops. When all have ended and somebody has still to write that down, it is done first, as
/// far as no remote has to be asked for it.
pub(super) fn run(bench: &Workbench) -> Outcome {
    let jobs = cluster::refresh(bench)?;
    let (mut standings, problems) = look(bench, &jobs)?;
    let all_ended = standings.iter().all(|standing| standing.state.is_final());
    if all_ended && standings.iter().any(Standing::is_unswept) {
        sweep::before_status(bench, &jobs, Fetching::Later);
        standings = look(bench, &jobs)?.0;
    }
    let report = report(bench, &standings, problems);
    for problem in &report.problems {
        bench.output.note(&format!("warning: {problem}"));
    }
    bench
        .output
        .answer(&report, &render::status(&report, bench.output.columns()))?;
    for row in &report.by_hand {
        bench.output.note(&render::by_hand(row));
    }
    Ok(None)
}

/// The registered repositories in which a loop runs that no launch here knows, and its process, if it says so.
fn by_hand(bench: &Workbench, standings: &[Standing]) -> Vec<ByHandRow> {
    let is_launched = |name: &str| {
        let mut known = standings.iter().filter(|one| one.record.job.is_none());
        known.any(|one| one.record.repository == name && !one.state.is_final())
    };
    let names = bench.conf.names().into_iter();
    let others = names.filter(|name| !is_launched(name));
    others
        .filter_map(|name| match probe::by_hand(&bench.layout, &name)? {
            Running::ByHand { pid } => Some(ByHandRow {
                repository: name,
                pid,
            }),
            _ => None,
        })
        .collect()
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

/// The report on loops, and on those that have no record.
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
    let by_hand = by_hand(bench, standings);
    StatusReport::new(standings, foreign, by_hand, problems, layout)
}
