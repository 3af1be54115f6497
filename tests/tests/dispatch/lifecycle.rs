//! Whole lives of projects on the embedded cluster, through the real binary.

use ralph_tests::{Ran, Workspace, wait_until};
use serde_json::json;

#[test]
fn two_items_succeed_one_after_the_other_and_the_project_is_done() {
    let workspace = Workspace::local();
    workspace.project(
        "toy",
        "RUN",
        &[("Q-001", "echo one"), ("Q-002", "echo two")],
    );
    let ran = workspace.ralph(&["dispatch", "--until-idle"]).ended(0);
    let state = workspace.state("toy");
    assert_eq!(state["phase"], "DONE", "{}", ran.stdout);
    assert_eq!(state["active_runs"], json!([]));
    assert_eq!(state["next_action"], json!(null));
    let statuses: Vec<_> = state["completed_runs"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|run| run["status"].clone())
        .collect();
    assert_eq!(statuses, ["completed", "completed"]);
    assert_eq!(workspace.jobs(), 2);
    let queue = workspace.read("projects/toy/documentation/queue.md");
    let done = queue.find("## DONE").expect("the section");
    assert!(
        queue.find("### Q-001").expect("the item") > done
            && queue.find("### Q-002").expect("the item") > done,
        "{queue}"
    );
    for run in state["completed_runs"].as_array().into_iter().flatten() {
        let id = run["run_id"].as_str().expect("a run id");
        for file in ["spec.md", "submit.json", "result.json", "results.md"] {
            assert!(
                !workspace
                    .read(&format!("projects/toy/runs/{id}/{file}"))
                    .is_empty()
            );
        }
        assert!(
            workspace
                .read("projects/toy/results/summary.md")
                .contains(id)
        );
    }
}

#[test]
fn a_traceback_ends_in_debug_with_an_entry_that_names_everything() {
    let workspace = Workspace::local();
    let script = "cat >&2 <<'E'\nTraceback (most recent call last):\n  File \"train.py\", line 7, in <module>\n    f()\n  File \"model.py\", line 3, in f\n    return a @ b\nRuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)\nE\nexit 1";
    workspace.project("toy", "RUN", &[("Q-001", script)]);
    let _ = workspace.ralph(&["dispatch", "--until-idle"]);
    let state = workspace.state("toy");
    assert_eq!(state["phase"], "DEBUG");
    let run = &state["completed_runs"][0];
    assert_eq!(
        (
            run["status"].as_str(),
            run["slurm_state"].as_str(),
            run["exit_code"].as_str()
        ),
        (Some("failed"), Some("FAILED"), Some("1:0"))
    );
    assert!(
        run["failed_at"].is_string()
            && run["error"]
                .as_str()
                .is_some_and(|error| error.contains("cannot be multiplied"))
    );
    let entry = workspace.read("projects/toy/documentation/debugging.md");
    let (id, job) = (
        run["run_id"].as_str().expect("a run id"),
        run["job_id"].as_str().expect("a job id"),
    );
    for needed in [
        id,
        job,
        "RuntimeError: mat1",
        "model.py:3",
        "Root cause",
        "slurm/logs/",
        "(D1)",
    ] {
        assert!(entry.contains(needed), "{needed}\n{entry}");
    }
    assert!(
        workspace
            .read("projects/toy/documentation/queue.md")
            .split("## FAILED")
            .nth(1)
            .is_some_and(|failed| failed.contains("Q-001"))
    );
}

#[test]
fn a_dry_run_changes_nothing_and_shows_what_a_dispatch_then_does() {
    let workspace = Workspace::local();
    workspace.project("toy", "RUN", &[("Q-001", "echo one")]);
    let before = workspace.read("projects/toy/.state/pipeline.json");
    let plan = workspace
        .ralph(&["dispatch", "--dry-run", "--json"])
        .ended(0)
        .json();
    assert_eq!(workspace.read("projects/toy/.state/pipeline.json"), before);
    assert_eq!(workspace.jobs(), 0);
    let done = workspace.ralph(&["dispatch", "--json"]).ended(0).json();
    assert_eq!(
        (&plan["steps"][0]["step"], &plan["schema_version"]),
        (&done["steps"][0]["step"], &json!(1))
    );
    assert_eq!(done["steps"][0]["step"], "submit");
}

#[test]
fn one_broken_project_does_not_hide_the_others_and_is_never_written() {
    let workspace = Workspace::local();
    workspace.project("good", "RUN", &[("Q-001", "echo one")]);
    let broken =
        "{\n  \"phase\": \"RUN\",\n  \"active_runs\": [\n    {\"run_id\": \"a\"},\n  ]\n}\n";
    workspace.write("projects/broken/.state/pipeline.json", broken);
    let ran = workspace.ralph(&["dispatch", "--json"]).ended(3).json();
    assert_eq!(ran["steps"][0]["project"], "good");
    let reason = ran["passed_over"][0]["reason"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(reason.contains("pipeline.json:4:"), "{reason}");
    assert_eq!(
        workspace.read("projects/broken/.state/pipeline.json"),
        broken
    );
    let checked = workspace.ralph(&["validate", "projects/broken"]).ended(11);
    assert!(checked.stdout.contains(":4:"), "{}", checked.stdout);
}

/// A hook of git has variables by which every git below it asks the hook's repository.
#[test]
fn what_git_ignores_is_asked_of_the_projects_repository_from_a_hook_too() {
    let workspace = Workspace::local();
    workspace.project("toy", "RUN", &[("Q-001", "echo one")]);
    workspace.write("hooked/README.md", "x\n");
    let mut git = std::process::Command::new("git");
    let git = git.arg("-C").arg(workspace.path("hooked"));
    let _ = Ran::of_command(git.args(["init", "-q"])).ended(0);
    let plain = workspace.ralph(&["validate", "projects/toy"]);
    let mut command = workspace.command(&["validate", "projects/toy"]);
    command.env("GIT_DIR", workspace.path("hooked/.git"));
    let hooked = Ran::of_command(&mut command);
    assert_eq!(hooked.stdout, plain.stdout);
}

#[test]
fn a_script_whose_path_has_spaces_is_run_and_booked_by_it() {
    let workspace = Workspace::local();
    workspace.project(
        "toy",
        "RUN",
        &[("Q-001", "echo wrong"), ("Q-002", "echo two")],
    );
    let script = "#!/bin/bash\nset -euo pipefail\necho from spaces\n";
    workspace.write("projects/toy/slurm/jobs/my first run.sbatch", script);
    let queue = "projects/toy/documentation/queue.md";
    let text = workspace.read(queue).replacen(
        "- Hypothesis: it works\n",
        "- Script: \"my first run.sbatch\"\n",
        1,
    );
    workspace.write(queue, &text);
    let _ = workspace.ralph(&["dispatch", "--until-idle"]).ended(0);
    let state = workspace.state("toy");
    assert_eq!(state["phase"], "DONE");
    let run = state["completed_runs"][0]["run_id"]
        .as_str()
        .expect("a run");
    let submitted = workspace.read(&format!("projects/toy/runs/{run}/submit.json"));
    let path = "slurm/jobs/my first run.sbatch";
    assert!(submitted.contains(path), "{submitted}");
    let logs = std::fs::read_dir(workspace.path("projects/toy/slurm/logs")).expect("logs");
    let mut logs = logs
        .flatten()
        .map(|entry| std::fs::read_to_string(entry.path()));
    assert!(logs.any(|log| log.is_ok_and(|log| log == "from spaces\n")));
    let checked = workspace.ralph(&["validate", "projects/toy"]).ended(0);
    assert!(!checked.stdout.contains("first run"), "{}", checked.stdout);
}

#[test]
fn a_cancelled_run_is_seen_to_end_and_booked_as_cancelled() {
    let workspace = Workspace::local();
    workspace.project("toy", "RUN", &[("Q-001", "sleep 600")]);
    let _ = workspace.ralph(&["dispatch"]).ended(0);
    let run = workspace.state("toy")["active_runs"][0]["run_id"]
        .as_str()
        .expect("a run")
        .to_owned();
    let cancelled = workspace.ralph(&["cancel", &run]).ended(0);
    assert!(
        cancelled.stdout.contains("CANCELLED"),
        "{}",
        cancelled.stdout
    );
    let _ = workspace.ralph(&["verify"]).ended(0);
    assert_eq!(
        workspace.state("toy")["completed_runs"][0]["status"],
        "cancelled"
    );
}

#[test]
fn an_operation_can_be_shown_and_undone() {
    let workspace = Workspace::local();
    workspace.project("toy", "INIT", &[("Q-001", "echo one")]);
    let before = workspace.read("projects/toy/.state/pipeline.json");
    let _ = workspace.ralph(&["dispatch"]).ended(0);
    assert_ne!(workspace.read("projects/toy/.state/pipeline.json"), before);
    let op = workspace.ralph(&["ops", "list", "--json"]).json()["operations"][0]["id"]
        .as_str()
        .expect("an operation")
        .to_owned();
    assert!(
        workspace
            .ralph(&["ops", "show", &op])
            .ended(0)
            .stdout
            .contains("+")
    );
    let _ = workspace.ralph(&["ops", "undo", &op]).ended(0);
    assert_eq!(workspace.read("projects/toy/.state/pipeline.json"), before);
}

/// Of many rows, each is looked up by its name: what is wrong with the record of another is nothing to them.
#[test]
fn the_comparison_reads_the_operations_of_its_report_and_no_other() {
    let workspace = Workspace::local();
    workspace.project("toy", "RUN", &[("Q-001", "true")]);
    let _ = workspace.ralph(&["dispatch"]).ended(0);
    let first = workspace.ralph(&["ops", "list", "--json"]).ended(0).json();
    let first = first["operations"][0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    wait_until("the job's end is in the books", || {
        let _ = workspace.ralph(&["dispatch"]).ended(0);
        workspace.state("toy")["active_runs"] == json!([])
    });
    let record = format!("projects/toy/.state/ops/{first}/op.json");
    assert!(workspace.path(&record).exists());
    workspace.write(&record, "{");
    let told = workspace
        .ralph(&["results", "--compare-last", "--json"])
        .ended(0)
        .json();
    let operations = told["operations"].as_array().map(Vec::len);
    assert!(operations > Some(0), "{told}");
    // One that was cleaned away is left out.
    let kept = told["operations"][0]["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{told}"));
    std::fs::remove_dir_all(workspace.path(&format!("projects/toy/.state/ops/{kept}")))
        .expect("removed");
    let told = workspace
        .ralph(&["results", "--compare-last", "--json"])
        .ended(0)
        .json();
    assert_eq!(
        told["operations"].as_array().map(Vec::len),
        operations.map(|n| n - 1)
    );
}

/// As git names commits.
#[test]
fn a_run_is_named_by_as_much_of_its_id_as_no_other_has() {
    let workspace = Workspace::local();
    workspace.project(
        "toy",
        "RUN",
        &[("Q-001", "echo one"), ("Q-002", "echo two")],
    );
    workspace.project("top", "RUN", &[("Q-003", "echo three; sleep 60")]);
    let project = ["--project", "toy"];
    let _ = workspace
        .ralph(&[&["dispatch", "--until-idle"], &project[..]].concat())
        .ended(0);
    let _ = workspace.ralph(&["submit", "--project", "top"]).ended(0);
    assert_eq!(workspace.ralph(&["logs", "q001"]).ended(0).stdout, "one\n");
    let piece = workspace
        .ralph(&["logs", "q002_", "--json"])
        .ended(0)
        .json();
    let whole = piece["run_id"].as_str().unwrap_or_default();
    assert!(whole.len() > "q002_20260101".len(), "{piece}");
    assert_eq!(workspace.ralph(&["logs", whole]).ended(0).stdout, "two\n");

    let told = workspace.ralph(&["logs", "q00"]).ended(2).stderr;
    assert!(
        told.contains("q00 is the beginning of several runs: "),
        "{told}"
    );
    assert!(told.contains(&format!("{whole} (toy)")), "{told}");
    assert!(told.contains("(top)"), "{told}");
    let of_one = workspace
        .ralph(&["logs", "q00", "--project", "top"])
        .ended(0);
    assert!("three\n".starts_with(&of_one.stdout), "{}", of_one.stdout);
    let told = workspace.ralph(&["logs", ""]).ended(1).stderr;
    assert!(told.contains("no project has a run"), "{told}");
    let _ = workspace.ralph(&["logs", "q1"]).ended(1);

    let told = workspace
        .ralph(&["cancel", "q003", "--json"])
        .ended(0)
        .json();
    assert!(
        told["run_id"]
            .as_str()
            .is_some_and(|id| id.starts_with("q003_2")),
        "{told}"
    );
}

/// The program dies of a bug at a place where it writes.
#[test]
fn a_bug_has_its_own_exit_code_and_says_what_to_report() {
    let workspace = Workspace::local();
    let ran = |arguments: &[&str]| {
        let mut command = workspace.command(arguments);
        Ran::of_command(command.env("RALPH_CRASH_AT", "panic atomic.renamed:1"))
    };
    let said = ran(&["on"]).ended(70).stderr;
    assert!(said.contains("crash.rs"), "{said}");
    assert!(said.contains("error: this is a bug in ralph "), "{said}");
    assert!(
        said.contains("hint: ") && said.contains("Report "),
        "{said}"
    );
    let said = ran(&["on", "--json"]).ended(70).stderr;
    let line = said.lines().next_back().unwrap_or_default();
    let report: serde_json::Value = serde_json::from_str(line).expect("one line of JSON");
    assert_eq!(report["error"]["code"], "bug");
    // No number of the hook's says this: the session may stop.
    let _ = ran(&["on"]).ended(70);
    let _ = workspace.ralph(&["on"]).ended(0);
    workspace.project("toy", "RUN", &[("Q-001", "true")]);
    let said = ran(&["hook", "stop"]).ended(0).stderr;
    assert!(said.contains("this is a bug"), "{said}");
}

#[test]
fn the_stop_hook_ends_with_zero_or_two_whatever_it_is_given() {
    let workspace = Workspace::local();
    workspace.project("toy", "RUN", &[("Q-001", "sleep 600")]);
    let _ = workspace.ralph(&["hook", "stop"]).ended(0);
    let _ = workspace.ralph(&["on"]).ended(0);
    let blocked = workspace.ralph(&["hook", "stop"]).ended(2);
    assert!(blocked.stderr.contains("toy"), "{}", blocked.stderr);
    workspace.write("projects/broken/.state/pipeline.json", "{");
    let _ = workspace.ralph(&["hook", "stop"]).ended(2);
    let _ = workspace.ralph(&["dispatch", "--batch-size", "1"]);
    let config = workspace
        .read(".claude/ralph/config.json")
        .replace("0.2", "600")
        .replace("0.5", "900");
    workspace.write(".claude/ralph/config.json", &config);
    let _ = workspace
        .ralph(&["hook", "stop", "--no-such-flag"])
        .ended(0);
    let _ = workspace
        .ralph(&["--root", "/nowhere", "hook", "stop"])
        .ended(0);
    let run = workspace.state("toy")["active_runs"][0]["run_id"]
        .as_str()
        .expect("a run")
        .to_owned();
    let _ = workspace.ralph(&["cancel", &run]).ended(0);
}

#[test]
fn without_a_cluster_nothing_is_assumed() {
    let workspace = Workspace::new();
    workspace.write("projects/.keep", "");
    workspace.project("toy", "RUN", &[("Q-001", "echo one")]);
    let ran = workspace.ralph(&["dispatch"]).ended(20);
    assert!(
        ran.stdout.contains("no cluster is configured"),
        "{}",
        ran.stdout
    );
    assert_eq!(workspace.state("toy")["needs_user_input"]["value"], false);
}

/// What stands in the column NEXT is what the next dispatch does, not why the last one did what it did.
#[test]
fn the_status_says_what_comes_next() {
    let workspace = Workspace::local();
    workspace.project("toy", "INIT", &[("Q-001", "echo one")]);
    let next = || {
        let status = workspace.ralph(&["status", "--json"]).ended(0);
        let status: serde_json::Value = serde_json::from_str(&status.stdout).expect("a status");
        status["projects"][0]["next_action"].clone()
    };
    let mut seen = vec![next()];
    for _ in 0..3 {
        let _ = workspace.ralph(&["dispatch"]);
        seen.push(next());
    }
    assert_eq!(
        seen,
        [
            "a fresh project, whose work is still to be described",
            "move on to TEST: every task is done",
            "run the tests",
            "submit Q-001",
        ]
    );
    // What a person wrote is kept.
    let mut state = workspace.state("toy");
    state["next_action"] = json!("look at the first results");
    workspace.write("projects/toy/.state/pipeline.json", &state.to_string());
    assert_eq!(next(), "look at the first results");
}
