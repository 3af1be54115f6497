//! One run of one gate: under a guard, so that nothing it starts outlives it, with its output's end kept.

use std::collections::VecDeque;
use std::time::Duration;

use ralph_core::process::guard::{Guard, GuardError, GuardProgram, GuardRequest, Guarded, Inherit};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::{Instant, timeout};

use super::{Gate, GateOutcome, GateResult, GateRun, GatesError};

/// How much of the output is kept, in bytes: its end.
const KEEP: usize = 16 * 1024;

/// How long a guard may need beyond the grace until it has ended everything.
const MARGIN: Duration = Duration::from_secs(30);

/// How a run ended.
#[derive(Debug)]
pub(super) struct Ran {
    code: i32,
    signal: i32,
    pub(super) is_too_long: bool,
    pub(super) is_missing: bool,
    pub(super) how: String,
    output: String,
    milliseconds: u64,
}

impl Ran {
    pub(super) fn has_passed(&self) -> bool {
        !self.is_too_long && !self.is_missing && self.code == 0 && self.signal == 0
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

    fn missing(words: String) -> Self {
        Self {
            code: 127,
            signal: 0,
            is_too_long: false,
            is_missing: true,
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
        inherit: Inherit::All,
        variables: run.variables.clone(),
        // Nothing to read: a gate that asks a question gets no answer, and does not wait for one.
        stdin: Vec::new(),
        grace,
    };
    let start = Instant::now();
    let mut guarded = match Guard::start(guard)?.run(&request).await {
        Err(error @ GuardError::Program { missing: true, .. }) if gate.is_found => {
            return Ok(Ran::missing(error.to_string()));
        }
        started => started?,
    };
    let mut tail = VecDeque::new();
    let attended = attend(&mut guarded, limit, grace, &mut tail).await;
    let is_too_long = attended.map_err(|source| GatesError::Output {
        command: gate.command.clone(),
        source,
    })?;
    let end = guarded.wait().await?;
    let milliseconds = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let bytes: Vec<u8> = tail.into();
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
        how,
        output: run.redactor.mask(&String::from_utf8_lossy(&bytes)),
        milliseconds,
    })
}

/// Reads the output until everything has ended, which is brought about after the limit. Whether it was.
async fn attend(
    guarded: &mut Guarded,
    limit: Duration,
    grace: Duration,
    tail: &mut VecDeque<u8>,
) -> std::io::Result<bool> {
    let (stdout, stderr) = (guarded.stdout.take(), guarded.stderr.take());
    let mut reading = std::pin::pin!(read(stdout, stderr, tail));
    if let Ok(read) = timeout(limit, &mut reading).await {
        return read.map(|()| false);
    }
    guarded.stop(grace);
    if timeout(grace + MARGIN, &mut reading).await.is_err() {
        guarded.kill();
    }
    Ok(true)
}

/// Reads both streams to their ends and keeps the end of what came, in the order in which it came.
async fn read(
    stdout: Option<impl AsyncRead + Unpin>,
    stderr: Option<impl AsyncRead + Unpin>,
    tail: &mut VecDeque<u8>,
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

fn keep<S>(tail: &mut VecDeque<u8>, buffer: &[u8], count: usize, stream: &mut Option<S>) {
    if count == 0 {
        *stream = None;
    }
    tail.extend(buffer.iter().take(count));
    let excess = tail.len().saturating_sub(KEEP);
    tail.drain(..excess);
}
