//! The decision and its words, from facts alone.

use jiff::tz::TimeZone;

use super::files::{HookConfig, HookInput, LoopState};
use super::glance::{Due, ProjectGlance, Standing, standing};
use crate::time::{SignedDuration, Timestamp, stamp};

/// Whether the agent may stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookDecision {
    /// It may.
    MayStop {
        /// Why.
        why: StopReason,
        /// For standard error: projects that could not be read, else nothing.
        message_lines: Vec<String>,
    },
    /// It may not: work is due.
    Block {
        /// For standard error, which the agent reads: four lines, and a fifth for projects that could not be
        /// read.
        message_lines: Vec<String>,
        /// What has to be written before the agent is blocked.
        new_state: LoopState,
    },
}

/// Why the agent may stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// It was blocked as often as one session may be.
    LimitReached,
    /// It was blocked too short a time ago.
    TooSoon,
    /// No project has work that is due.
    NothingDue,
}

/// Whether the agent may stop at `now`, by what the projects showed.
#[must_use]
pub fn decide(
    projects: &[ProjectGlance],
    config: &HookConfig,
    state: &LoopState,
    input: &HookInput,
    now: Timestamp,
    zone: &TimeZone,
) -> HookDecision {
    if let Some(why) = spent(config, state, input, now) {
        return HookDecision::MayStop {
            why,
            message_lines: Vec::new(),
        };
    }
    let unread = unread_line(projects);
    let due: Vec<(&str, Due)> = projects
        .iter()
        .filter_map(
            |project| match standing(project.seen.as_ref().ok()?, now, zone) {
                Standing::Actionable(due) => Some((project.slug.as_str(), due)),
                _ => None,
            },
        )
        .collect();
    if due.is_empty() {
        return HookDecision::MayStop {
            why: StopReason::NothingDue,
            message_lines: unread.into_iter().collect(),
        };
    }
    let new_state = LoopState {
        iterations_blocked: blocked(state, input) + 1,
        last_blocked_at: Some(stamp(now)),
        ..LoopState::fresh(input.session())
    };
    let mut message_lines = block_lines(&due, config, &new_state, input);
    message_lines.extend(unread);
    HookDecision::Block {
        message_lines,
        new_state,
    }
}

/// Why the session may not be blocked again, whatever is due; known before any project is read.
pub(super) fn spent(
    config: &HookConfig,
    state: &LoopState,
    input: &HookInput,
    now: Timestamp,
) -> Option<StopReason> {
    if blocked(state, input) >= config.max_iterations {
        return Some(StopReason::LimitReached);
    }
    let pause = i64::try_from(config.min_seconds_between_blocks).unwrap_or(i64::MAX);
    let last = state
        .last_blocked()
        .filter(|_| state.session_id == input.session());
    // A time in the future is a clock that was set back; it must not switch the loop off.
    let too_soon = last.is_some_and(|last| {
        last <= now && now.duration_since(last) < SignedDuration::from_secs(pause)
    });
    too_soon.then_some(StopReason::TooSoon)
}

/// How often this session was blocked; the count of another one is not its own.
fn blocked(state: &LoopState, input: &HookInput) -> u64 {
    if state.session_id == input.session() {
        state.iterations_blocked
    } else {
        0
    }
}

/// What the agent is told. The order of the four lines and the form of the last are the old script's.
fn block_lines(
    due: &[(&str, Due)],
    config: &HookConfig,
    state: &LoopState,
    input: &HookInput,
) -> Vec<String> {
    let batch = usize::try_from(config.batch_size.max(1)).unwrap_or(usize::MAX);
    let named = due.iter().map(|(slug, due)| match due {
        Due::Poll => format!("{} (a poll is due)", one_line(slug, 60)),
        Due::Step(phase) => format!("{} ({})", one_line(slug, 60), one_line(phase.as_str(), 40)),
    });
    let projects = if due.len() == 1 {
        "project has"
    } else {
        "projects have"
    };
    vec![
        format!(
            "Ralph loop: {} {projects} actionable work: {}.",
            due.len(),
            list(named, batch)
        ),
        format!("Next step: `/dispatch`, which takes up to {batch} of them one step further."),
        "To pause the loop: `/ralph-off`, or delete .claude/ralph/enabled.".to_owned(),
        format!(
            "(loop iteration {}/{}; stop_hook_active={})",
            state.iterations_blocked,
            config.max_iterations,
            // Spelled as Python does, for those who match the line.
            if input.stop_hook_active {
                "True"
            } else {
                "False"
            },
        ),
    ]
}

/// Names the projects that could not be read, if there are any.
fn unread_line(projects: &[ProjectGlance]) -> Option<String> {
    let mut unread = projects
        .iter()
        .filter_map(|project| {
            let why = project.seen.as_ref().err()?;
            Some(format!(
                "{} ({})",
                one_line(&project.slug, 60),
                one_line(why, 160)
            ))
        })
        .peekable();
    unread.peek()?;
    Some(format!(
        "Not read, so not counted: {}. Run `ralph validate`.",
        list(unread, 3)
    ))
}

/// The first `most` texts, and how many follow.
fn list(texts: impl Iterator<Item = String>, most: usize) -> String {
    let mut texts = texts;
    let shown: Vec<String> = texts.by_ref().take(most).collect();
    match texts.count() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A text from a file as part of one line: without control characters, and cut.
fn one_line(text: &str, most: usize) -> String {
    let mut shown: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(most)
        .collect();
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}
