//! The hook's small files, as data: what the agent sends, the configuration, the counter of the loop.
//!
//! Reading never fails: what is missing or has another shape is its default. Nothing here opens a file.

use serde::Serialize;
use serde_json::Value;

use crate::time::Timestamp;

/// The name under which the blocks of an agent without a session are counted.
const NO_SESSION: &str = "unknown";

/// What the agent sends on standard input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HookInput {
    /// The agent's session.
    pub session_id: Option<String>,
    /// Whether the agent goes on because of an earlier block. Only shown.
    pub stop_hook_active: bool,
}

impl HookInput {
    /// Reads the input; anything but a JSON object is an empty one.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let value = json(bytes);
        Self {
            session_id: value
                .get("session_id")
                .and_then(Value::as_str)
                .map(str::to_owned),
            stop_hook_active: value
                .get("stop_hook_active")
                .and_then(Value::as_bool)
                .unwrap_or(false),
        }
    }

    /// The session to count under.
    pub(super) fn session(&self) -> &str {
        self.session_id.as_deref().unwrap_or(NO_SESSION)
    }
}

/// The hook's part of `.claude/ralph/config.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookConfig {
    /// Blocks in one session, at most.
    pub max_iterations: u64,
    /// Projects that one dispatch advances.
    pub batch_size: u64,
    /// Seconds that have to be between two blocks.
    pub min_seconds_between_blocks: u64,
}

impl Default for HookConfig {
    fn default() -> Self {
        Self {
            max_iterations: 25,
            batch_size: 3,
            min_seconds_between_blocks: 0,
        }
    }
}

impl HookConfig {
    /// Reads the configuration; a member that is no number has its default.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let value = json(bytes);
        let usual = Self::default();
        let number = |name, usual| value.get(name).and_then(count).unwrap_or(usual);
        Self {
            max_iterations: number("max_iterations", usual.max_iterations),
            batch_size: number("batch_size", usual.batch_size),
            min_seconds_between_blocks: number(
                "min_seconds_between_blocks",
                usual.min_seconds_between_blocks,
            ),
        }
    }
}

/// `.claude/ralph/loop-state.json`: the blocks of the session that was last here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoopState {
    /// The session.
    pub session_id: String,
    /// How often it was kept from stopping.
    pub iterations_blocked: u64,
    /// When it was last, as written.
    pub last_blocked_at: Option<String>,
}

impl LoopState {
    /// The state of a session that was never blocked.
    #[must_use]
    pub fn fresh(session: &str) -> Self {
        Self {
            session_id: session.to_owned(),
            iterations_blocked: 0,
            last_blocked_at: None,
        }
    }

    /// Reads the state; anything else than one, damaged or newer, counts as none.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let value = json(bytes);
        Some(Self {
            session_id: value.get("session_id")?.as_str()?.to_owned(),
            iterations_blocked: count(value.get("iterations_blocked")?)?,
            last_blocked_at: value
                .get("last_blocked_at")
                .and_then(Value::as_str)
                .map(str::to_owned),
        })
    }

    /// The file's text: indented by two, with a final newline.
    #[must_use]
    pub fn text(&self) -> String {
        let json = serde_json::to_string_pretty(self)
            .unwrap_or_else(|_| unreachable!("texts and numbers can be written as JSON"));
        json + "\n"
    }

    /// When it was last blocked, where that can be read.
    pub(super) fn last_blocked(&self) -> Option<Timestamp> {
        self.last_blocked_at.as_deref()?.parse().ok()
    }
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or(Value::Null)
}

/// A count as people write it: `25`, `25.0` or `"25"`; below zero is zero.
fn count(value: &Value) -> Option<u64> {
    let whole = |number: i64| u64::try_from(number).unwrap_or(0);
    match value {
        Value::Number(number) => number.as_u64().or_else(|| {
            // The cast saturates, and drops a fraction as the old script did.
            number
                .as_i64()
                .map(whole)
                .or_else(|| number.as_f64().map(|float| float as u64))
        }),
        Value::String(text) => text.trim().parse().ok().map(whole),
        _ => None,
    }
}
