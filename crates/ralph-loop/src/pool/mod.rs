//! N workers kept busy until the budget is spent or the plan is drained.
//!
//! [`schedule`] decides, purely, and [`judge`] says what an agent's end means; the rest of this module does what they
//! say: make attempts ready, ask whether one may start, run its agent, finish its work beside the next one.
//!
//! What must never be here: a decision that depends on what was printed, a wait that keeps a free worker from a task
//! that is ready.

mod aside;
mod attempt_end;
mod board;
mod brakes;
mod checks;
mod close;
mod end;
mod error;
mod finish;
mod happened;
pub mod judge;
mod line;
mod merge;
mod message;
mod permit;
mod push;
mod ready;
mod returning;
pub mod schedule;
mod shop;
#[cfg(test)]
mod tests;
mod told;
mod tracked;
mod work;

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};

pub use brakes::Brakes;
pub use end::LoopEnd;
pub use error::PoolError;
pub(crate) use finish::{Finishing, resume};
pub(crate) use line::Line;
pub(crate) use returning::Returns;
pub use schedule::Stop;
pub use shop::{PoolSettings, Shop, Site};

use crate::event::Event;
use crate::record::State;
use crate::task::TaskKey;
use board::Board;
use happened::Happened;
use permit::{Answer, Permit};
use ready::Ready;
use schedule::{Action, Bounds, Permission, Schedule};
use told::told;

/// How often somebody who has nothing to do looks whether there is something now.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Attempts that cannot even be made ready, one after the other, before that is why the loop stops.
const FAILURES: u32 = 3;

/// Runs the pool until there is nothing more to do. What an earlier loop left must have been recovered.
///
/// # Errors
/// The plan or the records cannot be used. What goes wrong with one attempt is that attempt's outcome.
pub async fn run(shop: Rc<Shop>) -> Result<LoopEnd, PoolError> {
    LocalSet::new().run_until(Pool::new(shop).run()).await
}

/// One worker does one task after the other, each on the result of the last one. Several work on what does not depend on
/// each other: each has its next attempt ready, and what is done with its last one keeps it from nothing.
fn bounds(settings: &PoolSettings) -> Bounds {
    let workers = settings.workers;
    let (ahead, unfinished) = match workers {
        ..=1 => (0, 1),
        // With others in line, one that is ready is enough: whoever gets the slot starts at once.
        _ if settings.is_budget_shared => (1, workers.saturating_mul(4)),
        _ => (workers.min(32), workers.saturating_mul(4)),
    };
    Bounds {
        workers,
        ahead,
        preparing: workers.clamp(1, 4),
        unfinished,
        task_attempts: settings.task_attempts,
    }
}

struct Pool {
    shop: Rc<Shop>,
    stop: watch::Receiver<Stop>,
    schedule: Schedule,
    board: Rc<RefCell<Board>>,
    ready: VecDeque<Box<Ready>>,
    permit: Option<Box<Permit>>,
    /// Tasks whose attempt is not over. In the plan they are open again a moment before its end is known here.
    under_way: BTreeSet<TaskKey>,
    /// How many attempts are over.
    ends: u64,
    tasks: JoinSet<Happened>,
    failures: u32,
    needs_person: bool,
    went_wrong: bool,
    is_misconfigured: bool,
}

impl Pool {
    fn new(shop: Rc<Shop>) -> Self {
        let settings = &shop.settings;
        let bounds = bounds(settings);
        let mut board = Board::new(shop.env.now());
        board.totals.pull_requests = shop.recovered_pull_requests.take();
        Self {
            schedule: Schedule::new(bounds),
            board: Rc::new(RefCell::new(board)),
            ready: VecDeque::new(),
            permit: None,
            under_way: BTreeSet::new(),
            ends: 0,
            tasks: JoinSet::new(),
            failures: 0,
            needs_person: false,
            went_wrong: false,
            is_misconfigured: false,
            stop: shop.stop.clone(),
            shop,
        }
    }

    async fn run(mut self) -> Result<LoopEnd, PoolError> {
        if let Err(error) = ready::check_named(&self.shop) {
            self.tidy().await;
            return Err(error);
        }
        self.begin()?;
        let mut news = board::News::of(&self.board.borrow());
        // Kept over the rounds of this loop: a sleep begun anew in each would never end beside the other one.
        let mut look = tokio::time::interval(LOOK_AGAIN);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            if self.act() {
                break;
            }
            let looks = self.schedule.wants_another_look();
            tokio::select! {
                biased;
                Some(happened) = self.tasks.join_next() => self.take_in(happened?),
                Ok(()) = self.stop.changed() => self.told(),
                _ = look.tick(), if looks => self.schedule.look_again(),
                () = news.are_due() => board::publish(&self.shop, &self.board)?,
            }
        }
        self.end().await
    }

    fn begin(&self) -> Result<(), PoolError> {
        let plan = self.shop.plan.read()?;
        for problem in &plan.problems {
            self.shop
                .note(format!("{}: {problem}", self.shop.plan.path().display()));
        }
        self.board.borrow_mut().count(&self.shop.plan);
        let settings = &self.shop.settings;
        self.shop.tell(&Event::Began {
            workers: u32::try_from(settings.workers).unwrap_or(u32::MAX),
            attempts: settings.attempts,
            engine: self.shop.engine.name().as_str().to_owned(),
            open: self.board.borrow().open(),
        });
        Ok(board::publish(&self.shop, &self.board)?)
    }

    /// Does what the schedule says; true when everything is over.
    fn act(&mut self) -> bool {
        loop {
            if self.schedule.take_unused_permission() {
                self.return_permit();
            }
            self.schedule.returning(self.shop.returns.count());
            match self.schedule.next_action() {
                None => return false,
                Some(Action::End) => return true,
                Some(Action::Prepare) => self.prepare(),
                Some(Action::Ask) => self.ask(),
                Some(Action::Start { worker }) => self.start(worker),
                Some(Action::Release) => self.release(),
            }
        }
    }

    fn prepare(&mut self) {
        let skip = self.schedule.skipped() | &self.under_way;
        let failures = self.schedule.tries().clone();
        // Set apart, as the other long ones: a future that is moved into another one has its place twice.
        let made = Box::pin(ready::prepare(Rc::clone(&self.shop), skip, move |task| {
            failures.get(task).copied().unwrap_or(0) + 1
        }));
        let ends = self.ends;
        self.tasks.spawn_local(async move {
            Happened::Prepared(ends, made.await.map(|ready| ready.map(Box::new)))
        });
    }

    fn ask(&mut self) {
        let Some(next) = self.ready.front() else {
            self.schedule.permission(Permission::Withheld);
            return;
        };
        let (attempt, label) = (next.record.attempt.clone(), next.site.label.clone());
        let asked = permit::permit(
            Rc::clone(&self.shop),
            Rc::clone(&self.board),
            attempt,
            label,
        );
        let mut stop = self.stop.clone();
        self.tasks.spawn_local(async move {
            tokio::select! {
                answer = asked => Happened::Answered(answer),
                () = told(&mut stop, Stop::Drain) => Happened::Answered(Ok(Answer::NotNow)),
            }
        });
    }

    fn start(&mut self, worker: usize) {
        let (Some(ready), Some(permit)) = (self.ready.pop_front(), self.permit.take()) else {
            // The schedule counts what stands here; without it nothing can start.
            self.schedule.freed(worker);
            return;
        };
        let now = self.shop.env.now();
        let (attempt, task) = (&ready.record.attempt, &ready.record.task);
        self.board.borrow_mut().began(worker, attempt, task, now);
        self.under_way.insert(task.key.clone());
        let counted = self.shop.brakes.borrow_mut().started(&self.shop.now_here());
        if let Err(error) = counted {
            self.shop.note(error.to_string());
        }
        let worked = Box::pin(work::work(
            Rc::clone(&self.shop),
            Rc::clone(&self.board),
            worker,
            ready,
            *permit,
            self.stop.clone(),
        ));
        self.tasks
            .spawn_local(async move { Happened::Worked(Box::new(worked.await)) });
    }

    fn release(&mut self) {
        for ready in std::mem::take(&mut self.ready) {
            self.give_back(*ready);
        }
        self.return_permit();
    }

    fn give_back(&mut self, ready: Ready) {
        let shop = Rc::clone(&self.shop);
        self.tasks
            .spawn_local(async move { Happened::Released(ready::release(&shop, ready).await) });
    }

    fn return_permit(&mut self) {
        if let Some(permit) = self.permit.take() {
            permit::give_back(&self.shop, *permit);
        }
    }

    fn told(&mut self) {
        let stop = *self.stop.borrow();
        if stop > self.schedule.stopped() {
            self.schedule.told_to_stop(stop);
            let words = Some("user interrupt".to_owned());
            self.board.borrow_mut().turned(State::Draining, words, None);
            self.shop.tell(&Event::Stopping {
                now: stop == Stop::Now,
            });
            if let Err(error) = board::publish(&self.shop, &self.board) {
                self.shop.note(error.to_string());
            }
        }
    }

    fn trouble(&mut self, what: &str, error: &PoolError) {
        self.went_wrong = true;
        ready::tell(&self.shop, what, error);
    }
}
