//! Why work is not delivered yet, and whether trying again may help.

use std::time::Duration;

use ralph_core::error::{Code, Coded, Hint};

use super::Delivered;
use crate::git::GitError;

/// The pause before a step that failed for a passing reason is tried again.
const SOON: Duration = Duration::from_secs(30);

/// What git says when the remote branch is not what it should be (git-push(1)).
const REJECTED: [&str; 4] = [
    "[rejected]",
    "[remote rejected]",
    "non-fast-forward",
    "stale info",
];

/// What git says when another push holds the branch at this moment, such as that of a loop that was killed right after it had
/// started it.
const BUSY: [&str; 2] = ["cannot lock ref", "failed to update ref"];

/// The pause before a branch that is busy is pushed again.
const AT_ONCE: Duration = Duration::from_secs(1);

/// What git says when it may not push.
const FORBIDDEN: [&str; 6] = [
    "Permission denied",
    "Authentication failed",
    "could not read Username",
    "could not read Password",
    "Permission to ",
    "Host key verification failed",
];

/// Whether to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Yes, after this time.
    After(Duration),
    /// Only after a person has changed something.
    Never,
}

/// A delivery that is not complete. The work is safe on its branch.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The branch is not pushed.
    #[error("`{branch}` was not pushed to `{remote}`: {message}")]
    Push {
        /// The branch.
        branch: String,
        /// The remote.
        remote: String,
        /// Git's words, without secrets.
        message: String,
        /// Whether to try again.
        retry: Retry,
    },
    /// The branch is pushed, its pull request is not there.
    #[error("`{}` is pushed, but has no pull request: {message}", delivered.branch)]
    PullRequest {
        /// What is known; to be handed in next time.
        delivered: Box<Delivered>,
        /// The forge's words, without secrets.
        message: String,
        /// Whether to try again.
        retry: Retry,
    },
    /// Somebody did not wait for its end.
    #[error("`{}` was not delivered to the end: the loop was told to stop at once", delivered.branch)]
    Stopped {
        /// What is known; to be handed in next time.
        delivered: Box<Delivered>,
    },
    /// Git gave no answer.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl DeliveryError {
    /// Whether to try again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Push { retry, .. } | Self::PullRequest { retry, .. } => *retry,
            Self::Stopped { .. } | Self::Git(GitError::TimeLimit { .. }) => Retry::After(SOON),
            Self::Git(_) => Retry::Never,
        }
    }

    /// What is known after the failure; `None` where nothing has changed.
    #[must_use]
    pub fn delivered(&self) -> Option<&Delivered> {
        match self {
            Self::PullRequest { delivered, .. } | Self::Stopped { delivered } => Some(delivered),
            Self::Push { .. } | Self::Git(_) => None,
        }
    }

    pub(super) fn push(branch: &str, remote: &str, words: &str) -> Self {
        let says = |known: &[&str]| known.iter().any(|word| words.contains(word));
        let retry = if says(&FORBIDDEN) {
            Retry::Never
        } else if says(&BUSY) {
            Retry::After(AT_ONCE)
        } else if says(&REJECTED) {
            Retry::Never
        } else {
            Retry::After(SOON)
        };
        Self::Push {
            branch: branch.to_owned(),
            remote: without_passwords(remote),
            message: without_passwords(words),
            retry,
        }
    }
}

impl Coded for DeliveryError {
    fn code(&self) -> Code {
        match self {
            Self::Git(error) => error.code(),
            Self::Push { .. } | Self::PullRequest { .. } | Self::Stopped { .. } => Code::Failed,
        }
    }

    fn hint(&self) -> Option<Hint> {
        let text = match self {
            Self::Git(error) => return error.hint(),
            Self::Push { branch, remote, .. } => {
                format!("See what `git push {remote} {branch}` says; the work is on that branch.")
            }
            Self::Stopped { .. } => "The next loop goes on with it, without the agent.".to_owned(),
            Self::PullRequest { delivered, .. } => match &delivered.compare {
                Some(url) => format!("Open it yourself: {url}"),
                None => format!(
                    "Open it yourself: `gh pr create --head {}`.",
                    delivered.branch
                ),
            },
        };
        Some(Hint(text))
    }
}

/// A text without the part of an address that may hold a password.
pub(crate) fn without_passwords(text: &str) -> String {
    let mut parts = text.split("://");
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        clean.push_str("://");
        let end = part
            .find(|c: char| c == '/' || c.is_whitespace() || c == '\'')
            .unwrap_or(part.len());
        let (host, rest) = part.split_at(end);
        clean.push_str(host.rsplit('@').next().unwrap_or(host));
        clean.push_str(rest);
    }
    clean
}
