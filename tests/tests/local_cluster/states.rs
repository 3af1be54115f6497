//! Each state, brought about and reported truthfully.

use std::fs;
use std::time::Duration;

use crate::bed::{block_on, env};
use crate::until::until;
use ralph_core::backend::{ClusterBackend as _, FetchRequest, LogPart, Stream};
use ralph_core::id::JobId;
use ralph_core::job::{JobQuery, JobState, Sighting};
use rustix::process::Signal;

use crate::bed::{Bed, is_alive, request, script, signal};

fn uid() -> u32 {
    rustix::process::getuid().as_raw()
}

#[test]
fn completed() {
    let bed = Bed::new();
    let before = env().now();
    let job = bed.submit("--job-name=hello", "echo hello");
    let report = bed.end(job);
    assert_eq!(job.base(), 1001);
    assert_eq!(report.state, JobState::Completed);
    assert_eq!(report.exit.unwrap().to_string(), "0:0");
    assert_eq!(report.name, "hello");
    assert_eq!(report.nodes.as_deref(), Some("node1"));
    assert!(report.tasks.is_empty() && report.reason.is_none());
    let times = [report.submitted, report.started, report.ended].map(Option::unwrap);
    assert!(before <= times[0] && times.is_sorted(), "{times:?}");
    assert_eq!(bed.read(report.stdout.unwrap()), "hello\n");
    assert_eq!(report.evidence.line, "1001 COMPLETED 0:0");
}

#[test]
fn failed_with_a_code_and_with_a_signal() {
    let bed = Bed::new();
    let report = bed.end(bed.submit("", "exit 3"));
    assert_eq!(report.state, JobState::Failed);
    assert_eq!(report.exit.unwrap().to_string(), "3:0");
    assert_eq!(report.reason.as_deref(), Some("NonZeroExitCode"));
    let report = bed.end(bed.submit("", "kill -SEGV $$"));
    assert_eq!(report.state, JobState::Failed);
    assert_eq!(report.exit.unwrap().to_string(), "0:11");
}

#[test]
fn a_job_that_cannot_start_has_failed() {
    let bed = Bed::new();
    let missing = "#!/nowhere/interpreter\ntrue\n";
    let receipt = block_on(bed.cluster().submit(&request(missing))).unwrap();
    let report = bed.end(crate::bed::accepted(&receipt));
    assert_eq!(report.state, JobState::Failed);
    assert_eq!(report.exit.unwrap().to_string(), "2:0");
    let log = bed.read(report.stderr.unwrap());
    assert!(log.contains("/nowhere/interpreter"), "{log}");

    bed.touch("afile");
    let report = bed.end(bed.submit("--output=afile/x.out", "true"));
    assert_eq!(report.state, JobState::Failed);
    assert_eq!(report.exit.unwrap().to_string(), "0:53");
    let reason = report.reason.unwrap();
    assert!(
        reason.starts_with("JobLaunchFailure: cannot open"),
        "{reason}"
    );
}

#[test]
fn timeout_to_the_second_with_what_ignores_term() {
    let mut bed = Bed::new();
    bed.settings.kill_wait = Duration::from_millis(50);
    let job = bed.submit(
        "--time=0:01",
        "trap '' TERM; (echo $BASHPID > child; sleep 1000) & sleep 1000; sleep 1000",
    );
    let child = bed.pid("child");
    let report = bed.end(job);
    assert_eq!(report.state, JobState::Timeout);
    assert_eq!(report.exit.unwrap().to_string(), "0:9");
    assert_eq!(report.reason.as_deref(), Some("TimeLimit"));
    let ran = report
        .ended
        .unwrap()
        .duration_since(report.started.unwrap());
    assert!(ran.as_secs() >= 1, "{ran:?}");
    assert!(!is_alive(child));
    let log = bed.read(report.stderr.unwrap());
    assert!(log.contains("*** JOB 1001 ON node1 CANCELLED AT "), "{log}");
    assert!(log.contains(" DUE TO TIME LIMIT ***"), "{log}");
}

#[test]
fn cancelled_while_running() {
    let bed = Bed::new();
    let job = bed.submit(
        "",
        "trap 'echo saved; exit 0' TERM; sleep 1000 & echo $! > child; touch armed; wait; wait",
    );
    bed.wait_for("armed");
    let child = bed.pid("child");
    assert_eq!(bed.report(job).state, JobState::Running);
    bed.cancel(job);
    let report = bed.end(job);
    assert_eq!(report.state, JobState::Cancelled);
    assert_eq!(report.cancelled_by, Some(uid()));
    assert_eq!(report.reason, None);
    assert_eq!(bed.read(report.stdout.clone().unwrap()), "saved\n");
    assert!(!is_alive(child));
    bed.cancel(job);
    bed.cancel("4711".parse().unwrap());
    let mut again = bed.report(job);
    again.evidence.at = report.evidence.at;
    assert_eq!(again, report, "an ended job is left alone");
}

#[test]
fn cancelled_while_waiting_for_a_place() {
    let mut bed = Bed::new();
    bed.settings.max_parallel = 1;
    let first = bed.submit("", "until [ -e go ]; do sleep 0.01; done");
    bed.wait_state(first, &JobState::Running);
    let second = bed.submit("", "touch second");
    let third = bed.submit("", "touch third");
    for job in [second, third] {
        let report = until("a reason", || {
            let report = bed.report(job);
            report.reason.is_some().then_some(report)
        });
        assert_eq!(report.state, JobState::Pending);
        assert_eq!(report.reason.as_deref(), Some("Resources"));
        assert_eq!((report.started, report.nodes), (None, None));
    }
    bed.cancel(second);
    let report = bed.end(second);
    assert_eq!(report.state, JobState::Cancelled);
    assert_eq!((report.started, report.cancelled_by), (None, Some(uid())));
    assert_eq!(bed.report(first).state, JobState::Running);
    bed.touch("go");
    assert_eq!(bed.end(first).state, JobState::Completed);
    assert_eq!(bed.end(third).state, JobState::Completed);
    assert!(bed.has("third") && !bed.has("second"));
}

#[test]
fn a_killed_supervisor_is_no_end_of_the_script() {
    let bed = Bed::new();
    let job = bed.submit(
        "",
        "echo $$ > worker; until [ -e go ]; do sleep 0.01; done; touch done",
    );
    let worker = bed.pid("worker");
    bed.kill_supervisor(job);
    let report = bed.report(job);
    assert_eq!(report.state, JobState::Running);
    assert!(report.reason.unwrap().starts_with("SupervisorKilled"));
    bed.touch("go");
    until("the worker gone", || (!is_alive(worker)).then_some(()));
    let report = bed.end(job);
    assert_eq!(report.state, JobState::NodeFail, "nobody saw how it ended");
    assert_eq!((report.exit, report.ended), (None, None));
    assert!(bed.has("done"));
}

#[test]
fn an_orphan_can_be_cancelled() {
    let mut bed = Bed::new();
    bed.settings.kill_wait = Duration::from_millis(50);
    let job = bed.submit(
        "",
        "trap '' TERM; echo $$ > worker; while :; do sleep 0.05; done",
    );
    let worker = bed.pid("worker");
    bed.kill_supervisor(job);
    bed.cancel(job);
    let report = bed.end(job);
    assert_eq!(report.state, JobState::Cancelled);
    assert_eq!(report.cancelled_by, Some(uid()));
    assert!(!is_alive(worker));
}

#[test]
fn a_restarted_machine_is_a_failed_node() {
    let mut bed = Bed::new();
    bed.settings.max_parallel = 1;
    let done = bed.submit("", "true");
    assert_eq!(bed.end(done).state, JobState::Completed);
    let job = bed.submit("", "echo $$ > worker; sleep 1000");
    bed.pid("worker");
    let waiting = bed.submit("", "touch never");
    // The one that waits first: the place of a killed one is free.
    bed.kill_supervisor(waiting);
    bed.kill_supervisor(job);
    assert_eq!(bed.report(job).state, JobState::Running);
    bed.settings.boot_id = "the next boot".to_owned();
    for lost in [job, waiting] {
        let report = bed.report(lost);
        assert_eq!(report.state, JobState::NodeFail);
        assert_eq!(report.reason.as_deref(), Some("NodeRestarted"));
    }
    assert_eq!(bed.report(done).state, JobState::Completed);
    bed.cancel(job);
    assert_eq!(bed.report(job).state, JobState::NodeFail);
    assert!(!bed.has("never"));
}

#[test]
fn a_shutdown_ends_jobs_as_a_failed_node_would() {
    let mut bed = Bed::new();
    let job = bed.submit("", "echo $$ > worker; sleep 1000");
    bed.pid("worker");
    let supervisor = bed.supervisor_of(job);
    signal(supervisor.pid, Signal::TERM);
    until("the end", || (!supervisor.is_alive()).then_some(()));
    let report = bed.report(job);
    assert_eq!(report.state, JobState::Cancelled);
    assert_eq!(report.reason.as_deref(), Some("SupervisorTerminated"));
    assert_eq!(report.cancelled_by, None);
    bed.settings.boot_id = "the next boot".to_owned();
    assert_eq!(bed.report(job).state, JobState::NodeFail);
}

#[test]
fn what_is_not_ours_or_cannot_be_read_is_said_so() {
    let bed = Bed::new();
    let own = request(&script("", "true"));
    let receipt = block_on(bed.cluster().submit(&own)).unwrap();
    let job = crate::bed::accepted(&receipt);
    let submitted = bed.end(job).submitted.unwrap();
    let ask = |job: JobId, token: Option<&str>, after: i64| {
        let query = JobQuery {
            token: token.map(|token| token.parse().unwrap()),
            submitted_after: Some(submitted + jiff::SignedDuration::from_secs(after)),
            ..JobQuery::of(job)
        };
        let seen = block_on(bed.cluster().observe(&[query])).unwrap();
        seen[0].sighting.clone()
    };
    let is_absent = |sighting| matches!(sighting, Sighting::Absent { .. });
    assert!(matches!(
        ask(job, Some(own.token.as_str()), -1),
        Sighting::Seen(_)
    ));
    assert!(is_absent(ask(job, Some("another-token"), -1)));
    assert!(is_absent(ask(job, None, 1)), "an id from before");
    assert!(is_absent(ask(job.task(3), None, -1)));
    assert!(is_absent(ask("77".parse().unwrap(), None, -1)));
    assert!(is_absent(ask("1001+1".parse().unwrap(), None, -1)));

    let other = bed.submit("", "true");
    bed.end(other);
    let plan = bed.job_dir(job).join("job.json");
    let newer = fs::read_to_string(&plan)
        .unwrap()
        .replace("\"format\":1", "\"format\":2");
    fs::File::create(&plan)
        .and_then(|mut file| std::io::Write::write_all(&mut file, newer.as_bytes()))
        .unwrap();
    let Sighting::Unknown { why } = bed.look(job) else {
        panic!("a newer format was read");
    };
    assert!(why.contains("format 2"), "{why}");
    let jobs = block_on(bed.cluster().jobs()).unwrap();
    let listed: Vec<_> = jobs
        .iter()
        .map(|report| (report.job, report.state.as_str()))
        .collect();
    assert_eq!(listed, [(job, "UNREADABLE"), (other, "COMPLETED")]);
}

#[test]
fn logs_by_offset_and_artifacts() {
    let bed = Bed::new();
    let job = bed.submit(
        "",
        "printf 0123456789; mkdir results; touch results/summary.md",
    );
    bed.end(job);
    let piece = |stream, offset| {
        let request = FetchRequest {
            project: "demo".parse().unwrap(),
            job,
            token: None,
            stream,
            part: LogPart::From(offset),
            limit: 4,
        };
        block_on(bed.cluster().fetch(&request)).unwrap()
    };
    let out = piece(Stream::Out, 3);
    assert_eq!(
        (out.bytes.as_slice(), out.size),
        (b"3456".as_slice(), Some(10))
    );
    assert!(
        out.path
            .unwrap()
            .ends_with("projects/demo/slurm/logs/q001.sbatch_1001.out")
    );
    assert_eq!(piece(Stream::Err, 0).size, Some(0));
    let paths = [
        "results/summary.md",
        "projects/demo/results",
        "results/none",
    ];
    let found = block_on(
        bed.cluster()
            .existing(&"demo".parse().unwrap(), &paths.map(String::from)),
    );
    assert_eq!(found.unwrap(), [true, true, false]);
}

#[test]
fn a_cluster_without_its_program_says_so() {
    let mut bed = Bed::new();
    assert_eq!(block_on(bed.cluster().check()), Ok(()));
    bed.settings.supervisor.program = "/nowhere/ralph".into();
    let error = block_on(bed.cluster().check()).unwrap_err().to_string();
    assert!(error.contains("/nowhere/ralph"), "{error}");
    let request = request(&script("", "true"));
    assert!(block_on(bed.cluster().submit(&request)).is_err());
    let receipt = crate::bed::receipt(&bed, &request.token);
    assert_eq!(receipt, ralph_core::backend::Receipt::Absent);
}
