//! Planning against written queues: what researchers of several habits write, answered before the rules were looked at.
//!
//! The texts are in `../written/*.queues`. A line `#case` starts a case; `#files` names what exists in the project,
//! separated by spaces, or by `|` where a name has one; each `#submit ID SCRIPT CONFIG` is an item that a careful
//! colleague would submit, with its script and configuration (`-` for none); `#rest` says what is right about all else:
//! `hold` it, `ask` a person, or `nothing`; `#why` says why;
//! `#known` is a case that is answered wrong, and says what it would take; `#doc` starts the document. `␍`, `␉` and `␠` stand for the characters,
//! `⟨ff⟩` for a byte, and `␄` at the end of a line for its missing end.

use std::collections::BTreeSet;

use ralph_docs::queue::{self, QueueSection};

use crate::plan::items;
use crate::project::{self, Texts};
use crate::store::layout;
use crate::validate::{named_config, script_of};
use crate::world::Facts;

#[derive(Default)]
struct Written {
    name: String,
    files: BTreeSet<String>,
    submits: Vec<String>,
    rests: Vec<String>,
    is_known: bool,
    doc: Vec<u8>,
}

fn read(text: &str) -> Vec<Written> {
    let mut cases: Vec<Written> = Vec::new();
    let mut is_in_doc = false;
    for line in text.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "#case" {
            let name = rest.to_owned();
            cases.push(Written {
                name,
                ..Written::default()
            });
            is_in_doc = false;
            continue;
        }
        let case = cases.last_mut().unwrap();
        match word {
            _ if is_in_doc => bytes_of(line, &mut case.doc),
            "#files" => {
                let by = if rest.contains('|') { '|' } else { ' ' };
                case.files = rest.split(by).map(str::to_owned).collect();
            }
            "#submit" => case.submits.push(rest.to_owned()),
            "#rest" => case.rests = rest.split('/').map(str::to_owned).collect(),
            "#why" => {}
            "#known" => case.is_known = true,
            "#doc" => is_in_doc = true,
            other => panic!("{other}"),
        }
    }
    cases
}

fn bytes_of(line: &str, into: &mut Vec<u8>) {
    let line = line.replace('␍', "\r").replace('␉', "\t").replace('␠', " ");
    let line = format!("{line}\n").replace("␄\n", "");
    let mut parts = line.split('⟨');
    into.extend(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let (byte, rest) = part.split_once('⟩').unwrap();
        into.push(u8::from_str_radix(byte, 16).unwrap());
        into.extend(rest.as_bytes());
    }
}

fn facts(case: &Written) -> Facts {
    let mut texts = Texts::new();
    let state = r#"{"project": "p", "phase": "RUN", "active_runs": [], "completed_runs": []}"#;
    texts.insert(layout::PIPELINE.to_owned(), state.to_owned());
    let doc = String::from_utf8_lossy(&case.doc).into_owned();
    texts.insert(layout::QUEUE.to_owned(), doc);
    project::facts(&"p".parse().unwrap(), &texts).unwrap()
}

/// What happens, in the notation of the cases: the submissions, and what is done about the rest.
fn answered(case: &Written) -> (Vec<String>, &'static str, String) {
    let facts = facts(case);
    let (mut submits, mut problems, mut held) = (Vec::new(), Vec::new(), Vec::new());
    for item in &facts.queue {
        if item.section != QueueSection::Ready {
            continue;
        }
        if !items::is_ready(&facts, item) {
            let why = item.held.clone();
            held.push(format!("{}: {why:?} after {:?}", item.id, item.after));
            continue;
        }
        // As the preflight looks at it.
        let config = named_config(item);
        let missing = config.iter().find(|path| !case.files.contains(*path));
        match (script_of(item, &facts.queue, &case.files), missing) {
            (Ok(script), _) if !case.files.contains(&script) => {
                problems.push(format!("{}: no {script}", item.id));
            }
            (Ok(_), Some(config)) => problems.push(format!("{}: no {config}", item.id)),
            (Ok(script), None) => {
                let config = config.unwrap_or_else(|| "-".to_owned());
                submits.push(format!("{} {script} {config}", item.id));
            }
            (Err(problem), _) => problems.push(format!("{}: {problem}", item.id)),
        }
    }
    problems.extend(items::unanswered(&facts));
    let rest = match (problems.is_empty(), held.is_empty()) {
        (false, _) => "ask",
        (true, false) => "hold",
        (true, true) => "nothing",
    };
    problems.extend(held);
    (submits, rest, problems.join("; "))
}

/// The cases that are answered otherwise than written, one line each, and those that are right though they are known not
/// to be.
fn differences(text: &str) -> Vec<String> {
    let differs = |case: &Written| {
        let (submits, rest, why) = answered(case);
        let is_right = submits == case.submits && case.rests.iter().any(|right| right == rest);
        (is_right == case.is_known).then(|| {
            format!(
                "{}: expected {:?} and {:?}, found {submits:?} and {rest} ({why})",
                case.name, case.submits, case.rests
            )
        })
    };
    read(text).iter().filter_map(differs).collect()
}

const SETS: [(&str, &str); 8] = [
    ("first", include_str!("../written/first.queues")),
    ("second", include_str!("../written/second.queues")),
    ("third", include_str!("../written/third.queues")),
    ("fourth", include_str!("../written/fourth.queues")),
    ("fifth", include_str!("../written/fifth.queues")),
    ("sixth", include_str!("../written/sixth.queues")),
    ("seventh", include_str!("../written/seventh.queues")),
    ("eighth", include_str!("../written/eighth.queues")),
];

#[test]
fn written_queues_are_answered_as_a_careful_colleague_would() {
    let report = |(name, text): (&str, &str)| {
        let found = differences(text);
        let (differ, all) = (found.len(), read(text).len());
        (differ > 0).then(|| format!("{name}: {differ} of {all} differ\n{}", found.join("\n")))
    };
    let report: Vec<String> = SETS.into_iter().filter_map(report).collect();
    assert!(report.is_empty(), "{}", report.join("\n"));
}

#[test]
fn written_queues_have_names_of_their_own() {
    let cases: Vec<Written> = SETS.iter().flat_map(|(_, text)| read(text)).collect();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len());
}

/// The document as other editors leave it: each with what it is.
fn variants(doc: &str) -> Vec<(&'static str, String)> {
    let plain = doc.replace("\r\n", "\n");
    let plain = plain.trim_start_matches('\u{feff}');
    let spaced = |line: (usize, &str)| match line.0 % 3 {
        0 => format!("{}  \n", line.1),
        1 => format!("{}\t\n", line.1),
        _ => format!("{}\n", line.1),
    };
    let mixed = |(at, line): (usize, &str)| match at % 2 {
        0 => format!("{line}\r\n"),
        _ => format!("{line}\n"),
    };
    vec![
        ("as written", doc.to_owned()),
        ("CRLF", plain.replace('\n', "\r\n")),
        (
            "both line ends",
            plain.lines().enumerate().map(mixed).collect(),
        ),
        ("byte order mark", format!("\u{feff}{plain}")),
        ("no final newline", plain.trim_end().to_owned()),
        ("tabs", plain.replace("\n  ", "\n\t").replace("- ", "-\t")),
        (
            "spaces at the end",
            plain.lines().enumerate().map(spaced).collect(),
        ),
        (
            "a byte that was no text",
            plain.replacen(':', ": \u{fffd}", 2),
        ),
    ]
}

/// The lines with content and their ends, without those that may come and go: the machine's, `(none)`, a new section.
/// The document's last line may have no end.
fn lines_of(doc: &str) -> Vec<&str> {
    let lines = doc.trim_start_matches('\u{feff}').split_inclusive('\n');
    let comes_and_goes = |line: &str| {
        let line = line.trim();
        line.is_empty() || line == "(none)" || line.ends_with("<!-- ralph -->")
    };
    let mut lines: Vec<&str> = lines.filter(|line| !comes_and_goes(line)).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn an_edit_leaves_all_other_bytes_of_written_queues_alone() {
    let machine = [
        ("Run", "q001_20260112_233413"),
        ("Job", "4711"),
        ("Status", "submitted"),
    ];
    let machine = machine.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let mut done = 0;
    for case in SETS.iter().flat_map(|(_, text)| read(text)) {
        let written = String::from_utf8_lossy(&case.doc).into_owned();
        for (what, doc) in variants(&written) {
            for item in queue::items(&doc) {
                let edits = [
                    queue::annotate(&doc, &item.id, &machine),
                    queue::move_item(&doc, &item.id, &QueueSection::InProgress, &machine),
                    queue::move_item(&doc, &item.id, &QueueSection::Failed, &[]),
                ];
                for edit in edits {
                    // An id that stands twice is not touched.
                    let Ok(edit) = edit else { continue };
                    let after = edit.apply(&doc);
                    let name = format!("{}, {what}, {}", case.name, item.id);
                    check_conserved(&name, &doc, &after);
                    done += 1;
                }
            }
        }
    }
    assert!(done > 2000, "only {done} edits");
}

fn check_conserved(name: &str, before: &str, after: &str) {
    assert_eq!(
        before.starts_with('\u{feff}'),
        after.starts_with('\u{feff}'),
        "{name}"
    );
    assert_eq!(before.ends_with('\n'), after.ends_with('\n'), "{name}");
    let bare = |line: &str| line.trim_end_matches(['\r', '\n']).to_owned();
    let new = ["## IN_PROGRESS", "## FAILED"];
    let kept = lines_of(after);
    let mut kept: Vec<&str> = kept
        .into_iter()
        .filter(|line| before.contains(*line) || !new.contains(&bare(line).as_str()))
        .collect();
    let mut was = lines_of(before);
    // The last line has no end, and another one may be the last now.
    if !before.ends_with('\n') {
        let plain: Vec<Vec<String>> = [&was, &kept]
            .map(|lines| lines.iter().map(|line| bare(line)).collect())
            .into();
        assert_eq!(plain[0], plain[1], "{name}");
        (was, kept) = (Vec::new(), Vec::new());
    }
    assert_eq!(was, kept, "{name}");
    if !before.replace("\r\n", "").contains('\n') {
        assert!(!after.replace("\r\n", "").contains('\n'), "{name}");
    }
}
