//! The edge: the hook's files are read, the decision is asked for, the counter is written.
//!
//! Every problem with a file ends in one of the two exits. A block is only told after it was counted.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use jiff::tz::TimeZone;

use super::decide::{HookDecision, decide, spent};
use super::files::{HookConfig, HookInput, LoopState};
use super::glance::{Skim, needs_zone};
use super::scan::scan;
use crate::env::Env;

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
    let folder = root.join(".claude/ralph");
    if !folder.join("enabled").exists() {
        return may_stop(&[]);
    }
    let read = |name: &str| fs::read(folder.join(name)).unwrap_or_default();
    let input = HookInput::parse(stdin);
    let config = HookConfig::parse(&read("config.json"));
    let state = LoopState::parse(&read("loop-state.json"))
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
        } => block(&folder.join("loop-state.json"), &new_state, &message_lines),
    }
}

fn may_stop(lines: &[String]) -> HookOutcome {
    HookOutcome {
        exit: 0,
        stderr: text(lines),
    }
}

/// Counts, then blocks. What could not be counted is not blocked: nothing would ever end it.
fn block(counter: &Path, state: &LoopState, lines: &[String]) -> HookOutcome {
    match keep(counter, state.text().as_bytes()) {
        Ok(()) => HookOutcome {
            exit: 2,
            stderr: text(lines),
        },
        Err(error) => may_stop(&[format!(
            "Work is due, but the agent may stop: {} cannot be written ({error}), so the loop could not be bounded.",
            counter.display()
        )]),
    }
}

fn text(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

// STOPGAP until store::atomic and pipeline::skim are merged.
fn keep(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
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
