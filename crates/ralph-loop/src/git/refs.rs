//! Branches: where they are, and how they are moved. A move always names the place that it moves from, so that
//! nothing which came in between is lost.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Git, GitError, ObjectId};

/// The branch that attempts start from and work goes to. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Base {
    /// Its name, such as `main`.
    pub branch: String,
    /// The remote that pull requests go to; `None` where work is integrated here.
    pub remote: Option<String>,
    /// The last answer to the question which of two tips is the newer one.
    newer: Arc<Mutex<Option<Newer>>>,
}

#[derive(Debug, Clone)]
struct Newer {
    local: ObjectId,
    remote: ObjectId,
    tip: ObjectId,
}

impl Base {
    /// A base by its names.
    #[must_use]
    pub fn new(branch: &str, remote: Option<&str>) -> Self {
        Self {
            branch: branch.to_owned(),
            remote: remote.map(str::to_owned),
            newer: Arc::default(),
        }
    }

    /// The full name of the local branch.
    #[must_use]
    pub fn local(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }

    /// The full name of the remote-tracking branch, where there is a remote.
    #[must_use]
    pub fn tracking(&self) -> Option<String> {
        let remote = self.remote.as_ref()?;
        Some(format!("refs/remotes/{remote}/{}", self.branch))
    }
}

/// A branch as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Its commit.
    pub tip: ObjectId,
    /// The work tree that has it checked out.
    pub checked_out: Option<std::path::PathBuf>,
}

impl Git {
    /// The base to use. For pull requests: `wished`, else the remote's own branch, else `main`. Without a remote:
    /// `wished`, else the branch that is checked out.
    ///
    /// # Errors
    /// [`GitError::Detached`]; [`GitError::NoCommit`] where the branch does not exist or is empty.
    pub async fn base(&self, wished: Option<&str>, remote: Option<&str>) -> Result<Base, GitError> {
        let branch = match (wished, remote) {
            (Some(branch), _) => branch.to_owned(),
            (None, Some(remote)) => {
                let found = self.default_branch(remote).await?;
                found.unwrap_or_else(|| "main".to_owned())
            }
            (None, None) => {
                let found = self.current_branch().await?;
                found.ok_or_else(|| GitError::Detached {
                    top: self.top().to_owned(),
                })?
            }
        };
        let base = Base::new(&branch, remote);
        self.base_tip(&base).await?;
        Ok(base)
    }

    /// The commit that an attempt starts from now. Of a local branch and its remote counterpart the newer one; where
    /// they have parted, the remote's, since a pull request goes there. No run of git as long as neither moves.
    ///
    /// # Errors
    /// [`GitError::NoCommit`]; git gives no answer.
    pub async fn base_tip(&self, base: &Base) -> Result<ObjectId, GitError> {
        let local = self.tip(&base.local()).await?;
        let remote = match base.tracking() {
            Some(name) => self.tip(&name).await?,
            None => None,
        };
        match (local, remote) {
            (Some(local), Some(remote)) if local != remote => {
                self.newer_of(base, local, remote).await
            }
            (Some(tip), _) | (None, Some(tip)) => Ok(tip),
            (None, None) => Err(GitError::NoCommit {
                branch: base.branch.clone(),
                top: self.top().to_owned(),
            }),
        }
    }

    async fn newer_of(
        &self,
        base: &Base,
        local: ObjectId,
        remote: ObjectId,
    ) -> Result<ObjectId, GitError> {
        let known = base
            .newer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(known) = known.filter(|known| known.local == local && known.remote == remote) {
            return Ok(known.tip);
        }
        let is_ahead = self.is_ancestor(&remote, &local).await?;
        let tip = if is_ahead {
            local.clone()
        } else {
            remote.clone()
        };
        let answer = Newer {
            local,
            remote,
            tip: tip.clone(),
        };
        *base.newer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        Ok(tip)
    }

    /// The commit of a reference by its full name. Read from its file where it has one (gitrepository-layout(5)),
    /// which costs no process; packed ones, other formats and symbolic ones are asked for.
    ///
    /// # Errors
    /// Git gives no answer.
    pub async fn tip(&self, reference: &str) -> Result<Option<ObjectId>, GitError> {
        if let Some(tip) = loose(self.common_dir(), reference) {
            return Ok(Some(tip));
        }
        let listed = self.branches(&[reference]).await?;
        let exact = listed.into_iter().find(|(name, _)| name == reference);
        Ok(exact.map(|(_, branch)| branch.tip))
    }

    /// References below the given names, with what is checked out where.
    ///
    /// # Errors
    /// Git gives no answer.
    pub async fn branches(&self, patterns: &[&str]) -> Result<Vec<(String, Branch)>, GitError> {
        Ok(listed(&self.list_call(patterns).run().await?.text()))
    }

    pub(crate) fn branches_blocking(
        &self,
        patterns: &[&str],
    ) -> Result<Vec<(String, Branch)>, GitError> {
        Ok(listed(&self.list_call(patterns).blocking(&[0])?.text()))
    }

    fn list_call(&self, patterns: &[&str]) -> super::Call<'_> {
        let format = "--format=%(objectname) %(refname)%00%(worktreepath)";
        let mut call = self.call(&["for-each-ref", format]);
        for pattern in patterns {
            call = call.arg(pattern);
        }
        call
    }

    /// Whether `old` is `new` or one of its ancestors.
    ///
    /// # Errors
    /// Git gives no answer.
    pub async fn is_ancestor(&self, old: &ObjectId, new: &ObjectId) -> Result<bool, GitError> {
        if self.lineage().between(old, new).is_some() {
            return Ok(true);
        }
        Ok(self.ancestor_call(old, new).accepting(&[0, 1]).await?.code == 0)
    }

    /// The last commit that two have in common; `None` where there is none.
    ///
    /// # Errors
    /// Git gives no answer.
    pub(crate) async fn merge_base(
        &self,
        one: &ObjectId,
        other: &ObjectId,
    ) -> Result<Option<ObjectId>, GitError> {
        let call = self.call(&["merge-base", one.as_str(), other.as_str()]);
        Ok(call.accepting(&[0, 1]).await?.text().parse().ok())
    }

    pub(crate) fn is_ancestor_blocking(
        &self,
        old: &ObjectId,
        new: &ObjectId,
    ) -> Result<bool, GitError> {
        let is_known = self.lineage().between(old, new).is_some();
        Ok(is_known || self.ancestor_call(old, new).blocking(&[0, 1])?.code == 0)
    }

    fn ancestor_call(&self, old: &ObjectId, new: &ObjectId) -> super::Call<'_> {
        self.call(&["merge-base", "--is-ancestor", old.as_str(), new.as_str()])
    }

    /// Moves a reference from `old` (`None`: from nowhere) to `new`.
    ///
    /// # Errors
    /// It is not at `old` any more; git gives no answer.
    pub async fn move_ref(
        &self,
        reference: &str,
        old: Option<&ObjectId>,
        new: &ObjectId,
    ) -> Result<(), GitError> {
        let nowhere = ObjectId::null(new.as_str().len());
        let old = old.unwrap_or(&nowhere).as_str();
        let call = self.call(&["update-ref", "-m", "ralph", reference, new.as_str(), old]);
        // No hook of the user's is asked about our own branches; one that fails would keep work from its branch.
        call.without_hooks().run().await.map(drop)
    }
}

/// A reference that has a file of its own with a commit in it.
pub(crate) fn loose(common_dir: &Path, reference: &str) -> Option<ObjectId> {
    let text = fs::read_to_string(common_dir.join(reference)).ok()?;
    text.trim_end().parse().ok()
}

fn listed(text: &str) -> Vec<(String, Branch)> {
    let entry = |line: &str| {
        let (tip, rest) = line.split_once(' ')?;
        let (name, path) = rest.split_once('\0')?;
        let branch = Branch {
            tip: tip.parse().ok()?,
            checked_out: Some(path).filter(|path| !path.is_empty()).map(Into::into),
        };
        Some((name.to_owned(), branch))
    };
    text.lines().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sandbox::Sandbox;
    use super::*;

    fn id(text: &str) -> ObjectId {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_tip_is_read_without_git_where_it_has_a_file_and_with_it_where_it_is_packed() {
        let sandbox = Sandbox::new();
        let git = sandbox.open().await;
        let head = id(&sandbox.git(&["rev-parse", "HEAD"]));
        let before = git.calls();
        assert_eq!(
            git.tip("refs/heads/main").await.unwrap(),
            Some(head.clone())
        );
        assert_eq!(git.calls(), before);
        sandbox.git(&["pack-refs", "--all"]);
        assert_eq!(git.tip("refs/heads/main").await.unwrap(), Some(head));
        assert_eq!(git.calls(), before + 1);
        assert_eq!(git.tip("refs/heads/none").await.unwrap(), None);
        // A folder of that name is no reference.
        sandbox.git(&["branch", "some/one"]);
        assert_eq!(git.tip("refs/heads/some").await.unwrap(), None);
    }

    #[tokio::test]
    async fn the_newer_of_two_tips_is_the_base_and_the_remotes_where_they_parted() {
        let sandbox = Sandbox::new().with_origin();
        let git = sandbox.open().await;
        let base = git.base(None, Some("origin")).await.unwrap();
        assert_eq!(base.branch, "main");
        let first = git.base_tip(&base).await.unwrap();
        let ahead = sandbox.commit_all("Ahead");
        assert_eq!(git.base_tip(&base).await.unwrap(), id(&ahead));
        let calls = git.calls();
        assert_eq!(git.base_tip(&base).await.unwrap(), id(&ahead));
        assert_eq!(git.calls(), calls, "the answer is remembered");
        sandbox.git(&["push", "-q", "origin", "main"]);
        sandbox.git(&["reset", "-q", "--hard", first.as_str()]);
        assert_eq!(git.base_tip(&base).await.unwrap(), id(&ahead));
        sandbox.commit_all("Parted");
        assert_eq!(git.base_tip(&base).await.unwrap(), id(&ahead));
    }

    #[tokio::test]
    async fn without_a_remote_the_base_is_what_is_checked_out() {
        let sandbox = Sandbox::new();
        let git = sandbox.open().await;
        sandbox.git(&["checkout", "-q", "-b", "topic"]);
        assert_eq!(git.base(None, None).await.unwrap().branch, "topic");
        sandbox.git(&["checkout", "-q", "--detach"]);
        let detached = git.base(None, None).await;
        assert!(matches!(detached, Err(GitError::Detached { .. })));
        let missing = git.base(Some("nope"), None).await;
        assert!(matches!(missing, Err(GitError::NoCommit { .. })));
    }

    #[tokio::test]
    async fn a_reference_moves_only_from_where_it_was_seen() {
        let sandbox = Sandbox::new();
        let git = sandbox.open().await;
        let one = id(&sandbox.git(&["rev-parse", "HEAD"]));
        let two = id(&sandbox.commit_all("Two"));
        git.move_ref("refs/heads/x", None, &one).await.unwrap();
        assert!(git.move_ref("refs/heads/x", None, &two).await.is_err());
        assert!(
            git.move_ref("refs/heads/x", Some(&two), &one)
                .await
                .is_err()
        );
        git.move_ref("refs/heads/x", Some(&one), &two)
            .await
            .unwrap();
        assert!(git.remove_ref("refs/heads/x", &one).await.is_err());
        for _ in 0..2 {
            git.remove_ref("refs/heads/x", &two).await.unwrap();
        }
        assert!(git.is_ancestor(&one, &two).await.unwrap());
        assert!(!git.is_ancestor(&two, &one).await.unwrap());
        let all = git.branches(&["refs/heads"]).await.unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].1.checked_out.as_deref(), Some(sandbox.top()));
    }
}
