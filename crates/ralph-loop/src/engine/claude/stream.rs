//! The events of `stream-json`, one JSON object per line; also the array and the single object that other output
//! formats print.

use std::collections::BTreeSet;

use ralph_core::time::Timestamp;
use serde_json::Value;

use super::super::json::{self, cost, count, elements, member, number, text};
use super::super::{
    Finish, LONGEST_RULE, Progress, RateLimit, RateStanding, Reading, StatusScanner, StreamReader,
    cut, shortened,
};
use super::reading;
use crate::outcome::Usage;

/// What was heard of one run.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The last `result` event.
    pub(super) result: Option<Value>,
    /// The last limit that was rejected and not followed by work.
    pub(super) rejected: Option<RateLimit>,
    /// The last `error` of an assistant's message.
    pub(super) error: Option<String>,
    /// The last line that was no event.
    pub(super) plain: Option<String>,
    /// Tools that were refused.
    pub(super) denials: BTreeSet<String>,
    pub(super) session_id: Option<String>,
    pub(super) status: StatusScanner,
    /// Summed over messages; the result's own numbers replace it.
    pub(super) usage: Usage,
    /// The message that is growing, and what of its usage is in the sum already.
    message: Option<(String, Usage)>,
}

impl StreamReader for Reader {
    fn line(&mut self, line: &str, tell: &mut dyn FnMut(Progress)) {
        match json::object(line) {
            Some(Value::Array(events)) => {
                for event in &events {
                    self.event(event, tell);
                }
            }
            Some(event) => self.event(&event, tell),
            None => {
                if !line.trim().is_empty() && !json::is_event(line) {
                    self.plain = Some(shortened(line));
                }
            }
        }
    }

    fn has_result(&self) -> bool {
        self.result.is_some()
    }

    fn finish(&mut self, finish: &Finish<'_>) -> Reading {
        reading::reading(self, finish)
    }
}

impl Reader {
    fn event(&mut self, event: &Value, tell: &mut dyn FnMut(Progress)) {
        match text(event, &["type"]) {
            Some("system") => self.system(event, tell),
            Some("assistant") => self.assistant(event, tell),
            Some("rate_limit_event") => self.rate_limit(event, tell),
            Some("result") => self.take_result(event, tell),
            _ => {}
        }
    }

    fn system(&mut self, event: &Value, tell: &mut dyn FnMut(Progress)) {
        match text(event, &["subtype"]) {
            Some("init") => self.session(event, tell),
            Some("api_retry") => {
                let reason = text(event, &["error"]).unwrap_or("the service does not answer");
                let reason = format!(
                    "{reason} ({} of {})",
                    count(event, &["attempt"]),
                    count(event, &["max_retries"])
                );
                tell(Progress::Retrying { reason });
            }
            _ => {}
        }
    }

    fn session(&mut self, event: &Value, tell: &mut dyn FnMut(Progress)) {
        if let Some(id) = text(event, &["session_id"])
            && self.session_id.as_deref() != Some(id)
        {
            self.session_id = Some(id.to_owned());
            tell(Progress::Session { id: id.to_owned() });
        }
    }

    fn assistant(&mut self, event: &Value, tell: &mut dyn FnMut(Progress)) {
        self.error = text(event, &["error"]).map(str::to_owned);
        if !is_work(event) {
            // Written by the program itself: nothing that is told may look as if the service had answered.
            self.message_usage(event);
            return;
        }
        // It went on: what was rejected was another model's or another window's limit.
        self.rejected = None;
        for part in elements(event, &["message", "content"]) {
            match text(part, &["type"]) {
                Some("tool_use") => {
                    let name = text(part, &["name"]).unwrap_or("a tool");
                    tell(Progress::Doing(doing(name, part)));
                }
                Some("text") => {
                    self.status.text(text(part, &["text"]).unwrap_or_default());
                    if let Some(line) =
                        text(part, &["text"]).and_then(|text| text.trim().lines().next())
                    {
                        tell(Progress::Doing(shortened(line)));
                    }
                }
                _ => {}
            }
        }
        if self.message_usage(event) {
            tell(Progress::Usage(self.usage));
        }
    }

    /// One message comes in several events with the same id; its last numbers count. Whether there were any.
    fn message_usage(&mut self, event: &Value) -> bool {
        let Some(numbers) = member(event, &["message", "usage"]) else {
            return false;
        };
        let now = Usage {
            input_tokens: count(numbers, &["input_tokens"]),
            cached_tokens: count(numbers, &["cache_read_input_tokens"])
                + count(numbers, &["cache_creation_input_tokens"]),
            output_tokens: count(numbers, &["output_tokens"]),
            cost_usd: None,
            turns: 1,
        };
        let id = text(event, &["message", "id"]).unwrap_or_default();
        let counted = match &self.message {
            Some((last, counted)) if last == id && !id.is_empty() => *counted,
            _ => Usage::default(),
        };
        self.usage = Usage {
            input_tokens: self.usage.input_tokens - counted.input_tokens + now.input_tokens,
            cached_tokens: self.usage.cached_tokens - counted.cached_tokens + now.cached_tokens,
            output_tokens: self.usage.output_tokens - counted.output_tokens + now.output_tokens,
            cost_usd: None,
            turns: self.usage.turns - counted.turns + now.turns,
        };
        self.message = Some((id.to_owned(), now));
        true
    }

    /// Sent on healthy runs too, and there `overageStatus` may say `rejected`: only the status itself counts.
    fn rate_limit(&mut self, event: &Value, tell: &mut dyn FnMut(Progress)) {
        let Some(info) = event.get("rate_limit_info") else {
            return;
        };
        let standing = match text(info, &["status"]) {
            Some("allowed") => RateStanding::Allowed,
            Some("allowed_warning") => RateStanding::Warning,
            Some("rejected") => RateStanding::Rejected,
            _ => return,
        };
        let seconds = member(info, &["resetsAt"]).and_then(Value::as_i64);
        let limit = RateLimit {
            standing,
            resets_at: seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()),
            window: text(info, &["rateLimitType"]).map(str::to_owned),
            utilization: number(info, &["utilization"]),
        };
        if standing == RateStanding::Rejected {
            self.rejected = Some(limit.clone());
        }
        tell(Progress::RateLimit(limit));
    }

    fn take_result(&mut self, event: &Value, tell: &mut dyn FnMut(Progress)) {
        self.session(event, tell);
        for denial in elements(event, &["permission_denials"]) {
            self.denials.insert(rule(denial));
        }
        self.status
            .text(text(event, &["result"]).unwrap_or_default());
        self.usage = result_usage(event, self.usage);
        self.result = Some(event.clone());
        if !reading::is_error(event) {
            tell(Progress::Usage(self.usage));
        }
    }
}

/// Whether the model wrote this message. One about an error is written by the program, in the model's place.
fn is_work(event: &Value) -> bool {
    let is_own = event.get("isApiErrorMessage").and_then(Value::as_bool) == Some(true)
        || text(event, &["message", "model"]) == Some("<synthetic>");
    let has_content = elements(event, &["message", "content"]).next().is_some();
    text(event, &["error"]).is_none() && !is_own && has_content
}

/// The numbers of a result: by model where it has them, because the plain ones leave out what subagents used.
fn result_usage(event: &Value, so_far: Usage) -> Usage {
    let models = member(event, &["modelUsage"]).and_then(Value::as_object);
    let mut usage = Usage::default();
    for model in models.into_iter().flat_map(serde_json::Map::values) {
        usage.input_tokens += count(model, &["inputTokens"]);
        usage.cached_tokens +=
            count(model, &["cacheReadInputTokens"]) + count(model, &["cacheCreationInputTokens"]);
        usage.output_tokens += count(model, &["outputTokens"]);
    }
    if usage == Usage::default() {
        let numbers = event.get("usage").unwrap_or(&Value::Null);
        usage.input_tokens = count(numbers, &["input_tokens"]);
        usage.cached_tokens = count(numbers, &["cache_read_input_tokens"])
            + count(numbers, &["cache_creation_input_tokens"]);
        usage.output_tokens = count(numbers, &["output_tokens"]);
    }
    if usage == Usage::default() {
        usage = so_far;
    }
    // The total is cumulative over a session, so the last one counts and nothing is summed.
    usage.cost_usd = cost(event, &["total_cost_usd"]);
    usage.turns = count(event, &["num_turns"]);
    usage
}

/// `Bash(cargo test)`: the rule that would have allowed it.
fn rule(denial: &Value) -> String {
    let tool = text(denial, &["tool_name"]).unwrap_or("a tool");
    match text(denial, &["tool_input", "command"]) {
        Some(command) => format!("{tool}({})", cut(command, LONGEST_RULE)),
        None => tool.to_owned(),
    }
}

/// The tool, and what it is used on.
fn doing(name: &str, part: &Value) -> String {
    let on = ["command", "file_path", "path", "pattern", "description"]
        .into_iter()
        .find_map(|key| text(part, &["input", key]));
    match on.and_then(|on| on.lines().next()) {
        Some(on) => shortened(&format!("{name} {on}")),
        None => name.to_owned(),
    }
}
