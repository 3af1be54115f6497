//! Two commits as one tree, computed from objects alone (git-merge-tree(1)). Nothing refers to what is made on the way.

use super::{Git, GitError, ObjectId};

/// Two commits as one tree, with markers in the files that conflict.
#[derive(Debug)]
pub(crate) struct Merged {
    /// The files.
    pub(crate) tree: ObjectId,
    /// The paths of those that conflict.
    pub(crate) conflicts: Vec<String>,
}

impl Git {
    /// Merges the work with the base's tip by what both have in common, as git sees it.
    ///
    /// # Errors
    /// Git gives no answer.
    pub(crate) async fn merged(&self, tip: &ObjectId, work: &ObjectId) -> Result<Merged, GitError> {
        let arguments = [
            "merge-tree",
            "--write-tree",
            "-z",
            "--name-only",
            "--no-messages",
            tip.as_str(),
            work.as_str(),
        ];
        let output = self.call(&arguments).accepting(&[0, 1]).await?;
        let mut parts = output
            .stdout
            .split(|byte| *byte == 0)
            .map(|part| String::from_utf8_lossy(part).into_owned());
        let tree = id("git merge-tree", &parts.next().unwrap_or_default())?;
        let conflicts = parts.filter(|path| !path.is_empty()).collect();
        Ok(Merged { tree, conflicts })
    }

    /// Merges what the work, a commit or a tree, has changed since `base` into a tip, whatever git sees in common. Where the
    /// two do not both stand on `base`, that is something older, and what one of them has taken out since would come back
    /// with the other. `--merge-base` is for this and needs git 2.40; so both are put on `base`.
    ///
    /// # Errors
    /// Git gives no answer.
    pub(crate) async fn merged_since(
        &self,
        base: &ObjectId,
        tip: &ObjectId,
        work: &ObjectId,
    ) -> Result<Merged, GitError> {
        let tip = self.put_on(base, tip).await?;
        let work = self.put_on(base, work).await?;
        self.merged(&tip, &work).await
    }

    /// A commit with the files of a commit or tree whose parent is `base`.
    async fn put_on(&self, base: &ObjectId, files: &ObjectId) -> Result<ObjectId, GitError> {
        let tree = format!("{files}^{{tree}}");
        let arguments = ["commit-tree", "-m", "ralph", "-p", base.as_str(), &tree];
        let who = self.signature();
        let call = self
            .call(&arguments)
            .setting(&format!("user.name={}", who.name))
            .setting(&format!("user.email={}", who.email));
        id("git commit-tree", &call.run().await?.text())
    }
}

fn id(command: &str, found: &str) -> Result<ObjectId, GitError> {
    found.parse().map_err(|_| GitError::Answer {
        command: command.to_owned(),
        found: found.chars().take(120).collect(),
        expected: "the name of an object",
    })
}
