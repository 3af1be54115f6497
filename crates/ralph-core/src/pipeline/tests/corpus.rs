//! The real files: read where they are present, never copied. `RALPH_CORPUS` names the folder.

#![expect(
    clippy::print_stderr,
    reason = "what was not tested, and on how much the rest was, is said aloud"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use similar::{ChangeTag, TextDiff};

use super::super::lines::Lines;
use super::super::record;
use super::super::tree::Tree;
use super::super::{PipelineEdit, PipelineError, PipelineFile, repair_trailing_commas, skim};
use super::{map, set};
use crate::error::Coded as _;

/// The folder of the real state files, if it is there.
fn corpus() -> Option<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test is told where the real files are"
    )]
    let named = std::env::var_os("RALPH_CORPUS").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let folder = named.unwrap_or_else(beside).join("pipeline");
    folder.is_dir().then_some(folder)
}

/// The real files with their names, in order. None, said aloud, where they are absent.
pub(super) fn real_files() -> Vec<(String, String)> {
    let Some(folder) = corpus() else {
        eprintln!("SKIPPED: no corpus of state files; set RALPH_CORPUS");
        return Vec::new();
    };
    let mut files: Vec<(String, String)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// Those that can be read.
fn readable() -> impl Iterator<Item = (String, PipelineFile)> {
    real_files()
        .into_iter()
        .filter_map(|(name, text)| Some((name, PipelineFile::parse(text).ok()?)))
}

#[test]
fn every_real_file_is_read_as_it_is_or_refused_with_its_place() {
    let (mut readable, mut commas, mut twice, mut warnings, mut runs) = (0, 0, 0, 0, 0);
    for (name, text) in real_files() {
        let known = serde_json::from_str::<Value>(&text).is_ok();
        let skimmed = skim(text.as_bytes());
        match PipelineFile::parse(text.clone()) {
            Ok(file) => {
                readable += 1;
                let view = file.view();
                warnings += view.warnings.len();
                runs += view.active_runs.len() + view.completed_runs.len();
                assert!(known && file.text() == text, "{name}");
                assert_eq!(file.edit(&[]).unwrap(), text, "{name}");
                let live = view.active_runs.iter().filter(|run| run.status.is_live());
                assert_eq!(skimmed.unwrap().live_runs, live.count(), "{name}");
            }
            Err(error @ PipelineError::Corrupt { line, column, .. }) => {
                commas += 1;
                assert!(!known, "{name}: {error}");
                assert_eq!(skimmed.unwrap_err(), error, "{name}");
                let fix = format!("Remove the comma at line {line}, column {column}.");
                assert_eq!(error.hint().unwrap().0, fix, "{name}");
                let place = text.lines().nth(line - 1).unwrap().chars().nth(column - 1);
                assert_eq!(place, Some(','), "{name}");
                let (mended, repaired) = repair_trailing_commas(&text).unwrap();
                assert_eq!(
                    (repaired.len(), mended.len()),
                    (1, text.len() - 1),
                    "{name}"
                );
                assert_eq!(
                    (repaired[0].line, repaired[0].column),
                    (line, column),
                    "{name}"
                );
            }
            Err(error @ PipelineError::DuplicateKey { .. }) => {
                twice += 1;
                assert!(known, "{name}: {error}");
                assert_eq!(repair_trailing_commas(&text), None, "{name}");
            }
            Err(other) => panic!("{name}: {other}"),
        }
    }
    let files = readable + commas + twice;
    eprintln!(
        "corpus: {files} state files, {readable} readable, {commas} with a comma left behind, {twice} with a key \
         twice; {runs} runs, {warnings} warnings"
    );
}

/// Lines of a value, counted from 0, with one more on either side: the comma of a neighbour may move.
fn around(text: &str, lines: &Lines, span: std::ops::Range<usize>) -> std::ops::Range<usize> {
    let first = lines.line(span.start).saturating_sub(2);
    let last = lines.line(span.end.min(text.len()));
    first..last + 1
}

/// Lines that may change when the record at `place` of `list` comes or goes.
fn neighbourhood(file: &PipelineFile, list: &str, place: usize) -> BTreeSet<usize> {
    let lines = Lines::of(file.text().as_bytes());
    let id = match record::list_node(file, list) {
        None => file.tree.children(Tree::ROOT).last().unwrap(),
        Some(list) => file.tree.children(list).nth(place).unwrap_or(list),
    };
    around(file.text(), &lines, file.tree.node(id).span()).collect()
}

#[test]
fn completing_a_run_of_a_real_file_touches_its_own_lines_and_no_others() {
    let mut completed = 0;
    for (name, file) in readable() {
        let view = file.view();
        let Some(run) = view.active_runs.first() else {
            continue;
        };
        let edit = PipelineEdit::CompleteRun {
            run: run.key.clone(),
            set: map(
                json!({"status": "completed", "slurm_state": "COMPLETED", "exit_code": "0:0"}),
            ),
        };
        let text = file.edit(std::slice::from_ref(&edit)).unwrap();
        let after = PipelineFile::parse(text).unwrap();
        assert_eq!(after.edit(&[edit]).unwrap(), after.text(), "{name}");
        let moved = after.view().active_runs.len() + 1 == view.active_runs.len();
        let listed = view.completed_runs.iter().any(|other| {
            (&other.key.run_id, &other.key.job_id) == (&run.key.run_id, &run.key.job_id)
        });
        assert_eq!(moved, !listed, "{name}");

        let last = view.completed_runs.len();
        let mut old_lines = neighbourhood(&file, "active_runs", run.index);
        old_lines.extend(neighbourhood(
            &file,
            "completed_runs",
            last.saturating_sub(1),
        ));
        let mut new_lines = neighbourhood(&after, "active_runs", run.index);
        // Where the list is new, all of it is.
        let first_of_all = if last == 0 { usize::MAX } else { last };
        new_lines.extend(neighbourhood(&after, "completed_runs", first_of_all));
        for change in TextDiff::from_lines(file.text(), after.text()).iter_all_changes() {
            let (touched, allowed) = match change.tag() {
                ChangeTag::Equal => continue,
                ChangeTag::Delete => (change.old_index(), &old_lines),
                ChangeTag::Insert => (change.new_index(), &new_lines),
            };
            assert!(allowed.contains(&touched.unwrap()), "{name}: {change:?}");
        }
        completed += 1;
    }
    eprintln!("corpus: a run was completed in {completed} files");
}

/// Edits that every real file has to take.
pub(super) fn edits(file: &PipelineFile) -> Vec<PipelineEdit> {
    let mut edits = vec![
        set(&["phase"], "CHECK"),
        set(
            &["needs_user_input"],
            json!({"value": true, "prompt": "no session \u{2014} connect", "set_by": "ralph"}),
        ),
        set(&["slurm_wait", "next_poll_after"], "2026-11-20T12:00:00Z"),
        PipelineEdit::AppendEvent {
            event: map(
                json!({"ts": "2026-11-20T12:00:00Z", "action": "CHECK", "detail": "\u{e9}"}),
            ),
        },
        PipelineEdit::AddRun {
            run: map(
                json!({"run_id": "q999_20261120_120000", "job_id": null, "status": "pending"}),
            ),
        },
    ];
    if let Some(run) = file.view().active_runs.last() {
        edits.push(PipelineEdit::UpdateRun {
            run: run.key.clone(),
            set: map(json!({"status": "running", "polled_at": "2026-11-20T12:00:00Z"})),
        });
    }
    edits
}

#[test]
fn edits_of_real_files_keep_their_form_and_change_few_lines() {
    let mut edited = 0;
    for (name, file) in readable() {
        let edits = edits(&file);
        let after = file.edit(&edits).unwrap();
        let again = PipelineFile::parse(after.clone()).unwrap();
        assert_eq!(again.edit(&edits).unwrap(), after, "{name}");
        let before = file.text();
        assert_eq!(
            before.is_ascii() && before.contains("\\u"),
            after.is_ascii(),
            "{name}"
        );
        assert_eq!(before.ends_with('\n'), after.ends_with('\n'), "{name}");
        let diff = TextDiff::from_lines(before, &after);
        let removed = diff
            .iter_all_changes()
            .filter(|change| change.tag() == ChangeTag::Delete);
        // One line per member that is set, and one per list or object that ends later than it did.
        assert!(removed.count() <= 14, "{name}");
        edited += 1;
    }
    eprintln!("corpus: {edited} files were edited");
}
