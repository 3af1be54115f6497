//! The fault suite on the real cluster. Each case ends in a row of the table: how often the run's job was started, and
//! what it was seen to end as. A final state that is taken back later fails the case.

use std::path::PathBuf;
use std::time::Duration;

use ralph_core::backend::{BackendError, ClusterBackend as _, FoundBy, Receipt, SubmitRequest};
use ralph_core::id::JobId;
use ralph_core::job::{ExitInfo, JobReport, JobState, Sighting};
use ralph_slurm::SlurmBackend;

use crate::shared::{accepted, query, request};
use crate::site::{Cluster, Site, cluster, end, settle, until, wait_for};

const TRUE: &str = "#!/bin/bash\n#SBATCH --time=1 --mem=10M\ntrue\n";
const LONG: &str = "#!/bin/bash\n#SBATCH --time=5 --mem=10M\nsleep 300\n";

const HETEROGENEOUS: &str =
    "#!/bin/bash\n#SBATCH --time=1 -n 1 --mem=10M\n#SBATCH hetjob\n#SBATCH -n 2 --mem=20M\ntrue\n";

/// A job that waits until the test lets it end.
const GATED: &str =
    "#!/bin/bash\n#SBATCH --time=5 --mem=10M\nuntil [ -e \"$GATE\" ]; do sleep 0.2; done\n";

/// Puts an `sbatch` in front of the real one: `before` and `after` run around it, except for preflights.
fn shim(site: &Site<'_>, before: &str, after: &str) {
    site.write_home(
        "shim/sbatch",
        &format!(
            "#!/bin/bash\ncase \"$*\" in *--test-only*) exec /usr/bin/sbatch \"$@\" ;; esac\n{before}\n\
             out=$(/usr/bin/sbatch \"$@\"); code=$?\n{after}\necho \"$out\"\nexit $code\n"
        ),
        0o755,
    );
    site.write_home(".bashrc", "PATH=$HOME/shim:$PATH\n", 0o644);
}

fn unshim(site: &Site<'_>) {
    site.remove_home(".bashrc");
}

/// Shell text that says that it is here, and waits to be let through.
fn gate(site: &Site<'_>, name: &str) -> (String, PathBuf, PathBuf) {
    let (here, go) = (
        site.root.join(format!("{name}.here")),
        site.root.join(format!("{name}.go")),
    );
    let text = format!(
        "touch \"{0}\"; until [ -e \"{1}\" ]; do sleep 0.05; done",
        here.display(),
        go.display()
    );
    (text, here, go)
}

fn open(gate: &std::path::Path) {
    std::fs::File::create(gate).unwrap();
}

fn gated(site: &Site<'_>) -> (SubmitRequest, PathBuf) {
    let gate = site.root.join("gate");
    let mut request = request(&site.env, GATED);
    request
        .variables
        .insert("GATE".to_owned(), gate.display().to_string());
    (request, gate)
}

async fn running(backend: &SlurmBackend, job: JobId, request: &SubmitRequest) {
    until(backend, &query(job, request), |sighting| match sighting {
        Sighting::Seen(report) if report.state == JobState::Running => Some(()),
        _ => None,
    })
    .await;
}

async fn start_long(site: &Site<'_>, script: &str) -> (SlurmBackend, SubmitRequest, JobId) {
    let backend = site.backend();
    let request = request(&site.env, script);
    let job = accepted(&backend.submit(&request).await.unwrap());
    running(&backend, job, &request).await;
    (backend, request, job)
}

/// Runs the cases side by side: most of what they do is waiting for the scheduler.
async fn at_once<F: Future<Output = ()>>(cases: Vec<F>) {
    let mut cases: Vec<_> = cases.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|context| {
        cases.retain_mut(|case| case.as_mut().poll(context).is_pending());
        if cases.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

/// A submission that runs while the test goes on.
fn begun(
    site: &Site<'_>,
) -> tokio::task::JoinHandle<(Result<Receipt, BackendError>, SubmitRequest)> {
    let backend = site.backend();
    let request = request(&site.env, TRUE);
    tokio::spawn(async move { (backend.submit(&request).await, request) })
}

async fn row(
    case: &str,
    site: &Site<'_>,
    backend: &SlurmBackend,
    job: JobId,
    request: &SubmitRequest,
) -> JobReport {
    let report = end(backend, &query(job, request)).await;
    site.record(case, &[request], &format!("{}", report.state))
        .await;
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn sbatch_starts_the_job_and_says_socket_timed_out() {
    let Some(cluster) = cluster(true) else { return };
    for site in cluster.sites().await {
        let lie = "echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2; exit 1";
        shim(&site, "", lie);
        let backend = site.backend();
        let request = request(&site.env, TRUE);
        let receipt = backend.submit(&request).await.unwrap();
        unshim(&site);
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
        let report = row(
            "sbatch says Socket timed out",
            &site,
            &backend,
            accepted(&receipt),
            &request,
        )
        .await;
        assert_eq!(report.state, JobState::Completed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_stops_during_a_submission() {
    let Some(cluster) = cluster(true) else { return };
    let sites = cluster.sites().await;
    let mut submissions = Vec::new();
    let mut gates = Vec::new();
    for site in &sites {
        let (text, here, go) = gate(site, "before");
        shim(site, &text, "");
        submissions.push(begun(site));
        wait_for(&here).await;
        gates.push(go);
    }
    cluster.control(&["break", "hang", "slurmctld"]);
    gates.iter().for_each(|go| open(go));
    // The scheduler's own limit is 10 s; the controller is held for longer.
    tokio::time::sleep(Duration::from_secs(15)).await;
    cluster.control(&["heal", "hang", "slurmctld"]);
    for (site, submission) in sites.iter().zip(submissions) {
        let (first, request) = submission.await.unwrap();
        unshim(site);
        assert!(
            !matches!(first, Ok(Receipt::Absent | Receipt::Refused { .. })),
            "{first:?}"
        );
        let backend = site.backend();
        let job = settle(&backend, &request).await;
        let case = "controller stopped 15 s during submit";
        let report = row(case, site, &backend, job, &request).await;
        assert_eq!(report.state, JobState::Completed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_is_down_before_a_submission() {
    let Some(cluster) = cluster(true) else { return };
    cluster.control(&["break", "slurmctld"]);
    let sites = cluster.sites().await;
    let attempt = async |site: &Site<'_>| {
        let request = request(&site.env, TRUE);
        (site.backend().submit(&request).await, request)
    };
    let (first, second) = tokio::join!(attempt(&sites[0]), attempt(&sites[1]));
    cluster.control(&["heal", "slurmctld"]);
    for (site, (receipt, request)) in sites.iter().zip([first, second]) {
        assert!(
            matches!(receipt, Ok(Receipt::Refused { limit: true, .. })),
            "{receipt:?}"
        );
        let backend = site.backend();
        let job = settle(&backend, &request).await;
        row(
            "controller down before submit",
            site,
            &backend,
            job,
            &request,
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accounting_is_down_when_the_job_ends() {
    let Some(cluster) = cluster(true) else { return };
    let sites = cluster.sites().await;
    let mut runs = Vec::new();
    for site in &sites {
        let backend = site.backend();
        let (request, gate) = gated(site);
        let job = accepted(&backend.submit(&request).await.unwrap());
        running(&backend, job, &request).await;
        runs.push((site, backend, request, gate, job));
    }
    cluster.control(&["break", "slurmdbd"]);
    for (.., gate, _) in &runs {
        open(gate);
    }
    for (_, backend, request, _, job) in &runs {
        // It leaves the queue 5 to 20 s after its end; from then on nobody can say what became of it.
        let why = until(backend, &query(*job, request), |sighting| match sighting {
            Sighting::Unknown { why } => Some(why.clone()),
            Sighting::Absent { .. } => panic!("absent, though accounting was not asked"),
            Sighting::Seen(_) => None,
        })
        .await;
        assert!(why.contains("sacct failed"), "{why}");
    }
    cluster.control(&["heal", "slurmdbd"]);
    for (site, backend, request, _, job) in &runs {
        let report = row("slurmdbd down", site, backend, *job, request).await;
        assert_eq!(
            (report.state, report.exit),
            (JobState::Completed, Some(ExitInfo { code: 0, signal: 0 }))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accounting_hangs() {
    let Some(cluster) = cluster(true) else { return };
    let sites = cluster.sites().await;
    let ask = async |site: &Site<'_>| {
        let backend = site.backend();
        let done = request(&site.env, TRUE);
        let ended = accepted(&backend.submit(&done).await.unwrap());
        end(&backend, &query(ended, &done)).await;
        (backend, done, ended)
    };
    let asked = [ask(&sites[0]).await, ask(&sites[1]).await];
    cluster.control(&["break", "hang", "slurmdbd"]);
    let look = async |(backend, done, ended): &(SlurmBackend, SubmitRequest, JobId)| {
        let fake = "7777777".parse().unwrap();
        backend
            .observe(&[query(*ended, done), query(fake, done)])
            .await
            .unwrap()
    };
    let (first, second) = tokio::join!(look(&asked[0]), look(&asked[1]));
    cluster.control(&["heal", "hang", "slurmdbd"]);
    for seen in [first, second] {
        assert!(
            matches!(seen[1].sighting, Sighting::Unknown { .. }),
            "{:?}",
            seen[1].sighting
        );
        assert!(
            !matches!(seen[0].sighting, Sighting::Absent { .. }),
            "{:?}",
            seen[0].sighting
        );
    }
    for (site, (backend, done, ended)) in sites.iter().zip(&asked) {
        row("slurmdbd hung", site, backend, *ended, done).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_is_killed_at_every_point_of_a_submission() {
    let Some(cluster) = cluster(true) else { return };
    for site in cluster.sites().await {
        for point in ["before", "after", "end"] {
            let (text, here, go) = gate(&site, point);
            match point {
                "before" => shim(&site, &text, ""),
                "after" => shim(&site, "", &text),
                // The receipt is on disk by then, and its reply is under way or lost.
                _ => shim(&site, "", &format!("({text}) & disown; exec 9>&-")),
            }
            let request = request(&site.env, TRUE);
            let mut caller = site.child_that_submits(&request);
            wait_for(&here).await;
            // SIGKILL: nothing of the caller runs any more.
            caller.kill().unwrap();
            caller.wait().unwrap();
            open(&go);
            unshim(&site);
            let backend = site.backend();
            let job = settle(&backend, &request).await;
            row(
                &format!("kill -9 {point} sbatch"),
                &site,
                &backend,
                job,
                &request,
            )
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_is_cut_in_the_middle_of_a_reply() {
    let Some(cluster) = cluster(true) else { return };
    for name in ["openssh", "libssh2"] {
        let site = cluster.site(name).await;
        let (text, here, go) = gate(&site, "after");
        shim(&site, "", &text);
        let request = request(&site.env, TRUE);
        let backend = site.backend();
        let cut = async {
            wait_for(&here).await;
            cluster.control(&["break", "drop"]);
        };
        let (lost, ()) = tokio::join!(backend.submit(&request), cut);
        assert!(
            matches!(
                lost,
                Err(BackendError::Unreachable { .. } | BackendError::NoSession { .. })
            ),
            "{lost:?}"
        );
        open(&go);
        unshim(&site);
        if name == "openssh" {
            let without = backend.receipt(&request.token, request.intent_at).await;
            assert!(
                matches!(without, Err(BackendError::NoSession { .. })),
                "{without:?}"
            );
            site.connect().await;
        }
        let job = settle(&backend, &request).await;
        row(
            "TCP reset in the middle of a reply",
            &site,
            &backend,
            job,
            &request,
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_is_gone_for_a_minute_in_the_middle_of_a_reply() {
    let Some(cluster) = cluster(true) else { return };
    let sites = cluster.sites().await;
    let mut submissions = Vec::new();
    let mut gates = Vec::new();
    for site in &sites {
        let (text, here, go) = gate(site, "after");
        shim(site, "", &text);
        submissions.push(begun(site));
        wait_for(&here).await;
        gates.push(go);
    }
    cluster.control(&["break", "net"]);
    gates.iter().for_each(|go| open(go));
    tokio::time::sleep(Duration::from_secs(60)).await;
    cluster.control(&["heal", "net"]);
    unshim(&sites[0]);
    for (site, submission) in sites.iter().zip(submissions) {
        let (first, request) = submission.await.unwrap();
        assert!(
            matches!(
                first,
                Ok(Receipt::Accepted { .. })
                    | Err(BackendError::Unreachable { .. } | BackendError::NoSession { .. })
            ),
            "{first:?}"
        );
        site.connect().await;
        let backend = site.backend();
        let job = settle(&backend, &request).await;
        row(
            "network gone 60 s in the middle of a reply",
            site,
            &backend,
            job,
            &request,
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_session_is_asked_for_once_and_nothing_connects_by_itself() {
    let Some(cluster) = cluster(true) else { return };
    let site = cluster.openssh().await;
    let (backend, request, job) = start_long(&site, LONG).await;
    site.disconnect().await;
    let connections = cluster.connections();
    for _ in 0..3 {
        assert!(matches!(
            backend.check().await,
            Err(BackendError::NoSession { .. })
        ));
        let seen = backend.observe(&[query(job, &request)]).await;
        assert!(
            matches!(seen, Err(BackendError::NoSession { .. })),
            "{seen:?}"
        );
        let receipt = backend.submit(&request).await;
        assert!(
            matches!(receipt, Err(BackendError::NoSession { .. })),
            "{receipt:?}"
        );
    }
    assert_eq!(
        cluster.connections(),
        connections,
        "something opened a connection"
    );
    site.connect().await;
    backend.cancel(&[job]).await.unwrap();
    row("SSH session expired", &site, &backend, job, &request).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_node_that_is_gone_is_no_statement_about_a_job() {
    let Some(cluster) = cluster(true) else { return };
    let site = cluster.libssh2();
    let (backend, request, job) = start_long(&site, LONG).await;
    cluster.control(&["break", "ssh"]);
    let seen = backend.observe(&[query(job, &request)]).await;
    assert!(
        matches!(seen, Err(BackendError::Unreachable { .. })),
        "{seen:?}"
    );
    cluster.control(&["heal", "ssh"]);
    backend.cancel(&[job]).await.unwrap();
    row("login node gone", &site, &backend, job, &request).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_host_key_and_a_refused_key_are_asked_for_once() {
    let Some(cluster) = cluster(true) else { return };
    for fault in ["hostkey", "auth"] {
        cluster.control(&["break", fault]);
        let site = cluster.libssh2();
        let backend = site.backend();
        let mut answers = Vec::new();
        let before = cluster.connections();
        for _ in 0..3 {
            answers.push(backend.check().await);
        }
        cluster.control(&["heal", fault]);
        assert!(
            answers
                .iter()
                .all(|answer| matches!(answer, Err(BackendError::NoSession { .. }))),
            "{fault}: {answers:?}"
        );
        assert!(
            cluster.connections() - before <= 3,
            "{fault}: one try, with three kinds of keys"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requeued_held_and_special_exit_jobs_are_alive() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    let sites = cluster.sites().await;
    let cases = [
        ("requeue", &["requeue"][..]),
        ("requeue-hold", &["requeuehold"]),
        ("special exit", &["requeuehold", "State=SpecialExit"]),
    ];
    let all = sites.iter().flat_map(|site| cases.map(|case| (site, case)));
    let all = all.map(|(site, (case, command))| requeued(site, case, command));
    at_once(all.collect()).await;
}

/// A job that is requeued while it runs is alive until it has ended the second time.
async fn requeued(site: &Site<'_>, case: &str, command: &[&str]) {
    let (backend, request, job) = start_long(
        site,
        "#!/bin/bash\n#SBATCH --time=5 --mem=10M --requeue\n[ \"${SLURM_RESTART_COUNT:-0}\" = 1 ] || sleep 300\n",
    )
    .await;
    let id = job.to_string();
    site.cluster
        .admin(&[&["scontrol"], command, &[&id]].concat());
    let mut states = Vec::new();
    until(&backend, &query(job, &request), |sighting| {
        let Sighting::Seen(report) = sighting else {
            return None;
        };
        assert!(
            report.finality() != ralph_core::job::Finality::Final
                || report.state == JobState::Completed,
            "{case}: {report:?}"
        );
        states.push(report.state.clone());
        (report.state != JobState::Running).then_some(())
    })
    .await;
    if case != "requeue" {
        site.cluster.wait_for_hold(job).await;
        site.cluster.admin(&["scontrol", "release", &id]);
    }
    let report = row(case, site, &backend, job, &request).await;
    assert_eq!(
        (report.state, report.restarts),
        (JobState::Completed, 1),
        "{case}: seen {states:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn preemption_is_final_only_without_requeue() {
    let Some(cluster) = cluster(true) else { return };
    let sites = cluster.sites().await;
    let nodes = ["gpu01", "gpu02"];
    let all = sites.iter().zip(nodes);
    at_once(all.map(|(site, node)| preempted(site, node)).collect()).await;
}

/// On a node of its own: one job makes way and comes back, the other one does not.
async fn preempted(site: &Site<'_>, node: &str) {
    let victim = format!("-p gpu_requeue -w {node} -N 1 -n 32 --mem=1G -t 5");
    let once = "[ \"${SLURM_RESTART_COUNT:-0}\" = 1 ] || sleep 300";
    let script = |requeue: &str| format!("#!/bin/bash\n#SBATCH {victim} {requeue}\n{once}\n");
    let (backend, again, first) = start_long(site, &script("--requeue")).await;
    let (_, over, second) = start_long(site, &script("--no-requeue")).await;
    let preemptor = request(
        &site.env,
        &format!("#!/bin/bash\n#SBATCH -p gpu -w {node} -N 1 -n 64 --mem=1G -t 5\nsleep 1\n"),
    );
    accepted(&backend.submit(&preemptor).await.unwrap());
    let preempted = until(&backend, &query(second, &over), |sighting| match sighting {
        Sighting::Seen(report)
            if report.state == JobState::Preempted && report.evidence.source == "sacct" =>
        {
            Some(report.clone())
        }
        _ => None,
    })
    .await;
    let case = "preemption without requeue";
    site.record(case, &[&over], preempted.state.as_str()).await;
    let report = row("preemption with requeue", site, &backend, first, &again).await;
    assert_eq!((report.state, report.restarts), (JobState::Completed, 1));
}

/// State and exit code of an end.
fn told(report: &JobReport) -> (String, String) {
    let exit = report.exit.map(|exit| exit.to_string());
    (report.state.to_string(), exit.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_of_a_job_is_told_from_the_others() {
    let Some(cluster) = cluster(true) else { return };
    let sites = cluster.sites().await;
    at_once(sites.iter().map(every_end).collect()).await;
}

/// Waits until a question of the administrator has no answer any more; one job that is forgotten is an error.
async fn wait_for_none(site: &Site<'_>, question: &[&str]) {
    let start = std::time::Instant::now();
    while site
        .cluster
        .tried(question)
        .is_some_and(|text| !text.trim().is_empty())
    {
        assert!(start.elapsed() < Duration::from_secs(60), "{question:?}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

async fn every_end(site: &Site<'_>) {
    let backend = site.backend();
    let scripts = [
        ("exit code 3", "#SBATCH --mem=10M\nexit 3\n"),
        ("killed by a signal", "#SBATCH --mem=10M\nkill -KILL $$\n"),
        (
            "out of memory",
            "#SBATCH --mem=50M\n{ head -c 250m /dev/zero; sleep 4; } | tail -c 250m >/dev/null\n",
        ),
    ];
    let mut jobs = Vec::new();
    for (case, body) in scripts {
        let request = request(&site.env, &format!("#!/bin/bash\n#SBATCH --time=2\n{body}"));
        let job = accepted(&backend.submit(&request).await.unwrap());
        jobs.push((case, job, request));
    }
    let failed = jobs[0].1;
    let mut ends = Vec::new();
    for (case, job, request) in jobs {
        ends.push(told(&row(case, site, &backend, job, &request).await));
    }
    let request = request(
        &site.env,
        "#!/bin/bash\n#SBATCH --time=1 --mem=10M --hold\ntrue\n",
    );
    let job = accepted(&backend.submit(&request).await.unwrap());
    std::fs::remove_dir_all(site.root.join("projects/demo/slurm")).unwrap();
    site.cluster
        .admin(&["scontrol", "release", &job.to_string()]);
    ends.push(told(
        &row("output folder removed", site, &backend, job, &request).await,
    ));
    assert_eq!(ends[0], ("FAILED".to_owned(), "3:0".to_owned()));
    assert_eq!(ends[1], ("FAILED".to_owned(), "0:9".to_owned()));
    // Without the kernel's memory controller the scheduler kills by itself.
    assert!(
        ["OUT_OF_MEMORY", "FAILED"].contains(&ends[2].0.as_str()),
        "{ends:?}"
    );
    assert_eq!(ends[3], ("FAILED".to_owned(), "0:53".to_owned()));
    // SLURM would take `afterok` on the failed job as satisfied, once it has forgotten it.
    let mut after = self::request(&site.env, TRUE);
    after.after = vec![failed];
    let forgotten = [&failed.to_string()[..], "-h", "-t", "all", "-o", "%T"];
    wait_for_none(site, &[&["squeue", "-j"], &forgotten[..]].concat()).await;
    let refused = backend.submit(&after).await.unwrap();
    assert!(
        matches!(refused, Receipt::Refused { limit: false, .. }),
        "{refused:?}"
    );
    assert!(site.jobs_ever(after.token.as_str()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_limit_ends_a_job() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    let sites = cluster.sites().await;
    let run = async |site: &Site<'_>| {
        let backend = site.backend();
        let request = request(
            &site.env,
            "#!/bin/bash\n#SBATCH --time=1 --mem=10M\nsleep 600\n",
        );
        let job = accepted(&backend.submit(&request).await.unwrap());
        row("time limit", site, &backend, job, &request).await
    };
    let (first, second) = tokio::join!(run(&sites[0]), run(&sites[1]));
    assert_eq!(
        (first.state, second.state),
        (JobState::Timeout, JobState::Timeout)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_takes_the_job_with_it() {
    let Some(cluster) = cluster(true) else { return };
    for site in cluster.sites().await {
        let (backend, request, job) = start_long(
            &site,
            "#!/bin/bash\n#SBATCH --time=5 --mem=10M -w cpu02 --no-requeue\nsleep 300\n",
        )
        .await;
        cluster.control(&["break", "node", "cpu02", "now"]);
        let report = until(&backend, &query(job, &request), |sighting| match sighting {
            Sighting::Seen(report) if report.state == JobState::NodeFail => Some(report.clone()),
            _ => None,
        })
        .await;
        cluster.control(&["heal", "node", "cpu02"]);
        site.record("node failure", &[&request], report.state.as_str())
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn banners_and_noisy_shells_do_not_matter() {
    let Some(cluster) = cluster(true) else { return };
    for site in cluster.sites().await {
        cluster.control(&["break", "noise"]);
        let backend = site.backend();
        let request = request(&site.env, TRUE);
        let job = accepted(&backend.submit(&request).await.unwrap());
        row("shell noise", &site, &backend, job, &request).await;
        cluster.control(&["heal", "noise"]);
        // Not a word of it from a start-up file that also leaves something running behind.
        site.write_home(".bashrc", "echo hello; printf 'no newline'; export SQUEUE_FORMAT=%i SBATCH_PARTITION=nosuch\nsleep 20 &\n", 0o644);
        let start = std::time::Instant::now();
        let seen = backend.observe(&[query(job, &request)]).await;
        unshim(&site);
        assert!(matches!(seen.unwrap()[0].sighting, Sighting::Seen(_)));
        assert!(
            start.elapsed() < Duration::from_secs(15),
            "the call waited for what it did not start"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submit_limit_waits() {
    let Some(cluster) = cluster(true) else { return };
    for site in cluster.sites().await {
        let backend = site.backend();
        let script = "#!/bin/bash\n#SBATCH -p gpu_test --time=5 --mem=10M\nsleep 300\n";
        let requests: Vec<_> = (0..3).map(|_| request(&site.env, script)).collect();
        let mut receipts = Vec::new();
        backend
            .submit_all(&requests, &mut |_, receipt| receipts.push(receipt.unwrap()))
            .await;
        let refused: Vec<_> = receipts
            .iter()
            .filter(|receipt| matches!(receipt, Receipt::Refused { limit: true, .. }))
            .collect();
        assert_eq!(refused.len(), 1, "{receipts:?}");
        let jobs: Vec<JobId> = receipts
            .iter()
            .filter(|receipt| matches!(receipt, Receipt::Accepted { .. }))
            .map(accepted)
            .collect();
        backend.cancel(&jobs).await.unwrap();
        for (job, request) in jobs.iter().zip(requests.iter()) {
            end(&backend, &query(*job, request)).await;
        }
        let fourth = request(&site.env, &script.replace("sleep 300", "true"));
        let job = settle(&backend, &fourth).await;
        row("QOS submit limit", &site, &backend, job, &fourth).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_on_the_cluster_loses_nothing() {
    let Some(cluster) = cluster(true) else { return };
    for site in cluster.sites().await {
        let backend = site.backend_on_scratch();
        let before = request(&site.env, TRUE);
        let job = accepted(&backend.submit(&before).await.unwrap());
        cluster.control(&["break", "disk"]);
        let during = request(&site.env, TRUE);
        let refused = backend.submit(&during).await;
        assert!(
            matches!(
                refused,
                Err(BackendError::Storage { .. }) | Ok(Receipt::Refused { limit: true, .. })
            ),
            "{refused:?}"
        );
        let again = backend
            .receipt(&before.token, before.intent_at)
            .await
            .unwrap();
        assert_eq!(accepted(&again), job);
        cluster.control(&["heal", "disk"]);
        let later = settle(&backend, &during).await;
        row(
            "disk full on the remote side",
            &site,
            &backend,
            later,
            &during,
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_forgets_after_five_seconds_and_accounting_comes_late() {
    let Some(cluster) = cluster(true) else { return };
    cluster.control(&["break", "sacct-lag", "8"]);
    let sites = cluster.sites().await;
    at_once(sites.iter().map(late).collect()).await;
}

async fn late(site: &Site<'_>) {
    let backend = site.backend();
    let simple = request(&site.env, TRUE);
    let job = accepted(&backend.submit(&simple).await.unwrap());
    // For as long as accounting is late, it shows the first component as if it were the whole job.
    let parts = request(&site.env, HETEROGENEOUS);
    let leader = accepted(&backend.submit(&parts).await.unwrap());
    let case = "heterogeneous, accounting 8 s late";
    let whole = row(case, site, &backend, leader, &parts).await;
    assert_eq!((whole.state, whole.tasks.len()), (JobState::Completed, 2));
    let case = "MinJobAge 5 s, accounting 8 s late";
    let report = row(case, site, &backend, job, &simple).await;
    assert_eq!(report.state, JobState::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_processes_with_one_item_start_one_job() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    for name in ["openssh", "libssh2"] {
        let site = cluster.site(name).await;
        let request = request(&site.env, TRUE);
        let mut callers: Vec<_> = (0..8).map(|_| site.child_that_submits(&request)).collect();
        for caller in &mut callers {
            assert!(caller.wait().unwrap().success());
        }
        let backend = site.backend();
        let job = settle(&backend, &request).await;
        row("8 processes, one item", &site, &backend, job, &request).await;
    }
}

/// Clones of one workspace know nothing of each other's intents: what tells them of one another is the cluster.
#[tokio::test(flavor = "multi_thread")]
async fn clones_that_submit_one_item_at_the_same_moment_start_one_job() {
    const ROUNDS: usize = 10;
    let Some(cluster) = cluster(false) else {
        return;
    };
    let site = cluster.openssh().await;
    let clones = [site.backend(), site.backend()];
    let mut doubles = Vec::new();
    for round in 0..ROUNDS {
        let item = Some(format!("Q-{round:03}").parse().unwrap());
        let requests = clones.each_ref().map(|_| SubmitRequest {
            item: item.clone(),
            ..request(&site.env, "#!/bin/sh\n#SBATCH --time=5\nsleep 200\n")
        });
        let submit = |at: usize| clones[at].submit(&requests[at]);
        let (first, second) = tokio::join!(submit(0), submit(1));
        let answers = [first.unwrap(), second.unwrap()];
        let jobs: Vec<JobId> = answers
            .iter()
            .filter_map(|answer| match answer {
                Receipt::Accepted { job, .. } => Some(*job),
                _ => None,
            })
            .collect();
        let tokens = requests.iter().map(|request| request.token.as_str());
        let ever = tokens
            .map(|token| site.jobs_ever(token).len())
            .sum::<usize>();
        clones[0].cancel(&jobs).await.unwrap();
        assert!(ever > 0, "nobody submitted: {answers:?}");
        if ever > 1 {
            doubles.push((round, answers));
        }
    }
    eprintln!("{} doubles in {ROUNDS} rounds", doubles.len());
    assert!(doubles.is_empty(), "{doubles:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn arrays_and_heterogeneous_jobs_end_when_all_parts_have() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    let sites = cluster.sites().await;
    at_once(sites.iter().map(in_parts).collect()).await;
}

async fn in_parts(site: &Site<'_>) {
    let backend = site.backend();
    let array = request(
        &site.env,
        "#!/bin/bash\n#SBATCH --time=1 --mem=10M --array=0-3%2\n[ $SLURM_ARRAY_TASK_ID != 2 ] || exit 7\necho task $SLURM_ARRAY_TASK_ID\n",
    );
    let job = accepted(&backend.submit(&array).await.unwrap());
    let report = row("array", site, &backend, job, &array).await;
    let tasks: Vec<String> = report
        .tasks
        .iter()
        .map(|task| task.state.to_string())
        .collect();
    assert_eq!(tasks, ["COMPLETED", "COMPLETED", "FAILED", "COMPLETED"]);
    assert_eq!(
        (report.state, report.exit),
        (JobState::Failed, Some(ExitInfo { code: 7, signal: 0 }))
    );
    let log = ralph_core::backend::FetchRequest {
        project: "demo".parse().unwrap(),
        job: job.task(3),
        token: Some(array.token.clone()),
        stream: ralph_core::backend::Stream::Out,
        part: ralph_core::backend::LogPart::From(0),
        limit: 100,
    };
    assert_eq!(backend.fetch(&log).await.unwrap().bytes, b"task 3\n");
    let het = request(&site.env, HETEROGENEOUS);
    let job = accepted(&backend.submit(&het).await.unwrap());
    let report = row("heterogeneous job", site, &backend, job, &het).await;
    assert_eq!((report.state, report.tasks.len()), (JobState::Completed, 2));
}

/// Whether the cluster can be told apart from one that is broken: used by no case, but by every one that breaks it.
#[tokio::test(flavor = "multi_thread")]
async fn capabilities_are_read() {
    let Some(cluster): Option<Cluster> = cluster(false) else {
        return;
    };
    for site in cluster.sites().await {
        let found = site.backend().capabilities().await.unwrap();
        assert!(
            found.version.starts_with("slurm ") && found.accounting,
            "{found:?}"
        );
        assert_eq!(
            (found.min_job_age_seconds, found.max_array_size),
            (Some(5), Some(1001))
        );
    }
}
