//! Branches that are done with: those that end at about the same time go in one run of git, since each such run reads
//! and locks what all of them share (git-update-ref(1)).

use std::sync::Arc;

use tokio::sync::Mutex;

use super::{Git, GitError, ObjectId};
use crate::gathering::{Gathering, Waiting};

/// How many go at once.
const MOST: usize = 64;
/// How long git waits for the lock that all of them share, milliseconds (git-config(1)): as long as one counts as young.
const WAIT: &str = "core.packedRefsTimeout=1000";

/// References to be removed.
#[derive(Debug, Default)]
pub(super) struct Removals {
    waiting: Gathering<Removal, ()>,
    turn: Mutex<()>,
}

#[derive(Debug)]
struct Removal {
    reference: String,
    old: ObjectId,
}

impl Git {
    /// Removes a reference that is at `old`; one that is not there is no error.
    ///
    /// # Errors
    /// It is elsewhere; git gives no answer.
    pub async fn remove_ref(&self, reference: &str, old: &ObjectId) -> Result<(), GitError> {
        let removal = Arc::new(Removal {
            reference: reference.to_owned(),
            old: old.clone(),
        });
        let removals = &self.inner.removals;
        let mut answer = removals.waiting.join(&removal);
        loop {
            tokio::select! {
                biased;
                done = &mut answer => return match done {
                    Ok(()) => Ok(()),
                    // One of them could not go, and then none has.
                    Err(_) => self.remove_alone(&removal).await,
                },
                _turn = removals.turn.lock() => {
                    self.remove_together(removals.waiting.take(MOST)).await;
                }
            }
        }
    }

    /// Removes all or none; each that was removed is told so.
    async fn remove_together(&self, waiting: Vec<Waiting<Removal, ()>>) {
        if waiting.is_empty() {
            return;
        }
        let lines: String = waiting
            .iter()
            .map(|one| format!("delete {} {}\n", one.request.reference, one.request.old))
            .collect();
        let call = self.call(&["update-ref", "--stdin"]).without_hooks();
        if let Err(error) = call.input(lines.into_bytes()).run().await {
            tracing::debug!(%error, "branches are removed one by one");
            return;
        }
        for one in waiting {
            // One that is not there any more needs no answer.
            let _ = one.answer.send(());
        }
    }

    async fn remove_alone(&self, removal: &Removal) -> Result<(), GitError> {
        let (reference, old) = (&removal.reference, &removal.old);
        loop {
            let before = self.shared_locks();
            let call = self.call(&["update-ref", "-d", reference, old.as_str()]);
            let call = call.setting(WAIT).without_hooks();
            let Err(failure) = call.run().await else {
                return Ok(());
            };
            if self.tip(reference).await?.is_none() {
                return Ok(());
            }
            // A git that was ended with its agent, in the middle of a collection of garbage, has left it.
            if !is_locked(&failure) || !self.break_shared_locks(before)? {
                return Err(failure);
            }
        }
    }
}

/// Whether somebody holds, or has left, the lock of what is to be removed from (gitrepository-layout(5)).
fn is_locked(failure: &GitError) -> bool {
    matches!(failure, GitError::Failed { stderr, .. } if stderr.contains("packed-refs.lock"))
}

#[cfg(test)]
mod tests {
    use super::super::sandbox::Sandbox;
    use super::*;

    #[tokio::test]
    async fn a_lock_that_an_ended_git_has_left_holds_up_nothing() {
        let sandbox = Sandbox::new();
        let git = sandbox.open().await;
        let tip: ObjectId = sandbox.git(&["rev-parse", "HEAD"]).parse().unwrap();
        sandbox.git(&["branch", "one"]);
        let lock = git.common_dir().join("packed-refs.lock");
        ralph_core::store::atomic::replace(&lock, b"").unwrap();
        git.remove_ref("refs/heads/one", &tip).await.unwrap();
        assert_eq!(git.tip("refs/heads/one").await.unwrap(), None);
        assert!(!lock.exists());
    }

    #[tokio::test]
    async fn many_go_in_two_runs_and_one_that_cannot_go_holds_up_no_other() {
        let sandbox = Sandbox::new();
        let git = sandbox.open().await;
        let tip: ObjectId = sandbox.git(&["rev-parse", "HEAD"]).parse().unwrap();
        let names: Vec<String> = (0..10)
            .map(|number| format!("refs/heads/b{number}"))
            .collect();
        let make = || {
            for name in &names {
                sandbox.git(&["update-ref", name, "HEAD"]);
            }
        };
        let remove = async || {
            let mut removing = tokio::task::JoinSet::new();
            for name in names.clone() {
                let (git, tip) = (git.clone(), tip.clone());
                removing.spawn(async move { git.remove_ref(&name, &tip).await });
            }
            removing.join_all().await
        };
        let left = || sandbox.git(&["for-each-ref", "--format=%(refname)", "refs/heads/b*"]);
        make();
        let before = git.calls();
        assert!(remove().await.iter().all(Result::is_ok));
        assert_eq!(left(), "");
        assert_eq!(git.calls() - before, 2, "the first one, then all others");
        // Done again: they are not there any more.
        assert!(remove().await.iter().all(Result::is_ok));
        make();
        sandbox.commit_all("Elsewhere");
        sandbox.git(&["update-ref", &names[4], "HEAD"]);
        let ended = remove().await;
        assert_eq!(ended.iter().filter(|ended| ended.is_err()).count(), 1);
        assert_eq!(left(), names[4]);
    }
}
