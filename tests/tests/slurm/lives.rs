//! Whole lives of projects on the cluster, to the last document.

use ralph_tests::slurm::{Site, cluster};
use ralph_tests::wait_until;
use serde_json::{Value, json};

const TRACEBACK: &str = "cat >&2 <<'E'\nTraceback (most recent call last):\n  File \"train.py\", line 7, in <module>\n    f()\n  File \"model.py\", line 3, in f\n    return a @ b\nRuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)\nE\nexit 1";

fn text<'a>(run: &'a Value, key: &str) -> &'a str {
    run[key]
        .as_str()
        .unwrap_or_else(|| panic!("no {key} in {run}"))
}

/// Fails when a file of a project lacks one of these texts.
#[track_caller]
fn says(site: &Site<'_>, path: &str, texts: &[&str]) {
    let file = site.workspace.read(&format!("projects/{path}"));
    for text in texts {
        assert!(file.contains(text), "{path} lacks {text:?}:\n{file}");
    }
}

#[test]
fn four_projects_are_dispatched_until_idle() {
    // Alone, because connections are counted.
    let Some(cluster) = cluster(true) else {
        return;
    };
    let site = Site::connected(&cluster);
    let before = cluster.connections();
    let items = [("Q-001", "echo \"$RALPH_PROJECT\""), ("Q-002", "echo two")];
    site.project("good", "RUN", &items);
    site.project("broken", "RUN", &[("Q-001", TRACEBACK)]);
    let sweep = "#SBATCH --array=0-3\n[ \"$SLURM_ARRAY_TASK_ID\" != 2 ] || exit 7";
    site.project("sweep", "RUN", &[("Q-001", sweep)]);
    site.project("stopped", "RUN", &[("Q-001", "sleep 600")]);

    let _ = site.ralph(&["dispatch"]).ended(0);
    let (_, job) = site.live_run("stopped");
    site.on_login_node(&format!("scancel {job}"));
    wait_until("accounting knows who cancelled the job", || {
        let row = [
            "admin", "sacct", "-n", "-P", "-X", "-j", &job, "-o", "State",
        ];
        cluster.control(&row).contains("CANCELLED by")
    });
    let _ = site.ralph(&["dispatch", "--until-idle"]).ended(0);

    assert_eq!(site.jobs().len(), 5, "one job per submission, and no other");
    // The look from outside was one more.
    assert_eq!(cluster.connections(), before + 1);
    done(&site);
    diagnosed(&site);
    with_a_table_of_its_tasks(&site);
    cancelled_and_nothing_else(&site);
}

fn done(site: &Site<'_>) {
    let state = site.state("good");
    assert_eq!(
        (&state["phase"], &state["active_runs"]),
        (&json!("DONE"), &json!([]))
    );
    let runs = state["completed_runs"].as_array().expect("a list");
    assert_eq!(runs.len(), 2);
    for run in runs {
        assert_eq!(
            (text(run, "status"), text(run, "exit_code")),
            ("completed", "0:0")
        );
        let (id, job) = (text(run, "run_id"), text(run, "job_id"));
        for file in ["spec.md", "submit.json", "result.json", "results.md"] {
            says(site, &format!("good/runs/{id}/{file}"), &[""]);
        }
        says(site, "good/results/summary.md", &[id, job]);
        says(site, "good/documentation/queue.md", &[id, job]);
    }
    let first = text(&runs[0], "job_id");
    says(
        site,
        &format!("good/slurm/logs/q001_{first}.out"),
        &["good\n"],
    );
}

fn diagnosed(site: &Site<'_>) {
    let state = site.state("broken");
    assert_eq!(state["phase"], "DEBUG");
    let run = &state["completed_runs"][0];
    let words = ["status", "slurm_state", "exit_code", "failure_class"].map(|key| text(run, key));
    assert_eq!(words, ["failed", "FAILED", "1:0", "py_shape_mismatch"]);
    assert!(text(run, "error").contains("cannot be multiplied"));
    let (id, job) = (text(run, "run_id"), text(run, "job_id"));
    let (out, err) = (
        format!("slurm/logs/q001_{job}.out"),
        format!("slurm/logs/q001_{job}.err"),
    );
    says(site, &format!("broken/{err}"), &["RuntimeError: mat1"]);
    says(site, &format!("broken/{out}"), &[""]);
    let all = [
        "- [ ] (D1) Q-001: RuntimeError: mat1",
        id,
        job,
        "Root cause: ",
        "model.py:3",
        "exit 1:0",
        &out,
        &err,
        // When the failure was found; accounting's own time of the end stands in the state file.
        "- Time: 20",
        "Traceback (most recent call last)",
    ];
    says(site, "broken/documentation/debugging.md", &all);
    let queue = site
        .workspace
        .read("projects/broken/documentation/queue.md");
    let failed = queue.split("## FAILED").nth(1).expect("the section");
    assert!(failed.contains("### Q-001"), "{queue}");
}

fn with_a_table_of_its_tasks(site: &Site<'_>) {
    let state = site.state("sweep");
    assert_eq!(state["phase"], "DEBUG");
    let run = &state["completed_runs"][0];
    assert_eq!(
        (text(run, "status"), text(run, "exit_code")),
        ("failed", "7:0")
    );
    let job = text(run, "job_id");
    let rows: Vec<String> = (0..4)
        .map(|task| match task {
            2 => format!("| {job}_2 | FAILED | 7:0 |"),
            _ => format!("| {job}_{task} | COMPLETED | 0:0 |"),
        })
        .collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    says(
        site,
        &format!("sweep/runs/{}/results.md", text(run, "run_id")),
        &rows,
    );
    says(
        site,
        "sweep/documentation/debugging.md",
        &[
            &format!("1 of 4 did not complete: 1 FAILED with 7:0 ({job}_2)"),
            &format!("{job}_2.err"),
        ],
    );
}

fn cancelled_and_nothing_else(site: &Site<'_>) {
    let state = site.state("stopped");
    assert_ne!(state["phase"], "DEBUG");
    let run = &state["completed_runs"][0];
    assert_eq!(
        (text(run, "status"), text(run, "slurm_state")),
        ("cancelled", "CANCELLED")
    );
    let result = format!("stopped/runs/{}/result.json", text(run, "run_id"));
    says(site, &result, &["\"cancelled_by\": 61001"]);
    says(
        site,
        "stopped/documentation/debugging.md",
        &["cancelled by the user with the id 61001"],
    );
}
