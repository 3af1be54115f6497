//! A loop on the terminal: one live line per worker; plain lines elsewhere. Nothing here decides anything.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::Duration;

use anstyle::Style;
use ralph_core::time::{SignedDuration, Timestamp, span_text, stamp};
use ralph_front::output::Output;
use ralph_loop::event::{Event, Sink};
use ralph_loop::outcome::{Outcome, Usage};
use ralph_loop::record::Totals;

use crate::env_vars;
use crate::render::{BOLD, CYAN, DIM, GREEN, RED, YELLOW, cut, paint};

/// Shown at most so many workers; the rest is a number.
const MOST_LINES: usize = 32;
/// `12:34:56 `, before each line.
const CLOCK: usize = 9;
const UP: &str = "\u{1b}[F";
const CLEAR_BELOW: &str = "\u{1b}[J";
const CLEAR_LINE: &str = "\u{1b}[K";

/// Prints the events of a loop.
#[derive(Debug)]
pub(crate) struct LoopView {
    output: Output,
    env: ralph_core::env::Env,
    is_live: bool,
    shown: Mutex<Shown>,
}

#[derive(Debug, Default)]
struct Shown {
    workers: BTreeMap<usize, Working>,
    totals: Totals,
    attempts: Option<u64>,
    waiting: Option<(String, Option<Timestamp>)>,
    drawn: usize,
}

#[derive(Debug)]
struct Working {
    task: String,
    text: String,
    since: Timestamp,
    usage: Usage,
    doing: Option<String>,
}

/// Whether a terminal of this name can move its cursor (terminfo's `dumb` can not).
fn goes_back(terminal: Option<&str>) -> bool {
    terminal != Some("dumb")
}

impl LoopView {
    /// A view that draws where a person looks on, at a terminal that can go back over what it has shown.
    pub(crate) fn new(output: &Output, env: ralph_core::env::Env) -> Self {
        let is_live = io::stderr().is_terminal()
            && goes_back(env_vars::text(env_vars::TERM).as_deref())
            && !output.quiet
            && !output.is_json();
        Self {
            output: output.clone(),
            env,
            is_live,
            shown: Mutex::default(),
        }
    }

    /// Whether lines are drawn over and over.
    pub(crate) fn is_live(&self) -> bool {
        self.is_live
    }

    /// Draws the workers' lines again, when a person looks on.
    pub(crate) fn draw(&self) {
        if !self.is_live {
            return;
        }
        let mut shown = self.lock();
        let lines = self.worker_lines(&shown);
        let text = over(shown.drawn, &lines);
        shown.drawn = lines.len();
        self.write(&text);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shown> {
        self.shown
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self, text: &str) {
        let mut stderr = anstream::AutoStream::auto(io::stderr().lock());
        // That nobody reads it is no error.
        let _ = stderr.write_all(text.as_bytes());
        let _ = stderr.flush();
    }

    fn worker_lines(&self, shown: &Shown) -> Vec<String> {
        let now = self.env.now();
        let width = self.output.width();
        let mut lines: Vec<String> = shown
            .workers
            .iter()
            .take(MOST_LINES)
            .map(|(worker, working)| worker_line(*worker, working, now, width))
            .collect();
        if shown.workers.len() > MOST_LINES {
            lines.push(paint(
                DIM,
                &format!("   and {} more", shown.workers.len() - MOST_LINES),
            ));
        }
        if let Some((reason, until)) = &shown.waiting {
            let wakes = until.map_or_else(String::new, |until| {
                format!(", goes on in {}", left(now, until))
            });
            lines.push(paint(
                YELLOW,
                &cut(&format!("waiting: {reason}{wakes}"), width),
            ));
        }
        if !lines.is_empty() {
            lines.push(paint(DIM, &cut(&sums(shown), width)));
        }
        lines
    }

    /// Plain lines above whatever is drawn.
    fn say(&self, shown: &mut Shown, lines: &[String], style: Style) {
        if lines.is_empty() {
            return;
        }
        let time = stamp(self.env.now());
        if !self.is_live {
            for line in lines {
                self.say_plainly(&time, line);
            }
            return;
        }
        let clock = time.get(11..19).unwrap_or(&time).to_owned();
        let mut text = over(shown.drawn, &[]);
        for line in lines {
            text = format!("{text}{} {}\n", paint(DIM, &clock), paint(style, line));
        }
        shown.drawn = 0;
        self.write(&text);
    }

    /// The address of a pull request is a result; everything else tells what is going on.
    fn say_plainly(&self, time: &str, line: &str) {
        if line.starts_with("PR created: ") && !self.output.is_json() {
            let _ = self.output.print(line);
        } else {
            self.output.note(&format!("[{time}] {line}"));
        }
    }
}

impl Sink for LoopView {
    fn event(&self, event: &Event) {
        let mut shown = self.lock();
        shown.take_in(event, self.env.now());
        let lines = if self.is_live {
            terse(event, self.output.width().saturating_sub(CLOCK))
        } else {
            event.lines()
        };
        self.say(&mut shown, &lines, style(event));
        if self.is_live {
            let lines = self.worker_lines(&shown);
            let text = over(shown.drawn, &lines);
            shown.drawn = lines.len();
            self.write(&text);
        }
    }
}

impl Shown {
    fn take_in(&mut self, event: &Event, now: Timestamp) {
        match event {
            Event::Began { attempts, .. } => self.attempts = *attempts,
            Event::AgentStarted { worker, task, .. } => {
                let working = Working {
                    task: task.id.clone(),
                    text: task.row.text.clone(),
                    since: now,
                    usage: Usage::default(),
                    doing: None,
                };
                self.workers.insert(*worker, working);
            }
            Event::Progress {
                worker,
                usage,
                doing,
            } => {
                if let Some(working) = self.workers.get_mut(worker) {
                    working.usage = *usage;
                    working.doing.clone_from(doing);
                }
            }
            Event::AgentEnded { worker, .. } => drop(self.workers.remove(worker)),
            Event::AttemptEnded { totals, .. } => self.totals = totals.clone(),
            Event::Waiting { reason, until } => self.waiting = Some((reason.clone(), *until)),
            Event::Resumed | Event::Ended { .. } => self.waiting = None,
            _ => {}
        }
    }
}

/// The lines of an event where the workers' own lines stand below: who starts and ends, and the sums, are seen there.
/// How it all ended is said by the report.
fn terse(event: &Event, room: usize) -> Vec<String> {
    let mut lines = event.lines();
    match event {
        Event::AgentStarted { .. } | Event::AgentEnded { .. } | Event::Ended { .. } => Vec::new(),
        Event::AttemptEnded { .. } => {
            let mut place = 0;
            lines.retain(|line| {
                place += 1;
                place == 1 || is_address(line)
            });
            lines
                .iter()
                // An address is of use only as a whole.
                .map(|line| {
                    if is_address(line) {
                        line.clone()
                    } else {
                        cut(line, room)
                    }
                })
                .collect()
        }
        Event::SkipListed { .. } => lines.iter().map(|line| cut(line, room)).collect(),
        _ => lines,
    }
}

fn is_address(line: &str) -> bool {
    line.starts_with("PR created: ") || line.starts_with("PR by hand: ")
}

/// What moves the cursor up over the lines drawn last, and draws these.
fn over(drawn: usize, lines: &[String]) -> String {
    let mut text = UP.repeat(drawn);
    if drawn > lines.len() || lines.is_empty() {
        text.push_str(CLEAR_BELOW);
    }
    for line in lines {
        text.push_str(line);
        text.push_str(CLEAR_LINE);
        text.push('\n');
    }
    text
}

fn worker_line(worker: usize, working: &Working, now: Timestamp, width: usize) -> String {
    let elapsed = left(working.since, now);
    let facts = [
        Some(elapsed),
        tokens(&working.usage),
        working.usage.cost_usd.map(|cost| format!("${cost:.2}")),
    ];
    let facts: Vec<String> = facts.into_iter().flatten().collect();
    let head = format!("{worker:>2}  {}  ", facts.join("  "));
    let doing = working.doing.as_deref().unwrap_or(&working.text);
    let room = width.saturating_sub(head.chars().count() + 1);
    // The name is a whole sentence where a task has no id; what is being done has to be seen beside it.
    let task = cut(&working.task, (room / 3).max(12).min(room));
    let left_over = room.saturating_sub(task.chars().count() + 2);
    let rest = match left_over {
        0..8 => String::new(),
        _ => format!("  {}", cut(doing, left_over)),
    };
    format!("{head}{}{rest}", paint(CYAN, &task))
}

fn tokens(usage: &Usage) -> Option<String> {
    let all = usage.input_tokens + usage.cached_tokens + usage.output_tokens;
    match all {
        0 => None,
        1..=999 => Some(format!("{all} tokens")),
        1_000..=999_999 => Some(format!("{}k tokens", all / 1_000)),
        _ => Some(format!("{:.1}M tokens", thousands(all) / 1_000.0)),
    }
}

/// In thousands; exact enough for a display.
fn thousands(number: u64) -> f64 {
    f64::from(u32::try_from(number / 1_000).unwrap_or(u32::MAX))
}

fn sums(shown: &Shown) -> String {
    let totals = &shown.totals;
    let of = shown
        .attempts
        .map_or_else(String::new, |most| format!("/{most}"));
    let mut text = format!(
        "    {}{of} attempts, {} done",
        totals.spent,
        totals.count(Outcome::Done)
    );
    if totals.cost_usd > 0.0 {
        text = format!("{text}, ${:.2}", totals.cost_usd);
    }
    text
}

fn left(from: Timestamp, to: Timestamp) -> String {
    let span = to.duration_since(from).max(SignedDuration::ZERO);
    span_text(Duration::from_secs(span.as_secs().unsigned_abs()))
}

fn style(event: &Event) -> Style {
    match event {
        Event::AttemptEnded { line, .. } if line.outcome == Outcome::Done => GREEN,
        Event::AttemptEnded { line, .. } if line.spent => RED,
        Event::AttemptEnded { .. } | Event::Waiting { .. } | Event::SkipListed { .. } => YELLOW,
        Event::Ended { .. } | Event::Began { .. } => BOLD,
        Event::AgentEnded { .. } => DIM,
        _ => Style::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_drawn_over_where_the_cursor_cannot_move() {
        assert!(!goes_back(Some("dumb")));
        assert!(goes_back(Some("xterm-256color")) && goes_back(None));
    }

    fn working() -> Working {
        Working {
            task: "t01-do-x".to_owned(),
            text: "**T01.** Do x, and then a good deal more than fits on the line".to_owned(),
            since: Timestamp::UNIX_EPOCH,
            usage: Usage {
                input_tokens: 12_300,
                cost_usd: Some(0.42),
                ..Usage::default()
            },
            doing: None,
        }
    }

    #[test]
    fn a_workers_line_fits_and_says_what_it_costs() {
        let now = Timestamp::from_second(95).expect("a time");
        let line = worker_line(2, &working(), now, 60);
        let plain = anstream::adapter::strip_str(&line).to_string();
        insta::assert_snapshot!(plain, @" 2  1 min 35 s  12k tokens  $0.42  t01-do-x  **T01.** Do x…");
        assert!(plain.chars().count() <= 60);
    }

    #[test]
    fn drawing_over_moves_up_as_far_as_was_drawn() {
        assert_eq!(over(0, &[]), CLEAR_BELOW);
        assert_eq!(
            over(2, &["a".to_owned()]),
            format!("{UP}{UP}{CLEAR_BELOW}a{CLEAR_LINE}\n")
        );
    }
}
