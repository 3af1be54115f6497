//! What the scheduler's record of a job says by itself: its state, its reason and its exit code.
//!
//! Nothing here reads a log. The exit code `0:0` proves nothing, and a code that has several causes names all of
//! them (incidents 59 and 60).

use super::Case;
use super::class::FailureClass;
use crate::job::{ExitInfo, JobState};

/// The longest time in which a job may have died before its script started.
const DIED_AT_ONCE_SECONDS: u64 = 10;
/// SLURM's signal number for a job that could not be started.
const NOT_STARTED: i32 = 53;
/// SLURM's signal number for a job that ran out of memory.
const OUT_OF_MEMORY: i32 = 125;

/// The scheduler's words for why a job waits or ended; compared without case, by their start.
const REASONS: &[(&str, FailureClass)] = &[
    ("DependencyNeverSatisfied", FailureClass::DependencyDead),
    ("Dependency", FailureClass::DependencyDead),
    ("TimeLimit", FailureClass::SlurmTimeout),
    ("OutOfMemory", FailureClass::HostOomKill),
    ("NodeDown", FailureClass::NodeFailure),
    ("NodeFail", FailureClass::NodeFailure),
    ("JobLaunchFailure", FailureClass::NodeFailure),
    ("QOSMax", FailureClass::SchedulerLimit),
    ("QOSGrp", FailureClass::SchedulerLimit),
    ("AssocMax", FailureClass::SchedulerLimit),
    ("AssocGrp", FailureClass::SchedulerLimit),
    ("InvalidAccount", FailureClass::AccountPartition),
    ("InvalidQOS", FailureClass::AccountPartition),
];

/// The class that the state or the reason decides; `None` for success, for plain failure and for no record.
pub(super) fn by_state(case: &Case<'_>) -> Option<FailureClass> {
    let reason = || {
        let word = case.reason?.trim();
        let known = |name: &str| {
            word.get(..name.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(name))
        };
        REASONS
            .iter()
            .find(|(name, _)| known(name))
            .map(|(_, class)| *class)
    };
    match case.state? {
        JobState::Timeout => Some(FailureClass::SlurmTimeout),
        JobState::OutOfMemory => Some(FailureClass::HostOomKill),
        JobState::NodeFail => Some(FailureClass::NodeFailure),
        JobState::BootFail => Some(FailureClass::BootFailure),
        JobState::Preempted => Some(FailureClass::Preempted),
        JobState::Deadline => Some(FailureClass::Deadline),
        JobState::Revoked => Some(FailureClass::Revoked),
        JobState::Cancelled => reason().or(Some(FailureClass::Cancelled)),
        JobState::Failed => reason(),
        _ => None,
    }
}

/// The class that the exit code decides before any text of the program is looked at.
pub(super) fn by_exit(exit: Option<ExitInfo>) -> Option<FailureClass> {
    match exit?.signal {
        OUT_OF_MEMORY => Some(FailureClass::HostOomKill),
        9 | 15 => Some(FailureClass::SlurmSignal),
        13 => Some(FailureClass::Sigpipe),
        _ => None,
    }
}

/// The class that the exit code suggests when no text explains it: a signal, or `128 + n` from a shell.
pub(super) fn by_exit_alone(exit: Option<ExitInfo>) -> Option<FailureClass> {
    let exit = exit?;
    let signal = if exit.signal == 0 {
        exit.code - 128
    } else {
        exit.signal
    };
    match (signal, exit.code) {
        (2 | 9 | 15, _) => Some(FailureClass::SlurmSignal),
        (13, _) => Some(FailureClass::Sigpipe),
        (4 | 6 | 7 | 8 | 11, _) => Some(FailureClass::CrashSignal),
        (_, 127) => Some(FailureClass::EnvCommandNotFound),
        (_, 126) => Some(FailureClass::PermissionDenied),
        _ => None,
    }
}

/// Whether the job ended so early that its script cannot have written anything.
pub(super) fn died_before_script(case: &Case<'_>) -> bool {
    let not_started = case.exit.is_some_and(|exit| exit.signal == NOT_STARTED);
    let at_once = case
        .elapsed
        .is_some_and(|elapsed| elapsed.as_secs() <= DIED_AT_ONCE_SECONDS);
    let silent = case.logs.iter().all(super::LogText::is_empty);
    let failed = case.state == Some(&JobState::Failed);
    // SLURM itself gives no other code than one: a script chose it, and its logs are gone.
    let chosen = case.exit.is_some_and(|exit| exit.code > 1);
    silent && (not_started || failed && at_once && !chosen && case.logs.is_empty())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn states_reasons_and_codes() {
        let exit = |code, signal| Some(ExitInfo { code, signal });
        let state = |state: &JobState, reason| {
            by_state(&Case {
                state: Some(state),
                reason,
                ..Case::default()
            })
        };
        assert_eq!(
            state(&JobState::Cancelled, None),
            Some(FailureClass::Cancelled)
        );
        assert_eq!(
            state(&JobState::Cancelled, Some("dependencyneversatisfied")),
            Some(FailureClass::DependencyDead)
        );
        assert_eq!(
            state(&JobState::Failed, Some("QOSMaxSubmitJobPerUserLimit")),
            Some(FailureClass::SchedulerLimit)
        );
        assert_eq!(state(&JobState::Failed, Some("NonZeroExitCode")), None);
        assert_eq!(state(&JobState::Completed, Some("TimeLimit")), None);
        assert_eq!(by_exit(exit(0, 125)), Some(FailureClass::HostOomKill));
        assert_eq!(by_exit(exit(0, 13)), Some(FailureClass::Sigpipe));
        assert_eq!(by_exit(exit(120, 0)), None);
        assert_eq!(by_exit_alone(exit(120, 0)), None);
        assert_eq!(by_exit_alone(exit(135, 0)), Some(FailureClass::CrashSignal));
        assert_eq!(by_exit_alone(exit(0, 11)), Some(FailureClass::CrashSignal));
        assert_eq!(by_exit_alone(exit(137, 0)), Some(FailureClass::SlurmSignal));
    }

    #[test]
    fn early_death_needs_silence() {
        let failed = JobState::Failed;
        let case = Case {
            state: Some(&failed),
            elapsed: Some(Duration::from_secs(2)),
            ..Case::default()
        };
        assert!(died_before_script(&case));
        assert!(!died_before_script(&Case {
            elapsed: Some(Duration::from_secs(60)),
            ..case
        }));
        for (code, died) in [(1, true), (3, false), (127, false)] {
            let exit = Some(ExitInfo { code, signal: 0 });
            assert_eq!(died_before_script(&Case { exit, ..case }), died, "{code}");
        }
        assert!(died_before_script(&Case {
            elapsed: None,
            exit: Some(ExitInfo {
                code: 0,
                signal: 53
            }),
            ..case
        }));
    }
}
