//! `ralph runs`: the runs of all projects with their jobs. Reads only.

use ralph_core::pipeline::RunView;
use ralph_core::project;
use ralph_core::world::{Facts, ProjectState, jobs_of};
use serde_json::{Value, json};

use crate::args::{Chosen, Global};
use crate::commands::projects;
use crate::exit::{Outcome, printed};
use crate::output::Output;
use crate::render;
use crate::workspace::Workspace;

/// Lists live runs first, then the ended ones, newest last as they are filed.
pub(crate) fn run(global: &Global, arguments: &Chosen, output: &Output) -> Outcome {
    let workspace = Workspace::open(global, output)?;
    let known = workspace.dispatcher(output).slugs()?;
    let chosen = projects(&arguments.projects, &known)?;
    let slugs: Vec<_> = known
        .into_iter()
        .filter(|slug| chosen.is_empty() || chosen.contains(slug))
        .collect();
    let world = project::load_all(&workspace.root, &slugs);
    let mut rows = Vec::new();
    for project in &world.projects {
        match &project.state {
            ProjectState::Readable(facts) => rows.extend(rows_of(facts)),
            ProjectState::Unreadable(found) => {
                output.note(&format!("{}: {}", project.slug, found.message))
            }
        }
    }
    if output.is_json() {
        printed(output.json(&json!({ "schema_version": 1, "runs": rows })))?;
        return Ok(None);
    }
    let mut table = render::table(
        &["Project", "Run", "Job", "Status", "Item", "Submitted"],
        output.width(),
    );
    for row in &rows {
        let text = |key: &str| {
            row.get(key)
                .and_then(Value::as_str)
                .unwrap_or("")
                .to_owned()
        };
        table.add_row(
            [
                "project",
                "run_id",
                "job",
                "status",
                "queue_id",
                "submitted_at",
            ]
            .map(text),
        );
    }
    printed(output.print(&if rows.is_empty() {
        "No runs yet.\n".to_owned()
    } else {
        render::lines(&table)
    }))?;
    Ok(None)
}

fn rows_of(facts: &Facts) -> Vec<Value> {
    let live = facts
        .view
        .active_runs
        .iter()
        .map(|run| row(facts, run, "active_runs"));
    live.chain(
        facts
            .view
            .completed_runs
            .iter()
            .map(|run| row(facts, run, "completed_runs")),
    )
    .collect()
}

fn row(facts: &Facts, run: &RunView, list: &str) -> Value {
    let jobs = jobs_of(&run.jobs).map(|jobs| {
        jobs.iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(",")
    });
    json!({
        "project": facts.slug.as_str(),
        "run_id": run.key.run_id,
        "job": jobs.or_else(|| run.key.job_id.clone()),
        "status": run.status_text,
        "queue_id": run.queue_id,
        "submitted_at": run.submitted_text,
        "list": list,
    })
}
