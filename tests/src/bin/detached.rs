//! Stands in for the product's hidden verbs: `detached supervise DIR` and `detached job DIR`; and for a process that
//! submits and may be killed: `detached submit STATE WORKSPACE REQUEST PROGRAM ARG…`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use ralph_core::backend::ClusterBackend as _;
use ralph_core::cluster::local::{LocalCluster, LocalSettings, run_job};
use ralph_core::env::{Env, RandomIds};
use ralph_core::process::{Supervisor, supervise};
use ralph_core::time::SystemClock;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (verb, directory) = (args.next(), args.next().map(PathBuf::from));
    let (Some(verb), Some(directory)) = (verb, directory) else {
        return ExitCode::from(2);
    };
    let env = Env {
        clock: Arc::new(SystemClock::new()),
        ids: Arc::new(RandomIds::default()),
        host: "node1".to_owned(),
        user: "tester".to_owned(),
        pid: std::process::id(),
    };
    let mut answer = std::io::stdout();
    let done = match verb.as_str() {
        "supervise" => supervise::main(&directory, &env, &mut answer).is_ok(),
        "job" => run_job(&directory, &env, std::env::vars_os().collect(), &mut answer).is_ok(),
        "submit" => submit(directory, args, env).is_some(),
        _ => false,
    };
    if done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn submit(state_dir: PathBuf, mut args: impl Iterator<Item = String>, env: Env) -> Option<()> {
    let workspace = PathBuf::from(args.next()?);
    let request = serde_json::from_slice(&std::fs::read(args.next()?).ok()?).ok()?;
    let supervisor = Supervisor {
        program: args.next()?.into(),
        args: Vec::new(),
    };
    let mut settings = LocalSettings::new(workspace, supervisor);
    settings.supervisor.args = args.collect();
    settings.state_dir = state_dir;
    let cluster = LocalCluster::new(settings, env);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let submitted = runtime.build().ok()?.block_on(cluster.submit(&request));
    submitted.ok()?;
    Some(())
}
