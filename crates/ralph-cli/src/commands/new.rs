//! `ralph new`: a project with the whole contract, registered in `projects/PROJECTS.md`.

use ralph_core::error::Code;
use ralph_core::id::Slug;
use ralph_core::project;
use ralph_core::store::{atomic, layout};
use serde_json::json;

use crate::args::{Global, New};
use crate::render::SCHEMA_VERSION;
use crate::render::answers::NewReport;
use crate::workspace::find_root;
use ralph_front::failure::{Failure, Outcome};
use ralph_front::output::Output;

const FILES: [(&str, &str); 5] = [
    (layout::QUEUE, include_str!("../templates/project/queue.md")),
    (
        layout::DEBUGGING,
        include_str!("../templates/project/debugging.md"),
    ),
    (
        layout::TODO,
        include_str!("../templates/project/implementation-todo.md"),
    ),
    (
        layout::DEBATES,
        include_str!("../templates/project/debates.md"),
    ),
    (
        layout::RESULTS_SUMMARY,
        include_str!("../templates/project/summary.md"),
    ),
];
const FOLDERS: [&str; 5] = [
    layout::EXPERIMENTS,
    layout::CONFIGS,
    layout::SLURM_JOBS,
    layout::SLURM_LOGS,
    layout::RUNS,
];

/// Makes the project. The state file comes last: a project is one that has it. What was begun and interrupted before is
/// finished.
pub(crate) fn run(global: &Global, arguments: &New, output: &Output) -> Outcome {
    let slug: Slug = arguments
        .slug
        .parse()
        .map_err(|error| Failure::new(Code::Usage, format!("{error}")))?;
    let root = find_root(global)?;
    let folder = project::folder(&root, &slug);
    let state = folder.join(layout::PIPELINE);
    if state.exists() {
        return Err(Failure::new(
            Code::Failed,
            format!("{}: the project exists already", folder.display()),
        ));
    }
    for name in FOLDERS {
        atomic::remove_leftovers(&folder.join(name));
        // Git keeps no empty folder.
        let keep = folder.join(name).join(".gitkeep");
        atomic::create_dir(&folder.join(name))?;
        if !keep.exists() {
            atomic::create_new(&keep, b"")?;
        }
    }
    for (path, text) in FILES {
        let full = folder.join(path);
        if let Some(parent) = full.parent() {
            atomic::create_dir(parent)?;
            atomic::remove_leftovers(parent);
        }
        if !full.exists() {
            atomic::create_new(&full, text.as_bytes())?;
        }
    }
    register(&root, &slug)?;
    atomic::create_dir(&folder.join(layout::STATE_DIR))?;
    atomic::remove_leftovers(&folder.join(layout::STATE_DIR));
    atomic::create_new(&state, pipeline(&slug).as_bytes())?;
    let report = NewReport {
        schema_version: SCHEMA_VERSION,
        project: slug.to_string(),
        folder: folder.display().to_string(),
    };
    let next = "describe the work in documentation/implementation-todo.md and queue.md, then `ralph dispatch`";
    output.answer(
        &report,
        &format!("projects/{slug}/ is made.\nNext: {next}."),
    )?;
    Ok(None)
}

fn register(root: &std::path::Path, slug: &Slug) -> Result<(), Failure> {
    let path = root.join(layout::PROJECTS_LIST);
    let before = atomic::read_text(&path)?.unwrap_or_else(|| "# Projects\n\n".to_owned());
    let edits = ralph_docs::projects::register(&before, slug.as_str(), "")
        .map_err(|error| Failure::new(Code::Conflict, format!("{}: {error}", path.display())))?;
    Ok(atomic::replace(&path, edits.apply(&before).as_bytes())?)
}

fn pipeline(slug: &Slug) -> String {
    ralph_core::ledger::json(&json!({
        "project": slug.as_str(),
        "phase": "INIT",
        "next_action": {
            "command": format!("/dispatch --project {slug}"),
            "reason": "a fresh project, whose work is still to be described",
            "hint": "describe it in documentation/implementation-todo.md and documentation/queue.md",
        },
        "needs_user_input": { "value": false, "prompt": "" },
        "slurm_wait": { "next_poll_after": null, "poll_interval_seconds": null, "last_polled_at": null },
        "active_runs": [],
        "completed_runs": [],
        "events": [],
    }))
}
