//! A finding of the verification, as the report shows it. Words only; nothing here decides or acts.

use crate::act::ActError;
use crate::act::commit::Committed;
use crate::error::{Code, Coded as _, with_causes};
use crate::id::Slug;
use crate::report::{Problem, Verified};

/// What stands in the way of an answer is told with this.
pub(super) const NOTHING_IS_LOST: &str =
    "Nothing is lost: the next dispatch looks for the job before it does anything else.";

impl Verified {
    /// What was found about a project as a whole.
    pub(super) fn of_project(slug: &Slug, finding: &str, detail: impl Into<String>) -> Self {
        Self {
            project: slug.to_string(),
            run: String::new(),
            job: None,
            finding: finding.to_owned(),
            detail: detail.into(),
            files: Vec::new(),
            op: None,
            problem: None,
        }
    }

    /// What was found about one of its runs.
    pub(super) fn of_run(
        slug: &Slug,
        run: impl Into<String>,
        finding: &str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            run: run.into(),
            ..Self::of_project(slug, finding, detail)
        }
    }

    /// That a project, or a run of it, could not be verified.
    pub(super) fn failed(slug: &Slug, error: &ActError) -> Self {
        let finding = match error.code() {
            Code::Locked => "locked",
            _ => "error",
        };
        Self {
            problem: Some(Problem::of(error)),
            ..Self::of_project(slug, finding, with_causes(error))
        }
    }

    /// That it is not known yet what became of a submission.
    pub(super) fn unsettled(slug: &Slug, run: &str, why: String) -> Self {
        let hint = Some(NOTHING_IS_LOST.to_owned());
        Self {
            problem: Some(Problem::new(Code::Unclear, why.clone(), hint)),
            ..Self::of_run(slug, run, "unsettled", why)
        }
    }

    /// Names the job that it is about.
    pub(super) fn of_job(self, job: Option<String>) -> Self {
        Self { job, ..self }
    }

    /// Says what was changed by it.
    pub(super) fn with(self, committed: Committed) -> Self {
        let detail = match committed.warnings.as_slice() {
            [] => self.detail,
            warnings => format!("{} ({})", self.detail, warnings.join("; ")),
        };
        Self {
            files: committed.files,
            op: committed.op.map(|op| op.to_string()),
            detail,
            ..self
        }
    }
}
