//! The run itself: one task that reads two streams, waits for the guard, and keeps four limits.

use std::future::{pending, poll_fn};
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use ralph_core::job::ExitInfo;
use ralph_core::process::Identity;
use ralph_core::process::guard::{
    Guard, GuardEnd, GuardError, GuardRequest, Guarded, sweep_attempts,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};
use tokio::process::{ChildStderr, ChildStdout};
use tokio::time::{sleep_until, timeout};

use super::deadlines::{Deadlines, Due};
use super::ear::Ear;
use super::{AgentEnd, AgentError, AgentEvent, AgentRun, Ending};
use crate::engine::Launch;
use crate::log::Source;
use crate::outcome::Hang;

/// Bytes that are read at once.
const PIECE: usize = 16 * 1024;
/// The same, before it has said as much at once: most agents never do, and there are many.
const SMALL_PIECE: usize = 4 * 1024;
/// How long the rest of the streams is waited for when everything that could write to them is gone.
const DRAIN: Duration = Duration::from_secs(2);

/// Runs an agent under a guard that waits for its order. Dropping the future ends the agent and all that it started.
///
/// # Errors
/// The agent was not started, or the talk with its guard broke off.
pub async fn run(guard: Guard, run: AgentRun<'_>) -> Result<AgentEnd, AgentError> {
    let engine = run.engine.name().to_string();
    let launch = run.engine.launch(run.order);
    let mut ear = Ear::new(&run, &launch);
    let waiting = guard.identity().cloned();
    let mut guarded = match guard.run(&request(&run, launch)).await {
        Ok(guarded) => guarded,
        // The guard was killed before it could say whether the agent runs, so it may.
        Err(GuardError::Lost { .. }) => {
            let end = swept(waiting, run.order.attempt.as_str(), run.limits.grace).await;
            return Ok(ear.end(end, Ending::Unguarded, run.env.now(), run.zone, run.tell));
        }
        Err(source) => return Err(AgentError::Start { engine, source }),
    };
    (run.tell)(AgentEvent::Started {
        guard: guarded.guard_identity().cloned(),
        program: guarded.identity().cloned(),
    });
    let mut watch = Deadlines::new(run.limits, run.stop);
    let mut streams = Streams::of(&mut guarded);
    let worktree = &run.order.worktree;
    let ended = attend(
        &mut guarded,
        &mut streams,
        &mut ear,
        &mut watch,
        worktree,
        run.tell,
    )
    .await;
    let (end, ending) = match ended {
        Ok(end) if end.stopped => (end, watch.ending.unwrap_or(Ending::Unguarded)),
        Ok(end) => (end, Ending::Own),
        Err(GuardError::Lost { .. }) => {
            let guard = guarded.guard_identity().cloned();
            let end = swept(guard, run.order.attempt.as_str(), run.limits.grace).await;
            (end, watch.ending.unwrap_or(Ending::Unguarded))
        }
        Err(source) => return Err(AgentError::Lost { engine, source }),
    };
    // Nobody can write any more: what is left comes at once, and the end behind it.
    let _ = timeout(DRAIN, streams.drain(&mut ear, run.tell)).await;
    Ok(ear.end(end, ending, run.env.now(), run.zone, run.tell))
}

fn request(run: &AgentRun<'_>, launch: Launch) -> GuardRequest {
    GuardRequest {
        program: launch.program,
        args: launch.args,
        workdir: run.order.worktree.clone(),
        inherit: launch.inherit,
        variables: launch.variables,
        stdin: launch.stdin,
        grace: run.limits.grace,
    }
}

async fn attend(
    guarded: &mut Guarded,
    streams: &mut Streams,
    ear: &mut Ear<'_>,
    watch: &mut Deadlines,
    worktree: &Path,
    tell: &mut dyn FnMut(AgentEvent),
) -> Result<GuardEnd, GuardError> {
    loop {
        let due = watch.due();
        tokio::select! {
            end = guarded.wait() => return end,
            source = streams.read() => {
                ear.hear(source, streams.piece(source), tell);
                watch.heard(ear.has_result());
            }
            () = watch.told_to_stop() => {
                watch.ending = Some(Ending::Stopped);
                guarded.stop(watch.limits.grace);
            }
            () = at(due) => {
                if let Some(hang) = overdue(guarded, watch, worktree).await {
                    watch.ending = Some(Ending::Hung(hang));
                    guarded.stop(watch.limits.grace);
                }
            }
        }
    }
}

async fn at(due: Option<Due>) {
    match due {
        Some(due) => sleep_until(due.at).await,
        None => pending().await,
    }
}

/// Whether the limit that is due is really passed. An agent that prints nothing may work all the same.
async fn overdue(guarded: &Guarded, watch: &mut Deadlines, worktree: &Path) -> Option<Hang> {
    let due = watch.due()?;
    if due.hang != Hang::Idle {
        return Some(due.hang);
    }
    let guard = guarded.guard_identity().map_or(0, |guard| guard.pid);
    let worktree = worktree.to_owned();
    let look = move || super::life::Signs::look(guard, &worktree);
    // A look reads many files; the other workers' agents are not kept waiting for it.
    match tokio::task::spawn_blocking(look).await {
        Ok(signs) => (!watch.looked(signs)).then_some(Hang::Idle),
        Err(_) => None,
    }
}

/// The guard was killed: whatever the agent left is ended here. How the agent would have ended is not known.
async fn swept(guard: Option<Identity>, attempt: &str, grace: Duration) -> GuardEnd {
    let attempts = [attempt.to_owned()].into();
    let guards = guard.into_iter().collect();
    GuardEnd {
        exit: ExitInfo { code: 0, signal: 9 },
        stopped: true,
        left_running: 0,
        remaining: sweep_attempts(attempts, guards, grace).await,
    }
}

/// The agent's two streams and the piece that was read last of each.
struct Streams {
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Streams {
    fn of(guarded: &mut Guarded) -> Self {
        Self {
            stdout: guarded.stdout.take(),
            stderr: guarded.stderr.take(),
            out: Vec::new(),
            err: Vec::new(),
        }
    }

    /// Reads both to their ends.
    async fn drain(&mut self, ear: &mut Ear<'_>, tell: &mut dyn FnMut(AgentEvent)) {
        while self.stdout.is_some() || self.stderr.is_some() {
            let source = self.read().await;
            ear.hear(source, self.piece(source), tell);
        }
    }

    /// Reads a piece of either; may be dropped and called again. Never returns when both are over.
    async fn read(&mut self) -> Source {
        let Self {
            stdout,
            stderr,
            out,
            err,
        } = self;
        tokio::select! {
            () = read(stdout, out) => Source::Stdout,
            () = read(stderr, err) => Source::Stderr,
        }
    }

    fn piece(&self, source: Source) -> &[u8] {
        match source {
            Source::Stdout => &self.out,
            Source::Stderr | Source::Loop => &self.err,
        }
    }
}

/// Leaves an empty piece at the end of the stream.
async fn read(stream: &mut Option<impl AsyncRead + Unpin>, piece: &mut Vec<u8>) {
    let Some(open) = stream else {
        return pending().await;
    };
    let is_loud = piece.len() >= SMALL_PIECE;
    piece.clear();
    let read = if is_loud {
        piece.reserve(PIECE);
        open.read_buf(piece).await
    } else {
        piece.shrink_to(0);
        read_small(open, piece).await
    };
    if !matches!(read, Ok(count) if count > 0) {
        *stream = None;
    }
}

/// Reads into room that is there only while there is something to read.
async fn read_small(
    stream: &mut (impl AsyncRead + Unpin),
    piece: &mut Vec<u8>,
) -> std::io::Result<usize> {
    poll_fn(|context| {
        let mut room = [0; SMALL_PIECE];
        let mut room = ReadBuf::new(&mut room);
        let read = Pin::new(&mut *stream).poll_read(context, &mut room);
        read.map_ok(|()| {
            piece.extend_from_slice(room.filled());
            room.filled().len()
        })
    })
    .await
}
