//! `--dependency`: what it says, and whether it is fulfilled. Pure; the words are those of sbatch(1).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::id::{JobId, JobPart};
use crate::job::{Finality, JobReport, JobState};

/// One condition on another job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Condition {
    /// It has started, or was cancelled.
    After(JobId),
    /// It has ended.
    AfterAny(JobId),
    /// It has completed.
    AfterOk(JobId),
    /// It has ended otherwise.
    AfterNotOk(JobId),
    /// No earlier job of the same name is alive.
    Singleton,
}

impl Condition {
    /// The job it is about.
    pub(super) fn job(self) -> Option<JobId> {
        match self {
            Self::After(job) | Self::AfterAny(job) | Self::AfterOk(job) | Self::AfterNotOk(job) => {
                Some(job)
            }
            Self::Singleton => None,
        }
    }

    /// Whether it holds; `None` while that is open. A job that nobody knows any more leaves it open.
    fn holds(self, jobs: &BTreeMap<JobId, Progress>) -> Option<bool> {
        let progress = *jobs.get(&self.job()?)?;
        match (self, progress) {
            (Self::After(_), Progress::Waiting) => None,
            (Self::After(_), _) => Some(true),
            (_, Progress::Waiting | Progress::Started) => None,
            (Self::AfterOk(_), ended) => Some(ended == Progress::Completed),
            (Self::AfterNotOk(_), ended) => Some(ended == Progress::Failed),
            (Self::AfterAny(_) | Self::Singleton, _) => Some(true),
        }
    }
}

/// All groups have to be fulfilled, each by one of its conditions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Dependency(pub(super) Vec<Vec<Condition>>);

/// How far another job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Waiting,
    Started,
    Completed,
    Failed,
}

impl Progress {
    pub(super) fn of(report: &JobReport) -> Self {
        match (report.finality(), report.verdict()) {
            (Finality::Alive, _) if report.started.is_some() => Self::Started,
            (Finality::Alive, _) => Self::Waiting,
            (_, JobState::Completed) => Self::Completed,
            _ => Self::Failed,
        }
    }
}

/// What follows from how far the others are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    Ready,
    Waiting,
    Never,
}

impl Dependency {
    /// Reads the value of `--dependency`: conditions separated by `,` (all) or `?` (any).
    ///
    /// # Errors
    /// What is wrong with it, as a fragment for a message.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let any = text.contains('?');
        if any && text.contains(',') {
            return Err(format!(
                "`{text}` mixes `,` (all) and `?` (any): use one of them"
            ));
        }
        let mut conditions = Vec::new();
        for part in text.split([',', '?']) {
            conditions.extend(conditions_of(part.trim())?);
        }
        Ok(Self(if any {
            vec![conditions]
        } else {
            conditions.into_iter().map(|one| vec![one]).collect()
        }))
    }

    /// Adds jobs that must have completed.
    pub(super) fn and_after_ok(&mut self, jobs: &[JobId]) {
        self.0
            .extend(jobs.iter().map(|job| vec![Condition::AfterOk(*job)]));
    }

    /// The same with [`Condition::Singleton`] spelt out.
    pub(super) fn with_singleton(self, earlier: &[JobId]) -> Self {
        let mut groups = Vec::new();
        for group in self.0 {
            if group.contains(&Condition::Singleton) {
                groups.extend(earlier.iter().map(|job| vec![Condition::AfterAny(*job)]));
            } else {
                groups.push(group);
            }
        }
        Self(groups)
    }

    pub(super) fn conditions(&self) -> impl Iterator<Item = Condition> {
        self.0.iter().flatten().copied()
    }

    /// The jobs it is about.
    pub(super) fn jobs(&self) -> BTreeSet<JobId> {
        self.conditions().filter_map(Condition::job).collect()
    }

    pub(super) fn judge(&self, jobs: &BTreeMap<JobId, Progress>) -> Judgement {
        let mut judgement = Judgement::Ready;
        for group in &self.0 {
            let holds: Vec<Option<bool>> = group.iter().map(|one| one.holds(jobs)).collect();
            if holds.contains(&Some(true)) {
                continue;
            }
            if !holds.contains(&None) {
                return Judgement::Never;
            }
            judgement = Judgement::Waiting;
        }
        judgement
    }
}

/// `afterok:1001:1002`, or `singleton`.
fn conditions_of(part: &str) -> Result<Vec<Condition>, String> {
    let (kind, ids) = match part.split_once(':') {
        Some((kind, ids)) => (kind, ids),
        None if part.eq_ignore_ascii_case("singleton") => return Ok(vec![Condition::Singleton]),
        // Ids alone mean `afterany`, as an old SLURM read them.
        None => ("afterany", part),
    };
    let make: fn(JobId) -> Condition = match kind.to_ascii_lowercase().as_str() {
        "after" => Condition::After,
        "afterany" => Condition::AfterAny,
        "afterok" => Condition::AfterOk,
        "afternotok" => Condition::AfterNotOk,
        _ => {
            return Err(format!(
                "`{kind}` is none of after, afterany, afterok, afternotok and singleton, which the embedded cluster offers"
            ));
        }
    };
    ids.split(':')
        .map(|id| match id.parse::<JobId>() {
            // `id+minutes` is a delay, which is not offered; there are no components here.
            Ok(job) if !matches!(job.part(), JobPart::Component(_)) => Ok(make(job)),
            _ => Err(format!("`{id}` in `{part}` is not a job id")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judge(text: &str, progress: &[(u64, Progress)]) -> Judgement {
        let jobs = progress
            .iter()
            .map(|(id, progress)| (JobId::whole(*id).unwrap(), *progress))
            .collect();
        Dependency::parse(text).unwrap().judge(&jobs)
    }

    #[test]
    fn each_condition_at_each_point() {
        use Judgement::{Never, Ready, Waiting};
        use Progress::{Completed, Failed, Started};
        let all = [Progress::Waiting, Started, Completed, Failed];
        for (kind, expected) in [
            ("after", [Waiting, Ready, Ready, Ready]),
            ("afterany", [Waiting, Waiting, Ready, Ready]),
            ("afterok", [Waiting, Waiting, Ready, Never]),
            ("afternotok", [Waiting, Waiting, Never, Ready]),
        ] {
            let found = all.map(|progress| judge(&format!("{kind}:7"), &[(7, progress)]));
            assert_eq!(found, expected, "{kind}");
        }
    }

    #[test]
    fn all_and_any() {
        use Progress::{Completed, Failed, Started};
        let jobs = [(1, Completed), (2, Failed), (3, Started)];
        assert_eq!(judge("afterok:1:3", &jobs), Judgement::Waiting);
        assert_eq!(judge("afterok:3,afterok:2", &jobs), Judgement::Never);
        assert_eq!(judge("afterok:2?afterok:1", &jobs), Judgement::Ready);
        assert_eq!(judge("afterok:2?afterok:3", &jobs), Judgement::Waiting);
        assert_eq!(judge("afterok:2?afternotok:1", &jobs), Judgement::Never);
        assert_eq!(judge("1,afternotok:2", &jobs), Judgement::Ready);
    }

    #[test]
    fn singleton_waits_for_every_earlier_one() {
        let earlier = [1, 2].map(|id| JobId::whole(id).unwrap());
        let dependency = Dependency::parse("singleton").unwrap();
        assert_eq!(
            dependency
                .clone()
                .with_singleton(&[])
                .judge(&BTreeMap::new()),
            Judgement::Ready
        );
        let spelt = dependency.with_singleton(&earlier);
        assert_eq!(spelt, Dependency::parse("afterany:1,afterany:2").unwrap());
    }

    #[test]
    fn what_is_not_offered_is_named() {
        for bad in ["aftercorr:1", "afterok:", "afterok:x", "1,2?3", "after:1+5"] {
            let error = Dependency::parse(bad).unwrap_err();
            assert!(error.contains('`'), "{bad}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-z:,?0-9_+ ]{0,60}") {
            let _ = Dependency::parse(&text);
        }
    }
}
