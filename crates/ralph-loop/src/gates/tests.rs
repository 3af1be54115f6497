//! Gates that are really run, under a guard, on real repositories.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ralph_core::error::Coded as _;
use ralph_core::process::guard::GuardProgram;
use ralph_core::time::Timestamp;

use super::{GateChoice, GateOutcome, GateReport, GateRun, GateSettings, Gates, detect, install};
use crate::git::sandbox::Sandbox;
use crate::redact::Redactor;
use crate::worktree::{Assigned, Worktrees};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

struct Bench {
    sandbox: Sandbox,
    worktrees: Worktrees,
    assigned: Assigned,
}

impl Bench {
    async fn new() -> Self {
        let sandbox = Sandbox::new();
        let git = sandbox.open().await;
        let base = git.base(None, None).await.unwrap();
        let worktrees = Worktrees::open(&git, &base, "ralph-x").await.unwrap();
        let prepared = worktrees.prepare().await.unwrap();
        let assigned = worktrees.assign(prepared, "one").await.unwrap();
        Self {
            sandbox,
            worktrees,
            assigned,
        }
    }

    fn gates(&self, list: &str) -> Gates {
        let settings = GateSettings {
            choice: list.parse().unwrap(),
            limit: Duration::from_secs(30),
            grace: Duration::from_millis(200),
            ..GateSettings::default()
        };
        self.gates_of(settings)
    }

    fn gates_of(&self, settings: GateSettings) -> Gates {
        let state = self.sandbox.folder().join("baseline");
        Gates::new(settings, guard(), state)
    }

    async fn run(&self, gates: &Gates) -> GateReport {
        let redactor = Redactor::new([("SECRET_TOKEN", "tiptoptiptop")]);
        let variables = BTreeMap::from([("RALPH_ATTEMPT_ID".to_owned(), "a1".to_owned())]);
        let run = GateRun {
            folder: &self.assigned.path,
            base: Some(&self.assigned.start),
            variables: &variables,
            redactor: &redactor,
            now: NOW,
        };
        gates.run(&run, &self.worktrees).await.unwrap()
    }

    /// How often a gate has left its mark in `log`.
    fn runs(&self, log: &str) -> usize {
        let text = std::fs::read_to_string(self.sandbox.folder().join(log)).unwrap_or_default();
        text.lines().count()
    }

    fn log(&self, name: &str) -> String {
        self.sandbox
            .folder()
            .join(name)
            .to_string_lossy()
            .into_owned()
    }
}

/// The guard of this crate's tests is an example of it, which cargo builds beside them.
pub(crate) fn guard() -> GuardProgram {
    let this = std::env::current_exe().unwrap();
    let program: PathBuf = this
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/loop_guard");
    assert!(program.is_file(), "{} is not built", program.display());
    GuardProgram {
        program,
        args: vec!["__guard".to_owned()],
    }
}

fn outcomes(report: &GateReport) -> Vec<(&str, &GateOutcome)> {
    let gates = report.gates.iter();
    gates.map(|gate| (&*gate.command, &gate.outcome)).collect()
}

#[tokio::test]
async fn all_gates_run_and_only_a_new_failure_counts() {
    let bench = Bench::new().await;
    bench
        .sandbox
        .write("../repo-worktrees/w1/new.txt", "by the agent");
    let list = format!(
        "test -e README.md; test ! -e new.txt; test -e never; echo run >> {}",
        bench.log("last")
    );
    let gates = bench.gates(&list);
    let report = bench.run(&gates).await;
    assert!(!report.has_passed());
    let found: Vec<_> = outcomes(&report)
        .into_iter()
        .map(|(_, outcome)| outcome.clone())
        .collect();
    assert_eq!(
        found,
        [
            GateOutcome::Passed,
            GateOutcome::Failed,
            GateOutcome::FailedBefore,
            GateOutcome::Passed
        ]
    );
    assert_eq!(bench.runs("last"), 1);
    assert_eq!(report.gates[1].to_string(), "failed (exit 1)");
    // No place for comparing is left.
    assert_eq!(bench.sandbox.git(&["worktree", "list"]).lines().count(), 2);
    let old = bench.gates("test -e never");
    assert!(bench.run(&old).await.has_passed());
}

#[tokio::test]
async fn the_base_is_asked_once_per_commit_and_not_at_all_for_a_pass() {
    let bench = Bench::new().await;
    let list = format!(
        "echo run >> {}; exit_1() {{ return 1; }} && exit_1",
        bench.log("runs")
    );
    // One gate: the separator would cut it.
    let settings = GateSettings {
        choice: GateChoice::List(vec![list]),
        limit: Duration::from_secs(30),
        ..GateSettings::default()
    };
    let gates = bench.gates_of(settings.clone());
    bench.run(&gates).await;
    assert_eq!(bench.runs("runs"), 4, "twice here, twice at the base");
    bench.run(&gates).await;
    assert_eq!(bench.runs("runs"), 6, "twice here");
    // Another loop, after this one, knows it too.
    let report = bench.run(&bench.gates_of(settings)).await;
    assert_eq!(bench.runs("runs"), 8);
    assert_eq!(report.gates[0].outcome, GateOutcome::FailedBefore);
    let good = bench.gates(&format!("echo run >> {}", bench.log("good")));
    bench.run(&good).await;
    assert_eq!(bench.runs("good"), 1);
}

#[tokio::test]
async fn a_flaky_gate_is_run_once_more_and_written_down() {
    let bench = Bench::new().await;
    let mark = bench.log("mark");
    let gates = bench.gates(&format!(
        "test -e {mark} || {{ touch {mark} && echo oops && false || exit 3\n}}"
    ));
    let report = bench.run(&gates).await;
    assert_eq!(report.gates[0].outcome, GateOutcome::Flaky);
    assert_eq!(report.gates[0].output.as_deref(), Some("oops\n"));
    assert!(report.has_passed());
}

#[tokio::test]
async fn a_gate_that_hangs_is_ended_with_all_that_it_started_and_no_secret_is_shown() {
    let bench = Bench::new().await;
    let settings = GateSettings {
        choice: GateChoice::List(vec![
            "echo token tiptoptiptop; trap '' TERM; sleep 1000 & echo $! ; test -e new || exit 1; wait; sleep 1000".to_owned(),
        ]),
        limit: Duration::from_millis(1500),
        grace: Duration::from_millis(100),
        ..GateSettings::default()
    };
    bench.sandbox.write("../repo-worktrees/w1/new", "");
    let gates = bench.gates_of(settings);
    let report = bench.run(&gates).await;
    // At the base it fails at once, so the hang is not new either: the gate never passed.
    assert_eq!(report.gates[0].outcome, GateOutcome::FailedBefore);
    assert_eq!(report.gates[0].how, "time limit");
    let output = report.gates[0].output.as_deref().unwrap();
    assert!(!output.contains("tiptoptiptop"), "{output}");
    let pid: u32 = output.lines().last().unwrap().parse().unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    assert!(stat.map_or(true, |stat| stat.contains(") Z")));
}

#[tokio::test]
async fn a_gate_that_nobody_named_and_whose_program_is_missing_is_skipped() {
    let bench = Bench::new().await;
    let found = super::Gate {
        command: "no-such-linter .".to_owned(),
        line: ralph_core::settings::CommandLine::Words(vec!["no-such-linter".to_owned()]),
        is_found: true,
    };
    let gates = bench.gates("none");
    assert_eq!(gates.of(&bench.assigned.path), []);
    assert!(bench.run(&gates).await.has_passed());
    let redactor = Redactor::new([("A", "b")]);
    let run = GateRun {
        folder: &bench.assigned.path,
        base: None,
        variables: &BTreeMap::new(),
        redactor: &redactor,
        now: NOW,
    };
    let result = gates.judge(&found, &run, &bench.worktrees).await.unwrap();
    assert_eq!(result.outcome, GateOutcome::Missing);
    // One that a person wrote down is a failure.
    let named = bench.run(&bench.gates("no-such-linter .")).await;
    assert_eq!(named.gates[0].how, "exit 127");
}

#[tokio::test]
async fn a_gate_that_no_shell_can_start_proves_nothing_about_the_base() {
    let bench = Bench::new().await;
    let gates = bench.gates("true; crago test; sh -c 'exit 1; true'");
    let report = bench.run(&gates).await;
    let unusable = report.unusable().unwrap();
    assert_eq!(unusable.command, "crago test");
    assert_eq!(unusable.to_string(), "cannot be started (exit 127)");
    assert_eq!(report.gates[2].outcome, GateOutcome::FailedBefore);
    assert!(!report.has_passed());
    // It is known before anything is run.
    let checked = gates.check(&bench.assigned.path).await;
    let error = checked.unwrap_err();
    assert_eq!(error.code(), ralph_core::error::Code::Usage);
    assert!(error.to_string().contains("`crago test`"), "{error}");
    // And it may be there the next time.
    let program = bench.log("later");
    let gates = bench.gates(&program);
    assert!(bench.run(&gates).await.unusable().is_some());
    bench.sandbox.write("../later", "#!/bin/sh\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).unwrap();
    assert!(bench.run(&gates).await.has_passed());
}

#[tokio::test]
async fn a_script_that_the_work_removes_or_adds_is_judged_by_the_base() {
    let bench = Bench::new().await;
    bench
        .sandbox
        .write("../repo-worktrees/w1/new.sh", "exit 1\n");
    let gone = bench.assigned.path.join("README.md");
    std::fs::remove_file(gone).unwrap();
    let gates = bench.gates(
        "test -e README.md || exit 127; test -e new.sh || exit 127; test ! -e new.sh || exit 1",
    );
    let report = bench.run(&gates).await;
    let found: Vec<_> = outcomes(&report).into_iter().map(|one| one.1).collect();
    let expected = [
        &GateOutcome::Failed,
        &GateOutcome::Passed,
        &GateOutcome::Failed,
    ];
    assert_eq!(found, expected);
    let gates = bench.gates("test -e new.sh && exit 1 || exit 127");
    let report = bench.run(&gates).await;
    assert_eq!(report.gates[0].outcome, GateOutcome::Failed);
}

#[tokio::test]
async fn a_gate_that_ends_its_guard_has_failed_and_leaves_nothing_running() {
    let bench = Bench::new().await;
    let pid = bench.log("pid");
    let gates = bench.gates(&format!(
        "sleep 1000 & echo $! > {pid} && echo before && kill -9 $PPID && wait"
    ));
    let report = bench.run(&gates).await;
    assert_eq!(report.gates[0].outcome, GateOutcome::Failed);
    assert_eq!(
        report.gates[0].to_string(),
        "failed (its guard was ended before it)"
    );
    let pid = std::fs::read_to_string(pid).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    assert!(stat.map_or(true, |stat| stat.contains(") Z")));
}

#[tokio::test]
async fn the_end_of_a_long_output_begins_with_no_half_a_secret() {
    let bench = Bench::new().await;
    // The last 16 KiB begin in the middle of the token.
    let long = r"printf 'TIP tiptoptiptop\n' && head -c 16376 /dev/zero | tr '\0' x && exit 1";
    let report = bench.run(&bench.gates(long)).await;
    let output = report.gates[0].output.as_deref().unwrap();
    assert!(output.starts_with("xxx"), "{}", &output[..20]);
    // Its last line alone is longer than that.
    let long = r"head -c 20000 /dev/zero | tr '\0' x && echo ' is wrong' && exit 1";
    let report = bench.run(&bench.gates(long)).await;
    let output = report.gates[0].output.as_deref().unwrap();
    assert_eq!(output, " is wrong\n");
}

#[test]
fn gates_are_read_off_the_files_of_a_repository() {
    let sandbox = Sandbox::new();
    let commands = || {
        let gates = detect(sandbox.top());
        gates
            .into_iter()
            .map(|gate| gate.command)
            .collect::<Vec<_>>()
    };
    assert_eq!(commands(), [""; 0]);
    let package = r#"{"scripts":{"test":"vitest","lint":"eslint .","start":"x","build":""}}"#;
    sandbox.write("package.json", package);
    assert_eq!(
        commands(),
        ["npm run lint", "npm run test", "npm run build"]
    );
    assert_eq!(install(sandbox.top()), None);
    sandbox.write("yarn.lock", "");
    assert_eq!(
        install(sandbox.top()).unwrap().command,
        "yarn install --frozen-lockfile"
    );
    sandbox.write("pnpm-lock.yaml", "");
    assert_eq!(commands()[0], "pnpm run lint");
    sandbox.write("node_modules/x/package.json", "{}");
    assert_eq!(install(sandbox.top()), None);
    let package = r#"{"scripts":{"test":"echo \"Error: no test specified\" && exit 1"}}"#;
    sandbox.write("package.json", package);
    sandbox.write("pyproject.toml", "[tool.ruff]\n");
    sandbox.write("go.mod", "module x\n");
    sandbox.write("Cargo.toml", "[package]\n");
    sandbox.write("Makefile", "tests:\n\ntest : build\n\ttrue\nlint := no\n");
    assert_eq!(
        commands(),
        [
            "ruff check .",
            "pytest",
            "go vet ./...",
            "go test ./...",
            "cargo clippy --all-targets",
            "cargo test",
            "make test"
        ]
    );
    sandbox.write("package.json", "{ not json");
    assert_eq!(commands()[0], "ruff check .");
    let pipe = sandbox.top().join("GNUmakefile");
    let made = std::process::Command::new("mkfifo").arg(pipe).status();
    assert!(made.unwrap().success());
    assert_eq!(
        commands().last().unwrap(),
        "make test",
        "no pipe is waited for"
    );
}
