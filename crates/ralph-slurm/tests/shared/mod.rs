//! What both test programs need: a request, its hash, an environment.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use ralph_core::backend::{Receipt, SubmitRequest};
use ralph_core::env::{Env, RandomIds};
use ralph_core::id::JobId;
use ralph_core::job::JobQuery;
use ralph_core::time::SystemClock;

/// The real clock and random ids.
pub(crate) fn env() -> Env {
    Env {
        clock: Arc::new(SystemClock::new()),
        ids: Arc::new(RandomIds::default()),
        host: "test".to_owned(),
        user: "test".to_owned(),
        pid: 1,
    }
}

/// A request for this script with a fresh token, a config, and a variable that no shell may touch.
pub(crate) fn request(env: &Env, script: &str) -> SubmitRequest {
    let run = "q001_20261120_140000".parse().unwrap();
    SubmitRequest {
        token: env.ids.token(&run),
        run,
        item: None,
        project: "demo".parse().unwrap(),
        script_path: "slurm/jobs/q001.sbatch".to_owned(),
        script: script.to_owned(),
        script_sha256: sha256(script),
        config_path: Some("configs/q001.json".to_owned()),
        config: Some("{\"lr\": 1e-3}\n".to_owned()),
        variables: BTreeMap::from([("LIST".to_owned(), "a,b|c 'd' $HOME".to_owned())]),
        git: None,
        after: Vec::new(),
        exclude: Vec::new(),
        intent_at: env.now(),
    }
}

/// The job of an accepted submission.
pub(crate) fn accepted(receipt: &Receipt) -> JobId {
    match receipt {
        Receipt::Accepted { job, .. } => *job,
        other => panic!("not accepted: {other:?}"),
    }
}

/// What is asked about a job of ours.
pub(crate) fn query(job: JobId, request: &SubmitRequest) -> JobQuery {
    JobQuery {
        token: Some(request.token.clone()),
        submitted_after: Some(request.intent_at),
        ..JobQuery::of(job)
    }
}

fn sha256(text: &str) -> String {
    let mut child = Command::new("sha256sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split(' ').next().unwrap().to_owned()
}
