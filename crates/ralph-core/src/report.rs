//! What a dispatch did, as data: versioned, serialisable, the same for people and programs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::Code;
use crate::order::WorkOrder;
use crate::time::Timestamp;

/// Version of the shape of [`DispatchReport`].
pub const SCHEMA_VERSION: u32 = 1;

/// One dispatch, or one verification. What failed in one project stands in here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DispatchReport {
    /// Version of this shape.
    pub schema_version: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Whether nothing was changed on purpose.
    pub dry_run: bool,
    /// How many projects were chosen.
    #[serde(default)]
    pub projects: usize,
    /// Why the cluster could not be asked, if it could not.
    pub cluster_problem: Option<Problem>,
    /// Verification: runs and submissions about which something is to be said.
    pub verified: Vec<Verified>,
    /// How many live runs were asked about and found as they were said to be.
    pub runs_confirmed: usize,
    /// The steps, in the order in which they were taken.
    pub steps: Vec<StepReport>,
    /// The projects without a step, each with its reason.
    pub passed_over: Vec<PassedReport>,
    /// When something becomes due by itself.
    pub next_due: Option<Timestamp>,
}

/// An error as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// Stable name of the class.
    pub code: String,
    /// The exit code that belongs to it.
    pub exit_code: u8,
    /// What happened.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem of this class.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>, hint: Option<String>) -> Self {
        Self {
            code: code.name().to_owned(),
            exit_code: code.exit_code(),
            message: message.into(),
            hint,
        }
    }

    /// The problem that an error stands for.
    #[must_use]
    pub fn of(error: &impl crate::error::Coded) -> Self {
        Self::new(
            error.code(),
            crate::error::with_causes(error),
            error.hint().map(|hint| hint.0),
        )
    }
}

/// One finding of the verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verified {
    /// The project.
    pub project: String,
    /// The run.
    pub run: String,
    /// Its job.
    pub job: Option<String>,
    /// `completed`, `failed`, `alive`, `unconfirmed`, `lost`, `adopted`, …
    pub finding: String,
    /// One sentence.
    pub detail: String,
    /// Files that changed, relative to the project's folder.
    pub files: Vec<String>,
    /// The operation that changed them.
    pub op: Option<String>,
    /// Why the change could not be made.
    pub problem: Option<Problem>,
}

/// The step that one project took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StepReport {
    /// The project.
    pub project: String,
    /// `submit`, `poll`, `check`, `test`, `implement`, `debug`, `debate`, `advance`.
    pub step: String,
    /// Why this step.
    pub because: String,
    /// What came of it, in one sentence; in a dry run, what would be done.
    pub outcome: String,
    /// The phase before.
    pub phase_before: String,
    /// The phase after.
    pub phase_after: String,
    /// The job that was submitted.
    pub job: Option<String>,
    /// The work order that was handed to the caller, to be done by a person or an agent; it stands until its project says
    /// that it is done, and is handed out again by each dispatch.
    pub order: Option<WorkOrder>,
    /// Files that changed, relative to the project's folder.
    pub files: Vec<String>,
    /// The operation that changed them.
    pub op: Option<String>,
    /// Documents that were left out, with the reason.
    pub warnings: Vec<String>,
    /// Why the step failed.
    pub problem: Option<Problem>,
}

/// A project without a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PassedReport {
    /// The project.
    pub project: String,
    /// `unreadable`, `needs_input`, `waiting`, `cluster_unreachable`, `external`, `nothing`, `batch_full`, `not_selected`.
    pub because: String,
    /// In one sentence.
    pub reason: String,
    /// When something becomes due by itself.
    pub next_due: Option<Timestamp>,
}

impl DispatchReport {
    /// The exit code: what failed, then what waits for a person; nothing to do is success. A project that was not
    /// chosen counts neither as failed nor as handled.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        let steps = self.steps.iter();
        let steps = steps.filter_map(|step| Some((&step.project, step.problem.as_ref()?)));
        let found = self.verified.iter();
        let found = found.filter_map(|found| Some((&found.project, found.problem.as_ref()?)));
        let (failed, failures): (BTreeSet<&String>, Vec<u8>) = steps
            .chain(found)
            .map(|(project, problem)| (project, problem.exit_code))
            .unzip();
        let unreadable = self.passed("unreadable");
        let not_handled = unreadable + self.passed("cluster_unreachable") + failed.len();
        let handled =
            self.steps.iter().any(|step| step.problem.is_none()) || self.projects > not_handled;
        match failures.first() {
            None if unreadable == 0 => self.waiting_code(),
            None if !handled => Some(Code::CorruptState),
            Some(first) if unreadable == 0 && !handled && failures.iter().all(|c| c == first) => {
                Some(code(*first))
            }
            _ => Some(Code::Partial),
        }
    }

    fn waiting_code(&self) -> Option<Code> {
        if let Some(problem) = &self.cluster_problem {
            let went_on = !self.steps.is_empty();
            return Some(if went_on {
                Code::Partial
            } else {
                code(problem.exit_code)
            });
        }
        let waits = self.passed("needs_input");
        let idle = self.passed("nothing") + self.passed("not_selected") + self.passed("external");
        let all_wait = self.steps.is_empty() && waits > 0 && waits + idle == self.passed_over.len();
        all_wait.then_some(Code::NeedsUser)
    }

    fn passed(&self, because: &str) -> usize {
        self.passed_over
            .iter()
            .filter(|passed| passed.because == because)
            .count()
    }

    /// Whether a further dispatch would take a step at once.
    #[must_use]
    pub fn took_a_step(&self) -> bool {
        self.steps
            .iter()
            .any(|step| step.problem.is_none() && step.order.is_none())
    }
}

fn code(exit_code: u8) -> Code {
    let mut all = Code::ALL.into_iter();
    all.find(|code| code.exit_code() == exit_code)
        .unwrap_or(Code::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report of steps (`ok`, an exit code, or `order`) and of projects without one.
    fn code(steps: &[&str], passed: &[&str], cluster: Option<Code>) -> u8 {
        let problem = |code: Code| Problem::new(code, "it", None);
        let step = |(index, word): (usize, &&str)| StepReport {
            project: format!("p{index}"),
            step: "submit".to_owned(),
            because: String::new(),
            outcome: String::new(),
            phase_before: String::new(),
            phase_after: String::new(),
            job: None,
            order: None,
            files: Vec::new(),
            op: None,
            warnings: Vec::new(),
            problem: word.parse().ok().map(super::code).map(problem),
        };
        let without_step = |because: &&str| PassedReport {
            project: "q".to_owned(),
            because: (*because).to_owned(),
            reason: String::new(),
            next_due: None,
        };
        let report = DispatchReport {
            schema_version: SCHEMA_VERSION,
            started_at: Timestamp::UNIX_EPOCH,
            finished_at: Timestamp::UNIX_EPOCH,
            dry_run: false,
            projects: steps.len() + passed.iter().filter(|why| **why != "not_selected").count(),
            cluster_problem: cluster.map(problem),
            verified: Vec::new(),
            runs_confirmed: 0,
            steps: steps.iter().enumerate().map(step).collect(),
            passed_over: passed.iter().map(without_step).collect(),
            next_due: None,
        };
        report.code().map_or(0, Code::exit_code)
    }

    /// A verification takes no steps and passes nothing over but what it cannot read.
    #[test]
    fn a_verification_is_partial_when_other_projects_were_looked_at() {
        let report = |projects, unreadable: usize| {
            let mut report: DispatchReport = serde_json::from_value(serde_json::json!({
                "schema_version": 1, "started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:00:00Z",
                "dry_run": false, "cluster_problem": null, "verified": [], "runs_confirmed": 0, "steps": [],
                "passed_over": [], "next_due": null,
            }))
            .unwrap();
            report.projects = projects;
            report.passed_over = vec![
                PassedReport {
                    project: "q".to_owned(),
                    because: "unreadable".to_owned(),
                    reason: String::new(),
                    next_due: None,
                };
                unreadable
            ];
            report.code().map_or(0, Code::exit_code)
        };
        assert_eq!([report(2, 0), report(2, 1), report(2, 2)], [0, 3, 11]);
    }

    #[test]
    fn the_exit_code_says_what_failed_then_who_is_waited_for() {
        assert_eq!(code(&[], &[], None), 0);
        assert_eq!(code(&["ok"], &["waiting", "nothing"], None), 0);
        assert_eq!(code(&["24"], &[], None), 24);
        assert_eq!(code(&["24"], &["not_selected"], None), 24);
        assert_eq!(code(&["24", "24"], &[], None), 24);
        assert_eq!(code(&["24", "10"], &[], None), 3);
        assert_eq!(code(&["24", "ok"], &[], None), 3);
        assert_eq!(code(&["24"], &["waiting"], None), 3);
        assert_eq!(code(&[], &["unreadable"], None), 11);
        assert_eq!(code(&["ok"], &["unreadable"], None), 3);
        assert_eq!(code(&[], &["needs_input", "nothing", "external"], None), 5);
        assert_eq!(code(&[], &["needs_input", "waiting"], None), 0);
        assert_eq!(code(&["ok"], &["needs_input"], None), 0);
        let gone = Some(Code::Unreachable);
        assert_eq!(code(&[], &["cluster_unreachable"], gone), 23);
        assert_eq!(code(&["ok"], &["cluster_unreachable"], gone), 3);
        assert_eq!(code(&[], &["needs_input"], Some(Code::NoSession)), 21);
    }
}
