//! From data to text. Nothing here reads a file; colour never carries meaning alone.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use ralph_core::time::Timestamp;
use ralph_front::shell::word;
use unicode_width::UnicodeWidthStr as _;

use crate::program::shown;
use crate::record::State;
use crate::report::{
    ByHandRow, ForeignRow, LaunchReport, LaunchRow, LoopRow, StatusReport, StopReport, SweepReport,
};
use crate::window::fit;

const RED: Style = AnsiColor::Red.on_default();
const GREEN: Style = AnsiColor::Green.on_default();
const CYAN: Style = AnsiColor::Cyan.on_default();
const DIM: Style = Style::new().dimmed();

/// The longest last line that is shown where there is no terminal, in columns.
const LONGEST_LINE: usize = 100;

/// Columns of the last line that a terminal shows, however narrow: it wraps the rest.
const LEAST: usize = 12;

/// A terminal with fewer columns shows the last lines of logs without their times, which would be most of what it shows.
const TIMED_WIDTH: usize = 120;

fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Writing to a String cannot fail.
macro_rules! line {
    ($text:expr, $($words:tt)*) => {
        let _ = writeln!($text, $($words)*);
    };
}

/// The banner: the line that scripts look for, then every knob with its origin.
pub(crate) fn banner(report: &LaunchReport) -> String {
    let knob = |name: &str| {
        let found = report.knobs.iter().find(|knob| knob.name == name);
        found.map_or("", |knob| knob.value.as_str())
    };
    let words = [
        "mode",
        "parallel",
        "max_tasks",
        "max_task_attempts",
        "respawn_delay",
        "tabs",
        "engine",
        "repos",
        "exclude",
    ]
    .map(|name| format!("{name}={}", knob(name)));
    let mut text = format!("[wb.ralph-dispatch] {}\n", words.join(" "));
    for knob in &report.knobs {
        let value = format!("{} = {}", knob.name, knob.value);
        line!(text, "  {value:<33}  {}", paint(DIM, &knob.origin));
    }
    if !report.without_plan.is_empty() {
        line!(
            text,
            "  passed over, without a plan: {}",
            report.without_plan.join(", ")
        );
    }
    text
}

/// The commands that would be run, in the shape of the launcher before this one.
pub(crate) fn commands(report: &LaunchReport, workspace: &str) -> String {
    let mut text = String::new();
    for order in &report.loops {
        let (folder, workspace) = (word(&order.folder), word(workspace));
        let command = shown(&order.command);
        line!(
            text,
            "  > (cd {folder} && WORKSPACE_ROOT={workspace} {command})"
        );
    }
    text
}

/// Why nothing is started, all of it.
pub(crate) fn refusals(report: &LaunchReport) -> String {
    let mut text = String::new();
    for refusal in &report.refusals {
        line!(
            text,
            "{}: {}",
            paint(RED.bold(), "refused"),
            refusal.message
        );
        line!(text, "  {}: {}", paint(CYAN, "fix"), refusal.fix);
    }
    text
}

/// A loop that no launch here knows.
pub(crate) fn by_hand(row: &ByHandRow) -> String {
    let end = row.pid.map_or_else(
        || "end it where it was started".to_owned(),
        |pid| format!("end it with: kill {pid}"),
    );
    let name = &row.repository;
    format!("repos/{name}: a loop that was not launched from here runs there; {end}")
}

/// The loops that run now, and those that do not.
pub(crate) fn launched(report: &LaunchReport, width: Option<usize>) -> String {
    let started = report.loops.iter().filter(|order| order.error.is_none());
    let rows = started.map(|order| {
        [
            plain(&order.repository),
            plain(&who(order.pid, order.job.as_ref())),
            plain(&order.log),
        ]
    });
    // A path is there to be copied: it is not cut.
    let width = width.map(|_| usize::MAX);
    let mut text = markdown(["Repo", "PID", "Log"], rows.collect(), width);
    for order in &report.loops {
        if let Some(error) = &order.error {
            line!(
                text,
                "{}: {}: {error}",
                paint(RED.bold(), "not started"),
                order.repository
            );
        }
    }
    text
}

/// The table of states, the ends of the logs of loops that went wrong, and the sums. `width` is the terminal's.
pub(crate) fn status(report: &StatusReport, width: Option<usize>) -> String {
    if report.loops.is_empty() && report.foreign.is_empty() {
        return "nothing was launched here yet; `wb-ralph-dispatch --dry-run` shows what would be\n"
            .to_owned();
    }
    let mut text = rows(report, width);
    text.push_str(&tails(&report.loops));
    if !report.loops.is_empty() {
        text.push('\n');
        text.push_str(&sums(report));
    }
    text
}

/// The table of states, with the pidfiles of other launchers.
pub(crate) fn rows(report: &StatusReport, width: Option<usize>) -> String {
    let mut rows: Vec<_> = report.loops.iter().map(|row| cells(row, width)).collect();
    for row in &report.foreign {
        let (name, state) = foreign(row);
        let says = format!("{} of another launcher", row.file);
        rows.push([
            plain(name),
            plain(&who(row.pid, None)),
            plain(state.word()),
            plain(&says),
        ]);
    }
    markdown(COLUMNS, rows, width)
}

/// The same where there is no room for a table: a name, a state and what of the last line fits.
pub(crate) fn list(report: &StatusReport) -> String {
    let mut text = String::new();
    for row in &report.loops {
        let state = paint(style(row.state), row.state.word());
        line!(
            text,
            "{} {state} {}",
            row.repository,
            untimed(&row.last_line)
        );
    }
    for row in &report.foreign {
        let (name, state) = foreign(row);
        line!(text, "{name} {} {}", state.word(), row.file);
    }
    text
}

/// A line of a loop's log without its time, which would be all that a narrow window shows of it.
fn untimed(line: &str) -> &str {
    let rest = line
        .strip_prefix('[')
        .and_then(|line| line.split_once("] "));
    match rest {
        Some((time, rest)) if time.parse::<Timestamp>().is_ok() => rest,
        _ => line,
    }
}

/// The name and the state of a loop of another launcher.
fn foreign(row: &ForeignRow) -> (&str, State) {
    let name = row
        .file
        .trim_start_matches("ralph/")
        .trim_end_matches(".pid");
    let state = if row.alive {
        State::Running
    } else {
        State::Lost
    };
    (name, state)
}

/// What was spent, launch by launch: the M of one says nothing about the attempts of another.
pub(crate) fn sums(report: &StatusReport) -> String {
    let spent = |launch: &LaunchRow| {
        let of = launch
            .max_tasks
            .map_or_else(String::new, |m| format!(" of {m}"));
        format!("attempts {}{of}", launch.attempts)
    };
    let mut text = String::new();
    match &report.launches[..] {
        [launch] => text = format!("{} · ", spent(launch)),
        launches => {
            for launch in launches {
                let names = launch.repositories.join(", ");
                line!(
                    text,
                    "launch {} ({names}): {}",
                    launch.launch,
                    spent(launch)
                );
            }
        }
    }
    line!(
        text,
        "tasks left {} · cost ${:.2} · pull requests {}",
        report.tasks_left,
        report.cost_usd,
        report.pull_requests
    );
    for row in &report.loops {
        for url in &row.pull_requests {
            line!(text, "  {} {url}", row.repository);
        }
    }
    text
}

/// The columns of a table of states, which are fixed.
const COLUMNS: [&str; 4] = ["Repo", "PID", "State", "Last line"];

/// `| Repo | PID | State | Last line |`.
fn table(rows: &[LoopRow], width: Option<usize>) -> String {
    let rows = rows.iter().map(|row| cells(row, width)).collect();
    markdown(COLUMNS, rows, width)
}

fn cells(row: &LoopRow, width: Option<usize>) -> [Cell; 4] {
    let last = match width {
        None => fit(&row.last_line, LONGEST_LINE),
        Some(width) if width < TIMED_WIDTH => untimed(&row.last_line).to_owned(),
        Some(_) => row.last_line.clone(),
    };
    [
        plain(&row.repository),
        plain(&who(row.pid, row.job.as_ref())),
        (style(row.state), row.state.word().to_owned()),
        plain(&last),
    ]
}

/// What runs a loop: a process, or a job.
fn who(pid: Option<u32>, job: Option<&String>) -> String {
    let pid = pid.map(|pid| pid.to_string());
    pid.or_else(|| job.map(|job| format!("job {job}")))
        .unwrap_or_else(|| "-".to_owned())
}

/// A text and how it is shown.
type Cell = (Style, String);

fn plain(text: &str) -> Cell {
    (Style::new(), text.to_owned())
}

/// A table that is Markdown: on a terminal with its columns below each other and the last one cut where the line ends,
/// elsewhere as programs read it.
fn markdown<const N: usize>(
    header: [&str; N],
    rows: Vec<[Cell; N]>,
    width: Option<usize>,
) -> String {
    let mut rows: Vec<[Cell; N]> = rows
        .into_iter()
        .map(|row| row.map(|(style, text)| (style, text.replace('|', "\\|"))))
        .collect();
    rows.insert(0, header.map(plain));
    let mut widths = [0; N];
    if width.is_some() {
        for row in &rows {
            for (widest, (_, text)) in widths.iter_mut().zip(row) {
                *widest = text.width().max(*widest);
            }
        }
    }
    let before: usize = widths.iter().take(N - 1).map(|width| width + 3).sum();
    // The last column stands between "| " and " |".
    let room = width.map_or(usize::MAX, |width| {
        width.saturating_sub(before + 4).max(LEAST)
    });
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (index, ((style, words), width)) in row.iter().zip(widths).enumerate() {
            let is_last = index + 1 == N;
            let words = if is_last {
                fit(words, room)
            } else {
                words.clone()
            };
            let width = if is_last { 0 } else { width };
            let blanks = " ".repeat(width.saturating_sub(words.width()));
            let _ = write!(text, "| {}{blanks} ", paint(*style, &words));
        }
        text.push_str("|\n");
        if number == 0 {
            for (index, width) in widths.iter().enumerate() {
                let width = if index + 1 == N { 0 } else { *width };
                let _ = write!(text, "|{}", "-".repeat((width + 2).max(3)));
            }
            text.push_str("|\n");
        }
    }
    text
}

fn style(state: State) -> Style {
    match state {
        State::Done => GREEN,
        State::Failed | State::Lost | State::Orphaned => RED,
        State::Pending | State::Running | State::Stopped | State::Unknown => Style::new(),
    }
}

/// The last lines of each loop that went wrong: never silent.
pub(crate) fn tails(rows: &[LoopRow]) -> String {
    let mut text = String::new();
    let wrong = rows
        .iter()
        .filter(|row| matches!(row.state, State::Failed | State::Lost));
    for row in wrong {
        let code = row
            .exit_code
            .map_or_else(String::new, |code| format!(", exit code {code}"));
        let count = row.last_lines.len();
        let (name, state) = (&row.repository, row.state.word());
        let what = match count {
            0 => format!("nothing in {}", row.log),
            1 => format!("the last line of {}", row.log),
            _ => format!("the last {count} lines of {}", row.log),
        };
        let head = format!("{name} {state}{code}: {what}");
        line!(text, "\n{}", paint(RED.bold(), &head));
        if let Some(reason) = &row.reason {
            line!(text, "    ({reason})");
        }
        for last in &row.last_lines {
            line!(text, "    {last}");
        }
    }
    text
}

/// What a sweep did.
pub(crate) fn swept(report: &SweepReport, width: Option<usize>) -> String {
    let mut text = String::new();
    if !report.swept.is_empty() {
        text.push_str(&table(&report.swept, width));
        text.push_str(&tails(&report.swept));
    }
    text.push_str(&changes(report));
    if text.is_empty() {
        text.push_str("nothing to sweep\n");
    }
    text
}

/// The same beside a status, whose table and logs say how each loop ended; empty when nothing was swept.
pub(crate) fn swept_beside(report: &SweepReport) -> String {
    let names: Vec<&str> = report
        .swept
        .iter()
        .map(|row| row.repository.as_str())
        .collect();
    let mut text = String::new();
    if !names.is_empty() {
        line!(text, "swept: {}", names.join(", "));
    }
    text + &changes(report)
}

/// What a sweep surfaced and changed, line by line.
fn changes(report: &SweepReport) -> String {
    let mut text = String::new();
    for row in &report.swept {
        for url in &row.pull_requests {
            line!(text, "{}: {url}", row.repository);
        }
    }
    for cell in &report.cells {
        line!(text, "EPIC-PIPELINE.md: {}: Exec {}", cell.row, cell.exec);
    }
    for file in &report.pid_files {
        line!(text, "removed {file}");
    }
    text
}

/// What a stop did. `of` says which loops were meant, where that was not all.
pub(crate) fn stopped(report: &StopReport, of: &str, width: Option<usize>) -> String {
    if report.loops.is_empty() {
        return format!("no loop{of} is running\n");
    }
    table(&report.loops, width)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::report::LoopOrder;

    pub(crate) fn row(repository: &str, state: State, last_line: &str) -> LoopRow {
        LoopRow {
            repository: repository.to_owned(),
            state,
            pid: (state == State::Running).then_some(4711),
            job: None,
            exit_code: (state == State::Failed).then_some(1),
            reason: None,
            launch: "20261126_213300-00000001".to_owned(),
            launched: Timestamp::UNIX_EPOCH,
            ended: None,
            log: format!("ralph/logs/{repository}.log"),
            last_line: last_line.to_owned(),
            last_lines: vec!["one".to_owned(), "two".to_owned()],
            attempts: Some(3),
            tasks_left: Some(2),
            cost_usd: Some(0.125),
            pull_requests: vec![format!("https://host/o/{repository}/pull/1")],
        }
    }

    #[test]
    fn the_status_of_loops() {
        let mut report = StatusReport {
            schema_version: 1,
            loops: vec![
                row("svc-a", State::Running, "working on | 3 tasks"),
                row("svc-b", State::Failed, "two"),
                row("svc-c", State::Lost, &"x".repeat(200)),
            ],
            foreign: Vec::new(),
            by_hand: Vec::new(),
            launches: vec![LaunchRow {
                launch: "20261126_213300-00000001".to_owned(),
                repositories: vec!["svc-a".to_owned(), "svc-b".to_owned()],
                attempts: 9,
                max_tasks: Some(30),
            }],
            attempts: 9,
            max_tasks: Some(30),
            tasks_left: 6,
            cost_usd: 0.375,
            pull_requests: 3,
            problems: Vec::new(),
        };
        let text = status(&report, None);
        insta::assert_snapshot!(anstream_free(&text), @r"
        | Repo | PID | State | Last line |
        |---|---|---|---|
        | svc-a | 4711 | running | working on \| 3 tasks |
        | svc-b | - | failed | two |
        | svc-c | - | lost | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… |

        svc-b failed, exit code 1: the last 2 lines of ralph/logs/svc-b.log
            one
            two

        svc-c lost: the last 2 lines of ralph/logs/svc-c.log
            one
            two

        attempts 9 of 30 · tasks left 6 · cost $0.38 · pull requests 3
          svc-a https://host/o/svc-a/pull/1
          svc-b https://host/o/svc-b/pull/1
          svc-c https://host/o/svc-c/pull/1
        ");
        let mut later = report.launches[0].clone();
        later.launch = "20261127_120000-00000002".to_owned();
        (later.attempts, later.max_tasks) = (2, None);
        report.launches.insert(0, later);
        let text = anstream_free(&status(&report, None));
        let sums: Vec<&str> = text
            .lines()
            .skip_while(|line| !line.starts_with("launch"))
            .take(3)
            .collect();
        assert_eq!(
            sums,
            [
                "launch 20261127_120000-00000002 (svc-a, svc-b): attempts 2",
                "launch 20261126_213300-00000001 (svc-a, svc-b): attempts 9 of 30",
                "tasks left 6 · cost $0.38 · pull requests 3",
            ]
        );
        report.launches.remove(0);
        let text = anstream_free(&rows(&report, Some(60)));
        insta::assert_snapshot!(text, @r"
        | Repo  | PID  | State   | Last line |
        |-------|------|---------|---|
        | svc-a | 4711 | running | working on \| 3 tasks |
        | svc-b | -    | failed  | two |
        | svc-c | -    | lost    | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… |
        ");
        assert!(rows(&report, Some(300)).contains(&"x".repeat(200)));
        report.loops.truncate(2);
        report.loops.remove(0);
        insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap(), @r#"
        {
          "schema_version": 1,
          "loops": [
            {
              "repository": "svc-b",
              "state": "failed",
              "pid": null,
              "job": null,
              "exit_code": 1,
              "reason": null,
              "launch": "20261126_213300-00000001",
              "launched": "1970-01-01T00:00:00Z",
              "ended": null,
              "log": "ralph/logs/svc-b.log",
              "last_line": "two",
              "last_lines": [
                "one",
                "two"
              ],
              "attempts": 3,
              "tasks_left": 2,
              "cost_usd": 0.125,
              "pull_requests": [
                "https://host/o/svc-b/pull/1"
              ]
            }
          ],
          "foreign": [],
          "by_hand": [],
          "launches": [
            {
              "launch": "20261126_213300-00000001",
              "repositories": [
                "svc-a",
                "svc-b"
              ],
              "attempts": 9,
              "max_tasks": 30
            }
          ],
          "attempts": 9,
          "max_tasks": 30,
          "tasks_left": 6,
          "cost_usd": 0.375,
          "pull_requests": 3,
          "problems": []
        }
        "#);
        report.loops.clear();
        assert!(status(&report, None).starts_with("nothing was launched here yet"));
    }

    /// Without the colours.
    fn anstream_free(text: &str) -> String {
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('\u{1b}') {
            plain.push_str(before);
            rest = after.split_once('m').map_or("", |(_, rest)| rest);
        }
        plain + rest
    }

    #[test]
    fn a_command_can_be_copied_from_any_folder() {
        let order = LoopOrder {
            repository: "a".to_owned(),
            folder: "/my wb/repos/a".to_owned(),
            command: vec!["ralph".to_owned()],
            log: String::new(),
            pid: None,
            job: None,
            error: None,
        };
        let report = LaunchReport {
            schema_version: 1,
            launch: None,
            dry_run: true,
            knobs: Vec::new(),
            loops: vec![order],
            without_plan: Vec::new(),
            refusals: Vec::new(),
        };
        assert_eq!(
            commands(&report, "/my wb/repos"),
            "  > (cd '/my wb/repos/a' && WORKSPACE_ROOT='/my wb/repos' ralph)\n"
        );
    }

    #[test]
    fn a_narrow_list_tells_what_happens_and_not_when() {
        let said = "[2026-11-28T00:24:35Z] worker 1: agent ended";
        assert_eq!(untimed(said), "worker 1: agent ended");
        assert_eq!(untimed("[x] done"), "[x] done");
    }
}
