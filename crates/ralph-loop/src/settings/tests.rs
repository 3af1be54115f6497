//! Every knob from each of its sources, and what is said about values that cannot be used.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use ralph_core::error::{Code, Coded as _};

use super::{CommandLine, NamedFile, Settings, SettingsError, resolve};
use crate::engine::EngineName;
use crate::gates::GateChoice;
use crate::integrate::Strategy;
use crate::shell_file;

fn resolved(
    typed: &CommandLine,
    environment: &[(&str, &str)],
    file: &str,
) -> Result<Settings, SettingsError> {
    let content = shell_file::read(file, Path::new(".ralphrc")).unwrap();
    let environment: BTreeMap<String, String> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let file = NamedFile {
        path: Path::new(".ralphrc"),
        content: &content,
    };
    resolve(typed, &environment, &[file])
}

fn from_file(file: &str) -> Settings {
    resolved(&CommandLine::default(), &[], file).unwrap()
}

/// What is wrong with something typed.
fn refused(change: impl FnOnce(&mut CommandLine)) -> String {
    let mut typed = CommandLine::default();
    change(&mut typed);
    let error = resolved(&typed, &[], "").unwrap_err();
    assert_eq!(error.code(), Code::Usage);
    error.to_string()
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn table(settings: &Settings) -> String {
    let rows = settings.rows();
    let rows: Vec<String> = rows
        .iter()
        .map(|row| format!("{} = {} ({})", row.name, row.value, row.origin))
        .collect();
    rows.join("\n")
}

#[test]
fn defaults() {
    insta::assert_snapshot!(table(&from_file("")));
}

/// Section 2.6 of the study of the old loop: every name that its file may hold, those that never worked too.
#[test]
fn every_old_name_of_the_file_works() {
    let file = r#"PROJECT_NAME="${PROJECT_NAME:-my-project}"
MAX_CALLS_PER_HOUR=50
CLAUDE_TIMEOUT_MINUTES=20
CLAUDE_CODE_CMD="npx claude --x 'a b'"
ALLOWED_TOOLS="Write,Read,Bash(git add a, b),mcp__x__y"
DANGEROUSLY_SKIP_PERMISSIONS=true
WORKTREE_MERGE_STRATEGY=rebase
WORKTREE_QUALITY_GATES="make lint; make test"
WORKTREE_BRANCH_PREFIX=bot/loop
WORKTREE_AUTO_CLEANUP=false
WORKTREE_GATE_TIMEOUT=60
WORKTREE_INSTALL_TIMEOUT=90
CB_COOLDOWN_MINUTES=0
CB_AUTO_RESET=true
CB_NO_PROGRESS_THRESHOLD=4
CB_SAME_ERROR_THRESHOLD=6
CB_PERMISSION_DENIAL_THRESHOLD=7
PR_ENABLED=false
PR_BASE_BRANCH=develop
PR_DRAFT=true
PROMPT_FILE=PROMPT_FIX.md
"#;
    insta::assert_snapshot!(table(&from_file(file)));
}

#[test]
fn every_name_of_ours_works() {
    let file = r"RALPH_PARALLEL=4
RALPH_MAX_TASKS=40
RALPH_MAX_TASK_ATTEMPTS=2
RALPH_RESPAWN_DELAY=0.5
RALPH_DISABLE_TABS=true
RALPH_ENGINE=command
AGENT_COMMAND='./agent --fast'
RALPH_MODEL=m1
RALPH_TIMEOUT_MINUTES=3
RALPH_SILENCE_TIMEOUT=0
RALPH_AFTER_RESULT_TIMEOUT=7
RALPH_STOP_GRACE=2.5
RALPH_MAX_TURNS=9
RALPH_MAX_ATTEMPT_COST_USD=1.25
RALPH_MAX_COST_USD=25
RALPH_USE_API_KEY=yes
RALPH_PRICES=3,0.3,15
RALPH_LIMIT_MAX_WAIT_MINUTES=10
RALPH_LIMIT_MARGIN=0.2
";
    insta::assert_snapshot!(table(&from_file(file)));
}

#[test]
fn names_of_an_engine_are_read_for_that_engine_only() {
    let file = "CLAUDE_TIMEOUT_MINUTES=1\nDEVIN_TIMEOUT=2\nCODEX_TIMEOUT_MINUTES=3\nDEVIN_MODEL=d\nCODEX_MODEL=c\n\
        DEVIN_PERMISSION_MODE=dangerous\nCLAUDE_CODE_CMD=x\nDANGEROUSLY_SKIP_PERMISSIONS=true\n";
    let of = |engine: &str| {
        let typed = CommandLine {
            engine: text(engine),
            ..CommandLine::default()
        };
        let agent = resolved(&typed, &[], file).unwrap().agent;
        let settings = agent.engine_settings();
        (
            agent.wall.value.as_secs() / 60,
            settings.model,
            settings.permission_mode,
            settings.command,
        )
    };
    let bypass = text("bypassPermissions");
    assert_eq!(of("claude"), (1, None, bypass, vec!["x".to_owned()]));
    assert_eq!(of("devin"), (2, text("d"), text("dangerous"), Vec::new()));
    assert_eq!(of("CODEX"), (3, text("c"), None, Vec::new()));
}

/// 79, and defect 8.12: one order for all.
#[test]
fn the_command_line_wins_over_the_environment_over_the_file() {
    let file = "RALPH_MAX_TASKS=3\nWORKTREE_QUALITY_GATES=auto\nPR_ENABLED=true\n";
    let environment = [("RALPH_MAX_TASKS", "9"), ("PR_ENABLED", "")];
    let typed = CommandLine {
        parallel: vec!["3".to_owned(), "30".to_owned()],
        quality_gates: text("none"),
        no_pr: true,
        ..CommandLine::default()
    };
    let settings = resolved(&typed, &environment, file).unwrap();
    assert_eq!(settings.pool.attempts.value, Some(30));
    assert_eq!(settings.pool.attempts.origin.to_string(), "--parallel N M");
    assert_eq!(settings.work.gates.value, GateChoice::None);
    assert!(!settings.work.pull_requests.value);

    let settings = resolved(&CommandLine::default(), &environment, file).unwrap();
    assert_eq!(settings.pool.attempts.value, Some(9));
    let origin = settings.pool.attempts.origin.to_string();
    assert_eq!(origin, "RALPH_MAX_TASKS in the environment");
    // An empty variable is none.
    let origin = settings.work.pull_requests.origin.to_string();
    assert_eq!(origin, ".ralphrc:3: PR_ENABLED");
    assert_eq!(from_file(file).pool.attempts.value, Some(3));
}

#[test]
fn of_two_files_the_first_wins() {
    let read = |text: &str, path: &str| shell_file::read(text, Path::new(path)).unwrap();
    let special = read("DEVIN_MODEL=special\n", ".ralphrc.devin");
    let common = read("DEVIN_MODEL=common\nRALPH_ENGINE=devin\n", ".ralphrc");
    let files = [
        NamedFile {
            path: Path::new(".ralphrc.devin"),
            content: &special,
        },
        NamedFile {
            path: Path::new(".ralphrc"),
            content: &common,
        },
    ];
    let none = BTreeMap::new();
    let typed = CommandLine::default();
    let engine = super::engine(&typed, &none, &files[1..]).unwrap();
    assert_eq!(engine.value, EngineName::Devin);
    let model = resolve(&typed, &none, &files).unwrap().agent.model;
    assert_eq!(model.value, text("special"));
}

/// 66 to 72, 76 and 77.
#[test]
fn values_are_checked_and_named() {
    for bad in ["0", "121", "abc", "1.5", "-3", ""] {
        let message = refused(|typed| typed.timeout = text(bad));
        assert!(message.contains("--timeout"), "{message}");
        assert!(message.contains("between 1 and 120"), "{message}");
    }
    for bad in ["0", "abc", "-1", "007", "513", "9999999999999999999999"] {
        let message = refused(|typed| typed.parallel = vec![bad.to_owned()]);
        assert!(message.contains("positive integer"), "{message}");
    }
    for bad in ["abc", "0", "-3", "007", "+3"] {
        let message = refused(|typed| typed.max_tasks = text(bad));
        assert!(
            message.contains("--max-tasks: expected a positive integer"),
            "{message}"
        );
        let message = refused(|typed| typed.parallel = vec!["3".to_owned(), bad.to_owned()]);
        assert!(message.contains("positive integer"), "{message}");
        let message = refused(|typed| typed.max_task_attempts = text(bad));
        assert!(message.contains("positive integer"), "{message}");
    }
    for bad in ["foo", "-1", "1e3", "inf", ".", "", "1."] {
        let message = refused(|typed| typed.respawn_delay = text(bad));
        assert!(message.contains("--respawn-delay"), "{message}");
    }
    for (good, length) in [("0", 0), ("0.5", 500), (".5", 500), ("12.25", 12_250)] {
        let typed = CommandLine {
            respawn_delay: text(good),
            ..CommandLine::default()
        };
        let delay = resolved(&typed, &[], "").unwrap().pool.respawn_delay;
        assert_eq!(delay.value, Duration::from_millis(length));
    }
    let message = refused(|typed| typed.merge_strategy = text("foo"));
    assert!(
        message.contains("squash, merge or rebase, found `foo`"),
        "{message}"
    );
    let message = refused(|typed| typed.allowed_tools = text("Read,Foo"));
    assert!(message.contains("found `Read,Foo`"), "{message}");
    let message = refused(|typed| typed.engine = text("gpt"));
    assert!(
        message.contains("claude, codex, devin or command"),
        "{message}"
    );
    let message = refused(|typed| typed.max_cost = text("0"));
    assert!(message.contains("US dollars"), "{message}");
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_its_line() {
    let file = "PR_DRAFT=maybe\nCB_SAME_ERROR_THRESHOLD=0\nPR_BASE_BRANCH=(a b)\n\nWORKTREE_BRANCH_PREFIX='a b'\n\
        RALPH_PRICES=1,2\nWORKTREE_GATE_TIMEOUT=0\n";
    let environment = [("MAX_CALLS_PER_HOUR", "many")];
    let error = resolved(&CommandLine::default(), &environment, file).unwrap_err();
    insta::assert_snapshot!(error);
}

/// 78.
#[test]
fn what_does_not_go_together_is_named_together() {
    let message = refused(|typed| {
        typed.parallel = vec!["2".to_owned(), "4".to_owned()];
        typed.task = text("One");
    });
    assert_eq!(message, "--parallel N 4 cannot be combined with --task");
    let message = refused(|typed| {
        typed.max_tasks = text("4");
        typed.checks_only = true;
    });
    assert_eq!(message, "--max-tasks 4 cannot be combined with --qg");
    let message = refused(|typed| {
        typed.parallel = vec!["2".to_owned(), "4".to_owned()];
        typed.max_tasks = text("5");
    });
    assert_eq!(
        message,
        "--parallel 2 4 cannot be combined with --max-tasks 5"
    );
    let message = refused(|typed| typed.agent_command = text("./agent"));
    assert_eq!(
        message,
        "--agent-command needs --engine command, not claude (default)"
    );
    let message = refused(|typed| typed.engine = text("command"));
    assert!(
        message.starts_with("the engine command (--engine) needs --agent-command"),
        "{message}"
    );
    // The environment's M is for other calls.
    let typed = CommandLine {
        task: text("One"),
        ..CommandLine::default()
    };
    let settings = resolved(&typed, &[("RALPH_MAX_TASKS", "9")], "").unwrap();
    assert_eq!(settings.pool.attempts.value, None);
}

#[test]
fn unknown_names_and_those_without_effect_are_told_and_no_others() {
    let file = "PROJECT_TYPE=rust\nMAX_CALLS_PER_HOURS=1\nWORKTREE_ENABLED=true\nSESSION_CONTINUITY=true\n\
        CLAUDE_OUTPUT_FORMAT=json\nWORKTREE_ENABLED=false\nMY_LIST=(a)\nMAX_QG_RETRIES=5\n\
        WORKTREE_AUTO_CLEANUP=false\n";
    let notices: Vec<String> = from_file(file)
        .notices
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        notices,
        [
            ".ralphrc:2: no setting is called MAX_CALLS_PER_HOURS",
            ".ralphrc:6: WORKTREE_ENABLED=false has no effect. Every attempt has a worktree of its own.",
            ".ralphrc:7: no setting is called MY_LIST",
            ".ralphrc:8: MAX_QG_RETRIES=5 has no effect. A task whose checks failed is tried again as often as --max-task-attempts says.",
            ".ralphrc:9: WORKTREE_AUTO_CLEANUP=false has no effect. A worktree goes once its work is on a branch; `git worktree add` brings that back.",
        ]
    );
    let variables = [
        ("RALPH_CONTINUOUS_FORCE", "true"),
        ("WORKTREE_ENABLED", "true"),
        ("HOME", "/"),
    ];
    let settings = resolved(&CommandLine::default(), &variables, "").unwrap();
    let notices: Vec<String> = settings.notices.iter().map(ToString::to_string).collect();
    assert_eq!(
        notices,
        [
            "environment: RALPH_CONTINUOUS_FORCE=true has no effect. A second loop in a repository is always refused."
        ]
    );
}

#[test]
fn a_typed_prompt_is_where_the_person_is() {
    let typed = CommandLine {
        prompt: text("other/P.md"),
        ..CommandLine::default()
    };
    let prompt = |settings: Settings| settings.agent.prompt.value;
    assert_eq!(
        prompt(resolved(&typed, &[], "PROMPT_FILE=x").unwrap()),
        Path::new("other/P.md")
    );
    assert_eq!(
        prompt(from_file("PROMPT_FILE=x.md")),
        Path::new(".ralph/x.md")
    );
    assert_eq!(
        prompt(from_file("PROMPT_FILE=.ralph/x.md")),
        Path::new(".ralph/x.md")
    );
    assert_eq!(
        prompt(from_file("PROMPT_FILE=/etc/x.md")),
        Path::new("/etc/x.md")
    );
    assert_eq!(prompt(from_file("")), Path::new(".ralph/PROMPT.md"));
}

#[test]
fn a_strategy_is_one_of_three() {
    for (word, strategy) in [
        ("squash", Strategy::Squash),
        ("merge", Strategy::Merge),
        ("rebase", Strategy::Rebase),
    ] {
        let settings = from_file(&format!("WORKTREE_MERGE_STRATEGY={word}\n"));
        assert_eq!(settings.work.merge_strategy.value, strategy);
    }
}
