//! Acting: the edge that drives a plan. Locks, reads, asks the cluster, commits; decides nothing itself.
//!
//! Order of one dispatch: guard the workspace, finish interrupted operations, verify every outstanding job of every
//! project, plan, take the steps, report. Whatever fails in one project is that project's outcome.

mod adopt;
mod agent;
mod ask;
mod attempt;
mod books;
mod commit;
mod dispatch;
mod ending;
mod finding;
pub mod git;
mod limits;
mod logs;
mod look;
mod manual;
mod named_run;
mod outbox;
mod preflight;
mod recovery;
mod rehearsal;
mod script;
mod step;
mod submit;
mod verification;
mod view;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::backend::{BackendError, ClusterBackend};
use crate::change::EditError;
use crate::env::Env;
use crate::error::{Code, Coded, Hint};
use crate::id::{OpId, Slug};
use crate::journal::JournalError;
use crate::plan::Context;
use crate::process::guard::{GuardError, GuardProgram};
use crate::settings::Settings;
use crate::store::StoreError;
use crate::store::lock::{DEFAULT_TIMEOUT, LockError, LockRequest, ProjectLock};
use crate::time::Timestamp;
use crate::world::Unreadable;

pub use dispatch::Options;
pub use manual::{Cancelled, RunLog, SubmittedNow};
pub use submit::Extras;

/// Acts on a workspace: everything that this needs, injected once. [`Dispatcher::new`] fills in what has a usual value.
///
/// Its methods need a tokio runtime with I/O and time, and block while they read, write and wait for locks. One may be dropped, or its process killed, at any moment: the next one finishes what was begun.
#[derive(Clone)]
pub struct Dispatcher {
    /// The workspace.
    pub root: PathBuf,
    /// Clock, ids, host, user.
    pub env: Env,
    /// The zone in which times without one are read.
    pub zone: TimeZone,
    /// `.claude/ralph/config.json`.
    pub settings: Settings,
    /// The cluster, or why there is none.
    pub cluster: Result<Arc<dyn ClusterBackend>, BackendError>,
    /// What agents, tests, git and shells are started through, so that none of them outlives this process.
    pub guard_program: GuardProgram,
    /// Where jobs clone from; `None` where files are synchronised.
    pub git: Option<git::GitSource>,
    /// What a person is told when there is no session: the seed's prompt where its shims are installed.
    pub session_prompt: String,
    /// How long another process's lock is waited for.
    pub lock_timeout: Duration,
    /// Told what is going on, one line at a time; for a terminal.
    pub progress: Arc<dyn Fn(&str) + Send + Sync>,
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("root", &self.root)
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

impl Dispatcher {
    /// A dispatcher with the settings of an empty `config.json`: times without a zone are UTC, files are synchronised,
    /// locks are waited for as long as the commands do, and nobody is told about progress. All of that can be set
    /// afterwards. The guard is the running program under a verb of its choice, or [`GuardProgram::installed`].
    #[must_use]
    pub fn new(
        root: impl Into<PathBuf>,
        env: Env,
        cluster: Result<Arc<dyn ClusterBackend>, BackendError>,
        guard_program: GuardProgram,
    ) -> Self {
        Self {
            root: root.into(),
            env,
            zone: TimeZone::UTC,
            settings: Settings::default(),
            cluster,
            guard_program,
            git: None,
            session_prompt: "Open the session to the cluster, then dispatch again.".to_owned(),
            lock_timeout: DEFAULT_TIMEOUT,
            progress: Arc::new(|_| {}),
        }
    }

    fn context(&self, now: Timestamp) -> Context<'_> {
        Context {
            settings: &self.settings,
            now,
            zone: &self.zone,
        }
    }

    fn backend(&self) -> Result<&dyn ClusterBackend, ActError> {
        match &self.cluster {
            Ok(backend) => Ok(backend.as_ref()),
            Err(error) => Err(error.clone().into()),
        }
    }

    fn lock(&self, slug: &Slug, operation: &str) -> Result<ProjectLock, ActError> {
        let folder = crate::project::folder(&self.root, slug);
        let request = LockRequest {
            timeout: self.lock_timeout,
            ..LockRequest::new(&folder, operation, &self.env)
        };
        Ok(ProjectLock::acquire(&request, &self.env)?)
    }

    fn say(&self, line: &str) {
        (self.progress)(line);
    }
}

/// Why a step could not be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActError {
    /// The cluster could not be asked.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The project's lock is held by somebody else.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The operation could not be committed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A file could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An edit does not apply: in a dry run, and before a submission that could not be written down.
    #[error("{path}: {error}")]
    Edit {
        /// The file.
        path: String,
        /// Why.
        error: EditError,
    },
    /// A project cannot be read, or the projects cannot be listed.
    #[error("{}", .0.message)]
    Unreadable(Unreadable),
    /// What was asked for is not done as things are. Nothing was changed.
    #[error("{message}")]
    Refused {
        /// The class.
        code: Code,
        /// What stands in its way.
        message: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// Work on a project ended in a panic.
    #[error("work on {slug} panicked, which is a bug of ralph")]
    Panicked {
        /// The project.
        slug: Slug,
    },
    /// The item is not in the queue, or not READY, or there are two of them.
    #[error(
        "projects/{slug}/documentation/queue.md: expected one READY item that can be submitted, found {item}"
    )]
    NoItem {
        /// The project.
        slug: Slug,
        /// The item.
        item: String,
    },
    /// The item cannot be submitted as it is.
    #[error("{outcome}")]
    Preflight {
        /// Item and problems.
        outcome: String,
        /// Files that changed: the question that was put to a person.
        files: Vec<String>,
        /// The operation that changed them.
        op: Option<OpId>,
    },
    /// No program could be started: its guard could not, or did not take its order.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// Nobody else may begin before this has ended.
    #[error("processes {pids:?} of {work} in {slug} were interrupted and cannot be ended")]
    Leftover {
        /// The project.
        slug: Slug,
        /// What they did.
        work: String,
        /// Their ids.
        pids: Vec<u32>,
    },
    /// The configured agent cannot be used here.
    #[error("agent engine {engine:?} is not one that dispatch can start")]
    NoEngine {
        /// Its name.
        engine: String,
    },
}

impl ActError {
    fn refused(code: Code, message: impl Into<String>, hint: &'static str) -> Self {
        Self::Refused {
            code,
            message: message.into(),
            hint,
        }
    }
}

impl From<Unreadable> for ActError {
    fn from(found: Unreadable) -> Self {
        Self::Unreadable(found)
    }
}

impl Coded for ActError {
    fn code(&self) -> Code {
        match self {
            Self::Backend(error) => error.code(),
            Self::Lock(error) => error.code(),
            Self::Journal(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Edit { error, .. } => error.code(),
            Self::Unreadable(Unreadable { code, .. }) | Self::Refused { code, .. } => *code,
            Self::Panicked { .. } => Code::Bug,
            Self::Guard(error) => error.code(),
            Self::NoItem { .. } | Self::Preflight { .. } | Self::Leftover { .. } => Code::Failed,
            Self::NoEngine { .. } => Code::NoEngine,
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Backend(error) => error.hint(),
            Self::Lock(error) => error.hint(),
            Self::Journal(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Edit { error, .. } => error.hint(),
            Self::Guard(error) => error.hint(),
            Self::Unreadable(found) => found.hint.as_deref().map(Hint::new),
            Self::Refused { hint, .. } => Some(Hint::new(*hint)),
            Self::Panicked { slug } => Some(Hint::new(format!(
                "Please report it; `ralph ops list` of {slug} shows what was begun."
            ))),
            Self::Leftover { .. } => Some(Hint::new(
                "See what they wait for (`ps -o pid,stat,wchan,args`); the next dispatch tries again.",
            )),
            Self::NoItem { .. } => Some(Hint::new(
                "See `ralph status --project SLUG --detailed` for the READY items.",
            )),
            Self::Preflight { .. } => Some(Hint::new("Mend it; the next dispatch looks again.")),
            Self::NoEngine { .. } => Some(Hint::new(
                "Set `agent` in .claude/ralph/config.json to {\"engine\": \"caller\"} or {\"command\": [\"PROGRAM\"]}.",
            )),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
