//! Commits without an index, a work tree or a hook: one run of `git fast-import` writes new blobs, trees and
//! commits and moves their references (git-fast-import(1)). Commits are not signed: that may ask for a password.

use ralph_core::time::Timestamp;

use super::{Git, GitError, ObjectId, Signature};

/// A commit to be made.
#[derive(Debug, Clone)]
pub struct NewCommit<'a> {
    /// The full name of the reference that will be at it.
    pub reference: &'a str,
    /// Its parents, the first one first.
    pub parents: Vec<Parent<'a>>,
    /// Its files, before `changes`; `None` for those of its first parent.
    pub tree: Option<&'a ObjectId>,
    /// Files that differ from these.
    pub changes: Vec<FileChange>,
    /// Its message.
    pub message: &'a str,
    /// When, for author and committer.
    pub when: Timestamp,
}

/// A parent of a commit that is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent<'a> {
    /// A commit that is there.
    Known(&'a ObjectId),
    /// The one that is made before it in the same run.
    Previous,
}

/// A file that is to be different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// From the top of the work tree; git knows no encoding of it.
    pub path: Vec<u8>,
    /// What it is to be.
    pub file: NewFile,
}

/// What a file is to be. Modes are as git writes them: `100644`, `100755`, `120000`, `160000`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewFile {
    /// New bytes.
    Content {
        /// The mode.
        mode: String,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// What the repository has already.
    Known {
        /// The mode.
        mode: String,
        /// The blob, or the commit of a submodule.
        id: ObjectId,
    },
    /// Not there any more.
    Gone,
}

impl Git {
    /// Makes the commit and sets its reference to it, wherever that was: the caller knows that it may.
    ///
    /// # Errors
    /// Git refuses; then neither the commit nor the move is visible.
    pub async fn commit(&self, commit: NewCommit<'_>) -> Result<ObjectId, GitError> {
        let made = self.commits(vec![commit]).await?;
        made.into_iter().next().ok_or_else(|| answer(""))
    }

    /// As [`Git::commit`], for several in one run, in this order. Each gets its name in the answer.
    ///
    /// # Errors
    /// Git refuses. References that were set before it was cut off stay set.
    pub async fn commits(&self, commits: Vec<NewCommit<'_>>) -> Result<Vec<ObjectId>, GitError> {
        let arguments = [
            "fast-import",
            "--quiet",
            "--force",
            "--done",
            "--date-format=raw",
        ];
        // Else it takes two names that differ in their case for one, and a file that is renamed so keeps its old one.
        let call = self.call(&arguments).without_hooks();
        let call = call.setting("core.ignorecase=false");
        let count = commits.len();
        let input = stream(commits, self.signature());
        let output = call.input_of(input).run().await?;
        let text = output.text();
        let made: Result<Vec<ObjectId>, _> = text.lines().map(str::parse).collect();
        match made {
            Ok(made) if made.len() == count => Ok(made),
            _ => Err(answer(&text)),
        }
    }
}

fn answer(found: &str) -> GitError {
    GitError::Answer {
        command: "git fast-import".to_owned(),
        found: found.chars().take(120).collect(),
        expected: "the names of the new commits",
    }
}

/// In pieces: each commit may carry a whole plan, which is moved and never there twice.
fn stream(commits: Vec<NewCommit<'_>>, signature: &Signature) -> Vec<Vec<u8>> {
    let count = commits.len();
    let mut input = Input::default();
    for (index, commit) in commits.into_iter().enumerate() {
        one(&mut input, index + 1, commit, signature);
    }
    for mark in 1..=count {
        input
            .text
            .extend_from_slice(format!("get-mark :{mark}\n").as_bytes());
    }
    input.text.extend_from_slice(b"done\n");
    input.pieces.push(input.text);
    input.pieces
}

/// What is complete, and the text behind it.
#[derive(Debug, Default)]
struct Input {
    pieces: Vec<Vec<u8>>,
    text: Vec<u8>,
}

fn one(input: &mut Input, mark: usize, commit: NewCommit<'_>, signature: &Signature) {
    // A name with these would end the line or the address.
    let plain = |text: &str| text.replace(['<', '>', '\n', '\0'], " ");
    let (name, email) = (plain(&signature.name), plain(&signature.email));
    let seconds = commit.when.as_second();
    let message = commit.message.trim_end();
    let mut lines = vec![
        format!("commit {}", commit.reference),
        format!("mark :{mark}"),
        format!("committer {name} <{email}> {seconds} +0000"),
        format!("data {}", message.len() + 1),
        message.to_owned(),
    ];
    for (index, parent) in commit.parents.iter().enumerate() {
        let word = if index == 0 { "from" } else { "merge" };
        lines.push(match parent {
            Parent::Known(id) => format!("{word} {id}"),
            Parent::Previous => format!("{word} :{}", mark - 1),
        });
    }
    if let Some(tree) = commit.tree {
        lines.push(format!("M 040000 {tree} \"\""));
    }
    lines.push(String::new());
    input.text.extend_from_slice(lines.join("\n").as_bytes());
    // What goes comes first: a file may take the place of a folder, and the other way round.
    let (gone, there): (Vec<_>, Vec<_>) = commit
        .changes
        .into_iter()
        .partition(|change| change.file == NewFile::Gone);
    for change in gone.into_iter().chain(there) {
        changed(input, change);
    }
    input.text.push(b'\n');
}

fn changed(input: &mut Input, change: FileChange) {
    let (head, content) = match change.file {
        NewFile::Gone => ("D ".to_owned(), None),
        NewFile::Known { mode, id } => (format!("M {mode} {id} "), None),
        NewFile::Content { mode, bytes } => (format!("M {mode} inline "), Some(bytes)),
    };
    let Input { pieces, text } = input;
    text.extend_from_slice(head.as_bytes());
    quote(text, &change.path);
    text.push(b'\n');
    if let Some(content) = content {
        text.extend_from_slice(format!("data {}\n", content.len()).as_bytes());
        pieces.extend([std::mem::take(text), content]);
        text.push(b'\n');
    }
}

/// A path as git quotes it in C style.
fn quote(bytes: &mut Vec<u8>, path: &[u8]) {
    bytes.push(b'"');
    for byte in path {
        match byte {
            b'"' => bytes.extend_from_slice(b"\\\""),
            b'\\' => bytes.extend_from_slice(b"\\\\"),
            b'\n' => bytes.extend_from_slice(b"\\n"),
            other => bytes.push(*other),
        }
    }
    bytes.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::super::sandbox::Sandbox;
    use super::*;

    fn id(text: &str) -> ObjectId {
        text.parse().unwrap()
    }

    fn content(path: &str, text: &str) -> FileChange {
        FileChange {
            path: path.as_bytes().to_owned(),
            file: NewFile::Content {
                mode: "100644".to_owned(),
                bytes: text.as_bytes().to_owned(),
            },
        }
    }

    #[tokio::test]
    async fn a_commit_has_its_tree_its_changes_its_parents_and_its_message() {
        let sandbox = Sandbox::new();
        let git = sandbox.open().await;
        sandbox.git(&["checkout", "-q", "-b", "side"]);
        sandbox.write("a file", "a\n");
        let side = id(&sandbox.commit_all("Side"));
        let tree = id(&sandbox.git(&["rev-parse", "HEAD^{tree}"]));
        sandbox.git(&["checkout", "-q", "main"]);
        let main = id(&sandbox.git(&["rev-parse", "HEAD"]));
        let path = "sub/we\"ird \\ ü.md";
        let commit = NewCommit {
            reference: "refs/heads/made",
            parents: vec![Parent::Known(&main), Parent::Known(&side)],
            tree: Some(&tree),
            changes: vec![content(path, "no newline at the end")],
            message: "Title\n\nBody: ä\n\n",
            when: "2026-01-02T03:04:05Z".parse().unwrap(),
        };
        let made = git.commit(commit.clone()).await.unwrap();
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
        assert_eq!(git.commit(commit).await.unwrap(), made);
        assert_eq!(sandbox.git(&["fsck", "--strict", "--no-dangling"]), "");
    }

    #[tokio::test]
    async fn a_line_of_commits_is_made_in_one_run_each_on_the_one_before() {
        let sandbox = Sandbox::new();
        sandbox.write("old/file", "x");
        sandbox.write("plain", "x");
        sandbox.commit_all("Files");
        let git = sandbox.open().await;
        let main = id(&sandbox.git(&["rev-parse", "HEAD"]));
        let blob = id(&sandbox.git(&["rev-parse", "HEAD:plain"]));
        let gone = |path: &str| FileChange {
            path: path.as_bytes().to_owned(),
            file: NewFile::Gone,
        };
        let known = FileChange {
            path: b"plain/\xff".to_vec(),
            file: NewFile::Known {
                mode: "100755".to_owned(),
                id: blob,
            },
        };
        let new = |reference, parent, changes| NewCommit {
            reference,
            parents: vec![parent],
            tree: None,
            changes,
            message: reference,
            when: Timestamp::UNIX_EPOCH,
        };
        let line = [
            new(
                "refs/heads/a",
                Parent::Known(&main),
                vec![content("a", "a")],
            ),
            // A folder takes the place of a file, and a file that of a folder.
            new(
                "refs/heads/b",
                Parent::Previous,
                vec![
                    known,
                    content("old", "file"),
                    gone("plain"),
                    gone("old/file"),
                ],
            ),
        ];
        let before = git.calls();
        let made = git.commits(line.to_vec()).await.unwrap();
        assert_eq!(git.calls() - before, 1);
        for (name, commit) in ["a", "b"].into_iter().zip(&made) {
            assert_eq!(sandbox.git(&["rev-parse", name]), commit.as_str());
        }
        let log = sandbox.git(&["log", "--format=%s", "b"]);
        assert_eq!(log, "refs/heads/b\nrefs/heads/a\nFiles\nBegin");
        let listed = sandbox.git(&["ls-tree", "-r", "--format=%(objectmode) %(path)", "b"]);
        assert_eq!(
            listed,
            "100644 README.md\n100644 a\n100644 old\n100755 \"plain/\\377\""
        );
        assert_eq!(sandbox.git(&["fsck", "--strict", "--no-dangling"]), "");
    }

    #[tokio::test]
    async fn a_file_that_is_renamed_in_its_case_only_gets_its_new_name() {
        let sandbox = Sandbox::new();
        sandbox.git(&["config", "core.ignorecase", "true"]);
        let git = sandbox.open().await;
        let main = id(&sandbox.git(&["rev-parse", "HEAD"]));
        let gone = FileChange {
            path: b"README.md".to_vec(),
            file: NewFile::Gone,
        };
        let commit = NewCommit {
            reference: "refs/heads/made",
            parents: vec![Parent::Known(&main)],
            tree: None,
            changes: vec![content("Readme.md", "one\n"), gone],
            message: "Rename",
            when: Timestamp::UNIX_EPOCH,
        };
        git.commit(commit).await.unwrap();
        let listed = sandbox.git(&["ls-tree", "-r", "--name-only", "made"]);
        assert_eq!(listed, "Readme.md");
    }

    #[tokio::test]
    async fn a_parent_that_is_none_is_refused_and_leaves_no_reference() {
        let sandbox = Sandbox::new();
        let git = sandbox.open().await;
        let missing: ObjectId = "1".repeat(40).parse().unwrap();
        let commit = NewCommit {
            reference: "refs/heads/made",
            parents: vec![Parent::Known(&missing)],
            tree: Some(&missing),
            changes: Vec::new(),
            message: "x",
            when: Timestamp::UNIX_EPOCH,
        };
        assert!(git.commit(commit).await.is_err());
        assert_eq!(git.tip("refs/heads/made").await.unwrap(), None);
    }
}
