//! Runs the loop: lock, recovery, pool, and the words to stop.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use ralph_core::error::Code;
use ralph_core::process::Identity;
use ralph_core::process::guard::GuardProgram;
use ralph_core::process::lock::LifeLock;
use ralph_core::store::atomic;
use ralph_front::failure::{Failure, printed};
use ralph_front::output::Output;
use ralph_loop::assemble::{Assembly, STATE, assemble};
use ralph_loop::event::{Event, Sink};
use ralph_loop::git::GitProgram;
use ralph_loop::pool::{self, LoopEnd, Stop};
use ralph_loop::recovery::recover;
use ralph_loop::redact::Redactor;
use ralph_loop::run_log::RunLog;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::here::{Here, Resolved};
use crate::args::Loop;
use crate::env_vars;
use crate::exit::Outcome;
use crate::render::looping::LoopView;
use crate::render::loops::{LoopReport, ended};

/// How often the live lines are drawn.
const DRAW: Duration = Duration::from_millis(500);

/// Runs the loop to its end.
pub(super) fn run(
    here: &Here,
    resolved: &Resolved,
    arguments: &Loop,
    repositories: Option<BTreeSet<String>>,
    output: &Output,
) -> Outcome {
    let _lock = lock(here)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| {
        Failure::new(Code::Failed, format!("the loop cannot be started: {error}"))
    })?;
    let end = runtime.block_on(drive(here, resolved, arguments, repositories, output))?;
    printed(if output.is_json() {
        output.json(&LoopReport::new(&end))
    } else {
        output.print(&ended(&end))
    })?;
    Ok(end.code)
}

/// One loop per repository. The lock is the system's: it is free as soon as its holder is gone.
fn lock(here: &Here) -> Result<LifeLock, Failure> {
    let state = here.folder().join(STATE);
    atomic::create_dir(&state)?;
    let path = state.join("loop.lock");
    let taken = LifeLock::try_take(&path).map_err(|error| {
        Failure::new(
            Code::Failed,
            format!("{}: cannot be locked: {error}", path.display()),
        )
    })?;
    taken.ok_or_else(|| {
        Failure::new(
            Code::AlreadyRunning,
            format!("{}: a loop is already running here", here.root.display()),
        )
        .hint("`ralph status` shows it; stop it with Ctrl-C or `kill` and its pid.")
    })
}

async fn drive(
    here: &Here,
    resolved: &Resolved,
    arguments: &Loop,
    repositories: Option<BTreeSet<String>>,
    output: &Output,
) -> Result<LoopEnd, Failure> {
    let env = crate::workspace::env();
    let redactor = Redactor::new(&resolved.environment);
    let view = Arc::new(LoopView::new(output, env.clone()));
    let log = RunLog::open(
        &here.folder().join("logs"),
        env.clone(),
        Redactor::new(&resolved.environment),
    );
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
        git: GitProgram::default(),
        zone: TimeZone::system(),
        redactor,
        prompt: prompt(here, resolved)?,
        stop,
        sink: Arc::new(Both(Arc::clone(&view), log)),
    };
    let shop = Rc::new(assemble(assembly).await?);
    recover(&shop).await?;
    let drawn = async {
        loop {
            tokio::time::sleep(DRAW).await;
            view.draw();
        }
    };
    tokio::select! {
        end = pool::run(Rc::clone(&shop)) => Ok(end?),
        () = drawn, if view.is_live() => unreachable!("drawing never ends"),
    }
}

/// The terminal and the log.
struct Both(Arc<LoopView>, RunLog);

impl Sink for Both {
    fn event(&self, event: &Event) {
        self.0.event(event);
        self.1.event(event);
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

/// Agents are started by this program's own hidden verb.
pub(super) fn guard() -> Result<GuardProgram, Failure> {
    let program = env_vars::program().map_err(|error| {
        Failure::new(
            Code::Failed,
            format!("the running program cannot be found: {error}"),
        )
    })?;
    Ok(GuardProgram {
        program,
        args: vec![crate::GUARD.to_owned()],
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
