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
use crate::render;
use crate::render::report::View;
use crate::workspace::Workspace;
use ralph_front::failure::{Failure, Outcome};
use ralph_front::output::Output;

/// A poll that is due at once is not asked for in a hot loop.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);

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
    let mut before: Option<DispatchReport> = None;
    let mut whole: Option<DispatchReport> = None;
    loop {
        let report = tokio::select! {
            report = dispatcher.dispatch(options) => report?,
            signal = tokio::signal::ctrl_c() => return interrupted(signal),
        };
        round += 1;
        if !report.dry_run {
            let rounds = render::report::joined(whole.as_ref(), &report);
            keep(dispatcher, &rounds)?;
            whole = Some(rounds);
        }
        let last = !arguments.until_idle || arguments.max_steps.is_some_and(|most| round >= most);
        let goes_on = report.took_a_step();
        let due = report
            .next_due
            .filter(|_| !goes_on && !asks_for_access(&report));
        match due {
            _ if last => {
                show(&report, output)?;
                return Ok(code(&report, arguments));
            }
            None if !goes_on => {
                show(&report, output)?;
                return Ok(report.code());
            }
            None => show_round(&report, before.as_ref(), output)?,
            Some(due) => {
                show_round(&report, before.as_ref(), output)?;
                let wait = pause(dispatcher, due);
                let words = format!(
                    "waiting {} for the poll that is due at {}",
                    span_text(wait),
                    stamp(due)
                );
                output.progress(&words);
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    signal = tokio::signal::ctrl_c() => return interrupted(signal),
                }
            }
        }
        before = Some(report);
    }
}

fn code(report: &DispatchReport, arguments: &Dispatch) -> Option<Code> {
    let idle = arguments.fail_if_idle && report.steps.is_empty() && report.verified.is_empty();
    report.code().or(idle.then_some(Code::Idle))
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
    .max(SHORTEST_WAIT)
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
    output.answer_with(report, || render::report::human(report, &View::of(output)))
}

/// One round among several: what it did, without what it passed over.
fn show_round(
    report: &DispatchReport,
    before: Option<&DispatchReport>,
    output: &Output,
) -> Result<(), Failure> {
    let words = || render::report::round(report, before, &View::of(output));
    output.answer_with(report, words)
}

/// Keeps the report for `ralph results`.
fn keep(dispatcher: &Dispatcher, report: &DispatchReport) -> Result<(), Failure> {
    let path = dispatcher.root.join(layout::LAST_DISPATCH);
    let text = ralph_core::ledger::json(report);
    Ok(atomic::replace(&path, text.as_bytes())?)
}
