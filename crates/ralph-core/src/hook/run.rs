//! The edge: the hook's files are read, the decision is asked for, the counter is written.
//!
//! Every problem with a file ends in one of the two exits. A block is only told after it was counted.

use std::error::Error as _;
use std::path::Path;

use jiff::tz::TimeZone;

use super::decide::{HookDecision, decide, spent};
use super::files::{HookConfig, HookInput, LoopState};
use super::glance::{Skim, needs_zone};
use super::scan::{content, scan};
use crate::env::Env;
use crate::store::{atomic, layout};

/// What the process does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookOutcome {
    /// 0: the agent may stop. 2: it may not.
    pub exit: u8,
    /// What goes to standard error, with its newlines.
    pub stderr: String,
}

/// Runs the hook for the workspace at `root`. `zone` is asked for the local time zone only when a project has a
/// time without one, since finding it out can cost more than everything else.
pub fn run(root: &Path, stdin: &[u8], env: &Env, zone: impl FnOnce() -> TimeZone) -> HookOutcome {
    if !root.join(layout::ENABLED).exists() {
        return may_stop(&[]);
    }
    let read = |path: &str| content(&root.join(path));
    let input = HookInput::parse(stdin);
    let config = HookConfig::parse(&read(layout::CONFIG));
    let state = LoopState::parse(&read(layout::LOOP_STATE))
        .unwrap_or_else(|| LoopState::fresh(input.session()));
    let now = env.now();
    if spent(&config, &state, &input, now).is_some() {
        return may_stop(&[]);
    }
    let projects = scan(root, skim);
    let zoneless = projects
        .iter()
        .any(|project| project.seen.as_ref().is_ok_and(needs_zone));
    let zone = if zoneless { zone() } else { TimeZone::UTC };
    match decide(&projects, &config, &state, &input, now, &zone) {
        HookDecision::MayStop { message_lines, .. } => may_stop(&message_lines),
        HookDecision::Block {
            message_lines,
            new_state,
        } => block(root, &new_state, &message_lines),
    }
}

fn may_stop(lines: &[String]) -> HookOutcome {
    HookOutcome {
        exit: 0,
        stderr: text(lines),
    }
}

/// Counts, then blocks. What could not be counted is not blocked: nothing would ever end it.
fn block(root: &Path, state: &LoopState, lines: &[String]) -> HookOutcome {
    match atomic::replace(&root.join(layout::LOOP_STATE), state.text().as_bytes()) {
        Ok(()) => HookOutcome {
            exit: 2,
            stderr: text(lines),
        },
        Err(error) => {
            let cause = error.source().map(|cause| format!(": {cause}"));
            let cause = cause.unwrap_or_default();
            may_stop(&[format!(
                "Work is due, but the agent may stop: this block could not be counted ({error}{cause})."
            )])
        }
    }
}

fn text(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

pub(super) fn skim(bytes: &[u8]) -> Result<Skim, String> {
    use serde_json::Value;
    let value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let object = value.as_object().ok_or("expected an object")?;
    let truthy = |value: &Value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(members) => !members.is_empty(),
        _ => true,
    };
    let time = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(crate::time::LooseTime::parse(text)),
        _ => Some(crate::time::LooseTime::Unreadable),
    };
    let runs = object.get("active_runs").and_then(Value::as_array);
    let live = |run: &&Value| match run.get("status").and_then(Value::as_str) {
        Some(text) => !matches!(text, "completed" | "failed" | "cancelled" | "timeout"),
        None => run.is_object(),
    };
    let needs = object.get("needs_user_input");
    Ok(Skim {
        phase: crate::phase::Phase::parse(
            object.get("phase").and_then(Value::as_str).unwrap_or(""),
        ),
        next_action: object
            .get("next_action")
            .filter(|v| truthy(v))
            .map(ToString::to_string),
        needs_user_input: needs
            .and_then(|v| v.get("value"))
            .or(needs)
            .and_then(Value::as_bool)
            .unwrap_or(false),
        live_runs: runs.map_or(0, |runs| runs.iter().filter(live).count()),
        next_poll_after: object
            .get("slurm_wait")
            .and_then(|wait| wait.get("next_poll_after"))
            .and_then(time),
        run_polls: Vec::new(),
    })
}
