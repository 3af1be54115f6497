//! A transport that fails on demand, around one that works: every way in which a connection can lie.
//!
//! For tests only; the product never builds it.

use std::collections::VecDeque;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::transport::{ExecRequest, Exit, Receiver, Transport, TransportError};

/// What happens to one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The call goes through.
    None,
    /// The session is gone; nothing is sent.
    NoSession,
    /// The host cannot be reached; nothing is sent.
    BeforeSend,
    /// The command runs to its end, and not a byte of the reply comes back.
    LostReply,
    /// The command runs to its end; the reply breaks off after so many bytes.
    CutAfter(usize),
    /// The command runs to its end; the reply breaks off behind the first place of this text.
    CutBehind(String),
    /// The command runs; the reply comes back with this text in place of another.
    Replace(String, String),
    /// The command runs; noise stands before the reply.
    Noise(Vec<u8>),
    /// The command runs; every piece of the reply comes one byte at a time.
    Dribble,
}

/// A transport with a list of faults, taken one per call; then every call goes through.
pub struct Faulty {
    inner: Arc<dyn Transport>,
    faults: Mutex<VecDeque<Fault>>,
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl Faulty {
    /// Faults for the calls to come.
    pub fn new(inner: Arc<dyn Transport>, faults: impl IntoIterator<Item = Fault>) -> Self {
        Self {
            inner,
            faults: Mutex::new(faults.into_iter().collect()),
        }
    }

    fn next(&self) -> Fault {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.pop_front().unwrap_or(Fault::None)
    }

    async fn collect(&self, request: &ExecRequest<'_>) -> Result<(Vec<u8>, Exit), TransportError> {
        let mut reply = Vec::new();
        let exit = self
            .inner
            .exec(request, &mut |bytes| {
                reply.extend_from_slice(bytes);
                ControlFlow::Continue(())
            })
            .await?;
        Ok((reply, exit))
    }

    fn lost(&self) -> TransportError {
        TransportError::Lost {
            host: self.host().to_owned(),
            detail: "injected".to_owned(),
        }
    }
}

#[async_trait]
impl Transport for Faulty {
    fn host(&self) -> &str {
        self.inner.host()
    }

    async fn check(&self) -> Result<(), TransportError> {
        self.inner.check().await
    }

    async fn exec(
        &self,
        request: &ExecRequest<'_>,
        output: &mut Receiver<'_>,
    ) -> Result<Exit, TransportError> {
        let fault = self.next();
        let host = self.host().to_owned();
        let detail = "injected".to_owned();
        match fault {
            Fault::None => return self.inner.exec(request, output).await,
            Fault::NoSession => return Err(TransportError::NoSession { host, detail }),
            Fault::BeforeSend => return Err(TransportError::Unreachable { host, detail }),
            _ => {}
        }
        let (reply, exit) = self.collect(request).await?;
        match fault {
            Fault::LostReply => return Err(self.lost()),
            Fault::CutAfter(length) => {
                let _ = output(reply.get(..length.min(reply.len())).unwrap_or_default());
                return Err(self.lost());
            }
            Fault::CutBehind(text) => {
                let found = reply
                    .windows(text.len())
                    .position(|piece| piece == text.as_bytes());
                let end = found.map_or(reply.len(), |at| at + text.len());
                let _ = output(reply.get(..end).unwrap_or_default());
                return Err(self.lost());
            }
            Fault::Replace(from, to) => {
                let text = String::from_utf8_lossy(&reply).replace(&from, &to);
                let _ = output(text.as_bytes());
            }
            Fault::Noise(noise) => {
                let _ = output(&noise);
                let _ = output(&reply);
            }
            Fault::Dribble => {
                for byte in &reply {
                    if output(std::slice::from_ref(byte)).is_break() {
                        break;
                    }
                }
            }
            Fault::None | Fault::NoSession | Fault::BeforeSend => {}
        }
        Ok(exit)
    }
}
