//! `ralph init`: makes a workspace here. Never overwrites a file that exists.

use std::path::{Path, PathBuf};

use ralph_core::error::Code;
use ralph_core::pipeline::{PipelineEdit, PipelineFile};
use ralph_core::store::{atomic, layout};
use serde_json::{Value, json};

use crate::args::{Cluster, Global, Init};
use crate::env_vars;
use crate::exit::{Failure, Outcome, printed};
use crate::output::Output;

const CONFIG: &str = include_str!("../templates/config.json");
const CLUSTER_EXAMPLE: &str = include_str!("../templates/cluster.example.json");
const PROJECTS: &str = include_str!("../templates/PROJECTS.md");
const IGNORED: &str = include_str!("../templates/gitignore");
const HOOK: &str = "ralph hook stop";

/// Makes the workspace and says what was made, what was there, and what to do next.
pub(crate) fn run(global: &Global, arguments: &Init, output: &Output) -> Outcome {
    let root = folder(global)?;
    let mut done = Done {
        root: &root,
        lines: Vec::new(),
    };
    let kind = match arguments.cluster {
        Some(Cluster::Slurm) => "slurm",
        Some(Cluster::Local) => "local",
        None if root.join(layout::CLUSTER_CONFIG).exists() => "slurm",
        None => "local",
    };
    done.file(layout::CONFIG, &CONFIG.replace("KIND", kind))?;
    done.file(layout::PROJECTS_LIST, PROJECTS)?;
    if kind == "slurm" {
        done.file(".claude/cluster.example.json", CLUSTER_EXAMPLE)?;
    }
    done.ignored()?;
    if arguments.claude {
        done.claude()?;
    }
    let mut text = done.lines.join("\n");
    text.push_str("\n\n");
    text.push_str(match kind {
        "slurm" => "Next: copy .claude/cluster.example.json to .claude/cluster.local.json and fill it in, then `ralph doctor`.\n",
        _ => "Jobs run on this machine. Next: `ralph new my-project`.\n",
    });
    printed(output.print(&text))?;
    Ok(None)
}

fn folder(global: &Global) -> Result<PathBuf, Failure> {
    let current = env_vars::current_dir().map_err(|error| {
        Failure::new(
            Code::Failed,
            format!("the current folder cannot be read: {error}"),
        )
    })?;
    let root = global
        .root
        .as_ref()
        .map_or_else(|| current.clone(), |root| current.join(root));
    atomic::create_dir(&root)?;
    Ok(root)
}

struct Done<'a> {
    root: &'a Path,
    lines: Vec<String>,
}

impl Done<'_> {
    /// Writes a file that is not there yet.
    fn file(&mut self, path: &str, text: &str) -> Result<(), Failure> {
        let full = self.root.join(path);
        if full.exists() {
            self.lines.push(format!("  kept  {path}"));
            return Ok(());
        }
        if let Some(folder) = full.parent() {
            atomic::create_dir(folder)?;
        }
        atomic::create_new(&full, text.as_bytes())?;
        self.lines.push(format!("  made  {path}"));
        Ok(())
    }

    /// Adds the lines that `.gitignore` does not have yet, at its end.
    fn ignored(&mut self) -> Result<(), Failure> {
        let path = self.root.join(".gitignore");
        let before = atomic::read_text(&path)?.unwrap_or_default();
        let missing: Vec<&str> = IGNORED
            .lines()
            .filter(|line| !before.lines().any(|have| have.trim() == *line))
            .collect();
        if missing.is_empty() {
            self.lines.push("  kept  .gitignore".to_owned());
            return Ok(());
        }
        let mut text = before.clone();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&missing.join("\n"));
        text.push('\n');
        atomic::replace(&path, text.as_bytes())?;
        self.lines.push(format!(
            "  {}  .gitignore ({} lines)",
            if before.is_empty() {
                "made"
            } else {
                "added to"
            },
            missing.len()
        ));
        Ok(())
    }

    /// Slash commands, the Stop hook and the script shims.
    fn claude(&mut self) -> Result<(), Failure> {
        self.file(
            ".claude/commands/dispatch.md",
            include_str!("../templates/claude/dispatch.md"),
        )?;
        self.file(
            ".claude/commands/check-status.md",
            include_str!("../templates/claude/check-status.md"),
        )?;
        self.script(
            "scripts/ralph/lock.sh",
            include_str!("../templates/claude/lock.sh"),
        )?;
        self.hook()
    }

    fn script(&mut self, path: &str, text: &str) -> Result<(), Failure> {
        use std::os::unix::fs::PermissionsExt as _;
        let full = self.root.join(path);
        let new = !full.exists();
        self.file(path, text)?;
        if new {
            let executable = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(&full, executable).map_err(|error| {
                Failure::new(
                    Code::Failed,
                    format!("{path}: cannot be made executable: {error}"),
                )
            })?;
        }
        Ok(())
    }

    /// Merges the Stop hook into `.claude/settings.json`, by spans: what a person wrote there stays.
    fn hook(&mut self) -> Result<(), Failure> {
        let path = ".claude/settings.json";
        let full = self.root.join(path);
        let before = atomic::read_text(&full)?.unwrap_or_else(|| "{}\n".to_owned());
        let value: Value = serde_json::from_str(&before).map_err(|error| {
            Failure::new(
                Code::CorruptState,
                format!(
                    "{path}:{}:{}: expected JSON: {error}",
                    error.line(),
                    error.column()
                ),
            )
        })?;
        if before.contains(HOOK) {
            self.lines.push(format!("  kept  {path}"));
            return Ok(());
        }
        let mut hooks = value
            .pointer("/hooks/Stop")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        hooks.push(json!({ "hooks": [{ "type": "command", "command": HOOK }] }));
        let set = PipelineEdit::Set {
            path: ["hooks", "Stop"].map(str::to_owned).to_vec(),
            value: Value::Array(hooks),
        };
        let text = PipelineFile::parse(before)?.edit(&[set])?;
        atomic::replace(&full, text.as_bytes())?;
        self.lines.push(format!("  hook  {path}"));
        Ok(())
    }
}
