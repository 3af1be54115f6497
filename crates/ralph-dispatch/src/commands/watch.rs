//! `--watch` and `--wait`: the status again whenever it changes.

use std::collections::BTreeSet;
use std::time::Duration;

use ralph_core::error::Code;
use ralph_front::failure::{Failure, Outcome, printed};
use ralph_front::machine::block_on;

use crate::cluster;
use crate::commands::{status, sweep};
use crate::env_vars;
use crate::home::Fetching;
use crate::render;
use crate::report::{LoopRow, StatusReport};
use crate::standing::Standing;
use crate::window::{self, Size};
use crate::workbench::Workbench;

/// How often loops of this machine are looked at.
const REFRESH: Duration = Duration::from_millis(250);

/// How often a cluster is asked about its jobs.
const REFRESH_JOBS: Duration = Duration::from_secs(10);

/// Which loops are looked at; `None` for all there are.
type Meant<'a> = Option<&'a BTreeSet<String>>;

/// Draws until interrupted; ends by itself when no loop is left to change.
pub(super) fn run(bench: &Workbench) -> Outcome {
    if block_on(view(bench, None))?? == Seen::End {
        let (standings, problems) = status::look(bench, &cluster::refresh(bench)?)?;
        let report = status::report(bench, &standings, problems);
        for problem in &report.problems {
            bench.output.note(&format!("warning: {problem}"));
        }
        bench
            .output
            .answer(&report, &render::status(&report, bench.output.columns()))?;
    }
    Ok(None)
}

/// `--wait`: looks on until these loops have ended, sweeps, and says how each ended. Ctrl-C ends the looking only.
pub(super) fn wait(bench: &Workbench, meant: &BTreeSet<String>) -> Outcome {
    if block_on(view(bench, Some(meant)))?? == Seen::Interrupted {
        bench.output.error_words(
            "detached: the loops go on; `wb-ralph-dispatch --status` shows them, `--stop` ends them",
        );
        return Ok(Some(Code::Interrupted));
    }
    let jobs = cluster::refresh(bench)?;
    let (mut standings, mut problems) = status::look(bench, &jobs)?;
    let mut is_written = true;
    if standings.iter().any(Standing::is_unswept) {
        is_written = sweep::before_status(bench, &jobs, Fetching::Now);
        (standings, problems) = status::look(bench, &jobs)?;
    }
    let report = status::report(bench, &standings, problems);
    bench
        .output
        .answer(&report, &render::status(&report, bench.output.columns()))?;
    let rows = report.loops.into_iter();
    let rows: Vec<LoopRow> = rows.filter(|row| meant.contains(&row.repository)).collect();
    Ok(sweep::outcome(&rows).or((!is_written).then_some(Code::Partial)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    End,
    Interrupted,
}

/// On a terminal the status is drawn in place, and at its end wiped away for the whole of it; elsewhere each change of a
/// state is one line on standard error.
async fn view(bench: &Workbench, meant: Meant<'_>) -> Result<Seen, Failure> {
    let is_drawn = bench.output.on_terminal()
        && !bench.output.is_json()
        && window::goes_back(env_vars::text(env_vars::TERM).as_deref());
    let mut drawn = Drawn::default();
    let mut states = Vec::new();
    loop {
        let jobs = cluster::refresh_async(bench).await?;
        let (mut standings, problems) = status::look(bench, &jobs)?;
        let is_meant = |name: &str| meant.is_none_or(|meant| meant.contains(name));
        let report = status::report(bench, &standings, problems);
        standings.retain(|standing| is_meant(&standing.record.repository));
        let is_end = standings.iter().all(|standing| standing.state.is_final());
        if !is_drawn {
            tell(bench, &report, &is_meant, &mut states);
        } else if !is_end {
            drawn.draw(bench, &report)?;
        } else if drawn.size.is_some() {
            printed(bench.output.bytes(window::WIPE.as_bytes()))?;
        }
        if is_end {
            return Ok(Seen::End);
        }
        let has_jobs = standings
            .iter()
            .any(|standing| standing.record.job.is_some() && !standing.state.is_final());
        let is_remote = has_jobs && cluster::is_remote(&standings);
        let pause = if is_remote { REFRESH_JOBS } else { REFRESH };
        let next = tokio::time::Instant::now() + pause;
        loop {
            // A window of another size is drawn anew at once, also where a cluster is asked seldom.
            let soon = (tokio::time::Instant::now() + REFRESH).min(next);
            tokio::select! {
                () = tokio::time::sleep_until(soon) => {}
                _ = tokio::signal::ctrl_c() => return Ok(Seen::Interrupted),
            }
            if soon == next {
                break;
            }
            if is_drawn {
                drawn.draw(bench, &report)?;
            }
        }
    }
}

/// What is on the screen.
#[derive(Debug, Default)]
struct Drawn {
    text: String,
    size: Option<Size>,
}

impl Drawn {
    fn draw(&mut self, bench: &Workbench, report: &StatusReport) -> Result<(), Failure> {
        let (width, height) = bench.output.size().unwrap_or((80, 24));
        let size = Size { width, height };
        let text = window::frame(report, size);
        let is_same_size = self.size == Some(size);
        if is_same_size && text == self.text {
            return Ok(());
        }
        printed(bench.output.print(&window::over(&text, !is_same_size)))?;
        self.text = text;
        self.size = Some(size);
        Ok(())
    }
}

fn tell(
    bench: &Workbench,
    report: &StatusReport,
    is_meant: &dyn Fn(&str) -> bool,
    states: &mut Vec<(String, &'static str)>,
) {
    let now: Vec<(String, &'static str)> = report
        .loops
        .iter()
        .filter(|row| is_meant(&row.repository))
        .map(|row| (row.repository.clone(), row.state.word()))
        .collect();
    for (repository, state) in now.iter().filter(|state| !states.contains(state)) {
        bench.output.note(&format!("{repository}: {state}"));
    }
    *states = now;
}
