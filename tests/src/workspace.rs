//! A workspace in a temporary folder, and the real binaries.
//!
//! Nothing here asserts; a test does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Path of a binary of this workspace, built for these tests.
///
/// # Panics
/// The test program has no path.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test program has a path");
    let profile = test
        .ancestors()
        .nth(2)
        .expect("tests are in target/PROFILE/deps");
    profile.join(name)
}

/// A workspace of its own.
#[derive(Debug)]
pub struct Workspace {
    folder: TempDir,
}

/// What a command printed and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Exit code; 128 + signal when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Runs a command to its end.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn of_command(command: &mut Command) -> Self {
        Self::of(&command.output().expect("a command that can be started"))
    }

    fn of(output: &Output) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        Self {
            code: output
                .status
                .code()
                .unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0)),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The same, when it ended as expected.
    ///
    /// # Panics
    /// It did not.
    #[must_use]
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// It is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

impl Default for Workspace {
    fn default() -> Self {
        Self::new()
    }
}

impl Workspace {
    /// An empty folder.
    ///
    /// # Panics
    /// There is no place for temporary files.
    #[must_use]
    pub fn new() -> Self {
        Self {
            folder: TempDir::new().expect("a temporary folder"),
        }
    }

    /// A workspace with the embedded cluster and quick polls.
    #[must_use]
    pub fn local() -> Self {
        let workspace = Self::new();
        workspace.write(
            ".claude/ralph/config.json",
            r#"{"cluster": {"kind": "local"}, "poll": {"first": 0.2, "base": 0.2, "cap": 0.5}, "test_command": ["true"]}"#,
        );
        let _ = workspace.ralph(&["init", "--cluster", "local"]).ended(0);
        workspace
    }

    /// Its folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// A path in it.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
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

    /// Reads a file.
    ///
    /// # Panics
    /// It cannot be read.
    #[must_use]
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// `ralph` with these arguments, in an environment that repeats itself.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary("ralph-tested"));
        command
            .args(arguments)
            .current_dir(self.root())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root())
            .env("USER", "tester")
            .env("NO_COLOR", "1")
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        command
    }

    /// Runs `ralph` to its end.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn ralph(&self, arguments: &[&str]) -> Ran {
        Ran::of_command(&mut self.command(arguments))
    }

    /// Makes a project in a phase, with one job script per item; the items are READY.
    pub fn project(&self, slug: &str, phase: &str, items: &[(&str, &str)]) {
        let _ = self.ralph(&["new", slug]).ended(0);
        let mut queue = String::from("# Queue\n\n## READY\n\n");
        for (id, script) in items {
            queue.push_str(&format!(
                "### {id}: experiment {id}\n\n- Hypothesis: it works\n\n"
            ));
            let name = id.to_lowercase().replace('-', "");
            let text = format!(
                "#!/bin/sh\n#SBATCH --job-name={name}\n#SBATCH --time=00:05:00\n{script}\n"
            );
            self.write(&format!("projects/{slug}/slurm/jobs/{name}.sbatch"), &text);
        }
        queue.push_str("## IN_PROGRESS\n\n(none)\n\n## DONE\n\n(none)\n\n## FAILED\n\n(none)\n");
        self.write(&format!("projects/{slug}/documentation/queue.md"), &queue);
        self.write(
            &format!("projects/{slug}/documentation/implementation-todo.md"),
            "# TODO\n\n## Ready\n\n(none)\n",
        );
        let state = format!("projects/{slug}/.state/pipeline.json");
        let text = self.read(&state).replace("\"INIT\"", &format!("{phase:?}"));
        self.write(&state, &text);
    }

    /// The state of a project.
    #[must_use]
    #[track_caller]
    pub fn state(&self, slug: &str) -> Value {
        serde_json::from_str(&self.read(&format!("projects/{slug}/.state/pipeline.json")))
            .expect("valid JSON")
    }

    /// How many jobs the embedded cluster was ever given.
    #[must_use]
    pub fn jobs(&self) -> usize {
        fs::read_dir(self.path(".claude/ralph/cluster/jobs")).map_or(0, Iterator::count)
    }
}

/// Looks again and again until something is so.
///
/// # Panics
/// It is not so after half a minute.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "not within 30 s: {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
