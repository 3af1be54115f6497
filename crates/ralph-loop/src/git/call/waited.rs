//! A run of git that a thread waits for, without a runtime: its pipes are served where it is waited for, since each
//! further thread would cost memory of its own.

use std::io::{self, ErrorKind, Read, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, ExitStatus, Output};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::Signal;

use super::{GRACE, Group, LINGER};

/// How much is read at once, in bytes.
const PIECE: usize = 8192;

/// How often an end is looked for where the kernel cannot announce it (pidfd_open(2), Linux 5.3).
const LOOK: Duration = Duration::from_millis(10);

/// Serves a run until it has ended; `None` when the limit was reached first, by which the run has been ended.
///
/// # Errors
/// The pipes cannot be served.
pub(super) fn output(
    mut child: Child,
    input: &[u8],
    limit: Duration,
) -> io::Result<Option<Output>> {
    let mut group = Group::of(Some(child.id()));
    let mut pipes = Pipes::of(&mut child, input)?;
    if let Some(status) = pipes.serve(&mut child, limit)? {
        group.is_done();
        return Ok(Some(pipes.output(status)));
    }
    for signal in [Signal::TERM, Signal::KILL] {
        group.signal(signal);
        if pipes.serve(&mut child, GRACE)?.is_some() {
            break;
        }
    }
    group.is_done();
    Ok(None)
}

/// What goes to and comes from a run.
struct Pipes<'a> {
    input: &'a [u8],
    /// Readable once the run has ended.
    end: Option<OwnedFd>,
    stdin: Option<ChildStdin>,
    stdout: Flow<ChildStdout>,
    stderr: Flow<ChildStderr>,
}

/// One of its outputs, until it is closed.
struct Flow<P> {
    pipe: Option<P>,
    bytes: Vec<u8>,
}

impl<'a> Pipes<'a> {
    fn of(child: &mut Child, input: &'a [u8]) -> io::Result<Self> {
        let stdin = child.stdin.take();
        stdin.as_ref().map_or(Ok(()), never_wait)?;
        Ok(Self {
            input,
            end: end_of(child),
            stdin,
            stdout: Flow::of(child.stdout.take())?,
            stderr: Flow::of(child.stderr.take())?,
        })
    }

    /// How the run ended; `None` when the limit is reached first. What it printed is complete, or as much as came until
    /// [`LINGER`] after its end where something that it has started holds its outputs open.
    fn serve(&mut self, child: &mut Child, mut limit: Duration) -> io::Result<Option<ExitStatus>> {
        let start = Instant::now();
        let mut ended = None;
        loop {
            if ended.is_none() {
                ended = child.try_wait()?;
                if ended.is_some() {
                    self.end = None;
                    limit = limit.min(start.elapsed() + LINGER);
                }
            }
            let is_open = self.stdout.pipe.is_some() || self.stderr.pipe.is_some();
            let left = limit.saturating_sub(start.elapsed());
            if left.is_zero() || (ended.is_some() && !is_open) {
                return Ok(ended);
            }
            let is_announced = ended.is_some() || self.end.is_some();
            self.wait(if is_announced { left } else { left.min(LOOK) })?;
            self.write();
            self.stdout.read()?;
            self.stderr.read()?;
        }
    }

    /// Until one of them can be served, or the run has ended.
    fn wait(&self, limit: Duration) -> io::Result<()> {
        let stdin = self.stdin.iter().map(|pipe| (pipe.as_fd(), PollFlags::OUT));
        let outputs = self.stdout.pipe.iter().map(AsFd::as_fd);
        let outputs = outputs.chain(self.stderr.pipe.iter().map(AsFd::as_fd));
        let read = outputs.chain(self.end.iter().map(AsFd::as_fd));
        let all = stdin.chain(read.map(|fd| (fd, PollFlags::IN)));
        let mut all: Vec<_> = all
            .map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags))
            .collect();
        // A limit that no clock can count is none.
        let limit = Timespec::try_from(limit).ok();
        match poll(&mut all, limit.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Git may end before it has read everything; its exit code tells.
    fn write(&mut self) {
        let Some(pipe) = &mut self.stdin else { return };
        match pipe.write(self.input) {
            Ok(written) => self.input = &self.input[written..],
            Err(error) if is_for_later(&error) => {}
            Err(_) => self.input = &[],
        }
        if self.input.is_empty() {
            self.stdin = None;
        }
    }

    fn output(self, status: ExitStatus) -> Output {
        Output {
            status,
            stdout: self.stdout.bytes,
            stderr: self.stderr.bytes,
        }
    }
}

impl<P: Read + AsFd> Flow<P> {
    fn of(pipe: Option<P>) -> io::Result<Self> {
        pipe.as_ref().map_or(Ok(()), never_wait)?;
        Ok(Self {
            pipe,
            bytes: Vec::new(),
        })
    }

    /// Takes a piece of what is there: no more, so that one that never ends is not read beyond its limit.
    fn read(&mut self) -> io::Result<()> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(());
        };
        let mut piece = [0; PIECE];
        match pipe.read(&mut piece) {
            Ok(0) => self.pipe = None,
            Ok(read) => self.bytes.extend_from_slice(&piece[..read]),
            Err(error) if is_for_later(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// What can be read once the run has ended; `None` where the kernel has no such thing.
#[cfg(target_os = "linux")]
fn end_of(child: &Child) -> Option<OwnedFd> {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    let pid = Pid::from_raw(i32::try_from(child.id()).ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn end_of(_child: &Child) -> Option<OwnedFd> {
    None
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Whoever reads or writes it is told that there is nothing to do instead of standing still.
fn never_wait(pipe: &impl AsFd) -> io::Result<()> {
    let flags = fcntl_getfl(pipe)?;
    Ok(fcntl_setfl(pipe, flags | OFlags::NONBLOCK)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};

    use super::*;

    fn shell(script: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]).process_group(0);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn more_than_a_pipe_holds_goes_both_ways_at_once() {
        let input = vec![b'x'; 1_000_000];
        let ended = output(shell("tee /dev/stderr; exit 3"), &input, LONG);
        let ended = ended.unwrap().unwrap();
        assert_eq!(ended.status.code(), Some(3));
        assert!(ended.stdout == input && ended.stderr == input);
    }

    #[test]
    fn who_reads_nothing_is_told_by_its_exit_code() {
        let input = vec![b'x'; 1_000_000];
        let ended = output(shell("exec <&-; echo done"), &input, LONG);
        let ended = ended.unwrap().unwrap();
        assert_eq!(
            (ended.status.code(), ended.stdout),
            (Some(0), b"done\n".to_vec())
        );
    }

    const SHORT: Duration = Duration::from_millis(50);

    fn is_gone(pid: u32) -> bool {
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap());
        rustix::process::test_kill_process(pid.unwrap()).is_err()
    }

    #[test]
    fn a_run_that_takes_too_long_is_ended_with_what_it_started() {
        let child = shell("sleep 1000 & sleep 1000");
        let first = child.id();
        assert!(output(child, b"", SHORT).unwrap().is_none());
        assert!(is_gone(first));
    }

    #[test]
    fn a_limit_holds_for_whoever_closes_its_outputs_or_never_stops_to_print() {
        for script in ["exec >&- 2>&-; sleep 1000", "exec yes"] {
            let child = shell(script);
            let first = child.id();
            assert!(output(child, b"", SHORT).unwrap().is_none(), "{script}");
            assert!(is_gone(first), "{script}");
        }
    }

    #[test]
    fn what_a_run_has_started_in_the_background_holds_nobody_up() {
        let ended = output(shell("sleep 1000 & echo $!"), b"", LONG);
        let ended = ended.unwrap().expect("the end of the shell");
        let started = String::from_utf8(ended.stdout).unwrap();
        let started: u32 = started.trim().parse().unwrap();
        assert!(!is_gone(started), "it is the user's");
        let pid = rustix::process::Pid::from_raw(i32::try_from(started).unwrap());
        rustix::process::kill_process(pid.unwrap(), Signal::KILL).unwrap();

        // One that no signal to the group reaches.
        let child = shell("setsid sleep 30 & sleep 1000");
        let first = child.id();
        assert!(output(child, b"", SHORT).unwrap().is_none());
        assert!(is_gone(first), "no zombie");
    }
}
