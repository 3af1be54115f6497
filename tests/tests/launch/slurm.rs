//! `--on cluster` on the real cluster over SSH. Where there is none, the test says so aloud and passes.

use std::path::Path;

use ralph_tests::Ran;
use ralph_tests::slurm::{Site, cluster};
use ralph_tests::workbench::Workbench;

/// A loop that commits what it did, with the cluster's user as the author of nothing.
const LOOP: &str = "#!/bin/bash\nset -e\necho \"given: $*\"\necho work >result.txt\ngit add result.txt\ngit -c user.name=Ada -c user.email=ada@example.org commit --quiet --message=result\necho 'PR created: https://host.invalid/o/svc-a/pull/9'\n";

#[test]
fn a_loop_as_a_job_of_slurm() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    let site = Site::connected(&cluster);
    let bench = Workbench::new(&["svc-a"]);
    // The clone, the loop's program and the remote are on the cluster, and belong to its user.
    bench.write(".gitconfig", "[safe]\n\tdirectory = *\n");
    let remote = site.root.join("svc-a.git");
    let remote_text = remote.display().to_string();
    let _ = bench.git(
        ".",
        &["clone", "--quiet", "--bare", "wb/repos/svc-a", &remote_text],
    );
    let program = site.root.join("loop");
    put(&program, LOOP);
    own(&site.root);
    let _ = bench.git("wb/repos/svc-a", &["remote", "add", "origin", &remote_text]);
    let conf = bench.read("wb/project.conf");
    bench.write(
        "wb/project.conf",
        &format!(
            "{conf}WB_RALPH_JOB_PROGRAM=\"{}\"\nWB_RALPH_JOB_OPTIONS=\"--mem=100M --time=5\"\n",
            program.display()
        ),
    );
    bench.write(
        "wb/.claude/cluster.local.json",
        &site.workspace.read(".claude/cluster.local.json"),
    );
    bench.write(
        "wb/.claude/ralph/config.json",
        r#"{"cluster": {"kind": "slurm"}}"#,
    );
    bench.write(
        "wb/EPIC-PIPELINE.md",
        "| PRD | fix_plan repos | Exec |\n|---|---|---|\n| one | svc-a | ~ |\n",
    );
    bench.commit("wb");
    let mut command = bench.command(&["--on", "cluster", "--wait", "--parallel", "1", "2"]);
    command.env("XDG_RUNTIME_DIR", "/dev/null");
    let ran = Ran::of_command(&mut command).ended(0);
    assert!(ran.stdout.contains("| svc-a | job "), "{}", ran.stdout);
    let log = bench.read("wb/ralph/logs/svc-a.log");
    assert!(
        log.contains("given: --parallel 1 2 --engine claude --no-tabs"),
        "{log}"
    );
    let branch = bench.record("svc-a")["job"]["branch"]
        .as_str()
        .unwrap()
        .to_owned();
    let shown = bench.git("wb/repos/svc-a", &["fetch", "--quiet", "origin", &branch]);
    assert_eq!(shown, "");
    assert_eq!(
        bench.git("wb/repos/svc-a", &["show", "FETCH_HEAD:result.txt"]),
        "work\n"
    );
    assert!(bench.read("wb/EPIC-PIPELINE.md").contains("| svc-a | ✓ |"));
    assert_eq!(
        bench.record("svc-a")["settled"]["pull_requests"][0],
        "https://host.invalid/o/svc-a/pull/9"
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests write what users would write"
)]
fn put(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Gives a folder with all that is in it to the cluster's user.
fn own(folder: &Path) {
    let mut command = std::process::Command::new("chown");
    command.args(["-R", "61001:61000"]).arg(folder);
    let _ = Ran::of_command(&mut command).ended(0);
}
