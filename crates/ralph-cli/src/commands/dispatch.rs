//! `ralph dispatch` and `ralph verify`.

use std::sync::Arc;
use std::time::Duration;

use ralph_core::act::{Dispatcher, Options};
use ralph_core::error::Code;
use ralph_core::report::DispatchReport;
use ralph_core::store::{atomic, layout};
use ralph_core::time::{Timestamp, elapsed, span_text, stamp};

use crate::args::{Chosen, Dispatch, Global};
use crate::commands::{block_on, projects};
use crate::exit::{Failure, Outcome, printed};
use crate::output::Output;
use crate::render;
use crate::workspace::Workspace;

/// Verifies, then advances projects by one step each; with `--until-idle` until nothing is actionable.
pub(crate) fn run(global: &Global, arguments: &Dispatch, output: &Output) -> Outcome {
    let workspace = Workspace::open(global, output)?;
    let dispatcher = workspace.dispatcher(output);
    let options = Options {
        projects: projects(&arguments.chosen.projects, &dispatcher.slugs()?)?,
        batch_size: arguments.batch_size.map(|n| n as usize),
        dry_run: arguments.dry_run,
        verify_only: false,
    };
    block_on(rounds(&dispatcher, &options, arguments, output))?
}

/// The verification half alone.
pub(crate) fn verify(global: &Global, arguments: &Chosen, output: &Output) -> Outcome {
    let workspace = Workspace::open(global, output)?;
    let dispatcher = workspace.dispatcher(output);
    let projects = projects(&arguments.projects, &dispatcher.slugs()?)?;
    let options = Options {
        projects,
        batch_size: None,
        dry_run: false,
        verify_only: true,
    };
    let report = block_on(dispatcher.dispatch(&options))??;
    show(&report, output)?;
    Ok(report.code())
}

async fn rounds(
    dispatcher: &Arc<Dispatcher>,
    options: &Options,
    arguments: &Dispatch,
    output: &Output,
) -> Outcome {
    let mut round = 0;
    loop {
        let report = tokio::select! {
            report = dispatcher.dispatch(options) => report?,
            signal = tokio::signal::ctrl_c() => return interrupted(signal),
        };
        round += 1;
        if !report.dry_run {
            keep(dispatcher, &report)?;
        }
        let goes_on = arguments.until_idle && report.took_a_step();
        if goes_on && !output.is_json() {
            printed(output.print(&render::report::round(&report)))?;
        } else {
            show(&report, output)?;
        }
        let last = arguments.max_steps.is_some_and(|most| round >= most);
        if !arguments.until_idle || last {
            let idle =
                arguments.fail_if_idle && report.steps.is_empty() && report.verified.is_empty();
            return Ok(report.code().or(idle.then_some(Code::Idle)));
        }
        if goes_on {
            continue;
        }
        let Some(due) = report.next_due.filter(|_| !asks_for_access(&report)) else {
            return Ok(report.code());
        };
        let wait = pause(dispatcher, due);
        output.note(&format!(
            "waiting {} for the poll that is due at {}",
            span_text(wait),
            stamp(due)
        ));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            signal = tokio::signal::ctrl_c() => return interrupted(signal),
        }
    }
}

/// Whether only a person can open the way to the cluster: waiting for a poll would be spinning.
fn asks_for_access(report: &DispatchReport) -> bool {
    let person = [Code::NoClusterConfig, Code::NoSession, Code::NoScheduler];
    report
        .cluster_problem
        .as_ref()
        .is_some_and(|problem| person.map(Code::exit_code).contains(&problem.exit_code))
}

/// How long to wait for what is due. What was due already was asked about a moment ago, without an answer that
/// changed anything: it gets the interval of a first poll and not a storm of questions.
fn pause(dispatcher: &Dispatcher, due: Timestamp) -> Duration {
    let wait = elapsed(dispatcher.env.now(), due);
    if wait.is_zero() {
        dispatcher.settings.poll.first
    } else {
        wait
    }
    .max(Duration::from_millis(100))
}

fn interrupted(signal: std::io::Result<()>) -> Outcome {
    match signal {
        Ok(()) => Ok(Some(Code::Interrupted)),
        Err(error) => Err(Failure::new(
            Code::Failed,
            format!("signals cannot be received: {error}"),
        )),
    }
}

fn show(report: &DispatchReport, output: &Output) -> Result<(), Failure> {
    printed(if output.is_json() {
        output.json(report)
    } else {
        output.print(&render::report::human(report, output))
    })
}

/// Keeps the report for `ralph results`.
fn keep(dispatcher: &Dispatcher, report: &DispatchReport) -> Result<(), Failure> {
    let path = dispatcher.root.join(layout::LAST_DISPATCH);
    let text = ralph_core::ledger::json(report);
    Ok(atomic::replace(&path, text.as_bytes())?)
}
