//! Exactly once, whatever lies.

use std::collections::BTreeMap;

use ralph_core::backend::{BackendError, ClusterBackend as _, FoundBy, Receipt};
use ralph_slurm::Fault;

use crate::scheduler::Scheduler;
use crate::shared::{accepted, request};

const SCRIPT: &str = "#!/bin/bash\n#SBATCH --time=1\n\necho hello\n";
const TIMED_OUT: &str =
    "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation";

#[tokio::test]
async fn the_first_call_submits_and_every_other_reads_the_receipt() {
    let cluster = Scheduler::new();
    let backend = cluster.backend();
    let request = request(&cluster.env, SCRIPT);
    let first = backend.submit(&request).await.unwrap();
    for _ in 0..3 {
        assert_eq!(backend.submit(&request).await.unwrap(), first);
    }
    assert_eq!(
        backend
            .receipt(&request.token, request.intent_at)
            .await
            .unwrap(),
        first
    );
    assert_eq!(cluster.jobs(), 1);
}

#[tokio::test]
async fn every_fault_of_the_connection_ends_in_one_job_after_looking_again() {
    let faults = [
        Fault::NoSession,
        Fault::BeforeSend,
        Fault::LostReply,
        Fault::CutAfter(0),
        Fault::CutAfter(40),
        Fault::CutAfter(200),
        Fault::Noise(b"Welcome\nno newline at the end".to_vec()),
        Fault::Noise(vec![0xff, 0, b'\n', 0xfe]),
        Fault::Dribble,
        Fault::Replace("@ralph".to_owned(), "@other".to_owned()),
    ];
    for fault in faults {
        let cluster = Scheduler::new();
        let backend = cluster.backend_with([fault.clone()]);
        let request = request(&cluster.env, SCRIPT);
        let first = backend.submit(&request).await;
        let verdict = backend
            .receipt(&request.token, request.intent_at)
            .await
            .unwrap();
        match (&first, &verdict) {
            (Ok(receipt), _) => assert_eq!(receipt, &verdict, "{fault:?}"),
            (Err(_), Receipt::Absent) => {
                backend.submit(&request).await.unwrap();
            }
            (Err(_), Receipt::Accepted { .. }) => {}
            (Err(error), other) => panic!("{fault:?}: {error:?}, then {other:?}"),
        }
        assert_eq!(cluster.jobs(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_scheduler_that_starts_the_job_and_says_it_timed_out_is_not_believed() {
    let cluster = Scheduler::new();
    cluster.set("sbatch.lie", TIMED_OUT);
    let backend = cluster.backend();
    let request = request(&cluster.env, SCRIPT);
    let receipt = backend.submit(&request).await.unwrap();
    assert!(
        matches!(
            receipt,
            Receipt::Accepted {
                how: FoundBy::Queue,
                ..
            }
        ),
        "{receipt:?}"
    );
    cluster.set("queue.forgets", "");
    let later = backend.submit(&request).await.unwrap();
    assert!(
        matches!(
            later,
            Receipt::Accepted {
                how: FoundBy::Accounting,
                ..
            }
        ),
        "{later:?}"
    );
    assert_eq!(cluster.jobs(), 1);
}

#[tokio::test]
async fn what_cannot_be_proven_is_said_to_be_unclear_and_never_tried_again() {
    let cluster = Scheduler::new();
    cluster.set("sbatch.refuse", TIMED_OUT);
    let backend = cluster.backend();
    let request = request(&cluster.env, SCRIPT);
    assert!(matches!(
        backend.submit(&request).await.unwrap(),
        Receipt::Unproven { .. }
    ));
    cluster.unset("sbatch.refuse");
    assert!(matches!(
        backend.submit(&request).await.unwrap(),
        Receipt::Unproven { .. }
    ));
    // A job that has ended, and is in accounting without its command line, may be the one.
    cluster.set("accounting.half", "");
    let half = backend.receipt(&request.token, request.intent_at).await;
    assert!(
        matches!(half, Err(BackendError::Unreachable { .. })),
        "{half:?}"
    );
    cluster.unset("accounting.half");
    cluster.set(
        "sacct.fail",
        "sacct: error: slurm_persist_conn_open_without_init: Connection refused",
    );
    let blind = backend.receipt(&request.token, request.intent_at).await;
    assert!(
        matches!(blind, Err(BackendError::Unreachable { .. })),
        "{blind:?}"
    );
    assert_eq!(cluster.jobs(), 0);
}

#[tokio::test]
async fn any_number_of_submissions_is_looked_for_in_one_call() {
    let cluster = Scheduler::new();
    let backend = cluster.backend();
    let requests: Vec<_> = (0..4).map(|_| request(&cluster.env, SCRIPT)).collect();
    accepted(&backend.submit(&requests[0]).await.unwrap());
    cluster.set("sbatch.lie", TIMED_OUT);
    accepted(&backend.submit(&requests[1]).await.unwrap());
    cluster.set("sbatch.refuse", TIMED_OUT);
    backend.submit(&requests[2]).await.unwrap();
    let before = cluster.log("squeue").lines().count();
    let asked: Vec<_> = requests
        .iter()
        .map(|request| (request.token.clone(), request.intent_at))
        .collect();
    let found = backend.receipts(&asked).await.unwrap();
    let [
        Ok(Receipt::Accepted { job: first, .. }),
        Ok(Receipt::Accepted {
            job: second,
            how: FoundBy::Queue,
            ..
        }),
        Ok(Receipt::Unproven { .. }),
        Ok(Receipt::Absent),
    ] = found.as_slice()
    else {
        panic!("{found:?}")
    };
    assert_ne!(first, second);
    assert_eq!(cluster.log("squeue").lines().count(), before + 1);
}

#[tokio::test]
async fn a_claim_whose_owner_died_is_claimed_until_a_job_is_found() {
    let cluster = Scheduler::new();
    let backend = cluster.backend();
    let request = request(&cluster.env, SCRIPT);
    let folder = cluster.receipt_folder(request.token.as_str());
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::File::create(folder.join("claim")).unwrap();
    assert!(matches!(
        backend.submit(&request).await.unwrap(),
        Receipt::Claimed { .. }
    ));
    assert_eq!(cluster.jobs(), 0);
    std::fs::create_dir(cluster.state().join("job.77")).unwrap();
    cluster.set("job.77/script", &format!("{}/sent/job", folder.display()));
    assert_eq!(
        accepted(&backend.submit(&request).await.unwrap()).to_string(),
        "77"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_callers_with_one_token_start_one_job() {
    let cluster = std::sync::Arc::new(Scheduler::new());
    let request = request(&cluster.env, SCRIPT);
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (backend, request) = (cluster.backend(), request.clone());
            tokio::spawn(async move { backend.submit(&request).await })
        })
        .collect();
    for caller in callers {
        let receipt = caller.await.unwrap().unwrap();
        assert!(
            matches!(receipt, Receipt::Accepted { .. } | Receipt::Claimed { .. }),
            "{receipt:?}"
        );
    }
    assert_eq!(cluster.jobs(), 1);
}

#[tokio::test]
async fn what_the_scheduler_refuses_is_told_from_what_has_to_wait() {
    let cluster = Scheduler::new();
    let backend = cluster.backend();
    let mut found = Vec::new();
    for complaint in [
        "sbatch: error: invalid partition specified: nosuch",
        "sbatch: error: QOSMaxSubmitJobPerUserLimit",
    ] {
        for file in ["preflight.fail", "sbatch.refuse"] {
            cluster.set(file, complaint);
            let request = request(&cluster.env, SCRIPT);
            let receipt = backend.submit(&request).await.unwrap();
            let Receipt::Refused { message, limit } = receipt else {
                panic!("{receipt:?}")
            };
            found.push((file, message, limit));
            cluster.unset(file);
        }
    }
    insta::assert_debug_snapshot!(found, @r#"
    [
        (
            "preflight.fail",
            "sbatch: error: invalid partition specified: nosuch",
            false,
        ),
        (
            "sbatch.refuse",
            "sbatch: error: invalid partition specified: nosuch",
            false,
        ),
        (
            "preflight.fail",
            "sbatch: error: QOSMaxSubmitJobPerUserLimit",
            true,
        ),
        (
            "sbatch.refuse",
            "sbatch: error: QOSMaxSubmitJobPerUserLimit",
            true,
        ),
    ]
    "#);
    assert_eq!(cluster.jobs(), 0);
}

#[tokio::test]
async fn a_dependency_that_failed_is_refused_and_one_that_is_not_known_waits() {
    let cases = [
        ("queue.state", "RUNNING", "accepted"),
        ("queue.state", "FAILED", "refused"),
        ("queue.state", "QUANTUM", "accepted"),
        ("queue.state", "NODE_FAIL", "waits"),
        ("accounting.state", "COMPLETED", "accepted"),
        ("accounting.state", "CANCELLED by 61001", "refused"),
        ("accounting.state", "COMPLETED\nFAILED", "refused"),
        ("accounting.state", "RUNNING", "waits"),
        ("accounting.state", "", "waits"),
        ("sacct.fail", "Connection refused", "waits"),
    ];
    for (file, text, expected) in cases {
        let cluster = Scheduler::new();
        cluster.set(file, text);
        let mut request = request(&cluster.env, SCRIPT);
        request.after = vec!["500".parse().unwrap()];
        let receipt = cluster.backend().submit(&request).await.unwrap();
        let verdict = match &receipt {
            Receipt::Accepted { .. } => "accepted",
            Receipt::Refused { limit: true, .. } => "waits",
            Receipt::Refused { limit: false, .. } => "refused",
            _ => "?",
        };
        assert_eq!(verdict, expected, "{file} {text}: {receipt:?}");
        if verdict == "accepted" {
            assert!(
                cluster
                    .log("sbatch")
                    .contains("--dependency=afterok:500 --kill-on-invalid-dep=yes")
            );
        } else {
            let claim = cluster.receipt_folder(request.token.as_str()).join("claim");
            assert!(!claim.exists(), "nothing is claimed");
        }
    }
}

#[tokio::test]
async fn a_bundle_goes_in_one_call_and_each_receipt_is_its_own() {
    let cluster = Scheduler::new();
    let backend = cluster.backend();
    let mut requests: Vec<_> = (0..5).map(|_| request(&cluster.env, SCRIPT)).collect();
    requests[1] = request(&cluster.env, "#!/bin/bash\necho 'never closed\n");
    requests[2].script_sha256 = "0".repeat(64);
    requests[3]
        .variables
        .insert("NOT A NAME".to_owned(), String::new());
    let mut receipts = BTreeMap::new();
    backend
        .submit_all(&requests, &mut |index, receipt| {
            receipts.insert(index, receipt.unwrap());
        })
        .await;
    let word = |receipt: &Receipt| match receipt {
        Receipt::Accepted { .. } => "accepted".to_owned(),
        Receipt::Refused { message, limit } => format!(
            "refused, limit={limit}: {}",
            message.lines().next().unwrap_or("")
        ),
        other => format!("{other:?}"),
    };
    let words: Vec<String> = receipts.values().map(word).collect();
    assert_eq!(
        (words.len(), words[0].as_str(), words[4].as_str()),
        (5, "accepted", "accepted")
    );
    assert!(
        words[1].contains("limit=false") && words[1].contains("unexpected EOF"),
        "{}",
        words[1]
    );
    assert!(
        words[2].contains("limit=true") && words[2].contains("another SHA-256"),
        "{}",
        words[2]
    );
    assert_eq!(
        words[3],
        "refused, limit=false: `NOT A NAME` is not the name of a variable (letters, digits and `_`)"
    );
    assert_eq!(cluster.jobs(), 2);
    assert_eq!(
        cluster
            .log("sbatch")
            .lines()
            .filter(|line| line.contains("--test-only"))
            .count(),
        1
    );
}

#[tokio::test]
async fn a_bundle_that_breaks_off_leaves_the_receipts_that_arrived() {
    let cluster = Scheduler::new();
    let requests: Vec<_> = (0..3).map(|_| request(&cluster.env, SCRIPT)).collect();
    let first = requests
        .iter()
        .map(|request| request.token.as_str())
        .min()
        .unwrap();
    let backend = cluster.backend_with([Fault::CutBehind(format!("done receipt.{first} 0\n"))]);
    let (mut receipts, mut errors) = (0, Vec::new());
    backend
        .submit_all(&requests, &mut |_, receipt| match receipt {
            Ok(_) => receipts += 1,
            Err(error) => errors.push(error),
        })
        .await;
    assert!(
        matches!(
            errors.as_slice(),
            [
                BackendError::Unreachable { .. },
                BackendError::Unreachable { .. }
            ]
        ),
        "{errors:?}"
    );
    assert_eq!(receipts, 1);
    for request in &requests {
        accepted(
            &backend
                .receipt(&request.token, request.intent_at)
                .await
                .unwrap(),
        );
    }
    assert_eq!(cluster.jobs(), 3);
}

#[tokio::test]
async fn the_job_gets_its_variables_from_a_file_and_records_its_end() {
    let cluster = Scheduler::new();
    let backend = cluster.backend();
    let script = "#!/bin/bash\n#SBATCH --export=NONE\n# not the first command\n\nset -eu\nprintf '%s\\n' \"$LIST\" \"$RALPH_RUN_ID\"\ncat \"$RALPH_CONFIG\"\nexit 3\n";
    let request = request(&cluster.env, script);
    let job = accepted(&backend.submit(&request).await.unwrap());
    let path = cluster.script_of(&job.to_string());
    let output = std::process::Command::new("bash")
        .arg(&path)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("SLURM_JOB_ID", job.to_string())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "a,b|c 'd' $HOME\nq001_20261120_140000\n{\"lr\": 1e-3}\n"
    );
    let record = std::fs::read_to_string(
        cluster
            .receipt_folder(request.token.as_str())
            .join(format!("ended.{job}")),
    )
    .unwrap();
    assert!(record.starts_with("3 "), "{record}");
    let options = cluster.log("sbatch");
    assert!(options.contains("--job-name=q001.sbatch"), "{options}");
    assert!(
        options.contains(&format!("--comment=ralph:{}", request.token)),
        "{options}"
    );
    assert!(
        options.contains("--output=slurm/logs/%x_%j.out --error=slurm/logs/%x_%j.err"),
        "{options}"
    );
    assert!(cluster.root().join("projects/demo/slurm/logs").is_dir());
}

#[tokio::test]
async fn a_script_of_another_language_gets_its_variables_from_the_submission() {
    let cluster = Scheduler::new();
    let backend = cluster.backend();
    let request = request(
        &cluster.env,
        "#!/usr/bin/env python3\n#SBATCH --time=1\nprint(1)\n",
    );
    let job = accepted(&backend.submit(&request).await.unwrap());
    let sent = std::fs::read_to_string(cluster.script_of(&job.to_string())).unwrap();
    assert_eq!(sent, request.script);
    let env = std::fs::read_to_string(cluster.state().join(format!("job.{job}/env"))).unwrap();
    assert!(env.contains("LIST=a,b|c 'd' $HOME\n"), "{env}");
}

#[tokio::test]
async fn start_up_files_do_not_reach_the_scheduler_and_chatter_is_no_id() {
    let cluster = Scheduler::new();
    cluster.set(
        "sbatch.chatter",
        "Your project has 12 hours left.\n99999999999999\n",
    );
    let backend = cluster.backend();
    let request = request(&cluster.env, SCRIPT);
    assert_eq!(
        accepted(&backend.submit(&request).await.unwrap()).to_string(),
        "1001"
    );
}

#[tokio::test]
async fn a_repository_folder_that_is_not_there_is_made_where_it_should_stand() {
    let cluster = Scheduler::new();
    std::fs::remove_dir(cluster.root()).unwrap();
    let backend = cluster.backend();
    let request = request(&cluster.env, SCRIPT);
    // Nobody can tell what was claimed in a folder that is gone.
    let found = backend.receipt(&request.token, request.intent_at).await;
    assert!(matches!(found, Ok(Receipt::Unreadable { .. })), "{found:?}");
    assert!(!cluster.root().exists());
    accepted(&backend.submit(&request).await.unwrap());
    assert_eq!(cluster.jobs(), 1);
}

#[tokio::test]
async fn a_repository_folder_that_nothing_should_stand_in_is_named() {
    let cluster = Scheduler::new();
    let backend = cluster.backend_below("not/mounted");
    let request = request(&cluster.env, SCRIPT);
    for outcome in [
        backend.check().await.map(|()| Receipt::Absent),
        backend.submit(&request).await,
    ] {
        let Err(BackendError::Storage { detail, .. }) = &outcome else {
            panic!("{outcome:?}")
        };
        let what_to_do = "make it on the cluster: mkdir -p \"";
        assert!(detail.contains(what_to_do), "{detail}");
    }
    assert_eq!(cluster.jobs(), 0);
}
