//! The circuit breaker of a loop and the checks of a repository, as data and as text.

use ralph_loop::breaker::Circuit;
use ralph_loop::gates::GateReport;
use schemars::JsonSchema;
use serde::Serialize;

use crate::render::{GREEN, RED, SCHEMA_VERSION, paint};

/// `ralph loop --circuit-status --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CircuitReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// `CLOSED`, `HALF_OPEN` or `OPEN`.
    pub(crate) state: String,
    /// Why.
    pub(crate) reason: String,
    /// How often it was opened.
    pub(crate) total_opens: u64,
}

impl CircuitReport {
    /// The report of a circuit.
    pub(crate) fn new(circuit: &Circuit) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            state: circuit.state.to_string(),
            reason: circuit.reason.clone(),
            total_opens: circuit.total_opens,
        }
    }
}

/// The circuit in words.
pub(crate) fn circuit(report: &CircuitReport) -> String {
    let reason = if report.reason.is_empty() {
        String::new()
    } else {
        format!(": {}", report.reason)
    };
    format!(
        "{}{reason} (opened {} times)\n",
        report.state, report.total_opens
    )
}

/// `ralph loop --qg --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChecksReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// Whether all passed; without any they have.
    pub(crate) passed: bool,
    /// Each check and its result.
    pub(crate) checks: Vec<CheckResult>,
}

/// A check that was run.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CheckResult {
    /// Its command line.
    pub(crate) command: String,
    /// What became of it.
    pub(crate) result: String,
    /// Whether it passed.
    pub(crate) passed: bool,
}

impl ChecksReport {
    /// The report of checks.
    pub(crate) fn new(report: &GateReport) -> Self {
        let checks = report.gates.iter().map(|gate| CheckResult {
            command: gate.command.clone(),
            result: gate.to_string(),
            passed: gate.outcome.is_good(),
        });
        Self {
            schema_version: SCHEMA_VERSION,
            passed: report.has_passed(),
            checks: checks.collect(),
        }
    }
}

/// The checks in words.
pub(crate) fn checks(report: &ChecksReport) -> String {
    if report.checks.is_empty() {
        return "no checks found\n".to_owned();
    }
    let lines = report.checks.iter().map(|check| {
        let (style, word) = if check.passed {
            (GREEN, "PASS")
        } else {
            (RED, "FAIL")
        };
        format!(
            "{}: {} ({})\n",
            paint(style, word),
            check.command,
            check.result
        )
    });
    lines.collect()
}
