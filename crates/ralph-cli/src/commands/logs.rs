//! `ralph logs RUN_ID`: a log by offset, from the cluster where it is alive, else from its local copy.

use std::time::Duration;

use ralph_core::act::RunLog;
use ralph_core::backend::Stream;

use crate::args::{Global, Logs};
use crate::commands::block_on;
use crate::exit::{Outcome, printed};
use crate::output::Output;
use crate::workspace::Workspace;

/// Between two looks at a log that is followed.
const PAUSE: Duration = Duration::from_secs(2);

/// Prints the log; with `--follow` what is added to it, until the run has ended.
pub(crate) fn run(global: &Global, arguments: &Logs, output: &Output) -> Outcome {
    let workspace = Workspace::open(global, output)?;
    let dispatcher = workspace.dispatcher(output);
    let stream = if arguments.err {
        Stream::Err
    } else {
        Stream::Out
    };
    let mut log: RunLog = dispatcher.log(&arguments.run, stream)?;
    block_on(async {
        loop {
            // Whether it has ended is asked first, so that what was written until then is printed; and only where
            // somebody waits for it, so that a local copy can be read without the cluster.
            let ended = !arguments.follow || dispatcher.has_ended(&log).await?;
            loop {
                let piece = dispatcher.next_piece(&mut log).await?;
                if piece.is_empty() {
                    break;
                }
                printed(output.bytes(&piece))?;
            }
            if ended {
                return Ok(None);
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                _ = tokio::signal::ctrl_c() => return Ok(None),
            }
        }
    })?
}
