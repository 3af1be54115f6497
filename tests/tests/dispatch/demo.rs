//! What a newcomer sees first: `ralph demo`, to its end.

use std::process::Command;

use ralph_tests::{Ran, binary};

/// Where a system's programs are, and no `ralph`: who types the tests may have put this one on the path, as the demo says.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

#[test]
fn the_demo_ends_as_it_says_and_leaves_nothing_running() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("a demo");
    let mut demo = Command::new(binary("ralph"));
    // Without a home there are no settings of git; what it commits must not need any.
    demo.arg("demo").arg(&folder).env("HOME", place.path());
    demo.env("PATH", PATH);
    for name in ["GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"] {
        demo.env(name, "/dev/null");
    }
    // As in a hook of git, by whose variables every git below it would make and commit in the hook's repository.
    let foreign = place.path().join("foreign");
    demo.env("GIT_DIR", &foreign);
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
    assert!(!foreign.exists() && folder.join(".git").is_dir());
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
    shown_again(&shown, place.path());
    reported(&folder);
    // Somebody's workspace is not made a demo.
    let mut again = Command::new(binary("ralph"));
    let again = Ran::of_command(again.arg("demo").arg(&folder)).ended(1);
    assert!(
        again.stderr.contains("there is a workspace already"),
        "{}",
        again.stderr
    );
}

/// What the demo tells to type works as it stands, in a shell that knows no `ralph` and is somewhere else.
fn shown_again(shown: &str, elsewhere: &std::path::Path) {
    let (_, lines) = shown.split_once("Where to look\n").expect("the end");
    assert!(lines.contains("\n  export PATH="), "{lines}");
    let mut shell = Command::new("bash");
    let ran = Ran::of_command(
        shell
            .args(["-euc", lines])
            .current_dir(elsewhere)
            .env("PATH", PATH),
    )
    .ended(0);
    for line in [
        "RuntimeError: The size of tensor a",
        "report.html",
        "7 of 9 attempts spent",
        "+  - Class: py_shape_mismatch",
    ] {
        assert!(ran.stdout.contains(line), "{line}: {}", ran.stdout);
    }
}

/// The page about it: of the workspace into a file, of the loops onto standard output, and both as data.
fn reported(folder: &std::path::Path) {
    let report = |folder: &std::path::Path, words: &[&str]| {
        let mut report = Command::new(binary("ralph"));
        Ran::of_command(report.arg("report").args(words).current_dir(folder)).ended(0)
    };
    let written = report(folder, &["-o", "report.html"]).stdout;
    assert!(written.ends_with("/a demo/report.html\n"), "{written}");
    let page = std::fs::read_to_string(folder.join("report.html")).expect("the page");
    for text in [
        "3</b>projects",
        "2</b>need you",
        "<rect class=\"failed\"",
        "needs you",
        "py_shape_mismatch",
        "</html>",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    let at = |name: &str| page.find(&format!("<code>{name}</code>"));
    assert!(
        at("new-dataset").is_some() && at("new-dataset") < at("estimate-pi"),
        "{page}"
    );
    let data = report(folder, &["--json"]).stdout;
    let data: serde_json::Value = serde_json::from_str(&data).expect("JSON");
    let runs = data["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 3, "{data:#}");
    assert!(
        runs.iter().all(|run| run["ended_at"].is_string()),
        "{data:#}"
    );
    assert!(data["attempts"].is_null(), "{data:#}");

    let loops = folder.join("repositories");
    let page = report(&loops, &["-o", "-"]).stdout;
    for text in ["7</b>attempts", "gates_failed", "<code>no_change</code> 2"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    let nowhere = tempfile::tempdir().expect("a folder");
    let mut report = Command::new(binary("ralph"));
    let ran = Ran::of_command(report.arg("report").current_dir(nowhere.path())).ended(1);
    assert!(
        ran.stderr.contains("is there a workspace"),
        "{}",
        ran.stderr
    );
}
