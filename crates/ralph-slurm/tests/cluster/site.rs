//! The real cluster as the tests see it: where it is, how to break it, a fresh repository folder on it, both transports.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ralph_core::backend::{ClusterBackend as _, Receipt, SubmitRequest};
use ralph_core::env::Env;
use ralph_core::id::JobId;
use ralph_core::job::{Finality, JobQuery, JobReport, JobState, Observation, Sighting};
use ralph_slurm::{
    ClusterSettings, ControlMaster, Libssh2, Rate, Session, SlurmBackend, SlurmOptions, Transport,
    TransportKind,
};
use tempfile::TempDir;

use crate::shared::{env, request};

/// The user of the cluster that logs in with a key.
const USER_ID: u32 = 61001;
const GROUP_ID: u32 = 61000;

/// The cluster that `cargo xtask cluster up` brought up.
#[derive(Debug)]
pub(crate) struct Cluster {
    values: BTreeMap<String, String>,
    /// Whether a fault was switched on.
    broken: AtomicBool,
    /// Held for the life of the test: a test that breaks the cluster runs alone.
    lock: File,
}

/// Finds the cluster; `None`, said aloud, where there is none. `alone` keeps every other test out.
#[expect(clippy::disallowed_methods, reason = "a test's switch")]
pub(crate) fn cluster(alone: bool) -> Option<Cluster> {
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
    if alone || is_broken {
        cluster.control(&["heal", "all"]);
    }
    if !alone {
        cluster.lock.lock_shared().unwrap();
    }
    Some(cluster)
}

/// The data of a cluster, its lock, and whether it has to be mended; `None` while others keep us out.
fn free(file: &Path, alone: bool) -> Option<(BTreeMap<String, String>, File, bool)> {
    let text = std::fs::read_to_string(file).unwrap();
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
        .unwrap();
    // A test that was ended from outside could not mend what it had broken.
    let faults = std::fs::read_dir(folder.join("run/faults"));
    let is_broken = faults.is_ok_and(|mut faults| faults.next().is_some());
    let locked = match alone || is_broken {
        true => lock.try_lock(),
        false => lock.try_lock_shared(),
    };
    locked.is_ok().then_some((values, lock, is_broken))
}

impl Cluster {
    pub(crate) fn value(&self, key: &str) -> &str {
        &self.values[key]
    }

    /// Runs the control script: `break`, `heal`, `admin`, ….
    pub(crate) fn control(&self, arguments: &[&str]) -> String {
        if arguments.first() == Some(&"break") {
            self.broken.store(true, Ordering::Relaxed);
        }
        let output = Command::new(self.value("RALPH_CLUSTER_CTL"))
            .args(arguments)
            .env("RALPH_CLUSTER_DIR", self.value("RALPH_CLUSTER_DIR"))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{arguments:?}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    /// `scontrol`, `squeue` and the like as the cluster's administrator.
    pub(crate) fn admin(&self, arguments: &[&str]) -> String {
        let mut all = vec!["admin"];
        all.extend(arguments);
        self.control(&all)
    }

    /// The same, where failing is an answer, too.
    pub(crate) fn tried(&self, arguments: &[&str]) -> Option<String> {
        let output = Command::new(self.value("RALPH_CLUSTER_CTL"))
            .arg("admin")
            .args(arguments)
            .env("RALPH_CLUSTER_DIR", self.value("RALPH_CLUSTER_DIR"))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(text)
    }

    /// How many connections the login node's sshd has seen.
    pub(crate) fn connections(&self) -> usize {
        let log = Path::new(self.value("RALPH_CLUSTER_DIR")).join("log/sshd.log");
        let text = std::fs::read(log).unwrap();
        String::from_utf8_lossy(&text)
            .matches("Connection from")
            .count()
    }

    /// Waits until the scheduler holds a job that was requeued so.
    pub(crate) async fn wait_for_hold(&self, job: JobId) {
        let start = Instant::now();
        let id = job.to_string();
        loop {
            let state = self
                .admin(&["squeue", "-h", "-j", &id, "-o", "%T %r"])
                .to_lowercase();
            if state.contains("held") || state.contains("special_exit") {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "{state}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The transports, each with a session of its own.
    pub(crate) async fn sites(&self) -> Vec<Site<'_>> {
        vec![self.openssh().await, self.libssh2()]
    }

    pub(crate) async fn site(&self, name: &str) -> Site<'_> {
        match name {
            "openssh" => self.openssh().await,
            _ => self.libssh2(),
        }
    }

    pub(crate) async fn openssh(&self) -> Site<'_> {
        let site = Site::new(self, "openssh");
        site.connect().await;
        site
    }

    pub(crate) fn libssh2(&self) -> Site<'_> {
        Site::new(self, "libssh2")
    }
}

/// A test that broke the cluster leaves it whole, however it ends: the next one shall not meet its fault.
impl Drop for Cluster {
    fn drop(&mut self) {
        if *self.broken.get_mut() {
            // A failure to heal is found by the next test that wants the cluster for itself.
            let _ = Command::new(self.value("RALPH_CLUSTER_CTL"))
                .args(["heal", "all"])
                .env("RALPH_CLUSTER_DIR", self.value("RALPH_CLUSTER_DIR"))
                .output();
        }
    }
}

/// The transport that the settings name.
pub(crate) fn transport(settings: &ClusterSettings) -> Arc<dyn Transport> {
    match settings.ssh.transport {
        TransportKind::Openssh => Arc::new(ControlMaster::new(Session::new(settings.ssh.clone()))),
        TransportKind::Libssh2 => {
            let nowhere = PathBuf::from("/nonexistent");
            Arc::new(Libssh2::new(settings.ssh.clone(), nowhere, "nobody", None))
        }
    }
}

/// A backend over a transport, without a call budget.
pub(crate) fn backend(
    settings: &ClusterSettings,
    transport: Arc<dyn Transport>,
    workspace: &Path,
) -> SlurmBackend {
    let options = SlurmOptions {
        workspace: workspace.to_owned(),
        budget_folder: None,
        rate: Rate::default(),
    };
    SlurmBackend::new(settings, options, transport, env())
}

/// A workspace here, an empty repository there, and a way between them.
pub(crate) struct Site<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) name: &'static str,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) settings: ClusterSettings,
    text: String,
    /// The repository's folder on the cluster, which is on this machine, too.
    pub(crate) root: PathBuf,
    pub(crate) folder: TempDir,
    pub(crate) env: Env,
}

impl<'a> Site<'a> {
    fn new(cluster: &'a Cluster, name: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let unique = folder
            .path()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .trim_start_matches('.')
            .to_owned();
        // With a blank and a quote: every path on the cluster has to survive them.
        let root = Path::new(cluster.value("RALPH_REMOTE_HOME")).join(format!("it's {unique}"));
        std::fs::create_dir(&root).unwrap();
        std::os::unix::fs::chown(&root, Some(USER_ID), Some(GROUP_ID)).unwrap();
        std::fs::create_dir_all(folder.path().join("workspace/projects")).unwrap();
        let text = serde_json::json!({
            "ssh": {
                "user": cluster.value("RALPH_SSH_USER"),
                "host": if name == "openssh" { cluster.value("RALPH_SSH_ALIAS") } else { cluster.value("RALPH_SSH_HOST") },
                "port": cluster.value("RALPH_SSH_PORT"),
                "control_path": folder.path().join("cm/%C"),
                "control_persist": "10m",
                "transport": name,
                "config_file": cluster.value("RALPH_SSH_CONFIG"),
                "identity_file": cluster.value("RALPH_SSH_KEY"),
                "known_hosts": cluster.value("RALPH_SSH_KNOWN_HOSTS"),
            },
            "remote": {"repo_root": root, "rsync_excludes": ["*.pyc"]},
        });
        let text = text.to_string();
        let (settings, unknown) = ClusterSettings::parse(&text).unwrap();
        assert!(unknown.is_empty(), "{unknown:?}");
        Self {
            cluster,
            name,
            transport: transport(&settings),
            text,
            settings,
            root,
            folder,
            env: env(),
        }
    }

    /// The settings as the file would hold them.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Opens the session, where the transport needs one.
    pub(crate) async fn connect(&self) {
        if self.name == "openssh" {
            Session::new(self.settings.ssh.clone())
                .connect()
                .await
                .unwrap();
        }
    }

    pub(crate) async fn disconnect(&self) {
        assert!(
            Session::new(self.settings.ssh.clone())
                .disconnect()
                .await
                .unwrap()
        );
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.folder.path().join("workspace")
    }

    pub(crate) fn backend(&self) -> SlurmBackend {
        backend(
            &self.settings,
            Arc::clone(&self.transport),
            &self.workspace(),
        )
    }

    /// A backend whose repository is on the file system that can be filled up.
    pub(crate) fn backend_on_scratch(&self) -> SlurmBackend {
        let unique = self.root.file_name().unwrap().to_str().unwrap();
        let root = format!("{}/{unique}", self.cluster.value("RALPH_REMOTE_SCRATCH"));
        let owner = [USER_ID.to_string(), GROUP_ID.to_string()];
        self.cluster
            .admin(&["install", "-d", "-o", &owner[0], "-g", &owner[1], &root]);
        let mut settings = self.settings.clone();
        settings.remote.repo_root = root;
        backend(&settings, Arc::clone(&self.transport), &self.workspace())
    }

    /// Another process that submits this request and ends.
    pub(crate) fn child_that_submits(&self, request: &SubmitRequest) -> Child {
        let order = serde_json::json!({"settings": self.text, "request": request, "workspace": self.workspace()});
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child::submits", "--nocapture"])
            .env(crate::child::ORDER, order.to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Writes a row of the fault table, and checks that the run's job was started exactly once.
    pub(crate) async fn record(&self, case: &str, requests: &[&SubmitRequest], end: &str) {
        for request in requests {
            let jobs = self.jobs_once_known(request.token.as_str()).await;
            assert_eq!(jobs.len(), 1, "{case} over {}: {jobs:?}", self.name);
            let line = format!(
                "{case:44} {:8} started {} ended {end}\n",
                self.name,
                jobs.len()
            );
            eprint!("{line}");
            let path = Path::new(self.cluster.value("RALPH_CLUSTER_DIR")).join("fault-table.txt");
            let mut table = File::options()
                .create(true)
                .append(true)
                .open(path)
                .unwrap();
            std::io::Write::write_all(&mut table, line.as_bytes()).unwrap();
        }
    }

    /// A request for this script, with a fresh token.
    pub(crate) fn request(&self, script: &str) -> SubmitRequest {
        request(&self.env, script)
    }

    /// Puts a file of one of the cluster's users into the home folder, such as `.bashrc`.
    pub(crate) fn write_home(&self, name: &str, text: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = Path::new(self.cluster.value("RALPH_REMOTE_HOME")).join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::io::Write::write_all(&mut File::create(&path).unwrap(), text.as_bytes()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        std::os::unix::fs::chown(&path, Some(USER_ID), Some(GROUP_ID)).unwrap();
    }

    pub(crate) fn remove_home(&self, name: &str) {
        let _ = std::fs::remove_file(Path::new(self.cluster.value("RALPH_REMOTE_HOME")).join(name));
    }

    /// The same, once there is one: accounting knows that a job has ended before it knows its command line.
    async fn jobs_once_known(&self, token: &str) -> Vec<String> {
        let start = Instant::now();
        loop {
            let jobs = self.jobs_ever(token);
            if !jobs.is_empty() || start.elapsed() > Duration::from_secs(60) {
                return jobs;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Jobs of this repository folder that the cluster has ever started, by accounting and queue.
    pub(crate) fn jobs_ever(&self, token: &str) -> Vec<String> {
        let accounting = self.cluster.admin(&[
            "sacct",
            "-a",
            "-X",
            "-n",
            "-P",
            "-D",
            "-S",
            "now-1days",
            "-E",
            "now",
            "-o",
            "JobID,SubmitLine",
        ]);
        let queue = self
            .cluster
            .admin(&["squeue", "-a", "-h", "-t", "all", "-o", "%i|%o"]);
        let mut jobs: Vec<String> = accounting
            .lines()
            .chain(queue.lines())
            .filter(|line| line.contains(token))
            .filter_map(|line| Some(line.split(['|', '_', '+']).next()?.to_owned()))
            .collect();
        jobs.sort();
        jobs.dedup();
        jobs
    }
}

impl Drop for Site<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
        if self.name == "openssh" {
            let _ = Session::new(self.settings.ssh.clone())
                .attach()
                .args(["-O", "exit", "ralph"])
                .output();
        }
    }
}

/// Looks until the wanted thing is seen; fails after two minutes with the last sight.
pub(crate) async fn until<T>(
    backend: &SlurmBackend,
    query: &JobQuery,
    mut wanted: impl FnMut(&Sighting) -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        let seen: Vec<Observation> = backend.observe(std::slice::from_ref(query)).await.unwrap();
        if let Some(found) = wanted(&seen[0].sighting) {
            return found;
        }
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "{:?}",
            seen[0].sighting
        );
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

/// Looks until accounting says how the job ended. A final state that is taken back is a false one.
pub(crate) async fn end(backend: &SlurmBackend, query: &JobQuery) -> JobReport {
    let mut finals: Vec<JobState> = Vec::new();
    let report = until(backend, query, |sighting| {
        let Sighting::Seen(report) = sighting else {
            return None;
        };
        if report.finality() != Finality::Final {
            assert!(finals.is_empty(), "{finals:?} was taken back: {report:?}");
            return None;
        }
        finals.push(report.state.clone());
        (report.evidence.source == "sacct").then(|| (**report).clone())
    })
    .await;
    assert!(
        finals.iter().all(|state| *state == report.state),
        "{finals:?}"
    );
    report
}

/// What a careful caller does until the job is known: look, and submit only when nothing was ever heard of the token.
pub(crate) async fn settle(backend: &SlurmBackend, request: &SubmitRequest) -> JobId {
    let start = Instant::now();
    loop {
        let mut found = backend.receipt(&request.token, request.intent_at).await;
        if found == Ok(Receipt::Absent) {
            found = backend.submit(request).await;
        }
        match found {
            Ok(Receipt::Accepted { job, .. }) => return job,
            other => assert!(start.elapsed() < Duration::from_secs(90), "{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Waits for a file.
pub(crate) async fn wait_for(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "{} did not come",
            path.display()
        );
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}
