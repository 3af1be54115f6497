//! Scenarios: a mock cluster as a JSON text.
//!
//! A saved cluster is a scenario with a history, so one format serves both. Its members, all optional but
//! `format`:
//!
//! | member | meaning |
//! |---|---|
//! | `format` | 1 |
//! | `settings` | [`MockSettings`](super::MockSettings) |
//! | `rules` | a list of [`Rule`](super::Rule); the first that applies decides |
//! | `faults` | for each method (`submit`, `observe`, …) the [`Fault`](super::Fault)s of its next calls |
//! | `standing` | the [`Fault`](super::Fault) of every call that has none of its own |
//! | `simulation` | `{"seed": 7, "fault_percent": 10}`: what no rule decides is drawn |
//! | `files` | for each project the files that are there from the start |
//! | `next_id` | the next job's id, as text |
//! | `jobs`, `markers`, `calls` | the history; written, not meant to be edited |
//!
//! A job that fails at its first attempt, is accepted without saying so, and then completes:
//!
//! ```json
//! {
//!   "format": 1,
//!   "rules": [
//!     {"run": "q001", "times": 1,
//!      "faults": [{"fault": "socket_timeout", "accepted": true}],
//!      "job": {"steps": [{"after_seconds": 5, "state": "RUNNING", "nodes": "node007"},
//!                        {"after_seconds": 90, "state": "FAILED", "exit": {"code": 1, "signal": 0}}],
//!              "stderr": [{"after_seconds": 89, "text": "CUDA out of memory\n"}]}},
//!     {"job": {"steps": [{"after_seconds": 5, "state": "RUNNING"}, {"after_seconds": 60, "state": "COMPLETED"}],
//!              "artifacts": [{"after_seconds": 60, "path": "results/metrics.json"}]}}
//!   ]
//! }
//! ```
//!
//! Text in, state out: no file is read or written here.

use serde::Deserialize;

use super::state::{FORMAT, MockState};
use crate::error::{Code, Coded, Hint};

/// A text that is no scenario.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// It does not have the documented shape.
    #[error("line {line}, column {column}: expected a scenario of the mock cluster")]
    Shape {
        /// The line, from one.
        line: usize,
        /// The column, from one.
        column: usize,
        /// What was expected and found there.
        #[source]
        source: serde_json::Error,
    },
    /// It was written by a newer version.
    #[error("expected a scenario of format {FORMAT}, found format {found}")]
    Newer {
        /// The format found.
        found: u32,
    },
}

impl Coded for ScenarioError {
    fn code(&self) -> Code {
        match self {
            Self::Shape { .. } => Code::CorruptState,
            Self::Newer { .. } => Code::NewerFormat,
        }
    }

    fn hint(&self) -> Option<Hint> {
        Some(Hint::new(match self {
            Self::Shape { .. } => "Correct the scenario there; a saved cluster can be deleted.",
            Self::Newer { .. } => "Use the newer ralph, or start from the scenario again.",
        }))
    }
}

impl From<serde_json::Error> for ScenarioError {
    fn from(source: serde_json::Error) -> Self {
        Self::Shape {
            line: source.line(),
            column: source.column(),
            source,
        }
    }
}

/// Reads a scenario or a saved cluster.
pub(super) fn read(text: &str) -> Result<MockState, ScenarioError> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    // Read first and alone: a newer format may have members that are unknown here.
    let Version { format } = serde_json::from_str(text)?;
    if format > FORMAT {
        return Err(ScenarioError::Newer { found: format });
    }
    Ok(serde_json::from_str(text)?)
}
