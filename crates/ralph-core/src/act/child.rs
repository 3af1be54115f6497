//! Running a program to its end: own process group, a wall-clock limit, bounded output. Nothing it started
//! outlives it.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::time::timeout;

/// How long a group may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(5);
/// How much of each stream is kept: its end.
const KEEP: usize = 256 * 1024;

/// What to run.
#[derive(Debug, Clone)]
pub struct Program<'a> {
    /// Program and arguments.
    pub argv: &'a [String],
    /// Working folder.
    pub folder: &'a Path,
    /// Variables on top of the inherited ones.
    pub variables: &'a [(String, String)],
    /// What it reads on standard input.
    pub input: &'a [u8],
    /// Wall-clock limit.
    pub limit: Duration,
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    /// Its status; `None` when the limit ended it.
    pub status: Option<ExitStatus>,
    /// The last 256 KiB of standard output.
    pub stdout: Vec<u8>,
    /// The last 256 KiB of standard error.
    pub stderr: Vec<u8>,
}

impl Ended {
    /// `exit 1`, `signal 9` or `time limit`.
    #[must_use]
    pub fn how(&self) -> String {
        use std::os::unix::process::ExitStatusExt as _;
        match self.status {
            None => "time limit".to_owned(),
            Some(status) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("exit {code}"),
                (None, Some(signal)) => format!("signal {signal}"),
                (None, None) => "ended".to_owned(),
            },
        }
    }

    /// Whether it exited with zero.
    #[must_use]
    pub fn success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }
}

/// Runs it to its end or to its limit.
///
/// # Errors
/// It could not be started or waited for.
pub async fn run(program: &Program<'_>) -> io::Result<Ended> {
    let (name, arguments) = program
        .argv
        .split_first()
        .ok_or_else(|| io::Error::other("an empty command"))?;
    let mut child = Command::new(name)
        .args(arguments)
        .current_dir(program.folder)
        .envs(program.variables.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let group = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    // Whatever happens from here on, also when nobody waits any more, nothing of the group stays.
    let group = Group(group);
    let stdout = tokio::spawn(tail_of(child.stdout.take()));
    let stderr = tokio::spawn(tail_of(child.stderr.take()));
    if let Some(mut stdin) = child.stdin.take() {
        let input = program.input.to_vec();
        // A program that does not read its input is no error; writing must not hold up waiting.
        tokio::spawn(async move {
            let _ = stdin.write_all(&input).await;
        });
    }
    let status = match timeout(program.limit, child.wait()).await {
        Ok(status) => Some(status?),
        Err(_) => {
            group.signal(Signal::TERM);
            if timeout(GRACE, child.wait()).await.is_err() {
                group.signal(Signal::KILL);
                child.wait().await?;
            }
            None
        }
    };
    // Whatever it left behind goes with it; this also closes the pipes.
    drop(group);
    Ok(Ended {
        status,
        stdout: finished(stdout).await,
        stderr: finished(stderr).await,
    })
}

/// The process group of a program; killed when this is dropped.
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // The group may be gone already, which is what is wanted.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

async fn finished(reader: tokio::task::JoinHandle<Vec<u8>>) -> Vec<u8> {
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
mod tests {
    use super::*;

    async fn sh(script: &str, input: &[u8], limit: Duration) -> Ended {
        let argv = ["sh", "-c", script].map(str::to_owned);
        let program = Program {
            argv: &argv,
            folder: Path::new("/"),
            variables: &[],
            input,
            limit,
        };
        run(&program).await.unwrap()
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
        let script = "trap '' TERM; sleep 1000 & echo $!; wait";
        let ended = sh(script, b"", Duration::from_millis(300)).await;
        assert_eq!(ended.how(), "time limit");
        let sleeper: i32 = String::from_utf8(ended.stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        crate::store::tests::wait_until("the sleeper is dead", || {
            let stat = std::fs::read_to_string(format!("/proc/{sleeper}/stat"));
            stat.map_or(true, |stat| stat.contains(") Z"))
        });
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
