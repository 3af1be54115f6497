//! `ralph logs RUN_ID`: a log by offset, from the cluster where it is alive, else from its local copy.

use std::io;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use ralph_core::act::{Dispatcher, RunLog};
use ralph_core::backend::Stream;
use ralph_core::settings::ClusterKind;

use crate::args::{Global, Logs};
use crate::commands::{block_on, one_project};
use crate::render::SCHEMA_VERSION;
use crate::render::answers::LogPiece;
use crate::workspace::Workspace;
use ralph_front::failure::{Failure, Outcome, printed};
use ralph_front::output::Output;

/// Between two looks at a log that is followed, on another machine and on this one.
const PAUSE: Duration = Duration::from_secs(2);
const LOCAL_PAUSE: Duration = Duration::from_millis(200);
/// Between two questions to the scheduler whether the run has ended, at the most.
const LONGEST: Duration = Duration::from_secs(30);

/// Prints the log; with `--follow` what is added to it, until the run has ended.
pub(crate) fn run(global: &Global, arguments: &Logs, output: &Output) -> Outcome {
    let workspace = Workspace::open(global, output)?;
    let dispatcher = workspace.dispatcher(output);
    let project = one_project(arguments.project.as_deref(), &dispatcher.slugs()?)?;
    let stream = if arguments.err {
        Stream::Err
    } else {
        Stream::Out
    };
    let mut questions = match workspace.cluster_kind() {
        Some(ClusterKind::Local) => Questions::new(LOCAL_PAUSE, LOCAL_PAUSE),
        _ => Questions::new(PAUSE, LONGEST),
    };
    let mut log = dispatcher.log(project.as_ref(), &arguments.run, arguments.task, stream)?;
    let mut reader = Reader {
        arguments,
        output,
        told: arguments.task.is_some(),
    };
    block_on(async {
        loop {
            // Whether it has ended is asked first, so that what was written until then is printed; and only where
            // somebody waits for it, so that a local copy can be read without the cluster.
            let mut ended = !arguments.follow;
            if !ended && questions.is_due() {
                ended = dispatcher.has_ended(&log).await?;
                questions.asked();
            }
            if reader.pass_on(&dispatcher, &mut log).await?.is_break() {
                return Ok(None);
            }
            if ended {
                log.is_there()?;
                return Ok(None);
            }
            tokio::select! {
                () = tokio::time::sleep(questions.pause) => {}
                _ = tokio::signal::ctrl_c() => return Ok(None),
            }
        }
    })?
}

/// When the scheduler is asked whether a run has ended. The log is a file and may be looked at after each pause; the
/// scheduler is asked less and less.
struct Questions {
    pause: Duration,
    longest: Duration,
    interval: Duration,
    last: Instant,
}

impl Questions {
    fn new(pause: Duration, longest: Duration) -> Self {
        Self {
            pause,
            longest,
            interval: Duration::ZERO,
            last: Instant::now(),
        }
    }

    fn is_due(&self) -> bool {
        self.last.elapsed() >= self.interval
    }

    fn asked(&mut self) {
        self.last = Instant::now();
        self.interval = (self.interval * 3 / 2).clamp(self.pause, self.longest);
    }
}

/// Whoever reads the log.
struct Reader<'a> {
    arguments: &'a Logs,
    output: &'a Output,
    /// Whether it is said, or was asked for, which task of an array the log is of.
    told: bool,
}

impl Reader<'_> {
    /// Prints what has been written since; a break where nobody reads on.
    async fn pass_on(
        &mut self,
        dispatcher: &Dispatcher,
        log: &mut RunLog,
    ) -> Result<ControlFlow<()>, Failure> {
        loop {
            let piece = dispatcher.next_piece(log).await?;
            if let Some(task) = log.task().filter(|_| !self.told) {
                self.output.note(&format!(
                    "this is task {task} of an array; --task N shows another"
                ));
                self.told = true;
            }
            if piece.is_empty() {
                return Ok(ControlFlow::Continue(()));
            }
            match self.show(&piece, log.run()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    return Ok(ControlFlow::Break(()));
                }
                shown => printed(shown)?,
            }
        }
    }

    fn show(&self, piece: &[u8], run: &str) -> io::Result<()> {
        if !self.output.is_json() {
            return self.output.bytes(piece);
        }
        let stream = if self.arguments.err { "err" } else { "out" };
        self.output.json_line(&LogPiece {
            schema_version: SCHEMA_VERSION,
            run_id: run.to_owned(),
            stream: stream.to_owned(),
            text: String::from_utf8_lossy(piece).into_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheduler_is_asked_less_and_less() {
        let mut questions = Questions::new(PAUSE, LONGEST);
        assert!(questions.is_due());
        let mut asked = || {
            questions.asked();
            questions.interval.as_secs_f64()
        };
        assert_eq!([asked(), asked(), asked()], [2.0, 3.0, 4.5]);
        assert_eq!((0..9).map(|_| asked()).last(), Some(30.0));
    }
}
