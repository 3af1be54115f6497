//! Agents that reach from their worktree into what they share with the user: the base, the settings of the repository. And
//! loops that share a repository with one that stands still.

use std::process::Stdio;

use ralph_tests::{Repository, wait_until};

use crate::continuous::signal;
use crate::outcomes::left_nothing;

const RUN: [&str; 3] = ["loop", "--quality-gates", "none"];

/// What is at the end of a script is done by git in the agent's worktree.
fn misused(git: &str) -> (Repository, String) {
    let task = format!("- [ ] One :: write a.txt x; git {git}");
    let repository = Repository::with_plan(&[&task]);
    repository.write("two.txt", "two\n");
    repository.git(&["add", "-A"]);
    repository.git(&["commit", "-qm", "Two"]);
    let ran = repository.ralph(&RUN);
    (repository, ran.stderr)
}

#[test]
fn commits_that_an_agent_takes_out_of_the_base_get_a_branch_and_that_is_said() {
    let (repository, said) = misused("update-ref refs/heads/main HEAD~1");
    assert!(said.contains("main was moved back or elsewhere"), "{said}");
    let branch = "ralph-command/main-before";
    assert!(said.contains(branch), "{said}");
    assert_eq!(
        repository.git(&["show", &format!("{branch}:two.txt")]),
        "two"
    );
    assert_eq!(repository.git(&["log", "-1", "--format=%s", branch]), "Two");
}

#[test]
fn a_user_who_amends_meanwhile_keeps_both_commits_and_what_is_not_committed() {
    let repository = Repository::with_plan(&["- [ ] One :: wait ../../go; write a.txt x"]);
    for name in ["mine.txt", "other.txt"] {
        repository.write(name, "first\n");
    }
    repository.git(&["add", "-A"]);
    repository.git(&["commit", "-qm", "Mine"]);
    let mut command = repository.command(&RUN);
    let running = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    wait_until("its agent works", || !repository.agents().is_empty());
    repository.write("mine.txt", "second\n");
    repository.git(&["add", "mine.txt"]);
    repository.git(&["commit", "-q", "--amend", "-m", "Mine, better"]);
    repository.write("new.txt", "not committed\n");
    repository.write("../go", "");
    let ended = running.and_then(std::process::Child::wait_with_output);
    let said = ended.expect("its end").stderr;
    let said = String::from_utf8_lossy(&said);
    let branch = "ralph-command/main-before";
    assert!(
        said.contains(&format!("`git branch -D {branch}`")),
        "{said}"
    );
    let subjects = repository.git(&["log", "--format=%s", "-2", "--skip=1"]);
    assert_eq!(subjects, "Mine, better\nBegin", "{said}");
    assert_eq!(repository.read("a.txt"), "x\n");
    assert_eq!(repository.read("mine.txt"), "second\n");
    assert_eq!(repository.read("new.txt"), "not committed\n");
    assert_eq!(repository.status(), "?? new.txt");
    let before = repository.git(&["show", &format!("{branch}:mine.txt")]);
    assert_eq!(before, "first");
}

#[test]
fn what_an_agent_leaves_in_the_stash_is_told() {
    let (repository, said) = misused("add -A; git stash -q; write b.txt x");
    let told = "has left changes of ralph-command/one-write-a-txt";
    assert_eq!(said.matches(told).count(), 1, "{said}");
    assert_eq!(repository.git(&["show", "stash:a.txt"]), "x");
    let (_, said) = misused("status");
    assert!(!said.contains("stash"), "{said}");
}

#[test]
fn a_commit_that_an_agent_puts_on_the_base_is_told() {
    let script = "add -A; git commit -qm Mine; git update-ref refs/heads/main HEAD";
    let (_repository, said) = misused(script);
    assert!(said.contains("main was moved to"), "{said}");
    assert!(said.contains("from another worktree"), "{said}");
    assert!(!said.contains("changes of yours"), "{said}");
}

#[test]
fn settings_that_hide_the_work_tree_are_set_back() {
    for (key, value, was) in [
        ("core.bare", "true", "false"),
        ("core.worktree", "/nowhere", "unset"),
    ] {
        let (repository, said) = misused(&format!("config {key} {value}"));
        assert!(
            said.contains(&format!("has set {key} to {value}")),
            "{said}"
        );
        assert!(said.contains(&format!("it is {was} again")), "{said}");
        assert_eq!(
            (repository.status().as_str(), repository.outcomes()),
            ("", vec!["done".to_owned()])
        );
        assert_eq!(repository.read("a.txt"), "x\n");
    }
}

/// Whoever has set it may be the user.
#[test]
fn settings_that_are_changed_meanwhile_are_told_and_stay() {
    let (repository, said) = misused(
        "config user.email bot@example.com; git config core.hooksPath .husky/_; git config --unset user.name; \
         git remote add far https://me:secret@example.com/x.git; git config branch.ralph-command/x.remote origin",
    );
    let said = said.replace(&repository.root().display().to_string(), "ROOT");
    let told = "settings in ROOT/.git/config were changed while an agent worked, by it or by you, and stay so: \
                user.email is bot@example.com (was ada@example.org), user.name is unset (was Ada), \
                core.hookspath is .husky/_ (was unset), \
                remote.far.fetch is +refs/heads/*:refs/remotes/far/* (was unset), \
                remote.far.url is https://example.com/x.git (was unset)\n";
    assert!(said.contains(told), "{said}");
    assert_eq!(repository.outcomes(), ["done"]);
    let email = repository.git(&["config", "user.email"]);
    assert_eq!(email, "bot@example.com");
}

#[test]
fn a_setting_that_leads_into_the_worktree_of_an_attempt_is_set_back() {
    let task = "- [ ] One :: write a.txt x; git config --add include.path ../../project-worktrees/w1/.gitconfig; \
                git config --replace-all core.hooksPath {}/project-worktrees/w1/hooks; git config --add remote.origin.fetch x";
    let repository = Repository::with_plan(&["- [ ] Zero :: write z.txt z"]);
    repository.git(&["config", "--add", "core.hooksPath", "/one"]);
    repository.git(&["config", "--add", "core.hooksPath", "/two"]);
    let home = repository.home().canonicalize().expect("a folder");
    let plan = task.replace("{}", &home.display().to_string());
    repository.write(".ralph/fix_plan.md", &format!("{plan}\n"));
    let ran = repository.ralph(&RUN).ended(0);
    assert!(
        ran.stderr.contains("it is /one and /two again"),
        "{}",
        ran.stderr
    );
    let all = repository.git(&["config", "--get-all", "core.hooksPath"]);
    assert_eq!(all, "/one\n/two");
}

#[test]
fn settings_with_which_git_does_not_work_are_set_back_and_kept_beside() {
    for (broken, why) in [
        ("append ../../project/.git/config [core", "bad config line"),
        (
            "git config core.repositoryformatversion 99",
            "Expected git repo version",
        ),
        ("git config core.autocrlf maybe", "bad boolean config value"),
    ] {
        let one = format!("- [ ] One :: write a.txt x; git config user.name Eve; {broken}");
        let repository = Repository::with_plan(&[&one, "- [ ] Two :: write b.txt x"]);
        let before = repository.read(".git/config");
        let ran = repository.ralph(&RUN).ended(0);
        let said = ran.stderr;
        assert!(said.contains("git could not work any more"), "{said}");
        assert!(said.contains(why), "{said}");
        assert_eq!(repository.read(".git/config"), before);
        assert!(repository.read(".git/config.unusable").contains("Eve"));
        assert_eq!(repository.outcomes(), ["done", "done"]);
        left_nothing(&repository);
    }
}

#[test]
fn a_stash_of_the_users_that_is_dropped_is_named_and_can_be_put_back() {
    let task = "- [ ] One :: git stash drop -q stash@{1}; write a.txt x; git add -A; git stash -q; git stash pop -q";
    let repository = Repository::with_plan(&[task, "- [ ] Two :: write b.txt x"]);
    for text in ["lost", "left"] {
        repository.write("README.md", text);
        repository.git(&["stash", "push", "-q", "-m", text]);
    }
    let ran = repository.ralph(&RUN).ended(0);
    let told = "\"On main: lost\" was taken out of the stash";
    assert_eq!(ran.stderr.matches(told).count(), 1, "{}", ran.stderr);
    assert_eq!(
        ran.stderr.matches("stash store").count(),
        1,
        "{}",
        ran.stderr
    );
    let command = ran
        .stderr
        .split('`')
        .find(|words| words.starts_with("git stash store"));
    let words: Vec<_> = command.unwrap_or("").split(' ').skip(1).collect();
    repository.git(&words);
    assert_eq!(repository.git(&["show", "stash@{0}:README.md"]), "lost");
    assert_eq!(repository.git(&["show", "stash@{1}:README.md"]), "left");
    assert_eq!(repository.outcomes(), ["done", "done"]);
}

#[test]
fn a_worktree_that_an_agent_adds_is_named() {
    let repository = Repository::with_plan(&[
        "- [ ] One :: git worktree add -q --detach ../mine; write a.txt x",
        "- [ ] Two :: git worktree add -q --detach inner; write b.txt x",
    ]);
    let ran = repository.ralph(&RUN).ended(0);
    let mine = repository.home().join("project-worktrees/mine");
    let mine = mine.canonicalize().expect("a worktree");
    let told = format!("the worktree {} was added", mine.display());
    assert_eq!(ran.stderr.matches(&told).count(), 1, "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("was added").count(), 1, "{}", ran.stderr);
    assert_eq!(repository.worktrees(), [mine.display().to_string()]);
    let path = mine.display().to_string();
    repository.git(&["worktree", "remove", &path]);
    let again = repository.ralph(&RUN).ended(0);
    assert!(!again.stderr.contains("was added"), "{}", again.stderr);
    left_nothing(&repository);
}

/// A hook runs with the user's next commit, and what is ignored is not in it.
#[test]
fn files_of_gits_folder_that_are_changed_meanwhile_are_told() {
    let git = "../../project/.git";
    let task = format!(
        "- [ ] One :: write {git}/hooks/post-merge exit; append {git}/hooks/pre-push more; \
         remove {git}/hooks/gone; append {git}/info/exclude *.log; git update-server-info; write a.txt x"
    );
    let repository = Repository::with_plan(&[&task, "- [ ] Two :: write b.txt x"]);
    repository.write(".git/hooks/pre-push", "#!/bin/sh\n");
    repository.write(".git/hooks/gone", "#!/bin/sh\n");
    // The loop itself writes there once, before any agent.
    let ran = repository.ralph(&RUN).ended(0);
    let told = "read in all worktrees were changed while an agent worked, by it or by you, and stay so: \
                hooks/gone (gone), hooks/post-merge (new), hooks/pre-push (changed), info/exclude (changed)\n";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    let all = ran.stderr.matches("while an agent worked").count();
    assert_eq!(all, 1, "{}", ran.stderr);
}

#[test]
fn a_loop_that_stands_still_is_named() {
    let repository = Repository::with_plan(&["- [ ] One :: wait ../../go"]);
    let mut running = repository.start(&RUN);
    wait_until("its agent works", || !repository.agents().is_empty());
    signal("STOP", running.id());
    let ran = repository.ralph(&RUN).ended(33);
    signal("CONT", running.id());
    let pid = running.id();
    let named = format!("process {pid}, which is stopped");
    assert!(ran.stderr.contains(&named), "{}", ran.stderr);
    assert!(
        ran.stderr.contains(&format!("kill -CONT {pid}")),
        "{}",
        ran.stderr
    );
    repository.write("../go", "");
    let _ = running.wait();
}
