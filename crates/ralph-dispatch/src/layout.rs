//! Every path of a workbench, once. Nothing is read here.
//!
//! ```text
//! project.conf                      the user's: repositories and knobs
//! repos/NAME/                       the repositories
//! EPIC-PIPELINE.md                  the user's: the Exec cells are ours
//! ralph/NAME.pid                    the supervisor of a running loop
//! ralph/logs/NAME.log               what the loop says
//! ralph/dispatch.log                one line per event, of all launches
//! ralph/state/lock                  whoever launches, sweeps or stops
//! ralph/state/loops/NAME.json       the last loop of a repository, and what became of it
//! ralph/state/launches/ID/          a launch: budget/, and one record directory per repository in loops/
//! ralph/state/cluster/              the embedded cluster, for `--on cluster`
//! ```

use std::path::{Path, PathBuf};

/// The file by which a workbench is known.
pub(crate) const CONF: &str = "project.conf";
/// The user's table of what is to be done, in the workbench.
pub(crate) const PIPELINE: &str = "EPIC-PIPELINE.md";
/// The plan of a loop, in its repository.
pub(crate) const PLAN: &str = ".ralph/fix_plan.md";

/// What of the workbench's folder is ours, as lines of git's exclude file.
pub(crate) const OWN: [&str; 6] = [
    "/ralph/*.pid",
    "/ralph/logs/",
    "/ralph/dispatch.log",
    "/ralph/state/",
    // What a crash leaves of a pidfile or of EPIC-PIPELINE.md while it is replaced, until the next sweep removes it.
    "/.ralph-*.tmp",
    "/ralph/.ralph-*.tmp",
];

/// The paths of a workbench.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// The workbench.
    pub(crate) root: PathBuf,
}

/// What the loops of a launch share, in its folder.
const BUDGET: &str = "budget";

/// The budget of the launch that the record directory of a supervisor belongs to.
pub(crate) fn budget_of(supervised: &Path) -> Option<PathBuf> {
    Some(supervised.parent()?.parent()?.join(BUDGET))
}

impl Layout {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn conf(&self) -> PathBuf {
        self.root.join(CONF)
    }

    /// The folder of all repositories.
    pub(crate) fn repos(&self) -> PathBuf {
        self.root.join("repos")
    }

    pub(crate) fn repository(&self, name: &str) -> PathBuf {
        self.repos().join(name)
    }

    pub(crate) fn plan(&self, name: &str) -> PathBuf {
        self.repository(name).join(PLAN)
    }

    pub(crate) fn pipeline(&self) -> PathBuf {
        self.root.join(PIPELINE)
    }

    fn ralph(&self) -> PathBuf {
        self.root.join("ralph")
    }

    pub(crate) fn pid_file(&self, name: &str) -> PathBuf {
        self.ralph().join(format!("{name}.pid"))
    }

    /// The folder of the pidfiles.
    pub(crate) fn pid_files(&self) -> PathBuf {
        self.ralph()
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.ralph().join("logs")
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    pub(crate) fn dispatch_log(&self) -> PathBuf {
        self.ralph().join("dispatch.log")
    }

    fn state(&self) -> PathBuf {
        self.ralph().join("state")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.state().join("lock")
    }

    pub(crate) fn loops(&self) -> PathBuf {
        self.state().join("loops")
    }

    pub(crate) fn record(&self, name: &str) -> PathBuf {
        self.loops().join(format!("{name}.json"))
    }

    /// The folder of the launches.
    pub(crate) fn launches(&self) -> PathBuf {
        self.state().join("launches")
    }

    pub(crate) fn launch(&self, launch: &str) -> PathBuf {
        self.launches().join(launch)
    }

    pub(crate) fn budget(&self, launch: &str) -> PathBuf {
        self.launch(launch).join(BUDGET)
    }

    /// The record directory of a repository's supervisor in a launch.
    pub(crate) fn supervised(&self, launch: &str, name: &str) -> PathBuf {
        self.launch(launch).join("loops").join(name)
    }

    /// The record of a repository's job once more, as it was submitted.
    pub(crate) fn submission(&self, launch: &str, name: &str) -> PathBuf {
        self.supervised(launch, name).join("submission.json")
    }

    /// The embedded cluster's workspace.
    pub(crate) fn cluster(&self) -> PathBuf {
        self.state().join("cluster")
    }

    /// A path as it is shown: relative to the workbench where it is below it.
    pub(crate) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root)
            .unwrap_or(path)
            .display()
            .to_string()
    }
}
