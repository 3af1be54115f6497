//! The second transport: an SSH client inside this process, for embedding and for hosts that take a key or an agent.
//!
//! It knows no `~/.ssh/config`, no ProxyJump and no ControlMaster. The host key must be in `known_hosts`; nothing is
//! ever added to it. One command runs at a time, as the library allows. A refused login is not tried again by this
//! process, because hosts ban those who insist.

mod login;

use std::fmt;
use std::io::{Read as _, Write as _};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ssh2::{Channel, ErrorCode, Session};
use tokio::sync::mpsc;

use super::{ExecRequest, Exit, Receiver, Transport, TransportError, tail_text};
use crate::settings::SshSettings;

/// The library's code for a timeout.
const TIMED_OUT: i32 = -9;
/// How long one step waits before it looks whether the reader has enough.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often an idle connection says that it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// One question of a keyboard-interactive login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The server's text, such as `Verification code: `.
    pub text: String,
    /// Whether the answer may be shown while it is typed.
    pub echo: bool,
}

/// Answers the questions of a keyboard-interactive login.
pub trait Prompter: Send + Sync + fmt::Debug {
    /// One answer per prompt; `None` gives the login up.
    fn answer(&self, instructions: &str, prompts: &[Prompt]) -> Option<Vec<String>>;
}

/// Runs commands over a connection of its own.
#[derive(Debug)]
pub struct Libssh2 {
    shared: Arc<Shared>,
}

struct Shared {
    settings: SshSettings,
    home: PathBuf,
    user: String,
    prompter: Option<Arc<dyn Prompter>>,
    state: Mutex<State>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("settings", &self.settings)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

enum State {
    Closed,
    Open(Session),
    /// The login was refused; what the host said.
    Barred(String),
}

impl Libssh2 {
    /// A transport for this host; nothing is contacted. `home` is where `~` leads, `user` who logs in when the
    /// settings name nobody; without a `prompter` only keys and the agent are tried.
    #[must_use]
    pub fn new(
        settings: SshSettings,
        home: PathBuf,
        user: &str,
        prompter: Option<Arc<dyn Prompter>>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                user: settings.user.clone().unwrap_or_else(|| user.to_owned()),
                settings,
                home,
                prompter,
                state: Mutex::new(State::Closed),
            }),
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Shared>) -> Result<T, TransportError> + Send + 'static,
    ) -> Result<T, TransportError> {
        let shared = Arc::clone(&self.shared);
        let host = shared.settings.host.clone();
        tokio::task::spawn_blocking(move || work(&shared))
            .await
            .unwrap_or_else(|error| {
                Err(TransportError::Lost {
                    host,
                    detail: error.to_string(),
                })
            })
    }
}

#[async_trait]
impl Transport for Libssh2 {
    fn host(&self) -> &str {
        &self.shared.settings.host
    }

    async fn check(&self) -> Result<(), TransportError> {
        let opened = self
            .blocking(|shared| shared.open(&mut shared.lock()))
            .await?;
        keep_alive_if(opened, &self.shared);
        Ok(())
    }

    async fn exec(
        &self,
        request: &ExecRequest<'_>,
        output: &mut Receiver<'_>,
    ) -> Result<Exit, TransportError> {
        let (sender, mut pieces) = mpsc::unbounded_channel();
        let enough = Arc::new(AtomicBool::new(false));
        let job = Job {
            command: request.command.to_owned(),
            input: request.input.to_vec(),
            deadline: Instant::now() + request.limit,
            seconds: request.limit.as_secs(),
            pieces: sender,
            enough: Arc::clone(&enough),
        };
        let running = self.blocking(move |shared| shared.run(&job));
        tokio::pin!(running);
        let mut ended = None;
        loop {
            tokio::select! {
                piece = pieces.recv() => match piece {
                    Some(piece) if !enough.load(Ordering::Relaxed) => {
                        if output(&piece).is_break() {
                            enough.store(true, Ordering::Relaxed);
                        }
                    }
                    Some(_) => {}
                    None => break,
                },
                result = &mut running, if ended.is_none() => ended = Some(result),
            }
        }
        let (exit, opened) = match ended {
            Some(result) => result?,
            None => running.await?,
        };
        keep_alive_if(opened, &self.shared);
        Ok(exit)
    }
}

/// One command on its way through the blocking side.
struct Job {
    command: String,
    input: Vec<u8>,
    deadline: Instant,
    seconds: u64,
    pieces: mpsc::UnboundedSender<Vec<u8>>,
    enough: Arc<AtomicBool>,
}

impl Job {
    /// Whether the reader has all it wants; only a background process of the host holds the channel then.
    fn has_enough(&self) -> bool {
        self.enough.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the connection unless it is open; gives whether it was opened now.
    fn open(&self, state: &mut State) -> Result<bool, TransportError> {
        match state {
            State::Open(session) => {
                session.set_timeout(millis(KEEP_ALIVE));
                if session.keepalive_send().is_ok() {
                    return Ok(false);
                }
            }
            State::Barred(detail) => {
                return Err(TransportError::NoSession {
                    host: self.settings.host.clone(),
                    detail: detail.clone(),
                });
            }
            State::Closed => {}
        }
        *state = State::Closed;
        match login::log_in(
            &self.settings,
            &self.home,
            &self.user,
            self.prompter.as_deref(),
        ) {
            Ok(session) => {
                session.set_keepalive(true, u32::try_from(KEEP_ALIVE.as_secs()).unwrap_or(15));
                *state = State::Open(session);
                Ok(true)
            }
            Err(login::Failure::Refused(detail)) => {
                *state = State::Barred(detail.clone());
                Err(TransportError::NoSession {
                    host: self.settings.host.clone(),
                    detail,
                })
            }
            Err(login::Failure::Unreachable(detail)) => Err(TransportError::Unreachable {
                host: self.settings.host.clone(),
                detail,
            }),
        }
    }

    /// Runs one command; a connection on which something went wrong is not used again.
    fn run(&self, job: &Job) -> Result<(Exit, bool), TransportError> {
        let mut state = self.lock();
        let mut opened = self.open(&mut state)?;
        let mut channel = match self.channel(&state, job) {
            Ok(channel) => channel,
            // The connection died while it was idle; nothing was sent yet.
            Err(_) if !opened => {
                *state = State::Closed;
                opened = self.open(&mut state)?;
                self.channel(&state, job)?
            }
            Err(error) => return Err(error),
        };
        let State::Open(session) = &*state else {
            return Err(self.lost("the connection is gone"));
        };
        let outcome = converse(session, &mut channel, job);
        if outcome.is_err() {
            // What dropping says to a dead peer must not wait for an answer.
            session.set_timeout(1);
        }
        drop(channel);
        match outcome {
            Ok(exit) => Ok((exit, opened)),
            Err(Broken::Deadline) => {
                *state = State::Closed;
                Err(TransportError::Deadline {
                    host: self.settings.host.clone(),
                    seconds: job.seconds,
                })
            }
            Err(Broken::Lost(detail)) => {
                *state = State::Closed;
                Err(self.lost(&detail))
            }
        }
    }

    fn channel(&self, state: &State, job: &Job) -> Result<Channel, TransportError> {
        let State::Open(session) = state else {
            return Err(self.lost("the connection is gone"));
        };
        again(session, job, || session.channel_session()).map_err(|error| {
            TransportError::Unreachable {
                host: self.settings.host.clone(),
                detail: format!("no channel could be opened: {}", error.text()),
            }
        })
    }

    fn lost(&self, detail: &str) -> TransportError {
        TransportError::Lost {
            host: self.settings.host.clone(),
            detail: detail.to_owned(),
        }
    }
}

/// Why a conversation ended too early.
enum Broken {
    Deadline,
    Lost(String),
}

impl Broken {
    fn text(self) -> String {
        match self {
            Self::Deadline => "no answer in time".to_owned(),
            Self::Lost(detail) => detail,
        }
    }
}

impl From<ssh2::Error> for Broken {
    fn from(error: ssh2::Error) -> Self {
        match error.code() {
            ErrorCode::Session(TIMED_OUT) => Self::Deadline,
            _ => Self::Lost(error.to_string()),
        }
    }
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::TimedOut => Self::Deadline,
            _ => Self::Lost(error.to_string()),
        }
    }
}

fn converse(session: &Session, channel: &mut Channel, job: &Job) -> Result<Exit, Broken> {
    again(session, job, || channel.exec(&job.command))?;
    let mut rest = job.input.as_slice();
    while !rest.is_empty() {
        match again(session, job, || channel.write(rest)) {
            Ok(length) => rest = rest.get(length..).unwrap_or_default(),
            // A command that ends before it has read everything is no failure of the connection.
            Err(_) if channel.eof() => break,
            Err(error) => return Err(error),
        }
    }
    again(session, job, || channel.send_eof())?;
    if receive(session, channel, job)?.is_break() {
        return Ok(Exit {
            code: None,
            stderr: String::new(),
        });
    }
    let mut complaints = Vec::new();
    again(session, job, || {
        channel.stderr().read_to_end(&mut complaints)
    })?;
    // Only after everything was read; the library refuses to wait for the end before.
    again(session, job, || channel.wait_close())?;
    let signalled = channel
        .exit_signal()
        .is_ok_and(|signal| signal.exit_signal.is_some());
    Ok(Exit {
        code: channel.exit_status().ok().filter(|_| !signalled),
        stderr: tail_text(&complaints),
    })
}

/// Does one step until the job's deadline. With a keep-alive the library reports a timeout whenever it has sent one;
/// every step may be taken again where it stopped.
fn again<T, E: Into<Broken>>(
    session: &Session,
    job: &Job,
    mut step: impl FnMut() -> Result<T, E>,
) -> Result<T, Broken> {
    loop {
        session.set_timeout(left(job));
        match step().map_err(Into::into) {
            Err(Broken::Deadline) if Instant::now() < job.deadline && !job.has_enough() => {}
            outcome => return outcome,
        }
    }
}

/// Reads to the end, or until the reader has enough.
fn receive(session: &Session, channel: &mut Channel, job: &Job) -> Result<ControlFlow<()>, Broken> {
    let mut piece = vec![0_u8; 64 * 1024];
    loop {
        let length = match again(session, job, || channel.read(&mut piece)) {
            Ok(length) => length,
            Err(_) if job.has_enough() => return Ok(ControlFlow::Break(())),
            Err(error) => return Err(error),
        };
        if length == 0 {
            return Ok(ControlFlow::Continue(()));
        }
        let read = piece.get(..length).unwrap_or_default().to_vec();
        if job.pieces.send(read).is_err() || job.has_enough() {
            return Ok(ControlFlow::Break(()));
        }
    }
}

/// Milliseconds until the deadline; never zero, which the library reads as for ever.
fn left(job: &Job) -> u32 {
    let left = job.deadline.saturating_duration_since(Instant::now());
    millis(left.min(PATIENCE))
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX).max(1)
}

/// Starts the keep-alive of a connection that was opened now.
fn keep_alive_if(opened: bool, shared: &Arc<Shared>) {
    if opened {
        tokio::spawn(keep_alive(Arc::downgrade(shared)));
    }
}

/// Says regularly that we are there, until the connection is closed or nobody needs it.
async fn keep_alive(shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(KEEP_ALIVE).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let alive = tokio::task::spawn_blocking(move || {
            // A connection that is at work needs no sign of life.
            let Ok(state) = shared.state.try_lock() else {
                return true;
            };
            match &*state {
                State::Open(session) => session.keepalive_send().is_ok(),
                _ => false,
            }
        });
        if !alive.await.unwrap_or(false) {
            return;
        }
    }
}
