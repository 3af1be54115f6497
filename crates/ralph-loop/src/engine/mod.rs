//! The coding agents: how each is started, what its streams say, and what its end means.
//!
//! An engine turns an order into a command line, and an agent's output, line by line, into progress and in the end
//! into a [`Reading`]. All of it is pure: text in, values out. Starting, reading, timing and ending a process is
//! [`crate::agent`].
//!
//! What must never be here: a process, a file, a clock, a decision about what an attempt is worth.

mod claude;
mod codex;
mod command;
mod devin;
mod json;
mod reset;
mod settings;
mod status_block;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use jiff::tz::TimeZone;
use ralph_core::job::ExitInfo;
use ralph_core::process::guard::Inherit;
use ralph_core::process::variable;
use ralph_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::git::FOREIGN;
use crate::outcome::{AttemptId, Usage, Verdict};
use crate::redact::without_last_token;
use crate::task::Task;

pub use settings::{EngineSettings, Prices, SettingsError, split_command};
pub use status_block::{StatusBlock, StatusScanner, StatusWord};

/// Which agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineName {
    /// Claude Code, `claude -p`.
    Claude,
    /// Codex, `codex exec --json`.
    Codex,
    /// Devin, `devin -p`.
    Devin,
    /// Any program, after the contract of the `command` engine.
    Command,
}

impl EngineName {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Claude, Self::Codex, Self::Devin, Self::Command];

    /// The word of `--engine`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Devin => "devin",
            Self::Command => "command",
        }
    }
}

impl fmt::Display for EngineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an engine (claude, codex, devin or command), found {0:?}")]
pub struct UnknownEngine(pub String);

impl FromStr for EngineName {
    type Err = UnknownEngine;

    fn from_str(text: &str) -> Result<Self, UnknownEngine> {
        let word = text.trim().to_ascii_lowercase();
        let mut all = Self::ALL.into_iter();
        all.find(|name| name.as_str() == word)
            .ok_or_else(|| UnknownEngine(text.chars().take(120).collect()))
    }
}

/// What an agent is to do, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentOrder {
    /// Which attempt; also how its processes are found after a crash.
    pub attempt: AttemptId,
    /// The task.
    pub task: Task,
    /// The whole prompt: the task, where to work, what earlier attempts came to, and the user's own words.
    pub prompt: String,
    /// A file that holds the prompt, for engines that read it from one.
    pub prompt_file: PathBuf,
    /// The folder it works in; absolute.
    pub worktree: PathBuf,
    /// The branch that is checked out there.
    pub branch: String,
    /// The repository's name.
    pub project: String,
}

/// A program to start, complete but for its guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The program: a name for the `PATH`, or a path.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// What it inherits of the loop's variables.
    pub inherit: Inherit,
    /// Variables on top of those.
    pub variables: BTreeMap<String, String>,
    /// Its standard input.
    pub stdin: Vec<u8>,
}

/// How far an account is from its limit, as an agent reports it while it works.
#[derive(Debug, Clone, PartialEq)]
pub struct RateLimit {
    /// Whether the service still answers.
    pub standing: RateStanding,
    /// When the window opens again.
    pub resets_at: Option<Timestamp>,
    /// Which window, as `five_hour`.
    pub window: Option<String>,
    /// How much of it is used, from 0 to 1.
    pub utilization: Option<f64>,
}

/// The word of a [`RateLimit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateStanding {
    /// Far from it.
    Allowed,
    /// Near it.
    Warning,
    /// Over it.
    Rejected,
}

/// What an agent tells while it works.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// Its session began.
    Session {
        /// By this id it can be resumed.
        id: String,
    },
    /// It does something, in a few words.
    Doing(String),
    /// What it used up to now.
    Usage(Usage),
    /// How far its account is.
    RateLimit(RateLimit),
    /// It waits and tries again by itself.
    Retrying {
        /// Why.
        reason: String,
    },
}

/// How a program ended, for the reader of its streams.
#[derive(Debug, Clone, Copy)]
pub struct Finish<'a> {
    /// Exit code and signal.
    pub exit: ExitInfo,
    /// The end of its standard error.
    pub stderr: &'a str,
    /// The current time; times without a date are taken to be after it.
    pub now: Timestamp,
    /// The zone of times that name none: the local one.
    pub zone: &'a TimeZone,
}

/// What the streams and the exit of an agent say.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// How it ended.
    pub verdict: Verdict,
    /// What it used.
    pub usage: Usage,
    /// By which it can be resumed.
    pub session_id: Option<String>,
    /// Its last words, cut to a paragraph.
    pub summary: Option<String>,
    /// Its status block, when it printed one.
    pub status: Option<StatusBlock>,
    /// Tools that it was refused; it may have found another way.
    pub denials: Vec<String>,
}

/// An agent's program: how it is started, and what its output means. Implementations are pure; [`crate::agent::run`] does
/// what they say.
///
/// One of your own names itself [`EngineName::Command`], and takes over the variables of the one that it wraps: by
/// `RALPH_ATTEMPT_ID` the next loop finds what a crash left running.
pub trait Engine: Send + Sync + fmt::Debug {
    /// Which one.
    fn name(&self) -> EngineName;

    /// How it is started on an order.
    fn launch(&self, order: &AgentOrder) -> Launch;

    /// A reader for the streams of one run.
    fn reader(&self) -> Box<dyn StreamReader>;
}

/// Reads the streams of one run.
pub trait StreamReader: Send + fmt::Debug {
    /// Takes a line of standard output, without its end.
    fn line(&mut self, line: &str, tell: &mut dyn FnMut(Progress));

    /// Whether the agent has given its result: it should end by itself now.
    fn has_result(&self) -> bool;

    /// Says what it all meant.
    fn finish(&mut self, finish: &Finish<'_>) -> Reading;
}

/// The engine that the settings ask for.
///
/// # Errors
/// The `command` engine without a command.
pub fn engine(settings: &EngineSettings) -> Result<Box<dyn Engine>, SettingsError> {
    Ok(match settings.name {
        EngineName::Claude => Box::new(claude::Claude::new(settings)),
        EngineName::Codex => Box::new(codex::Codex::new(settings)),
        EngineName::Devin => Box::new(devin::Devin::new(settings)),
        EngineName::Command => Box::new(command::AnyCommand::new(settings)?),
    })
}

/// What every agent finds in its environment: who it is, and nobody who asks.
fn variables(order: &AgentOrder) -> BTreeMap<String, String> {
    let mut variables: BTreeMap<String, String> = [
        ("RALPH_ATTEMPT_ID", order.attempt.to_string()),
        ("RALPH_TASK_ID", order.task.id.clone()),
        ("RALPH_TASK_TEXT", order.task.row.text.clone()),
        ("RALPH_WORKTREE", order.worktree.display().to_string()),
        ("RALPH_BRANCH", order.branch.clone()),
        ("RALPH_KIND", "task".to_owned()),
        ("RALPH_PROJECT", order.project.clone()),
        // Nobody answers a question for a password, and an editor or a pager would wait for ever.
        ("GIT_TERMINAL_PROMPT", "0".to_owned()),
        ("GIT_EDITOR", "true".to_owned()),
        ("GIT_PAGER", "cat".to_owned()),
        ("PAGER", "cat".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    for value in variables.values_mut() {
        *value = variable::value(value);
    }
    variables
}

/// What no agent inherits beside what [`FOREIGN`] says: settings of the git that calls a hook (git-rev-parse(1),
/// `--local-env-vars`), and the marks by which an agent takes itself for one that runs inside another.
const NEVER_INHERITED: [&str; 4] = [
    "CLAUDECODE",
    "CLAUDE_CODE_ENTRYPOINT",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
];

/// Everything but those and these.
fn inherit_without(more: &[&str]) -> Inherit {
    let names = FOREIGN.iter().chain(&NEVER_INHERITED).chain(more);
    Inherit::Without(names.map(|name| (*name).to_owned()).collect())
}

/// The longest summary or message that is kept, in characters.
const LONGEST_WORDS: usize = 2000;

/// The longest command of a refused tool that is kept, in characters.
const LONGEST_RULE: usize = 120;

/// A text that fits into a record: trimmed and cut.
fn shortened(text: &str) -> String {
    cut(text, LONGEST_WORDS)
}

/// So many characters of a text at most. It is not masked yet, so no token may be cut in two.
fn cut(text: &str, most: usize) -> String {
    let text = text.trim();
    let end = text.char_indices().nth(most).map(|(end, _)| end);
    match end.and_then(|end| text.get(..end)) {
        None => text.to_owned(),
        Some(kept) => format!("{}…", without_last_token(kept)),
    }
}

/// An agent's last words for people: what it said before its status block, else what the block recommends.
fn summary(text: &str) -> Option<String> {
    let (before, block) = text.split_once("---RALPH_STATUS---").unwrap_or((text, ""));
    let recommended = || {
        let lines = block.lines();
        lines
            .filter_map(|line| line.trim().strip_prefix("RECOMMENDATION:"))
            .next()
    };
    let words = Some(before.trim()).filter(|words| !words.is_empty());
    words.or_else(recommended).map(shortened)
}

/// `exit 1` or `signal 9`.
fn how(exit: ExitInfo) -> String {
    if exit.signal == 0 {
        format!("exit {}", exit.code)
    } else {
        format!("signal {}", exit.signal)
    }
}

#[cfg(test)]
mod tests;
