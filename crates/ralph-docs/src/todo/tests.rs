//! Ticking, adding and noting tasks, in the shapes that people keep them.

use super::*;

const DOC: &str = "\
# Implementation TODO

## Ready

### Phase 0: Analysis [COMPLETED]
- [x] (T0.1) Correct the mean
- [ ] (T0.2) left open under a finished heading

### Phase 1
- [ ] (T1) Create the script
  that runs
  - Location: `experiments/`
  - [ ] a step of its own
- [ ] (T2) Fix `train.py`

## Blocked
(none)

## Completed
- [x] (T0.1) Corrected
- [x] Project set up
";

fn show(doc: &str) -> String {
    let line = |t: Task| {
        let id = t.id.unwrap_or("-".to_owned());
        let (done, ready) = (
            if t.done { "x" } else { "." },
            if t.ready { "ready" } else { "-" },
        );
        format!(
            "{} {done} {ready} {id} {:?} {} > {} {}",
            t.line, t.text, t.section, t.heading, t.depth
        )
    };
    tasks(doc)
        .into_iter()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

fn code<T: std::fmt::Debug>(result: Result<T, DocError>) -> DocErrorCode {
    result.unwrap_err().code
}

#[test]
fn reads_sections_phases_and_nesting() {
    insta::assert_snapshot!(show(DOC), @r#"
    6 x - T0.1 "Correct the mean" Ready > Phase 0: Analysis [COMPLETED] 0
    7 . - T0.2 "left open under a finished heading" Ready > Phase 0: Analysis [COMPLETED] 0
    10 . ready T1 "Create the script that runs" Ready > Phase 1 0
    13 . ready - "a step of its own" Ready > Phase 1 1
    14 . ready T2 "Fix `train.py`" Ready > Phase 1 0
    20 x - T0.1 "Corrected" Completed > Completed 0
    21 x - - "Project set up" Completed > Completed 0
    "#);
}

#[test]
fn without_a_ready_section_what_is_open_is_ready() {
    let doc =
        "## SETUP Phase\n- [ ] S1: Create\n- [~] S2: Claimed\n\n## Backlog\n- [ ] (B1) later\n";
    let ready: Vec<_> = tasks(doc)
        .into_iter()
        .filter(|t| t.ready)
        .map(|t| t.id.unwrap())
        .collect();
    assert_eq!(ready, ["S1"]);
}

#[test]
fn ticking_changes_one_character() {
    let set = check(DOC, "T1").unwrap();
    assert_eq!(set.edits().len(), 1);
    let result = set.apply(DOC);
    assert_eq!(result, DOC.replace("[ ] (T1)", "[x] (T1)"));
    assert!(check(&result, "T1").unwrap().is_empty());
    assert_eq!(uncheck(&result, "T1").unwrap().apply(&result), DOC);
    let by_text = check(DOC, TaskKey::Text("a step of its own"))
        .unwrap()
        .apply(DOC);
    assert_eq!(by_text, DOC.replace("[ ] a step", "[x] a step"));
}

#[test]
fn of_twins_the_one_that_can_be_meant_is_taken() {
    let doc = "- [x] (T1) a\n- [ ] (T1) b\n- [ ] (T2) c\n- [ ] (T2) d\n";
    assert_eq!(
        check(doc, "T1").unwrap().apply(doc),
        doc.replace("[ ] (T1)", "[x] (T1)")
    );
    assert_eq!(code(check(doc, "T2")), DocErrorCode::Ambiguous);
    assert_eq!(code(check(doc, "T3")), DocErrorCode::NotFound);
    assert_eq!(code(note(doc, "T1", &[])), DocErrorCode::Ambiguous);
    assert!(uncheck(doc, "T2").unwrap().is_empty());
}

#[test]
fn tasks_in_code_and_quotes_are_none() {
    let doc =
        "```\n- [ ] (T1) a\n```\n> - [ ] (T2) b\n\n    - [ ] (T3) c\n<!--\n- [ ] (T4) d\n-->\n";
    assert_eq!(tasks(doc), []);
}

#[test]
fn a_task_is_added_at_the_end_of_its_section() {
    let doc = "## Ready\n\n* [ ] (T1) a\n  more\n\n---\n\n## Blocked\n(none)\n";
    let ready = add(doc, "T2", "b", "Ready").unwrap().apply(doc);
    assert_eq!(
        ready,
        "## Ready\n\n* [ ] (T1) a\n  more\n* [ ] (T2) b\n\n---\n\n## Blocked\n(none)\n"
    );
    let blocked = add(doc, None, "needs `x`", "BLOCKED").unwrap().apply(doc);
    assert!(
        blocked.ends_with("## Blocked\n* [ ] needs \\`x\\`\n"),
        "{blocked}"
    );
    assert!(
        add(&blocked, None, "needs `x`", "Blocked")
            .unwrap()
            .is_empty()
    );
    assert!(check(&blocked, TaskKey::Text("needs `x`")).is_ok());
    let done = add(doc, "T9", "c", "Completed").unwrap().apply(doc);
    assert!(
        done.ends_with("(none)\n\n## Completed\n\n* [ ] (T9) c\n"),
        "{done}"
    );
    let phases = add(DOC, "T7", "new", "Ready").unwrap().apply(DOC);
    assert!(
        phases.contains("## Ready\n\n- [ ] (T7) new\n\n### Phase 0"),
        "{phases}"
    );
}

#[test]
fn a_task_is_not_added_twice() {
    let doc = "## Ready\n- [x] (T1) a\n";
    assert!(add(doc, "T1", "a", "Ready").unwrap().is_empty());
    assert_eq!(code(add(doc, "T1", "b", "Ready")), DocErrorCode::Refused);
    assert_eq!(code(add(doc, "1", "b", "Ready")), DocErrorCode::Refused);
    assert_eq!(
        code(add(doc, "T1) x (T2", "b", "Ready")),
        DocErrorCode::Refused
    );
    assert_eq!(code(add(doc, "T2", "\n", "Ready")), DocErrorCode::Refused);
    assert_eq!(code(add(doc, "T2", "b", " ")), DocErrorCode::Refused);
}

#[test]
fn notes_stand_at_the_end_of_the_task() {
    let lines = |value: &str| vec![("Attempt".to_owned(), value.to_owned())];
    let one = note(DOC, "T1", &lines("1: gates failed"))
        .unwrap()
        .apply(DOC);
    let wanted =
        "  - [ ] a step of its own\n  - Attempt: 1: gates failed <!-- ralph -->\n- [ ] (T2)";
    assert!(one.contains(wanted), "{one}");
    let two = note(&one, "T1", &lines("2: done")).unwrap().apply(&one);
    assert_eq!(two, one.replace("1: gates failed", "2: done"));
    assert!(note(&two, "T1", &lines("2: done")).unwrap().is_empty());
    let plain = note("1. [ ] (T1) a", "T1", &lines("1"))
        .unwrap()
        .apply("1. [ ] (T1) a");
    assert_eq!(plain, "1. [ ] (T1) a\n   - Attempt: 1 <!-- ralph -->");
}

#[test]
fn an_open_twin_and_an_open_fence_are_problems() {
    let doc = "- [ ] (T1) a\n- [x] (T2) b\n- [ ] (T1) c\n- [ ] (T2) d\n\n```\n";
    let found: Vec<_> = problems(doc)
        .into_iter()
        .map(|p| (p.code, p.line))
        .collect();
    assert_eq!(
        found,
        [
            (DocErrorCode::Ambiguous, Some(1)),
            (DocErrorCode::Malformed, Some(6))
        ]
    );
    assert!(problems(DOC).is_empty());
}

#[test]
fn open_boxes_below_a_phase_are_next_when_nothing_is_ready() {
    let ready = |doc: &str| -> Vec<String> {
        let ready = tasks(doc).into_iter().filter(|task| task.ready);
        ready.filter_map(|task| task.id).collect()
    };
    let rest = "## Phase 2\n- [ ] (T2) b\n\n## Ideas\n- [ ] (T3) c\n\n## Nice to have\n- [ ] (T4) d\n\n## Future\n- [ ] (T5) e\n";
    assert_eq!(ready(&format!("## Ready\n(none)\n\n{rest}")), ["T2"]);
    assert_eq!(ready(&format!("## Ready\n- [x] (T1) a\n\n{rest}")), ["T2"]);
    assert_eq!(ready(&format!("## Ready\n- [ ] (T1) a\n\n{rest}")), ["T1"]);
}

#[test]
fn a_task_that_says_that_it_is_blocked_is_not_ready() {
    for text in [
        "x - BLOCKED on PI",
        "x (BLOCKED)",
        "BLOCKED: x",
        "x\n  - BLOCKED on PI",
        "x\n  - **BLOCKED** on PI",
    ] {
        let doc = format!("## Ready\n- [ ] {text}\n- [ ] UNBLOCKED by now, not BLOCKED\n");
        let ready: Vec<bool> = tasks(&doc).iter().map(|task| task.ready).collect();
        assert_eq!(ready, [false, true], "{doc}");
    }
}

/// The ids or texts of what is next.
fn next(doc: &str) -> String {
    let ready = tasks(doc).into_iter().filter(|task| task.ready);
    let names: Vec<String> = ready.map(|task| task.id.unwrap_or(task.text)).collect();
    names.join("|")
}

#[test]
fn signs_are_boxes() {
    let doc = "## Ready\n- ✅ (T0) done\n- ☑️ (T1) done\n- ☐ (T2) open\n- ⬜ **T3**: open\n- ⏳ (T4) begun\n* ❌ (T5) given up\n";
    assert_eq!(next(doc), "T2|T3");
    let ticked = check(doc, "T2").unwrap().apply(doc);
    assert_eq!(ticked, doc.replace("☐ (T2)", "☑ (T2)"));
    assert_eq!(uncheck(&ticked, "T2").unwrap().apply(&ticked), doc);
    let ticked = check(doc, "T3").unwrap().apply(doc);
    assert_eq!(ticked, doc.replace("⬜ **T3**", "✅ **T3**"));
    assert!(check(doc, "T1").unwrap().is_empty());
}

#[test]
fn what_stands_under_ready_needs_no_box() {
    for (doc, wanted, ticked) in [
        (
            "## Ready\n- (T1) one\n- two\n  - how\n- Note: three\n",
            "T1|two",
            "## Ready\n- [x] (T1) one\n- [ ] two\n  - how\n- Note: three\n",
        ),
        (
            "## Ready\n1. (T1) one\n2. two\n\n## Blocked\n- three\n",
            "T1|two",
            "## Ready\n1. [x] (T1) one\n2. [ ] two\n\n## Blocked\n- three\n",
        ),
        (
            "## TODO\n### Phase 1\n* **T1**: one\n## Done\n* zero\n",
            "T1",
            "## TODO\n### Phase 1\n* [x] **T1**: one\n## Done\n* zero\n",
        ),
    ] {
        assert_eq!(next(doc), wanted, "{doc}");
        assert_eq!(check(doc, "T1").unwrap().apply(doc), ticked);
        let rest = wanted.strip_prefix("T1").unwrap().trim_start_matches('|');
        assert_eq!(next(ticked), rest, "{doc}");
    }
    let added = add("## Ready\n- (T1) one\n- two\n", "T3", "three", "Ready").unwrap();
    assert_eq!(
        added.apply("## Ready\n- (T1) one\n- two\n"),
        "## Ready\n- (T1) one\n- two\n- (T3) three\n"
    );
    // Beside boxes, a bullet is a remark.
    assert_eq!(next("## Ready\n- [ ] (T1) one\n- seeds are 0 to 9\n"), "T1");
    for doc in [
        "## Ready\n- [x] (T1) one\n- All data stand under /data/set1, do not delete them\n",
        "## Ready\n### Phase 1\n- [x] (T1) one\n### Phase 2\n- seeds are 0 to 9\n",
        "## Ready\n- seeds are 0 to 9\n## Phase 2\n- [ ] (T2) two (blocked)\n",
    ] {
        assert_eq!(next(doc), "", "{doc}");
        assert_eq!(strays(doc).len(), 1, "{doc}");
    }
    assert_eq!(next("## Ready\n- one\n## Backlog\n- [ ] (T2) two\n"), "one");
    assert_eq!(next("## Ready\n- (none)\n"), "");
    assert_eq!(next("## Phase 1\n- a remark\n"), "");
}

#[test]
fn what_may_be_a_task_and_is_none_is_found() {
    let found = |doc: &str| {
        let strays = strays(doc).into_iter();
        strays
            .map(|stray| stray.line.to_string())
            .collect::<Vec<_>>()
            .join(",")
    };
    for (doc, wanted) in [
        (
            "## Ready\n| ID | Task | Status |\n|---|---|---|\n| T0 | a | Done |\n| T1 | b | open |\n",
            "5",
        ),
        ("## Ready\n| ID | Task |\n|---|---|\n| T0 | ✅ a |\n", ""),
        ("# Plan\n## Phase 1\n- write it\n- run it\n", "3,4"),
        ("# Plan\n1. write it\n", "2"),
        ("## Ready\n(none)\n## Completed\n- all of it\n", ""),
        (
            "## Ready\n- [ ] (T1) a\n## Table\n| a | b |\n|---|---|\n| 1 | 2 |\n",
            "",
        ),
        ("## Phase 1 ✅\n- wrote it\n## Backlog\n- more\n", ""),
        ("# Plan\n- [x] (T1) a\n- a remark\n", ""),
        ("", ""),
    ] {
        assert_eq!(found(doc), wanted, "{doc}");
    }
}

#[test]
fn what_is_held_back_is_not_next() {
    for doc in [
        "## Ready\n- [ ] (T1) a (blocked by T0)\n",
        "## Ready\n- [ ] ~~(T1) a~~\n",
        "## Phase 1 ✅\n- [ ] (T1) a\n",
        "## Phase 1 — DONE\n- [ ] (T1) a\n",
        "## Phase 1: setup (COMPLETE)\n- [ ] (T1) a\n",
    ] {
        assert_eq!(next(doc), "", "{doc}");
    }
    assert_eq!(next("## Ready\n### In progress\n- [ ] (T1) a\n"), "T1");
    assert_eq!(next("## What is DONE\n- [ ] (T1) a\n"), "T1");
}
