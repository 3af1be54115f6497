//! The verbs of the queue: before and after, the traps of the real documents, and the laws.

use super::*;
use crate::DocErrorCode;

const CONTRACT: &str = "\
# Experiment Queue

## READY
### Q-001: Baseline
- Hypothesis: it runs
- Config: `configs/q001.json` (seed 0)
- Resources: 1 GPU
- Notes:
- Artifacts: `results/a.json`, results/b.pt
- After: (none)

### Q-002: Sweep ✓
- **Config**: configs/q002.json
- **SLURM Script**: `slurm/jobs/q002_sweep.sbatch`
- **Artifacts**:
  - `results/c.json`
- **After**: Q-001 and Q-001b, the calibration
- [ ] **Q-009**: a checklist inside an item

## RUNNING
...

## DONE
...

## Future (later)

- [ ] **Q-004**: Larger matrices
  - Config: `configs/q004.json`
- [ ] no id
";

fn lines(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn submitted() -> Vec<(String, String)> {
    lines(&[
        ("Run", "q001_20260112_233413"),
        ("Job", "56017331"),
        ("Status", "submitted"),
    ])
}

fn moved(doc: &str, id: &str, to: &QueueSection, own: &[(String, String)]) -> String {
    let set = move_item(doc, id, to, own).unwrap();
    let result = set.apply(doc);
    let again = move_item(&result, id, to, own).unwrap();
    assert!(
        again.is_empty(),
        "a second move changes {:?}",
        again.edits()
    );
    result
}

#[test]
fn reads_the_fields_of_the_contract() {
    let items = items(CONTRACT);
    let ids: Vec<_> = items
        .iter()
        .map(|i| (i.id.as_str(), i.section.title(), i.line))
        .collect();
    assert_eq!(
        ids,
        [
            ("Q-001", "READY", 4),
            ("Q-002", "READY", 12),
            ("Q-004", "Future (later)", 28)
        ]
    );
    let [first, second, listed] = &items[..] else {
        panic!("{items:?}")
    };
    assert_eq!(first.title, "Baseline");
    assert_eq!(first.hypothesis.as_deref(), Some("it runs"));
    assert_eq!(first.config.as_deref(), Some("configs/q001.json"));
    assert_eq!(first.notes, None);
    assert_eq!(first.artifacts, ["results/a.json", "results/b.pt"]);
    assert!(first.after.is_empty());
    assert_eq!(second.config.as_deref(), Some("configs/q002.json"));
    assert_eq!(
        second.script.as_deref(),
        Some("slurm/jobs/q002_sweep.sbatch")
    );
    assert_eq!(second.artifacts, ["results/c.json"]);
    assert_eq!(second.after, ["Q-001", "Q-001b", "the calibration"]);
    assert_eq!(&CONTRACT[second.heading.clone()], "### Q-002: Sweep ✓\n");
    assert!(CONTRACT[second.body.clone()].ends_with("inside an item\n"));
    assert_eq!(listed.config.as_deref(), Some("configs/q004.json"));
    assert_eq!(
        &CONTRACT[listed.heading.clone()],
        "- [ ] **Q-004**: Larger matrices\n"
    );
}

#[test]
fn a_move_carries_the_item_and_writes_our_lines() {
    let result = moved(CONTRACT, "Q-001", &QueueSection::InProgress, &submitted());
    insta::assert_snapshot!(result, @"
    # Experiment Queue

    ## READY
    ### Q-002: Sweep ✓
    - **Config**: configs/q002.json
    - **SLURM Script**: `slurm/jobs/q002_sweep.sbatch`
    - **Artifacts**:
      - `results/c.json`
    - **After**: Q-001 and Q-001b, the calibration
    - [ ] **Q-009**: a checklist inside an item

    ## RUNNING
    ### Q-001: Baseline
    - Run: q001_20260112_233413 <!-- ralph -->
    - Job: 56017331 <!-- ralph -->
    - Status: submitted <!-- ralph -->
    - Hypothesis: it runs
    - Config: `configs/q001.json` (seed 0)
    - Resources: 1 GPU
    - Notes:
    - Artifacts: `results/a.json`, results/b.pt
    - After: (none)

    ## DONE
    ...

    ## Future (later)

    - [ ] **Q-004**: Larger matrices
      - Config: `configs/q004.json`
    - [ ] no id
    ");
    let item = items(&result)
        .into_iter()
        .find(|item| item.id == "Q-001")
        .unwrap();
    assert_eq!(item.run.as_deref(), Some("q001_20260112_233413"));
    assert_eq!(item.job.as_deref(), Some("56017331"));
    assert_eq!(item.status.as_deref(), Some("submitted"));
    assert_eq!(item.fields.len(), 6, "{:?}", item.fields);
}

#[test]
fn the_last_item_leaves_a_placeholder_and_the_next_takes_its_place() {
    let doc = "## READY\n\n### Q-1: a\n- x\n\n---\n\n## DONE\n(none yet)\n";
    let done = moved(doc, "Q-1", &QueueSection::Done, &[]);
    assert_eq!(
        done,
        "## READY\n\n(none)\n\n---\n\n## DONE\n### Q-1: a\n- x\n"
    );
    let back = moved(&done, "Q-1", &QueueSection::Ready, &[]);
    assert_eq!(
        back,
        "## READY\n\n### Q-1: a\n- x\n\n---\n\n## DONE\n(none)\n"
    );
}

#[test]
fn what_ends_a_section_stays_in_it() {
    for end in [
        "(none)",
        "<!-- new items here -->",
        "<!-- new items\nhere -->",
    ] {
        let doc = format!("## READY\n### Q-1: a\n- x\n\n{end}\n\n## DONE\n(none)\n");
        let done = moved(&doc, "Q-1", &QueueSection::Done, &[]);
        assert_eq!(
            done,
            format!("## READY\n{end}\n\n## DONE\n### Q-1: a\n- x\n")
        );
    }
    let own = "## READY\n### Q-1: a\n- x\n<!-- ask Ada -->\n\n## DONE\n(none)\n";
    let done = moved(own, "Q-1", &QueueSection::Done, &[]);
    assert_eq!(
        done,
        "## READY\n(none)\n\n## DONE\n### Q-1: a\n- x\n<!-- ask Ada -->\n"
    );
}

#[test]
fn a_placeholder_that_says_more_is_a_persons() {
    let doc = "## READY\n(none - BLOCKED on Q-7)\n\n## FAILED\n### Q-1: a\n";
    let result = moved(doc, "Q-1", &QueueSection::Ready, &[]);
    assert_eq!(
        result,
        "## READY\n(none - BLOCKED on Q-7)\n\n### Q-1: a\n\n## FAILED\n(none)\n"
    );
}

#[test]
fn a_missing_section_is_appended() {
    let doc = "## READY\n### Q-1: a\n- x\n\n### Q-2: b\n- y";
    let result = moved(
        doc,
        "Q-2",
        &QueueSection::Failed,
        &lines(&[("Status", "failed")]),
    );
    insta::assert_snapshot!(result, @"
    ## READY
    ### Q-1: a
    - x

    ## FAILED
    ### Q-2: b
    - Status: failed <!-- ralph -->
    - y
    ");
    assert!(!result.ends_with('\n'));
    let other = moved(doc, "Q-1", &QueueSection::Other("On hold".to_owned()), &[]);
    assert!(
        other.ends_with("\n\n## On hold\n### Q-1: a\n- x"),
        "{other}"
    );
}

#[test]
fn an_item_of_a_phase_keeps_its_level_and_its_fence() {
    let doc = "\
## READY

### Phase 1

**STATUS**: a paragraph
- a list

#### Q-101: a
- Submission Command:
  ```bash
  # not a heading
  ## READY
  ```

#### Q-102: b
**Status**: waiting for Bob

## IN_PROGRESS / SUBMITTED

### Q-7: c
";
    let result = moved(doc, "Q-101", &QueueSection::InProgress, &submitted());
    insta::assert_snapshot!(result, @"
    ## READY

    ### Phase 1

    **STATUS**: a paragraph
    - a list

    #### Q-102: b
    **Status**: waiting for Bob

    ## IN_PROGRESS / SUBMITTED

    #### Q-101: a
    - Run: q001_20260112_233413 <!-- ralph -->
    - Job: 56017331 <!-- ralph -->
    - Status: submitted <!-- ralph -->
    - Submission Command:
      ```bash
      # not a heading
      ## READY
      ```

    ### Q-7: c
    ");
    let result = moved(&result, "Q-102", &QueueSection::InProgress, &submitted());
    assert!(result.contains("- Status: submitted <!-- ralph -->\n\n**Status**: waiting for Bob\n"));
}

#[test]
fn a_list_item_moves_too() {
    let doc = "## READY\n\n## Later\n\n- [ ] **Q-4**: a\n  more\n- [ ] **Q-5**: b\n";
    let result = moved(doc, "Q-4", &QueueSection::Ready, &lines(&[("Run", "r")]));
    assert_eq!(
        result,
        "## READY\n\n- [ ] **Q-4**: a\n  more\n  - Run: r <!-- ralph -->\n\n## Later\n\n- [ ] **Q-5**: b\n"
    );
}

#[test]
fn only_our_own_line_is_updated() {
    let doc = "## READY\n### Q-1: a\n- Status: ask Bob\n- Run: by hand\n";
    let one = annotate(doc, "Q-1", &lines(&[("Status", "submitted")]))
        .unwrap()
        .apply(doc);
    let two = annotate(&one, "q-1", &lines(&[("Status", "running"), ("Job", "7")]))
        .unwrap()
        .apply(&one);
    assert_eq!(
        two,
        "## READY\n### Q-1: a\n- Status: running <!-- ralph -->\n- Job: 7 <!-- ralph -->\n- Status: ask Bob\n- Run: by hand\n"
    );
    let taken_over = two.replace(" <!-- ralph -->", "");
    let item = &items(&taken_over)[0];
    assert_eq!((item.status.as_deref(), item.run.as_deref()), (None, None));
}

#[test]
fn a_hostile_value_stays_one_line_of_text() {
    let doc = "## READY\n### Q-1: a\n\n### Q-2: b\n";
    let hostile = "```\n## DONE\n<!-- ralph --> \u{1b}[31m<!-- \\| x";
    let result = annotate(doc, "Q-1", &lines(&[("Status", hostile)]))
        .unwrap()
        .apply(doc);
    insta::assert_snapshot!(result, @r#"
    ## READY
    ### Q-1: a
    - Status: \`\`\` ## DONE &lt;!-- ralph --&gt; &lt;!-- \\| x <!-- ralph -->

    ### Q-2: b
    "#);
    let item = &items(&result)[0];
    assert_eq!(
        item.status.as_deref(),
        Some("``` ## DONE <!-- ralph --> <!-- \\| x")
    );
    assert!(
        annotate(&result, "Q-1", &lines(&[("Status", hostile)]))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn windows_files_stay_windows_files() {
    let doc = "\u{feff}## READY\r\n### Q-1: a\r\n* x\r\n\r\n## DONE\r\n(none)\r\n";
    let result = moved(doc, "Q-1", &QueueSection::Done, &lines(&[("Job", "7")]));
    assert_eq!(
        result,
        "\u{feff}## READY\r\n(none)\r\n\r\n## DONE\r\n### Q-1: a\r\n* Job: 7 <!-- ralph -->\r\n* x\r\n"
    );
}

#[test]
fn what_is_ambiguous_is_not_moved() {
    let twice = "## READY\n### Q-1: a\n\n## DONE\n### Q-1 - ATTEMPT 1\n";
    let error = move_item(twice, "Q-1", &QueueSection::Failed, &[]).unwrap_err();
    assert_eq!((error.code, error.line), (DocErrorCode::Ambiguous, Some(2)));
    let error = annotate(twice, "Q-2", &[]).unwrap_err();
    assert_eq!(error.code, DocErrorCode::NotFound);
    let error = move_item(
        "### Q-1: a\n",
        "Q-1",
        &QueueSection::Other("!".to_owned()),
        &[],
    )
    .unwrap_err();
    assert_eq!(error.code, DocErrorCode::Refused);
    for keys in [
        ["", "Run"],
        ["Run", "Run"],
        ["a:b", "c"],
        ["Run ", "x"],
        ["é", "x"],
    ] {
        let own = lines(&keys.map(|key| (key, "v")));
        assert_eq!(
            annotate("### Q-1: a\n", "Q-1", &own).unwrap_err().code,
            DocErrorCode::Refused
        );
    }
}

#[test]
fn an_unclosed_fence_stops_an_append() {
    let doc = "## READY\n### Q-1: a\n\n## Notes\n```\nnever closed\n";
    let error = move_item(doc, "Q-1", &QueueSection::Done, &[]).unwrap_err();
    assert_eq!((error.code, error.line), (DocErrorCode::Malformed, Some(5)));
    assert!(annotate(doc, "Q-1", &lines(&[("Run", "r")])).is_ok());
}

#[test]
fn problems_are_named_with_their_lines() {
    let doc = "## READY\n### Q-1: a\n## Running\n### Q-2: b\n## Ready (later)\n#### q-1: c\n## In-flight\n```\n";
    let found: Vec<String> = problems(doc).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(found.join("\n"), @"
    line 1: the section READY is there 2 times (lines 1, 5); items are moved into the first one.
    line 2: Q-1 is there 2 times (lines 2, 6); the item cannot be moved until each has an id of its own.
    line 3: the section IN_PROGRESS is there 2 times (lines 3, 7); items are moved into the first one.
    line 8: a fence or comment opens here and is never closed; everything below it is part of it.
    ");
    assert!(problems(CONTRACT).is_empty());
    let spelled = "## READY\n### Q1: a\n## DONE\n### Q-001: a\n### Q-002: b\n";
    let found: Vec<String> = problems(spelled).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(found.join("\n"), @"line 2: Q1 is there 2 times (lines 2, 4); the item cannot be moved until each has an id of its own.");
}

#[test]
fn an_items_rule_and_next_section_stay_behind() {
    let doc = "## READY\n\n### Q-1: a\n- x\n\n### Q-2: b\n- y\n\n---\n\n## FAILED\n\n(none)\n";
    let result = moved(doc, "Q-2", &QueueSection::Failed, &[]);
    assert_eq!(
        result,
        "## READY\n\n### Q-1: a\n- x\n\n---\n\n## FAILED\n\n### Q-2: b\n- y\n"
    );
}

#[test]
fn a_heading_inside_an_item_belongs_to_it() {
    let doc = "## READY\n\n### Q-001: sweep\n\n#### Q-001a: first half\n- Config: a.json\n\n### Q-002: next\n";
    let ids: Vec<String> = items(doc).into_iter().map(|item| item.id).collect();
    assert_eq!(ids, ["Q-001", "Q-002"]);
    assert_eq!(items(doc)[0].config, None);
    let result = moved(doc, "Q-002", &QueueSection::InProgress, &[]);
    assert!(
        result.ends_with("## IN_PROGRESS\n\n### Q-002: next\n"),
        "{result}"
    );
    let result = moved(doc, "Q-001", &QueueSection::Done, &[]);
    assert!(
        result.ends_with("### Q-001: sweep\n\n#### Q-001a: first half\n- Config: a.json\n"),
        "{result}"
    );
}

#[test]
fn what_is_no_item_under_ready_is_found() {
    let found = |doc: &str| {
        let found = strays(doc);
        found
            .iter()
            .map(|stray| format!("{}:{}", stray.line, stray.text))
            .collect::<Vec<_>>()
            .join("|")
    };
    for (body, wanted) in [
        ("(none)\n", ""),
        ("- (none)\n", ""),
        ("(none - BLOCKED on Q-7)\n", ""),
        ("Items below may be submitted.\n", ""),
        ("### Q-001: a\n- Config: x\n- Run 3 seeds\n", ""),
        (
            "### Phase 1: x\n\n- Seeds are supported\n\n#### Q-101: a\n",
            "",
        ),
        ("- [x] finished by hand\n", ""),
        (
            "### Rung 10: frozen anchor\n- Hypothesis: x\n",
            "2:Rung 10: frozen anchor",
        ),
        ("### Baseline\n### Q-001: a\n", "2:Baseline"),
        ("### Q1 baseline\n", "2:Q1 baseline"),
        ("- Q-001 baseline\n- second\n", "2:Q-001 baseline|3:second"),
        ("1. Q-001\n", "2:Q-001"),
        ("<!-- Q-001: a -->\n", ""),
        ("- <!-- Q-001: a -->\n", ""),
        ("- [ ] <!-- Q-001: a -->\n", "2:[ ] <!-- Q-001: a -->"),
        ("### <!-- Q-001: a -->\n", "2:<!-- Q-001: a -->"),
        (
            "### Priority order\n1. Q-002\n2. Q-001: after Q-002 has been looked at by Ada\n### Q-002: a\n",
            "4:Q-001: after Q-002 has been looked at by Ada",
        ),
        (
            "- Q-001 (done 2026-01-02): a\n### Q-002: a\n",
            "2:Q-001 (done 2026-01-02): a",
        ),
        ("- H1: it helps\n### Q-001: a\n", "2:H1: it helps"),
        ("- [ ] Baseline\n### Q-001: a\n", "2:[ ] Baseline"),
        (
            "| id | config |\n|---|---|\n| Q-001 | a |\n",
            "2:| id | config |",
        ),
        ("**Q-001**: the baseline\n", "2:**Q-001**: the baseline"),
        ("```\nsbatch a.sbatch\n```\n", "2:'''"),
        ("> ### Q-001: a\n> - Script: a.sbatch\n", "2:Q-001: a"),
        ("> Bob: run these soon\n", ""),
    ] {
        assert_eq!(
            found(&format!("## READY\n{body}\n## DONE\n- a\n")),
            wanted,
            "{body}"
        );
    }
}

#[test]
fn sections_as_people_name_them() {
    for ready in [
        "Ready to run",
        "READY — run in this order",
        "READY: next up",
        "1. READY",
        "Queue: READY",
        "Queued",
        "Pending",
    ] {
        let doc = format!("## {ready}\n### Q-001: a\n\n## Completed runs\n(none)\n");
        assert_eq!(items(&doc)[0].section, QueueSection::Ready, "{ready}");
        assert_eq!(items(&doc)[0].held, None, "{ready}");
        let done = moved(&doc, "Q-001", &QueueSection::Done, &[]);
        assert_eq!(
            done,
            format!("## {ready}\n(none)\n\n## Completed runs\n### Q-001: a\n")
        );
        assert_eq!(
            moved(&done, "Q-001", &QueueSection::Ready, &[]),
            format!("## {ready}\n### Q-001: a\n\n## Completed runs\n(none)\n")
        );
    }
    for other in [
        "Not ready",
        "Ready-made baselines",
        "Ladder v2 — COMPLETE (A-F)",
        "Pending decisions",
        "Running notes",
    ] {
        let item = items(&format!("## {other}\n### Q-001: a\n")).remove(0);
        assert_eq!(item.section, QueueSection::Other(other.to_owned()));
    }
    let held = items("## READY - blocked on data\n### Q-001: a\n").remove(0);
    assert_eq!(
        held.held.as_deref(),
        Some("it stands under `READY - blocked on data`")
    );
}

#[test]
fn fields_are_read_under_the_names_and_in_the_forms_that_people_use() {
    for key in ["Script", "Job script", "Sbatch", "Submission script"] {
        for (open, close) in [("- ", ""), ("", ""), ("**", "**"), ("- **", "**")] {
            let doc =
                format!("## READY\n### Q-1: a\n\n{open}{key}{close}: slurm/jobs/other.sbatch\n");
            assert_eq!(
                items(&doc)[0].script.as_deref(),
                Some("slurm/jobs/other.sbatch"),
                "{doc}"
            );
        }
    }
    for key in ["Config", "Configs", "Configuration", "Config file"] {
        let doc = format!(
            "## READY\n### Q-1: a\n{key}: `configs/a.json` (small)\n\n```\nScript: no.sbatch\n```\n"
        );
        let item = items(&doc).remove(0);
        assert_eq!(item.config.as_deref(), Some("configs/a.json"), "{doc}");
        assert_eq!(item.script, None);
    }
    for (text, wanted) in [
        ("`results/a.json` (FID table, 50k)", "results/a.json"),
        (
            "results/a.json and results/b.json",
            "results/a.json|results/b.json",
        ),
        ("`a.json`, `b.json` and c.pt (last)", "a.json|b.json|c.pt"),
    ] {
        let doc = format!("## READY\n### Q-1: a\n- Artifacts: {text}\n");
        assert_eq!(items(&doc)[0].artifacts.join("|"), wanted);
    }
    let prose = "### Q-1: a\n- **Configuration**: 20×20 matrices, 100K steps\n";
    assert_eq!(items(prose)[0].config, None);
}

/// An item in each notation, and the document when it was submitted and has ended.
#[test]
fn items_in_every_notation_are_moved() {
    for (doc, id, wanted) in [
        (
            "## READY\n- **Q-001**: a\n  - Script: x\n\n## DONE\n- Q-000: b\n",
            "Q-001",
            "## READY\n(none)\n\n## DONE\n- Q-000: b\n- **Q-001**: a\n  - Script: x\n",
        ),
        (
            "## READY\n1. Q1: a\n   - Script: x\n2. Q2: b\n\n## DONE\n(none)\n",
            "q1",
            "## READY\n2. Q2: b\n\n## DONE\n1. Q1: a\n   - Script: x\n",
        ),
        (
            "## Plan\n### READY (2)\n#### exp3: a\n\n### ✅ DONE\n",
            "exp3",
            "## Plan\n### READY (2)\n(none)\n\n### ✅ DONE\n\n#### exp3: a\n",
        ),
        (
            "**READY**\n\n- [ ] Q–001: a\n\n**DONE**\n\n(none)\n",
            "Q-001",
            "**READY**\n\n(none)\n\n**DONE**\n\n- [ ] Q–001: a\n",
        ),
        (
            "**READY**\n\n- [ ] Q–001: a\n\n**FAILED**\n\n(none)\n",
            "Q-001",
            "**READY**\n\n(none)\n\n**FAILED**\n\n(none)\n\n**DONE**\n\n- [ ] Q–001: a\n",
        ),
        (
            "## Queue\n\n**READY**\n\n- [ ] Q-001: a\n\n**FAILED**\n\n- Q-000: b\n\n# Notes\n\ntext\n",
            "Q-001",
            "## Queue\n\n**READY**\n\n(none)\n\n**FAILED**\n\n- Q-000: b\n\n**DONE**\n\n- [ ] Q-001: a\n\n# Notes\n\ntext\n",
        ),
        (
            "# READY\n\n## Q-001: a\n### x\n\n# DONE\n",
            "Q-001",
            "# READY\n\n(none)\n\n# DONE\n\n## Q-001: a\n### x\n",
        ),
        (
            "## A\n### READY\n- [ ] Q-001: a\n### DONE\n(none)\n## B\n### READY\n- [ ] Q-002: a\n### DONE\n(none)\n",
            "Q-002",
            "## A\n### READY\n- [ ] Q-001: a\n### DONE\n(none)\n## B\n### READY\n(none)\n### DONE\n- [ ] Q-002: a\n",
        ),
        (
            "## Plan\n### READY\n#### Experiment 1: a\n",
            "Experiment-1",
            "## Plan\n### READY\n(none)\n\n### DONE\n\n#### Experiment 1: a\n",
        ),
    ] {
        assert_eq!(moved(doc, id, &QueueSection::Done, &[]), wanted);
    }
}

#[test]
fn what_only_looks_like_an_item_is_none() {
    let ids = |doc: &str| {
        let ids = items(doc).into_iter().map(|item| item.id);
        ids.collect::<Vec<_>>().join("|")
    };
    for (doc, wanted) in [
        ("## Notes\n- **Q-001**: went well\n### exp3: x\n", ""),
        (
            "## READY\n### Notes\n- Q-001: needs more memory\n### Q-002: a\n",
            "Q-002",
        ),
        (
            "## READY\n### Sweep1: all\n#### Q-001: a\n#### Q-002: b\n",
            "Q-001|Q-002",
        ),
        ("## DONE\n### Q201 \"Regression\" Explained\n", ""),
        (
            "## READY\n### Q-001: a\n## DONE\n- Q-001: the first attempt failed\n",
            "Q-001",
        ),
        ("## READY\n- ResNet50 is fine\n- H1: it helps\n", ""),
    ] {
        assert_eq!(ids(doc), wanted, "{doc}");
    }
}

/// A job that nobody meant is worse than a question to a person.
#[test]
fn a_bullet_without_a_box_is_a_remark_until_a_field_says_what_to_run() {
    let goes = |doc: &str| {
        let free = |item: &QueueItem| item.section == QueueSection::Ready && item.held.is_none();
        items(doc).iter().any(free)
    };
    for line in [
        "- <!-- Q-001: commented out -->",
        "- > Q-001: as Ada wrote",
        "- 🔄 Q-001: running since Monday as job 61003257",
        "- ⏳ Q-001: x",
        "- ☒ Q-001: x",
        "- [✕] Q-001: x",
        "- [*] Q-001: x",
        "- [Q-001: baseline](results/q001.md)",
        "- ![Q-001](results/q001.png)",
        "- Q-001 (done 2026-01-02): baseline",
        "- Q-001: superseded by Q-002",
        "- [ ] <!-- Q-001: a -->",
    ] {
        for below in ["", "  - Script: a.sbatch\n"] {
            let doc = format!("## READY\n{line}\n{below}## DONE\n");
            assert!(!goes(&doc), "{doc}");
        }
    }
    for doc in [
        "## READY\n- Q-001: was the baseline, see results/summary.md\n",
        "## READY\n### Priority order\n1. Q-002\n2. Q-001: after Q-002 has been looked at by Ada\n",
        "## READY\n### <!-- Q-001: a -->\n",
    ] {
        assert!(!goes(doc), "{doc}");
        assert!(!strays(doc).is_empty(), "{doc}");
    }
    assert!(goes("## READY\n- Q-001: a\n  - Script: a.sbatch\n"));
    assert!(goes("## READY\n- [ ] Q-001: a\n"));
}

#[test]
fn a_heading_beside_the_sections_that_reads_like_an_item_is_told() {
    for (doc, wanted) in [
        ("## READY\n## Setup\ntext\n## Q-002: b\n## DONE\n", "4"),
        ("# Queue\n## READY\n(none)\n## exp3: b\n## DONE\n", "4"),
        ("## READY\n## Q-003 results\n## DONE\n", "2"),
        ("## READY\n(none)\n## Q-003 results\nAll seeds done\n", ""),
        ("## READY\n(none)\n## Q-003: b\n- Status: DONE\n", ""),
        (
            "## READY\n(none)\n## DONE\n- [x] Q-003: b\n## Notes\n## Q-003: results\n",
            "",
        ),
        ("# EXP-1: the queue\n## READY\n(none)\n## DONE\n", ""),
        ("## READY\n(none)\n# Later\n## Q-003: b\n", ""),
    ] {
        let lines = strays(doc).into_iter().map(|stray| stray.line.to_string());
        assert_eq!(lines.collect::<Vec<_>>().join(","), wanted, "{doc}");
    }
}

#[test]
fn titles_that_may_mean_another_thing_submit_nothing() {
    for (doc, told) in [
        (
            "## Pending jobs (in the SLURM queue)\n### Q-001: a\n",
            false,
        ),
        (
            "# Pending experiments\n## Backlog\n### Q-001: maybe someday\n",
            true,
        ),
        ("# Experiments to run\n## Not ready\n### Q-002: a\n", true),
        ("## READY\n### Later\n#### Q-002: a\n", true),
        ("## READY\n### Thoughts of Ada\n- [ ] Q-002: a\n", true),
        ("## Pending (approval by Ada)\n### Q-001: a\n", false),
        ("## Pending: review by Ada\n### Q-001: a\n", false),
        ("## READY (template)\n### Q-001: a\n", false),
    ] {
        let item = items(doc).remove(0);
        assert!(
            item.section != QueueSection::Ready || item.held.is_some(),
            "{doc}"
        );
        let reached = strays(doc).into_iter().any(|stray| !stray.is_outside);
        assert_eq!(reached, told, "{doc}");
    }
    for group in [
        "Phase 1",
        "High priority",
        "Transformer ablations",
        "Rung 3: frozen",
        "EXP-A-1: sweep",
    ] {
        let doc = format!("## READY\n### {group}\n#### EXP-A-1a: a\n#### Q-002: b\n");
        let last = items(&doc).pop();
        assert!(
            last.is_some_and(|item| item.section == QueueSection::Ready || item.id == "EXP-A-1"),
            "{doc}"
        );
    }
}

#[test]
fn an_item_outside_of_ready_is_told_where_there_is_no_ready() {
    let found = |doc: &str| {
        let outside = strays(doc).into_iter().filter(|stray| stray.is_outside);
        outside
            .map(|stray| stray.line.to_string())
            .collect::<Vec<_>>()
            .join(",")
    };
    for (doc, wanted) in [
        (
            "# Queue\n## Q-001: a\n- Status: READY\n\n## Q-002: b\n- Status: DONE\n",
            "2",
        ),
        ("## TODO\n### Q-001: a\n## DONE\n", "2"),
        ("## READY / RUNNING\n### Q-001: a\n## DONE\n", "2"),
        ("| ID | What |\n|---|---|\n| Q-001 | a |\n", "3"),
        ("# Queue\n- [ ] exp3: a\n- [x] exp2: b\n", "2"),
        ("## TODO\n### Q-001: a\n## READY\n", ""),
        ("## BLOCKED\n### Q-001: a\n## DONE\n", ""),
        ("## IN_PROGRESS\n### Q-001: a\n", ""),
    ] {
        assert_eq!(found(doc), wanted, "{doc}");
    }
}

#[test]
fn fields_stand_in_tables_and_in_yaml_too() {
    for body in [
        "| Field | Value |\n|---|---|\n| Script | `a.sbatch` |\n| Depends on | Q-000 |\n",
        "```yaml\nscript: \"a.sbatch\"\ndepends_on:\n  - Q-000\n```\n",
        "- SCRIPT = `a.sbatch`\n- depends_on: [Q-000]\n",
        "**Script** `a.sbatch`\n\n**Depends-on** — Q-000\n",
    ] {
        let item = items(&format!("## READY\n### Q-001: a\n\n{body}")).remove(0);
        assert_eq!(item.script.as_deref(), Some("a.sbatch"), "{body}");
        assert_eq!(item.after, ["Q-000"], "{body}");
    }
    for (body, held) in [
        ("- Blocked: yes, by data", true),
        ("- Blocked: no", false),
        ("- On hold: until May", true),
        ("- Blocked:\n  - waiting for the data of Ada", true),
        ("- On hold:\n  - until Monday", true),
        ("- **BLOCKED**", true),
        ("**On hold**", true),
        (
            "| Field | Value | By |\n|---|---|---|\n| Status | BLOCKED | Ada |",
            true,
        ),
        (
            "| Field | Value | By |\n|---|---|---|\n| Status | READY | Ada |",
            false,
        ),
        ("- Blocked:", false),
        ("- Blocked:\n  - no", false),
        ("- the blocked attention", false),
    ] {
        let item = items(&format!("## READY\n### Q-001: a\n{body}\n")).remove(0);
        assert_eq!(item.held.is_some(), held, "{body}");
    }
}

/// Nothing is passed to a script, so an option that a command gives it is never dropped in silence.
#[test]
fn what_a_command_in_a_fence_adds_to_a_script_is_kept() {
    for (body, wanted) in [
        ("```\nsbatch a.sbatch\n```", "a.sbatch + -"),
        (
            "```bash\n# two hours\n$ cd projects/x && sbatch a.sbatch  # go\n```",
            "a.sbatch + -",
        ),
        (
            "```\nsbatch a.sbatch \\\n  --array=0-9\n```",
            "a.sbatch + --array=0-9",
        ),
        (
            "```\nsbatch --array=0-9 \\\n  a.sbatch\n```",
            "a.sbatch + --array=0-9",
        ),
        ("```\nSEED=3 sbatch a.sbatch\n```", "a.sbatch + SEED=3"),
        (
            "```\nseed=3 sbatch a.sbatch\n```",
            "a.sbatch + seed=3 sbatch a.sbatch",
        ),
        (
            "```\nexport SEED=3\nsbatch a.sbatch\n```",
            "a.sbatch + export SEED=3",
        ),
        (
            "- Script: a.sbatch\n\n```\nsbatch --array=0-9 a.sbatch\n```",
            "a.sbatch + --array=0-9",
        ),
        (
            "- Script: a.sbatch\n\n```\nsbatch b.sbatch\n```",
            "a.sbatch + b.sbatch",
        ),
        (
            "- Script: a.sbatch\n\n```\nsqueue --me\n```",
            "a.sbatch + -",
        ),
        (
            "```\nfor s in 1 2 3; do sbatch a.sbatch $s; done\n```",
            "a.sbatch + $s",
        ),
        (
            "```\nfor s in 1 2 3; do\n  sbatch a.sbatch\ndone\n```",
            "a.sbatch + for s in 1 2 3; do",
        ),
        ("```\nsbatch a.sbatch \"$s\"\n```", "a.sbatch + $s"),
        (
            "```\nsbatch --wrap 'python a.py'\n```",
            "- + sbatch --wrap 'python a.py'",
        ),
    ] {
        let item = items(&format!("## READY\n### Q-001: a\n\n{body}\n")).remove(0);
        let part = |part: Option<String>| part.unwrap_or_else(|| "-".to_owned());
        let found = format!("{} + {}", part(item.script), part(item.script_more));
        assert_eq!(found, wanted, "{body}");
    }
}

#[test]
fn an_example_in_a_longer_fence_has_no_fields() {
    let doc = "## READY\n### Q-001: a\n\n````\n```yaml\nscript: other.sbatch\n```\n````\n\n~~~yaml\nconfig: a.json\n~~~\n";
    let item = items(doc).remove(0);
    assert_eq!(
        (item.script.as_deref(), item.config.as_deref()),
        (None, Some("a.json"))
    );
}
