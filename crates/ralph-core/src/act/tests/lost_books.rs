//! A state file that was taken back, as `git checkout` does, while the ledger of a run still says that it has a job.

use super::{Bed, told};
use crate::cluster::mock::{Fault, JobScript, Method, Rule};
use crate::error::{Code, Coded as _};

const STATE: &str = "projects/p/.state/pipeline.json";
const QUEUE: &str = "projects/p/documentation/queue.md";

/// A project with one item, whose job runs for a minute.
pub(super) fn bed() -> Bed {
    let bed = Bed::new();
    bed.project("p", "RUN", &[("Q-001", "")]);
    let script = JobScript::of([(1, "RUNNING"), (60, "COMPLETED")]);
    bed.cluster.rule(Rule::any(script));
    bed
}

/// Does `between`, then puts state and queue back as they were before it.
async fn taken_back(bed: &Bed, between: impl AsyncFnOnce()) {
    let (state, queue) = (bed.read(STATE), bed.read(QUEUE));
    between().await;
    bed.write(STATE, &state);
    bed.write(QUEUE, &queue);
}

#[tokio::test]
async fn a_run_that_the_state_has_lost_is_put_back_and_not_submitted_again() {
    let bed = bed();
    taken_back(&bed, async || drop(bed.dispatch().await)).await;
    let lost = bed.read(STATE);
    let dry = bed.dispatch_with(|options| options.dry_run = true).await;
    insta::assert_snapshot!(told(&dry), @r"
    p q001_20261120_120000: restored: its ledger says that it was submitted and the state file had lost it; it is in the books again
    p - waiting: 1 live run; the next poll is due at 2026-11-20T12:01:00Z
    exit 0
    ");
    assert_eq!(bed.read(STATE), lost);

    let refused = bed
        .dispatcher()
        .submit_now(&"p".parse().unwrap(), None)
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::Unclear);

    insta::assert_snapshot!(told(&bed.dispatch().await), @r"
    p q001_20261120_120000: restored: its ledger says that it was submitted and the state file had lost it; it is in the books again
    p - waiting: 1 live run; the next poll is due at 2026-11-20T12:01:00Z
    exit 0
    ");
    let run = &bed.state("p")["active_runs"][0];
    assert_eq!(
        (&run["job_id"], &run["queue_id"]),
        (&"1001".into(), &"Q-001".into())
    );
    assert!(bed.read(QUEUE).contains("Job: 1001"), "{}", bed.read(QUEUE));
    bed.wait(100);
    insta::assert_snapshot!(told(&bed.dispatch().await), @r"
    p q001_20261120_120000: completed: No failure was found
    p check CHECK->CHECK: results of 1 run recorded
    exit 0
    ");
    assert_eq!(bed.cluster.calls(Method::Submit), 1);
}

#[tokio::test]
async fn a_project_that_was_taken_back_to_another_phase_goes_on_there_beside_the_run() {
    let bed = bed();
    bed.dispatch().await;
    bed.project("p", "IMPLEMENT", &[("Q-001", "")]);
    let report = bed.dispatch().await;
    assert_eq!(report.verified[0].finding, "restored");
    assert_eq!(bed.state("p")["active_runs"][0]["job_id"], "1001");
    assert_ne!(bed.state("p")["phase"], "WAIT_SLURM");
}

#[tokio::test]
async fn what_has_ended_or_is_another_projects_stays_out_of_the_books() {
    let bed = bed();
    taken_back(&bed, async || {
        bed.dispatch().await;
        bed.wait(100);
        bed.dispatch().await;
    })
    .await;
    let run = "q001_20261120_120000";
    assert!(
        bed.path(&format!("projects/p/runs/{run}/result.json"))
            .exists()
    );
    let ledger = bed.read(&format!("projects/p/runs/{run}/submit.json"));
    bed.write(&format!("projects/copy/runs/{run}/submit.json"), &ledger);
    bed.write(
        "projects/copy/.state/pipeline.json",
        "{\"phase\": \"IDLE\"}",
    );
    let report = bed.dispatch_with(|options| options.dry_run = true).await;
    assert!(report.verified.is_empty(), "{}", told(&report));
}

/// What `ralph validate` says to do about a ledger is what `ralph verify` does about it, whatever it lacks.
#[tokio::test]
async fn a_run_is_put_back_by_its_ledger_where_and_only_where_it_is_said_to_be() {
    const LEDGER: &str = "projects/p/runs/q001_20261120_120000/submit.json";
    let whole = bed();
    taken_back(&whole, async || drop(whole.dispatch().await)).await;
    let (text, state) = (whole.read(LEDGER), whole.read(STATE));
    let ledger: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert!(ledger.len() > 15, "{text}");
    let other = ("project", serde_json::json!("copied"));
    let without = ledger.keys().map(|member| (member.as_str(), None));
    let mut told_to_mend = Vec::new();
    for (member, value) in without.chain([(other.0, Some(other.1))]) {
        let mut changed = ledger.clone();
        match value {
            Some(value) => drop(changed.insert(member.to_owned(), value)),
            None => drop(changed.remove(member)),
        }
        let changed = crate::ledger::json(&changed);
        let fix = how_to_track(&state, &changed);
        let bed = bed();
        bed.dispatch().await;
        bed.write(STATE, &state);
        bed.write(LEDGER, &changed);
        let report = bed
            .dispatch_with(|options| options.verify_only = true)
            .await;
        let is_back = report
            .verified
            .iter()
            .any(|found| found.finding == "restored");
        let is_said = fix.as_deref() == Some("`ralph verify` puts it back.");
        assert_eq!(is_back, is_said, "{member}: {fix:?} {}", told(&report));
        if let Some(fix) = fix.filter(|fix| fix.starts_with("Mend")) {
            assert!(fix.contains(&format!("`{member}`")), "{fix}");
            told_to_mend.push(member);
        }
    }
    // Without `status` it does not say that it is live, and without the rest it is not certain whose job it is.
    insta::assert_compact_debug_snapshot!(told_to_mend, @r#"["version", "run_id", "project", "queue_id", "job_id", "submitted_at", "token"]"#);
}

/// What is advised about a ledger that the state does not know; `None` where it is not said to be live.
fn how_to_track(state: &str, ledger: &str) -> Option<String> {
    let files = [
        (".state/pipeline.json", state),
        ("runs/q001_20261120_120000/submit.json", ledger),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), Some(text.as_bytes().to_vec())));
    let project = crate::validate::ProjectFiles {
        slug: "p".parse().unwrap(),
        names: files.iter().map(|(path, _)| path.clone()).collect(),
        files: files.into(),
        project_list: None,
        lock_ignored: None,
        now: crate::time::Timestamp::UNIX_EPOCH,
        zone: jiff::tz::TimeZone::UTC,
    };
    let found = crate::validate::check_project(&project);
    let mut found = found.into_iter();
    Some(found.find(|found| found.code == "untracked_run")?.fix)
}

/// What keeps a project in DEBUG.
const BLOCKED: &str = "# Debugging\n\n## BLOCKING\n\n### DBG-001: the loss explodes\n";
const DEBUGGING: &str = "projects/p/documentation/debugging.md";

/// The end of a run is noted, and does not take a project out of DEBUG while an entry blocks it.
#[tokio::test]
async fn a_restored_run_of_a_project_in_debug_ends_and_the_project_stays_there() {
    let bed = bed();
    bed.dispatch().await;
    bed.project("p", "DEBUG", &[("Q-001", "")]);
    bed.write(DEBUGGING, BLOCKED);
    let report = bed.dispatch().await;
    assert_eq!(report.verified[0].finding, "restored", "{}", told(&report));
    assert_eq!(bed.state("p")["phase"], "DEBUG", "{}", told(&report));
    assert_eq!(bed.state("p")["active_runs"][0]["job_id"], "1001");
    bed.wait(100);
    let report = bed.dispatch().await;
    let state = bed.state("p");
    assert_eq!(state["phase"], "DEBUG", "{}", told(&report));
    assert_eq!(
        state["completed_runs"][0]["job_id"],
        "1001",
        "{}",
        told(&report)
    );
    assert_eq!(bed.cluster.calls(Method::Submit), 1);
}

#[tokio::test]
async fn an_array_of_a_project_in_debug_ends_part_by_part_and_the_project_stays_there() {
    let bed = Bed::new();
    let tasks = JobScript::of([(0, "RUNNING"), (1500, "COMPLETED")])
        .task(0, [(0, "RUNNING"), (500, "COMPLETED")])
        .task(1, [(0, "RUNNING"), (1500, "COMPLETED")]);
    let job = bed.cluster.add_foreign("sweep", tasks);
    bed.project("p", "DEBUG", &[]);
    bed.write(DEBUGGING, BLOCKED);
    bed.write(
        STATE,
        &format!(
            "{{\n  \"phase\": \"DEBUG\",\n  \"active_runs\": [{{\"run_id\": \"sweep\", \"job_id\": \"{job}\"}}],\n  \"completed_runs\": []\n}}\n"
        ),
    );
    for (seconds, active) in [(1, 1), (900, 1), (900, 0), (900, 0)] {
        bed.wait(seconds);
        let report = bed.dispatch().await;
        let state = bed.state("p");
        assert_eq!(state["phase"], "DEBUG", "{}", told(&report));
        let runs = state["active_runs"].as_array().map(Vec::len);
        assert_eq!(runs, Some(active), "{}", told(&report));
    }
    assert_eq!(
        bed.state("p")["completed_runs"].as_array().map(Vec::len),
        Some(1)
    );
}

/// State, queue and `runs/` are as they were before the first dispatch, as after `git clean -fdx` or in a fresh clone.
pub(super) fn all_lost(bed: &Bed, phase: &str) {
    std::fs::remove_dir_all(bed.path("projects/p/runs")).unwrap();
    std::fs::remove_dir_all(bed.path("projects/p/.state")).unwrap();
    bed.project("p", phase, &[("Q-001", "")]);
    // Another second: the run gets another id.
    bed.wait(5);
}

/// How many of the first two jobs there are.
pub(super) fn jobs(bed: &Bed) -> usize {
    let ids = ["1001", "1002"].map(|id| id.parse().unwrap());
    ids.into_iter()
        .filter(|id| bed.cluster.true_state(*id).is_some())
        .count()
}

#[tokio::test]
async fn a_job_that_lives_when_all_books_are_lost_is_taken_over_and_not_submitted_again() {
    let bed = bed();
    bed.dispatch().await;
    all_lost(&bed, "RUN");
    insta::assert_snapshot!(told(&bed.dispatch().await), @r"
    p submit RUN->WAIT_SLURM: Q-001 is job 1001 already, by the run q001_20261120_120000 that these books did not have
    exit 0
    ");
    let run = &bed.state("p")["active_runs"][0];
    assert_eq!(
        (&run["run_id"], &run["job_id"], &run["submitted_at"]),
        (
            &"q001_20261120_120005".into(),
            &"1001".into(),
            &"2026-11-20T12:00:00Z".into()
        )
    );
    bed.wait(100);
    insta::assert_snapshot!(told(&bed.dispatch().await), @r"
    p q001_20261120_120005: completed: No failure was found
    p check CHECK->CHECK: results of 1 run recorded
    exit 0
    ");
    assert_eq!(jobs(&bed), 1);
}

#[tokio::test]
async fn an_item_whose_script_changed_since_the_books_were_lost_waits_for_the_job_that_lives() {
    let bed = bed();
    bed.dispatch().await;
    all_lost(&bed, "RUN");
    bed.write(
        "projects/p/slurm/jobs/q001.sbatch",
        "#!/bin/bash\n#SBATCH --time=01:00:00\necho more\n",
    );
    for _ in 0..2 {
        let told = told(&bed.dispatch().await);
        assert!(
            told.contains(
                "Q-001 stays READY: job 1001, submitted for it as q001_20261120_120000, still lives"
            ) || told.contains("waiting"),
            "{told}"
        );
    }
    assert_eq!(jobs(&bed), 1);
    bed.wait(4_000);
    bed.dispatch().await;
    assert_eq!(bed.state("p")["active_runs"][0]["job_id"], "1002");
}

#[tokio::test]
async fn a_job_that_the_books_call_lost_and_that_lives_gets_no_second_one_beside_it() {
    let bed = bed();
    bed.dispatch().await;
    let run = "q001_20261120_120000";
    bed.project("p", "RUN", &[("Q-001", "")]);
    bed.write(
        STATE,
        &format!("{{\"phase\": \"RUN\", \"active_runs\": [], \"completed_runs\": [{{\"run_id\": \"{run}\", \
            \"job_id\": \"1001\", \"status\": \"failed\", \"queue_id\": \"Q-001\"}}]}}\n"),
    );
    let told = told(&bed.dispatch().await);
    assert!(told.contains("Q-001 stays READY: job 1001"), "{told}");
    assert_eq!(jobs(&bed), 1);
}

/// Killed before and after the answer that another job lives, and the answer lost: it is the same one the next time.
#[tokio::test]
async fn the_answer_that_an_earlier_job_lives_may_be_lost() {
    for fault in [Fault::LostReply, Fault::BeforeSend] {
        let bed = bed();
        bed.dispatch().await;
        all_lost(&bed, "RUN");
        bed.cluster.fault(Method::Submit, fault.clone());
        let first = bed.dispatch().await;
        assert_eq!(
            first.steps[0].problem.as_ref().map(|p| p.exit_code),
            Some(25),
            "{fault:?} {}",
            told(&first)
        );
        for _ in 0..2 {
            bed.wait(10);
            bed.dispatch().await;
            assert_eq!(
                bed.state("p")["active_runs"][0]["job_id"],
                "1001",
                "{fault:?}"
            );
        }
        assert_eq!(
            bed.state("p")["active_runs"].as_array().map(Vec::len),
            Some(1)
        );
        assert_eq!(jobs(&bed), 1);
    }
}
