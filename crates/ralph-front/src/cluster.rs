//! Building the cluster that a workspace's configuration names. Nothing is contacted here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ralph_core::backend::{BackendError, ClusterBackend};
use ralph_core::cluster::local::{LocalCluster, LocalSettings};
use ralph_core::env::Env;
use ralph_core::error::Coded as _;
use ralph_core::process::Supervisor;
use ralph_core::settings::ClusterKind;
use ralph_core::store::layout;
use ralph_slurm::{
    ClusterSettings, ControlMaster, Rate, Relay, Session, SlurmBackend, SlurmOptions, Transport,
    TransportKind,
};

/// The program that holds the connection where `ssh.transport` is `libssh2`.
const LIBSSH2: &str = "ralph-libssh2";

/// Where things are on this machine, as the binary knows from its environment.
#[derive(Debug)]
pub struct Site<'a> {
    /// The folder that holds `.claude/`.
    pub root: &'a Path,
    /// The folder that holds `projects/`, for the embedded cluster.
    pub workspace: PathBuf,
    /// Where the embedded cluster keeps its records.
    pub state_dir: PathBuf,
    /// The running program, which supervises the embedded cluster's jobs under `__job`.
    pub program: io::Result<PathBuf>,
    /// What all processes of this user share.
    pub runtime_dir: Option<PathBuf>,
    /// The user's home.
    pub home: Option<PathBuf>,
}

impl Site<'_> {
    /// The cluster of this kind, or why there is none.
    ///
    /// # Errors
    /// [`BackendError::NoConfig`] when none is named or its configuration cannot be used.
    pub fn cluster(
        self,
        kind: Option<ClusterKind>,
        env: &Env,
    ) -> Result<Arc<dyn ClusterBackend>, BackendError> {
        match kind {
            Some(ClusterKind::Local) => Ok(Arc::new(self.local(env)?)),
            Some(ClusterKind::Slurm) => self.slurm(env),
            None => Err(BackendError::NoConfig {
                detail: format!(
                    "neither {} says `cluster` nor is there a {}",
                    layout::CONFIG,
                    layout::CLUSTER_CONFIG
                ),
            }),
        }
    }

    fn local(self, env: &Env) -> Result<LocalCluster, BackendError> {
        let program = self.program.map_err(|error| BackendError::Storage {
            path: "ralph".to_owned(),
            detail: format!("the running program cannot be found: {error}"),
        })?;
        let supervisor = Supervisor {
            program,
            args: vec!["__job".to_owned()],
        };
        let settings = LocalSettings {
            state_dir: self.state_dir,
            ..LocalSettings::new(self.workspace, supervisor)
        };
        Ok(LocalCluster::new(settings, env.clone()))
    }

    fn slurm(self, env: &Env) -> Result<Arc<dyn ClusterBackend>, BackendError> {
        let (settings, _) = settings(self.root)?;
        let transport = self.transport(&settings, env)?;
        let options = SlurmOptions {
            workspace: self.root.to_path_buf(),
            budget_folder: self.runtime_dir.map(|folder| folder.join("ralph")),
            rate: Rate::default(),
        };
        Ok(Arc::new(SlurmBackend::new(
            &settings,
            options,
            transport,
            env.clone(),
        )))
    }

    fn transport(
        &self,
        settings: &ClusterSettings,
        env: &Env,
    ) -> Result<Arc<dyn Transport>, BackendError> {
        match settings.ssh.transport {
            TransportKind::Openssh => Ok(Arc::new(ControlMaster::new(Session::new(
                settings.ssh.clone(),
            )))),
            TransportKind::Libssh2 => self.libssh2(settings, env),
        }
    }

    /// The program that speaks SSH by itself, beside the running one, else from the `PATH`.
    fn libssh2(
        &self,
        settings: &ClusterSettings,
        env: &Env,
    ) -> Result<Arc<dyn Transport>, BackendError> {
        let home = self.home.clone().ok_or_else(|| BackendError::NoConfig {
            detail: "HOME is not set".to_owned(),
        })?;
        let beside = self.program.as_ref().ok();
        let beside = beside.map(|program| program.with_file_name(LIBSSH2));
        let program = beside.filter(|path| path.exists());
        Ok(Arc::new(Relay::new(
            program.unwrap_or_else(|| PathBuf::from(LIBSSH2)),
            settings.ssh.clone(),
            home,
            &env.user,
        )))
    }
}

/// Reads the cluster's configuration; members that nothing reads come with it, to be told once.
///
/// # Errors
/// [`BackendError::NoConfig`]: the file is missing or cannot be used.
pub fn settings(root: &Path) -> Result<(ClusterSettings, Vec<String>), BackendError> {
    let path = root.join(layout::CLUSTER_CONFIG);
    let no_config = |detail: String| BackendError::NoConfig { detail };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(no_config(format!(
                "{}: there is no such file",
                layout::CLUSTER_CONFIG
            )));
        }
        Err(error) => {
            return Err(no_config(format!(
                "{}: cannot be read: {error}",
                path.display()
            )));
        }
    };
    ClusterSettings::parse(&text).map_err(|error| {
        let hint = error
            .hint()
            .map_or_else(String::new, |hint| format!(" ({hint})"));
        no_config(format!("{}: {error}{hint}", layout::CLUSTER_CONFIG))
    })
}
