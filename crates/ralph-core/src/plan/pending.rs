//! Why a job waits, and whether anybody has to do something about it: the scheduler's words, and what follows from them.
//!
//! Only what never changes by itself is told as such. A limit that is full, a licence that is out, a node that is down and a
//! partition that is closed are over some day, and nobody is called for them.

use crate::job::{Finality, JobReport, JobState};

/// What keeps a job from ever starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Obstacle {
    /// It is held, and its owner may release it.
    Held,
    /// It is held, and only who runs the cluster may release it.
    HeldByAdmin,
    /// It asks for what it will not get; the same job can only be taken back.
    Impossible,
    /// It may not run where it is to run; who runs the cluster may change that.
    NotAllowed,
}

/// The scheduler's words (`job_reason_codes` of SLURM's documentation, and the sentences that stand in their place), in
/// lower case and without blanks, `_` and `-`.
const OBSTACLES: &[(&str, Obstacle)] = &[
    ("jobhelduser", Obstacle::Held),
    ("launchfailedrequeuedheld", Obstacle::Held),
    ("jobrequeuedinheldstate", Obstacle::Held),
    ("jobholdmaxrequeue", Obstacle::Held),
    ("reservationdeleted", Obstacle::Held),
    ("jobheldadmin", Obstacle::HeldByAdmin),
    ("dependencyneversatisfied", Obstacle::Impossible),
    ("badconstraints", Obstacle::Impossible),
    ("partitiontimelimit", Obstacle::Impossible),
    ("maxmemperlimit", Obstacle::Impossible),
    ("invalidaccount", Obstacle::NotAllowed),
    ("invalidqos", Obstacle::NotAllowed),
    ("accountnotallowed", Obstacle::NotAllowed),
    ("qosnotallowed", Obstacle::NotAllowed),
];

impl Obstacle {
    /// By the start of the word: a remark may follow it.
    fn of_reason(reason: &str) -> Option<Self> {
        let word: String = reason
            .chars()
            .filter(|c| !matches!(c, ' ' | '_' | '-'))
            .flat_map(char::to_lowercase)
            .collect();
        let named = OBSTACLES.iter().find(|(name, _)| word.starts_with(name));
        // What one job may have, other than what all jobs of somebody may have together, does not become free.
        let of_one_job = word.starts_with("qosmin")
            || (word.starts_with("qosmax") || word.starts_with("assocmax"))
                && word.contains("perjob");
        named
            .map(|(_, obstacle)| *obstacle)
            .or_else(|| of_one_job.then_some(Self::Impossible))
    }

    fn of(report: &JobReport) -> Option<Self> {
        match report.state {
            JobState::RequeueHold | JobState::SpecialExit | JobState::ResvDelHold => {
                Some(Self::Held)
            }
            JobState::Pending => Self::of_reason(report.reason.as_deref()?),
            _ => None,
        }
    }

    fn what_to_do(self, job: &str, run: &str) -> String {
        let give_up = format!("take it back with `ralph cancel {run}`");
        match self {
            Self::Held => format!(
                "it is held; release it with `scontrol release {job}` on the cluster, or {give_up}"
            ),
            Self::HeldByAdmin => {
                format!(
                    "the cluster's administrators hold it; ask them to release it, or {give_up}"
                )
            }
            Self::Impossible => format!(
                "it can never start as it is; {give_up}, mend its script and queue it again"
            ),
            Self::NotAllowed => format!(
                "it may not run with its account, partition and QOS; ask the cluster's administrators, or {give_up}"
            ),
        }
    }
}

/// What a person has to do about a job that will not start by itself, in the scheduler's word and ours; `None` for one that
/// runs, waits its turn, or of which a part does.
#[must_use]
pub fn stuck(report: &JobReport, run: &str) -> Option<String> {
    let parts = match report.tasks.as_slice() {
        [] => std::slice::from_ref(report),
        tasks => tasks,
    };
    let alive = || {
        parts
            .iter()
            .filter(|part| part.finality() == Finality::Alive)
    };
    let (part, obstacle) = alive().find_map(|part| Some((part, Obstacle::of(part)?)))?;
    if !alive().all(|part| Obstacle::of(part).is_some()) {
        return None;
    }
    let job = report.job.to_string();
    let reason = part.reason.as_deref().unwrap_or(part.state.as_str());
    let what = obstacle.what_to_do(&job, run);
    Some(format!("job {job} waits for somebody ({reason}): {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::JobId;
    use crate::job::Evidence;
    use crate::time::Timestamp;

    fn report(job: &str, state: &str, reason: &str) -> JobReport {
        let evidence = Evidence {
            source: "test".to_owned(),
            line: String::new(),
            at: Timestamp::UNIX_EPOCH,
        };
        let job: JobId = job.parse().unwrap();
        JobReport {
            reason: Some(reason.to_owned()).filter(|reason| !reason.is_empty()),
            ..JobReport::new(job, JobState::parse(state), evidence)
        }
    }

    #[test]
    fn what_only_a_person_can_resolve_is_told_and_nothing_else() {
        let told = |state: &str, reason: &str| stuck(&report("7", state, reason), "r1");
        for (reason, expected) in [
            ("JobHeldUser", "scontrol release 7"),
            ("launch failed requeued held", "scontrol release 7"),
            ("launch_failed_requeued_held", "scontrol release 7"),
            ("job requeued in held state", "scontrol release 7"),
            ("JobHoldMaxRequeue", "scontrol release 7"),
            ("JobHeldAdmin", "ask them"),
            ("DependencyNeverSatisfied", "never start"),
            ("BadConstraints", "never start"),
            ("PartitionTimeLimit", "never start"),
            ("QOSMaxWallDurationPerJobLimit", "never start"),
            ("AssocMaxCpuPerJobLimit", "never start"),
            ("QOSMinGRES", "never start"),
            ("InvalidAccount", "administrators"),
        ] {
            let told = told("PENDING", reason).unwrap_or_default();
            let named = told.starts_with(&format!("job 7 waits for somebody ({reason}): "));
            assert!(named && told.contains(expected), "{reason}: {told}");
            assert!(told.contains("`ralph cancel r1`"), "{told}");
        }
        for reason in [
            "",
            "None",
            "Priority",
            "Resources",
            "Dependency",
            "BeginTime",
            "Licenses",
            "ReqNodeNotAvail",
            "ReqNodeNotAvail, UnavailableNodes:cpu01",
            "QOSMaxJobsPerUserLimit",
            "QOSMaxCpuPerUserLimit",
            "QOSGrpCpuLimit",
            "AssocGrpCpuLimit",
            "AssocGrpCPUMinutesLimit",
            "AssocMaxJobsLimit",
            "PartitionDown",
            "PartitionNodeLimit",
            "JobArrayTaskLimit",
            "NodeDown",
            "Reservation",
            "something new",
        ] {
            assert_eq!(told("PENDING", reason), None, "{reason}");
        }
        assert_eq!(told("RUNNING", "JobHeldUser"), None);
        assert_eq!(told("CANCELLED", "DependencyNeverSatisfied"), None);
        let held = told("SPECIAL_EXIT", "").unwrap_or_default();
        assert!(
            held.contains("(SPECIAL_EXIT)") && held.contains("release 7"),
            "{held}"
        );
    }

    #[test]
    fn an_array_is_stuck_when_all_that_is_left_of_it_is() {
        let with = |tasks: &[(&str, &str)]| {
            let tasks = tasks.iter().enumerate();
            let tasks =
                tasks.map(|(index, (state, reason))| report(&format!("7_{index}"), state, reason));
            JobReport {
                tasks: tasks.collect(),
                ..report("7", "PENDING", "JobHeldUser")
            }
        };
        let is_stuck = |tasks: &[(&str, &str)]| stuck(&with(tasks), "r1").is_some();
        assert!(is_stuck(&[("COMPLETED", ""), ("PENDING", "JobHeldUser")]));
        assert!(!is_stuck(&[("RUNNING", ""), ("PENDING", "JobHeldUser")]));
        assert!(!is_stuck(&[
            ("PENDING", "JobArrayTaskLimit"),
            ("PENDING", "JobHeldUser")
        ]));
        assert!(!is_stuck(&[("COMPLETED", ""), ("FAILED", "")]));
    }
}
