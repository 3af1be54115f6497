//! One look at all processes of the machine: who descends from whom, who shares a session.
//!
//! Read only. A look is old the moment it is taken; whoever signals takes a new one until nothing is left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// One process, as proc_pid_stat(5) tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Process id.
    pub pid: u32,
    /// State letter; `Z` and `X` are dead.
    pub state: char,
    /// Parent's process id.
    pub parent: u32,
    /// Process group.
    pub group: u32,
    /// Session.
    pub session: u32,
    /// Start, in clock ticks since boot.
    pub start_ticks: u64,
}

impl Entry {
    /// The process with this pid, dead or alive, while it can be read.
    #[must_use]
    pub fn read(pid: u32) -> Option<Self> {
        // A program's name need not be text.
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Self::parse(&String::from_utf8_lossy(&stat))
    }

    /// Whether it runs, sleeps or is stopped, rather than waits to be reaped.
    #[must_use]
    pub fn is_living(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// The program's name stands in parentheses and may hold blanks and parentheses itself, so the fields are
    /// counted from the last one.
    fn parse(stat: &str) -> Option<Self> {
        let (head, tail) = stat.rsplit_once(')')?;
        let pid = head.split_once(' ')?.0.parse().ok()?;
        let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u32>().ok();
        Some(Self {
            pid,
            state: fields.first()?.chars().next()?,
            parent: number(1)?,
            group: number(2)?,
            session: number(3)?,
            start_ticks: fields.get(19)?.parse().ok()?,
        })
    }
}

/// Processor time of a process and of those of its children that it has waited for, in clock ticks.
#[must_use]
pub fn processor_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    ticks(&String::from_utf8_lossy(&stat))
}

/// Fields 14 to 17; the first after the name is the third.
fn ticks(stat: &str) -> Option<u64> {
    let fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    fields
        .skip(11)
        .take(4)
        .map(|field| field.parse::<u64>().ok())
        .sum()
}

/// All processes at one moment, by pid.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessTable(BTreeMap<u32, Entry>);

impl ProcessTable {
    /// Looks. Empty where there is no `/proc`.
    #[must_use]
    pub fn read() -> Self {
        let Ok(listing) = fs::read_dir("/proc") else {
            return Self::default();
        };
        let pids = listing
            .filter_map(Result::ok)
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Self::from_entries(pids.filter_map(Entry::read))
    }

    fn from_entries(entries: impl Iterator<Item = Entry>) -> Self {
        Self(entries.map(|entry| (entry.pid, entry)).collect())
    }

    /// All processes.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.0.values()
    }

    /// The living members of a session.
    #[must_use]
    pub fn session(&self, session: u32) -> Vec<&Entry> {
        self.entries()
            .filter(|entry| entry.session == session && entry.is_living())
            .collect()
    }

    /// Children, their children and so on, dead ones included, without `root` itself.
    #[must_use]
    pub fn descendants(&self, root: u32) -> BTreeSet<u32> {
        self.descendants_but(root, |_| false)
    }

    /// The same without those who have `left`, and whatever descends from them.
    pub(crate) fn descendants_but(
        &self,
        root: u32,
        left: impl Fn(&Entry) -> bool,
    ) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        let mut next = vec![root];
        while let Some(parent) = next.pop() {
            let children = self.entries().filter(|entry| entry.parent == parent);
            for child in children {
                if child.pid != root && !left(child) && found.insert(child.pid) {
                    next.push(child.pid);
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STAT: &str = "42 (a) b (c)) S 7 40 39 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 123456 8 9";

    #[test]
    fn names_with_parentheses_do_not_shift_the_fields() {
        let entry = Entry::parse(STAT).unwrap();
        assert_eq!(
            (
                entry.pid,
                entry.state,
                entry.parent,
                entry.group,
                entry.session,
                entry.start_ticks
            ),
            (42, 'S', 7, 40, 39, 123_456)
        );
    }

    #[test]
    fn descendants_are_transitive_and_a_loop_ends() {
        let line = |pid: u32, parent: u32| Entry {
            pid,
            state: 'S',
            parent,
            group: pid,
            session: 1,
            start_ticks: 0,
        };
        let table = ProcessTable::from_entries(
            [line(2, 1), line(3, 2), line(4, 3), line(5, 1), line(1, 4)].into_iter(),
        );
        assert_eq!(table.descendants(2), BTreeSet::from([1, 3, 4, 5]));
        assert_eq!(table.descendants(5), BTreeSet::new());
    }

    #[test]
    fn processor_time_is_that_of_the_process_and_of_its_reaped_children() {
        assert_eq!(ticks(STAT), Some(5 + 6 + 7 + 8));
        assert!(processor_ticks(std::process::id()).is_some());
        assert_eq!(processor_ticks(u32::MAX), None);
    }

    #[test]
    fn this_process_is_in_the_table() {
        let table = ProcessTable::read();
        let me = std::process::id();
        let mine = table.entries().find(|entry| entry.pid == me).unwrap();
        assert!(mine.is_living());
        assert!(table.descendants(mine.parent).contains(&me));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,200}") {
            let _ = Entry::parse(&text);
            let _ = ticks(&text);
        }
    }
}
