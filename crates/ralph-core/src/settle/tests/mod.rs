//! What each outcome changes, on documents as people write them.

mod ends;
mod orders;

use std::collections::BTreeMap;

use super::submission;
use crate::backend::{FoundBy, Receipt, SubmitRequest};
use crate::fixture::{Fixture, NOW};
use crate::world::Intent;

/// A project of the contract, with words of people around everything that the machine touches.
pub(super) const PROJECT: &str = "\
//- demo/.state/pipeline.json
{
  \"project\": \"demo\",
  \"phase\": \"RUN\",
  \"gates\": {\"G1\": \"passed 1.460\"},
  \"needs_user_input\": {\"value\": false, \"prompt\": \"\", \"goal\": \"kept\"},
  \"slurm_wait\": {\"next_poll_after\": null, \"note\": \"kept\"},
  \"active_runs\": [],
  \"completed_runs\": [],
  \"events\": []
}
//- demo/documentation/queue.md
# Queue of demo

Ask Ada before you change the order.

## READY

### Q-001: the baseline ✓

- Hypothesis: it learns
- Config: configs/base.json
- Notes: **Status**: waiting for the node, says Bob

### Q-002: the ablation

- Script: slurm/jobs/ablation.sbatch
- Config: configs/ablation.json

## IN_PROGRESS / SUBMITTED

(none)

## DONE

(none)

## FAILED

(none)
//- demo/documentation/debugging.md
# Debugging

## Active Issues

### Issue 4: the node, again

Bob looks into it.

## Resolved

(none)
//- demo/results/summary.md
# Results

By hand: 42.
";

/// The same project while job 1001 runs for Q-001.
pub(super) fn running(more: &str) -> Fixture {
    let run = format!(
        "\"active_runs\": [\n    {{\"run_id\": \"q001_1\", \"experiment\": \"the baseline\", \"status\": \"running\", \
         \"job_id\": \"1001\", \"queue_id\": \"Q-001\", \"attempt\": 1, \"by_hand\": [1, 2]}}{more}\n  ]"
    );
    let text = PROJECT
        .replace("\"active_runs\": []", &run)
        .replace("\"phase\": \"RUN\"", "\"phase\": \"WAIT_SLURM\"")
        .replace(
            "\"next_poll_after\": null",
            "\"next_poll_after\": \"2026-11-20T11:55:00Z\"",
        );
    let item = "### Q-001: the baseline ✓\n\n- Hypothesis: it learns\n- Config: configs/base.json\n\
                - Notes: **Status**: waiting for the node, says Bob\n\n";
    let text = text.replace(item, "").replace(
        "## IN_PROGRESS / SUBMITTED\n\n(none)\n",
        &format!("## IN_PROGRESS / SUBMITTED\n\n{item}"),
    );
    Fixture::parse(&text)
}

/// An intent to submit an item.
pub(crate) fn intent(item: &str) -> Intent {
    Intent {
        version: 1,
        queue_id: item.parse().unwrap(),
        attempt: 1,
        request: SubmitRequest {
            token: "ralph-q001-t1".parse().unwrap(),
            run: "q001_1".parse().unwrap(),
            item: None,
            project: "demo".parse().unwrap(),
            script_path: "slurm/jobs/q001.sbatch".to_owned(),
            script: "#!/bin/bash\n#SBATCH -p gpu\n#SBATCH --partition=short\necho\n".to_owned(),
            script_sha256: "0123456789abcdef".to_owned(),
            config_path: Some("configs/base.json".to_owned()),
            config: Some("{\"lr\": 5e-5}\n".to_owned()),
            variables: BTreeMap::new(),
            git: None,
            after: Vec::new(),
            exclude: Vec::new(),
            intent_at: NOW.parse::<crate::time::Timestamp>().unwrap()
                - crate::time::SignedDuration::from_mins(90),
        },
    }
}

fn accept(job: &str) -> Receipt {
    Receipt::Accepted {
        job: job.parse().unwrap(),
        cluster: None,
        how: FoundBy::Marker,
        remarks: "sbatch: lucky you\n".to_owned(),
    }
}

#[test]
fn an_intent_is_on_disk_with_all_that_is_sent() {
    let mut fixture = Fixture::parse(PROJECT);
    let changes = submission::intended(&fixture.facts(), &intent("Q-001"), fixture.now);
    insta::assert_snapshot!(fixture.apply(&changes), @r##"
    == runs/q001_1/spec.md
    +# Q-001: the baseline ✓
    +- Run: q001_1
    +- Attempt: 1
    +- Hypothesis: it learns
    +- Notes: \*\*Status\*\*: waiting for the node, says Bob
    +- Config: configs/base.json
    +- Script: slurm/jobs/q001.sbatch
    +- Script SHA-256: 0123456789abcdef
    == runs/q001_1/config_snapshot.json
    +{"lr": 5e-5}
    == runs/q001_1/submit.json
    +{
    +  "version": 1,
    +  "run_id": "q001_1",
    +  "project": "demo",
    +  "queue_id": "Q-001",
    +  "experiment": "the baseline ✓",
    +  "status": "submitting",
    +  "job_id": null,
    +  "submitted_at": "2026-11-20T10:30:00Z",
    +  "attempt": 1,
    +  "token": "ralph-q001-t1",
    +  "sbatch_path": "slurm/jobs/q001.sbatch",
    +  "script_sha256": "0123456789abcdef",
    +  "config_path": "configs/base.json",
    +  "partition": "short",
    +  "git_sha": null,
    +  "variables": {},
    +  "remarks": null
    +}
    == .state/intents/q001_1.json
    +{
    +  "version": 1,
    +  "queue_id": "Q-001",
    +  "attempt": 1,
    +  "request": {
    +    "token": "ralph-q001-t1",
    +    "run": "q001_1",
    +    "project": "demo",
    +    "script_path": "slurm/jobs/q001.sbatch",
    +    "script": "#!/bin/bash\n#SBATCH -p gpu\n#SBATCH --partition=short\necho\n",
    +    "script_sha256": "0123456789abcdef",
    +    "config_path": "configs/base.json",
    +    "config": "{\"lr\": 5e-5}\n",
    +    "variables": {},
    +    "git": null,
    +    "after": [],
    +    "exclude": [],
    +    "intent_at": "2026-11-20T10:30:00Z"
    +  }
    +}
    "##);
}

#[test]
fn an_accepted_job_is_in_ledger_queue_and_state() {
    let mut fixture = Fixture::parse(PROJECT);
    let intent = intent("Q-001");
    let intended = submission::intended(&fixture.facts(), &intent, fixture.now);
    fixture.apply(&intended);
    let poll = fixture.settings.poll;
    let changes = submission::accepted(
        &fixture.facts(),
        &intent,
        &accept("1001"),
        &poll,
        fixture.now,
    );
    insta::assert_snapshot!(fixture.apply(&changes), @r##"
    == runs/q001_1/submit.json
    -  "status": "submitting",
    -  "job_id": null,
    +  "status": "submitted",
    +  "job_id": "1001",
    -  "remarks": null
    +  "remarks": "sbatch: lucky you"
    == documentation/queue.md
    -### Q-001: the baseline ✓
    -- Hypothesis: it learns
    -- Config: configs/base.json
    -- Notes: **Status**: waiting for the node, says Bob
    -(none)
    +### Q-001: the baseline ✓
    +- Run: q001_1 <!-- ralph -->
    +- Job: 1001 <!-- ralph -->
    +- Status: submitted <!-- ralph -->
    +- Hypothesis: it learns
    +- Config: configs/base.json
    +- Notes: **Status**: waiting for the node, says Bob
    == .state/pipeline.json
    -  "phase": "RUN",
    +  "phase": "WAIT_SLURM",
    -  "slurm_wait": {"next_poll_after": null, "note": "kept"},
    -  "active_runs": [],
    +  "slurm_wait": {"next_poll_after": "2026-11-20T12:01:00Z", "note": "kept", "last_polled_at": null},
    +  "active_runs": [
    +    {
    +      "run_id": "q001_1",
    +      "experiment": "the baseline ✓",
    +      "status": "pending",
    +      "job_id": "1001",
    +      "queue_id": "Q-001",
    +      "submitted_at": "2026-11-20T10:30:00Z",
    +      "partition": "short",
    +      "sbatch_path": "slurm/jobs/q001.sbatch",
    +      "config_path": "configs/base.json",
    +      "attempt": 1,
    +      "token": "ralph-q001-t1"
    +    }
    +  ],
    -  "events": []
    +  "events": [
    +    {
    +      "id": "evt-0001",
    +      "ts": "2026-11-20T12:00:00Z",
    +      "action": "SUBMIT",
    +      "detail": "Q-001 submitted as q001_1, job 1001"
    +    }
    +  ],
    +  "next_action": {
    +    "command": "/dispatch --project demo",
    +    "reason": "Q-001 runs as job 1001",
    +    "hint": "dispatch polls the job when it is due"
    +  }
    == .state/intents/q001_1.json
    -{
    -  "version": 1,
    -  "queue_id": "Q-001",
    -  "attempt": 1,
    -  "request": {
    -    "token": "ralph-q001-t1",
    -    "run": "q001_1",
    -    "project": "demo",
    -    "script_path": "slurm/jobs/q001.sbatch",
    -    "script": "#!/bin/bash\n#SBATCH -p gpu\n#SBATCH --partition=short\necho\n",
    -    "script_sha256": "0123456789abcdef",
    -    "config_path": "configs/base.json",
    -    "config": "{\"lr\": 5e-5}\n",
    -    "variables": {},
    -    "git": null,
    -    "after": [],
    -    "exclude": [],
    -    "intent_at": "2026-11-20T10:30:00Z"
    -  }
    -}
    "##);
    assert!(fixture.facts().intents.is_empty());
    // The same receipt again changes nothing but the time of the next poll.
    assert_eq!(fixture.apply(&changes), "");
}

#[test]
fn a_job_that_is_adopted_late_does_not_end_other_work() {
    for phase in ["DEBUG", "IMPLEMENT", "TEST", "DEBATE", "a sentence"] {
        let text = PROJECT.replace("\"phase\": \"RUN\"", &format!("\"phase\": {phase:?}"));
        let mut fixture = Fixture::parse(&text);
        let poll = fixture.settings.poll;
        let facts = fixture.facts();
        let changes =
            submission::accepted(&facts, &intent("Q-001"), &accept("7"), &poll, fixture.now);
        fixture.apply(&changes);
        assert_eq!(fixture.facts().phase(), facts.phase());
        assert_eq!(fixture.facts().view.active_runs.len(), 1);
    }
}

#[test]
fn a_refusal_asks_once_and_a_limit_waits() {
    let mut fixture = Fixture::parse(PROJECT);
    let intent = intent("Q-001");
    let message = "sbatch: error: invalid account\n";
    let changes = submission::refused(&fixture.facts(), &intent, message, fixture.now);
    insta::assert_snapshot!(fixture.apply(&changes), @r#"
    == runs/q001_1/submit.json
    +{
    +  "version": 1,
    +  "run_id": "q001_1",
    +  "project": "demo",
    +  "queue_id": "Q-001",
    +  "experiment": "the baseline ✓",
    +  "status": "refused",
    +  "job_id": null,
    +  "submitted_at": "2026-11-20T10:30:00Z",
    +  "attempt": 1,
    +  "token": "ralph-q001-t1",
    +  "sbatch_path": "slurm/jobs/q001.sbatch",
    +  "script_sha256": "0123456789abcdef",
    +  "config_path": "configs/base.json",
    +  "partition": "short",
    +  "git_sha": null,
    +  "variables": {},
    +  "remarks": "sbatch: error: invalid account"
    +}
    == .state/pipeline.json
    -  "needs_user_input": {"value": false, "prompt": "", "goal": "kept"},
    +  "needs_user_input": {"value": true, "prompt": "Q-001 was refused by the scheduler: sbatch: error: invalid account", "goal": "kept", "set_by": "ralph:refused:Q-001:0123456789ab", "set_at": "2026-11-20T12:00:00Z"},
    -  "events": []
    +  "events": [
    +    {
    +      "id": "evt-0001",
    +      "ts": "2026-11-20T12:00:00Z",
    +      "action": "REFUSED",
    +      "detail": "Q-001 was refused by the scheduler: sbatch: error: invalid account"
    +    }
    +  ]
    "#);
    assert_eq!(fixture.apply(&changes), "");
    let mut fixture = Fixture::parse(PROJECT);
    let changes =
        submission::refused_by_limit(&fixture.facts(), &intent, "QOSMaxSubmit", fixture.now);
    insta::assert_snapshot!(fixture.apply(&changes), @r#"
    == runs/q001_1/submit.json
    +{
    +  "version": 1,
    +  "run_id": "q001_1",
    +  "project": "demo",
    +  "queue_id": "Q-001",
    +  "experiment": "the baseline ✓",
    +  "status": "refused",
    +  "job_id": null,
    +  "submitted_at": "2026-11-20T10:30:00Z",
    +  "attempt": 1,
    +  "token": "ralph-q001-t1",
    +  "sbatch_path": "slurm/jobs/q001.sbatch",
    +  "script_sha256": "0123456789abcdef",
    +  "config_path": "configs/base.json",
    +  "partition": "short",
    +  "git_sha": null,
    +  "variables": {},
    +  "remarks": "QOSMaxSubmit"
    +}
    == .state/sightings.json
    +{
    +  "version": 1,
    +  "entries": {
    +    "limit:Q-001": {
    +      "since": "2026-11-20T12:00:00Z",
    +      "last": "2026-11-20T12:00:00Z",
    +      "passes": 1,
    +      "what": "limit"
    +    }
    +  }
    +}
    "#);
}

#[test]
fn a_submission_that_is_given_up_leaves_the_item_ready() {
    let mut fixture = Fixture::parse(PROJECT);
    let intent = intent("Q-001");
    let intended = submission::intended(&fixture.facts(), &intent, fixture.now);
    fixture.apply(&intended);
    let changes = submission::abandoned(&fixture.facts(), &intent, fixture.now);
    insta::assert_snapshot!(fixture.apply(&changes), @r##"
    == runs/q001_1/submit.json
    -  "status": "submitting",
    +  "status": "abandoned",
    == .state/pipeline.json
    -  "events": []
    +  "events": [
    +    {
    +      "id": "evt-0001",
    +      "ts": "2026-11-20T12:00:00Z",
    +      "action": "ABANDON",
    +      "detail": "q001_1: no source knows a job of this submission; Q-001 may be submitted again"
    +    }
    +  ]
    == .state/intents/q001_1.json
    -{
    -  "version": 1,
    -  "queue_id": "Q-001",
    -  "attempt": 1,
    -  "request": {
    -    "token": "ralph-q001-t1",
    -    "run": "q001_1",
    -    "project": "demo",
    -    "script_path": "slurm/jobs/q001.sbatch",
    -    "script": "#!/bin/bash\n#SBATCH -p gpu\n#SBATCH --partition=short\necho\n",
    -    "script_sha256": "0123456789abcdef",
    -    "config_path": "configs/base.json",
    -    "config": "{\"lr\": 5e-5}\n",
    -    "variables": {},
    -    "git": null,
    -    "after": [],
    -    "exclude": [],
    -    "intent_at": "2026-11-20T10:30:00Z"
    -  }
    -}
    "##);
    assert!(super::super::plan::items::ready_item(&fixture.facts()).is_some());
}

#[test]
fn a_persons_question_is_never_replaced_and_never_taken_back() {
    let asked = PROJECT.replace(
        "{\"value\": false, \"prompt\": \"\", \"goal\": \"kept\"}",
        "{\"value\": true, \"prompt\": \"which seed?\", \"goal\": \"kept\"}",
    );
    let mut fixture = Fixture::parse(&asked);
    let facts = fixture.facts();
    let item = "Q-001".parse().unwrap();
    let now = fixture.now;
    for changes in [
        submission::preflight_failed(&facts, &item, &["no script".to_owned()], now),
        submission::no_session(&facts, "connect", now),
        submission::session_is_open(&facts, now),
        submission::refused(&facts, &intent("Q-001"), "no", now),
        submission::accepted(
            &facts,
            &intent("Q-001"),
            &accept("7"),
            &fixture.settings.poll,
            now,
        ),
    ] {
        fixture.apply(&changes);
        let input = fixture.facts().view.needs_user_input;
        assert_eq!(
            (input.value, input.prompt.as_deref()),
            (true, Some("which seed?")),
            "{changes:?}"
        );
    }
}

/// The machine takes its own question back by itself; nobody would answer the agent's.
#[test]
fn an_agents_question_does_not_give_way_to_one_of_the_machine() {
    let asked = PROJECT.replace(
        "{\"value\": false, \"prompt\": \"\", \"goal\": \"kept\"}",
        "{\"value\": true, \"prompt\": \"which seed?\", \"set_by\": \"ralph:agent\"}",
    );
    let mut fixture = Fixture::parse(&asked);
    let facts = fixture.facts();
    let item = "Q-001".parse().unwrap();
    let problems = ["no script".to_owned()];
    let changes = submission::preflight_failed(&facts, &item, &problems, fixture.now);
    fixture.apply(&changes);
    let input = fixture.facts().view.needs_user_input;
    assert_eq!(input.prompt.as_deref(), Some("which seed?"), "{changes:?}");
}

#[test]
fn a_session_is_asked_for_and_the_question_taken_back() {
    let mut fixture = Fixture::parse(PROJECT);
    let changes =
        submission::no_session(&fixture.facts(), "Run ralph cluster connect", fixture.now);
    insta::assert_snapshot!(fixture.apply(&changes), @r#"
    == .state/pipeline.json
    -  "needs_user_input": {"value": false, "prompt": "", "goal": "kept"},
    +  "needs_user_input": {"value": true, "prompt": "Run ralph cluster connect", "goal": "kept", "set_by": "ralph:session", "set_at": "2026-11-20T12:00:00Z"},
    "#);
    let changes = submission::session_is_open(&fixture.facts(), fixture.now);
    insta::assert_snapshot!(fixture.apply(&changes), @r#"
    == .state/pipeline.json
    -  "needs_user_input": {"value": true, "prompt": "Run ralph cluster connect", "goal": "kept", "set_by": "ralph:session", "set_at": "2026-11-20T12:00:00Z"},
    +  "needs_user_input": {"value": false, "prompt": "", "goal": "kept"},
    "#);
}
