//! One run of one gate: under a guard, so that nothing it starts outlives it, with its output's end kept.

use std::collections::VecDeque;
use std::time::Duration;

use ralph_core::process::Identity;
use ralph_core::process::guard::{
    ATTEMPT_ID, Guard, GuardError, GuardProgram, GuardRequest, Guarded, Inherit, sweep_attempts,
};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::{Instant, timeout};

use super::{Gate, GateOutcome, GateResult, GateRun, GatesError};
use crate::git::FOREIGN;
use crate::redact::Redactor;

/// How much of the output is kept, in bytes: its end.
const KEEP: usize = 16 * 1024;

/// How long a guard may need beyond the grace until it has ended everything.
const MARGIN: Duration = Duration::from_secs(30);

/// How a shell ends that is not allowed to run a program, or does not find it.
const CANNOT_START: [i32; 2] = [126, 127];

/// How a run ended.
#[derive(Debug)]
pub(super) struct Ran {
    code: i32,
    signal: i32,
    pub(super) is_too_long: bool,
    pub(super) is_missing: bool,
    /// Whether somebody, such as the gate itself, ended its guard: how it would have ended is not known.
    pub(super) is_unguarded: bool,
    pub(super) how: String,
    output: String,
    milliseconds: u64,
}

impl Ran {
    pub(super) fn has_passed(&self) -> bool {
        let is_whole = !self.is_too_long && !self.is_missing && !self.is_unguarded;
        is_whole && self.code == 0 && self.signal == 0
    }

    /// Whether the shell could not start what a person has written down. One that was found in the repository's files
    /// may lack a tool of its own.
    pub(super) fn cannot_start(&self, gate: &Gate) -> bool {
        let is_told = !self.is_too_long && !self.is_unguarded && self.signal == 0;
        is_told && !gate.is_found && CANNOT_START.contains(&self.code)
    }

    pub(super) fn result(&self, gate: &Gate, outcome: GateOutcome) -> GateResult {
        let is_shown = !matches!(outcome, GateOutcome::Passed | GateOutcome::Missing);
        GateResult {
            command: gate.command.clone(),
            how: self.how.clone(),
            milliseconds: self.milliseconds,
            output: is_shown.then(|| self.output.clone()),
            outcome,
        }
    }

    fn unguarded(output: String, time: Duration) -> Self {
        Self {
            code: 0,
            signal: 9,
            is_too_long: false,
            is_missing: false,
            is_unguarded: true,
            how: "its guard was ended before it".to_owned(),
            output,
            milliseconds: milliseconds(time),
        }
    }

    fn missing(words: String) -> Self {
        Self {
            code: 127,
            signal: 0,
            is_too_long: false,
            is_missing: true,
            is_unguarded: false,
            how: "not installed".to_owned(),
            output: words,
            milliseconds: 0,
        }
    }
}

pub(super) async fn run(
    guard: &GuardProgram,
    gate: &Gate,
    run: &GateRun<'_>,
    limit: Duration,
    grace: Duration,
) -> Result<Ran, GatesError> {
    let argv = gate.line.argv();
    let Some((program, arguments)) = argv.split_first() else {
        return Ok(Ran::missing(String::new()));
    };
    let request = GuardRequest {
        program: program.into(),
        args: arguments.to_vec(),
        workdir: run.folder.to_owned(),
        // A check that runs git must not do it in the repository of a hook that has started the loop.
        inherit: Inherit::Without(FOREIGN.map(str::to_owned).into()),
        variables: run.variables.clone(),
        // Nothing to read: a gate that asks a question gets no answer, and does not wait for one.
        stdin: Vec::new(),
        grace,
    };
    let start = Instant::now();
    let waiting = Guard::start(guard)?;
    let identity = waiting.identity().cloned();
    let mut guarded = match waiting.run(&request).await {
        Err(error @ GuardError::Program { missing: true, .. }) if gate.is_found => {
            return Ok(Ran::missing(error.to_string()));
        }
        // It was ended before it could say whether the gate runs, so it may.
        Err(GuardError::Lost { .. }) => {
            swept(identity, run, grace).await;
            return Ok(Ran::unguarded(String::new(), start.elapsed()));
        }
        started => started?,
    };
    let identity = guarded.guard_identity().cloned();
    let mut tail = Tail::default();
    let attended = attend(&mut guarded, limit, grace, &mut tail).await;
    let is_too_long = attended.map_err(|source| GatesError::Output {
        command: gate.command.clone(),
        source,
    })?;
    let ended = guarded.wait().await;
    let output = tail.text(run.redactor);
    let end = match ended {
        Err(GuardError::Lost { .. }) => {
            swept(identity, run, grace).await;
            return Ok(Ran::unguarded(output, start.elapsed()));
        }
        ended => ended?,
    };
    let how = match (is_too_long, end.exit.signal) {
        (true, _) => "time limit".to_owned(),
        (false, 0) => format!("exit {}", end.exit.code),
        (false, signal) => format!("signal {signal}"),
    };
    Ok(Ran {
        code: end.exit.code,
        signal: end.exit.signal,
        is_too_long,
        is_missing: false,
        is_unguarded: false,
        how,
        output,
        milliseconds: milliseconds(start.elapsed()),
    })
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Ends what a gate left whose guard was ended.
async fn swept(guard: Option<Identity>, run: &GateRun<'_>, grace: Duration) {
    let attempts = run.variables.get(ATTEMPT_ID).cloned().into_iter().collect();
    // What cannot be ended is stuck in the kernel, and nobody can do more about it.
    sweep_attempts(attempts, guard.into_iter().collect(), grace).await;
}

/// Reads the output until everything has ended, which is brought about after the limit, or until the guard is gone.
/// Whether the limit was reached.
async fn attend(
    guarded: &mut Guarded,
    limit: Duration,
    grace: Duration,
    tail: &mut Tail,
) -> std::io::Result<bool> {
    let (stdout, stderr) = (guarded.stdout.take(), guarded.stderr.take());
    let mut reading = std::pin::pin!(read(stdout, stderr, tail));
    let read = tokio::select! {
        read = timeout(limit, &mut reading) => read,
        // What runs on without its guard may hold the streams open for as long as it likes.
        () = lost(guarded) => return Ok(false),
    };
    if let Ok(read) = read {
        return read.map(|()| false);
    }
    guarded.stop(grace);
    if timeout(grace + MARGIN, &mut reading).await.is_err() {
        guarded.kill();
    }
    Ok(true)
}

/// Returns when the guard is gone without a word about its program's end.
async fn lost(guarded: &mut Guarded) {
    if guarded.wait().await.is_ok() {
        std::future::pending::<()>().await;
    }
}

/// Reads both streams to their ends and keeps the end of what came, in the order in which it came.
async fn read(
    stdout: Option<impl AsyncRead + Unpin>,
    stderr: Option<impl AsyncRead + Unpin>,
    tail: &mut Tail,
) -> std::io::Result<()> {
    let (mut stdout, mut stderr) = (stdout, stderr);
    let (mut one, mut two) = (vec![0_u8; 8192], vec![0_u8; 8192]);
    while stdout.is_some() || stderr.is_some() {
        tokio::select! {
            count = next(&mut stdout, &mut one) => keep(tail, &one, count?, &mut stdout),
            count = next(&mut stderr, &mut two) => keep(tail, &two, count?, &mut stderr),
        }
    }
    Ok(())
}

async fn next(
    stream: &mut Option<impl AsyncRead + Unpin>,
    buffer: &mut [u8],
) -> std::io::Result<usize> {
    match stream {
        Some(stream) => stream.read(buffer).await,
        None => std::future::pending().await,
    }
}

fn keep<S>(tail: &mut Tail, buffer: &[u8], count: usize, stream: &mut Option<S>) {
    if count == 0 {
        *stream = None;
    }
    tail.bytes.extend(buffer.iter().take(count));
    let excess = tail.bytes.len().saturating_sub(KEEP);
    tail.bytes.drain(..excess);
    tail.is_cut |= excess > 0;
}

/// The end of an output.
#[derive(Default)]
struct Tail {
    bytes: VecDeque<u8>,
    /// Whether something came before it.
    is_cut: bool,
}

impl Tail {
    fn text(self, redactor: &Redactor) -> String {
        let bytes: Vec<u8> = self.bytes.into();
        let text = String::from_utf8_lossy(&bytes);
        if self.is_cut {
            redactor.mask_tail(&text)
        } else {
            redactor.mask(&text)
        }
    }
}
