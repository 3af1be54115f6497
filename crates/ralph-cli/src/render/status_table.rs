//! Where every project stands, for people: a table, the details of each project, and a footer that counts.

use std::fmt::Write as _;

use anstyle::Style;
use ralph_core::store::layout;
use ralph_core::time::{Timestamp, elapsed, span_text};
use ralph_core::words::plural;

use crate::render::status::{ProjectStatus, Standing, StatusReport};
use crate::render::table::{Cell, cell, list, plain};
use crate::render::{BOLD, CYAN, DIM, GREEN, RED, YELLOW, cut, paint};

/// A phase that is a sentence is cut here; the canonical words are shorter.
const PHASE_WIDTH: usize = 18;
/// A name longer than this is cut.
const NAME_WIDTH: usize = 28;
/// So many notes of one project are shown.
const NOTES: usize = 5;

/// How the status is drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drawing {
    /// The current time.
    pub(crate) now: Timestamp,
    /// Columns.
    pub(crate) width: usize,
    /// Lines, where the table must not be longer.
    pub(crate) height: Option<usize>,
    /// Also runs, queue and open entries of each project.
    pub(crate) detailed: bool,
}

/// The table, those that need somebody first; then the details; then the footer.
pub(crate) fn human(report: &StatusReport, drawing: &Drawing) -> String {
    if report.projects.is_empty() {
        return "No projects yet. `ralph new SLUG` makes one.\n".to_owned();
    }
    let mut projects: Vec<&ProjectStatus> = report.projects.iter().collect();
    projects.sort_by_key(|project| project.standing);
    let rows = projects
        .iter()
        .map(|project| row(project, drawing.now))
        .collect();
    let mut text = list(
        &["", "PROJECT", "PHASE", "LIVE", "POLL", "NEXT"],
        rows,
        drawing.width,
    );
    if drawing.detailed {
        projects
            .iter()
            .for_each(|project| details(&mut text, project, drawing.width));
    }
    if let Some(height) = drawing.height {
        text = shortened(&text, height.saturating_sub(2));
    }
    text + "\n" + &footer(report, drawing.now)
}

fn row(project: &ProjectStatus, now: Timestamp) -> Vec<Cell> {
    let (style, symbol) = look(project.standing);
    let phase = if project.problem.is_some() {
        "unreadable"
    } else {
        &project.phase
    };
    let live = match project.live_runs.len() {
        0 => String::new(),
        count => count.to_string(),
    };
    vec![
        cell(style, symbol),
        cell(CYAN, &cut(&project.project, NAME_WIDTH)),
        cell(style, &cut(phase, PHASE_WIDTH)),
        plain(&live),
        poll(project, now),
        next(project),
    ]
}

/// Symbol and colour say the same.
fn look(standing: Standing) -> (Style, &'static str) {
    match standing {
        Standing::Unreadable => (RED, "✗"),
        Standing::NeedsInput => (YELLOW, "?"),
        Standing::Debug => (RED, "!"),
        Standing::Active => (BOLD, "▸"),
        Standing::Waiting => (YELLOW, "○"),
        Standing::External | Standing::Idle => (DIM, "·"),
        Standing::Done => (GREEN, "✓"),
    }
}

fn poll(project: &ProjectStatus, now: Timestamp) -> Cell {
    if project.live_runs.is_empty() {
        return plain("");
    }
    match due(project).filter(|at| *at > now) {
        None => cell(YELLOW, "due"),
        Some(at) => plain(&format!("in {}", span_text(elapsed(now, at)))),
    }
}

fn due(project: &ProjectStatus) -> Option<Timestamp> {
    project.next_poll.as_deref()?.parse().ok()
}

/// What is asked of a person comes before what comes next.
fn next(project: &ProjectStatus) -> Cell {
    if let Some(problem) = &project.problem {
        // The row names the project; what does not fit is the end, and the place must not be in it.
        let own = format!("{}/{}/.state/", layout::PROJECTS, project.project);
        return cell(RED, problem.strip_prefix(&own).unwrap_or(problem));
    }
    match &project.needs_input {
        Some(prompt) if prompt.trim().is_empty() => cell(YELLOW, "needs you (no prompt is given)"),
        Some(prompt) => cell(YELLOW, &format!("needs you: {prompt}")),
        None => plain(project.next_action.as_deref().unwrap_or("")),
    }
}

/// The first lines, and how many are left out.
fn shortened(text: &str, most: usize) -> String {
    let count = text.lines().count();
    if count <= most {
        return text.to_owned();
    }
    let shown = most.saturating_sub(1);
    let mut short: String = text
        .lines()
        .take(shown)
        .map(|line| line.to_owned() + "\n")
        .collect();
    let _ = writeln!(
        short,
        "{}",
        paint(
            DIM,
            &format!("… and {} more", plural(count - shown, "line"))
        )
    );
    short
}

/// `3 projects · 1 needs you · 2 live runs · next poll in 12 min`.
fn footer(report: &StatusReport, now: Timestamp) -> String {
    let count = |standing| {
        report
            .projects
            .iter()
            .filter(|project| project.standing == standing)
            .count()
    };
    let mut parts = vec![paint(BOLD, &plural(report.projects.len(), "project"))];
    let mut part = |count: usize, style: Style, words: &str| {
        if count > 0 {
            parts.push(paint(style, &format!("{count} {words}")));
        }
    };
    let waiting = count(Standing::NeedsInput);
    part(count(Standing::Unreadable), RED, "unreadable");
    part(
        waiting,
        YELLOW,
        if waiting == 1 {
            "needs you"
        } else {
            "need you"
        },
    );
    part(count(Standing::Debug), RED, "in DEBUG");
    part(count(Standing::Active), BOLD, "can advance");
    part(count(Standing::Done), GREEN, "done");
    let live: usize = report
        .projects
        .iter()
        .map(|project| project.live_runs.len())
        .sum();
    if live > 0 {
        parts.push(plural(live, "live run"));
    }
    let polled = report
        .projects
        .iter()
        .filter(|project| !project.live_runs.is_empty());
    if let Some(at) = polled.map(|project| due(project).unwrap_or(now)).min() {
        parts.push(if at > now {
            format!("next poll in {}", span_text(elapsed(now, at)))
        } else {
            "a poll is due".to_owned()
        });
    }
    parts.join(" · ") + "\n"
}

fn details(text: &mut String, project: &ProjectStatus, width: usize) {
    let mut line = |part: &str| {
        let _ = writeln!(text, "{part}");
    };
    line(&format!("\n{}", paint(BOLD, &project.project)));
    if let Some(problem) = &project.problem {
        return line(&format!("  {problem}"));
    }
    if let Some(prompt) = project
        .needs_input
        .as_deref()
        .filter(|prompt| !prompt.trim().is_empty())
    {
        line(&format!(
            "  {} {}",
            paint(YELLOW, "needs you:"),
            prompt.trim()
        ));
    }
    let queue = &project.queue;
    line(&format!(
        "  queue   {} ready · {} in progress · {} done · {} failed",
        queue.ready, queue.in_progress, queue.done, queue.failed
    ));
    line(&format!(
        "  work    {} · {} ended",
        plural(project.open_tasks, "open task"),
        plural(project.ended_runs, "run")
    ));
    for run in &project.live_runs {
        let (id, status) = (
            run.run_id.as_deref().unwrap_or("(no run id)"),
            run.status.as_deref().unwrap_or("(no status)"),
        );
        line(&format!(
            "  run     {id} {} {}",
            paint(YELLOW, &cut(status, 40)),
            run.jobs.join(", ")
        ));
    }
    for entry in &project.open_entries {
        line(&format!(
            "  {}    {}",
            paint(RED, "open"),
            cut(entry, width.saturating_sub(10))
        ));
    }
    if project.unsettled > 0 {
        line(&format!(
            "  {}",
            paint(
                YELLOW,
                &format!("{} not settled", plural(project.unsettled, "submission"))
            )
        ));
    }
    for warning in project.warnings.iter().take(NOTES) {
        line(&format!(
            "  {}",
            paint(
                DIM,
                &cut(
                    &format!("note    pipeline.json:{warning}"),
                    width.saturating_sub(2)
                )
            )
        ));
    }
    if project.warnings.len() > NOTES {
        let more = plural(project.warnings.len() - NOTES, "more note");
        line(&format!(
            "  {}",
            paint(DIM, &format!("        and {more} (ralph validate)"))
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::SCHEMA_VERSION;
    use crate::render::status::{QueueCounts, RunStatusRow};

    fn project(name: &str, standing: Standing, phase: &str) -> ProjectStatus {
        ProjectStatus {
            project: name.to_owned(),
            state: "ok".to_owned(),
            standing,
            phase: phase.to_owned(),
            stepped: true,
            next_action: None,
            needs_input: None,
            live_runs: Vec::new(),
            ended_runs: 0,
            next_poll: None,
            queue: QueueCounts::default(),
            open_tasks: 0,
            open_entries: Vec::new(),
            unsettled: 0,
            problem: None,
            warnings: Vec::new(),
        }
    }

    fn shown(projects: Vec<ProjectStatus>, width: usize, height: Option<usize>) -> String {
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        let report = StatusReport {
            schema_version: SCHEMA_VERSION,
            at: String::new(),
            projects,
        };
        let text = human(
            &report,
            &Drawing {
                now,
                width,
                height,
                detailed: false,
            },
        );
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn those_that_need_somebody_come_first_and_nothing_is_wrapped() {
        let live = RunStatusRow {
            run_id: None,
            jobs: Vec::new(),
            status: None,
        };
        let projects = vec![
            project("alpha", Standing::Done, "DONE"),
            ProjectStatus {
                live_runs: vec![live],
                next_poll: Some("2026-11-20T12:12:00Z".to_owned()),
                ..project("beta", Standing::Waiting, "WAIT_SLURM")
            },
            ProjectStatus {
                needs_input: Some(
                    "Which of the two datasets should the next experiment use, and why?".to_owned(),
                ),
                ..project("gamma", Standing::NeedsInput, "RUN")
            },
            project(
                "delta",
                Standing::External,
                "a sentence of a person, with results in it",
            ),
        ];
        let text = shown(projects, 80, None);
        insta::assert_snapshot!(text, @r"
           PROJECT  PHASE               LIVE  POLL       NEXT
        ?  gamma    RUN                                  needs you: Which of the two…
        ○  beta     WAIT_SLURM          1     in 12 min
        ·  delta    a sentence of a p…
        ✓  alpha    DONE

        4 projects · 1 needs you · 1 done · 1 live run · next poll in 12 min
        ");
        assert!(text.lines().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn what_does_not_fit_on_the_screen_is_counted() {
        let projects = (0..60)
            .map(|n| project(&format!("p{n:02}"), Standing::Done, "DONE"))
            .collect();
        let text = shown(projects, 80, Some(10));
        assert_eq!(text.lines().count(), 10);
        assert!(text.contains("… and 54 lines more"), "{text}");
    }
}
