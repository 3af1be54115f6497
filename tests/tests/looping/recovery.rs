//! What an earlier loop left behind: rows 85 to 93 of the conformance table and the defects of section 8 about it.
//! Theirs keeps `.continuous_state` with process ids and line numbers. Ours: `state/loop.lock`, held by the system for
//! as long as the loop lives, one record per claim and per attempt, and `status.json` for readers.

use ralph_tests::{Ran, Repository, wait_until};
use serde_json::Value;

use crate::continuous::sleepers;

const RUN: [&str; 3] = ["loop", "--quality-gates", "none"];

/// A plan that git does not see, so that an edit by hand leaves the checkout clean.
fn untracked(lines: &[&str]) -> Repository {
    let repository = Repository::with_plan(lines);
    repository.write(".gitignore", "/.ralph/\n");
    repository.git(&["rm", "-rq", "--cached", ".ralph"]);
    repository.git(&["add", ".gitignore"]);
    repository.git(&["commit", "-qm", "Keep the plan to myself"]);
    repository
}

/// Row 89: while it runs, the status names its process; afterwards it says how it ended, and the summary has a line.
#[test]
fn a_running_loop_is_visible_and_one_that_ended_says_how() {
    let repository = Repository::with_plan(&["- [ ] One :: write a.txt x; wait ../../go"]);
    let mut running = repository.start(&["--parallel", "1", "3", "--quality-gates", "none"]);
    wait_until("the agent is shown", || {
        repository
            .read(".ralph/status.json")
            .contains("write a.txt")
    });
    let status: Value = serde_json::from_str(&repository.read(".ralph/status.json")).expect("JSON");
    assert_eq!(status["process"]["pid"], running.id());
    assert_eq!(
        (
            &status["state"],
            &status["concurrency_N"],
            &status["target_M"]
        ),
        (&"running".into(), &1.into(), &3.into())
    );
    repository.write("../go", "");
    assert!(running.wait().expect("it ends").success());
    let status: Value = serde_json::from_str(&repository.read(".ralph/status.json")).expect("JSON");
    assert_eq!(
        (&status["state"], &status["exit_code"]),
        (&"ended".into(), &0.into())
    );
    let summary = repository.read(".ralph/logs/continuous-summary.log");
    assert!(
        summary.contains("queue empty: Completed: 1/3, Succeeded: 1, Failed: 0"),
        "{summary}"
    );
}

/// Row 90. `RALPH_CONTINUOUS_FORCE` is not obeyed: the lock cannot be stale, so there is nothing to force. Of a loop
/// that was killed nothing has to be forced either.
#[test]
fn a_lock_is_never_stale_and_never_forced() {
    let repository = Repository::with_plan(&["- [ ] One :: write a.txt x; wait ../../go"]);
    let mut running = repository.start(&RUN);
    wait_until("the agent runs", || !repository.agents().is_empty());
    let mut command = repository.command(&RUN);
    let ran = Ran::of_command(command.env("RALPH_CONTINUOUS_FORCE", "true")).ended(33);
    for words in [
        "already running",
        "RALPH_CONTINUOUS_FORCE=true has no effect",
    ] {
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
    running.kill().expect("a process");
    running.wait().expect("it ends");
    repository.write("../go", "");
    let _ = repository.ralph(&RUN).ended(0);
    assert_eq!(repository.read("a.txt"), "x\n");
}

/// Row 92, and defect 8.15: theirs re-opens by line number, and starts again beside the orphans. Here the plan is
/// edited between the two, the agent's children are gone, and what nobody of ours claimed is left alone.
#[test]
fn after_a_kill_tasks_are_opened_again_by_what_they_are() {
    let repository = untracked(&[
        "- [~] Somebody's",
        "- [ ] Ours :: write a.txt x; child 300; wait ../../go",
        "- [x] Done",
    ]);
    let mut running = repository.start(&RUN);
    wait_until("the agent has a child", || sleepers(&repository) == 1);
    running.kill().expect("a process");
    running.wait().expect("it ends");
    let claimed = repository.plan();
    assert!(claimed.contains("- [~] Ours"), "{claimed}");
    // By hand: everything is on another line now, and another row stands where the claim was.
    let edited = claimed.replace(
        "# Plan\n",
        "# Plan\n\nNew words.\n\n- [x] New\n- [~] Also somebody's\n",
    );
    repository.write(".ralph/fix_plan.md", &edited);
    repository.write("../go", "");
    let ran = repository.ralph(&RUN).ended(0);
    assert!(ran.stderr.contains("recovered"), "{}", ran.stderr);
    assert_eq!(sleepers(&repository), 0);
    assert_eq!(
        repository.plan(),
        edited.replace("- [~] Ours", "- [x] Ours")
    );
    assert_eq!(
        (repository.status(), repository.worktrees().len()),
        (String::new(), 0)
    );
}

/// Row 93: every file of ours damaged, after a kill, in either of two ways. Nothing crashes, the task is done once,
/// and what a person should look at is named.
#[test]
fn damaged_files_stop_nobody() {
    for text in ["", "{\"attempt\": \"2026\n\u{0}garbage\n"] {
        let repository =
            untracked(&["- [ ] One :: append ../../ran x; write a.txt x; wait ../../go"]);
        let mut running = repository.start(&RUN);
        wait_until("the agent runs", || !repository.agents().is_empty());
        running.kill().expect("a process");
        running.wait().expect("it ends");
        damage(&repository, ".ralph", text);
        repository.write("../go", "");
        let ran = repository.ralph(&RUN);
        assert_ne!(ran.code, 70, "{}", ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
        if ran.code != 0 || repository.read("a.txt").is_empty() {
            // A claim that cannot be read may be anybody's: it is named, and deleting it is a person's to do.
            assert!(
                ran.stderr.contains("state/claims/"),
                "{text:?}: {}",
                ran.stderr
            );
            std::fs::remove_dir_all(repository.root().join(".ralph/state/claims"))
                .expect("a folder");
            repository.write(
                ".ralph/fix_plan.md",
                &repository.plan().replace("[~]", "[ ]"),
            );
            let _ = repository.ralph(&RUN).ended(0);
        }
        assert_eq!(repository.read("a.txt"), "x\n");
        assert!(
            repository.plan().contains("- [x] One"),
            "{}",
            repository.plan()
        );
        assert_eq!(repository.worktrees().len(), 0);
        let _ = repository.ralph(&["loop", "--status"]).ended(0);
    }
}

/// Puts a text into every file of ours but locks, logs and what a person wrote.
fn damage(repository: &Repository, folder: &str, text: &str) {
    let entries = std::fs::read_dir(repository.root().join(folder)).expect("a folder");
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name().into_string().expect("a name");
        let path = format!("{folder}/{name}");
        if entry.path().is_dir() {
            if name != "logs" {
                damage(repository, &path, text);
            }
        } else if !name.ends_with(".md") && !name.ends_with(".lock") {
            repository.write(&path, text);
        }
    }
}

/// Defect 8.16: the branch of an earlier attempt holds work that is nowhere else. Theirs deletes it; here it stays, and
/// the next attempt gets a branch of its own.
#[test]
fn a_branch_with_work_is_never_reused() {
    let repository = Repository::with_plan(&["- [ ] One :: write a.txt x; commit half of it"]);
    let words = ["loop", "--quality-gates", "test ! -e a.txt"];
    let _ = repository.ralph(&words).ended(1);
    let first = repository.branches();
    let tip = repository.git(&["rev-parse", &first[0]]);
    let _ = repository.ralph(&words).ended(1);
    let both = repository.branches();
    assert_eq!(both.len(), 2, "{both:?}");
    assert_eq!(repository.git(&["rev-parse", &first[0]]), tip);
    let branches: Vec<Value> = repository
        .attempts()
        .iter()
        .map(|attempt| attempt["branch"].clone())
        .collect();
    assert_ne!(branches[0], branches[1]);
}

/// An end that cannot be recorded has spent its attempt, so that the loop ends instead of waiting for its own
/// reservation; the next start finishes it, once.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "what a person does by hand, not a file of the product"
)]
fn the_last_attempt_whose_end_cannot_be_recorded_does_not_stop_the_end() {
    let repository = untracked(&["- [ ] One :: write a.txt x", "- [ ] Two :: write b.txt x"]);
    // Its record's folder becomes a file: nothing can be written there any more. Not before the loop has written that the
    // agent runs, which it does meanwhile.
    repository.write(
        "../agent.sh",
        "echo x >work.txt\n\
         record=$RALPH_REPOSITORY/.ralph/state/attempts/$RALPH_ATTEMPT_ID\n\
         until grep -q '\"phase\":\"running\"' \"$record/attempt.jsonl\"; do sleep 0.01; done\n\
         mv \"$record\" \"$RALPH_REPOSITORY/../aside-$RALPH_ATTEMPT_ID\" && : >\"$record\"\n",
    );
    let agent = format!("sh {}", repository.home().join("agent.sh").display());
    let mut command = repository.command(&["--parallel", "1", "1", "--quality-gates", "none"]);
    command
        .env("RALPH_AGENT_COMMAND", agent)
        .env("RALPH_REPOSITORY", repository.root());
    let ran = Ran::of_command(&mut command);
    assert_ne!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("cannot be recorded"), "{}", ran.stderr);
    assert_eq!(repository.outcomes(), [""; 0]);

    for aside in std::fs::read_dir(repository.home()).expect("a folder") {
        let aside = aside.expect("an entry").path();
        let name = aside
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let Some(attempt) = name.strip_prefix("aside-") else {
            continue;
        };
        let record = repository
            .root()
            .join(".ralph/state/attempts")
            .join(attempt);
        std::fs::remove_file(&record).expect("the file in its place");
        std::fs::rename(&aside, &record).expect("the record is back");
    }
    let _ = repository
        .ralph(&["loop", "--quality-gates", "none"])
        .ended(0);
    let interrupted = repository.outcomes();
    assert_eq!(interrupted[0], "interrupted", "{interrupted:?}");
    assert_eq!(repository.plan().matches("[ ]").count(), 0);
}

/// The git of a killed loop removes the plan and writes it anew: a loop that starts just then has a plan all the same.
#[test]
fn a_plan_that_is_just_being_written_is_there() {
    let repository = Repository::with_plan(&["- [ ] One :: write a.txt one"]);
    let (plan, path) = (
        repository.plan(),
        repository.root().join(".ralph/fix_plan.md"),
    );
    for _ in 0..5 {
        std::fs::remove_file(&path).expect("removed");
        let started = repository.start(&["loop", "--dry-run"]);
        std::thread::sleep(std::time::Duration::from_millis(80));
        repository.write(".ralph/fix_plan.md", &plan);
        let ended = started.wait_with_output().expect("ended");
        assert!(ended.status.success(), "{ended:?}");
    }
}
