//! The end of one run, as what is known about it and what becomes of it. Both are decided elsewhere.

use crate::classify::Diagnosis;
use crate::job::JobReport;
use crate::pipeline::RunView;

/// Everything that is known about the end of one run.
#[derive(Debug, Clone)]
pub(crate) struct Ending<'a> {
    /// The run.
    pub(crate) run: &'a RunView,
    /// What the scheduler said of its jobs; empty for a run that is lost.
    pub(crate) reports: &'a [JobReport],
    /// What the logs and the scheduler's words amount to.
    pub(crate) diagnosis: &'a Diagnosis,
    /// Local copies of the logs, relative to the project's folder.
    pub(crate) logs: &'a [String],
}

/// What becomes of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consequence {
    /// It succeeded.
    Success,
    /// The item is submitted again by itself.
    Retry,
    /// Noted; other work goes on.
    GoOn,
    /// The project stops in DEBUG.
    Block,
}
