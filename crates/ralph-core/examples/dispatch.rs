//! Dispatches a workspace on the embedded cluster until nothing moves by itself any more: `dispatch WORKSPACE`.
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ralph_core::act::{Dispatcher, Options};
use ralph_core::cluster::local::{LocalCluster, LocalSettings, run_job};
use ralph_core::env::Env;
use ralph_core::process::Supervisor;
use ralph_core::process::guard::{self, GuardProgram};

fn main() -> Result<(), Box<dyn Error>> {
    let env = Env::system("example", "nobody");
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    match &args[..] {
        // Each job has a supervisor: this program again. It comes first, and outside any async runtime.
        [verb, folder] if verb == "__job" => {
            let variables = std::env::vars_os().collect();
            Ok(run_job(
                Path::new(folder),
                &env,
                variables,
                &mut std::io::stdout(),
            )?)
        }
        // What an agent or the tests run under: the same.
        [verb] if verb == "__guard" => Ok(guard::main()?),
        [root] => {
            // A dispatch reads and writes files where it is called, so it has a thread of its own.
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build()?;
            runtime.block_on(dispatch(PathBuf::from(root).canonicalize()?, env))
        }
        _ => Err("expected a workspace".into()),
    }
}

async fn dispatch(root: PathBuf, env: Env) -> Result<(), Box<dyn Error>> {
    let guard_program = GuardProgram {
        program: std::env::current_exe()?,
        args: vec!["__guard".to_owned()],
    };
    let supervisor = Supervisor {
        program: guard_program.program.clone(),
        args: vec!["__job".to_owned()],
    };
    let cluster = LocalCluster::new(LocalSettings::new(root.clone(), supervisor), env.clone());
    let dispatcher = Arc::new(Dispatcher::new(
        root,
        env,
        Ok(Arc::new(cluster)),
        guard_program,
    ));
    loop {
        let report = dispatcher.dispatch(&Options::default()).await?;
        for found in &report.verified {
            println!("{}: {}: {}", found.project, found.finding, found.detail);
        }
        for step in &report.steps {
            println!("{}: {}: {}", step.project, step.step, step.outcome);
        }
        // A step that is only told again, such as a work order that waits for a person, changes no file.
        let has_moved = report.steps.iter().any(|step| !step.files.is_empty());
        match report.next_due {
            _ if has_moved => {}
            // A job runs. A scheduler would be asked when it is due; this cluster costs nothing to ask.
            Some(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            None => return Ok(()),
        }
    }
}
