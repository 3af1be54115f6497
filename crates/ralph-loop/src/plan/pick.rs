//! Which task a wish gets. Pure: a view of the plan in, a choice out.

use std::collections::BTreeSet;
use std::path::Path;

use ralph_docs::fix_plan::{Row, SelectError, select};

use super::record::{Life, Owner};
use super::view::{self, Plan, Planned, Standing};
use super::{Claim, PlanError, Wish};

/// The choice.
#[derive(Debug)]
pub(super) enum Pick<'p> {
    /// This task can be claimed.
    Task(&'p Planned),
    /// None can; this is the answer.
    Nothing(Claim),
}

/// Chooses the task that was named, else the first that is open and wanted.
pub(super) fn pick<'p>(
    plan: &'p Plan,
    wish: &Wish<'_>,
    owner: &Owner,
    path: &Path,
) -> Result<Pick<'p>, PlanError> {
    let busy = busy(plan);
    let is_wanted = |planned: &Planned| {
        let repository = planned.task.repository.as_deref();
        let may_run = repository.is_none_or(|repository| {
            let chosen = wish
                .repositories
                .is_none_or(|chosen| chosen.contains(repository));
            chosen && !busy.contains(repository)
        });
        may_run && !wish.skip.contains(&planned.task.key)
    };
    let chosen = match wish.task {
        Some(query) => Some(named(plan, query, path)?).filter(|planned| is_wanted(planned)),
        None => {
            let open = |planned: &&Planned| planned.standing == Standing::Open;
            plan.tasks
                .iter()
                .filter(open)
                .find(|planned| is_wanted(planned))
        }
    };
    Ok(chosen.map_or_else(|| Pick::Nothing(nothing(plan, owner)), Pick::Task))
}

/// The repositories in which somebody works, of this process or another: one attempt at a time is enough for each
/// (defect 8.19). Asked of the claims, under the plan's lock, so that two who pick at once never get the same
/// repository. A process that is gone works in none.
fn busy(plan: &Plan) -> BTreeSet<&str> {
    let works = |planned: &&Planned| matches!(&planned.standing, Standing::Claimed(claimant) if claimant.life != Life::Gone);
    let tasks = plan.tasks.iter().filter(works);
    tasks
        .filter_map(|planned| planned.task.repository.as_deref())
        .collect()
}

/// The task that was named, if it can be taken. A `[~]` of nobody known can: who names the task knows better.
pub(super) fn named<'p>(
    plan: &'p Plan,
    query: &str,
    path: &Path,
) -> Result<&'p Planned, PlanError> {
    let planned = find(plan, query).map_err(|why| PlanError::NotFound {
        path: path.to_owned(),
        why,
    })?;
    let (path, id, line) = (path.to_owned(), planned.task.id.clone(), planned.task.line);
    match &planned.standing {
        Standing::Open | Standing::ClaimedByNobodyKnown => Ok(planned),
        Standing::Done => Err(PlanError::Completed { path, id, line }),
        Standing::Claimed(claimant) => Err(PlanError::Held {
            path,
            id,
            line,
            by: claimant.clone(),
        }),
        Standing::Delivered(delivered) => Err(PlanError::Delivered {
            path,
            id,
            line,
            branch: delivered.as_ref().map_or_else(
                || "that an unreadable record names".to_owned(),
                |delivered| delivered.branch.clone(),
            ),
        }),
    }
}

/// By the names that we print (the key, and the stem of branches), else as a person names a task.
fn find<'p>(plan: &'p Plan, query: &str) -> Result<&'p Planned, SelectError> {
    let is_ours =
        |planned: &&Planned| planned.task.key.as_str() == query || planned.task.name() == query;
    if let Some(planned) = plan.tasks.iter().find(is_ours) {
        return Ok(planned);
    }
    let rows: Vec<Row> = plan.tasks.iter().map(view::row).collect();
    let chosen = select(&rows, query)?;
    let found = plan
        .tasks
        .iter()
        .find(|planned| planned.ordinal == chosen.ordinal);
    found.ok_or_else(|| SelectError::NotFound {
        asked: query.to_owned(),
    })
}

fn nothing(plan: &Plan, owner: &Owner) -> Claim {
    let count = |is: &dyn Fn(&Standing) -> bool| {
        let tasks = plan.tasks.iter();
        tasks.filter(|planned| is(&planned.standing)).count()
    };
    Claim::NothingOpen {
        claimed_elsewhere: count(&|standing| match standing {
            Standing::ClaimedByNobodyKnown => true,
            Standing::Claimed(claimant) => claimant
                .who
                .as_ref()
                .is_none_or(|(_, other)| other != owner),
            _ => false,
        }),
        delivered: count(&|standing| matches!(standing, Standing::Delivered(_))),
        withheld: count(&|standing| *standing == Standing::Open),
    }
}
