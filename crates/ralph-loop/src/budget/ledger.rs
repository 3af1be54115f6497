//! What the lines of the attempts ledger add up to, and what may be added. Pure: no file, no clock, and whether a
//! process lives is asked of the caller.

use std::collections::{BTreeMap, BTreeSet};

use ralph_core::process::Identity;
use serde::{Deserialize, Serialize};

use super::{Reserved, Settled, Settlement, Share, Standing};
use crate::outcome::AttemptId;

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Line {
    /// An attempt was taken out of the budget by a process.
    Reserved {
        attempt: AttemptId,
        repository: String,
        owner: Identity,
    },
    /// It counts.
    Spent { attempt: AttemptId },
    /// It does not count.
    Returned { attempt: AttemptId },
    /// Its owner was found dead before it said which.
    Lapsed { attempt: AttemptId },
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// By this process. Set apart, because most attempts of a long run are over and have no owner any more.
    Reserved(Box<Identity>),
    Spent,
    Returned,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    repository: String,
    state: State,
}

/// The sum of all lines so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Book {
    entries: BTreeMap<AttemptId, Entry>,
    /// How many of them are spent.
    spent: u64,
    /// Which of them are reserved; few, however many there were.
    reserved: BTreeSet<AttemptId>,
}

/// Who wants an attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) attempt: &'a AttemptId,
    pub(super) repository: &'a str,
    pub(super) owner: &'a Identity,
}

/// Whether a process lives.
pub(super) type IsAlive<'a> = &'a dyn Fn(&Identity) -> bool;

impl Book {
    /// Adds a line. One that does not fit what is there changes nothing.
    pub(super) fn apply(&mut self, line: &Line) {
        match line {
            Line::Reserved {
                attempt,
                repository,
                owner,
            } => {
                let entry = self.entries.entry(attempt.clone()).or_insert(Entry {
                    repository: String::new(),
                    state: State::Returned,
                });
                entry.repository.clone_from(repository);
                self.set(attempt, State::Reserved(Box::new(owner.clone())));
            }
            Line::Spent { attempt } => self.set(attempt, State::Spent),
            Line::Returned { attempt } | Line::Lapsed { attempt } => {
                self.set(attempt, State::Returned);
            }
        }
    }

    fn set(&mut self, attempt: &AttemptId, state: State) {
        let Some(entry) = self.entries.get_mut(attempt) else {
            return;
        };
        self.spent -= u64::from(entry.state == State::Spent);
        self.spent += u64::from(state == State::Spent);
        if matches!(state, State::Reserved(_)) {
            self.reserved.insert(attempt.clone());
        } else {
            self.reserved.remove(attempt);
        }
        entry.state = state;
    }

    /// What a reservation would get now, and the lines to write for it. The same process may ask twice for the same
    /// attempt, because it may not have learned the first answer.
    pub(super) fn reserve(
        &self,
        request: &Request<'_>,
        limit: Option<u64>,
        is_alive: IsAlive<'_>,
    ) -> (Vec<Line>, Reserved) {
        let before = self.entries.get(request.attempt);
        match before.map(|entry| &entry.state) {
            Some(State::Spent) => return (Vec::new(), Reserved::AlreadySpent),
            Some(State::Reserved(owner)) if **owner == *request.owner => {
                return (Vec::new(), Reserved::Granted);
            }
            Some(State::Reserved(owner)) if is_alive(owner) => {
                return (Vec::new(), Reserved::HeldElsewhere);
            }
            _ => {}
        }
        let mut lines: Vec<Line> = self
            .lapsed(is_alive)
            .map(|attempt| Line::Lapsed {
                attempt: attempt.clone(),
            })
            .collect();
        let answer = self.available(limit, is_alive);
        if answer == Reserved::Granted {
            lines.push(Line::Reserved {
                attempt: request.attempt.clone(),
                repository: request.repository.to_owned(),
                owner: request.owner.clone(),
            });
        }
        (lines, answer)
    }

    /// What a settlement means now, and the lines to write for it. The first one stands. One for a reservation of a dead
    /// process counts only while there is room, since others may have counted on that: M is never exceeded.
    pub(super) fn settle(
        &self,
        attempt: &AttemptId,
        settlement: Settlement,
        limit: Option<u64>,
        is_alive: IsAlive<'_>,
    ) -> (Vec<Line>, Settled) {
        let Some(entry) = self.entries.get(attempt) else {
            return (Vec::new(), Settled::NotReserved);
        };
        let attempt = attempt.clone();
        let line = match settlement {
            Settlement::Spent => Line::Spent { attempt },
            Settlement::Returned => Line::Returned { attempt },
        };
        match (&entry.state, settlement) {
            (State::Reserved(owner), _) if is_alive(owner) => (vec![line], Settled::Recorded),
            (State::Reserved(_), Settlement::Returned) => (vec![line], Settled::Recorded),
            (State::Spent, Settlement::Spent) | (State::Returned, Settlement::Returned) => {
                (Vec::new(), Settled::Recorded)
            }
            (State::Spent, Settlement::Returned) => (Vec::new(), Settled::NotReserved),
            (State::Reserved(_) | State::Returned, Settlement::Spent) => {
                if self.available(limit, is_alive) == Reserved::Granted {
                    (vec![line], Settled::Recorded)
                } else {
                    (Vec::new(), Settled::BeyondBudget)
                }
            }
        }
    }

    /// What is written when the end of an attempt will not be known.
    pub(super) fn forfeit(&self, attempt: &AttemptId) -> Vec<Line> {
        if self.reserved.contains(attempt) {
            let attempt = attempt.clone();
            vec![Line::Spent { attempt }]
        } else {
            Vec::new()
        }
    }

    /// Whether one more attempt fits.
    pub(super) fn available(&self, limit: Option<u64>, is_alive: IsAlive<'_>) -> Reserved {
        let Some(limit) = limit else {
            return Reserved::Granted;
        };
        let living = self.reserved.len() - self.lapsed(is_alive).count();
        if self.spent >= limit {
            Reserved::Exhausted
        } else if self.spent + living as u64 >= limit {
            Reserved::AllReserved
        } else {
            Reserved::Granted
        }
    }

    /// The sums. A reservation of a dead process counts as returned, also before anybody has written that down.
    pub(super) fn standing(&self, limit: Option<u64>, is_alive: IsAlive<'_>) -> Standing {
        let mut standing = Standing::default();
        for entry in self.entries.values() {
            let share = match &entry.state {
                State::Spent => Share {
                    spent: 1,
                    reserved: 0,
                },
                State::Reserved(owner) if is_alive(owner) => Share {
                    spent: 0,
                    reserved: 1,
                },
                State::Reserved(_) | State::Returned => Share::default(),
            };
            standing.spent += share.spent;
            standing.reserved += share.reserved;
            let sum = standing
                .by_repository
                .entry(entry.repository.clone())
                .or_default();
            sum.spent += share.spent;
            sum.reserved += share.reserved;
        }
        standing.left = limit.map(|limit| limit.saturating_sub(standing.spent + standing.reserved));
        standing
    }

    fn lapsed(&self, is_alive: IsAlive<'_>) -> impl Iterator<Item = &AttemptId> {
        self.reserved.iter().filter(move |attempt| {
            let state = self.entries.get(*attempt).map(|entry| &entry.state);
            matches!(state, Some(State::Reserved(owner)) if !is_alive(owner))
        })
    }
}
