//! A dispatch report for people.

use std::fmt::Write as _;

use ralph_core::plan::rules::plural;
use ralph_core::report::{DispatchReport, PassedReport, StepReport, Verified};
use ralph_core::time::{elapsed, span_text, stamp};

use crate::output::Output;
use crate::render::{BOLD, CYAN, DIM, GREEN, RED, YELLOW, cut, paint};

/// What was verified, what was done, what was passed over and why, and when something is due.
pub(crate) fn human(report: &DispatchReport, output: &Output) -> String {
    let mut text = round(report);
    passed_over(&mut text, report, output);
    if report.steps.is_empty() && report.verified.is_empty() {
        let _ = writeln!(text, "Nothing to do.");
    }
    if let Some(due) = report.next_due {
        let wait = span_text(elapsed(report.finished_at, due));
        let _ = writeln!(
            text,
            "{}",
            paint(
                DIM,
                &format!("Next poll due at {} (in {wait}).", stamp(due))
            )
        );
    }
    text
}

/// One round of `--until-idle`: what was verified and done.
pub(crate) fn round(report: &DispatchReport) -> String {
    let mut text = String::new();
    if report.dry_run {
        let _ = writeln!(text, "{}", paint(YELLOW, "Dry run: nothing is changed."));
    }
    if let Some(problem) = &report.cluster_problem {
        let _ = writeln!(text, "{} {}", paint(YELLOW, "cluster:"), problem.message);
        if let Some(hint) = &problem.hint {
            let _ = writeln!(text, "  {} {hint}", paint(CYAN, "hint:"));
        }
    }
    if report.runs_confirmed > 0 {
        let _ = writeln!(
            text,
            "{}",
            paint(
                DIM,
                &format!(
                    "{} live runs are as they are said to be",
                    report.runs_confirmed
                )
            )
        );
    }
    section(&mut text, "Verified", &report.verified, verified);
    section(
        &mut text,
        if report.dry_run { "Plan" } else { "Steps" },
        &report.steps,
        step,
    );
    text
}

fn passed_over(text: &mut String, report: &DispatchReport, output: &Output) {
    let told: Vec<PassedReport> = report
        .passed_over
        .iter()
        .filter(|passed| output.verbose > 0 || worth_telling(passed))
        .cloned()
        .collect();
    section(text, "Passed over", &told, passed);
    let silent = report.passed_over.len() - told.len();
    if silent > 0 {
        let _ = writeln!(
            text,
            "{}",
            paint(
                DIM,
                &format!(
                    "{} with nothing to do (-v lists them)",
                    plural(silent, "project")
                )
            )
        );
    }
}

fn worth_telling(passed: &PassedReport) -> bool {
    !matches!(passed.because.as_str(), "nothing" | "not_selected")
}

fn section<T>(text: &mut String, title: &str, rows: &[T], row: fn(&mut String, &T)) {
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(text, "{}", paint(BOLD, title));
    for one in rows {
        row(text, one);
    }
}

fn verified(text: &mut String, found: &Verified) {
    let style = match found.finding.as_str() {
        "completed" | "adopted" | "submitted" | "running" | "pending" | "filed" => GREEN,
        "unconfirmed" | "settling" | "unsettled" | "cancelled" => YELLOW,
        _ => RED,
    };
    let job = found
        .job
        .as_ref()
        .map_or_else(String::new, |job| format!(" (job {job})"));
    let _ = writeln!(
        text,
        "  {} {} {}{job}: {}",
        paint(CYAN, &found.project),
        found.run,
        paint(style, &found.finding),
        cut(&found.detail, 200)
    );
    problem(text, found.problem.as_ref());
    files(text, &found.files);
}

fn step(text: &mut String, step: &StepReport) {
    let style = if step.problem.is_some() { RED } else { GREEN };
    let phases = if step.phase_before == step.phase_after {
        step.phase_after.clone()
    } else {
        format!("{} → {}", step.phase_before, step.phase_after)
    };
    let _ = writeln!(
        text,
        "  {} {} {} {}",
        paint(CYAN, &step.project),
        paint(style, &step.step),
        paint(DIM, &format!("[{}]", cut(&phases, 60))),
        cut(
            if step.outcome.is_empty() {
                &step.because
            } else {
                &step.outcome
            },
            200
        )
    );
    if let Some(order) = &step.order {
        let _ = writeln!(text, "    {}", order.instructions);
        let _ = writeln!(text, "    read: {}", order.read.join(", "));
        let _ = writeln!(text, "    done when {}", order.done_when);
    }
    problem(text, step.problem.as_ref());
    for warning in &step.warnings {
        let _ = writeln!(text, "    {} {warning}", paint(YELLOW, "left out:"));
    }
    files(text, &step.files);
}

fn problem(text: &mut String, problem: Option<&ralph_core::report::Problem>) {
    if let Some(hint) = problem.and_then(|problem| problem.hint.as_ref()) {
        let _ = writeln!(text, "    {} {hint}", paint(CYAN, "hint:"));
    }
}

fn files(text: &mut String, files: &[String]) {
    if !files.is_empty() {
        let _ = writeln!(text, "    {}", paint(DIM, &files.join(", ")));
    }
}

fn passed(text: &mut String, passed: &PassedReport) {
    let style = match passed.because.as_str() {
        "unreadable" => RED,
        "needs_input" | "cluster_unreachable" => YELLOW,
        _ => DIM,
    };
    let word = passed.because.replace('_', " ");
    let _ = writeln!(
        text,
        "  {} {}: {}",
        paint(CYAN, &passed.project),
        paint(style, &word),
        cut(&passed.reason, 200)
    );
}
