//! Two commits as one tree, computed from objects alone (git-merge-tree(1)). Nothing refers to what is made on the way.

use super::{IntegrateError, Integrator, object_id};
use crate::git::ObjectId;

/// Two commits as one tree, with markers in the files that conflict.
pub(super) struct Merged {
    pub(super) tree: ObjectId,
    pub(super) conflicts: Vec<String>,
}

impl Integrator {
    /// Merges the work with the base's tip by what both have in common, as git sees it.
    pub(super) async fn merged(
        &self,
        tip: &ObjectId,
        work: &ObjectId,
    ) -> Result<Merged, IntegrateError> {
        let arguments = [
            "merge-tree",
            "--write-tree",
            "-z",
            "--name-only",
            "--no-messages",
            tip.as_str(),
            work.as_str(),
        ];
        let output = self.git.call(&arguments).accepting(&[0, 1]).await?;
        let mut parts = output
            .stdout
            .split(|byte| *byte == 0)
            .map(|part| String::from_utf8_lossy(part).into_owned());
        let tree = object_id(&parts.next().unwrap_or_default())?;
        let conflicts = parts.filter(|path| !path.is_empty()).collect();
        Ok(Merged { tree, conflicts })
    }

    /// Merges what the work has changed since `base` into a tip that does not stand on it any more: somebody has amended
    /// the branch or set it back. What git sees in common is older then, and whatever was taken out of the branch would
    /// come back as a part of the work. `--merge-base` is for this and needs git 2.40; so both are put on `base`.
    pub(super) async fn merged_since(
        &self,
        base: &ObjectId,
        tip: &ObjectId,
        work: &ObjectId,
    ) -> Result<Merged, IntegrateError> {
        let tip = self.put_on(base, tip).await?;
        let work = self.put_on(base, work).await?;
        self.merged(&tip, &work).await
    }

    /// A commit with the files of `commit` whose parent is `base`.
    async fn put_on(&self, base: &ObjectId, commit: &ObjectId) -> Result<ObjectId, IntegrateError> {
        let tree = format!("{commit}^{{tree}}");
        let arguments = ["commit-tree", "-m", "ralph", "-p", base.as_str(), &tree];
        let who = self.git.signature();
        let call = self.git.call(&arguments);
        let call = call
            .setting(&format!("user.name={}", who.name))
            .setting(&format!("user.email={}", who.email));
        object_id(&call.run().await?.text())
    }
}
