//! Reading, choosing and marking tasks, in plans that people wrote and in arbitrary text.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::edit::Edit;
use crate::test_support::{corpus_documents, corpus_of};
use crate::verify::checked;

fn read(doc: &str, flavour: Flavour) -> Reading {
    Reading::new(doc.to_owned(), flavour)
}

const PLAN: &str = "\
# Plan

- [ ] before any section
## High Priority
- [ ] **R01.** Parse `a|b` and $(x)
  - [~] an indented part
\t- [X] a part behind a tab
- [x] [AUTH-01] Fix
- [] no state
- [  ] two blanks
- [!] other state
- [ ]
-  [ ] two blanks behind the bullet
* [ ] another bullet
1. [ ] a number
> - [ ] quoted

```text
- [ ] in a fence
```
<!-- hidden:
- [ ] in a comment
- [ ] at its end -->

    - [ ] indented code

<details>
- [ ] folded
</details>

## Notes
- [ ] **R01.** Parse `a|b` and $(x)
- [ ] twice
- [~] twice
- [ ] [docs](https://example.org) are linked
";

const WORKSPACE: &str = "\
- [ ] before the first
# Title
- [ ] still before
## api
- [ ] one
  - [ ] not a task of its own
### web-app_2.0  \t
- [~] two
#### Detail
- [x] three
##no heading
 ## indented
## \u{1f680} rocket
- [ ] four
## api
- [ ] one
";

fn show(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let (key, mark) = (&row.key, row.mark);
        let bead = row.bead.as_deref().unwrap_or("-");
        writeln!(
            text,
            "{:>2} line {:>2} +{} {mark} {} {bead} | {:?} {:?} {}",
            row.ordinal, row.line, row.indent, row.id, key.section, key.text, key.occurrence
        )
        .unwrap();
    }
    text
}

#[test]
fn a_plan_of_one_repository() {
    insta::assert_snapshot!(show(&rows(PLAN, Flavour::Repository)));
}

#[test]
fn a_plan_of_a_workspace() {
    insta::assert_snapshot!(show(&rows(WORKSPACE, Flavour::Workspace)));
    let reading = read(WORKSPACE, Flavour::Workspace);
    let problems = reading.problems().iter().map(|problem| problem.line);
    assert_eq!(problems.collect::<Vec<_>>(), [Some(1)]);
}

#[test]
fn what_hides_tasks_is_a_problem() {
    let doc = "- [ ] a\n\n```\n- [ ] b\n";
    assert_eq!(rows(doc, Flavour::Repository).len(), 1);
    let reading = read(doc, Flavour::Repository);
    assert_eq!(
        reading
            .problems()
            .iter()
            .map(|p| (p.code, p.line))
            .collect::<Vec<_>>(),
        [(DocErrorCode::Malformed, Some(3))]
    );
    assert!(read(PLAN, Flavour::Repository).problems().is_empty());
}

#[test]
fn ids_are_names_for_branches() {
    for (text, id) in [
        ("Fix Authentication Bug", "fix-authentication-bug"),
        (
            "Fix --the-- BROKEN   endpoint!!!",
            "fix-the-broken-endpoint",
        ),
        ("**T01.** Do x", "t01-do-x"),
        ("\u{4fee}\u{590d}", "task"),
        ("[AUTH-01] Fix", "AUTH-01"),
        ("[a b] c", "a-b-c"),
        ("[P1]: c", "p1-c"),
        ("[x](y)", "x-y"),
    ] {
        let doc = format!("- [ ] {text}");
        assert_eq!(rows(&doc, Flavour::Repository)[0].id, id, "{text}");
    }
    // The cut comes behind a blank here, and no name ends with a dash.
    let doc = format!("- [ ] {} end", "a".repeat(49));
    assert_eq!(rows(&doc, Flavour::Repository)[0].id, "a".repeat(49));
}

#[test]
fn one_character_changes() {
    let doc = "## A\r\n- [ ] twice\r\n- [ ] twice";
    let plan = read(doc, Flavour::Repository);
    let second = &plan.rows()[1].key;
    let Marked::Changed(changed) = plan.set_mark(second, &[Mark::Open], Mark::Claimed) else {
        panic!("the second one is open")
    };
    assert_eq!(changed.text(), "## A\r\n- [ ] twice\r\n- [~] twice");
}

#[test]
fn a_mark_that_may_not_change_stays() {
    let doc = "- [x] a\n- [X] b\n- [~] c\n";
    let plan = read(doc, Flavour::Repository);
    let rows = plan.rows();
    let set = |index: usize, from: &[Mark], to| plan.set_mark(&rows[index].key, from, to);
    let done = Marked::Already(Mark::Done);
    assert_eq!(set(0, &[Mark::Claimed], Mark::Open), done);
    assert_eq!(set(1, &[Mark::Claimed, Mark::Done], Mark::Done), done);
    assert_eq!(
        set(2, &[Mark::Open], Mark::Claimed),
        Marked::Already(Mark::Claimed)
    );
    let gone = RowKey {
        text: "d".to_owned(),
        ..rows[0].key.clone()
    };
    let found = plan.set_mark(&gone, &[Mark::Open], Mark::Done);
    assert_eq!(found, Marked::Gone);
}

#[test]
fn many_marks_change_at_once() {
    let doc = "- [~] a\n- [ ] b\n- [~] c\n";
    let plan = read(doc, Flavour::Repository);
    let rows = plan.rows();
    let keys: Vec<&RowKey> = rows.iter().chain(rows).map(|row| &row.key).collect();
    let changed = plan.set_marks(&keys, &[Mark::Claimed], Mark::Open);
    assert_eq!(changed.text(), "- [ ] a\n- [ ] b\n- [ ] c\n");
}

#[test]
fn a_capital_letter_that_is_done_already_stays() {
    let doc = "- [X] a\n- [~] b\n";
    let plan = read(doc, Flavour::Repository);
    let keys: Vec<&RowKey> = plan.rows().iter().map(|row| &row.key).collect();
    let changed = plan.set_marks(&keys, &ALL, Mark::Done);
    assert_eq!(changed.text(), "- [X] a\n- [x] b\n");
}

#[test]
fn a_moved_task_is_found_where_that_is_no_guess() {
    let key = |section: &str, occurrence| RowKey {
        section: section.to_owned(),
        text: "a".to_owned(),
        occurrence,
    };
    let line = |doc: &str, flavour, key: &RowKey| {
        find(&rows(doc, flavour), flavour, key).map(|row| row.line)
    };
    let moved = "## Old\n- [ ] b\n## New\n- [ ] a\n";
    assert_eq!(line(moved, Flavour::Repository, &key("Old", 0)), Some(4));
    assert_eq!(line(moved, Flavour::Workspace, &key("Old", 0)), None);
    let twice = "## New\n- [ ] a\n## Other\n- [ ] a\n";
    assert_eq!(line(twice, Flavour::Repository, &key("Old", 0)), None);
    // One of two twins was deleted: which one is not known.
    let twin = "## Old\n- [ ] a\n";
    assert_eq!(line(twin, Flavour::Repository, &key("Old", 1)), None);
}

#[test]
fn a_task_is_chosen_by_number_or_name() {
    let chosen = |doc: &str, query: &str| {
        select(&rows(doc, Flavour::Repository), query)
            .map(|row| row.line)
            .map_err(|error| error.to_string())
    };
    let doc = "- [x] **E50.** a\n- [ ] see E5 first\n- [ ] **E5:** b\n- [ ] v1.0 c\n- [ ] e5-c\n";
    for (query, line) in [
        ("E5", 3),
        ("e5", 3),
        ("E50", 1),
        ("v1.0", 4),
        ("e5-c", 5),
        ("see-e5-first", 2),
        ("first", 2),
        ("4", 4),
        (" 1 ", 1),
    ] {
        assert_eq!(chosen(doc, query), Ok(line), "{query}");
    }
    for query in [
        "E",
        "v1",
        "99",
        "0",
        "007",
        "",
        "*",
        "99999999999999999999999",
    ] {
        assert!(chosen(doc, query).is_err(), "{query}");
    }
    insta::assert_snapshot!(chosen(doc, "99").unwrap_err(), @"there is no task number 99; the plan has 5");
    insta::assert_snapshot!(chosen(doc, "E9").unwrap_err(), @"no task of the plan is named `E9`");
}

#[test]
fn of_several_the_open_one_is_meant() {
    let doc = "- [x] **E5** a\n- [~] **E5** b\n- [ ] **E5** c\n";
    let rows = rows(doc, Flavour::Repository);
    assert_eq!(select(&rows, "E5").unwrap().line, 3);
    assert_eq!(select(&rows[..2], "E5").unwrap().line, 2);
    assert_eq!(select(&rows[..1], "E5").unwrap().line, 1);
}

#[test]
fn a_plan_is_complete_when_all_of_it_is_done() {
    let complete = |doc: &str| is_complete(&rows(doc, Flavour::Repository));
    assert!(complete("- [x] a\n- [X] b\n- [NOTE] c\n"));
    for doc in ["", "text", "- [x] a\n- [~] b\n", "- [x] a\n- [ ] b\n"] {
        assert!(!complete(doc), "{doc:?}");
    }
}

const FLAVOURS: [Flavour; 2] = [Flavour::Repository, Flavour::Workspace];
const ALL: [Mark; 3] = [Mark::Open, Mark::Claimed, Mark::Done];

/// Everything that can be done to a text, and the laws that hold for it.
fn check_laws(doc: &str) -> usize {
    let mut done = 0;
    for flavour in FLAVOURS {
        let rows = rows(doc, flavour);
        for row in &rows {
            assert_eq!(find(&rows, flavour, &row.key), Some(row));
            assert_eq!(
                select(&rows, &row.ordinal.to_string()).map(|row| row.line),
                Ok(row.line)
            );
            assert!(select(&rows, &row.id).is_ok(), "{:?}", row.id);
            for to in ALL {
                check_mark(doc, flavour, &rows, row, to);
                done += 1;
            }
        }
    }
    done
}

fn check_mark(doc: &str, flavour: Flavour, before: &[Row], row: &Row, to: Mark) {
    let plan = read(doc, flavour);
    let marked = plan.set_mark(&row.key, &ALL, to);
    let Marked::Changed(changed) = marked else {
        assert_eq!(marked, Marked::Already(to));
        assert_eq!(row.mark, to);
        return;
    };
    let after = changed.text();
    // Locality: one byte differs.
    let differing = doc.bytes().zip(after.bytes()).filter(|(a, b)| a != b);
    assert_eq!((after.len(), differing.count()), (doc.len(), 1));
    // Identity and conservation: every task keeps its key, and only this one its mark not.
    let wanted: Vec<Row> = before
        .iter()
        .map(|other| Row {
            mark: if other.line == row.line {
                to
            } else {
                other.mark
            },
            ..other.clone()
        })
        .collect();
    assert_eq!(rows(after, flavour), wanted);
    // What is not scanned again is what a scan would have found, and every other line is read as before.
    assert_eq!(changed, read(after, flavour));
    assert_eq!(plan.follow(after.to_owned()), changed);
    let place = doc.bytes().zip(after.bytes()).position(|(a, b)| a != b);
    let place = place.unwrap();
    let edit = Edit::replace(place..place + 1, to.character());
    assert!(checked(&Document::new(doc), vec![edit]).is_ok());
    // Idempotence, and the way back.
    let again = changed.set_mark(&row.key, &ALL, to);
    assert_eq!(again, Marked::Already(to));
    if let Marked::Changed(back) = changed.set_mark(&row.key, &ALL, row.mark) {
        assert_eq!(back.text().replace('X', "x"), doc.replace('X', "x"));
    }
}

#[test]
fn laws_hold_on_every_real_document() {
    let mut done = 0;
    // The documents are versions of a few files: another part of the tasks of each shows everything.
    for (index, (name, doc)) in corpus_of("todo").into_iter().enumerate() {
        for flavour in FLAVOURS {
            let rows = rows(&doc, flavour);
            for row in rows.iter().skip(index % 4).step_by(4) {
                assert_eq!(find(&rows, flavour, &row.key), Some(row), "{name}");
                check_mark(&doc, flavour, &rows, row, ALL[done % 3]);
                done += 1;
            }
        }
    }
    assert!(done == 0 || done > 100, "only {done} marks were tried");
}

#[test]
fn line_endings_change_no_key() {
    for (name, doc) in corpus_documents() {
        let unix = doc.replace("\r\n", "\n");
        let windows = unix.replace('\n', "\r\n");
        for flavour in FLAVOURS {
            assert_eq!(rows(&windows, flavour), rows(&unix, flavour), "{name}");
        }
    }
}

fn line() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        "",
        "",
        "## api",
        "### web  ",
        "## \u{1f680}",
        "# a",
        "#### b",
        "```",
        "~~~",
        "<!--",
        "-->",
        "<pre>",
        "</pre>",
        "<div>",
        "text",
        "    code",
        "> - [ ] quoted",
        "---",
        "- [ ]",
        "- [] a",
        "1. [ ] a",
    ])
    .prop_map(str::to_owned);
    let task = (
        "[ \t]{0,6}",
        prop::sample::select(vec![" ", "~", "x", "X", "!", ""]),
        prop::sample::select(vec![
            "a",
            "a",
            "**E5.** b",
            "[E-1] c",
            "`|$(x)`",
            "\u{4fee}",
            "```",
            "<!-- d",
        ]),
    )
        .prop_map(|(indent, state, text)| format!("{indent}- [{state}] {text}"));
    prop_oneof![fixed, task]
}

fn document() -> impl Strategy<Value = String> {
    let newline = prop::sample::select(vec!["\n", "\r\n", "\r"]);
    let bom = prop::sample::select(vec!["", "\u{feff}"]);
    (
        prop::collection::vec(line(), 0..20),
        newline,
        bom,
        any::<bool>(),
    )
        .prop_map(|(lines, newline, bom, ended)| {
            let end = if ended { newline } else { "" };
            format!("{bom}{}{end}", lines.join(newline))
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn laws_hold_on_random_plans(doc in document()) {
        check_laws(&doc);
    }

    #[test]
    fn a_plan_that_is_followed_is_a_plan_that_is_read(
        doc in document(),
        other in document(),
        at in any::<prop::sample::Index>(),
        put in prop::sample::select(vec!["", " ", "~", "x", "X", "!", "\n", "```", "- [ ] z\n", "\u{e9}"]),
        is_cut in any::<bool>(),
    ) {
        // One character is put in, or in the place of another: in a box, in a text, between lines.
        let mut changed: Vec<char> = doc.chars().collect();
        let at = at.index(changed.len() + 1);
        let end = (at + usize::from(is_cut)).min(changed.len());
        changed.splice(at..end, put.chars());
        let changed: String = changed.into_iter().collect();
        for flavour in FLAVOURS {
            let before = read(&doc, flavour);
            prop_assert_eq!(before.follow(changed.clone()), read(&changed, flavour));
            prop_assert_eq!(before.follow(other.clone()), read(&other, flavour));
        }
    }

    #[test]
    fn nothing_panics_on_any_text(doc in any::<String>(), query in any::<String>(), noise in "[-#>*`~|:<!xX \\[\\]()\t\r\n\u{feff}0-9é]{0,80}") {
        check_laws(&doc);
        check_laws(&noise);
        for text in [&doc, &noise] {
            let _ = select(&rows(text, Flavour::Repository), &query);
        }
    }

    #[test]
    fn an_inserted_line_changes_no_other_key(doc in document(), at in 0_usize..20, added in "[a-z ]{0,12}") {
        let before = rows(&doc, Flavour::Repository);
        let mut lines: Vec<&str> = doc.split('\n').collect();
        lines.insert(at.min(lines.len()), &added);
        let after = rows(&lines.join("\n"), Flavour::Repository);
        // A blank line can end raw HTML, and a text can become a heading by the line below it.
        let is_plain = !doc.contains('<') && !doc.contains("---") && !doc.contains('\u{feff}');
        if is_plain {
            let keys = |rows: &[Row]| rows.iter().map(|row| row.key.clone()).collect::<Vec<_>>();
            prop_assert_eq!(keys(&before), keys(&after));
        }
    }
}
