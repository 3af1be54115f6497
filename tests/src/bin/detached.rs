//! Stands in for the product's hidden verbs: `detached supervise DIR` and `detached job DIR`; and for a process that
//! submits and may be killed: `detached submit STATE WORKSPACE REQUEST PROGRAM ARG…`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use ralph_core::backend::ClusterBackend as _;
use ralph_core::cluster::local::{LocalCluster, LocalSettings, run_job};
use ralph_core::env::Env;
use ralph_core::process::{Supervisor, identity, supervise};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (verb, directory) = (args.next(), args.next().map(PathBuf::from));
    let (Some(verb), Some(directory)) = (verb, directory) else {
        return ExitCode::from(2);
    };
    let env = ralph_tests::env();
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
    let settings = LocalSettings {
        state_dir,
        workspace,
        supervisor: Supervisor {
            program: args.next()?.into(),
            args: args.collect(),
        },
        max_parallel: 2,
        boot_id: identity::boot_id()?,
        kill_wait: Duration::from_secs(10),
    };
    let cluster = LocalCluster::new(settings, env);
    ralph_tests::block_on(cluster.submit(&request)).ok()?;
    Some(())
}
