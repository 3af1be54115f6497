//! `ralph doctor`: what is installed, configured and reachable, and what to do about what is not.

use std::path::Path;
use std::process::Command;

use ralph_core::backend::{BackendError, Capabilities};
use ralph_core::error::{Code, Coded as _};
use ralph_core::project;
use ralph_core::settings::{AgentChoice, ClusterKind, CommandLine};
use ralph_core::store::layout;
use ralph_core::words::plural;
use ralph_core::world::ProjectState;

use crate::args::Global;
use crate::commands::{block_on, looping};
use crate::env_vars;
use crate::render::cluster::reached;
use crate::render::doctor::{Check, DoctorReport, Verdict, human};
use crate::workspace::{Workspace, env, find_root};
use ralph_front::failure::{Failure, Outcome};
use ralph_front::output::Output;
use ralph_front::programs::find;
use rustix::fs::{Access, access, statvfs};

/// Looks at everything; exit 1 when something is an error.
pub(crate) fn run(global: &Global, output: &Output) -> Outcome {
    let git = version("git", Verdict::Error, "Install git.");
    let of_loop = looping::doctor_checks(global, &git.found);
    let mut checks = vec![
        git,
        version(
            "bash",
            Verdict::Warning,
            "Without bash, job scripts are not checked before they are submitted.",
        ),
    ];
    match find_root(global) {
        Ok(root) => match Workspace::read(root) {
            Ok(workspace) => checks.extend(in_workspace(&workspace)),
            Err(failure) => checks.push(no_workspace(Verdict::Error, &failure)),
        },
        // Whoever has just installed it has none yet, and a loop needs none.
        Err(failure) if global.root.is_none() => {
            checks.push(no_workspace(Verdict::Warning, &failure));
        }
        Err(failure) => checks.push(no_workspace(Verdict::Error, &failure)),
    }
    checks.extend(of_loop);
    let report = DoctorReport::new(checks);
    output.answer(&report, &human(&report))?;
    Ok(report.has_errors().then_some(Code::Failed))
}

fn no_workspace(verdict: Verdict, failure: &Failure) -> Check {
    let advice = failure.advice();
    let advice = advice.unwrap_or_else(|| "Run `ralph init` where it should be.".to_owned());
    Check::bad(verdict, "workspace", failure.message(), advice)
}

/// A program of the system, by the first line of its `--version`.
fn version(name: &str, verdict: Verdict, advice: &str) -> Check {
    match Command::new(name).arg("--version").output() {
        Ok(out) if out.status.success() => {
            let text = String::from_utf8_lossy(&out.stdout);
            Check::ok(name, text.lines().next().unwrap_or(""))
        }
        _ => Check::bad(verdict, name, "not found", advice),
    }
}

fn in_workspace(workspace: &Workspace) -> Vec<Check> {
    let root = &workspace.root;
    let mut checks = held_up("workspace", root, &[".claude/ralph", layout::PROJECTS]);
    if checks.is_empty() {
        checks.push(Check::ok("workspace", root.display().to_string()));
    }
    checks.push(settings(workspace));
    checks.extend(workspace.problems.iter().map(|problem| {
        let found = format!("{}: {}", problem.key, problem.message);
        Check::bad(
            Verdict::Warning,
            layout::CONFIG,
            found,
            "Mend it; until then it counts as not written.",
        )
    }));
    checks.push(cluster(workspace));
    checks.push(agent(workspace));
    checks.push(tests(workspace));
    checks.extend(projects(workspace));
    checks.push(stop_hook(&workspace.root));
    checks
}

/// Bytes below which a file system is as good as full: a checkout or a log takes more.
const LITTLE: u64 = 64 << 20;

/// What keeps anything from being written into folders of a root: they are somebody else's, or the disk is full. Those
/// that are not there yet keep nobody.
pub(super) fn held_up(what: &str, root: &Path, folders: &[&str]) -> Vec<Check> {
    let folders = folders.iter().map(|name| root.join(name));
    let folders = folders.filter(|folder| folder.exists());
    let closed = folders.filter(|folder| access(folder, Access::WRITE_OK).is_err());
    let mut checks: Vec<Check> = closed.map(|folder| closed_to_you(what, &folder)).collect();
    // Some network file systems count no blocks at all.
    let space = statvfs(root).ok().filter(|space| space.f_blocks > 0);
    let free = space.map(|space| space.f_bavail.saturating_mul(space.f_frsize));
    checks.extend(free.and_then(|free| short_of_space(what, root, free)));
    checks
}

fn closed_to_you(what: &str, folder: &Path) -> Check {
    let folder = folder.display();
    Check::bad(
        Verdict::Error,
        what,
        format!("{folder}: you may not write there"),
        format!("Check who owns it: ls -ld {folder}"),
    )
}

fn short_of_space(what: &str, root: &Path, free: u64) -> Option<Check> {
    let (verdict, left) = match free {
        0 => (Verdict::Error, "no space is left".to_owned()),
        free if free < LITTLE => {
            let left = format!("no more than {} KiB are left", free >> 10);
            (Verdict::Warning, left)
        }
        _ => return None,
    };
    let root = root.display();
    let found = format!("{root}: {left} on its file system");
    Some(Check::bad(
        verdict,
        what,
        found,
        format!("Free some: df -h {root}"),
    ))
}

fn settings(workspace: &Workspace) -> Check {
    if workspace.root.join(layout::CONFIG).exists() {
        return Check::ok("settings", layout::CONFIG);
    }
    let found = format!("there is no {}; the defaults are used", layout::CONFIG);
    Check::bad(
        Verdict::Warning,
        "settings",
        found,
        "Run `ralph init` to make it.",
    )
}

fn cluster(workspace: &Workspace) -> Check {
    let kind = match workspace.cluster_kind() {
        Some(ClusterKind::Local) => "local",
        Some(ClusterKind::Slurm) => "slurm",
        None => "none",
    };
    match reach(workspace) {
        Ok(capabilities) => Check::ok("cluster", reached(kind, &capabilities)),
        Err(error) => {
            let advice = error.hint().map_or_else(String::new, |hint| hint.0);
            Check::bad(
                Verdict::Error,
                "cluster",
                format!("{kind}: {error}"),
                advice,
            )
        }
    }
}

fn reach(workspace: &Workspace) -> Result<Capabilities, BackendError> {
    let cluster = workspace.cluster(&env())?;
    let asked = block_on(async {
        cluster.check().await?;
        cluster.capabilities().await
    });
    asked.unwrap_or_else(|_| {
        Err(BackendError::Unreachable {
            detail: "threads cannot be started".to_owned(),
        })
    })
}

fn agent(workspace: &Workspace) -> Check {
    match &workspace.settings.agent {
        AgentChoice::Caller => Check::ok(
            "agent",
            "the caller: work orders are printed for whoever calls",
        ),
        AgentChoice::Command(command) => installed(
            "agent",
            command,
            &workspace.root,
            "Set `agent.command` to a program that is installed.",
        ),
        AgentChoice::Engine(engine) => Check::bad(
            Verdict::Error,
            "agent",
            format!("{engine}: not an engine that dispatch can start"),
            "Set `agent` to {\"engine\": \"caller\"} or {\"command\": [\"PROGRAM\"]}.",
        ),
    }
}

fn tests(workspace: &Workspace) -> Check {
    match &workspace.settings.test_command {
        None => Check::ok(
            "tests",
            "no `test_command`: the TEST phase hands out a work order",
        ),
        Some(command) => installed(
            "tests",
            command,
            &workspace.root,
            "Set `test_command` to a program that is installed.",
        ),
    }
}

/// Looks for a command's program without starting it: what it would do is not known.
fn installed(what: &str, command: &CommandLine, root: &Path, advice: &str) -> Check {
    let argv = command.argv();
    let program = argv.first().map_or("", String::as_str);
    let shown = argv.join(" ");
    match find(program, root, &env_vars::search_path()) {
        Some(path) => Check::ok(what, format!("{shown} ({})", path.display())),
        None => Check::bad(
            Verdict::Error,
            what,
            format!("{shown}: {program:?} is not found"),
            advice,
        ),
    }
}

/// How many projects there are, and each that cannot be read.
fn projects(workspace: &Workspace) -> Vec<Check> {
    let slugs = match project::discover(&workspace.root) {
        Ok(slugs) => slugs,
        Err(error) => {
            let found = format!("{}/ cannot be listed: {error}", layout::PROJECTS);
            return vec![Check::bad(
                Verdict::Error,
                "projects",
                found,
                "Check its permissions.",
            )];
        }
    };
    let mut checks = vec![Check::ok("projects", plural(slugs.len(), "project"))];
    for project in project::load_all(&workspace.root, &slugs).projects {
        if let ProjectState::Unreadable(found) = project.state {
            let advice = found
                .hint
                .unwrap_or_else(|| "See `ralph validate`.".to_owned());
            checks.push(Check::bad(
                Verdict::Error,
                project.slug.as_str(),
                found.message,
                advice,
            ));
        }
    }
    checks
}

fn stop_hook(root: &Path) -> Check {
    let is_installed = std::fs::read_to_string(root.join(".claude/settings.json"))
        .is_ok_and(|text| text.contains("ralph hook stop"));
    let is_on = root.join(layout::ENABLED).exists();
    match (is_installed, is_on) {
        (true, true) => Check::ok("stop hook", "installed, the loop is on"),
        (true, false) => Check::ok("stop hook", "installed, the loop is off (`ralph on`)"),
        (false, false) => Check::ok("stop hook", "not installed (`ralph init --claude`)"),
        (false, true) => Check::bad(
            Verdict::Warning,
            "stop hook",
            "the loop is on, but .claude/settings.json does not call `ralph hook stop`",
            "Run `ralph init --claude`, or `ralph off`.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_written_is_not_ready() {
        let full = short_of_space("workspace", Path::new("/w"), 0).expect("full");
        assert_eq!(full.verdict, Verdict::Error);
        assert_eq!(full.found, "/w: no space is left on its file system");
        let little = short_of_space("workspace", Path::new("/w"), 3 << 20).expect("little");
        assert_eq!(little.verdict, Verdict::Warning);
        assert!(little.found.contains("3072 KiB"), "{}", little.found);
        assert!(short_of_space("workspace", Path::new("/w"), LITTLE).is_none());
        let checks = held_up("workspace", Path::new("/"), &["not there yet"]);
        let is_closed = |check: &Check| check.found.contains("may not write");
        assert!(!checks.iter().any(is_closed), "{checks:?}");
        let closed = closed_to_you("workspace", Path::new("/w/projects"));
        assert_eq!(closed.found, "/w/projects: you may not write there");
    }
}
