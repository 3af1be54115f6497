//! N slot files, each held by an operating system lock, and the turn in which processes get a free one.
//!
//! A process that finds no free slot joins the line, waits for its turn, leaves the line, waits for a slot and passes
//! the turn on. Line and turn are locks, whose waiters the kernel serves in their order; there are two because one
//! alone could be taken again by whoever just left it before the next one wakes up. So each process has one place
//! however many workers it has, and the repositories of a launch take turns. All files stay open for life: a lock is
//! left by unlocking, never by closing, so that a child of ours that is just being started cannot keep it.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ralph_core::process::lock::{self, Held};
use tokio::sync::oneshot;

use super::BudgetError;
use super::bell::Bell;
use super::queue::Queue;
use super::start::Start;

const LINE: &str = "line.lock";
const TURN: &str = "turn.lock";

/// Pauses after a ring: the kernel tells of a dead process's file a moment before it frees the lock.
const SOON: [Duration; 4] = [
    Duration::from_millis(1),
    Duration::from_millis(4),
    Duration::from_millis(16),
    Duration::from_millis(64),
];

/// Between two looks when nothing rings.
pub(super) const LATER: Duration = Duration::from_secs(2);

/// The slots of a folder, as one process sees them.
#[derive(Debug)]
pub(super) struct Slots {
    folder: PathBuf,
    files: Vec<File>,
    /// Which of them this process holds: a lock does not exclude its own holder.
    held: Mutex<Vec<bool>>,
    /// This and the turn are used by the serving thread, and by others only while there is none.
    line: File,
    turn: File,
    queue: Queue<Result<Slot, BudgetError>>,
    bell: Bell,
    start: Start,
}

/// The right to run one agent; given back when dropped, or when the process ends.
#[derive(Debug)]
pub struct Slot {
    slots: Arc<Slots>,
    index: usize,
}

impl Slot {
    /// Which of the N slots it is, from one.
    #[must_use]
    pub fn number(&self) -> usize {
        self.index + 1
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        {
            let mut held = self.slots.held();
            if let Some(file) = self.slots.files.get(self.index) {
                // Cannot fail on a lock that is held through this descriptor.
                let _ = file.unlock();
            }
            if let Some(held) = held.get_mut(self.index) {
                *held = false;
            }
        }
        self.slots.bell.ring();
    }
}

impl Slots {
    pub(super) fn open(folder: &Path, workers: usize, start: Start) -> Result<Self, BudgetError> {
        let open = |name: &str| {
            let path = folder.join(name);
            lock::open(&path).map_err(BudgetError::io("open", &path))
        };
        let files: Result<Vec<File>, BudgetError> = (1..=workers)
            .map(|number| open(&format!("slot-{number}.lock")))
            .collect();
        Ok(Self {
            folder: folder.to_owned(),
            files: files?,
            held: Mutex::new(vec![false; workers]),
            line: open(LINE)?,
            turn: open(TURN)?,
            queue: Queue::default(),
            bell: Bell::new(folder),
            start,
        })
    }

    /// The start of the launch that these slots belong to.
    pub(super) fn start(&self) -> &Start {
        &self.start
    }

    /// Waits for a slot. A wait that is given up leaves nothing held.
    pub(super) async fn get(self: &Arc<Self>) -> Result<Slot, BudgetError> {
        self.start.arrive();
        let receiver = {
            let mut queue = self.queue.lock();
            if !queue.is_served()
                && let Some(slot) = self.at_once()?
            {
                return Ok(slot);
            }
            let slots = Arc::clone(self);
            queue
                .enter(move || slots.serve())
                .map_err(BudgetError::io("wait in", &self.folder))?
        };
        let mut wait = Wait {
            receiver,
            is_over: false,
            bell: &self.bell,
        };
        let got = (&mut wait.receiver).await;
        wait.is_over = true;
        got.unwrap_or_else(|_| {
            let gone = io::Error::other("the thread that waits for a slot is gone");
            Err(BudgetError::io("wait in", &self.folder)(gone))
        })
    }

    /// A free slot, if no other process waits for one.
    fn at_once(self: &Arc<Self>) -> Result<Option<Slot>, BudgetError> {
        if self.start.wait(self.count()).is_some() {
            return Ok(None);
        }
        let line = Held::try_take(&self.line).map_err(|source| self.error(LINE, source))?;
        let turn = Held::try_take(&self.turn).map_err(|source| self.error(TURN, source))?;
        if line.is_none() || turn.is_none() {
            return Ok(None);
        }
        self.take_free()
    }

    fn take_free(self: &Arc<Self>) -> Result<Option<Slot>, BudgetError> {
        let mut held = self.held();
        for (index, (file, is_held)) in self.files.iter().zip(held.iter_mut()).enumerate() {
            if *is_held {
                continue;
            }
            match file.try_lock() {
                Ok(()) => {
                    *is_held = true;
                    return Ok(Some(Slot {
                        slots: Arc::clone(self),
                        index,
                    }));
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(source)) => {
                    return Err(BudgetError::io("lock a slot in", &self.folder)(source));
                }
            }
        }
        Ok(None)
    }

    /// The life of the thread that waits: one turn for each slot, until nobody wants one.
    fn serve(self: &Arc<Self>) {
        loop {
            match self.serve_turn() {
                Ok(Some(slot)) => self.queue.hand_over(Ok(slot)),
                Ok(None) => {}
                Err(error) => self.queue.hand_over(Err(error)),
            }
            if self.queue.ends() {
                return;
            }
        }
    }

    /// Waits in front of the line, so that those who have less than their share find it empty.
    fn wait_for_the_others(&self) {
        let mut listener = self.bell.listen();
        while self.queue.is_wanted()
            && let Some(at_most) = self.start.wait(self.count())
        {
            listener.wait(at_most);
        }
    }

    fn count(&self) -> usize {
        self.held().iter().filter(|is_held| **is_held).count()
    }

    fn serve_turn(self: &Arc<Self>) -> Result<Option<Slot>, BudgetError> {
        self.wait_for_the_others();
        let line = Held::take(&self.line).map_err(|source| self.error(LINE, source))?;
        let _turn = Held::take(&self.turn).map_err(|source| self.error(TURN, source))?;
        drop(line);
        let mut listener = self.bell.listen();
        let mut soon = SOON.iter();
        while self.queue.is_wanted() {
            if let Some(slot) = self.take_free()? {
                return Ok(Some(slot));
            }
            let pause = soon.next().copied().unwrap_or(LATER);
            if listener.wait(pause) {
                soon = SOON.iter();
            }
        }
        Ok(None)
    }

    fn error(&self, name: &str, source: io::Error) -> BudgetError {
        BudgetError::io("lock", &self.folder.join(name))(source)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Vec<bool>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait that tells the serving thread when it is given up, so that the turn does not stay with nobody.
#[derive(Debug)]
pub(super) struct Wait<'a, T> {
    pub(super) receiver: oneshot::Receiver<T>,
    pub(super) is_over: bool,
    pub(super) bell: &'a Bell,
}

impl<T> Drop for Wait<'_, T> {
    fn drop(&mut self) {
        if !self.is_over {
            self.receiver.close();
            self.bell.ring();
        }
    }
}
