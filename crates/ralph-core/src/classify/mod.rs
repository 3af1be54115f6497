//! Why a job failed: one class, its evidence, and what may be done about it.
//!
//! Accounting decides the state and logs only explain, because most killed jobs leave no line at all; so the
//! scheduler's evidence outranks everything a program prints (incident 64), and what nothing explains stays
//! unknown (incident 60). The order of precedence is section F of the field study, as `class::Rank`.
//!
//! Pure and bounded: the same case gives the same diagnosis, any bytes are a log, the work is linear in what
//! [`LogText`] keeps. Nothing here fetches a log, changes a state or decides about a retry; it only suggests.

mod accounting;
mod aftermath;
mod class;
mod evidence;
mod exceptions;
mod explain;
mod last_error;
mod log;
mod python;
mod signatures;
mod texts;
mod texts_of_machines;
mod traceback;

#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod field_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod written_tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use class::{FailureClass, RetryPolicy, Scope};
pub use log::{HEAD_BYTES, Line, LogText, TAIL_BYTES};

use crate::backend::Stream;
use crate::job::{ExitInfo, JobReport, JobState};
use class::Rank;
use evidence::{Candidate, Evidence, Success};

/// Everything that is known about an ended job. What is not known is left out; text alone is a case too.
#[derive(Debug, Clone, Copy, Default)]
pub struct Case<'a> {
    /// The state that accounting reports.
    pub state: Option<&'a JobState>,
    /// How it ended.
    pub exit: Option<ExitInfo>,
    /// How long it ran.
    pub elapsed: Option<Duration>,
    /// The scheduler's word for why it ended.
    pub reason: Option<&'a str>,
    /// The user who cancelled it.
    pub cancelled_by: Option<u32>,
    /// The nodes it ran on, as the scheduler prints them.
    pub nodes: Option<&'a str>,
    /// The logs that exist; a log file that was never created is left out.
    pub logs: &'a [LogText],
    /// Files that a success leaves behind and that are not there.
    pub missing_artifacts: &'a [String],
}

impl<'a> Case<'a> {
    /// The case of a job that the cluster reported.
    #[must_use]
    pub fn of(report: &'a JobReport, logs: &'a [LogText], missing_artifacts: &'a [String]) -> Self {
        let elapsed = report
            .started
            .zip(report.ended)
            .map(|(started, ended)| crate::time::elapsed(started, ended));
        Self {
            state: Some(&report.state),
            exit: report.exit,
            elapsed,
            reason: report.reason.as_deref(),
            cancelled_by: report.cancelled_by,
            nodes: report.nodes.as_deref(),
            logs,
            missing_artifacts,
        }
    }
}

/// The line that decided; where nothing did, the last that looks like an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyLine {
    /// The line without terminal codes; of a long line the part around the deciding text.
    pub text: String,
    /// The log's path, as given.
    pub path: String,
    /// The line's number, from one, as an editor counts.
    pub line: usize,
    /// Whether `line` counts from the start of the file; else from the first line that was read of its end.
    pub exact: bool,
    /// Which of the job's logs.
    pub stream: Stream,
}

/// One piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// The class it speaks for.
    pub class: FailureClass,
    /// Where it stands.
    pub key: KeyLine,
}

/// The result of [`classify`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// The class.
    pub class: FailureClass,
    /// For [`FailureClass::FalseSuccess`]: what failed.
    pub inner: Option<FailureClass>,
    /// Who or what has to change.
    pub scope: Scope,
    /// What may happen without asking.
    pub retry: RetryPolicy,
    /// The line that decided, where a line did; of an unknown end the last line that looks like an error.
    pub key: Option<KeyLine>,
    /// File and line of the innermost frame of the user's own code in the deciding traceback.
    pub source_location: Option<(String, usize)>,
    /// All evidence, in the order of precedence.
    pub matches: Vec<Match>,
    /// The last lines of the log that says most.
    pub tail: Vec<String>,
    /// Whether the job reported success and something speaks against it.
    pub suspicious: bool,
    /// One line for the `error` of a run.
    pub summary: String,
    /// The cause in one to three sentences; what is only a guess says so (incident 74).
    pub cause: String,
    /// What to do next, in one or two sentences.
    pub advice: String,
}

impl Diagnosis {
    /// The class's name, and for a false success what failed: `false_success:py_exception`.
    #[must_use]
    pub fn label(&self) -> String {
        match self.inner {
            Some(inner) => format!("{}:{inner}", self.class),
            None => self.class.name().to_owned(),
        }
    }
}

/// Says why a job ended as it did.
#[must_use]
pub fn classify(case: &Case<'_>) -> Diagnosis {
    let evidence = Evidence::gather(case);
    let decisive = decide(case, &evidence);
    let (class, inner) = match (&decisive, evidence.success) {
        (Some(found), Success::Reported) => (FailureClass::FalseSuccess, Some(found.class)),
        (Some(found), Success::Claimed) if found.rank > Rank::Scheduler && evidence.raised() => {
            (FailureClass::FalseSuccess, Some(found.class))
        }
        (Some(found), _) => (found.class, None),
        (None, Success::No) => (FailureClass::Unknown, None),
        (None, _) if !case.missing_artifacts.is_empty() => (
            FailureClass::FalseSuccess,
            Some(FailureClass::MissingArtifact),
        ),
        (None, _) => (FailureClass::NoFailure, None),
    };
    explain::diagnosis(case, &evidence, decisive.as_ref(), class, inner)
}

/// The first decisive evidence in the order of precedence.
fn decide(case: &Case<'_>, evidence: &Evidence<'_>) -> Option<Candidate> {
    if evidence.success == Success::Reported {
        return evidence.first(Rank::Submission);
    }
    accounting::by_state(case)
        .map(|class| evidence.of_class(class))
        .or_else(|| evidence.first_of(Rank::Scheduler))
        .or_else(|| accounting::by_exit(case.exit).map(|class| evidence.of_class(class)))
        .or_else(|| evidence.first(Rank::Submission))
        .or_else(|| {
            accounting::died_before_script(case)
                .then(|| Candidate::bare(FailureClass::DiedBeforeScript))
        })
        .or_else(|| {
            // A shell with `pipefail` hands on the code of a program whose reader had read enough: the next attempt
            // ends alike. Only a signal that ended the job itself came from outside.
            let class = accounting::by_exit_alone(case.exit)?;
            let mut found = Candidate::bare(class);
            found.doubted = case.exit.is_some_and(|exit| exit.signal == 0);
            Some(found)
        })
        .or_else(|| {
            let warning = evidence.first_warning();
            warning.filter(|_| evidence.last_error().is_none())
        })
}
