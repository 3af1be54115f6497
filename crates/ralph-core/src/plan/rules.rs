//! One rule per phase: what a single readable project does next, or why it does nothing.

use ralph_docs::quote::unescape;

use crate::job::Sighting;
use crate::order::OrderKind;
use crate::phase::Phase;
use crate::pipeline::NextAction;
use crate::plan::items::{
    attempts, limit_key, onward, open_task, ready_item, unanswered, unchecked, unread_tasks,
};
use crate::plan::orders::work_order;
use crate::plan::untracked::blocking;
use crate::plan::{
    Context, PassedBecause, PassedOver, Precedence, ProjectStep, Step, backoff, rest,
};
use crate::settings::AgentChoice;
use crate::time::{Timestamp, stamp};
use crate::words::plural;
use crate::world::{ClusterReach, Facts, Observations, is_due};

/// Set by the machine while no SSH session is open; cleared by the machine when one is.
pub(crate) const SET_BY_SESSION: &str = "ralph:session";
/// Set by the machine while an item cannot be submitted as it is; followed by the item's id.
pub(crate) const SET_BY_PREFLIGHT: &str = "ralph:preflight:";
/// Set by the machine when the scheduler refused an item; followed by the item's id and what was refused of it.
pub(crate) const SET_BY_REFUSAL: &str = "ralph:refused:";

/// The next step of a project, in the order DEBUG, CHECK/POLL, TEST, RUN, IMPLEMENT, DEBATE, IDLE. The order is
/// derived from all facts, not from the phase alone: a finished run is checked in every phase but EXTERNAL.
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
    if let Some(unread) = &facts.view.unread_runs {
        return Err(rule.pass(PassedBecause::NeedsInput, unread));
    }
    match facts.phase() {
        Phase::External(text) => return Err(rule.external(text)),
        Phase::Debug => return rule.debug(),
        _ => {}
    }
    if let Some(check) = rule.finished() {
        return Ok(check);
    }
    rule.in_the_books()?;
    match facts.phase() {
        Phase::WaitSlurm => rule.wait(),
        Phase::Check => Ok(rule.advance(onward(facts), "no finished run is left to check")),
        Phase::Test => rule.test(),
        Phase::Run => rule.run(),
        Phase::Init => rule.init(),
        Phase::Implement => rule.implement(),
        Phase::Debate => rule.debate(),
        Phase::Done => rule.done(),
        Phase::Idle | Phase::Debug | Phase::External(_) => rule.idle(),
    }
}

/// Whether the machine asked about an item and looks at it again by itself.
fn is_looked_at_again(facts: &Facts) -> bool {
    let asked_by = facts.view.needs_user_input.set_by.as_deref();
    let about_an_item =
        |by: &str| by.starts_with(SET_BY_PREFLIGHT) || by.starts_with(SET_BY_REFUSAL);
    *facts.phase() == Phase::Run && asked_by.is_some_and(about_an_item)
}

struct Rule<'a> {
    facts: &'a Facts,
    seen: &'a Observations,
    context: &'a Context<'a>,
}

impl Rule<'_> {
    fn step(&self, precedence: Precedence, because: impl Into<String>, step: Step) -> ProjectStep {
        ProjectStep {
            slug: self.facts.slug.clone(),
            precedence,
            because: because.into(),
            again: self.was_handed_out(&step),
            step,
        }
    }

    /// Only a caller is handed an order; an agent is sent, which is a step each time.
    fn was_handed_out(&self, step: &Step) -> bool {
        let to_caller = self.context.settings.agent == AgentChoice::Caller;
        match (step, &self.facts.order) {
            (Step::Order(order), Some(issued)) => {
                to_caller && issued.is_for(order) && issued.attempts == 0
            }
            _ => false,
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

    fn waiting_until(&self, until: Option<Timestamp>, reason: impl Into<String>) -> PassedOver {
        PassedOver {
            next_due: until,
            ..self.pass(PassedBecause::Waiting, reason)
        }
    }

    /// Who leaves the queue says what stays behind in it, and where it has just been the reason, not twice.
    fn advance(&self, to: Phase, because: &str) -> ProjectStep {
        let is_said = matches!(to, Phase::Run | Phase::Check) || because.contains("is held back");
        let line = if is_said { 0 } else { usize::MAX };
        let because = self.past_held(because, line);
        self.step(Precedence::Idle, because, Step::Advance { to })
    }

    /// The reason for a step that goes past items which the queue holds back, above this line.
    fn past_held(&self, because: &str, line: usize) -> String {
        match rest::held_back(self.facts, line) {
            Some(held) => format!("{because}; {held}"),
            None => because.to_owned(),
        }
    }

    /// Input that a person owes pauses stepping, not verification. What the machine asked about an item is looked at
    /// again each time: its mending is the condition that clears it.
    fn pending_input(&self) -> Result<(), PassedOver> {
        let input = &self.facts.view.needs_user_input;
        if !input.value || is_looked_at_again(self.facts) {
            return Ok(());
        }
        let prompt = input.prompt.as_deref().map(str::trim);
        let prompt = prompt.filter(|prompt| !prompt.is_empty());
        Err(self.pass(
            PassedBecause::NeedsInput,
            prompt.unwrap_or("a person has to decide (no prompt given)"),
        ))
    }

    fn external(&self, text: &str) -> PassedOver {
        let live = self.facts.live_runs().count();
        let mut shown: String = text.chars().take(60).collect();
        if text.chars().nth(60).is_some() {
            shown.push('…');
        }
        let next_due = self.facts.next_poll(self.context.zone).filter(|_| live > 0);
        let reason = match live {
            0 => format!("the phase is not one that ralph steps: {shown}"),
            _ => format!(
                "the phase is not one that ralph steps: {shown}; {} verified",
                match live {
                    1 => "1 live run is".to_owned(),
                    _ => format!("{live} live runs are"),
                }
            ),
        };
        PassedOver {
            next_due,
            ..self.pass(PassedBecause::External, reason)
        }
    }

    /// What the machine brought to rest goes on when something has changed; what a person set to rest, rests.
    fn idle(&self) -> Result<ProjectStep, PassedOver> {
        let onward = onward(self.facts);
        if self.facts.view.rested && !matches!(onward, Phase::Idle | Phase::Done) {
            let because = match ready_item(self.facts) {
                Some(item) => format!("{} can be submitted now", item.id),
                None => "there is something new to do".to_owned(),
            };
            return Ok(self.advance(onward, &because));
        }
        let reason = match ready_item(self.facts) {
            Some(item) => format!("the phase is IDLE; set it to RUN to submit {}", item.id),
            None if onward == Phase::Idle => rest::why_at_rest(self.facts),
            None => "no item is READY; add one in documentation/queue.md and set the phase to RUN"
                .to_owned(),
        };
        let lives = self.facts.live_runs().next().is_some();
        Err(PassedOver {
            next_due: self.facts.next_poll(self.context.zone).filter(|_| lives),
            ..self.pass(PassedBecause::Nothing, reason)
        })
    }

    /// The entries that the project waits for: the machine's own first, since they name a run. While a caller works
    /// on the order, finished runs are checked.
    fn debug(&self) -> Result<ProjectStep, PassedOver> {
        let open = || {
            let entries = self.facts.debugging.iter();
            entries.filter(|entry| entry.open && entry.blocking)
        };
        let entry = open()
            .find(|entry| entry.key.is_some())
            .or_else(|| open().next());
        let Some(entry) = entry else {
            return Ok(self.finished().unwrap_or_else(|| {
                self.advance(
                    self.after_debug(),
                    "no blocking entry of documentation/debugging.md is open",
                )
            }));
        };
        let named = entry.key.as_deref().or(entry.id.as_deref());
        let order = self.order(
            OrderKind::Debug,
            named.unwrap_or(&entry.title),
            // For people, not for the document.
            &unescape(&entry.title),
        )?;
        Ok(self.finished().filter(|_| order.again).unwrap_or(order))
    }

    /// DEBUG leads on to RUN where an item is ready, else to IMPLEMENT: only a person's or an agent's change
    /// can have resolved the entry.
    fn after_debug(&self) -> Phase {
        match onward(self.facts) {
            Phase::Done | Phase::Idle => Phase::Implement,
            phase => phase,
        }
    }

    /// A job that only a sentence has may be that of the next item, and to go on would write over its only trace.
    fn in_the_books(&self) -> Result<(), PassedOver> {
        match blocking(self.facts) {
            Some(job) => Err(self.pass(PassedBecause::NeedsInput, job.advice(self.facts))),
            None => Ok(()),
        }
    }

    fn finished(&self) -> Option<ProjectStep> {
        let runs = unchecked(self.facts);
        if runs.is_empty() {
            return None;
        }
        let because = format!("{} finished", plural(runs.len(), "run"));
        Some(self.step(Precedence::Check, because, Step::Check { runs }))
    }

    fn wait(&self) -> Result<ProjectStep, PassedOver> {
        let live = self.facts.live_runs().count();
        if live == 0 && self.facts.unsettled() == 0 {
            return Ok(self.advance(Phase::Check, "no live run is left"));
        }
        let wait = &self.facts.view.slurm_wait;
        if !is_due(wait.next_poll_after, self.context.now, self.context.zone) {
            let due = self.facts.next_poll(self.context.zone);
            let when = due.map_or_else(|| "later".to_owned(), |at| format!("at {}", stamp(at)));
            let reason = format!("{}; the next poll is due {when}", plural(live, "live run"));
            return Err(self.waiting_until(due, reason));
        }
        if self.facts.tracked_runs().next().is_none() && self.facts.unsettled() == 0 {
            let reason = format!(
                "no job that could be asked about is named by {}; write its `job_id` into active_runs of .state/pipeline.json",
                plural(live, "live run")
            );
            return Err(self.pass(PassedBecause::Waiting, reason));
        }
        self.reached()?;
        Ok(self.step(Precedence::Check, "a poll is due", Step::Poll))
    }

    /// Whether the cluster answered for all jobs of the project: what could not be asked changes nothing, so such a
    /// poll stays due.
    fn reached(&self) -> Result<(), PassedOver> {
        if let ClusterReach::Failed(error) = &self.seen.cluster {
            return Err(self.pass(PassedBecause::ClusterUnreachable, error.to_string()));
        }
        let jobs = self.facts.tracked_runs().flat_map(|(_, jobs)| jobs);
        for job in jobs {
            if let Some(Sighting::Unknown { why }) = self.seen.jobs.get(&job).map(|o| &o.sighting) {
                let reason = format!("job {job} could not be asked about: {why}");
                return Err(self.pass(PassedBecause::ClusterUnreachable, reason));
            }
        }
        Ok(())
    }

    fn test(&self) -> Result<ProjectStep, PassedOver> {
        match &self.context.settings.test_command {
            Some(command) => {
                let test = Step::Test(command.clone());
                Ok(self.step(Precedence::Test, "the tests are next", test))
            }
            None => self.order(OrderKind::Test, "TEST", "run the project's tests"),
        }
    }

    fn run(&self) -> Result<ProjectStep, PassedOver> {
        if self.facts.unsettled() > 0 {
            return Err(self.waiting_until(
                None,
                "a submission is not settled yet; the next dispatch looks for its job",
            ));
        }
        let Some(item) = ready_item(self.facts) else {
            let to = onward(self.facts);
            return match unanswered(self.facts) {
                Some(reason) if to == Phase::Run => {
                    Err(self.pass(PassedBecause::NeedsInput, reason))
                }
                _ => Ok(self.advance(to, &rest::why_none_is_ready(self.facts))),
            };
        };
        // A limit of the scheduler is no failure: the item stays READY and is tried again later (incident 37).
        let limited = self.facts.sightings.entries.get(&limit_key(&item.id));
        if let Some(until) =
            limited.map(|seen| backoff::after_limit(seen, &self.context.settings.poll))
            && until > self.context.now
        {
            let reason = format!("{} waits for a limit until {}", item.id, stamp(until));
            return Err(self.waiting_until(Some(until), reason));
        }
        if let ClusterReach::Failed(error) = &self.seen.cluster {
            return Err(self.pass(PassedBecause::ClusterUnreachable, error.to_string()));
        }
        let id = item.id.parse().map_err(|error| {
            let reason = format!("documentation/queue.md:{}: {error}", item.line);
            self.pass(PassedBecause::NeedsInput, reason)
        })?;
        let attempt = attempts(self.facts, &item.id) + 1;
        let submit = Step::Submit { item: id, attempt };
        // An item that was found wanting before must not keep the others from their turn.
        if self.facts.view.needs_user_input.value {
            let because = format!("{} is looked at again", item.id);
            return Ok(self.step(Precedence::Recheck, because, submit));
        }
        let because = format!("{} is the first READY item", item.id);
        let because = self.past_held(&because, item.line);
        Ok(self.step(Precedence::Run, because, submit))
    }

    fn init(&self) -> Result<ProjectStep, PassedOver> {
        if open_task(self.facts).is_none() && ready_item(self.facts).is_none() {
            return Err(self.pass(
                PassedBecause::NeedsInput,
                "a fresh project: write documentation/implementation-todo.md and documentation/queue.md",
            ));
        }
        Ok(self.advance(Phase::Implement, "the project has tasks or experiments"))
    }

    fn implement(&self) -> Result<ProjectStep, PassedOver> {
        match open_task(self.facts) {
            Some(task) => {
                let target = task.id.as_deref().unwrap_or(&task.text);
                self.order(OrderKind::Implement, target, &task.text)
            }
            None => match unread_tasks(self.facts) {
                Some(reason) => Err(self.pass(PassedBecause::NeedsInput, reason)),
                None => Ok(self.advance(Phase::Test, "every task is done")),
            },
        }
    }

    /// The question is what a person wrote as the next action; one that was handed out stays the question.
    fn debate(&self) -> Result<ProjectStep, PassedOver> {
        let issued = self.facts.order.as_ref();
        let issued = issued.filter(|issued| issued.kind == OrderKind::Debate);
        let question = issued.map(|issued| issued.target.clone()).or_else(|| {
            match self.facts.view.next_action.clone() {
                NextAction::Text(text) => Some(text),
                NextAction::Action {
                    hint,
                    reason,
                    command,
                } => hint.or(reason).or(command),
                NextAction::None => None,
            }
        });
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

    fn order(&self, kind: OrderKind, target: &str, title: &str) -> Result<ProjectStep, PassedOver> {
        let precedence = match kind {
            OrderKind::Debug => Precedence::Debug,
            OrderKind::Test => Precedence::Test,
            OrderKind::Implement => Precedence::Implement,
            OrderKind::Debate => Precedence::Debate,
        };
        let order = work_order(self.facts, kind, target, title);
        let issued = self.facts.order.as_ref();
        let issued = issued.filter(|issued| issued.is_for(&order));
        // The account's limit is no failure of the work: nobody is sent until it resets.
        if let Some(until) = issued
            .and_then(|issued| issued.not_before)
            .filter(|until| *until > self.context.now)
            && self.context.settings.agent != AgentChoice::Caller
        {
            let reason = format!("the agent's usage limit resets at {}", stamp(until));
            return Err(self.waiting_until(Some(until), reason));
        }
        let because = format!("{} waits for a person or an agent", order.title);
        Ok(self.step(precedence, because, Step::Order(order)))
    }
}
