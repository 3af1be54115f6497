//! One living job per item, also where the books of the first submission were lost.

use std::io::Write as _;
use std::process::Command;

use ralph_core::backend::{ClusterBackend as _, Receipt, SubmitRequest};
use ralph_slurm::Fault;

use crate::scheduler::Scheduler;
use crate::shared::{accepted, request};

const SCRIPT: &str = "#!/bin/bash\n#SBATCH --time=1\n\necho hello\n";

/// A submission of one item by books that know of no other.
fn of_item(cluster: &Scheduler, script: &str) -> SubmitRequest {
    SubmitRequest {
        item: Some("Q-001".parse().unwrap()),
        ..request(&cluster.env, script)
    }
}

fn age(cluster: &Scheduler, request: &SubmitRequest, seconds: u32) {
    touch(cluster, request, "claim", seconds);
}

fn touch(cluster: &Scheduler, request: &SubmitRequest, name: &str, seconds: u32) {
    let claim = cluster.receipt_folder(request.token.as_str()).join(name);
    let touched = Command::new("touch")
        .args(["-d", &format!("{seconds} seconds ago")])
        .arg(claim)
        .status();
    assert!(touched.unwrap().success());
}

#[tokio::test]
async fn an_item_whose_job_lives_gets_no_second_one_whatever_the_books_know() {
    let cluster = Scheduler::new();
    let backend = cluster.backend();
    let first = of_item(&cluster, SCRIPT);
    let job = accepted(&backend.submit(&first).await.unwrap());
    assert_eq!(
        cluster.log("squeue"),
        "",
        "an item's first submission asks nothing"
    );

    let second = of_item(&cluster, SCRIPT);
    let expected = |same| Receipt::Earlier {
        job,
        token: first.token.clone(),
        run: first.run.clone(),
        intent_at: to_the_second(&first),
        same,
    };
    for fault in [None, Some(Fault::LostReply), Some(Fault::BeforeSend), None] {
        let faulty = cluster.backend_with(fault.clone());
        let answer = faulty.submit(&second).await;
        assert_eq!(answer.ok(), fault.is_none().then(|| expected(true)));
        let looked = backend.receipt(&second.token, second.intent_at).await;
        assert_eq!(looked.unwrap(), Receipt::Absent);
    }
    let other = of_item(&cluster, "#!/bin/bash\n#SBATCH --time=1\n\necho other\n");
    assert_eq!(backend.submit(&other).await.unwrap(), expected(false));
    assert_eq!(
        backend.submit(&first).await.unwrap(),
        backend.submit(&first).await.unwrap()
    );
    assert_eq!(cluster.jobs(), 1);

    // The same item of another project, and one that is no item of a queue, are others.
    for another in [
        SubmitRequest {
            project: "other".parse().unwrap(),
            ..of_item(&cluster, SCRIPT)
        },
        request(&cluster.env, SCRIPT),
    ] {
        accepted(&backend.submit(&another).await.unwrap());
    }
}

/// The job that lives may be why there is room for no other.
#[tokio::test]
async fn a_limit_that_the_living_job_fills_hides_it_from_nobody() {
    let cluster = Scheduler::new();
    let backend = cluster.backend();
    let [first, second] = [0, 1].map(|_| of_item(&cluster, SCRIPT));
    accepted(&backend.submit(&first).await.unwrap());
    cluster.set(
        "preflight.fail",
        "allocation failure: Job violates accounting/QOS policy (job submit limit)\n",
    );
    let answer = backend.submit(&second).await.unwrap();
    assert!(
        matches!(answer, Receipt::Earlier { same: true, .. }),
        "{answer:?}"
    );
}

#[tokio::test]
async fn an_item_whose_job_has_left_the_queue_is_submitted_again() {
    let cluster = Scheduler::new();
    let backend = cluster.backend();
    let [first, second] = [0, 1].map(|_| of_item(&cluster, SCRIPT));
    accepted(&backend.submit(&first).await.unwrap());
    cluster.set("queue.forgets", "");
    accepted(&backend.submit(&second).await.unwrap());
    assert_eq!(cluster.jobs(), 2);
}

/// What was cancelled stands in the queue for a while; so long as it is being ended it lives.
#[tokio::test]
async fn an_item_whose_job_was_cancelled_is_submitted_again_once_the_job_is_gone() {
    let cluster = Scheduler::new();
    let backend = cluster.backend();
    let [first, second] = [0, 1].map(|_| of_item(&cluster, SCRIPT));
    let job = accepted(&backend.submit(&first).await.unwrap());
    for alive in ["PENDING", "RUNNING", "COMPLETING", "REQUEUED", "STAGE_OUT"] {
        cluster.set("job.1001/queued", alive);
        let answer = backend.submit(&second).await.unwrap();
        assert!(
            matches!(answer, Receipt::Earlier { job: found, .. } if found == job),
            "{alive}: {answer:?}"
        );
    }
    cluster.set("job.1001/queued", "CANCELLED");
    accepted(&backend.submit(&second).await.unwrap());
    assert_eq!(cluster.jobs(), 2);
}

#[tokio::test]
async fn where_nobody_can_say_whether_a_job_of_the_item_lives_nothing_is_submitted() {
    let cluster = Scheduler::new();
    let backend = cluster.backend();
    let [first, second] = [0, 1].map(|_| of_item(&cluster, SCRIPT));
    accepted(&backend.submit(&first).await.unwrap());
    let waits = async |why: &str| {
        let answer = backend.submit(&second).await.unwrap();
        let Receipt::Refused {
            message,
            limit: true,
        } = answer
        else {
            panic!("{answer:?}")
        };
        assert!(
            message.contains(why) && message.contains(first.token.as_str()),
            "{message}"
        );
        assert_eq!(cluster.jobs(), 1);
    };
    cluster.set(
        "squeue.fail",
        "slurm_load_jobs error: Unable to contact slurm controller\n",
    );
    waits("Unable to contact slurm controller").await;
    cluster.unset("squeue.fail");
    // The one that claimed it is at work, or has died a moment ago.
    cluster.set("queue.forgets", "");
    std::fs::remove_file(cluster.receipt_folder(first.token.as_str()).join("rc")).unwrap();
    age(&cluster, &first, 500);
    waits("it is being submitted already").await;
    age(&cluster, &first, 700);
    accepted(&backend.submit(&second).await.unwrap());
    assert_eq!(cluster.jobs(), 2);
}

/// The queue is asked once for a bundle, and what the bundle itself has submitted since is not in that answer.
#[tokio::test]
async fn two_submissions_of_one_item_in_one_bundle_start_one_job() {
    let cluster = Scheduler::new();
    let backend = cluster.backend();
    let [ended, first, second] = [0, 1, 2].map(|_| of_item(&cluster, SCRIPT));
    accepted(&backend.submit(&ended).await.unwrap());
    std::fs::remove_dir_all(cluster.state().join("job.1001")).unwrap();
    touch(&cluster, &ended, "rc", 300);
    let mut answers = [None, None];
    let bundle = [first, second];
    backend
        .submit_all(&bundle, &mut |index, answer| {
            answers[index] = Some(answer.unwrap());
        })
        .await;
    let [Some(first), Some(second)] = answers else {
        panic!("{answers:?}")
    };
    // The tokens are random, and so is which of them comes first.
    let (accepted_one, other) = match &first {
        Receipt::Accepted { .. } => (first, second),
        _ => (second, first),
    };
    let job = accepted(&accepted_one);
    assert!(
        matches!(other, Receipt::Earlier { job: found, same: true, .. } if found == job),
        "{other:?}"
    );
    assert_eq!(cluster.jobs(), 1);
    assert_eq!(cluster.log("squeue").lines().count(), 2);
}

/// Who holds the turn has not claimed yet, or has died before it could: nobody else submits for two minutes.
#[tokio::test]
async fn who_holds_the_turn_of_an_item_keeps_others_out_until_it_is_old() {
    let cluster = Scheduler::new();
    let backend = cluster.backend();
    let [first, second] = [0, 1].map(|_| of_item(&cluster, SCRIPT));
    let folder = cluster.root().join(".ralph/items/demo/Q-001");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::File::create(folder.join(".turn.1"))
        .and_then(|mut turn| writeln!(turn, "{}", first.token))
        .unwrap();
    let waits = backend.submit(&second).await.unwrap();
    assert!(
        matches!(&waits, Receipt::Refused { message, limit: true } if message.contains(first.token.as_str()) && message.contains("after 2 minutes")),
        "{waits:?}"
    );
    let looked = backend.receipt(&second.token, second.intent_at).await;
    assert_eq!(looked.unwrap(), Receipt::Absent);
    // The turn is its own, and nothing stands against it.
    let job = accepted(&backend.submit(&first).await.unwrap());
    let earlier = backend.submit(&second).await.unwrap();
    assert!(
        matches!(earlier, Receipt::Earlier { job: found, .. } if found == job),
        "{earlier:?}"
    );
    // One that never claimed and is old.
    let [dead, third] = [0, 1].map(|_| SubmitRequest {
        project: "other".parse().unwrap(),
        ..of_item(&cluster, SCRIPT)
    });
    let folder = cluster.root().join(".ralph/items/other/Q-001");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::File::create(folder.join(".turn.1"))
        .and_then(|mut turn| writeln!(turn, "{}", dead.token))
        .unwrap();
    let touched = Command::new("touch")
        .args(["-d", "125 seconds ago"])
        .arg(folder.join(".turn.1"))
        .status();
    assert!(touched.unwrap().success());
    accepted(&backend.submit(&third).await.unwrap());
    assert_eq!(cluster.jobs(), 2);
}

/// A controller that does not answer may work the submission off later.
#[tokio::test]
async fn an_item_whose_submission_timed_out_a_moment_ago_is_not_submitted_again() {
    let cluster = Scheduler::new();
    let backend = cluster.backend();
    let [first, second] = [0, 1].map(|_| of_item(&cluster, SCRIPT));
    cluster.set(
        "sbatch.refuse",
        "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n",
    );
    backend.submit(&first).await.unwrap();
    cluster.unset("sbatch.refuse");
    let answer = backend.submit(&second).await.unwrap();
    assert!(
        matches!(&answer, Receipt::Refused { message, limit: true } if message.contains("not known yet")),
        "{answer:?}"
    );
    touch(&cluster, &first, "rc", 130);
    accepted(&backend.submit(&second).await.unwrap());
    // One that was refused is no reason to wait.
    let [first, second] = [0, 1].map(|_| SubmitRequest {
        project: "other".parse().unwrap(),
        ..of_item(&cluster, SCRIPT)
    });
    cluster.set(
        "sbatch.refuse",
        "sbatch: error: invalid partition specified: nosuch\n",
    );
    backend.submit(&first).await.unwrap();
    cluster.unset("sbatch.refuse");
    accepted(&backend.submit(&second).await.unwrap());
}

/// The time of the intent as the cluster keeps it.
fn to_the_second(request: &SubmitRequest) -> ralph_core::time::Timestamp {
    ralph_core::time::Timestamp::from_second(request.intent_at.as_second()).unwrap()
}
