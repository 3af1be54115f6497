//! The answers to options that only the replaced loop has a use for. Pure.

use ralph_core::error::Code;
use ralph_front::failure::Failure;
use ralph_loop::settings::{Origin, Problem, SettingsError};

use crate::args::Loop;

/// What `--reset-session` is answered.
pub(super) const NO_SESSION: &str =
    "There is no session to reset: every attempt is a session of its own.";

/// What is done otherwise than those options say, as notes; an error for what is not done at all.
pub(super) fn answer(typed: &Loop) -> Result<Vec<String>, Failure> {
    let old = &typed.old;
    let problems = problems(typed);
    if !problems.is_empty() {
        return Err(SettingsError(problems).into());
    }
    if old.monitor {
        return Err(refused(
            "--monitor opens no panes of tmux here",
            "Leave it out: a terminal shows one line per worker. `ralph loop --status` in another one tells the rest.",
        ));
    }
    if old.no_worktree {
        return Err(refused(
            "--no-worktree is not possible: every attempt has a worktree of its own",
            "Leave it out. With --no-pr good work is put on your branch, where it is checked out clean.",
        ));
    }
    let mut notes = Vec::new();
    if old.output_format.as_deref() == Some("text") {
        notes.push("--output-format text has no effect. The agent's stream of events is read; all that it prints is in .ralph/logs.");
    }
    if old.session_expiry.is_some() {
        notes.push(
            "--session-expiry has no effect. Every attempt is a session of its own, so none expires.",
        );
    }
    if old.live {
        notes.push("--live has no effect. What an agent prints is in the log that is named when it starts; `tail -f` shows it.");
    }
    Ok(notes.into_iter().map(str::to_owned).collect())
}

fn problems(typed: &Loop) -> Vec<Problem> {
    let old = &typed.old;
    let format = value(
        "--output-format",
        old.output_format.as_ref(),
        "'json' or 'text'",
        |text| ["json", "text"].contains(&text),
    );
    let expiry = value(
        "--session-expiry",
        old.session_expiry.as_ref(),
        "a positive integer of hours",
        |text| text.parse::<u32>().is_ok_and(|hours| hours > 0),
    );
    let mut problems: Vec<Problem> = format.into_iter().chain(expiry).collect();
    let beside = [
        (!typed.parallel.is_empty()).then_some("--parallel"),
        typed.max_tasks.is_some().then_some("--max-tasks"),
        typed.task.is_some().then_some("--task"),
    ];
    if old.parallel_bg.is_some() {
        let combined = |other: &str| Problem::Combined {
            one: "--parallel-bg".to_owned(),
            other: other.to_owned(),
        };
        problems.extend(beside.into_iter().flatten().map(combined));
    }
    problems
}

fn value(
    flag: &'static str,
    typed: Option<&String>,
    expected: &'static str,
    is_good: impl Fn(&str) -> bool,
) -> Option<Problem> {
    let found = typed.filter(|text| !is_good(text))?.clone();
    Some(Problem::Value {
        origin: Origin::CommandLine(flag),
        expected,
        found,
    })
}

fn refused(what: &str, hint: &'static str) -> Failure {
    Failure::new(Code::Usage, what).hint(hint)
}
