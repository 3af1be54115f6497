//! The guide says what is true: its blocks run as they stand, one after the other.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use ralph_tests::{Ran, binary};
use tempfile::TempDir;

const GUIDE: &str = include_str!("../../../docs/guide.md");

/// The blocks that begin with `sh`.
fn blocks() -> Vec<&'static str> {
    let mut blocks = GUIDE.split("\n```");
    blocks.next();
    blocks
        .step_by(2)
        .filter_map(|block| block.strip_prefix("sh\n"))
        .collect()
}

fn run(folder: &Path, script: &str) -> Ran {
    let script = format!("PATH=$PWD/bin:$PATH\n{script}");
    Ran::of_command(
        Command::new("bash")
            .args(["-euo", "pipefail", "-c", &script])
            .current_dir(folder)
            .env("HOME", folder.join("home"))
            .env("XDG_RUNTIME_DIR", folder.join("run"))
            .env("GIT_CONFIG_GLOBAL", folder.join("gitconfig"))
            .env("NO_COLOR", "1")
            .env_remove("TMUX"),
    )
}

#[expect(clippy::disallowed_methods, reason = "a user's own files")]
fn folder() -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    let at = |path: &str| folder.path().join(path);
    fs::create_dir(at("bin")).expect("a folder");
    symlink(binary("ralph-tested"), at("bin/ralph")).expect("a link");
    let user = "[user]\nname = Ada\nemail = ada@example.org\n";
    fs::write(at("gitconfig"), user).expect("written");
    folder
}

#[test]
fn the_blocks_of_the_guide_run_as_they_stand() {
    let folder = folder();
    let blocks = blocks();
    assert_eq!(blocks.len(), 2, "{blocks:?}");
    let looped = run(folder.path(), blocks[0]).ended(0);
    assert!(
        looped
            .stdout
            .contains("ralph: **T2.** Count its lines, too"),
        "{}",
        looped.stdout
    );
    let plan = fs::read_to_string(folder.path().join("counter/.ralph/fix_plan.md"));
    assert_eq!(plan.expect("a plan").matches("- [x] **T").count(), 2);
    let dispatched = run(folder.path(), blocks[1]).ended(0);
    assert!(
        dispatched.stdout.contains("CHECK → DONE"),
        "{}",
        dispatched.stdout
    );
    // What it shows as an example is free of what its own check finds.
    assert!(
        dispatched.stdout.contains("0 errors · 0 warnings"),
        "{}",
        dispatched.stdout
    );
    let log = run(
        folder.path(),
        "cat research/projects/toy/slurm/logs/count_1001.out",
    )
    .ended(0);
    assert_eq!(log.stdout, "1\n2\n3\n");
}
