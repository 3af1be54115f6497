//! The start of a launch: until all its loops are there, none holds more than its share of the slots.
//!
//! Loops begin at different moments, and agents run for hours: without this, the first one would take all slots, and
//! the others would wait for its agents to end. A loop is there when it asks for its first slot, or when it ends
//! without ever asking, which whoever launched it says for one that did not even come to open the budget. One that comes to neither is not waited for long, because its share stands idle.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ralph_core::store::{StoreError, append, atomic};

use super::BudgetError;

/// One line for each loop that is there: its name. The same one may stand there twice, as a loop that came and one that
/// is gone.
const THERE: &str = "there";

/// How long loops that do not come are waited for, since this process came.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the last one may take, once it is there, to ask for the rest of its share.
const SETTLING: Duration = Duration::from_millis(150);

/// The start, as one process sees it.
#[derive(Debug)]
pub(super) struct Start {
    path: PathBuf,
    /// The name of this process's loop.
    name: String,
    loops: usize,
    share: usize,
    began: Instant,
    is_there: AtomicBool,
    /// Since when all are there.
    all_there: Mutex<Option<Instant>>,
    is_over: AtomicBool,
}

impl Start {
    /// The start of `loops` loops with `workers` slots; one loop has no start to wait for.
    pub(super) fn new(folder: &Path, name: &str, loops: usize, workers: usize) -> Self {
        Self {
            path: folder.join(THERE),
            name: name.to_owned(),
            loops,
            share: share(workers, loops),
            began: Instant::now(),
            is_there: AtomicBool::new(false),
            all_there: Mutex::new(None),
            is_over: AtomicBool::new(loops < 2),
        }
    }

    /// Forgets who was there. Only for whoever is alone in the folder.
    pub(super) fn clear(folder: &Path) -> Result<(), BudgetError> {
        Ok(atomic::remove(&folder.join(THERE))?)
    }

    /// Says once that this process is there. Whoever listens in the folder hears it.
    pub(super) fn arrive(&self) {
        if self.is_over.load(Ordering::Relaxed) || self.is_there.swap(true, Ordering::Relaxed) {
            return;
        }
        // Where that cannot be written, the others' patience ends.
        let _ = say(&self.path, &self.name);
    }

    /// Says for a loop that is gone that nobody has to wait for it.
    pub(super) fn depart(folder: &Path, name: &str) -> Result<(), BudgetError> {
        Ok(say(&folder.join(THERE), name)?)
    }

    /// How long somebody who holds so many slots has to wait at most before the next look; `None`: another is theirs
    /// to take.
    pub(super) fn wait(&self, held: usize) -> Option<Duration> {
        if held < self.share || self.is_over.load(Ordering::Relaxed) {
            return None;
        }
        let left = match self.since() {
            Some(since) => SETTLING.saturating_sub(since.elapsed()),
            None => PATIENCE.saturating_sub(self.began.elapsed()),
        };
        if left.is_zero() {
            self.is_over.store(true, Ordering::Relaxed);
            return None;
        }
        Some(left)
    }

    fn since(&self) -> Option<Instant> {
        let mut all_there = self
            .all_there
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if all_there.is_none() && self.count() >= self.loops {
            *all_there = Some(Instant::now());
        }
        *all_there
    }

    fn count(&self) -> usize {
        let text = atomic::read(&self.path).ok().flatten().unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        text.lines().collect::<BTreeSet<_>>().len()
    }
}

fn say(path: &Path, name: &str) -> Result<(), StoreError> {
    append::append_line(path, &name.replace('\n', " "))
}

/// What each loop may hold while not all are there: with fewer slots than loops one, first come, first served.
fn share(workers: usize, loops: usize) -> usize {
    workers.checked_div(loops).unwrap_or(workers).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_nothing_and_all_shares_fit() {
        assert_eq!(
            [(3, 6), (6, 3), (7, 3), (1, 1), (4, 0)].map(|(n, r)| share(n, r)),
            [1, 2, 2, 1, 4]
        );
    }

    #[test]
    fn beyond_the_share_all_are_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let one = Start::new(folder.path(), "one", 2, 4);
        let other = Start::new(folder.path(), "other", 2, 4);
        assert_eq!((one.wait(0), one.wait(1)), (None, None));
        one.arrive();
        one.arrive();
        assert!(one.wait(2).is_some_and(|left| left > SETTLING), "not twice");
        other.arrive();
        assert!(one.wait(2).is_none_or(|left| left <= SETTLING));
        let alone = Start::new(folder.path(), "alone", 1, 4);
        assert_eq!(alone.wait(3), None);
    }

    #[test]
    fn a_loop_that_is_gone_is_not_waited_for_and_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        let one = Start::new(folder.path(), "one", 3, 6);
        let again = Start::new(folder.path(), "one", 3, 6);
        one.arrive();
        again.arrive();
        Start::depart(folder.path(), "one").unwrap();
        assert!(
            one.wait(2).is_some_and(|left| left > SETTLING),
            "one of three"
        );
        Start::depart(folder.path(), "two").unwrap();
        Start::depart(folder.path(), "three").unwrap();
        assert!(one.wait(2).is_none_or(|left| left <= SETTLING));
    }
}
