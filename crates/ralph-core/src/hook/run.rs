//! The edge: the hook's files are read, the decision is asked for, the counter is written.
//!
//! Every problem with a file ends in one of the two exits. A block is only told after it was counted.

use std::error::Error as _;
use std::path::Path;

use jiff::tz::TimeZone;

use super::decide::{HookDecision, decide, spent};
use super::files::{HookConfig, HookInput, LoopState};
use super::glance::{ProjectGlance, needs_zone};
use super::memory::{Memory, Seen, remember};
use super::scan::{Found, content, scan};
use crate::env::Env;
use crate::pipeline::skim;
use crate::process::boot_id;
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
    let boot = boot_id().unwrap_or_default();
    let index = read(layout::HOOK_INDEX);
    let found = scan(root, &Memory::parse(&index, boot), skim);
    if !boot.is_empty() {
        remember(root, boot, &seen(&found), now);
    }
    let projects: Vec<ProjectGlance> = found.into_iter().map(|found| found.project).collect();
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

/// What can be recalled the next time: a state that was read well, of a regular file.
fn seen(found: &[Found]) -> Vec<Seen<'_>> {
    let seen = found.iter().filter_map(|found| {
        Some(Seen {
            slug: &found.project.slug,
            identity: found.identity?,
            skim: found.project.seen.as_ref().ok()?,
            is_new: found.is_new,
        })
    });
    seen.collect()
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
