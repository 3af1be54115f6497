//! `ralph validate`: checks projects against the contract. Changes nothing, but for what `--repair` says it mends.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::tz::TimeZone;
use ralph_core::error::Code;
use ralph_core::id::Slug;
use ralph_core::pipeline::repair_trailing_commas;
use ralph_core::process::variable::FOREIGN;
use ralph_core::project;
use ralph_core::store::lock::{LockRequest, ProjectLock};
use ralph_core::store::{atomic, layout};
use ralph_core::validate::{Finding, ProjectFiles, Severity, check_project, is_checked};

use crate::args::{Global, Validate};
use crate::env_vars;
use crate::render::validate::{ValidateReport, human};
use crate::workspace::{env, find_root};
use ralph_front::failure::{Failure, Outcome};
use ralph_front::output::Output;

/// Exit 11 when a state file cannot be read, 1 when something else is wrong, 0 with warnings only.
pub(crate) fn run(global: &Global, arguments: &Validate, output: &Output) -> Outcome {
    let mut all = Vec::new();
    for folder in folders(global, arguments)? {
        if arguments.repair {
            repair(&folder, output)?;
        }
        all.push((folder.clone(), findings(&folder)?));
    }
    let report = ValidateReport::new(all);
    output.answer(&report, &human(&report))?;
    let unreadable = report.findings().any(Finding::is_corrupt_state);
    let errors = report
        .findings()
        .any(|finding| finding.severity == Severity::Error);
    Ok(if unreadable {
        Some(Code::CorruptState)
    } else {
        errors.then_some(Code::Failed)
    })
}

fn folders(global: &Global, arguments: &Validate) -> Result<Vec<PathBuf>, Failure> {
    if !arguments.paths.is_empty() {
        return Ok(arguments.paths.clone());
    }
    let root = find_root(global)?;
    let slugs = project::discover(&root).map_err(|error| {
        Failure::new(
            Code::Failed,
            format!("{}: {error}", root.join(layout::PROJECTS).display()),
        )
    })?;
    // Named as they are from here, so that an editor opens what is printed.
    let here = env_vars::current_dir().ok();
    let from_here = |folder: PathBuf| {
        let below = here
            .as_ref()
            .and_then(|here| folder.strip_prefix(here).ok());
        below.map(Path::to_path_buf).unwrap_or(folder)
    };
    Ok(slugs
        .iter()
        .map(|slug| from_here(project::folder(&root, slug)))
        .collect())
}

fn slug_of(folder: &Path) -> Result<Slug, Failure> {
    let full = folder.canonicalize().map_err(|error| {
        Failure::new(
            Code::Usage,
            format!("{}: expected a project's folder: {error}", folder.display()),
        )
    })?;
    let name = full
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    name.parse()
        .map_err(|error| Failure::new(Code::Usage, format!("{}: {error}", folder.display())))
}

/// What the contract, the queue and the documents say about a project.
fn findings(folder: &Path) -> Result<Vec<Finding>, Failure> {
    let slug = slug_of(folder)?;
    let names = names(folder);
    let files: BTreeMap<_, _> = names
        .iter()
        .filter(|name| is_checked(name))
        .map(|name| (name.clone(), fs::read(folder.join(name)).ok()))
        .collect();
    let files = ProjectFiles {
        slug,
        files,
        names,
        project_list: fs::read_to_string(folder.join("../PROJECTS.md")).ok(),
        lock_ignored: lock_ignored(folder),
        now: env().now(),
        zone: TimeZone::system(),
    };
    Ok(check_project(&files))
}

/// Everything in a project's folder, relative, without what is git's and the journal's.
fn names(folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(current) = folders.pop() {
        for entry in fs::read_dir(&current).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(relative) = path.strip_prefix(folder) else {
                continue;
            };
            let name = relative.to_string_lossy().into_owned();
            if name == ".git" || name == layout::OPS {
                continue;
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path.clone());
            }
            names.insert(name);
        }
    }
    names
}

/// Whether git ignores the visible lock; `None` where there is no repository or no git.
fn lock_ignored(folder: &Path) -> Option<bool> {
    let mut command = Command::new("git");
    command
        .arg("-C")
        .arg(folder)
        .args(["check-ignore", "--quiet", layout::LOCK]);
    for name in FOREIGN {
        command.env_remove(name);
    }
    match command.output().ok()?.status.code() {
        Some(0) => Some(true),
        Some(1) => Some(false),
        _ => None,
    }
}

/// Mends trailing commas, the one defect whose fix is certain, under the project's lock; keeps the old text beside it.
fn repair(folder: &Path, output: &Output) -> Result<(), Failure> {
    let _lock = ProjectLock::acquire(&LockRequest::new(folder, "repair", &env()), &env())?;
    let path = folder.join(layout::PIPELINE);
    let Some(text) = atomic::read_text(&path)? else {
        return Ok(());
    };
    let Some((mended, places)) =
        repair_trailing_commas(&text).filter(|(_, places)| !places.is_empty())
    else {
        return Ok(());
    };
    let kept = path.with_extension(format!(
        "json.before-repair-{}",
        ralph_core::time::compact(env().now())
    ));
    atomic::create_new(&kept, text.as_bytes())?;
    atomic::replace(&path, mended.as_bytes())?;
    for place in places {
        output.note(&format!(
            "{}:{}:{}: removed a trailing comma",
            path.display(),
            place.line,
            place.column
        ));
    }
    output.note(&format!("the text before is kept as {}", kept.display()));
    Ok(())
}
