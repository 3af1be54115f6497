//! How runs end, and what that changes.

use super::running;
use crate::backend::Stream;
use crate::classify::{Case, Diagnosis, LogText, classify};
use crate::fixture::{Fixture, report};
use crate::job::JobReport;
use crate::plan::verify;
use crate::settle::{check, ending, entry, finish};

const TRACEBACK: &str = "Traceback (most recent call last):\n  File \"train.py\", line 7, in <module>\n    fit()\n  \
    File \"model.py\", line 31, in fit\n    return a @ b\nRuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)\n";

fn reports(words: &str, fixture: &Fixture) -> Vec<JobReport> {
    let words: Vec<&str> = words.split(' ').collect();
    let (job, words) = words.split_first().unwrap();
    vec![report(job.parse().unwrap(), words, fixture.now)]
}

fn diagnose(reports: &[JobReport], log: &str, missing: &[&str]) -> Diagnosis {
    let logs = [LogText::from_bytes(
        "slurm/logs/train_1001.err",
        Stream::Err,
        log.as_bytes(),
    )];
    let missing: Vec<String> = missing.iter().map(|path| (*path).to_owned()).collect();
    classify(&Case::of(
        verify::decisive(reports).unwrap(),
        &logs,
        &missing,
    ))
}

/// Ends the first live run, and shows what changed.
fn ended(fixture: &mut Fixture, words: &str, log: &str, missing: &[&str]) -> String {
    let reports = reports(words, fixture);
    let diagnosis = diagnose(&reports, log, missing);
    let facts = fixture.facts();
    let logs = ["slurm/logs/train_1001.err".to_owned()];
    let ending = ending::Ending {
        run: facts.live_runs().next().unwrap(),
        reports: &reports,
        diagnosis: &diagnosis,
        logs: &logs,
    };
    let changes = finish::ended(&facts, &ending, &fixture.context());
    fixture.apply(&changes)
}

/// Only the state, the queue and the title of the entry.
fn briefly(shown: &str) -> String {
    let mut path = "";
    let kept = shown.lines().filter(|line| {
        if let Some(named) = line.strip_prefix("== ") {
            path = named;
            return false;
        }
        match path {
            ".state/pipeline.json" => ["\"phase\"", "needs_user_input", "\"status\""]
                .iter()
                .any(|word| line.contains(word)),
            "documentation/queue.md" => true,
            "documentation/debugging.md" => line.contains("- [ ]") || line.contains("Blocking"),
            _ => false,
        }
    });
    kept.map(|line| format!("{}\n", line.chars().take(150).collect::<String>()))
        .collect()
}

/// The node names the job and itself first: nothing of that helps whoever reads the heading.
#[test]
fn a_line_of_the_node_is_headed_by_what_it_means() {
    let log = "slurmstepd-cpu01: error: *** JOB 1001 ON cpu01 CANCELLED AT 2026-11-20T11:16:51 DUE TO TIME LIMIT ***\n";
    let shown = ended(&mut running(""), "1001 TIMEOUT 0:0", log, &[]);
    assert!(
        shown.contains("(D1) Q-001: The job was ended at its time limit <!--"),
        "{shown}"
    );
    assert!(
        shown.contains("- Error: slurmstepd-cpu01: error:"),
        "{shown}"
    );
}

#[test]
fn a_success_waits_for_its_check() {
    let mut fixture = running("");
    insta::assert_snapshot!(ended(&mut fixture, "1001 COMPLETED 0:0", "Job completed\n", &[]), @r#"
    == runs/q001_1/result.json
    +{
    +  "version": 1,
    +  "run_id": "q001_1",
    +  "status": "completed",
    +  "reports": [
    +    {
    +      "job": "1001",
    +      "state": "COMPLETED",
    +      "name": "train",
    +      "submitted": "2026-11-20T11:00:00Z",
    +      "started": "2026-11-20T11:10:00Z",
    +      "ended": "2026-11-20T11:50:00Z",
    +      "exit": {
    +        "code": 0,
    +        "signal": 0
    +      },
    +      "nodes": "node007",
    +      "reason": null,
    +      "cancelled_by": null,
    +      "restarts": 0,
    +      "stdout": null,
    +      "stderr": null,
    +      "tasks": [],
    +      "evidence": {
    +        "source": "sacct",
    +        "line": "",
    +        "at": "2026-11-20T12:00:00Z"
    +      }
    +    }
    +  ],
    +  "failure_class": "none",
    +  "suspicious": false,
    +  "summary": "No failure was found",
    +  "logs": [
    +    "slurm/logs/train_1001.err"
    +  ],
    +  "recorded_at": "2026-11-20T12:00:00Z"
    +}
    == .state/pipeline.json
    -  "phase": "WAIT_SLURM",
    +  "phase": "CHECK",
    -  "slurm_wait": {"next_poll_after": "2026-11-20T11:55:00Z", "note": "kept"},
    -  "active_runs": [
    -    {"run_id": "q001_1", "experiment": "the baseline", "status": "running", "job_id": "1001", "queue_id": "Q-001", "attempt": 1, "by_hand": [1, 2]}
    +  "slurm_wait": {"next_poll_after": null, "note": "kept"},
    +  "active_runs": [],
    +  "completed_runs": [
    +    {"run_id": "q001_1", "experiment": "the baseline", "status": "completed", "job_id": "1001", "queue_id": "Q-001", "attempt": 1, "by_hand": [1, 2], "slurm_state": "COMPLETED", "exit_code": "0:0", "completed_at": "2026-11-20T11:50:00Z", "nodes": "node007"}
    +  ],
    +  "events": [
    +    {
    +      "id": "evt-0001",
    +      "ts": "2026-11-20T12:00:00Z",
    +      "action": "JOB_COMPLETED",
    +      "detail": "q001_1: No failure was found"
    +    }
    -  "completed_runs": [],
    -  "events": []
    +  "next_action": {
    +    "command": "/dispatch --project demo",
    +    "reason": "q001_1 ended",
    +    "hint": "dispatch checks the results"
    +  }
    "#);
    let facts = fixture.facts();
    let result =
        serde_json::from_str(&fixture.projects.values().next().unwrap()["runs/q001_1/result.json"])
            .ok();
    let runs: Vec<_> = facts
        .view
        .completed_runs
        .iter()
        .map(|run| (run, result.clone()))
        .collect();
    let changes = check::checked(&facts, &runs, &fixture.context());
    insta::assert_snapshot!(fixture.apply(&changes), @r#"
    == runs/q001_1/results.md
    +# Results of q001_1
    +- Status: completed
    +- Job: 1001 COMPLETED (exit 0:0)
    +- Time: 2026-11-20T11:10:00Z to 2026-11-20T11:50:00Z (40 min)
    +- Nodes: node007
    +- Summary: No failure was found
    +- Log: slurm/logs/train_1001.err
    == results/summary.md
    +## Runs
    +| Run | Job | Status | Finished | Note |
    +|---|---|---|---|---|
    +| q001_1 | 1001 | completed | 2026-11-20T11:50:00Z | No failure was found |
    == documentation/queue.md
    +(none)
    +## DONE
    +- Run: q001_1 <!-- ralph -->
    +- Job: 1001 <!-- ralph -->
    +- Status: completed <!-- ralph -->
    -## DONE
    -(none)
    == .state/pipeline.json
    +    },
    +    {
    +      "id": "evt-0002",
    +      "ts": "2026-11-20T12:00:00Z",
    +      "action": "CHECK",
    +      "detail": "results of q001_1 recorded"
    -    "reason": "q001_1 ended",
    -    "hint": "dispatch checks the results"
    +    "reason": "the results are recorded",
    +    "hint": "dispatch goes on with the next item"
    "#);
    // Checking again changes nothing, though the event is of a later time.
    assert_eq!(fixture.apply(&changes), "");
}

#[test]
fn a_failure_that_nothing_is_independent_of_blocks() {
    let mut fixture = running("");
    // The ablation depends on the baseline.
    let texts = fixture.projects.values_mut().next().unwrap();
    let queue = texts.get_mut("documentation/queue.md").unwrap();
    *queue = queue.replace("- Script: slurm/jobs/ablation.sbatch\n", "- After: Q-001\n");
    insta::assert_snapshot!(ended(&mut fixture, "1001 FAILED 1:0", TRACEBACK, &[]), @r#"
    == runs/q001_1/result.json
    +{
    +  "version": 1,
    +  "run_id": "q001_1",
    +  "status": "failed",
    +  "reports": [
    +    {
    +      "job": "1001",
    +      "state": "FAILED",
    +      "name": "train",
    +      "submitted": "2026-11-20T11:00:00Z",
    +      "started": "2026-11-20T11:10:00Z",
    +      "ended": "2026-11-20T11:50:00Z",
    +      "exit": {
    +        "code": 1,
    +        "signal": 0
    +      },
    +      "nodes": "node007",
    +      "reason": null,
    +      "cancelled_by": null,
    +      "restarts": 0,
    +      "stdout": null,
    +      "stderr": null,
    +      "tasks": [],
    +      "evidence": {
    +        "source": "sacct",
    +        "line": "",
    +        "at": "2026-11-20T12:00:00Z"
    +      }
    +    }
    +  ],
    +  "failure_class": "py_shape_mismatch",
    +  "suspicious": false,
    +  "summary": "RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5) (slurm/logs/train_1001.err:6)",
    +  "logs": [
    +    "slurm/logs/train_1001.err"
    +  ],
    +  "recorded_at": "2026-11-20T12:00:00Z"
    +}
    == runs/q001_1/results.md
    +# Results of q001_1
    +- Status: failed
    +- Job: 1001 FAILED (exit 1:0)
    +- Time: 2026-11-20T11:10:00Z to 2026-11-20T11:50:00Z (40 min)
    +- Nodes: node007
    +- Class: py_shape_mismatch
    +- Summary: RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5) (slurm/logs/train_1001.err:6)
    +- Log: slurm/logs/train_1001.err
    == documentation/debugging.md
    +- [ ] (D1) Q-001: RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5) (slurm/logs/train_1001.err:6) <!-- ralph: q001_1/1001 -->
    +  - Error: RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5) (slurm/logs/train_1001.err:6)
    +  - Root cause: Tensors or arrays do not fit together. It was raised at model.py:31.
    +  - Class: py_shape_mismatch (scope: code)
    +  - Run: q001_1
    +  - Job: 1001
    +  - State: FAILED, exit 1:0
    +  - Nodes: node007
    +  - Key line: slurm/logs/train_1001.err:6
    +  - Code: model.py:31
    +  - Log: slurm/logs/train_1001.err
    +  - Next: Mend the program.
    +  - Time: 2026-11-20T12:00:00Z
    +  - Blocking: yes
    +  - Last lines:
    +    ```text
    +    Traceback (most recent call last):
    +      File "train.py", line 7, in <module>
    +        fit()
    +      File "model.py", line 31, in fit
    +        return a @ b
    +    RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)
    +    ```
    == documentation/queue.md
    -### Q-001: the baseline ✓
    -- Hypothesis: it learns
    -- Config: configs/base.json
    -- Notes: **Status**: waiting for the node, says Bob
    +(none)
    -(none)
    +### Q-001: the baseline ✓
    +- Run: q001_1 <!-- ralph -->
    +- Job: 1001 <!-- ralph -->
    +- Status: failed (py_shape_mismatch) <!-- ralph -->
    +- Hypothesis: it learns
    +- Config: configs/base.json
    +- Notes: **Status**: waiting for the node, says Bob
    == results/summary.md
    +## Runs
    +| Run | Job | Status | Finished | Note |
    +|---|---|---|---|---|
    +| q001_1 | 1001 | failed | 2026-11-20T11:50:00Z | RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5) (slurm/logs/train_1001.err:6) |
    == .state/pipeline.json
    -  "phase": "WAIT_SLURM",
    +  "phase": "DEBUG",
    -  "slurm_wait": {"next_poll_after": "2026-11-20T11:55:00Z", "note": "kept"},
    -  "active_runs": [
    -    {"run_id": "q001_1", "experiment": "the baseline", "status": "running", "job_id": "1001", "queue_id": "Q-001", "attempt": 1, "by_hand": [1, 2]}
    +  "slurm_wait": {"next_poll_after": null, "note": "kept"},
    +  "active_runs": [],
    +  "completed_runs": [
    +    {"run_id": "q001_1", "experiment": "the baseline", "status": "failed", "job_id": "1001", "queue_id": "Q-001", "attempt": 1, "by_hand": [1, 2], "slurm_state": "FAILED", "exit_code": "1:0", "failed_at": "2026-11-20T11:50:00Z", "error": "RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5) (slurm/logs/train_1001.err:6)", "failure_class": "py_shape_mismatch", "nodes": "node007"}
    +  ],
    +  "events": [
    +    {
    +      "id": "evt-0001",
    +      "ts": "2026-11-20T12:00:00Z",
    +      "action": "JOB_FAILED",
    +      "detail": "q001_1: RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5) (slurm/logs/train_1001.err:6)"
    +    }
    -  "completed_runs": [],
    -  "events": []
    +  "next_action": {
    +    "command": "/dispatch --project demo",
    +    "reason": "RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5) (slurm/logs/train_1001.err:6)",
    +    "hint": "see q001_1/1001 in documentation/debugging.md"
    +  }
    "#);
}

#[test]
fn a_failure_with_independent_work_is_noted_and_work_goes_on() {
    let mut fixture = running("");
    insta::assert_snapshot!(briefly(&ended(&mut fixture, "1001 FAILED 1:0", TRACEBACK, &[])), @r#"
    +- [ ] (D1) Q-001: RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5) (slurm/logs/train_1001.err:6) <!-- ralph: q001_1/1001 -->
    -### Q-001: the baseline ✓
    -- Hypothesis: it learns
    -- Config: configs/base.json
    -- Notes: **Status**: waiting for the node, says Bob
    +(none)
    -(none)
    +### Q-001: the baseline ✓
    +- Run: q001_1 <!-- ralph -->
    +- Job: 1001 <!-- ralph -->
    +- Status: failed (py_shape_mismatch) <!-- ralph -->
    +- Hypothesis: it learns
    +- Config: configs/base.json
    +- Notes: **Status**: waiting for the node, says Bob
    -  "phase": "WAIT_SLURM",
    +  "phase": "CHECK",
    -    {"run_id": "q001_1", "experiment": "the baseline", "status": "running", "job_id": "1001", "queue_id": "Q-001", "attempt": 1, "by_hand": [1, 2]}
    +    {"run_id": "q001_1", "experiment": "the baseline", "status": "failed", "job_id": "1001", "queue_id": "Q-001", "attempt": 1, "by_hand": [1, 2], "s
    "#);
}

/// Items without a script run those of their own names, or all of them the only one that there is, which has just failed.
#[test]
fn an_item_that_may_share_the_failed_script_is_not_sent() {
    let ablation = "- Script: slurm/jobs/ablation.sbatch\n";
    for (failed, other, goes_on) in [
        ("", ablation, true),
        ("", "", false),
        ("", "- Script: slurm/jobs/q001.sbatch\n", false),
        ("- Script: slurm/jobs/q001_base.sbatch\n", "", true),
        ("- Script: slurm/jobs/q0012_x.sbatch\n", "", false),
        (
            "- Script: slurm/jobs/ablation.sbatch\n",
            "- Script: ablation.sbatch\n",
            false,
        ),
    ] {
        let mut fixture = running("");
        let texts = fixture.projects.values_mut().next().unwrap();
        let queue = texts.get_mut("documentation/queue.md").unwrap();
        let hypothesis = "- Hypothesis: it learns\n";
        *queue = queue
            .replace(ablation, other)
            .replace(hypothesis, &format!("{hypothesis}{failed}"));
        let changes = briefly(&ended(&mut fixture, "1001 FAILED 1:0", "", &[]));
        let checks = changes.contains("\"phase\": \"CHECK\"");
        assert_eq!(checks, goes_on, "{failed}{other}{changes}");
    }
}

#[test]
fn a_node_failure_is_retried_once_and_then_asked_about() {
    let mut fixture = running("");
    insta::assert_snapshot!(briefly(&ended(&mut fixture, "1001 NODE_FAIL 1:0", "", &[])), @r#"
    +- [ ] (D1) Q-001: A node failed while the job ran on it <!-- ralph: q001_1/1001 -->
    +### Q-001: the baseline ✓
    +- Run: q001_1 <!-- ralph -->
    +- Job: 1001 <!-- ralph -->
    +- Status: failed; it is submitted again <!-- ralph -->
    +- Hypothesis: it learns
    +- Config: configs/base.json
    +- Notes: **Status**: waiting for the node, says Bob
    -### Q-001: the baseline ✓
    -- Hypothesis: it learns
    -- Config: configs/base.json
    -- Notes: **Status**: waiting for the node, says Bob
    +(none)
    -  "phase": "WAIT_SLURM",
    +  "phase": "CHECK",
    -    {"run_id": "q001_1", "experiment": "the baseline", "status": "running", "job_id": "1001", "queue_id": "Q-001", "attempt": 1, "by_hand": [1, 2]}
    +    {"run_id": "q001_1", "experiment": "the baseline", "status": "failed", "job_id": "1001", "queue_id": "Q-001", "attempt": 1, "by_hand": [1, 2], "s
    "#);
    let before = ",\n    {\"run_id\": \"q001_0\", \"status\": \"failed\", \"job_id\": \"999\", \"queue_id\": \"q-001\", \
                  \"failure_class\": \"node_failure\"}";
    let mut fixture = running("");
    let texts = fixture.projects.values_mut().next().unwrap();
    let state = texts.get_mut(".state/pipeline.json").unwrap();
    *state = state.replace(
        "\"completed_runs\": []",
        &format!("\"completed_runs\": [{}]", &before[1..]),
    );
    let queue = texts.get_mut("documentation/queue.md").unwrap();
    *queue = queue.replace("- Script: slurm/jobs/ablation.sbatch\n", "- After: Q-001\n");
    insta::assert_snapshot!(briefly(&ended(&mut fixture, "1001 NODE_FAIL 1:0", "", &[])), @r#"
    +- [ ] (D1) Q-001: A node failed while the job ran on it <!-- ralph: q001_1/1001 -->
    +  - Blocking: yes
    -### Q-001: the baseline ✓
    -- Hypothesis: it learns
    -- Config: configs/base.json
    -- Notes: **Status**: waiting for the node, says Bob
    +(none)
    -(none)
    +### Q-001: the baseline ✓
    +- Run: q001_1 <!-- ralph -->
    +- Job: 1001 <!-- ralph -->
    +- Status: failed (node_failure) <!-- ralph -->
    +- Hypothesis: it learns
    +- Config: configs/base.json
    +- Notes: **Status**: waiting for the node, says Bob
    -  "phase": "WAIT_SLURM",
    +  "phase": "DEBUG",
    -    {"run_id": "q001_1", "experiment": "the baseline", "status": "running", "job_id": "1001", "queue_id": "Q-001", "attempt": 1, "by_hand": [1, 2]}
    -    {"run_id": "q001_0", "status": "failed", "job_id": "999", "queue_id": "q-001", "failure_class": "node_failure"}],
    +    {"run_id": "q001_0", "status": "failed", "job_id": "999", "queue_id": "q-001", "failure_class": "node_failure"},
    +    {"run_id": "q001_1", "experiment": "the baseline", "status": "failed", "job_id": "1001", "queue_id": "Q-001", "attempt": 1, "by_hand": [1, 2], "s
    "#);
    // The workspace may allow more, or none.
    for (budget, word) in [(2, "READY"), (0, "FAILED")] {
        let mut fixture = running("");
        fixture
            .settings
            .retry
            .insert("node_failure".to_owned(), budget);
        ended(&mut fixture, "1001 NODE_FAIL 1:0", "", &[]);
        let item = fixture
            .facts()
            .item("Q-001")
            .unwrap()
            .section
            .title()
            .to_owned();
        assert_eq!(item, word);
    }
}

/// A workspace may let a time limit be tried again, which only costs time; where a person is asked because a retry does
/// harm, or because a job may live, its setting is no answer.
#[test]
fn a_setting_answers_no_question_that_is_for_a_person() {
    for (class, report, log, word) in [
        ("slurm_timeout", "1001 TIMEOUT 0:0", "epoch 3\n", "READY"),
        (
            "disk_quota",
            "1001 FAILED 1:0",
            "OSError: [Errno 122] Disk quota exceeded\n",
            "FAILED",
        ),
        ("unknown", "1001 FAILED 120:0", "", "FAILED"),
    ] {
        let mut fixture = running("");
        fixture.settings.retry.insert(class.to_owned(), 9);
        ended(&mut fixture, report, log, &[]);
        let facts = fixture.facts();
        let found = facts.view.completed_runs.iter();
        let classes: Vec<_> = found
            .filter_map(|run| run.failure_class.as_deref())
            .collect();
        assert!(classes.contains(&class), "{classes:?}");
        assert_eq!(
            facts.item("Q-001").unwrap().section.title(),
            word,
            "{class}"
        );
    }
}

#[test]
fn cancelled_timeout_and_suspicious_runs_are_called_what_they_are() {
    let mut cancelled = running("");
    insta::assert_snapshot!(briefly(&ended(&mut cancelled, "1001 CANCELLED 0:0", "", &[])), @r#"
    +- [ ] (D1) Q-001: The job was cancelled <!-- ralph: q001_1/1001 -->
    -### Q-001: the baseline ✓
    -- Hypothesis: it learns
    -- Config: configs/base.json
    -- Notes: **Status**: waiting for the node, says Bob
    +(none)
    -(none)
    +### Q-001: the baseline ✓
    +- Run: q001_1 <!-- ralph -->
    +- Job: 1001 <!-- ralph -->
    +- Status: cancelled (cancelled) <!-- ralph -->
    +- Hypothesis: it learns
    +- Config: configs/base.json
    +- Notes: **Status**: waiting for the node, says Bob
    -  "phase": "WAIT_SLURM",
    +  "phase": "CHECK",
    -    {"run_id": "q001_1", "experiment": "the baseline", "status": "running", "job_id": "1001", "queue_id": "Q-001", "attempt": 1, "by_hand": [1, 2]}
    +    {"run_id": "q001_1", "experiment": "the baseline", "status": "cancelled", "job_id": "1001", "queue_id": "Q-001", "attempt": 1, "by_hand": [1, 2],
    "#);
    let mut timeout = running("");
    insta::assert_snapshot!(briefly(&ended(&mut timeout, "1001 TIMEOUT 0:0", "epoch 3\n", &[])), @r#"
    +- [ ] (D1) Q-001: The job was ended at its time limit <!-- ralph: q001_1/1001 -->
    -### Q-001: the baseline ✓
    -- Hypothesis: it learns
    -- Config: configs/base.json
    -- Notes: **Status**: waiting for the node, says Bob
    +(none)
    -(none)
    +### Q-001: the baseline ✓
    +- Run: q001_1 <!-- ralph -->
    +- Job: 1001 <!-- ralph -->
    +- Status: timeout (slurm_timeout) <!-- ralph -->
    +- Hypothesis: it learns
    +- Config: configs/base.json
    +- Notes: **Status**: waiting for the node, says Bob
    -  "phase": "WAIT_SLURM",
    +  "phase": "CHECK",
    -    {"run_id": "q001_1", "experiment": "the baseline", "status": "running", "job_id": "1001", "queue_id": "Q-001", "attempt": 1, "by_hand": [1, 2]}
    +    {"run_id": "q001_1", "experiment": "the baseline", "status": "timeout", "job_id": "1001", "queue_id": "Q-001", "attempt": 1, "by_hand": [1, 2], "
    "#);
    let mut traceback = running("");
    insta::assert_snapshot!(briefly(&ended(&mut traceback, "1001 COMPLETED 0:0", TRACEBACK, &[])), @r#"
    +- [ ] (D1) Q-001: RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5) (slurm/logs/train_1001.err:6) <!-- ralph: q001_1/1001 -->
    -### Q-001: the baseline ✓
    -- Hypothesis: it learns
    -- Config: configs/base.json
    -- Notes: **Status**: waiting for the node, says Bob
    +(none)
    -(none)
    +### Q-001: the baseline ✓
    +- Run: q001_1 <!-- ralph -->
    +- Job: 1001 <!-- ralph -->
    +- Status: completed (false_success) <!-- ralph -->
    +- Hypothesis: it learns
    +- Config: configs/base.json
    +- Notes: **Status**: waiting for the node, says Bob
    -  "phase": "WAIT_SLURM",
    +  "phase": "CHECK",
    -    {"run_id": "q001_1", "experiment": "the baseline", "status": "running", "job_id": "1001", "queue_id": "Q-001", "attempt": 1, "by_hand": [1, 2]}
    +    {"run_id": "q001_1", "experiment": "the baseline", "status": "completed", "job_id": "1001", "queue_id": "Q-001", "attempt": 1, "by_hand": [1, 2],
    "#);
    let mut artifact = running("");
    insta::assert_snapshot!(briefly(&ended(&mut artifact, "1001 COMPLETED 0:0", "", &["results/m.json"])), @r#"
    +- [ ] (D1) Q-001: Files that a success leaves behind are missing: results/m.json <!-- ralph: q001_1/1001 -->
    -### Q-001: the baseline ✓
    -- Hypothesis: it learns
    -- Config: configs/base.json
    -- Notes: **Status**: waiting for the node, says Bob
    +(none)
    -(none)
    +### Q-001: the baseline ✓
    +- Run: q001_1 <!-- ralph -->
    +- Job: 1001 <!-- ralph -->
    +- Status: completed (false_success) <!-- ralph -->
    +- Hypothesis: it learns
    +- Config: configs/base.json
    +- Notes: **Status**: waiting for the node, says Bob
    -  "phase": "WAIT_SLURM",
    +  "phase": "CHECK",
    -    {"run_id": "q001_1", "experiment": "the baseline", "status": "running", "job_id": "1001", "queue_id": "Q-001", "attempt": 1, "by_hand": [1, 2]}
    +    {"run_id": "q001_1", "experiment": "the baseline", "status": "completed", "job_id": "1001", "queue_id": "Q-001", "attempt": 1, "by_hand": [1, 2],
    "#);
}

#[test]
fn an_array_with_one_failed_task_has_a_table_of_its_tasks() {
    let mut fixture = running("");
    let shown = ended(
        &mut fixture,
        "1001 COMPLETED 0:0 0=COMPLETED 1=FAILED 2=COMPLETED",
        TRACEBACK,
        &[],
    );
    let results = shown
        .split("== ")
        .find(|part| part.starts_with("runs/q001_1/results.md"))
        .unwrap();
    insta::assert_snapshot!(results, @r"
    runs/q001_1/results.md
    +# Results of q001_1
    +- Status: failed
    +- Job: 1001 COMPLETED (exit 0:0)
    +- Time: 2026-11-20T11:10:00Z to 2026-11-20T11:50:00Z (40 min)
    +- Nodes: node007
    +- Class: false_success
    +- Summary: RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5) (slurm/logs/train_1001.err:6)
    +- Log: slurm/logs/train_1001.err
    +| Task | State | Exit |
    +| --- | --- | --- |
    +| 1001_0 | COMPLETED |  |
    +| 1001_1 | FAILED |  |
    +| 1001_2 | COMPLETED |  |
    ");
    insta::assert_snapshot!(briefly(&shown), @r#"
    +- [ ] (D1) Q-001: RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5) (slurm/logs/train_1001.err:6) <!-- ralph: q001_1/1001 -->
    -### Q-001: the baseline ✓
    -- Hypothesis: it learns
    -- Config: configs/base.json
    -- Notes: **Status**: waiting for the node, says Bob
    +(none)
    -(none)
    +### Q-001: the baseline ✓
    +- Run: q001_1 <!-- ralph -->
    +- Job: 1001 <!-- ralph -->
    +- Status: failed (false_success) <!-- ralph -->
    +- Hypothesis: it learns
    +- Config: configs/base.json
    +- Notes: **Status**: waiting for the node, says Bob
    -  "phase": "WAIT_SLURM",
    +  "phase": "CHECK",
    -    {"run_id": "q001_1", "experiment": "the baseline", "status": "running", "job_id": "1001", "queue_id": "Q-001", "attempt": 1, "by_hand": [1, 2]}
    +    {"run_id": "q001_1", "experiment": "the baseline", "status": "failed", "job_id": "1001", "queue_id": "Q-001", "attempt": 1, "by_hand": [1, 2], "s
    "#);
}

#[test]
fn a_lost_run_is_for_a_person_and_never_a_success() {
    let mut fixture = running("");
    let facts = fixture.facts();
    let run = facts.live_runs().next().unwrap();
    let asked = ["squeue".to_owned(), "sacct".to_owned()];
    let diagnosis = entry::lost(run, fixture.now, &asked);
    let ending = ending::Ending {
        run,
        reports: &[],
        diagnosis: &diagnosis,
        logs: &[],
    };
    let changes = finish::ended(&facts, &ending, &fixture.context());
    insta::assert_snapshot!(briefly(&fixture.apply(&changes)), @r#"
    +- [ ] (D1) Q-001: job 1001 is lost: squeue and sacct answered and do not know it since 2026-11-20T12:00:00Z <!-- ralph: q001_1/1001 -->
    -### Q-001: the baseline ✓
    -- Hypothesis: it learns
    -- Config: configs/base.json
    -- Notes: **Status**: waiting for the node, says Bob
    +(none)
    -(none)
    +### Q-001: the baseline ✓
    +- Run: q001_1 <!-- ralph -->
    +- Job: 1001 <!-- ralph -->
    +- Status: failed (lost) <!-- ralph -->
    +- Hypothesis: it learns
    +- Config: configs/base.json
    +- Notes: **Status**: waiting for the node, says Bob
    -  "phase": "WAIT_SLURM",
    +  "phase": "CHECK",
    -    {"run_id": "q001_1", "experiment": "the baseline", "status": "running", "job_id": "1001", "queue_id": "Q-001", "attempt": 1, "by_hand": [1, 2]}
    +    {"run_id": "q001_1", "experiment": "the baseline", "status": "failed", "job_id": "1001", "queue_id": "Q-001", "attempt": 1, "by_hand": [1, 2], "f
    "#);
}

#[test]
fn while_another_run_lives_the_project_goes_on_waiting() {
    let other = ",\n    {\"run_id\": \"q002_1\", \"status\": \"running\", \"job_id\": \"1002\", \"queue_id\": \"Q-002\"}";
    let mut fixture = running(other);
    let shown = ended(&mut fixture, "1001 COMPLETED 0:0", "", &[]);
    assert!(
        !shown.contains("\"phase\"") && !shown.contains("next_poll_after"),
        "{shown}"
    );
}

#[test]
fn an_item_that_a_person_moved_meanwhile_stays_where_it_is() {
    for (from, to) in [
        ("IN_PROGRESS / SUBMITTED", "PARKED by Ada"),
        ("IN_PROGRESS / SUBMITTED", "READY again"),
    ] {
        let mut fixture = running("");
        let texts = fixture.projects.values_mut().next().unwrap();
        let queue = texts.get_mut("documentation/queue.md").unwrap();
        *queue = queue.replace(&format!("## {from}"), &format!("## {to}"));
        let before = queue.clone();
        ended(&mut fixture, "1001 NODE_FAIL 1:0", "", &[]);
        assert_eq!(
            fixture.projects.values().next().unwrap()["documentation/queue.md"],
            before
        );
    }
}

#[test]
fn a_persons_phase_and_everything_else_of_theirs_stays() {
    let mut fixture = running("");
    let texts = fixture.projects.values_mut().next().unwrap();
    let state = texts.get_mut(".state/pipeline.json").unwrap();
    *state = state.replace("\"WAIT_SLURM\"", "\"sweep of G2, see notes\"");
    let before = texts.clone();
    ended(&mut fixture, "1001 FAILED 1:0", TRACEBACK, &[]);
    let after = fixture.projects.values().next().unwrap();
    for (path, text) in &before {
        let kept = |line: &&str| {
            !line.contains("1001")
                && !line.contains("(none)")
                && !line.contains("next_poll_after")
                && !line.contains("_runs\"")
                && !line.contains("events")
        };
        for line in text.lines().filter(kept) {
            assert!(
                after[path].contains(line),
                "{path}: {line}\n{}",
                after[path]
            );
        }
    }
    assert!(after[".state/pipeline.json"].contains("\"phase\": \"sweep of G2, see notes\""));
    assert!(after[".state/pipeline.json"].contains("\"by_hand\": [1, 2]"));
}

#[test]
fn records_that_are_only_misplaced_are_mended_in_one_change() {
    let runs = ",\n    {\"status\": \"completed\"},\n    {\"status\": \"completed\", \"n\": 2},\n    \
        {\"run_id\": \"x\", \"status\": \"failed\"},\n    {\"run_id\": \"x\", \"status\": \"failed\", \"job_id\": \"5\"}";
    let mut fixture = running(runs);
    let facts = fixture.facts();
    let (findings, _) = verify::runs(&facts, &fixture.seen, &fixture.context());
    let misfiled = findings
        .into_iter()
        .filter(|found| found.verdict == verify::RunVerdict::Misfiled);
    let mending = finish::Mending {
        misfiled: misfiled.map(|found| found.key).collect(),
        twice: Vec::new(),
        alive: vec![(facts.view.active_runs[0].key.clone(), "pending")],
    };
    let changes = finish::mended(&facts, &mending, fixture.now);
    insta::assert_snapshot!(changes.summary, @"file 2 runs under completed_runs, update 1 run");
    insta::assert_snapshot!(fixture.apply(&changes), @r#"
    == .state/pipeline.json
    -    {"run_id": "q001_1", "experiment": "the baseline", "status": "running", "job_id": "1001", "queue_id": "Q-001", "attempt": 1, "by_hand": [1, 2]},
    +    {"run_id": "q001_1", "experiment": "the baseline", "status": "pending", "job_id": "1001", "queue_id": "Q-001", "attempt": 1, "by_hand": [1, 2]},
    -    {"status": "completed", "n": 2},
    -    {"run_id": "x", "status": "failed"},
    -    {"run_id": "x", "status": "failed", "job_id": "5"}
    +    {"status": "completed", "n": 2}
    -  "completed_runs": [],
    +  "completed_runs": [
    +    {"run_id": "x", "status": "failed", "job_id": "5"},
    +    {"run_id": "x", "status": "failed"}
    +  ],
    "#);
}
