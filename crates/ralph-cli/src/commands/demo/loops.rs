//! The second half of the demo: three git repositories, looped by a script that stands where a coding agent would.

use std::path::Path;

use clap::Parser as _;
use ralph_core::error::Code;
use ralph_core::store::atomic;
use ralph_front::failure::Failure;
use ralph_front::output::Output;

use super::git;
use crate::args::{Cli, Verb};
use crate::commands;
use crate::render::{BOLD, DIM, paint};
use ralph_front::failure::printed;

const CODER: &str = include_str!("../../templates/demo/loops/coder.sh");
const PLAN: &str = include_str!("../../templates/demo/loops/fix_plan.md");
const CHECK: &str = include_str!("../../templates/demo/loops/check.sh");

/// The repositories of the plan.
const REPOSITORIES: [&str; 3] = ["counter", "greeter", "weather"];

/// The folder of the repositories, below that of the demo.
const FOLDER: &str = "repositories";

/// Makes the repositories, loops until nothing is left to try, shows what came of it. Without git nothing of it is
/// possible, and the demo says so.
pub(super) fn run(root: &Path, output: &Output) -> Result<(), Failure> {
    let folder = root.join(FOLDER);
    let title = format!("\nThree git repositories in {}", folder.display());
    printed(output.print(&paint(BOLD, &title)))?;
    make(&folder)?;
    for name in REPOSITORIES {
        if !begin(&folder.join(name)) {
            return printed(output.print("  They need git, which cannot be run here."));
        }
    }
    let lines = command_line(&folder);
    printed(output.print(&paint(BOLD, &format!("\n$ {}", shown(&lines)))))?;
    // An attempt that fails is part of the story.
    looped(&lines, output)?;
    printed(output.print(&story(&folder)))
}

fn make(folder: &Path) -> Result<(), Failure> {
    atomic::create_dir(&folder.join(".ralph"))?;
    atomic::replace(&folder.join("coder.sh"), CODER.as_bytes())?;
    atomic::replace(&folder.join(".ralph/fix_plan.md"), PLAN.as_bytes())?;
    for name in REPOSITORIES {
        atomic::create_dir(&folder.join(name))?;
        atomic::replace(&folder.join(name).join("check.sh"), CHECK.as_bytes())?;
    }
    Ok(())
}

/// A repository with one commit, whose author needs no settings of the user.
fn begin(repository: &Path) -> bool {
    let steps: [&[&str]; 5] = [
        &["init", "--quiet", "--initial-branch=main"],
        &["config", "user.name", "ralph demo"],
        &["config", "user.email", "demo@localhost"],
        &["add", "--all"],
        &[
            "-c",
            "commit.gpgsign=false",
            "commit",
            "--quiet",
            "--message",
            "Begin",
        ],
    ];
    steps.iter().all(|step| git(repository, step).is_some())
}

/// The words of the loop's command line, every one of them the user's to repeat, in the lines in which it is shown.
/// None is left to the settings of whoever tries the demo: those may name an agent that costs money.
fn command_line(folder: &Path) -> [Vec<String>; 4] {
    let at = folder.display();
    let agent = format!("sh '{at}/coder.sh'");
    let words = |line: &[&str]| line.iter().map(|word| (*word).to_owned()).collect();
    [
        words(&["ralph", "--root", &at.to_string(), "loop", "--workspace"]),
        words(&["--parallel", "3", "9", "--max-task-attempts", "2"]),
        words(&["--engine", "command", "--agent-command", &agent]),
        words(&["--quality-gates", "sh check.sh", "--no-pr", "--no-tabs"]),
    ]
}

fn shown(lines: &[Vec<String>]) -> String {
    let quoted = |word: &String| {
        if word.contains(' ') {
            format!("\"{word}\"")
        } else {
            word.clone()
        }
    };
    let line = |words: &Vec<String>| words.iter().map(quoted).collect::<Vec<_>>().join(" ");
    lines.iter().map(line).collect::<Vec<_>>().join(" \\\n    ")
}

fn looped(lines: &[Vec<String>], output: &Output) -> Result<(), Failure> {
    let parsed = Cli::try_parse_from(lines.iter().flatten());
    let cli = parsed.map_err(|error| Failure::new(Code::Bug, error.to_string()))?;
    match cli.verb {
        Verb::Loop(arguments) => commands::looping::run(&cli.global, &arguments, output).map(drop),
        _ => Err(Failure::new(
            Code::Bug,
            "the loop's own words are not its own".to_owned(),
        )),
    }
}

/// The commits of each repository, and the branches that hold what was not merged.
fn story(folder: &Path) -> String {
    let mut text = Vec::new();
    for name in REPOSITORIES {
        text.push(paint(
            BOLD,
            &format!("\n$ git -C {name} log --oneline --all --decorate"),
        ));
        let log = git(
            &folder.join(name),
            &["log", "--oneline", "--all", "--decorate", "--no-color"],
        );
        text.extend(log.unwrap_or_default().lines().map(str::to_owned));
    }
    text.push(paint(BOLD, "\n$ grep '^- ' .ralph/fix_plan.md"));
    let plan = std::fs::read_to_string(folder.join(".ralph/fix_plan.md")).unwrap_or_default();
    let rows = plan.lines().filter(|line| line.starts_with("- "));
    text.extend(rows.map(|row| paint(DIM, row)));
    text.join("\n")
}
