//! The files of `scripts/cluster/` as `ralph init --claude` writes them: arguments, output and exit codes that callers of
//! the old scripts know.

use std::os::unix::fs::symlink;
use std::process::Command;

use ralph_tests::slurm::{Site, cluster};
use ralph_tests::{Ran, Workspace, binary, wait_until};
use serde_json::json;

/// One of the scripts, in this workspace and with `ralph` on the path.
fn script(command: &Command, workspace: &Workspace, name: &str, arguments: &[&str]) -> Command {
    let bin = workspace.path("bin");
    if !bin.exists() {
        std::fs::create_dir(&bin).expect("a folder");
        symlink(binary("ralph-tested"), bin.join("ralph")).expect("a link");
    }
    let mut shim = Command::new(workspace.path(&format!("scripts/cluster/{name}.sh")));
    // From anywhere: the script knows where it stands.
    shim.current_dir("/").env_clear().args(arguments);
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            shim.env(name, value);
        }
    }
    shim.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    shim
}

fn run(site: &Site<'_>, name: &str, arguments: &[&str]) -> Ran {
    Ran::of_command(&mut script(
        &site.command(&[]),
        &site.workspace,
        name,
        arguments,
    ))
}

/// Every script with arguments that it would accept.
const CALLS: [(&str, &[&str]); 8] = [
    ("ensure_session", &[]),
    ("ssh_bootstrap", &[]),
    ("ssh", &["true"]),
    ("status", &["4711"]),
    ("remote_status", &["4711"]),
    ("submit", &["projects/toy", "q001"]),
    ("remote_submit", &["q001.sbatch", "toy"]),
    ("remote_fetch", &["projects/toy"]),
];

#[test]
fn without_a_configuration_all_end_with_20_and_without_a_session_with_21() {
    let workspace = Workspace::new();
    let _ = workspace
        .ralph(&["init", "--cluster", "slurm", "--claude"])
        .ended(0);
    std::fs::remove_file(workspace.path(".claude/ralph/config.json")).expect("a file");
    workspace.project("toy", "RUN", &[("Q-001", "true")]);
    let codes = || -> Vec<(&str, i32)> {
        let code = |(name, arguments)| {
            let mut shim = script(&workspace.command(&[]), &workspace, name, arguments);
            (name, Ran::of_command(&mut shim).code)
        };
        CALLS.map(code).into()
    };
    assert_eq!(codes(), CALLS.map(|(name, _)| (name, 20)));
    // A port that nobody listens on: a session is refused at once, and nothing else may try.
    let settings = json!({
        "ssh": {"host": "127.0.0.1", "port": 9, "control_path": workspace.path("cm-%C")},
        "remote": {"repo_root": "~/nowhere"},
    });
    workspace.write(".claude/cluster.local.json", &settings.to_string());
    assert_eq!(codes(), CALLS.map(|(name, _)| (name, 21)));
    assert_eq!(workspace.state("toy")["active_runs"], json!([]));
}

#[test]
fn a_script_is_submitted_watched_and_its_logs_come_back() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    let site = Site::connected(&cluster);
    let _ = site.ralph(&["init", "--claude"]).ended(0);
    site.project("toy", "RUN", &[("Q-001", &site.gate("gate"))]);
    let extra = "#!/bin/sh\n#SBATCH --job-name=extra --mem=10M --time=1\necho \"$GREETING, $RALPH_PROJECT\"\n";
    let extra_script = "projects/toy/slurm/jobs/extra.sbatch";
    site.workspace.write(extra_script, extra);
    let _ = run(&site, "ensure_session", &[]).ended(0);

    let said = run(&site, "submit", &["projects/toy", "q001"]).ended(0);
    let job = site.live_run("toy").1;
    assert_eq!(said.stdout, format!("Submitted batch job {job}\n"));
    wait_until("the job runs", || {
        run(&site, "status", &[&job]).ended(0).stdout == "RUNNING\n"
    });
    // Once: whoever asks again is told that it runs.
    let again = run(&site, "submit", &["q001.sbatch", "toy"]).ended(1);
    assert!(again.stderr.contains("is alive"), "{}", again.stderr);

    let mut submit = script(
        &site.command(&[]),
        &site.workspace,
        "remote_submit",
        &[extra_script, "toy"],
    );
    submit.env("SBATCH_EXPORTS", "ALL,GREETING=it's me");
    submit.env("SBATCH_DEPENDENCY", format!("afterok:{job}"));
    let said = Ran::of_command(&mut submit).ended(0).stdout;
    let second = said.trim().rsplit(' ').next().expect("a job").to_owned();
    assert_eq!(
        run(&site, "remote_status", &[&second]).ended(0).stdout,
        "PENDING\n"
    );
    site.open_gate("gate");
    wait_until("the second job has ended", || {
        run(&site, "status", &[&second]).ended(0).stdout == "COMPLETED\n"
    });
    let fetched = run(&site, "remote_fetch", &["toy"]).ended(0).stdout;
    let log = format!("projects/toy/slurm/logs/extra_{second}.out");
    assert!(fetched.lines().any(|line| line == log), "{fetched}");
    assert_eq!(site.workspace.read(&log), "it's me, toy\n");
    let _ = site.ralph(&["dispatch", "--until-idle"]).ended(0);
    let runs = &site.state("toy")["completed_runs"];
    assert_eq!(runs.as_array().map(Vec::len), Some(2), "{runs}");
    assert_eq!(site.jobs().len(), 2);
}

#[test]
fn what_cannot_be_done_has_its_own_exit_code() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    let site = Site::connected(&cluster);
    let _ = site.ralph(&["init", "--claude"]).ended(0);
    let refused = "#SBATCH --partition=nosuch\ntrue";
    site.project("toy", "RUN", &[("Q-001", refused)]);
    let _ = run(&site, "submit", &["toy", "q001"]).ended(24);
    let _ = run(&site, "submit", &["nobody", "q001"]).ended(22);
    let _ = run(&site, "remote_fetch", &["nobody"]).ended(22);
    let _ = run(&site, "remote_fetch", &[]).ended(22);
    let _ = run(&site, "status", &[]).ended(2);
    let unknown = run(&site, "status", &["4711"]).ended(0);
    assert_eq!(unknown.stdout, "UNKNOWN\n");
    let mut cut = script(
        &site.command(&[]),
        &site.workspace,
        "submit",
        &["toy", "q001"],
    );
    cut.env("SBATCH_EXPORTS", "SEEDS=1,2,3");
    let _ = Ran::of_command(&mut cut).ended(2);
    // A command of the user: its words, its line, its exit code.
    let said = run(&site, "ssh", &["printf", "%s|", "a b", "$HOME"]).ended(0);
    assert_eq!(said.stdout, "a b|$HOME|");
    let _ = run(&site, "ssh", &["cd / && exit 7"]).ended(7);
    assert!(site.jobs().is_empty());
}
