//! What becomes of a submission: the rules of a scenario. The first that applies decides; nothing is drawn here.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::course::JobScript;
use super::fault::Fault;
use crate::backend::SubmitRequest;

/// What becomes of the submissions that it applies to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// How the project's name starts; `None` for any.
    pub project: Option<String>,
    /// How the script's path in the project starts; `None` for any.
    pub script: Option<String>,
    /// How the run's id starts; `None` for any.
    pub run: Option<String>,
    /// How many jobs it is for, so that a second attempt can go another way; `None` for any number.
    pub times: Option<u32>,
    /// The job.
    pub job: JobScript,
    /// What hits the submissions themselves, one each. A refused one uses up a fault, but no time.
    pub faults: VecDeque<Fault>,
}

impl Rule {
    /// A rule for every submission.
    #[must_use]
    pub fn any(job: JobScript) -> Self {
        Self {
            job,
            ..Self::default()
        }
    }

    pub(super) fn applies_to(&self, request: &SubmitRequest) -> bool {
        let starts = |text: &str, prefix: &Option<String>| {
            prefix
                .as_ref()
                .is_none_or(|prefix| text.starts_with(prefix))
        };
        self.times != Some(0)
            && starts(request.project.as_str(), &self.project)
            && starts(&request.script_path, &self.script)
            && starts(request.run.as_str(), &self.run)
    }

    pub(super) fn spend(&mut self) {
        self.times = self.times.map(|left| left.saturating_sub(1));
    }
}
