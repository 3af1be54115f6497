//! The arguments of `ralph loop`, which bare `ralph` takes too. As typed; [`ralph_loop::settings`] resolves them.

use std::ffi::OsString;

use clap::Args;

use super::old_loop::OldLoop;

/// Options of every verb that take a value; whoever looks for the first word of a command line passes over both.
const GLOBAL_WITH_VALUE: [&str; 3] = ["--root", "--format", "--color"];
/// Options of every verb without a value.
const GLOBAL: [&str; 6] = ["--json", "-v", "--verbose", "-q", "--quiet", "-vv"];

/// What `--help` of the program says about the loop. Launchers look here for what a `ralph` can do.
pub(super) const HELP: &str = "\
Continuous Parallel Execution (ralph loop, also without the word `loop`):
  ralph --parallel N         N workers, one pass over .ralph/fix_plan.md
  ralph --parallel N M       N workers, until M attempts are spent
      --max-tasks M          the same as the second value of --parallel
      --max-task-attempts K  attempts per task before it is skip-listed
      --respawn-delay SEC    pause before a freed worker takes its next task
      --no-tabs              no terminal panes
      --engine E             claude, codex, devin or command
      --budget DIR           attempts shared with other loops
      --workspace            the plan names repositories (--repos, --exclude)";

/// `loop`.
#[derive(Debug, Clone, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one member per flag of the command line"
)]
pub struct Loop {
    /// Workers at once, and how many attempts to spend (default: one worker, whose tasks build on each other, and one pass
    /// over the plan)
    #[arg(long, num_args = 1..=2, value_names = ["N", "M"])]
    pub parallel: Vec<String>,
    /// Attempts to spend; the same as the second value of --parallel
    #[arg(long, value_name = "M")]
    pub max_tasks: Option<String>,
    /// Attempts per task before it is skip-listed [default: 1]
    #[arg(long, value_name = "K")]
    pub max_task_attempts: Option<String>,
    /// Seconds before a freed worker takes its next task; fractions allowed [default: 0]
    #[arg(long, value_name = "SEC")]
    pub respawn_delay: Option<String>,
    /// No terminal panes
    #[arg(long)]
    pub no_tabs: bool,
    /// The agent: claude, codex, devin or command [default: claude]
    #[arg(long, visible_alias = "agent", value_name = "E")]
    pub engine: Option<String>,
    /// The program and arguments of the engine `command`
    #[arg(long, value_name = "CMD")]
    pub agent_command: Option<String>,
    /// The agent's model
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Only this task: its id, a bold id, or its ordinal number
    #[arg(long, value_name = "ID")]
    pub task: Option<String>,
    /// Say what would be done, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// The prompt [default: .ralph/PROMPT.md]
    #[arg(long, short, value_name = "FILE")]
    pub prompt: Option<String>,
    /// Minutes an agent may take [1..120]
    #[arg(long, short, value_name = "MIN")]
    pub timeout: Option<String>,
    /// Agents started per hour
    #[arg(long, short, value_name = "N")]
    pub calls: Option<String>,
    /// squash, merge or rebase [default: squash]
    #[arg(long, value_name = "HOW")]
    pub merge_strategy: Option<String>,
    /// auto, none, or commands separated by `;` [default: auto]
    #[arg(long, value_name = "GATES")]
    pub quality_gates: Option<String>,
    /// No pull requests: the base branch is fast-forwarded where it is checked out clean
    #[arg(long)]
    pub no_pr: bool,
    /// Tools that claude may use, separated by commas
    #[arg(long, value_name = "LIST")]
    pub allowed_tools: Option<String>,
    /// How claude and devin ask for permission, as their own option of that name
    #[arg(long, value_name = "MODE")]
    pub permission_mode: Option<String>,
    /// Claude does not ask for permissions at all
    #[arg(long)]
    pub dangerously_skip_permissions: bool,
    /// US dollars after which nothing starts any more
    #[arg(long, value_name = "USD")]
    pub max_cost: Option<String>,
    /// The plan of a folder of repositories, one section each
    #[arg(long)]
    pub workspace: bool,
    /// With --workspace: only these repositories, separated by commas
    #[arg(long, value_name = "LIST")]
    pub repos: Option<String>,
    /// With --workspace: not these repositories
    #[arg(long, value_name = "LIST")]
    pub exclude: Option<String>,
    /// Print where the loop of this repository is, and exit
    #[arg(long, short)]
    pub status: bool,
    /// Run the checks in the current folder, and nothing else
    #[arg(long)]
    pub qg: bool,
    /// Print where the circuit breaker is, and exit
    #[arg(long)]
    pub circuit_status: bool,
    /// Close the circuit breaker, and exit
    #[arg(long, visible_alias = "reset-circuit-breaker")]
    pub reset_circuit: bool,
    /// Close the circuit breaker at the start
    #[arg(long)]
    pub auto_reset_circuit: bool,
    /// The budget shared with other loops; given by the launcher
    #[arg(long, value_name = "DIR", hide = true)]
    pub budget: Option<std::path::PathBuf>,
    /// Options of the replaced loop.
    #[command(flatten)]
    pub old: OldLoop,
}

/// Puts the word `loop` in where it was left out: `ralph --parallel 3 30`.
pub(crate) fn with_the_verb(
    arguments: Vec<OsString>,
    is_of_loop: impl Fn(&str) -> bool,
) -> Vec<OsString> {
    let Some(first) = first_own_word(&arguments) else {
        return arguments;
    };
    if !is_of_loop(first) {
        return arguments;
    }
    // `--help` beside it is the help of all.
    if arguments
        .iter()
        .any(|word| word == "--help" || word == "-h")
    {
        return vec![arguments[0].clone(), OsString::from("--help")];
    }
    let mut completed = arguments;
    completed.insert(1, OsString::from("loop"));
    completed
}

/// The first word that is not an option of every verb.
fn first_own_word(arguments: &[OsString]) -> Option<&str> {
    let mut words = arguments.iter().skip(1).map(|word| word.to_str());
    loop {
        let word = words.next()??;
        let name = word.split('=').next().unwrap_or(word);
        if GLOBAL_WITH_VALUE.contains(&name) {
            if !word.contains('=') {
                words.next();
            }
        } else if !GLOBAL.contains(&name) {
            return Some(word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(line: &str) -> String {
        let words = line.split(' ').map(OsString::from).collect();
        let of_loop = |word: &str| {
            let name = word.split('=').next().unwrap_or(word);
            ["--parallel", "--task", "-s", "--no-tabs"].contains(&name)
        };
        let words = with_the_verb(words, of_loop);
        words
            .join(std::ffi::OsStr::new(" "))
            .into_string()
            .expect("UTF-8")
    }

    #[test]
    fn bare_ralph_with_flags_of_the_loop_means_the_loop() {
        assert_eq!(
            completed("ralph --parallel 3 30"),
            "ralph loop --parallel 3 30"
        );
        assert_eq!(completed("ralph --parallel=3"), "ralph loop --parallel=3");
        assert_eq!(
            completed("ralph -q --root . -s"),
            "ralph loop -q --root . -s"
        );
    }

    #[test]
    fn a_verb_stays_what_it_is_and_help_is_the_help_of_all() {
        assert_eq!(completed("ralph status --json"), "ralph status --json");
        assert_eq!(completed("ralph --json status"), "ralph --json status");
        assert_eq!(
            completed("ralph loop --parallel 3"),
            "ralph loop --parallel 3"
        );
        assert_eq!(completed("ralph --parallel 3 --help"), "ralph --help");
        assert_eq!(completed("ralph"), "ralph");
        assert_eq!(completed("ralph --bogus"), "ralph --bogus");
    }

    #[test]
    fn the_help_of_the_program_fits_a_terminal_of_80_columns() {
        assert!(HELP.lines().all(|line| line.len() < 80));
    }
}
