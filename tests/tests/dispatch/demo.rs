//! What a newcomer sees first: `ralph demo`, to its end.

use std::process::Command;

use ralph_tests::{Ran, binary};

#[test]
fn the_demo_ends_as_it_says_and_leaves_nothing_running() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("a demo");
    let mut demo = Command::new(binary("ralph"));
    // Without a home there are no settings of git; what it commits must not need any.
    demo.arg("demo").arg(&folder).env("HOME", place.path());
    for name in ["GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"] {
        demo.env(name, "/dev/null");
    }
    let shown = Ran::of_command(&mut demo).ended(0).stdout;
    for line in [
        "3 projects · 2 need you · 1 done",
        "queue empty: 4 done of 7 attempts",
        "  2 no_change",
        "  1 gates_failed",
        "- [x] Convert Celsius to Fahrenheit",
        "- [ ] Make it nicer",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
    let merged = shown.matches("(HEAD -> main) ralph: ").count();
    assert_eq!(merged, 3, "{shown}");
    // The try that failed its check is kept, and named.
    assert!(shown.contains("(ralph-command/convert-"), "{shown}");
    let repositories = folder.join("repositories");
    for name in ["counter", "greeter", "weather"] {
        let git = |words: &[&str]| {
            let mut git = Command::new("git");
            Ran::of_command(git.arg("-C").arg(repositories.join(name)).args(words))
        };
        assert_eq!(
            git(&["status", "--porcelain"]).ended(0).stdout,
            "",
            "{name}"
        );
        let worktrees = git(&["worktree", "list", "--porcelain"]).ended(0).stdout;
        assert_eq!(worktrees.matches("worktree ").count(), 1, "{worktrees}");
    }
    // Somebody's workspace is not made a demo.
    let mut again = Command::new(binary("ralph"));
    let again = Ran::of_command(again.arg("demo").arg(&folder)).ended(1);
    assert!(
        again.stderr.contains("there is a workspace already"),
        "{}",
        again.stderr
    );
}
