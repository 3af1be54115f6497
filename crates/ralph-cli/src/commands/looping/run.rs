//! Runs the loop: lock, recovery, pool, and the words to stop.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use ralph_core::error::Code;
use ralph_core::process::Identity;
use ralph_core::process::guard::GuardProgram;
use ralph_core::store::atomic;
use ralph_front::failure::{Failure, printed};
use ralph_front::output::Output;
use ralph_front::programs;
use ralph_loop::LoopLock;
use ralph_loop::assemble::Assembly;
use ralph_loop::event::{Event, Sink};
use ralph_loop::git::GitProgram;
use ralph_loop::log::{self, Retention};
use ralph_loop::pool::{LoopEnd, Stop};
use ralph_loop::redact::Redactor;
use ralph_loop::run_log::RunLog;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::here::{Here, Resolved};
use super::panes::Panes;
use crate::args::Loop;
use crate::env_vars;
use crate::render::loop_end::{LoopReport, ended};
use crate::render::looping::LoopView;
use ralph_front::failure::Outcome;

/// How often the live lines are drawn.
const DRAW: Duration = Duration::from_millis(500);

/// Threads that wait for the disk, for the plan's lock and for programs to start. A tick waits for a merge that holds the
/// lock; beside those two there has to be one for everything else. Each costs memory.
const BLOCKING_THREADS: usize = 3;

/// Runs the loop to its end.
pub(super) fn run(
    here: &Here,
    resolved: &Resolved,
    arguments: &Loop,
    repositories: Option<BTreeSet<String>>,
    output: &Output,
) -> Outcome {
    // What is refused is refused before there is any file of ours.
    let prompt = prompt(here, resolved)?;
    let lock = LoopLock::take(&here.root)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build();
    let runtime = runtime.map_err(|error| {
        Failure::new(Code::Failed, format!("the loop cannot be started: {error}"))
    })?;
    let end = runtime.block_on(drive(
        &lock,
        here,
        resolved,
        arguments,
        repositories,
        prompt,
        output,
    ))?;
    printed(if output.is_json() {
        output.json(&LoopReport::new(&end))
    } else {
        output.print(&ended(&end))
    })?;
    Ok(end.code)
}

async fn drive(
    lock: &LoopLock,
    here: &Here,
    resolved: &Resolved,
    arguments: &Loop,
    repositories: Option<BTreeSet<String>>,
    prompt: Option<String>,
    output: &Output,
) -> Result<LoopEnd, Failure> {
    let env = crate::workspace::env();
    let redactor = Redactor::new(&resolved.environment);
    let view = Arc::new(LoopView::new(output, env.clone()));
    let logs = here.folder().join("logs");
    prune(&logs, output);
    let log = RunLog::open(&logs, env.clone(), Redactor::new(&resolved.environment));
    let stop = listen()?;
    let assembly = Assembly {
        env: &env,
        owner: identity()?,
        root: &here.root,
        settings: &resolved.settings,
        repositories,
        task: arguments.task.clone(),
        shared_budget: arguments.budget.clone(),
        user_folder: user_folder(),
        guard: guard()?,
        git: git(&here.root),
        zone: TimeZone::system(),
        redactor,
        prompt,
        stop,
        sink: Arc::new(Eyes {
            view: Arc::clone(&view),
            panes: panes(resolved, output),
            log,
        }),
    };
    let drawn = async {
        loop {
            tokio::time::sleep(DRAW).await;
            view.draw();
        }
    };
    tokio::select! {
        end = ralph_loop::run(lock, assembly) => Ok(end?),
        () = drawn, if view.is_live() => unreachable!("drawing never ends"),
    }
}

/// The terminal, its windows, and the log.
struct Eyes {
    view: Arc<LoopView>,
    panes: Option<Panes>,
    log: RunLog,
}

impl Sink for Eyes {
    fn event(&self, event: &Event) {
        self.view.event(event);
        if let Some(panes) = &self.panes {
            panes.event(event);
        }
        self.log.event(event);
    }
}

/// Windows of tmux, where a person sits in it and has not said otherwise.
fn panes(resolved: &Resolved, output: &Output) -> Option<Panes> {
    let is_wanted = resolved.settings.pool.tabs.value && !output.quiet && !output.is_json();
    (is_wanted && output.on_terminal() && env_vars::text(env_vars::TMUX).is_some())
        .then(Panes::open)
}

/// Keeps the logs of former attempts within bounds. The run's own log bounds itself.
fn prune(logs: &Path, output: &Output) {
    let of_attempt = |name: &str| name.starts_with(|c: char| c.is_ascii_digit());
    let pruned = log::prune(logs, Retention::default(), &|name| !of_attempt(name));
    if let Err(error) = pruned {
        output.note(&error.to_string());
    }
}

/// This process, as claims and budgets name it.
pub(super) fn identity() -> Result<Identity, Failure> {
    Identity::of(std::process::id()).ok_or_else(|| {
        Failure::new(
            Code::Failed,
            "this process cannot be identified: /proc is not there",
        )
        .hint("The loop needs Linux with /proc mounted.")
    })
}

/// Git, looked for once: a loop starts it thousands of times, and each folder of a long search path costs each of them.
/// Where it is not there the first call says so.
fn git(root: &Path) -> GitProgram {
    let mut git = GitProgram::default();
    let name = git.program.display().to_string();
    if let Some(found) = programs::find(&name, root, &env_vars::search_path()) {
        git.program = found;
    }
    git
}

/// Agents are started by this program's own hidden verb.
pub(crate) fn guard() -> Result<GuardProgram, Failure> {
    env_vars::guard_program().map_err(|error| {
        Failure::new(
            Code::Failed,
            format!("the running program cannot be found: {error}"),
        )
    })
}

fn user_folder() -> PathBuf {
    let folder = env_vars::runtime_dir().unwrap_or_else(env_vars::temporary_dir);
    folder.join("ralph")
}

/// The user's prompt; one that was named has to be there.
fn prompt(here: &Here, resolved: &Resolved) -> Result<Option<String>, Failure> {
    let setting = &resolved.settings.agent.prompt;
    // What was typed is where the person is, whatever folder of the repository that may be (defect 8.25).
    let folder = match setting.origin {
        ralph_loop::settings::Origin::CommandLine(_) => &here.start,
        _ => &here.root,
    };
    let path = folder.join(&setting.value);
    let text = atomic::read_text(&path)?;
    if text.is_none() && setting.origin != ralph_loop::settings::Origin::Default {
        return Err(Failure::new(
            Code::Usage,
            format!(
                "{}: expected a prompt, found nothing ({})",
                path.display(),
                setting.origin
            ),
        ));
    }
    Ok(text)
}

/// The first word to stop drains, the second ends agents. A terminal that hangs up says no more than the first.
fn listen() -> Result<watch::Receiver<Stop>, Failure> {
    let failed = |error| Failure::new(Code::Failed, format!("signals cannot be received: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(failed)?;
    let (say, stop) = watch::channel(Stop::Run);
    tokio::spawn(async move {
        loop {
            let is_hang_up = tokio::select! {
                _ = interrupt.recv() => false,
                _ = terminate.recv() => false,
                _ = hang_up.recv() => true,
            };
            say.send_modify(|stop| {
                *stop = match (*stop, is_hang_up) {
                    (Stop::Run, _) | (Stop::Drain, true) => Stop::Drain,
                    (Stop::Drain | Stop::Now, _) => Stop::Now,
                };
            });
        }
    });
    Ok(stop)
}
