//! What the loop's program can do, by its own help, and the command line that it gets. Pure.
//!
//! Launchers have always probed `ralph --help`; so does this one. A program whose help knows `--budget` shares N and M
//! with the other loops exactly; any other gets its part of both.

use std::path::{Path, PathBuf};

use ralph_core::error::{Code, Coded, Hint};
use ralph_front::shell::word;

use crate::resolve::{Engine, Knobs};
use crate::share::Share;

/// What a loop's program can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Capabilities {
    /// Continuous mode: `--parallel N M`.
    pub(crate) continuous: bool,
    /// `--max-task-attempts K`.
    pub(crate) max_task_attempts: bool,
    /// `--respawn-delay SEC`.
    pub(crate) respawn_delay: bool,
    /// `--no-tabs`.
    pub(crate) no_tabs: bool,
    /// `--engine E`.
    pub(crate) engine: bool,
    /// `--budget DIR`: this project's own loop.
    pub(crate) budget: bool,
}

impl Capabilities {
    /// Reads a help text.
    pub(crate) fn read(help: &str) -> Self {
        let has = |text: &str| help.contains(text);
        Self {
            continuous: has("--parallel N M")
                || has("Continuous Parallel Execution")
                || has("--max-task-attempts"),
            max_task_attempts: has("--max-task-attempts"),
            respawn_delay: has("--respawn-delay"),
            no_tabs: has("--no-tabs"),
            engine: has("--engine"),
            budget: has("--budget"),
        }
    }
}

/// The loop's program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoopProgram {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What it can be told.
    pub(crate) capabilities: Capabilities,
}

/// What was asked and the program does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} does not know {what}: its --help says nothing of {flag}", .program.display())]
pub(crate) struct NotCapable {
    /// The program.
    program: PathBuf,
    /// What was asked.
    what: &'static str,
    /// What its help would have to hold.
    flag: &'static str,
}

impl Coded for NotCapable {
    fn code(&self) -> Code {
        Code::NoEngine
    }

    fn hint(&self) -> Option<Hint> {
        Some(Hint::new(
            "Install this project's ralph, name another program with --ralph, or leave the option out.",
        ))
    }
}

/// The arguments of one loop. `budget` is where it shares slots and attempts with the others.
///
/// # Errors
/// The program cannot be told what was asked.
pub(crate) fn arguments(
    program: &LoopProgram,
    knobs: &Knobs,
    share: &Share,
    budget: Option<&Path>,
) -> Result<Vec<String>, NotCapable> {
    let can = program.capabilities;
    let need = |known: bool, what: &'static str, flag: &'static str| {
        let program = program.path.clone();
        known.then_some(()).ok_or(NotCapable {
            program,
            what,
            flag,
        })
    };
    let mut words = vec!["--parallel".to_owned(), share.workers.to_string()];
    if let Some(attempts) = share.attempts {
        need(can.continuous, "continuous mode (M)", "--parallel N M")?;
        words.push(attempts.to_string());
    }
    let mut option = |name: &str, value: &str| {
        words.push(name.to_owned());
        words.push(value.to_owned());
    };
    // Our own loop has more sources for these two, which must not undo what the banner says.
    if knobs.max_task_attempts.origin.is_asked() || can.budget {
        let flag = "--max-task-attempts";
        need(can.max_task_attempts, "attempts per task (K)", flag)?;
        option(flag, &knobs.max_task_attempts.value.to_string());
    }
    if knobs.respawn_delay.origin.is_asked() || can.budget {
        let flag = "--respawn-delay";
        need(can.respawn_delay, "a respawn delay", flag)?;
        option(flag, &knobs.respawn_delay.value.0);
    }
    let engine = knobs.engine.value;
    if can.engine {
        option("--engine", engine.name());
    } else if engine == Engine::Command {
        need(false, "the engine command", "--engine")?;
    }
    if let Some(budget) = budget {
        option("--budget", &budget.to_string_lossy());
    }
    // Older loops refuse it outside of continuous mode, and a detached one has no tabs in any.
    if can.no_tabs && (can.budget || share.attempts.is_some()) {
        words.push("--no-tabs".to_owned());
    }
    Ok(words)
}

/// The program's name for an engine, of programs that are one engine each.
pub(crate) fn name_for(engine: Engine) -> &'static str {
    match engine {
        Engine::Claude | Engine::Command => "ralph",
        Engine::Devin => "ralph-devin",
        Engine::Codex => "ralph-codex",
    }
}

/// Words as a shell takes them, to be shown and copied.
pub(crate) fn shown(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|text| word(text)).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::Parser as _;

    use super::*;
    use crate::args::Cli;
    use crate::conf::Conf;
    use crate::resolve::resolve;

    const OWN: &str = "--parallel N M --max-task-attempts K --respawn-delay SEC --no-tabs --engine E --budget DIR";
    const CONTINUOUS: &str = "Continuous Parallel Execution\n  --parallel N M\n  --max-task-attempts K\n  --respawn-delay SEC\n  --no-tabs\n";
    const OLD: &str = "ralph [--parallel N] [--workspace]";

    fn words(
        help: &str,
        flags: &[&str],
        workers: u32,
        attempts: Option<u64>,
    ) -> Result<String, String> {
        let cli = Cli::try_parse_from(["wb-ralph-dispatch"].iter().chain(flags)).unwrap();
        let conf = Conf::read("REPOS=(\"name=a\")\n", Path::new("project.conf")).unwrap();
        let knobs = resolve(&cli.flags, &BTreeMap::new(), &conf).unwrap();
        let program = LoopProgram {
            path: "/bin/ralph".into(),
            capabilities: Capabilities::read(help),
        };
        let budget = program
            .capabilities
            .budget
            .then_some(Path::new("/wb/budget"));
        let share = Share { workers, attempts };
        arguments(&program, &knobs, &share, budget)
            .map(|words| shown(&words))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn our_own_loop_gets_everything_and_the_shared_budget() {
        assert_eq!(
            words(
                OWN,
                &["--respawn-delay", "5", "--max-task-attempts", "2"],
                3,
                Some(30)
            )
            .unwrap(),
            "--parallel 3 30 --max-task-attempts 2 --respawn-delay 5 --engine claude --budget /wb/budget --no-tabs"
        );
        assert_eq!(
            words(OWN, &["--engine", "codex"], 2, None).unwrap(),
            "--parallel 2 --max-task-attempts 1 --respawn-delay 0 --engine codex --budget /wb/budget --no-tabs"
        );
    }

    /// Rows 112 and 116.
    #[test]
    fn a_foreign_loop_gets_what_it_advertises_and_no_more() {
        assert_eq!(
            words(
                CONTINUOUS,
                &["--no-tabs", "--respawn-delay", "5"],
                1,
                Some(5)
            )
            .unwrap(),
            "--parallel 1 5 --respawn-delay 5 --no-tabs"
        );
        assert_eq!(
            words(CONTINUOUS, &["--no-tabs"], 1, None).unwrap(),
            "--parallel 1"
        );
        assert_eq!(words(OLD, &["--no-tabs"], 1, None).unwrap(), "--parallel 1");
        assert_eq!(
            words(OLD, &[], 1, Some(5)).unwrap_err(),
            "/bin/ralph does not know continuous mode (M): its --help says nothing of --parallel N M"
        );
        assert!(words(OLD, &["--max-task-attempts", "2"], 1, None).is_err());
        assert!(words(OLD, &["--respawn-delay", "1"], 1, None).is_err());
        assert!(words(CONTINUOUS, &["--engine", "command"], 1, None).is_err());
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_split_them() {
        let words = ["a b", "it's", "", "/x.y"].map(str::to_owned);
        assert_eq!(shown(&words), r"'a b' 'it'\''s' '' /x.y");
    }
}
