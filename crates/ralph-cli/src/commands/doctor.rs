//! `ralph doctor`: what is installed, configured and reachable, and what to do about what is not.

use std::process::Command;

use ralph_core::error::{Code, Coded as _};
use ralph_core::settings::{AgentChoice, ClusterKind};
use ralph_core::store::layout;
use serde::Serialize;

use crate::args::Global;
use crate::commands::block_on;
use crate::exit::{Outcome, printed};
use crate::output::Output;
use crate::render::{CYAN, GREEN, RED, YELLOW, paint};
use crate::workspace::{Workspace, env, find_root};

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    what: String,
    /// `ok`, `warning` or `error`.
    verdict: &'static str,
    found: String,
    advice: Option<String>,
}

impl Check {
    fn ok(what: &str, found: impl Into<String>) -> Self {
        Self {
            what: what.to_owned(),
            verdict: "ok",
            found: found.into(),
            advice: None,
        }
    }

    fn bad(verdict: &'static str, what: &str, found: impl Into<String>, advice: &str) -> Self {
        Self {
            what: what.to_owned(),
            verdict,
            found: found.into(),
            advice: Some(advice.to_owned()),
        }
    }
}

/// Looks at everything; exit 1 when something is an error.
pub(crate) fn run(global: &Global, output: &Output) -> Outcome {
    let mut checks = vec![
        program("git", &["--version"], "error", "Install git."),
        program(
            "bash",
            &["--version"],
            "warning",
            "Without bash, job scripts are not checked before they are submitted.",
        ),
    ];
    match find_root(global).and_then(Workspace::read) {
        Ok(workspace) => checks.extend(workspace_checks(&workspace)?),
        Err(_) => checks.push(Check::bad(
            "error",
            "workspace",
            "none here or above",
            "Run `ralph init` where it should be.",
        )),
    }
    if output.is_json() {
        printed(output.json(&serde_json::json!({ "schema_version": 1, "checks": checks })))?;
    } else {
        printed(output.print(&checks.iter().map(line).collect::<String>()))?;
    }
    Ok(checks
        .iter()
        .any(|check| check.verdict == "error")
        .then_some(Code::Failed))
}

fn line(check: &Check) -> String {
    let (style, word) = match check.verdict {
        "ok" => (GREEN, "ok     "),
        "warning" => (YELLOW, "warning"),
        _ => (RED, "error  "),
    };
    let mut text = format!("{} {}: {}\n", paint(style, word), check.what, check.found);
    if let Some(advice) = &check.advice {
        text.push_str(&format!("        {} {advice}\n", paint(CYAN, "hint:")));
    }
    text
}

fn program(name: &str, arguments: &[&str], verdict: &'static str, advice: &str) -> Check {
    match Command::new(name).args(arguments).output() {
        Ok(out) if out.status.success() => {
            let text = String::from_utf8_lossy(&out.stdout)
                .lines()
                .next()
                .unwrap_or("")
                .to_owned();
            Check::ok(name, text)
        }
        _ => Check::bad(verdict, name, "not found", advice),
    }
}

fn workspace_checks(workspace: &Workspace) -> Result<Vec<Check>, crate::exit::Failure> {
    let mut checks = vec![Check::ok("workspace", workspace.root.display().to_string())];
    for problem in &workspace.problems {
        checks.push(Check::bad(
            "warning",
            layout::CONFIG,
            format!("{}: {}", problem.key, problem.message),
            "Correct the value.",
        ));
    }
    checks.push(match &workspace.settings.agent {
        AgentChoice::Caller => Check::ok("agent", "the caller: work orders are printed"),
        AgentChoice::Command(command) => {
            let argv = command.argv();
            program(
                argv.first().map_or("", String::as_str),
                &["--version"],
                "warning",
                "Set `agent.command` to a program that is installed.",
            )
            .named("agent", &argv.join(" "))
        }
        AgentChoice::Engine(engine) => Check::bad(
            "error",
            "agent",
            engine.clone(),
            "Set `agent` to {\"engine\": \"caller\"} or {\"command\": [\"PROGRAM\"]}.",
        ),
    });
    let env = env();
    let kind = match workspace.cluster_kind() {
        Some(ClusterKind::Local) => "local",
        Some(ClusterKind::Slurm) => "slurm",
        None => "none",
    };
    let reached = workspace.cluster(&env).and_then(|cluster| {
        match block_on(async {
            cluster.check().await?;
            cluster.capabilities().await
        }) {
            Ok(result) => result,
            Err(_) => Err(ralph_core::backend::BackendError::Unreachable {
                detail: "threads cannot be started".to_owned(),
            }),
        }
    });
    checks.push(match reached {
        Ok(capabilities) => Check::ok("cluster", format!("{kind}: {}", capabilities.version)),
        Err(error) => {
            let advice = error.hint().map_or_else(String::new, |hint| hint.0);
            Check::bad("error", "cluster", format!("{kind}: {error}"), &advice)
        }
    });
    let slugs = ralph_core::project::discover(&workspace.root)
        .map(|slugs| slugs.len())
        .unwrap_or(0);
    checks.push(Check::ok("projects", slugs.to_string()));
    Ok(checks)
}

impl Check {
    /// The same verdict under another name, with what was looked for.
    fn named(self, what: &str, found: &str) -> Self {
        // A program need not know --version; that it could be started is enough.
        Self {
            what: what.to_owned(),
            found: found.to_owned(),
            ..self
        }
    }
}
