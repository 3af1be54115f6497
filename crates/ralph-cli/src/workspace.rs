//! Finding the workspace, reading its configuration, and building what acts on it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::tz::TimeZone;
use ralph_core::act::Dispatcher;
use ralph_core::act::git::GitSource;
use ralph_core::backend::{BackendError, ClusterBackend};
use ralph_core::env::Env;
use ralph_core::error::Code;
use ralph_core::process::guard::GuardProgram;
use ralph_core::settings::{self, ClusterKind, Settings, SettingsProblem};
use ralph_core::store::layout;
use ralph_front::cluster::Site;
use ralph_front::machine;
use serde_json::Value;

use crate::args::Global;
use crate::env_vars;
use ralph_front::failure::Failure;
use ralph_front::output::Output;

/// The seed's prompt, word for word; shown where the shims that it names are installed.
const SEED_PROMPT: &str =
    "Run scripts/cluster/ssh_bootstrap.sh (interactive SSH+2FA) then rerun /dispatch";
const OWN_PROMPT: &str = "Run `ralph cluster connect` (interactive SSH+2FA) then rerun /dispatch";

/// A workspace with its configuration.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// Its folder.
    pub(crate) root: PathBuf,
    /// `.claude/ralph/config.json`.
    pub(crate) settings: Settings,
    /// What of it cannot be used.
    pub(crate) problems: Vec<SettingsProblem>,
    /// `.claude/cluster.local.json`, when it is there.
    pub(crate) cluster_file: Option<Value>,
}

/// The environment of this process, for everything that is injected.
pub(crate) fn env() -> Env {
    machine::env(env_vars::user())
}

/// The workspace's folder: `--root`, else the nearest one upward that holds `.claude/ralph/` or `projects/`.
pub(crate) fn find_root(global: &Global) -> Result<PathBuf, Failure> {
    let current = env_vars::current_dir().map_err(|error| {
        Failure::new(
            Code::Failed,
            format!("the current folder cannot be read: {error}"),
        )
    })?;
    if let Some(root) = &global.root {
        let root = current.join(root);
        return root.canonicalize().map_err(|error| {
            Failure::new(
                Code::Usage,
                format!("{}: expected a folder: {error}", root.display()),
            )
            .hint("Check --root.")
        });
    }
    let is_workspace = |folder: &&Path| {
        folder.join(layout::RALPH_DIR).is_dir() || folder.join(layout::PROJECTS).is_dir()
    };
    current
        .ancestors()
        .find(is_workspace)
        .map(Path::to_path_buf)
        .ok_or_else(|| {
            Failure::new(
                Code::Failed,
                format!(
                    "{}: neither here nor above is there a workspace (.claude/ralph/ or projects/)",
                    current.display()
                ),
            )
            .hint("Run `ralph init` where it should be, or name it with --root.")
        })
}

impl Workspace {
    /// Finds and reads the workspace; what its configuration says wrongly is told once.
    pub(crate) fn open(global: &Global, output: &Output) -> Result<Self, Failure> {
        let workspace = Self::read(find_root(global)?)?;
        for problem in &workspace.problems {
            output.note(&format!(
                "warning: {}: {}: {}",
                layout::CONFIG,
                problem.key,
                problem.message
            ));
        }
        Ok(workspace)
    }

    /// Reads a workspace.
    pub(crate) fn read(root: PathBuf) -> Result<Self, Failure> {
        let (settings, problems) = match json_file(&root.join(layout::CONFIG))? {
            None => (Settings::default(), Vec::new()),
            Some(Value::Object(object)) => settings::read(&object),
            Some(other) => return Err(not_an_object(layout::CONFIG, &other)),
        };
        let cluster_file = json_file(&root.join(layout::CLUSTER_CONFIG))?;
        Ok(Self {
            root,
            settings,
            problems,
            cluster_file,
        })
    }

    /// Which cluster is meant: the configuration's word, else SLURM where its file is; never assumed otherwise.
    pub(crate) fn cluster_kind(&self) -> Option<ClusterKind> {
        self.settings
            .cluster
            .or_else(|| self.cluster_file.as_ref().map(|_| ClusterKind::Slurm))
    }

    /// The cluster, or why there is none.
    pub(crate) fn cluster(&self, env: &Env) -> Result<Arc<dyn ClusterBackend>, BackendError> {
        let site = Site {
            root: &self.root,
            workspace: self.root.clone(),
            state_dir: self.root.join(layout::CLUSTER_DIR),
            program: env_vars::program(),
            runtime_dir: env_vars::runtime_dir(),
            home: env_vars::path("HOME"),
        };
        site.cluster(self.cluster_kind(), env)
    }

    /// Where jobs clone from; `None` where the project's files are used as they are.
    fn git(&self) -> Option<GitSource> {
        let url = self
            .cluster_file
            .as_ref()?
            .get("git")?
            .get("url")?
            .as_str()?
            .trim()
            .to_owned();
        (!url.is_empty()).then(|| GitSource {
            url,
            checkout: self.root.clone(),
            guard_program: guard_program(),
        })
    }

    fn session_prompt(&self) -> String {
        let shim = self.root.join("scripts/cluster/ssh_bootstrap.sh");
        if shim.exists() {
            SEED_PROMPT
        } else {
            OWN_PROMPT
        }
        .to_owned()
    }

    /// What acts on this workspace.
    pub(crate) fn dispatcher(&self, output: &Output) -> Arc<Dispatcher> {
        let env = env();
        let cluster = self.cluster(&env);
        let say = output.clone();
        Arc::new(Dispatcher {
            zone: TimeZone::system(),
            settings: self.settings.clone(),
            git: self.git(),
            session_prompt: self.session_prompt(),
            progress: Arc::new(move |line| {
                if say.verbose > 0 {
                    say.note(line);
                }
            }),
            ..Dispatcher::new(&self.root, env, cluster, guard_program())
        })
    }
}

/// Where the system does not say which program runs, the installed one does as well.
fn guard_program() -> GuardProgram {
    env_vars::guard_program().unwrap_or_else(|_| GuardProgram::installed())
}

/// Reads a JSON file; `None` when there is none.
fn json_file(path: &Path) -> Result<Option<Value>, Failure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Failure::new(
                Code::Failed,
                format!("{}: cannot be read: {error}", path.display()),
            ));
        }
    };
    serde_json::from_str(&text).map(Some).map_err(|error| {
        let at = format!("{}:{}:{}", path.display(), error.line(), error.column());
        Failure::new(Code::CorruptState, format!("{at}: expected JSON: {error}"))
            .hint("Mend the file; nothing was changed.")
    })
}

fn not_an_object(path: &str, found: &Value) -> Failure {
    let start: String = found.to_string().chars().take(40).collect();
    Failure::new(
        Code::CorruptState,
        format!("{path}: expected a JSON object, found {start}"),
    )
}
