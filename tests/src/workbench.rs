//! A workbench of several git repositories in a temporary folder, with scripted programs on a private PATH.
//!
//! Nothing here asserts; a test does.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::workspace::{Ran, binary};

/// A loop's program that runs a script named after the repository it is started in, and tells what it was given.
const STUB: &str = r#"#!/bin/bash
name=$(basename "$0")
stub=$(dirname "$0")/../stub
if [ "$1" = --help ]; then
  cat "$stub/help.$name" 2>/dev/null || cat "$stub/help"
  exit 0
fi
printf '%s %s\n' "$name" "$*" >>"$stub/given.$(basename "$PWD")"
script=$stub/$(basename "$PWD").sh
[ -e "$script" ] && . "$script"
exit 0
"#;

/// The help of a loop that knows continuous mode and shares no budget.
pub const CONTINUOUS: &str = "ralph: the loop\n\nContinuous Parallel Execution:\n  --parallel N M\n  --max-task-attempts K\n  --respawn-delay SEC\n  --no-tabs\n  --repos LIST\n  --exclude LIST\n";

/// The help of a loop from before continuous mode.
pub const BATCH: &str = "ralph: the loop\n\n  --parallel N\n  --workspace\n";

/// A workbench of its own.
#[derive(Debug)]
pub struct Workbench {
    folder: TempDir,
}

impl Workbench {
    /// A committed workbench with these repositories, each with a plan, and a scripted loop that knows continuous
    /// mode.
    ///
    /// # Panics
    /// git is missing, or there is no place for temporary files.
    #[must_use]
    pub fn new(names: &[&str]) -> Self {
        let bench = Self {
            folder: TempDir::new().expect("a temporary folder"),
        };
        let entries: String = names
            .iter()
            .map(|name| {
                format!("  \"name={name};url=https://host.invalid/o/{name};role=service\"\n")
            })
            .collect();
        bench.write(
            "wb/project.conf",
            &format!("# A workbench\nREPOS=(\n{entries})\n"),
        );
        bench.write("wb/.gitignore", "repos/\n");
        bench.commit("wb");
        for name in names {
            let folder = format!("wb/repos/{name}");
            bench.write(
                &format!("{folder}/.ralph/fix_plan.md"),
                "# Plan\n\n- [ ] **R01** first\n- [ ] **R02** second\n",
            );
            bench.commit(&folder);
        }
        bench.program("ralph", STUB);
        bench.program("claude", "#!/bin/sh\nexit 0\n");
        bench.write("stub/help", CONTINUOUS);
        bench
    }

    /// The folder of the workbench.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.path("wb")
    }

    /// A path beside the workbench; `wb/…` is in it.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Writes a file, with the folders above it.
    ///
    /// # Panics
    /// It cannot be written.
    #[expect(
        clippy::disallowed_methods,
        reason = "tests write what users would write"
    )]
    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder");
        fs::write(&path, text).expect("a file");
    }

    /// The text of a file; empty where there is none.
    #[must_use]
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    /// Puts a program on the private PATH.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn program(&self, name: &str, text: &str) {
        self.write(&format!("bin/{name}"), text);
        let path = self.path(&format!("bin/{name}"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
    }

    /// Puts a built binary on the private PATH.
    ///
    /// # Panics
    /// It cannot be linked.
    pub fn link(&self, name: &str, target: &Path) {
        let link = self.path(&format!("bin/{name}"));
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(target, link).expect("a link");
    }

    /// What the scripted loop of a repository does; `exit 0` follows by itself.
    pub fn script(&self, repository: &str, text: &str) {
        self.write(&format!("stub/{repository}.sh"), text);
    }

    /// What the scripted loop of a repository was given, one line per start.
    #[must_use]
    pub fn given(&self, repository: &str) -> String {
        self.read(&format!("stub/given.{repository}"))
    }

    /// Commits all of a folder, which becomes a repository first.
    ///
    /// # Panics
    /// git fails.
    pub fn commit(&self, folder: &str) {
        if !self.path(folder).join(".git").exists() {
            let _ = self.git(folder, &["init", "--quiet", "--initial-branch=main"]);
        }
        let _ = self.git(folder, &["add", "--all"]);
        let _ = self.git(
            folder,
            &["commit", "--quiet", "--allow-empty", "--message=state"],
        );
    }

    /// What git prints in a folder.
    ///
    /// # Panics
    /// It fails.
    pub fn git(&self, folder: &str, arguments: &[&str]) -> String {
        let mut command = self.environment(Path::new("git"));
        command.current_dir(self.path(folder)).args(arguments);
        Ran::of_command(&mut command).ended(0).stdout
    }

    /// A program in the workbench, in an environment that repeats itself.
    #[must_use]
    pub fn environment(&self, program: &Path) -> Command {
        #[expect(
            clippy::disallowed_methods,
            reason = "tests find programs where the caller does"
        )]
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(program);
        command
            .current_dir(self.root())
            .env_clear()
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("HOME", self.folder.path())
            .env("USER", "tester")
            .env("NO_COLOR", "1")
            .env("TZ", "UTC")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "tester")
            .env("GIT_AUTHOR_EMAIL", "tester@host.invalid")
            .env("GIT_COMMITTER_NAME", "tester")
            .env("GIT_COMMITTER_EMAIL", "tester@host.invalid")
            .stdin(Stdio::null());
        command
    }

    /// The launcher with these arguments, in an environment that repeats itself.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.environment(&binary("wb-ralph-dispatch-tested"));
        command.args(arguments);
        command
    }

    /// Runs the launcher to its end.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of_command(&mut self.command(arguments))
    }

    /// `--status --json`.
    ///
    /// # Panics
    /// It fails, or prints no JSON.
    #[must_use]
    #[track_caller]
    pub fn status(&self) -> Value {
        self.run(&["--status", "--json"]).ended(0).json()
    }

    /// The state of a repository's loop; empty where there is none.
    #[must_use]
    #[track_caller]
    pub fn state(&self, repository: &str) -> String {
        let status = self.status();
        let mut rows = status["loops"].as_array().into_iter().flatten();
        let row = rows.find(|row| row["repository"] == repository);
        let state = row.and_then(|row| row["state"].as_str());
        state.unwrap_or_default().to_owned()
    }

    /// A number that a script wrote into a file beside the workbench.
    #[must_use]
    pub fn pid(&self, path: &str) -> Option<u32> {
        let text = self.read(path);
        text.ends_with('\n').then(|| text.trim().parse().ok())?
    }

    /// The record of a repository's last loop.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn record(&self, repository: &str) -> Value {
        let path = format!("wb/ralph/state/loops/{repository}.json");
        serde_json::from_str(&self.read(&path)).expect("a record")
    }

    /// The supervisor's record directory of a repository's last loop.
    ///
    /// # Panics
    /// There is no record.
    #[must_use]
    pub fn directory(&self, repository: &str) -> String {
        let record = self.record(repository);
        let launch = record["launch"].as_str().expect("a launch");
        format!("wb/ralph/state/launches/{launch}/loops/{repository}")
    }
}

impl Drop for Workbench {
    /// Whatever a failed test left running must not outlive it.
    fn drop(&mut self) {
        let _ = self.run(&["--stop", "--within", "0"]);
    }
}
