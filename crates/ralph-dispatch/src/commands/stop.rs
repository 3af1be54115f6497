//! `--stop`: running agents may finish, then everything that is left is ended.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use ralph_core::error::Code;
use ralph_front::SCHEMA_VERSION;
use ralph_front::failure::{Failure, Outcome, sentence};

use crate::args::Flags;
use crate::cluster;
use crate::commands::{status, sweep as sweep_command};
use crate::env_vars;
use crate::home::Fetching;
use crate::record::LoopRecord;
use crate::render;
use crate::report::{LoopRow, StopReport};
use crate::resolve::{self, Filter};
use crate::setting::Origin;
use crate::standing::{JobStanding, Look, Standing};
use crate::stop;
use crate::sweep;
use crate::workbench::Workbench;

/// How long a scheduler may take to end a job beyond what the job itself may take.
const KILL_WAIT: Duration = Duration::from_secs(60);

/// Pauses between two looks at jobs that are ending: of the embedded cluster, and of one over a network.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(10)];

/// Waits until the cancelled jobs have ended, and says how all jobs are.
fn jobs_ended(
    bench: &Workbench,
    marked: &[Standing],
    within: Duration,
) -> Result<BTreeMap<String, JobStanding>, Failure> {
    let pause = PAUSES[usize::from(cluster::is_remote(marked))];
    let deadline = Instant::now().checked_add(within.saturating_add(KILL_WAIT));
    loop {
        let jobs = cluster::refresh(bench)?;
        let has_ended = |standing: &Standing| {
            let job = jobs.get(&standing.record.repository);
            standing.record.job.is_none() || job.is_none_or(|job| job.state.is_final())
        };
        let is_late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if is_late || marked.iter().all(has_ended) {
            return Ok(jobs);
        }
        std::thread::sleep(pause);
    }
}

/// Says which loops go on because they are not meant: where the subset comes from may not be what the user thought of.
fn left_running(bench: &Workbench, look: &Look<'_>, others: Vec<LoopRecord>, origin: &Origin) {
    let names: Vec<String> = others
        .into_iter()
        .map(|record| look.at(record))
        .filter(|standing| !standing.state.is_final())
        .map(|standing| standing.record.repository)
        .collect();
    if !names.is_empty() {
        let names = names.join(", ");
        bench
            .output
            .note(&format!("not meant by {origin}, and left running: {names}"));
    }
}

/// Says which loops are another launcher's: what ends them is not known here.
fn left_to_others(bench: &Workbench, chosen: &Filter) -> Result<(), Failure> {
    let (standings, problems) = status::look(bench, &BTreeMap::new())?;
    let report = status::report(bench, &standings, problems);
    for row in report.foreign {
        let is_meant = Path::new(&row.file)
            .file_stem()
            .is_some_and(|name| chosen.means(&name.to_string_lossy()));
        if let Some(pid) = row.pid.filter(|_| row.alive && is_meant) {
            let file = row.file;
            bench.output.note(&format!(
                "left running: {file} of another launcher names a living process; end it with: kill {pid}"
            ));
        }
    }
    for row in &report.by_hand {
        if chosen.means(&row.repository) {
            let told = render::by_hand(row);
            bench.output.note(&format!("left running: {told}"));
        }
    }
    Ok(())
}

/// Ends the loops of the subset, or all.
pub(super) fn run(bench: &Workbench, flags: &Flags, within: u64) -> Outcome {
    let layout = &bench.layout;
    let (records, _) = LoopRecord::all(layout)?;
    let names = records.iter().map(|record| record.repository.as_str());
    let conf = bench.conf.clone().with_names(names);
    let chosen = resolve::subset(flags, &env_vars::texts(), &conf)?;
    left_to_others(bench, &chosen.value)?;
    let jobs = cluster::refresh(bench)?;
    let marked = if !layout.lock().exists() {
        Vec::new()
    } else {
        let warn = |why: String, then: &str| bench.output.note(&format!("warning: {why}; {then}"));
        // Where nothing can be written no launcher can come in between either.
        let lock = sweep::lock(layout);
        if let Err(error) = &lock {
            warn(sentence(error), "going on without it");
        }
        let (records, _) = LoopRecord::all(layout)?;
        let look = Look::new(layout, &jobs);
        let (meant, others): (Vec<_>, Vec<_>) = records
            .into_iter()
            .partition(|record| chosen.value.means(&record.repository));
        left_running(bench, &look, others, &chosen.origin);
        let (marked, wrong) = stop::mark(layout, &bench.env, &look, meant);
        for error in &wrong {
            warn(sentence(error), "it is stopped all the same");
        }
        marked
    };
    if !marked.is_empty() {
        let told = |line: &str| bench.output.note(line);
        cluster::cancel(bench, &marked)?;
        let look = Look::new(layout, &jobs);
        stop::end(layout, &look, &marked, Duration::from_secs(within), &told);
    }
    let jobs = jobs_ended(bench, &marked, Duration::from_secs(within))?;
    let is_recorded = sweep_command::before_status(bench, &jobs, Fetching::Now);
    let look = Look::new(layout, &jobs);
    let mut rows = Vec::new();
    for standing in &marked {
        let name = &standing.record.repository;
        let now = LoopRecord::read(layout, name).ok().flatten();
        let now = now.filter(|now| now.settled.is_some());
        let record = now.unwrap_or_else(|| standing.record.clone());
        rows.push(LoopRow::new(&look.at(record), layout));
    }
    let report = StopReport {
        schema_version: SCHEMA_VERSION,
        loops: rows,
    };
    let of = match chosen.value {
        Filter::All => String::new(),
        Filter::Only(_) | Filter::Except(_) => format!(" meant by {}", chosen.origin),
    };
    let told = render::stopped(&report, &of, bench.output.columns());
    bench.output.answer(&report, &told)?;
    let left = report.loops.iter().any(|row| !row.state.is_final());
    let partial = (!is_recorded).then_some(Code::Partial);
    Ok(left.then_some(Code::Failed).or(partial))
}
