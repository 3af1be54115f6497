//! Logs are copied by offset, found by the job's id, and bounded.

use super::Bed;
use crate::act::logs::{Place, collect, local_name};
use crate::backend::{ClusterBackend as _, Stream};
use crate::cluster::mock::{Fault, JobScript, Method, Rule};
use crate::id::{JobId, Slug};
use crate::job::{JobQuery, JobReport, Sighting};

async fn report(bed: &Bed, job: JobId) -> JobReport {
    let query = JobQuery::of(job);
    match bed
        .cluster
        .observe(&[query])
        .await
        .unwrap()
        .remove(0)
        .sighting
    {
        Sighting::Seen(report) => *report,
        other => panic!("{other:?}"),
    }
}

async fn collected(bed: &Bed, job: JobId, keep: bool) -> Vec<String> {
    let slug: Slug = "p".parse().unwrap();
    let folder = bed.path("projects/p");
    let place = Place {
        backend: bed.cluster.as_ref(),
        project: &slug,
        folder: &folder,
        token: None,
    };
    let reports = [report(bed, job).await];
    let collected = collect(place, &reports, keep).await.unwrap();
    assert_eq!(collected.paths.len(), collected.texts.len());
    collected.paths
}

#[tokio::test]
async fn a_log_is_fetched_from_where_its_copy_ends_and_a_new_one_keeps_the_old_aside() {
    let bed = Bed::new();
    bed.write("projects/p/.state/pipeline.json", "{}");
    let long = "x".repeat(5_000_000);
    let script = JobScript::of([(0, "RUNNING"), (90, "COMPLETED")]);
    let job = bed.cluster.add_foreign(
        "train",
        script
            .prints(1, "one\n")
            .prints(30, "two\n")
            .prints(40, long),
    );
    let copy = |name: &str| bed.read(&format!("projects/p/slurm/logs/{name}"));
    bed.wait(2);
    let out = local_name("train", job, Stream::Out);
    assert_eq!(collected(&bed, job, true).await, std::slice::from_ref(&out));
    let name = out.rsplit('/').next().unwrap();
    assert_eq!(copy(name), "one\n");
    bed.wait(30);
    collected(&bed, job, true).await;
    assert_eq!(copy(name), "one\ntwo\n");
    bed.wait(30);
    // Half a reply is half of the progress, and no mistake.
    bed.cluster.fault(Method::Fetch, Fault::Pass);
    bed.cluster.fault(Method::Fetch, Fault::HalfReply);
    collected(&bed, job, true).await;
    assert_eq!(copy(name).len(), 5_000_008);
    // A copy that is longer than the log is of an earlier attempt of the job.
    bed.write(&format!("projects/p/{out}"), &"y".repeat(6_000_000));
    collected(&bed, job, true).await;
    assert_eq!(copy(name).len(), 5_000_008);
    assert_eq!(copy(&format!("{name}.1")).len(), 6_000_000);
}

#[tokio::test]
async fn a_log_that_is_begun_anew_while_it_is_fetched_is_no_part_of_the_old_copy() {
    let bed = Bed::new();
    bed.write("projects/p/.state/pipeline.json", "{}");
    let script = JobScript::of([(0, "RUNNING"), (90, "COMPLETED")]);
    let script = script.prints(1, "one\n").prints(30, "two\n");
    let job = bed.cluster.add_foreign("train", script);
    bed.wait(40);
    let out = local_name("train", job, Stream::Out);
    collected(&bed, job, true).await;
    // It is looked at when it is long, and fetched when it is short.
    bed.cluster.fault(Method::Fetch, Fault::Pass);
    bed.cluster.fault(Method::Fetch, Fault::ShorterLog);
    collected(&bed, job, true).await;
    assert_eq!(bed.read(&format!("projects/p/{out}")), "one\ntwo\n");
    assert_eq!(bed.read(&format!("projects/p/{out}.1")), "one\ntwo\n");
}

#[tokio::test]
async fn a_dry_run_reads_the_end_and_copies_nothing() {
    let bed = Bed::new();
    let script = JobScript::of([(0, "RUNNING"), (5, "FAILED")]).complains(1, "Traceback\n");
    let job = bed.cluster.add_foreign("train", script);
    bed.wait(10);
    collected(&bed, job, false).await;
    assert!(!bed.path("projects").exists());
}

#[tokio::test]
async fn of_an_array_the_tasks_that_failed_are_read() {
    let bed = Bed::new();
    let steps = || JobScript::of([(0, "RUNNING"), (5, "COMPLETED")]).prints(1, "hello\n");
    let script = steps()
        .task(0, [(0, "RUNNING"), (5, "COMPLETED")])
        .task(1, [(0, "RUNNING"), (5, "FAILED")])
        .task(2, [(0, "RUNNING"), (5, "COMPLETED")]);
    bed.cluster.rule(Rule::any(JobScript::default()));
    let job = bed.cluster.add_foreign("sweep", script);
    bed.wait(10);
    let paths = collected(&bed, job, true).await;
    assert!(
        paths
            .iter()
            .all(|path| path.contains(&format!("_{job}_1."))),
        "{paths:?}"
    );
}

#[test]
fn a_jobs_name_makes_a_safe_file_name() {
    let job: JobId = "12_3".parse().unwrap();
    assert_eq!(
        local_name("a/b\n..", job, Stream::Err),
        "slurm/logs/a_b_.._12_3.err"
    );
    let long = local_name(&"ä".repeat(300), job, Stream::Out);
    assert!(long.len() < 255, "{}", long.len());
}
