//! The lenient typed view of a state file: every shape that was seen in the wild is read, and what had to be
//! guessed or passed over is a warning with its place (section B of the field study, incidents 21 and 22).
//!
//! What must never be here: an error, a default that hides a live run, a rewritten word.

mod job_ref;
mod run;
mod shape;

use std::cell::OnceCell;
use std::collections::BTreeMap;

use memchr::memchr_iter;
use serde_json::Value;

pub use self::job_ref::JobRef;
pub(crate) use self::job_ref::is_counted;
pub use self::run::{RunStatus, RunView};
pub use self::shape::{NeedsInput, NextAction, SlurmWait};

use super::FORMAT;
use super::grammar::Kind;
use super::lines::Lines;
use super::record::{RUN_LISTS, Record};
use super::scan::Skim;
use super::source::Source;
use super::tree::{NodeId, Tree};
use crate::phase::Phase;
use crate::time::LooseTime;

/// Something that was read in spite of its form, or passed over because of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The member, such as `active_runs[3].status`.
    pub path: String,
    /// What was expected, what was found, and how it was read.
    pub message: String,
}

/// What a state file says.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineView {
    /// The project's name, where the file gives one.
    pub project: Option<String>,
    /// The phase; no phase is [`Phase::Idle`].
    pub phase: Phase,
    /// What somebody wrote down as the next step.
    pub next_action: NextAction,
    /// Whether the project waits for a person.
    pub needs_user_input: NeedsInput,
    /// The runs in `active_runs`, whatever their status says.
    pub active_runs: Vec<RunView>,
    /// The runs in `completed_runs`.
    pub completed_runs: Vec<RunView>,
    /// The runs in `cancelled_runs`.
    pub cancelled_runs: Vec<RunView>,
    /// Where runs stand that are read as none, in words: their jobs may be alive, so nothing may go on as if there were
    /// none.
    pub unread_runs: Option<String>,
    /// When the cluster is asked again.
    pub slurm_wait: SlurmWait,
    /// The time of the last event that has one; the order is the file's, not time's.
    pub last_event: Option<LooseTime>,
    /// Number of events.
    pub events: usize,
    /// Whether the newest event is that the machine itself brought the project to rest: a phase IDLE that a person
    /// wrote is a person's.
    pub rested: bool,
    /// The format that the file names, where it names one.
    pub schema_version: Option<u64>,
    /// What had to be guessed or passed over, in the order of the file.
    pub warnings: Vec<Warning>,
}

/// Reads everything.
pub(super) fn view(source: Source<'_>) -> PipelineView {
    let mut reader = Reader::new(source);
    let active_runs = reader.runs("active_runs");
    let completed_runs = reader.runs("completed_runs");
    let cancelled_runs = reader.runs("cancelled_runs");
    reader.warn_about_twins(&[&active_runs, &completed_runs, &cancelled_runs]);
    let unread_runs = reader.unread_runs();
    let (events, last_event, rested) = reader.events();
    let mut view = PipelineView {
        project: reader.top_text("project"),
        phase: reader.phase(),
        next_action: reader.next_action(),
        needs_user_input: reader.needs_user_input(),
        active_runs,
        completed_runs,
        cancelled_runs,
        unread_runs,
        slurm_wait: reader.slurm_wait(),
        last_event,
        events,
        rested,
        schema_version: reader.schema_version(),
        warnings: reader.warnings,
    };
    view.warnings
        .sort_by_key(|warning| (warning.line, warning.column));
    view
}

/// The phase, and whether it is written as one; one that is no text is kept as it is written.
fn phase(source: Source<'_>) -> (Phase, bool) {
    let Some(id) = source.top("phase") else {
        return (Phase::Idle, true);
    };
    match (source.text_of(id), source.node(id).kind) {
        (Some(text), _) => (Phase::parse(&text), true),
        (None, Kind::Null) => (Phase::Idle, true),
        (None, _) => (Phase::External(source.raw(id).to_owned()), false),
    }
}

/// What the Stop hook asks of a file. Each answer is the view's, found without what leads nowhere there: the two may
/// never read the same file in two ways, which is a law of the tests.
pub(super) fn skim(source: Source<'_>) -> Skim {
    let wait = source.top("slurm_wait");
    let wait = wait.and_then(|id| SlurmWait::next_poll(source, id));
    let next_poll = || shape::loose_time_at(source, source.top("next_poll_after")?);
    let runs = source
        .top("active_runs")
        .filter(|id| source.node(*id).kind == Kind::List);
    let live: Vec<Option<LooseTime>> = runs
        .into_iter()
        .flat_map(|list| source.tree.children(list))
        .filter_map(|id| run::live_poll(Record::at(source, id)?))
        .collect();
    Skim {
        phase: phase(source).0,
        has_next_action: source
            .top("next_action")
            .is_some_and(|id| NextAction::is_there(source, id)),
        needs_user_input: source
            .top("needs_user_input")
            .is_some_and(|id| NeedsInput::waits(source, id)),
        next_poll_after: wait.or_else(next_poll),
        live_runs: live.len(),
        run_polls: live.into_iter().flatten().collect(),
    }
}

/// Whether an event is that the machine brought the project to rest, as [`crate::settle::check::advanced`] writes it.
fn is_rest(event: &Record<'_>) -> bool {
    let text = |name: &str| {
        event
            .get(name)
            .and_then(|value| value.as_str().map(str::to_owned))
    };
    text("action").as_deref() == Some("ADVANCE")
        && text("detail").is_some_and(|detail| detail.contains(" to IDLE: "))
}

/// The format that a file names, as text and as a number. Only a number counts: a project may have a
/// `schema_version` of its own in words.
pub(super) fn named_format(source: Source<'_>) -> Option<(NodeId, f64)> {
    let nested = || {
        let ralph = source.top("ralph")?;
        source.tree.member(source.text, ralph, "format")
    };
    let own = source.top("schema_version");
    [own, nested()]
        .into_iter()
        .flatten()
        .filter_map(|id| Some((id, source.value(id).as_f64()?)))
        .max_by(|one, other| one.1.total_cmp(&other.1))
}

/// Whether a format that a file names is newer than ours.
pub(super) fn is_newer(format: f64) -> bool {
    format > FORMAT as f64
}

/// The run id and the job id of a record, borrowed.
type Ids<'v> = (Option<&'v str>, Option<&'v str>);

/// Reads single members and collects warnings.
struct Reader<'f> {
    source: Source<'f>,
    /// Found when the first warning is noted; most files have none.
    lines: OnceCell<Lines>,
    /// An offset, and the line that it is in.
    counted: (usize, usize),
    warnings: Vec<Warning>,
}

impl<'f> Reader<'f> {
    /// A reader without warnings yet.
    fn new(source: Source<'f>) -> Self {
        Self {
            source,
            lines: OnceCell::new(),
            counted: (0, 1),
            warnings: Vec::new(),
        }
    }

    /// Notes a warning at a node: at its key, where it has one.
    fn warn(&mut self, id: NodeId, path: impl Into<String>, message: impl Into<String>) {
        let at = self.source.tree.node(id).outer_start();
        let place = self.lines().place(self.source.text.as_bytes(), at);
        self.warnings.push(Warning {
            line: place.line,
            column: place.column,
            path: path.into(),
            message: message.into(),
        });
    }

    fn lines(&self) -> &Lines {
        self.lines
            .get_or_init(|| Lines::of(self.source.text.as_bytes()))
    }

    /// The line of a node. Counted on from the last one that was asked for, since records are read in their order.
    fn line(&mut self, id: NodeId) -> usize {
        let at = self.source.node(id).outer_start();
        let (from, before) = if self.counted.0 <= at {
            self.counted
        } else {
            (0, 1)
        };
        let passed = self.source.text.as_bytes().get(from..at);
        let line = before + memchr_iter(b'\n', passed.unwrap_or_default()).count();
        self.counted = (at, line);
        line
    }

    /// The phase.
    fn phase(&mut self) -> Phase {
        let (phase, as_text) = phase(self.source);
        if !as_text {
            let id = self.source.top("phase").unwrap_or(Tree::ROOT);
            self.warn(id, "phase", "expected a text; kept as it is, never stepped");
        }
        phase
    }

    /// What somebody wrote down as the next step.
    fn next_action(&mut self) -> NextAction {
        let Some(id) = self.source.top("next_action") else {
            return NextAction::None;
        };
        let (action, remark) = NextAction::read(&self.source.value(id));
        self.remark(id, "next_action", remark);
        action
    }

    /// Whether the project waits for a person.
    fn needs_user_input(&mut self) -> NeedsInput {
        let Some(id) = self.source.top("needs_user_input") else {
            return NeedsInput::default();
        };
        let (needs, remark) = NeedsInput::read(&self.source.value(id));
        self.remark(id, "needs_user_input", remark);
        needs
    }

    /// When the cluster is asked again; `next_poll_after` may also stand at the top of the file.
    fn slurm_wait(&mut self) -> SlurmWait {
        let mut wait = SlurmWait::default();
        if let Some(id) = self.source.top("slurm_wait") {
            let remark;
            (wait, remark) = SlurmWait::read(&self.source.value(id));
            self.remark(id, "slurm_wait", remark);
        }
        if let (None, Some(id)) = (wait.next_poll_after, self.source.top("next_poll_after")) {
            wait.next_poll_after = shape::loose_time(&self.source.value(id));
        }
        if wait.next_poll_after == Some(LooseTime::Unreadable) {
            let id = self.source.top("slurm_wait").unwrap_or(Tree::ROOT);
            self.warn(
                id,
                "slurm_wait.next_poll_after",
                "expected a time; read as due",
            );
        }
        wait
    }

    /// Notes what a shape had to say about a member, if anything.
    fn remark(&mut self, id: NodeId, path: &str, remark: Option<&'static str>) {
        if let Some(remark) = remark {
            self.warn(id, path, remark);
        }
    }

    /// A text at the top of the file.
    fn top_text(&mut self, name: &str) -> Option<String> {
        let id = self.source.top(name)?;
        match self.source.value(id) {
            Value::String(text) => Some(text),
            Value::Null => None,
            _ => {
                self.warn(id, name, "expected a text; passed over");
                None
            }
        }
    }

    /// The format that the file names; a warning when it must not be written.
    fn schema_version(&mut self) -> Option<u64> {
        let (id, format) = named_format(self.source)?;
        if is_newer(format) {
            let message =
                format!("expected {FORMAT} or less; this file can be read but not written");
            self.warn(id, "schema_version", message);
        }
        self.source.value(id).as_u64()
    }

    /// The entries of a list at the top of the file; none when it is absent or `null`.
    fn entries(&mut self, list: &str) -> Vec<NodeId> {
        let Some(id) = self.source.top(list) else {
            return Vec::new();
        };
        match self.source.tree.node(id).kind {
            Kind::List => self.source.tree.children(id).collect(),
            Kind::Null => Vec::new(),
            _ => {
                self.warn(id, list, "expected a list; passed over");
                Vec::new()
            }
        }
    }

    /// The first place where runs stand in a form that is not read.
    fn unread_runs(&mut self) -> Option<String> {
        const ALIASES: [&str; 5] = ["activeRuns", "active_jobs", "runs", "jobs", "running_jobs"];
        let kind = |id: NodeId| self.source.node(id).kind;
        let is_empty = |id: NodeId| match kind(id) {
            Kind::Null | Kind::Bool => true,
            Kind::Number => false,
            Kind::List | Kind::Object => self.source.tree.children(id).next().is_none(),
            Kind::Text => self.source.text_of(id).is_none_or(|text| {
                ["", "none", "n/a", "-"].contains(&text.trim().to_lowercase().as_str())
            }),
        };
        let (id, what) = match self.source.top("active_runs") {
            Some(list) if kind(list) == Kind::List => {
                let mut entries = self.source.tree.children(list);
                let odd = entries.find(|id| kind(*id) != Kind::Object && !is_empty(*id))?;
                (odd, "an entry of `active_runs` is no object".to_owned())
            }
            Some(other) if is_empty(other) => return None,
            Some(other) => (other, "`active_runs` is no list".to_owned()),
            None => {
                let found = ALIASES.into_iter().find_map(|name| {
                    let id = self.source.top(name).filter(|id| !is_empty(*id))?;
                    matches!(kind(id), Kind::List | Kind::Object).then_some((id, name))
                });
                let (id, name) = found?;
                (
                    id,
                    format!("there is no `active_runs`, and `{name}` is not read as it"),
                )
            }
        };
        let line = self.line(id);
        Some(format!(
            ".state/pipeline.json:{line}: {what}, so its jobs are not looked after; write each run as an object with \
             `run_id`, `job_id` and `status` in the list `active_runs`"
        ))
    }

    /// The runs of a list.
    fn runs(&mut self, list: &'static str) -> Vec<RunView> {
        let mut runs = Vec::new();
        for (index, id) in self.entries(list).into_iter().enumerate() {
            match Record::at(self.source, id) {
                Some(record) => runs.push(self.run(list, index, record)),
                None => self.warn(
                    id,
                    format!("{list}[{index}]"),
                    "expected an object; kept as it is, passed over",
                ),
            }
        }
        runs
    }

    /// One run, with the warnings about its members.
    fn run(&mut self, list: &str, index: usize, record: Record<'f>) -> RunView {
        let (run, remarks) = RunView::read(record, index, self.line(record.id));
        for (member, message) in remarks {
            self.warn(record.id, format!("{list}[{index}].{member}"), message);
        }
        run
    }

    /// Number of events, the time of the last one that has a time, and whether the last one is the machine's rest.
    fn events(&mut self) -> (usize, Option<LooseTime>, bool) {
        let entries = self.entries("events");
        let newest = entries.last().and_then(|id| Record::at(self.source, *id));
        let rested = newest.is_some_and(|event| is_rest(&event));
        let last = entries.iter().rev().find_map(|id| {
            let event = Record::at(self.source, *id)?;
            let time = event.get("ts").or_else(|| event.get("date"))?;
            shape::loose_time(&time)
        });
        (entries.len(), last, rested)
    }

    /// The same record in two places contradicts itself sooner or later (incident 14).
    fn warn_about_twins(&mut self, lists: &[&[RunView]; 3]) {
        let mut seen: BTreeMap<Ids<'_>, (&str, usize)> = BTreeMap::new();
        let mut twins = Vec::new();
        for (list, runs) in RUN_LISTS.into_iter().zip(lists) {
            for run in *runs {
                let ids = (run.key.run_id.as_deref(), run.key.job_id.as_deref());
                if ids == (None, None) {
                    continue;
                }
                let Some((first, line)) = seen.get(&ids) else {
                    seen.insert(ids, (list, run.line));
                    continue;
                };
                let words = run.key.identity().words();
                let message = format!("{words} stands in {first} too, in line {line}");
                twins.push((list, run.index, message));
            }
        }
        for (list, index, message) in twins {
            let entry = self
                .source
                .top(list)
                .and_then(|id| self.source.tree.children(id).nth(index));
            self.warn(
                entry.unwrap_or(Tree::ROOT),
                format!("{list}[{index}]"),
                message,
            );
        }
    }
}
