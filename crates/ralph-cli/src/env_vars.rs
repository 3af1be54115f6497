//! The environment variables that `ralph` reads, by name; `ralph_front::environment` reads them.

pub(crate) use ralph_front::environment::{
    COLUMNS, all, all_text, arguments, current_dir, guard_program, path, program, runtime_dir,
    search_path, temporary_dir, text, user,
};

/// The caller of a lock when it is not the parent process; `scripts/ralph/lock.sh` had it first.
pub(crate) const LOCK_OWNER_PID: &str = "LOCK_OWNER_PID";
/// What the libraries log to standard error, as `debug` or `ralph_slurm=trace`; nothing when it is not set.
pub(crate) const RALPH_LOG: &str = "RALPH_LOG";
/// Variables for the job of `scripts/cluster/submit.sh`, as `A=1,B=2`.
pub(crate) const SBATCH_EXPORTS: &str = "SBATCH_EXPORTS";
/// Jobs that have to succeed before that of `submit.sh`, as `afterok:1:2`.
pub(crate) const SBATCH_DEPENDENCY: &str = "SBATCH_DEPENDENCY";
/// Nodes that the job of `submit.sh` avoids, separated by commas.
pub(crate) const SBATCH_EXCLUDE: &str = "SBATCH_EXCLUDE";
/// Set by Claude Code for hooks: the folder of the project.
pub(crate) const CLAUDE_PROJECT_DIR: &str = "CLAUDE_PROJECT_DIR";

/// Only these repositories of a workspace plan.
pub(crate) const RALPH_WORKSPACE_REPOS: &str = "RALPH_WORKSPACE_REPOS";
/// Not these repositories of a workspace plan.
pub(crate) const RALPH_WORKSPACE_EXCLUDE: &str = "RALPH_WORKSPACE_EXCLUDE";

/// What the terminal can do; `dumb` cannot move its cursor.
pub(crate) const TERM: &str = "TERM";
/// Set inside a tmux session.
pub(crate) const TMUX: &str = "TMUX";
