//! Without a session: who waits, who goes on, what each verb says, and how it ends.

use ralph_tests::slurm::{Site, cluster};
use serde_json::json;

const OWN_PROMPT: &str = "Run `ralph cluster connect` (interactive SSH+2FA) then rerun /dispatch";
/// Word for word what the people who have the scripts were told before there was this program.
const SEED_PROMPT: &str =
    "Run scripts/cluster/ssh_bootstrap.sh (interactive SSH+2FA) then rerun /dispatch";

/// What a project asks for, and how its runs stand.
fn asked(site: &Site<'_>, slug: &str) -> (serde_json::Value, String, usize, usize) {
    let state = site.state(slug);
    let count = |key: &str| state[key].as_array().map_or(0, Vec::len);
    let input = &state["needs_user_input"];
    let prompt = input["prompt"].as_str().unwrap_or_default().to_owned();
    (
        input["value"].clone(),
        prompt,
        count("active_runs"),
        count("completed_runs"),
    )
}

#[test]
fn a_session_that_ends_in_the_middle_fails_nothing_and_its_return_clears_the_question() {
    let Some(cluster) = cluster(true) else {
        return;
    };
    let site = Site::connected(&cluster);
    let again = site.ralph(&["cluster", "connect"]).ended(0);
    assert!(again.stdout.contains("open already"), "{}", again.stdout);
    site.project("runs", "RUN", &[("Q-001", &site.gate("gate"))]);
    let _ = site.ralph(&["dispatch"]).ended(0);
    let (run, job) = site.live_run("runs");
    site.project("more", "RUN", &[("Q-001", "echo more")]);
    site.project("desk", "TEST", &[]);
    let _ = site.ralph(&["cluster", "disconnect"]).ended(0);
    let connections = cluster.connections();

    // What needs no cluster goes on; then there is nothing but the question, and nothing to wait for.
    let ran = site.ralph(&["dispatch", "--until-idle"]).ended(21);
    assert!(ran.stdout.contains("the tests pass"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("ralph cluster connect"),
        "{}",
        ran.stdout
    );
    assert_eq!(
        asked(&site, "runs"),
        (json!(true), OWN_PROMPT.to_owned(), 1, 0)
    );
    assert_eq!(
        asked(&site, "more"),
        (json!(true), OWN_PROMPT.to_owned(), 0, 0)
    );
    without_a_session(&site, &run, &job);

    // Where the scripts are installed, their name is the one that is told.
    site.workspace.write(
        "scripts/cluster/ssh_bootstrap.sh",
        "#!/bin/sh\nexec ralph cluster connect\n",
    );
    site.project("late", "RUN", &[("Q-001", "echo late")]);
    let _ = site.ralph(&["dispatch"]).ended(21);
    assert_eq!(
        asked(&site, "late"),
        (json!(true), SEED_PROMPT.to_owned(), 0, 0)
    );
    assert_eq!(
        cluster.connections(),
        connections,
        "nobody but a person connects"
    );

    let _ = site.ralph(&["cluster", "connect"]).ended(0);
    site.open_gate("gate");
    let _ = site.ralph(&["dispatch", "--until-idle"]).ended(0);
    for slug in ["runs", "more", "late"] {
        assert_eq!(
            asked(&site, slug),
            (json!(false), String::new(), 0, 1),
            "{slug}"
        );
        assert_eq!(site.state(slug)["phase"], "DONE", "{slug}");
    }
    assert_eq!(site.jobs().len(), 3);
    assert_eq!(cluster.connections(), connections + 1);

    // The server or the network ends it: the same as if the person had.
    cluster.control(&["break", "drop"]);
    let _ = site.ralph(&["cluster", "check"]).ended(21);
}

/// Every verb that needs the cluster says what is missing and what to do, and leaves everything as it is.
fn without_a_session(site: &Site<'_>, run: &str, job: &str) {
    let queue = site.workspace.read("projects/more/documentation/queue.md");
    let verbs: [&[&str]; 8] = [
        &["cluster", "check"],
        &["cluster", "jobs"],
        &["cluster", "jobs", "--adopt", job, "--project", "more"],
        &["dispatch"],
        &["verify"],
        &["submit", "--project", "more"],
        &["cancel", run],
        &["logs", run],
    ];
    for verb in verbs {
        let ran = site.ralph(verb).ended(21);
        let said = ran.stdout + &ran.stderr;
        assert!(
            said.contains("no SSH session to ralph is open"),
            "{verb:?}: {said}"
        );
        assert!(said.contains("ralph cluster connect"), "{verb:?}: {said}");
    }
    assert_eq!(
        site.workspace.read("projects/more/documentation/queue.md"),
        queue
    );
    let _ = site.ralph(&["on"]).ended(0);
    let _ = site.ralph(&["hook", "stop"]).ended(0);
}
