//! When something becomes due by itself, so that a loop can sleep exactly until then.

use crate::plan::{Context, backoff};
use crate::time::Timestamp;
use crate::world::{Facts, ProjectState, SightedAs, World};

/// The first moment after now at which a further dispatch may find something new; `None` when nothing is waited
/// for. What was due in this pass and is still waited for is due again after the usual interval, never at once.
#[must_use]
pub fn next_due(world: &World, context: &Context<'_>) -> Option<Timestamp> {
    let facts = world
        .projects
        .iter()
        .filter_map(|project| match &project.state {
            ProjectState::Readable(facts) => Some(facts.as_ref()),
            ProjectState::Unreadable(_) => None,
        });
    facts.flat_map(|facts| times(facts, context)).min()
}

fn times(facts: &Facts, context: &Context<'_>) -> Vec<Timestamp> {
    let poll = &context.settings.poll;
    let later = |by| backoff::later(context.now, by);
    let mut times = Vec::new();
    if facts.tracked_runs().next().is_some() {
        let planned = facts.next_poll(context.zone);
        let planned = planned.filter(|at| *at > context.now);
        times.push(planned.unwrap_or_else(|| later(poll.base.min(poll.cap))));
    }
    let open = |what: SightedAs| match what {
        SightedAs::Provisional | SightedAs::Claimed | SightedAs::Unproven => true,
        SightedAs::Absent | SightedAs::Limit | SightedAs::Checked => false,
    };
    if facts.unsettled() > 0 || facts.sightings.entries.values().any(|seen| open(seen.what)) {
        times.push(later(poll.first));
    }
    let limits = facts.sightings.entries.values();
    let limits = limits.filter(|seen| seen.what == SightedAs::Limit);
    let ends = limits.map(|seen| backoff::after_limit(seen, poll));
    let order = facts.order.as_ref().and_then(|order| order.not_before);
    times.extend(ends.chain(order).filter(|at| *at > context.now));
    times
}
