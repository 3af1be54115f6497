//! What a person asks for by name: a log that is followed, a cancel, the list of jobs, a job that nobody recorded.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use ralph_tests::slurm::{Site, cluster};
use ralph_tests::wait_until;
use serde_json::{Value, json};

/// The row of a job in `ralph cluster jobs`.
fn listed(site: &Site<'_>, job: &str) -> Value {
    let all = site.ralph(&["cluster", "jobs", "--json"]).ended(0).json();
    let mut rows = all["jobs"].as_array().into_iter().flatten();
    rows.find(|row| row["job"] == job)
        .cloned()
        .unwrap_or_default()
}

fn is_running(site: &Site<'_>, job: &str) -> bool {
    listed(site, job)["state"] == "RUNNING"
}

#[test]
fn a_log_is_followed_to_its_end() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    let site = Site::connected(&cluster);
    // The first submission makes it.
    std::fs::remove_dir(&site.root).expect("an empty folder");
    let script = format!("echo begun; {}; echo over; echo odd >&2", site.gate("gate"));
    site.project("toy", "RUN", &[("Q-001", &script)]);
    let _ = site.ralph(&["dispatch"]).ended(0);
    let (run, _) = site.live_run("toy");
    let mut follow = site
        .command(&["logs", &run, "--follow"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("ralph");
    let mut shown = BufReader::new(follow.stdout.take().expect("a pipe"));
    let mut line = String::new();
    shown.read_line(&mut line).expect("a line");
    assert_eq!(line, "begun\n");
    site.open_gate("gate");
    let mut rest = String::new();
    shown.read_to_string(&mut rest).expect("the rest");
    assert_eq!(rest, "over\n");
    assert!(follow.wait().expect("an end").success());
    assert_eq!(
        site.ralph(&["logs", &run, "--err"]).ended(0).stdout,
        "odd\n"
    );
    // What is not on the cluster any more is read from its copy.
    let _ = site.ralph(&["dispatch", "--until-idle"]).ended(0);
    let _ = site.ralph(&["cluster", "disconnect"]).ended(0);
    assert_eq!(site.ralph(&["logs", &run]).ended(0).stdout, "begun\nover\n");
}

#[test]
fn an_adopted_heterogeneous_job_is_in_the_books_with_its_components() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    let site = Site::connected(&cluster);
    site.project("toy", "RUN", &[]);
    let options = "#SBATCH -o /dev/null -J found -n1 --mem=10M --time=5";
    let submit = format!(
        "sbatch --parsable <<'END'\n#!/bin/bash\n{options}\n#SBATCH hetjob\n{options}\n{}\nEND\n",
        site.gate("gate")
    );
    let job = site.on_login_node(&submit).trim().to_owned();
    wait_until("the job runs", || is_running(&site, &job));
    let adopt = ["cluster", "jobs", "--adopt", &job, "--project", "toy"];
    let _ = site.ralph(&adopt).ended(0);
    let run = &site.state("toy")["active_runs"][0];
    assert_eq!(
        (&run["job_id"], &run["job_components"]),
        (&json!(job), &json!("0-1"))
    );
    site.open_gate("gate");
    let _ = site.ralph(&["dispatch", "--until-idle"]).ended(0);
    assert_eq!(
        site.state("toy")["completed_runs"][0]["status"],
        "completed"
    );
}

#[test]
fn a_cancel_is_seen_to_work_and_an_unrecorded_job_is_adopted() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    let site = Site::connected(&cluster);
    site.project("toy", "RUN", &[("Q-001", "sleep 600")]);
    let _ = site.ralph(&["dispatch"]).ended(0);
    let (run, job) = site.live_run("toy");
    let submit = "sbatch --parsable --mem=10M --time=5 -o /dev/null -J found --wrap 'sleep 600'";
    let other = site.on_login_node(submit).trim().to_owned();
    wait_until("both jobs run", || {
        is_running(&site, &job) && is_running(&site, &other)
    });
    let ours = listed(&site, &job);
    assert_eq!(
        (&ours["project"], &ours["run_id"]),
        (&json!("toy"), &json!(run))
    );
    let foreign = listed(&site, &other);
    assert_eq!(
        (&foreign["name"], &foreign["run_id"]),
        (&json!("found"), &json!(null))
    );
    let text = site.ralph(&["cluster", "jobs"]).ended(0).stdout;
    assert!(text.contains("in no project's books"), "{text}");

    let adopt = ["cluster", "jobs", "--adopt", &other, "--project", "toy"];
    let _ = site.ralph(&adopt).ended(0);
    let adopted = format!("adopted_{other}");
    assert_eq!(listed(&site, &other)["run_id"], json!(adopted));
    let _ = site.ralph(&adopt).ended(1);

    for (run, job) in [(&run, &job), (&adopted, &other)] {
        let cancelled = site.ralph(&["cancel", run]).ended(0);
        assert!(
            cancelled.stdout.contains(&format!("{job} CANCELLED")),
            "{}",
            cancelled.stdout
        );
    }
    let _ = site.ralph(&["dispatch", "--until-idle"]).ended(0);
    let state = site.state("toy");
    assert_eq!(state["active_runs"], json!([]));
    let runs = state["completed_runs"].as_array().expect("a list");
    let statuses: Vec<&Value> = runs.iter().map(|run| &run["status"]).collect();
    assert_eq!(statuses, ["cancelled", "cancelled"]);
    assert_ne!(state["phase"], "DEBUG");
    // Of a run that has ended there is nothing left to cancel, and its job's id may be another's by now.
    let refused = site.ralph(&["cancel", &run]).ended(1);
    assert!(
        refused.stderr.contains("has ended already"),
        "{}",
        refused.stderr
    );
}
