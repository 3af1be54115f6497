//! What happens in a loop, as data. People's lines, a live view and the log are made from these, elsewhere.

use std::path::PathBuf;

use ralph_core::time::{Timestamp, stamp};

use crate::outcome::{AttemptId, Outcome, Usage};
use crate::record::{AttemptLine, Totals};
use crate::task::Task;

/// One thing that happened in a loop. What a record has to keep is in its files, too: nothing is lost with an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// What an earlier loop left behind was found and settled.
    Recovered {
        /// What, in words.
        what: String,
    },
    /// The pull request of an attempt of an earlier loop, whose delivery had failed then.
    PullRequest {
        /// Its address.
        url: String,
    },
    /// The loop begins.
    Began {
        /// Workers at once.
        workers: u32,
        /// Attempts altogether; `None` in batch mode.
        attempts: Option<u64>,
        /// The agent.
        engine: String,
        /// Open tasks.
        open: usize,
    },
    /// An agent runs.
    AgentStarted {
        /// Which worker, from 1.
        worker: usize,
        /// Which attempt.
        attempt: AttemptId,
        /// At what.
        task: Task,
        /// How often the task is tried with this one, in this run.
        number: u32,
        /// Where its output goes.
        log: PathBuf,
    },
    /// An agent gave a sign of life.
    Progress {
        /// Which worker.
        worker: usize,
        /// What it used so far.
        usage: Usage,
        /// What it does, if it says so.
        doing: Option<String>,
    },
    /// An agent has ended; its worker is free.
    AgentEnded {
        /// Which worker.
        worker: usize,
        /// Which attempt.
        attempt: AttemptId,
        /// How long it ran, in seconds.
        seconds: f64,
    },
    /// An attempt is over and recorded.
    AttemptEnded {
        /// Its record.
        line: Box<AttemptLine>,
        /// The sums, this one included.
        totals: Totals,
        /// M, if there is one.
        attempts: Option<u64>,
        /// Attempts that are under way.
        in_flight: usize,
    },
    /// A task is not tried again in this run.
    SkipListed {
        /// Which.
        task: Task,
        /// Why.
        reason: String,
    },
    /// Nothing starts until then.
    Waiting {
        /// Why.
        reason: String,
        /// Until when, if that is known.
        until: Option<Timestamp>,
    },
    /// A wait is over.
    Resumed,
    /// Stopping: agents that run may finish (`now` is false) or are ended.
    Stopping {
        /// Whether agents are ended.
        now: bool,
    },
    /// A thing a person should know that stops nothing.
    Note {
        /// What.
        message: String,
    },
    /// The loop has ended.
    Ended {
        /// Why: `target reached (M)`, `queue empty`, `user interrupt`, or a breaker's words.
        reason: String,
        /// The sums.
        totals: Totals,
        /// M, if there is one.
        attempts: Option<u64>,
    },
}

impl Event {
    /// The event in plain lines, each of them whole: what a log holds and a pipe gets. Readers of the replaced loop
    /// look for `completed=i/M`, `skip-list +=`, the reasons of the end, and the address of a pull request.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Recovered { what } => vec![format!("recovered: {what}")],
            Self::PullRequest { url } => vec![created(url)],
            Self::Began {
                workers,
                attempts,
                engine,
                open,
            } => vec![format!(
                "mode={} parallel={workers} max_tasks={} engine={engine} open={open}",
                if attempts.is_some() {
                    "continuous"
                } else {
                    "batch"
                },
                attempts.map_or_else(|| "<unset>".to_owned(), |most| most.to_string()),
            )],
            Self::AgentStarted {
                worker,
                task,
                number,
                log,
                ..
            } => vec![format!(
                "worker {worker}: {} (attempt {number}) {} [{}]",
                task.id,
                one_line(&task.row.text),
                log.display()
            )],
            Self::Progress { .. } => Vec::new(),
            Self::AgentEnded {
                worker, seconds, ..
            } => vec![format!("worker {worker}: agent ended after {seconds:.1} s")],
            Self::AttemptEnded {
                line,
                totals,
                attempts,
                in_flight,
            } => ended(line, totals, *attempts, *in_flight),
            Self::SkipListed { task, reason } => {
                vec![format!("skip-list += {} ({reason})", task.id)]
            }
            Self::Waiting { reason, until } => vec![match until {
                Some(until) => format!("waiting until {}: {reason}", stamp(*until)),
                None => format!("waiting: {reason}"),
            }],
            Self::Resumed => vec!["resumed".to_owned()],
            Self::Stopping { now: false } => {
                vec!["stopping: agents that run may finish; once more ends them".to_owned()]
            }
            Self::Stopping { now: true } => vec!["stopping now: agents are ended".to_owned()],
            Self::Note { message } => vec![one_line(message)],
            Self::Ended {
                reason,
                totals,
                attempts,
            } => vec![summary(reason, totals, *attempts)],
        }
    }
}

fn ended(
    line: &AttemptLine,
    totals: &Totals,
    attempts: Option<u64>,
    in_flight: usize,
) -> Vec<String> {
    let mut words = format!("{}: {}", line.task_id, line.outcome);
    if let Some(reason) = &line.reason {
        words.push_str(": ");
        words.push_str(&one_line(reason));
    }
    if let (Some(branch), false) = (&line.branch, line.merged) {
        words.push_str(" [branch ");
        words.push_str(branch);
        words.push(']');
    }
    let succeeded = totals.count(Outcome::Done);
    let mode = if attempts.is_some() {
        "continuous"
    } else {
        "batch"
    };
    let mut lines = vec![
        words,
        format!(
            "[{mode}] completed={}{} succeeded={succeeded} failed={} skipped={} in_flight={in_flight} task=\"{}\" rc={}",
            totals.spent,
            attempts.map_or_else(String::new, |most| format!("/{most}")),
            totals.spent.saturating_sub(succeeded),
            totals.skipped,
            line.task_id,
            u8::from(line.outcome != Outcome::Done),
        ),
    ];
    if let Some(url) = &line.pull_request {
        lines.push(created(url));
    } else if let Some(url) = &line.compare_url {
        lines.push(format!("PR by hand: {url}"));
    }
    lines
}

/// The line that launchers read the address from.
fn created(url: &str) -> String {
    format!("PR created: {url}")
}

/// The sums in one line.
#[must_use]
pub fn summary(reason: &str, totals: &Totals, attempts: Option<u64>) -> String {
    let succeeded = totals.count(Outcome::Done);
    let unspent = totals.ended.saturating_sub(totals.spent);
    let mut text = format!(
        "{reason}: Completed: {}{}, Succeeded: {succeeded}, Failed: {}",
        totals.spent,
        attempts.map_or_else(String::new, |most| format!("/{most}")),
        totals.spent.saturating_sub(succeeded),
    );
    if unspent > 0 {
        text = format!("{text}, Not spent: {unspent}");
    }
    if totals.cost_usd > 0.0 {
        text = format!("{text}, Cost: ${:.2}", totals.cost_usd);
    }
    text
}

/// Without line ends and control characters.
pub(crate) fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words
        .join(" ")
        .chars()
        .filter(|c| !c.is_control())
        .collect()
}

/// Where events go: a view, a log, an embedder. It is called on the loop's own thread, between two of its steps.
pub trait Sink: Send + Sync {
    /// Takes one; never fails and never waits.
    fn event(&self, event: &Event);
}

/// The sink of a loop that nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Sink for Silent {
    fn event(&self, _event: &Event) {}
}
