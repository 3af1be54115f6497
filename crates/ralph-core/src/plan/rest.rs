//! Why nothing of a queue can be submitted, in words that say what would change it.
//!
//! What must never be here: a decision; whether an item is ready is [`super::items`]'s.

use ralph_docs::queue::{QueueItem, QueueSection};

use crate::plan::items::{namesakes, ran_unknown, waits_for};
use crate::world::Facts;

/// What keeps a project at rest whose queue has unfinished items, and what a person can do about it.
pub(super) fn why_at_rest(facts: &Facts) -> String {
    let has = |section| facts.queue.iter().any(|item| item.section == section);
    if has(QueueSection::Ready) {
        return format!(
            "{}; it goes on when that has changed",
            why_none_is_ready(facts)
        );
    }
    let (which, to) = match has(QueueSection::Failed) {
        true => ("move one of FAILED back to READY", ", or add one"),
        false => (
            "one of IN_PROGRESS has no run: move it to READY, DONE or FAILED",
            "",
        ),
    };
    format!("no item is READY; {which} in documentation/queue.md{to}")
}

/// Why no item that stands under READY can be submitted, by the first of them.
pub(super) fn why_none_is_ready(facts: &Facts) -> String {
    let mut ready = facts
        .queue
        .iter()
        .filter(|item| item.section == QueueSection::Ready);
    ready.next().map_or_else(
        || "no item is READY".to_owned(),
        |item| format!("no READY item can be submitted: {}", why(facts, item)),
    )
}

/// The first item under READY and above this line that the queue holds back, and how many more there are: whoever goes
/// on past them says so, since nothing else would before the project comes to rest.
pub(super) fn held_back(facts: &Facts, line: usize) -> Option<String> {
    let mut held = facts.queue.iter().filter(|item| {
        item.section == QueueSection::Ready && item.held.is_some() && item.line < line
    });
    let first = why(facts, held.next()?);
    Some(match held.count() {
        0 => first,
        1 => format!("{first}, and so is 1 more"),
        more => format!("{first}, and so are {more} more"),
    })
}

fn why(facts: &Facts, item: &QueueItem) -> String {
    match (&item.held, waits_for(facts, item)) {
        (Some(held), _) => format!("{} is held back, {held}", item.id),
        (None, Some(before)) => format!("{} waits for {}", item.id, standing(facts, before)),
        _ => match namesakes(facts, item).first() {
            Some(other) if *other != item.id => format!(
                "{} stands in the queue more than once, also as {other}",
                item.id
            ),
            Some(_) => format!("{} stands in the queue more than once", item.id),
            None => match ran_unknown(facts, item) {
                Some(said) => format!("{} says `{said}`", item.id),
                None => format!("a run of {} is alive", item.id),
            },
        },
    }
}

/// An item, and where it stands when it does not get done by itself.
fn standing(facts: &Facts, id: &str) -> String {
    match facts.item(id).map(|item| &item.section) {
        Some(QueueSection::Failed) => format!("{id}, which stands under FAILED"),
        _ => id.to_owned(),
    }
}
