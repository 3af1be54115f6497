//! Every kind of step, killed at every crash point that it passes: the next run ends in a state that an
//! uninterrupted one also passes, and going on from there ends where that ends.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ralph_tests::tree::{copy, tree};
use ralph_tests::{Workspace, wait_until};
use tempfile::TempDir;

type Tree = BTreeMap<String, String>;

/// A workspace just before a step, and the command that takes it.
struct Sweep {
    workspace: Workspace,
    command: Vec<String>,
    pristine: TempDir,
    /// What an uninterrupted life looks like: before the command, and after each time that it has run.
    states: Vec<Tree>,
    points: Vec<String>,
    view: fn(&Path) -> Tree,
}

impl Sweep {
    fn new(workspace: Workspace, command: &[&str]) -> Self {
        Self::seen_as(workspace, command, tree)
    }

    /// The same, where not everything is compared.
    fn seen_as(workspace: Workspace, command: &[&str], view: fn(&Path) -> Tree) -> Self {
        let pristine = TempDir::new().expect("a temporary folder");
        copy(workspace.root(), pristine.path());
        let mut sweep = Self {
            workspace,
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            pristine,
            states: Vec::new(),
            points: Vec::new(),
            view,
        };
        sweep.learn();
        sweep
    }

    fn learn(&mut self) {
        self.states.push((self.view)(self.workspace.root()));
        let log = TempDir::new().expect("a temporary folder");
        let log = log.path().join("points");
        for _ in 0..3 {
            let mut command = self.command();
            if self.points.is_empty() {
                command.env("RALPH_CRASH_LOG", &log);
            }
            let _ = command.output().expect("ralph can be started");
            if self.points.is_empty() {
                let text = fs::read_to_string(&log).expect("the points that were passed");
                self.points = text.lines().map(str::to_owned).collect();
            }
            self.states.push((self.view)(self.workspace.root()));
        }
        assert_ne!(self.states[0], self.states[1], "the step changes something");
    }

    fn command(&self) -> std::process::Command {
        let words: Vec<&str> = self.command.iter().map(String::as_str).collect();
        self.workspace.command(&words)
    }

    fn restore(&self) {
        for entry in fs::read_dir(self.workspace.root()).expect("the workspace") {
            let path = entry.expect("an entry").path();
            let removed = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.expect("the workspace can be emptied");
        }
        copy(self.pristine.path(), self.workspace.root());
    }

    /// Kills at every point, runs twice more, and compares. At least `least` points must have been passed.
    fn run(&self, least: usize) {
        assert!(
            self.points.len() >= least,
            "{} points: {:?}",
            self.points.len(),
            self.points
        );
        for at in &self.points {
            self.restore();
            let killed = self
                .command()
                .env("RALPH_CRASH_AT", at)
                .output()
                .expect("ralph can be started");
            assert!(
                killed.status.code().is_none(),
                "not killed at {at}: {killed:?}"
            );
            let mut last = 0;
            for run in 1..=2 {
                let _ = self.command().output().expect("ralph can be started");
                let found = (self.view)(self.workspace.root());
                last = self.place(&found, last, &format!("run {run} after a crash at {at}"));
            }
            assert!(last > 0, "nothing was done after a crash at {at}");
        }
    }

    /// Which state this is; never an earlier one than before.
    #[track_caller]
    fn place(&self, found: &Tree, last: usize, when: &str) -> usize {
        let place = self.states.iter().rposition(|state| state == found);
        place
            .filter(|place| *place >= last)
            .unwrap_or_else(|| panic!("{when}: {}", nearest(&self.states[1..], found)))
    }
}

/// How a state differs from the one that is most like it.
fn nearest(states: &[Tree], found: &Tree) -> String {
    let differences = states.iter().map(|state| {
        let names: std::collections::BTreeSet<&String> = state.keys().chain(found.keys()).collect();
        let differing = names
            .into_iter()
            .filter(|name| state.get(*name) != found.get(*name));
        differing
            .map(|name| {
                format!(
                    "{name}\nexpected: {:#?}\nfound: {:#?}",
                    state.get(name),
                    found.get(name)
                )
            })
            .collect::<Vec<_>>()
    });
    differences
        .min_by_key(Vec::len)
        .unwrap_or_default()
        .join("\n")
}

/// Everything but what tells how often somebody has tried: an agent that was killed with the dispatch is run again.
fn without_history(root: &Path) -> Tree {
    let mut tree = tree(root);
    for (path, text) in &mut tree {
        if path.ends_with("pipeline.json") {
            let mut state: serde_json::Value =
                serde_json::from_str(text).expect("the state is never broken");
            state.as_object_mut().expect("an object").remove("events");
            *text = state.to_string();
        }
        if path.ends_with("implementation-todo.md") {
            *text = text
                .lines()
                .filter(|line| !line.contains("<!-- ralph"))
                .collect();
        }
    }
    tree
}

fn configured(members: &str) -> Workspace {
    let workspace = Workspace::new();
    let config = format!(
        "{{\"cluster\": {{\"kind\": \"local\"}}, \"poll\": {{\"first\": 0, \"base\": 600, \"cap\": 600}}{members}}}"
    );
    workspace.write(".claude/ralph/config.json", &config);
    let _ = workspace.ralph(&["init", "--cluster", "local"]).ended(0);
    workspace
}

/// A workspace in which the only job has ended, and nothing knows of it yet.
fn with_an_ended_job(script: &str) -> Workspace {
    let workspace = configured("");
    workspace.project("toy", "RUN", &[("Q-001", script)]);
    let _ = workspace.ralph(&["dispatch"]).ended(0);
    wait_until("the job has ended", || {
        let jobs = workspace.ralph(&["cluster", "jobs", "--json"]).json();
        jobs["jobs"].as_array().is_some_and(|jobs| {
            !jobs.is_empty()
                && jobs.iter().all(|job| {
                    !matches!(
                        job["state"].as_str(),
                        Some("PENDING" | "RUNNING" | "COMPLETING")
                    )
                })
        })
    });
    workspace
}

#[test]
fn a_phase_that_moves_on() {
    let workspace = configured("");
    workspace.project("toy", "INIT", &[("Q-001", "true")]);
    Sweep::new(workspace, &["dispatch"]).run(8);
}

#[test]
fn an_order_that_is_handed_out() {
    let workspace = configured("");
    workspace.project("toy", "IMPLEMENT", &[]);
    workspace.write(
        "projects/toy/documentation/implementation-todo.md",
        "# TODO\n\n## Ready\n\n- [ ] (T1) write it\n",
    );
    Sweep::new(workspace, &["dispatch"]).run(8);
}

#[test]
fn an_order_that_a_program_takes() {
    let workspace = configured(
        r#", "agent": {"engine": "command", "command": ["sh", "-c", "sed -i 's/\\[ \\]/[x]/' documentation/implementation-todo.md"]}"#,
    );
    workspace.project("toy", "IMPLEMENT", &[]);
    workspace.write(
        "projects/toy/documentation/implementation-todo.md",
        "# TODO\n\n## Ready\n\n- [ ] (T1) write it\n",
    );
    Sweep::seen_as(workspace, &["dispatch"], without_history).run(8);
}

#[test]
fn tests_that_pass_and_tests_that_fail() {
    for command in ["true", "false"] {
        let workspace = configured(&format!(r#", "test_command": ["{command}"]"#));
        workspace.project("toy", "TEST", &[]);
        Sweep::new(workspace, &["dispatch"]).run(8);
    }
}

#[test]
fn a_job_that_succeeded() {
    Sweep::new(with_an_ended_job("echo fine"), &["verify"]).run(8);
}

#[test]
fn a_job_that_failed() {
    let script = "echo 'ModuleNotFoundError: No module named numpy' >&2; exit 1";
    Sweep::new(with_an_ended_job(script), &["verify"]).run(16);
}

#[test]
fn results_that_are_recorded() {
    let workspace = with_an_ended_job("echo fine");
    let _ = workspace.ralph(&["verify"]).ended(0);
    Sweep::new(workspace, &["dispatch"]).run(16);
}

#[test]
fn an_operation_that_is_undone() {
    let workspace = configured("");
    workspace.project("toy", "INIT", &[("Q-001", "true")]);
    let _ = workspace.ralph(&["dispatch"]).ended(0);
    let list = workspace.ralph(&["ops", "list", "--json"]).json();
    let op = list["operations"][0]["id"]
        .as_str()
        .expect("an operation")
        .to_owned();
    Sweep::new(workspace, &["ops", "undo", &op]).run(8);
}

#[test]
fn a_project_that_is_made() {
    let workspace = configured("");
    Sweep::new(workspace, &["new", "toy"]).run(20);
}
