//! How an agent ended and what became of an attempt: the words that every part of the loop shares.
//! Nothing here runs, reads or decides when to retry.

use std::fmt;
use std::str::FromStr;

use ralph_core::id::IdError;
use ralph_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The id of an attempt: the id of an operation, so that attempts sort by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AttemptId(String);

impl AttemptId {
    /// The text of the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AttemptId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !text.is_empty() && text.len() <= 64 && text.chars().all(is_plain) {
            return Ok(Self(text.to_owned()));
        }
        Err(IdError {
            expected: "an attempt id (letters, digits, `_`, `-`; at most 64)",
            found: text.chars().take(120).collect(),
        })
    }
}

impl TryFrom<String> for AttemptId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<AttemptId> for String {
    fn from(id: AttemptId) -> Self {
        id.0
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an agent's own words say about its run: its exit code, its streams, its status block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// It ended well; whether it changed anything is seen in its worktree, not here.
    Finished,
    /// The account's limit is reached.
    UsageLimit {
        /// When it opens again, if that was said.
        resets_at: Option<Timestamp>,
        /// Which limit, as `five_hour`.
        window: Option<String>,
        /// The words.
        message: String,
    },
    /// The service is busy: a short wait.
    Throttled {
        /// How long to wait, in seconds, if that was said.
        retry_after: Option<u64>,
        /// The words.
        message: String,
    },
    /// Not logged in, or not paid: no attempt of this account can succeed.
    Auth {
        /// The words.
        message: String,
    },
    /// The agent's own ceiling of money or turns.
    Budget {
        /// The words.
        message: String,
    },
    /// It was refused a tool that it needed.
    PermissionDenied {
        /// Which, and the rule to add if it is known.
        what: String,
    },
    /// It cannot go on without a person.
    NeedsInput {
        /// What it asks.
        prompt: String,
    },
    /// It says that the task cannot be done now.
    Blocked {
        /// Why.
        reason: String,
    },
    /// The agent was started wrongly: a bad flag, an unknown command. Every attempt would end so.
    ConfigError {
        /// What is wrong.
        message: String,
    },
    /// It failed.
    Crashed {
        /// The last words that tell why.
        message: String,
    },
}

/// What an attempt used, as far as its agent said so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens in, without those read from a cache.
    pub input_tokens: u64,
    /// Tokens read from or written to a cache.
    pub cached_tokens: u64,
    /// Tokens out.
    pub output_tokens: u64,
    /// US dollars; `None` where the agent does not say and no price is known.
    pub cost_usd: Option<f64>,
    /// Turns of the conversation.
    pub turns: u64,
}

/// Why an attempt's agent was ended by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hang {
    /// Its time was over.
    Wall,
    /// It gave no sign of life.
    Idle,
    /// It had given its result and did not end.
    AfterResult,
}

/// What became of an attempt. The names are fixed: they stand in `.ralph/attempts.jsonl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The work passed its checks and is delivered.
    Done,
    /// The agent changed nothing.
    NoChange,
    /// The work did not pass its checks.
    GatesFailed,
    /// The work is good; pushing it or its pull request failed. Retried without the agent.
    DeliveryFailed,
    /// The account's limit.
    UsageLimit,
    /// The service was busy.
    Throttled,
    /// Not logged in.
    Auth,
    /// A ceiling of money, tokens or turns.
    Budget,
    /// A tool was refused.
    PermissionDenied,
    /// Ended by us: too long, too silent, or not gone after its result.
    Hung,
    /// Ended by us, because we were told to stop.
    Interrupted,
    /// The agent failed.
    Crashed,
    /// The agent cannot be started as configured.
    ConfigError,
}

impl Outcome {
    /// Whether it spends one of the M attempts. Limits, authentication, our own signals and delivery
    /// never do.
    #[must_use]
    pub fn spends(self) -> bool {
        matches!(
            self,
            Self::Done
                | Self::NoChange
                | Self::GatesFailed
                | Self::PermissionDenied
                | Self::Hung
                | Self::Crashed
        )
    }

    /// The fixed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NoChange => "no_change",
            Self::GatesFailed => "gates_failed",
            Self::DeliveryFailed => "delivery_failed",
            Self::UsageLimit => "usage_limit",
            Self::Throttled => "throttled",
            Self::Auth => "auth",
            Self::Budget => "budget",
            Self::PermissionDenied => "permission_denied",
            Self::Hung => "hung",
            Self::Interrupted => "interrupted",
            Self::Crashed => "crashed",
            Self::ConfigError => "config_error",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
