//! What the pool waits for: the ends of what it has begun; and what the schedule and the board are told of each.

use std::rc::Rc;

use super::finish::{self, Finished};
use super::judge::{self, Judgement};
use super::permit::Answer;
use super::ready::{self, Ready};
use super::schedule::{Ended, Permission, Prepared};
use super::work::Worked;
use super::{FAILURES, Pool, PoolError, told};
use crate::event::Event;
use crate::outcome::AttemptId;
use crate::task::Task;

/// Something that was waited for.
pub(super) enum Happened {
    /// With the number of ends that were known when the plan was asked.
    Prepared(u64, Result<Option<Box<Ready>>, PoolError>),
    Answered(Result<Answer, PoolError>),
    Worked(Box<Worked>),
    Freed(usize),
    Finished(Box<Over>),
    Released(Result<(), PoolError>),
}

/// An attempt whose end was to be recorded.
pub(super) struct Over {
    pub(super) attempt: AttemptId,
    pub(super) task: Task,
    pub(super) finished: Result<Finished, PoolError>,
}

impl Pool {
    pub(super) fn take_in(&mut self, happened: Happened) {
        match happened {
            Happened::Prepared(ends, made) => self.prepared(ends, made),
            Happened::Answered(answer) => self.answered(answer),
            Happened::Worked(worked) => self.worked(*worked),
            Happened::Freed(worker) => self.schedule.freed(worker),
            Happened::Finished(over) => self.finished(*over),
            Happened::Released(released) => {
                self.schedule.released();
                self.board.borrow_mut().claims_changed();
                if let Err(error) = released {
                    self.trouble("an attempt that was not begun cannot be given back", &error);
                }
            }
        }
    }

    fn prepared(&mut self, ends: u64, made: Result<Option<Box<Ready>>, PoolError>) {
        match made {
            // It was claimed while the end of its last attempt was on its way here.
            Ok(Some(ready)) if self.schedule.skipped().contains(&ready.record.task.key) => {
                self.schedule.prepared(Prepared::Unwanted);
                self.give_back(*ready);
            }
            Ok(Some(ready)) => {
                self.failures = 0;
                self.board.borrow_mut().claims_changed();
                self.ready.push_back(ready);
                self.schedule.prepared(Prepared::Ready);
            }
            Ok(None) => {
                self.schedule.prepared(Prepared::NothingOpen);
                // What has ended meanwhile may be open again.
                if ends != self.ends {
                    self.schedule.look_again();
                }
            }
            Err(error) => {
                self.failures += 1;
                self.schedule.prepared(Prepared::Failed);
                if self.failures >= FAILURES || ready::is_final(&error) {
                    self.schedule.halt(ready::words(&error));
                }
                // It is tried again; what stays so stops the loop, and says why.
                let what = "an attempt cannot be made ready";
                match self.schedule.halted() {
                    Some(_) => ready::tell(&self.shop, what, &error),
                    None => self.shop.note(format!("{what}: {}", ready::words(&error))),
                }
            }
        }
    }

    fn answered(&mut self, answer: Result<Answer, PoolError>) {
        let permission = match answer {
            Ok(Answer::Yes(permit)) => {
                self.permit = Some(permit);
                Permission::Granted
            }
            Ok(Answer::Exhausted) => Permission::Exhausted,
            Ok(Answer::NotNow) => Permission::Withheld,
            Ok(Answer::Never(reason)) => {
                self.schedule.halt(reason);
                Permission::Withheld
            }
            Err(error) => {
                self.trouble("whether an agent may start cannot be found out", &error);
                self.schedule.halt(ready::words(&error));
                Permission::Withheld
            }
        };
        self.schedule.permission(permission);
    }

    fn worked(&mut self, worked: Worked) {
        self.board.borrow_mut().ended(worked.worker);
        self.schedule.agent_ended();
        // What would end the next agent the same way keeps it from starting at all.
        let judgement = judge::judge(worked.ending, &worked.verdict);
        if let Judgement::Over {
            halt: Some(halt), ..
        } = &judgement
        {
            self.schedule.halt(halt.clone());
        }
        let worker = worked.worker;
        let pause = self.shop.settings.respawn_delay;
        if pause.is_zero() {
            self.schedule.freed(worker);
        } else {
            let pause = told::pause(pause, self.stop.clone());
            self.tasks.spawn_local(async move {
                pause.await;
                Happened::Freed(worker)
            });
        }
        let shop = Rc::clone(&self.shop);
        let record = &worked.finishing.record;
        let (attempt, task) = (record.attempt.clone(), record.task.clone());
        self.tasks.spawn_local(async move {
            let finished = finish::finish(shop, worked.finishing, worked.ending, judgement);
            Happened::Finished(Box::new(Over {
                attempt,
                task,
                finished: finished.await,
            }))
        });
    }

    fn finished(&mut self, over: Over) {
        let Over {
            attempt,
            task,
            finished,
        } = over;
        self.under_way.remove(&task.key);
        self.ends += 1;
        let finished = match finished {
            Ok(finished) => finished,
            Err(error) => return self.unrecorded(&attempt, &task, &error),
        };
        self.is_misconfigured |= finished.is_misconfigured;
        self.needs_person |= finished.ended == Ended::NeedsPerson;
        let is_skipped = self.schedule.finished(&task.key, finished.ended);
        if let Some(halt) = self.shop.brake(&finished.line, finished.halt) {
            self.schedule.halt(halt);
        }
        let skipped = self.schedule.skipped().len();
        let totals = {
            let mut board = self.board.borrow_mut();
            board.recorded(&finished.line, skipped);
            board.totals.clone()
        };
        self.shop.tell(&Event::AttemptEnded {
            line: Box::new(finished.line.clone()),
            totals,
            attempts: self.shop.settings.attempts,
            in_flight: self.schedule.under_way(),
        });
        if is_skipped {
            self.shop.tell(&Event::SkipListed {
                task: task.clone(),
                reason: finished.line.reason.unwrap_or_default(),
            });
        }
    }

    /// Its record stays: the next start takes it up where it is. What it took of the budget is spent, so that nobody
    /// waits for its return.
    fn unrecorded(&mut self, attempt: &AttemptId, task: &Task, error: &PoolError) {
        self.schedule.finished(&task.key, Ended::NeedsPerson);
        self.trouble(&format!("{}: its end cannot be recorded", task.id), error);
        if let Err(error) = self.shop.budget.forfeit(attempt) {
            self.shop.note(error.to_string());
            self.schedule.halt(error.to_string());
        }
    }
}
