//! Every knob of the loop with its origin. Pure: what was typed, the environment and the files come in as values.
//!
//! One order for all of them: command line, environment, files, default. In the loop that this replaces the file won
//! over the command line, and some keys were never read (defect 8.12).
//!
//! What must never be here: what a knob does, and a read of the environment or of a file.

mod keys;
mod resolve;
mod source;
mod table;
mod value;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ralph_core::error::{Code, Coded, Hint};

use crate::account::AccountSettings;
use crate::breaker::Thresholds;
use crate::engine::{EngineName, EngineSettings, Prices};
use crate::gates::{GateChoice, GateSettings};
use crate::integrate::Strategy;
pub use resolve::{engine, resolve, stop_grace};
pub use source::{NamedFile, Origin, Setting};
pub use table::Row;

/// What was typed, word for word. A flag that was not given is `None` or false.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// `--parallel N [M]`.
    pub parallel: Vec<String>,
    /// `--max-tasks M`.
    pub max_tasks: Option<String>,
    /// `--max-task-attempts K`.
    pub max_task_attempts: Option<String>,
    /// `--respawn-delay SEC`.
    pub respawn_delay: Option<String>,
    /// `--no-tabs`.
    pub no_tabs: bool,
    /// `--engine E`.
    pub engine: Option<String>,
    /// `--agent-command CMD`.
    pub agent_command: Option<String>,
    /// `--model M`.
    pub model: Option<String>,
    /// `--task ID`; only for what it excludes.
    pub task: Option<String>,
    /// `--qg`; only for what it excludes.
    pub checks_only: bool,
    /// `--prompt FILE`.
    pub prompt: Option<String>,
    /// `--timeout MIN`.
    pub timeout: Option<String>,
    /// `--calls N`.
    pub calls: Option<String>,
    /// `--merge-strategy HOW`.
    pub merge_strategy: Option<String>,
    /// `--quality-gates GATES`.
    pub quality_gates: Option<String>,
    /// `--no-pr`.
    pub no_pr: bool,
    /// `--allowed-tools LIST`.
    pub allowed_tools: Option<String>,
    /// `--permission-mode MODE`.
    pub permission_mode: Option<String>,
    /// `--max-cost USD`.
    pub max_cost: Option<String>,
    /// `--auto-reset-circuit`.
    pub auto_reset_circuit: bool,
    /// `--dangerously-skip-permissions`.
    pub skip_permissions: bool,
}

/// Everything that the loop can be told.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How many agents work, and for how long.
    pub pool: PoolSettings,
    /// Which agent works, how it is started and when it is ended.
    pub agent: AgentSettings,
    /// What is done with the work of an agent.
    pub work: WorkSettings,
    /// When the loop waits or stops by itself.
    pub limits: LimitSettings,
    /// What a person should be told once.
    pub notices: Vec<Notice>,
}

/// How many agents work, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolSettings {
    /// Agents at once: N.
    pub workers: Setting<usize>,
    /// Attempts to spend: M; `None` for one pass over the plan.
    pub attempts: Setting<Option<u64>>,
    /// Attempts per task before it is skip-listed: K.
    pub task_attempts: Setting<u32>,
    /// Pause before a freed worker takes its next task.
    pub respawn_delay: Setting<Duration>,
    /// Whether terminal panes may be used where they work.
    pub tabs: Setting<bool>,
}

/// Which agent works, how it is started and when it is ended.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentSettings {
    /// Which agent.
    pub engine: Setting<EngineName>,
    /// The agent's program and leading arguments; empty for the program of the engine's name.
    pub command: Setting<Vec<String>>,
    /// The agent's model.
    pub model: Setting<Option<String>>,
    /// The agent's permission mode, in its own word.
    pub permission_mode: Setting<Option<String>>,
    /// Tools that claude may use without asking.
    pub allowed_tools: Setting<Vec<String>>,
    /// Turns that one attempt may take, where the agent knows of such a limit.
    pub max_turns: Setting<Option<u32>>,
    /// US dollars that one attempt may cost; also what is reserved for it under a ceiling.
    pub max_cost: Setting<Option<f64>>,
    /// Whether API keys of the environment reach the agent.
    pub use_api_key: Setting<bool>,
    /// What tokens cost, for agents that do not say.
    pub prices: Setting<Option<Prices>>,
    /// How long one agent may take.
    pub wall: Setting<Duration>,
    /// How long an agent may give no sign of life; `None` for ever.
    pub silence: Setting<Option<Duration>>,
    /// How long an agent may stay after its result.
    pub after_result: Setting<Duration>,
    /// How long a process may take to end after it was asked to.
    pub grace: Setting<Duration>,
    /// The prompt, relative to the repository unless absolute or typed.
    pub prompt: Setting<PathBuf>,
}

/// What is done with the work of an agent.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkSettings {
    /// The repository's checks.
    pub gates: Setting<GateChoice>,
    /// How long one check may take.
    pub gate_limit: Setting<Duration>,
    /// How long installing dependencies may take.
    pub install_limit: Setting<Duration>,
    /// How work gets into the base branch.
    pub merge_strategy: Setting<Strategy>,
    /// What branches begin with, before the slash.
    pub branch_prefix: Setting<String>,
    /// Whether branches are pushed and pull requests opened, where there is a remote.
    pub pull_requests: Setting<bool>,
    /// The branch that work goes to; `None` for the remote's default branch.
    pub base: Setting<Option<String>>,
    /// Whether pull requests are drafts.
    pub draft: Setting<bool>,
}

/// When the loop waits or stops by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitSettings {
    /// Agents started per clock hour.
    pub calls_per_hour: Setting<Option<u32>>,
    /// Attempts in a row without progress that open the circuit.
    pub no_progress: Setting<u32>,
    /// Attempts in a row with the same error that open the circuit.
    pub same_error: Setting<u32>,
    /// Attempts in a row with refused tools that open the circuit.
    pub permission_denials: Setting<u32>,
    /// How long an open circuit stays so before it is tried again.
    pub cooldown: Setting<Duration>,
    /// Whether an open circuit is closed at the start of a loop.
    pub auto_reset: Setting<bool>,
    /// US dollars after which nothing starts.
    pub max_cost: Setting<Option<f64>>,
    /// The longest wait for a usage limit to end; a longer one stops the loop.
    pub max_wait: Setting<Duration>,
    /// Added to the time at which a usage limit is said to end.
    pub margin: Setting<Duration>,
}

/// Something in a file that is not as its author may think. No error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A name that is no knob.
    Unknown {
        /// Where, as `file:line`.
        place: String,
        /// The name.
        name: String,
    },
    /// A name of the old loop with a value that has no effect.
    NoEffect {
        /// Where, as `file:line`.
        place: String,
        /// The name and its value, as an assignment.
        assignment: String,
        /// What is done instead, as a sentence.
        reason: &'static str,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { place, name } => write!(f, "{place}: no setting is called {name}"),
            Self::NoEffect {
                place,
                assignment,
                reason,
            } => write!(f, "{place}: {assignment} has no effect. {reason}"),
        }
    }
}

/// One value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It is not of the knob's kind.
    #[error("{origin}: expected {expected}, found `{found}`")]
    Value {
        /// Where it stands.
        origin: Origin,
        /// What is expected.
        expected: &'static str,
        /// What was found.
        found: String,
    },
    /// An array where one value is expected.
    #[error("{origin}: expected one value, found an array")]
    Array {
        /// Where it stands.
        origin: Origin,
    },
    /// Two things that exclude each other.
    #[error("{one} cannot be combined with {other}")]
    Combined {
        /// The one.
        one: String,
        /// The other.
        other: String,
    },
    /// Something that makes no sense without something else.
    #[error("{one} needs {other}")]
    Needs {
        /// What was given.
        one: String,
        /// What is missing.
        other: String,
    },
}

/// Everything that is wrong with the settings, at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
pub struct SettingsError(pub Vec<Problem>);

impl Coded for SettingsError {
    fn code(&self) -> Code {
        Code::Usage
    }

    fn hint(&self) -> Option<Hint> {
        Some(Hint::new(
            "`ralph loop --help` shows every option; the file is .ralphrc in the repository.",
        ))
    }
}

impl AgentSettings {
    /// What the engine is told.
    #[must_use]
    pub fn engine_settings(&self) -> EngineSettings {
        EngineSettings {
            command: self.command.value.clone(),
            model: self.model.value.clone(),
            permission_mode: self.permission_mode.value.clone(),
            allowed_tools: self.allowed_tools.value.clone(),
            max_turns: self.max_turns.value,
            max_budget_usd: self.max_cost.value,
            use_api_key: self.use_api_key.value,
            prices: self.prices.value,
            ..EngineSettings::new(self.engine.value)
        }
    }
}

impl WorkSettings {
    /// What the checks are told; `grace` is the agent's.
    #[must_use]
    pub fn gate_settings(&self, grace: Duration) -> GateSettings {
        GateSettings {
            choice: self.gates.value.clone(),
            limit: self.gate_limit.value,
            install_limit: self.install_limit.value,
            grace,
        }
    }
}

impl LimitSettings {
    /// What the gate of the account is told.
    #[must_use]
    pub fn account_settings(&self, workers: usize) -> AccountSettings {
        AccountSettings {
            workers,
            margin: self.margin.value,
            max_wait: self.max_wait.value,
        }
    }

    /// What the circuit is told.
    #[must_use]
    pub fn thresholds(&self) -> Thresholds {
        Thresholds {
            no_progress: self.no_progress.value,
            same_error: self.same_error.value,
            permission_denials: self.permission_denials.value,
            cooldown: self.cooldown.value,
            auto_reset: self.auto_reset.value,
        }
    }
}

#[cfg(test)]
mod tests;
