//! A git repository with a plan, and the scripted agent that works in it.
//!
//! Nothing here asserts what the product does; a test does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::workspace::{Ran, binary};

/// A repository in a folder of its own, so that what stands beside it is seen.
#[derive(Debug)]
pub struct Repository {
    home: TempDir,
}

impl Repository {
    /// A repository whose tracked plan holds these lines; one commit on `main`, no remote.
    ///
    /// # Panics
    /// It cannot be made.
    #[must_use]
    pub fn with_plan(lines: &[&str]) -> Self {
        let repository = Self {
            home: TempDir::new().expect("a temporary folder"),
        };
        fs::create_dir_all(repository.root().join(".ralph")).expect("a folder");
        repository.git(&["init", "-q", "-b", "main"]);
        repository.git(&["config", "user.name", "Ada"]);
        repository.git(&["config", "user.email", "ada@example.org"]);
        repository.write("README.md", "# a repository\n");
        repository.write(".ralph/PROMPT.md", "Work on the task.\n");
        repository.write(
            ".ralph/fix_plan.md",
            &format!("# Plan\n\n{}\n", lines.join("\n")),
        );
        repository.write(".gitignore", "agent.log\n");
        repository.git(&["add", "-A"]);
        repository.git(&["commit", "-qm", "Begin"]);
        repository
    }

    /// The folder of the checkout.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.home.path().join("project")
    }

    /// The folder that holds the checkout; worktrees and a remote stand here too.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Adds a bare repository as `origin` and pushes `main` to it.
    ///
    /// # Panics
    /// It cannot be made.
    pub fn add_origin(&self) {
        let origin = self.home().join("origin.git");
        let made = Command::new("git")
            .args(["init", "-q", "--bare", "-b", "main"])
            .arg(&origin)
            .status()
            .expect("git");
        assert!(made.success(), "a bare repository");
        self.git(&["remote", "add", "origin", &origin.display().to_string()]);
        self.git(&["push", "-q", "-u", "origin", "main"]);
    }

    /// Writes a file of the checkout.
    ///
    /// # Panics
    /// It cannot be written.
    #[expect(
        clippy::disallowed_methods,
        reason = "a fixture, not a file of the product"
    )]
    pub fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).expect("a folder");
        }
        fs::write(path, text).expect("a file");
    }

    /// A file of the checkout; empty when there is none.
    #[must_use]
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).unwrap_or_default()
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> String {
        self.read(".ralph/fix_plan.md")
    }

    /// What git prints, without the line end.
    ///
    /// # Panics
    /// It fails.
    #[track_caller]
    pub fn git(&self, words: &[&str]) -> String {
        let ran = Ran::of_command(
            Command::new("git")
                .args(words)
                .current_dir(self.root())
                .env("GIT_CONFIG_GLOBAL", "/dev/null"),
        );
        assert_eq!(ran.code, 0, "git {words:?}: {}", ran.stderr);
        ran.stdout.trim_end().to_owned()
    }

    /// `git status` in short.
    #[must_use]
    pub fn status(&self) -> String {
        self.git(&["status", "--porcelain"])
    }

    /// The local branches but `main`.
    #[must_use]
    pub fn branches(&self) -> Vec<String> {
        let all = self.git(&["for-each-ref", "--format=%(refname:short)", "refs/heads"]);
        all.lines()
            .filter(|name| *name != "main")
            .map(str::to_owned)
            .collect()
    }

    /// The worktrees beside the checkout.
    #[must_use]
    pub fn worktrees(&self) -> Vec<String> {
        let all = self.git(&["worktree", "list", "--porcelain"]);
        let root = self.root().canonicalize().expect("a folder");
        all.lines()
            .filter_map(|line| line.strip_prefix("worktree "))
            .filter(|path| Path::new(path) != root)
            .map(str::to_owned)
            .collect()
    }

    /// `ralph` in the checkout, with the scripted agent as its engine and a home of its own.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(binary("ralph-tested"));
        command
            .args(words)
            .current_dir(self.root())
            .env("HOME", self.home().join("home"))
            .env("XDG_RUNTIME_DIR", self.home().join("run"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("RALPH_EXECUTION_ENGINE", "command")
            .env("RALPH_AGENT_COMMAND", binary("scripted-agent"))
            .env("AGENT_LOG", self.home().join("agent.log"))
            .env("NO_COLOR", "1")
            .env_remove("TMUX")
            .stdin(Stdio::null());
        command
    }

    /// Runs `ralph` to its end.
    #[must_use]
    pub fn ralph(&self, words: &[&str]) -> Ran {
        Ran::of_command(&mut self.command(words))
    }

    /// Starts `ralph` and goes on.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn start(&self, words: &[&str]) -> Child {
        self.command(words)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ralph")
    }

    /// The recorded attempts.
    ///
    /// # Panics
    /// A line is no JSON.
    #[must_use]
    pub fn attempts(&self) -> Vec<Value> {
        let text = self.read(".ralph/attempts.jsonl");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("a line of JSON"))
            .collect()
    }

    /// The outcomes of the recorded attempts.
    #[must_use]
    pub fn outcomes(&self) -> Vec<String> {
        let attempts = self.attempts();
        let outcome = |line: &Value| line["outcome"].as_str().unwrap_or("none").to_owned();
        attempts.iter().map(outcome).collect()
    }

    /// When agents began and ended, in nanoseconds, oldest first: `(attempt, begin, end)`.
    #[must_use]
    pub fn agents(&self) -> Vec<(String, u128, Option<u128>)> {
        let text = fs::read_to_string(self.home().join("agent.log")).unwrap_or_default();
        let mut agents: Vec<(String, u128, Option<u128>)> = Vec::new();
        for line in text.lines() {
            let mut words = line.split(' ');
            let (Some(what), Some(id), Some(at)) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let at = at.parse().unwrap_or(0);
            if what == "begin" {
                agents.push((id.to_owned(), at, None));
            } else if what == "end"
                && let Some(agent) = agents.iter_mut().rev().find(|agent| agent.0 == id)
            {
                agent.2 = Some(at);
            }
        }
        agents
    }
}
