//! Any program as the agent: the order as JSON on standard input, and what it says of its outcome as a JSON line
//! `{"ralph":"outcome", …}` or a status block on standard output.

use serde_json::{Value, json};

use ralph_core::time::Timestamp;

use super::json::{self, cost, count, text};
use super::words;
use super::{
    AgentOrder, Engine, EngineName, EngineSettings, Finish, Launch, Progress, Reading,
    SettingsError, StatusScanner, StatusWord, StreamReader, cut, how, inherit_without, shortened,
    variables,
};
use crate::outcome::{Usage, Verdict};

/// Version of the order.
const SCHEMA_VERSION: u32 = 1;

/// Characters of the last line that are kept.
const LONGEST_LINE: usize = 500;

/// The engine `command`.
#[derive(Debug)]
pub(super) struct AnyCommand {
    program: String,
    args: Vec<String>,
}

impl AnyCommand {
    pub(super) fn new(settings: &EngineSettings) -> Result<Self, SettingsError> {
        let (program, args) = settings
            .command
            .split_first()
            .ok_or(SettingsError::NoCommand)?;
        Ok(Self {
            program: program.clone(),
            args: args.to_vec(),
        })
    }
}

impl Engine for AnyCommand {
    fn name(&self) -> EngineName {
        EngineName::Command
    }

    fn launch(&self, order: &AgentOrder) -> Launch {
        Launch {
            program: self.program.clone().into(),
            args: self.args.clone(),
            inherit: inherit_without(&[]),
            variables: variables(order),
            stdin: order_text(order).into_bytes(),
        }
    }

    fn reader(&self) -> Box<dyn StreamReader> {
        Box::new(Reader::default())
    }
}

/// The order as one line of JSON. It has the members of the orders of `ralph dispatch`, and the loop's own.
fn order_text(order: &AgentOrder) -> String {
    let order = json!({
        "schema_version": SCHEMA_VERSION,
        "kind": "task",
        "project": order.project,
        "target": order.task.id,
        "title": order.task.row.text,
        "instructions": order.prompt,
        "read": [],
        "done_when": "The task is implemented in the worktree, committed or not, and the repository's checks pass.",
        "attempt": order.attempt.as_str(),
        "section": order.task.row.section,
        "worktree": order.worktree.display().to_string(),
        "branch": order.branch,
    });
    format!("{order}\n")
}

/// Reads what a program says.
#[derive(Debug, Default)]
pub(super) struct Reader {
    said: Option<Value>,
    status: StatusScanner,
    last: String,
    usage: Usage,
    session_id: Option<String>,
}

impl StreamReader for Reader {
    fn line(&mut self, line: &str, tell: &mut dyn FnMut(Progress)) {
        let trimmed = line.trim();
        if trimmed.is_empty() {
            return;
        }
        // A program may print millions of lines; only what may be meant for us is parsed.
        let ours = trimmed.starts_with('{') && trimmed.contains("\"ralph\"");
        if let Some(value) = ours.then(|| json::object(trimmed)).flatten() {
            match text(&value, &["ralph"]) {
                Some("outcome") => {
                    // What it used in the end is in the reading. Told as progress it would say that the service answers,
                    // and the outcome may be that it does not.
                    self.take_usage(&value, &mut |progress| {
                        if !matches!(progress, Progress::Usage(_)) {
                            tell(progress);
                        }
                    });
                    self.said = Some(value);
                    return;
                }
                Some("progress") => {
                    self.take_usage(&value, tell);
                    if let Some(doing) = text(&value, &["doing"]) {
                        tell(Progress::Doing(shortened(doing)));
                    }
                    return;
                }
                _ => {}
            }
        }
        self.status.line(trimmed);
        self.last = cut(trimmed, LONGEST_LINE);
    }

    fn has_result(&self) -> bool {
        self.said.is_some()
    }

    fn finish(&mut self, finish: &Finish<'_>) -> Reading {
        let said = self.said.as_ref().and_then(|value| said(value, finish.now));
        let summary = self.summary();
        let has_failed = finish.exit.code != 0 || finish.exit.signal != 0;
        let verdict = match said {
            // Whatever it says: a program that is done exits with zero.
            Some(Verdict::Finished) if has_failed => Verdict::Crashed {
                message: format!("{}, though it says that it is done", how(finish.exit)),
            },
            None if has_failed => Verdict::Crashed {
                message: self.failure(finish),
            },
            Some(verdict) => verdict,
            None => self.by_status().unwrap_or(Verdict::Finished),
        };
        Reading {
            verdict,
            usage: self.usage,
            session_id: self.session_id.clone(),
            summary,
            status: self.status.block().cloned(),
            denials: Vec::new(),
        }
    }
}

impl Reader {
    fn take_usage(&mut self, value: &Value, tell: &mut dyn FnMut(Progress)) {
        let tokens = |name: &str| count(value, &[name]).max(count(value, &["usage", name]));
        let either = |long: &str, short: &str| tokens(long).max(count(value, &["tokens", short]));
        let usage = Usage {
            input_tokens: either("input_tokens", "input"),
            cached_tokens: either("cached_tokens", "cached"),
            output_tokens: either("output_tokens", "output"),
            cost_usd: cost(value, &["cost_usd"]).or_else(|| cost(value, &["cost"])),
            turns: tokens("turns"),
        };
        if usage != Usage::default() {
            self.usage = usage;
            tell(Progress::Usage(usage));
        }
        if let Some(id) = text(value, &["session_id"]) {
            self.session_id = Some(id.to_owned());
            tell(Progress::Session { id: id.to_owned() });
        }
    }

    fn summary(&self) -> Option<String> {
        let said = self.said.as_ref().and_then(words_of);
        let block = || self.status.block()?.recommendation.as_deref();
        let last = || Some(self.last.as_str()).filter(|last| !last.is_empty());
        said.or_else(block).or_else(last).map(shortened)
    }

    fn failure(&self, finish: &Finish<'_>) -> String {
        let last = words::last_line(finish.stderr).unwrap_or(&self.last);
        let words = format!("{}: {last}", how(finish.exit));
        shortened(words.trim_end_matches(": "))
    }

    fn by_status(&self) -> Option<Verdict> {
        blocked(&self.status)
    }
}

/// A status block that says that the agent is stuck.
pub(super) fn blocked(status: &StatusScanner) -> Option<Verdict> {
    let block = status.block()?;
    (block.status == Some(StatusWord::Blocked)).then(|| Verdict::Blocked {
        reason: block.recommendation.clone().unwrap_or_default(),
    })
}

fn words_of(value: &Value) -> Option<&str> {
    ["summary", "reason", "message", "prompt"]
        .into_iter()
        .find_map(|name| text(value, &[name]))
}

/// What an outcome line says; `None` where it leaves the outcome to the exit code.
fn said(value: &Value, now: Timestamp) -> Option<Verdict> {
    let message = || words_of(value).map(shortened).unwrap_or_default();
    let outcome = text(value, &["outcome"]).or_else(|| text(value, &["status"]))?;
    Some(match outcome.to_ascii_lowercase().as_str() {
        "done" | "success" | "no_change" => Verdict::Finished,
        "needs_input" => Verdict::NeedsInput {
            prompt: said_what(text(value, &["prompt"]).map_or_else(message, shortened)),
        },
        "blocked" => Verdict::Blocked {
            reason: said_what(message()),
        },
        "usage_limit" => Verdict::UsageLimit {
            resets_at: value.get("resets_at").and_then(|at| instant(at, now)),
            window: text(value, &["window"]).map(str::to_owned),
            message: message(),
        },
        "throttled" => Verdict::Throttled {
            retry_after: value.get("retry_after").and_then(Value::as_u64),
            message: message(),
        },
        "auth" => Verdict::Auth { message: message() },
        "budget" => Verdict::Budget { message: message() },
        "permission_denied" => Verdict::PermissionDenied { what: message() },
        "config_error" => Verdict::ConfigError { message: message() },
        "failed" | "crashed" => Verdict::Crashed { message: message() },
        _ => return None,
    })
}

/// A question or a reason that a person is to read.
fn said_what(words: String) -> String {
    if words.is_empty() {
        "it does not say what".to_owned()
    } else {
        words
    }
}

/// A time as RFC 3339, or as seconds since the epoch.
fn instant(value: &Value, now: Timestamp) -> Option<Timestamp> {
    match value {
        Value::String(text) => text.parse().ok().or_else(|| {
            super::reset::reset_time(&format!("resets {text}"), now, &jiff::tz::TimeZone::UTC)
        }),
        Value::Number(number) => {
            let seconds = number.as_i64().or_else(|| {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "parts of a second do not count"
                )]
                number.as_f64().map(|seconds| seconds.ceil() as i64)
            })?;
            Timestamp::from_second(seconds).ok()
        }
        _ => None,
    }
}
