//! Running an attached program to its end under a guard: a wall-clock limit, and the end of its output. Nothing that it
//! started outlives it, or whoever waits for it.
//!
//! What must never be here: what the output means, or what a time limit is to lead to.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::guard::{
    ATTEMPT_ID, Guard, GuardEnd, GuardError, GuardRequest, Guarded, Inherit, sweep_attempts,
};
use super::variable::FOREIGN;
use crate::job::ExitInfo;

/// How long a program and all that it started may take to end after it was asked to.
pub const GRACE: Duration = Duration::from_secs(5);
/// How long a guard may need beyond the grace until it has ended everything.
const MARGIN: Duration = Duration::from_secs(30);
/// How much of each stream is kept: its end.
const KEEP: usize = 256 * 1024;

/// What to run.
#[derive(Debug, Clone)]
pub struct Program<'a> {
    /// Program and arguments.
    pub argv: &'a [String],
    /// Working folder.
    pub folder: &'a Path,
    /// Variables on top of the inherited ones, which are all but those of a surrounding git. With `RALPH_ATTEMPT_ID` among them, what is left is found even when the
    /// guard was killed.
    pub variables: &'a [(String, String)],
    /// What it reads on standard input.
    pub input: &'a [u8],
    /// Wall-clock limit.
    pub limit: Duration,
}

/// What ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Itself.
    Own(ExitInfo),
    /// The limit.
    TimeLimit,
    /// Somebody ended its guard: how it would have ended is not known.
    Unguarded,
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    cause: Cause,
    /// The last 256 KiB of standard output.
    pub stdout: Vec<u8>,
    /// The last 256 KiB of standard error.
    pub stderr: Vec<u8>,
}

impl Ended {
    /// `exit 1`, `signal 9`, `time limit` or `its guard was ended before it`.
    #[must_use]
    pub fn how(&self) -> String {
        match self.cause {
            Cause::Own(ExitInfo { code, signal: 0 }) => format!("exit {code}"),
            Cause::Own(ExitInfo { signal, .. }) => format!("signal {signal}"),
            Cause::TimeLimit => "time limit".to_owned(),
            Cause::Unguarded => "its guard was ended before it".to_owned(),
        }
    }

    /// Whether its time was over before it ended by itself.
    #[must_use]
    pub fn is_time_limit(&self) -> bool {
        self.cause == Cause::TimeLimit
    }

    /// Whether it exited with zero.
    #[must_use]
    pub fn success(&self) -> bool {
        self.cause == Cause::Own(ExitInfo { code: 0, signal: 0 })
    }
}

/// Runs it to its end or to its limit, under a guard that waits for its order. Dropping the future ends the program and
/// all that it started.
///
/// # Errors
/// It was not started.
pub async fn run(guard: Guard, program: &Program<'_>) -> Result<Ended, GuardError> {
    run_request(guard, &request(program)?, program.limit).await
}

/// The same for an order that was put together elsewhere.
///
/// # Errors
/// As [`run`].
pub async fn run_request(
    guard: Guard,
    request: &GuardRequest,
    limit: Duration,
) -> Result<Ended, GuardError> {
    let waiting = guard.identity().cloned();
    let mut guarded = match guard.run(request).await {
        Ok(guarded) => guarded,
        // The guard was killed before it could say whether the program runs, so it may.
        Err(GuardError::Lost { .. }) => {
            sweep_attempts(attempts(request), waiting.into_iter().collect(), GRACE).await;
            return Ok(Ended {
                cause: Cause::Unguarded,
                stdout: Vec::new(),
                stderr: Vec::new(),
            });
        }
        Err(error) => return Err(error),
    };
    let stdout = tokio::spawn(tail_of(guarded.stdout.take()));
    let stderr = tokio::spawn(tail_of(guarded.stderr.take()));
    let cause = match attend(&mut guarded, limit).await {
        Ok(cause) => cause,
        Err(GuardError::Lost { .. }) => {
            let guards = guarded.guard_identity().cloned().into_iter().collect();
            sweep_attempts(attempts(request), guards, GRACE).await;
            Cause::Unguarded
        }
        Err(error) => return Err(error),
    };
    Ok(Ended {
        cause,
        stdout: finished(stdout).await,
        stderr: finished(stderr).await,
    })
}

fn request(program: &Program<'_>) -> Result<GuardRequest, GuardError> {
    let Some((name, arguments)) = program.argv.split_first() else {
        return Err(GuardError::Program {
            program: "".into(),
            workdir: program.folder.to_owned(),
            reason: "an empty command".to_owned(),
            missing: false,
        });
    };
    Ok(GuardRequest {
        program: name.into(),
        args: arguments.to_vec(),
        workdir: program.folder.to_owned(),
        // A git that the program runs is to ask the repository of its folder, not that of a hook which started us.
        inherit: Inherit::Without(FOREIGN.map(str::to_owned).into()),
        variables: program.variables.iter().cloned().collect(),
        stdin: program.input.to_vec(),
        grace: GRACE,
    })
}

fn attempts(request: &GuardRequest) -> BTreeSet<String> {
    let attempt = request.variables.get(ATTEMPT_ID);
    attempt.cloned().into_iter().collect()
}

/// Waits for the end, which is brought about after the limit.
async fn attend(guarded: &mut Guarded, limit: Duration) -> Result<Cause, GuardError> {
    if let Ok(end) = timeout(limit, guarded.wait()).await {
        let GuardEnd { exit, stopped, .. } = end?;
        return Ok(if stopped {
            Cause::Unguarded
        } else {
            Cause::Own(exit)
        });
    }
    guarded.stop(GRACE);
    if timeout(GRACE + MARGIN, guarded.wait()).await.is_err() {
        guarded.kill();
        guarded.wait().await?;
    }
    Ok(Cause::TimeLimit)
}

async fn finished(reader: JoinHandle<Vec<u8>>) -> Vec<u8> {
    match timeout(GRACE, reader).await {
        Ok(Ok(bytes)) => bytes,
        _ => Vec::new(),
    }
}

async fn tail_of(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let Some(mut stream) = stream else {
        return Vec::new();
    };
    let mut kept: VecDeque<u8> = VecDeque::new();
    let mut chunk = vec![0_u8; 16 * 1024];
    while let Ok(count) = stream.read(&mut chunk).await {
        if count == 0 {
            break;
        }
        kept.extend(chunk.iter().take(count));
        let excess = kept.len().saturating_sub(KEEP);
        kept.drain(..excess);
    }
    kept.into()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::process::guard::GuardProgram;

    /// The guard of this crate's tests is an example of it, which cargo builds beside them.
    pub(crate) fn guard_program() -> GuardProgram {
        let this = std::env::current_exe().unwrap();
        let profile = this.parent().and_then(Path::parent).unwrap();
        let program = profile.join("examples/guarded");
        assert!(program.is_file(), "{} is not built", program.display());
        GuardProgram {
            program,
            args: vec!["__guard".to_owned()],
        }
    }

    async fn sh(script: &str, input: &[u8], limit: Duration) -> Ended {
        let argv = ["sh", "-c", script].map(str::to_owned);
        let program = Program {
            argv: &argv,
            folder: Path::new("/"),
            variables: &[],
            input,
            limit,
        };
        let guard = Guard::start(&guard_program()).unwrap();
        run(guard, &program).await.unwrap()
    }

    /// As from a hook of git, for which everything below asks the hook's repository.
    #[tokio::test]
    async fn the_repository_of_a_surrounding_git_is_not_inherited() {
        let inner = guard_program();
        let set = FOREIGN.map(|name| format!("{name}=/foreign"));
        let own = [inner.program.display().to_string()];
        let outer = GuardProgram {
            program: "env".into(),
            args: set.into_iter().chain(own).chain(inner.args).collect(),
        };
        let argv = ["sh", "-c", "env | grep /foreign"].map(str::to_owned);
        let program = Program {
            argv: &argv,
            folder: Path::new("/"),
            variables: &[("GIT_DIR".to_owned(), "/foreign/wanted".to_owned())],
            input: b"",
            limit: Duration::from_secs(60),
        };
        let ended = run(Guard::start(&outer).unwrap(), &program).await.unwrap();
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert_eq!(said, "GIT_DIR=/foreign/wanted\n");
    }

    fn pids(ended: &Ended) -> Vec<u32> {
        let text = String::from_utf8_lossy(&ended.stdout);
        text.split_whitespace()
            .map(|word| word.parse().unwrap())
            .collect()
    }

    #[tokio::test]
    async fn input_reaches_it_and_output_comes_back() {
        let ended = sh(
            "cat; echo err >&2; exit 3",
            b"order",
            Duration::from_secs(20),
        )
        .await;
        assert_eq!(
            (
                ended.how().as_str(),
                ended.stdout.as_slice(),
                ended.stderr.as_slice()
            ),
            ("exit 3", &b"order"[..], &b"err\n"[..])
        );
        let ended = sh("kill -USR1 $$", b"", Duration::from_secs(20)).await;
        assert_eq!(ended.how(), "signal 10");
    }

    #[tokio::test]
    async fn a_program_that_does_not_read_a_large_input_is_no_error() {
        assert!(
            sh("exit 0", &vec![b'x'; 1 << 20], Duration::from_secs(20))
                .await
                .success()
        );
    }

    #[tokio::test]
    async fn the_limit_ends_it_and_what_it_started() {
        let script =
            "trap '' TERM; sleep 1000 & echo $!; setsid sh -c 'echo $$; exec sleep 1000' & wait";
        let ended = sh(script, b"", Duration::from_millis(300)).await;
        assert_eq!(ended.how(), "time limit");
        let sleepers = pids(&ended);
        assert_eq!(sleepers.len(), 2);
        assert!(
            !sleepers
                .into_iter()
                .any(crate::process::identity::is_pid_alive)
        );
    }

    #[tokio::test]
    async fn one_whose_guard_is_killed_is_ended_and_not_taken_for_done() {
        let attempt = format!("bounded-{}", std::process::id());
        let argv = ["sh", "-c", "echo $$; kill -9 $PPID; exec sleep 1000"].map(str::to_owned);
        let program = Program {
            argv: &argv,
            folder: Path::new("/"),
            variables: &[(ATTEMPT_ID.to_owned(), attempt)],
            input: b"",
            limit: Duration::from_secs(60),
        };
        let guard = Guard::start(&guard_program()).unwrap();
        let ended = run(guard, &program).await.unwrap();
        assert_eq!(
            (ended.how().as_str(), ended.success()),
            ("its guard was ended before it", false)
        );
        assert!(
            !pids(&ended)
                .into_iter()
                .any(crate::process::identity::is_pid_alive)
        );
    }

    #[tokio::test]
    async fn only_the_end_of_long_output_is_kept() {
        let ended = sh(
            "head -c 1000000 /dev/zero; printf end",
            b"",
            Duration::from_secs(20),
        )
        .await;
        assert_eq!(ended.stdout.len(), KEEP);
        assert!(ended.stdout.ends_with(b"end"));
    }
}
