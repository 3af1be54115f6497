//! A workspace of its own on the real cluster that `cargo xtask cluster up` brought up.
//!
//! Each site has its own folder on the cluster and its own SSH session; what the cluster has started for it is known
//! by that folder. Nothing here asserts what a test is about.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::{Ran, Workspace};

/// The user of the cluster that logs in with a key.
const USER_ID: u32 = 61001;
const GROUP_ID: u32 = 61000;

/// The cluster, shared with other tests or not.
#[derive(Debug)]
pub struct Cluster {
    values: BTreeMap<String, String>,
    /// Whether a fault was switched on.
    broken: AtomicBool,
    /// Held for the life of the test: one that breaks the cluster runs alone.
    lock: File,
}

/// Finds the cluster; `None`, said aloud, where there is none. `alone` keeps every other test out.
///
/// # Panics
/// `RALPH_REQUIRE_CLUSTER=1`, and there is none.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a test's switches")]
#[expect(clippy::print_stderr, reason = "a skip is said aloud")]
pub fn cluster(alone: bool) -> Option<Cluster> {
    let Some(file) = std::env::var_os("RALPH_CLUSTER_ENV") else {
        assert!(
            std::env::var_os("RALPH_REQUIRE_CLUSTER").is_none_or(|value| value != "1"),
            "RALPH_REQUIRE_CLUSTER=1, but RALPH_CLUSTER_ENV names no cluster; run `cargo xtask cluster up`"
        );
        eprintln!(
            "SKIPPED: no SLURM cluster (RALPH_CLUSTER_ENV is not set; `cargo xtask cluster up` makes one)"
        );
        return None;
    };
    let clusters: Vec<PathBuf> = std::env::split_paths(&file).collect();
    let (values, lock, is_broken) = loop {
        // The first one that is free; a shared one is left to the others that share.
        if let Some(free) = clusters.iter().find_map(|file| free(file, alone)) {
            break free;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    let cluster = Cluster {
        values,
        broken: AtomicBool::new(false),
        lock,
    };
    if is_broken {
        cluster.control(&["heal", "all"]);
    }
    if !alone {
        cluster.lock.lock_shared().expect("the lock");
    }
    Some(cluster)
}

/// The data of a cluster, its lock, and whether it has to be mended; `None` while others keep us out.
fn free(file: &Path, alone: bool) -> Option<(BTreeMap<String, String>, File, bool)> {
    let text = fs::read_to_string(file).expect("the cluster's file");
    let values: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let folder = Path::new(&values["RALPH_CLUSTER_DIR"]);
    let lock = File::options()
        .create(true)
        .append(true)
        .open(folder.join("test.lock"))
        .expect("the cluster's lock");
    // A test that was ended from outside could not mend what it had broken.
    let faults = fs::read_dir(folder.join("run/faults"));
    let is_broken = faults.is_ok_and(|mut faults| faults.next().is_some());
    let locked = match alone || is_broken {
        true => lock.try_lock(),
        false => lock.try_lock_shared(),
    };
    locked.is_ok().then_some((values, lock, is_broken))
}

/// A test that broke the cluster leaves it whole, however it ends: the next one shall not meet its fault.
impl Drop for Cluster {
    fn drop(&mut self) {
        if *self.broken.get_mut() {
            // A failure to heal is found by the next test.
            let _ = Command::new(self.value("RALPH_CLUSTER_CTL"))
                .args(["heal", "all"])
                .env("RALPH_CLUSTER_DIR", self.value("RALPH_CLUSTER_DIR"))
                .output();
        }
    }
}

impl Cluster {
    /// A value of the cluster's file.
    #[must_use]
    pub fn value(&self, key: &str) -> &str {
        &self.values[key]
    }

    /// Runs the control script: `break`, `heal`, `otp`, ….
    ///
    /// # Panics
    /// It failed.
    #[track_caller]
    pub fn control(&self, arguments: &[&str]) -> String {
        if arguments.first() == Some(&"break") {
            self.broken.store(true, Ordering::Relaxed);
        }
        let ran = Ran::of_command(
            Command::new(self.value("RALPH_CLUSTER_CTL"))
                .args(arguments)
                .env("RALPH_CLUSTER_DIR", self.value("RALPH_CLUSTER_DIR")),
        );
        ran.ended(0).stdout
    }

    /// How many connections the login node's sshd has seen.
    ///
    /// # Panics
    /// Its log cannot be read.
    #[must_use]
    pub fn connections(&self) -> usize {
        let log = Path::new(self.value("RALPH_CLUSTER_DIR")).join("log/sshd.log");
        let text = fs::read(log).expect("the log of sshd");
        String::from_utf8_lossy(&text)
            .matches("Connection from")
            .count()
    }
}

/// A workspace, its folder on the cluster, and the session between them.
#[derive(Debug)]
pub struct Site<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The workspace here.
    pub workspace: Workspace,
    /// The folder there, which is on this machine, too.
    pub root: PathBuf,
    /// The socket of the session, and whether it is this site's own.
    control: (PathBuf, bool),
}

impl<'a> Site<'a> {
    /// A workspace with quick polls, without a session.
    ///
    /// # Panics
    /// It cannot be made.
    #[must_use]
    pub fn new(cluster: &'a Cluster) -> Self {
        let workspace = Workspace::new();
        let control = workspace.path("cm-%C");
        Self::with_session(cluster, workspace, (control, true))
    }

    /// A workspace that uses the session of another one.
    #[must_use]
    pub fn beside(other: &Self) -> Self {
        Self::with_session(
            other.cluster,
            Workspace::new(),
            (other.control.0.clone(), false),
        )
    }

    fn with_session(cluster: &'a Cluster, workspace: Workspace, control: (PathBuf, bool)) -> Self {
        let name = workspace.root().file_name().expect("a folder has a name");
        let name = name.to_string_lossy().trim_start_matches('.').to_owned();
        // With a blank and a quote: every path on the cluster has to survive them.
        let root = Path::new(cluster.value("RALPH_REMOTE_HOME")).join(format!("it's {name}"));
        fs::create_dir(&root).expect("a folder on the cluster");
        std::os::unix::fs::chown(&root, Some(USER_ID), Some(GROUP_ID)).expect("its owner");
        let site = Self {
            cluster,
            workspace,
            root,
            control,
        };
        let alias = cluster.value("RALPH_SSH_ALIAS");
        let config = PathBuf::from(cluster.value("RALPH_SSH_CONFIG"));
        site.configure(alias, &config);
        site.workspace.write(
            ".claude/ralph/config.json",
            r#"{"cluster": {"kind": "slurm"}, "batch_size": 9, "poll": {"first": 0.3, "base": 0.3, "cap": 0.5}, "test_command": ["true"]}"#,
        );
        let _ = site.ralph(&["init", "--cluster", "slurm"]).ended(0);
        site
    }

    /// Writes `.claude/cluster.local.json` for this host and OpenSSH configuration.
    pub fn configure(&self, host: &str, config_file: &Path) {
        let settings = json!({
            "ssh": {
                "host": host,
                "config_file": config_file,
                "control_path": self.control.0,
                "control_persist": "10m",
            },
            "remote": {"repo_root": self.root},
            "git": {"url": ""},
        });
        self.workspace
            .write(".claude/cluster.local.json", &settings.to_string());
    }

    /// The same with an open session.
    #[must_use]
    pub fn connected(cluster: &'a Cluster) -> Self {
        let site = Self::new(cluster);
        let _ = site.ralph(&["cluster", "connect"]).ended(0);
        site
    }

    /// `ralph` in this workspace, without the budget of calls that a real host gets: nothing can be kept below a
    /// device.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.workspace.command(arguments);
        command.env("XDG_RUNTIME_DIR", "/dev/null");
        command
    }

    /// Runs `ralph` to its end.
    #[must_use]
    pub fn ralph(&self, arguments: &[&str]) -> Ran {
        Ran::of_command(&mut self.command(arguments))
    }

    /// Makes a project whose items are small jobs.
    pub fn project(&self, slug: &str, phase: &str, items: &[(&str, &str)]) {
        let small: Vec<(&str, String)> = items
            .iter()
            .map(|(id, script)| (*id, format!("#SBATCH --mem=10M\n{script}")))
            .collect();
        let items: Vec<(&str, &str)> = small
            .iter()
            .map(|(id, script)| (*id, script.as_str()))
            .collect();
        self.workspace.project(slug, phase, &items);
    }

    /// Jobs that the cluster was ever given for this site, by accounting and by its queue, each once.
    #[must_use]
    pub fn jobs(&self) -> Vec<String> {
        let mark = self.root.file_name().expect("a folder has a name");
        let mark = mark.to_string_lossy();
        let accounting = self.cluster.control(&[
            "admin",
            "sacct",
            "-a",
            "-X",
            "-n",
            "-P",
            "-D",
            "-S",
            "now-1hours",
            "-E",
            "now",
            "-o",
            "JobID,SubmitLine",
        ]);
        let queue = self
            .cluster
            .control(&["admin", "squeue", "-a", "-h", "-t", "all", "-o", "%i|%o"]);
        let mut jobs: Vec<String> = accounting
            .lines()
            .chain(queue.lines())
            .filter(|line| line.contains(mark.as_ref()))
            .filter_map(|line| Some(line.split(['|', '_', '+']).next()?.to_owned()))
            .collect();
        jobs.sort();
        jobs.dedup();
        jobs
    }

    /// Runs a command of the user on the login node, past the product, as a person would.
    ///
    /// # Panics
    /// It failed.
    #[track_caller]
    pub fn on_login_node(&self, command: &str) -> String {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(self.cluster.value("RALPH_SSH_CONFIG"));
        ssh.args([self.cluster.value("RALPH_SSH_ALIAS"), command]);
        Ran::of_command(&mut ssh).ended(0).stdout
    }

    /// The state of a project.
    #[must_use]
    #[track_caller]
    pub fn state(&self, slug: &str) -> Value {
        self.workspace.state(slug)
    }

    /// The id of the only live run of a project.
    ///
    /// # Panics
    /// It has none, or more than one.
    #[must_use]
    #[track_caller]
    pub fn live_run(&self, slug: &str) -> (String, String) {
        let state = self.state(slug);
        let runs = state["active_runs"].as_array().expect("a list");
        let [run] = runs.as_slice() else {
            panic!("{slug}: {runs:?}");
        };
        let text = |key: &str| run[key].as_str().expect("a text").to_owned();
        (text("run_id"), text("job_id"))
    }

    /// Makes a file that a job waits for.
    ///
    /// # Panics
    /// It cannot be made.
    pub fn open_gate(&self, name: &str) {
        File::create(self.root.join(name)).expect("a gate");
    }

    /// Shell text that waits for a gate.
    #[must_use]
    pub fn gate(&self, name: &str) -> String {
        let path = self.root.join(name);
        format!("until [ -e \"{}\" ]; do sleep 0.1; done", path.display())
    }
}

impl Drop for Site<'_> {
    fn drop(&mut self) {
        if self.control.1 {
            let _ = self.command(&["cluster", "disconnect"]).output();
        }
        // What is left of a test that failed fails no other one.
        let _ = fs::remove_dir_all(&self.root);
    }
}
