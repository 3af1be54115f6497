//! `cargo xtask cluster`: a real SLURM cluster behind a real sshd on loopback, for the tests.
//!
//! The scripts under `xtask/cluster/` do the work; this file starts them and decides when the tests have one.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context as _;

/// Passes a command on to the cluster's script.
pub(crate) fn run(root: &Path, args: &[&str]) -> anyhow::Result<ExitCode> {
    let status = script(root)
        .args(args)
        .status()
        .context("starting xtask/cluster/cluster.sh")?;
    Ok(ExitCode::from(
        u8::try_from(status.code().unwrap_or(1)).unwrap_or(1),
    ))
}

/// Two: a test that breaks one leaves the other to those that need a sound one. Folder and first port, as in
/// `xtask/cluster/cluster.sh`; the first is what `cargo xtask cluster` means.
const CLUSTERS: [&[(&str, &str)]; 2] = [
    &[],
    &[
        ("RALPH_CLUSTER_DIR", "/tmp/ralph-cluster-2"),
        ("RALPH_CLUSTER_PORT", "22062"),
    ],
];

/// The clusters for the time of a test run; one that was up before stays up.
#[derive(Debug)]
pub(crate) struct ForTests {
    up: Vec<Up>,
}

#[derive(Debug)]
struct Up {
    script: Script,
    /// The file with the cluster's connection data.
    env_file: PathBuf,
    was_up: bool,
}

/// Brings the clusters up for the tests, or says why there is none.
pub(crate) fn for_tests(root: &Path) -> Option<ForTests> {
    bring_up(root, &CLUSTERS)
}

/// Brings one cluster up.
pub(crate) fn one(root: &Path) -> Option<ForTests> {
    bring_up(root, &CLUSTERS[..1])
}

fn bring_up(root: &Path, clusters: &[&'static [(&'static str, &'static str)]]) -> Option<ForTests> {
    let mut all = ForTests { up: Vec::new() };
    for settings in clusters {
        let script = Script {
            root: root.to_owned(),
            settings,
        };
        let was_up = script.is_up();
        match script.quietly("up") {
            Ok(_) => {
                let env_file = script.env_file()?;
                // Rows of an earlier run must not stand in for this one.
                let _ = std::fs::remove_file(fault_file(&env_file));
                all.up.push(Up {
                    script,
                    env_file,
                    was_up,
                });
            }
            Err(why) => {
                eprintln!("note: no SLURM cluster for the tests: {why}");
                return None;
            }
        }
    }
    Some(all)
}

impl ForTests {
    /// The files with the connection data, as a search path.
    pub(crate) fn env_files(&self) -> OsString {
        let files = self.up.iter().map(|up| &up.env_file);
        std::env::join_paths(files).unwrap_or_default()
    }

    /// The rows that the fault suite wrote in this run, sorted.
    pub(crate) fn fault_table(&self) -> String {
        let texts = self.up.iter().map(|up| {
            let file = fault_file(&up.env_file);
            std::fs::read_to_string(file).unwrap_or_default()
        });
        let text: String = texts.collect();
        let mut rows: Vec<&str> = text.lines().collect();
        rows.sort_unstable();
        rows.join("\n")
    }
}

fn fault_file(env_file: &Path) -> PathBuf {
    env_file.with_file_name("fault-table.txt")
}

impl Drop for Up {
    fn drop(&mut self) {
        if !self.was_up
            && let Err(why) = self.script.quietly("down")
        {
            eprintln!("note: a SLURM cluster was left up: {why}");
        }
    }
}

/// The script, and which cluster it is about.
#[derive(Debug)]
struct Script {
    root: PathBuf,
    settings: &'static [(&'static str, &'static str)],
}

impl Script {
    fn command(&self) -> Command {
        let mut command = script(&self.root);
        command.envs(self.settings.iter().copied());
        command
    }

    /// Whether there is a cluster, sound or broken: `status` exits 3 when there is none.
    fn is_up(&self) -> bool {
        let status = self
            .command()
            .arg("status")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.code() != Some(3))
    }

    /// The file that `up` leaves for the tests.
    fn env_file(&self) -> Option<PathBuf> {
        let text = self.quietly("env").ok()?;
        let folder = text
            .lines()
            .find_map(|line| line.strip_prefix("RALPH_CLUSTER_DIR="))?;
        Some(Path::new(folder).join("env"))
    }

    /// Runs a command; its output, or the last line of what it complained about.
    fn quietly(&self, command: &str) -> Result<String, String> {
        let output = self
            .command()
            .arg(command)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let last = text.lines().rfind(|line| !line.trim().is_empty());
        Err(last.unwrap_or("it said nothing").to_owned())
    }
}

fn script(root: &Path) -> Command {
    let mut command = Command::new("bash");
    command.arg(root.join("xtask/cluster/cluster.sh"));
    command
}
