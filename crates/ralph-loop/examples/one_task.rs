//! Has an agent do the first open task of a repository's plan, checks and merges its work, and shows what happens:
//! `one_task REPOSITORY COMMAND…`. The command is an agent: it reads its prompt and works in the folder it is started in.
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ralph_core::env::Env;
use ralph_core::process::Identity;
use ralph_core::process::guard::{self, GuardProgram};
use ralph_loop::LoopLock;
use ralph_loop::assemble::Assembly;
use ralph_loop::event::{Event, Sink};
use ralph_loop::settings::{self, CommandLine};

struct Shown;

impl Sink for Shown {
    fn event(&self, event: &Event) {
        match event {
            Event::AgentStarted { task, log, .. } => println!("{}: {}", task.id, log.display()),
            Event::AttemptEnded { line, .. } => println!("{}: {:?}", line.task_id, line.outcome),
            _ => {}
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args[..] {
        // Agents run under a guard, which is this program again. It comes first, and outside any async runtime.
        [verb] if verb == "__guard" => Ok(guard::main()?),
        [repository, command @ ..] if !command.is_empty() => {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build()?;
            runtime.block_on(work(&PathBuf::from(repository).canonicalize()?, command))
        }
        _ => Err("expected a repository and a command".into()),
    }
}

async fn work(root: &Path, command: &[String]) -> Result<(), Box<dyn Error>> {
    // Every knob of the loop, as if it had been typed; what is not said has its default.
    let typed = CommandLine {
        parallel: vec!["1".to_owned(), "1".to_owned()],
        engine: Some("command".to_owned()),
        agent_command: Some(command.join(" ")),
        no_pr: true,
        ..CommandLine::default()
    };
    let settings = settings::resolve(&typed, &BTreeMap::new(), &[])?;
    let env = Env::system("example", "nobody");
    let guard = GuardProgram {
        program: std::env::current_exe()?,
        args: vec!["__guard".to_owned()],
    };
    let owner = Identity::of(std::process::id()).ok_or("this machine has no /proc")?;
    let shared = std::env::temp_dir().join("ralph-example");

    let lock = LoopLock::take(root)?;
    let assembly = Assembly {
        sink: Arc::new(Shown),
        ..Assembly::new(root, &env, owner, &settings, guard, shared)
    };
    let end = ralph_loop::run(&lock, assembly).await?;
    println!("{}; {} attempts spent", end.reason, end.totals.spent);
    Ok(())
}
