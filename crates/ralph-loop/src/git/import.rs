//! Commits without an index, a work tree or a hook: one run of `git fast-import` writes new blobs, trees and
//! commits and moves one reference (git-fast-import(1)). Commits are not signed: that may ask for a password.

use ralph_core::time::Timestamp;

use super::{Git, GitError, ObjectId};

/// A commit to be made.
#[derive(Debug, Clone)]
pub struct NewCommit<'a> {
    /// The full name of the reference that will be at it.
    pub reference: &'a str,
    /// Its parents, the first one first.
    pub parents: Vec<&'a ObjectId>,
    /// Its files, before `changes`.
    pub tree: &'a ObjectId,
    /// Files that differ from the tree.
    pub changes: Vec<FileChange>,
    /// Its message.
    pub message: &'a str,
    /// When, for author and committer.
    pub when: Timestamp,
}

/// A file that is to be different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// From the top of the work tree.
    pub path: String,
    /// As git writes it: `100644`, `100755`, `120000`.
    pub mode: String,
    /// The new content.
    pub content: Vec<u8>,
}

impl Git {
    /// Makes the commit and sets its reference to it, wherever that was: the caller knows that it may.
    ///
    /// # Errors
    /// Git refuses; then neither the commit nor the move is visible.
    pub async fn commit(&self, commit: &NewCommit<'_>) -> Result<ObjectId, GitError> {
        let arguments = [
            "fast-import",
            "--quiet",
            "--force",
            "--done",
            "--date-format=raw",
        ];
        let call = self
            .call(&arguments)
            .input(stream(commit, self.signature()));
        let command = call.shown();
        let found = call.run().await?.text();
        found.parse().map_err(|_| GitError::Answer {
            command,
            found,
            expected: "the name of the new commit",
        })
    }
}

impl Git {
    /// Makes a commit that nothing refers to, for questions about it; git removes it in time.
    ///
    /// # Errors
    /// Git refuses.
    pub async fn loose_commit(
        &self,
        tree: &ObjectId,
        parent: &ObjectId,
    ) -> Result<ObjectId, GitError> {
        let arguments = ["commit-tree", "--no-gpg-sign", "-m", "ralph", "-p"];
        let call = self
            .call(&arguments)
            .arg(parent.as_str())
            .arg(tree.as_str());
        let call = call.setting(&format!("user.name={}", self.signature().name));
        let call = call.setting(&format!("user.email={}", self.signature().email));
        let command = call.shown();
        let found = call.run().await?.text();
        found.parse().map_err(|_| GitError::Answer {
            command,
            found,
            expected: "the name of the new commit",
        })
    }
}

fn stream(commit: &NewCommit<'_>, signature: &super::Signature) -> Vec<u8> {
    // A name with these would end the line or the address.
    let plain = |text: &str| text.replace(['<', '>', '\n', '\0'], " ");
    let (name, email) = (plain(&signature.name), plain(&signature.email));
    let seconds = commit.when.as_second();
    let message = commit.message.trim_end();
    let mut lines = vec![
        format!("commit {}", commit.reference),
        "mark :1".to_owned(),
        format!("committer {name} <{email}> {seconds} +0000"),
        format!("data {}", message.len() + 1),
        message.to_owned(),
    ];
    for (index, parent) in commit.parents.iter().enumerate() {
        let word = if index == 0 { "from" } else { "merge" };
        lines.push(format!("{word} {parent}"));
    }
    lines.push(format!("M 040000 {} \"\"\n", commit.tree));
    let mut bytes = lines.join("\n").into_bytes();
    for change in &commit.changes {
        let head = format!(
            "M {} inline {}\ndata {}\n",
            change.mode,
            quoted(&change.path),
            change.content.len()
        );
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(&change.content);
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(b"\nget-mark :1\ndone\n");
    bytes
}

/// A path as git quotes it in C style.
fn quoted(path: &str) -> String {
    let mut text = String::from("\"");
    for c in path.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::super::sandbox::Sandbox;
    use super::*;

    #[tokio::test]
    async fn a_commit_has_its_tree_its_changes_its_parents_and_its_message() {
        let sandbox = Sandbox::new();
        let git = sandbox.open().await;
        sandbox.git(&["checkout", "-q", "-b", "side"]);
        sandbox.write("a file", "a\n");
        let side: ObjectId = sandbox.commit_all("Side").parse().unwrap();
        let tree: ObjectId = sandbox.git(&["rev-parse", "HEAD^{tree}"]).parse().unwrap();
        sandbox.git(&["checkout", "-q", "main"]);
        let main: ObjectId = sandbox.git(&["rev-parse", "HEAD"]).parse().unwrap();
        let path = "sub/we\"ird \\ ü.md";
        let commit = NewCommit {
            reference: "refs/heads/made",
            parents: vec![&main, &side],
            tree: &tree,
            changes: vec![FileChange {
                path: path.to_owned(),
                mode: "100644".to_owned(),
                content: b"no newline at the end".to_vec(),
            }],
            message: "Title\n\nBody: ä\n\n",
            when: "2026-01-02T03:04:05Z".parse().unwrap(),
        };
        let made = git.commit(&commit).await.unwrap();
        assert_eq!(sandbox.git(&["rev-parse", "made"]), made.as_str());
        let shown = sandbox.git(&["log", "-1", "--format=%P%n%an %ae %aI%n%B", "made"]);
        let expected =
            format!("{main} {side}\nTest test@example.org 2026-01-02T03:04:05Z\nTitle\n\nBody: ä");
        assert_eq!(shown.replace("+00:00", "Z"), expected);
        assert_eq!(
            sandbox.git(&["show", &format!("made:{path}")]),
            "no newline at the end"
        );
        assert_eq!(sandbox.git(&["show", "made:a file"]), "a");
        // Neither checkout nor index has moved, and doing it again gives the same commit.
        assert_eq!(sandbox.git(&["status", "--porcelain"]), "");
        assert_eq!(git.commit(&commit).await.unwrap(), made);
        assert_eq!(sandbox.git(&["fsck", "--strict", "--no-dangling"]), "");
    }

    #[tokio::test]
    async fn a_parent_that_is_none_is_refused_and_leaves_no_reference() {
        let sandbox = Sandbox::new();
        let git = sandbox.open().await;
        let missing: ObjectId = "1".repeat(40).parse().unwrap();
        let commit = NewCommit {
            reference: "refs/heads/made",
            parents: vec![&missing],
            tree: &missing,
            changes: Vec::new(),
            message: "x",
            when: Timestamp::UNIX_EPOCH,
        };
        assert!(git.commit(&commit).await.is_err());
        assert_eq!(git.tip("refs/heads/made").await.unwrap(), None);
    }
}
