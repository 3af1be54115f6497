//! Building the SLURM backend from `.claude/cluster.local.json`.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use ralph_core::backend::{BackendError, ClusterBackend};
use ralph_core::env::Env;
use ralph_core::error::Coded as _;
use ralph_core::store::layout;
use ralph_slurm::{
    ClusterSettings, ControlMaster, Rate, Session, SlurmBackend, SlurmOptions, Transport,
    TransportKind,
};

use crate::env_vars;

/// Reads the cluster's configuration; members that nothing reads come with it, to be told once.
pub(crate) fn settings(root: &Path) -> Result<(ClusterSettings, Vec<String>), BackendError> {
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

/// The backend over the configured transport; nothing is contacted.
pub(crate) fn backend(root: &Path, env: &Env) -> Result<Arc<dyn ClusterBackend>, BackendError> {
    let (settings, _) = settings(root)?;
    let transport = transport(&settings, env)?;
    let options = SlurmOptions {
        workspace: root.to_path_buf(),
        budget_folder: env_vars::runtime_dir().map(|folder| folder.join("ralph")),
        rate: Rate::default(),
    };
    Ok(Arc::new(SlurmBackend::new(
        &settings,
        options,
        transport,
        env.clone(),
    )))
}

fn transport(settings: &ClusterSettings, env: &Env) -> Result<Arc<dyn Transport>, BackendError> {
    match settings.ssh.transport {
        TransportKind::Openssh => Ok(Arc::new(ControlMaster::new(Session::new(
            settings.ssh.clone(),
        )))),
        TransportKind::Libssh2 => libssh2(settings, env),
    }
}

#[cfg(feature = "libssh2")]
fn libssh2(settings: &ClusterSettings, env: &Env) -> Result<Arc<dyn Transport>, BackendError> {
    let home = env_vars::path("HOME").ok_or_else(|| BackendError::NoConfig {
        detail: "HOME is not set".to_owned(),
    })?;
    Ok(Arc::new(ralph_slurm::Libssh2::new(
        settings.ssh.clone(),
        home,
        &env.user,
        None,
    )))
}

#[cfg(not(feature = "libssh2"))]
fn libssh2(_: &ClusterSettings, _: &Env) -> Result<Arc<dyn Transport>, BackendError> {
    Err(BackendError::NoConfig {
        detail: "`ssh.transport` is `libssh2`, which this build leaves out".to_owned(),
    })
}
