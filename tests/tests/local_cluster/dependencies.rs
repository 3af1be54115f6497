//! Jobs that wait for jobs.

use crate::bed::block_on;
use crate::until::until;
use ralph_core::backend::ClusterBackend as _;
use ralph_core::id::JobId;
use ralph_core::job::{JobReport, JobState};

use crate::bed::{Bed, accepted, request, script};

const WAIT: &str = "until [ -e go ]; do sleep 0.01; done";

fn pending(bed: &Bed, job: JobId) -> JobReport {
    until("a reason to wait", || {
        let report = bed.report(job);
        (report.reason.as_deref() == Some("Dependency")).then_some(report)
    })
}

#[test]
fn a_chain_runs_in_order() {
    let bed = Bed::new();
    let first = bed.submit("", &format!("{WAIT}; echo first >> order"));
    let second = bed.submit(
        &format!("--dependency=afterok:{first}"),
        "echo second >> order",
    );
    let mut third = request(&script("", "echo third >> order"));
    third.after = vec![second, first];
    let third = accepted(&block_on(bed.cluster().submit(&third)).unwrap());
    for job in [second, third] {
        assert_eq!(pending(&bed, job).state, JobState::Pending);
    }
    bed.touch("go");
    for job in [first, second, third] {
        assert_eq!(bed.end(job).state, JobState::Completed);
    }
    assert_eq!(bed.read("order"), "first\nsecond\nthird\n");
}

#[test]
fn what_can_never_be_fulfilled_is_cancelled_and_so_is_what_waits_for_it() {
    let bed = Bed::new();
    let bad = bed.submit("", &format!("{WAIT}; exit 1"));
    let slow = bed.submit("", "until [ -e later ]; do sleep 0.01; done");
    let never = bed.submit(&format!("-d afterok:{slow}:{bad}"), "touch never");
    let after_never = bed.submit(&format!("-d afterok:{never}"), "touch never");
    let consoled = bed.submit(&format!("-d afternotok:{bad}"), "touch consoled");
    let either = bed.submit(&format!("-d afterok:{bad}?afterany:{bad}"), "touch either");
    pending(&bed, never);
    bed.touch("go");
    for job in [never, after_never] {
        let report = bed.end(job);
        assert_eq!(report.state, JobState::Cancelled);
        assert_eq!(report.reason.as_deref(), Some("DependencyNeverSatisfied"));
        assert_eq!((report.started, report.cancelled_by), (None, None));
    }
    assert_eq!(
        bed.report(slow).state,
        JobState::Running,
        "one failure is enough"
    );
    assert_eq!(bed.end(consoled).state, JobState::Completed);
    assert_eq!(bed.end(either).state, JobState::Completed);
    assert!(!bed.has("never"));
    bed.touch("later");
    bed.end(slow);
}

#[test]
fn after_waits_for_the_start_only() {
    let mut bed = Bed::new();
    bed.settings.max_parallel = 2;
    let first = bed.submit("", WAIT);
    bed.wait_state(first, &JobState::Running);
    let second = bed.submit(&format!("-d after:{first}"), "true");
    assert_eq!(bed.end(second).state, JobState::Completed);
    assert_eq!(bed.report(first).state, JobState::Running);
    bed.touch("go");
    bed.end(first);
}

#[test]
fn singletons_of_a_name_run_one_by_one() {
    let bed = Bed::new();
    let first = bed.submit("-J one\n-d singleton", WAIT);
    bed.wait_state(first, &JobState::Running);
    let second = bed.submit("-J one\n-d singleton", "touch second");
    let other = bed.submit("-J other\n-d singleton", "true");
    assert_eq!(bed.end(other).state, JobState::Completed);
    assert_eq!(pending(&bed, second).state, JobState::Pending);
    bed.touch("go");
    assert_eq!(bed.end(second).state, JobState::Completed);
    assert_eq!(bed.report(first).state, JobState::Completed);
}

#[test]
fn a_task_of_an_array_can_be_waited_for() {
    let bed = Bed::new();
    let array = bed.submit(
        "--array=0-1",
        "[ $SLURM_ARRAY_TASK_ID = 0 ] || { until [ -e go ]; do sleep 0.01; done; exit 1; }",
    );
    let on_task = bed.submit(&format!("-d afterok:{array}_0"), "true");
    let on_all = bed.submit(&format!("-d afterok:{array}"), "true");
    assert_eq!(bed.end(on_task).state, JobState::Completed);
    assert_eq!(pending(&bed, on_all).state, JobState::Pending);
    bed.touch("go");
    assert_eq!(bed.end(on_all).state, JobState::Cancelled);
}

#[test]
fn a_waiting_job_can_be_cancelled_and_a_lost_one_is_no_success() {
    let bed = Bed::new();
    let first = bed.submit("", "echo $$ > worker; exec sleep 1000");
    let worker = bed.pid("worker");
    let cancelled = bed.submit(&format!("-d afterany:{first}"), "touch never");
    let never = bed.submit(&format!("-d afterok:{first}"), "touch never");
    for job in [cancelled, never] {
        pending(&bed, job);
    }
    bed.cancel(cancelled);
    assert_eq!(bed.end(cancelled).state, JobState::Cancelled);
    bed.kill_supervisor(first);
    assert_eq!(
        bed.report(never).state,
        JobState::Pending,
        "the script still runs"
    );
    crate::bed::signal(worker, rustix::process::Signal::KILL);
    let report = bed.end(never);
    assert_eq!(report.reason.as_deref(), Some("DependencyNeverSatisfied"));
    assert!(!bed.has("never"));
}
