//! The end of the demo: what to type to look at what it made. Every line of it can be pasted, one by one or all at once.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use ralph_core::store::layout;
use ralph_front::programs::find;
use ralph_front::shell::word;

use crate::env_vars;
use crate::render::{BOLD, DIM, paint};

/// The project whose job failed.
const FAILED: &str = "matrix-shapes";

/// Where the shell has to be first, then what there is to see.
pub(super) fn text(root: &Path) -> String {
    let mut text = format!("\n{}\n\n", paint(BOLD, "Where to look"));
    let _ = writeln!(text, "  cd {}", word(&root.display().to_string()));
    if let Some(line) = search_path(root) {
        let _ = writeln!(text, "  {line}");
    }
    text.push('\n');
    for (command, what) in commands(root) {
        let _ = writeln!(text, "  {}\n  {command}", paint(DIM, &format!("# {what}")));
    }
    text
}

/// The line that lets a shell find this `ralph` by its name, where it does not yet.
fn search_path(root: &Path) -> Option<String> {
    let program = env_vars::program().ok()?;
    let found = find("ralph", root, &env_vars::search_path());
    let itself = |path: &Path| path.canonicalize().ok();
    if found.is_some_and(|found| itself(&found) == itself(&program)) {
        return None;
    }
    let folder = program.parent()?.display().to_string();
    Some(format!("export PATH={}:\"$PATH\"", word(&folder)))
}

fn commands(root: &Path) -> Vec<(String, &'static str)> {
    let line = |command: &str, what| (command.to_owned(), what);
    let mut commands = vec![
        line("ralph status --detailed", "where every project stands"),
        line(
            "ralph results --compare-last",
            "what the dispatch changed, file by file",
        ),
        line(
            "ralph ops list",
            "every operation; `ralph ops undo` and its id takes one back",
        ),
        line("ralph report -o report.html", "all of it on one page"),
        line(
            "ralph --root repositories loop --workspace --status",
            "what the loops did",
        ),
    ];
    if let Some(run) = failed_run(root) {
        let command = format!("ralph logs {run} --project {FAILED} --err");
        commands.insert(3, (command, "what the job printed that failed"));
    }
    commands
}

fn failed_run(root: &Path) -> Option<String> {
    let runs = root.join(layout::PROJECTS).join(FAILED).join("runs");
    let mut names: Vec<String> = fs::read_dir(runs)
        .ok()?
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names.pop()
}
