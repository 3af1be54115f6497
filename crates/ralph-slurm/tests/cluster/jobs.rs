//! Jobs on the real cluster, each body over both transports: submit, observe, logs, cancel, list.

use crate::shared::{accepted, query};
use crate::site::{cluster, end, until};
use ralph_core::backend::{ClusterBackend as _, FetchRequest, FoundBy, LogPart, Receipt, Stream};
use ralph_core::job::{ExitInfo, JobState, Sighting};
use ralph_core::plan::pending::stuck;

const HELLO: &str = "#!/bin/bash\n#SBATCH --time=1 --mem=10M\n\nset -euo pipefail\n\
    echo \"$LIST\"\necho \"$RALPH_RUN_ID $RALPH_PROJECT $(cat \"$RALPH_CONFIG\")\"\necho oops >&2\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_job_from_its_submission_to_its_logs() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    for site in cluster.sites().await {
        let backend = site.backend();
        backend.check().await.unwrap();
        let request = site.request(HELLO);
        assert_eq!(
            backend
                .receipt(&request.token, request.intent_at)
                .await
                .unwrap(),
            Receipt::Absent,
            "{}",
            site.name
        );
        let job = accepted(&backend.submit(&request).await.unwrap());
        let again = backend.submit(&request).await.unwrap();
        assert_eq!(
            again,
            backend
                .receipt(&request.token, request.intent_at)
                .await
                .unwrap()
        );
        assert!(
            matches!(again, Receipt::Accepted { job: same, how: FoundBy::Marker, .. } if same == job)
        );

        let report = end(&backend, &query(job, &request)).await;
        assert_eq!(
            (report.state.clone(), report.exit),
            (JobState::Completed, Some(ExitInfo { code: 0, signal: 0 })),
            "{report:?}"
        );
        // Accounting learns the name of a very short job late.
        assert!(
            ["q001.sbatch", ""].contains(&report.name.as_str()),
            "{report:?}"
        );
        assert!(
            report.submitted.is_some() && report.ended.is_some() && report.nodes.is_some(),
            "{report:?}"
        );

        let out = backend
            .fetch(&FetchRequest {
                project: "demo".parse().unwrap(),
                job,
                token: Some(request.token.clone()),
                stream: Stream::Out,
                part: LogPart::From(0),
                limit: 10_000,
            })
            .await
            .unwrap();
        let text = String::from_utf8(out.bytes).unwrap();
        assert_eq!(
            text,
            "a,b|c 'd' $HOME\nq001_20261120_140000 demo {\"lr\": 1e-3}\n"
        );
        assert_eq!(out.size, Some(text.len() as u64));
        let expected = site
            .root
            .join(format!("projects/demo/slurm/logs/q001.sbatch_{job}.out"));
        assert_eq!(out.path, Some(expected.display().to_string()));
        let err = FetchRequest {
            project: "demo".parse().unwrap(),
            job,
            token: None,
            stream: Stream::Err,
            part: LogPart::From(2),
            limit: 2,
        };
        let piece = backend.fetch(&err).await.unwrap();
        assert_eq!(
            (piece.bytes.as_slice(), piece.offset, piece.size),
            (&b"ps"[..], 2, Some(5))
        );
        let last = backend
            .fetch(&FetchRequest {
                part: LogPart::End,
                ..err.clone()
            })
            .await
            .unwrap();
        assert_eq!((last.bytes.as_slice(), last.offset), (&b"s\n"[..], 3));
        let missing = backend
            .fetch(&FetchRequest {
                job: "99".parse().unwrap(),
                ..err
            })
            .await
            .unwrap();
        assert_eq!((missing.size, missing.path), (None, None));

        let found = backend
            .existing(
                &"demo".parse().unwrap(),
                &["slurm/logs".to_owned(), "results/it's.json".to_owned()],
            )
            .await
            .unwrap();
        assert_eq!(found, [true, false]);
        assert_eq!(site.jobs_ever(request.token.as_str()).len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_is_seen_with_who_did_it() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    for site in cluster.sites().await {
        let backend = site.backend();
        let request = site.request("#!/bin/bash\n#SBATCH --time=5 --mem=10M\nsleep 300\n");
        let job = accepted(&backend.submit(&request).await.unwrap());
        let jobs = backend.jobs().await.unwrap();
        let ours = jobs.iter().find(|report| report.job == job).unwrap();
        assert!(
            ours.evidence
                .line
                .ends_with(&format!("token={}", request.token)),
            "{ours:?}"
        );
        until(&backend, &query(job, &request), |sighting| match sighting {
            Sighting::Seen(report) if report.state == JobState::Running => Some(()),
            _ => None,
        })
        .await;
        backend.cancel(&[job, "4".parse().unwrap()]).await.unwrap();
        let report = end(&backend, &query(job, &request)).await;
        assert_eq!(
            (report.state, report.cancelled_by),
            (JobState::Cancelled, Some(61001))
        );
        let ended = "CANCELLED by its user";
        site.record("cancelled by the user", &[&request], ended)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_jobs_in_one_call_each_with_its_own_script() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    for site in cluster.sites().await {
        let backend = site.backend();
        let requests: Vec<_> = (0..100)
            .map(|number| {
                site.request(&format!(
                    "#!/bin/bash\n#SBATCH --time=1 --mem=10M -o /dev/null\n# {number}\n{}\n",
                    "#".repeat(4000)
                ))
            })
            .collect();
        let mut jobs = std::collections::BTreeMap::new();
        let start = std::time::Instant::now();
        backend
            .submit_all(&requests, &mut |index, receipt| {
                jobs.insert(index, accepted(&receipt.unwrap()));
            })
            .await;
        eprintln!("{}: 100 jobs in {:.2?}", site.name, start.elapsed());
        assert_eq!(jobs.len(), 100);
        let distinct: std::collections::BTreeSet<_> = jobs.values().collect();
        assert_eq!(distinct.len(), 100);
        let ids: Vec<_> = jobs.values().copied().collect();
        backend.cancel(&ids).await.unwrap();
    }
}

/// What the scheduler itself says of a job that only a person can get to start, and of one that waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_never_starts_by_itself_is_told_from_one_that_waits() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    let site = cluster.openssh().await;
    let backend = site.backend();
    let submit = async |directives: &str| {
        let request = site.request(&format!(
            "#!/bin/bash\n#SBATCH --time=1 --mem=10M {directives}\ntrue\n"
        ));
        let job = accepted(&backend.submit(&request).await.unwrap());
        (job, query(job, &request))
    };
    let held = submit("--hold").await;
    let by_admin = submit("--begin=now+1hour").await;
    cluster.admin(&["scontrol", "hold", &by_admin.0.to_string()]);
    let after = format!("--dependency=afternotok:{}", submit("").await.0);
    let never = submit(&after).await;
    let later = submit("--begin=now+1hour").await;
    let behind = submit(&format!("--dependency=afterany:{}", later.0)).await;
    for ((job, query), reason, advice) in [
        (&held, "JobHeldUser", Some("scontrol release")),
        (&by_admin, "JobHeldAdmin", Some("ask them to release it")),
        (&never, "DependencyNeverSatisfied", Some("never start")),
        (&later, "BeginTime", None),
        (&behind, "Dependency", None),
    ] {
        let report = until(&backend, query, |sighting| match sighting {
            Sighting::Seen(report) if report.reason.as_deref() == Some(reason) => {
                Some(report.as_ref().clone())
            }
            _ => None,
        })
        .await;
        let told = stuck(&report, "r1");
        assert_eq!(
            told.as_ref()
                .map(|told| told.contains(advice.unwrap_or_default())),
            advice.map(|_| true),
            "{job} {reason}: {told:?}"
        );
    }
    let jobs = [held.0, by_admin.0, never.0, later.0, behind.0];
    backend.cancel(&jobs).await.unwrap();
}
