//! The plan's file: claims, marks and what a crash left, under one lock.
//!
//! What a task is and how a mark changes is [`ralph_docs::fix_plan`]'s. Here is who works on it. A claim is a record
//! of ours (`state/claims/<key>.json`) that names attempt and process; the `[~]` in the plan is its shadow, for
//! people and for the loop that came before. So the record is written before the mark and removed after it, and a
//! row with a record is taken even when its mark is gone: somebody may have edited the plan, a crash may have come
//! in between, and while the base branch is fast-forwarded the marks are lifted. The file is git's then, which writes it
//! bit by bit: this process goes by the plan as it was. A `[~]` without a record is somebody else's and stays.
//!
//! Every change is made under the advisory lock of `state/plan.lock`, on the file as it is then, and is written only
//! if the file still has the bytes that were read. What must never be here: a task addressed by its line, a claim
//! judged by its age, a change to anything but marks.

mod bullets;
mod carry;
mod edit;
mod error;
mod hold;
mod known;
mod lift;
mod pick;
mod record;
mod recover;
mod view;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ralph_core::store::{StoreError, atomic};
use ralph_core::time::Timestamp;
use ralph_docs::fix_plan::{Flavour, Mark, Marked, RowKey};

use crate::outcome::AttemptId;
use crate::task::{Task, TaskKey};

pub use bullets::other_bullets;
pub use error::PlanError;
pub(crate) use error::{held_by, stopped};
pub use lift::LiftedMarks;
pub use record::{Claimant, Delivered, Life, Owner};
pub use recover::{Recovered, RecoveredClaim};
pub use view::{Plan, Planned, Standing};

use edit::Written;
use hold::{Gate, Turn};
use known::{Known, Last};
use pick::Pick;
use record::{ClaimRecord, Memory, Records};

/// How long a lock is waited for, unless told otherwise. Who holds it writes two small files.
pub const DEFAULT_LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a change is made anew because the plan was edited meanwhile.
const TRIES: u32 = 20;

/// How often a plan that is not there is looked for, and the pause between two looks: a quarter of a second at most.
const LOOKS: u32 = 50;
const BETWEEN_LOOKS: std::time::Duration = std::time::Duration::from_millis(5);

/// Which task is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// The one that was named (`--task`): a number, an id, or a task key; `None` takes the first that is open.
    pub task: Option<&'a str>,
    /// Tasks that are not to be taken again in this run.
    pub skip: &'a BTreeSet<TaskKey>,
    /// The repositories to take tasks of; `None` takes all that the plan names.
    pub repositories: Option<&'a BTreeSet<String>>,
}

/// What came of a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The task is the asking attempt's now.
    Taken(Task),
    /// There is nothing to take now.
    NothingOpen {
        /// Tasks that another process works on, or that carry a `[~]` of nobody known.
        claimed_elsewhere: usize,
        /// Tasks that are delivered and not merged yet.
        delivered: usize,
        /// Tasks that are open and were not wanted: to be skipped, or of a repository that is busy or not chosen.
        withheld: usize,
    },
}

/// What a change of one task found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The mark was changed.
    Changed,
    /// The mark is this one, for which there was nothing to change.
    Already(Mark),
    /// The task is not in the plan any more.
    Gone,
    /// Somebody else has the task; nothing was changed.
    NotOurs,
}

/// The text of a plan; `None` where there is none. git, which moves a checkout forward, removes a file and writes it anew,
/// also when the loop that has started it was killed: one that is not there, or is empty, is looked at again for a moment.
///
/// # Errors
/// It cannot be read or is not UTF-8.
pub fn look(path: &Path) -> Result<Option<String>, StoreError> {
    for _ in 0..LOOKS {
        match atomic::read_text(path)? {
            Some(text) if !text.is_empty() => return Ok(Some(text)),
            _ => std::thread::sleep(BETWEEN_LOOKS),
        }
    }
    atomic::read_text(path)
}

/// A plan and the state that we keep beside it.
#[derive(Debug)]
pub struct PlanFile {
    path: PathBuf,
    flavour: Flavour,
    state_dir: PathBuf,
    owner: Owner,
    lock_timeout: Duration,
    gate: Gate,
    memory: Memory,
    last: Last,
}

impl PlanFile {
    /// The plan at `path`, whose claims are kept in `state_dir` and stand in the name of `owner`. Touches nothing.
    #[must_use]
    pub fn new(path: &Path, flavour: Flavour, state_dir: &Path, owner: Owner) -> Self {
        Self {
            path: path.to_owned(),
            flavour,
            state_dir: state_dir.to_owned(),
            owner,
            lock_timeout: DEFAULT_LOCK_TIMEOUT,
            gate: Gate::default(),
            memory: Memory::default(),
            last: Last::default(),
        }
    }

    /// The same with another patience for the lock.
    #[must_use]
    pub fn with_lock_timeout(self, lock_timeout: Duration) -> Self {
        Self {
            lock_timeout,
            ..self
        }
    }

    /// Where the plan is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whose plan it is.
    #[must_use]
    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// The tasks and where each stands. Takes no lock and writes nothing, so it may be a moment behind.
    ///
    /// # Errors
    /// [`PlanError::Missing`], and [`PlanError::Store`] for a plan that cannot be read or is not UTF-8.
    pub fn read(&self) -> Result<Plan, PlanError> {
        let mut records = self.records()?;
        for _ in 0..TRIES {
            let text = self.text_now()?;
            let after = self.records()?;
            // Between a record and its mark a claim looks half done.
            if after == records {
                return Ok(self.view(&self.known(text), &records));
            }
            records = after;
        }
        Ok(self.view(&self.known(self.text_now()?), &records))
    }

    /// Whether the plan is the committed one but for the marks of claims that we know: what a loop leaves that was killed,
    /// and the next one takes away. Takes no lock and writes nothing.
    ///
    /// # Errors
    /// As [`PlanFile::read`].
    pub fn is_committed_but_for_claims(&self, committed: &str) -> Result<bool, PlanError> {
        let known = self.known(self.text_now()?);
        let plan = self.view(&known, &self.records()?);
        let rows = plan.claimed_rows();
        let lifted = known.reading.set_marks(&rows, &[Mark::Claimed], Mark::Open);
        Ok(lifted.text() == committed)
    }

    /// The task that a person names, as [`PlanFile::claim`] would take it. Takes no lock and writes nothing.
    ///
    /// # Errors
    /// As [`PlanFile::claim`] for a task that was named.
    pub fn find(&self, query: &str) -> Result<Planned, PlanError> {
        pick::named(&self.read()?, query, &self.path).cloned()
    }

    /// Claims the task that is wished for: its record first, then its mark.
    ///
    /// # Errors
    /// For a task that was named: [`PlanError::NotFound`], [`PlanError::Completed`], [`PlanError::Held`] and
    /// [`PlanError::Delivered`]. [`PlanError::Locked`] when the lock cannot be had in time, [`PlanError::Changing`]
    /// when somebody keeps writing the plan; then nothing is claimed. Otherwise as [`PlanFile::read`].
    pub fn claim(
        &self,
        wish: &Wish<'_>,
        attempt: &AttemptId,
        now: Timestamp,
    ) -> Result<Claim, PlanError> {
        let turn = self.turn()?;
        for _ in 0..TRIES {
            let known = self.known(self.text_in(&turn)?);
            let plan = self.view(&known, &self.records()?);
            let picked = match pick::pick(&plan, wish, &self.owner, &self.path)? {
                Pick::Task(planned) => planned,
                Pick::Nothing(claim) => return Ok(claim),
            };
            let claim = ClaimRecord {
                version: record::VERSION,
                task: Task::clone(&picked.task),
                attempt: attempt.clone(),
                owner: self.owner.clone(),
                claimed_at: now,
                twins: plan.twins(&picked.task.row),
                strangers: Some(plan.strangers(&picked.task.row.section)),
            };
            record::write_claim(&self.state_dir, &claim)?;
            let marked = self.mark(&turn, &known, &claim.task.row, &[Mark::Open], Mark::Claimed);
            if matches!(marked, Ok(Written::Yes | Written::Needless)) {
                return Ok(Claim::Taken(claim.task));
            }
            record::remove_claim(&self.state_dir, &claim.task.key)?;
            marked?;
        }
        Err(self.changing())
    }

    /// Gives a task back: its mark is `[ ]` again and its claim is gone. A task that is done stays done. Doing it
    /// twice changes nothing, also when another attempt has the task by then.
    ///
    /// # Errors
    /// As [`PlanFile::claim`] for a task that was not named.
    pub fn revert(&self, task: &Task, attempt: &AttemptId) -> Result<Settled, PlanError> {
        let turn = self.turn()?;
        if !self.may_release(&task.key, attempt)? {
            return Ok(Settled::NotOurs);
        }
        let (settled, _turn) = self.settle(turn, task, &[Mark::Claimed], Mark::Open)?;
        record::remove_claim(&self.state_dir, &task.key)?;
        Ok(settled)
    }

    /// Ticks a task whose work is in the base branch. Its mark becomes `[x]` whatever it was, because the work is
    /// done; a claim of another attempt stays.
    ///
    /// # Errors
    /// As [`PlanFile::revert`].
    pub fn complete(&self, task: &Task, attempt: &AttemptId) -> Result<Settled, PlanError> {
        let turn = self.turn()?;
        let from = [Mark::Open, Mark::Claimed];
        let (settled, _turn) = self.settle(turn, task, &from, Mark::Done)?;
        if self.may_release(&task.key, attempt)? {
            record::remove_claim(&self.state_dir, &task.key)?;
        }
        Ok(settled)
    }

    /// Writes down that a task's work waits on a branch to be merged, and gives the claim back: the task is not
    /// open, and its mark in the plan is as it was.
    ///
    /// # Errors
    /// As [`PlanFile::revert`].
    pub fn record_delivered(
        &self,
        task: &Task,
        attempt: &AttemptId,
        delivered: &Delivered,
    ) -> Result<Settled, PlanError> {
        let turn = self.turn()?;
        let known = self.known(self.text_in(&turn)?);
        let plan = self.view(&known, &self.records()?);
        record::write_delivered(
            &self.state_dir,
            &record::DeliveredRecord {
                version: record::VERSION,
                task: task.clone(),
                twins: plan.twins(&task.row),
                delivered: delivered.clone(),
            },
        )?;
        if !self.may_release(&task.key, attempt)? {
            return Ok(Settled::NotOurs);
        }
        let (settled, _turn) = self.settle(turn, task, &[Mark::Claimed], Mark::Open)?;
        record::remove_claim(&self.state_dir, &task.key)?;
        Ok(settled)
    }

    /// Forgets that a task was delivered, so that it is open again. `false`: it was not delivered.
    ///
    /// # Errors
    /// [`PlanError::Locked`], [`PlanError::Store`].
    pub fn forget_delivered(&self, key: &TaskKey) -> Result<bool, PlanError> {
        let _turn = self.turn()?;
        record::remove_delivered(&self.state_dir, key)
    }

    /// Takes over the claim of a process that is gone, for an attempt that goes on where it ended. `false`: there is
    /// no such claim, or its process may still live.
    ///
    /// # Errors
    /// As [`PlanFile::forget_delivered`].
    pub fn adopt(&self, key: &TaskKey, attempt: &AttemptId) -> Result<bool, PlanError> {
        let _turn = self.turn()?;
        let records = self.records()?;
        let Some(claim) = records.claim(key) else {
            return Ok(false);
        };
        if claim.owner != self.owner && claim.owner.life(&self.owner) != Life::Gone {
            return Ok(false);
        }
        let adopted = ClaimRecord {
            owner: self.owner.clone(),
            attempt: attempt.clone(),
            ..claim.clone()
        };
        record::write_claim(&self.state_dir, &adopted)?;
        Ok(true)
    }

    fn records(&self) -> Result<Records, StoreError> {
        Records::read(&self.state_dir, &self.memory)
    }

    fn known(&self, text: String) -> Known {
        self.last.read(text, self.flavour)
    }

    fn view(&self, known: &Known, records: &Records) -> Plan {
        view::view(known, records, &self.owner)
    }

    fn text(&self) -> Result<String, PlanError> {
        look(&self.path)?.ok_or_else(|| PlanError::Missing {
            path: self.path.clone(),
        })
    }

    /// The plan's text for whoever only looks.
    fn text_now(&self) -> Result<String, PlanError> {
        let lifted = self.gate.lifted();
        match lifted.as_ref() {
            Some(lifted) => Ok(lifted.text.clone()),
            // The marks are not lifted before this has been read.
            None => self.text(),
        }
    }

    /// The plan's text for whoever acts on it: while git may be writing the file, as it was before.
    fn text_in(&self, turn: &Turn<'_>) -> Result<String, PlanError> {
        turn.text()
            .map_or_else(|| self.text(), |text| Ok(text.to_owned()))
    }

    /// Whether an attempt may give a task back: its claim is the attempt's own, or there is none.
    fn may_release(&self, key: &TaskKey, attempt: &AttemptId) -> Result<bool, PlanError> {
        let Some(found) = record::read_claim(&self.state_dir, key)? else {
            return Ok(true);
        };
        let claim = found.record.as_ref();
        Ok(claim.is_some_and(|claim| claim.owner == self.owner && claim.attempt == *attempt))
    }

    /// Changes the mark of a task, wherever it stands now.
    fn settle<'a>(
        &'a self,
        mut turn: Turn<'a>,
        task: &Task,
        from: &[Mark],
        to: Mark,
    ) -> Result<(Settled, Turn<'a>), PlanError> {
        for _ in 0..TRIES {
            let known = self.known(self.text_in(&turn)?);
            let records = self.records()?;
            let plan = self.view(&known, &records);
            let Some(row) = plan.row_of(task, &records, self.flavour) else {
                if turn.lifted() {
                    turn = self.at_rest(turn)?;
                    continue;
                }
                return Ok((Settled::Gone, turn));
            };
            // As after a commit that has ticked it: no need to look for its place in the text.
            if let Some(mark) = plan.mark_of(&row).filter(|mark| !from.contains(mark)) {
                return Ok((Settled::Already(mark), turn));
            }
            match self.mark(&turn, &known, &row, from, to)? {
                Written::Yes => return Ok((Settled::Changed, turn)),
                Written::Needless => {
                    let mark = plan.mark_of(&row).unwrap_or(to);
                    return Ok((Settled::Already(mark), turn));
                }
                Written::No if turn.lifted() => turn = self.at_rest(turn)?,
                Written::No => {}
            }
        }
        Err(self.changing())
    }

    /// Changes one mark in a text that was just read, and writes it if it is still what the file holds. While the
    /// marks are lifted nothing is written; a claim's mark comes with the others when they are put back.
    fn mark(
        &self,
        turn: &Turn<'_>,
        known: &Known,
        row: &RowKey,
        from: &[Mark],
        to: Mark,
    ) -> Result<Written, PlanError> {
        if turn.lifted() && to == Mark::Claimed {
            return Ok(Written::Needless);
        }
        match known.reading.set_mark(row, from, to) {
            Marked::Changed(_) if turn.lifted() => Ok(Written::No),
            Marked::Changed(changed) if to == Mark::Done => {
                edit::write_durably(&self.path, known.text(), changed.text())
            }
            Marked::Changed(changed) => edit::write(&self.path, known.text(), changed.text()),
            Marked::Already(_) | Marked::Gone => Ok(Written::Needless),
        }
    }

    fn changing(&self) -> PlanError {
        PlanError::Changing {
            path: self.path.clone(),
            tries: TRIES,
        }
    }
}

#[cfg(test)]
mod tests;
