//! The settings as rows for people: name, value, origin. Nothing is laid out here.

use std::time::Duration;

use super::{AgentSettings, LimitSettings, PoolSettings, Setting, Settings, WorkSettings};
use crate::gates::GateChoice;
use crate::integrate::Strategy;

/// One setting in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its name, as `max_tasks`.
    pub name: &'static str,
    /// Its value, `<unset>` where there is none.
    pub value: String,
    /// Where the value comes from.
    pub origin: String,
}

impl Settings {
    /// Every setting with its value and origin, in the order in which a person asks for them.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = self.pool.rows();
        rows.extend(self.agent.rows());
        rows.extend(self.work.rows());
        rows.extend(self.limits.rows());
        rows
    }
}

impl PoolSettings {
    fn rows(&self) -> Vec<Row> {
        vec![
            row("parallel", &self.workers, usize::to_string),
            row("max_tasks", &self.attempts, or_unset(ToString::to_string)),
            row("max_task_attempts", &self.task_attempts, u32::to_string),
            row("respawn_delay", &self.respawn_delay, seconds),
            row("tabs", &self.tabs, |on| on_off(*on)),
        ]
    }
}

impl AgentSettings {
    fn rows(&self) -> Vec<Row> {
        vec![
            row("engine", &self.engine, ToString::to_string),
            row("agent_command", &self.command, |words| list(words, " ")),
            row("model", &self.model, or_unset(String::clone)),
            row(
                "permission_mode",
                &self.permission_mode,
                or_unset(String::clone),
            ),
            row("allowed_tools", &self.allowed_tools, |tools| {
                list(tools, ",")
            }),
            row("max_turns", &self.max_turns, or_unset(u32::to_string)),
            row("max_attempt_cost", &self.max_cost, or_unset(dollars)),
            row("use_api_key", &self.use_api_key, |on| on_off(*on)),
            row("timeout", &self.wall, seconds),
            row("silence_timeout", &self.silence, or_unset(seconds)),
            row("after_result_timeout", &self.after_result, seconds),
            row("stop_grace", &self.grace, seconds),
            row("prompt", &self.prompt, |path| path.display().to_string()),
        ]
    }
}

impl WorkSettings {
    fn rows(&self) -> Vec<Row> {
        vec![
            row("quality_gates", &self.gates, gates),
            row("gate_timeout", &self.gate_limit, seconds),
            row("install_timeout", &self.install_limit, seconds),
            row("merge_strategy", &self.merge_strategy, |how| strategy(*how)),
            row("branch_prefix", &self.branch_prefix, String::clone),
            row("pull_requests", &self.pull_requests, |on| on_off(*on)),
            row("base", &self.base, or_unset(String::clone)),
            row("draft", &self.draft, |on| on_off(*on)),
        ]
    }
}

impl LimitSettings {
    fn rows(&self) -> Vec<Row> {
        vec![
            row(
                "calls_per_hour",
                &self.calls_per_hour,
                or_unset(ToString::to_string),
            ),
            row("no_progress_threshold", &self.no_progress, u32::to_string),
            row("same_error_threshold", &self.same_error, u32::to_string),
            row(
                "permission_denial_threshold",
                &self.permission_denials,
                u32::to_string,
            ),
            row("cooldown", &self.cooldown, seconds),
            row("auto_reset", &self.auto_reset, |on| on_off(*on)),
            row("max_cost", &self.max_cost, or_unset(dollars)),
            row("limit_max_wait", &self.max_wait, seconds),
            row("limit_margin", &self.margin, seconds),
        ]
    }
}

fn row<T>(name: &'static str, setting: &Setting<T>, text: impl Fn(&T) -> String) -> Row {
    Row {
        name,
        value: text(&setting.value),
        origin: setting.origin.to_string(),
    }
}

/// A value that may be missing.
fn or_unset<T>(text: impl Fn(&T) -> String) -> impl Fn(&Option<T>) -> String {
    move |value| value.as_ref().map_or_else(|| "<unset>".to_owned(), &text)
}

fn list(words: &[String], separator: &str) -> String {
    if words.is_empty() {
        return "<unset>".to_owned();
    }
    words.join(separator)
}

fn seconds(length: &Duration) -> String {
    format!("{} s", length.as_secs_f64())
}

fn dollars(amount: &f64) -> String {
    format!("${amount:.2}")
}

fn on_off(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}

fn gates(choice: &GateChoice) -> String {
    match choice {
        GateChoice::Auto => "auto".to_owned(),
        GateChoice::None => "none".to_owned(),
        GateChoice::List(commands) => commands.join("; "),
    }
}

fn strategy(how: Strategy) -> String {
    match how {
        Strategy::Squash => "squash",
        Strategy::Merge => "merge",
        Strategy::Rebase => "rebase",
    }
    .to_owned()
}
