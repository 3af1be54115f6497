//! A dispatch report for people: one line per thing that happened, what belongs to it below.

use std::fmt::Write as _;

use anstyle::Style;
use ralph_core::report::{DispatchReport, PassedReport, Problem, StepReport, Verified};
use ralph_core::time::{elapsed, span_text, stamp};
use ralph_core::words::plural;

use crate::render::table::{Cell, beginnings, cell, plain};
use crate::render::{BOLD, CYAN, DIM, GREEN, RED, YELLOW, columns, cut, one_line, paint, wrapped};
use ralph_front::output::Output;

/// Blanks before what belongs to a line.
const INDENT: &str = "    ";
/// Nothing is cut that is shorter than this.
const LONGEST: usize = 600;
/// How a project that waits for a person goes on.
const ANSWERED: &str =
    "Set `needs_user_input.value` to false in its .state/pipeline.json, and it goes on.";

/// How much is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    /// Columns.
    pub(crate) width: usize,
    /// Whether a person reads it where long lines break in the middle of words.
    pub(crate) on_terminal: bool,
    /// Also the projects with nothing to do.
    pub(crate) with_idle: bool,
    /// Also the files that changed.
    pub(crate) with_files: bool,
}

impl View {
    /// What this run is asked to show.
    pub(crate) fn of(output: &Output) -> Self {
        let verbose = output.verbose > 0;
        Self {
            width: output.width(),
            on_terminal: output.on_terminal(),
            with_idle: verbose,
            with_files: verbose,
        }
    }
}

/// A line and what belongs to it.
struct Entry {
    beginning: Vec<Cell>,
    rest: String,
    below: Vec<String>,
}

/// What was verified, what was done, what was passed over and why, and when something is due.
pub(crate) fn human(report: &DispatchReport, view: &View) -> String {
    let (verified, steps) = done(report, view);
    let mut text = notices(report);
    section(&mut text, Some("Verified"), verified, view);
    let title = if report.dry_run { "Plan" } else { "Steps" };
    section(&mut text, Some(title), steps, view);
    passed_over(&mut text, report, view);
    text + &footer(report)
}

/// One round of `--until-idle`: what was verified and done, without what the round before said in the same words.
pub(crate) fn round(
    report: &DispatchReport,
    before: Option<&DispatchReport>,
    view: &View,
) -> String {
    let mut new = report.clone();
    if let Some(before) = before {
        leave_out_what_was_said(&mut new, before);
        if new.cluster_problem == before.cluster_problem {
            new.cluster_problem = None;
        }
    }
    let (verified, steps) = done(&new, view);
    let mut text = notices(&new);
    section(&mut text, None, verified, view);
    section(&mut text, None, steps, view);
    text
}

fn leave_out_what_was_said(new: &mut DispatchReport, before: &DispatchReport) {
    let is_new = |found: &Verified| !before.verified.contains(found);
    new.verified.retain(is_new);
    new.steps
        .retain(|step| !before.steps.iter().any(|said| says_again(step, said)));
}

/// All rounds of one `--until-idle` as one report: what the rounds before did, then what this one did, and how things
/// stand after it.
pub(crate) fn joined(before: Option<&DispatchReport>, report: &DispatchReport) -> DispatchReport {
    let mut whole = report.clone();
    if let Some(before) = before {
        leave_out_what_was_said(&mut whole, before);
        whole.started_at = before.started_at;
        whole.verified.splice(0..0, before.verified.iter().cloned());
        whole.steps.splice(0..0, before.steps.iter().cloned());
    }
    whole
}

/// Whether a step that a person has to do something about is told as it was told before.
fn says_again(step: &StepReport, said: &StepReport) -> bool {
    let words = |step: &StepReport| {
        (
            step.project.clone(),
            step.step.clone(),
            step.outcome.clone(),
            step.warnings.clone(),
        )
    };
    let waits = step.order.is_some() || step.problem.is_some();
    waits && step.order == said.order && step.problem == said.problem && words(step) == words(said)
}

fn done(report: &DispatchReport, view: &View) -> (Vec<Entry>, Vec<Entry>) {
    let verified = report
        .verified
        .iter()
        .map(|found| verified(found, view.with_files));
    let steps = report
        .steps
        .iter()
        .map(|taken| step(taken, view.with_files));
    (verified.collect(), steps.collect())
}

/// What concerns the dispatch as a whole.
fn notices(report: &DispatchReport) -> String {
    let mut text = String::new();
    if report.dry_run {
        let _ = writeln!(text, "{}", paint(YELLOW, "Dry run: nothing is changed."));
    }
    if let Some(problem) = &report.cluster_problem {
        let _ = writeln!(text, "{} {}", paint(YELLOW, "cluster:"), problem.message);
        text.extend(hint(Some(problem)).map(|hint| format!("{INDENT}{hint}\n")));
    }
    text
}

fn passed_over(text: &mut String, report: &DispatchReport, view: &View) {
    let by_name = report.passed_over.iter().any(is_not_selected);
    // Whoever names a project wants to know why nothing is done.
    let is_told = |passed: &&PassedReport| {
        view.with_idle || !(is_not_selected(passed) || is_silent(passed) && !by_name)
    };
    let entries = report
        .passed_over
        .iter()
        .filter(is_told)
        .map(passed)
        .collect();
    section(text, Some("Passed over"), entries, view);
    let waits = |passed: &PassedReport| passed.because == "needs_input";
    if report.cluster_problem.is_none() && report.passed_over.iter().any(waits) {
        let _ = writeln!(text, "{INDENT}{} {ANSWERED}", paint(CYAN, "answered?"));
    }
}

/// Projects with nothing to do are only counted, but for `-v` and where projects are named.
fn is_silent(passed: &PassedReport) -> bool {
    passed.because == "nothing"
}

fn is_not_selected(passed: &PassedReport) -> bool {
    passed.because == "not_selected"
}

fn section(text: &mut String, title: Option<&str>, entries: Vec<Entry>, view: &View) {
    if entries.is_empty() {
        return;
    }
    if let Some(title) = title {
        let _ = writeln!(text, "{}", paint(BOLD, title));
    }
    let (rows, rest): (Vec<_>, Vec<_>) = entries
        .into_iter()
        .map(|entry| (entry.beginning, (entry.rest, entry.below)))
        .unzip();
    let (lines, begun) = beginnings(&rows);
    for ((rest, below), line) in rest.iter().zip(lines) {
        let rest = cut(rest, LONGEST);
        // A text that does not fit stands below its line, whole: nothing is wrapped between columns.
        if begun + columns(&rest) <= view.width {
            let _ = writeln!(text, "{}", format!("{line}{rest}").trim_end());
        } else {
            let rest = below_a_line(&rest, view);
            let _ = writeln!(text, "{}\n{rest}", line.trim_end());
        }
        for line in below {
            let _ = writeln!(text, "{}", below_a_line(line, view));
        }
    }
}

/// A text below the line that it belongs to; on a terminal no word of it is broken.
fn below_a_line(text: &str, view: &View) -> String {
    let lines = if view.on_terminal {
        wrapped(text, view.width.saturating_sub(INDENT.len()))
    } else {
        vec![text.to_owned()]
    };
    let lines = lines.iter().map(|line| format!("{INDENT}{line}"));
    lines.collect::<Vec<_>>().join("\n")
}

fn verified(found: &Verified, with_files: bool) -> Entry {
    let (style, symbol) = match found.finding.as_str() {
        "completed" | "adopted" | "restored" | "submitted" | "running" | "pending" | "filed" => {
            (GREEN, "✓")
        }
        "unconfirmed" | "settling" | "unsettled" | "cancelled" => (YELLOW, "·"),
        _ => (RED, "✗"),
    };
    let job = found
        .job
        .as_ref()
        .map_or_else(String::new, |job| format!("job {job}"));
    let beginning = vec![
        cell(style, symbol),
        cell(CYAN, &found.project),
        cell(style, &found.finding),
        plain(&found.run),
        cell(DIM, &job),
    ];
    Entry {
        beginning,
        rest: found.detail.clone(),
        below: below(found.problem.as_ref(), &found.files, with_files),
    }
}

fn step(step: &StepReport, with_files: bool) -> Entry {
    let (style, symbol): (Style, _) = match (&step.problem, &step.order) {
        (Some(_), _) => (RED, "✗"),
        (None, Some(_)) => (YELLOW, "?"),
        (None, None) => (GREEN, "✓"),
    };
    let phases = if step.phase_before == step.phase_after {
        cut(&step.phase_after, 30)
    } else {
        format!("{} → {}", cut(&step.phase_before, 30), step.phase_after)
    };
    let beginning = vec![
        cell(style, symbol),
        cell(CYAN, &step.project),
        cell(style, &step.step),
        cell(DIM, &phases),
    ];
    let mut lines = Vec::new();
    if let Some(order) = &step.order {
        lines.push(format!(
            "{} {}",
            paint(CYAN, "do:"),
            one_line(&order.instructions)
        ));
        lines.push(format!(
            "{} {}",
            paint(CYAN, "read:"),
            order.read.join(", ")
        ));
        lines.push(format!(
            "{} {}",
            paint(CYAN, "done when"),
            one_line(&order.done_when)
        ));
    }
    lines.extend(
        step.warnings
            .iter()
            .map(|warning| format!("{} {warning}", paint(YELLOW, "left out:"))),
    );
    lines.extend(below(step.problem.as_ref(), &step.files, with_files));
    // That the phase moves on stands in its column already.
    let moved = step.step == "advance" && step.problem.is_none();
    let rest = if step.outcome.is_empty() || moved {
        &step.because
    } else {
        &step.outcome
    };
    Entry {
        beginning,
        rest: rest.clone(),
        below: lines,
    }
}

fn passed(passed: &PassedReport) -> Entry {
    let (style, symbol) = match passed.because.as_str() {
        "unreadable" => (RED, "✗"),
        "needs_input" => (YELLOW, "?"),
        "cluster_unreachable" => (YELLOW, "!"),
        "waiting" => (DIM, "○"),
        _ => (DIM, "·"),
    };
    // Also said where the host answers, and is only not to be asked so often.
    let because = match passed.because.as_str() {
        "cluster_unreachable" => "not asked".to_owned(),
        because => because.replace('_', " "),
    };
    let beginning = vec![
        cell(style, symbol),
        cell(CYAN, &passed.project),
        cell(style, &because),
    ];
    Entry {
        beginning,
        rest: passed.reason.clone(),
        below: Vec::new(),
    }
}

fn below(problem: Option<&Problem>, files: &[String], with_files: bool) -> Vec<String> {
    let mut lines: Vec<String> = hint(problem).into_iter().collect();
    if with_files && !files.is_empty() {
        lines.push(paint(DIM, &files.join(", ")));
    }
    lines
}

fn hint(problem: Option<&Problem>) -> Option<String> {
    let hint = problem?.hint.as_ref()?;
    Some(format!("{} {}", paint(CYAN, "hint:"), one_line(hint)))
}

/// `2 steps · 1 needs you · 4 runs alive · next poll in 12 min`.
fn footer(report: &DispatchReport) -> String {
    let passed = |because: &str| {
        report
            .passed_over
            .iter()
            .filter(|passed| passed.because == because)
            .count()
    };
    let mut parts = vec![match report.steps.len() {
        0 => "no step to take".to_owned(),
        count => plural(count, "step"),
    }];
    let mut part = |count: usize, words: &str| {
        if count > 0 {
            parts.push(format!("{count} {words}"));
        }
    };
    part(
        report.runs_confirmed,
        if report.runs_confirmed == 1 {
            "live run as said"
        } else {
            "live runs as said"
        },
    );
    part(
        passed("needs_input"),
        if passed("needs_input") == 1 {
            "needs you"
        } else {
            "need you"
        },
    );
    part(passed("unreadable"), "unreadable");
    part(
        report
            .passed_over
            .iter()
            .filter(|passed| is_silent(passed))
            .count(),
        if report.passed_over.iter().any(is_not_selected) {
            "idle"
        } else {
            "idle (-v lists them)"
        },
    );
    if let Some(due) = report.next_due {
        let wait = elapsed(report.finished_at, due);
        parts.push(match wait.as_secs() {
            0 => "a poll is due".to_owned(),
            _ => format!("next poll in {} ({})", span_text(wait), stamp(due)),
        });
    }
    paint(DIM, &parts.join(" · ")) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(steps: &[&str], due: bool) -> DispatchReport {
        let step = |outcome: &&str| {
            serde_json::json!({
                "project": "toy", "step": "submit", "because": "", "outcome": outcome, "phase_before": "RUN",
                "phase_after": "RUN", "job": null, "order": null, "files": [], "op": null, "warnings": [],
                "problem": outcome.starts_with("refused").then(|| Problem::new(
                    ralph_core::error::Code::Refused, (*outcome).to_owned(), None)),
            })
        };
        let at = if due {
            "2026-01-01T00:00:09Z"
        } else {
            "2026-01-01T00:00:00Z"
        };
        serde_json::from_value(serde_json::json!({
            "schema_version": 1, "started_at": at, "finished_at": at, "dry_run": false, "projects": 1,
            "cluster_problem": null, "verified": [], "runs_confirmed": 0,
            "steps": steps.iter().map(step).collect::<Vec<_>>(), "passed_over": [], "next_due": due.then_some(at),
        }))
        .expect("a report")
    }

    #[test]
    fn no_word_is_broken_on_a_terminal_and_no_line_elsewhere() {
        let long = "a sentence that is longer than what is left of this line on its terminal";
        let report = round(&[long], false);
        let shown = |on_terminal| {
            let view = View {
                width: 50,
                on_terminal,
                with_idle: false,
                with_files: false,
            };
            anstream::adapter::strip_str(&human(&report, &view)).to_string()
        };
        insta::assert_snapshot!(shown(true), @r"
        Steps
        ✓  toy  submit  RUN
            a sentence that is longer than what is left of
            this line on its terminal
        1 step
        ");
        assert!(shown(false).contains(&format!("\n    {long}\n")));
    }

    #[test]
    fn rounds_are_told_together_and_nothing_twice() {
        let mut whole = joined(None, &round(&["job 1", "refused"], false));
        whole = joined(Some(&whole), &round(&["refused", "job 1"], false));
        whole = joined(Some(&whole), &round(&[], true));
        let outcomes: Vec<&str> = whole.steps.iter().map(|step| &*step.outcome).collect();
        assert_eq!(outcomes, ["job 1", "refused", "job 1"]);
        assert!(whole.started_at < whole.finished_at && whole.next_due.is_some());
    }
}
