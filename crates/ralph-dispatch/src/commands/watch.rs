//! `--watch` and `--wait`: the status again whenever it changes.

use std::time::Duration;

use ralph_core::error::Code;
use ralph_front::failure::{Failure, Outcome, printed};
use ralph_front::machine::block_on;

use crate::cluster;
use crate::commands::{status, sweep};
use crate::render;
use crate::report::StatusReport;
use crate::workbench::Workbench;

/// How often loops of this machine are looked at.
const REFRESH: Duration = Duration::from_millis(250);

/// How often a cluster is asked about its jobs.
const REFRESH_JOBS: Duration = Duration::from_secs(10);

const CLEAR_SCREEN: &str = "\u{1b}[2J";
const TO_THE_TOP: &str = "\u{1b}[H";
const CLEAR_LINE: &str = "\u{1b}[K";
const CLEAR_BELOW: &str = "\u{1b}[J";

/// Draws until interrupted; ends by itself when no loop is left to change.
pub(super) fn run(bench: &Workbench) -> Outcome {
    let seen = block_on(view(bench))??;
    if seen == Seen::End {
        let (standings, problems) = status::look(bench, &cluster::refresh(bench)?)?;
        let report = status::report(bench, &standings, problems);
        if !bench.output.on_terminal() || report.loops.is_empty() {
            bench.output.answer(&report, &render::status(&report))?;
        }
    }
    Ok(None)
}

/// `--wait`: looks on until all loops have ended, sweeps, and says how each ended. Ctrl-C ends the looking only.
pub(super) fn wait(bench: &Workbench) -> Outcome {
    if block_on(view(bench))?? == Seen::Interrupted {
        bench.output.error_line(
            "detached: the loops go on; `wb-ralph-dispatch --status` shows them, `--stop` ends them",
        );
        return Ok(Some(Code::Interrupted));
    }
    let jobs = cluster::refresh(bench)?;
    sweep::before_status(bench, &jobs)?;
    let (standings, problems) = status::look(bench, &jobs)?;
    let last = standings.iter().map(|s| s.record.launch.clone()).max();
    let report = status::report(bench, &standings, problems);
    bench.output.answer(&report, &render::status(&report))?;
    let mut rows = report.loops;
    rows.retain(|row| Some(&row.launch) == last.as_ref());
    Ok(sweep::outcome(&rows))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    End,
    Interrupted,
}

/// On a terminal the status is drawn in place; elsewhere each change of a state is one line on standard error.
async fn view(bench: &Workbench) -> Result<Seen, Failure> {
    let mut shown = String::new();
    let mut states = Vec::new();
    loop {
        let jobs = cluster::refresh_async(bench).await?;
        let (standings, problems) = status::look(bench, &jobs)?;
        let report = status::report(bench, &standings, problems);
        if bench.output.on_terminal() && !bench.output.is_json() {
            draw(bench, &report, &mut shown)?;
        } else {
            tell(bench, &report, &mut states);
        }
        if standings.iter().all(|standing| standing.state.is_final()) {
            return Ok(Seen::End);
        }
        let has_jobs = standings
            .iter()
            .any(|standing| standing.record.job.is_some() && !standing.state.is_final());
        let is_remote = has_jobs && cluster::is_remote(&standings);
        let pause = if is_remote { REFRESH_JOBS } else { REFRESH };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = tokio::signal::ctrl_c() => return Ok(Seen::Interrupted),
        }
    }
}

fn draw(bench: &Workbench, report: &StatusReport, shown: &mut String) -> Result<(), Failure> {
    let text = render::status(report);
    if text == *shown {
        return Ok(());
    }
    let clear = if shown.is_empty() { CLEAR_SCREEN } else { "" };
    let lines: String = text
        .lines()
        .map(|line| [line, CLEAR_LINE, "\n"].concat())
        .collect();
    let drawn = [clear, TO_THE_TOP, &lines, CLEAR_BELOW].concat();
    printed(bench.output.print(&drawn))?;
    *shown = text;
    Ok(())
}

fn tell(bench: &Workbench, report: &StatusReport, states: &mut Vec<(String, &'static str)>) {
    let now: Vec<(String, &'static str)> = report
        .loops
        .iter()
        .map(|row| (row.repository.clone(), row.state.word()))
        .collect();
    for (repository, state) in now.iter().filter(|state| !states.contains(state)) {
        bench.output.note(&format!("{repository}: {state}"));
    }
    *states = now;
}
