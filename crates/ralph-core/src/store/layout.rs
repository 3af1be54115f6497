//! Where everything is: the paths of a project and of a workspace, each written down once.
//!
//! A project's paths are relative to its folder and a workspace's to its root, with `/`, as they stand in a
//! [`crate::change::FileChange`]. Nothing here touches a disk; discovery and meaning are elsewhere.

use crate::id::{OpId, RunId};

/// The folder of the machine's own files in a project.
pub const STATE_DIR: &str = ".state";
/// A project's state; the commit point of every operation.
pub const PIPELINE: &str = ".state/pipeline.json";
/// The lock that old shell users see: a directory, or a symbolic link of one branch's `lock.sh`.
pub const LOCK: &str = ".state/lock";
/// The file that carries the advisory lock. Never deleted.
pub const LOCK_GUARD: &str = ".state/lock.guard";
/// The lock of whoever lets an agent or the tests run, with a record of what runs. Never deleted.
pub const LOCK_ATTEMPT: &str = ".state/lock.attempt";
/// The operations journal of a project.
pub const OPS: &str = ".state/ops";
/// Submissions that were begun: one file per run.
pub const INTENTS: &str = ".state/intents";
/// What earlier passes saw of jobs that the cluster did not report; ours.
pub const SIGHTINGS: &str = ".state/sightings.json";
/// The work order that was handed out; ours.
pub const ORDER: &str = ".state/order.json";

/// What went wrong and what became of it.
pub const DEBUGGING: &str = "documentation/debugging.md";
/// The experiments to run.
pub const QUEUE: &str = "documentation/queue.md";
/// The code to write.
pub const TODO: &str = "documentation/implementation-todo.md";
/// Questions that are argued out.
pub const DEBATES: &str = "documentation/debates.md";
/// The findings so far.
pub const RESULTS_SUMMARY: &str = "results/summary.md";

/// One folder per run.
pub const RUNS: &str = "runs";
/// The batch scripts.
pub const SLURM_JOBS: &str = "slurm/jobs";
/// The logs that were fetched.
pub const SLURM_LOGS: &str = "slurm/logs";
/// The code of the experiments.
pub const EXPERIMENTS: &str = "experiments";
/// The configurations that queue items name.
pub const CONFIGS: &str = "configs";

/// The folder that holds one folder per project.
pub const PROJECTS: &str = "projects";
/// The list of projects, kept for people.
pub const PROJECTS_LIST: &str = "projects/PROJECTS.md";
/// The folder whose presence marks a workspace.
pub const RALPH_DIR: &str = ".claude/ralph";
/// The dispatcher's settings.
pub const CONFIG: &str = ".claude/ralph/config.json";
/// Present when the Stop hook is switched on.
pub const ENABLED: &str = ".claude/ralph/enabled";
/// The Stop hook's counter.
pub const LOOP_STATE: &str = ".claude/ralph/loop-state.json";
/// What the Stop hook saw of states that have not changed since.
pub const HOOK_INDEX: &str = ".claude/ralph/hook-index";
/// The report of the last dispatch, for `ralph results`.
pub const LAST_DISPATCH: &str = ".claude/ralph/last-dispatch.json";
/// The embedded cluster's own files.
pub const CLUSTER_DIR: &str = ".claude/ralph/cluster";
/// The advisory lock of one dispatch over the whole workspace. Never deleted.
pub const DISPATCH_GUARD: &str = ".claude/ralph/dispatch.guard";
/// The cluster's address; not under version control.
pub const CLUSTER_CONFIG: &str = ".claude/cluster.local.json";

/// The intent of a run's submission, relative to the project.
#[must_use]
pub fn intent(run: &RunId) -> String {
    format!("{INTENTS}/{run}.json")
}

/// A run's folder, relative to the project.
#[must_use]
pub fn run_dir(run: &RunId) -> String {
    format!("{RUNS}/{run}")
}

/// The folder of a finished operation, relative to the project.
#[must_use]
pub fn op_dir(op: &OpId) -> String {
    format!("{OPS}/{op}")
}
