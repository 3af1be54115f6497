//! What a loop works with: the repositories, the plan, the agent, the budget. Built by the binary, handed in whole.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZone;
use ralph_core::env::Env;
use ralph_core::process::Identity;
use ralph_core::process::guard::GuardProgram;

use tokio::sync::watch;

use super::brakes::Brakes;
use super::line::Line;
use super::returning::Returns;
use super::schedule::Stop;
use super::tracked::PlanState;
use crate::account::AccountGate;
use crate::agent::Limits;
use crate::attempt::Attempts;
use crate::budget::Budget;
use crate::delivery::Deliverer;
use crate::engine::Engine;
use crate::event::{Event, Sink};
use crate::gates::Gates;
use crate::git::Git;
use crate::git::refs::Base;
use crate::integrate::Integrator;
use crate::outcome::Outcome;
use crate::plan::PlanFile;
use crate::prompt::History;
use crate::record::{AttemptLine, Records};
use crate::redact::Redactor;
use crate::run::LoopLock;
use crate::task::TaskKey;
use crate::worktree::{Prepared, WorktreeError, Worktrees};

/// A repository that attempts work in.
#[derive(Debug)]
pub struct Site {
    /// Its name in a workspace plan; `None` in the plan of a single repository.
    pub name: Option<String>,
    /// Its name for people: that of its folder.
    pub label: String,
    /// The repository.
    pub git: Git,
    /// The branch that work starts from and goes to.
    pub base: Base,
    /// Its worktrees.
    pub worktrees: Worktrees,
    /// Worktrees that nobody works in; what lies in them is no work.
    pub spares: Mutex<Vec<Prepared>>,
    /// Puts work onto the base.
    pub integrator: Arc<Integrator>,
    /// Works that wait for the base.
    pub(crate) line: Line,
    /// Its own checks.
    pub gates: Gates,
    /// Pushes and opens pull requests; `None` where work goes onto the base here.
    pub delivery: Option<Deliverer>,
    /// The plan as the repository tracks it, from the top of the work tree; `None` where it does not.
    pub tracked_plan: Option<String>,
    /// The lock of its own loop, which is held in a workspace, too; in a single repository the caller holds it.
    pub held: Option<LoopLock>,
    /// What the user's checkout had of it last.
    pub(crate) plan_state: Mutex<PlanState>,
}

impl Site {
    pub(super) fn plan_state(&self) -> PlanState {
        *self
            .plan_state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_plan_state(&self, state: PlanState) {
        *self
            .plan_state
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// A worktree that another attempt has left, if there is one.
    pub(crate) fn spare(&self) -> Option<Prepared> {
        self.lock().pop()
    }

    /// Keeps a worktree for the next attempt.
    pub(crate) fn put_by(&self, spare: Option<Prepared>) {
        self.lock().extend(spare);
    }

    /// Removes the worktrees that nobody needs any more, and their folder.
    pub(crate) async fn close(&self) -> Result<(), WorktreeError> {
        let spares = std::mem::take(&mut *self.lock());
        for spare in spares {
            self.worktrees.discard(spare).await?;
        }
        self.worktrees.close();
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Prepared>> {
        self.spares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The knobs of the pool.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// The run, for records.
    pub run: String,
    /// Agents at once.
    pub workers: usize,
    /// Attempts altogether, if they are bounded.
    pub attempts: Option<u64>,
    /// Attempts per task.
    pub task_attempts: u32,
    /// Pause before a freed worker takes its next task.
    pub respawn_delay: Duration,
    /// Whether other loops take part in the budget.
    pub is_budget_shared: bool,
    /// The only task, if one was named.
    pub task: Option<String>,
    /// The repositories of a workspace plan to take tasks of.
    pub repositories: Option<BTreeSet<String>>,
    /// How long agents may run.
    pub limits: Limits,
    /// The user's prompt, if there is one.
    pub prompt: Option<String>,
    /// Agents per hour; `None` for any number.
    pub calls_per_hour: Option<u32>,
    /// The folder of a workspace plan; pull requests take their footer from there.
    pub workspace_root: Option<PathBuf>,
    /// How often, and with which pauses, a delivery that failed is tried again.
    pub delivery_retries: Vec<Duration>,
}

/// Everything that a loop works with.
pub struct Shop {
    /// Clock and ids.
    pub env: Env,
    /// This process.
    pub owner: Identity,
    /// The knobs.
    pub settings: PoolSettings,
    /// The plan.
    pub plan: Arc<PlanFile>,
    /// The repositories, by their names in a workspace plan.
    pub sites: BTreeMap<Option<String>, Arc<Site>>,
    /// The agent.
    pub engine: Arc<dyn Engine>,
    /// What agents are started through.
    pub guard: GuardProgram,
    /// Slots and attempts.
    pub budget: Arc<Budget>,
    /// The account's gate.
    pub account: Arc<AccountGate>,
    /// What readers see.
    pub records: Records,
    /// Attempts that are not over.
    pub attempts: Attempts,
    /// `.ralph`.
    pub folder: PathBuf,
    /// The local time zone, for times that agents print without one.
    pub zone: TimeZone,
    /// What is masked in logs.
    pub redactor: Redactor,
    /// When the loop stops by itself.
    pub brakes: RefCell<Brakes>,
    /// What became of earlier attempts, for prompts.
    pub history: RefCell<BTreeMap<TaskKey, History>>,
    /// The task that was named, once it was taken in this run: its name may fit another one when it is done.
    pub named: OnceCell<TaskKey>,
    /// Pull requests of an earlier loop's attempts that were made at the start of this one.
    pub recovered_pull_requests: RefCell<Vec<String>>,
    /// Ended attempts that give their worktrees back in a moment.
    pub(crate) returns: Returns,
    /// How far the loop was told to stop.
    pub stop: watch::Receiver<Stop>,
    /// Where events go.
    pub sink: Arc<dyn Sink>,
}

impl Shop {
    /// Tells an event.
    pub fn tell(&self, event: &Event) {
        self.sink.event(event);
    }

    /// Tells a thing that a person should know.
    pub fn note(&self, message: impl Into<String>) {
        self.tell(&Event::Note {
            message: message.into(),
        });
    }

    /// Keeps for the next attempt at a task what became of this one, and what its failed checks printed.
    pub(super) fn remember(&self, line: &AttemptLine, printed: Option<String>) {
        if line.outcome == Outcome::Done {
            return;
        }
        let words = format!(
            "attempt {}: {}{}",
            line.number,
            line.outcome,
            line.reason
                .as_ref()
                .map_or_else(String::new, |reason| format!(": {reason}"))
        );
        let mut all = self.history.borrow_mut();
        let history = all.entry(line.task_key.clone()).or_default();
        history.attempts.push(words);
        if printed.is_some() {
            history.printed = printed;
        }
    }

    /// Takes an attempt into account; the answer is why the loop stops, if it does.
    pub(crate) fn brake(&self, line: &AttemptLine, halt: Option<String>) -> Option<String> {
        let open = self.brakes.borrow_mut().ended(line, self.env.now());
        match open {
            Ok(open) => halt.or(open),
            Err(error) => {
                self.note(error.to_string());
                halt
            }
        }
    }

    /// The local time.
    pub(crate) fn now_here(&self) -> jiff::Zoned {
        self.env.now().to_zoned(self.zone.clone())
    }

    /// The repository of a task.
    #[must_use]
    pub fn site(&self, repository: Option<&str>) -> Option<&Arc<Site>> {
        self.sites.get(&repository.map(str::to_owned))
    }
}
