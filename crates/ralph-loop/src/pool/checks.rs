//! The repository's own checks of one attempt: run, and told to whoever has to know. The record keeps how each ended, the
//! attempt's log what was printed, the next attempt at the task the end of it.
//!
//! What must never be here: what follows from a check.

use std::collections::BTreeMap;
use std::path::Path;

use super::PoolError;
use super::finish::Finishing;
use super::ready;
use super::schedule::Stop;
use super::shop::Shop;
use crate::attempt::AttemptRecord;
use crate::gates::{GateOutcome, GateReport, GateResult, GateRun};
use crate::git::ObjectId;
use crate::log::{AttemptLog, LogError, SEGMENT_BYTES, Source};
use crate::prompt;
use crate::redact::Redactor;

/// Runs the checks; `None` when the loop was told to end everything meanwhile. What fails on the commit that the work is
/// on, which an agent may have gone back to, has failed before.
pub(super) async fn run(
    shop: &Shop,
    attempt: &Finishing,
    base: &ObjectId,
) -> Result<Option<GateReport>, PoolError> {
    let marks = BTreeMap::from([(
        "RALPH_ATTEMPT_ID".to_owned(),
        attempt.record.attempt.to_string(),
    )]);
    let run = GateRun {
        folder: &attempt.assigned.path,
        base: Some(base),
        variables: &marks,
        redactor: &shop.redactor,
        now: shop.env.now(),
    };
    let mut stop = shop.stop.clone();
    tokio::select! {
        report = attempt.site.gates.run(&run, &attempt.site.worktrees) => Ok(Some(report?)),
        Ok(_) = stop.wait_for(|stop| *stop == Stop::Now) => Ok(None),
    }
}

/// How the line of a check begins that fails on the base too.
const FAILED_BEFORE: &str = "FAILED BEFORE";

/// Says how the checks ended. A failure that is not held against this work is one all the same: somebody has to know.
pub(super) fn tell(shop: &Shop, attempt: &mut Finishing, report: &GateReport) {
    let record = &mut attempt.record;
    record.gates = report.lines();
    record.checks = report.gates.iter().map(line).collect();
    record.printed = prompt::printed(failed(report));
    for gate in report.of(&GateOutcome::FailedBefore) {
        let (task, command) = (&record.task.id, &gate.command);
        shop.note(format!(
            "{task}: the check `{command}` {gate}: it does not count against this work"
        ));
    }
    let Some(log) = &record.log else {
        return;
    };
    if let Err(error) = write(&shop.folder.join(log), report, &shop.redactor) {
        let (id, error) = (&record.attempt, ready::words(&error));
        shop.note(format!("{id}: the log is not complete: {error}"));
    }
}

/// What did not pass goes into the attempt's log with the end of its output, which is all that is kept of it.
fn write(path: &Path, report: &GateReport, redactor: &Redactor) -> Result<(), LogError> {
    let shown: Vec<_> = report
        .gates
        .iter()
        .filter(|gate| gate.output.is_some())
        .collect();
    if shown.is_empty() && report.notes.is_empty() {
        return Ok(());
    }
    let mut log = AttemptLog::create(path, SEGMENT_BYTES)?;
    let mut line = |text: &str| log.line(Source::Loop, text, redactor);
    for note in &report.notes {
        line(&format!("before the checks: {note}"))?;
    }
    for gate in shown {
        line(&format!(
            "the check `{}` {gate}; the end of its output:",
            gate.command
        ))?;
        for printed in gate.output.iter().flat_map(|output| output.lines()) {
            line(&format!("| {printed}"))?;
        }
    }
    log.flush()
}

fn failed(report: &GateReport) -> impl Iterator<Item = &GateResult> {
    report.gates.iter().filter(|gate| !gate.outcome.is_good())
}

/// One line per check, in the words of the loop that this one replaces where it has one.
fn line(gate: &GateResult) -> String {
    let word = match gate.outcome {
        GateOutcome::Passed | GateOutcome::Flaky => "PASS",
        GateOutcome::FailedBefore => FAILED_BEFORE,
        GateOutcome::Missing => "SKIP",
        GateOutcome::Failed | GateOutcome::TimedOut | GateOutcome::Unusable => "FAIL",
    };
    format!("{word}: {} ({gate})", gate.command)
}

/// Which checks failed without counting against the work: whoever reads that it is done has to know.
pub(super) fn failed_before(record: &AttemptRecord) -> Option<String> {
    let checks = record.gates.iter().zip(&record.checks);
    let failed = checks.filter(|(_, line)| line.starts_with(FAILED_BEFORE));
    let words: Vec<_> = failed
        .map(|(gate, _)| format!("the check `{}` {}", gate.command, gate.result))
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// Which checks failed, and how.
pub(super) fn words(report: &GateReport) -> String {
    let words: Vec<String> = failed(report)
        .map(|gate| format!("`{}` {gate}", gate.command))
        .collect();
    words.join(", ")
}
