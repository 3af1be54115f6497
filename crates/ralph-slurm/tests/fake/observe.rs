//! One question, three answers: seen, absent, could not ask.

use ralph_core::backend::{BackendError, ClusterBackend as _};
use ralph_core::id::JobId;
use ralph_core::job::{Finality, JobQuery, Sighting};
use ralph_core::time::Timestamp;
use ralph_slurm::Fault;

use crate::scheduler::Scheduler;
use crate::shared::{accepted, query, request};

fn ask(jobs: &[&str]) -> Vec<JobQuery> {
    jobs.iter()
        .map(|job| JobQuery::of(job.parse().unwrap()))
        .collect()
}

/// The answers in a few words each.
async fn look(cluster: &Scheduler, queries: &[JobQuery]) -> Vec<String> {
    let seen = cluster.backend().observe(queries).await.unwrap();
    seen.into_iter()
        .map(|observation| match observation.sighting {
            Sighting::Seen(report) => {
                let tasks: Vec<String> = report
                    .tasks
                    .iter()
                    .map(|task| format!("{}={}", task.job, task.state))
                    .collect();
                let exit = report
                    .exit
                    .map(|exit| format!(" {exit}"))
                    .unwrap_or_default();
                let by = report
                    .cancelled_by
                    .map(|uid| format!(" by {uid}"))
                    .unwrap_or_default();
                format!(
                    "{} {}{exit}{by} r{} {:?} ({}) {}",
                    observation.job,
                    report.state,
                    report.restarts,
                    report.finality(),
                    report.evidence.source,
                    tasks.join(" ")
                )
                .trim_end()
                .to_owned()
            }
            Sighting::Absent { asked } => {
                format!("{} absent from {}", observation.job, asked.join(", "))
            }
            Sighting::Unknown { why } => format!("{} unknown: {why}", observation.job),
        })
        .collect()
}

#[tokio::test]
async fn the_queue_speaks_for_the_living_and_accounting_for_the_gone() {
    let cluster = Scheduler::new();
    cluster.set(
        "queue",
        "1|1|RUNNING|None|1795184200|1795184201|1795184801|cpu01|a\n\
         2|2|COMPLETED|None|1795184200|1795184201|1795184205|cpu01|b\n\
         3|3|COMPLETED|None|1795184200|1795184201|1795184205|cpu01|late in accounting\n\
         4|4|QUANTUM|None|1795184200|N/A|N/A||new word\n\
         5|5|REQUEUE_HOLD|job requeued in held state|1795184200|N/A|N/A||held\n\
         6_[2-3,x%1]|6|PENDING|Resources|1795184200|N/A|N/A||cannot be counted\n",
    );
    cluster.set(
        "accounting",
        "2|2|COMPLETED|0:0|1795184200|1795184201|1795184205|cpu01|b\n\
         3|3|RUNNING|0:0|1795184200|1795184201|Unknown|cpu01|allocation\n\
         7|7|CANCELLED by 61001|0:0|1795184200|1795184201|1795184205|cpu01|c\n\
         8|8|RUNNING|0:0|1795184200|1795184201|Unknown|cpu01|gone\n\
         9|9|REQUEUED|0:0|1795184200|1795184201|1795184205|cpu01|again\n\
         9|9|FAILED|3:0|1795184300|1795184301|1795184305|cpu01|again\n\
         10+0|10|COMPLETED|0:0|1795184200|1795184201|1795184205|cpu01|het\n\
         10+1|11|FAILED|0:11|1795184200|1795184201|1795184205|cpu02|het\n",
    );
    let seen = look(
        &cluster,
        &ask(&["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "12"]),
    )
    .await;
    insta::assert_snapshot!(seen.join("\n"), @"
    1 RUNNING r0 Alive (squeue)
    2 COMPLETED 0:0 r0 Final (sacct)
    3 COMPLETED r0 Final (squeue)
    4 QUANTUM r0 Alive (squeue)
    5 REQUEUE_HOLD r0 Alive (squeue)
    6 unknown: squeue prints a list of tasks that cannot be read: 6_[2-3,x%1] 6 PENDING Resources 1795184200 N/A N/A  cannot be counted
    7 CANCELLED 0:0 by 61001 r0 Final (sacct)
    8 unknown: it has left the queue, and accounting still says RUNNING
    9 FAILED 3:0 r1 Final (sacct)
    10 FAILED 0:11 r0 Final (sacct) 10+0=COMPLETED 10+1=FAILED
    12 absent from squeue, sacct
    ");
    assert_eq!(cluster.log("squeue").lines().count(), 1);
    assert_eq!(cluster.log("sacct").lines().count(), 1);
    assert!(
        cluster.log("sacct").contains("-j 2,3,6,7,8,9,10,12")
            || cluster.log("sacct").contains("-j 10,12,2,3,6,7,8,9")
    );
}

#[tokio::test]
async fn accounting_is_not_asked_while_everything_is_in_the_queue() {
    let cluster = Scheduler::new();
    cluster.set("queue", "1|1|PENDING|Priority|1795184200|N/A|N/A||a\n");
    look(&cluster, &ask(&["1"])).await;
    assert_eq!(cluster.log("sacct"), "");
}

#[tokio::test]
async fn accounting_that_was_not_asked_has_not_answered() {
    let cluster = Scheduler::new();
    // A login node that starts no further process in the middle of the script.
    cluster.command("awk", "#!/bin/sh\nexit 1\n");
    assert_eq!(
        look(&cluster, &ask(&["1"])).await,
        ["1 unknown: it has left the queue, and sacct failed: it was not asked"]
    );
}

#[tokio::test]
async fn a_source_that_fails_makes_unknown_never_gone() {
    let cluster = Scheduler::new();
    cluster.set("accounting", "1|1|FAILED|1:0|1795184200|1795184201|1795184205|cpu01|a\n2|2|RUNNING|0:0|1795184200|1795184201|Unknown|cpu01|b\n");
    cluster.set(
        "squeue.fail",
        "slurm_load_jobs error: Unable to contact slurm controller (connect failure)",
    );
    let queue_down = look(&cluster, &ask(&["1", "2", "3"])).await;
    cluster.unset("squeue.fail");
    cluster.set(
        "queue",
        "1|1|RUNNING|None|1795184200|1795184201|1795184801|cpu01|a\n",
    );
    cluster.set(
        "sacct.fail",
        "sacct: error: Problem talking to the database: Connection refused",
    );
    let accounting_down = look(&cluster, &ask(&["1", "2"])).await;
    insta::assert_snapshot!([queue_down, accounting_down].concat().join("\n"), @"
    1 FAILED 1:0 r0 Final (sacct)
    2 unknown: accounting says RUNNING, but squeue failed: exit code 1: slurm_load_jobs error: Unable to contact slurm controller (connect failure)
    3 unknown: accounting does not know it, and squeue failed: exit code 1: slurm_load_jobs error: Unable to contact slurm controller (connect failure)
    1 RUNNING r0 Alive (squeue)
    2 unknown: it has left the queue, and sacct failed: exit code 1: sacct: error: Problem talking to the database: Connection refused
    ");
    cluster.set("squeue.fail", "down");
    let neither = cluster.backend().observe(&ask(&["1"])).await;
    assert!(
        matches!(neither, Err(BackendError::Unreachable { .. })),
        "{neither:?}"
    );
}

#[tokio::test]
async fn a_reply_that_breaks_off_keeps_the_queue_and_invents_nothing() {
    let cluster = Scheduler::new();
    cluster.set(
        "queue",
        "1|1|RUNNING|None|1795184200|1795184201|1795184801|cpu01|a\n",
    );
    cluster.set(
        "accounting",
        "2|2|COMPLETED|0:0|1795184200|1795184201|1795184205|cpu01|b\n",
    );
    let mut complete = 0;
    for length in (0..900).step_by(17) {
        let backend = cluster.backend_with([Fault::CutAfter(length)]);
        let Ok(seen) = backend.observe(&ask(&["1", "2"])).await else {
            continue;
        };
        for observation in seen {
            match observation.sighting {
                Sighting::Seen(report) if observation.job.base() == 1 => {
                    assert_eq!(report.finality(), Finality::Alive);
                }
                Sighting::Seen(report) => {
                    assert_eq!(report.state.as_str(), "COMPLETED");
                    complete += 1;
                }
                Sighting::Absent { asked } => panic!("cut after {length}: absent from {asked:?}"),
                Sighting::Unknown { .. } => {}
            }
        }
    }
    assert!(complete > 0, "no reply was long enough");
}

#[tokio::test]
async fn an_id_that_was_used_before_is_not_ours() {
    let cluster = Scheduler::new();
    cluster.set(
        "accounting",
        "1|1|FAILED|1:0|1500000000|1500000001|1500000002|cpu01|old\n",
    );
    let mut queries = ask(&["1"]);
    assert!(look(&cluster, &queries).await[0].contains("FAILED"));
    queries[0].submitted_after = Some(Timestamp::from_second(1_795_184_000).unwrap());
    assert_eq!(
        look(&cluster, &queries).await,
        ["1 absent from squeue, sacct"]
    );
}

#[tokio::test]
async fn an_array_has_ended_when_every_task_that_was_submitted_has() {
    let cluster = Scheduler::new();
    let request = request(&cluster.env, "#!/bin/bash\n#SBATCH --array=0-3%2\ntrue\n");
    let job = accepted(&cluster.backend().submit(&request).await.unwrap());
    let ask = [
        query(job, &request),
        JobQuery {
            job: job.task(2),
            ..query(job, &request)
        },
    ];
    let at = request.intent_at.as_second();
    let row = |task: u32, state: &str| {
        format!("{job}_{task}|9{task}|{state}|0:0|{at}|{at}|{at}|cpu01|a\n")
    };
    let mut seen = Vec::new();
    cluster.set(
        "queue",
        &format!("{job}_[2-3%2]|{job}|PENDING|JobArrayTaskLimit|{at}|N/A|N/A||a\n"),
    );
    cluster.set("accounting", &(row(0, "COMPLETED") + &row(1, "COMPLETED")));
    seen.extend(look(&cluster, &ask).await);
    cluster.set("queue", "");
    seen.extend(look(&cluster, &ask).await);
    cluster.set(
        "accounting",
        &(row(0, "COMPLETED") + &row(1, "COMPLETED") + &row(2, "FAILED") + &row(3, "COMPLETED")),
    );
    seen.extend(look(&cluster, &ask).await);
    let text = seen.join("\n").replace(&job.to_string(), "JOB");
    insta::assert_snapshot!(text, @"
    JOB PENDING r0 Alive (squeue) JOB_0=COMPLETED JOB_1=COMPLETED JOB_2=PENDING JOB_3=PENDING
    JOB_2 PENDING r0 Alive (squeue)
    JOB unknown: JOB_2: it is neither in the queue nor in accounting yet
    JOB_2 absent from squeue, sacct
    JOB FAILED 0:0 r0 Final (sacct) JOB_0=COMPLETED JOB_1=COMPLETED JOB_2=FAILED JOB_3=COMPLETED
    JOB_2 FAILED 0:0 r0 Final (sacct)
    ");
}

#[tokio::test]
async fn a_heterogeneous_job_has_not_ended_with_its_first_component() {
    let cluster = Scheduler::new();
    let script = "#!/bin/bash\n#SBATCH -n 1\n#SBATCH hetjob\n#SBATCH -n 2\ntrue\n";
    let request = request(&cluster.env, script);
    let job = accepted(&cluster.backend().submit(&request).await.unwrap());
    let ask = [query(job, &request)];
    let at = request.intent_at.as_second();
    let mut seen = Vec::new();
    // What accounting says first, when the queue has forgotten the job: the leader, as if it were all.
    for state in ["PENDING", "COMPLETED"] {
        cluster.set(
            "accounting",
            &format!("{job}|{job}|{state}|0:0|{at}|{at}|{at}|cpu01|a\n"),
        );
        seen.extend(look(&cluster, &ask).await);
    }
    let leader = format!("{job}+0|{job}|COMPLETED|0:0|{at}|{at}|{at}|cpu01|a\n");
    cluster.set("accounting", &leader);
    seen.extend(look(&cluster, &ask).await);
    cluster.set(
        "accounting",
        &format!("{leader}{job}+1|9|FAILED|3:0|{at}|{at}|{at}|cpu01|a\n"),
    );
    seen.extend(look(&cluster, &ask).await);
    cluster.set("accounting", "");
    seen.extend(look(&cluster, &ask).await);
    let text = seen.join("\n").replace(&job.to_string(), "JOB");
    insta::assert_snapshot!(text, @"
    JOB unknown: it has left the queue, and accounting still says PENDING
    JOB unknown: JOB+0: it is neither in the queue nor in accounting yet
    JOB unknown: JOB+1: it is neither in the queue nor in accounting yet
    JOB FAILED 3:0 r0 Final (sacct) JOB+0=COMPLETED JOB+1=FAILED
    JOB absent from squeue, sacct
    ");
}

#[tokio::test]
async fn an_adopted_job_of_several_parts_has_not_ended_before_each_of_them_has() {
    let cluster = Scheduler::new();
    let (heterogeneous, array): (JobId, JobId) = ("7".parse().unwrap(), "9".parse().unwrap());
    let ask = [
        JobQuery {
            parts: (0..2).map(|index| heterogeneous.component(index)).collect(),
            ..JobQuery::of(heterogeneous)
        },
        JobQuery {
            parts: (4..6).map(|index| array.task(index)).collect(),
            ..JobQuery::of(array)
        },
    ];
    let times = "0:0|1795184200|1795184201|1795184205|cpu01|a";
    let mut seen = Vec::new();
    // The queue has forgotten them; accounting is late.
    let early = format!("7|7|COMPLETED|{times}\n9_4|9|COMPLETED|{times}\n");
    let late = format!(
        "7+0|7|COMPLETED|{times}\n7+1|8|COMPLETED|{times}\n9_4|9|COMPLETED|{times}\n9_5|10|FAILED|{times}\n"
    );
    for accounting in [early, late] {
        cluster.set("accounting", &accounting);
        seen.extend(look(&cluster, &ask).await);
    }
    insta::assert_snapshot!(seen.join("\n"), @"
    7 unknown: 7+0: it is neither in the queue nor in accounting yet
    9 unknown: 9_5: it is neither in the queue nor in accounting yet
    7 COMPLETED 0:0 r0 Final (sacct) 7+0=COMPLETED 7+1=COMPLETED
    9 FAILED 0:0 r0 Final (sacct) 9_4=COMPLETED 9_5=FAILED
    ");
}

#[tokio::test]
async fn half_a_record_is_not_the_end_of_a_job() {
    let cluster = Scheduler::new();
    let now = cluster.env.now().as_second();
    let row = |ended: i64| format!("7|7|COMPLETED|0:0|{ended}|{ended}|{ended}|cpu01|allocation\n");
    let mut seen = Vec::new();
    for ended in [now - 5, now - 90] {
        cluster.set("accounting", &row(ended));
        seen.extend(look(&cluster, &ask(&["7"])).await);
    }
    insta::assert_snapshot!(seen.join("\n"), @"
    7 unknown: it has ended, and not all of its record is in accounting yet
    7 COMPLETED 0:0 r0 Final (sacct)
    ");
}

#[tokio::test]
async fn success_needs_the_job_s_own_word_where_there_is_one() {
    let cluster = Scheduler::new();
    let request = request(&cluster.env, "#!/bin/bash\ntrue\n");
    let job = accepted(&cluster.backend().submit(&request).await.unwrap());
    let folder = cluster.receipt_folder(request.token.as_str());
    let record = |code: i32, at: i64| {
        let mut file = std::fs::File::create(folder.join(format!("ended.{job}"))).unwrap();
        std::io::Write::write_all(&mut file, format!("{code} 0\n").as_bytes()).unwrap();
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(at.unsigned_abs());
        file.set_modified(at).unwrap();
    };
    let at = request.intent_at.as_second();
    let ask = [query(job, &request)];
    let mut seen = Vec::new();
    cluster.set(
        "accounting",
        &format!("{job}|{job}|COMPLETED|0:0|{at}|{at}|{at}|cpu01|a\n"),
    );
    seen.extend(look(&cluster, &ask).await);
    record(1, at - 500);
    seen.extend(look(&cluster, &ask).await);
    record(1, at + 5);
    seen.extend(look(&cluster, &ask).await);
    // A cluster that keeps no accounting: the record is the only witness.
    cluster.unset("accounting");
    cluster.set("sacct.fail", "Slurm accounting storage is disabled");
    seen.extend(look(&cluster, &ask).await);
    std::fs::remove_file(folder.join(format!("ended.{job}"))).unwrap();
    seen.extend(look(&cluster, &ask).await);
    let text = seen.join("\n").replace(&job.to_string(), "JOB");
    insta::assert_snapshot!(text, @"
    JOB COMPLETED 0:0 r0 Final (sacct)
    JOB COMPLETED 0:0 r0 Final (sacct)
    JOB COMPLETED, but its script recorded exit code 1 0:0 r0 Alive (sacct)
    JOB FAILED 1:0 r0 Final (the job's own record)
    JOB absent from squeue, the job's own record
    ");
}

#[tokio::test]
async fn ten_thousand_tasks_are_one_question_and_one_look_at_their_records() {
    let cluster = Scheduler::new();
    let script = "#!/bin/bash\n#SBATCH --array=0-9999\ntrue\n";
    let request = request(&cluster.env, script);
    let job = accepted(&cluster.backend().submit(&request).await.unwrap());
    let at = request.intent_at.as_second();
    let rows: String = (0..9_999)
        .map(|task| format!("{job}_{task}|9|COMPLETED|0:0|{at}|{at}|{at}|cpu01|a\n"))
        .collect();
    cluster.set("accounting", &rows);
    let folder = cluster.receipt_folder(request.token.as_str());
    for task in 0..50 {
        let path = folder.join(format!("ended.{job}_{task}"));
        std::fs::File::create(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, b"0 0\n"))
            .unwrap();
    }
    cluster.command(
        "stat",
        "#!/bin/sh\necho >>\"$HOME/state/stat.log\"\nexec /usr/bin/stat \"$@\"\n",
    );
    let ask = [query(job, &request)];
    let unknown = look(&cluster, &ask).await.concat();
    assert!(unknown.contains("_9999: it is neither"), "{unknown}");
    cluster.set(
        "accounting",
        &format!("{rows}{job}_9999|9|FAILED|1:0|{at}|{at}|{at}|cpu01|a\n"),
    );
    let seen = look(&cluster, &ask).await.concat();
    assert!(seen.contains(" FAILED 1:0 "), "{seen:.200}");
    assert_eq!(seen.matches("=COMPLETED").count(), 9_999);
    assert_eq!(cluster.log("stat").lines().count(), 2);
    assert_eq!(cluster.log("sacct").lines().count(), 2);
}

#[tokio::test]
async fn five_thousand_jobs_are_one_question() {
    let cluster = Scheduler::new();
    let rows: String = (1..=5000)
        .map(|id| {
            format!(
                "{id}|{id}|RUNNING|None|1795184200|1795184201|1795184801|cpu01|a job with a name\n"
            )
        })
        .collect();
    cluster.set("queue", &rows);
    let queries: Vec<JobQuery> = (1..=5000)
        .map(|id: u32| ask(&[&id.to_string()]).remove(0))
        .collect();
    let seen = look(&cluster, &queries).await;
    assert!(seen.iter().all(|line| line.contains("RUNNING")));
    assert_eq!(cluster.log("squeue").lines().count(), 1);
}
