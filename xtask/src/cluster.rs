//! `cargo xtask cluster`: a real SLURM cluster behind a real sshd on loopback, for the tests.
//!
//! The scripts under `xtask/cluster/` do the work; this file starts them and decides when the tests have one.

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

/// A cluster for the time of a test run; one that was up before stays up.
#[derive(Debug)]
pub(crate) struct ForTests {
    root: PathBuf,
    /// The file with the cluster's connection data.
    pub(crate) env_file: PathBuf,
    was_up: bool,
}

/// Brings the cluster up for the tests, or says why there is none.
pub(crate) fn for_tests(root: &Path) -> Option<ForTests> {
    let was_up = is_up(root);
    match quietly(root, "up") {
        Ok(_) => {
            let cluster = ForTests {
                root: root.to_owned(),
                env_file: env_file(root)?,
                was_up,
            };
            // Rows of an earlier run must not stand in for this one.
            let _ = std::fs::remove_file(cluster.fault_file());
            Some(cluster)
        }
        Err(why) => {
            eprintln!("note: no SLURM cluster for the tests: {why}");
            None
        }
    }
}

impl ForTests {
    /// The rows that the fault suite wrote in this run, sorted.
    pub(crate) fn fault_table(&self) -> String {
        let text = std::fs::read_to_string(self.fault_file()).unwrap_or_default();
        let mut rows: Vec<&str> = text.lines().collect();
        rows.sort_unstable();
        rows.join("\n")
    }

    fn fault_file(&self) -> PathBuf {
        self.env_file.with_file_name("fault-table.txt")
    }
}

impl Drop for ForTests {
    fn drop(&mut self) {
        if !self.was_up
            && let Err(why) = quietly(&self.root, "down")
        {
            eprintln!("note: the SLURM cluster was left up: {why}");
        }
    }
}

/// Whether there is a cluster, sound or broken: `status` exits 3 when there is none.
fn is_up(root: &Path) -> bool {
    let status = script(root)
        .arg("status")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.code() != Some(3))
}

/// The file that `up` leaves for the tests.
fn env_file(root: &Path) -> Option<PathBuf> {
    let text = quietly(root, "env").ok()?;
    let folder = text
        .lines()
        .find_map(|line| line.strip_prefix("RALPH_CLUSTER_DIR="))?;
    Some(Path::new(folder).join("env"))
}

/// Runs a command; its output, or the last line of what it complained about.
fn quietly(root: &Path, command: &str) -> Result<String, String> {
    let output = script(root)
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

fn script(root: &Path) -> Command {
    let mut command = Command::new("bash");
    command.arg(root.join("xtask/cluster/cluster.sh"));
    command
}
