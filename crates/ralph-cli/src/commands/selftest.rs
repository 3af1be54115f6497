//! `ralph selftest`: a person's own agent command, tried on what a loop will do to it, in repositories made for it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;
use ralph_core::error::Code;
use ralph_core::store::atomic;
use ralph_front::failure::{Failure, printed};
use ralph_front::output::Output;
use ralph_loop::engine::EngineSettings;
use ralph_loop::git::GitProgram;
use ralph_loop::redact::Redactor;
use ralph_loop::selftest::{self, Finding, Kit, Step};
use ralph_loop::settings::{CommandLine, Settings};

use crate::args::{Global, Selftest};
use crate::commands::{block_on, looping};
use crate::env_vars;
use crate::render::selftest::{SelftestReport, human, passed};
use ralph_front::failure::Outcome;

/// How long a run goes on before it is told to end.
const PAUSE: Duration = Duration::from_secs(2);

/// Runs the kit and prints the table; exit 1 when a loop would not work.
pub(crate) fn run(global: &Global, arguments: &Selftest, output: &Output) -> Outcome {
    let settings = looping::settings_for(global, &typed(arguments))?;
    let engine = engine(&settings)?;
    let env = crate::workspace::env();
    let name = format!("ralph-selftest-{}", env.ids.op(env.now()));
    let folder = temporary()?.join(name);
    let kit = Kit {
        env,
        guard: looping::guard()?,
        git: GitProgram::default(),
        zone: TimeZone::system(),
        redactor: Redactor::new(&env_vars::all_text()),
        folder: folder.clone(),
        search_path: env_vars::text("PATH").unwrap_or_default(),
        limit: Duration::from_secs(arguments.time_limit),
        grace: settings.agent.grace.value,
        pause: PAUSE,
        is_quick: arguments.quick,
        engine,
    };
    let agent = words(&kit.engine);
    output.note(&format!(
        "{agent}: {} in throw-away repositories; nothing of yours is touched",
        ralph_core::words::plural(selftest::runs(kit.is_quick), "run")
    ));
    let found = block_on(tried(&kit, output))?;
    let findings = match found {
        Ok(Some(findings)) => findings,
        other => {
            atomic::remove_tree(&folder)?;
            return other.map(|_| Some(Code::Interrupted));
        }
    };
    report(arguments, agent, &findings, &folder, output)
}

/// The findings; `None` when a person interrupts. Agents end with the future.
async fn tried(kit: &Kit, output: &Output) -> Result<Option<Vec<Finding>>, Failure> {
    let mut tell = |step: Step| {
        if let Step::Begins { number, of, what } = step {
            output.note(&format!("run {number} of {of}: {what}"));
        }
    };
    tokio::select! {
        found = selftest::run(kit, &mut tell) => Ok(Some(found?)),
        _ = tokio::signal::ctrl_c() => Ok(None),
    }
}

fn report(
    arguments: &Selftest,
    agent: String,
    findings: &[Finding],
    folder: &Path,
    output: &Output,
) -> Outcome {
    let is_good = passed(findings);
    let kept = (arguments.keep || !is_good).then(|| folder.display().to_string());
    if kept.is_none() {
        atomic::remove_tree(folder)?;
    }
    printed(if output.is_json() {
        output.json(&SelftestReport::new(agent, findings, kept))
    } else {
        output.print(&human(findings, kept.as_deref(), output.width()))
    })?;
    Ok((!is_good).then_some(Code::Failed))
}

fn typed(arguments: &Selftest) -> CommandLine {
    let of_command = || {
        let command = arguments.agent_command.as_ref();
        command.map(|_| "command".to_owned())
    };
    CommandLine {
        engine: arguments.engine.clone().or_else(of_command),
        agent_command: arguments.agent_command.clone(),
        ..CommandLine::default()
    }
}

/// The agent runs in other folders than this one: a path to it is made whole.
fn engine(settings: &Settings) -> Result<EngineSettings, Failure> {
    let mut engine = settings.agent.engine_settings();
    if let Some(program) = engine.command.first_mut()
        && program.contains('/')
    {
        let current = env_vars::current_dir().map_err(|error| {
            Failure::new(
                Code::Failed,
                format!("the current folder cannot be read: {error}"),
            )
        })?;
        *program = current.join(&*program).display().to_string();
    }
    Ok(engine)
}

fn words(engine: &EngineSettings) -> String {
    if engine.command.is_empty() {
        return engine.name.to_string();
    }
    engine.command.join(" ")
}

/// The temporary folder by its real name: git names its work trees so.
fn temporary() -> Result<PathBuf, Failure> {
    let folder = env_vars::temporary_dir();
    folder.canonicalize().map_err(|error| {
        Failure::new(
            Code::Failed,
            format!("{}: expected a folder: {error}", folder.display()),
        )
        .hint("Set TMPDIR to a folder that can be written.")
    })
}
