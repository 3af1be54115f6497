//! Agents that reach from their worktree into what they share with the user: the base, the settings of the repository. And
//! loops that share a repository with one that stands still.

use ralph_tests::{Repository, wait_until};

use crate::continuous::signal;

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
