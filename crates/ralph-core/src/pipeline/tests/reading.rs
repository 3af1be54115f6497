//! The lenient view and the skim: every shape that was seen is read.

use insta::{assert_debug_snapshot, assert_snapshot};
use jiff::tz::TimeZone;
use serde_json::json;

use super::super::{JobRef, NextAction, PipelineError, PipelineFile, RunStatus, Skim, skim};
use super::{key, parse};
use crate::error::{Code, Coded as _};
use crate::phase::Phase;
use crate::time::{LooseTime, stamp};

/// The warnings of a text, one per line.
fn warnings(text: &str) -> String {
    let warnings = parse(text).view().warnings;
    let lines: Vec<String> = warnings
        .iter()
        .map(|w| format!("{}:{} {}: {}", w.line, w.column, w.path, w.message))
        .collect();
    lines.join("\n")
}

#[test]
fn an_empty_object_is_an_idle_project() {
    let view = parse("{}").view();
    assert_eq!(view.phase, Phase::Idle);
    assert_eq!(view.next_action, NextAction::None);
    assert!(!view.needs_user_input.value);
    assert!(view.active_runs.is_empty() && view.warnings.is_empty());
    assert_eq!(
        (view.events, view.last_event, view.schema_version),
        (0, None, None)
    );
}

#[test]
fn every_form_of_the_next_action_is_read() {
    let read = |action: serde_json::Value| {
        let view = parse(&json!({ "next_action": action }).to_string()).view();
        (
            view.next_action.is_some(),
            view.next_action.text().to_owned(),
            view.warnings.len(),
        )
    };
    let none = || (false, String::new(), 0);
    for nothing in [json!(null), json!(""), json!("  "), json!({}), json!(false)] {
        assert_eq!(read(nothing), none());
    }
    assert_eq!(read(json!([])), (false, String::new(), 1));
    assert_eq!(read(json!("look at it")), (true, "look at it".into(), 0));
    assert_eq!(
        read(json!({"command": "/dispatch", "reason": "r"})),
        (true, "/dispatch".into(), 0)
    );
    assert_eq!(
        read(json!({"command": null, "reason": "r"})),
        (true, "r".into(), 0)
    );
    assert_eq!(read(json!({"budget": 3})), (true, String::new(), 0));
    assert_eq!(read(json!(["a"])), (true, "[\"a\"]".into(), 1));
    assert_eq!(read(json!(true)), (true, "true".into(), 1));
}

#[test]
fn every_form_of_the_input_flag_is_read_and_doubt_waits() {
    let read = |value: serde_json::Value| {
        let view = parse(&json!({ "needs_user_input": value }).to_string()).view();
        (view.needs_user_input.value, view.warnings.len())
    };
    for (value, expected) in [
        (json!(null), (false, 0)),
        (json!(true), (true, 0)),
        (json!(false), (false, 0)),
        (json!({}), (false, 0)),
        (json!({"value": null}), (false, 0)),
        (json!({"value": true, "prompt": "p"}), (true, 0)),
        (json!({"value": "false"}), (false, 1)),
        (json!({"value": "after the meeting"}), (true, 1)),
        (json!({"value": 0}), (false, 1)),
        (json!("which seed?"), (true, 1)),
        (json!(""), (false, 0)),
        (json!(1), (true, 1)),
        (json!([]), (false, 1)),
        (
            json!({"required": true, "question": "which seed?"}),
            (true, 1),
        ),
        (
            json!({"required": false, "question": "which seed?"}),
            (false, 1),
        ),
        (
            json!({"required": false, "needed": true, "question": "which seed?"}),
            (true, 1),
        ),
        (json!({"waiting": false, "blocked": "on access"}), (true, 1)),
        (json!({"needed": false, "blocked": 0}), (false, 1)),
        (json!({"required": null, "question": "which?"}), (true, 1)),
        (json!({"prompt": "which seed?"}), (true, 1)),
        (json!({"prompt": ""}), (false, 1)),
    ] {
        assert_eq!(read(value.clone()), expected, "{value}");
    }
    let asked = parse(
        r#"{"needs_user_input": {"value": true, "prompt": "p", "set_by": "ralph", "set_at": "t"}}"#,
    );
    assert_debug_snapshot!(asked.view().needs_user_input, @r#"
    NeedsInput {
        value: true,
        prompt: Some(
            "p",
        ),
        set_by: Some(
            "ralph",
        ),
        set_at: Some(
            "t",
        ),
    }
    "#);
}

#[test]
fn every_form_of_the_wait_is_read() {
    let read = |text: &str| {
        let view = parse(text).view();
        let at = view
            .slurm_wait
            .next_poll_after
            .map(|at| at.instant(&TimeZone::UTC).map(stamp));
        (
            at,
            view.slurm_wait.poll_interval_seconds,
            view.warnings.len(),
        )
    };
    let at = || Some(Some("2026-01-21T13:02:27Z".to_owned()));
    let cases = [
        (r#"{"slurm_wait": null}"#, (None, None, 0)),
        (r#"{"slurm_wait": 900}"#, (None, Some(900), 1)),
        (r#"{"slurm_wait": "2026-01-21T13:02:27Z"}"#, (at(), None, 1)),
        (r#"{"slurm_wait": "later"}"#, (None, None, 1)),
        (
            r#"{"slurm_wait": {"next_poll_after": null, "poll_interval_seconds": "60"}}"#,
            (None, Some(60), 0),
        ),
        (
            r#"{"slurm_wait": {"next_poll_after": "2026-01-21T13:02:27"}}"#,
            (at(), None, 0),
        ),
        (
            r#"{"slurm_wait": {"next_poll_after": "2026-01-21T13:XX:27Z"}}"#,
            (Some(None), None, 1),
        ),
        (
            r#"{"slurm_wait": {"next_poll_after": 17, "poll_interval_seconds": [1]}}"#,
            (Some(None), None, 2),
        ),
        (
            r#"{"next_poll_after": "2026-01-21T13:02:27Z"}"#,
            (at(), None, 0),
        ),
        (
            r#"{"slurm_wait": [], "next_poll_after": null}"#,
            (None, None, 1),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text), expected, "{text}");
    }
    let both = r#"{"next_poll_after": "2020-01-01", "slurm_wait": {"next_poll_after": "2026-01-21T13:02:27Z"}}"#;
    assert_eq!(read(both).0, at());
}

#[test]
fn every_form_of_a_job_id_is_read() {
    let read = |record: serde_json::Value| {
        let view = parse(&json!({ "active_runs": [record] }).to_string()).view();
        let run = &view.active_runs[0];
        let ids: Vec<String> = run.jobs.ids().iter().map(ToString::to_string).collect();
        let name = match run.jobs {
            JobRef::None => "none",
            JobRef::One(_) => "one",
            JobRef::Many(_) => "many",
            JobRef::Placeholder(_) => "placeholder",
        };
        let key = run.key.job_id.clone().unwrap_or_default();
        (name, ids.join(" "), key, view.warnings.len())
    };
    let row =
        |name, ids: &str, key: &str, warnings| (name, ids.to_owned(), key.to_owned(), warnings);
    let cases = [
        (json!({}), row("none", "", "", 0)),
        (json!({"job_id": null}), row("none", "", "", 0)),
        (json!({"job_id": " "}), row("none", "", "", 0)),
        (
            json!({"job_id": "55047013"}),
            row("one", "55047013", "55047013", 0),
        ),
        (
            json!({"job_id": 55_047_013}),
            row("one", "55047013", "55047013", 0),
        ),
        (
            json!({"job_id": "8611605_0"}),
            row("one", "8611605_0", "8611605_0", 0),
        ),
        (
            json!({"job_id": "31946672_31948095"}),
            row("many", "31946672 31948095", "31946672_31948095", 0),
        ),
        (
            json!({"job_id": "61624776, 61624785"}),
            row("many", "61624776 61624785", "61624776, 61624785", 0),
        ),
        (json!({"job_id": "11 12"}), row("many", "11 12", "11 12", 0)),
        (json!({"job_id": "11, n/a"}), row("one", "11", "11, n/a", 1)),
        (
            json!({"job_id": "11 (resubmitted)"}),
            row("one", "11", "11 (resubmitted)", 0),
        ),
        (
            json!({"job_id": "11;cluster"}),
            row("one", "11", "11;cluster", 0),
        ),
        (
            json!({"job_id": "11_[0-3%2]"}),
            row("one", "11", "11_[0-3%2]", 0),
        ),
        (json!({"job_id": "n/a"}), row("placeholder", "", "n/a", 0)),
        (
            json!({"job_id": "PENDING_SUBMISSION"}),
            row("placeholder", "", "PENDING_SUBMISSION", 0),
        ),
        (json!({"job_id": 1.5}), row("placeholder", "", "1.5", 0)),
        (json!({"job_id": {"a": 1}}), row("none", "", "", 1)),
        (
            json!({"job_id": null, "job_ids": ["1", 2]}),
            row("many", "1 2", "1,2", 0),
        ),
        (json!({"job_ids": []}), row("none", "", "", 0)),
        (json!({"slurm_job_id": 3}), row("one", "3", "3", 0)),
        (json!({"array_job_id": "4"}), row("one", "4", "4", 0)),
        (json!({"slurm_id": "5"}), row("one", "5", "5", 0)),
        (json!({"jobid": "6"}), row("one", "6", "6", 0)),
        (json!({"job_id": "#7"}), row("one", "7", "#7", 0)),
        (json!({"job_id": "job 8"}), row("one", "8", "job 8", 0)),
        (
            json!({"job_id": "Submitted batch job 9"}),
            row("one", "9", "Submitted batch job 9", 0),
        ),
        (
            json!({"job_id": "Job ID: 10"}),
            row("one", "10", "Job ID: 10", 0),
        ),
        (json!({"job_id": "11[]"}), row("one", "11", "11[]", 0)),
        (json!({"job_id": "11_0-9"}), row("one", "11", "11_0-9", 0)),
        (
            json!({"job_id": "11.batch"}),
            row("one", "11", "11.batch", 0),
        ),
        (json!({"job_id": 12.0}), row("one", "12", "12.0", 0)),
        (
            json!({"job_id": "1011-1014"}),
            row("placeholder", "", "1011-1014", 1),
        ),
        (
            json!({"job_id": "job of Ada"}),
            row("placeholder", "", "job of Ada", 0),
        ),
    ];
    for (record, expected) in cases {
        assert_eq!(read(record.clone()), expected, "{record}");
    }
}

#[test]
fn a_number_in_prose_is_no_job_and_a_written_job_stays_one() {
    for (text, jobs) in [
        ("3.5 hours left", ""),
        ("3.5", ""),
        ("job 3 of 8", ""),
        ("3 of 8", ""),
        ("job 2", "2"),
        ("2026.01.12", ""),
        ("2026-01-12 10:30", ""),
        ("1.2.3", ""),
        ("61003257.old", ""),
        ("61003257.batch", "61003257"),
        ("61003257.extern", "61003257"),
        ("61003257.0", "61003257"),
        ("61003257.12.3", ""),
        ("10000 steps left", ""),
        ("5000 of 8192 done", ""),
        ("waits for 3 others", ""),
        ("v2", ""),
        ("2 retries, 61003257", "61003257"),
        ("61003257, 3 more to come", "61003257"),
        ("61003257 and 61003258", "61003257 61003258"),
        (
            "jobs 61003257, 61003258 and 61003259 (pending)",
            "61003257 61003258 61003259",
        ),
        ("61003257 (after 61003250, 61003251)", "61003257"),
        ("61003257 (a), 61003258 (b)", "61003257 61003258"),
        ("61003257 (after 61003250, 5", "61003257"),
        ("61003257 failed, resubmitted", "61003257"),
        ("none yet (61003257 was cancelled)", ""),
        ("TBD", ""),
        ("JobId=61003257", "61003257"),
        ("job:61003257", "61003257"),
        ("Job#61003257", "61003257"),
        ("61003257: pending", "61003257"),
        ("3: pending", ""),
        ("`61003257`", "61003257"),
        ("[61003257, '61003258']", "61003257 61003258"),
        ("12:30", ""),
        ("seed=2048", ""),
        ("lr:1000", ""),
        ("61003257_[0-3]", "61003257"),
        ("61003257 - resubmitted", "61003257"),
        ("61003257 (12 of 20 tasks)", "61003257"),
        ("61003257 2 tasks left", "61003257"),
        ("0", ""),
        ("-1", ""),
        ("1e6", ""),
        ("99999999999999999999", ""),
    ] {
        let jobs: Vec<&str> = jobs.split_whitespace().collect();
        let read = JobRef::read(&json!(text));
        let ids: Vec<String> = read.ids().iter().map(ToString::to_string).collect();
        assert_eq!(ids, jobs, "{text}");
    }
}

#[test]
fn words_for_an_end_end_a_run_and_all_others_keep_it_alive() {
    use RunStatus::{Cancelled, Completed, Failed, Live, OtherTerminal, Timeout};
    for (text, expected) in [
        ("pending", Live),
        ("running", Live),
        ("submitted", Live),
        ("", Live),
        ("pending (dependency on 34311555)", Live),
        ("ran_fetch_blocked_2fa", Live),
        ("not completed", Live),
        ("awaiting review", Live),
        ("completed 3/8 tasks", Live),
        ("failed over to gpu2, running", Live),
        ("cancelled? check", Live),
        ("done? not sure", Live),
        ("completed (seed 3 still running)", Live),
        ("done, see notes", Completed),
        ("failed: out of memory", Failed),
        ("failed with exit code 1", Failed),
        ("cancelled by Ada", Cancelled),
        ("NODE_FAIL", Live),
        ("Completed ✓", Completed),
        ("❌ failed", Live),
        ("aborted", Failed),
        ("completed", Completed),
        ("COMPLETED ", Completed),
        ("completed (see notes)", Completed),
        ("completed_fid_error", OtherTerminal),
        ("completed_needs_analysis", OtherTerminal),
        ("failed", Failed),
        ("failed (ModuleNotFound, fixed)", Failed),
        ("OUT_OF_MEMORY", Failed),
        ("cancelled", Cancelled),
        ("CANCELLED by 61001", Cancelled),
        ("timeout", Timeout),
        ("timeout_all_seeds", Timeout),
        ("timed_out", Timeout),
        ("DEADLINE", Timeout),
        ("INVALID -- discarded", OtherTerminal),
        ("superseded", OtherTerminal),
        ("reverted", OtherTerminal),
    ] {
        assert_eq!(RunStatus::parse(text), expected, "{text}");
    }
}

#[test]
fn a_run_is_read_whole_when_active_and_by_its_ids_when_completed() {
    let text = r#"{
  "project": "demo",
  "phase": "Gate 2 passed, waiting",
  "active_runs": [
    {
      "run_id": "q001",
      "experiment": "Q-001",
      "status": "pending (dependency on 12)",
      "job_id": 13,
      "submitted_at": "2026-07-06",
      "attempt": 2,
      "loss": 1.460
    }
  ],
  "completed_runs": [
    {"run_id": "q000", "status": "completed", "job_id": "11"}
  ],
  "events": [{"id": "evt-0001", "ts": "2026-01-12T14:32:10Z"}, {"date": "2026-01-13", "event": "x"}, {"id": "z"}, 7]
}"#;
    let view = parse(text).view();
    assert_debug_snapshot!(view, @r#"
    PipelineView {
        project: Some(
            "demo",
        ),
        phase: External(
            "Gate 2 passed, waiting",
        ),
        next_action: None,
        needs_user_input: NeedsInput {
            value: false,
            prompt: None,
            set_by: None,
            set_at: None,
        },
        active_runs: [
            RunView {
                index: 0,
                key: RunKey {
                    index: 0,
                    run_id: Some(
                        "q001",
                    ),
                    job_id: Some(
                        "13",
                    ),
                },
                experiment: Some(
                    "Q-001",
                ),
                jobs: One(
                    JobId {
                        base: 13,
                        part: Whole,
                    },
                ),
                status: Live,
                status_text: Some(
                    "pending (dependency on 12)",
                ),
                submitted_at: Some(
                    Zoneless(
                        2026-07-06T00:00:00,
                    ),
                ),
                ended_at: None,
                next_poll_after: None,
                queue_id: None,
                submitted_text: Some(
                    "2026-07-06",
                ),
                partition: None,
                nodes: None,
                failure_class: None,
                attempt: Some(
                    2,
                ),
                token: None,
                parts: None,
                line: 5,
            },
        ],
        completed_runs: [
            RunView {
                index: 0,
                key: RunKey {
                    index: 0,
                    run_id: Some(
                        "q000",
                    ),
                    job_id: Some(
                        "11",
                    ),
                },
                experiment: None,
                jobs: One(
                    JobId {
                        base: 11,
                        part: Whole,
                    },
                ),
                status: Completed,
                status_text: Some(
                    "completed",
                ),
                submitted_at: None,
                ended_at: None,
                next_poll_after: None,
                queue_id: None,
                submitted_text: None,
                partition: None,
                nodes: None,
                failure_class: None,
                attempt: None,
                token: None,
                parts: None,
                line: 16,
            },
        ],
        cancelled_runs: [],
        unread_runs: None,
        slurm_wait: SlurmWait {
            next_poll_after: None,
            poll_interval_seconds: None,
            last_polled_at: None,
            note: None,
            is_plain: false,
        },
        last_event: Some(
            Zoneless(
                2026-01-13T00:00:00,
            ),
        ),
        events: 4,
        rested: false,
        schema_version: None,
        warnings: [],
    }
    "#);
}

#[test]
fn what_is_odd_is_warned_about_with_its_place() {
    let text = r#"{
  "project": 7,
  "phase": ["RUN"],
  "schema_version": 9,
  "active_runs": [null, {"run_id": "a", "job_id": "1", "status": 4}, "text"],
  "completed_runs": {},
  "cancelled_runs": [{"run_id": "a", "job_id": 1}, {"run_id": "a"}, {}, {}],
  "events": "none"
}"#;
    assert_snapshot!(warnings(text), @r#"
    2:3 project: expected a text; passed over
    3:3 phase: expected a text; kept as it is, never stepped
    4:3 schema_version: expected 1 or less; this file can be read but not written
    5:19 active_runs[0]: expected an object; kept as it is, passed over
    5:25 active_runs[1].status: expected a text; read as live
    5:70 active_runs[2]: expected an object; kept as it is, passed over
    6:3 completed_runs: expected a list; passed over
    7:22 cancelled_runs[0]: run a (job 1) stands in active_runs too, in line 5
    8:3 events: expected a list; passed over
    "#);
}

#[test]
fn a_newer_format_is_read_and_never_written() {
    let newer = [
        "{\"schema_version\": 2}",
        "{\"ralph\": {\"format\": 2.0}}",
        "{\"schema_version\": 1, \"ralph\": {\"format\": 9}}",
    ];
    for text in newer {
        let file = parse(text);
        assert_eq!(file.view().warnings.len(), 1, "{text}");
        let error = file.edit(&[]).unwrap_err();
        assert_eq!(error.code(), Code::NewerFormat, "{text}");
    }
    for text in [
        "{\"schema_version\": 1}",
        "{\"schema_version\": \"9\"}",
        "{\"ralph\": 9}",
        "{\"ralph\": {\"format\": null}}",
    ] {
        assert_eq!(parse(text).edit(&[]).as_deref(), Ok(text));
    }
}

#[test]
fn a_skim_has_what_the_hook_needs() {
    let text = r#"{
  "phase": "wait_slurm",
  "next_action": {"command": "submit  the\nrest"},
  "needs_user_input": false,
  "next_poll_after": "2026-01-21T13:00:00Z",
  "active_runs": [
    {"run_id": "a", "next_poll_after": "2026-01-21T15:00:00Z"},
    {"run_id": "b", "status": "completed", "next_poll_after": "2020-01-21T14:00:00Z"},
    {"run_id": "c", "status": "running", "next_poll_after": "2026-01-21T14:00:00"},
    {"run_id": "d", "next_poll_after": "soon"},
    null
  ]
}"#;
    let skimmed = skim(text.as_bytes()).unwrap();
    assert_debug_snapshot!(skimmed, @r#"
    Skim {
        phase: WaitSlurm,
        has_next_action: true,
        needs_user_input: false,
        next_poll_after: Some(
            Exact(
                2026-01-21T13:00:00Z,
            ),
        ),
        live_runs: 3,
        run_polls: [
            Exact(
                2026-01-21T15:00:00Z,
            ),
            Zoneless(
                2026-01-21T14:00:00,
            ),
            Unreadable,
        ],
    }
    "#);
    assert_eq!(skimmed.run_polls.last(), Some(&LooseTime::Unreadable));

    let error = skim(b"{\"active_runs\": [{\"run_id\": \"a\"},]}").unwrap_err();
    assert!(
        matches!(
            error,
            PipelineError::Corrupt {
                line: 1,
                column: 33,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_skim_reads_every_shape_as_the_view_does() {
    let odd = [
        "null",
        "true",
        "false",
        "0",
        "0.0",
        "3",
        "-1e400",
        "\"\"",
        "\" \"",
        "\"no\"",
        "\"soon\"",
        "\"2026-01-21\"",
        "[]",
        "[0]",
        "{}",
        "{\"budget\": 3}",
        "{\"value\": null}",
        "{\"value\": true}",
        "{\"value\": \"false\"}",
        "{\"value\": [1], \"prompt\": 2}",
        "{\"next_poll_after\": 7}",
        "{\"next_poll_after\": \"\"}",
        "{\"next_poll_after\": \"2026-01-21T13:00:00Z\"}",
        "{\"status\": \"completed\"}",
        "[{\"status\": \"completed\"}, {\"status\": 4}, 5, null]",
        "\"\\u0041\"",
    ];
    let members = [
        "phase",
        "next_action",
        "needs_user_input",
        "slurm_wait",
        "next_poll_after",
        "active_runs",
        "nex\\u0074_action",
    ];
    for (member, value) in members
        .iter()
        .flat_map(|member| odd.map(|value| (member, value)))
    {
        let text = format!("{{\"other\": {{\"a\": [1]}}, \"{member}\": {value}}}");
        let Ok(file) = PipelineFile::parse(text.clone()) else {
            assert!(skim(text.as_bytes()).is_err(), "{text}");
            continue;
        };
        let view = file.view();
        let live = view.active_runs.iter().filter(|run| run.status.is_live());
        let expected = Skim {
            phase: view.phase.clone(),
            has_next_action: view.next_action.is_some(),
            needs_user_input: view.needs_user_input.value,
            next_poll_after: view.slurm_wait.next_poll_after,
            live_runs: live.clone().count(),
            run_polls: live.filter_map(|run| run.next_poll_after).collect(),
        };
        assert_eq!(skim(text.as_bytes()), Ok(expected), "{text}");
    }
}

#[test]
fn a_key_finds_its_record_again() {
    let view = parse(r#"{"active_runs": [{"run_id": "a"}, {"run_id": "b", "job_id": 5}]}"#).view();
    assert_eq!(view.active_runs[1].key, key(1, "b", Some("5")));
    assert_eq!(view.active_runs[0].key, key(0, "a", None));
}

#[test]
fn runs_in_a_form_that_is_not_read_are_named() {
    for (text, line) in [
        (r#"{"active_runs": [{"run_id": "a"}, "b"]}"#, Some(1)),
        ("{\n\"active_runs\": {\"a\": {\"job_id\": 1}}}", Some(2)),
        (r#"{"active_runs": "q001 is running"}"#, Some(1)),
        ("{\n\n\"activeRuns\": [{\"jobId\": \"1\"}]}", Some(3)),
        (r#"{"runs": {"a": {}}}"#, Some(1)),
        (r#"{"active_runs": [{"run_id": "a"}, null]}"#, None),
        (r#"{"active_runs": {}}"#, None),
        (r#"{"active_runs": "none"}"#, None),
        (r#"{"active_runs": null, "runs": [1]}"#, None),
        (r#"{"active_runs": [], "runs": [1]}"#, None),
        (r#"{"runs": 3}"#, None),
        ("{}", None),
    ] {
        let unread = parse(text).view().unread_runs;
        assert_eq!(unread.is_some(), line.is_some(), "{text}");
        if let (Some(unread), Some(line)) = (unread, line) {
            assert!(
                unread.starts_with(&format!(".state/pipeline.json:{line}: ")),
                "{unread}"
            );
        }
    }
}
