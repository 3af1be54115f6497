//! Entries as people write them, entries as the machine writes them, and logs that try to break out.

use super::*;
use crate::DocErrorCode;

fn failed() -> NewEntry {
    NewEntry {
        title: "Run q001_20260112_233413 failed: CUDA out of memory".to_owned(),
        key: "q001_20260112_233413/56017331".to_owned(),
        blocking: true,
        fields: vec![
            ("Run".to_owned(), "q001_20260112_233413".to_owned()),
            ("Job".to_owned(), "56017331".to_owned()),
            ("Log".to_owned(), "slurm/logs/q001_56017331.err".to_owned()),
        ],
        quote: Some(Quote {
            label: "Last lines of slurm/logs/q001_56017331.err".to_owned(),
            text: "  0%|   \r 50%|##\rTraceback:\n\n\u{1b}[31mRuntimeError\u{1b}[0m: CUDA out of memory\n".to_owned(),
        }),
    }
}

fn small(key: &str) -> NewEntry {
    NewEntry {
        title: format!("about {key}"),
        key: key.to_owned(),
        blocking: false,
        fields: Vec::new(),
        quote: None,
    }
}

fn added(doc: &str, entry: &NewEntry) -> String {
    let result = add_entry(doc, entry).unwrap().apply(doc);
    assert!(
        add_entry(&result, entry).unwrap().is_empty(),
        "a second entry in {result}"
    );
    let found: Vec<_> = entries(&result)
        .into_iter()
        .filter(|e| e.key.as_deref() == Some(&entry.key))
        .collect();
    assert_eq!(found.len(), 1);
    assert!(found[0].open);
    result
}

fn summary(doc: &str) -> String {
    let line = |e: Entry| {
        let (id, state) = (
            e.id.unwrap_or("-".to_owned()),
            if e.open { "open" } else { "over" },
        );
        format!("{} {id} {state} {} {:?}", e.line, e.title, e.key)
    };
    entries(doc)
        .into_iter()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn into_a_file_of_the_contract() {
    let doc = "# Debugging\n\n## Active Issues\n\n(none yet)\n\n## Resolved\n(none yet)\n";
    let result = added(doc, &failed());
    insta::assert_snapshot!(result, @"
    # Debugging

    ## Active Issues

    - [ ] (D1) Run q001_20260112_233413 failed: CUDA out of memory <!-- ralph: q001_20260112_233413/56017331 -->
      - Run: q001_20260112_233413
      - Job: 56017331
      - Log: slurm/logs/q001_56017331.err
      - Blocking: yes
      - Last lines of slurm/logs/q001_56017331.err:
        ```text
        Traceback:

        RuntimeError: CUDA out of memory
        ```

    ## Resolved
    (none yet)
    ");
    let second = added(&result, &small("b"));
    insta::assert_snapshot!(summary(&second), @r#"
    5 D2 open about b Some("b")
    6 D1 open Run q001_20260112_233413 failed: CUDA out of memory Some("q001_20260112_233413/56017331")
    "#);
    assert!(second.find("(D2)").unwrap() < second.find("(D1)").unwrap());
}

#[test]
fn into_the_files_own_sections() {
    let template = "# Debugging\n\n## BLOCKING\n\n### DBG-001: <short title>\n- Status: OPEN\n\n## NON-BLOCKING\n...\n";
    insta::assert_snapshot!(added(template, &NewEntry { quote: None, ..failed() }), @"
    # Debugging

    ## BLOCKING

    - [ ] (D1) Run q001_20260112_233413 failed: CUDA out of memory <!-- ralph: q001_20260112_233413/56017331 -->
      - Run: q001_20260112_233413
      - Job: 56017331
      - Log: slurm/logs/q001_56017331.err

    ### DBG-001: <short title>
    - Status: OPEN

    ## NON-BLOCKING
    ...
    ");
    insta::assert_snapshot!(added(template, &small("n")), @"
    # Debugging

    ## BLOCKING

    ### DBG-001: <short title>
    - Status: OPEN

    ## NON-BLOCKING
    - [ ] (D1) about n <!-- ralph: n -->
    ");
    let open = "## Open\n* x\n\nprose\n";
    assert_eq!(
        added(open, &small("k")),
        "## Open\n* [ ] (D1) about k <!-- ralph: k -->\n* x\n\nprose\n"
    );
    let twice = "## Active Issues\n\n## Resolved\n\n## Active Issues\n";
    assert!(added(twice, &small("k")).starts_with("## Active Issues\n\n- [ ] (D1)"));
}

#[test]
fn into_a_file_without_a_section() {
    assert_eq!(
        added("", &small("k")),
        "## Active Issues\n\n- [ ] (D1) about k <!-- ralph: k -->\n"
    );
    assert_eq!(
        added("# Debugging\r\n\r\nnotes (D7)", &small("k")),
        "# Debugging\r\n\r\nnotes (D7)\r\n\r\n## Active Issues\r\n\r\n- [ ] (D8) about k <!-- ralph: k -->"
    );
}

#[test]
fn resolving_ticks_our_mark_and_leaves_a_persons_words() {
    let doc = added("## Active Issues\n", &failed());
    let edited = doc.replace("  - Job:", "  - Status: investigating, see Bob\n  - Job:");
    let key = &failed().key;
    let result = resolve_entry(&edited, key, "resubmitted as job 2 with `--mem=64G`")
        .unwrap()
        .apply(&edited);
    insta::assert_snapshot!(result, @r#"
    ## Active Issues

    - [x] (D1) Run q001_20260112_233413 failed: CUDA out of memory <!-- ralph: q001_20260112_233413/56017331 -->
      - Run: q001_20260112_233413
      - Status: investigating, see Bob
      - Job: 56017331
      - Log: slurm/logs/q001_56017331.err
      - Blocking: yes
      - Last lines of slurm/logs/q001_56017331.err:
        ```text
        Traceback:

        RuntimeError: CUDA out of memory
        ```
      - Resolved: resubmitted as job 2 with \`--mem=64G\` <!-- ralph -->
    "#);
    assert!(!entries(&result)[0].open);
    assert!(
        resolve_entry(&result, key, "resubmitted as job 2 with `--mem=64G`")
            .unwrap()
            .is_empty()
    );
    let noted = annotate_entry(&result, key, &[("Retry".to_owned(), "2 of 3".to_owned())]).unwrap();
    assert!(
        noted
            .apply(&result)
            .contains("<!-- ralph -->\n  - Retry: 2 of 3 <!-- ralph -->\n")
    );
}

#[test]
fn an_entry_is_found_by_its_key_alone() {
    let doc = added("## Active Issues\n", &small("a"));
    assert_eq!(
        resolve_entry(&doc, "b", "x").unwrap_err().code,
        DocErrorCode::NotFound
    );
    let copied = format!("{doc}{}", doc.lines().last().unwrap());
    let error = annotate_entry(&copied, "a", &[]).unwrap_err();
    assert_eq!((error.code, error.line), (DocErrorCode::Ambiguous, Some(3)));
    let renamed = doc.replace("- [ ] (D1) about a", "- seen twice now");
    let result = resolve_entry(&renamed, "a", "gone")
        .unwrap()
        .apply(&renamed);
    assert!(
        result.ends_with("- seen twice now <!-- ralph: a -->\n  - Resolved: gone <!-- ralph -->\n")
    );
}

#[test]
fn reads_what_people_write() {
    let doc = "\
## Active Issues

- [ ] (D3) by hand
- [x] (D2) ticked
- [ ] no id

### Issue #11: eigenvalues
- [ ] a step
### Issue 12: other
**Status**: RESOLVED - in a2edff8
### R2 OOM (RESOLVED 2026-04-27)
### Not RESOLVED yet
- Status: open

## Resolved
### IRED-CD-001: sign
- [ ] (D4) listed

## 2026-06-04 — quota (INCIDENT)
### What happened
## Issue 15: late [2026-02-19]
## Common Failure Modes
- [ ] Import errors
### DBG-002: anywhere
```
## Issue 99: in a fence
```
";
    insta::assert_snapshot!(summary(doc), @"
    3 D3 open by hand None
    4 D2 over ticked None
    5 - open no id None
    7 11 open eigenvalues None
    9 12 over other None
    11 - over R2 OOM (RESOLVED 2026-04-27) None
    12 - open Not RESOLVED yet None
    16 IRED-CD-001 over sign None
    17 D4 over listed None
    19 - open 2026-06-04 — quota (INCIDENT) None
    21 15 open late [2026-02-19] None
    24 DBG-002 open anywhere None
    ");
}

#[test]
fn a_hostile_log_cannot_change_the_outline() {
    let hostile = "```\n# heading\n-->\n<!-- ralph: q -->\n- [ ] (D99) x\n~~~~\n`````\n\u{1b}]0;t\n<script>\n";
    let doc = "## Active Issues\n- [ ] (D1) y\n\n## Resolved\n";
    let entry = NewEntry {
        title: hostile.to_owned(),
        key: hostile.to_owned(),
        blocking: true,
        fields: vec![(hostile.to_owned(), hostile.to_owned())],
        quote: Some(Quote {
            label: hostile.to_owned(),
            text: hostile.to_owned(),
        }),
    };
    let result = added(doc, &entry);
    let titles: Vec<_> = crate::outline::sections(&result)
        .into_iter()
        .map(|s| s.title)
        .collect();
    assert_eq!(titles, ["Active Issues", "Resolved"]);
    let ids: Vec<_> = entries(&result)
        .into_iter()
        .map(|e| e.id.unwrap())
        .collect();
    assert_eq!(ids, ["D2", "D1"]);
    assert!(result.ends_with("- [ ] (D1) y\n\n## Resolved\n"));
    insta::assert_snapshot!(result, @r#"
    ## Active Issues
    - [ ] (D2) \`\`\` # heading --&gt; &lt;!-- ralph: q --&gt; - [ ] (D99) x \~\~\~\~ \`\`\`\`\` &lt;script> <!-- ralph: ```%0a#%20heading%0a-%2d%3e%0a%3c!-%2d%20ralph:%20q%20-%2d%3e%0a-%20[%20]%20(D99)%20x%0a~~~~%0a`````%0a%1b]0;t%0a%3cscript%3e%0a -->
      - \`\`\` # heading --&gt; &lt;!-- ralph: q --&gt; - [ ] (D99) x \~\~\~\~ \`\`\`\`\` &lt;script>: \`\`\` # heading --&gt; &lt;!-- ralph: q --&gt; - [ ] (D99) x \~\~\~\~ \`\`\`\`\` &lt;script>
      - Blocking: yes
      - \`\`\` # heading --&gt; &lt;!-- ralph: q --&gt; - [ ] (D99) x \~\~\~\~ \`\`\`\`\` &lt;script>:
        ``````text
        ```
        # heading
        -->
        <!-- ralph: q -->
        - [ ] (D99) x
        ~~~~
        `````

        <script>
        ``````
    - [ ] (D1) y

    ## Resolved
    "#);
}

#[test]
fn an_entry_below_an_open_fence_is_refused() {
    let error = add_entry("# Debugging\n```\nopen\n", &small("k")).unwrap_err();
    assert_eq!((error.code, error.line), (DocErrorCode::Malformed, Some(2)));
}

#[test]
fn an_indented_list_is_joined_as_it_is() {
    let doc = "## Active\n  * one\n    - two\n";
    let wanted = "## Active\n  * [ ] (D1) about k <!-- ralph: k -->\n  * one\n    - two\n";
    assert_eq!(added(doc, &small("k")), wanted);
}

#[test]
fn problems_are_named_with_their_lines() {
    let doc = "## Active Issues\n- [ ] (D1) a <!-- ralph: k -->\n- [ ] (D1) b <!-- ralph: k -->\n\n## Open\n~~~\n";
    let found: Vec<String> = problems(doc).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(found.join("\n"), @"
    line 1: the section of open issues is there 2 times (lines 1, 5); entries are added to the first one.
    line 2: D1 is there 2 times (lines 2, 3); give each entry an id of its own.
    line 2: the hidden key `k` is there 2 times (lines 2, 3); remove the comment from the copy; none of them is updated.
    line 6: a fence or comment opens here and is never closed; everything below it is part of it.
    ");
    assert!(problems(&added("", &failed())).is_empty());
}

#[test]
fn an_entry_says_whether_the_project_waits_for_it() {
    let entry = |key: &str, blocking| NewEntry {
        title: key.to_owned(),
        key: key.to_owned(),
        blocking,
        fields: vec![("Error".to_owned(), "boom".to_owned())],
        quote: None,
    };
    let blocking =
        |doc: &str| -> Vec<bool> { entries(doc).iter().map(|entry| entry.blocking).collect() };
    for doc in [
        "",
        "# D\n\n## Active Issues\n\n(none)\n",
        "# D\n\n## BLOCKING\n\n(none)\n\n## NON-BLOCKING\n\n(none)\n",
    ] {
        let with_one = add_entry(doc, &entry("a/1", true)).unwrap().apply(doc);
        let with_two = add_entry(&with_one, &entry("b/2", false))
            .unwrap()
            .apply(&with_one);
        let found = entries(&with_two);
        let of = |key: &str| {
            found
                .iter()
                .find(|e| e.key.as_deref() == Some(key))
                .map(|e| e.blocking)
        };
        assert_eq!(
            (of("a/1"), of("b/2")),
            (Some(true), Some(false)),
            "{with_two}"
        );
    }
    let people = "# D\n\n## BLOCKING\n\n### DBG-001: x\n\n## NON-BLOCKING\n\n### DBG-002: y\n";
    assert_eq!(blocking(people), [true, false]);
    assert_eq!(blocking("## Active Issues\n\n- [ ] (D1) by hand\n"), [true]);
}

/// For each entry of a section of open issues: `open`, `free` for one that does not block, or `over`.
fn states(doc: &str) -> Vec<&'static str> {
    let state = |entry: Entry| match (entry.open, entry.blocking) {
        (true, true) => "open",
        (true, false) => "free",
        (false, _) => "over",
    };
    entries(doc).into_iter().map(state).collect()
}

#[test]
fn the_last_word_decides_and_doubt_is_open() {
    let cases = [
        (
            "### Issue 3: Slurm says COMPLETED, but results are empty (NOT YET FIXED)\n",
            "open",
        ),
        ("### Issue 3: x - RESOLVED\n", "over"),
        (
            "### Issue 3: x\n**Status**: RESOLVED\n\n**Status (2026-02)**: REOPENED\n",
            "open",
        ),
        (
            "### Issue 3: x\n**Status**: OPEN\n\n**Status (2026-02)**: Solved\n",
            "over",
        ),
        (
            "### Issue 3: x\n**Status**: RESOLVED\n\n#### Later\n**Status**: REOPENED\n",
            "open",
        ),
        (
            "### Issue 3: x\n**Status**: RESOLVED\n\n**Reopened 2026-02-01**: again\n",
            "open",
        ),
        (
            "### Issue 3: x (RESOLVED)\n- Status: investigating\n",
            "open",
        ),
        (
            "### Issue 3: x (NOT YET FIXED)\n- Status: RESOLVED\n",
            "open",
        ),
        ("### Issue 3: x\n- Job: 12\n  - Status: COMPLETED\n", "open"),
        ("### Issue 3: x\n- Exit status: COMPLETED\n", "open"),
        ("### Issue 3: x\n- Status: WONTFIX\n", "over"),
        ("### Issue 3: x\n- Status: won't fix\n", "over"),
        ("### Issue 3: x\n- **Blocking**: no\n", "free"),
        ("### ~~Issue 3: x~~\n", "over"),
        ("### Issue 3: ~~x~~\n", "over"),
        ("### ✅ Issue 3: x ✅ Resolved\n", "over"),
        ("- [ ] (D1) x\n  - Status: RESOLVED\n", "over"),
        (
            "- [ ] (D1) x\n  - Status: RESOLVED\n  - Status: REOPENED\n",
            "open",
        ),
        ("- [x] (D1) x\n  - Status: open\n", "over"),
        ("- [x] (D1) x\n  - Status: REOPENED\n", "open"),
        ("- [ ] (D1) x [SOLVED]\n", "over"),
        ("- [ ] ~~(D1) x~~\n", "over"),
        (
            "- [ ] (D1) x\n  - Blocking: no, there is a way around\n",
            "free",
        ),
        ("- D1: x - OPEN\n", "open"),
        ("- D1: x - RESOLVED\n", "over"),
        ("- **D2**: y\n", "open"),
        ("1. The node dies\n", "open"),
    ];
    for (text, wanted) in cases {
        let doc = format!("## Active Issues\n\n{text}");
        assert_eq!(states(&doc), [wanted], "{doc}");
    }
    let moved = "## Fixed\n### a\n- Status: ACTIVE\n## Closed\n### b\n## Resolved issues\n### c\n- Status: REOPENED\n";
    assert_eq!(states(moved), ["over", "over", "open"]);
}

#[test]
fn what_a_log_says_does_not_resolve_the_machines_entry() {
    let doc = added(
        "## Active Issues\n",
        &NewEntry {
            title: "q001: the job ended - COMPLETED".to_owned(),
            ..failed()
        },
    );
    assert_eq!(states(&doc), ["open"]);
    let by_hand = doc
        .replace("  - Job:", "  - Blocking: no\n  - Job:")
        .replace("  - Blocking: yes\n", "");
    assert_eq!(states(&by_hand), ["free"]);
}

#[test]
fn a_section_of_open_issues_by_any_name_has_entries() {
    for title in [
        "Current Issues",
        "Unresolved",
        "Critical / Blocking",
        "Known Issues",
        "Open",
        "Outstanding",
    ] {
        let doc = format!("# D\n\n## {title}\n\n### x\n\n- y\n");
        assert_eq!(states(&doc), ["open"], "{doc}");
        let list = format!("# D\n\n## {title}\n- x\n- y\n");
        assert_eq!(states(&list), ["open", "open"], "{list}");
    }
    let nested =
        "## Active Issues\n### Blocking\n#### x\n### Non-blocking\n#### y\n### Resolved\n#### z\n";
    assert_eq!(states(nested), ["open", "free", "over"]);
    assert_eq!(states("# Active Issues\n## x\n"), ["open"]);
    let said = add_entry("## Current Issues\n", &small("k"))
        .unwrap()
        .apply("## Current Issues\n");
    assert!(
        said.starts_with("## Current Issues\n\n- [ ] (D1)"),
        "{said}"
    );
}

#[test]
fn text_that_is_no_entry_is_not_nothing() {
    let table =
        "## Active Issues\n\n| ID | What |\n|---|---|\n| D1 | the node dies |\n\n## Resolved\n";
    insta::assert_snapshot!(summary(table), @"5 - open D1 | the node dies None");
    let found: Vec<String> = problems(table).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(found.join("\n"), @"line 5: the section of open issues holds text that is no entry, so it counts as one that is open; write each issue as `- [ ] (D1) title`, or `(none)`.");
    let ours = added(table, &failed());
    let key = &failed().key;
    let resolved = resolve_entry(&ours, key, "gone").unwrap().apply(&ours);
    assert_eq!(states(&resolved), ["over", "open"], "{resolved}");
    for text in [
        "The node dies.\n",
        "```\nTraceback\n```\n",
        "None of the jobs starts.\n",
    ] {
        let doc = format!("## Active Issues\n\n{text}\n## Resolved\n- fine\n");
        assert_eq!(
            (states(&doc), problems(&doc).len()),
            (vec!["open"], 1),
            "{doc}"
        );
    }
    assert_eq!(states("## NON-BLOCKING\nThe plot is ugly.\n"), ["free"]);
    for text in [
        "",
        "(none)\n",
        "None\n",
        "No open issues.\n",
        "- None\n",
        "- [ ] (none)\n",
        "...\n",
        "---\n",
        "<!-- newest first -->\n",
        "### None\n",
        "| ID | What |\n|---|---|\n",
        "| ID | What |\n|---|---|\n| (none) | |\n",
        "What blocks the project.\n\n(none)\n",
        "- Last updated: 2026-02-01\n- None\n",
    ] {
        let doc = format!("## Active Issues\n\n{text}\n## Resolved\n- fine\n");
        assert_eq!((states(&doc), problems(&doc).len()), (vec![], 0), "{doc}");
    }
}

/// Each entry as `line state id title`.
fn listed(doc: &str) -> String {
    let line = |entry: Entry| {
        let state = if entry.open { "open" } else { "over" };
        format!(
            "{} {state} {} {}",
            entry.line,
            entry.id.as_deref().unwrap_or("-"),
            entry.title
        )
    };
    entries(doc)
        .into_iter()
        .map(line)
        .collect::<Vec<_>>()
        .join("|")
}

#[test]
fn entries_outside_of_a_section_are_told_by_their_headings() {
    for (doc, wanted) in [
        (
            "## Active Investigation\n### Issue: it diverges\n**Status**: CONFIRMED — fix not yet there\n",
            "2 open - it diverges",
        ),
        (
            "## Active Investigation: results\n### Issue: it diverges\n",
            "2 open - it diverges",
        ),
        (
            "## Bug #3 — OOM (FIXED)\n## Issue 4 - NaN\n",
            "1 over Bug 3 OOM (FIXED)|2 open 4 NaN",
        ),
        (
            "## D1: OOM\n### (D2) NaN [RESOLVED]\n",
            "1 open D1 OOM|2 over D2 NaN [RESOLVED]",
        ),
        (
            "## 🔴 OPEN: OOM on q001\n## [BLOCKING] NaN\n",
            "1 open - OOM on q001|2 open - NaN",
        ),
        (
            "# Log\n### 2026-05-01: OOM\nStatus: RESOLVED\n### 2026-05-02 NaN\nStatus: Open\n",
            "2 over - 2026-05-01: OOM|4 open - 2026-05-02 NaN",
        ),
        (
            "## 2026-05-01\n\n### Issue 1: OOM\nStatus: RESOLVED\n",
            "3 over 1 OOM",
        ),
        (
            "## Opening remarks: x\n## Issues we had\n## Problem setting\n## D1\n",
            "",
        ),
    ] {
        assert_eq!(listed(doc), wanted, "{doc}");
    }
}

#[test]
fn a_table_is_open_as_long_as_a_row_is() {
    let doc = |first: &str, second: &str| {
        format!(
            "## Active Issues\n\n| ID | Issue | Status |\n|---|---|---|\n| D1 | OOM | {first} |\n| D2 | NaN | {second} |\n"
        )
    };
    assert_eq!(listed(&doc("Resolved", "✅ fixed in a1b2c3")), "");
    assert_eq!(listed(&doc("Resolved", "open")), "6 open - D2 | NaN | open");
    assert_eq!(problems(&doc("fixed", "investigating")).len(), 1);
}
