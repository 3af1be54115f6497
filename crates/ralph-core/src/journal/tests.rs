//! Operations that are interrupted at every point, disturbed by people, undone and forgotten.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::change::{FileChange, FileEdit};
use crate::error::{Code, Coded as _};
use crate::store::crash::{CrashPlan, arm, simulate};
use crate::store::tests::{memory, put, spawn, words};

const CHILD: &str = "journal::tests::child";

fn env() -> Env {
    Env::fixed("2026-11-20T13:45:00Z".parse().unwrap()).0
}

fn create(text: &str) -> FileEdit {
    FileEdit::Create {
        text: text.to_owned(),
    }
}

fn replace(text: &str) -> FileEdit {
    FileEdit::Replace {
        text: text.to_owned(),
    }
}

fn changes(files: &[(&str, FileEdit)]) -> ChangeSet {
    ChangeSet {
        project: "demo".parse().unwrap(),
        summary: "a test".to_owned(),
        files: files
            .iter()
            .map(|(path, edit)| FileChange {
                path: (*path).to_owned(),
                edit: edit.clone(),
            })
            .collect(),
    }
}

/// A project with four files, and the change of an ordinary step: a ledger, two documents, the state, one removal.
fn project() -> (TempDir, Journal, ChangeSet) {
    let folder = memory();
    let at = |path: &str| folder.path().join(path);
    put(&at(".state/pipeline.json"), "{\"phase\": \"RUN\"}\n");
    put(
        &at("documentation/queue.md"),
        "## READY\n\n### Q-001: first\n",
    );
    put(&at("results/summary.md"), "nothing yet\n");
    put(&at(".state/intents/r1.json"), "{}\n");
    let step = changes(&[
        (
            ".state/pipeline.json",
            replace("{\"phase\": \"WAIT_SLURM\"}\n"),
        ),
        (".state/intents/r1.json", FileEdit::Remove),
        (
            "documentation/queue.md",
            replace("## IN_PROGRESS\n\n### Q-001: first\n"),
        ),
        ("runs/r1/submit.json", create("{\"job_id\": \"123\"}\n")),
        ("results/summary.md", replace("nothing yet\n")),
        ("documentation/debugging.md", replace("## Active Issues\n")),
    ]);
    let journal = Journal::open(folder.path());
    (folder, journal, step)
}

/// Every file of a project with its text, also what should not be there, but without the journal.
fn files(project: &Path) -> BTreeMap<String, String> {
    fn walk(root: &Path, dir: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            if name == ".state/ops" {
                continue;
            }
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(project, project, &mut found);
    found
}

fn text(project: &TempDir, path: &str) -> String {
    fs::read_to_string(project.path().join(path)).unwrap()
}

fn states(journal: &Journal) -> Vec<OpState> {
    journal
        .list()
        .unwrap()
        .into_iter()
        .map(|record| record.state)
        .collect()
}

#[test]
fn an_operation_changes_its_files_and_is_recorded() {
    let (project, journal, step) = project();
    let record = journal.commit(&step, &env()).unwrap().unwrap();
    assert_eq!(
        text(&project, ".state/pipeline.json"),
        "{\"phase\": \"WAIT_SLURM\"}\n"
    );
    assert_eq!(
        text(&project, "runs/r1/submit.json"),
        "{\"job_id\": \"123\"}\n"
    );
    assert!(!project.path().join(".state/intents/r1.json").exists());
    let paths: Vec<&str> = record.files.iter().map(|file| file.path.as_str()).collect();
    // What stays as it is is left out; the state comes after everything that it refers to.
    assert_eq!(
        paths,
        [
            "runs/r1/submit.json",
            "documentation/queue.md",
            "documentation/debugging.md",
            ".state/pipeline.json",
            ".state/intents/r1.json"
        ]
    );
    assert_eq!(journal.list().unwrap(), std::slice::from_ref(&record));
    let detail = journal.show(&record.op).unwrap();
    insta::assert_snapshot!(detail.files[1].diff, @r"
    --- a/documentation/queue.md
    +++ b/documentation/queue.md
    @@ -1,3 +1,3 @@
    -## READY
    +## IN_PROGRESS
     
     ### Q-001: first
    ");
    assert_eq!(detail.files[4].after, None);
    // The same step again changes nothing, so there is no operation.
    let again = changes(&[
        ("results/summary.md", replace("nothing yet\n")),
        ("gone", FileEdit::Remove),
    ]);
    assert_eq!(journal.commit(&again, &env()).unwrap(), None);
    assert_eq!(journal.recover(&env()).unwrap(), []);
}

#[test]
fn nothing_is_visible_before_it_is_applied() {
    let (project, journal, step) = project();
    let before = files(project.path());
    let op = journal.prepare(&step, &env()).unwrap().unwrap();
    assert_eq!(files(project.path()), before);
    assert_eq!(op.record().state, OpState::Prepared);
    drop(op);
    let error = journal.commit(&step, &env()).unwrap_err();
    assert!(matches!(error, JournalError::Unfinished { .. }), "{error}");
    let recovered = journal.recover(&env()).unwrap();
    assert_eq!(recovered[0].files.len(), 5);
    assert_eq!(recovered[0].rebased, Vec::<String>::new());
    assert_eq!(states(&journal), [OpState::Applied]);
    assert!(journal.list().unwrap()[0].recovered_at.is_some());
}

#[test]
fn edits_of_one_file_follow_on_each_other() {
    let (project, journal, _) = project();
    let step = changes(&[
        ("a.md", create("one")),
        ("a.md", replace("two")),
        ("a.md", create("two")),
    ]);
    let record = journal.commit(&step, &env()).unwrap().unwrap();
    assert_eq!(record.files.len(), 1);
    assert_eq!(text(&project, "a.md"), "two");
}

/// `PROJECT CRASH-POINT-OR-EMPTY LOG-OR-EMPTY`: recovers and takes the ordinary step, as a dispatch does.
#[test]
#[ignore = "run by other tests, as a process of its own"]
fn child() {
    let words = words();
    let [project, at, log] = &words[..] else {
        return;
    };
    let mut plan = match at.as_str() {
        "-" => CrashPlan::default(),
        at => at.parse().unwrap(),
    };
    plan.log = (log != "-").then(|| log.into());
    assert!(arm(plan));
    let journal = Journal::open(Path::new(project));
    recover_where_needed(&journal);
    journal.commit(&super::tests::project().2, &env()).unwrap();
}

/// As a dispatch does it: only where the names in the journal say that there is something to do.
fn recover_where_needed(journal: &Journal) -> Vec<Recovered> {
    if journal.has_unfinished().unwrap() {
        journal.recover(&env()).unwrap()
    } else {
        Vec::new()
    }
}

#[test]
fn whatever_a_crash_leaves_half_done_is_seen_by_its_name() {
    let mut points = 0;
    let mut seen = 0;
    loop {
        let (project, journal, step) = project();
        let before = files(project.path());
        let whole = simulate::crash_after(points, || journal.commit(&step, &env())).is_some();
        if journal.has_unfinished().unwrap() {
            seen += 1;
            assert!(!whole);
            recover_where_needed(&journal);
            assert!(!journal.has_unfinished().unwrap());
        }
        let after = files(project.path());
        let states = states(&journal);
        match states.as_slice() {
            [] => assert_eq!(after, before, "after {points} points"),
            [OpState::Applied] => assert!(after.contains_key("runs/r1/submit.json")),
            other => panic!("after {points} points: {other:?}"),
        }
        if whole {
            break;
        }
        points += 1;
    }
    assert!(seen >= 12, "{seen}");
}

#[test]
fn nothing_is_opened_to_see_that_nothing_is_unfinished() {
    let (project, journal, step) = project();
    assert!(!journal.has_unfinished().unwrap());
    let op = journal.commit(&step, &env()).unwrap().unwrap().op;
    let ops = project.path().join(".state/ops");
    put(&ops.join(op.as_str()).join("op.json"), "not a record");
    put(&ops.join("notes+mine/x"), "not an operation");
    assert!(!journal.has_unfinished().unwrap());
    assert_eq!(journal.list().unwrap_err().code(), Code::CorruptState);
    for name in ["x+new", "x+open", "x+old"] {
        fs::create_dir(ops.join(name)).unwrap();
        assert!(journal.has_unfinished().unwrap(), "{name}");
        fs::remove_dir(ops.join(name)).unwrap();
    }
}

#[test]
fn a_process_that_dies_at_any_point_is_finished_by_the_next_one() {
    let (twin, _, _) = project();
    let log = twin
        .path()
        .join("../")
        .canonicalize()
        .unwrap()
        .join(format!(
            "{}.log",
            twin.path().file_name().unwrap().to_str().unwrap()
        ));
    let run = |project: &TempDir, at: &str, log: &str| {
        let child = spawn(CHILD, &[project.path().to_str().unwrap(), at, log]);
        child.wait_with_output().unwrap()
    };
    let end = run(&twin, "-", log.to_str().unwrap());
    assert!(
        end.status.success(),
        "{}",
        String::from_utf8_lossy(&end.stderr)
    );
    let expected = files(twin.path());
    let points = fs::read_to_string(&log).unwrap();
    fs::remove_file(&log).unwrap();
    assert!(points.lines().count() >= 15, "{points}");
    for point in points.lines() {
        let (project, journal, _) = project();
        let end = run(&project, point, "-");
        assert!(!end.status.success(), "{point} did not kill the process");
        for _ in 0..2 {
            let end = run(&project, "-", "-");
            assert!(
                end.status.success(),
                "{point}: {}",
                String::from_utf8_lossy(&end.stderr)
            );
            assert_eq!(files(project.path()), expected, "after {point}");
            assert_eq!(states(&journal), [OpState::Applied], "after {point}");
        }
    }
}

#[test]
fn an_undo_that_dies_at_any_point_is_finished_by_the_next_process() {
    let mut points = 0;
    loop {
        let (project, journal, step) = project();
        let before = files(project.path());
        let op = journal.commit(&step, &env()).unwrap().unwrap().op;
        let whole = simulate::crash_after(points, || journal.undo(&op, &env()).unwrap()).is_some();
        recover_where_needed(&journal);
        if !matches!(journal.list().unwrap()[0].state, OpState::UndoneBy(_)) {
            // It died before the undoing existed.
            journal.undo(&op, &env()).unwrap();
        }
        assert_eq!(files(project.path()), before, "after {points} points");
        assert_eq!(states(&journal)[1], OpState::Applied);
        if whole {
            break;
        }
        points += 1;
    }
    assert!(points >= 10, "{points}");
}

#[test]
fn an_undo_puts_back_every_byte_and_can_itself_be_undone() {
    let (project, journal, step) = project();
    let path = project.path().join("documentation/queue.md");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(
        project.path().join(".state/intents/r1.json"),
        fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    let before = files(project.path());
    let op = journal.commit(&step, &env()).unwrap().unwrap().op;
    let after = files(project.path());
    let undo = journal.undo(&op, &env()).unwrap();
    assert_eq!(files(project.path()), before);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
    let intent = project.path().join(".state/intents/r1.json");
    assert_eq!(fs::metadata(intent).unwrap().mode() & 0o777, 0o600);
    assert_eq!(
        states(&journal),
        [OpState::UndoneBy(undo.op.clone()), OpState::Applied]
    );
    let error = journal.undo(&op, &env()).unwrap_err();
    assert!(
        matches!(error, JournalError::AlreadyUndone { .. }),
        "{error}"
    );
    journal.undo(&undo.op, &env()).unwrap();
    assert_eq!(files(project.path()), after);
}

#[test]
fn an_undo_never_overwrites_what_was_changed_since() {
    let (project, journal, step) = project();
    let op = journal.commit(&step, &env()).unwrap().unwrap().op;
    put(
        &project.path().join("documentation/queue.md"),
        "## IN_PROGRESS\n\n### Q-001: first\n\nA person's note.\n",
    );
    let before = files(project.path());
    let error = journal.undo(&op, &env()).unwrap_err();
    assert_eq!(error.code(), Code::Conflict);
    insta::assert_snapshot!(error, @r"
    operation 20261120_134500-00000001 conflicts with what was changed since:
    documentation/queue.md: it was changed after the operation
    --- documentation/queue.md (as the operation left it)
    +++ documentation/queue.md (as it is now)
    @@ -1,3 +1,5 @@
     ## IN_PROGRESS
     
     ### Q-001: first
    +
    +A person's note.
    ");
    assert_eq!(files(project.path()), before);
    assert_eq!(states(&journal), [OpState::Applied]);
}

#[test]
fn an_undo_that_is_disturbed_leaves_the_disturbance() {
    let (project, journal, step) = project();
    let op = journal.commit(&step, &env()).unwrap().unwrap().op;
    let queue = project.path().join("documentation/queue.md");
    let intruder = {
        let queue = queue.clone();
        move || put(&queue, "a person's\n")
    };
    let result =
        simulate::with_intruder("journal.prepared", intruder, || journal.undo(&op, &env()));
    let JournalError::Conflict { op: undo, files } = result.unwrap_err() else {
        panic!("no conflict")
    };
    assert_eq!(files[0].path, "documentation/queue.md");
    assert_eq!(fs::read_to_string(&queue).unwrap(), "a person's\n");
    // As often as it is tried again.
    assert!(journal.recover(&env()).is_err());
    assert_eq!(fs::read_to_string(&queue).unwrap(), "a person's\n");
    // The way out is to give the undoing up.
    journal.undo(&undo, &env()).unwrap();
    assert_eq!(journal.recover(&env()).unwrap(), []);
    assert_eq!(
        text(&project, ".state/pipeline.json"),
        "{\"phase\": \"WAIT_SLURM\"}\n"
    );
}

#[test]
fn a_file_that_changed_gets_its_edit_again_and_the_undo_keeps_the_change() {
    for point in ["journal.prepared", "journal.staged"] {
        let (project, journal, step) = project();
        let queue = project.path().join("documentation/queue.md");
        let mut times = 0;
        let intruder = {
            let queue = queue.clone();
            move || {
                times += 1;
                if times == 1 {
                    put(&queue, "a person's text\n");
                }
            }
        };
        let record = simulate::with_intruder(point, intruder, || journal.commit(&step, &env()));
        let record = record.unwrap().unwrap();
        assert_eq!(record.files[1].rebased, 1, "{point}");
        assert_eq!(
            text(&project, "documentation/queue.md"),
            "## IN_PROGRESS\n\n### Q-001: first\n"
        );
        journal.undo(&record.op, &env()).unwrap();
        assert_eq!(
            text(&project, "documentation/queue.md"),
            "a person's text\n",
            "{point}"
        );
    }
}

#[test]
fn a_file_that_changes_all_the_time_is_left_alone() {
    let (project, journal, step) = project();
    let queue = project.path().join("documentation/queue.md");
    let mut times = 0;
    let intruder = move || {
        times += 1;
        put(&queue, &format!("a person's text {times}\n"));
    };
    let result =
        simulate::with_intruder("journal.staged", intruder, || journal.commit(&step, &env()));
    assert_eq!(result.unwrap_err().code(), Code::Conflict);
    assert_eq!(
        text(&project, "documentation/queue.md"),
        "a person's text 2\n"
    );
    // The commit point was not reached.
    assert_eq!(
        text(&project, ".state/pipeline.json"),
        "{\"phase\": \"RUN\"}\n"
    );
    assert_eq!(
        journal.recover(&env()).unwrap()[0].rebased,
        ["documentation/queue.md"]
    );
    assert_eq!(
        text(&project, ".state/pipeline.json"),
        "{\"phase\": \"WAIT_SLURM\"}\n"
    );
}

/// A prepared operation whose ledger was meanwhile written by somebody else, with another content.
fn in_conflict() -> (TempDir, Journal, OpId) {
    let (project, journal, step) = project();
    let op = journal.prepare(&step, &env()).unwrap().unwrap();
    let id = op.record().op.clone();
    put(
        &project.path().join("runs/r1/submit.json"),
        "{\"job_id\": \"999\"}\n",
    );
    (project, journal, id)
}

#[test]
fn an_edit_that_no_longer_applies_is_a_conflict_with_a_difference() {
    let (project, journal, op) = in_conflict();
    let before = files(project.path());
    for _ in 0..2 {
        let error = journal.recover(&env()).unwrap_err();
        assert_eq!(error.code(), Code::Conflict);
        insta::allow_duplicates! {
            insta::assert_snapshot!(error, @r#"
            operation 20261120_134500-00000001 conflicts with what was changed since:
            runs/r1/submit.json: the file exists with another content
            --- runs/r1/submit.json (as the operation found it)
            +++ runs/r1/submit.json (as it is now)
            @@ -0,0 +1 @@
            +{"job_id": "999"}
            "#);
        }
        assert!(
            error
                .hint()
                .unwrap()
                .0
                .contains(&format!("ralph ops undo {op}"))
        );
        assert_eq!(files(project.path()), before);
        assert_eq!(states(&journal), [OpState::Conflict]);
    }
    // A person makes the files agree, and the next recovery goes through.
    fs::remove_file(project.path().join("runs/r1/submit.json")).unwrap();
    assert_eq!(journal.recover(&env()).unwrap().len(), 1);
    assert_eq!(states(&journal), [OpState::Applied]);
    assert_eq!(
        text(&project, "runs/r1/submit.json"),
        "{\"job_id\": \"123\"}\n"
    );
}

#[test]
fn a_conflict_beside_a_file_that_can_follow_keeps_both_whole() {
    let (project, journal, _) = in_conflict();
    let queue = "documentation/queue.md";
    put(&project.path().join(queue), "a person's text\n");
    journal.recover(&env()).unwrap_err();
    assert_eq!(text(&project, queue), "a person's text\n");
    fs::remove_file(project.path().join("runs/r1/submit.json")).unwrap();
    assert_eq!(journal.recover(&env()).unwrap()[0].rebased, [queue]);
    journal
        .undo(&journal.list().unwrap()[0].op, &env())
        .unwrap();
    assert_eq!(text(&project, queue), "a person's text\n");
}

#[test]
fn a_conflict_can_be_given_up() {
    let (project, journal, op) = in_conflict();
    journal.recover(&env()).unwrap_err();
    let before = files(project.path());
    let undo = journal.undo(&op, &env()).unwrap();
    assert_eq!(files(project.path()), before);
    assert_eq!(
        states(&journal),
        [OpState::UndoneBy(undo.op), OpState::Applied]
    );
    assert_eq!(journal.recover(&env()).unwrap(), []);
}

#[test]
fn giving_up_a_conflict_is_not_turned_round_by_a_crash() {
    for point in [
        "journal.prepared",
        "journal.written",
        "journal.given_up",
        "journal.undone",
    ] {
        let (project, journal, op) = in_conflict();
        journal.recover(&env()).unwrap_err();
        // Now the operation would apply again.
        fs::remove_file(project.path().join("runs/r1/submit.json")).unwrap();
        let before = files(project.path());
        assert!(simulate::crash_at(point, || journal.undo(&op, &env())).is_none());
        assert_eq!(recover_where_needed(&journal).len(), 1, "{point}");
        assert_eq!(files(project.path()), before, "{point}");
        let undo = journal.list().unwrap()[1].op.clone();
        assert_eq!(
            states(&journal),
            [OpState::UndoneBy(undo), OpState::Applied],
            "{point}"
        );
    }
}

#[test]
fn an_edit_that_does_not_apply_writes_nothing() {
    let (project, journal, _) = project();
    let before = files(project.path());
    let step = changes(&[
        ("documentation/queue.md", create("another")),
        (".state/pipeline.json", replace("new")),
    ]);
    let error = journal.commit(&step, &env()).unwrap_err();
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        (Code::Conflict, "failed to edit documentation/queue.md")
    );
    assert_eq!(files(project.path()), before);
    assert_eq!(journal.list().unwrap(), []);
}

#[test]
fn paths_stay_inside_the_project_and_outside_the_journal() {
    let (_project, journal, _) = project();
    for path in [
        "",
        "/etc/passwd",
        "../other/x",
        "a/../../x",
        "./x",
        "a/",
        ".state/ops/x",
        ".state/lock/pid",
    ] {
        let error = journal
            .commit(&changes(&[(path, replace("x"))]), &env())
            .unwrap_err();
        assert!(
            matches!(error, JournalError::BadPath { .. }),
            "{path}: {error}"
        );
    }
}

#[test]
fn a_newer_format_is_not_written_to() {
    let (project, journal, step) = project();
    let op = journal.commit(&step, &env()).unwrap().unwrap().op;
    let path = project
        .path()
        .join(".state/ops")
        .join(op.as_str())
        .join("op.json");
    let newer = fs::read_to_string(&path)
        .unwrap()
        .replace("\"format\": 1", "\"format\": 2");
    put(&path, &newer);
    let next = changes(&[("a", replace("x"))]);
    let results = [
        journal.commit(&next, &env()).unwrap_err(),
        journal.recover(&env()).unwrap_err(),
        journal.undo(&op, &env()).unwrap_err(),
    ];
    assert!(
        results
            .iter()
            .all(|error| error.code() == Code::NewerFormat),
        "{results:?}"
    );
    assert!(!project.path().join("a").exists());
    assert_eq!(journal.list().unwrap().len(), 1);
    put(&path, "{\"format\": 2, \"everything\": \"is different\"}");
    assert_eq!(journal.list().unwrap_err().code(), Code::NewerFormat);
    put(&path, "{\"format\": 1,");
    assert_eq!(journal.list().unwrap_err().code(), Code::CorruptState);
}

#[test]
fn a_damaged_image_is_found_and_never_written() {
    let (project, journal, step) = project();
    let op = journal
        .prepare(&step, &env())
        .unwrap()
        .unwrap()
        .record()
        .op
        .clone();
    let image = project
        .path()
        .join(".state/ops")
        .join(format!("{op}+open/2.after"));
    put(&image, "");
    let before = files(project.path());
    for error in [
        journal.recover(&env()).unwrap_err(),
        journal.show(&op).unwrap_err(),
    ] {
        assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
        assert_eq!(error.code(), Code::CorruptState);
    }
    assert_eq!(files(project.path()), before);
}

#[test]
fn the_last_fifty_operations_are_kept() {
    let (project, journal, _) = project();
    let env = env();
    for number in 0..55 {
        let step = changes(&[("a.md", replace(&format!("{number}\n")))]);
        journal.commit(&step, &env).unwrap();
    }
    let records = journal.list().unwrap();
    let sequences: Vec<u64> = records.iter().map(|record| record.sequence).collect();
    assert_eq!(sequences, (6..=55).collect::<Vec<u64>>());
    assert_eq!(
        fs::read_dir(project.path().join(".state/ops"))
            .unwrap()
            .count(),
        KEPT
    );
    let error = journal
        .show(&"20260101_000000-1".parse().unwrap())
        .unwrap_err();
    assert!(matches!(error, JournalError::UnknownOp { .. }), "{error}");
}

#[test]
fn a_crash_while_forgetting_leaves_nothing_to_recover() {
    let (project, journal, _) = project();
    let env = env();
    let step = |number: usize| changes(&[("a.md", replace(&format!("{number}\n")))]);
    for number in 0..KEPT {
        journal.commit(&step(number), &env).unwrap();
    }
    let taken = simulate::crash_at("journal.forgotten", || journal.commit(&step(KEPT), &env));
    assert!(taken.is_none(), "something was forgotten");
    assert_eq!(journal.list().unwrap().len(), KEPT);
    let folders = || {
        fs::read_dir(project.path().join(".state/ops"))
            .unwrap()
            .count()
    };
    assert_eq!(folders(), KEPT + 1);
    assert_eq!(journal.recover(&env).unwrap(), []);
    assert_eq!(folders(), KEPT);
}

#[test]
fn what_is_kept_is_as_private_as_the_files() {
    let (project, journal, step) = project();
    let secret = project.path().join("documentation/queue.md");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let op = journal.commit(&step, &env()).unwrap().unwrap().op;
    let dir = project.path().join(".state/ops").join(op.as_str());
    for name in ["op.json", "2.before", "2.after"] {
        assert_eq!(
            fs::metadata(dir.join(name)).unwrap().mode() & 0o777,
            0o600,
            "{name}"
        );
    }
}

#[test]
fn a_document_behind_a_link_stays_behind_it() {
    let (project, journal, step) = project();
    let shared = memory();
    put(
        &shared.path().join("queue.md"),
        "## READY\n\n### Q-001: first\n",
    );
    let queue = project.path().join("documentation/queue.md");
    fs::remove_file(&queue).unwrap();
    symlink(shared.path().join("queue.md"), &queue).unwrap();
    let op = journal.commit(&step, &env()).unwrap().unwrap().op;
    assert!(queue.is_symlink());
    assert!(
        fs::read_to_string(shared.path().join("queue.md"))
            .unwrap()
            .starts_with("## IN_PROGRESS")
    );
    journal.undo(&op, &env()).unwrap();
    assert!(
        fs::read_to_string(shared.path().join("queue.md"))
            .unwrap()
            .starts_with("## READY")
    );
}

/// A record as the first version wrote it, with a key of a later one: it must load for ever.
#[test]
fn the_first_format_is_read_for_ever() {
    let project = memory();
    put(
        &project
            .path()
            .join(".state/ops/20261120_134500-0a1b2c3d/op.json"),
        include_str!("first_format.json"),
    );
    put(
        &project
            .path()
            .join(".state/ops/20261120_134500-0a1b2c3d/edits.json"),
        "[[{\"edit\":\"create\",\"text\":\"{}\\n\"}],[{\"edit\":\"remove\"}]]",
    );
    let journal = Journal::open(project.path());
    let records = journal.list().unwrap();
    assert_eq!(records[0].summary, "submit Q-001");
    let edits = record::load_edits(project.path(), &records[0]).unwrap();
    assert_eq!(edits[1], [FileEdit::Remove]);
    assert_eq!(
        records[0].state,
        OpState::UndoneBy("20261120_134600-00000002".parse().unwrap())
    );
}

const PATHS: [&str; 6] = [
    "runs/r1/submit.json",
    "runs/r2/submit.json",
    "documentation/queue.md",
    "results/summary.md",
    ".state/pipeline.json",
    ".state/intents/r1.json",
];

/// A text, or no file.
fn content() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("[a-c]{0,2}\n?")
}

/// One content for each of [`PATHS`], before and after.
fn contents() -> impl Strategy<Value = Vec<(Option<String>, Option<String>)>> {
    proptest::collection::vec((content(), content()), PATHS.len())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Wherever the operation and then its recovery are interrupted, the next process comes to the same end as one
    /// that was never interrupted; and the undo comes back to the beginning.
    #[test]
    fn interrupted_is_the_same_as_not_interrupted(
        contents in contents(),
        first in 0_u32..45,
        second in 0_u32..45,
    ) {
        let project = memory();
        let mut step = changes(&[]);
        let mut expected = BTreeMap::new();
        for (path, (before, after)) in PATHS.iter().zip(&contents) {
            if let Some(text) = before {
                put(&project.path().join(path), text);
            }
            let edit = match (before, after) {
                (None, Some(text)) => create(text),
                (Some(_), Some(text)) => replace(text),
                (_, None) => FileEdit::Remove,
            };
            step.files.push(FileChange { path: (*path).to_owned(), edit });
            if let Some(text) = after {
                expected.insert((*path).to_owned(), text.clone());
            }
        }
        let before = files(project.path());
        let journal = Journal::open(project.path());
        let take_step = || {
            recover_where_needed(&journal);
            journal.commit(&step, &env()).unwrap();
        };
        simulate::crash_after(first, take_step);
        simulate::crash_after(second, take_step);
        take_step();
        prop_assert_eq!(files(project.path()), expected.clone());
        let records = journal.list().unwrap();
        prop_assert_eq!(records.len(), usize::from(before != expected));
        for record in records {
            prop_assert_eq!(&record.state, &OpState::Applied);
            journal.undo(&record.op, &env()).unwrap();
            prop_assert_eq!(files(project.path()), before.clone());
        }
    }

    /// A record that anybody wrote is read or refused.
    #[test]
    fn any_record_is_read_or_refused(bytes in any::<Vec<u8>>(), text in "[{}\\[\\]\",:a-z0-9]{0,80}") {
        let project = memory();
        let path = project.path().join(".state/ops/x/op.json");
        let journal = Journal::open(project.path());
        put(&path, &text);
        prop_assert!(journal.list().is_err());
        std::io::Write::write_all(&mut fs::File::create(&path).unwrap(), &bytes).unwrap();
        prop_assert!(journal.recover(&env()).is_err());
    }
}
