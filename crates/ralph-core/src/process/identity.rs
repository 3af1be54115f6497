//! Who a process is: pid, start and boot together, because pids are reused and machines restart.
//!
//! Nothing here signals a process. Linux only: without `/proc` every answer is "not known".

use serde::{Deserialize, Serialize};

use super::table::Entry;

/// A process that can be told from every other, before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The process id.
    pub pid: u32,
    /// When it started, in clock ticks since boot (field 22 of proc_pid_stat(5)).
    pub start_ticks: u64,
    /// The boot it belongs to; changes with every restart of the machine.
    pub boot_id: String,
}

impl Identity {
    /// The process that has this pid now. A zombie has an identity too: a worker that exits at once is one
    /// before anybody can read it.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self {
            pid,
            start_ticks: Entry::read(pid)?.start_ticks,
            boot_id: boot_id()?,
        })
    }

    /// Whether this very process still runs. A zombie does not: where PID 1 does not reap (containers), it stays
    /// one for ever.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        Entry::read(self.pid)
            .is_some_and(|entry| entry.start_ticks == self.start_ticks && entry.is_living())
            && boot_id().as_ref() == Some(&self.boot_id)
    }
}

/// The id of this boot, from random(4).
#[must_use]
pub fn boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned()).filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_zombie_has_an_identity_and_is_not_alive() {
        let mut child = Command::new("true").stdout(Stdio::null()).spawn().unwrap();
        while Entry::read(child.id()).is_some_and(|entry| entry.is_living()) {
            std::thread::yield_now();
        }
        let identity = Identity::of(child.id()).expect("a zombie can be read");
        assert!(!identity.is_alive());
        child.wait().unwrap();
        assert_eq!(Identity::of(identity.pid), None);
    }

    #[test]
    fn another_start_or_another_boot_is_another_process() {
        let me = Identity::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        let mut earlier = me.clone();
        earlier.start_ticks -= 1;
        assert!(!earlier.is_alive());
        let mut before = me;
        before.boot_id = "another boot".to_owned();
        assert!(!before.is_alive());
    }
}
