//! A scheduler made of four shell scripts and a folder of files that say how it behaves.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ralph_core::env::Env;
use ralph_slurm::{
    ClusterSettings, Fault, Faulty, Local, Rate, SlurmBackend, SlurmOptions, Transport,
};
use tempfile::TempDir;

const SBATCH: &str = r#"#!/bin/sh
cd "$HOME/state" || exit 9
printf '%s\n' "$*" >>sbatch.log
case "$*" in *--test-only*)
  [ ! -e preflight.fail ] || { cat preflight.fail >&2; exit 1; }
  exit 0 ;;
esac
[ ! -e sbatch.refuse ] || { cat sbatch.refuse >&2; exit 1; }
id=1001
until mkdir "job.$id" 2>/dev/null; do id=$((id + 1)); done
for script; do :; done
printf '%s' "$script" >"job.$id/script"
env >"job.$id/env"
[ ! -e sbatch.lie ] || { cat sbatch.lie >&2; exit 1; }
[ ! -e sbatch.chatter ] || cat sbatch.chatter
echo "$id"
"#;

const SQUEUE: &str = r#"#!/bin/sh
cd "$HOME/state" || exit 9
printf '%s\n' "$*" >>squeue.log
[ ! -e squeue.fail ] || { cat squeue.fail >&2; exit 1; }
case "$*" in
  *%o*) [ -e queue.forgets ] || for job in job.*; do [ ! -d "$job" ] || printf '%s\037%s\037%s\n' "${job#job.}" "$(cat "$job/queued" 2>/dev/null)" "$(cat "$job/script")"; done ;;
  *-j*) [ ! -e queue.state ] || cat queue.state ;;
  *) [ ! -e queue ] || tr '|' '\037' <queue ;;
esac
"#;

const SACCT: &str = r#"#!/bin/sh
cd "$HOME/state" || exit 9
printf '%s\n' "$*" >>sacct.log
[ ! -e sacct.fail ] || { cat sacct.fail >&2; exit 1; }
case "$*" in
  *SubmitLine*) [ ! -e accounting.half ] || printf '9\037\037\037allocation\n'; [ -e accounting.forgets ] || for job in job.*; do [ ! -d "$job" ] || printf '%s\037\037sbatch %s\n' "${job#job.}" "$(cat "$job/script")"; done ;;
  *"-o State"*) [ ! -e accounting.state ] || cat accounting.state ;;
  *) [ ! -e accounting ] || tr '|' '\037' <accounting ;;
esac
"#;

/// A cluster in a folder.
#[derive(Debug)]
pub(crate) struct Scheduler {
    folder: TempDir,
    pub(crate) env: Env,
}

impl Scheduler {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let scheduler = Self {
            folder,
            env: crate::shared::env(),
        };
        for part in ["bin", "state", "home repo", "workspace/projects/demo"] {
            std::fs::create_dir_all(scheduler.folder.path().join(part)).unwrap();
        }
        for (name, text) in [
            ("sbatch", SBATCH),
            ("squeue", SQUEUE),
            ("sacct", SACCT),
            ("scancel", "#!/bin/sh\n"),
        ] {
            scheduler.command(name, text);
        }
        scheduler
    }

    /// Puts a program on the cluster's `PATH`, before what the machine has.
    pub(crate) fn command(&self, name: &str, text: &str) {
        let path = self.folder.path().join("bin").join(name);
        File::create(&path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Sets how the scheduler behaves: the text of one of its files.
    pub(crate) fn set(&self, name: &str, text: &str) {
        File::create(self.state().join(name))
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    pub(crate) fn unset(&self, name: &str) {
        std::fs::remove_file(self.state().join(name)).unwrap();
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The repository's folder on the cluster.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("home repo")
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.folder.path().join("workspace")
    }

    pub(crate) fn receipt_folder(&self, token: &str) -> PathBuf {
        self.root().join(".ralph/receipts").join(token)
    }

    /// How many jobs were ever started.
    pub(crate) fn jobs(&self) -> usize {
        let names = std::fs::read_dir(self.state()).unwrap();
        names
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .file_name()
                    .to_str()
                    .unwrap()
                    .starts_with("job.")
            })
            .count()
    }

    /// The command lines that a command was given.
    pub(crate) fn log(&self, command: &str) -> String {
        std::fs::read_to_string(self.state().join(format!("{command}.log"))).unwrap_or_default()
    }

    pub(crate) fn backend(&self) -> SlurmBackend {
        self.backend_with([])
    }

    pub(crate) fn backend_with(&self, faults: impl IntoIterator<Item = Fault>) -> SlurmBackend {
        self.backend_in("~/home repo", |local| Arc::new(Faulty::new(local, faults)))
    }

    /// A backend whose transport is another one around the local one.
    pub(crate) fn backend_over(
        &self,
        transport: impl FnOnce(Arc<dyn Transport>) -> Arc<dyn Transport>,
    ) -> SlurmBackend {
        self.backend_in("~/home repo", transport)
    }

    /// A backend whose repository's folder is another one.
    pub(crate) fn backend_below(&self, root: &str) -> SlurmBackend {
        self.backend_in(root, |local| local)
    }

    fn backend_in(
        &self,
        root: &str,
        transport: impl FnOnce(Arc<dyn Transport>) -> Arc<dyn Transport>,
    ) -> SlurmBackend {
        let path = format!("{}:/usr/bin:/bin", self.folder.path().join("bin").display());
        let local: Arc<dyn Transport> = Arc::new(Local::new(self.folder.path().to_owned(), path));
        let settings = serde_json::json!({
            "ssh": {"host": "fake"},
            "remote": {"repo_root": root, "rsync_excludes": ["*.pyc", "__pycache__/"]},
        });
        let (settings, _) = ClusterSettings::parse(&settings.to_string()).unwrap();
        let options = SlurmOptions {
            workspace: self.workspace(),
            budget_folder: None,
            rate: Rate::default(),
        };
        SlurmBackend::new(&settings, options, transport(local), self.env.clone())
    }

    /// The script as it was given to `sbatch` for a job.
    pub(crate) fn script_of(&self, job: &str) -> PathBuf {
        let path = std::fs::read_to_string(self.state().join(format!("job.{job}/script"))).unwrap();
        Path::new(&path).to_owned()
    }
}
