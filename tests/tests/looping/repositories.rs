//! Repositories and agents that are not as usual: links, other formats, a base that goes away, repositories inside, an agent
//! that moves about in the history.

use std::os::unix::fs::symlink;
use std::process::Command;

use ralph_tests::{Ran, Repository};

use crate::defects::with_agent;
use crate::outcomes::left_nothing;

const LOOP: [&str; 3] = ["loop", "--quality-gates", "none"];

#[test]
fn a_plan_behind_a_link_is_ticked_where_it_is_in_the_commit() {
    for is_folder in [false, true] {
        let repository =
            Repository::with_plan(&["- [ ] One :: write a.txt x", "- [ ] Two :: write b.txt x"]);
        let (from, to, target, plan) = if is_folder {
            (".ralph", "loop", "loop", "loop/fix_plan.md")
        } else {
            (".ralph/fix_plan.md", "TODO.md", "../TODO.md", "TODO.md")
        };
        repository.git(&["mv", from, to]);
        symlink(target, repository.root().join(from)).expect("a link");
        repository.git(&["add", "-A"]);
        repository.git(&["commit", "-qm", "Link"]);
        let ran = repository.ralph(&LOOP).ended(0);
        assert!(ran.stdout.contains("2 done of 2"), "{}", ran.stdout);
        left_nothing(&repository);
        let files = repository.git(&["show", "--format=", "--name-only", "HEAD"]);
        assert!(files.lines().any(|file| file == plan), "{files}");
        let committed = repository.git(&["show", &format!("HEAD:{plan}")]);
        assert_eq!(committed.matches("- [x]").count(), 2, "{committed}");
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn a_repository_in_the_reftable_format_is_one_like_another() {
    let repository = Repository::with_plan(&[
        "- [ ] One :: write a.txt x",
        "- [ ] Two :: write b.txt x; commit by itself",
    ]);
    std::fs::remove_dir_all(repository.root().join(".git")).expect("the old one");
    let made = Command::new("git")
        .args(["init", "-q", "-b", "main", "--ref-format=reftable"])
        .current_dir(repository.root())
        .output()
        .expect("git");
    if !made.status.success() {
        eprintln!("SKIPPED: this git has no reftable format");
        return;
    }
    for words in [
        &["config", "user.name", "Ada"][..],
        &["config", "user.email", "ada@example.org"],
        &["add", "-A"],
        &["commit", "-qm", "Begin"],
    ] {
        repository.git(words);
    }
    let ran = repository
        .ralph(&["--parallel", "2", "--quality-gates", "none"])
        .ended(0);
    assert!(ran.stdout.contains("2 done of 2"), "{}", ran.stdout);
    left_nothing(&repository);
    assert_eq!(repository.plan().matches("- [x]").count(), 2);
    assert_eq!(repository.branches(), Vec::<String>::new());
}

#[test]
fn a_worktree_that_cannot_go_is_named_until_it_can_and_the_others_go_on() {
    let repository = Repository::with_plan(&["- [ ] One", "- [ ] Two"]);
    let script = "cat >/dev/null; echo x >\"$RALPH_TASK_ID\"
        case $RALPH_TASK_ID in one*) git init -q inner && cd inner &&
        git -c user.name=A -c user.email=a@b commit -q --allow-empty -m x;; esac";
    let ran = Ran::of_command(&mut with_agent(&repository, &LOOP, script)).ended(0);
    assert!(ran.stdout.contains("2 done of 2"), "{}", ran.stdout);
    let attempts = repository.attempts();
    let reason = attempts[0]["reason"].as_str().unwrap_or_default();
    assert!(
        reason.contains("project-worktrees/w1") && reason.contains("inner"),
        "{reason}"
    );
    assert_eq!(attempts[1]["reason"], serde_json::Value::Null);
    assert!(repository.root().join("one").exists() && repository.root().join("two").exists());
    assert_eq!(repository.worktrees().len(), 1);
    let ran = repository.ralph(&LOOP).ended(0);
    assert!(
        ran.stderr.contains("project-worktrees/w1"),
        "{}",
        ran.stderr
    );
    let inner = repository.home().join("project-worktrees/w1/inner");
    std::fs::remove_dir_all(inner).expect("a repository");
    let ran = repository.ralph(&LOOP).ended(0);
    assert!(!ran.stderr.contains("w1"), "{}", ran.stderr);
    left_nothing(&repository);
}

/// Settings are shared by all worktrees of a repository: they are set back. Whose are such before a loop begins are the
/// user's, who is told.
#[test]
fn agents_that_remove_their_worktree_or_break_the_repository_leave_nothing_and_lose_nothing() {
    let repository = Repository::with_plan(&["- [ ] One", "- [ ] Two"]);
    let script = "cat >/dev/null; echo x >file
        case $RALPH_TASK_ID in one*) cd .. && rm -rf \"$RALPH_WORKTREE\";;
        *) git config core.bare true;; esac";
    let ran = Ran::of_command(&mut with_agent(&repository, &LOOP, script)).ended(3);
    let told = "an agent has set core.bare to true";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    assert_eq!(repository.outcomes(), ["crashed", "done"]);
    assert_eq!(repository.read("file"), "x\n");
    left_nothing(&repository);
    repository.git(&["config", "core.bare", "true"]);
    let other = || Ran::of_command(&mut with_agent(&repository, &LOOP, "echo y >other"));
    let ran = other().ended(1);
    assert!(ran.stderr.contains("hint: Somebody"), "{}", ran.stderr);
    repository.git(&["config", "core.bare", "false"]);
    let _ = other().ended(0);
    left_nothing(&repository);
    assert_eq!(repository.read("other"), "y\n");
    assert_eq!(repository.branches(), Vec::<String>::new());
}

#[test]
fn an_agent_that_goes_back_takes_nothing_out_of_the_base() {
    let repository = Repository::with_plan(&["- [ ] One", "- [ ] Two"]);
    repository.write("theirs.txt", "theirs\n");
    repository.git(&["add", "-A"]);
    repository.git(&["commit", "-qm", "Theirs"]);
    let script = "cat >/dev/null; git reset -q --hard HEAD~1
        case $RALPH_TASK_ID in one*) echo x >one;; esac";
    let ran = Ran::of_command(&mut with_agent(&repository, &LOOP, script)).ended(3);
    assert!(ran.stdout.contains("1 done of 2"), "{}", ran.stdout);
    left_nothing(&repository);
    assert_eq!(repository.read("theirs.txt"), "theirs\n");
    assert_eq!(repository.read("one"), "x\n");
    assert_eq!(repository.outcomes(), ["done", "no_change"]);
    let attempts = repository.attempts();
    let reason = attempts[1]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("went back to"), "{reason}");
    assert_eq!(repository.branches(), Vec::<String>::new());
}

#[test]
fn an_agent_that_begins_a_loop_is_refused_and_may_run_its_checks() {
    let repository = Repository::with_plan(&["- [ ] One"]);
    let ralph = ralph_tests::binary("ralph-tested");
    let ralph = ralph.display();
    let script = format!(
        "cat >/dev/null; {ralph} loop >begun 2>&1; echo $? >>begun; {ralph} loop --qg >checked 2>&1; echo $? >>checked"
    );
    let _ = Ran::of_command(&mut with_agent(&repository, &LOOP, &script)).ended(0);
    left_nothing(&repository);
    let begun = repository.read("begun");
    assert!(begun.contains("is a worktree of an attempt"), "{begun}");
    assert!(begun.ends_with("\n33\n"), "{begun}");
    let checked = repository.read("checked");
    assert!(checked.ends_with("0\n"), "{checked}");
}

/// What an older commit fails as well is no failure of a work on that commit.
#[test]
fn a_check_is_compared_with_the_commit_that_the_work_is_on() {
    let repository = Repository::with_plan(&["- [ ] One"]);
    repository.write("theirs.txt", "theirs\n");
    repository.git(&["add", "-A"]);
    repository.git(&["commit", "-qm", "Theirs"]);
    let script = "cat >/dev/null; git reset -q --hard HEAD~1; echo x >one";
    let check = ["loop", "--quality-gates", "test -e theirs.txt"];
    let ran = Ran::of_command(&mut with_agent(&repository, &check, script)).ended(0);
    assert!(
        ran.stderr.contains("failed before too (exit 1)"),
        "{}",
        ran.stderr
    );
    assert_eq!(repository.outcomes(), ["done"]);
    assert_eq!(repository.read("theirs.txt"), "theirs\n");
    assert_eq!(repository.read("one"), "x\n");
}

#[test]
fn a_base_that_is_renamed_meanwhile_is_explained_and_the_next_start_goes_on_there() {
    let repository = Repository::with_plan(&["- [ ] One"]);
    let rename = format!(
        "cat >/dev/null; echo x >one; git -C {} branch -m main trunk",
        repository.root().display()
    );
    let ran = Ran::of_command(&mut with_agent(&repository, &LOOP, &rename)).ended(1);
    for words in ["the branch `main` is not in", "check out the one"] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    let ran = repository.ralph(&LOOP).ended(0);
    assert!(
        ran.stderr.contains("recovered: one: done"),
        "{}",
        ran.stderr
    );
    assert_eq!(repository.git(&["show", "trunk:one"]), "x");
    repository.git(&["branch", "-m", "trunk", "main"]);
    left_nothing(&repository);
}

#[test]
fn a_branch_in_the_way_of_ours_is_named_before_anything_is_done() {
    let repository = Repository::with_plan(&["- [ ] One :: write a.txt x"]);
    repository.git(&["branch", "ralph-command"]);
    let ran = repository.ralph(&LOOP).ended(2);
    for words in ["`ralph-command` is in the way", "WORKTREE_BRANCH_PREFIX"] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    left_nothing(&repository);
}

#[test]
fn a_watch_ends_with_its_loop() {
    let repository = Repository::with_plan(&["- [ ] One :: write a.txt x; wait ../../go"]);
    let ran = repository.ralph(&["status", "--watch"]).ended(0);
    assert!(
        ran.stdout.contains("no loop ever ran here"),
        "{}",
        ran.stdout
    );
    let mut running = repository.start(&LOOP);
    ralph_tests::wait_until("the agent is shown", || {
        std::fs::read_to_string(repository.root().join(".ralph/status.json"))
            .is_ok_and(|text| text.contains("write a.txt"))
    });
    let watching = repository
        .command(&["status", "--watch"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("ralph");
    repository.write("../go", "");
    assert!(running.wait().expect("it ends").success());
    let seen = watching.wait_with_output().expect("it ends");
    let seen = String::from_utf8_lossy(&seen.stdout);
    assert!(seen.contains("ended: queue empty"), "{seen}");
}

#[test]
fn a_killed_loop_is_lost_to_whoever_asks_and_a_watch_of_it_ends() {
    let repository = Repository::with_plan(&["- [ ] One :: write a.txt x; wait ../../go"]);
    let mut running = repository.start(&LOOP);
    let says = |words: &str| {
        repository
            .ralph(&["status"])
            .ended(0)
            .stdout
            .contains(words)
    };
    ralph_tests::wait_until("the agent is shown", || says("write a.txt"));
    assert!(says("running\n0 attempts spent; tasks: 0 open, 1 held"));
    running.kill().expect("killed");
    running.wait().expect("it ends");
    let lost = format!(
        "lost: its process {} is gone; the next loop takes up what it left\n",
        running.id()
    );
    for question in [&["status"][..], &["status", "--watch"]] {
        let told = repository.ralph(question).ended(0).stdout;
        assert!(told.contains(&lost), "{told}");
        assert!(!told.contains("WORKER"), "{told}");
    }
    repository.write("../go", "");
    let _ = repository.ralph(&LOOP).ended(0);
    assert!(says("ended: queue empty"));
}

/// What an earlier loop left may take minutes, and until then the status is that one's.
#[test]
fn a_watch_stays_while_a_loop_begins() {
    use std::io::{BufRead as _, Read as _};
    let repository = Repository::with_plan(&["- [ ] One :: write a.txt x"]);
    let _ = repository.ralph(&LOOP).ended(0);
    let path = repository.root().join(".ralph/state/loop.lock");
    let lock = ralph_core::process::lock::LifeLock::try_take(&path).expect("a lock");
    assert!(lock.is_some());
    let mut watching = repository
        .command(&["status", "--watch"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("ralph");
    let mut seen = std::io::BufReader::new(watching.stdout.take().expect("a pipe"));
    let mut line = String::new();
    seen.read_line(&mut line).expect("a line");
    assert!(line.starts_with("running: it takes up"), "{line}");
    drop(lock);
    let mut rest = String::new();
    seen.read_to_string(&mut rest).expect("the rest");
    assert!(rest.contains("ended: queue empty"), "{rest}");
    assert!(watching.wait().expect("it ends").success());
}

#[test]
fn rows_that_are_no_tasks_for_want_of_a_dash_are_named() {
    let repository = Repository::with_plan(&["* [ ] One :: write a.txt x"]);
    for words in [&LOOP[..], &["loop", "--dry-run"]] {
        let ran = repository.ralph(words).ended(0);
        let named = "1 row is no task for want of a `- [ ]` in front, such as line 3: * [ ] One";
        assert!(ran.stderr.contains(named), "{}", ran.stderr);
    }
}

#[test]
fn a_task_that_is_named_is_the_only_one_and_one_that_is_not_there_is_an_error() {
    let lines = [
        "- [ ] Same :: append a.txt x",
        "- [ ] Same :: append a.txt x",
    ];
    let repository = Repository::with_plan(&lines);
    let name = "Same :: append a.txt x";
    let named = |name| [&LOOP[..], &["--task", name]].concat();
    let ran = repository.ralph(&named(name)).ended(0);
    assert!(ran.stdout.contains("1 done of 1"), "{}", ran.stdout);
    left_nothing(&repository);
    assert_eq!(repository.plan().matches("- [x]").count(), 1);
    let ran = repository.ralph(&named("gone")).ended(1);
    let error = "no task of the plan is named `gone`\nhint: ";
    assert!(ran.stderr.contains(error), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
    left_nothing(&repository);
}

/// What comes to stand before it on the path meanwhile is another program.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the path of the test itself, with one folder before it"
)]
fn git_is_looked_for_once() {
    let repository = Repository::with_plan(&["- [ ] One"]);
    let early = repository.home().join("early");
    std::fs::create_dir(&early).expect("a folder");
    let script = "cat >/dev/null; echo x >file; printf '#!/bin/sh\\nexit 99\\n' >../../early/git; chmod +x ../../early/git";
    let mut command = with_agent(&repository, &LOOP, script);
    let path = std::env::var("PATH").expect("a path");
    command.env("PATH", format!("{}:{path}", early.display()));
    let _ = Ran::of_command(&mut command).ended(0);
    assert!(early.join("git").exists(), "there was another one");
    assert_eq!(repository.read("file"), "x\n");
}
