//! Stands in for the product's hidden verbs: `detached supervise DIR`, `detached job DIR` and `detached guard`; and for a process that
//! submits and may be killed: `detached submit STATE WORKSPACE REQUEST PROGRAM ARG…`; and for one that owns a guard:
//! `detached own FOLDER SCRIPT`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ralph_core::backend::ClusterBackend as _;
use ralph_core::cluster::local::{LocalCluster, LocalSettings, run_job};
use ralph_core::env::{Env, RandomIds};
use ralph_core::process::guard::{self, Guard, GuardError, GuardProgram, GuardRequest, Inherit};
use ralph_core::process::{Supervisor, supervise};
use ralph_core::time::SystemClock;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    if args.len() == 1 {
        return guard();
    }
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
        "own" => own(directory, args).is_ok(),
        "submit" => submit(directory, args, env).is_some(),
        _ => false,
    };
    if done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// `detached own FOLDER SCRIPT`: an owner that may be killed.
fn own(workdir: PathBuf, args: impl Iterator<Item = String>) -> Result<(), GuardError> {
    let program = GuardProgram {
        program: std::env::current_exe().map_err(GuardError::Channel)?,
        args: vec!["guard".to_owned()],
    };
    let request = GuardRequest {
        program: "bash".into(),
        args: std::iter::once("-c".to_owned()).chain(args).collect(),
        workdir,
        inherit: Inherit::All,
        variables: BTreeMap::new(),
        stdin: Vec::new(),
        grace: Duration::from_millis(50),
    };
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().map_err(GuardError::Channel)?;
    runtime.block_on(async {
        let mut guarded = Guard::start(&program)?.run(&request).await?;
        guarded.wait().await.map(drop)
    })
}

/// `detached guard`.
fn guard() -> ExitCode {
    match guard::main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
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
