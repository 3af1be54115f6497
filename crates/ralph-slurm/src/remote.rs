//! One remote call: an envelope out, a framed reply back, within a budget, a deadline and four channels.
//!
//! Nothing here knows what a script does. A reply that broke off is given back with what was complete in it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use ralph_core::backend::BackendError;
use ralph_core::env::Env;
use ralph_core::error::Coded as _;
use ralph_core::time::Timestamp;
use tokio::sync::Semaphore;

use crate::budget::Budget;
use crate::frame::{FrameReader, Part};
use crate::script::RemoteScript;
use crate::transport::{ExecRequest, Exit, Transport, TransportError};

/// Channels at the same time; servers allow ten on one connection, and the user wants some.
const CHANNELS: usize = 4;

/// The login node, as everything but the transports sees it.
#[derive(Debug)]
pub(crate) struct Remote {
    transport: Arc<dyn Transport>,
    env: Env,
    budget: Option<Budget>,
    channels: Semaphore,
    root: String,
    clusters: String,
}

/// One call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) script: &'a RemoteScript,
    pub(crate) arguments: &'a [&'a str],
    pub(crate) data: &'a [u8],
    pub(crate) limit: Duration,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    parts: Vec<Part>,
    /// Why there is no end, when there is none.
    pub(crate) broken: Option<TransportError>,
    /// Our clock when the reply was complete.
    pub(crate) received: Timestamp,
}

impl Reply {
    /// The part with this name.
    pub(crate) fn part(&self, name: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.name == name)
    }

    /// What a command answered, or why it cannot be known.
    pub(crate) fn answer(&self, name: &str) -> Result<String, String> {
        match self.part(name) {
            Some(part) if part.code == 0 => Ok(part.text()),
            Some(part) => Err(format!("exit code {}: {}", part.code, self.complaint(name))),
            None => Err(self
                .broken
                .as_ref()
                .map_or_else(|| "it was not asked".to_owned(), ToString::to_string)),
        }
    }

    /// The messages of a command, on one line.
    pub(crate) fn complaint(&self, name: &str) -> String {
        let text = self
            .part(&format!("{name}.err"))
            .map(Part::text)
            .unwrap_or_default();
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        lines.join("; ").chars().take(500).collect()
    }

    /// How far the cluster's clock is ahead of ours, in seconds.
    pub(crate) fn skew_seconds(&self) -> i64 {
        self.cluster_time().as_second() - self.received.as_second()
    }

    /// When it was answered, by the cluster's clock; by ours where that is not said.
    pub(crate) fn cluster_time(&self) -> Timestamp {
        let clock = self.parts.iter().find_map(Part::clock);
        clock.unwrap_or(self.received)
    }

    /// Fails for a reply that broke off.
    pub(crate) fn whole(self) -> Result<Self, BackendError> {
        match self.broken {
            None => Ok(self),
            Some(error) => Err(backend_error(error)),
        }
    }
}

impl Remote {
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        env: Env,
        budget: Option<Budget>,
        root: String,
        clusters: Option<String>,
    ) -> Self {
        Self {
            transport,
            env,
            budget,
            channels: Semaphore::new(CHANNELS),
            root,
            clusters: clusters.unwrap_or_default(),
        }
    }

    pub(crate) fn host(&self) -> &str {
        self.transport.host()
    }

    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.env.now()
    }

    /// An id that nothing else has: a request's, or a bundle's.
    pub(crate) fn fresh_id(&self) -> String {
        self.env.ids.op(self.now()).to_string()
    }

    /// Whether a session is there; no call is spent.
    pub(crate) async fn check(&self) -> Result<(), BackendError> {
        self.transport.check().await.map_err(backend_error)
    }

    /// Notes a look at the queue, or says how long ago the last one was when that is less than `floor`.
    pub(crate) fn look(&self, floor: Duration) -> Result<(), Duration> {
        match &self.budget {
            Some(budget) if !floor.is_zero() => budget.look(self.now(), floor),
            _ => Ok(()),
        }
    }

    /// Makes a call whose reply is wanted whole.
    pub(crate) async fn call(&self, call: Call<'_>) -> Result<Reply, BackendError> {
        self.stream(call, &mut |_| ()).await
    }

    /// Makes a call and hands each part over as it arrives. An error means that our script did not begin.
    pub(crate) async fn stream(
        &self,
        call: Call<'_>,
        arrived: &mut (dyn FnMut(&Part) + Send),
    ) -> Result<Reply, BackendError> {
        let id = self.fresh_id();
        let mut arguments = vec![self.root.as_str(), self.clusters.as_str()];
        arguments.extend_from_slice(call.arguments);
        let envelope = call
            .script
            .envelope(&id, &arguments, call.data)
            .map_err(|error| BackendError::Garbled {
                detail: error.to_string(),
            })?;
        let _channel = self
            .channels
            .acquire()
            .await
            .map_err(|_| BackendError::Unreachable {
                detail: "the connection was closed by this program".to_owned(),
            })?;
        if call.script.asks_scheduler() {
            self.wait_for_budget().await;
        }
        let mut frame = FrameReader::new(&id);
        let mut parts = Vec::new();
        let request = ExecRequest {
            command: &envelope.command,
            input: &envelope.input,
            limit: call.limit,
        };
        let outcome = self
            .transport
            .exec(&request, &mut |bytes| {
                for part in frame.feed(bytes) {
                    arrived(&part);
                    parts.push(part);
                }
                match frame.ended() {
                    Some(_) => ControlFlow::Break(()),
                    None => ControlFlow::Continue(()),
                }
            })
            .await;
        let broken = self.interrupted(&frame, outcome, call.script)?;
        Ok(Reply {
            parts,
            broken,
            received: self.now(),
        })
    }

    async fn wait_for_budget(&self) {
        let wait = self
            .budget
            .as_ref()
            .map_or(Duration::ZERO, |budget| budget.take(self.now()));
        if !wait.is_zero() {
            tracing::debug!(
                host = self.host(),
                seconds = wait.as_secs(),
                "waiting for the host's call budget"
            );
            tokio::time::sleep(wait).await;
        }
    }

    /// Why the reply has no end; an error when our script did not even begin.
    fn interrupted(
        &self,
        frame: &FrameReader,
        outcome: Result<Exit, TransportError>,
        script: &RemoteScript,
    ) -> Result<Option<TransportError>, BackendError> {
        if frame.ended().is_some() {
            return Ok(None);
        }
        let error = match outcome {
            Err(error) => error,
            Ok(exit) if frame.begun() => TransportError::Lost {
                host: self.host().to_owned(),
                detail: format!(
                    "`{}` stopped in the middle ({})",
                    script.name,
                    exit_text(&exit)
                ),
            },
            Ok(exit) => {
                return Err(BackendError::Garbled {
                    detail: format!(
                        "`{}` did not begin on {} ({}); the login shell must run commands and leave their standard \
                         input alone",
                        script.name,
                        self.host(),
                        exit_text(&exit)
                    ),
                });
            }
        };
        if frame.begun() {
            Ok(Some(error))
        } else {
            Err(backend_error(error))
        }
    }
}

fn exit_text(exit: &Exit) -> String {
    let last = exit
        .stderr
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or("no message");
    match exit.code {
        Some(code) => format!("exit code {code}: {last}"),
        None => format!("ended by a signal: {last}"),
    }
}

/// A failed connection, as the port says it. A session that is not there is told from a host that does not answer.
pub(crate) fn backend_error(error: TransportError) -> BackendError {
    match error {
        TransportError::NoSession { host, .. } => BackendError::NoSession { host },
        // Asking again does not help; what does is the error's own.
        program @ TransportError::Program { .. } => BackendError::Unreachable {
            detail: match program.hint() {
                Some(hint) => format!("{program}. {hint}"),
                None => program.to_string(),
            },
        },
        other => BackendError::Unreachable {
            detail: other.to_string(),
        },
    }
}
