//! `ralph demo`: a small real workspace on the embedded cluster, dispatched until idle, and three git repositories,
//! looped.
//!
//! Everything in it is real: the projects are made by the same verbs, the jobs run as processes, and the agents are
//! shell scripts that stand where coding agents would.

mod loops;
mod places;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ralph_core::error::Code;
use ralph_core::process::variable::FOREIGN;
use ralph_core::store::{atomic, layout};
use ralph_core::time::compact;

use crate::args::{self, Demo, Global};
use crate::commands;
use crate::env_vars;
use crate::render::{BOLD, DIM, GREEN, RED, paint};
use crate::workspace::env;
use ralph_front::failure::{Failure, Outcome, printed};
use ralph_front::output::Output;

const CONFIG: &str = include_str!("../../templates/demo/config.json");
const AGENT: &str = include_str!("../../templates/demo/agent.sh");

/// Project, what it is for, its todo list, its queue.
const PROJECTS: [(&str, &str, &str, &str); 3] = [
    (
        "estimate-pi",
        "two experiments, the second needs the first",
        include_str!("../../templates/demo/pi-todo.md"),
        include_str!("../../templates/demo/pi-queue.md"),
    ),
    (
        "matrix-shapes",
        "an experiment that fails",
        include_str!("../../templates/demo/shapes-todo.md"),
        include_str!("../../templates/demo/shapes-queue.md"),
    ),
    (
        "new-dataset",
        "a question that only a person can answer",
        include_str!("../../templates/demo/dataset-todo.md"),
        include_str!("../../templates/demo/dataset-queue.md"),
    ),
];

/// Makes the workspace, dispatches until nothing is actionable, shows what happened and where to look.
pub(crate) fn run(arguments: &Demo, output: &Output) -> Outcome {
    let root = folder(arguments)?;
    let global = Global {
        root: Some(root.clone()),
        ..Global::default()
    };
    printed(output.print(&paint(
        BOLD,
        &format!("A workspace with three projects in {}", root.display()),
    )))?;
    make(&global, &root, output)?;
    commit(&root);
    printed(output.print(&paint(BOLD, "\n$ ralph dispatch --until-idle")))?;
    let dispatch = args::Dispatch {
        chosen: args::Chosen {
            projects: Vec::new(),
        },
        batch_size: None,
        dry_run: false,
        until_idle: true,
        max_steps: None,
        fail_if_idle: false,
    };
    // That the demo ends with projects that wait for a person is what it shows, not a failure of it.
    commands::dispatch::run(&global, &dispatch, output)?;
    printed(output.print(&paint(BOLD, "\n$ ralph status --detailed")))?;
    let status = args::Status {
        chosen: args::Chosen {
            projects: Vec::new(),
        },
        watch: false,
        detailed: true,
    };
    commands::status::run(&global, &status, output)?;
    loops::run(&root, output)?;
    printed(output.print(&epilogue(&root)))?;
    Ok(None)
}

fn folder(arguments: &Demo) -> Result<PathBuf, Failure> {
    let root = match &arguments.dir {
        Some(dir) => dir.clone(),
        None => env_vars::temporary_dir().join(format!("ralph-demo-{}", compact(env().now()))),
    };
    if root.join(layout::PROJECTS).exists() {
        return Err(Failure::new(
            Code::Failed,
            format!("{}: there is a workspace already", root.display()),
        )
        .hint("Name a folder that does not exist yet."));
    }
    atomic::create_dir(&root)?;
    let failed = |error| Failure::new(Code::Failed, format!("{}: {error}", root.display()));
    root.canonicalize().map_err(failed)
}

fn make(global: &Global, root: &Path, output: &Output) -> Result<(), Failure> {
    atomic::create_dir(&root.join(layout::RALPH_DIR))?;
    let agent = root.join("agent.sh");
    atomic::replace(&agent, AGENT.as_bytes())?;
    let config = CONFIG.replace("AGENT", &agent.display().to_string());
    atomic::replace(&root.join(layout::CONFIG), config.as_bytes())?;
    let quiet = Output::silent();
    commands::init::run(
        global,
        &args::Init {
            cluster: Some(args::Cluster::Local),
            claude: false,
        },
        &quiet,
    )?;
    for (slug, what, todo, queue) in PROJECTS {
        commands::new::run(
            global,
            &args::New {
                slug: slug.to_owned(),
            },
            &quiet,
        )?;
        printed(output.print(&format!("  {slug}: {what}")))?;
        let project = root.join(layout::PROJECTS).join(slug);
        atomic::replace(&project.join(layout::TODO), todo.as_bytes())?;
        atomic::replace(&project.join(layout::QUEUE), queue.as_bytes())?;
    }
    Ok(())
}

/// A commit, so that `git diff` shows what ralph changed; without git the demo works all the same.
fn commit(root: &Path) {
    let steps: [&[&str]; 3] = [
        &["init", "--quiet"],
        &["add", "--all"],
        &[
            "-c",
            "user.name=ralph demo",
            "-c",
            "user.email=demo@localhost",
            "-c",
            "commit.gpgsign=false",
            "commit",
            "--quiet",
            "--message",
            "The workspace before the first dispatch",
        ],
    ];
    // What fails leaves the rest without a meaning.
    let _ = steps.iter().all(|step| git(root, step).is_some());
}

/// What git answers in a folder; nothing when it fails.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(arguments);
    for name in FOREIGN {
        command.env_remove(name);
    }
    let output = command.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

fn epilogue(root: &Path) -> String {
    let mut text = format!("\n{}\n", paint(BOLD, "What was written"));
    tree(&mut text, &root.join(layout::PROJECTS), 1);
    let document = "projects/matrix-shapes/documentation/debugging.md";
    let _ = writeln!(text, "\n{}", paint(BOLD, &format!("$ git diff {document}")));
    for line in git(root, &["diff", "--no-color", "--", document])
        .unwrap_or_default()
        .lines()
    {
        let style = match line.as_bytes().first() {
            Some(b'+') => GREEN,
            Some(b'-') => RED,
            _ => DIM,
        };
        let _ = writeln!(text, "{}", paint(style, line));
    }
    text.push_str(&places::text(root));
    text
}

fn tree(text: &mut String, folder: &Path, depth: usize) {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if matches!(name.as_str(), ".gitkeep" | "ops" | "lock.guard" | "lock") {
            continue;
        }
        let directory = entry.path().is_dir();
        let _ = writeln!(
            text,
            "{}{name}{}",
            "  ".repeat(depth),
            if directory { "/" } else { "" }
        );
        if directory {
            tree(text, &entry.path(), depth + 1);
        }
    }
}
