//! Faults on demand: what can go wrong between us and a cluster, as data.
//!
//! A fault belongs to one call. It decides what the *caller* is told; what happened on the cluster is decided
//! in [`super::state`], which asks the fault only where it changes that too. No fault ever starts a second job.

use serde::{Deserialize, Serialize};

use crate::backend::BackendError;

/// A method of the cluster port that can be disturbed and is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// [`check`](crate::backend::ClusterBackend::check).
    Check,
    /// [`capabilities`](crate::backend::ClusterBackend::capabilities).
    Capabilities,
    /// [`submit`](crate::backend::ClusterBackend::submit).
    Submit,
    /// [`receipt`](crate::backend::ClusterBackend::receipt).
    Receipt,
    /// [`observe`](crate::backend::ClusterBackend::observe).
    Observe,
    /// [`cancel`](crate::backend::ClusterBackend::cancel).
    Cancel,
    /// [`fetch`](crate::backend::ClusterBackend::fetch).
    Fetch,
    /// [`jobs`](crate::backend::ClusterBackend::jobs).
    Jobs,
    /// [`existing`](crate::backend::ClusterBackend::existing).
    Existing,
}

impl Method {
    /// All methods, in the order of the port.
    pub const ALL: [Self; 9] = [
        Self::Check,
        Self::Capabilities,
        Self::Submit,
        Self::Receipt,
        Self::Observe,
        Self::Cancel,
        Self::Fetch,
        Self::Jobs,
        Self::Existing,
    ];
}

/// What goes wrong with one call. Where a fault has no meaning for a method, the call passes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Nothing; lets a call through, so that a later one can be hit.
    Pass,
    /// The connection breaks before the cluster hears of the call.
    BeforeSend,
    /// The call is carried out, the connection breaks before the reply.
    LostReply,
    /// `submit` is carried out and recorded; the caller only learns that the outcome is unclear.
    UnclearReply,
    /// `sbatch` says `Socket timed out` and exits 1. Nothing is recorded but that (Toil issue 5459).
    SocketTimeout {
        /// Whether the scheduler took the job all the same.
        accepted: bool,
    },
    /// The submitting side dies with its claim made and nothing recorded.
    ClaimedAndDead {
        /// Whether it died after the scheduler took the job.
        accepted: bool,
    },
    /// The scheduler refuses the submission; there is no job.
    Refused {
        /// Its message.
        message: String,
        /// Whether waiting helps (incident 37).
        limit: bool,
    },
    /// The reply takes so long; a virtual clock is moved on.
    Slow {
        /// How long.
        seconds: u64,
    },
    /// The call is carried out, the reply is noise.
    Garbage,
    /// The call is carried out, the reply is cut in the middle. A cut list of observations leaves the second
    /// half unknown, a cut log is shorter; anything else cannot be read.
    HalfReply,
    /// The log was begun anew and is half as long as before.
    ShorterLog,
    /// `jobs` prints every row twice. The other replies carry one answer per question, so nothing shows.
    DuplicateRows,
    /// The queue does not answer, and accounting answers as of so long ago (AiiDA issue 4646).
    StaleAccounting {
        /// How long ago.
        seconds: u64,
    },
    /// The first job of the reply is in a state that nobody has heard of.
    UnknownState {
        /// The word.
        word: String,
    },
    /// For this reply the cluster's clock is wrong by so much, forward or back.
    ClockSkew {
        /// How much.
        seconds: i64,
    },
    /// The shared session is closed.
    NoSession,
    /// There is no scheduler on the other side.
    NoScheduler,
    /// `cancel` succeeds and does nothing, as `scancel` may.
    Ignored,
}

impl Fault {
    /// The error that keeps the call from reaching the cluster.
    pub(super) fn prevents(&self, host: &str) -> Option<BackendError> {
        match self {
            Self::BeforeSend => Some(BackendError::Unreachable {
                detail: "the connection broke before anything was sent".to_owned(),
            }),
            Self::NoSession => Some(BackendError::NoSession {
                host: host.to_owned(),
            }),
            Self::NoScheduler => Some(BackendError::NoScheduler {
                host: host.to_owned(),
                detail: "the mock was told to have none".to_owned(),
            }),
            _ => None,
        }
    }

    /// The error that replaces the reply of a call that was carried out.
    pub(super) fn spoils(&self, method: Method) -> Option<BackendError> {
        match self {
            Self::LostReply => Some(lost()),
            Self::ClaimedAndDead { .. } if method == Method::Submit => Some(lost()),
            Self::Garbage => Some(BackendError::Garbled {
                detail: "expected a framed reply, found \"\\u{7f}ELF\"".to_owned(),
            }),
            Self::HalfReply if !matches!(method, Method::Observe | Method::Fetch) => {
                Some(BackendError::Garbled {
                    detail: "the reply has a begin line and no end line".to_owned(),
                })
            }
            _ => None,
        }
    }

    /// Whether the scheduler has the job when this happens to a submission.
    pub(super) fn lets_job_start(&self) -> bool {
        match self {
            Self::SocketTimeout { accepted } | Self::ClaimedAndDead { accepted } => *accepted,
            Self::Refused { .. } => false,
            _ => true,
        }
    }
}

fn lost() -> BackendError {
    BackendError::Unreachable {
        detail: "the connection broke before the reply".to_owned(),
    }
}
