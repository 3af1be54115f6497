//! One file per form of the command line: resolve, call, print. Nothing is decided here that could be decided purely.

mod launch;
mod link;
mod status;
mod stop;
mod sweep;
mod watch;

use std::path::Path;

use ralph_core::error::Code;
use ralph_core::process::SpawnRequest;
use ralph_core::process::record::REQUEST;
use ralph_core::store::atomic;
use ralph_front::explain::explain;
use ralph_front::failure::{Failure, Outcome, printed};
use ralph_front::machine;
use ralph_front::manual::{completions, page};
use ralph_front::output::Output;
use ralph_loop::budget::{Budget, loop_name};

use crate::args::{Cli, Hidden};
use crate::env_vars;
use crate::layout;
use crate::workbench::Workbench;

/// What completions and the manual page call this program.
const PROGRAM: &str = "wb-ralph-dispatch";

/// Runs a command line; the exit code.
pub(crate) fn run(cli: Cli) -> u8 {
    let columns = env_vars::text(env_vars::COLUMNS);
    let output = Output::new(&cli.global.printing, columns.as_deref());
    match dispatch(cli, &output) {
        Ok(code) => code.map_or(0, Code::exit_code),
        Err(failure) => {
            explain(&failure, &output);
            failure.code().exit_code()
        }
    }
}

fn dispatch(cli: Cli, output: &Output) -> Outcome {
    match &cli.hidden {
        Some(Hidden::Supervise(arguments)) => return supervise(&arguments.dir),
        Some(Hidden::Job(arguments)) => return job(&arguments.dir),
        Some(Hidden::Schema) => {
            printed(output.json(&crate::schemas::all()))?;
            return Ok(None);
        }
        None => {}
    }
    if cli.act.link {
        return link::run(output);
    }
    if let Some(shell) = cli.act.completions {
        printed(output.bytes(&completions(&crate::command(), PROGRAM, shell)))?;
        return Ok(None);
    }
    if cli.act.man {
        printed(page(&crate::command(), PROGRAM).and_then(|text| output.bytes(&text)))?;
        return Ok(None);
    }
    let act = &cli.act;
    let is_named = cli.flags.repos.is_some() || cli.flags.exclude.is_some();
    let needs_conf = !(act.status || act.watch || act.sweep || act.stop) || is_named;
    let bench = Workbench::open(&cli.global, output.clone(), needs_conf)?;
    if act.stop {
        stop::run(&bench, &cli.flags, act.within)
    } else if act.sweep {
        sweep::run(&bench)
    } else if act.watch {
        watch::run(&bench)
    } else if act.status {
        status::run(&bench)
    } else {
        launch::run(&bench, &cli.flags, act)
    }
}

/// The hidden verbs answer on standard output, to the process that started them.
fn supervised(outcome: Result<(), String>) -> Outcome {
    outcome
        .map(|()| None)
        .map_err(|error| Failure::new(Code::Failed, error))
}

fn supervise(dir: &Path) -> Outcome {
    let env = machine::env(env_vars::user());
    let done = ralph_core::process::supervise::main(dir, &env, &mut std::io::stdout());
    departed(dir);
    supervised(done.map(drop).map_err(|error| error.to_string()))
}

/// A loop that ended before it opened the budget of its launch would be waited for.
fn departed(dir: &Path) {
    let request = atomic::read(&dir.join(REQUEST)).ok().flatten();
    let request: Option<SpawnRequest> =
        request.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if let (Some(request), Some(budget)) = (request, layout::budget_of(dir)) {
        // Where that cannot be written, the others' patience ends.
        let _ = Budget::depart(&budget, &loop_name(&request.workdir));
    }
}

fn job(dir: &Path) -> Outcome {
    let env = machine::env(env_vars::user());
    let variables = env_vars::all();
    let done = ralph_core::cluster::local::run_job(dir, &env, variables, &mut std::io::stdout());
    supervised(done.map(drop).map_err(|error| error.to_string()))
}
