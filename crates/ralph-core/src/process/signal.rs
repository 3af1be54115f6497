//! Signals, as the supervisor receives and sends them. No decision about when: see [`super::ending`].

use std::io;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::signal::unix::{self, SignalKind};

/// What a supervisor was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// TERM or INT: stop the worker.
    Stop,
    /// USR1: somebody left a note in the record directory.
    Look,
}

/// The signals a supervisor listens to. HUP is received and dropped: a supervisor outlives its terminal.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hang_up: unix::Signal,
    look: unix::Signal,
}

impl Signals {
    /// Starts listening; until then each of these signals kills.
    pub(crate) fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            hang_up: unix::signal(SignalKind::hangup())?,
            look: unix::signal(SignalKind::user_defined1())?,
        })
    }

    /// The next thing we are told.
    pub(crate) async fn next(&mut self) -> Told {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return Told::Stop,
                _ = self.interrupt.recv() => return Told::Stop,
                _ = self.look.recv() => return Told::Look,
                _ = self.hang_up.recv() => {}
            }
        }
    }
}

/// Signals one process. Whether it was there is not told: it may be gone by now either way.
pub(crate) fn send(pid: u32, signal: Signal) {
    if let Some(pid) = raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

/// Signals a process group.
pub(crate) fn send_group(group: u32, signal: Signal) {
    if let Some(group) = raw(group) {
        let _ = kill_process_group(group, signal);
    }
}

/// Asks a worker to end now what it looks after: to such a program the first word means to finish, and the second to
/// make haste. Two signals of one kind may arrive as one, so these are of two kinds.
pub(crate) fn hasten(pid: u32) {
    for signal in [Signal::TERM, Signal::INT, Signal::CONT] {
        send(pid, signal);
    }
}

/// PID 1 is never signalled: no worker of ours is it, and as a group it would be everybody.
fn raw(pid: u32) -> Option<Pid> {
    i32::try_from(pid)
        .ok()
        .filter(|pid| *pid > 1)
        .and_then(Pid::from_raw)
}
