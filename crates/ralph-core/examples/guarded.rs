//! Runs a program for some seconds at most and leaves nothing of it behind: `guarded SECONDS PROGRAM ARGUMENT…`.
//! Kill this example with KILL: the program, and all that it started, end with it.
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::error::Error;
use std::time::Duration;

use ralph_core::process::guard::{self, Guard, GuardProgram, GuardRequest};
use tokio::io::AsyncReadExt as _;

/// From TERM to KILL.
const GRACE: Duration = Duration::from_secs(2);

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args[..] {
        // The guard is this program again. It comes first, and outside any async runtime.
        [verb] if verb == "__guard" => Ok(guard::main()?),
        [seconds, program, args @ ..] => {
            let limit = Duration::from_secs(seconds.parse()?);
            let request = GuardRequest::new(program, args, std::env::current_dir()?);
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build()?.block_on(run(limit, &request))
        }
        _ => Err("expected seconds and a program".into()),
    }
}

async fn run(limit: Duration, request: &GuardRequest) -> Result<(), Box<dyn Error>> {
    let program = GuardProgram {
        program: std::env::current_exe()?,
        args: vec!["__guard".to_owned()],
    };
    let mut guarded = Guard::start(&program)?.run(request).await?;
    // Both streams have to be read: a program that cannot write does not end.
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let streams = (guarded.stdout.take(), guarded.stderr.take());
    let (Some(mut stdout), Some(mut stderr)) = streams else {
        return Err("the streams were taken".into());
    };
    let reading =
        async { tokio::try_join!(stdout.read_to_end(&mut out), stderr.read_to_end(&mut err)) };
    let waiting = async {
        match tokio::time::timeout(limit, guarded.wait()).await {
            Ok(end) => end,
            Err(_) => {
                guarded.stop(GRACE);
                guarded.wait().await
            }
        }
    };
    let (read, end) = tokio::join!(reading, waiting);
    let (_, end) = (read?, end?);
    println!(
        "exit {}, stopped {}, left running {}",
        end.exit, end.stopped, end.left_running
    );
    println!("{} bytes of output, {} of errors", out.len(), err.len());
    Ok(())
}
