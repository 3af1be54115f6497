//! `--wait` without a word about how to launch: which loops it means, if any. Nothing is started here.

use std::collections::{BTreeMap, BTreeSet};

use ralph_core::error::Code;
use ralph_front::failure::Failure;

use crate::commands::status;
use crate::resolve::Knobs;
use crate::standing::{JobStanding, Standing};
use crate::workbench::Workbench;

/// The loops that `--wait` alone is about, and why it launches nothing.
pub(super) struct Awaited {
    pub(super) repositories: BTreeSet<String>,
    pub(super) why: String,
}

/// Whoever says nothing but `--wait` after a launch means that launch, also where its last loop ended a moment ago. Those
/// that run come first, then those whose end nobody has been told of, then those of a budget that was given by hand: to
/// start over with none would spend without a limit.
pub(super) fn awaited(
    bench: &Workbench,
    jobs: &BTreeMap<String, JobStanding>,
    knobs: &Knobs,
) -> Result<Option<Awaited>, Failure> {
    let (standings, _) = status::look(bench, jobs)?;
    // It would be waited for without end.
    if let Some(hidden) = standings.iter().find(|one| one.is_hidden()) {
        let name = &hidden.record.repository;
        let why = hidden
            .reason
            .as_deref()
            .unwrap_or("its record cannot be read");
        let message = format!("{name}: nobody can tell here whether its loop runs: {why}");
        return Err(Failure::new(Code::Failed, message).hint("Wait as the user who launched it."));
    }
    let those = |is_meant: &dyn Fn(&Standing) -> bool| -> BTreeSet<String> {
        let meant = standings.iter().filter(|standing| is_meant(standing));
        meant.map(|one| one.record.repository.clone()).collect()
    };
    let told = |repositories: BTreeSet<String>, why: &str| {
        let names: Vec<&str> = repositories.iter().map(String::as_str).collect();
        let why = format!("nothing is launched: {why}: {}", names.join(", "));
        (!repositories.is_empty()).then_some(Awaited { repositories, why })
    };
    let running = those(&|one| !one.state.is_final());
    let untold = those(&Standing::is_unswept);
    let found = told(running, "waiting for the loops that run already")
        .or_else(|| told(untold, "these have ended since they were launched"));
    let last = standings.iter().map(|one| &one.record);
    let last = last.max_by_key(|record| &record.launch);
    if found.is_some() || knobs.max_tasks.value.is_some() {
        return Ok(found);
    }
    Ok(last.and_then(|last| {
        let (workers, attempts) = (last.workers, last.max_tasks?);
        let why = format!(
            "nothing is launched: the last launch, of {attempts} attempts, has ended; to begin another: \
             `wb-ralph-dispatch --parallel {workers} {attempts}`"
        );
        let repositories = those(&|one| one.record.launch == last.launch);
        Some(Awaited { repositories, why })
    }))
}
