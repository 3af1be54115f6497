//! Every knob from its four sources, the command line first. Pure: flags, variables and the file come in.

mod subset;

use std::collections::BTreeMap;
use std::fmt;

use ralph_core::error::{Code, Coded, Hint};

pub(crate) use self::subset::{Filter, Selection, select};
use crate::args::Flags;
use crate::conf::Conf;
use crate::setting::{Origin, Setting};

/// What cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResolveError {
    /// A value that the knob does not take.
    #[error("{origin}: expected {expected}, found `{found}`")]
    Value {
        /// Where it stands.
        origin: String,
        /// What is expected.
        expected: &'static str,
        /// What was found.
        found: String,
    },
    /// Two values of one knob.
    #[error("{one} conflicts with {other}")]
    Conflict {
        /// The first.
        one: String,
        /// The second.
        other: String,
    },
    /// A subset and its complement.
    #[error("--repos and --exclude cannot be combined")]
    Combined,
    /// No such engine.
    #[error("unknown execution engine '{found}' ({origin})")]
    Engine {
        /// Where it stands.
        origin: String,
        /// What was found.
        found: String,
    },
    /// A name that is not registered.
    #[error("{origin} names unknown repo '{found}'")]
    Repository {
        /// Where it stands.
        origin: String,
        /// What was found.
        found: String,
        /// The names there are.
        registered: Vec<String>,
    },
    /// Nothing is left to launch.
    #[error("{0}")]
    Nothing(String),
}

impl Coded for ResolveError {
    fn code(&self) -> Code {
        Code::Usage
    }

    fn hint(&self) -> Option<Hint> {
        Some(Hint::new(match self {
            Self::Value { .. } => return None,
            Self::Conflict { .. } => "Give one of them.".to_owned(),
            Self::Combined => "Give the one or the other.".to_owned(),
            Self::Engine { .. } => "There are claude, codex, devin and command.".to_owned(),
            Self::Repository { registered, .. } if registered.is_empty() => {
                "project.conf registers none: REPOS=( \"name=svc-a;url=…\" ).".to_owned()
            }
            Self::Repository { registered, .. } => {
                format!("Registered are: {}.", registered.join(", "))
            }
            Self::Nothing(_) => "Register repositories in project.conf: REPOS=( \"name=svc-a;url=…\" ); name them with --repos.".to_owned(),
        }))
    }
}

/// A coding agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Claude,
    Codex,
    Devin,
    Command,
}

impl Engine {
    const ALL: [Self; 4] = [Self::Claude, Self::Codex, Self::Devin, Self::Command];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Devin => "devin",
            Self::Command => "command",
        }
    }
}

/// Where the loops run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Here,
    Cluster,
}

/// A pause in seconds, as written and as a number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seconds(pub(crate) String);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All knobs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Knobs {
    /// N, where somebody said it.
    pub(crate) parallel: Option<Setting<u32>>,
    /// M; `None` is batch mode.
    pub(crate) max_tasks: Setting<Option<u64>>,
    /// K.
    pub(crate) max_task_attempts: Setting<u32>,
    /// D.
    pub(crate) respawn_delay: Setting<Seconds>,
    /// Why there are no tabs.
    pub(crate) no_tabs: Origin,
    pub(crate) engine: Setting<Engine>,
    pub(crate) agent_command: Option<Setting<String>>,
    pub(crate) filter: Setting<Filter>,
    /// The loop's program, where somebody named one.
    pub(crate) program: Option<Setting<String>>,
    pub(crate) place: Setting<Place>,
    /// Options for the jobs, with `--on cluster`.
    pub(crate) job_options: Option<Setting<String>>,
    /// The loop's program on the cluster.
    pub(crate) job_program: Setting<String>,
}

/// Where values are looked for.
struct Sources<'a> {
    variables: &'a BTreeMap<String, String>,
    conf: &'a Conf,
}

impl Sources<'_> {
    /// The text of a knob: the flag, else the variable, else the first of the keys.
    fn find(
        &self,
        flag: Option<(&'static str, &str)>,
        variable: &'static str,
        keys: &[&'static str],
    ) -> Option<Setting<String>> {
        let flag = flag.map(|(name, text)| Setting::new(text.to_owned(), Origin::Flag(name)));
        flag.or_else(|| self.variable(variable))
            .or_else(|| keys.iter().find_map(|key| self.key(key)))
    }

    fn variable(&self, name: &'static str) -> Option<Setting<String>> {
        let text = self.variables.get(name).map(|text| text.trim());
        let text = text.filter(|text| !text.is_empty())?;
        Some(Setting::new(text.to_owned(), Origin::Variable(name)))
    }

    fn key(&self, key: &'static str) -> Option<Setting<String>> {
        let (text, line) = self.conf.knob(key)?;
        Some(Setting::new(text.to_owned(), Origin::File { key, line }))
    }
}

/// Resolves every knob.
///
/// # Errors
/// The first wrong value, in the order of the table of knobs.
pub(crate) fn resolve(
    flags: &Flags,
    variables: &BTreeMap<String, String>,
    conf: &Conf,
) -> Result<Knobs, ResolveError> {
    let sources = Sources { variables, conf };
    let find = |name: &'static str,
                flag: Option<&String>,
                variable: &'static str,
                keys: &[&'static str]| {
        sources.find(flag.map(|text| (name, text.as_str())), variable, keys)
    };
    let parallel = find(
        "--parallel",
        flags.parallel.first(),
        "WB_RALPH_PARALLEL",
        &["WB_RALPH_PARALLEL", "RALPH_DISPATCH_PARALLEL"],
    );
    let attempts = find(
        "--max-task-attempts",
        flags.max_task_attempts.as_ref(),
        "WB_RALPH_MAX_TASK_ATTEMPTS",
        &["WB_RALPH_MAX_TASK_ATTEMPTS"],
    );
    let delay = find(
        "--respawn-delay",
        flags.respawn_delay.as_ref(),
        "WB_RALPH_RESPAWN_DELAY",
        &["WB_RALPH_RESPAWN_DELAY"],
    );
    let agent_command = find(
        "--agent-command",
        flags.agent_command.as_ref(),
        "RALPH_AGENT_COMMAND",
        &["WB_RALPH_AGENT_COMMAND"],
    );
    let program = find(
        "--ralph",
        flags.ralph.as_ref(),
        "WB_RALPH_PROGRAM",
        &["WB_RALPH_PROGRAM"],
    );
    let place = find("--on", flags.on.as_ref(), "WB_RALPH_ON", &["WB_RALPH_ON"]);
    let job_program = find("", None, "WB_RALPH_JOB_PROGRAM", &["WB_RALPH_JOB_PROGRAM"]);
    Ok(Knobs {
        parallel: parallel.map(positive).transpose()?,
        max_tasks: max_tasks(flags, &sources)?,
        max_task_attempts: match attempts {
            Some(found) => positive(found)?,
            None => Setting::default(1, ""),
        },
        respawn_delay: match delay {
            Some(found) => seconds(found)?,
            None => Setting::default(Seconds("0".to_owned()), ""),
        },
        no_tabs: tabs(flags, &sources)?,
        engine: engine(flags, &sources)?,
        agent_command,
        filter: subset::filter(flags, &sources)?,
        program,
        place: match place {
            Some(found) => on(found)?,
            None => Setting::default(Place::Here, ""),
        },
        job_options: find("", None, "WB_RALPH_JOB_OPTIONS", &["WB_RALPH_JOB_OPTIONS"]),
        job_program: job_program
            .unwrap_or_else(|| Setting::default("ralph".to_owned(), "found on the cluster's PATH")),
    })
}

/// The subset alone, of what runs already.
///
/// # Errors
/// A name that is not registered, and two subsets in one place.
pub(crate) fn subset(
    flags: &Flags,
    variables: &BTreeMap<String, String>,
    conf: &Conf,
) -> Result<Setting<Filter>, ResolveError> {
    subset::filter(flags, &Sources { variables, conf })
}

/// M, from `--max-tasks` or as the second value of `--parallel`.
fn max_tasks(flags: &Flags, sources: &Sources<'_>) -> Result<Setting<Option<u64>>, ResolveError> {
    let second = flags.parallel.get(1);
    if let (Some(second), Some(named)) = (second, &flags.max_tasks)
        && second != named
    {
        let first = flags.parallel.first().map_or("", String::as_str);
        return Err(ResolveError::Conflict {
            one: format!("--max-tasks {named}"),
            other: format!("--parallel {first} {second}"),
        });
    }
    let named = flags.max_tasks.as_ref().map(|text| ("--max-tasks", text));
    let flag = named.or_else(|| second.map(|text| ("--parallel N M", text)));
    let found = sources.find(
        flag.map(|(name, text)| (name, text.as_str())),
        "WB_RALPH_MAX_TASKS",
        &["WB_RALPH_MAX_TASKS"],
    );
    match found {
        None => Ok(Setting::default(None, "batch, one pass over each plan")),
        Some(found) => Ok(positive(found)?.map(Some)),
    }
}

/// A positive integer in digits: what a person writes, without signs or leading zeros.
fn positive<T: std::str::FromStr>(found: Setting<String>) -> Result<Setting<T>, ResolveError> {
    let text = &found.value;
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    match text.parse() {
        Ok(number) if is_plain => Ok(found.map(|_| number)),
        _ => Err(wrong(found, "a positive integer")),
    }
}

fn seconds(found: Setting<String>) -> Result<Setting<Seconds>, ResolveError> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_number = match found.value.split_once('.') {
        None => digits(&found.value),
        Some((whole, fraction)) => (whole.is_empty() || digits(whole)) && digits(fraction),
    };
    if is_number && found.value.len() <= 12 {
        Ok(found.map(|text| match text.strip_prefix('.') {
            Some(fraction) => Seconds(format!("0.{fraction}")),
            None => Seconds(text),
        }))
    } else {
        Err(wrong(found, "a number of seconds such as 5 or 0.5"))
    }
}

fn wrong(found: Setting<String>, expected: &'static str) -> ResolveError {
    ResolveError::Value {
        origin: found.origin.to_string(),
        expected,
        found: found.value,
    }
}

/// Where it was said that there are to be no tabs. Detached loops have none either way.
fn tabs(flags: &Flags, sources: &Sources<'_>) -> Result<Origin, ResolveError> {
    if flags.no_tabs {
        return Ok(Origin::Flag("--no-tabs"));
    }
    let none = || Origin::Default("detached loops have no terminal".to_owned());
    let found = sources.find(None, "WB_RALPH_DISABLE_TABS", &["WB_RALPH_DISABLE_TABS"]);
    match found {
        None => Ok(none()),
        Some(found) if found.value == "true" => Ok(found.origin),
        Some(found) if found.value == "false" => Ok(none()),
        Some(found) => Err(wrong(found, "true or false")),
    }
}

fn engine(flags: &Flags, sources: &Sources<'_>) -> Result<Setting<Engine>, ResolveError> {
    if let (Some(agent), Some(engine)) = (&flags.agent, &flags.engine)
        && agent != engine
    {
        return Err(ResolveError::Conflict {
            one: format!("--agent {agent}"),
            other: format!("--engine {engine}"),
        });
    }
    let agent = flags.agent.as_ref().map(|text| ("--agent", text.as_str()));
    let flag = agent.or_else(|| Some(("--engine", flags.engine.as_deref()?)));
    let found = sources.find(
        flag,
        "WB_RALPH_ENGINE",
        &[
            "WB_RALPH_ENGINE",
            "RALPH_EXECUTION_ENGINE",
            "RALPH_PLAN_ENGINE",
        ],
    );
    if let Some(found) = found {
        let engine = Engine::ALL.into_iter().find(|e| e.name() == found.value);
        return match engine {
            Some(engine) => Ok(found.map(|_| engine)),
            None => Err(ResolveError::Engine {
                origin: found.origin.to_string(),
                found: found.value,
            }),
        };
    }
    let devin = sources.find(None, "DEVIN_DEFAULT", &["DEVIN_DEFAULT"]);
    Ok(match devin.filter(|found| found.value == "true") {
        Some(found) => found.map(|_| Engine::Devin),
        None => Setting::default(Engine::Claude, ""),
    })
}

fn on(found: Setting<String>) -> Result<Setting<Place>, ResolveError> {
    match found.value.as_str() {
        "here" => Ok(found.map(|_| Place::Here)),
        "cluster" => Ok(found.map(|_| Place::Cluster)),
        _ => Err(wrong(found, "here or cluster")),
    }
}

/// N: as asked, else one worker per repository and at most four.
pub(crate) fn workers(asked: Option<&Setting<u32>>, repositories: usize) -> Setting<u32> {
    asked.cloned().unwrap_or_else(|| {
        let count = u32::try_from(repositories.clamp(1, 4)).unwrap_or(4);
        Setting::default(count, "one per repository, at most 4")
    })
}

#[cfg(test)]
mod tests;
