//! What the queue, the todo list and the books say together: which item is next, which run is still to be checked,
//! where a project goes from here.
//!
//! The state file is the authority: an item that the queue calls READY is not ready while a run of it lives.

use ralph_docs::queue::{self, QueueItem, QueueSection};
use ralph_docs::todo::Task;

use crate::phase::Phase;
use crate::pipeline::{RunStatus, RunView};
use crate::world::{Facts, SightedAs};

/// Completed runs whose queue item still stands as in progress, as (run id, item id).
#[must_use]
pub(crate) fn unchecked(facts: &Facts) -> Vec<(String, String)> {
    let completed = facts.view.completed_runs.iter();
    completed
        .filter(|run| run.status != RunStatus::Live)
        .filter_map(|run| Some((run.key.run_id.clone()?, run.queue_id.clone()?)))
        .filter(|(run, id)| {
            facts.item(id).is_some_and(|item| {
                item.section == QueueSection::InProgress
                    && item.run.as_ref().is_none_or(|stated| stated == run)
                    && !is_live(facts, id)
            })
        })
        .filter(|(run, _)| !is_checked(facts, run))
        .collect()
}

/// Under which name [`crate::world::Sightings`] remembers a run whose results are recorded though the queue could
/// not be edited.
#[must_use]
pub(crate) fn checked_key(run: &str) -> String {
    format!("checked:{run}")
}

fn is_checked(facts: &Facts, run: &str) -> bool {
    let seen = facts.sightings.entries.get(&checked_key(run));
    seen.is_some_and(|seen| seen.what == SightedAs::Checked)
}

/// The first READY item whose predecessors are done.
#[must_use]
pub(crate) fn ready_item(facts: &Facts) -> Option<&QueueItem> {
    facts.queue.iter().find(|item| is_ready(facts, item))
}

/// Whether an item can be submitted: it stands under READY and nothing in it says otherwise, its id is its own, it speaks
/// of no run that the books do not have, no run of it lives, and what it depends on is done.
#[must_use]
pub(crate) fn is_ready(facts: &Facts, item: &QueueItem) -> bool {
    item.section == QueueSection::Ready
        && item.held.is_none()
        && namesakes(facts, item).is_empty()
        && ran_unknown(facts, item).is_none()
        && !is_live(facts, &item.id)
        && waits_for(facts, item).is_none()
}

/// Keys of an item, in lower case, that tell of a run of it.
const RAN: [&str; 11] = [
    "job",
    "job id",
    "job ids",
    "slurm job",
    "slurm job id",
    "run id",
    "submitted",
    "submitted at",
    "started",
    "completed",
    "finished",
];

/// What an item says of a run that the books know nothing of: somebody submitted it by hand, and nobody asks about that
/// job. An item that was tried before is READY because it is to run again.
#[must_use]
pub(crate) fn ran_unknown(facts: &Facts, item: &QueueItem) -> Option<String> {
    let view = &facts.view;
    let lists = [
        &view.active_runs,
        &view.completed_runs,
        &view.cancelled_runs,
    ];
    let mut runs = lists.into_iter().flatten();
    if runs.any(|run| is_of(run, &item.id)) {
        return None;
    }
    let told = item.fields.iter().find(|(key, value)| {
        let key = key.to_lowercase().replace('_', " ");
        RAN.contains(&key.as_str()) && tells_of_run(value)
    });
    told.map(|(key, value)| format!("{key}: {}", ralph_docs::quote::plain(value, 60)))
}

/// Whether a value has a job's number or a date in it. `soon`, `not before 2027` and the path of a script tell of no run.
fn tells_of_run(value: &str) -> bool {
    let has_number = |word: &str| {
        let mut parts = word.split(|c: char| !c.is_ascii_alphanumeric());
        parts.any(|part| part.len() >= 4 && part.bytes().all(|b| b.is_ascii_digit()))
    };
    let is_script = |word: &str| {
        let word = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        [".sbatch", ".slurm", ".sh"]
            .iter()
            .any(|end| word.ends_with(end))
    };
    let value = value.to_lowercase();
    let first = value.split(|c: char| !c.is_alphanumeric()).next();
    !first.is_some_and(|word| ["no", "not", "none", "never"].contains(&word))
        && value
            .split_whitespace()
            .any(|word| has_number(word) && !is_script(word))
}

/// How the other items write the id that is this one's too, so that nobody can say which of them a run belongs to.
#[must_use]
pub(crate) fn namesakes<'a>(facts: &'a Facts, item: &QueueItem) -> Vec<&'a str> {
    let others = facts.queue.iter().filter(|other| other.line != item.line);
    others
        .map(|other| other.id.as_str())
        .filter(|id| queue::is_same_id(id, &item.id))
        .collect()
}

/// The first item that must be done before this one and is not. An item that was tried several times is done when one
/// of its entries is, and none is still to be run.
#[must_use]
pub(crate) fn waits_for<'a>(facts: &Facts, item: &'a QueueItem) -> Option<&'a str> {
    let done = |id: &str| {
        let has = |wanted: &[QueueSection]| {
            let mut entries = entries(facts, id);
            entries.any(|before| wanted.contains(&before.section))
        };
        has(&[QueueSection::Done]) && !has(&[QueueSection::Ready, QueueSection::InProgress])
    };
    item.after.iter().map(String::as_str).find(|id| !done(id))
}

/// What a person has to say of an item, because nobody else can know whether it may be submitted: a run that the
/// books do not have, a dependency that names no item of this queue.
fn question(facts: &Facts, item: &QueueItem) -> Option<String> {
    if item.section != QueueSection::Ready || item.held.is_some() {
        return None;
    }
    if let Some(said) = ran_unknown(facts, item) {
        return Some(format!(
            "documentation/queue.md:{}: {} stands under READY and says `{said}`, and the books have no run of it; take a \
             living job into them with `ralph cluster jobs --adopt JOB --project {}`, move what has run to its section, or \
             remove the line when it is to run",
            item.line, item.id, facts.slug
        ));
    }
    let unknown = |text: &&String| entries(facts, text).next().is_none();
    let text = item.after.iter().find(unknown)?;
    Some(format!(
        "documentation/queue.md:{}: {} depends on `{}`, which names no item of the queue; write the id of one, or \
         remove it when it is so",
        item.line,
        item.id,
        ralph_docs::quote::plain(text, 120)
    ))
}

/// What a person has to say of the queue before the project may come to rest.
#[must_use]
pub(crate) fn unanswered(facts: &Facts) -> Option<String> {
    let mut items = facts.queue.iter();
    items
        .find_map(|item| question(facts, item))
        .or_else(|| strays(facts))
        .or_else(|| unread_tasks(facts))
}

/// What a person has to say of the todo list before its tasks may count as done: it holds some that are not read.
#[must_use]
pub(crate) fn unread_tasks(facts: &Facts) -> Option<String> {
    let first = facts.task_strays.first()?;
    Some(format!(
        "documentation/implementation-todo.md:{}: `{}` may be a task and is not read as one; write each as \
         `- [ ] (T1) text` below `## Ready`, or put it below `## Completed` or `## Notes`",
        first.line, first.text
    ))
}

/// Work that may be meant under READY, in a notation that is not read.
fn strays(facts: &Facts) -> Option<String> {
    let first = facts.strays.first()?;
    if first.is_outside {
        return Some(format!(
            "documentation/queue.md:{}: `{}` stands under no heading that says READY, so it is never submitted; write \
             `## READY` above what may be, and `## BLOCKED` or `## DONE` above the rest",
            first.line, first.text
        ));
    }
    Some(format!(
        "documentation/queue.md:{}: {} under READY {} (`{}`); write `### Q-001: title` with its fields below, or \
         remove it",
        first.line,
        match facts.strays.len() {
            1 => "1 thing".to_owned(),
            count => format!("{count} things"),
        },
        if facts.strays.len() == 1 {
            "is no item"
        } else {
            "are no items"
        },
        first.text
    ))
}

fn entries<'a>(facts: &'a Facts, id: &'a str) -> impl Iterator<Item = &'a QueueItem> {
    facts
        .queue
        .iter()
        .filter(move |item| queue::is_same_id(&item.id, id))
}

/// Whether a run of this item is alive as far as the books say.
#[must_use]
pub(crate) fn is_live(facts: &Facts, id: &str) -> bool {
    facts.live_runs().any(|run| is_of(run, id))
}

/// Whether a run belongs to the item.
#[must_use]
pub(crate) fn is_of(run: &RunView, id: &str) -> bool {
    run.queue_id
        .as_deref()
        .is_some_and(|named| queue::is_same_id(named, id))
}

/// How often the item was submitted before, from the runs that name it.
#[must_use]
pub(crate) fn attempts(facts: &Facts, id: &str) -> u32 {
    let runs = facts
        .view
        .active_runs
        .iter()
        .chain(&facts.view.completed_runs);
    let count = runs.filter(|run| is_of(run, id)).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Under which name [`crate::world::Sightings`] remembers that a limit refused an item.
#[must_use]
pub(crate) fn limit_key(id: &str) -> String {
    format!("limit:{id}")
}

/// The first todo item that is open and next.
#[must_use]
pub(crate) fn open_task(facts: &Facts) -> Option<&Task> {
    facts
        .tasks
        .iter()
        .find(|task| task.ready && !task.done && !is_placeholder(&task.text))
}

fn is_placeholder(text: &str) -> bool {
    let text = text.trim();
    text.is_empty() || (text.starts_with('<') && text.ends_with('>'))
}

/// Where a project goes when nothing keeps it in its phase: finished runs, unsettled submissions, READY items, live
/// runs, open tasks, else its end (the canonical table: RUN if READY items remain, WAIT_SLURM if runs remain).
#[must_use]
pub(crate) fn onward(facts: &Facts) -> Phase {
    let unfinished = |item: &QueueItem| {
        matches!(
            item.section,
            QueueSection::Ready | QueueSection::Failed | QueueSection::InProgress
        )
    };
    if !unchecked(facts).is_empty() {
        Phase::Check
    } else if facts.unsettled() > 0 {
        Phase::WaitSlurm
    } else if ready_item(facts).is_some() {
        Phase::Run
    } else if facts.live_runs().next().is_some() {
        Phase::WaitSlurm
    } else if open_task(facts).is_some() {
        Phase::Implement
    } else if unanswered(facts).is_some() {
        // Never its end, nor rest, over work that nobody has understood: RUN is where it is asked about.
        Phase::Run
    } else if facts.queue.iter().any(unfinished) {
        Phase::Idle
    } else {
        Phase::Done
    }
}
