//! A repository with a plan to run loops in, and the agent that plays what its task says.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use xshell::{Shell, cmd};

use super::super::cases::Place;

/// A repository, its `ralph` and its agent.
#[derive(Debug)]
pub(super) struct Repository {
    home: PathBuf,
    ralph: PathBuf,
    agent: PathBuf,
}

impl Repository {
    /// Makes it anew, with these tasks.
    pub(super) fn new(place: &Place, tasks: &[String]) -> anyhow::Result<Self> {
        let sh = Shell::new()?;
        sh.remove_path(&place.folder)?;
        let repository = Self {
            home: place.folder.clone(),
            ralph: place.ralph.clone(),
            agent: agent(&place.root, &place.programs.join("agent"))?,
        };
        let root = repository.root();
        let rows: String = tasks.iter().map(|task| format!("- [ ] {task}\n")).collect();
        sh.write_file(root.join(".ralph/fix_plan.md"), format!("# Plan\n\n{rows}"))?;
        sh.write_file(root.join(".ralph/PROMPT.md"), "Work on the task.\n")?;
        sh.change_dir(&root);
        cmd!(sh, "git init -q -b main").run()?;
        for (name, value) in [("user.name", "Ada"), ("user.email", "ada@example.org")] {
            cmd!(sh, "git config {name} {value}").quiet().run()?;
        }
        cmd!(sh, "git add -A").quiet().run()?;
        cmd!(sh, "git commit -qm Begin").quiet().run()?;
        Ok(repository)
    }

    /// The checkout.
    pub(super) fn root(&self) -> PathBuf {
        self.home.join("project")
    }

    /// The folder that holds everything.
    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    /// What agents write down.
    pub(super) fn agent_log(&self) -> PathBuf {
        self.home.join("agent.log")
    }

    /// The agent itself.
    pub(super) fn agent(&self) -> &Path {
        &self.agent
    }

    /// `ralph` with these words, its output in a file.
    pub(super) fn command(&self, words: &[&str]) -> anyhow::Result<Command> {
        let path = self.home.join("ralph.out");
        let output = File::options().create(true).append(true).open(&path);
        let output = output.with_context(|| format!("opening {}", path.display()))?;
        let mut command = Command::new(&self.ralph);
        command
            .args(words)
            .current_dir(self.root())
            .env("HOME", self.home.join("home"))
            .env("XDG_RUNTIME_DIR", self.home.join("run"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("RALPH_EXECUTION_ENGINE", "command")
            .env("RALPH_AGENT_COMMAND", &self.agent)
            .env("AGENT_LOG", self.agent_log())
            .env_remove("TMUX")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        Ok(command)
    }

    /// Runs `ralph` to its end, which has to be a good one.
    pub(super) fn run(&self, words: &[&str]) -> anyhow::Result<()> {
        let status = self.command(words)?.status()?;
        ensure!(
            status.success(),
            "ralph {} ended with {status}; see {}",
            words.join(" "),
            self.home.join("ralph.out").display()
        );
        Ok(())
    }

    /// A file below the home; empty when there is none.
    pub(super) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.home.join(path)).unwrap_or_default()
    }

    /// What git prints.
    pub(super) fn git(&self, words: &[&str]) -> anyhow::Result<String> {
        let sh = Shell::new()?;
        sh.change_dir(self.root());
        Ok(cmd!(sh, "git {words...}").quiet().read()?)
    }
}

/// The tests' scripted agent as a small static program, so that a busy machine does not measure the agent.
fn agent(root: &Path, program: &Path) -> anyhow::Result<PathBuf> {
    let sh = Shell::new()?;
    let source = root.join("tests/src/bin/scripted-agent.rs");
    if let Some(folder) = program.parent() {
        sh.create_dir(folder)?;
    }
    let flags = [
        "--edition",
        "2024",
        "-O",
        "-C",
        "target-feature=+crt-static",
    ];
    cmd!(sh, "rustc {flags...} -o {program} {source}")
        .quiet()
        .run()
        .context("building the agent")?;
    Ok(program.to_owned())
}
