//! Ends loops: they may finish what runs, then everything that is left of them is ended.
//!
//! A loop is asked first, alone, so that it starts nothing more and waits for its agents; after the limit its
//! supervisor ends it: one of ours is asked again, alone, and ends its agents itself; of a foreign one everything gets
//! TERM. After a grace comes KILL for whatever is left. The orphan of a killed supervisor is ended from here, the same
//! way.

use std::time::{Duration, Instant};

use ralph_core::env::Env;
use ralph_core::process::record::REQUEST;
use ralph_core::process::{
    Ask, Record, SpawnRequest, ask_to_drain, ask_to_hasten, ask_to_stop, end_orphans,
};
use ralph_core::store::atomic;

use crate::launch::GRACE;
use crate::layout::Layout;
use crate::record::{LoopRecord, RecordError, State, process_record};
use crate::standing::{Look, Standing};

/// Pause between two looks at loops that are ending.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a supervisor may take beyond its grace to write down the end.
const LAST_WAIT: Duration = Duration::from_secs(10);

/// Writes down that these loops are asked to stop; the caller holds the workbench's lock, if it can be had. The answer
/// is those that have not ended yet, as they were, and what could not be written down: no reason to let them run.
pub(crate) fn mark(
    layout: &Layout,
    env: &Env,
    look: &Look<'_>,
    records: Vec<LoopRecord>,
) -> (Vec<Standing>, Vec<RecordError>) {
    let (mut marked, mut wrong) = (Vec::new(), Vec::new());
    for record in records {
        let mut standing = look.at(record);
        if standing.state.is_final() {
            continue;
        }
        standing.record.stop_asked.get_or_insert(env.now());
        if !standing.record.is_bare && !standing.is_hidden() {
            wrong.extend(standing.record.write(layout).err());
        }
        marked.push(standing);
    }
    (marked, wrong)
}

/// What a supervisor was asked to do.
fn request(layout: &Layout, standing: &Standing) -> Option<SpawnRequest> {
    let path = standing.record.directory(layout).join(REQUEST);
    serde_json::from_slice(&atomic::read(&path).ok()??).ok()
}

/// Ends loops of this machine. `told` hears what is being waited for. Blocks for `within` and the grace at most.
pub(crate) fn end(
    layout: &Layout,
    look: &Look<'_>,
    marked: &[Standing],
    within: Duration,
    told: &dyn Fn(&str),
) {
    let is_here = |one: &&Standing| one.record.job.is_none() && !one.is_hidden();
    let here: Vec<&Standing> = marked.iter().filter(is_here).collect();
    if here.is_empty() {
        return;
    }
    let process = |standing: &Standing| -> Option<Record> {
        process_record(&standing.record.directory(layout)).ok()?
    };
    for standing in &here {
        if standing.state == State::Running
            && let Some(record) = process(standing)
            && !ask_to_drain(&record)
        {
            let _ = ask_to_stop(&record);
        }
    }
    let names = |standings: &[&Standing]| {
        let names: Vec<&str> = standings
            .iter()
            .map(|s| s.record.repository.as_str())
            .collect();
        names.join(", ")
    };
    told(&format!(
        "asked to finish: {}; what is left after {} s is ended",
        names(&here),
        within.as_secs()
    ));
    let left = wait(look, here, within);
    if left.is_empty() {
        return;
    }
    told(&format!("ending: {}", names(&left)));
    let mut longest = GRACE;
    for standing in &left {
        let Some(record) = process(standing) else {
            continue;
        };
        let request = request(layout, standing);
        let grace = request.as_ref().map_or(GRACE, |request| request.grace);
        longest = longest.max(grace);
        if ask_to_stop(&record) {
            continue;
        }
        let is_alone = request.is_some_and(|request| request.ask == Ask::Worker);
        if is_alone && ask_to_hasten(&record) {
            let _ = wait(look, vec![*standing], grace);
        }
        let _ = end_orphans(&record, GRACE);
    }
    let _ = wait(look, left, longest.saturating_add(LAST_WAIT));
}

/// Waits until the loops have ended; those that have not come back.
fn wait<'s>(look: &Look<'_>, mut left: Vec<&'s Standing>, limit: Duration) -> Vec<&'s Standing> {
    let deadline = Instant::now().checked_add(limit);
    loop {
        left.retain(|standing| {
            let now = look.again().at(standing.record.clone());
            !now.state.is_final()
        });
        if left.is_empty() || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return left;
        }
        std::thread::sleep(PAUSE);
    }
}
