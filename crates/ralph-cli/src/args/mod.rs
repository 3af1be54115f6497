//! The arguments as typed. Nothing is resolved or read here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Runs work that takes days and must not be babysat, and tells the truth about it.
#[derive(Debug, Parser)]
#[command(
    name = "ralph",
    version,
    propagate_version = true,
    max_term_width = 100,
    arg_required_else_help = true
)]
#[command(
    after_help = "Examples:\n  ralph init --cluster local && ralph new my-project\n  ralph dispatch --until-idle\n  ralph status --watch"
)]
pub struct Cli {
    /// Options of every verb.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Options of every verb.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The workspace; else the nearest folder upward with `.claude/ralph/` or `projects/`
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// How results are printed
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// The same as --format json
    #[arg(long, global = true, conflicts_with = "format")]
    pub json: bool,
    /// When colours are used (NO_COLOR is honoured)
    #[arg(long, global = true, value_enum, default_value_t = When::Auto)]
    pub color: When,
    /// Say more of what is going on
    #[arg(long, short, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Say nothing but results and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Human,
    /// For programs; carries `schema_version`.
    Json,
}

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a workspace here
    Init(Init),
    /// Make a project with the whole contract
    New(New),
    /// Verify every outstanding job, then advance projects by one step each
    Dispatch(Dispatch),
    /// Verify every outstanding job, and nothing else
    Verify(Chosen),
    /// One row per project: phase, next action, live runs, next poll, input needed
    Status(Status),
    /// What the last dispatch did, project by project
    Results(Results),
    /// Submit one READY queue item now
    Submit(Submit),
    /// Runs with their jobs
    Runs(Chosen),
    /// A run's log
    Logs(Logs),
    /// Cancel a run's jobs, and see that they end
    Cancel(Cancel),
    /// The SSH session, and this user's jobs
    #[command(subcommand)]
    Cluster(ClusterVerb),
    /// The lock of a project, shared with old lock.sh users
    #[command(subcommand)]
    Lock(Lock),
    /// Let the Stop hook keep sessions going
    On,
    /// Stop keeping sessions going
    Off,
    /// Hooks for coding agents
    #[command(subcommand)]
    Hook(Hook),
    /// Check projects against the contract
    Validate(Validate),
    /// The operations journal: what each operation changed, and its undo
    #[command(subcommand)]
    Ops(Ops),
    /// What is installed, configured and reachable, and what to do about what is not
    Doctor,
    /// A small real workspace on the embedded cluster, dispatched until idle
    Demo(Demo),
    /// Shell completions
    Completions(Completions),
    /// The manual page
    Man,
    /// Supervises a detached process; started by ralph itself
    #[command(name = "__supervise", hide = true)]
    Supervise(Supervised),
    /// Runs a job of the embedded cluster; started by ralph itself
    #[command(name = "__job", hide = true)]
    Job(Supervised),
    /// Prints the JSON schemas of every `--json` output
    #[command(name = "__schema", hide = true)]
    Schema,
}

/// `init`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ralph init --cluster local\n  ralph init --cluster slurm --claude"
)]
pub struct Init {
    /// Where jobs run: on this machine, or on SLURM over SSH
    #[arg(long, value_enum)]
    pub cluster: Option<Cluster>,
    /// Also write the slash commands, the Stop hook and the script shims for Claude Code
    #[arg(long)]
    pub claude: bool,
}

/// `--cluster`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Cluster {
    /// The embedded cluster: jobs run on this machine.
    Local,
    /// SLURM over SSH.
    Slurm,
}

/// `new`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ralph new matrix-inversion")]
pub struct New {
    /// The project's name: letters, digits, `.`, `_`, `-`
    #[arg(value_name = "SLUG")]
    pub slug: String,
}

/// Projects by name.
#[derive(Debug, Args)]
pub struct Chosen {
    /// Only this project; may be given several times
    #[arg(long = "project", value_name = "SLUG")]
    pub projects: Vec<String>,
}

/// `dispatch`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ralph dispatch\n  ralph dispatch --dry-run\n  ralph dispatch --project toy --until-idle"
)]
pub struct Dispatch {
    /// Projects.
    #[command(flatten)]
    pub chosen: Chosen,
    /// Projects that advance; default: `batch_size` of .claude/ralph/config.json
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch_size: Option<u32>,
    /// Print the plan and change nothing, on disk or on the cluster
    #[arg(long)]
    pub dry_run: bool,
    /// Repeat until nothing is actionable, sleeping to the next due poll
    #[arg(long, conflicts_with = "dry_run")]
    pub until_idle: bool,
    /// With --until-idle: at most so many rounds
    #[arg(long, value_name = "N", requires = "until_idle")]
    pub max_steps: Option<u64>,
    /// Exit with 4 when there was nothing to do
    #[arg(long)]
    pub fail_if_idle: bool,
}

/// `status`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ralph status\n  ralph status --watch\n  ralph status --json | jq '.projects[].phase'"
)]
pub struct Status {
    /// Projects.
    #[command(flatten)]
    pub chosen: Chosen,
    /// Draw again whenever something changes, until interrupted
    #[arg(long)]
    pub watch: bool,
    /// Runs, queue and open entries of each project
    #[arg(long)]
    pub detailed: bool,
}

/// `results`.
#[derive(Debug, Args)]
pub struct Results {
    /// The differences of each file
    #[arg(long)]
    pub compare_last: bool,
}

/// `submit`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ralph submit --project toy\n  ralph submit --project toy --queue-id Q-002"
)]
pub struct Submit {
    /// The project
    #[arg(long, value_name = "SLUG")]
    pub project: String,
    /// The item; default: the first READY one
    #[arg(long, value_name = "Q-NNN")]
    pub queue_id: Option<String>,
}

/// `logs`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ralph logs q001_20260112_233413\n  ralph logs q001_20260112_233413 --follow"
)]
pub struct Logs {
    /// The run
    #[arg(value_name = "RUN_ID")]
    pub run: String,
    /// Keep printing until the run has ended
    #[arg(long, short)]
    pub follow: bool,
    /// Standard error instead of standard output
    #[arg(long)]
    pub err: bool,
}

/// `cancel`.
#[derive(Debug, Args)]
pub struct Cancel {
    /// The run
    #[arg(value_name = "RUN_ID")]
    pub run: String,
}

/// `cluster`.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Examples:\n  ralph cluster connect\n  ralph cluster jobs\n  ralph cluster jobs --adopt 4711 --project toy"
)]
pub enum ClusterVerb {
    /// Open the shared SSH session on this terminal (password, 2FA)
    Connect,
    /// Exit 0 when the cluster can be asked, 20 without a configuration, 21 without a session
    Check,
    /// Close the shared SSH session
    Disconnect,
    /// This user's jobs, with those marked that no project knows
    Jobs(ClusterJobs),
}

/// `cluster jobs`.
#[derive(Debug, Args)]
pub struct ClusterJobs {
    /// Take this job into the books of --project
    #[arg(long, value_name = "JOB", requires = "project")]
    pub adopt: Option<String>,
    /// The project that adopts
    #[arg(long, value_name = "SLUG")]
    pub project: Option<String>,
}

/// `lock`.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Examples:\n  ralph lock acquire projects/toy\n  ralph lock release projects/toy"
)]
pub enum Lock {
    /// Take the lock for the calling process (or LOCK_OWNER_PID), waiting up to 30 s
    Acquire(LockDir),
    /// Give it back
    Release(LockDir),
    /// Who holds it
    Status(LockDir),
}

/// A project's folder.
#[derive(Debug, Args)]
pub struct LockDir {
    /// The project's folder
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Seconds to wait for a lock that is held
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub timeout: f64,
}

/// `hook`.
#[derive(Debug, Subcommand)]
pub enum Hook {
    /// The Stop hook: JSON on standard input; exit 0 = may stop, 2 = work remains
    Stop,
}

/// `validate`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ralph validate\n  ralph validate projects/toy --repair")]
pub struct Validate {
    /// Projects' folders; default: all of the workspace
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Mend trailing commas in state files, and say so; nothing else is ever mended
    #[arg(long)]
    pub repair: bool,
}

/// `ops`.
#[derive(Debug, Subcommand)]
pub enum Ops {
    /// The operations of all projects, newest first
    List(Chosen),
    /// What an operation changed
    Show(OpArg),
    /// Put back what an operation changed, where nothing has changed since
    Undo(OpArg),
}

/// An operation.
#[derive(Debug, Args)]
pub struct OpArg {
    /// The operation's id, or a beginning of it that is unique
    #[arg(value_name = "ID")]
    pub id: String,
}

/// `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Where the workspace is made; default: a new folder under the temporary folder
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// `__supervise` and `__job`.
#[derive(Debug, Args)]
pub struct Supervised {
    /// The folder of its records
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}
