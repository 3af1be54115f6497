//! Which process is meant, and whether it still lives.
//!
//! A process id alone proves nothing: ids are reused, and a dead process can stay a zombie for ever where
//! process 1 does not reap. So a process is named by its id, its start in clock ticks and the boot it belongs
//! to (proc_pid_stat(5)). Nothing here signals, waits or decides what a dead owner means.

use std::fs;
use std::sync::OnceLock;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

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

/// The process for which a lock is taken: one that lives at least as long as the lock is meant to be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// Its process id.
    pub pid: u32,
}

/// Names a process. A zombie has an identity too: one that exits at once must still be nameable.
#[must_use]
pub fn identity_of(pid: u32) -> Option<Identity> {
    Some(Identity {
        pid,
        start_ticks: Stat::of(pid)?.start_ticks,
        boot_id: boot_id()?.to_owned(),
    })
}

/// Whether exactly this process still runs. A zombie does not. Where `/proc` does not show the process although
/// the kernel knows it (`hidepid`), it counts as alive.
#[must_use]
pub fn is_alive(identity: &Identity) -> bool {
    if boot_id().is_some_and(|now| now != identity.boot_id) {
        return false;
    }
    exists(identity.pid)
        && Stat::of(identity.pid)
            .is_none_or(|stat| !stat.is_over && stat.start_ticks == identity.start_ticks)
}

/// Whether some process with this id runs; for records that say no more than an id.
#[must_use]
pub fn is_pid_alive(pid: u32) -> bool {
    exists(pid) && Stat::of(pid).is_none_or(|stat| !stat.is_over)
}

/// The start of a process by the wall clock, to the second.
#[must_use]
pub fn started_at(pid: u32) -> Option<Timestamp> {
    let ticks = Stat::of(pid)?.start_ticks;
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let boot = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    let boot = Timestamp::from_second(boot.trim().parse().ok()?).ok()?;
    let since = SignedDuration::from_secs(i64::try_from(ticks / TICKS_PER_SECOND).ok()?);
    boot.checked_add(since).ok()
}

/// The id of the running boot, where the system has one.
#[must_use]
pub fn boot_id() -> Option<&'static str> {
    static BOOT: OnceLock<Option<String>> = OnceLock::new();
    BOOT.get_or_init(|| {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(text.trim().to_owned())
    })
    .as_deref()
}

/// The space in which process ids have their meaning; a sandbox or a container has its own.
#[must_use]
pub(super) fn pid_namespace() -> Option<&'static str> {
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

/// What is used of `/proc/<pid>/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    start_ticks: u64,
    is_over: bool,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name, field 2, is in parentheses and may hold anything, so fields are counted after the last `)`.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let end_of_name = bytes.iter().rposition(|byte| *byte == b')')?;
        let rest = std::str::from_utf8(bytes.get(end_of_name + 1..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?;
        // The state is field 3, the start is field 22.
        let start_ticks = fields.nth(18)?.parse().ok()?;
        Some(Self {
            start_ticks,
            is_over: matches!(state, "Z" | "X" | "x"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_bytes_does_not_shift_the_fields() {
        let line = b"77 (a) S 9 (\xff) Z 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        assert_eq!(
            Stat::parse(line),
            Some(Stat {
                start_ticks: 4242,
                is_over: true
            })
        );
        for bad in [&b""[..], b")", b"1 (x) S", b"1 (x"] {
            assert_eq!(Stat::parse(bad), None);
        }
    }

    #[test]
    fn this_process_lives_and_a_different_one_with_its_id_does_not() {
        let own = identity_of(std::process::id()).unwrap();
        assert!(is_alive(&own) && is_pid_alive(own.pid));
        let earlier = Identity {
            start_ticks: own.start_ticks - 1,
            ..own.clone()
        };
        assert!(!is_alive(&earlier));
        let before_the_reboot = Identity {
            boot_id: "another".to_owned(),
            ..own
        };
        assert!(!is_alive(&before_the_reboot));
        assert!(!is_pid_alive(0) && !is_pid_alive(u32::MAX));
    }

    #[test]
    fn a_zombie_has_an_identity_but_is_not_alive() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        // Not reaped yet: wait until the kernel says that it is over.
        while Stat::of(child.id()).is_some_and(|stat| !stat.is_over) {
            std::thread::yield_now();
        }
        let identity = identity_of(child.id()).expect("a zombie still has an entry");
        assert!(!is_alive(&identity) && !is_pid_alive(child.id()));
        child.wait().unwrap();
        assert!(!is_alive(&identity));
    }

    #[test]
    fn the_start_is_a_time_of_this_boot() {
        let own = started_at(std::process::id()).unwrap();
        let first = started_at(1).unwrap();
        assert!(first <= own, "{first} {own}");
    }
}
