//! The contract of the port, held under every state and every fault.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::*;
use crate::backend::{ClusterBackend as _, FetchRequest, FoundBy, LogPart, Receipt, Stream};
use crate::id::JobPart;
use crate::job::{Finality, JobQuery, JobReport, Observation, Sighting};
use crate::time::SignedDuration;

const START: &str = "2026-11-20T12:00:00Z";

/// The mock never waits, so one poll is the whole future.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the mock cluster waited"),
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(START.parse().unwrap()))
}

fn cluster() -> (MockCluster, Arc<ManualClock>) {
    let clock = clock();
    (MockCluster::new(Arc::clone(&clock)), clock)
}

fn request(number: u32) -> SubmitRequest {
    SubmitRequest {
        token: format!("ralph-q{number:03}-00").parse().unwrap(),
        run: format!("q{number:03}_20261120_120000").parse().unwrap(),
        item: None,
        project: "toy".parse().unwrap(),
        script_path: format!("slurm/jobs/q{number:03}.sbatch"),
        script: "#!/bin/bash\necho\n".to_owned(),
        script_sha256: "00".to_owned(),
        config_path: None,
        config: None,
        variables: std::collections::BTreeMap::new(),
        git: None,
        after: Vec::new(),
        exclude: Vec::new(),
        intent_at: START.parse().unwrap(),
    }
}

fn accepted(receipt: &Receipt) -> JobId {
    match receipt {
        Receipt::Accepted { job, .. } => *job,
        other => panic!("expected an accepted job, found {other:?}"),
    }
}

fn submit(cluster: &MockCluster, request: &SubmitRequest) -> JobId {
    accepted(&now(cluster.submit(request)).unwrap())
}

fn query(job: JobId) -> JobQuery {
    JobQuery::of(job)
}

fn look(cluster: &MockCluster, job: JobId) -> Sighting {
    let mut found = now(cluster.observe(&[query(job)])).unwrap();
    assert_eq!(found.len(), 1);
    found.remove(0).sighting
}

fn seen(cluster: &MockCluster, job: JobId) -> JobReport {
    match look(cluster, job) {
        Sighting::Seen(report) => *report,
        other => panic!("expected a report, found {other:?}"),
    }
}

fn forward(clock: &ManualClock, seconds: u64) {
    clock.advance(Duration::from_secs(seconds));
}

const WORDS: [&str; 25] = [
    "PENDING",
    "RUNNING",
    "SUSPENDED",
    "COMPLETED",
    "CANCELLED",
    "FAILED",
    "TIMEOUT",
    "NODE_FAIL",
    "PREEMPTED",
    "BOOT_FAIL",
    "DEADLINE",
    "OUT_OF_MEMORY",
    "COMPLETING",
    "STAGE_OUT",
    "CONFIGURING",
    "RESIZING",
    "REQUEUED",
    "REQUEUE_FED",
    "REQUEUE_HOLD",
    "SPECIAL_EXIT",
    "STOPPED",
    "REVOKED",
    "RESV_DEL_HOLD",
    "SIGNALING",
    "EXPEDITING",
];

#[test]
fn every_state_can_be_scripted_and_is_reported() {
    for word in WORDS {
        let (cluster, clock) = cluster();
        cluster.rule(Rule::any(JobScript::of([(10, word)])));
        let job = submit(&cluster, &request(1));
        assert_eq!(seen(&cluster, job).state, JobState::Pending);
        forward(&clock, 10);
        assert_eq!(seen(&cluster, job).state, JobState::parse(word), "{word}");
    }
}

#[test]
fn the_simulator_draws_every_state() {
    let mut drawn: BTreeSet<String> = BTreeSet::new();
    for number in 0..400 {
        let script = Simulation::new(7).script_for(&request(number).token);
        drawn.extend(script.steps.iter().map(|step| step.state.to_string()));
    }
    let missing: Vec<&str> = WORDS
        .into_iter()
        .filter(|word| !drawn.contains(*word) && *word != "EXPEDITING")
        .collect();
    assert!(missing.is_empty(), "never drawn: {missing:?}");
}

#[test]
fn the_simulator_draws_faults_as_often_as_it_is_told_and_the_same_for_a_seed() {
    let drawn = |seed, percent| -> Vec<String> {
        let mut simulation = Simulation::new(seed).with_faults(percent);
        (0..300)
            .map(|_| format!("{:?}", simulation.fault(Method::Submit)))
            .collect()
    };
    let kinds: BTreeSet<String> = drawn(3, 100).into_iter().collect();
    assert!(kinds.len() > 11, "{kinds:?}");
    assert!(drawn(3, 0).iter().all(|fault| fault == "Pass"));
    let hits = drawn(3, 20).iter().filter(|fault| *fault != "Pass").count();
    assert!((30..90).contains(&hits), "{hits} of 300");
    assert_eq!(drawn(3, 50), drawn(3, 50));
    assert_ne!(drawn(3, 50), drawn(4, 50));
}

/// Every fault that a submission can meet, whether it leaves a job behind, and what the caller is told.
fn submit_faults() -> Vec<(Fault, bool, &'static str)> {
    let refused = |limit| Fault::Refused {
        message: "no".to_owned(),
        limit,
    };
    vec![
        (Fault::Pass, true, "accepted"),
        (Fault::BeforeSend, false, "unreachable"),
        (Fault::NoSession, false, "no_session"),
        (Fault::NoScheduler, false, "no_scheduler"),
        (Fault::LostReply, true, "unreachable"),
        (Fault::UnclearReply, true, "unclear"),
        (Fault::SocketTimeout { accepted: true }, true, "unclear"),
        (Fault::SocketTimeout { accepted: false }, false, "unclear"),
        (
            Fault::ClaimedAndDead { accepted: true },
            true,
            "unreachable",
        ),
        (
            Fault::ClaimedAndDead { accepted: false },
            false,
            "unreachable",
        ),
        (refused(false), false, "refused"),
        (refused(true), false, "refused, wait"),
        (Fault::Slow { seconds: 50 }, true, "accepted"),
        (Fault::Garbage, true, "unclear"),
        (Fault::HalfReply, true, "unclear"),
        (Fault::DuplicateRows, true, "accepted"),
        (Fault::StaleAccounting { seconds: 9 }, true, "accepted"),
        (
            Fault::UnknownState {
                word: "X".to_owned(),
            },
            true,
            "accepted",
        ),
        (Fault::ClockSkew { seconds: -9 }, true, "accepted"),
        (Fault::Ignored, true, "accepted"),
    ]
}

fn told(answer: &Result<Receipt, BackendError>) -> String {
    use crate::error::Coded as _;
    match answer {
        Ok(Receipt::Accepted { .. }) => "accepted".to_owned(),
        Ok(Receipt::Absent) => "absent".to_owned(),
        Ok(Receipt::Claimed { .. }) => "claimed".to_owned(),
        Ok(Receipt::Refused { limit: true, .. }) => "refused, wait".to_owned(),
        Ok(Receipt::Refused { .. }) => "refused".to_owned(),
        Ok(Receipt::Unproven { .. } | Receipt::Nameless { .. } | Receipt::Unreadable { .. }) => {
            "unclear".to_owned()
        }
        Ok(Receipt::Earlier { job, same, .. }) => format!("earlier {job}, same: {same}"),
        Err(error) => error.code().to_string(),
    }
}

#[test]
fn under_each_fault_a_token_starts_at_most_one_job_and_the_receipt_finds_it() {
    for (fault, starts, expected) in submit_faults() {
        let (cluster, _) = cluster();
        cluster.fault(Method::Submit, fault.clone());
        let request = request(1);
        assert_eq!(told(&now(cluster.submit(&request))), expected, "{fault:?}");
        assert_eq!(
            cluster.jobs_for_token(&request.token).len(),
            usize::from(starts),
            "{fault:?}"
        );

        let since = request.intent_at;
        let receipt = now(cluster.receipt(&request.token, since));
        assert_eq!(
            told(&receipt) == "accepted",
            starts,
            "{fault:?}: {receipt:?}"
        );

        let never_sent = matches!(
            fault,
            Fault::BeforeSend | Fault::NoSession | Fault::NoScheduler
        );
        assert_eq!(
            told(&receipt) == "absent",
            never_sent,
            "{fault:?}: {receipt:?}"
        );
        for _ in 0..3 {
            let _ = now(cluster.submit(&request));
        }
        let started = cluster.jobs_for_token(&request.token).len();
        assert_eq!(started, usize::from(starts || never_sent), "{fault:?}");
        assert_eq!(cluster.jobs_for_run(&request.run).len(), started);
        assert_eq!(cluster.calls(Method::Submit), 4);
    }
}

#[test]
fn a_job_without_a_marker_is_found_in_the_queue_then_in_accounting_then_not_yet() {
    let (cluster, clock) = cluster();
    cluster.set(|settings| {
        settings.min_job_age_seconds = Some(10);
        settings.accounting_lag_seconds = 200;
    });
    cluster.fault(Method::Submit, Fault::SocketTimeout { accepted: true });
    let request = request(1);
    let _ = now(cluster.submit(&request));
    let how = || match now(cluster.receipt(&request.token, request.intent_at)) {
        Ok(Receipt::Accepted { how, .. }) => Some(how),
        _ => None,
    };
    assert_eq!(how(), Some(FoundBy::Queue));
    forward(&clock, 71);
    assert_eq!(
        how(),
        None,
        "the queue has forgotten it, accounting has not heard of it"
    );
    forward(&clock, 150);
    assert_eq!(how(), Some(FoundBy::Accounting));
    let later = request
        .intent_at
        .saturating_add(SignedDuration::from_secs(1))
        .unwrap();
    assert_eq!(
        told(&now(cluster.receipt(&request.token, later))),
        "unclear",
        "submitted before `since`"
    );
}

#[test]
fn accounting_is_behind_the_queue_and_may_be_off() {
    let (cluster, clock) = cluster();
    cluster.set(|settings| {
        settings.min_job_age_seconds = Some(10);
        settings.accounting_lag_seconds = 30;
    });
    let job = submit(&cluster, &request(1));
    forward(&clock, 70);
    let stale = seen(&cluster, job);
    assert_eq!(stale.state, JobState::Running);
    assert_eq!(stale.evidence.source, "mock accounting");
    assert_eq!(
        stale.exit.map(|exit| exit.to_string()).as_deref(),
        Some("0:0"),
        "the trap of 0:0"
    );
    forward(&clock, 30);
    assert_eq!(seen(&cluster, job).state, JobState::Completed);
    cluster.set(|settings| settings.accounting = false);
    assert_eq!(
        look(&cluster, job),
        Sighting::Absent {
            asked: vec!["mock queue".to_owned()]
        }
    );
    assert!(now(cluster.jobs()).unwrap().is_empty());
}

#[test]
fn a_reused_id_is_told_from_ours_by_time_and_token() {
    let (cluster, clock) = cluster();
    cluster.rule(Rule::any(JobScript::of([(1, "FAILED")])));
    let old = submit(&cluster, &request(1));
    forward(&clock, 100);
    let between = clock.now();
    let ask = |token: &Token, after| {
        let query = JobQuery {
            token: Some(token.clone()),
            submitted_after: after,
            ..JobQuery::of(old)
        };
        now(cluster.observe(&[query])).unwrap().remove(0).sighting
    };
    let (first, second) = (request(1).token, request(2).token);
    assert!(matches!(ask(&first, None), Sighting::Seen(_)));
    assert!(matches!(
        ask(&first, Some(between)),
        Sighting::Absent { .. }
    ));
    cluster.next_id(old);
    assert_eq!(submit(&cluster, &request(2)), old);
    assert_eq!(
        cluster.request(old),
        Some(request(2)),
        "an id means the newer job"
    );
    let submitted = |sighting| match sighting {
        Sighting::Seen(report) => report.submitted,
        other => panic!("{other:?}"),
    };
    assert_eq!(submitted(ask(&second, Some(between))), Some(between));
    assert_eq!(submitted(ask(&first, None)), Some(START.parse().unwrap()));
    assert!(matches!(
        ask(&first, Some(between)),
        Sighting::Absent { .. }
    ));
}

#[test]
fn an_array_is_alive_until_its_last_task_has_ended() {
    let (cluster, clock) = cluster();
    cluster.rule(Rule::any(
        JobScript::of([(1, "RUNNING"), (50, "COMPLETED")])
            .task(1, [(1, "RUNNING"), (90, "FAILED")])
            .task(2, [(70, "RUNNING"), (100, "COMPLETED")]),
    ));
    let mut request = request(1);
    request.script =
        "#!/bin/bash\n#SBATCH --array=0-3%2 -J sweep\n#SBATCH -o logs/%x_%A_%a.out\n".to_owned();
    let job = submit(&cluster, &request);
    let mut story = Vec::new();
    for _ in 0..5 {
        let report = seen(&cluster, job);
        let tasks: Vec<String> = report
            .tasks
            .iter()
            .map(|task| format!("{}={}", task.job, task.state))
            .collect();
        story.push(format!(
            "{} {:?} {}",
            report.state,
            report.finality(),
            tasks.join(" ")
        ));
        forward(&clock, 25);
    }
    insta::assert_snapshot!(story.join("\n"), @r"
    PENDING Alive 1001_0=PENDING 1001_1=PENDING 1001_2=PENDING 1001_3=PENDING
    RUNNING Alive 1001_0=RUNNING 1001_1=RUNNING 1001_2=PENDING 1001_3=RUNNING
    RUNNING Alive 1001_0=COMPLETED 1001_1=RUNNING 1001_2=PENDING 1001_3=COMPLETED
    RUNNING Alive 1001_0=COMPLETED 1001_1=RUNNING 1001_2=RUNNING 1001_3=COMPLETED
    FAILED Final 1001_0=COMPLETED 1001_1=FAILED 1001_2=COMPLETED 1001_3=COMPLETED
    ");
    let task = seen(&cluster, job.task(1));
    assert_eq!(
        (task.job.part(), task.state),
        (JobPart::Task(1), JobState::Failed)
    );
    assert_eq!(
        task.stdout.as_deref(),
        Some("/mock/projects/toy/logs/sweep_1001_1.out")
    );
    assert!(matches!(
        look(&cluster, job.task(9)),
        Sighting::Absent { .. }
    ));
}

#[test]
fn a_job_waits_for_those_before_it_and_for_ever_when_one_fails() {
    let (cluster, clock) = cluster();
    cluster.rule(Rule {
        run: Some("q002".to_owned()),
        ..Rule::any(JobScript::of([(1, "RUNNING"), (100, "FAILED")]))
    });
    let (first, second) = (submit(&cluster, &request(1)), submit(&cluster, &request(2)));
    let after = |number, job| {
        let mut waiting = request(number);
        waiting.after = vec![job];
        waiting
    };
    let (third, fourth) = (
        submit(&cluster, &after(3, first)),
        submit(&cluster, &after(4, second)),
    );
    forward(&clock, 59);
    assert_eq!(seen(&cluster, third).reason.as_deref(), Some("Dependency"));
    forward(&clock, 61);
    assert_eq!(seen(&cluster, third).state, JobState::Completed);
    forward(&clock, 1_000);
    assert_eq!(seen(&cluster, fourth).state, JobState::Pending);
    let unknown = after(5, "77".parse().unwrap());
    assert_eq!(told(&now(cluster.submit(&unknown))), "refused");
}

#[test]
fn a_limit_of_the_queue_counts_every_task_and_refuses_for_now() {
    let (cluster, clock) = cluster();
    cluster.set(|settings| settings.max_submitted = Some(3));
    let mut array = request(1);
    array.script = "#!/bin/bash\n#SBATCH --array=1-3\n".to_owned();
    submit(&cluster, &array);
    assert_eq!(told(&now(cluster.submit(&request(2)))), "refused, wait");
    assert!(cluster.jobs_for_token(&request(2).token).is_empty());
    forward(&clock, 60);
    assert_eq!(told(&now(cluster.submit(&request(3)))), "accepted");
}

#[test]
fn a_cancel_is_seen_only_by_looking() {
    let (cluster, clock) = cluster();
    let job = submit(&cluster, &request(1));
    forward(&clock, 5);
    cluster.fault(Method::Cancel, Fault::Ignored);
    now(cluster.cancel(&[job])).unwrap();
    assert_eq!(seen(&cluster, job).state, JobState::Running);
    now(cluster.cancel(&[job, "77".parse().unwrap()])).unwrap();
    let report = seen(&cluster, job);
    assert_eq!(
        (report.state, report.cancelled_by),
        (JobState::Cancelled, Some(1000))
    );
    assert_eq!(cluster.true_state(job), Some(JobState::Cancelled));
}

#[test]
fn logs_grow_and_are_fetched_by_offset_and_files_appear() {
    let (cluster, clock) = cluster();
    cluster.rule(Rule::any(
        JobScript::of([(1, "RUNNING"), (60, "FAILED")])
            .prints(2, "first\n")
            .prints(50, "second\n")
            .prints(61, "never\n")
            .complains(59, "Killed")
            .leaves(30, "results/a.json")
            .leaves(90, "results/b.json"),
    ));
    let job = submit(&cluster, &request(1));
    let fetch = |stream, part, limit| {
        let request = FetchRequest {
            project: "toy".parse().unwrap(),
            job,
            token: None,
            stream,
            part,
            limit,
        };
        let report = now(cluster.fetch(&request)).unwrap();
        (
            String::from_utf8(report.bytes).unwrap(),
            report.offset,
            report.size,
        )
    };
    assert_eq!(
        fetch(Stream::Out, LogPart::From(0), 100),
        (String::new(), 0, None)
    );
    forward(&clock, 40);
    assert_eq!(
        fetch(Stream::Out, LogPart::From(0), 100),
        ("first\n".to_owned(), 0, Some(6))
    );
    forward(&clock, 60);
    assert_eq!(
        fetch(Stream::Out, LogPart::From(6), 3),
        ("sec".to_owned(), 6, Some(13))
    );
    assert_eq!(
        fetch(Stream::Out, LogPart::End, 3),
        ("nd\n".to_owned(), 10, Some(13))
    );
    assert_eq!(
        fetch(Stream::Out, LogPart::From(13), 3),
        (String::new(), 13, Some(13))
    );
    // Shorter than what was read: begun anew.
    assert_eq!(
        fetch(Stream::Out, LogPart::From(99), 3),
        ("fir".to_owned(), 0, Some(13))
    );
    assert_eq!(fetch(Stream::Err, LogPart::From(0), 99).0, "Killed");
    cluster.fault(Method::Fetch, Fault::HalfReply);
    assert_eq!(
        fetch(Stream::Err, LogPart::From(0), 99),
        ("Kil".to_owned(), 0, Some(6))
    );

    cluster.add_file(&"toy".parse().unwrap(), "configs/a.yaml");
    let paths = ["results/a.json", "results/b.json", "configs/a.yaml"].map(String::from);
    assert_eq!(
        now(cluster.existing(&"toy".parse().unwrap(), &paths)).unwrap(),
        [true, false, true]
    );
}

#[test]
fn each_fault_of_a_reading_call_leaves_the_job_alone() {
    let (cluster, clock) = cluster();
    let jobs = [submit(&cluster, &request(1)), submit(&cluster, &request(2))];
    forward(&clock, 30);
    let faults = [
        Fault::BeforeSend,
        Fault::LostReply,
        Fault::Garbage,
        Fault::HalfReply,
        Fault::StaleAccounting { seconds: 29 },
        Fault::StaleAccounting { seconds: 31 },
        Fault::UnknownState {
            word: "EXPEDITING".to_owned(),
        },
        Fault::ClockSkew { seconds: -9 },
        Fault::DuplicateRows,
        Fault::Slow { seconds: 50 },
        Fault::Pass,
    ];
    let mut story = Vec::new();
    for fault in faults {
        cluster.fault(Method::Observe, fault.clone());
        let answer = now(cluster.observe(&jobs.map(query)));
        let text = match answer {
            Ok(found) => found.iter().map(short).collect::<Vec<String>>().join(", "),
            Err(error) => format!("error: {error}"),
        };
        story.push(format!("{fault:?}: {text}"));
    }
    insta::assert_snapshot!(story.join("\n"), @r#"
    BeforeSend: error: the cluster does not answer: the connection broke before anything was sent
    LostReply: error: the cluster does not answer: the connection broke before the reply
    Garbage: error: the cluster's answer cannot be read: expected a framed reply, found "\u{7f}ELF"
    HalfReply: RUNNING since 2026-11-20T12:00:00Z, unknown (the reply ends before this job)
    StaleAccounting { seconds: 29 }: RUNNING since 2026-11-20T12:00:00Z, RUNNING since 2026-11-20T12:00:00Z
    StaleAccounting { seconds: 31 }: unknown (the queue did not answer), unknown (the queue did not answer)
    UnknownState { word: "EXPEDITING" }: EXPEDITING since 2026-11-20T12:00:00Z, RUNNING since 2026-11-20T12:00:00Z
    ClockSkew { seconds: -9 }: RUNNING since 2026-11-20T11:59:51Z, RUNNING since 2026-11-20T11:59:51Z
    DuplicateRows: RUNNING since 2026-11-20T12:00:00Z, RUNNING since 2026-11-20T12:00:00Z
    Slow { seconds: 50 }: RUNNING since 2026-11-20T12:00:00Z, RUNNING since 2026-11-20T12:00:00Z
    Pass: COMPLETED since 2026-11-20T12:00:00Z, COMPLETED since 2026-11-20T12:00:00Z
    "#);
    assert!(
        jobs.iter()
            .all(|job| cluster.true_state(*job) == Some(JobState::Completed))
    );
}

fn short(observation: &Observation) -> String {
    match &observation.sighting {
        Sighting::Seen(report) => format!(
            "{} since {}",
            report.state,
            report
                .submitted
                .map(|at| at.to_string())
                .unwrap_or_default()
        ),
        Sighting::Absent { .. } => "absent".to_owned(),
        Sighting::Unknown { why } => format!("unknown ({why})"),
    }
}

#[test]
fn a_standing_fault_lasts_until_it_is_cleared_and_rows_can_come_twice() {
    let (cluster, _) = cluster();
    cluster.add_foreign("somebody's", JobScript::of([(1, "RUNNING")]));
    cluster.standing_fault(Some(Fault::NoSession));
    for _ in 0..2 {
        assert_eq!(
            now(cluster.check()).unwrap_err().to_string(),
            "no SSH session to mock is open"
        );
        assert!(now(cluster.capabilities()).is_err());
    }
    cluster.standing_fault(None);
    now(cluster.check()).unwrap();
    cluster.fault(Method::Jobs, Fault::DuplicateRows);
    let names = || -> Vec<String> {
        let listed = now(cluster.jobs()).unwrap();
        listed.into_iter().map(|report| report.name).collect()
    };
    assert_eq!(names(), ["somebody's", "somebody's"]);
    assert_eq!(names(), ["somebody's"]);
}

const SCENARIO: &str = r#"{
  "format": 1,
  "rules": [
    {"run": "q001", "times": 1,
     "faults": [{"fault": "socket_timeout", "accepted": true}],
     "job": {"steps": [{"after_seconds": 1, "state": "RUNNING", "nodes": "node007"},
                       {"after_seconds": 20, "state": "FAILED", "exit": {"code": 0, "signal": 53}}],
             "stderr": [{"after_seconds": 5, "text": "boom\n"}]}},
    {"project": "to", "script": "slurm/jobs/q", "job": {"steps": [{"after_seconds": 9, "state": "COMPLETED"}]}}
  ],
  "faults": {"observe": [{"fault": "slow", "seconds": 3}]},
  "files": {"toy": ["data/x"]}
}"#;

#[test]
fn a_scenario_decides_and_goes_on_after_being_saved() {
    let clock = clock();
    let load = |text: &str| {
        let shared: Arc<ManualClock> = Arc::clone(&clock);
        MockCluster::from_scenario(text, shared).unwrap()
    };
    let cluster = load(SCENARIO);
    assert_eq!(told(&now(cluster.submit(&request(1)))), "unclear");
    let mut again = request(1);
    again.token = "ralph-q001-01".parse().unwrap();
    let second = submit(&cluster, &again);
    forward(&clock, 30);

    let cluster = load(&cluster.save());
    let first = cluster.jobs_for_run(&request(1).run)[0];
    let report = seen(&cluster, first);
    assert_eq!(
        (report.state, report.nodes.as_deref()),
        (JobState::Failed, Some("node007"))
    );
    assert_eq!(seen(&cluster, second).state, JobState::Completed);
    assert_eq!(told(&now(cluster.submit(&request(1)))), "accepted");
    assert_eq!(cluster.jobs_for_token(&request(1).token), [first]);
    assert_eq!(cluster.request(second).as_ref(), Some(&again));
    assert_eq!(cluster.calls(Method::Submit), 3);
    assert_eq!(load(&cluster.save()).save(), cluster.save());
}

#[test]
fn the_documented_scenario_can_be_read() {
    let source = include_str!("scenario.rs");
    let example: String = source
        .lines()
        .skip_while(|line| *line != "//! ```json")
        .skip(1)
        .take_while(|line| *line != "//! ```")
        .map(|line| line.trim_start_matches("//!"))
        .collect();
    let cluster = MockCluster::from_scenario(&example, clock()).unwrap();
    assert_eq!(told(&now(cluster.submit(&request(1)))), "unclear");
}

#[test]
fn a_scenario_that_cannot_be_read_is_named_by_its_place() {
    use std::error::Error as _;
    let error = |text: &str| match MockCluster::from_scenario(text, clock()) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => {
            let source = error.source().map(ToString::to_string).unwrap_or_default();
            format!("{error}: {source}")
        }
    };
    insta::assert_snapshot!([
        error(r#"{"format": 2, "moon": 1}"#),
        error(r#"{"rules": []}"#),
        error("{\"format\": 1,\n \"rulez\": []}"),
        error(r#"{"format": 1, "next_id": "0"}"#),
        error(r#"{"format": 1, "faults": {"submit": [{"fault": "flood"}]}}"#),
    ].join("\n"), @r#"
    expected a scenario of format 1, found format 2: 
    line 1, column 13: expected a scenario of the mock cluster: missing field `format` at line 1 column 13
    line 2, column 8: expected a scenario of the mock cluster: unknown field `rulez`, expected one of `format`, `settings`, `rules`, `faults`, `standing`, `simulation`, `files`, `next_id`, `jobs`, `markers`, `calls` at line 2 column 8
    line 1, column 29: expected a scenario of the mock cluster: "0" is not a job id (`123`, `123_4` or `123+1`; at most ten digits) at line 1 column 29
    line 1, column 53: expected a scenario of the mock cluster: unknown variant `flood`, expected one of `pass`, `before_send`, `lost_reply`, `unclear_reply`, `socket_timeout`, `claimed_and_dead`, `refused`, `slow`, `garbage`, `half_reply`, `shorter_log`, `duplicate_rows`, `stale_accounting`, `unknown_state`, `clock_skew`, `no_session`, `no_scheduler`, `ignored` at line 1 column 53
    "#);
}

#[test]
fn the_cluster_is_kept_before_a_reply_is_given() {
    let kept = Arc::new(Mutex::new(String::new()));
    let (cluster, _) = cluster();
    let shelf = Arc::clone(&kept);
    let cluster = cluster.kept_by(move |text| {
        text.clone_into(&mut shelf.lock().unwrap());
        Ok(())
    });
    cluster.fault(Method::Submit, Fault::LostReply);
    assert!(now(cluster.submit(&request(1))).is_err());
    let revived = MockCluster::from_scenario(&kept.lock().unwrap(), clock()).unwrap();
    assert_eq!(told(&now(revived.submit(&request(1)))), "accepted");
    assert_eq!(revived.jobs_for_token(&request(1).token).len(), 1);

    let full = BackendError::Storage {
        path: "fake.json".to_owned(),
        detail: "the disk is full".to_owned(),
    };
    let refuses = full.clone();
    let cluster = revived.kept_by(move |_| Err(refuses.clone()));
    assert_eq!(now(cluster.submit(&request(2))), Err(full));
}

/// What a user of the port may do next.
#[derive(Debug, Clone)]
enum Act {
    Submit(u32),
    Receipt(u32),
    Observe,
    Cancel(u32),
    Forward(u64),
    Fault(Method, usize),
    SaveAndLoad,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (0_u32..5).prop_map(Act::Submit),
        2 => (0_u32..5).prop_map(Act::Receipt),
        4 => Just(Act::Observe),
        1 => (0_u32..5).prop_map(Act::Cancel),
        3 => (1_u64..4_000).prop_map(Act::Forward),
        3 => (0_usize..9, 0_usize..20).prop_map(|(method, fault)| Act::Fault(Method::ALL[method], fault)),
        1 => Just(Act::SaveAndLoad),
    ];
    prop::collection::vec(act, 1..60)
}

/// Plays `acts`; gives everything that was answered, as text.
fn play(seed: u64, acts: &[Act]) -> Result<Vec<String>, TestCaseError> {
    let clock = clock();
    let mut cluster =
        MockCluster::new(Arc::clone(&clock)).simulated(Simulation::new(seed).with_faults(20));
    cluster.set(|settings| settings.accounting_lag_seconds = seed % 600);
    let faults: Vec<Fault> = submit_faults()
        .into_iter()
        .map(|(fault, ..)| fault)
        .collect();
    let mut ended: BTreeSet<JobId> = BTreeSet::new();
    let mut answers = Vec::new();
    for act in acts {
        match act {
            Act::Submit(number) => {
                answers.push(format!("{:?}", now(cluster.submit(&request(*number)))));
            }
            Act::Receipt(number) => {
                let token = request(*number).token;
                answers.push(format!(
                    "{:?}",
                    now(cluster.receipt(&token, Timestamp::MIN))
                ));
            }
            Act::Observe => {
                let queries: Vec<JobQuery> = (0..5)
                    .flat_map(|number| cluster.jobs_for_token(&request(number).token))
                    .map(query)
                    .collect();
                let answer = now(cluster.observe(&queries));
                for observation in answer.iter().flatten() {
                    check_end(&cluster, observation, &mut ended)?;
                }
                prop_assert!(
                    answer
                        .as_ref()
                        .map_or(true, |found| found.len() == queries.len())
                );
                answers.push(format!("{answer:?}"));
            }
            Act::Cancel(number) => {
                let jobs = cluster.jobs_for_token(&request(*number).token);
                answers.push(format!("{:?}", now(cluster.cancel(&jobs))));
            }
            Act::Forward(seconds) => forward(&clock, *seconds),
            Act::Fault(method, fault) => cluster.fault(*method, faults[*fault].clone()),
            Act::SaveAndLoad => {
                let text = cluster.save();
                let shared: Arc<ManualClock> = Arc::clone(&clock);
                let loaded = MockCluster::from_scenario(&text, shared)?;
                prop_assert_eq!(loaded.save(), text);
                cluster = loaded;
            }
        }
        for number in 0..5 {
            prop_assert!(cluster.jobs_for_token(&request(number).token).len() <= 1);
        }
    }
    Ok(answers)
}

/// A final end is told only of a job that has ended, and such a job never comes back to life.
fn check_end(
    cluster: &MockCluster,
    observation: &Observation,
    ended: &mut BTreeSet<JobId>,
) -> Result<(), TestCaseError> {
    if let Sighting::Seen(report) = &observation.sighting
        && report.finality() == Finality::Final
    {
        ended.insert(observation.job);
    }
    for job in ended.iter() {
        let state = cluster.true_state(*job);
        let finality = state.as_ref().map(JobState::finality);
        prop_assert_eq!(
            finality,
            Some(Finality::Final),
            "{} was told final, is {:?}",
            job,
            state
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn calls_and_faults_in_any_order_keep_the_contract_and_repeat_themselves(
        seed in any::<u64>(),
        acts in acts(),
    ) {
        prop_assert_eq!(play(seed, &acts)?, play(seed, &acts)?);
    }
}
