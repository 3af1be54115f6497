//! The report as one HTML page that needs nothing beside itself: no script, no picture, no address.
//!
//! Every text of a project or an agent is escaped by the template engine; what must never be here: a text marked as
//! safe.

use std::collections::BTreeMap;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};
use ralph_core::time::{Timestamp, span_text};
use serde::Serialize;

use super::timeline::{self, Item, Timeline};
use super::{PageAttempt, PageAttempts, PageFailure, PageReport, PageRun, RunStanding};
use crate::render::status::{ProjectStatus, Standing};
use crate::render::{cut, one_line};

const PAGE: &str = include_str!("../../templates/report.html");
/// Rows of a table; who wants more has `--json`.
const MOST_ROWS: usize = 500;
/// Columns of a phase; people write whole reports there. All of it is shown where somebody points at it.
const LONGEST_PHASE: usize = 60;
/// Columns of what is next; the rest is folded away.
const LONGEST_WORDS: usize = 300;

/// The page.
///
/// # Errors
/// The template and the data do not fit: a bug.
pub(crate) fn page(report: &PageReport) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let runs = report.runs.iter();
    let (dated, undated): (Vec<_>, Vec<_>) = runs.partition(|run| run.submitted_at.is_some());
    let failures = &report.failures;
    let attempts = report.attempts.as_ref();
    let lines = attempts.map_or(&[][..], |attempts| &attempts.lines);
    let mut projects: Vec<_> = report.projects.iter().collect();
    // As `ralph status` has them: those that need somebody first.
    projects.sort_by_key(|project| project.standing);
    let asks = |project: &&&ProjectStatus| project.standing == Standing::NeedsInput;
    let drawn = Page {
        report,
        at: short(&report.at),
        waiting: projects.iter().filter(asks).count(),
        projects: projects.into_iter().map(project).collect(),
        timeline: draw(dated.iter().filter_map(|run| item_of_run(run, &report.at))),
        undated: undated.len(),
        classes: classes(&report.runs),
        runs: newest(report.runs.iter().map(run_row).collect()),
        more_runs: report.runs.len().saturating_sub(MOST_ROWS),
        open: failures.iter().filter(|failure| failure.open).collect(),
        closed: failures.iter().filter(|failure| !failure.open).count(),
        agents: attempts.map(|attempts| span(attempts.agent_seconds)),
        cost: attempts.and_then(cost),
        attempt_timeline: draw(lines.iter().filter_map(item_of_attempt)),
        attempts: lines
            .iter()
            .rev()
            .take(MOST_ROWS)
            .map(attempt_row)
            .collect(),
        more_attempts: lines.len().saturating_sub(MOST_ROWS),
    };
    environment.render_named_str("report.html", PAGE, Serde(&drawn))
}

/// What the template is filled with.
#[derive(Serialize)]
struct Page<'a> {
    report: &'a PageReport,
    at: String,
    waiting: usize,
    projects: Vec<ProjectRow<'a>>,
    timeline: Option<Timeline>,
    undated: usize,
    classes: Vec<(&'a str, usize)>,
    runs: Vec<RunRow<'a>>,
    more_runs: usize,
    open: Vec<&'a PageFailure>,
    closed: usize,
    agents: Option<String>,
    cost: Option<String>,
    attempt_timeline: Option<Timeline>,
    attempts: Vec<AttemptRow<'a>>,
    more_attempts: usize,
}

/// A project in the words of the page.
#[derive(Serialize)]
struct ProjectRow<'a> {
    status: &'a ProjectStatus,
    standing: &'static str,
    class: &'static str,
    phase: String,
    shown: String,
    says: String,
}

fn project(status: &ProjectStatus) -> ProjectRow<'_> {
    let (standing, class) = match status.standing {
        Standing::Unreadable => ("unreadable", "failed"),
        Standing::NeedsInput => ("needs you", "live"),
        Standing::Debug => ("failed", "failed"),
        Standing::Active => ("can go on", "completed"),
        Standing::Waiting => ("jobs run", "live"),
        Standing::External => ("not ours", "other"),
        Standing::Idle => ("idle", "other"),
        Standing::Done => ("done", "completed"),
    };
    let says = [&status.problem, &status.needs_input, &status.next_action];
    let says = says.into_iter().flatten().next();
    let says = says.map(|text| one_line(text)).unwrap_or_default();
    ProjectRow {
        status,
        standing,
        class,
        phase: cut(&status.phase, LONGEST_PHASE),
        shown: cut(&says, LONGEST_WORDS),
        says,
    }
}

fn class_of(standing: RunStanding) -> &'static str {
    match standing {
        RunStanding::Live => "live",
        RunStanding::Completed => "completed",
        RunStanding::Failed => "failed",
        RunStanding::Cancelled => "cancelled",
        RunStanding::Other => "other",
    }
}

/// How often each class of failure was found, the most frequent one first.
fn classes(runs: &[PageRun]) -> Vec<(&str, usize)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for run in runs {
        if run.standing == RunStanding::Failed {
            let class = run.failure_class.as_deref().unwrap_or("not classified");
            *counts.entry(class).or_default() += 1;
        }
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(class, count)| (std::cmp::Reverse(*count), *class));
    counts
}

/// A row of the table of runs.
#[derive(Serialize)]
struct RunRow<'a> {
    run: &'a PageRun,
    class: &'static str,
    submitted: String,
    took: String,
}

fn run_row(run: &PageRun) -> RunRow<'_> {
    let times = run.submitted_at.as_deref().zip(run.ended_at.as_deref());
    let took = times.and_then(|(start, end)| {
        let (start, end) = (instant(start)?, instant(end)?);
        Some(span_text(ralph_core::time::elapsed(start, end)))
    });
    RunRow {
        run,
        class: class_of(run.standing),
        submitted: run.submitted_at.as_deref().map(short).unwrap_or_default(),
        took: took.unwrap_or_default(),
    }
}

/// The newest ones, by the time of their submission; those without one last.
fn newest(mut rows: Vec<RunRow<'_>>) -> Vec<RunRow<'_>> {
    rows.sort_by(|one, other| other.run.submitted_at.cmp(&one.run.submitted_at));
    rows.truncate(MOST_ROWS);
    rows
}

/// A run's bar: to its end, or to now while it is alive. One that has ended at a time that nobody wrote down is a mark.
fn item_of_run(run: &PageRun, now: &str) -> Option<Item> {
    let start = instant(run.submitted_at.as_deref()?)?;
    let end = match (&run.ended_at, run.standing) {
        (Some(end), _) => instant(end)?,
        (None, RunStanding::Live) => instant(now)?,
        (None, _) => start,
    };
    let words = [
        run.run_id.as_deref().unwrap_or("a run"),
        run.status.as_deref().unwrap_or(""),
        run.failure_class.as_deref().unwrap_or(""),
        run.job.as_deref().unwrap_or(""),
    ];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    Some(Item {
        group: run.project.clone(),
        class: class_of(run.standing),
        title: words.join(" · "),
        start,
        end: end.max(start),
    })
}

fn item_of_attempt(attempt: &PageAttempt) -> Option<Item> {
    let (start, end) = (instant(&attempt.started)?, instant(&attempt.ended)?);
    Some(Item {
        group: attempt.repository.clone().unwrap_or_default(),
        class: class_of_outcome(&attempt.outcome),
        title: format!("{} · {}", attempt.task_id, attempt.outcome),
        start,
        end: end.max(start),
    })
}

fn class_of_outcome(outcome: &str) -> &'static str {
    match outcome {
        "done" => "completed",
        "no_change" | "interrupted" => "cancelled",
        "usage_limit" | "throttled" => "live",
        _ => "failed",
    }
}

/// A row of the table of attempts.
#[derive(Serialize)]
struct AttemptRow<'a> {
    attempt: &'a PageAttempt,
    class: &'static str,
    ended: String,
    took: String,
    cost: String,
}

fn attempt_row(attempt: &PageAttempt) -> AttemptRow<'_> {
    AttemptRow {
        attempt,
        class: class_of_outcome(&attempt.outcome),
        ended: short(&attempt.ended),
        took: span(attempt.agent_seconds),
        cost: attempt
            .cost_usd
            .map(|cost| format!("{cost:.2}"))
            .unwrap_or_default(),
    }
}

/// Nothing where no agent says what it cost: 0 would be a statement.
fn cost(attempts: &PageAttempts) -> Option<String> {
    (attempts.without_cost < attempts.ended).then(|| format!("{:.2}", attempts.cost_usd))
}

fn draw(items: impl Iterator<Item = Item>) -> Option<Timeline> {
    timeline::layout(&items.collect::<Vec<_>>())
}

fn instant(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// A time as people read it, in UTC.
fn short(text: &str) -> String {
    instant(text).map_or_else(String::new, |at| at.strftime("%Y-%m-%d %H:%M").to_string())
}

fn span(seconds: f64) -> String {
    if (0.0..10.0).contains(&seconds) {
        return format!("{seconds:.1} s");
    }
    std::time::Duration::try_from_secs_f64(seconds).map_or_else(|_| String::new(), span_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: &str, standing: RunStanding, times: (Option<&str>, Option<&str>)) -> PageRun {
        PageRun {
            project: "toy".to_owned(),
            run_id: Some(id.to_owned()),
            job: Some("4711".to_owned()),
            item: Some("Q-001".to_owned()),
            status: Some("failed".to_owned()),
            standing,
            failure_class: Some("cuda_oom".to_owned()),
            submitted_at: times.0.map(str::to_owned),
            ended_at: times.1.map(str::to_owned),
        }
    }

    fn report() -> PageReport {
        let at = |text| Some(text);
        PageReport {
            schema_version: 1,
            at: "2026-11-27T12:00:00Z".to_owned(),
            folder: "/w/<b>research</b>".to_owned(),
            projects: Vec::new(),
            runs: vec![
                run(
                    "live",
                    RunStanding::Live,
                    (at("2026-11-27T11:00:00Z"), None),
                ),
                run(
                    "r\"><script>alert(1)</script>",
                    RunStanding::Failed,
                    (at("2026-11-27T08:00:00Z"), at("2026-11-27T09:30:00Z")),
                ),
                run("undated", RunStanding::Failed, (None, None)),
            ],
            failures: vec![PageFailure {
                project: "toy".to_owned(),
                id: Some("D1".to_owned()),
                title: "it's & <broken>".to_owned(),
                open: true,
                blocking: true,
            }],
            attempts: None,
        }
    }

    #[test]
    fn no_text_of_a_project_becomes_markup_and_nothing_is_fetched() {
        let page = page(&report()).expect("a page");
        for bad in [
            "<script",
            "<b>research",
            "<broken>",
            "http:",
            "https:",
            "src=",
            "url(",
            "@import",
        ] {
            assert!(!page.contains(bad), "{bad} in {page}");
        }
        for good in [
            "&lt;script&gt;",
            "&lt;b&gt;research",
            "&amp; &lt;broken&gt;",
            "1 h 30 min",
        ] {
            assert!(page.contains(good), "{good} not in {page}");
        }
        assert!(page.contains("1 run has no time"), "{page}");
    }

    fn attempts(cost_usd: f64, without_cost: usize) -> PageAttempts {
        PageAttempts {
            ended: 2,
            spent: 2,
            outcomes: BTreeMap::new(),
            agent_seconds: 0.5,
            input_tokens: 0,
            output_tokens: 0,
            cost_usd,
            without_cost,
            lines: Vec::new(),
        }
    }

    #[test]
    fn what_no_agent_says_is_no_statement() {
        assert_eq!(crate::render::page::total([].into_iter()).to_bits(), 0);
        let shown = |attempts| {
            let mut report = report();
            report.attempts = Some(attempts);
            page(&report).expect("a page")
        };
        let silent = shown(attempts(0.0, 2));
        assert!(
            !silent.contains("$</b>") && !silent.contains("tokens out"),
            "{silent}"
        );
        assert!(silent.contains("<b>0.5 s</b>of agents"), "{silent}");
        let one = shown(attempts(1.5, 1));
        assert!(
            one.contains("<b>1.50 $</b>without 1 attempt that does not say"),
            "{one}"
        );
    }

    #[test]
    fn classes_are_counted_over_failed_runs_only() {
        assert_eq!(classes(&report().runs), [("cuda_oom", 2)]);
    }
}
