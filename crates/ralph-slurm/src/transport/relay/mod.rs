//! A transport in a process of its own, as git keeps its HTTP client: `ralph` starts a thousand times for each time that
//! it speaks SSH by itself, and must not load a cryptographic library each time.
//!
//! [`Relay`] starts the program and asks it over its standard streams; [`serve`] is all that this program does. Neither
//! side knows which transport it is. The process lives as long as the [`Relay`]: it ends when its standard input does,
//! so that also a killed owner leaves none behind.

mod peer;
mod server;
mod wire;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;

use self::peer::Peer;
use super::{ExecRequest, Exit, Receiver, Transport, TransportError};
use crate::settings::SshSettings;

pub use server::serve;
pub use wire::Opening;

/// What the other process may take beside a command's own limit: it looks the host up, connects and logs in, each with
/// limits of its own.
const TO_LOG_IN: Duration = Duration::from_secs(180);

/// What it may take to say that it is there. It has looked at nothing by then.
const TO_GREET: Duration = Duration::from_secs(30);

/// Runs commands through a program that holds the connection.
#[derive(Debug)]
pub struct Relay {
    program: PathBuf,
    opening: Opening,
    /// The process, between two requests.
    peer: Mutex<Option<Peer>>,
}

impl Relay {
    /// A transport over this program; nothing is started or contacted. `home` is where `~` leads, `user` who logs in when
    /// the settings name nobody.
    #[must_use]
    pub fn new(program: PathBuf, settings: SshSettings, home: PathBuf, user: &str) -> Self {
        Self {
            program,
            opening: Opening {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                settings,
                home,
                user: user.to_owned(),
            },
            peer: Mutex::new(None),
        }
    }

    /// The process, out of its place: what goes wrong from here on, and who drops the future, ends it.
    async fn peer(&self, place: &mut Option<Peer>) -> Result<Peer, TransportError> {
        if let Some(mut peer) = place.take()
            && peer.is_there()
        {
            return Ok(peer);
        }
        let mut peer =
            Peer::start(&self.program).map_err(|error| self.unusable(error.to_string()))?;
        match tokio::time::timeout(TO_GREET, peer.open(&self.opening)).await {
            Ok(Ok(version)) if version == self.opening.version => Ok(peer),
            Ok(Ok(version)) => Err(self.unusable(format!(
                "it is of version {version}, expected {}",
                self.opening.version
            ))),
            Ok(Err(error)) => Err(self.unusable(peer.last_words(&error).await)),
            Err(_) => Err(self.unusable(format!(
                "it did not answer within {} s; it may be another program of that name",
                TO_GREET.as_secs()
            ))),
        }
    }

    fn unusable(&self, detail: String) -> TransportError {
        TransportError::Program {
            program: self.program.display().to_string(),
            detail,
        }
    }

    /// The process ended, or said what cannot be understood; the command may have run to its end.
    async fn lost(&self, peer: Peer, error: &io::Error) -> TransportError {
        TransportError::Lost {
            host: self.host().to_owned(),
            detail: format!(
                "{}: {}",
                self.program.display(),
                peer.last_words(error).await
            ),
        }
    }

    fn too_late(&self, limit: Duration) -> TransportError {
        TransportError::Deadline {
            host: self.host().to_owned(),
            seconds: limit.as_secs(),
        }
    }
}

#[async_trait]
impl Transport for Relay {
    fn host(&self) -> &str {
        &self.opening.settings.host
    }

    async fn check(&self) -> Result<(), TransportError> {
        let mut place = self.peer.lock().await;
        let mut peer = self.peer(&mut place).await?;
        match tokio::time::timeout(TO_LOG_IN, peer.check()).await {
            Ok(Ok(checked)) => {
                *place = Some(peer);
                checked
            }
            Ok(Err(error)) => Err(self.lost(peer, &error).await),
            Err(_) => Err(self.too_late(TO_LOG_IN)),
        }
    }

    async fn exec(
        &self,
        request: &ExecRequest<'_>,
        output: &mut Receiver<'_>,
    ) -> Result<Exit, TransportError> {
        let mut place = self.peer.lock().await;
        let mut peer = self.peer(&mut place).await?;
        let limit = request.limit + TO_LOG_IN;
        match tokio::time::timeout(limit, peer.exec(request, output)).await {
            Ok(Ok(ended)) => {
                *place = Some(peer);
                ended
            }
            Ok(Err(error)) => Err(self.lost(peer, &error).await),
            Err(_) => Err(self.too_late(limit)),
        }
    }
}
