//! One run of the git program: its arguments, its deadline, its end.
//!
//! Every run has a process group of its own, so that a Ctrl-C meant for us does not cut a commit in two, and reads
//! nothing from a terminal. A run that is no longer waited for gets TERM, on which git removes its lock files.

mod guarded;
mod waited;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

pub use ralph_core::process::variable::FOREIGN;
use rustix::process::{Pid, Signal, getpriority_process, kill_process_group, setpriority_process};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Child;
use tokio::time::timeout;

use super::{Git, GitError};

/// The deadline of a call that names none. Large repositories on slow disks are honest work.
const LIMIT: Duration = Duration::from_secs(300);

/// How long git may take to clean up after TERM.
const GRACE: Duration = Duration::from_secs(5);

/// How long the outputs of a run that has ended may stay open, as by what a hook has put into the background. The run
/// is over, and what it has started is the user's.
const LINGER: Duration = Duration::from_secs(1);

/// By how much a run steps back behind whoever waits for the processor too (setpriority(2)): most runs make the next
/// attempt ready or put the last one's work away, and the loop itself has an agent to start meanwhile.
const NICENESS: i32 = 10;

/// How much of git's words an error carries, in bytes: the end of them.
const WORDS: usize = 2000;

/// How often a call is repeated that met a worktree which was just being made, and the pause between.
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(5);

/// Settings of every call: no collection of garbage at a random moment, no daemon that outlives the call, no way into
/// submodules, which no new worktree has yet, and no relative paths, by which a worktree would not be found again.
const SETTINGS: [&str; 10] = [
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "submodule.recurse=false",
    "-c",
    "worktree.useRelativePaths=false",
];

/// A run of git that is being put together.
#[derive(Debug)]
#[must_use = "a call does nothing until it is run"]
pub struct Call<'a> {
    git: &'a Git,
    global: Vec<OsString>,
    index: Option<OsString>,
    arguments: Vec<OsString>,
    /// In pieces, so that nobody has to put a large one together.
    input: Arc<[Vec<u8>]>,
    limit: Duration,
}

/// What a run printed, and its exit code.
#[derive(Debug)]
pub struct Output {
    /// The exit code; -n for a signal n.
    pub code: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Standard output as a text without white space at its ends.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }

    /// The end of what was said on standard error.
    #[must_use]
    pub fn words(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        let text = text.trim();
        let from = text.len().saturating_sub(WORDS);
        let from = (from..text.len()).find(|at| text.is_char_boundary(*at));
        from.map_or(String::new(), |at| text[at..].to_owned())
    }

    /// Whether it looked through all worktrees at the moment in which another git had made the files of a new one and
    /// not yet written them. It gives up then, before it has done anything.
    fn met_a_new_worktree(&self) -> bool {
        self.code == 128 && {
            let words = String::from_utf8_lossy(&self.stderr);
            words.contains("failed to read") && words.contains("commondir")
        }
    }

    fn of(output: std::process::Output) -> Self {
        Self {
            code: code_of(output.status),
            stdout: output.stdout,
            stderr: output.stderr,
        }
    }
}

fn code_of(status: ExitStatus) -> i32 {
    let signal = || status.signal().unwrap_or(1);
    status.code().unwrap_or_else(|| -signal())
}

impl<'a> Call<'a> {
    pub(super) fn new(git: &'a Git, arguments: &[&str]) -> Self {
        let top = [OsString::from("-C"), git.top().into()];
        Self {
            git,
            global: top
                .into_iter()
                .chain(SETTINGS.map(OsString::from))
                .collect(),
            index: None,
            arguments: arguments.iter().map(OsString::from).collect(),
            input: Arc::new([]),
            limit: LIMIT,
        }
    }

    /// In another folder, which may be another work tree.
    pub fn at(mut self, folder: &Path) -> Self {
        self.global[1] = folder.into();
        self
    }

    /// In a linked work tree whose git folder is known, whatever an agent did to its `.git` file. Its index is never split:
    /// with `index.skipHash`, git 2.47 loses the part that is shared, and then lists no file at all.
    pub fn within(mut self, work_tree: &Path, git_dir: &Path) -> Self {
        self.global[1] = work_tree.into();
        for (option, path) in [("--work-tree=", work_tree), ("--git-dir=", git_dir)] {
            let mut argument = OsString::from(option);
            argument.push(path);
            self.global.push(argument);
        }
        self.setting("core.splitIndex=false")
    }

    /// With another file as its index.
    pub fn index(mut self, index: &Path) -> Self {
        self.index = Some(index.into());
        self
    }

    /// One more argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// A setting for this call.
    pub fn setting(mut self, setting: &str) -> Self {
        self.global.extend(["-c", setting].map(OsString::from));
        self
    }

    /// Without the user's hooks: for calls that touch a checkout or that a hook could hold up.
    pub fn without_hooks(self) -> Self {
        self.setting("core.hooksPath=/dev/null")
    }

    /// What it reads on standard input.
    pub fn input(self, bytes: Vec<u8>) -> Self {
        self.input_of(vec![bytes])
    }

    /// What it reads on standard input, one piece after the other.
    pub(super) fn input_of(mut self, pieces: Vec<Vec<u8>>) -> Self {
        self.input = pieces.into();
        self
    }

    /// How long it may take.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it. Any exit code but zero is an error.
    ///
    /// # Errors
    /// [`GitError::Start`], [`GitError::TimeLimit`], [`GitError::Failed`].
    pub async fn run(self) -> Result<Output, GitError> {
        self.accepting(&[0]).await
    }

    /// Runs it. These exit codes are answers; any other is an error.
    ///
    /// # Errors
    /// As [`Call::run`].
    pub async fn accepting(self, codes: &[i32]) -> Result<Output, GitError> {
        let mut output = self.finish().await?;
        for _ in 0..ATTEMPTS {
            if !output.met_a_new_worktree() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            output = self.finish().await?;
        }
        self.judged(output, codes)
    }

    /// As [`Call::accepting`], without a runtime: the thread waits. For a step that must not be left half-way.
    ///
    /// # Errors
    /// As [`Call::run`].
    pub fn blocking(self, codes: &[i32]) -> Result<Output, GitError> {
        let mut output = self.finish_blocking()?;
        for _ in 0..ATTEMPTS {
            if !output.met_a_new_worktree() {
                break;
            }
            std::thread::sleep(PAUSE);
            output = self.finish_blocking()?;
        }
        self.judged(output, codes)
    }

    fn judged(&self, output: Output, codes: &[i32]) -> Result<Output, GitError> {
        if codes.contains(&output.code) {
            return Ok(output);
        }
        let how = match output.code {
            code @ ..0 => format!("signal {}", -code),
            code => format!("exit {code}"),
        };
        Err(GitError::Failed {
            command: self.shown(),
            how,
            stderr: output.words(),
        })
    }

    /// The command line for people: without the settings that every call has.
    pub(super) fn shown(&self) -> String {
        let mut text = String::from("git");
        for argument in &self.arguments {
            text.push(' ');
            text.push_str(&argument.to_string_lossy());
        }
        text
    }

    fn command(&self) -> std::process::Command {
        self.git.count();
        tracing::debug!(command = self.shown(), "git");
        let program = &self.git.inner.program;
        let mut command = std::process::Command::new(&program.program);
        command.args(&self.global).args(&self.arguments);
        for name in FOREIGN {
            command.env_remove(name);
        }
        command
            .envs([
                ("LC_ALL", "C"),
                ("GIT_TERMINAL_PROMPT", "0"),
                ("GIT_OPTIONAL_LOCKS", "0"),
                ("GIT_EDITOR", "true"),
                ("GIT_SEQUENCE_EDITOR", "true"),
                ("GIT_PAGER", "cat"),
            ])
            .envs(program.variables.iter().map(|(name, value)| (name, value)))
            .envs(self.index.iter().map(|index| ("GIT_INDEX_FILE", index)))
            .stdin(if self.input.is_empty() {
                Stdio::null()
            } else {
                Stdio::piped()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        command
    }

    fn started(&self, source: io::Error) -> GitError {
        GitError::Start {
            program: self.git.inner.program.program.clone(),
            source,
        }
    }

    fn too_long(&self) -> GitError {
        GitError::TimeLimit {
            command: self.shown(),
            limit: self.limit,
        }
    }

    async fn finish(&self) -> Result<Output, GitError> {
        let started = start(self.command()).await;
        let (mut child, mut group) = started.map_err(|source| self.started(source))?;
        if let Some(mut stdin) = child.stdin.take() {
            let input = Arc::clone(&self.input);
            // Git may end before it has read everything; its exit code tells.
            tokio::spawn(async move {
                for piece in input.iter() {
                    if stdin.write_all(piece).await.is_err() {
                        break;
                    }
                }
            });
        }
        let mut ended = std::pin::pin!(ended(&mut child));
        let output = match timeout(self.limit, &mut ended).await {
            Ok(output) => output.map_err(|source| self.started(source))?,
            Err(_) => {
                group.signal(Signal::TERM);
                if timeout(GRACE, &mut ended).await.is_err() {
                    group.signal(Signal::KILL);
                }
                group.is_done();
                return Err(self.too_long());
            }
        };
        group.is_done();
        Ok(Output::of(output))
    }

    fn finish_blocking(&self) -> Result<Output, GitError> {
        let ended = self
            .command()
            .spawn()
            .and_then(|child| waited::output(child, &self.input.concat(), self.limit));
        match ended {
            Ok(Some(output)) => Ok(Output::of(output)),
            Ok(None) => Err(self.too_long()),
            Err(source) => Err(self.started(source)),
        }
    }
}

/// Starts a run on a thread of its own: whoever starts a program stands still until it runs, which on a busy machine
/// takes long enough to keep an agent waiting.
async fn start(command: std::process::Command) -> io::Result<(Child, Group)> {
    let start = move || {
        let child = tokio::process::Command::from(command).spawn()?;
        let group = Group::of(child.id());
        group.step_back();
        Ok((child, group))
    };
    tokio::task::spawn_blocking(start)
        .await
        .map_err(io::Error::other)?
}

/// Waits for the end of a run and for what it prints.
async fn ended(child: &mut Child) -> io::Result<std::process::Output> {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let status = {
        let mut read = std::pin::pin!(async {
            tokio::try_join!(all(out, &mut stdout), all(err, &mut stderr))
        });
        tokio::select! {
            biased;
            done = &mut read => {
                done?;
                child.wait().await?
            }
            status = child.wait() => {
                if let Ok(done) = timeout(LINGER, read).await {
                    done?;
                }
                status?
            }
        }
    };
    Ok(std::process::Output {
        status,
        stdout,
        stderr,
    })
}

async fn all(pipe: Option<impl AsyncRead + Unpin>, bytes: &mut Vec<u8>) -> io::Result<()> {
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(bytes).await?;
    }
    Ok(())
}

/// The process group of a run; told to end when nobody waits for it any more.
struct Group(Option<Pid>);

impl Group {
    fn of(pid: Option<u32>) -> Self {
        let pid = pid.and_then(|pid| i32::try_from(pid).ok());
        Self(pid.and_then(Pid::from_raw))
    }

    /// What its first process starts later steps back with it.
    fn step_back(&self) {
        if let (Some(first), Ok(ours)) = (self.0, getpriority_process(None)) {
            // It may have ended already. Where it is refused the run goes on as it is.
            let _ = setpriority_process(Some(first), ours + NICENESS);
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // The group may be gone already, which is what is wanted.
            let _ = kill_process_group(group, signal);
        }
    }

    fn is_done(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_run_has_started_in_the_background_holds_nobody_up() {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "sleep 1000 & echo $!"]);
        command.stdout(Stdio::piped()).process_group(0);
        let (mut child, group) = start(command).await.unwrap();
        let output = timeout(GRACE * 2, ended(&mut child)).await;
        let output = output.expect("the end of the shell").unwrap();
        let started = String::from_utf8(output.stdout).unwrap();
        let started = Pid::from_raw(started.trim().parse().unwrap()).unwrap();
        rustix::process::test_kill_process(started).expect("it is the user's");
        drop(group);
    }

    #[tokio::test]
    async fn a_run_steps_back_behind_the_loop() {
        let mut command = std::process::Command::new("sleep");
        command.arg("1000").process_group(0);
        let (mut child, group) = start(command).await.unwrap();
        let ours = getpriority_process(None).unwrap();
        let theirs = getpriority_process(group.0).unwrap();
        assert_eq!(theirs, (ours + NICENESS).min(19));
        child.kill().await.unwrap();
    }
}
