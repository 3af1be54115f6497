//! What the pool does next. Pure: things happen, actions come out, nothing is waited for here.
//!
//! A worker that is free starts an attempt that was made ready beforehand, so that its next agent begins at once;
//! checks and delivery of the last one go on beside it, as far as the bounds allow that.

use std::collections::{BTreeMap, BTreeSet};

use crate::task::TaskKey;

/// Worktrees a worker, as long as nobody is free: the one it works in, and one that is ready or comes back in a moment. Each
/// further one would have to be brought onto the base as well.
const PLACES: usize = 2;

/// What bounds the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Agents at once.
    pub workers: usize,
    /// Attempts that are made ready beyond the free workers.
    pub ahead: usize,
    /// Attempts that are made ready at once.
    pub preparing: usize,
    /// Ended attempts whose work may wait for checks and delivery, before nothing new starts: what they hold is disk.
    pub unfinished: usize,
    /// How often a task is tried in a run.
    pub task_attempts: u32,
}

/// How far the loop was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Stop {
    /// It was not.
    #[default]
    Run,
    /// What runs is finished, nothing starts.
    Drain,
    /// Agents are ended.
    Now,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Ask whether an agent may start: slot, account, calls of the hour.
    Ask,
    /// Start the oldest ready attempt on this worker.
    Start {
        /// Which, from 1.
        worker: usize,
    },
    /// Make an attempt ready.
    Prepare,
    /// Give the ready attempts back.
    Release,
    /// Everything is over.
    End,
}

/// What came of making an attempt ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prepared {
    /// It is ready.
    Ready,
    /// The plan has no task for us now.
    NothingOpen,
    /// It is ready, and its task was skip-listed meanwhile: it is given back.
    Unwanted,
    /// It could not be made ready; the task is not lost.
    Failed,
}

/// What came of asking whether an agent may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// It may; a slot is held and an attempt reserved.
    Granted,
    /// All attempts are spent.
    Exhausted,
    /// Not now, or never: the reason was told otherwise.
    Withheld,
}

/// What the end of an attempt means for its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It is done with.
    Settled,
    /// It counts as tried.
    Tried,
    /// It was not really tried: a limit, a signal.
    Untried,
    /// Only a person can go on.
    NeedsPerson,
}

/// The state of the pool.
#[derive(Debug)]
pub struct Schedule {
    bounds: Bounds,
    free: BTreeSet<usize>,
    asking: bool,
    permitted: bool,
    ready: usize,
    preparing: usize,
    finishing: usize,
    releasing: usize,
    returning: usize,
    failures: BTreeMap<TaskKey, u32>,
    skip: BTreeSet<TaskKey>,
    drained: bool,
    starved: bool,
    exhausted: bool,
    stop: Stop,
    halted: Option<String>,
}

impl Schedule {
    /// An idle pool.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            free: (1..=bounds.workers).collect(),
            asking: false,
            permitted: false,
            ready: 0,
            preparing: 0,
            finishing: 0,
            releasing: 0,
            returning: 0,
            failures: BTreeMap::new(),
            skip: BTreeSet::new(),
            drained: false,
            starved: false,
            exhausted: false,
            stop: Stop::Run,
            halted: None,
        }
    }

    /// The next action, until there is none; what it says is counted as begun.
    pub fn next_action(&mut self) -> Option<Action> {
        if self.is_winding_up() {
            return self.wind_up();
        }
        if self.permitted
            && self.ready > 0
            && let Some(worker) = self.free.pop_first()
        {
            self.permitted = false;
            self.ready -= 1;
            return Some(Action::Start { worker });
        }
        if self.may_ask() {
            self.asking = true;
            return Some(Action::Ask);
        }
        if self.may_prepare() {
            self.preparing += 1;
            return Some(Action::Prepare);
        }
        (self.is_idle() && self.ready == 0 && self.is_out_of_work()).then_some(Action::End)
    }

    fn wind_up(&mut self) -> Option<Action> {
        if self.ready > 0 {
            self.releasing += self.ready;
            self.ready = 0;
            return Some(Action::Release);
        }
        self.is_idle().then_some(Action::End)
    }

    fn may_ask(&self) -> bool {
        !self.asking
            && !self.permitted
            && self.ready > 0
            && !self.free.is_empty()
            && self.finishing < self.bounds.unfinished
    }

    fn may_prepare(&self) -> bool {
        let (free, made) = (self.free.len(), self.preparing + self.ready);
        let places = self.running() + made + self.returning;
        !(self.drained || self.starved)
            && self.finishing < self.bounds.unfinished
            && self.preparing < self.bounds.preparing
            && made < free + self.bounds.ahead
            // Where nobody is free, a worktree that comes back in a moment is waited for.
            && (made < free || places < PLACES * self.bounds.workers)
    }

    /// Whether nothing is under way.
    fn is_idle(&self) -> bool {
        self.running() == 0
            && self.finishing == 0
            && self.preparing == 0
            && self.releasing == 0
            && !self.asking
    }

    fn is_out_of_work(&self) -> bool {
        self.drained && !self.starved
    }

    /// Whether nothing starts any more.
    fn is_winding_up(&self) -> bool {
        self.stop > Stop::Run || self.halted.is_some() || self.exhausted
    }

    /// Agents that run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.bounds.workers - self.free.len()
    }

    /// Whether a look at the plan or the budget in a while may find something: somebody has nothing to do.
    #[must_use]
    pub fn wants_another_look(&self) -> bool {
        !self.is_winding_up() && (self.drained || self.starved) && !self.free.is_empty()
    }

    /// Looks again: time has passed.
    pub fn look_again(&mut self) {
        self.drained = false;
        self.starved = false;
    }

    /// The answer to [`Action::Prepare`].
    pub fn prepared(&mut self, what: Prepared) {
        self.preparing = self.preparing.saturating_sub(1);
        match what {
            Prepared::Ready => self.ready += 1,
            Prepared::NothingOpen => self.drained = true,
            Prepared::Unwanted => self.releasing += 1,
            // What failed is tried again after a while, never at once.
            Prepared::Failed => self.starved = true,
        }
    }

    /// One of the attempts of [`Action::Release`] is given back.
    pub fn released(&mut self) {
        self.releasing = self.releasing.saturating_sub(1);
    }

    /// The answer to [`Action::Ask`].
    pub fn permission(&mut self, permission: Permission) {
        self.asking = false;
        self.permitted = permission == Permission::Granted;
        self.exhausted |= permission == Permission::Exhausted;
    }

    /// Whether a permission was granted that nothing uses any more; it is to be given back.
    pub fn take_unused_permission(&mut self) -> bool {
        self.is_winding_up() && std::mem::take(&mut self.permitted)
    }

    /// An agent has ended; its work is finished beside the next one. The worker stays taken until [`Self::freed`].
    pub fn agent_ended(&mut self) {
        self.finishing += 1;
    }

    /// A worker is free: its pause is over.
    pub fn freed(&mut self, worker: usize) {
        if (1..=self.bounds.workers).contains(&worker) {
            self.free.insert(worker);
        }
    }

    /// How many ended attempts give their worktrees back in a moment.
    pub fn returning(&mut self, count: usize) {
        self.returning = count;
    }

    /// An attempt is over. True when its task is not tried again in this run.
    pub fn finished(&mut self, task: &TaskKey, ended: Ended) -> bool {
        self.finishing = self.finishing.saturating_sub(1);
        self.look_again();
        match ended {
            Ended::Settled | Ended::Untried => false,
            Ended::NeedsPerson => self.skip.insert(task.clone()),
            Ended::Tried => {
                let failures = self.failures.entry(task.clone()).or_default();
                *failures += 1;
                *failures >= self.bounds.task_attempts && self.skip.insert(task.clone())
            }
        }
    }

    /// How often each task was tried and failed in this run.
    #[must_use]
    pub fn tries(&self) -> &BTreeMap<TaskKey, u32> {
        &self.failures
    }

    /// Attempts that have begun and are not over.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.running() + self.finishing
    }

    /// The tasks that are not tried again.
    #[must_use]
    pub fn skipped(&self) -> &BTreeSet<TaskKey> {
        &self.skip
    }

    /// A person said stop; a later word never weakens an earlier one.
    pub fn told_to_stop(&mut self, stop: Stop) {
        self.stop = self.stop.max(stop);
    }

    /// A breaker said stop: what runs is finished.
    pub fn halt(&mut self, reason: String) {
        self.halted.get_or_insert(reason);
    }

    /// Why it ended, in the words that readers of the replaced loop look for.
    #[must_use]
    pub fn reason(&self, attempts: Option<u64>) -> String {
        match (self.stop, &self.halted, self.exhausted, attempts) {
            (Stop::Drain | Stop::Now, ..) => "user interrupt".to_owned(),
            (Stop::Run, Some(reason), ..) => reason.clone(),
            (Stop::Run, None, true, Some(attempts)) => format!("target reached ({attempts})"),
            _ => "queue empty".to_owned(),
        }
    }

    /// Whether a person ended it.
    #[must_use]
    pub fn stopped(&self) -> Stop {
        self.stop
    }

    /// The breaker's word, if it spoke.
    #[must_use]
    pub fn halted(&self) -> Option<&str> {
        self.halted.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        workers: 3,
        ahead: 2,
        preparing: 2,
        unfinished: 4,
        task_attempts: 1,
    };

    fn key(number: u8) -> TaskKey {
        format!("{number:016x}").parse().expect("a key")
    }

    /// A world around the schedule: tasks, a budget, and random order of what ends when.
    #[derive(Debug, Default)]
    struct World {
        open: Vec<TaskKey>,
        ready: Vec<TaskKey>,
        releasing: Vec<TaskKey>,
        running: BTreeMap<usize, TaskKey>,
        finishing: Vec<TaskKey>,
        done: Vec<TaskKey>,
        started: u64,
        budget: Option<u64>,
        pending: Vec<Action>,
        most_running: usize,
    }

    fn step(world: &mut World, schedule: &mut Schedule, choice: u8) -> bool {
        let mut ended = false;
        while let Some(action) = schedule.next_action() {
            match action {
                Action::End => {
                    ended = true;
                    break;
                }
                Action::Release => {
                    world.releasing.append(&mut world.ready);
                }
                Action::Start { worker } => {
                    let task = world.ready.remove(0);
                    world.started += 1;
                    assert!(world.running.insert(worker, task).is_none());
                }
                other => world.pending.push(other),
            }
        }
        world.most_running = world.most_running.max(world.running.len());
        if ended {
            return true;
        }
        if let Some(task) = world.releasing.pop() {
            world.open.push(task);
            schedule.released();
            return false;
        }
        let choices = world.pending.len() + world.running.len() + world.finishing.len();
        if choices == 0 {
            assert!(
                schedule.wants_another_look(),
                "stuck: {world:?} {schedule:?}"
            );
            schedule.look_again();
            return false;
        }
        let at = usize::from(choice) % choices;
        if at < world.pending.len() {
            answer(world, schedule, at, choice);
        } else if at < world.pending.len() + world.running.len() {
            let worker = *world
                .running
                .keys()
                .nth(at - world.pending.len())
                .expect("one");
            let task = world.running.remove(&worker).expect("runs");
            world.finishing.push(task);
            schedule.agent_ended();
            schedule.freed(worker);
        } else {
            let task = world
                .finishing
                .remove(at - world.pending.len() - world.running.len());
            if choice.is_multiple_of(5) {
                let skipped = schedule.finished(&task, Ended::Tried);
                assert!(skipped);
                world.open.push(task);
            } else {
                schedule.finished(&task, Ended::Settled);
                world.done.push(task);
            }
        }
        false
    }

    fn answer(world: &mut World, schedule: &mut Schedule, at: usize, choice: u8) {
        match world.pending.remove(at) {
            Action::Ask if world.budget.is_some_and(|most| world.started >= most) => {
                schedule.permission(Permission::Exhausted);
            }
            Action::Ask if choice.is_multiple_of(7) => schedule.permission(Permission::Withheld),
            Action::Ask => schedule.permission(Permission::Granted),
            _ => {
                let next = world
                    .open
                    .iter()
                    .position(|task| !schedule.skipped().contains(task));
                match next {
                    None => schedule.prepared(Prepared::NothingOpen),
                    Some(at) => {
                        let task = world.open.remove(at);
                        world.ready.push(task);
                        schedule.prepared(Prepared::Ready);
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn every_order_of_events_ends_and_keeps_the_bounds(
            tasks in 0_u8..20,
            budget in proptest::option::of(0_u64..25),
            choices in proptest::collection::vec(any::<u8>(), 2_000),
            stop_at in proptest::option::of(0_usize..60),
        ) {
            let mut world = World { open: (0..tasks).map(key).collect(), budget, ..World::default() };
            let mut schedule = Schedule::new(BOUNDS);
            let mut is_over = false;
            for (at, choice) in choices.into_iter().enumerate() {
                if stop_at == Some(at) {
                    schedule.told_to_stop(Stop::Drain);
                }
                is_over = step(&mut world, &mut schedule, choice);
                if is_over {
                    break;
                }
            }
            prop_assert!(is_over, "it never ended: {world:?}");
            prop_assert!(world.most_running <= BOUNDS.workers);
            prop_assert!(budget.is_none_or(|most| world.started <= most));
            // Nobody holds a task any more, and none is lost or doubled.
            let mut all: Vec<TaskKey> = world.open.iter().chain(&world.done).cloned().collect();
            all.sort();
            prop_assert_eq!(all, (0..tasks).map(key).collect::<Vec<_>>());
            if stop_at.is_none() && budget.is_none() {
                // Every task was done or tried as often as it may be.
                prop_assert!(world.open.iter().all(|task| schedule.skipped().contains(task)));
            }
        }
    }

    #[test]
    fn a_freed_worker_starts_what_is_ready_before_anything_else() {
        let mut schedule = Schedule::new(BOUNDS);
        assert_eq!(schedule.next_action(), Some(Action::Prepare));
        schedule.prepared(Prepared::Ready);
        assert_eq!(schedule.next_action(), Some(Action::Ask));
        schedule.permission(Permission::Granted);
        assert_eq!(schedule.next_action(), Some(Action::Start { worker: 1 }));
    }

    /// Does everything at once; how many attempts were made ready.
    fn run(schedule: &mut Schedule) -> usize {
        let mut made = 0;
        while let Some(action) = schedule.next_action() {
            match action {
                Action::Ask => schedule.permission(Permission::Granted),
                Action::Prepare => {
                    schedule.prepared(Prepared::Ready);
                    made += 1;
                }
                Action::Start { .. } | Action::Release | Action::End => {}
            }
        }
        made
    }

    #[test]
    fn what_comes_back_in_a_moment_is_waited_for_unless_somebody_is_free() {
        let mut schedule = Schedule::new(Bounds {
            unfinished: 12,
            ..BOUNDS
        });
        assert_eq!(run(&mut schedule), BOUNDS.workers + BOUNDS.ahead);
        let mut end = |worker, returning| {
            schedule.agent_ended();
            schedule.freed(worker);
            schedule.returning(returning);
            run(&mut schedule)
        };
        assert_eq!(end(1, 1), 1);
        assert_eq!(end(2, 2), 0);
        assert_eq!(end(3, 3), 0);
        assert_eq!(end(1, 4), 1);
        // The checks of others run, which may take long.
        schedule.returning(1);
        assert_eq!(run(&mut schedule), 2);
    }

    #[test]
    fn one_worker_begins_nothing_before_its_last_result_is_where_it_belongs() {
        let mut schedule = Schedule::new(Bounds {
            workers: 1,
            ahead: 0,
            unfinished: 1,
            ..BOUNDS
        });
        assert_eq!(schedule.next_action(), Some(Action::Prepare));
        schedule.prepared(Prepared::Ready);
        assert_eq!(schedule.next_action(), Some(Action::Ask));
        schedule.permission(Permission::Granted);
        assert_eq!(schedule.next_action(), Some(Action::Start { worker: 1 }));
        assert_eq!(schedule.next_action(), None);
        schedule.agent_ended();
        schedule.freed(1);
        assert_eq!(schedule.next_action(), None);
        schedule.finished(&key(1), Ended::Settled);
        assert_eq!(schedule.next_action(), Some(Action::Prepare));
    }

    #[test]
    fn the_reasons_are_those_that_readers_know() {
        let mut schedule = Schedule::new(BOUNDS);
        assert_eq!(schedule.reason(Some(4)), "queue empty");
        schedule.permission(Permission::Exhausted);
        assert_eq!(schedule.reason(Some(4)), "target reached (4)");
        schedule.halt("cost ceiling reached".to_owned());
        assert_eq!(schedule.reason(Some(4)), "cost ceiling reached");
        schedule.told_to_stop(Stop::Drain);
        assert_eq!(schedule.reason(Some(4)), "user interrupt");
    }

    #[test]
    fn a_task_is_skip_listed_after_its_last_attempt_and_no_other_is() {
        let mut schedule = Schedule::new(Bounds {
            task_attempts: 2,
            ..BOUNDS
        });
        assert!(!schedule.finished(&key(5), Ended::Tried));
        assert!(!schedule.finished(&key(5), Ended::Untried));
        assert!(schedule.finished(&key(5), Ended::Tried));
        assert!(!schedule.skipped().contains(&key(55)));
        assert!(schedule.finished(&key(6), Ended::NeedsPerson));
    }
}
