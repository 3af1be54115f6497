//! Whole dispatches, pass by pass.

use super::{Bed, told};
use crate::cluster::mock::{Fault, JobScript, Method, Rule};
use crate::id::Slug;
use crate::settings::{AgentChoice, CommandLine};
use crate::store::lock::WorkspaceGuard;

#[tokio::test]
async fn a_project_goes_from_run_to_done() {
    let bed = Bed::new();
    bed.project("p", "RUN", &[("Q-001", "")]);
    let mut passes = Vec::new();
    for seconds in [0, 30, 60, 0, 0] {
        bed.wait(seconds);
        passes.push(told(&bed.dispatch().await));
    }
    insta::assert_snapshot!(passes.join("\n--\n"), @r"
    p submit RUN->WAIT_SLURM: Q-001 is job 1001
    exit 0
    --
    p q001_20261120_120000: running: the cluster says running
    p - waiting: 1 live run; the next poll is due at 2026-11-20T12:01:00Z
    exit 0
    --
    p q001_20261120_120000: completed: No failure was found
    p check CHECK->CHECK: results of 1 run recorded
    exit 0
    --
    p advance CHECK->DONE: moved on to DONE: no finished run is left to check
    exit 0
    --
    p - nothing: the project is done
    exit 0
    ");
}

#[tokio::test]
async fn a_step_that_cannot_be_recorded_tells_what_stands_in_the_way() {
    let bed = Bed::new();
    bed.project("p", "RUN", &[]);
    let state = "projects/p/.state/pipeline.json";
    let text = bed.read(state);
    let text = text.replace("\"events\": []", "\"events\": \"none yet\"");
    bed.write(state, &text);
    insta::assert_snapshot!(told(&bed.dispatch().await), @r#"
    p advance RUN->RUN !13: failed to edit .state/pipeline.json: events: expected a list or null, found `"none yet"`
    exit 13
    "#);
    assert_eq!(bed.read(state), text);
}

#[tokio::test]
async fn a_dry_run_tells_the_plan_of_the_dispatch_and_writes_nothing() {
    let bed = Bed::new();
    bed.project("p", "RUN", &[("Q-001", "")]);
    bed.dispatch().await;
    bed.wait(120);
    let listing = || walk(&bed.path(""));
    let before = listing();
    let rehearsed = bed.dispatch_with(|options| options.dry_run = true).await;
    assert_eq!(listing(), before);
    let real = bed.dispatch().await;
    let words = |report: &crate::report::DispatchReport| -> Vec<(String, String)> {
        let steps = report.steps.iter();
        steps
            .map(|step| (step.step.clone(), step.because.clone()))
            .collect()
    };
    assert_eq!(words(&rehearsed), words(&real));
    assert_eq!(rehearsed.verified[0].finding, real.verified[0].finding);
    insta::assert_snapshot!(told(&rehearsed), @r"
    p q001_20261120_120000: completed: No failure was found
    p check CHECK->CHECK: would record the results of 1 run
    exit 0
    ");
}

/// A project that has lost its state is reported with what to do, and nothing is done for it.
#[tokio::test]
async fn a_project_without_its_state_is_named() {
    let bed = Bed::new();
    bed.project("empty", "RUN", &[("Q-001", "")]);
    bed.project("lost", "RUN", &[("Q-001", "")]);
    bed.project("whole", "DONE", &[]);
    bed.write("projects/empty/.state/pipeline.json", "\n");
    std::fs::remove_dir_all(bed.path("projects/lost/.state")).unwrap();
    bed.write("projects/listed/notes.md", "x");
    bed.write("projects/archive/old/notes.md", "x");
    bed.write(
        "projects/PROJECTS.md",
        "# Projects\n\n- `listed`: a folder alone\n- `nowhere`\n",
    );
    let report = bed.dispatch().await;
    let named: Vec<&str> = report
        .passed_over
        .iter()
        .map(|passed| passed.project.as_str())
        .collect();
    assert_eq!(named, ["empty", "listed", "lost", "whole"]);
    insta::assert_snapshot!(report.passed_over[2].reason, @"projects/lost/.state/pipeline.json: expected the project's state, found none; Put it back with `git checkout`, from a copy, or from the newest operation of `ralph ops list --project lost`, which keeps the texts under .state/ops; a project that never had one is finished by `ralph new lost`.");
    assert!(report.passed_over[0].reason.contains("found an empty file"));
    assert_eq!(report.code().unwrap(), crate::error::Code::Partial);
    assert_eq!(bed.cluster.calls(Method::Submit), 0);
}

#[tokio::test]
async fn a_job_that_stands_in_no_run_is_told_by_verification() {
    let bed = Bed::new();
    bed.project("p", "WAIT_SLURM", &[("Q-001", "")]);
    let path = "projects/p/.state/pipeline.json";
    let state =
        "{\"phase\": \"WAIT_SLURM\", \"next_action\": \"wait for job #1001\", \"active_runs\": []}";
    bed.write(path, state);
    let report = bed
        .dispatch_with(|options| options.verify_only = true)
        .await;
    let found = &report.verified[0];
    assert_eq!(
        (found.finding.as_str(), found.job.as_deref()),
        ("untracked", Some("1001"))
    );
    let report = bed.dispatch().await;
    assert_eq!(report.passed_over[0].because, "needs_input");
    assert_eq!(bed.read(path), state);
}

/// A killed process leaves its temporary file beside files that everybody writes.
#[tokio::test]
async fn what_a_killed_process_left_is_swept_and_only_that() {
    let bed = Bed::new();
    bed.project("p", "DONE", &[]);
    let old = ".claude/ralph/.ralph-abc123.tmp";
    bed.write(old, "x");
    bed.write(".claude/ralph/.ralph-notes", "x");
    bed.dispatch().await;
    assert!(bed.path(old).exists(), "somebody may be writing it");
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    let file = std::fs::File::options()
        .write(true)
        .open(bed.path(old))
        .unwrap();
    file.set_modified(long_ago).unwrap();
    bed.dispatch_with(|options| options.dry_run = true).await;
    assert!(bed.path(old).exists());
    bed.dispatch().await;
    assert!(!bed.path(old).exists() && bed.path(".claude/ralph/.ralph-notes").exists());
}

/// Every file with its bytes.
fn walk(folder: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            found.extend(walk(&entry.path()));
        } else {
            found.push((entry.path(), std::fs::read(entry.path()).unwrap()));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn no_session_asks_once_fails_nothing_and_is_taken_back() {
    let bed = Bed::new();
    bed.project("live", "RUN", &[("Q-001", "")]);
    bed.project("idle", "DONE", &[]);
    bed.dispatch().await;
    bed.cluster.standing_fault(Some(Fault::NoSession));
    bed.wait(600);
    insta::assert_snapshot!(told(&bed.dispatch().await), @r"
    idle - nothing: the project is done
    live - needs_input: Run `ralph cluster connect`
    exit 21
    ");
    let asked = bed.read("projects/live/.state/pipeline.json");
    assert!(
        asked.contains("ralph:session") && asked.contains("\"pending\""),
        "{asked}"
    );
    bed.dispatch().await;
    assert_eq!(bed.read("projects/live/.state/pipeline.json"), asked);
    bed.cluster.standing_fault(None);
    insta::assert_snapshot!(told(&bed.dispatch().await), @r"
    live q001_20261120_120000: completed: No failure was found
    live check CHECK->CHECK: results of 1 run recorded
    idle - nothing: the project is done
    exit 0
    ");
    assert_eq!(bed.state("live")["needs_user_input"]["value"], false);
}

#[tokio::test]
async fn a_refusal_is_asked_about_and_only_a_changed_script_is_sent_again() {
    let bed = Bed::new();
    bed.project("p", "RUN", &[("Q-001", "")]);
    let refused = Fault::Refused {
        message: "invalid partition".to_owned(),
        limit: false,
    };
    bed.cluster.fault(Method::Submit, refused);
    insta::assert_snapshot!(told(&bed.dispatch().await), @r"
    p submit RUN->RUN !24: Q-001: refused by the scheduler: invalid partition
    exit 24
    ");
    insta::assert_snapshot!(told(&bed.dispatch().await), @r"
    p submit RUN->RUN !1: Q-001 was refused by the scheduler: invalid partition (its script has not changed since; `ralph submit --project p --queue-id Q-001` sends it as it is)
    exit 1
    ");
    let state = bed.read("projects/p/.state/pipeline.json");
    for _ in 0..3 {
        bed.dispatch().await;
    }
    assert_eq!(bed.cluster.calls(Method::Submit), 1);
    assert_eq!(bed.read("projects/p/.state/pipeline.json"), state);
    let script = "projects/p/slurm/jobs/q001.sbatch";
    bed.write(script, &bed.read(script).replace("echo", "date; echo"));
    insta::assert_snapshot!(told(&bed.dispatch().await), @r"
    p submit RUN->WAIT_SLURM: Q-001 is job 1001
    exit 0
    ");
    assert_eq!(bed.state("p")["needs_user_input"]["value"], false);
}

/// Its first sending did not arrive.
#[tokio::test]
async fn what_is_refused_when_it_is_sent_again_is_said_to_be_refused() {
    let bed = Bed::new();
    bed.project("p", "RUN", &[("Q-001", "")]);
    bed.cluster.fault(Method::Submit, Fault::BeforeSend);
    bed.dispatch().await;
    let refused = Fault::Refused {
        message: "invalid partition".to_owned(),
        limit: false,
    };
    bed.cluster.fault(Method::Submit, refused);
    let report = bed.dispatch().await;
    let found = &report.verified[0];
    let exit_code = found.problem.as_ref().map(|problem| problem.exit_code);
    assert_eq!((found.finding.as_str(), exit_code), ("refused", Some(24)));
}

/// What was refused may have been mended where nobody sees it, such as an account that had expired.
#[tokio::test]
async fn a_person_may_send_what_was_refused_as_it_is() {
    let bed = Bed::new();
    bed.project("p", "RUN", &[("Q-001", "")]);
    let refused = Fault::Refused {
        message: "invalid account".to_owned(),
        limit: false,
    };
    bed.cluster.fault(Method::Submit, refused);
    bed.dispatch().await;
    let sent = bed
        .dispatcher()
        .submit_now(&"p".parse().unwrap(), None)
        .await;
    assert!(sent.unwrap().job.is_some());
    assert_eq!(bed.state("p")["needs_user_input"]["value"], false);
}

#[tokio::test]
async fn a_limit_keeps_the_item_ready_and_is_tried_again_later() {
    let bed = Bed::new();
    bed.project("p", "RUN", &[("Q-001", "")]);
    bed.cluster.set(|settings| settings.max_submitted = Some(0));
    insta::assert_snapshot!(told(&bed.dispatch().await), @r"
    p submit RUN->RUN: Q-001: a limit of the scheduler; it stays READY: Job violates accounting/QOS policy
    exit 0
    ");
    let waiting = bed.dispatch().await;
    insta::assert_snapshot!(told(&waiting), @r"
    p - waiting: Q-001 waits for a limit until 2026-11-20T12:01:00Z
    exit 0
    ");
    assert_eq!(
        waiting.next_due.map(crate::time::stamp).as_deref(),
        Some("2026-11-20T12:01:00Z")
    );
    bed.cluster.set(|settings| settings.max_submitted = None);
    bed.wait(61);
    assert!(bed.dispatch().await.steps[0].job.is_some());
}

#[tokio::test]
async fn the_workspaces_own_limit_counts_the_runs_of_all_projects() {
    let mut bed = Bed::new();
    bed.settings
        .partitions
        .max_submit
        .insert("gpu".to_owned(), 2);
    for slug in ["a", "b", "c", "d"] {
        bed.project(slug, "RUN", &[("Q-001", "")]);
        let script = format!("projects/{slug}/slurm/jobs/q001.sbatch");
        bed.write(
            &script,
            &bed.read(&script)
                .replace("#SBATCH --time", "#SBATCH -p gpu\n#SBATCH --time"),
        );
    }
    let report = bed
        .dispatch_with(|options| options.batch_size = Some(4))
        .await;
    insta::assert_snapshot!(told(&report), @r"
    a submit RUN->WAIT_SLURM: Q-001 is job 1001
    b submit RUN->WAIT_SLURM: Q-001 is job 1002
    c submit RUN->RUN: Q-001 stays READY: 2 of at most 2 jobs (`partitions.max_submit`) are in partition gpu, and it needs 1
    d submit RUN->RUN: Q-001 stays READY: 2 of at most 2 jobs (`partitions.max_submit`) are in partition gpu, and it needs 1
    exit 0
    ");
}

#[tokio::test]
async fn one_project_that_fails_does_not_keep_the_others_waiting() {
    let bed = Bed::new();
    for slug in ["a", "b", "c"] {
        bed.project(slug, "RUN", &[("Q-001", "")]);
    }
    bed.write("projects/b/.state/pipeline.json", "{\"phase\": \"RUN\",}");
    bed.write(
        "projects/c/slurm/jobs/q001.sbatch",
        "#!/bin/bash\necho 'oops\n",
    );
    // What bash says differs from version to version.
    let said = told(&bed.dispatch().await);
    let said: Vec<&str> = said
        .lines()
        .map(|line| line.split(": bash: ").next().unwrap())
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    a submit RUN->WAIT_SLURM: Q-001 is job 1001
    c submit RUN->RUN !1: Q-001 cannot be submitted: slurm/jobs/q001.sbatch: bash cannot parse it
    b - unreadable: projects/b/.state/pipeline.json:1:16: expected another value after the comma, found a closing bracket; Remove the comma at line 1, column 16.
    exit 3
    ");
}

#[tokio::test]
async fn a_second_dispatcher_waits_and_says_who_is_at_work() {
    let bed = Bed::new();
    bed.project("p", "RUN", &[("Q-001", "")]);
    let guard = WorkspaceGuard::acquire(
        &bed.path(""),
        "dispatch",
        std::time::Duration::ZERO,
        &bed.env,
    )
    .unwrap();
    let options = super::Options {
        projects: Default::default(),
        batch_size: None,
        dry_run: false,
        verify_only: false,
    };
    let error = bed.dispatcher().dispatch(&options).await.unwrap_err();
    assert_eq!(
        crate::error::Coded::code(&error),
        crate::error::Code::Locked
    );
    // Looking is allowed meanwhile.
    assert_eq!(
        bed.dispatch_with(|options| options.dry_run = true)
            .await
            .steps
            .len(),
        1
    );
    drop(guard);
    assert!(bed.dispatch().await.steps[0].job.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dispatchers_at_once_submit_one_job() {
    let bed = Bed::new();
    bed.project("p", "RUN", &[("Q-001", "")]);
    let options = super::Options {
        projects: Default::default(),
        batch_size: None,
        dry_run: false,
        verify_only: false,
    };
    let run = || {
        let (dispatcher, options) = (bed.dispatcher(), options.clone());
        tokio::spawn(async move { dispatcher.dispatch(&options).await.is_ok() })
    };
    let all = [run(), run(), run(), run()];
    let mut done = 0;
    for one in all {
        done += u32::from(one.await.unwrap());
    }
    assert!(done >= 1);
    assert_eq!(bed.cluster.calls(Method::Submit), 1);
}

#[tokio::test]
async fn a_queue_that_cannot_be_edited_keeps_its_items_from_being_submitted() {
    let bed = Bed::new();
    bed.project("p", "RUN", &[("Q-001", "")]);
    let queue = "projects/p/documentation/queue.md";
    let broken = bed
        .read(queue)
        .replace("## DONE", "```\nnever closed\n\n## DONE");
    bed.write(queue, &broken);
    insta::assert_snapshot!(told(&bed.dispatch().await), @r"
    p submit RUN->RUN !1: Q-001 cannot be submitted: documentation/queue.md: line 13: a fence or comment opens here and is never closed, so text below it would become part of it; close it; it was left as it is
    exit 1
    ");
    assert_eq!(
        (bed.cluster.calls(Method::Submit), bed.read(queue)),
        (0, broken)
    );
}

#[tokio::test]
async fn what_could_not_be_written_down_is_not_sent() {
    for (members, code) in [
        (r#""events": {}"#, 13),
        (r#""active_runs": "none""#, 13),
        (r#""completed_runs": {}"#, 13),
        (r#""slurm_wait": [1]"#, 13),
        (r#""schema_version": 99"#, 12),
    ] {
        let bed = Bed::new();
        bed.project("p", "RUN", &[("Q-001", "")]);
        let state = "projects/p/.state/pipeline.json";
        bed.write(state, &format!("{{\"phase\": \"RUN\", {members}}}"));
        let files = || {
            let mut files = walk(&bed.path("projects"));
            files.retain(|(path, _)| !path.ends_with("lock.guard"));
            files
        };
        let before = files();
        let rehearsed = bed.dispatch_with(|options| options.dry_run = true).await;
        let report = bed.dispatch().await;
        assert_eq!(told(&rehearsed), told(&report), "{members}");
        assert_eq!(bed.cluster.calls(Method::Submit), 0, "{members}");
        assert!(
            told(&report).contains(&format!("exit {code}")),
            "{}",
            told(&report)
        );
        assert!(files() == before, "{members}");
    }
}

/// A dry run of a file that a newer version wrote plans nothing that the dispatch then refuses.
#[tokio::test]
async fn a_dry_run_refuses_a_newer_state_as_the_dispatch_does() {
    for (phase, members) in [
        ("IDLE", ""),
        ("RUN", ""),
        ("IMPLEMENT", ""),
        ("TEST", ""),
        ("DEBUG", ""),
        ("DEBATE", ""),
        (
            "WAIT_SLURM",
            r#", "active_runs": [{"run_id": "r1", "job_id": "7"}]"#,
        ),
        (
            "CHECK",
            r#", "completed_runs": [{"run_id": "r1", "job_id": "7", "status": "completed"}]"#,
        ),
    ] {
        let bed = Bed::new();
        bed.project("p", phase, &[("Q-001", "")]);
        let state = format!(r#"{{"schema_version": 99, "phase": "{phase}"{members}}}"#);
        bed.write("projects/p/.state/pipeline.json", &state);
        let rehearsed = bed.dispatch_with(|options| options.dry_run = true).await;
        let report = bed.dispatch().await;
        assert_eq!(told(&rehearsed), told(&report), "{phase}");
    }
}

#[tokio::test]
async fn a_wait_that_is_written_as_one_value_becomes_an_object_and_keeps_what_it_said() {
    for (written, kept) in [
        ("900", serde_json::json!({"poll_interval_seconds": 900})),
        (
            "\"after lunch\"",
            serde_json::json!({"note": "after lunch"}),
        ),
        ("\"2026-01-01T00:00:00Z\"", serde_json::json!({})),
        ("false", serde_json::json!({})),
    ] {
        let bed = Bed::new();
        bed.project("p", "RUN", &[("Q-001", "")]);
        let state = format!(r#"{{"phase": "RUN", "slurm_wait": {written}}}"#);
        bed.write("projects/p/.state/pipeline.json", &state);
        bed.dispatch().await;
        assert_eq!(bed.cluster.calls(Method::Submit), 1, "{written}");
        let mut wait = bed.state("p")["slurm_wait"].take();
        let members = wait.as_object_mut().unwrap();
        assert!(members.remove("next_poll_after").unwrap().is_string());
        members.remove("last_polled_at");
        assert_eq!(wait, kept, "{written}");
    }
}

#[tokio::test]
async fn a_check_that_the_queue_does_not_take_is_made_once() {
    let bed = Bed::new();
    bed.project("p", "RUN", &[("Q-001", "")]);
    bed.dispatch().await;
    let queue = "projects/p/documentation/queue.md";
    bed.write(
        queue,
        &bed.read(queue)
            .replace("## DONE", "```\nnever closed\n\n## DONE"),
    );
    bed.wait(120);
    let mut passes = Vec::new();
    for _ in 0..4 {
        passes.push(told(&bed.dispatch().await));
    }
    insta::assert_snapshot!(passes.join("\n--\n"), @r"
    p q001_20261120_120000: completed: No failure was found
    p check CHECK->CHECK: results of 1 run recorded
    exit 0
    --
    p advance CHECK->IDLE: moved on to IDLE: no finished run is left to check
    exit 0
    --
    p - nothing: no item is READY; one of IN_PROGRESS has no run: move it to READY, DONE or FAILED in documentation/queue.md
    exit 0
    --
    p - nothing: no item is READY; one of IN_PROGRESS has no run: move it to READY, DONE or FAILED in documentation/queue.md
    exit 0
    ");
}

#[tokio::test]
async fn a_failure_that_cannot_be_written_down_is_asked_about() {
    let bed = Bed::new();
    bed.project("p", "RUN", &[("Q-001", "")]);
    let failing = JobScript::of([(1, "RUNNING"), (60, "FAILED")]).complains(50, "ValueError: no\n");
    bed.cluster.rule(Rule::any(failing));
    bed.dispatch().await;
    bed.write(
        "projects/p/documentation/debugging.md",
        "# Debugging\n\n```\nnever closed\n",
    );
    bed.wait(120);
    insta::assert_snapshot!(told(&bed.dispatch().await), @r"
    p q001_20261120_120000: failed: ValueError: no (slurm/logs/q001_1001.out:1) (documentation/debugging.md: line 3: a fence or comment opens here and is never closed, so text below it would become part of it; close it; it was left as it is)
    p - needs_input: Q-001: ValueError: no (slurm/logs/q001_1001.out:1). documentation/debugging.md: line 3: a fence or comment opens here and is never closed, so text below it would become part of it; close it; it was left as it is
    exit 5
    ");
    let state = bed.state("p");
    assert_eq!(
        (
            state["phase"].as_str(),
            state["needs_user_input"]["value"].as_bool()
        ),
        (Some("DEBUG"), Some(true))
    );
}

#[tokio::test]
async fn a_report_that_a_person_wrote_is_not_replaced() {
    let bed = Bed::new();
    bed.project("p", "RUN", &[("Q-001", "")]);
    let run = bed.dispatch().await.steps[0].outcome.clone();
    assert!(run.contains("is job"), "{run}");
    let id = bed.state("p")["active_runs"][0]["run_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("projects/p/runs/{id}/results.md");
    bed.write(&path, "# What I saw\n\nIt works.\n");
    bed.wait(120);
    bed.dispatch().await;
    assert_eq!(bed.read(&path), "# What I saw\n\nIt works.\n");
    assert_eq!(bed.state("p")["phase"], "CHECK");
}

#[tokio::test]
async fn an_agent_is_sent_and_what_it_leaves_is_settled() {
    let mut bed = Bed::new();
    bed.project("p", "IMPLEMENT", &[]);
    bed.write(
        "projects/p/documentation/implementation-todo.md",
        "## Ready\n\n- [ ] (T1) write it\n",
    );
    let agent = |script: &str| AgentChoice::Command(CommandLine::Shell(script.to_owned()));
    bed.settings.agent = agent("cat > experiments.py && echo wrote it");
    insta::assert_snapshot!(told(&bed.dispatch().await), @r"
    p implement IMPLEMENT->IMPLEMENT: implement T1: done
    exit 0
    ");
    assert!(
        bed.read("projects/p/documentation/implementation-todo.md")
            .contains("- [x] (T1)")
    );
    // An agent whose work cannot be ticked off is not sent again and again.
    bed.write(
        "projects/p/documentation/implementation-todo.md",
        "## Ready\n\n- [ ] (T1) a\n- [ ] (T1) b\n",
    );
    bed.settings.agent = agent("date > another.py");
    let mut passes = Vec::new();
    for _ in 0..2 {
        passes.push(told(&bed.dispatch().await));
    }
    insta::assert_snapshot!(passes.join("\n--\n"), @r"
    p implement IMPLEMENT->IMPLEMENT: implement T1: done
    exit 0
    --
    p - needs_input: T1 is done, but documentation/implementation-todo.md: line 3: the task `T1` is there 2 times (lines 3, 4); nothing was changed; give each an id of its own; it was left as it is
    exit 5
    ");
}

#[tokio::test]
async fn the_test_command_runs_in_the_project() {
    let mut bed = Bed::new();
    bed.project("p", "TEST", &[("Q-001", "")]);
    bed.settings.test_command = Some(CommandLine::Shell(
        "test -f documentation/queue.md && echo 3 passed".to_owned(),
    ));
    insta::assert_snapshot!(told(&bed.dispatch().await), @r"
    p test TEST->RUN: the tests pass
    exit 0
    ");
    bed.project("q", "TEST", &[]);
    bed.settings.test_command = Some(CommandLine::Words(vec!["no-such-program".to_owned()]));
    insta::assert_snapshot!(told(&bed.dispatch_with(|options| options.projects = ["q".parse::<Slug>().unwrap()].into()).await), @r"
    q test TEST->DEBUG: the tests fail: cannot be started: No such file or directory (os error 2)
    p - not_selected: not named by --project
    exit 0
    ");
}

#[tokio::test]
async fn what_one_run_cannot_tell_does_not_keep_the_others_waiting() {
    let bed = Bed::new();
    bed.project("p", "RUN", &[("Q-001", ""), ("Q-002", "")]);
    bed.dispatch().await;
    let dispatcher = bed.dispatcher();
    dispatcher
        .submit_now(&"p".parse().unwrap(), None)
        .await
        .unwrap();
    bed.wait(600);
    bed.cluster.fault(Method::Fetch, Fault::Garbage);
    insta::assert_snapshot!(told(&bed.dispatch().await), @r#"
    p q001_20261120_120000: error !25: the cluster's answer cannot be read: expected a framed reply, found "\u{7f}ELF"
    p q002_20261120_120000: completed: No failure was found
    p check WAIT_SLURM->CHECK: results of 1 run recorded
    exit 3
    "#);
    insta::assert_snapshot!(told(&bed.dispatch().await), @r"
    p q001_20261120_120000: completed: No failure was found
    p check CHECK->CHECK: results of 1 run recorded
    exit 0
    ");
}

#[tokio::test]
async fn dozens_of_misplaced_records_are_one_operation() {
    let bed = Bed::new();
    let runs: Vec<String> = (0..60)
        .map(|n| {
            format!(
                "{{\"run_id\": \"r{n}\", \"job_id\": \"{}\", \"status\": \"completed\"}}",
                900 + n
            )
        })
        .collect();
    bed.write(
        "projects/p/.state/pipeline.json",
        &format!(
            "{{\"phase\": \"a sentence\", \"active_runs\": [\n{}\n], \"completed_runs\": []}}",
            runs.join(",\n")
        ),
    );
    let report = bed.dispatch().await;
    assert_eq!(report.verified.len(), 60);
    assert_eq!(
        bed.state("p")["completed_runs"].as_array().map(Vec::len),
        Some(60)
    );
    assert_eq!(
        std::fs::read_dir(bed.path("projects/p/.state/ops"))
            .unwrap()
            .count(),
        1
    );
}

/// A run that stands in both lists has ended as the finished record says, unless the cluster knows better (incident 14).
#[tokio::test]
async fn a_run_in_both_lists_is_settled_by_what_is_known_and_not_failed_anew() {
    let bed = Bed::new();
    bed.project("live", "RUN", &[("Q-001", "")]);
    bed.dispatch().await;
    let job = bed.state("live")["active_runs"][0]["job_id"].clone();
    bed.project("gone", "sweep of G2, see notes", &[]);
    bed.write(
        "projects/gone/.state/pipeline.json",
        "{\n  \"phase\": \"sweep of G2, see notes\",\n  \"active_runs\": [\n    {\"run_id\": \"a\", \"job_id\": 7001, \"status\": \"running\", \"note\": \"by hand\"},\n    {\"run_id\": \"b\", \"job_id\": \"7002\", \"status\": \"failed\"}\n  ],\n  \"completed_runs\": [\n    {\"run_id\": \"a\", \"job_id\": \"7001\", \"status\": \"completed\"},\n    {\"run_id\": \"b\", \"job_id\": \"7002\", \"status\": \"failed\"}\n  ]\n}\n",
    );
    let mut live = bed.state("live");
    live["completed_runs"] = serde_json::json!([
        {"run_id": live["active_runs"][0]["run_id"], "job_id": job, "status": "failed"}
    ]);
    bed.write("projects/live/.state/pipeline.json", &live.to_string());
    bed.wait(30);
    let debugging = bed.read("projects/gone/documentation/debugging.md");
    insta::assert_snapshot!(told(&bed.dispatch().await), @r"
    gone a: filed: completed_runs says how it ended; taken out of active_runs
    gone b: filed: completed_runs says how it ended; taken out of active_runs
    live q001_20261120_120000: running: the cluster says running
    gone - external: the phase is not one that ralph steps: sweep of G2, see notes
    live - waiting: 1 live run; the next poll is due at 2026-11-20T12:01:00Z
    exit 0
    ");
    insta::assert_snapshot!(bed.read("projects/gone/.state/pipeline.json"), @r#"
    {
      "phase": "sweep of G2, see notes",
      "active_runs": [],
      "completed_runs": [
        {"run_id": "a", "job_id": "7001", "status": "completed", "note": "by hand"},
        {"run_id": "b", "job_id": "7002", "status": "failed"}
      ]
    }
    "#);
    assert_eq!(
        bed.read("projects/gone/documentation/debugging.md"),
        debugging
    );
    assert_eq!(bed.state("live")["active_runs"][0]["status"], "running");
    assert_eq!(bed.state("live")["completed_runs"][0]["status"], "failed");
    bed.wait(600);
    insta::assert_snapshot!(told(&bed.dispatch().await), @r"
    live q001_20261120_120000: filed: completed_runs says how it ended; taken out of active_runs
    live check WAIT_SLURM->CHECK: results of 1 run recorded
    gone - external: the phase is not one that ralph steps: sweep of G2, see notes
    exit 0
    ");
    insta::assert_snapshot!(told(&bed.dispatch().await), @r"
    live advance CHECK->IDLE: moved on to IDLE: no finished run is left to check
    gone - external: the phase is not one that ralph steps: sweep of G2, see notes
    exit 0
    ");
}

/// A job that is held waits until somebody releases it, and only the scheduler knows that. One that waits its turn is left
/// alone.
#[tokio::test]
async fn a_poll_tells_what_keeps_a_job_from_starting_and_the_books_what_to_do_about_it() {
    let bed = Bed::new();
    bed.project("p", "RUN", &[("Q-001", "")]);
    let mut held = JobScript::of([(0, "PENDING"), (500, "PENDING"), (5_000, "RUNNING")]);
    held.steps[0].reason = Some("JobHeldUser".to_owned());
    held.steps[1].reason = Some("Licenses".to_owned());
    bed.cluster.rule(Rule::any(held));
    bed.dispatch().await;
    bed.wait(60);
    let dispatched = told(&bed.dispatch().await);
    insta::assert_snapshot!(dispatched, @r"
    p poll WAIT_SLURM->WAIT_SLURM: the cluster was asked; the next poll is set; job 1001 waits for somebody (JobHeldUser): it is held; release it with `scontrol release 1001` on the cluster, or take it back with `ralph cancel q001_20261120_120000`
    exit 0
    ");
    let state = bed.state("p");
    let reason = state["next_action"]["reason"].as_str().unwrap();
    assert!(dispatched.contains(reason), "{reason}");
    bed.wait(900);
    insta::assert_snapshot!(told(&bed.dispatch().await), @r"
    p poll WAIT_SLURM->WAIT_SLURM: the cluster was asked; the next poll is set; job 1001 is pending: Licenses
    exit 0
    ");
    let after = bed.state("p");
    assert_eq!(after["next_action"]["reason"], "its jobs are alive");
}
