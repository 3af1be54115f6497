//! Why a budget cannot be used, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ralph_core::error::{Code, Coded, Hint};
use ralph_core::store::StoreError;

use super::{MAX_WORKERS, SCHEMA_VERSION, TERMS};

/// A budget that cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BudgetError {
    /// The operating system refused.
    #[error("failed to {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// A file of the budget cannot be read or replaced.
    #[error(transparent)]
    Store(Arc<StoreError>),
    /// There is no budget in the folder.
    #[error("{} holds no budget; expected the file {TERMS} in it", .0.display())]
    Missing(PathBuf),
    /// It was there when this process opened it.
    #[error(
        "the budget in {} was removed while loops share it: nobody can say how many attempts are spent", .0.display()
    )]
    Removed(PathBuf),
    /// The terms cannot be read.
    #[error("{} is no budget of ours: {found}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// The terms were written by a newer version.
    #[error("{} has version {found}; this version reads {SCHEMA_VERSION}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version in it.
        found: u32,
    },
    /// A new budget was to begin where another one is in use.
    #[error("the budget in {} is in use by a running loop", .0.display())]
    InUse(PathBuf),
    /// No worker, or too many.
    #[error("{found} workers; expected 1 to {MAX_WORKERS}")]
    Workers {
        /// What was asked for.
        found: usize,
    },
}

impl BudgetError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source: Arc::new(source),
        }
    }
}

impl From<StoreError> for BudgetError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl Coded for BudgetError {
    fn code(&self) -> Code {
        match self {
            Self::Io { .. } | Self::Missing(_) | Self::Removed(_) => Code::Failed,
            Self::Store(error) => error.code(),
            Self::Corrupt { .. } => Code::CorruptState,
            Self::Newer { .. } => Code::NewerFormat,
            Self::InUse(_) => Code::AlreadyRunning,
            Self::Workers { .. } => Code::Usage,
        }
    }

    fn hint(&self) -> Option<Hint> {
        let text = match self {
            Self::Store(error) => return error.hint(),
            Self::Io { .. } => {
                "Check the permissions of the folder, its free space and that its file system has locks."
            }
            Self::Missing(_) => "Start the loops with wb-ralph-dispatch, or leave the option out.",
            Self::Removed(_) => "Launch again when its loops have ended, which begin nothing more.",
            Self::Corrupt { .. } => {
                "Remove the folder when no loop runs; the next launch makes a new one."
            }
            Self::Newer { .. } => "Use the version of ralph that started the loops.",
            Self::InUse(_) => {
                "Wait until the running loops are done, or stop them with `wb-ralph-dispatch --stop`."
            }
            Self::Workers { .. } => "Give a number in that range.",
        };
        Some(Hint::new(text))
    }
}
