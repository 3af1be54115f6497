//! The classifier against labelled logs of real jobs, where they are at hand: from the text alone.

#![expect(
    clippy::print_stderr,
    reason = "the table is the result, and a skipped test says so aloud"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;

/// Where the real files are: `RALPH_CORPUS`, else beside the workspace.
#[expect(clippy::disallowed_methods, reason = "a test says where its data is")]
fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("RALPH_CORPUS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus"),
        PathBuf::from,
    );
    folder.join("logs/labels.tsv").is_file().then_some(folder)
}

/// The logs of one job and the label they share.
struct LabelledSet {
    name: String,
    label: String,
    logs: Vec<LogText>,
}

fn labelled_sets(corpus: &Path) -> Vec<LabelledSet> {
    let table = std::fs::read_to_string(corpus.join("logs/labels.tsv")).unwrap();
    let mut sets: BTreeMap<String, LabelledSet> = BTreeMap::new();
    for row in table.lines().skip(1) {
        let mut columns = row.split('\t');
        let (file, label) = (columns.next().unwrap(), columns.next().unwrap());
        let name = file.trim_end_matches(".out").trim_end_matches(".err");
        let stream = if file.ends_with(".err") {
            Stream::Err
        } else {
            Stream::Out
        };
        let bytes = std::fs::read(corpus.join("logs").join(file)).unwrap();
        let set = sets.entry(name.to_owned()).or_insert_with(|| LabelledSet {
            name: name.to_owned(),
            label: label.to_owned(),
            logs: Vec::new(),
        });
        assert_eq!(
            set.label, label,
            "{name}: the logs of one job share one label"
        );
        set.logs.push(LogText::from_bytes(file, stream, &bytes));
    }
    sets.into_values().collect()
}

/// The corpus has a word for "no failure" and two for "nothing was found".
fn expected(label: &str) -> &str {
    match label {
        "success" => "none",
        "no_error_no_completion" | "empty" => "unknown",
        other => other,
    }
}

#[test]
fn labelled_logs_of_real_jobs() {
    let Some(corpus) = corpus() else {
        eprintln!("SKIPPED: no corpus of labelled logs is here (set RALPH_CORPUS)");
        return;
    };
    let mut table: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut misled = 0;
    let sets = labelled_sets(&corpus);
    for set in &sets {
        let case = Case {
            logs: &set.logs,
            ..Case::default()
        };
        let diagnosis = classify(&case);
        let found = diagnosis.label();
        if found != expected(&set.label) {
            wrong.push(format!("{}: {} instead of {}", set.name, found, set.label));
            misled += usize::from(found != "unknown");
        }
        *table.entry((set.label.clone(), found)).or_default() += 1;
    }
    eprintln!("{:<38}{:<38}{:>5}", "label", "class", "sets");
    for ((label, class), count) in &table {
        eprintln!("{label:<38}{class:<38}{count:>5}");
    }
    let right = sets.len() - wrong.len();
    eprintln!(
        "{right} of {} sets are right\n{}",
        sets.len(),
        wrong.join("\n")
    );
    assert!(right * 100 >= sets.len() * 95, "{wrong:?}");
    // What is not recognised should be unknown; a wrong class costs more than none.
    assert!(misled * 100 <= sets.len() * 2, "{wrong:?}");
}

#[test]
fn key_lines_stand_where_they_are_said_to_stand() {
    let Some(corpus) = corpus() else {
        eprintln!("SKIPPED: no corpus of labelled logs is here (set RALPH_CORPUS)");
        return;
    };
    for set in labelled_sets(&corpus) {
        let case = Case {
            logs: &set.logs,
            ..Case::default()
        };
        for found in classify(&case).matches {
            let bytes = std::fs::read(corpus.join("logs").join(&found.key.path)).unwrap();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let line = text
                .split('\n')
                .nth(found.key.line - 1)
                .unwrap_or_default()
                .replace("\x1b[A", "");
            assert!(
                line.contains(&found.key.text),
                "{}: {:?}",
                set.name,
                found.key
            );
        }
    }
}
