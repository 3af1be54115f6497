//! The members that people write in many shapes: what comes next, who is waited for, when to poll.
//!
//! What must never be here: a place in a text (the reader adds it), a run.

use serde_json::{Map, Value};

use super::super::grammar::Kind;
use super::super::source::Source;
use super::super::tree::NodeId;
use crate::time::LooseTime;

/// What somebody wrote down as the next step. `null`, `{}` and an empty text are nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum NextAction {
    /// Nothing.
    #[default]
    None,
    /// A sentence.
    Text(String),
    /// The form with members; there may be more of them than these.
    Action {
        /// A slash command, a verb or a sentence.
        command: Option<String>,
        /// Why.
        reason: Option<String>,
        /// How.
        hint: Option<String>,
    },
}

impl NextAction {
    /// Whether there is something to do.
    #[must_use]
    pub fn is_some(&self) -> bool {
        *self != Self::None
    }

    /// The text to show: the command, else the reason or the hint. Empty when there is none.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::None => "",
            Self::Text(text) => text,
            Self::Action {
                command,
                reason,
                hint,
            } => [command, reason, hint]
                .into_iter()
                .flatten()
                .next()
                .map_or("", String::as_str),
        }
    }

    /// Reads any value; the second part says what was unexpected.
    pub(super) fn read(value: &Value) -> (Self, Option<&'static str>) {
        let odd = Some("expected null, a text or an object; read as a text");
        match value {
            Value::Null | Value::Bool(false) => (Self::None, None),
            Value::String(text) if text.trim().is_empty() => (Self::None, None),
            Value::String(text) => (Self::Text(text.clone()), None),
            Value::Object(members) if members.is_empty() => (Self::None, None),
            Value::Object(members) => (Self::of_members(members), None),
            Value::Array(items) if items.is_empty() => (Self::None, odd),
            Value::Number(number) if number.as_f64() == Some(0.0) => (Self::None, odd),
            other => (Self::Text(other.to_string()), odd),
        }
    }

    /// Whether [`NextAction::read`] would find something: all that the Stop hook has to know.
    pub(super) fn is_there(source: Source<'_>, id: NodeId) -> bool {
        match source.node(id).kind {
            Kind::Null => false,
            Kind::Object | Kind::List => source.tree.children(id).next().is_some(),
            Kind::Text => source
                .text_of(id)
                .is_some_and(|text| !text.trim().is_empty()),
            Kind::Bool | Kind::Number => Self::read(&source.value(id)).0.is_some(),
        }
    }

    fn of_members(members: &Map<String, Value>) -> Self {
        Self::Action {
            command: text_member(members, "command"),
            reason: text_member(members, "reason"),
            hint: text_member(members, "hint"),
        }
    }
}

/// Whether the project waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NeedsInput {
    /// Whether it waits.
    pub value: bool,
    /// The question.
    pub prompt: Option<String>,
    /// Who asked: a machine may only take back its own question.
    pub set_by: Option<String>,
    /// When, as found.
    pub set_at: Option<String>,
}

impl NeedsInput {
    /// Reads any value; the second part says what was unexpected. In doubt the project waits.
    pub(super) fn read(value: &Value) -> (Self, Option<&'static str>) {
        let waits = |value, prompt: Option<String>| Self {
            value,
            prompt,
            ..Self::default()
        };
        match value {
            Value::Null => (waits(false, None), None),
            Value::Bool(value) => (waits(*value, None), None),
            Value::Object(members) => Self::of_members(members),
            Value::String(text) if text.trim().is_empty() => (waits(false, None), None),
            Value::String(text) => (
                waits(true, Some(text.clone())),
                Some("expected {value, prompt}; read as the prompt"),
            ),
            other => (
                waits(truthy(other), None),
                Some("expected {value, prompt}; read as true unless it is empty or 0"),
            ),
        }
    }

    /// Whether [`NeedsInput::read`] would say that the project waits: all that the Stop hook has to know.
    pub(super) fn waits(source: Source<'_>, id: NodeId) -> bool {
        match source.node(id).kind {
            Kind::Object => match source.tree.member(source.text, id, "value") {
                Some(value) => Self::value_of(Some(&source.value(value))).0,
                None => Self::read(&source.value(id)).0.value,
            },
            _ => Self::read(&source.value(id)).0.value,
        }
    }

    fn value_of(value: Option<&Value>) -> (bool, Option<&'static str>) {
        match value {
            None | Some(Value::Null) => (false, None),
            Some(Value::Bool(value)) => (*value, None),
            Some(other) => (
                truthy(other),
                Some(
                    "expected true or false as value; read as true unless it is empty, 0 or \"false\"",
                ),
            ),
        }
    }

    /// An object that says in members of its own that the project waits: one of them is enough.
    fn without_value(members: &Map<String, Value>) -> (bool, Option<&'static str>) {
        let flags = ["required", "needed", "needs_input", "waiting", "blocked"];
        let mut said = flags
            .iter()
            .filter_map(|name| members.get(*name))
            .filter(|value| !value.is_null())
            .peekable();
        let asks = || {
            let questions = ["prompt", "question", "message"];
            questions
                .iter()
                .any(|name| text_member(members, name).is_some())
        };
        let waits = match said.peek() {
            Some(_) => said.any(truthy),
            None => asks(),
        };
        let odd = "expected true or false as value; read from the other members";
        (waits, (!members.is_empty()).then_some(odd))
    }

    fn of_members(members: &Map<String, Value>) -> (Self, Option<&'static str>) {
        let (value, remark) = match members.get("value") {
            None => Self::without_value(members),
            given => Self::value_of(given),
        };
        let questions = ["prompt", "question", "message"];
        let needs = Self {
            value,
            prompt: questions.iter().find_map(|name| text_member(members, name)),
            set_by: text_member(members, "set_by"),
            set_at: text_member(members, "set_at"),
        };
        (needs, remark)
    }
}

/// When the cluster is asked again about a project's jobs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SlurmWait {
    /// Not before this. None, unreadable or past means due.
    pub next_poll_after: Option<LooseTime>,
    /// The project's own interval, in seconds.
    pub poll_interval_seconds: Option<u64>,
    /// When it was asked last.
    pub last_polled_at: Option<LooseTime>,
    /// A remark.
    pub note: Option<String>,
    /// Whether it is a single number, text or truth value: whoever sets a member has to make an object of it first.
    pub is_plain: bool,
}

impl SlurmWait {
    /// Reads any value; the second part says what was unexpected (incident 22).
    pub(super) fn read(value: &Value) -> (Self, Option<&'static str>) {
        let mut wait = Self {
            is_plain: value.is_boolean() || value.is_number() || value.is_string(),
            ..Self::default()
        };
        match value {
            Value::Null | Value::Bool(_) => (wait, None),
            Value::Object(members) => Self::of_members(members),
            Value::Number(_) => {
                wait.poll_interval_seconds = seconds(value);
                (
                    wait,
                    Some("expected an object; read as the interval in seconds"),
                )
            }
            Value::String(text) => {
                match LooseTime::parse(text) {
                    LooseTime::Unreadable => wait.note = Some(text.clone()),
                    time => wait.next_poll_after = Some(time),
                }
                (
                    wait,
                    Some("expected an object; read as the next poll or a note"),
                )
            }
            Value::Array(_) => (wait, Some("expected an object; passed over")),
        }
    }

    /// The time that [`SlurmWait::read`] would find: all that the Stop hook has to know.
    pub(super) fn next_poll(source: Source<'_>, id: NodeId) -> Option<LooseTime> {
        match source.node(id).kind {
            Kind::Object => {
                let time = source.tree.member(source.text, id, "next_poll_after");
                loose_time_at(source, time?)
            }
            _ => Self::read(&source.value(id)).0.next_poll_after,
        }
    }

    fn of_members(members: &Map<String, Value>) -> (Self, Option<&'static str>) {
        let interval = members.get("poll_interval_seconds");
        let wait = Self {
            next_poll_after: members.get("next_poll_after").and_then(loose_time),
            poll_interval_seconds: interval.and_then(seconds),
            last_polled_at: members.get("last_polled_at").and_then(loose_time),
            note: text_member(members, "note"),
            is_plain: false,
        };
        let given = interval.is_some_and(|value| !value.is_null());
        let odd = given && wait.poll_interval_seconds.is_none();
        (
            wait,
            odd.then_some("expected poll_interval_seconds as a number; passed over"),
        )
    }
}

/// A time in any form; `None` for `null` and an empty text.
pub(super) fn loose_time(value: &Value) -> Option<LooseTime> {
    match value {
        Value::Null => None,
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(text) => Some(LooseTime::parse(text)),
        _ => Some(LooseTime::Unreadable),
    }
}

/// As [`loose_time`], of a value in its file.
pub(super) fn loose_time_at(source: Source<'_>, id: NodeId) -> Option<LooseTime> {
    match source.text_of(id) {
        Some(text) if text.trim().is_empty() => None,
        Some(text) => Some(LooseTime::parse(&text)),
        None if source.node(id).kind == Kind::Null => None,
        None => Some(LooseTime::Unreadable),
    }
}

/// As [`some_text`], of a value in its file.
pub(super) fn some_text_at(source: Source<'_>, id: NodeId) -> Option<String> {
    let text = source.text_of(id)?;
    (!text.trim().is_empty()).then(|| text.into_owned())
}

/// A member that is a text with something in it.
pub(super) fn text_member(members: &Map<String, Value>, name: &str) -> Option<String> {
    members.get(name).and_then(some_text)
}

/// A text with something in it.
pub(super) fn some_text(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    (!text.trim().is_empty()).then(|| text.to_owned())
}

/// A whole number of seconds or of attempts, also when it was written as a text or with a fraction.
pub(super) fn seconds(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        // The cast saturates.
        Value::Number(number) => number
            .as_u64()
            .or_else(|| number.as_f64().filter(|n| *n >= 0.0).map(|n| n as u64)),
        _ => None,
    }
}

/// What a script would take for true.
fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => {
            let word = text.trim();
            !word.is_empty()
                && !["false", "no", "0"]
                    .iter()
                    .any(|no| word.eq_ignore_ascii_case(no))
        }
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}
