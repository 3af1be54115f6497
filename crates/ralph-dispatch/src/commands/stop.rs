//! `--stop`: running agents may finish, then everything that is left is ended.

use std::time::Duration;

use ralph_core::error::Code;
use ralph_front::SCHEMA_VERSION;
use ralph_front::failure::Outcome;

use crate::args::Flags;
use crate::cluster;
use crate::commands::sweep as sweep_command;
use crate::record::LoopRecord;
use crate::render;
use crate::report::{LoopRow, StopReport};
use crate::resolve;
use crate::setting::{Origin, Setting};
use crate::standing::Look;
use crate::stop;
use crate::sweep;
use crate::workbench::Workbench;

/// Ends the loops of the named repositories, or all.
pub(super) fn run(bench: &Workbench, flags: &Flags, within: u64) -> Outcome {
    let layout = &bench.layout;
    let chosen = match &flags.repos {
        Some(list) => {
            let list = Setting::new(list.clone(), Origin::Flag("--repos"));
            Some(resolve::names(&list, &bench.conf)?)
        }
        None => None,
    };
    let jobs = cluster::refresh(bench)?;
    let marked = if !layout.lock().exists() {
        Vec::new()
    } else {
        let _lock = sweep::lock(layout)?;
        let (mut records, _) = LoopRecord::all(layout)?;
        records.retain(|record| {
            chosen
                .as_ref()
                .is_none_or(|names| names.contains(&record.repository))
        });
        stop::mark(layout, &bench.env, &Look::new(layout, &jobs), records)?
    };
    if !marked.is_empty() {
        let told = |line: &str| bench.output.note(line);
        cluster::cancel(bench, &marked)?;
        let look = Look::new(layout, &jobs);
        stop::end(layout, &look, &marked, Duration::from_secs(within), &told);
    }
    let jobs = cluster::refresh(bench)?;
    sweep_command::beside(bench, &jobs)?;
    let look = Look::new(layout, &jobs);
    let mut rows = Vec::new();
    for standing in &marked {
        let record = LoopRecord::read(layout, &standing.record.repository)?;
        let record = record.unwrap_or_else(|| standing.record.clone());
        rows.push(LoopRow::new(&look.at(record), layout));
    }
    let report = StopReport {
        schema_version: SCHEMA_VERSION,
        loops: rows,
    };
    bench.output.answer(&report, &render::stopped(&report))?;
    let left = report.loops.iter().any(|row| !row.state.is_final());
    Ok(left.then_some(Code::Failed))
}
