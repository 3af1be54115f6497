//! The guard's side: what a binary's hidden verb runs, in a process of its own.
//!
//! A binary gives the verb `__guard` and calls [`main`] with nothing else in between; standard output and standard
//! error are the program's, so nothing is ever written there.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions};
use tokio::process::{Child, Command};
use tokio::signal::unix::{self, SignalKind};
use tokio::time::{Instant, sleep, sleep_until};

use super::wire::{Channel, Said, Told};
use super::{GuardEnd, GuardRequest, Inherit};
use crate::process::Identity;
use crate::process::ending::{Reach, exit_info};
use crate::process::signal::{Signals, Told as Signalled};
use crate::process::supervise::runtime;
use crate::process::table::Entry;

/// How long what a program left running may take to end after TERM. It had its time.
const LEFTOVER_GRACE: Duration = Duration::from_secs(1);
/// Pause between two looks for survivors.
const PAUSE: Duration = Duration::from_millis(10);
/// How long survivors of KILL are waited for: only a process stuck in the kernel takes longer than a moment.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Guards one program, as its owner orders on standard input. Returns when nothing of it is left. To be called outside any
/// async runtime, by a process that has done nothing else.
///
/// # Errors
/// Standard input is no socket of an owner, or processes cannot be waited for.
pub fn main() -> io::Result<()> {
    // An own session: no terminal reaches the program. As a subreaper the guard stays the ancestor of everything
    // that the program starts, however often that forks.
    rustix::process::setsid()?;
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    runtime().map_err(io::Error::other)?.block_on(guard())
}

async fn guard() -> io::Result<()> {
    let signals = Signals::install()?;
    let mut channel = Channel::new(io::stdin().as_fd().try_clone_to_owned()?)?;
    channel.say(&Said::Ready)?;
    let Some(Told::Run { request, input }) = channel.next().await? else {
        return Ok(());
    };
    let input = channel.take(input).await?;
    let child = match start(&request, &input) {
        Ok(child) => child,
        Err(error) => {
            return channel.say(&Said::NotStarted {
                missing: error.kind() == io::ErrorKind::NotFound,
                reason: error.to_string(),
            });
        }
    };
    drop(input);
    let pid = child.id().unwrap_or(0);
    // An owner that is gone by now is noticed where it is waited for.
    let _ = channel.say(&Said::Started(Identity::of(pid)));
    let mut ears = Ears {
        channel: Some(channel),
        signals,
        grace: request.grace,
    };
    let end = attend(child, Reach::All(pid), &mut ears).await?;
    match &mut ears.channel {
        Some(channel) => channel.say(&Said::Ended(end)),
        None => Ok(()),
    }
}

fn start(request: &GuardRequest, input: &[u8]) -> io::Result<Child> {
    let mut command = Command::new(located(&request.program, &request.workdir));
    match &request.inherit {
        Inherit::All => {}
        Inherit::Without(names) => {
            for name in names {
                command.env_remove(name);
            }
        }
        Inherit::Only(names) => {
            command.env_clear();
            command.envs(
                own_variables()
                    .filter(|(name, _)| names.iter().any(|wanted| name == wanted.as_str())),
            );
        }
    }
    command
        .args(&request.args)
        .current_dir(&request.workdir)
        .envs(&request.variables)
        .stdin(stdin(input)?)
        .stdout(Stdio::inherit())
        .stderr(Stdio::inherit())
        .process_group(0)
        .spawn()
}

/// A path is meant from the program's own folder, and not from the guard's.
fn located(program: &Path, workdir: &Path) -> PathBuf {
    let is_name = program.components().count() == 1 && !program.has_root();
    if is_name && !program.as_os_str().as_encoded_bytes().contains(&b'/') {
        program.to_owned()
    } else {
        workdir.join(program)
    }
}

/// The input as a file in memory: it needs nobody to write it, and ends where it ends.
fn stdin(input: &[u8]) -> io::Result<Stdio> {
    if input.is_empty() {
        return Ok(Stdio::null());
    }
    let mut file = file_in_memory()?;
    file.write_all(input)?;
    file.rewind()?;
    Ok(Stdio::from(file))
}

#[cfg(target_os = "linux")]
fn file_in_memory() -> io::Result<File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    Ok(memfd_create("stdin", MemfdFlags::CLOEXEC)?.into())
}

/// Guards are started by loops only, and those need a process table that tells when a process began.
#[cfg(not(target_os = "linux"))]
fn file_in_memory() -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Where a guard hears that its program has to end.
struct Ears {
    /// `None` when the owner is gone.
    channel: Option<Channel>,
    signals: Signals,
    grace: Duration,
}

impl Ears {
    /// The grace that is granted until KILL; zero is at once. May be dropped and called again.
    async fn told(&mut self) -> Duration {
        loop {
            let Some(channel) = &mut self.channel else {
                if self.signals.next().await == Signalled::Stop {
                    return self.grace;
                }
                continue;
            };
            tokio::select! {
                said = channel.next() => match said {
                    Ok(Some(Told::Stop(grace))) => return grace,
                    Ok(Some(Told::Kill)) => return Duration::ZERO,
                    Ok(Some(Told::Run { .. })) => {}
                    Ok(None) | Err(_) => {
                        self.channel = None;
                        return self.grace;
                    }
                },
                told = self.signals.next() => if told == Signalled::Stop {
                    return self.grace;
                },
            }
        }
    }
}

/// Waits for the program's end, or brings it about, and leaves nothing behind.
async fn attend(mut child: Child, reach: Reach, ears: &mut Ears) -> io::Result<GuardEnd> {
    let worker = child.id().unwrap_or(0);
    let mut deaths = unix::signal(SignalKind::child())?;
    let mut stopping = Stopping {
        reach,
        kill_at: None,
        stopped: false,
    };
    let status = loop {
        tokio::select! {
            biased;
            status = child.wait() => break status?,
            grace = ears.told() => stopping.begin(grace),
            () = at(stopping.kill_at) => stopping.kill(),
            _ = deaths.recv() => reap_adopted(worker),
        }
    };
    let stopped = stopping.stopped;
    let left_running = stopping.clear(ears).await;
    Ok(end(status, stopped, left_running, reach))
}

fn end(status: ExitStatus, stopped: bool, left_running: usize, reach: Reach) -> GuardEnd {
    GuardEnd {
        exit: exit_info(status),
        stopped,
        left_running,
        remaining: if is_alone(reach) {
            Vec::new()
        } else {
            reach.living()
        },
    }
}

/// How far the ending of a program has come.
struct Stopping {
    reach: Reach,
    kill_at: Option<Instant>,
    stopped: bool,
}

impl Stopping {
    fn begin(&mut self, grace: Duration) {
        let first = !self.stopped;
        self.stopped = true;
        let kill_at = Instant::now() + grace;
        if grace.is_zero() {
            self.kill();
            return;
        }
        self.kill_at = Some(self.kill_at.map_or(kill_at, |at| at.min(kill_at)));
        if first {
            self.reach.signal(Signal::TERM);
            // A stopped process receives TERM only when it goes on.
            self.reach.signal(Signal::CONT);
        }
    }

    fn kill(&mut self) {
        self.reach.signal(Signal::KILL);
        self.kill_at = None;
    }

    /// Ends what the program left running; how many processes that were.
    async fn clear(&mut self, ears: &mut Ears) -> usize {
        if is_alone(self.reach) {
            return 0;
        }
        let left = self.reach.living().len();
        if !self.stopped {
            self.begin(LEFTOVER_GRACE.min(ears.grace));
        }
        while !is_alone(self.reach) && self.kill_at.is_some() {
            tokio::select! {
                grace = ears.told() => self.begin(grace),
                () = at(self.kill_at) => self.kill_at = None,
                () = sleep(PAUSE) => {}
            }
        }
        let deadline = Instant::now() + LAST_WAIT;
        while !is_alone(self.reach) && Instant::now() < deadline {
            self.reach.signal(Signal::KILL);
            sleep(PAUSE).await;
        }
        left
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Reaps those of the program's orphans that are dead: a subreaper inherits them, and a program that runs for hours
/// may leave thousands.
fn reap_adopted(worker: u32) {
    let children = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    let children = children
        .split_ascii_whitespace()
        .filter_map(|pid| pid.parse().ok());
    for child in children.filter(|child| *child != worker) {
        let is_dead = Entry::read(child).is_some_and(|entry| !entry.is_living());
        let pid = i32::try_from(child).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| is_dead) {
            let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

/// Reaps whoever is dead and tells whether nobody is left. Everything that the program started is a child of ours or
/// has a parent that is, so without children there is nothing: a look at all processes of the machine is needed only
/// where somebody is left, who may be a job.
fn is_alone(reach: Reach) -> bool {
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => return reach.living().is_empty(),
            Err(Errno::INTR) => {}
            Err(_) => return true,
        }
    }
}

/// A guard hands its owner's environment on; nothing in it is looked at.
fn own_variables() -> impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)> {
    std::env::vars_os()
}
