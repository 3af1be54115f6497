//! Every knob looked up once, and what excludes what. What a knob does is not known here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::source::{Found, Knob, Lookup, NamedFile, Origin, Setting};
use super::{
    AgentSettings, CommandLine, LimitSettings, Notice, PoolSettings, Problem, Settings,
    SettingsError, WorkSettings, keys, value,
};
use crate::engine::EngineName;
use crate::gates::GateChoice;
use crate::integrate::Strategy;

/// The engine alone: which further file is read may depend on it (`.ralphrc.devin`).
///
/// # Errors
/// An engine that does not exist.
pub fn engine(
    typed: &CommandLine,
    environment: &BTreeMap<String, String>,
    files: &[NamedFile<'_>],
) -> Result<Setting<EngineName>, SettingsError> {
    let mut lookup = Lookup {
        environment,
        files,
        problems: Vec::new(),
    };
    let engine = find_engine(&mut lookup, typed);
    finish(lookup.problems).map(|()| engine)
}

/// How long an agent may take to end, alone: whoever ends a loop has to wait longer than that. A value that is wrong is
/// as if it were not there, since the loop refuses it.
#[must_use]
pub fn stop_grace(environment: &BTreeMap<String, String>, files: &[NamedFile<'_>]) -> Duration {
    let mut lookup = Lookup {
        environment,
        files,
        problems: Vec::new(),
    };
    find_grace(&mut lookup).value
}

/// Resolves every knob. `files` come with the strongest first.
///
/// # Errors
/// Everything that is wrong, with its place.
pub fn resolve(
    typed: &CommandLine,
    environment: &BTreeMap<String, String>,
    files: &[NamedFile<'_>],
) -> Result<Settings, SettingsError> {
    let mut lookup = Lookup {
        environment,
        files,
        problems: Vec::new(),
    };
    let engine = find_engine(&mut lookup, typed);
    let settings = assemble(&mut lookup, typed, engine);
    lookup.problems.extend(exclusions(typed));
    finish(lookup.problems).map(|()| settings)
}

fn finish(mut problems: Vec<Problem>) -> Result<(), SettingsError> {
    let mut seen = Vec::new();
    problems.retain(|problem| {
        let is_new = !seen.contains(problem);
        seen.push(problem.clone());
        is_new
    });
    if problems.is_empty() {
        return Ok(());
    }
    Err(SettingsError(problems))
}

fn find_engine(lookup: &mut Lookup<'_>, typed: &CommandLine) -> Setting<EngineName> {
    let default = EngineName::Claude;
    lookup.get(
        typed.engine.as_deref(),
        &keys::ENGINE,
        value::engine,
        default,
    )
}

fn assemble(lookup: &mut Lookup<'_>, typed: &CommandLine, engine: Setting<EngineName>) -> Settings {
    let of_files = lookup.files.iter().flat_map(notices_of);
    let notices = of_files.chain(notices_of_environment(lookup.environment));
    let notices = notices.collect();
    Settings {
        pool: pool(lookup, typed),
        work: work(lookup, typed, engine.value),
        agent: agent(lookup, typed, engine),
        limits: limits(lookup, typed),
        notices,
    }
}

/// A positive number of seconds that only the environment and files know.
fn length(lookup: &mut Lookup<'_>, knob: &Knob, default: u64) -> Setting<Duration> {
    lookup.get(
        None,
        knob,
        value::positive_seconds,
        Duration::from_secs(default),
    )
}

fn find_grace(lookup: &mut Lookup<'_>) -> Setting<Duration> {
    length(lookup, &keys::GRACE, 10)
}

/// A count that only the environment and files know.
fn threshold(lookup: &mut Lookup<'_>, knob: &Knob, default: u32) -> Setting<u32> {
    lookup.get(None, knob, value::positive_small, default)
}

fn pool(lookup: &mut Lookup<'_>, typed: &CommandLine) -> PoolSettings {
    PoolSettings {
        workers: lookup.get(
            typed.parallel.first().map(String::as_str),
            &keys::WORKERS,
            value::workers,
            1,
        ),
        attempts: attempts(lookup, typed),
        task_attempts: lookup.get(
            typed.max_task_attempts.as_deref(),
            &keys::TASK_ATTEMPTS,
            value::positive_small,
            1,
        ),
        respawn_delay: lookup.get(
            typed.respawn_delay.as_deref(),
            &keys::RESPAWN_DELAY,
            value::seconds,
            Duration::ZERO,
        ),
        tabs: lookup
            .get(given(typed.no_tabs), &keys::NO_TABS, value::truth, false)
            .map(|off| !off),
    }
}

fn agent(
    lookup: &mut Lookup<'_>,
    typed: &CommandLine,
    engine: Setting<EngineName>,
) -> AgentSettings {
    let seconds = Duration::from_secs;
    let name = engine.value;
    let default_wall = match name {
        EngineName::Claude => seconds(15 * 60),
        _ => seconds(30 * 60),
    };
    AgentSettings {
        command: agent_command(lookup, typed, &engine),
        model: lookup.get(
            typed.model.as_deref(),
            &keys::model(name),
            value::text,
            None,
        ),
        permission_mode: permission_mode(lookup, typed, name),
        allowed_tools: lookup.get(
            typed.allowed_tools.as_deref(),
            &keys::ALLOWED_TOOLS,
            value::tools,
            Vec::new(),
        ),
        max_turns: lookup.get(None, &keys::MAX_TURNS, value::limit, None),
        max_cost: lookup.get(None, &keys::MAX_ATTEMPT_COST, value::dollars, None),
        use_api_key: lookup.get(None, &keys::USE_API_KEY, value::truth, false),
        prices: lookup.get(None, &keys::PRICES, value::prices, None),
        wall: lookup.get(
            typed.timeout.as_deref(),
            &keys::time_limit(name),
            value::time_limit,
            default_wall,
        ),
        silence: lookup.get(
            None,
            &keys::SILENCE,
            value::seconds_or_never,
            Some(seconds(600)),
        ),
        after_result: length(lookup, &keys::AFTER_RESULT, 60),
        grace: find_grace(lookup),
        prompt: prompt(lookup, typed),
        engine,
    }
}

fn work(lookup: &mut Lookup<'_>, typed: &CommandLine, name: EngineName) -> WorkSettings {
    WorkSettings {
        gates: lookup.get(
            typed.quality_gates.as_deref(),
            &keys::GATES,
            value::gates,
            GateChoice::Auto,
        ),
        gate_limit: length(lookup, &keys::GATE_TIMEOUT, 600),
        install_limit: length(lookup, &keys::INSTALL_TIMEOUT, 600),
        merge_strategy: lookup.get(
            typed.merge_strategy.as_deref(),
            &keys::MERGE_STRATEGY,
            value::merge_strategy,
            Strategy::Squash,
        ),
        branch_prefix: lookup.get(
            None,
            &keys::BRANCH_PREFIX,
            value::branch_prefix,
            format!("ralph-{name}"),
        ),
        pull_requests: lookup.get(
            typed.no_pr.then_some("false"),
            &keys::PULL_REQUESTS,
            value::truth,
            true,
        ),
        base: lookup.get(None, &keys::PR_BASE, value::text, None),
        draft: lookup.get(None, &keys::PR_DRAFT, value::truth, false),
    }
}

fn limits(lookup: &mut Lookup<'_>, typed: &CommandLine) -> LimitSettings {
    let seconds = Duration::from_secs;
    LimitSettings {
        calls_per_hour: lookup.get(typed.calls.as_deref(), &keys::CALLS, value::limit, None),
        no_progress: threshold(lookup, &keys::NO_PROGRESS, 3),
        same_error: threshold(lookup, &keys::SAME_ERROR, 5),
        permission_denials: threshold(lookup, &keys::PERMISSION_DENIALS, 2),
        cooldown: lookup.get(None, &keys::COOLDOWN, value::minutes, seconds(30 * 60)),
        auto_reset: lookup.get(
            given(typed.auto_reset_circuit),
            &keys::AUTO_RESET,
            value::truth,
            false,
        ),
        max_cost: lookup.get(
            typed.max_cost.as_deref(),
            &keys::MAX_COST,
            value::dollars,
            None,
        ),
        max_wait: lookup.get(
            None,
            &keys::LIMIT_MAX_WAIT,
            value::minutes,
            seconds(6 * 3600),
        ),
        margin: lookup.get(None, &keys::LIMIT_MARGIN, value::seconds, seconds(15)),
    }
}

fn given(flag: bool) -> Option<&'static str> {
    flag.then_some("true")
}

/// M stands in either of two places, which must agree.
fn attempts(lookup: &mut Lookup<'_>, typed: &CommandLine) -> Setting<Option<u64>> {
    let beside = typed.parallel.get(1).map(String::as_str);
    if let (Some(beside), Some(alone)) = (beside, typed.max_tasks.as_deref())
        && beside != alone
    {
        lookup.problems.push(Problem::Combined {
            one: format!("--parallel {} {beside}", typed.parallel[0]),
            other: format!("--max-tasks {alone}"),
        });
    }
    let knob = if beside.is_some() {
        Knob {
            flag: "--parallel N M",
            ..keys::ATTEMPTS
        }
    } else {
        keys::ATTEMPTS
    };
    // One task is one attempt; the environment's M is for other calls.
    if typed.task.is_some() {
        return Setting::by_default(None);
    }
    let read = |text: &str| value::positive(text).map(Some);
    lookup.get(beside.or(typed.max_tasks.as_deref()), &knob, read, None)
}

fn agent_command(
    lookup: &mut Lookup<'_>,
    typed: &CommandLine,
    engine: &Setting<EngineName>,
) -> Setting<Vec<String>> {
    let none = Vec::new();
    match engine.value {
        EngineName::Command => {
            let given = typed.agent_command.as_deref();
            let found = lookup.get(given, &keys::AGENT_COMMAND, value::command, none);
            if found.value.is_empty() && lookup.problems.is_empty() {
                lookup.problems.push(Problem::Needs {
                    one: format!("the engine command ({})", engine.origin),
                    other: "--agent-command, RALPH_AGENT_COMMAND, or AGENT_COMMAND in .ralphrc"
                        .to_owned(),
                });
            }
            found
        }
        other => {
            if typed.agent_command.is_some() {
                lookup.problems.push(Problem::Needs {
                    one: "--agent-command".to_owned(),
                    other: format!("--engine command, not {other} ({})", engine.origin),
                });
            }
            match other {
                EngineName::Claude => lookup.get(None, &keys::CLAUDE_COMMAND, value::command, none),
                _ => Setting::by_default(none),
            }
        }
    }
}

fn permission_mode(
    lookup: &mut Lookup<'_>,
    typed: &CommandLine,
    engine: EngineName,
) -> Setting<Option<String>> {
    let mode = lookup.get(
        typed.permission_mode.as_deref(),
        &keys::permission_mode(engine),
        value::text,
        None,
    );
    if engine != EngineName::Claude || mode.value.is_some() {
        return mode;
    }
    let skip = lookup.get(
        given(typed.skip_permissions),
        &keys::SKIP_PERMISSIONS,
        value::truth,
        false,
    );
    skip.map(|skip| skip.then(|| "bypassPermissions".to_owned()))
}

/// A prompt of the file lies beside the default one; a typed one where the person is.
fn prompt(lookup: &mut Lookup<'_>, typed: &CommandLine) -> Setting<PathBuf> {
    let folder = PathBuf::from(".ralph");
    let Some(Found { text, origin }) = lookup.find(typed.prompt.as_deref(), &keys::PROMPT) else {
        return Setting::by_default(folder.join("PROMPT.md"));
    };
    let is_typed = matches!(origin, Origin::CommandLine(_));
    let is_inside = text.starts_with(".ralph/");
    let value = if is_typed || is_inside {
        PathBuf::from(text)
    } else {
        folder.join(text)
    };
    Setting { value, origin }
}

fn exclusions(typed: &CommandLine) -> Vec<Problem> {
    let several = match (typed.parallel.get(1), &typed.max_tasks) {
        (Some(attempts), _) => Some(format!("--parallel N {attempts}")),
        (None, Some(attempts)) => Some(format!("--max-tasks {attempts}")),
        (None, None) => None,
    };
    let mut one = Vec::new();
    if typed.task.is_some() {
        one.push("--task");
    }
    if typed.checks_only {
        one.push("--qg");
    }
    let mut problems = Vec::new();
    if let Some(several) = several {
        problems.extend(one.iter().map(|one| Problem::Combined {
            one: several.clone(),
            other: (*one).to_owned(),
        }));
    }
    if one.len() == 2 {
        problems.push(Problem::Combined {
            one: "--task".to_owned(),
            other: "--qg".to_owned(),
        });
    }
    problems
}

fn notices_of(file: &NamedFile<'_>) -> Vec<Notice> {
    let notice = |name: &str| {
        let line = file.content.line(name)?;
        let place = format!("{}:{line}", file.path.display());
        if !keys::is_known(name) {
            let name = name.to_owned();
            return Some(Notice::Unknown { place, name });
        }
        let value = &file.content.scalar(name)?.value;
        let retired = keys::retired(name, value)?;
        Some(Notice::NoEffect {
            place,
            assignment: format!("{name}={value}"),
            reason: retired.reason,
        })
    };
    let mut names: Vec<&str> = file.content.names().collect();
    names.sort_by_key(|name| file.content.line(name));
    names.into_iter().filter_map(notice).collect()
}

/// An environment is everybody's, so only what the old loop would have done otherwise is told.
fn notices_of_environment(environment: &BTreeMap<String, String>) -> Vec<Notice> {
    let notice = |name: &'static str| {
        let value = environment.get(name)?.trim();
        let retired = keys::retired(name, value)?;
        Some(Notice::NoEffect {
            place: "environment".to_owned(),
            assignment: format!("{name}={value}"),
            reason: retired.reason,
        })
    };
    keys::retired_names().filter_map(notice).collect()
}
