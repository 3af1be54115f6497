//! `partitions.max_submit`: how many jobs of ours a partition may hold at once, over all projects (incident 37).
//!
//! Pure. A full partition is no mistake of the item: it waits, as for a limit of the scheduler.

use std::collections::BTreeMap;

use crate::sbatch::{self, Directive};
use crate::settings::PartitionPolicy;
use crate::world::{ProjectState, World};

/// Live runs and unsettled submissions of all projects, by partition.
pub(super) fn live_by_partition(world: &World) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut count = |partitions: &str| {
        for partition in names(partitions) {
            *counts.entry(partition.to_owned()).or_insert(0) += 1;
        }
    };
    for project in &world.projects {
        let ProjectState::Readable(facts) = &project.state else {
            continue;
        };
        for run in facts.live_runs() {
            run.partition.as_deref().into_iter().for_each(&mut count);
        }
        for intent in &facts.intents {
            let directives = sbatch::parse(&intent.request.script);
            partition_of(&directives).into_iter().for_each(&mut count);
        }
    }
    counts
}

/// Why there is no room for one more job with these directives; an array counts once per task.
pub(super) fn full(
    directives: &[Directive],
    policy: &PartitionPolicy,
    live: &BTreeMap<String, usize>,
) -> Option<String> {
    let array = sbatch::last(directives, "array").and_then(|found| found.value.as_deref());
    let array = array.and_then(|text| sbatch::array(text).ok());
    let tasks = array.map_or(1, |array| array.indices.len());
    names(partition_of(directives)?).find_map(|partition| {
        let most = *policy.max_submit.get(partition)?;
        let there = live.get(partition).copied().unwrap_or(0);
        (there + tasks > most).then(|| {
            format!(
                "{there} of at most {most} jobs (`partitions.max_submit`) are in partition {partition}, and it needs {tasks}"
            )
        })
    })
}

/// The `--partition` that counts: the last, as for `sbatch`.
pub(super) fn partition_of(directives: &[Directive]) -> Option<&str> {
    sbatch::last(directives, "partition")?.value.as_deref()
}

/// The names of a list of partitions.
pub(super) fn names(partitions: &str) -> impl Iterator<Item = &str> {
    let names = partitions.split(',').map(str::trim);
    names.filter(|name| !name.is_empty())
}
