//! The command line as typed: the verbs, and the options of all of them. Nothing is resolved or read here.

mod looping;
mod old_loop;
mod verbs;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use ralph_front::output::Printing;

pub(crate) use looping::{Loop, with_the_verb};
pub(crate) use verbs::*;

/// Runs work that takes days and must not be babysat, and tells the truth about it.
#[derive(Debug, Parser)]
#[command(
    name = "ralph",
    bin_name = "ralph",
    version,
    propagate_version = true,
    max_term_width = 100,
    arg_required_else_help = true
)]
#[command(
    after_help = format!("{}\n\nExamples:\n  ralph init --cluster local && ralph new my-project\n  ralph dispatch --until-idle\n  ralph --parallel 3 30\n  ralph status --watch", looping::HELP)
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
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The workspace; else the nearest folder upward with `.claude/ralph/` or `projects/`
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// How results are printed.
    #[command(flatten)]
    pub printing: Printing,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a workspace here
    #[command(
        after_help = "Examples:\n  ralph init --cluster local\n  ralph init --cluster slurm --claude"
    )]
    Init(Init),
    /// Make a project: its folders, state file and documents
    #[command(
        after_help = "Examples:\n  ralph new matrix-inversion\n  ralph --root ~/research new matrix-inversion"
    )]
    New(New),
    /// Verify every outstanding job, then advance projects by one step each
    #[command(
        after_help = "Examples:\n  ralph dispatch\n  ralph dispatch --dry-run\n  ralph dispatch --project toy --until-idle"
    )]
    Dispatch(Dispatch),
    /// Verify every outstanding job, and nothing else
    #[command(after_help = "Examples:\n  ralph verify\n  ralph verify --project toy --json")]
    Verify(Chosen),
    /// One row per project: phase, next action, live runs, next poll, input needed
    #[command(
        after_help = "Examples:\n  ralph status\n  ralph status --watch\n  ralph status --json | jq '.projects[].phase'"
    )]
    Status(Status),
    /// What the last dispatch did, project by project
    #[command(after_help = "Examples:\n  ralph results\n  ralph results --compare-last")]
    Results(Results),
    /// Submit one READY queue item now
    #[command(
        after_help = "Examples:\n  ralph submit --project toy\n  ralph submit --project toy --queue-id Q-002"
    )]
    Submit(Submit),
    /// Runs with their jobs
    #[command(
        after_help = "Examples:\n  ralph runs\n  ralph runs --project toy --json | jq '.runs[].run_id'"
    )]
    Runs(Chosen),
    /// A run's log
    #[command(
        after_help = "Examples:\n  ralph logs q001_20260112_233413\n  ralph logs q001_20260112_233413 --follow\n  ralph logs q001_20260112_233413 --err"
    )]
    Logs(Logs),
    /// Cancel a run's jobs, and see that they end
    #[command(
        after_help = "Examples:\n  ralph cancel q001_20260112_233413\n  ralph cancel q001_20260112_233413 --project toy && ralph verify"
    )]
    Cancel(Cancel),
    /// The SSH session, and this user's jobs
    #[command(
        after_help = "Examples:\n  ralph cluster connect\n  ralph cluster jobs\n  ralph cluster jobs --adopt 4711 --project toy"
    )]
    #[command(subcommand)]
    Cluster(ClusterVerb),
    /// The lock of a project, shared with old lock.sh users
    #[command(
        after_help = "Examples:\n  ralph lock acquire projects/toy\n  ralph lock status projects/toy\n  ralph lock release projects/toy"
    )]
    #[command(subcommand)]
    Lock(Lock),
    /// Let the Stop hook keep an agent's sessions going while work remains
    #[command(after_help = "Examples:\n  ralph on\n  ralph on && ralph dispatch")]
    On,
    /// Let an agent's sessions end again
    #[command(after_help = "Examples:\n  ralph off\n  ralph off --json")]
    Off,
    /// Hooks for coding agents
    #[command(
        after_help = "Examples:\n  echo '{}' | ralph hook stop\n  ralph init --claude   # puts it into .claude/settings.json"
    )]
    #[command(subcommand)]
    Hook(Hook),
    /// Check state files, documents and job scripts; what is wrong is named with file, line and fix
    #[command(after_help = "Examples:\n  ralph validate\n  ralph validate projects/toy --repair")]
    Validate(Validate),
    /// The operations journal: what each operation changed, and its undo
    #[command(
        after_help = "Examples:\n  ralph ops list\n  ralph ops show 20261120_134500\n  ralph ops undo 20261120_134500"
    )]
    #[command(subcommand)]
    Ops(Ops),
    /// The autonomous loop: tasks of .ralph/fix_plan.md, each in a worktree of its own
    #[command(
        after_help = "Examples:\n  ralph loop\n  ralph loop --parallel 3 30 --max-task-attempts 2\n  ralph loop --task R05 --engine command --agent-command './my-agent --fast'"
    )]
    Loop(Box<Loop>),
    /// Try your own agent command on what a loop will do to it
    #[command(
        after_help = "It makes throw-away repositories below the temporary folder and touches nothing of yours.\nEach run is a real run of your agent and may cost money: eight small ones, or one with --quick.\nExit 1 when something would not work.\n\nExamples:\n  ralph selftest --agent-command './my-agent --fast'\n  ralph selftest --engine claude --quick\n  ralph selftest --agent-command ./my-agent --json | jq '.checks[] | select(.mark != \"pass\")'"
    )]
    Selftest(Selftest),
    /// The verbs as tools for an agent, over standard input and output
    #[command(
        after_help = "Examples:\n  claude mcp add ralph -- ralph mcp\n  ralph --root ~/research mcp"
    )]
    Mcp,
    /// One self-contained HTML page: projects, runs on a timeline, failures, attempts, cost
    #[command(
        after_help = "Examples:\n  ralph report -o report.html\n  ralph report > report.html\n  ralph report --json | jq '.runs[] | select(.standing == \"failed\")'"
    )]
    Report(Report),
    /// What is installed, configured and reachable, and what to do about what is not
    #[command(
        after_help = "Examples:\n  ralph doctor\n  ralph doctor --json | jq '.checks[] | select(.verdict != \"ok\")'"
    )]
    Doctor,
    /// A small real workspace on the embedded cluster, dispatched until idle, and three repositories, looped
    #[command(after_help = "Examples:\n  ralph demo\n  ralph demo ~/ralph-demo")]
    Demo(Demo),
    /// Shell completions
    #[command(
        after_help = "Examples:\n  ralph completions bash > ~/.local/share/bash-completion/completions/ralph\n  ralph completions zsh > ~/.zfunc/_ralph\n  ralph completions fish > ~/.config/fish/completions/ralph.fish"
    )]
    Completions(Completions),
    /// The manual page
    #[command(
        after_help = "Examples:\n  ralph man | man -l -\n  ralph man > ~/.local/share/man/man1/ralph.1"
    )]
    Man,
    /// Supervises a detached process; started by ralph itself
    #[command(name = "__supervise", hide = true)]
    Supervise(Supervised),
    /// Runs a job of the embedded cluster; started by ralph itself
    #[command(name = "__job", hide = true)]
    Job(Supervised),
    /// What the files in scripts/cluster/ call
    #[command(name = "__cluster", hide = true)]
    #[command(subcommand)]
    Shim(ShimVerb),
    /// Prints the JSON schemas of every `--json` output
    #[command(name = "__schema", hide = true)]
    Schema,
}
