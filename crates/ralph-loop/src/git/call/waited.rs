//! A run of git that a thread waits for, without a runtime: its pipes are served where it is waited for, since each
//! further thread would cost memory of its own.

use std::io::{self, ErrorKind, Read, Write as _};
use std::os::fd::AsFd;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, ExitStatus, Output};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::Signal;

use super::{GRACE, Group};

/// How much is read at once, in bytes.
const PIECE: usize = 8192;

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
    if pipes.serve(limit)? {
        let status = child.wait()?;
        group.is_done();
        return Ok(Some(pipes.output(status)));
    }
    for signal in [Signal::TERM, Signal::KILL] {
        group.signal(signal);
        if pipes.serve(GRACE)? {
            child.wait()?;
            break;
        }
    }
    group.is_done();
    Ok(None)
}

/// What goes to and comes from a run.
struct Pipes<'a> {
    input: &'a [u8],
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
            stdin,
            stdout: Flow::of(child.stdout.take())?,
            stderr: Flow::of(child.stderr.take())?,
        })
    }

    /// True when both outputs are closed, false when the limit is reached first.
    fn serve(&mut self, limit: Duration) -> io::Result<bool> {
        let start = Instant::now();
        while self.stdout.pipe.is_some() || self.stderr.pipe.is_some() {
            let left = limit.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            self.wait(left)?;
            self.write();
            self.stdout.read()?;
            self.stderr.read()?;
        }
        Ok(true)
    }

    /// Until one of them can be served.
    fn wait(&self, limit: Duration) -> io::Result<()> {
        let mut all = Vec::with_capacity(3);
        all.extend(
            self.stdin
                .iter()
                .map(|pipe| PollFd::new(pipe, PollFlags::OUT)),
        );
        all.extend(
            self.stdout
                .pipe
                .iter()
                .map(|pipe| PollFd::new(pipe, PollFlags::IN)),
        );
        all.extend(
            self.stderr
                .pipe
                .iter()
                .map(|pipe| PollFd::new(pipe, PollFlags::IN)),
        );
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

    /// Takes what is there.
    fn read(&mut self) -> io::Result<()> {
        let mut piece = [0; PIECE];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut piece) {
                Ok(0) => self.pipe = None,
                Ok(read) => self.bytes.extend_from_slice(&piece[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_for_later(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
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

    #[test]
    fn a_run_that_takes_too_long_is_ended_with_what_it_started() {
        let child = shell("sleep 1000 & sleep 1000");
        let first = child.id();
        let ended = output(child, b"", Duration::from_millis(50));
        assert!(ended.unwrap().is_none());
        let first = rustix::process::Pid::from_raw(i32::try_from(first).unwrap()).unwrap();
        assert!(rustix::process::test_kill_process(first).is_err());
    }
}
