//! Work orders: what the machine hands to a person or an agent, and what comes back.

use serde::{Deserialize, Serialize};

use crate::id::Slug;
use crate::time::Timestamp;

/// What kind of work is asked for; `RALPH_KIND` of the `command` engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum OrderKind {
    /// Write code for one todo item.
    Implement,
    /// Find and mend the cause of a failure.
    Debug,
    /// Test, where no test command is configured.
    Test,
    /// Argue a question out.
    Debate,
}

impl OrderKind {
    /// The word of `RALPH_KIND`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Implement => "implement",
            Self::Debug => "debug",
            Self::Test => "test",
            Self::Debate => "debate",
        }
    }
}

/// One piece of work, complete in itself: this is the JSON object on the agent's standard input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkOrder {
    /// Version of this shape.
    pub schema_version: u32,
    /// What kind of work.
    pub kind: OrderKind,
    /// The project.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub project: Slug,
    /// What it is about: a task id, a debugging entry, `TEST`, a question.
    pub target: String,
    /// One line for people.
    pub title: String,
    /// What to do, in sentences.
    pub instructions: String,
    /// Files to read first, relative to the project's folder.
    pub read: Vec<String>,
    /// How its end is recognised on the next dispatch.
    pub done_when: String,
}

/// An order that was handed to a caller: kept so that it is not counted as a new step every time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedOrder {
    /// Format version of the file.
    pub version: u32,
    /// What kind of work.
    pub kind: OrderKind,
    /// What it is about.
    pub target: String,
    /// When it was handed out first.
    pub issued_at: Timestamp,
    /// How often an agent tried and changed nothing or failed.
    pub attempts: u32,
    /// When the limit of the agent's account resets; nobody is sent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
}

impl IssuedOrder {
    /// Whether this is the same piece of work.
    #[must_use]
    pub fn is_for(&self, order: &WorkOrder) -> bool {
        self.kind == order.kind && self.target == order.target
    }
}

/// What came of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum OrderOutcome {
    /// Handed to the caller; the next dispatch sees what became of it.
    HandedOut,
    /// Done, with a change.
    Done {
        /// What the agent says of it.
        summary: String,
    },
    /// Ended well without a change.
    NoChange {
        /// What the agent says of it.
        summary: String,
    },
    /// Ended badly.
    Failed {
        /// Exit code, signal or time limit, and the last lines of output.
        reason: String,
    },
    /// The agent needs an answer from a person.
    NeedsInput {
        /// The question.
        prompt: String,
    },
    /// The account's limit is reached; nothing was spent.
    UsageLimit {
        /// When it resets, if the agent said so.
        resets_at: Option<Timestamp>,
    },
}
