//! What a person asks for by name.

use super::super::Extras;
use super::{Bed, told};
use crate::backend::Stream;
use crate::cluster::mock::{Fault, JobScript, Method, Rule};
use crate::error::{Code, Coded as _};
use crate::id::Slug;

fn slug() -> Slug {
    "p".parse().unwrap()
}

/// The id of the first live run.
fn first_run(bed: &Bed) -> String {
    let state = bed.state("p");
    let run = &state["active_runs"][0]["run_id"];
    run.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_item_is_submitted_by_name_and_only_once() {
    let bed = Bed::new();
    bed.project(
        "p",
        "IMPLEMENT",
        &[("Q-001", ""), ("Q-002", "- After: Q-001\n"), ("Q-003", "")],
    );
    let dispatcher = bed.dispatcher();
    let submit = async |item: Option<&str>| {
        let item = item.map(|id| id.parse().unwrap());
        match dispatcher.submit_now(&slug(), item.as_ref()).await {
            Ok(submitted) => submitted.outcome,
            Err(error) => error.to_string(),
        }
    };
    let asked = [
        Some("Q-003"),
        Some("Q-003"),
        Some("Q-002"),
        Some("Q-009"),
        None,
        None,
    ];
    let mut told = Vec::new();
    for item in asked {
        told.push(submit(item).await);
    }
    insta::assert_snapshot!(told.join("\n"), @r"
    Q-003 is job 1001
    projects/p/documentation/queue.md: expected one READY item that can be submitted, found Q-003 (a run of it is alive)
    projects/p/documentation/queue.md: expected one READY item that can be submitted, found Q-002 (it waits for Q-001)
    projects/p/documentation/queue.md: expected one READY item that can be submitted, found Q-009, which is none
    Q-001 is job 1002
    projects/p/documentation/queue.md: expected one READY item that can be submitted, found none
    ");
    // The work of the project goes on where it was.
    assert_eq!(bed.state("p")["phase"], "IMPLEMENT");
}

#[tokio::test]
async fn nothing_is_submitted_while_a_submission_is_not_settled() {
    let bed = Bed::new();
    bed.project("p", "RUN", &[("Q-001", ""), ("Q-002", "")]);
    bed.cluster.fault(Method::Submit, Fault::LostReply);
    let first = bed.dispatcher().submit_now(&slug(), None).await.unwrap();
    assert!(first.unclear && first.job.is_none());
    for item in ["Q-001", "Q-002"] {
        let error = bed
            .dispatcher()
            .submit_now(&slug(), Some(&item.parse().unwrap()))
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::Unclear, "{error}");
    }
    insta::assert_snapshot!(told(&bed.dispatch().await), @r"
    p q001_20261120_120000: adopted: Q-001 is job 1001
    p - waiting: 1 live run; the next poll is due at 2026-11-20T12:01:00Z
    exit 0
    ");
    assert_eq!(bed.cluster.calls(Method::Submit), 1);
}

#[tokio::test]
async fn a_log_is_read_by_pieces_from_the_cluster_or_its_copy() {
    let bed = Bed::new();
    bed.project("p", "RUN", &[("Q-001", "")]);
    let script = JobScript::of([(1, "RUNNING"), (100, "COMPLETED")]);
    bed.cluster
        .rule(Rule::any(script.prints(2, "one\n").prints(50, "two\n")));
    bed.dispatch().await;
    bed.wait(10);
    let run = first_run(&bed);
    let dispatcher = bed.dispatcher();
    let mut log = dispatcher.log(None, &run, None, Stream::Out).unwrap();
    let mut read =
        async || String::from_utf8(dispatcher.next_piece(&mut log).await.unwrap()).unwrap();
    assert_eq!(read().await, "one\n");
    assert_eq!(read().await, "");
    bed.wait(60);
    assert_eq!(read().await, "two\n");
    assert!(!dispatcher.has_ended(&log).await.unwrap());
    bed.wait(60);
    assert!(dispatcher.has_ended(&log).await.unwrap());
    // The job of another run whose id ends with the same digits has a log beside it.
    let job = bed.state("p")["active_runs"][0]["job_id"]
        .as_str()
        .unwrap()
        .to_owned();
    bed.write(
        &format!("projects/p/slurm/logs/a_other_9{job}.out"),
        "not mine\n",
    );
    bed.dispatch().await;
    bed.cluster.standing_fault(Some(Fault::BeforeSend));
    let mut log = bed.dispatcher().log(None, &run, None, Stream::Out).unwrap();
    let copy = bed.dispatcher().next_piece(&mut log).await.unwrap();
    assert_eq!(String::from_utf8(copy).unwrap(), "one\ntwo\n");
}

#[tokio::test]
async fn a_cancel_is_looked_at_until_the_job_has_ended() {
    let bed = Bed::new();
    bed.project("p", "RUN", &[("Q-001", "")]);
    bed.cluster.rule(Rule::any(JobScript::of([
        (1, "RUNNING"),
        (9_000, "COMPLETED"),
    ])));
    bed.dispatch().await;
    bed.wait(10);
    let run = first_run(&bed);
    // From here on nobody waits for the pauses.
    tokio::time::pause();
    bed.cluster.fault(Method::Cancel, Fault::Ignored);
    let ignored = bed.dispatcher().cancel(None, &run).await.unwrap();
    assert!(!ignored.ended, "{ignored:?}");
    let cancelled = bed.dispatcher().cancel(None, &run).await.unwrap();
    assert!(
        cancelled.ended && cancelled.states[0].ends_with("CANCELLED"),
        "{cancelled:?}"
    );
    insta::assert_snapshot!(told(&bed.dispatch().await), @r"
    p q001_20261120_120000: cancelled: The job was cancelled
    p advance CHECK->IDLE: moved on to IDLE: no finished run is left to check
    exit 0
    ");
    // Its id may be somebody else's by now.
    let error = bed.dispatcher().cancel(None, &run).await.unwrap_err();
    insta::assert_snapshot!(error.to_string(), @"q001_20261120_120000 has ended already: its record says cancelled");
    assert_eq!(bed.cluster.calls(Method::Cancel), 2);
}

#[tokio::test]
async fn a_script_is_submitted_as_its_item_and_without_one_for_itself() {
    let bed = Bed::new();
    let after = "- After: Q-001\n";
    bed.project("p", "RUN", &[("Q-001", ""), ("Q-002", after)]);
    let text = bed.read("projects/p/slurm/jobs/q001.sbatch");
    bed.write("projects/p/slurm/jobs/extra_try.sbatch", &text);
    let extras = || Extras {
        variables: [("SEED".to_owned(), "1,2".to_owned())].into(),
        exclude: vec!["gpu7".to_owned()],
        after: Vec::new(),
    };
    let mut said = Vec::new();
    for name in ["q001", "q001", "q002", "extra_try", "extra_try", "none"] {
        let path = format!("slurm/jobs/{name}.sbatch");
        let submitted = bed.dispatcher();
        let submitted = submitted.submit_script(&slug(), &path, extras()).await;
        said.push(match submitted {
            Ok(submitted) => submitted.outcome,
            Err(error) => error.to_string(),
        });
    }
    insta::assert_snapshot!(said.join("\n"), @"
    Q-001 is job 1001
    slurm/jobs/q001.sbatch: a run of Q-001 is alive, and it is not started a second time
    slurm/jobs/q002.sbatch: Q-002 waits for Q-001
    script-1-extra-try is job 1002
    slurm/jobs/extra_try.sbatch: a run of script-1-extra-try is alive, and it is not started a second time
    projects/p/slurm/jobs/none.sbatch: there is no such file
    ");
    let runs = bed.state("p")["active_runs"].clone();
    let ledger = |run: usize| {
        let id = runs[run]["run_id"].as_str().unwrap().to_owned();
        let text = bed.read(&format!("projects/p/runs/{id}/submit.json"));
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    assert_eq!(ledger(0)["queue_id"], "Q-001");
    assert_eq!(ledger(1)["variables"]["SEED"], "1,2");
    assert_eq!(runs.as_array().map(Vec::len), Some(2));
    assert_eq!(bed.cluster.calls(Method::Submit), 2);
    // The books of the second one are made true as those of the first.
    bed.wait(7200);
    let told = told(&bed.dispatch().await);
    assert!(told.contains("exit 0"), "{told}");
    assert_eq!(bed.state("p")["active_runs"], serde_json::json!([]));
}

/// Items of two projects that are submitted in the same second have runs of the same id; the wrong one is never
/// cancelled.
#[tokio::test]
async fn a_run_id_that_two_projects_have_is_not_guessed() {
    let bed = Bed::new();
    for slug in ["a", "b"] {
        bed.project(slug, "RUN", &[("Q-001", "")]);
    }
    bed.cluster.rule(Rule::any(JobScript::of([
        (1, "RUNNING"),
        (9_000, "COMPLETED"),
    ])));
    bed.dispatch().await;
    bed.wait(10);
    let run = "q001_20261120_120000";
    let error = bed.dispatcher().cancel(None, run).await.unwrap_err();
    insta::assert_snapshot!(error.to_string(), @"q001_20261120_120000 is a run of several projects: a, b");
    assert!(bed.dispatcher().log(None, run, None, Stream::Out).is_err());
    assert_eq!(bed.cluster.calls(Method::Cancel), 0);
    tokio::time::pause();
    let b = "b".parse().unwrap();
    let cancelled = bed.dispatcher().cancel(Some(&b), run).await.unwrap();
    let job = &bed.state("b")["active_runs"][0]["job_id"];
    assert_eq!(cancelled.jobs, [job.as_str().unwrap()]);
}

/// Of an array one task's log is read, and stayed with; the copies here are those of its tasks.
#[tokio::test]
async fn of_an_array_the_log_of_one_task_is_read() {
    let bed = Bed::new();
    bed.project("p", "RUN", &[("Q-001", "")]);
    let script = "projects/p/slurm/jobs/q001.sbatch";
    let array = "#SBATCH --array=0-2\n#SBATCH --output=slurm/logs/%x_%A_%a.out\necho";
    bed.write(
        script,
        &bed.read(script)
            .replace("#SBATCH --output=slurm/logs/%x_%j.out\n", "")
            .replace("echo", array),
    );
    let course = JobScript::of([(1, "RUNNING"), (100, "FAILED")]).prints(2, "one\n");
    bed.cluster.rule(Rule::any(course));
    bed.dispatch().await;
    bed.wait(10);
    let run = first_run(&bed);
    let dispatcher = bed.dispatcher();
    let mut log = dispatcher.log(None, &run, Some(2), Stream::Out).unwrap();
    assert_eq!(dispatcher.next_piece(&mut log).await.unwrap(), b"one\n");
    assert_eq!(log.task(), Some(2));
    bed.wait(600);
    bed.dispatch().await;
    bed.cluster.standing_fault(Some(Fault::BeforeSend));
    let mut log = bed.dispatcher().log(None, &run, None, Stream::Out).unwrap();
    assert_eq!(
        bed.dispatcher().next_piece(&mut log).await.unwrap(),
        b"one\n"
    );
    assert_eq!(log.task(), Some(0));
    assert!(log.is_there().is_ok());

    // No such log, here or there.
    let mut log = dispatcher.log(None, &run, Some(7), Stream::Out).unwrap();
    bed.cluster.standing_fault(None);
    assert_eq!(dispatcher.next_piece(&mut log).await.unwrap(), b"");
    let error = log.is_there().unwrap_err();
    assert_eq!(error.code(), Code::Usage);
    assert!(
        error.to_string().contains("has no log of task 7"),
        "{error}"
    );

    // Copies come in the order of their numbers.
    bed.cluster.standing_fault(Some(Fault::BeforeSend));
    let logs = std::fs::read_dir(bed.path("projects/p/slurm/logs")).unwrap();
    let copies: Vec<_> = logs.map(|entry| entry.unwrap().path()).collect();
    for path in copies {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let begin = name.trim_end_matches("_0.out");
        if begin != name {
            bed.write(&format!("projects/p/slurm/logs/{begin}_10.out"), "ten\n");
        }
        if !name.ends_with("_2.out") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let mut log = bed.dispatcher().log(None, &run, None, Stream::Out).unwrap();
    let _ = bed.dispatcher().next_piece(&mut log).await.unwrap();
    assert_eq!(log.task(), Some(2));
}
