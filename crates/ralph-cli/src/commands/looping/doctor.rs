//! What `ralph doctor` says of the loop of a repository or a workspace. Looks only, and starts no agent.

use std::path::Path;
use std::process::Command;

use ralph_core::words::plural;
use ralph_front::failure::Failure;
use ralph_front::programs::find;
use ralph_loop::assemble::{FOLDER, PLAN};
use ralph_loop::plan::{Standing, other_bullets};
use ralph_loop::settings::{CommandLine, Settings};
use rustix::fs::{Access, access};

use super::gate;
use super::here::Here;
use crate::args::Global;
use crate::commands::doctor::held_up;
use crate::env_vars;
use crate::render::doctor::{Check, Verdict};

/// The oldest git that has all that the loop asks of it.
const OLDEST_GIT: (u32, u32) = (2, 39);

/// One check for each thing that a loop needs; none where there is no `.ralph`.
pub(crate) fn checks(global: &Global, git: &str) -> Vec<Check> {
    let Some(here) = Here::of_loop_folder(global) else {
        return Vec::new();
    };
    let mut checks: Vec<Check> = old_git(git).into_iter().collect();
    checks.push(plan(&here).unwrap_or_else(|failure| bad("loop plan", &failure)));
    match here.resolve_typed(&CommandLine::default()) {
        Ok(resolved) => checks.extend(of_settings(&here.root, &resolved.settings)),
        Err(failure) => checks.push(bad("loop settings", &failure)),
    }
    checks.extend(worktrees(&here.root));
    checks.extend(held_up("loop folder", &here.root, &[FOLDER, ".git"]));
    checks
}

fn bad(what: &str, failure: &Failure) -> Check {
    let advice = failure.advice().unwrap_or_default();
    Check::bad(Verdict::Error, what, failure.message(), advice)
}

/// A git that is too old, by what `git --version` says.
fn old_git(said: &str) -> Option<Check> {
    let version = said.strip_prefix("git version ")?;
    let mut numbers = version.split('.').map(|number| number.parse::<u32>());
    let found = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let (major, minor) = OLDEST_GIT;
    (found < OLDEST_GIT).then(|| {
        let advice = format!("Update git to {major}.{minor} or newer: loops need it.");
        Check::bad(Verdict::Error, "loop git", said, advice)
    })
}

fn plan(here: &Here) -> Result<Check, Failure> {
    let path = here.folder().join(PLAN);
    let text = match gate::planned(&path) {
        Ok(text) => text,
        // A loop may be set up before there is something to do.
        Err(failure) => {
            let advice = failure.advice().unwrap_or_default();
            let found = failure.message();
            return Ok(Check::bad(Verdict::Warning, "loop plan", found, advice));
        }
    };
    let tasks = here.plan()?.read()?.tasks;
    let open = tasks.iter().filter(|task| task.standing == Standing::Open);
    let found = format!("{}, {} open", plural(tasks.len(), "task"), open.count());
    Ok(match other_bullets(&text, here.flavour) {
        Some(words) => Check::bad(
            Verdict::Warning,
            "loop plan",
            format!("{found}; {words}"),
            "A task is a line that begins with `- [ ]`.",
        ),
        None => Check::ok("loop plan", found),
    })
}

fn of_settings(root: &Path, settings: &Settings) -> Vec<Check> {
    let agent = match gate::agent(root, &settings.agent) {
        Ok(path) => Check::ok(
            "loop agent",
            format!("{} ({})", settings.agent.engine.value, path.display()),
        ),
        Err(failure) => bad("loop agent", &failure),
    };
    let delivers = settings.work.pull_requests.value && has_remote(root);
    let forge = delivers.then(|| match find("gh", root, &env_vars::search_path()) {
        Some(path) => Check::ok("loop forge", path.display().to_string()),
        None => Check::bad(
            Verdict::Warning,
            "loop forge",
            "gh is not found: no pull request can be made, and work stays on its branch",
            "Install gh and `gh auth login`, or set PR_ENABLED=false.",
        ),
    });
    std::iter::once(agent).chain(forge).collect()
}

/// Without a remote nothing is delivered, and work is merged here.
fn has_remote(root: &Path) -> bool {
    let mut command = Command::new("git");
    let listed = command.arg("-C").arg(root).arg("remote").output();
    listed.is_ok_and(|listed| !listed.stdout.is_empty())
}

/// Where the worktrees of attempts can be: beside the repository, else in it.
fn worktrees(root: &Path) -> Option<Check> {
    if !root.join(".git").exists() {
        return None;
    }
    let mut name = root.file_name()?.to_owned();
    name.push("-worktrees");
    let beside = root.with_file_name(name);
    let holder = if beside.is_dir() {
        &*beside
    } else {
        root.parent()?
    };
    let may_write = |folder: &Path| access(folder, Access::WRITE_OK).is_ok();
    let inside = root.join(FOLDER);
    Some(if may_write(holder) {
        Check::ok("loop worktrees", beside.display().to_string())
    } else if may_write(&inside) {
        Check::ok(
            "loop worktrees",
            inside.join("worktrees").display().to_string(),
        )
    } else {
        Check::bad(
            Verdict::Error,
            "loop worktrees",
            format!(
                "neither {} nor {} can be written",
                holder.display(),
                inside.display()
            ),
            "Give yourself the right to write into one of them.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_git_that_is_too_old_is_told() {
        for said in [
            "git version 2.39.0",
            "git version 2.47.3",
            "git version 3.0.rc1",
            "",
            "hg",
        ] {
            assert!(old_git(said).is_none(), "{said}");
        }
        for said in ["git version 2.38.5", "git version 1.99.0 (Apple Git-1)"] {
            let check = old_git(said).expect("too old");
            assert_eq!(check.verdict, Verdict::Error);
            assert_eq!(check.found, said);
        }
    }
}
