//! One rule per phase: what a single readable project does next, or why it does nothing.

use ralph_docs::queue::{QueueItem, QueueSection};

use crate::order::{OrderKind, WorkOrder};
use crate::phase::Phase;
use crate::pipeline::RunStatus;
use crate::plan::{Context, PassedBecause, PassedOver, Precedence, ProjectStep, Step, backoff};
use crate::time::{Timestamp, stamp};
use crate::world::{ClusterReach, Facts, Observations, is_due};

/// Set by the machine while no SSH session is open; cleared by the machine when one is.
pub const SET_BY_SESSION: &str = "ralph:session";
/// Set by the machine while an item cannot be submitted as it is; followed by the item's id.
pub const SET_BY_PREFLIGHT: &str = "ralph:preflight:";

/// The next step of a project, in the order DEBUG, CHECK/POLL, TEST, RUN, IMPLEMENT, DEBATE, IDLE.
///
/// # Errors
/// The reason why there is no step.
pub fn next_step(
    facts: &Facts,
    seen: &Observations,
    context: &Context<'_>,
) -> Result<ProjectStep, PassedOver> {
    let rule = Rule {
        facts,
        seen,
        context,
    };
    rule.pending_input()?;
    match facts.phase() {
        Phase::External(text) => Err(rule.external(text)),
        Phase::Debug => rule.debug(),
        Phase::WaitSlurm => rule.wait(),
        Phase::Check => rule.check(),
        Phase::Test => Ok(rule.test()),
        Phase::Run => rule.run(),
        Phase::Init => rule.init(),
        Phase::Implement => Ok(rule.implement()),
        Phase::Debate => Ok(rule.debate()),
        Phase::Done => rule.done(),
        Phase::Idle => Err(rule.pass(
            PassedBecause::Nothing,
            "the project is idle; set a phase to start it",
        )),
    }
}

/// Completed runs whose queue item still stands as in progress, as (run id, item id).
#[must_use]
pub fn unchecked(facts: &Facts) -> Vec<(String, String)> {
    let completed = facts.view.completed_runs.iter();
    completed
        .filter(|run| !matches!(run.status, RunStatus::Live))
        .filter_map(|run| Some((run.key.run_id.clone()?, run.queue_id.clone()?)))
        .filter(|(run, id)| {
            facts.item(id).is_some_and(|item| {
                item.section == QueueSection::InProgress
                    && item.run.as_ref().is_none_or(|stated| stated == run)
            })
        })
        .collect()
}

/// The first READY item whose predecessors are done.
#[must_use]
pub fn ready_item(facts: &Facts) -> Option<&QueueItem> {
    facts.queue.iter().find(|item| {
        item.section == QueueSection::Ready
            && facts.item(&item.id).is_some()
            && waits_for(facts, item).is_none()
    })
}

/// The first item that must be done before this one and is not.
#[must_use]
pub fn waits_for<'a>(facts: &Facts, item: &'a QueueItem) -> Option<&'a str> {
    let done = |id: &str| {
        facts
            .item(id)
            .is_some_and(|before| before.section == QueueSection::Done)
    };
    item.after.iter().map(String::as_str).find(|id| !done(id))
}

/// How often the item was submitted before, from the runs that name it.
#[must_use]
pub fn attempts(facts: &Facts, id: &str) -> u32 {
    let runs = facts
        .view
        .active_runs
        .iter()
        .chain(&facts.view.completed_runs);
    let count = runs
        .filter(|run| {
            run.queue_id
                .as_deref()
                .is_some_and(|q| q.eq_ignore_ascii_case(id))
        })
        .count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Under which name [`crate::world::Sightings`] remembers that the scheduler's limit refused an item.
#[must_use]
pub fn limit_key(id: &str) -> String {
    format!("limit:{id}")
}

/// Whether a todo item is open and next.
fn open_task(facts: &Facts) -> Option<&ralph_docs::todo::Task> {
    facts
        .tasks
        .iter()
        .find(|task| task.ready && !task.done && !is_placeholder(&task.text))
}

fn is_placeholder(text: &str) -> bool {
    let text = text.trim();
    text.is_empty() || (text.starts_with('<') && text.ends_with('>'))
}

/// Where a project goes when nothing keeps it in its phase: finished runs, live runs, READY items, open
/// tasks, else its end.
#[must_use]
pub fn onward(facts: &Facts) -> Phase {
    if !unchecked(facts).is_empty() {
        Phase::Check
    } else if facts.live_runs().next().is_some() || !facts.intents.is_empty() {
        Phase::WaitSlurm
    } else if ready_item(facts).is_some() {
        Phase::Run
    } else if open_task(facts).is_some() {
        Phase::Implement
    } else if facts
        .queue
        .iter()
        .any(|item| matches!(item.section, QueueSection::Ready | QueueSection::Failed))
    {
        Phase::Idle
    } else {
        Phase::Done
    }
}

struct Rule<'a> {
    facts: &'a Facts,
    seen: &'a Observations,
    context: &'a Context<'a>,
}

impl Rule<'_> {
    fn step(&self, precedence: Precedence, because: impl Into<String>, step: Step) -> ProjectStep {
        let again = match (&step, &self.facts.order) {
            (Step::Order(order), Some(issued)) => issued.is_for(order) && issued.attempts == 0,
            _ => false,
        };
        ProjectStep {
            slug: self.facts.slug.clone(),
            precedence,
            because: because.into(),
            step,
            again,
        }
    }

    fn pass(&self, because: PassedBecause, reason: impl Into<String>) -> PassedOver {
        PassedOver {
            slug: self.facts.slug.clone(),
            because,
            reason: reason.into(),
            next_due: None,
        }
    }

    fn advance(&self, to: Phase, because: &str) -> ProjectStep {
        self.step(Precedence::Idle, because, Step::Advance { to })
    }

    /// Input that a person owes pauses stepping, not verification. What the machine asked about an item's
    /// preflight is looked at again each time: it is the condition that clears it.
    fn pending_input(&self) -> Result<(), PassedOver> {
        let input = &self.facts.view.needs_user_input;
        let rechecked = input
            .set_by
            .as_deref()
            .is_some_and(|by| by.starts_with(SET_BY_PREFLIGHT));
        if !input.value || (rechecked && *self.facts.phase() == Phase::Run) {
            return Ok(());
        }
        let prompt = input
            .prompt
            .as_deref()
            .map(str::trim)
            .filter(|prompt| !prompt.is_empty());
        Err(self.pass(
            PassedBecause::NeedsInput,
            prompt.unwrap_or("a person has to decide (no prompt given)"),
        ))
    }

    fn external(&self, text: &str) -> PassedOver {
        let live = self.facts.live_runs().count();
        let shown: String = text.chars().take(60).collect();
        let next_due = self.facts.next_poll(self.context.zone).filter(|_| live > 0);
        let reason = match live {
            0 => format!("the phase is not one that ralph steps: {shown}"),
            _ => format!(
                "the phase is not one that ralph steps: {shown}; {live} live runs are verified"
            ),
        };
        PassedOver {
            next_due,
            ..self.pass(PassedBecause::External, reason)
        }
    }

    fn debug(&self) -> Result<ProjectStep, PassedOver> {
        let Some(entry) = self
            .facts
            .debugging
            .iter()
            .find(|entry| entry.open && entry.key.is_some())
        else {
            let other = self.facts.debugging.iter().find(|entry| entry.open);
            return match other {
                Some(entry) => Ok(self.order(
                    OrderKind::Debug,
                    entry.id.as_deref().unwrap_or(&entry.title),
                    &entry.title,
                )),
                None => Ok(self.advance(self.after_debug(), "every debugging entry is resolved")),
            };
        };
        let target = entry.key.as_deref().unwrap_or(&entry.title);
        Ok(self.order(OrderKind::Debug, target, &entry.title))
    }

    /// DEBUG leads on to RUN where an item is ready, else to IMPLEMENT: only a person's or an agent's change
    /// can have resolved the entry.
    fn after_debug(&self) -> Phase {
        match onward(self.facts) {
            Phase::Done | Phase::Idle => Phase::Implement,
            phase => phase,
        }
    }

    fn wait(&self) -> Result<ProjectStep, PassedOver> {
        let unchecked = unchecked(self.facts);
        if !unchecked.is_empty() {
            return Ok(self.check_step(unchecked));
        }
        let live = self.facts.live_runs().count();
        if live == 0 && self.facts.intents.is_empty() {
            return Ok(self.advance(Phase::Check, "no live run is left"));
        }
        let wait = &self.facts.view.slurm_wait;
        if !is_due(wait.next_poll_after, self.context.now, self.context.zone) {
            return Err(self.waiting(live));
        }
        if let ClusterReach::Failed(error) = &self.seen.cluster {
            return Err(self.pass(PassedBecause::ClusterUnreachable, error.to_string()));
        }
        if self.facts.tracked_runs().next().is_none() && self.facts.intents.is_empty() {
            return Err(self.pass(
                PassedBecause::Waiting,
                format!("{live} live runs name no job that could be asked about"),
            ));
        }
        Ok(self.step(Precedence::Check, "a poll is due", Step::Poll))
    }

    fn waiting(&self, live: usize) -> PassedOver {
        let next_due = self.facts.next_poll(self.context.zone);
        let when = next_due.map_or_else(
            || "later".to_owned(),
            |at: Timestamp| format!("at {}", stamp(at)),
        );
        PassedOver {
            next_due,
            ..self.pass(
                PassedBecause::Waiting,
                format!("{live} live runs; the next poll is due {when}"),
            )
        }
    }

    fn check_step(&self, runs: Vec<(String, String)>) -> ProjectStep {
        let because = format!("{} finished", plural(runs.len(), "run"));
        self.step(Precedence::Check, because, Step::Check { runs })
    }

    fn check(&self) -> Result<ProjectStep, PassedOver> {
        let unchecked = unchecked(self.facts);
        if !unchecked.is_empty() {
            return Ok(self.check_step(unchecked));
        }
        Ok(self.advance(onward(self.facts), "no finished run is left to check"))
    }

    fn test(&self) -> ProjectStep {
        match &self.context.settings.test_command {
            Some(command) => self.step(
                Precedence::Test,
                "the tests are next",
                Step::Test(command.clone()),
            ),
            None => self.order(OrderKind::Test, "TEST", "run the project's tests"),
        }
    }

    fn run(&self) -> Result<ProjectStep, PassedOver> {
        let unchecked = unchecked(self.facts);
        if !unchecked.is_empty() {
            return Ok(self.check_step(unchecked));
        }
        if !self.facts.intents.is_empty() {
            return Err(self.pass(PassedBecause::Waiting, "a submission is not settled yet"));
        }
        let Some(item) = ready_item(self.facts) else {
            return Ok(self.advance(onward(self.facts), "no READY item can be submitted"));
        };
        // A limit of the scheduler is no failure: the item stays READY and is tried again later (incident 37).
        let limited = self.facts.sightings.entries.get(&limit_key(&item.id));
        if let Some(until) =
            limited.map(|seen| backoff::after_limit(seen, &self.context.settings.poll))
            && until > self.context.now
        {
            let reason = format!(
                "{} waits for the scheduler's limit until {}",
                item.id,
                stamp(until)
            );
            return Err(PassedOver {
                next_due: Some(until),
                ..self.pass(PassedBecause::Waiting, reason)
            });
        }
        if let ClusterReach::Failed(error) = &self.seen.cluster {
            return Err(self.pass(PassedBecause::ClusterUnreachable, error.to_string()));
        }
        match item.id.parse() {
            Ok(id) => Ok(self.step(
                Precedence::Run,
                format!("{} is the first READY item", item.id),
                Step::Submit {
                    item: id,
                    attempt: attempts(self.facts, &item.id) + 1,
                },
            )),
            Err(error) => Err(self.pass(
                PassedBecause::NeedsInput,
                format!("documentation/queue.md:{}: {error}", item.line),
            )),
        }
    }

    fn init(&self) -> Result<ProjectStep, PassedOver> {
        let planned = open_task(self.facts).is_some() || ready_item(self.facts).is_some();
        if !planned {
            return Err(self.pass(
                PassedBecause::NeedsInput,
                "a fresh project: write documentation/implementation-todo.md and documentation/queue.md",
            ));
        }
        Ok(self.advance(Phase::Implement, "the project has tasks or experiments"))
    }

    fn implement(&self) -> ProjectStep {
        match open_task(self.facts) {
            Some(task) => {
                let target = task.id.as_deref().unwrap_or(&task.text);
                self.order(OrderKind::Implement, target, &task.text)
            }
            None => self.advance(Phase::Test, "every task is done"),
        }
    }

    fn debate(&self) -> ProjectStep {
        let question = match &self.facts.view.next_action {
            crate::pipeline::NextAction::Text(text) => Some(text.clone()),
            crate::pipeline::NextAction::Action {
                hint,
                reason,
                command,
            } => hint
                .clone()
                .or_else(|| reason.clone())
                .or_else(|| command.clone()),
            crate::pipeline::NextAction::None => None,
        };
        let question = question.unwrap_or_else(|| "what should be tried next, and why".to_owned());
        self.order(OrderKind::Debate, &question, &question)
    }

    fn done(&self) -> Result<ProjectStep, PassedOver> {
        match onward(self.facts) {
            Phase::Done | Phase::Idle => {
                Err(self.pass(PassedBecause::Nothing, "the project is done"))
            }
            phase => Ok(self.advance(phase, "there is something new to do")),
        }
    }

    fn order(&self, kind: OrderKind, target: &str, title: &str) -> ProjectStep {
        let precedence = match kind {
            OrderKind::Debug => Precedence::Debug,
            OrderKind::Test => Precedence::Test,
            OrderKind::Implement => Precedence::Implement,
            OrderKind::Debate => Precedence::Debate,
        };
        let order = work_order(self.facts, kind, target, title);
        let because = format!("{} waits for a person or an agent", order.title);
        self.step(precedence, because, Step::Order(order))
    }
}

fn work_order(facts: &Facts, kind: OrderKind, target: &str, title: &str) -> WorkOrder {
    let (instructions, read, done_when): (&str, &[&str], &str) = match kind {
        OrderKind::Implement => (
            "Implement this one item of documentation/implementation-todo.md, completely and nothing else.",
            &[
                "documentation/implementation-todo.md",
                "documentation/queue.md",
            ],
            "its checkbox is ticked in documentation/implementation-todo.md",
        ),
        OrderKind::Debug => (
            "Find the root cause of this failure and mend it. The entry names the logs, the key line and the run. \
             When the experiment should run again, move its item back to READY in documentation/queue.md.",
            &["documentation/debugging.md"],
            "the entry's checkbox is ticked in documentation/debugging.md",
        ),
        OrderKind::Test => (
            "Run the project's tests and mend what fails. No `test_command` is configured in .claude/ralph/config.json.",
            &["documentation/implementation-todo.md"],
            "phase is RUN in .state/pipeline.json",
        ),
        OrderKind::Debate => (
            "Argue this question out and write the decision with its reasons to documentation/debates.md.",
            &[
                "documentation/debates.md",
                "documentation/queue.md",
                "results/summary.md",
            ],
            "phase is IMPLEMENT or RUN in .state/pipeline.json",
        ),
    };
    WorkOrder {
        schema_version: 1,
        kind,
        project: facts.slug.clone(),
        target: target.to_owned(),
        title: title.to_owned(),
        instructions: instructions.to_owned(),
        read: read.iter().map(|path| (*path).to_owned()).collect(),
        done_when: done_when.to_owned(),
    }
}

/// `1 run`, `2 runs`.
#[must_use]
pub fn plural(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}
