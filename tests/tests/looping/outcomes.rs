//! What becomes of each kind of attempt, and that the repository is as clean as before.

use std::process::Command;

use ralph_tests::{Ran, Repository, wait_until};

/// Everything that must hold when a loop has ended, whatever it did.
#[track_caller]
pub(crate) fn left_nothing(repository: &Repository) {
    assert_eq!(repository.status(), "", "git status is as clean as it was");
    assert_eq!(repository.worktrees(), Vec::<String>::new());
    assert!(!repository.plan().contains("[~]"), "{}", repository.plan());
    let beside = repository.home().join("project-worktrees");
    assert!(!beside.exists(), "{} is left", beside.display());
    assert_eq!(repository.git(&["stash", "list"]), "");
    assert_eq!(repository.git(&["symbolic-ref", "--short", "HEAD"]), "main");
}

#[test]
fn good_work_is_on_the_base_branch_with_its_tick_in_the_same_commit() {
    let repository = Repository::with_plan(&[
        "- [ ] **T1.** First :: write a.txt one",
        "- [ ] **T2.** Second :: write b.txt two; commit by the agent itself",
    ]);
    let before = repository.git(&["rev-parse", "main"]);
    let ran = repository
        .ralph(&["loop", "--quality-gates", "none"])
        .ended(0);
    assert!(ran.stderr.contains("queue empty"), "{}", ran.stderr);
    left_nothing(&repository);
    assert_eq!(repository.read("a.txt"), "one\n");
    assert_eq!(repository.read("b.txt"), "two\n");
    assert_eq!(repository.plan().matches("- [x]").count(), 2);
    let log = repository.git(&["rev-list", "--reverse", &format!("{before}..main")]);
    let commits: Vec<&str> = log.lines().collect();
    assert_eq!(commits.len(), 2, "one commit per task: {log}");
    for (commit, file) in commits.iter().zip(["a.txt", "b.txt"]) {
        let files = repository.git(&["show", "--format=", "--name-only", commit]);
        assert_eq!(
            files.lines().collect::<Vec<_>>(),
            [".ralph/fix_plan.md", file]
        );
    }
    assert_eq!(repository.branches(), Vec::<String>::new());
    assert_eq!(repository.outcomes(), ["done", "done"]);
    assert_eq!(repository.attempts()[0]["merged"], true);
}

#[test]
fn one_worker_builds_each_task_on_the_result_of_the_last_one() {
    let repository = Repository::with_plan(&[
        "- [ ] First :: write a.txt one",
        "- [ ] Second :: append a.txt two; commit by the agent itself",
        "- [ ] Third :: append a.txt three",
    ]);
    let ran = repository
        .ralph(&["loop", "--quality-gates", "none"])
        .ended(0);
    assert!(!ran.stdout.contains("merged"), "{}", ran.stdout);
    left_nothing(&repository);
    assert_eq!(repository.read("a.txt"), "one\ntwo\nthree\n");
    assert_eq!(repository.outcomes(), ["done", "done", "done"]);
}

#[test]
fn what_waited_for_a_worker_begins_on_the_base_as_it_is_then() {
    // The last one is made ready when the first one ends, mostly before that is in the base, and begins seconds later.
    let repository = Repository::with_plan(&[
        "- [ ] First :: sleep 500; write a.txt one",
        "- [ ] Long :: sleep 4000; write b.txt x",
        "- [ ] Third :: sleep 1500; write c.txt x",
        "- [ ] Fourth :: sleep 1500; write d.txt x",
        "- [ ] Last :: append a.txt two",
    ]);
    let ran = repository
        .ralph(&["--parallel", "2", "--quality-gates", "none"])
        .ended(0);
    assert!(ran.stdout.contains("5 done of 5"), "{}", ran.stdout);
    left_nothing(&repository);
    assert_eq!(repository.read("a.txt"), "one\ntwo\n");
    assert_eq!(repository.plan().matches("- [x]").count(), 5);
}

/// Git takes its time to make the branch of the last one: meanwhile the base moves, and more than a moment goes by. How
/// long it waited for a worker after that says nothing.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "what is behind the slow git stays the caller's"
)]
fn what_took_long_to_be_made_ready_begins_on_the_base_as_it_is_then() {
    let repository = Repository::with_plan(&[
        "- [ ] First :: wait ../../go; write a.txt one",
        "- [ ] Last :: append a.txt two",
    ]);
    let git = Command::new("sh").args(["-c", "command -v git"]).output();
    let git = String::from_utf8(git.expect("a shell").stdout).expect("a path");
    let slow = r#"#!/bin/sh
case "$*" in *"-b ralph-command/last-"*) ;; *) exec GIT "$@" ;; esac
before=$(GIT -C ROOT rev-parse main)
GIT "$@" || exit
touch ROOT/../go
while [ "$(GIT -C ROOT rev-parse main)" = "$before" ]; do sleep 0.05; done
sleep 1.2
"#;
    let root = repository.root().display().to_string();
    let slow = slow.replace("GIT", git.trim()).replace("ROOT", &root);
    repository.write("../bin/git", &slow);
    let bin = repository.home().join("bin");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bin.join("git"), mode).expect("a program");
    let path = std::env::var("PATH").unwrap_or_default();
    let words = ["--parallel", "2", "--quality-gates", "none"];
    let mut command = repository.command(&words);
    command.env("PATH", format!("{}:{path}", bin.display()));
    let ran = ralph_tests::Ran::of_command(&mut command).ended(0);
    assert!(ran.stdout.contains("2 done of 2"), "{}", ran.stdout);
    left_nothing(&repository);
    assert_eq!(repository.read("a.txt"), "one\ntwo\n");
}

#[test]
fn a_plan_that_a_person_has_changed_and_not_committed_keeps_no_work_from_the_base() {
    let repository = Repository::with_plan(&["- [ ] First :: write a.txt one"]);
    let plan = repository.plan();
    let edited = format!("{plan}\nA note.\n\n- [ ] Second :: append a.txt two\n");
    repository.write(".ralph/fix_plan.md", &edited);
    let ran = repository
        .ralph(&["loop", "--quality-gates", "none"])
        .ended(0);
    assert!(ran.stdout.contains("2 done of 2"), "{}", ran.stdout);
    assert_eq!(repository.read("a.txt"), "one\ntwo\n");
    // The plan is the person's, with two ticks; the commits have left it alone.
    assert_eq!(repository.plan(), edited.replace("- [ ]", "- [x]"));
    assert_eq!(repository.status(), " M .ralph/fix_plan.md");
    assert_eq!(
        repository.git(&["show", "HEAD:.ralph/fix_plan.md"]),
        plan.trim_end()
    );
    assert_eq!(repository.branches(), Vec::<String>::new());
    assert_eq!(repository.outcomes(), ["done", "done"]);
}

#[test]
fn a_task_that_a_person_adds_while_agents_work_is_done_and_nothing_waits_on_a_branch() {
    let repository = Repository::with_plan(&[
        "- [ ] First :: sleep 700; write a.txt one",
        "- [ ] Second :: sleep 700; write b.txt two",
        "- [ ] Third :: write c.txt three",
    ]);
    let running = repository.start(&["--parallel", "2", "--quality-gates", "none"]);
    wait_until("two agents run", || repository.agents().len() == 2);
    let add = "echo '- [ ] Added :: write d.txt four' >> .ralph/fix_plan.md";
    let added = Command::new("sh")
        .args(["-c", add])
        .current_dir(repository.root())
        .status();
    assert!(added.expect("a shell").success());
    let ended = running.wait_with_output().expect("ended");
    assert!(ended.status.success(), "{ended:?}");
    for file in ["a.txt", "b.txt", "c.txt", "d.txt"] {
        assert!(repository.root().join(file).exists(), "{file}");
    }
    assert_eq!(repository.plan().matches("- [x]").count(), 4);
    assert_eq!(repository.branches(), Vec::<String>::new());
    assert_eq!(repository.status(), " M .ralph/fix_plan.md");
}

#[test]
fn an_agent_that_changes_nothing_is_no_change_and_its_task_stays_open() {
    let repository = Repository::with_plan(&["- [ ] Idle :: print I did a lot"]);
    let ran = repository.ralph(&["loop"]).ended(1);
    assert!(ran.stderr.contains("no_change"), "{}", ran.stderr);
    left_nothing(&repository);
    assert!(repository.plan().contains("- [ ] Idle"));
    assert_eq!(repository.outcomes(), ["no_change"]);
    assert_eq!(repository.branches(), Vec::<String>::new());
}

#[test]
fn work_that_fails_its_checks_is_kept_on_its_branch() {
    let repository =
        Repository::with_plan(&["- [ ] Rubbish :: write bad.txt rubbish; commit rubbish"]);
    let _ = repository
        .ralph(&["loop", "--quality-gates", "test ! -e bad.txt"])
        .ended(1);
    left_nothing(&repository);
    assert_eq!(repository.outcomes(), ["gates_failed"]);
    let branches = repository.branches();
    assert_eq!(branches.len(), 1, "{branches:?}");
    assert_eq!(
        repository.git(&["show", &format!("{}:bad.txt", branches[0])]),
        "rubbish"
    );
    assert_eq!(repository.attempts()[0]["branch"], branches[0].as_str());
    assert!(repository.plan().contains("- [ ] Rubbish"));
}

#[test]
fn what_a_failed_check_printed_is_in_the_log_and_in_the_next_prompt() {
    let repository = Repository::with_plan(&["- [ ] Rubbish"]);
    let prompts = repository.home().join("prompts");
    let agent = format!(
        "#!/bin/sh\ncat >> '{}'\necho x > bad.txt\n",
        prompts.display()
    );
    repository.write("../agent", &agent);
    let program = repository.home().join("agent");
    let words = ["+x", &program.display().to_string()];
    assert!(
        Command::new("chmod")
            .args(words)
            .status()
            .expect("chmod")
            .success()
    );
    let check = "sh -c 'echo expected 7, found 8; printf ghp_%036d 7; test ! -e bad.txt'";
    let mut command = repository.command(&["--parallel", "1", "9", "--max-task-attempts", "2"]);
    command.args(["--quality-gates", check]);
    let _ = Ran::of_command(command.env("RALPH_AGENT_COMMAND", &program)).ended(1);
    assert_eq!(repository.outcomes(), ["gates_failed", "gates_failed"]);
    for attempt in repository.attempts() {
        let reason = attempt["reason"].as_str().expect("a reason");
        assert_eq!(reason, format!("`{check}` failed (exit 1)"));
        let log = repository.read(&format!(
            ".ralph/{}",
            attempt["log"].as_str().expect("a log")
        ));
        assert!(log.contains("ralph: | expected 7, found 8\n"), "{log}");
        assert!(
            log.contains("` failed (exit 1); the end of its output:\n"),
            "{log}"
        );
        assert!(!log.contains("ghp_0"), "{log}");
    }
    let prompts = repository.read("../prompts");
    assert_eq!(
        prompts
            .matches(r"\n| expected 7, found 8\n| ghp_[masked]\n")
            .count(),
        1,
        "{prompts}"
    );
}

#[test]
fn work_that_deletes_every_file_is_not_merged_and_is_named() {
    let repository = Repository::with_plan(&[
        "- [ ] Clear :: remove README.md; remove .gitignore; commit it is all gone",
    ]);
    let _ = repository
        .ralph(&["loop", "--quality-gates", "none"])
        .ended(1);
    assert_eq!(repository.outcomes(), ["gates_failed"]);
    assert!(repository.root().join("README.md").exists());
    let attempt = &repository.attempts()[0];
    assert_eq!(attempt["branch"], repository.branches()[0].as_str());
    let reason = attempt["reason"].as_str().expect("a reason");
    assert!(
        reason.starts_with("it deletes all 2 files of the repository"),
        "{reason}"
    );
}

#[test]
fn a_loop_that_a_hook_has_started_points_no_check_at_the_repository_of_the_hook() {
    let repository = Repository::with_plan(&["- [ ] Good :: write good.txt good; commit good"]);
    let words = [
        "loop",
        "--quality-gates",
        "test -z \"$GIT_DIR$GIT_INDEX_FILE\"",
    ];
    let mut command = repository.command(&words);
    let git = repository.root().join(".git");
    command.env("GIT_DIR", &git);
    command.env("GIT_INDEX_FILE", git.join("index"));
    let _ = Ran::of_command(&mut command).ended(0);
    let check = repository.attempts()[0]["checks"][0].to_string();
    assert!(check.contains("PASS: "), "{check}");
}

#[test]
fn a_failing_agent_keeps_what_it_had_done_on_its_branch() {
    let repository =
        Repository::with_plan(&["- [ ] Half :: write half.txt half; error it broke; exit 7"]);
    let _ = repository.ralph(&["loop"]).ended(1);
    left_nothing(&repository);
    assert_eq!(repository.outcomes(), ["crashed"]);
    let branch = repository.branches().pop().expect("a branch");
    assert_eq!(
        repository.git(&["show", &format!("{branch}:half.txt")]),
        "half"
    );
    let reason = repository.attempts()[0]["reason"]
        .as_str()
        .unwrap_or("")
        .to_owned();
    assert!(reason.contains('7'), "{reason}");
}

#[test]
fn what_an_agent_does_to_the_control_files_is_undone() {
    let repository = Repository::with_plan(&[
        "- [ ] Cheat :: write .ralph/fix_plan.md nothing left to do; write a.txt one; commit all done",
        "- [ ] Destroy :: remove .ralph; write b.txt two",
    ]);
    let _ = repository
        .ralph(&["loop", "--quality-gates", "none"])
        .ended(0);
    left_nothing(&repository);
    assert!(
        repository.plan().starts_with("# Plan\n\n- [x] Cheat"),
        "{}",
        repository.plan()
    );
    assert!(repository.plan().contains("- [x] Destroy"));
    assert_eq!(repository.read(".ralph/PROMPT.md"), "Work on the task.\n");
    assert_eq!(
        (repository.read("a.txt"), repository.read("b.txt")),
        ("one\n".to_owned(), "two\n".to_owned())
    );
}

#[test]
fn a_conflict_keeps_the_branch_and_reopens_the_task_and_the_others_go_on() {
    let repository = Repository::with_plan(&[
        "- [ ] Left :: wait ../../both; write same.txt left",
        "- [ ] Right :: write ../../both x; write same.txt right; sleep 100",
        "- [ ] Other :: write other.txt other",
    ]);
    let _ = repository
        .ralph(&["loop", "--parallel", "2", "--quality-gates", "none"])
        .ended(3);
    left_nothing(&repository);
    assert_eq!(repository.read("other.txt"), "other\n");
    let mut outcomes = repository.outcomes();
    outcomes.sort();
    assert_eq!(outcomes, ["done", "done", "gates_failed"]);
    assert_eq!(
        repository.branches().len(),
        1,
        "the work that does not fit is kept"
    );
    assert_eq!(repository.plan().matches("- [ ]").count(), 1);
}

#[test]
fn a_dirty_checkout_is_not_touched_and_the_work_is_named() {
    let repository = Repository::with_plan(&["- [ ] One :: write a.txt one"]);
    repository.write("README.md", "# being edited\n");
    let before = repository.git(&["rev-parse", "main"]);
    let _ = repository
        .ralph(&["loop", "--quality-gates", "none"])
        .ended(0);
    assert_eq!(repository.status(), " M README.md".trim_start_matches('\n'));
    assert_eq!(repository.read("README.md"), "# being edited\n");
    assert_eq!(repository.git(&["rev-parse", "main"]), before);
    let branch = repository
        .branches()
        .pop()
        .expect("the branch with the work");
    assert_eq!(repository.git(&["show", &format!("{branch}:a.txt")]), "one");
    assert!(
        repository
            .git(&["show", &format!("{branch}:.ralph/fix_plan.md")])
            .contains("- [x] One")
    );
    // Delivered is not open: a second loop has nothing to do.
    let ran = repository.ralph(&["loop"]).ended(0);
    assert!(ran.stderr.contains("queue empty"), "{}", ran.stderr);
    assert_eq!(repository.attempts().len(), 1);
}

/// They would have gone onto the base together.
#[test]
fn several_works_that_a_dirty_checkout_keeps_from_the_base_are_each_on_a_branch_of_their_own() {
    let names = ["a", "b", "c"];
    let tasks = names.map(|name| format!("- [ ] Task {name} :: write {name}.txt {name}; sleep 50"));
    let repository = Repository::with_plan(&tasks.each_ref().map(String::as_str));
    repository.write("README.md", "# being edited\n");
    let words = ["--parallel", "3", "--quality-gates", "none"];
    let _ = repository.ralph(&words).ended(0);
    let branches = repository.branches();
    assert_eq!(branches.len(), names.len(), "{branches:?}");
    for (branch, name) in branches.iter().zip(names) {
        let range = format!("main..{branch}");
        assert_eq!(repository.git(&["rev-list", "--count", &range]), "1");
        let changed = repository.git(&["diff", "--name-only", "main", branch]);
        assert_eq!(changed, format!(".ralph/fix_plan.md\n{name}.txt"));
    }
    assert_eq!(repository.read("README.md"), "# being edited\n");
}

/// Works on three branches: the checkout of the base has changes.
fn waiting() -> (Repository, Vec<String>) {
    let names = ["a", "b", "c"];
    let tasks = names.map(|name| format!("- [ ] Task {name} :: write {name}.txt {name}"));
    let repository = Repository::with_plan(&tasks.each_ref().map(String::as_str));
    repository.write("README.md", "# being edited\n");
    let _ = repository.ralph(&BATCH).ended(0);
    let branches = repository.branches();
    assert_eq!(branches.len(), names.len(), "{branches:?}");
    (repository, branches)
}

const BATCH: [&str; 4] = ["--parallel", "3", "--quality-gates", "none"];

#[test]
fn what_waited_for_a_clean_checkout_goes_onto_the_base_at_the_next_start() {
    let (repository, branches) = waiting();
    // It is still not clean: each is named once more, and stays as it is.
    let ran = repository.ralph(&BATCH).ended(0);
    for branch in &branches {
        assert!(ran.stderr.contains(branch.as_str()), "{}", ran.stderr);
    }
    assert!(ran.stderr.contains("(README.md)"), "{}", ran.stderr);
    assert_eq!(repository.branches(), branches);
    repository.git(&["commit", "-qam", "Edited"]);
    let _ = repository.ralph(&BATCH).ended(0);
    left_nothing(&repository);
    assert_eq!(repository.branches(), Vec::<String>::new());
    assert_eq!(repository.plan().matches("- [x]").count(), 3);
    for name in ["a", "b", "c"] {
        assert_eq!(repository.read(&format!("{name}.txt")), format!("{name}\n"));
    }
    assert_eq!(repository.git(&["rev-list", "--count", "main"]), "5");
    assert_eq!(repository.outcomes(), ["done"; 3], "no agent has run again");
    let again = repository.ralph(&BATCH).ended(0);
    assert!(!again.stderr.contains("recovered"), "{}", again.stderr);
}

#[test]
fn what_waited_and_does_not_fit_any_more_is_open_again() {
    let (repository, branches) = waiting();
    repository.write("a.txt", "mine\n");
    repository.git(&["add", "-A"]);
    repository.git(&["commit", "-qam", "Mine"]);
    let ran = repository.ralph(&BATCH).ended(0);
    let told = format!("gates_failed, its work is on {}", branches[0]);
    assert!(ran.stderr.contains(&told), "{}", ran.stderr);
    left_nothing(&repository);
    assert_eq!(
        repository.read("a.txt"),
        "a\n",
        "its agent has done it anew"
    );
    assert_eq!(repository.plan().matches("- [x]").count(), 3);
    assert_eq!(repository.branches(), [branches[0].as_str()]);
}

#[test]
fn what_waits_on_a_branch_that_somebody_works_on_is_left_there() {
    let (repository, branches) = waiting();
    repository.git(&["checkout", "-q", "README.md"]);
    // One is checked out, one has more on it, one is on a remote.
    repository.git(&["worktree", "add", "-q", "../mine", &branches[0]]);
    let more = [
        "commit-tree",
        "-p",
        &branches[1],
        "-m",
        "More",
        &format!("{}^{{tree}}", branches[1]),
    ];
    let more = repository.git(&more);
    repository.git(&["branch", "-f", &branches[1], &more]);
    let tracking = format!("refs/remotes/fork/{}", branches[2]);
    repository.git(&["update-ref", &tracking, &branches[2]]);
    let tip = repository.git(&["rev-parse", "main"]);
    let ran = repository.ralph(&BATCH).ended(0);
    assert!(
        ran.stdout.contains("3 tasks are done and wait"),
        "{}",
        ran.stdout
    );
    assert_eq!(repository.branches(), branches);
    assert_eq!(repository.git(&["rev-parse", "main"]), tip);
    assert_eq!(repository.worktrees().len(), 1);
}

#[test]
fn with_a_remote_the_branch_is_pushed_and_a_way_to_the_pull_request_is_named() {
    let repository = Repository::with_plan(&["- [ ] One :: write a.txt one"]);
    repository.add_origin();
    let _ = repository
        .ralph(&["loop", "--quality-gates", "none"])
        .ended(0);
    left_nothing(&repository);
    let attempt = &repository.attempts()[0];
    assert_eq!(attempt["pushed"], true);
    let branch = attempt["branch"].as_str().expect("a branch").to_owned();
    let remote = repository.git(&["ls-remote", "--heads", "origin", &branch]);
    assert!(
        remote.starts_with(attempt["commit"].as_str().expect("a commit")),
        "{remote}"
    );
    assert!(
        repository
            .git(&["show", &format!("origin/{branch}:.ralph/fix_plan.md")])
            .contains("- [x] One")
    );
    assert!(
        repository.plan().contains("- [ ] One"),
        "not merged, so not ticked here"
    );
    let _ = repository.ralph(&["loop"]).ended(0);
    assert_eq!(repository.attempts().len(), 1, "delivered is not open");
}

#[test]
fn an_untracked_plan_is_ticked_where_it_is() {
    let repository = Repository::with_plan(&["- [ ] One :: write a.txt one"]);
    repository.write(".gitignore", "/.ralph/\n");
    repository.git(&["rm", "-rq", "--cached", ".ralph"]);
    repository.git(&["add", ".gitignore"]);
    repository.git(&["commit", "-qm", "Keep the plan to myself"]);
    let _ = repository
        .ralph(&["loop", "--quality-gates", "none"])
        .ended(0);
    left_nothing(&repository);
    assert!(repository.plan().contains("- [x] One"));
    assert_eq!(repository.read("a.txt"), "one\n");
}

/// It would fail everywhere, and with that pass for a failure that was there before.
#[test]
fn a_check_that_cannot_be_started_stops_the_loop_and_nothing_is_merged() {
    let repository = Repository::with_plan(&["- [ ] One :: write a.txt x"]);
    let words = ["loop", "--quality-gates"];
    for (gates, wrong) in [
        ("true; no-such-check --all", "`no-such-check --all`"),
        ("sh -c \"exit 0; true\"; if true", "`if true`"),
    ] {
        let ran = repository.ralph(&[&words[..], &[gates]].concat()).ended(2);
        assert!(ran.stderr.contains(wrong), "{}", ran.stderr);
        assert_eq!(repository.agents().len(), 0);
    }
    // A script may come with the work; when it does not, nothing is known of the work.
    let ran = repository
        .ralph(&[&words[..], &["./check.sh"]].concat())
        .ended(2);
    assert!(ran.stderr.contains("`./check.sh`"), "{}", ran.stderr);
    assert_eq!(repository.outcomes(), ["config_error"]);
    assert_eq!(repository.attempts()[0]["merged"], false);
    assert_eq!(repository.branches().len(), 1);
    left_nothing(&repository);
}

#[test]
fn a_check_that_ends_its_guard_has_failed() {
    let repository = Repository::with_plan(&["- [ ] One :: write a.txt x"]);
    let _ = repository
        .ralph(&["loop", "--quality-gates", "kill -9 $PPID"])
        .ended(1);
    assert_eq!(repository.outcomes(), ["gates_failed"]);
    let reason = repository.attempts()[0]["reason"].to_string();
    assert!(reason.contains("its guard was ended"), "{reason}");
    assert_eq!(repository.plan().matches("- [ ]").count(), 1);
    assert_eq!(repository.branches().len(), 1);
    left_nothing(&repository);
}

#[test]
fn a_check_that_failed_before_is_named_and_not_called_a_pass() {
    let repository = Repository::with_plan(&["- [ ] One :: write a.txt x"]);
    let ran = repository
        .ralph(&["loop", "--quality-gates", "test -e never"])
        .ended(0);
    assert!(
        ran.stderr
            .contains("the check `test -e never` failed before too (exit 1)"),
        "{}",
        ran.stderr
    );
    assert_eq!(
        repository.attempts()[0]["checks"][0],
        "FAILED BEFORE: test -e never (failed before too (exit 1))"
    );
    let told = "the check `test -e never` failed before too (exit 1)";
    assert_eq!(repository.attempts()[0]["reason"], told);
    let status = repository.ralph(&["loop", "--status"]).ended(0);
    assert!(status.stdout.contains(told), "{}", status.stdout);
}

/// Checks take longer than agents, and what an agent has cost is known before them.
#[test]
fn the_ceiling_of_money_holds_with_several_workers_while_checks_run() {
    let line = "print {\"ralph\":\"outcome\",\"outcome\":\"done\",\"cost_usd\":1}";
    let tasks: Vec<String> = (0..6)
        .map(|number| format!("- [ ] Task {number} :: write {number}.txt x; {line}"))
        .collect();
    let tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
    let repository = Repository::with_plan(&tasks);
    let words = ["--parallel", "2", "6", "--max-cost", "1"];
    let ran = repository.ralph(&[&words[..], &["--quality-gates", "sleep 1"]].concat());
    assert!(
        ran.stderr.contains("cost ceiling reached ($1.00 spent)"),
        "{}",
        ran.stderr
    );
    assert_eq!(repository.agents().len(), 1);
}

#[test]
fn a_row_that_a_person_rewords_meanwhile_is_ticked() {
    let repository = Repository::with_plan(&["- [ ] Loginn :: wait ../../go; write a.txt x"]);
    repository.write(".gitignore", "/.ralph/\n");
    repository.git(&["rm", "-rq", "--cached", ".ralph"]);
    repository.git(&["add", ".gitignore"]);
    repository.git(&["commit", "-qm", "Keep the plan to myself"]);
    let mut running = repository.start(&["loop", "--quality-gates", "none"]);
    wait_until("it runs", || repository.agents().len() == 1);
    let plan = repository.plan().replace("Loginn", "Login");
    repository.write(".ralph/fix_plan.md", &plan);
    repository.write("../go", "");
    wait_until("it has ended", || {
        running.try_wait().expect("a process").is_some()
    });
    assert!(
        repository.plan().contains("- [x] Login "),
        "{}",
        repository.plan()
    );
}
