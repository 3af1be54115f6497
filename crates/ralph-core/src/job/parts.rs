//! The parts of a job: tasks of an array, components of a heterogeneous job, as a run's record keeps them.

use crate::id::{JobId, JobPart};
use crate::sbatch::{self, ArraySpec};

/// The parts of a job that ralph did not submit, as they were seen when it was adopted: `job_tasks` of an array,
/// `job_components` of a heterogeneous job, each written like `--array` (sbatch(1)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobParts {
    /// The tasks of an array.
    Tasks(ArraySpec),
    /// The components of a heterogeneous job.
    Components(ArraySpec),
}

impl JobParts {
    /// What is to be remembered of these parts; nothing of a job without any.
    #[must_use]
    pub fn seen(parts: &[JobId]) -> Option<Self> {
        let (mut tasks, mut components) = (Vec::new(), Vec::new());
        for part in parts {
            match part.part() {
                JobPart::Task(index) => tasks.push(index),
                JobPart::Component(index) => components.push(index),
                JobPart::Whole => {}
            }
        }
        if !components.is_empty() {
            return Some(Self::Components(ArraySpec::of(components)));
        }
        (!tasks.is_empty()).then(|| Self::Tasks(ArraySpec::of(tasks)))
    }

    /// The member of a run's record that holds them, and its value.
    #[must_use]
    pub fn member(&self) -> (&'static str, String) {
        match self {
            Self::Tasks(spec) => ("job_tasks", spec.to_string()),
            Self::Components(spec) => ("job_components", spec.to_string()),
        }
    }

    /// What cannot be read is as good as not written: the queue and accounting are asked in any case.
    pub(crate) fn read(tasks: Option<&str>, components: Option<&str>) -> Option<Self> {
        let spec = |text: Option<&str>| sbatch::array(text?).ok();
        let components = spec(components).map(Self::Components);
        components.or_else(|| spec(tasks).map(Self::Tasks))
    }

    /// These parts of a job.
    #[must_use]
    pub fn of(&self, job: JobId) -> Vec<JobId> {
        match self {
            Self::Tasks(spec) => spec.indices.iter().map(|index| job.task(*index)).collect(),
            Self::Components(spec) => {
                let indices = spec.indices.iter();
                indices.map(|index| job.component(*index)).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_kept_as_they_were_seen() {
        let job: JobId = "7".parse().unwrap();
        for (parts, member) in [
            (vec![], None),
            (vec![job], None),
            (
                vec![job.component(0), job.component(1)],
                Some(("job_components", "0-1")),
            ),
            (
                [9, 4, 5, 6, 11].map(|index| job.task(index)).to_vec(),
                Some(("job_tasks", "4-6,9,11")),
            ),
        ] {
            let seen = JobParts::seen(&parts);
            let written = seen.as_ref().map(JobParts::member);
            assert_eq!(
                written.as_ref().map(|(key, text)| (*key, text.as_str())),
                member
            );
            let Some((key, text)) = written else { continue };
            let at = |wanted: &str| (key == wanted).then_some(text.as_str());
            let read = JobParts::read(at("job_tasks"), at("job_components"));
            assert_eq!(read, seen);
            let mut sorted = parts;
            sorted.sort();
            assert_eq!(read.unwrap().of(job), sorted);
        }
        assert_eq!(JobParts::read(Some("all of them"), Some("")), None);
    }
}
