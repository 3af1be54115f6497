//! The command line as typed. Values stay texts here: what they mean is resolved together with the other sources, so
//! that a wrong one is told the same way wherever it stands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use ralph_front::output::Printing;

/// One loop per repository of a workbench, launched once, seen through to the end.
#[derive(Debug, Parser)]
#[command(
    name = "wb-ralph-dispatch",
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true,
    after_help = "Every knob: command line, else environment, else project.conf, else its default; the banner prints\n\
                  where each comes from. With M (continuous mode), N workers stay busy until M attempts are\n\
                  spent over all repositories together, or the plans are drained.\n\n\
                  Examples:\n  wb-ralph-dispatch --parallel 3 --max-tasks 30\n  wb-ralph-dispatch --parallel 3 30 --no-tabs --respawn-delay 5\n  \
                  wb-ralph-dispatch --repos svc-a,svc-b --agent codex --dry-run\n  wb-ralph-dispatch --status --watch\n  \
                  wb-ralph-dispatch --sweep"
)]
pub struct Cli {
    /// How much, where and with what.
    #[command(flatten)]
    pub flags: Flags,
    /// What to do instead of launching.
    #[command(flatten)]
    pub act: Act,
    /// Options of every form.
    #[command(flatten)]
    pub global: Global,
    /// A word that no option takes; it is refused here, since clap would call it a subcommand.
    #[arg(hide = true, value_name = "WORD", value_parser = refused)]
    pub stray: Option<String>,
    /// Verbs that the launcher starts itself with.
    #[command(subcommand)]
    pub hidden: Option<Hidden>,
}

fn refused(_: &str) -> Result<String, &'static str> {
    Err("no option takes it; --parallel takes two numbers at most, N and M")
}

/// The knobs of a launch.
#[derive(Debug, Clone, Default, Args)]
pub struct Flags {
    /// Workers at once over all repositories together, and optionally M: all attempts together
    /// [default: one per repository, at most 4] [env: WB_RALPH_PARALLEL]
    #[arg(long, num_args = 1..=2, value_names = ["N", "M"], allow_negative_numbers = true)]
    pub parallel: Vec<String>,
    /// All attempts together, success and failure; engages continuous mode
    /// [default: batch, one pass over each plan] [env: WB_RALPH_MAX_TASKS]
    #[arg(long, value_name = "M", allow_negative_numbers = true)]
    pub max_tasks: Option<String>,
    /// Attempts per task before it is skip-listed [default: 1] [env: WB_RALPH_MAX_TASK_ATTEMPTS]
    #[arg(long, value_name = "K", allow_negative_numbers = true)]
    pub max_task_attempts: Option<String>,
    /// Pause before a freed worker takes its next task, fractions allowed [default: 0]
    /// [env: WB_RALPH_RESPAWN_DELAY]
    #[arg(long, value_name = "SEC", allow_negative_numbers = true)]
    pub respawn_delay: Option<String>,
    /// No terminal tabs or panes; detached loops have none anyway [env: WB_RALPH_DISABLE_TABS]
    #[arg(long)]
    pub no_tabs: bool,
    /// Only these repositories, by registered name, with commas [default: all with a fix_plan]
    /// [env: WB_RALPH_DISPATCH_REPOS]
    #[arg(long, value_name = "A,B")]
    pub repos: Option<String>,
    /// All but these repositories [env: WB_RALPH_DISPATCH_EXCLUDE]
    #[arg(long, value_name = "C")]
    pub exclude: Option<String>,
    /// The coding agent: claude, codex, devin or command [default: claude] [env: WB_RALPH_ENGINE]
    #[arg(long, value_name = "E")]
    pub agent: Option<String>,
    /// The same as --agent
    #[arg(long, value_name = "E")]
    pub engine: Option<String>,
    /// The program of the engine `command`, with its arguments [env: RALPH_AGENT_COMMAND]
    #[arg(long, value_name = "PROG ARGS")]
    pub agent_command: Option<String>,
    /// The loop's program [default: ralph on the PATH, else beside this program] [env: WB_RALPH_PROGRAM]
    #[arg(long, value_name = "PROG")]
    pub ralph: Option<String>,
    /// Where the loops run: here, or as jobs of the configured cluster [default: here] [env: WB_RALPH_ON]
    #[arg(long, value_name = "here|cluster")]
    pub on: Option<String>,
}

impl Flags {
    /// Whether nothing is said about how to launch.
    pub(crate) fn is_bare(&self) -> bool {
        let Self {
            parallel,
            max_tasks,
            max_task_attempts,
            respawn_delay,
            no_tabs,
            repos,
            exclude,
            agent,
            engine,
            agent_command,
            ralph,
            on,
        } = self;
        let texts = [
            max_tasks,
            max_task_attempts,
            respawn_delay,
            repos,
            exclude,
            agent,
            engine,
            agent_command,
            ralph,
            on,
        ];
        parallel.is_empty() && !no_tabs && texts.iter().all(|text| text.is_none())
    }
}

/// Which loops are meant: of a launch, and of a stop.
const SUBSET: [&str; 2] = ["repos", "exclude"];

/// The other knobs of a launch.
const KNOBS: [&str; 10] = [
    "parallel",
    "max_tasks",
    "max_task_attempts",
    "respawn_delay",
    "no_tabs",
    "agent",
    "engine",
    "agent_command",
    "ralph",
    "on",
];

/// What to do with the launched loops, or how to launch. The knobs belong to a launch: where they would change nothing
/// they are refused, so that nobody thinks they had.
#[derive(Debug, Clone, Default, Args)]
pub struct Act {
    /// Show what would be launched, and launch nothing
    #[arg(long, conflicts_with_all = ["status", "sweep", "stop", "wait"])]
    pub dry_run: bool,
    /// Launch, then stay and look on until these loops have ended; Ctrl-C ends the looking only. Alone, it launches
    /// nothing where loops run already, have ended since, or have spent an M: it waits for those, or says how they ended
    #[arg(long, conflicts_with_all = ["status", "sweep", "stop"])]
    pub wait: bool,
    /// How each loop is: a table, and the end of the log of each that failed
    #[arg(long, conflicts_with_all = ["sweep", "stop"], conflicts_with_all = KNOBS, conflicts_with_all = SUBSET)]
    pub status: bool,
    /// Draw the status again whenever it changes
    #[arg(long, conflicts_with_all = ["sweep", "stop", "wait", "dry_run"], conflicts_with_all = KNOBS, conflicts_with_all = SUBSET)]
    pub watch: bool,
    /// Record what ended: exit codes and pull requests, the Exec cells of EPIC-PIPELINE.md, stale pidfiles
    #[arg(long, conflicts_with = "stop", conflicts_with_all = KNOBS, conflicts_with_all = SUBSET)]
    pub sweep: bool,
    /// Let running agents finish, then end what is left; of all loops, or of those of --repos or --exclude
    #[arg(long, conflicts_with_all = KNOBS)]
    pub stop: bool,
    /// Make the second name, wb.ralph-dispatch, beside this program
    #[arg(long, conflicts_with_all = ["status", "watch", "sweep", "stop", "wait", "dry_run"], conflicts_with_all = KNOBS, conflicts_with_all = SUBSET)]
    pub link: bool,
    /// Print the completions of a shell
    #[arg(long, value_name = "SHELL", value_enum, exclusive = true)]
    pub completions: Option<Shell>,
    /// Print the manual page: `--man | man -l -`
    #[arg(long, exclusive = true)]
    pub man: bool,
    /// With --stop: how long running agents may take to finish, in seconds
    #[arg(long, value_name = "SEC", default_value_t = 60, requires = "stop")]
    pub within: u64,
}

/// Options of every form.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The workbench; else $WB_ROOT, else the nearest folder upward with a project.conf
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// How results are printed.
    #[command(flatten)]
    pub printing: Printing,
}

/// The hidden verbs.
#[derive(Debug, Clone, Subcommand)]
pub enum Hidden {
    /// Supervises a loop; started by the launcher itself
    #[command(name = "__supervise", hide = true)]
    Supervise(Supervised),
    /// Runs a job of the embedded cluster; started by the launcher itself
    #[command(name = "__job", hide = true)]
    Job(Supervised),
    /// Prints the JSON schemas of every `--json` output
    #[command(name = "__schema", hide = true)]
    Schema,
}

/// The record directory of a supervised process.
#[derive(Debug, Clone, Args)]
pub struct Supervised {
    /// The directory
    pub dir: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_too_many_is_no_subcommand() {
        for line in [
            "wb --parallel 1 2 3",
            "wb --parallel 1 2 --no-tabs 3",
            "wb 3",
        ] {
            let told = Cli::try_parse_from(line.split(' ')).unwrap_err();
            let told = told.to_string();
            assert!(
                told.contains("'3'") && told.contains("two numbers at most"),
                "{told}"
            );
        }
        let verb = Cli::try_parse_from(["wb", "__supervise", "/x"]).unwrap();
        assert!(matches!(verb.hidden, Some(Hidden::Supervise(_))));
    }

    #[test]
    fn a_knob_that_would_change_nothing_is_refused() {
        let is_taken = |line: &str| Cli::try_parse_from(line.split(' ')).is_ok();
        for verb in ["--status", "--watch", "--sweep", "--link"] {
            assert!(is_taken(&format!("wb {verb}")));
            for knob in ["--repos a", "--exclude a", "--parallel 3", "--no-tabs"] {
                assert!(!is_taken(&format!("wb {verb} {knob}")), "{verb} {knob}");
            }
            let line = format!("wb {verb} --repos a");
            let told = Cli::try_parse_from(line.split(' '))
                .unwrap_err()
                .to_string();
            assert!(
                told.contains("--repos") && !told.contains("--parallel"),
                "{told}"
            );
        }
        let is_bare = |line: &str| {
            Cli::try_parse_from(line.split(' '))
                .unwrap()
                .flags
                .is_bare()
        };
        assert!(is_bare("wb --wait --json"));
        assert!(is_taken("wb --stop --repos a --within 3"));
        assert!(is_taken("wb --stop --exclude a"));
        for id in KNOBS {
            let knob = match id {
                "no_tabs" => "--no-tabs".to_owned(),
                id => format!("--{} 1", id.replace('_', "-")),
            };
            assert!(is_taken(&format!("wb {knob}")), "{knob}");
            assert!(!is_bare(&format!("wb --wait {knob}")), "{knob}");
            assert!(!is_taken(&format!("wb --stop {knob}")), "{knob}");
        }
    }
}
