//! `ralph logs RUN_ID`: a log by offset, from the cluster where it is alive, else from its local copy.

use std::io;
use std::time::{Duration, Instant};

use ralph_core::act::RunLog;
use ralph_core::backend::Stream;
use ralph_core::settings::ClusterKind;

use crate::args::{Global, Logs};
use crate::commands::{block_on, one_project};
use crate::render::SCHEMA_VERSION;
use crate::render::answers::LogPiece;
use crate::workspace::Workspace;
use ralph_front::failure::{Outcome, printed};
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
    let (pause, longest) = if workspace.cluster_kind() == Some(ClusterKind::Local) {
        (LOCAL_PAUSE, LOCAL_PAUSE)
    } else {
        (PAUSE, LONGEST)
    };
    let mut log: RunLog =
        dispatcher.log(project.as_ref(), &arguments.run, arguments.task, stream)?;
    // The log is a file and may be looked at often; the scheduler is asked less and less.
    let mut told = false;
    let (mut asked, mut interval) = (Instant::now(), Duration::ZERO);
    block_on(async {
        loop {
            // Whether it has ended is asked first, so that what was written until then is printed; and only where
            // somebody waits for it, so that a local copy can be read without the cluster.
            let mut ended = !arguments.follow;
            if !ended && asked.elapsed() >= interval {
                ended = dispatcher.has_ended(&log).await?;
                asked = Instant::now();
                interval = (interval * 3 / 2).clamp(pause, longest);
            }
            loop {
                let piece = dispatcher.next_piece(&mut log).await?;
                if arguments.task.is_none()
                    && !told
                    && let Some(task) = log.task()
                {
                    output.note(&format!(
                        "this is task {task} of an array; --task N shows another"
                    ));
                    told = true;
                }
                if piece.is_empty() {
                    break;
                }
                match show(&piece, log.run(), arguments, output) {
                    // Nobody reads on: a log that is followed ends here.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(None),
                    shown => printed(shown)?,
                }
            }
            if ended {
                log.is_there()?;
                return Ok(None);
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = tokio::signal::ctrl_c() => return Ok(None),
            }
        }
    })?
}

fn show(piece: &[u8], run: &str, arguments: &Logs, output: &Output) -> io::Result<()> {
    if !output.is_json() {
        return output.bytes(piece);
    }
    let piece = LogPiece {
        schema_version: SCHEMA_VERSION,
        run_id: run.to_owned(),
        stream: if arguments.err { "err" } else { "out" }.to_owned(),
        text: String::from_utf8_lossy(piece).into_owned(),
    };
    output.json_line(&piece)
}
