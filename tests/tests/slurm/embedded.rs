//! `ssh.transport` = `libssh2`: no session, no OpenSSH; a program beside `ralph` holds the connection.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ralph_tests::slurm::{Cluster, Site, cluster};
use ralph_tests::{Ran, binary, wait_until};
use serde_json::json;
use tempfile::TempDir;

/// `ralph` as it is installed: in a folder of its own, with or without the program that speaks SSH.
fn installed(has_libssh2: bool) -> (TempDir, PathBuf) {
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let ralph = folder.path().join("ralph");
    fs::hard_link(binary("ralph-tested"), &ralph).expect("a program");
    if has_libssh2 {
        let program = folder.path().join("ralph-libssh2");
        fs::hard_link(binary("ralph-libssh2-tested"), program).expect("a program");
    }
    (folder, ralph)
}

/// A site that is reached with a key.
fn site(cluster: &Cluster) -> Site<'_> {
    let site = Site::new(cluster);
    let settings = json!({
        "ssh": {
            "transport": "libssh2",
            "user": cluster.value("RALPH_SSH_USER"),
            "host": cluster.value("RALPH_SSH_HOST"),
            "port": cluster.value("RALPH_SSH_PORT"),
            "identity_file": cluster.value("RALPH_SSH_KEY"),
            "known_hosts": cluster.value("RALPH_SSH_KNOWN_HOSTS"),
        },
        "remote": {"repo_root": site.root},
        "git": {"url": ""},
    });
    let path = ".claude/cluster.local.json";
    site.workspace.write(path, &settings.to_string());
    site
}

/// The arguments and environment of `ralph` in a site, for another program.
fn run(site: &Site<'_>, program: &Path, words: &[&str]) -> Ran {
    let of_site = site.command(words);
    let mut command = Command::new(program);
    command
        .args(of_site.get_args())
        .current_dir(site.workspace.root())
        .env_clear()
        .env("PATH", "/usr/bin:/bin");
    for (name, value) in of_site.get_envs().filter(|(name, _)| *name != "PATH") {
        command.env(name, value.unwrap_or_default());
    }
    Ran::of_command(&mut command)
}

/// The programs that run from a folder.
fn running(folder: &Path) -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let programs = processes.filter_map(|process| fs::read_link(process.path().join("exe")).ok());
    programs.filter(|path| path.starts_with(folder)).collect()
}

#[test]
fn a_host_that_takes_a_key_is_used_without_a_session_and_over_one_connection_each_time() {
    let Some(cluster) = cluster(true) else {
        return;
    };
    let site = site(&cluster);
    let (folder, ralph) = installed(true);
    site.project(
        "keyed",
        "RUN",
        &[("Q-001", "echo one"), ("Q-002", "echo two")],
    );
    let _ = run(&site, &ralph, &["cluster", "check"]).ended(0);
    let connections = cluster.connections();
    let _ = run(&site, &ralph, &["dispatch", "--until-idle"]).ended(0);
    // The host shows one kind of key per connection, so the first look may take more than one.
    let more = cluster.connections() - connections;
    assert!((1..=3).contains(&more), "{more} connections");
    let state = site.state("keyed");
    let runs = state["completed_runs"].as_array().expect("runs");
    let statuses: Vec<_> = runs.iter().map(|run| run["status"].as_str()).collect();
    assert_eq!(
        statuses,
        [Some("completed"), Some("completed")],
        "{state:#}"
    );
    assert_eq!(site.jobs().len(), 2);
    let run_id = runs[0]["run_id"].as_str().expect("an id");
    let log = run(&site, &ralph, &["logs", run_id]).ended(0);
    assert!(
        log.stdout.contains("one") || log.stdout.contains("two"),
        "{}",
        log.stdout
    );
    // It is ended with the connection, which a busy kernel takes a moment for.
    wait_until("nothing of it runs any more", || {
        running(folder.path()).is_empty()
    });
}

#[test]
fn a_missing_program_is_told_with_what_to_do_and_changes_nothing() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    let site = site(&cluster);
    let (_folder, ralph) = installed(false);
    site.project("keyed", "RUN", &[("Q-001", "echo one")]);
    let before = site.workspace.read("projects/keyed/.state/pipeline.json");
    for words in [&["cluster", "check"][..], &["dispatch"]] {
        let ran = run(&site, &ralph, words);
        assert_ne!(ran.code, 0, "{words:?}: {}", ran.stdout);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("`ralph-libssh2` cannot be started"), "{said}");
        assert!(said.contains("same build"), "{said}");
    }
    assert_eq!(
        site.workspace.read("projects/keyed/.state/pipeline.json"),
        before
    );
    assert_eq!(site.jobs(), Vec::<String>::new());
}
