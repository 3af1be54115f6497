//! Waits for a worker, ends it when it has to end, and leaves nothing of it behind.
//!
//! Used inside a supervisor only: with the supervisor as subreaper, whatever a worker started, in whatever group or
//! session, is still a descendant of this process. Only the jobs that it has submitted are none of its own.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, waitpid};
use tokio::process::Child;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::record::{Ask, Ending, Record};
use super::signal::{hasten, send, send_group};
use super::table::{Entry, ProcessTable};
use crate::job::ExitInfo;

/// Pause between two looks for survivors.
const PAUSE: Duration = Duration::from_millis(10);

/// How long survivors of KILL are waited for: only a process stuck in the kernel takes longer than a moment.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Which processes belong to a worker.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reach {
    /// Everything that descends from this process, but for jobs: it has this one worker.
    All(u32),
    /// The worker's group and its descendants: this process has other workers. What has left the group *and* lost
    /// its parents is found when the last worker ends.
    Branch(u32),
    /// Whatever still descends from this process, whose workers have all ended.
    Rest,
}

/// When a worker is ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Longest run.
    pub(crate) time_limit: Option<Duration>,
    /// Time between TERM and KILL.
    pub(crate) grace: Duration,
    /// Who gets TERM.
    pub(crate) ask: Ask,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) exit: ExitInfo,
    pub(crate) ending: Ending,
    pub(crate) remaining: Vec<u32>,
}

/// Waits for the worker's end, or brings it about. `announce` is called before the first signal is sent.
pub(crate) async fn attend(
    child: &mut Child,
    reach: Reach,
    limits: Limits,
    stop: &mut watch::Receiver<bool>,
    announce: &mut (dyn FnMut(Ending) + Send),
) -> io::Result<Ended> {
    let deadline = limits
        .time_limit
        .and_then(|limit| Instant::now().checked_add(limit));
    let ending = tokio::select! {
        biased;
        status = child.wait() => {
            let status = status?;
            let ending = if asked_to_die(status, stop).await { Ending::Stopped } else { Ending::Own };
            return Ok(Ended { exit: exit_info(status), ending, remaining: reach.clear().await });
        }
        () = at(deadline) => Ending::TimeLimit,
        () = raised(stop) => Ending::Stopped,
    };
    announce(ending);
    let status = end(child, reach, limits).await?;
    Ok(Ended {
        exit: exit_info(status),
        ending,
        remaining: reach.clear().await,
    })
}

/// When the machine goes down, everybody gets TERM at once: a worker that died of it was stopped, although its
/// death was seen first.
async fn asked_to_die(status: ExitStatus, stop: &watch::Receiver<bool>) -> bool {
    if status.signal() != Some(Signal::TERM.as_raw()) {
        return false;
    }
    tokio::task::yield_now().await;
    *stop.borrow()
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Returns when the flag is up; never when nobody is left to raise it.
pub(crate) async fn raised(flag: &mut watch::Receiver<bool>) {
    if flag.wait_for(|up| *up).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// TERM, the grace, KILL. The grace is for everything that belongs to the worker: a script may end at once while
/// the program it started still writes its checkpoint. What a worker that was asked alone has left behind is asked
/// once it is gone.
async fn end(child: &mut Child, reach: Reach, limits: Limits) -> io::Result<ExitStatus> {
    let deadline = Instant::now() + limits.grace;
    match limits.ask {
        Ask::Everything => reach.ask(),
        Ask::Worker => child.id().into_iter().for_each(hasten),
    }
    if let Ok(status) = timeout_at(deadline, child.wait()).await {
        let status = status?;
        if limits.ask == Ask::Worker {
            reach.ask();
        }
        while Instant::now() < deadline && !reach.living().is_empty() {
            sleep(PAUSE).await;
        }
        return Ok(status);
    }
    reach.signal(Signal::KILL);
    child.wait().await
}

impl Reach {
    /// The worker's process group.
    fn group(self) -> Option<u32> {
        match self {
            Self::All(worker) | Self::Branch(worker) => Some(worker),
            Self::Rest => None,
        }
    }

    fn belongs(self, table: &ProcessTable) -> Vec<Entry> {
        let root = match self {
            Self::All(_) | Self::Rest => std::process::id(),
            Self::Branch(worker) => worker,
        };
        let descendants = table.descendants_but(root, Record::is_of_lasting);
        let group = self.group();
        table
            .entries()
            .filter(|entry| group == Some(entry.group) || descendants.contains(&entry.pid))
            .copied()
            .collect()
    }

    /// Who of them runs.
    pub(crate) fn living(self) -> Vec<u32> {
        let table = ProcessTable::read();
        let all = self.belongs(&table).into_iter();
        all.filter(Entry::is_living)
            .map(|entry| entry.pid)
            .collect()
    }

    /// A stopped process receives TERM only when it goes on.
    fn ask(self) {
        self.signal(Signal::TERM);
        self.signal(Signal::CONT);
    }

    /// The group first, which no fork can outrun; then those who left it.
    pub(crate) fn signal(self, signal: Signal) {
        let table = ProcessTable::read();
        let group = self.group();
        if let Some(group) = group {
            send_group(group, signal);
        }
        for entry in self.belongs(&table) {
            if group != Some(entry.group) && entry.is_living() {
                send(entry.pid, signal);
            }
        }
    }

    /// Kills what is left, again and again until nothing is, and reaps it. The answer is what could not be ended.
    async fn clear(self) -> Vec<u32> {
        let deadline = Instant::now() + LAST_WAIT;
        loop {
            let living = self.living();
            if living.is_empty() || Instant::now() >= deadline {
                self.reap();
                return living;
            }
            self.signal(Signal::KILL);
            sleep(PAUSE).await;
        }
    }

    /// Takes the dead that were left to us. The leaders of groups may be other workers, whom somebody waits for.
    fn reap(self) {
        let me = std::process::id();
        let table = ProcessTable::read();
        let ours = table
            .entries()
            .filter(|entry| entry.parent == me && !entry.is_living());
        let others = matches!(self, Self::Branch(_));
        for entry in ours.filter(|entry| !others || entry.group != entry.pid) {
            if let Some(pid) = i32::try_from(entry.pid).ok().and_then(Pid::from_raw) {
                let _ = waitpid(Some(pid), WaitOptions::NOHANG);
            }
        }
    }
}

/// Kills what is left of this process's descendants; for a supervisor whose last worker has ended.
pub(crate) async fn clear_everything() -> Vec<u32> {
    Reach::Rest.clear().await
}

/// Ends what a killed supervisor has left behind: TERM, the grace, KILL. Blocks for the grace at most and a moment.
/// The answer is what could not be ended.
#[must_use]
pub fn end_orphans(record: &Record, grace: Duration) -> Vec<u32> {
    end_orphans_of(record, grace, |_group| true)
}

/// The same for some of the process groups only.
pub(crate) fn end_orphans_of(
    record: &Record,
    grace: Duration,
    wanted: impl Fn(u32) -> bool,
) -> Vec<u32> {
    let left = || -> Vec<u32> {
        let table = ProcessTable::read();
        let orphans = record.orphans(&table).into_iter();
        orphans
            .filter(|orphan| wanted(orphan.group))
            .map(|orphan| orphan.pid)
            .collect()
    };
    let tell = |signal| left().into_iter().for_each(|pid| send(pid, signal));
    let wait = |limit, again: Option<Signal>| {
        let deadline = std::time::Instant::now() + limit;
        while std::time::Instant::now() < deadline && !left().is_empty() {
            again.into_iter().for_each(tell);
            std::thread::sleep(PAUSE);
        }
    };
    tell(Signal::TERM);
    tell(Signal::CONT);
    wait(grace, None);
    wait(LAST_WAIT, Some(Signal::KILL));
    left()
}

/// Exit code and signal of a status.
pub(crate) fn exit_info(status: ExitStatus) -> ExitInfo {
    ExitInfo {
        code: status.code().unwrap_or(0),
        signal: status.signal().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::supervise::runtime;

    /// A worker with a child that says when it is told to end; the worker takes its second signal for haste.
    const SCRIPT: &str = "
        (trap 'echo child >>said' TERM; echo >armed; while :; do sleep 0.01; done) & child=$!
        trap 'echo first >>said' TERM
        trap 'echo haste >>said; kill -KILL $child; exit 130' INT
        until [ -e armed ]; do sleep 0.01; done; echo >ready
        while :; do sleep 0.01; done";

    #[test]
    fn a_worker_that_ends_its_own_is_asked_alone_and_in_haste() {
        let folder = tempfile::tempdir().unwrap();
        let said = |ask| {
            runtime().unwrap().block_on(async {
                let mut child = tokio::process::Command::new("/bin/bash")
                    .args(["-c", SCRIPT])
                    .current_dir(folder.path())
                    .process_group(0)
                    .spawn()
                    .unwrap();
                let ready = folder.path().join("ready");
                while !ready.exists() {
                    tokio::time::sleep(PAUSE).await;
                }
                let (_raise, mut stop) = watch::channel(true);
                let limits = Limits {
                    time_limit: None,
                    grace: Duration::from_secs(10),
                    ask,
                };
                let reach = Reach::Branch(child.id().unwrap());
                let ended = attend(&mut child, reach, limits, &mut stop, &mut |_| ()).await;
                let ended = ended.unwrap();
                assert_eq!((ended.exit.code, ended.ending), (130, Ending::Stopped));
                std::fs::read_to_string(folder.path().join("said")).unwrap()
            })
        };
        let said = said(Ask::Worker);
        assert!(said.contains("haste") && !said.contains("child"), "{said}");
    }
}
