//! The real cluster as the tests see it: where it is, how to break it, a fresh repository folder on it, both transports.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ralph_core::backend::{ClusterBackend as _, SubmitRequest};
use ralph_core::env::Env;
use ralph_core::job::{Finality, JobQuery, JobReport, Observation, Sighting};
use ralph_slurm::{
    ClusterSettings, ControlMaster, Libssh2, Rate, Session, SlurmBackend, SlurmOptions, Transport,
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
    /// Held for the life of the test: a test that breaks the cluster runs alone.
    _lock: File,
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
    let text = std::fs::read_to_string(&file).unwrap();
    let values: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let path = Path::new(&values["RALPH_CLUSTER_DIR"]).join("test.lock");
    let lock = File::options()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    if alone {
        lock.lock().unwrap();
    } else {
        lock.lock_shared().unwrap();
    }
    let cluster = Cluster {
        values,
        _lock: lock,
    };
    if alone {
        cluster.control(&["heal", "all"]);
    }
    Some(cluster)
}

impl Cluster {
    pub(crate) fn value(&self, key: &str) -> &str {
        &self.values[key]
    }

    /// Runs the control script: `break`, `heal`, `admin`, ….
    pub(crate) fn control(&self, arguments: &[&str]) -> String {
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

    /// The transports, each with a session of its own.
    pub(crate) async fn sites(&self) -> Vec<Site<'_>> {
        vec![self.openssh().await, self.libssh2()]
    }

    pub(crate) async fn openssh(&self) -> Site<'_> {
        let mut site = Site::new(self, "openssh");
        let session = Session::new(site.settings.ssh.clone());
        session.connect().await.unwrap();
        site.transport = Arc::new(ControlMaster::new(session));
        site
    }

    pub(crate) fn libssh2(&self) -> Site<'_> {
        let mut site = Site::new(self, "libssh2");
        site.transport = Arc::new(Libssh2::new(
            site.settings.ssh.clone(),
            PathBuf::from("/nonexistent"),
            "nobody",
            None,
        ));
        site
    }
}

/// A workspace here, an empty repository there, and a way between them.
pub(crate) struct Site<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) name: &'static str,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) settings: ClusterSettings,
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
        let (settings, unknown) = ClusterSettings::parse(&text.to_string()).unwrap();
        assert!(unknown.is_empty(), "{unknown:?}");
        let session = Session::new(settings.ssh.clone());
        Self {
            cluster,
            name,
            transport: Arc::new(ControlMaster::new(session)),
            settings,
            root,
            folder,
            env: env(),
        }
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.folder.path().join("workspace")
    }

    pub(crate) fn backend(&self) -> SlurmBackend {
        self.backend_over(Arc::clone(&self.transport))
    }

    pub(crate) fn backend_over(&self, transport: Arc<dyn Transport>) -> SlurmBackend {
        let options = SlurmOptions {
            workspace: self.workspace(),
            budget_folder: None,
            rate: Rate::default(),
        };
        SlurmBackend::new(&self.settings, options, transport, self.env.clone())
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
            .filter_map(|line| Some(line.split('|').next()?.split('_').next()?.to_owned()))
            .collect();
        jobs.sort();
        jobs.dedup();
        jobs
    }
}

impl Drop for Site<'_> {
    fn drop(&mut self) {
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

/// Looks until the job has ended.
pub(crate) async fn end(backend: &SlurmBackend, query: &JobQuery) -> JobReport {
    until(backend, query, |sighting| match sighting {
        Sighting::Seen(report)
            if report.finality() == Finality::Final && report.evidence.source == "sacct" =>
        {
            Some((**report).clone())
        }
        _ => None,
    })
    .await
}
