//! The laws that hold for every verb, on every real document and on random ones.
//!
//! - Identity: asking for what is there changes nothing. Applying twice is applying once.
//! - Conservation: no line of a person is lost, changed or added, checked here by counting lines and not by the
//!   means that the product uses.
//! - Naturality: a document with other line endings, or without the last one, gets the same edit.
//! - Commuting: edits of different items can be made in any order, or merged.
//! - No text makes anything panic.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::debugging::{NewEntry, Quote, add_entry, annotate_entry, entries, resolve_entry};
use crate::queue::{QueueSection, annotate, items, move_item, problems};
use crate::summary::SummaryRow;
use crate::test_support::{corpus_documents, corpus_of};
use crate::{DocError, DocErrorCode, EditSet, debates, outline, projects, summary, table, todo};

type Verb = Box<dyn Fn(&str) -> Result<EditSet, DocError>>;

fn pairs(lines: &[(&str, &str)]) -> Vec<(String, String)> {
    lines
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn submitted() -> Vec<(String, String)> {
    pairs(&[
        ("Run", "q001_20260112_233413"),
        ("Job", "56017331"),
        ("Status", "submitted"),
    ])
}

fn failure() -> NewEntry {
    NewEntry {
        title: "Run q001 failed".to_owned(),
        key: "q001/56017331".to_owned(),
        blocking: true,
        fields: pairs(&[("Run", "q001"), ("Log", "slurm/logs/a.err")]),
        quote: Some(Quote {
            label: "Tail".to_owned(),
            text: "```\n# heading\n--> \u{1b}[31mred\n- [ ] (T1) x\n## READY\n".to_owned(),
        }),
    }
}

fn row() -> SummaryRow {
    SummaryRow {
        run: "q001".to_owned(),
        job: "1".to_owned(),
        status: "failed".to_owned(),
        finished: "2026-01-12T23:34:13Z".to_owned(),
        note: "a | b".to_owned(),
    }
}

/// The verbs that any document takes.
fn general_verbs() -> Vec<(&'static str, Verb)> {
    vec![
        ("add_entry", Box::new(|doc| add_entry(doc, &failure()))),
        (
            "add_entry",
            Box::new(|doc| {
                add_entry(
                    doc,
                    &NewEntry {
                        blocking: false,
                        quote: None,
                        ..failure()
                    },
                )
            }),
        ),
        (
            "debate",
            Box::new(|doc| debates::add(doc, "Why?", "why", &["# one".to_owned()])),
        ),
        (
            "add task",
            Box::new(|doc| todo::add(doc, "Z99", "a task", "Ready")),
        ),
        (
            "add task",
            Box::new(|doc| todo::add(doc, None, "another task", "Phase 1")),
        ),
        ("summary", Box::new(|doc| summary::record(doc, &row()))),
        (
            "project",
            Box::new(|doc| projects::register(doc, "zz-slug", "a note")),
        ),
    ]
}

/// The verbs for the items, tasks and entries of one document.
fn verbs_of(doc: &str) -> Vec<(String, Verb)> {
    let mut verbs: Vec<(String, Verb)> = Vec::new();
    let targets = [
        QueueSection::Ready,
        QueueSection::InProgress,
        QueueSection::Done,
        QueueSection::Failed,
        QueueSection::Other("PARKED".to_owned()),
    ];
    for (index, item) in items(doc).into_iter().enumerate() {
        let (id, to) = (item.id.clone(), targets[index % targets.len()].clone());
        verbs.push((
            format!("move {id} to {to:?}"),
            Box::new(move |doc| move_item(doc, &id, &to, &submitted())),
        ));
        verbs.push((
            format!("annotate {}", item.id),
            Box::new(move |doc| annotate(doc, &item.id, &submitted())),
        ));
    }
    for (index, task) in todo::tasks(doc).into_iter().enumerate() {
        let key = task.id.clone().unwrap_or_default();
        let text = task.text.clone();
        match (index % 3, task.id) {
            (0, Some(id)) => verbs.push((
                format!("check {id}"),
                Box::new(move |doc| todo::check(doc, &key)),
            )),
            (1, Some(id)) => {
                let lines = pairs(&[("Attempt", "1")]);
                verbs.push((
                    format!("note {id}"),
                    Box::new(move |doc| todo::note(doc, &key, &lines)),
                ));
            }
            _ => verbs.push((
                format!("uncheck {text}"),
                Box::new(move |doc| todo::uncheck(doc, todo::TaskKey::Text(&text))),
            )),
        }
    }
    verbs
}

/// The lines with content, counted, without what the machine writes.
fn persons_lines(doc: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in doc
        .strip_prefix('\u{feff}')
        .unwrap_or(doc)
        .split(['\n', '\r'])
    {
        let marks = ["[x]", "[X]", "☐", "☑", "⬜", "✅", "✓", "✔"];
        let line = marks.iter().fold(line.trim_end().to_owned(), |line, mark| {
            line.replace(mark, "[ ]")
        });
        let placeholder = ["(none)", "(none yet)", "...", ""].contains(&line.trim());
        if !placeholder && !line.ends_with("<!-- ralph -->") {
            *counts.entry(line).or_insert(0) += 1;
        }
    }
    counts
}

fn check_laws(name: &str, doc: &str, verb: &Verb) -> Result<String, DocError> {
    let set = verb(doc)?;
    let result = set.apply(doc);
    let again = verb(&result);
    assert!(
        again.as_ref().is_ok_and(EditSet::is_empty),
        "{name}: {again:?} after {set:?}"
    );
    let is_ended = |doc: &str| ["", "\u{feff}"].contains(&doc) || doc.ends_with(['\n', '\r']);
    assert_eq!(is_ended(&result), is_ended(doc), "{name}: final newline");
    assert_eq!(
        result.starts_with('\u{feff}'),
        doc.starts_with('\u{feff}'),
        "{name}: byte order mark"
    );
    let (before, mut after) = (persons_lines(doc), persons_lines(&result));
    for (line, count) in &before {
        let left = after.remove(line).unwrap_or(0);
        assert!(
            left >= *count,
            "{name}: {line:?} was there {count} times, now {left}"
        );
    }
    Ok(result)
}

/// As [`check_laws`], for a verb that adds no line without our mark.
fn check_conserving(name: &str, doc: &str, verb: &Verb) -> Result<String, DocError> {
    let result = check_laws(name, doc, verb)?;
    let mut after = persons_lines(&result);
    let new = [
        "## READY",
        "## IN_PROGRESS",
        "## DONE",
        "## FAILED",
        "## PARKED",
    ];
    let before = persons_lines(doc);
    after.retain(|line, _| before.contains_key(line) || !new.contains(&line.as_str()));
    assert_eq!(after, before, "{name}");
    Ok(result)
}

fn with_crlf(doc: &str) -> String {
    doc.replace("\r\n", "\n").replace('\n', "\r\n")
}

#[test]
fn laws_hold_on_every_real_document() {
    let mut done = 0;
    for (index, (name, doc)) in corpus_documents().into_iter().enumerate() {
        assert_eq!(EditSet::empty().apply(&doc), doc);
        for (verb_name, verb) in general_verbs() {
            check_laws(&format!("{verb_name} on {name}"), &doc, &verb).unwrap();
            done += 1;
        }
        // The documents are versions of a few files, so a quarter of each covers nearly every item.
        for (verb_name, verb) in verbs_of(&doc).into_iter().skip(index % 4).step_by(4) {
            match check_conserving(&format!("{verb_name} on {name}"), &doc, &verb) {
                Ok(_) => done += 1,
                Err(error) => assert_eq!(
                    error.code,
                    DocErrorCode::Ambiguous,
                    "{verb_name} on {name}: {error}"
                ),
            }
        }
    }
    assert!(done == 0 || done > 400, "only {done} verbs were done");
}

#[test]
fn other_line_endings_get_the_same_edits() {
    for (name, doc) in corpus_documents() {
        let verbs = general_verbs()
            .into_iter()
            .map(|(name, verb)| (name.to_owned(), verb));
        for (verb_name, verb) in verbs.chain(verbs_of(&doc).into_iter().step_by(15)) {
            let Ok(set) = verb(&doc) else { continue };
            let result = set.apply(&doc);
            let windows = with_crlf(&doc);
            let windows_result = verb(&windows).unwrap().apply(&windows);
            assert_eq!(windows_result, with_crlf(&result), "{verb_name} on {name}");
            let unended = doc.trim_end_matches('\n');
            let unended_result = verb(unended).unwrap().apply(unended);
            assert_eq!(
                unended_result,
                result.trim_end_matches('\n'),
                "{verb_name} on {name}"
            );
        }
    }
}

#[test]
fn edits_of_different_items_commute() {
    let mut done = 0;
    for (name, doc) in corpus_of("queue") {
        let mut sets: Vec<(String, EditSet)> = Vec::new();
        for item in items(&doc) {
            sets.extend(
                annotate(&doc, &item.id, &submitted())
                    .ok()
                    .map(|set| (item.id, set)),
            );
        }
        for pair in sets.windows(2) {
            let [(one_id, one), (two_id, two)] = pair else {
                unreachable!()
            };
            let merged = one.clone().merge(two.clone()).unwrap().apply(&doc);
            let after = |first: &EditSet, then: &str| {
                let between = first.apply(&doc);
                annotate(&between, then, &submitted())
                    .unwrap()
                    .apply(&between)
            };
            assert_eq!(after(one, two_id), merged, "{one_id}, {two_id} of {name}");
            assert_eq!(after(two, one_id), merged, "{two_id}, {one_id} of {name}");
            done += 1;
        }
    }
    assert!(done == 0 || done > 50, "only {done} pairs were tried");
}

#[test]
fn an_entry_lives_its_life_in_every_real_document() {
    for (name, doc) in corpus_of("debugging") {
        let before = entries(&doc).len();
        let added = add_entry(&doc, &failure()).unwrap().apply(&doc);
        let noted = annotate_entry(&added, &failure().key, &submitted())
            .unwrap()
            .apply(&added);
        let resolved = resolve_entry(&noted, &failure().key, "gone")
            .unwrap()
            .apply(&noted);
        let found = entries(&resolved);
        assert_eq!(found.len(), before + 1, "{name}");
        let ours: Vec<_> = found.iter().filter(|entry| entry.key.is_some()).collect();
        assert!(
            matches!(ours[..], [entry] if !entry.open),
            "{name}: {ours:?}"
        );
        let headings = |doc: &str| {
            outline::sections(doc)
                .into_iter()
                .map(|s| s.title)
                .collect::<Vec<_>>()
        };
        let mut titles = headings(&resolved);
        if !headings(&doc).iter().any(|title| title == "Active Issues") {
            titles.retain(|title| title != "Active Issues");
        }
        assert_eq!(titles, headings(&doc), "{name}");
    }
}

/// A line of a document that has what the verbs look for, and what could be in their way.
fn line() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "",
        "",
        "",
        "# Queue",
        "## READY",
        "## RUNNING",
        "## IN_PROGRESS / SUBMITTED",
        "## DONE",
        "## Active Issues",
        "## Resolved",
        "## Runs",
        "## Ready",
        "## Projects",
        "### Q-001: one",
        "### Q-002: two",
        "#### Q-003 - three",
        "### Phase 1",
        "- [ ] **Q-004**: four",
        "- [ ] (T1) task",
        "  - [x] (T2) nested",
        "- [ ] (D4) entry",
        "- Status: by hand",
        "  - Config: `x`",
        "(none)",
        "...",
        "---",
        "===",
        "```",
        "  ```",
        "~~~",
        "<!-- note",
        "-->",
        "text",
        "  indented",
        "    code",
        "> quote",
        "> - [ ] (T3) quoted",
        "| Run | Job |",
        "|---|---|",
        "| q001 | 2 |",
        "1. numbered",
        "* star",
        "\ttab",
        "<details>",
        "- Run: r <!-- ralph -->",
        "- [ ] (D1) ours <!-- ralph: q001/56017331 -->",
        "- `zz`: project",
    ])
    .prop_map(str::to_owned)
}

fn document() -> impl Strategy<Value = String> {
    let newline = prop::sample::select(vec!["\n", "\r\n"]);
    let end = any::<bool>();
    let bom = prop::sample::select(vec!["", "", "\u{feff}"]);
    (prop::collection::vec(line(), 0..24), newline, end, bom).prop_map(
        |(lines, newline, end, bom)| {
            let mut doc = format!("{bom}{}", lines.join(newline));
            if end && !lines.is_empty() {
                doc.push_str(newline);
            }
            doc
        },
    )
}

/// Every verb and every reader, for the sake of what they must not do.
fn try_everything(doc: &str) {
    let mut verbs = general_verbs();
    for id in ["Q-001", "Q-003", "Q-004"] {
        for to in [
            QueueSection::Ready,
            QueueSection::InProgress,
            QueueSection::Other("New".to_owned()),
        ] {
            verbs.push((
                "move",
                Box::new(move |doc| move_item(doc, id, &to, &submitted())),
            ));
        }
        verbs.push((
            "annotate",
            Box::new(move |doc| annotate(doc, id, &submitted())),
        ));
    }
    for id in ["T1", "T2"] {
        verbs.push(("check", Box::new(move |doc| todo::check(doc, id))));
        verbs.push(("uncheck", Box::new(move |doc| todo::uncheck(doc, id))));
        verbs.push((
            "note",
            Box::new(move |doc| todo::note(doc, id, &submitted())),
        ));
    }
    let key = "q001/56017331";
    verbs.push((
        "resolve",
        Box::new(move |doc| resolve_entry(doc, key, "gone")),
    ));
    verbs.push((
        "annotate entry",
        Box::new(move |doc| annotate_entry(doc, key, &submitted())),
    ));
    verbs.push((
        "cell",
        Box::new(move |doc| table::set_cell(doc, "q001", "Job", "3")),
    ));
    for (name, verb) in verbs {
        let before_the_cell = name == "cell";
        let Ok(set) = verb(doc) else { continue };
        if before_the_cell {
            assert!(verb(&set.apply(doc)).unwrap().is_empty());
        } else {
            check_laws(name, doc, &verb).unwrap();
        }
    }
    let _ = (
        problems(doc),
        items(doc),
        entries(doc),
        todo::tasks(doc),
        table::tables(doc),
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn laws_hold_on_random_documents(doc in document()) {
        try_everything(&doc);
    }

    #[test]
    fn nothing_panics_on_any_text(doc in any::<String>(), noise in "[-#>*`~|:<!x \\[\\]()\t\r\n\u{feff}Q0-9é]{0,60}") {
        try_everything(&doc);
        try_everything(&noise);
    }
}
