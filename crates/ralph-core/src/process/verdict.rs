//! What became of a supervised process, from three independent facts.
//!
//! The decision is pure; [`Facts::read`] is the only look at the machine. No record is ever changed here.

use std::cell::OnceCell;
use std::io;
use std::path::{Path, PathBuf};

use super::lock;
use super::record::{EXIT, ExitRecord, LOCK, RECORD, Record, read_record};
use super::table::{Entry, ProcessTable};

/// What a supervised process left behind, and whether something of it lives: the three facts from which a [`Verdict`] is
/// made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Whether a supervisor holds the lock.
    pub lock_held: bool,
    /// The exit, when one is recorded.
    pub exit: Option<ExitRecord>,
    /// Whether the worker, or anything else of its session, is alive.
    pub worker_alive: bool,
}

/// What became of a supervised process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Supervised and running.
    Running,
    /// Ended; with the exit code, or 128 and the signal.
    Exited(i32),
    /// The supervisor was killed and the worker runs on: adopt it or stop it.
    Orphaned,
    /// Both are gone and nobody knows how: a crash or a restart of the machine. Never a success.
    Lost,
}

/// Puts the facts together. A recorded exit outranks everything: it is the last thing a supervisor writes.
#[must_use]
pub fn verdict(facts: &Facts) -> Verdict {
    match (&facts.exit, facts.lock_held, facts.worker_alive) {
        (Some(exit), _, _) => Verdict::Exited(exit.shell_code()),
        (None, true, _) => Verdict::Running,
        (None, false, true) => Verdict::Orphaned,
        (None, false, false) => Verdict::Lost,
    }
}

impl Facts {
    /// Looks at a record directory.
    ///
    /// # Errors
    /// A record or the lock cannot be read.
    pub fn read(directory: &Path) -> io::Result<Self> {
        Self::read_with(directory, &OnceCell::new())
    }

    /// The same for one of many directories: the table of processes is read once for all of them, and only when one
    /// needs it.
    ///
    /// # Errors
    /// As [`Facts::read`].
    pub fn read_with(directory: &Path, processes: &OnceCell<ProcessTable>) -> io::Result<Self> {
        // The exit is read after the lock: a supervisor that ends between the two looks has recorded it.
        let lock_held = lock::is_held(&directory.join(LOCK))?;
        let exit = read_record(&directory.join(EXIT))?;
        let record: Option<Record> = read_record(&directory.join(RECORD))?;
        let worker_alive =
            exit.is_none() && record.is_some_and(|record| record.has_living_in(processes));
        Ok(Self {
            lock_held,
            exit,
            worker_alive,
        })
    }
}

impl Record {
    /// Whether a process is the supervisor of a record that outlives whoever asked for it: it leads a session, works in
    /// its record's folder, and has written itself down there.
    pub(crate) fn is_of_lasting(entry: &Entry) -> bool {
        if entry.session != entry.pid {
            return false;
        }
        let path = PathBuf::from(format!("/proc/{}/cwd/{RECORD}", entry.pid));
        let record: Option<Record> = read_record(&path).ok().flatten();
        record.is_some_and(|record| {
            let supervisor = &record.supervisor;
            record.outlives
                && (supervisor.pid, supervisor.start_ticks) == (entry.pid, entry.start_ticks)
                && super::identity::boot_id() == Some(&*supervisor.boot_id)
        })
    }

    /// Whether the worker or anything that the supervisor started is alive. The session tells of a worker whose
    /// supervisor was killed before it could write down whom it had started.
    fn has_living_in(&self, processes: &OnceCell<ProcessTable>) -> bool {
        self.worker.as_ref().is_some_and(super::Identity::is_alive)
            || !self
                .orphans(processes.get_or_init(ProcessTable::read))
                .is_empty()
    }

    /// The living members of the supervisor's session, without the supervisor. A pid is not given out again while
    /// a session has it as its name, so members that are older than the supervisor are another session's.
    #[must_use]
    pub fn orphans(&self, table: &ProcessTable) -> Vec<Entry> {
        if super::identity::boot_id() != Some(&*self.supervisor.boot_id) {
            return Vec::new();
        }
        table
            .session(self.supervisor.pid)
            .into_iter()
            .filter(|entry| entry.pid != self.supervisor.pid)
            .filter(|entry| entry.start_ticks >= self.supervisor.start_ticks)
            .copied()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::ExitInfo;
    use crate::process::Ending;

    #[test]
    fn the_table_of_the_three_facts() {
        let exit = |code, signal| ExitRecord {
            exit: ExitInfo { code, signal },
            ending: Ending::Own,
            reason: None,
            ended: crate::time::Timestamp::UNIX_EPOCH,
            remaining: Vec::new(),
        };
        let judge = |lock_held, exit: Option<ExitRecord>, worker_alive| {
            verdict(&Facts {
                lock_held,
                exit,
                worker_alive,
            })
        };
        for lock_held in [false, true] {
            for worker_alive in [false, true] {
                assert_eq!(
                    judge(lock_held, Some(exit(3, 0)), worker_alive),
                    Verdict::Exited(3)
                );
                assert_eq!(
                    judge(lock_held, Some(exit(0, 15)), worker_alive),
                    Verdict::Exited(143)
                );
            }
        }
        assert_eq!(judge(true, None, true), Verdict::Running);
        assert_eq!(judge(true, None, false), Verdict::Running);
        assert_eq!(judge(false, None, true), Verdict::Orphaned);
        assert_eq!(judge(false, None, false), Verdict::Lost);
    }
}
