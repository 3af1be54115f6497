//! Ends what is left when owner and guard were both killed: processes are found by a variable that only the
//! attempt's own processes have, and by the session of a guard that is gone.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use rustix::process::{Signal, geteuid};

use crate::process::Identity;
use crate::process::identity::boot_id;
use crate::process::record::Record;
use crate::process::signal::send;
use crate::process::table::{Entry, ProcessTable};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);
/// How long survivors of KILL are waited for.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// The variable by which the processes of an attempt are found when its guard was killed.
pub const ATTEMPT_ID: &str = "RALPH_ATTEMPT_ID";

/// Ends what attempts have left whose guards are gone, as [`sweep`] does, beside whatever else the caller's runtime does.
pub async fn sweep_attempts(
    attempts: BTreeSet<String>,
    guards: Vec<Identity>,
    grace: Duration,
) -> Vec<u32> {
    let swept = move || {
        let leftovers = Leftovers {
            variable: ATTEMPT_ID,
            values: &attempts,
            guards: &guards,
        };
        sweep(&leftovers, grace)
    };
    tokio::task::spawn_blocking(swept).await.unwrap_or_default()
}

/// Whose processes are meant.
#[derive(Debug, Clone, Copy)]
pub struct Leftovers<'a> {
    /// The variable in their environment, such as `RALPH_ATTEMPT_ID`.
    pub variable: &'a str,
    /// Its values; an empty set means nobody by it.
    pub values: &'a BTreeSet<String>,
    /// Guards that are known by name; what is left in their sessions is meant too.
    pub guards: &'a [Identity],
}

/// Ends them and all that descends from them, but for jobs: TERM, the grace, KILL. Own user's processes only, never this one or
/// its ancestors. Blocks for the grace at most and a moment. The answer is what could not be ended, by pid.
#[must_use]
pub fn sweep(leftovers: &Leftovers<'_>, grace: Duration) -> Vec<u32> {
    let first = leftovers.living();
    if first.is_empty() {
        return Vec::new();
    }
    for signal in [Signal::TERM, Signal::CONT] {
        tell(&first, signal);
    }
    let deadline = Instant::now() + grace;
    while Instant::now() < deadline && !leftovers.living().is_empty() {
        std::thread::sleep(PAUSE);
    }
    let deadline = Instant::now() + LAST_WAIT;
    loop {
        let living = leftovers.living();
        if living.is_empty() || Instant::now() >= deadline {
            return living.iter().map(|entry| entry.pid).collect();
        }
        tell(&living, Signal::KILL);
        std::thread::sleep(PAUSE);
    }
}

/// A pid may have been given to somebody else since the look; the start says whether it was.
fn tell(entries: &[Entry], signal: Signal) {
    for entry in entries {
        if Entry::read(entry.pid).is_some_and(|now| now.start_ticks == entry.start_ticks) {
            send(entry.pid, signal);
        }
    }
}

impl Leftovers<'_> {
    /// Who of them is alive, by pid. Ends nobody.
    #[must_use]
    pub fn alive(&self) -> Vec<u32> {
        self.living().iter().map(|entry| entry.pid).collect()
    }

    fn living(&self) -> Vec<Entry> {
        let table = ProcessTable::read();
        let mut meant: BTreeSet<u32> = table
            .entries()
            .filter(|entry| {
                entry.is_living() && (self.is_of_a_guard(entry) || self.is_marked(entry))
            })
            .map(|entry| entry.pid)
            .collect();
        let children: Vec<u32> = meant
            .iter()
            .flat_map(|pid| table.descendants_but(*pid, Record::is_of_lasting))
            .collect();
        meant.extend(children);
        let spared = spared(&table);
        let all = table.entries().filter(|entry| meant.contains(&entry.pid));
        all.filter(|entry| entry.is_living() && !spared.contains(&entry.pid) && is_own(entry.pid))
            .copied()
            .collect()
    }

    /// Its session is that of a guard, and it is not older than the guard: a pid is not given out again while a
    /// session has it as its name.
    fn is_of_a_guard(&self, entry: &Entry) -> bool {
        self.guards.iter().any(|guard| {
            guard.pid == entry.session
                && entry.start_ticks >= guard.start_ticks
                && boot_id() == Some(&*guard.boot_id)
        })
    }

    fn is_marked(&self, entry: &Entry) -> bool {
        if self.values.is_empty() {
            return false;
        }
        // Another user's environment cannot be read, and a process that has just ended has none.
        let Ok(environment) = fs::read(format!("/proc/{}/environ", entry.pid)) else {
            return false;
        };
        environment.split(|byte| *byte == 0).any(|variable| {
            let Some((name, value)) = std::str::from_utf8(variable)
                .ok()
                .and_then(|v| v.split_once('='))
            else {
                return false;
            };
            name == self.variable && self.values.contains(value)
        })
    }
}

/// This process and its ancestors: a loop may itself run inside an attempt of another one.
fn spared(table: &ProcessTable) -> BTreeSet<u32> {
    let mut spared = BTreeSet::new();
    let mut next = Some(std::process::id());
    while let Some(pid) = next.filter(|pid| spared.insert(*pid)) {
        next = table
            .entries()
            .find(|entry| entry.pid == pid)
            .map(|entry| entry.parent);
    }
    spared
}

fn is_own(pid: u32) -> bool {
    fs::metadata(format!("/proc/{pid}")).is_ok_and(|found| found.uid() == geteuid().as_raw())
}
