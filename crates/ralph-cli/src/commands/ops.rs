//! `ralph ops list|show|undo`.

use ralph_core::error::Code;
use ralph_core::id::{OpId, Slug};
use ralph_core::journal::{Journal, OpRecord, OpState};
use ralph_core::project;
use ralph_core::store::lock::{LockRequest, ProjectLock};
use ralph_core::time::stamp;
use serde_json::{Value, json};

use crate::args::{Chosen, Global, Ops};
use crate::commands::projects;
use crate::exit::{Failure, Outcome, printed};
use crate::output::Output;
use crate::render;
use crate::workspace::{Workspace, env};

/// The journal's verbs.
pub(crate) fn run(global: &Global, verb: &Ops, output: &Output) -> Outcome {
    let workspace = Workspace::open(global, output)?;
    let known = workspace.dispatcher(output).slugs()?;
    match verb {
        Ops::List(chosen) => list(&workspace, &chosen_of(chosen, &known)?, output),
        Ops::Show(argument) => {
            let (slug, op) = find(&workspace, &known, &argument.id)?;
            let detail = Journal::open(&project::folder(&workspace.root, &slug)).show(&op)?;
            if output.is_json() {
                let details = [(slug, detail)];
                printed(output.json(
                    &json!({ "schema_version": 1, "operations": render::ops::json(&details) }),
                ))?;
            } else {
                printed(output.print(&render::ops::diff(slug.as_str(), &detail)))?;
            }
            Ok(None)
        }
        Ops::Undo(argument) => {
            let (slug, op) = find(&workspace, &known, &argument.id)?;
            let folder = project::folder(&workspace.root, &slug);
            let _lock = ProjectLock::acquire(&LockRequest::new(&folder, "undo", &env()), &env())?;
            let record = Journal::open(&folder).undo(&op, &env())?;
            printed(output.print(&format!("{slug}: {op} is undone by {}", record.op)))?;
            Ok(None)
        }
    }
}

fn chosen_of(chosen: &Chosen, known: &[Slug]) -> Result<Vec<Slug>, Failure> {
    let named = projects(&chosen.projects, known)?;
    Ok(known
        .iter()
        .filter(|slug| named.is_empty() || named.contains(*slug))
        .cloned()
        .collect())
}

fn records(workspace: &Workspace, slugs: &[Slug]) -> Result<Vec<(Slug, OpRecord)>, Failure> {
    let mut all = Vec::new();
    for slug in slugs {
        let records = Journal::open(&project::folder(&workspace.root, slug)).list()?;
        all.extend(records.into_iter().map(|record| (slug.clone(), record)));
    }
    all.sort_by(|(_, a), (_, b)| (b.made_at, b.sequence).cmp(&(a.made_at, a.sequence)));
    Ok(all)
}

fn list(workspace: &Workspace, slugs: &[Slug], output: &Output) -> Outcome {
    let all = records(workspace, slugs)?;
    if output.is_json() {
        let rows: Vec<Value> = all.iter().map(|(slug, record)| row(slug, record)).collect();
        printed(output.json(&json!({ "schema_version": 1, "operations": rows })))?;
        return Ok(None);
    }
    let mut table = render::table(
        &["Operation", "Project", "Time", "State", "What"],
        output.width(),
    );
    for (slug, record) in &all {
        table.add_row([
            record.op.to_string(),
            slug.to_string(),
            stamp(record.made_at),
            state(record),
            record.summary.clone(),
        ]);
    }
    printed(output.print(&if all.is_empty() {
        "No operations yet.\n".to_owned()
    } else {
        render::lines(&table)
    }))?;
    Ok(None)
}

fn row(slug: &Slug, record: &OpRecord) -> Value {
    json!({
        "id": record.op.as_str(),
        "project": slug.as_str(),
        "at": stamp(record.made_at),
        "state": state(record),
        "summary": record.summary,
        "files": record.files.iter().map(|file| file.path.clone()).collect::<Vec<_>>(),
    })
}

/// The operation that an id, or a unique beginning of one, names.
fn find(workspace: &Workspace, known: &[Slug], id: &str) -> Result<(Slug, OpId), Failure> {
    let all = records(workspace, known)?;
    let mut found = all
        .iter()
        .filter(|(_, record)| record.op.as_str().starts_with(id));
    match (found.next(), found.next()) {
        (Some((slug, record)), None) => Ok((slug.clone(), record.op.clone())),
        (None, _) => Err(
            Failure::new(Code::Failed, format!("there is no operation {id:?}"))
                .hint("See `ralph ops list`."),
        ),
        (Some(_), Some(_)) => Err(Failure::new(
            Code::Failed,
            format!("several operations begin with {id:?}"),
        )
        .hint("Give more of the id.")),
    }
}

fn state(record: &OpRecord) -> String {
    match &record.state {
        OpState::Prepared => "unfinished".to_owned(),
        OpState::Applied => "applied".to_owned(),
        OpState::Conflict => "conflict".to_owned(),
        OpState::UndoneBy(op) => format!("undone by {op}"),
    }
}
