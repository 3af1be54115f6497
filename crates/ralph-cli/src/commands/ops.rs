//! `ralph ops list|show|undo`.

use std::path::Path;

use ralph_core::error::Code;
use ralph_core::id::{OpId, Slug};
use ralph_core::journal::{Journal, OpRecord, OpState};
use ralph_core::project;
use ralph_core::store::lock::{LockRequest, ProjectLock};

use crate::args::{Global, Ops};
use crate::commands::selected;
use crate::render::answers::UndoReport;
use crate::render::{self, SCHEMA_VERSION};
use crate::workspace::{Workspace, env};
use ralph_front::failure::{Failure, Outcome};
use ralph_front::output::Output;

/// The journal's verbs.
pub(crate) fn run(global: &Global, verb: &Ops, output: &Output) -> Outcome {
    let workspace = Workspace::open(global, output)?;
    let known = workspace.dispatcher(output).slugs()?;
    match verb {
        Ops::List(chosen) => {
            let report = render::ops::report(&records(&workspace, &selected(chosen, &known)?)?);
            let text = render::ops::human(&report, env().now(), output.width());
            output.answer(&report, &text)?;
            Ok(None)
        }
        Ops::Show(argument) => {
            let (slug, op) = find(&workspace, &known, &argument.id)?;
            let detail = Journal::open(&project::folder(&workspace.root, &slug)).show(&op)?;
            let text = render::ops::diff(slug.as_str(), &detail);
            output.answer(&render::ops::diffs_report(&[(slug, detail)]), &text)?;
            Ok(None)
        }
        Ops::Undo(argument) => {
            let (slug, op) = find(&workspace, &known, &argument.id)?;
            let by = undo(&project::folder(&workspace.root, &slug), &op)?;
            let undone = UndoReport {
                schema_version: SCHEMA_VERSION,
                project: slug.to_string(),
                undone: op.to_string(),
                op: by.to_string(),
            };
            output.answer(&undone, &format!("{slug}: {op} is undone by {by}"))?;
            Ok(None)
        }
    }
}

/// Undoes an operation, or finishes an undoing of it that was interrupted, and says by which operation.
fn undo(folder: &Path, op: &OpId) -> Result<OpId, Failure> {
    let _lock = ProjectLock::acquire(&LockRequest::new(folder, "undo", &env()), &env())?;
    let journal = Journal::open(folder);
    let is_begun =
        |record: &OpRecord| record.undoes.as_ref() == Some(op) && record.state == OpState::Prepared;
    match journal.list()?.into_iter().find(is_begun) {
        Some(begun) => {
            journal.recover(&env())?;
            Ok(begun.op)
        }
        None => Ok(journal.undo(op, &env())?.op),
    }
}

fn records(workspace: &Workspace, slugs: &[Slug]) -> Result<Vec<(Slug, OpRecord)>, Failure> {
    let mut all = Vec::new();
    for slug in slugs {
        let records = Journal::open(&project::folder(&workspace.root, slug)).list()?;
        all.extend(records.into_iter().map(|record| (slug.clone(), record)));
    }
    all.sort_by_key(|(_, record)| std::cmp::Reverse((record.made_at, record.sequence)));
    Ok(all)
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
