//! Which process is meant, and whether it still lives: the one answer for locks, supervisors and jobs.
//!
//! A process id alone proves nothing: ids are reused, and a dead process can stay a zombie for ever where
//! process 1 does not reap. So a process is named by its id, its start in clock ticks and the boot it belongs to
//! (proc_pid_stat(5)). Linux only: without `/proc` nothing can be named. Nothing here signals, waits or decides
//! what a dead process means.

use std::fs;
use std::sync::OnceLock;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::table::Entry;
use crate::time::{SignedDuration, Timestamp};

/// Ticks per second of field 22 of `/proc/<pid>/stat`: `USER_HZ`, fixed on every platform built for.
const TICKS_PER_SECOND: u64 = 100;

/// One process, so that no other is ever taken for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The process id.
    pub pid: u32,
    /// Its start, in clock ticks since boot.
    pub start_ticks: u64,
    /// The boot it belongs to: `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
}

impl Identity {
    /// The process that has this pid now. A zombie has an identity too: one that exits at once is a zombie before
    /// anybody can read it.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self {
            pid,
            start_ticks: Entry::read(pid)?.start_ticks,
            boot_id: boot_id()?.to_owned(),
        })
    }

    /// Whether exactly this process still runs. A zombie does not. Where `/proc` does not show the process although
    /// the kernel knows it (`hidepid`), it counts as alive.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        if boot_id().is_some_and(|now| now != self.boot_id) {
            return false;
        }
        // Asked of itself a hundred times for each step of a loop: it needs no look.
        if self.pid == std::process::id()
            && let Some(start) = own_start()
        {
            return start == self.start_ticks;
        }
        exists(self.pid)
            && Entry::read(self.pid)
                .is_none_or(|entry| entry.is_living() && entry.start_ticks == self.start_ticks)
    }
}

/// The start of this process, in clock ticks since boot.
fn own_start() -> Option<u64> {
    static START: OnceLock<Option<u64>> = OnceLock::new();
    *START.get_or_init(|| Some(Entry::read(std::process::id())?.start_ticks))
}

/// Whether some process with this id runs; for records that say no more than an id.
#[must_use]
pub fn is_pid_alive(pid: u32) -> bool {
    exists(pid) && Entry::read(pid).is_none_or(|entry| entry.is_living())
}

/// The start of a process by the wall clock, to the second.
#[must_use]
pub fn started_at(pid: u32) -> Option<Timestamp> {
    let ticks = Entry::read(pid)?.start_ticks;
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let boot = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    let boot = Timestamp::from_second(boot.trim().parse().ok()?).ok()?;
    let since = SignedDuration::from_secs(i64::try_from(ticks / TICKS_PER_SECOND).ok()?);
    boot.checked_add(since).ok()
}

/// The id of the running boot, from random(4), where the system has one.
#[must_use]
pub fn boot_id() -> Option<&'static str> {
    static BOOT: OnceLock<Option<String>> = OnceLock::new();
    BOOT.get_or_init(|| {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(text.trim().to_owned()).filter(|id| !id.is_empty())
    })
    .as_deref()
}

/// Which machine this is, however often it boots, where the system says so. A name made of machine-id(5), which asks that
/// the id itself is told to nobody.
#[must_use]
pub fn machine() -> Option<&'static str> {
    static MACHINE: OnceLock<Option<String>> = OnceLock::new();
    MACHINE
        .get_or_init(|| {
            let id = fs::read_to_string("/etc/machine-id").ok()?;
            let id = id.trim();
            // Empty or a word where it is given at the first boot.
            let is_one = id.len() == 32 && id.bytes().all(|digit| digit.is_ascii_hexdigit());
            let digest = Sha256::digest(format!("ralph {id}"));
            is_one.then(|| {
                digest
                    .iter()
                    .take(8)
                    .map(|byte| format!("{byte:02x}"))
                    .collect()
            })
        })
        .as_deref()
}

/// The space in which process ids have their meaning; a sandbox or a container has its own.
#[must_use]
pub fn pid_namespace() -> Option<&'static str> {
    static NAMESPACE: OnceLock<Option<String>> = OnceLock::new();
    NAMESPACE
        .get_or_init(|| {
            let link = fs::read_link("/proc/self/ns/pid").ok()?;
            Some(link.to_string_lossy().into_owned())
        })
        .as_deref()
}

/// Whether the kernel knows the id. `EPERM` says yes: it belongs to another user.
fn exists(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return false;
    };
    !matches!(test_kill_process(pid), Err(Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_a_different_one_with_its_id_does_not() {
        let own = Identity::of(std::process::id()).unwrap();
        assert!(own.is_alive() && is_pid_alive(own.pid));
        let earlier = Identity {
            start_ticks: own.start_ticks - 1,
            ..own.clone()
        };
        assert!(!earlier.is_alive());
        let before_the_reboot = Identity {
            boot_id: "another".to_owned(),
            ..own
        };
        assert!(!before_the_reboot.is_alive());
        assert!(!is_pid_alive(0) && !is_pid_alive(u32::MAX));
    }

    #[test]
    fn a_zombie_has_an_identity_but_is_not_alive() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        // Not reaped yet: wait until the kernel says that it is over.
        while Entry::read(child.id()).is_some_and(|entry| entry.is_living()) {
            std::thread::yield_now();
        }
        let identity = Identity::of(child.id()).expect("a zombie still has an entry");
        assert!(!identity.is_alive() && !is_pid_alive(child.id()));
        child.wait().unwrap();
        assert!(!identity.is_alive());
        assert_eq!(Identity::of(identity.pid), None);
    }

    #[test]
    fn the_start_is_a_time_of_this_boot() {
        let own = started_at(std::process::id()).unwrap();
        let first = started_at(1).unwrap();
        assert!(first <= own, "{first} {own}");
    }
}
