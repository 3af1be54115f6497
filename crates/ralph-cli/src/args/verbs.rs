//! The arguments of each verb as typed. Nothing is resolved or read here.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `init`.
#[derive(Debug, Args)]
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
pub struct Status {
    /// Projects.
    #[command(flatten)]
    pub chosen: Chosen,
    /// Draw again whenever something changes, until interrupted or, in a repository, until its loop has ended
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
pub struct Logs {
    /// The run: its id, or as much of it as no other has
    #[arg(value_name = "RUN_ID")]
    pub run: String,
    /// The project, where runs of several may be meant
    #[arg(long, value_name = "SLUG")]
    pub project: Option<String>,
    /// Keep printing until the run has ended
    #[arg(long, short)]
    pub follow: bool,
    /// Of an array, the log of this task; default: one of them, which is named
    #[arg(long, value_name = "N")]
    pub task: Option<u32>,
    /// Standard error instead of standard output
    #[arg(long)]
    pub err: bool,
}

/// `cancel`.
#[derive(Debug, Args)]
pub struct Cancel {
    /// The run: its id, or as much of it as no other has
    #[arg(value_name = "RUN_ID")]
    pub run: String,
    /// The project, where runs of several may be meant
    #[arg(long, value_name = "SLUG")]
    pub project: Option<String>,
}

/// `cluster`.
#[derive(Debug, Subcommand)]
pub enum ClusterVerb {
    /// Open the shared SSH session on this terminal (password, 2FA)
    #[command(
        after_help = "Examples:\n  ralph cluster connect\n  ralph cluster connect && ralph dispatch"
    )]
    Connect,
    /// Exit 0 when the cluster can be asked, 20 without a configuration, 21 without a session
    #[command(
        after_help = "Examples:\n  ralph cluster check\n  ralph cluster check --json | jq .capabilities"
    )]
    Check,
    /// Close the shared SSH session
    #[command(
        after_help = "Examples:\n  ralph cluster disconnect\n  ralph cluster disconnect --json"
    )]
    Disconnect,
    /// This user's jobs, with those marked that no project knows
    #[command(
        after_help = "Examples:\n  ralph cluster jobs\n  ralph cluster jobs --adopt 4711 --project toy"
    )]
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
pub enum Lock {
    /// Take the lock for the calling process (or LOCK_OWNER_PID)
    #[command(
        after_help = "Examples:\n  ralph lock acquire projects/toy\n  ralph lock acquire projects/toy --timeout 5\n  LOCK_OWNER_PID=$$ ralph lock acquire projects/toy"
    )]
    Acquire(LockAcquire),
    /// Give the lock back
    #[command(
        after_help = "Examples:\n  ralph lock release projects/toy\n  LOCK_OWNER_PID=$$ ralph lock release projects/toy"
    )]
    Release(LockDir),
    /// Show who holds the lock
    #[command(
        after_help = "Examples:\n  ralph lock status projects/toy\n  ralph lock status projects/toy --json | jq .pid"
    )]
    Status(LockDir),
}

/// `lock release` and `lock status`.
#[derive(Debug, Args)]
pub struct LockDir {
    /// The project's folder
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

/// `lock acquire`.
#[derive(Debug, Args)]
pub struct LockAcquire {
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
    #[command(
        after_help = "Examples:\n  echo '{\"session_id\": \"s1\"}' | ralph hook stop\n  ralph init --claude   # puts it into .claude/settings.json"
    )]
    Stop,
}

/// `validate`.
#[derive(Debug, Args)]
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
    #[command(after_help = "Examples:\n  ralph ops list\n  ralph ops list --project toy --json")]
    List(Chosen),
    /// What an operation changed
    #[command(
        after_help = "Examples:\n  ralph ops show 20261120_134500\n  ralph ops show 20261120_134500 --json | jq -r '.operations[].files[].diff'"
    )]
    Show(OpArg),
    /// Put back what an operation changed, where nothing has changed since
    #[command(
        after_help = "Examples:\n  ralph ops undo 20261120_134500\n  ralph ops undo 20261120_134500 --json"
    )]
    Undo(OpArg),
}

/// An operation.
#[derive(Debug, Args)]
pub struct OpArg {
    /// The operation's id, or a beginning of it that is unique
    #[arg(value_name = "ID")]
    pub id: String,
}

/// `report`.
#[derive(Debug, Args)]
pub struct Report {
    /// Where the page is written; default, and `-`: standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Where the workspace is made; default: a new folder under the temporary folder
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// `selftest`.
#[derive(Debug, Args)]
pub struct Selftest {
    /// The agent's program and arguments; default: what `ralph loop` would run here
    #[arg(long, value_name = "CMD")]
    pub agent_command: Option<String>,
    /// The agent: claude, codex, devin or command [default: command with --agent-command, else as `ralph loop`]
    #[arg(long, visible_alias = "agent", value_name = "E")]
    pub engine: Option<String>,
    /// Seconds that one run may take
    #[arg(long, value_name = "SEC", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub time_limit: u64,
    /// One run instead of eight
    #[arg(long)]
    pub quick: bool,
    /// Keep the repositories and logs also when everything is well
    #[arg(long)]
    pub keep: bool,
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

/// `__cluster`.
#[derive(Debug, Subcommand)]
pub enum ShimVerb {
    /// `submit.sh`.
    Submit(Words),
    /// `status.sh`.
    Status(Words),
    /// `remote_fetch.sh`.
    Fetch(Words),
    /// A command of the user on the login node.
    Run(Words),
}

/// What a script was called with.
#[derive(Debug, Args)]
pub struct Words {
    /// Its arguments.
    #[arg(last = true)]
    pub words: Vec<String>,
}
