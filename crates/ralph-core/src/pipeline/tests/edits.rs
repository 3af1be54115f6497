//! Edits by example: what they do, in which style, and what they refuse.

use insta::assert_snapshot;
use serde_json::{Value, json};
use similar::{ChangeTag, TextDiff};

use super::super::{PipelineEdit, PipelineError};
use super::{key, map, parse, remove, set};
use crate::error::{Code, Coded as _};

/// The edited text; a second application has to change nothing.
fn edited(text: &str, edits: &[PipelineEdit]) -> String {
    let after = parse(text).edit(edits).unwrap();
    assert_eq!(parse(&after).edit(edits).unwrap(), after, "a second time");
    after
}

fn refused(text: &str, edit: PipelineEdit) -> PipelineError {
    parse(text).edit(&[edit]).unwrap_err()
}

/// The changed lines of a text of many lines.
fn diff(before: &str, after: &str) -> String {
    TextDiff::from_lines(before, after)
        .iter_all_changes()
        .filter(|change| change.tag() != ChangeTag::Equal)
        .map(|change| format!("{}{}", change.tag(), change.value().trim_end_matches('\n')))
        .collect::<Vec<_>>()
        .join("\n")
}

fn complete(run: &str, job: Option<&str>, set: Value) -> PipelineEdit {
    PipelineEdit::CompleteRun {
        run: key(0, run, job),
        set: map(set),
    }
}

fn update(run: &str, job: Option<&str>, set: Value) -> PipelineEdit {
    PipelineEdit::UpdateRun {
        run: key(0, run, job),
        set: map(set),
    }
}

fn event(event: Value) -> PipelineEdit {
    PipelineEdit::AppendEvent { event: map(event) }
}

fn add(run: Value) -> PipelineEdit {
    PipelineEdit::AddRun { run: map(run) }
}

const PRETTY: &str = r#"{
  "project": "demo",
  "phase": "WAIT_SLURM",
  "needs_user_input": {
    "value": false,
    "prompt": ""
  },
  "active_runs": [
    {
      "run_id": "q001",
      "loss": 1.460,
      "job_id": "11",
      "status": "running"
    },
    {
      "run_id": "q002",
      "job_id": null,
      "status": "pending"
    }
  ],
  "completed_runs": [
    {
      "run_id": "q000",
      "job_id": "10",
      "status": "completed"
    }
  ],
  "slurm_wait": {
    "next_poll_after": null,
    "note": "caf\u00e9"
  },
  "events": [
    {
      "id": "evt-0007",
      "ts": "2026-01-12T14:32:10Z",
      "action": "INIT"
    }
  ]
}
"#;

#[test]
fn a_completed_run_is_moved_as_it_is_written() {
    let after = edited(
        PRETTY,
        &[complete(
            "q001",
            Some("11"),
            json!({"status": "completed", "exit_code": "0:0"}),
        )],
    );
    assert_snapshot!(diff(PRETTY, &after), @r#"
    -      "run_id": "q001",
    -      "loss": 1.460,
    -      "job_id": "11",
    -      "status": "running"
    -    },
    -    {
    +    },
    +    {
    +      "run_id": "q001",
    +      "loss": 1.460,
    +      "job_id": "11",
    +      "status": "completed",
    +      "exit_code": "0:0"
    "#);
    let last = edited(
        PRETTY,
        &[complete(
            "q002",
            None,
            json!({"status": "cancelled", "job_id": "12"}),
        )],
    );
    assert_snapshot!(diff(PRETTY, &last), @r#"
    -    },
    -    {
    -      "run_id": "q002",
    -      "job_id": null,
    -      "status": "pending"
    +    },
    +    {
    +      "run_id": "q002",
    +      "job_id": "12",
    +      "status": "cancelled"
    "#);
}

#[test]
fn members_are_set_where_they_stand_and_added_at_the_end() {
    let edits = [
        set(&["phase"], "CHECK"),
        set(&["slurm_wait", "next_poll_after"], "2026-01-12T14:33:10Z"),
        set(&["slurm_wait", "poll_interval_seconds"], 900),
        set(
            &["needs_user_input"],
            json!({"value": true, "prompt": "", "set_by": "ralph"}),
        ),
        set(
            &["ralph", "last_step"],
            json!({"at": "t", "was": ["RUN", {}]}),
        ),
        update(
            "q002",
            None,
            json!({"job_id": "12", "note": "d\u{e9}j\u{e0} \u{1F600}"}),
        ),
        event(json!({"ts": "2026-01-12T15:00:00Z", "action": "RUN", "detail": "x"})),
        add(json!({"run_id": "q003", "job_id": "13", "nodes": ["a", "b"]})),
    ];
    assert_snapshot!(diff(PRETTY, &edited(PRETTY, &edits)), @r#"
    -  "phase": "WAIT_SLURM",
    +  "phase": "CHECK",
    -    "value": false,
    -    "prompt": ""
    +    "value": true,
    +    "prompt": "",
    +    "set_by": "ralph"
    -      "job_id": null,
    -      "status": "pending"
    +      "job_id": "12",
    +      "status": "pending",
    +      "note": "d\u00e9j\u00e0 \ud83d\ude00"
    +    },
    +    {
    +      "run_id": "q003",
    +      "job_id": "13",
    +      "nodes": [
    +        "a",
    +        "b"
    +      ]
    -    "next_poll_after": null,
    -    "note": "caf\u00e9"
    +    "next_poll_after": "2026-01-12T14:33:10Z",
    +    "note": "caf\u00e9",
    +    "poll_interval_seconds": 900
    +    },
    +    {
    +      "id": "evt-0008",
    +      "ts": "2026-01-12T15:00:00Z",
    +      "action": "RUN",
    +      "detail": "x"
    -  ]
    +  ],
    +  "ralph": {
    +    "last_step": {
    +      "at": "t",
    +      "was": [
    +        "RUN",
    +        {}
    +      ]
    +    }
    +  }
    "#);
}

#[test]
fn what_is_equal_already_is_left_as_it_is_written() {
    let edits = [
        set(&["phase"], "WAIT_SLURM"),
        set(&["slurm_wait", "note"], "caf\u{e9}"),
        set(&["slurm_wait"], json!({"next_poll_after": null})),
        update(
            "q001",
            Some("11"),
            json!({"loss": 1.46, "status": "running"}),
        ),
        complete("q000", Some("10"), json!({"status": "failed"})),
        add(json!({"run_id": "q000", "job_id": 10, "status": "pending"})),
        add(json!({"run_id": "q002", "job_id": null})),
        event(json!({"ts": "2026-01-12T14:32:10Z", "action": "INIT"})),
        remove(&["absent"]),
        remove(&["slurm_wait", "absent", "deeper"]),
    ];
    for edit in &edits {
        assert_eq!(
            parse(PRETTY).edit(std::slice::from_ref(edit)).as_deref(),
            Ok(PRETTY),
            "{edit:?}"
        );
    }
}

#[test]
fn removing_mends_the_comma_beside() {
    let text = "{\n  \"a\": 1,\n  \"b\": {\n    \"c\": [1, 2],\n    \"d\": 2\n  },\n  \"e\": 3\n}";
    assert_snapshot!(diff(text, &edited(text, &[remove(&["a"])])), @r#"-  "a": 1,"#);
    assert_snapshot!(diff(text, &edited(text, &[remove(&["b", "d"])])), @r#"
    -    "c": [1, 2],
    -    "d": 2
    +    "c": [1, 2]
    "#);
    assert_snapshot!(diff(text, &edited(text, &[remove(&["e"])])), @r#"
    -  },
    -  "e": 3
    +  }
    "#);
    assert_eq!(
        edited("{\"a\": {\n  \"b\": 1\n}}", &[remove(&["a", "b"])]),
        "{\"a\": {}}"
    );
    assert_eq!(
        edited("{ \"a\": 1, \"b\": 2, \"c\": 3 }", &[remove(&["b"])]),
        "{ \"a\": 1, \"c\": 3 }"
    );
    assert_eq!(
        edited("{ \"a\": 1, \"b\": 2, \"c\": 3 }", &[remove(&["c"])]),
        "{ \"a\": 1, \"b\": 2 }"
    );
}

/// The run is completed, a run and an event are added, members are set.
fn everything() -> Vec<PipelineEdit> {
    vec![
        complete(
            "q1",
            Some("1"),
            json!({"status": "failed", "exit": {"code": 1}}),
        ),
        add(json!({"run_id": "q2", "job_id": "2", "nodes": [], "tags": ["x"]})),
        event(json!({"ts": "t", "action": "RUN"})),
        set(&["phase"], "CHECK"),
        set(&["slurm_wait", "next_poll_after"], Value::Null),
    ]
}

#[test]
fn one_blank_of_indent_is_kept() {
    let text = "{\n \"phase\": \"RUN\",\n \"active_runs\": [\n  {\n   \"run_id\": \"q1\",\n   \"job_id\": \"1\"\n  }\n ],\n \"completed_runs\": []\n}";
    assert_snapshot!(edited(text, &everything()), @r#"
    {
     "phase": "CHECK",
     "active_runs": [
      {
       "run_id": "q2",
       "job_id": "2",
       "nodes": [],
       "tags": [
        "x"
       ]
      }
     ],
     "completed_runs": [
      {
       "run_id": "q1",
       "job_id": "1",
       "status": "failed",
       "exit": {
        "code": 1
       }
      }
     ],
     "events": [
      {
       "id": "evt-0001",
       "ts": "t",
       "action": "RUN"
      }
     ],
     "slurm_wait": {
      "next_poll_after": null
     }
    }
    "#);
}

#[test]
fn records_on_one_line_stay_on_one_line() {
    let text = r#"{
  "phase": "RUN",
  "active_runs": [
    {"run_id":"q0","job_id":"0"},
    {"run_id":"q1","job_id":"1"}
  ],
  "completed_runs": [
    {"run_id": "q9", "job_id": "9"}
  ],
  "events": [
    {"id": "evt-12345", "ts": "s"}
  ]
}"#;
    assert_snapshot!(edited(text, &everything()), @r#"
    {
      "phase": "CHECK",
      "active_runs": [
        {"run_id":"q0","job_id":"0"},
        {"run_id":"q2","job_id":"2","nodes":[],"tags":["x"]}
      ],
      "completed_runs": [
        {"run_id": "q9", "job_id": "9"},
        {"run_id":"q1","job_id":"1","status":"failed","exit":{"code":1}}
      ],
      "events": [
        {"id": "evt-12345", "ts": "s"},
        {"id": "evt-12346", "ts": "t", "action": "RUN"}
      ],
      "slurm_wait": {
        "next_poll_after": null
      }
    }
    "#);
}

#[test]
fn compact_and_one_line_files_stay_so() {
    let compact = r#"{"phase":"RUN","active_runs":[{"run_id":"q1","job_id":"1"}]}"#;
    assert_snapshot!(edited(compact, &everything()), @r#"{"phase":"CHECK","active_runs":[{"run_id":"q2","job_id":"2","nodes":[],"tags":["x"]}],"completed_runs":[{"run_id":"q1","job_id":"1","status":"failed","exit":{"code":1}}],"events":[{"id":"evt-0001","ts":"t","action":"RUN"}],"slurm_wait":{"next_poll_after":null}}"#);
    let spaced = r#"{"phase": "RUN", "active_runs": [{"run_id": "q1", "job_id": "1"}], "completed_runs": null}"#;
    assert_snapshot!(edited(spaced, &everything()), @r#"{"phase": "CHECK", "active_runs": [{"run_id": "q2", "job_id": "2", "nodes": [], "tags": ["x"]}], "completed_runs": [{"run_id": "q1", "job_id": "1", "status": "failed", "exit": {"code": 1}}], "events": [{"id": "evt-0001", "ts": "t", "action": "RUN"}], "slurm_wait": {"next_poll_after": null}}"#);
}

#[test]
fn brackets_that_hug_their_records_keep_doing_so() {
    let text = "{\n  \"active_runs\": [{\n    \"run_id\": \"q0\"\n  }, {\n    \"run_id\": \"q1\",\n    \"job_id\": \"1\"\n  }],\n  \"completed_runs\": [{\n      \"run_id\": \"q9\"\n  }]\n}";
    assert_snapshot!(edited(text, &everything()), @r#"
    {
      "active_runs": [{
        "run_id": "q0"
      }, {
        "run_id": "q2",
        "job_id": "2",
        "nodes": [],
        "tags": [
          "x"
        ]
      }],
      "completed_runs": [{
          "run_id": "q9"
      }, {
        "run_id": "q1",
        "job_id": "1",
        "status": "failed",
        "exit": {
          "code": 1
        }
      }],
      "events": [
        {
          "id": "evt-0001",
          "ts": "t",
          "action": "RUN"
        }
      ],
      "phase": "CHECK",
      "slurm_wait": {
        "next_poll_after": null
      }
    }
    "#);
}

#[test]
fn a_record_from_a_deeper_place_is_moved_to_the_indent_of_its_new_siblings() {
    let text = "{\n  \"active_runs\": [\n        {\n            \"run_id\": \"q1\",\n            \"job_id\": \"1\",\n            \"list\": [\n                1\n            ]\n        }\n  ],\n  \"completed_runs\": [\n    {\n      \"run_id\": \"q9\"\n    }\n  ]\n}\n";
    let after = edited(text, &[complete("q1", Some("1"), json!({}))]);
    assert_snapshot!(after, @r#"
    {
      "active_runs": [],
      "completed_runs": [
        {
          "run_id": "q9"
        },
        {
            "run_id": "q1",
            "job_id": "1",
            "list": [
                1
            ]
        }
      ]
    }
    "#);
}

#[test]
fn empty_and_absent_lists_are_created_in_the_form_of_the_file() {
    assert_snapshot!(edited("{}", &[add(json!({"run_id": "q1"}))]), @r#"
    {
      "active_runs": [
        {
          "run_id": "q1"
        }
      ]
    }
    "#);
    assert_snapshot!(edited("{\n  \"active_runs\": null,\n  \"events\": [\n  ]\n}\n", &[add(json!({"run_id": "q1"})), event(json!({"ts": "t"}))]), @r#"
    {
      "active_runs": [
        {
          "run_id": "q1"
        }
      ],
      "events": [
        {
          "id": "evt-0001",
          "ts": "t"
        }
      ]
    }
    "#);
    assert_snapshot!(edited("{\n\t\"phase\": \"RUN\"\n}\n", &[add(json!({"run_id": "q1"}))]), @r#"
    {
    	"phase": "RUN",
    	"active_runs": [
    		{
    			"run_id": "q1"
    		}
    	]
    }
    "#);
}

#[test]
fn line_ends_a_byte_order_mark_and_a_missing_last_line_end_are_kept() {
    let text = "\u{FEFF}{\r\n  \"phase\": \"RUN\",\r\n  \"active_runs\": [\r\n    {\r\n      \"run_id\": \"q1\",\r\n      \"job_id\": \"1\"\r\n    }\r\n  ]\r\n}";
    let after = edited(text, &everything());
    assert!(after.starts_with("\u{FEFF}{\r\n") && after.ends_with("}\r\n}"));
    assert_eq!(after.matches('\n').count(), after.matches("\r\n").count());
    assert!(after.contains("    {\r\n      \"run_id\": \"q1\",\r\n      \"job_id\": \"1\",\r\n      \"status\": \"failed\""), "{after}");
}

#[test]
fn characters_are_escaped_where_the_file_escapes_them() {
    let text = |note: &str| format!("{{\"a\": \"{note}\"}}");
    let wide = set(&["b"], "\u{2014}\u{1F600}");
    let after = |note: &str| edited(&text(note), std::slice::from_ref(&wide));
    assert!(after("\\u00e9").ends_with("\"b\": \"\\u2014\\ud83d\\ude00\"}"));
    for raw in [
        "\u{e9}",
        "\u{e9} and \\u00e9",
        "plain",
        "\\u001b",
        "\\\\u00e9",
    ] {
        assert!(
            after(raw).ends_with("\"b\": \"\u{2014}\u{1F600}\"}"),
            "{raw}"
        );
    }
}

#[test]
fn the_form_is_that_of_the_file_before_the_first_edit() {
    let text = "{\"note\": \"\\u00e9\", \"phase\": \"RUN\"}";
    let edits = [set(&["note"], "plain"), set(&["phase"], "\u{2014}")];
    assert_eq!(
        edited(text, &edits),
        r#"{"note": "plain", "phase": "\u2014"}"#
    );
}

#[test]
fn ids_are_filled_in_once_and_never_exchanged() {
    let text = r#"{"active_runs": [{"run_id": "a", "job_id": "PENDING"}, {"run_id": "b", "job_id": "5"}]}"#;
    let filled = edited(
        text,
        &[update("a", Some("PENDING"), json!({"job_id": "6"}))],
    );
    assert!(filled.contains(r#"{"run_id": "a", "job_id": "6"}"#));
    for wrong in [
        json!({"job_id": "7"}),
        json!({"job_id": null}),
        json!({"run_id": "c"}),
    ] {
        let error = refused(text, update("b", Some("5"), wrong));
        assert_eq!(error.code(), Code::Conflict);
    }
    let error = refused(text, complete("b", Some("5"), json!({"job_id": 7})));
    assert_snapshot!(error, @r#"active_runs[1].job_id: expected the same job id for good, found run b (job 5)"#);
    assert!(
        refused(text, update("b", Some("7"), json!({})))
            .to_string()
            .contains("no such record")
    );
    assert!(
        refused(text, complete("z", None, json!({})))
            .to_string()
            .contains("no such record")
    );
}

#[test]
fn a_record_that_gets_its_job_and_is_finished_later_is_found_again() {
    let text = "{\"active_runs\": []}";
    let edits = [
        add(json!({"run_id": "a", "status": "pending"})),
        update("a", None, json!({"job_id": "6"})),
    ];
    let after = edited(text, &edits);
    assert_eq!(
        after,
        r#"{"active_runs": [{"run_id": "a", "status": "pending", "job_id": "6"}]}"#
    );
    let done = edited(
        &after,
        &[complete("a", Some("6"), json!({"status": "completed"}))],
    );
    assert_eq!(parse(&done).edit(&edits[1..]).as_deref(), Ok(done.as_str()));
}

#[test]
fn a_run_in_both_lists_is_updated_and_listed_as_finished_once() {
    let text = r#"{"active_runs": [{"run_id": "a", "job_id": 1}], "completed_runs": [{"run_id": "a", "job_id": "1"}]}"#;
    let after = edited(
        text,
        &[complete("a", Some("1"), json!({"status": "completed"}))],
    );
    assert_eq!(
        after,
        r#"{"active_runs": [{"run_id": "a", "job_id": 1, "status": "completed"}], "completed_runs": [{"run_id": "a", "job_id": "1"}]}"#
    );
    let twins = r#"{"active_runs": [{"run_id": "a", "n": 0}, {"run_id": "a", "n": 1}]}"#;
    let after = edited(twins, &[complete("a", None, json!({"status": "failed"}))]);
    assert_eq!(
        after,
        r#"{"active_runs": [{"run_id": "a", "n": 1, "status": "failed"}], "completed_runs": [{"run_id": "a", "n": 0, "status": "failed"}]}"#
    );
}

#[test]
fn a_record_that_is_filed_too_goes_into_the_filed_one_and_nothing_it_says_is_lost() {
    let fold = |active: &str, completed: &str| {
        let text = format!("{{\"active_runs\": [{active}], \"completed_runs\": [{completed}]}}");
        let run = parse(&text).view().active_runs[0].key.clone();
        let once = edited(&text, &[PipelineEdit::FoldRun { run: run.clone() }]);
        assert_eq!(edited(&once, &[PipelineEdit::FoldRun { run }]), once);
        once
    };
    // What is stale goes, what the filed record lacks is kept, and numbers stay as they are written.
    assert_snapshot!(fold(
        r#"{"run_id": "a", "job_id": 1, "status": "running", "next_poll_after": "soon", "loss": 1.460}"#,
        r#"{"run_id": "a", "job_id": "1", "status": "failed", "loss": 1.460, "seed": 4}"#,
    ), @r#"{"active_runs": [], "completed_runs": [{"run_id": "a", "job_id": "1", "status": "failed", "loss": 1.460, "seed": 4}]}"#);
    assert_snapshot!(fold(
        r#"{"run_id": "a", "status": "running", "note": "by hand"}, {"run_id": "b"}"#,
        r#"{"run_id": "a", "status": "completed"}"#,
    ), @r#"{"active_runs": [{"run_id": "b"}], "completed_runs": [{"run_id": "a", "status": "completed", "note": "by hand"}]}"#);
    // An end outranks a word that says that it lives, wherever it stands.
    assert_snapshot!(fold(
        r#"{"run_id": "a", "status": "failed", "error": "OOM"}"#,
        r#"{"run_id": "a", "status": "pending"}"#,
    ), @r#"{"active_runs": [], "completed_runs": [{"run_id": "a", "status": "failed", "error": "OOM"}]}"#);
    // Nobody chooses between two records that contradict each other: both are kept, and both have ended.
    assert_snapshot!(fold(
        r#"{"run_id": "a", "status": "running", "seed": 1}"#,
        r#"{"run_id": "a", "status": "completed", "seed": 2}"#,
    ), @r#"{"active_runs": [], "completed_runs": [{"run_id": "a", "status": "completed", "seed": 2}, {"run_id": "a", "status": "completed", "seed": 1}]}"#);
    assert_snapshot!(fold(
        r#"{"run_id": "a", "status": "failed"}"#,
        r#"{"run_id": "a", "status": "completed"}"#,
    ), @r#"{"active_runs": [], "completed_runs": [{"run_id": "a", "status": "completed"}, {"run_id": "a", "status": "failed"}]}"#);
    // One that is not in both lists is no change.
    let only = fold(r#"{"run_id": "a"}"#, r#"{"run_id": "b"}"#);
    assert_eq!(
        only,
        r#"{"active_runs": [{"run_id": "a"}], "completed_runs": [{"run_id": "b"}]}"#
    );
}

#[test]
fn the_place_decides_between_records_with_the_same_ids() {
    let twins = r#"{"active_runs": [{"run_id": "a"}, {"run_id": "a"}]}"#;
    let second = PipelineEdit::UpdateRun {
        run: key(1, "a", None),
        set: map(json!({"n": 1})),
    };
    assert_eq!(
        edited(twins, &[second]),
        r#"{"active_runs": [{"run_id": "a"}, {"run_id": "a", "n": 1}]}"#
    );
    let neither = PipelineEdit::UpdateRun {
        run: key(7, "a", None),
        set: map(json!({"n": 1})),
    };
    assert_snapshot!(refused(twins, neither), @r#"active_runs: expected one record with these ids, found 2 of run a (no job id)"#);
    let fill = PipelineEdit::UpdateRun {
        run: key(1, "a", None),
        set: map(json!({"job_id": "4"})),
    };
    assert_eq!(
        edited(twins, &[fill]),
        r#"{"active_runs": [{"run_id": "a"}, {"run_id": "a", "job_id": "4"}]}"#
    );
}

#[test]
fn no_edit_drops_a_record() {
    let text = "{\n\"completed_runs\": [\n  {\"run_id\": \"a\", \"job_id\": \"1\"}],\n \"active_runs\": [null]}";
    let error = refused(text, remove(&["completed_runs"]));
    assert_eq!(error.code(), Code::Bug);
    assert_snapshot!(error, @r#"expected every record to be kept, found that run a with job 1 (line 3) would be lost"#);
    assert!(matches!(
        refused(text, set(&["completed_runs"], json!([]))),
        PipelineError::RecordLost { .. }
    ));
    let kept = set(
        &["completed_runs"],
        json!([{"run_id": "a", "job_id": 1}, {"run_id": "b"}]),
    );
    assert!(parse(text).edit(&[kept]).is_ok());
}

#[test]
fn what_stands_in_the_way_is_a_conflict() {
    let text = r#"{"needs_user_input": true, "slurm_wait": null, "active_runs": {}, "events": 3, "completed_runs": "x"}"#;
    let error = refused(text, set(&["needs_user_input", "value"], true));
    assert_snapshot!(error, @r#"needs_user_input: expected an object or null, found `true`"#);
    assert_eq!(
        edited(text, &[set(&["slurm_wait", "a", "b"], 1)]),
        text.replace("null", r#"{"a": {"b": 1}}"#)
    );
    let conflicts = [
        set(&[], 1),
        remove(&[]),
        add(json!({"run_id": "a"})),
        event(json!({"ts": "t"})),
        update("a", None, json!({})),
        complete("a", None, json!({})),
    ];
    for edit in conflicts {
        assert_eq!(refused(text, edit).code(), Code::Conflict);
    }
    for nameless in [json!({}), json!({"job_id": "1"}), json!({"run_id": ""})] {
        assert_eq!(refused("{}", add(nameless)).code(), Code::Conflict);
    }
    let nobody = PipelineEdit::UpdateRun {
        run: super::RunKey {
            index: 0,
            run_id: None,
            job_id: None,
        },
        set: map(json!({})),
    };
    assert_eq!(
        refused(r#"{"active_runs": [{}]}"#, nobody).code(),
        Code::Conflict
    );
}

#[test]
fn events_get_the_next_free_number_and_are_added_once() {
    let id = |events: Value| {
        let text = json!({ "events": events }).to_string();
        let after = edited(
            &text,
            &[event(json!({"ts": "t2", "action": "A", "detail": "d"}))],
        );
        let read: Value = serde_json::from_str(&after).unwrap();
        read["events"].as_array().unwrap().last().unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(id(json!([])), "evt-0001");
    assert_eq!(
        id(json!([{"id": "evt-0041"}, {"id": "evt-0007"}, {"id": "evt-x"}, {"id": 50}, null])),
        "evt-0042"
    );
    assert_eq!(id(json!([{"id": "evt-9999"}])), "evt-10000");
    let own = edited(
        "{\"events\": []}",
        &[event(json!({"id": "mine", "date": "d", "event": "e"}))],
    );
    assert_eq!(
        own,
        r#"{"events": [{"id": "mine", "date": "d", "event": "e"}]}"#
    );
    edited(
        "{\"events\": []}",
        &[event(json!({"date": "d", "event": "e"}))],
    );
}

#[test]
fn an_edit_is_written_down_and_read_back() {
    let edits = everything();
    let text = serde_json::to_string(&edits).unwrap();
    assert_eq!(
        serde_json::from_str::<Vec<PipelineEdit>>(&text).unwrap(),
        edits
    );
    assert!(text.contains(r#""edit":"complete_run""#), "{text}");
}
