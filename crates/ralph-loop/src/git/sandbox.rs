//! A repository of its own for a test, apart from the settings of whoever runs it.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Git, GitError, GitProgram};

pub(crate) struct Sandbox {
    folder: tempfile::TempDir,
    top: PathBuf,
}

impl Sandbox {
    /// A repository with one commit on `main`: `README.md`.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        let sandbox = Self {
            folder,
            top: path.join("repo"),
        };
        std::fs::create_dir(&sandbox.top).unwrap();
        sandbox.git(&["init", "--quiet", "--initial-branch=main"]);
        sandbox.write("README.md", "one\n");
        sandbox.commit_all("Begin");
        sandbox
    }

    pub(crate) fn top(&self) -> &Path {
        &self.top
    }

    /// The folder around the repository.
    pub(crate) fn folder(&self) -> &Path {
        self.top.parent().unwrap_or(self.folder.path())
    }

    pub(crate) fn program(&self) -> GitProgram {
        GitProgram {
            program: PathBuf::from("git"),
            variables: Self::variables()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        }
    }

    fn variables() -> [(&'static str, &'static str); 7] {
        [
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_SYSTEM", "/dev/null"),
            ("GIT_AUTHOR_NAME", "Test"),
            ("GIT_AUTHOR_EMAIL", "test@example.org"),
            ("GIT_COMMITTER_NAME", "Test"),
            ("GIT_COMMITTER_EMAIL", "test@example.org"),
            ("GIT_ADVICE", "0"),
        ]
    }

    pub(crate) async fn open(&self) -> Git {
        self.open_at(&self.top).await.unwrap()
    }

    pub(crate) async fn open_at(&self, folder: &Path) -> Result<Git, GitError> {
        Git::open(self.program(), folder).await
    }

    /// Runs git as a user would, in the repository.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        self.git_at(&self.top, arguments)
    }

    pub(crate) fn git_at(&self, folder: &Path, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .arg("-C")
            .arg(folder)
            .args(arguments)
            .envs(Self::variables())
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {words}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    #[expect(clippy::disallowed_methods, reason = "a test's own files")]
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.top.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.top.join(path)).unwrap()
    }

    pub(crate) fn commit_all(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Gives the repository a bare `origin` beside it and pushes `main`.
    pub(crate) fn with_origin(self) -> Self {
        let origin = self.folder().join("origin.git");
        let path = origin.to_string_lossy().into_owned();
        self.git(&["clone", "--quiet", "--bare", ".", &path]);
        self.git(&["remote", "add", "origin", &path]);
        self.git(&["push", "--quiet", "-u", "origin", "main"]);
        self.git(&["remote", "set-head", "origin", "main"]);
        self
    }
}
