//! The dry run that scripts read: rows 106 to 120 of the conformance table, and where ours is meant to differ.
//!
//! The launcher before this one started one loop over all repositories (`ralph --workspace`); this one starts one per
//! repository. So `--workspace` is not in the commands, `--repos` and `--exclude` are resolved here instead of being
//! forwarded, the default engine is claude, and its program is not a variant of the loop's name where the loop itself
//! takes `--engine`. Everything else that scripts match is the same.

use ralph_tests::workbench::{BATCH, CONTINUOUS, Workbench};

const OWN: &str = "  --parallel N M\n  --max-task-attempts K\n  --respawn-delay SEC\n  --no-tabs\n  --engine E\n  --budget DIR\n";

#[track_caller]
fn dry(bench: &Workbench, arguments: &[&str]) -> String {
    let mut words = vec!["--dry-run"];
    words.extend(arguments);
    bench.run(&words).ended(0).stdout
}

#[track_caller]
fn holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part}\n--\n{text}");
    }
}

/// Row 106. Ours differs: the command stands in the repository and holds no `--workspace`.
#[test]
fn row_106_the_plain_dry_run() {
    let bench = Workbench::new(&["svc-a"]);
    let text = dry(&bench, &[]);
    let root = bench.root().display().to_string();
    holds(
        &text,
        &[
            "[wb.ralph-dispatch] mode=batch parallel=1 max_tasks=<unset> max_task_attempts=1 respawn_delay=0 tabs=off engine=claude repos=<all> exclude=<none>",
            &format!("WORKSPACE_ROOT={root}/repos"),
            &format!("  > (cd {root}/repos/svc-a && WORKSPACE_ROOT={root}/repos "),
            "bin/ralph --parallel 1)",
            "[dry-run] not executing",
        ],
    );
    assert!(!text.contains("--workspace"));
    assert_eq!(bench.given("svc-a"), "");
    assert!(!bench.path("wb/ralph").exists(), "a dry run writes nothing");
}

/// Rows 107 and 108. Ours differs: the subset is in the banner and in what is launched, not in a loop's command.
#[test]
fn rows_107_and_108_subsets() {
    let bench = Workbench::new(&["svc-a", "svc-b"]);
    for text in [
        dry(&bench, &["--repos", "svc-a"]),
        Workbench::run(&bench, &["--dry-run", "--repos", "svc-a"])
            .ended(0)
            .stdout,
    ] {
        holds(&text, &["repos=svc-a", "repos/svc-a &&"]);
        assert!(!text.contains("repos/svc-b &&"));
    }
    let mut command = bench.command(&["--dry-run"]);
    command.env("WB_RALPH_DISPATCH_REPOS", "svc-a");
    let text = ralph_tests::Ran::of_command(&mut command).ended(0).stdout;
    holds(
        &text,
        &["repos=svc-a", "environment: WB_RALPH_DISPATCH_REPOS"],
    );
    let text = dry(&bench, &["--exclude", "svc-a"]);
    holds(&text, &["exclude=svc-a", "repos/svc-b &&"]);
    assert!(!text.contains("repos/svc-a &&"));
}

/// Rows 109 and 110.
#[test]
fn rows_109_and_110_subsets_that_are_none() {
    let bench = Workbench::new(&["svc-a", "svc-b"]);
    let ran = bench
        .run(&["--dry-run", "--repos", "does-not-exist"])
        .ended(2);
    holds(&ran.stderr, &["names unknown repo 'does-not-exist'"]);
    let ran = bench
        .run(&["--dry-run", "--repos", "svc-a", "--exclude", "svc-b"])
        .ended(2);
    holds(&ran.stderr, &["cannot be combined"]);
}

/// Row 111.
#[test]
fn row_111_continuous() {
    let bench = Workbench::new(&["svc-a"]);
    for arguments in [
        ["--parallel", "3", "--max-tasks", "30"].as_slice(),
        &["--parallel", "3", "30"],
    ] {
        holds(
            &dry(&bench, arguments),
            &["mode=continuous", "max_tasks=30", "ralph --parallel 3 30"],
        );
    }
    // All loops of ours are told all of N and M, and share them; and K and the delay, which the banner has stated.
    bench.write("stub/help", OWN);
    let bench_of_two = Workbench::new(&["svc-a", "svc-b"]);
    bench_of_two.write("stub/help", OWN);
    let text = dry(&bench_of_two, &["--parallel", "3", "30"]);
    assert_eq!(
        text.matches(
            "ralph --parallel 3 30 --max-task-attempts 1 --respawn-delay 0 --engine claude --budget "
        )
        .count(),
        2,
        "{text}"
    );
    holds(&text, &["budget = shared"]);
    let ran = bench
        .run(&["--parallel", "3", "30", "--max-tasks", "40"])
        .ended(2);
    holds(&ran.stderr, &["conflicts with"]);
}

/// Row 112.
#[test]
fn row_112_everything_forwarded() {
    let bench = Workbench::new(&["svc-a"]);
    let text = dry(
        &bench,
        &[
            "--parallel",
            "3",
            "30",
            "--max-task-attempts",
            "2",
            "--respawn-delay",
            "5",
            "--no-tabs",
        ],
    );
    holds(
        &text,
        &[
            "--parallel 3 30 --max-task-attempts 2 --respawn-delay 5 --no-tabs)",
            "tabs=off",
        ],
    );
}

/// Row 113.
#[test]
fn row_113_numbers_that_are_none() {
    let bench = Workbench::new(&["svc-a"]);
    for arguments in [
        ["--max-tasks", "0"].as_slice(),
        &["--max-tasks", "abc"],
        &["--parallel", "3", "0"],
        &["--max-task-attempts", "0"],
    ] {
        holds(&bench.run(arguments).ended(2).stderr, &["positive integer"]);
    }
    let _ = bench.run(&["--respawn-delay", "abc"]).ended(2);
    // The last word of the line is no silent end.
    assert!(!bench.run(&["--parallel"]).ended(2).stderr.is_empty());
}

/// Rows 114 and 115.
#[test]
fn rows_114_and_115_the_environment() {
    let bench = Workbench::new(&["svc-a"]);
    let with = |arguments: &[&str], name: &str, value: &str| {
        let mut command = bench.command(arguments);
        command.env(name, value);
        ralph_tests::Ran::of_command(&mut command).ended(0).stdout
    };
    holds(
        &with(&["--dry-run"], "WB_RALPH_MAX_TASKS", "20"),
        &["max_tasks=20"],
    );
    let both = with(
        &["--dry-run", "--max-tasks", "50"],
        "WB_RALPH_MAX_TASKS",
        "20",
    );
    holds(&both, &["max_tasks=50"]);
    let tabs = with(
        &["--dry-run", "--parallel", "1", "2"],
        "WB_RALPH_DISABLE_TABS",
        "true",
    );
    holds(
        &tabs,
        &[
            "tabs=off",
            "environment: WB_RALPH_DISABLE_TABS",
            "--no-tabs",
        ],
    );
}

/// Row 116.
#[test]
fn row_116_a_loop_that_does_not_know_continuous_mode() {
    let bench = Workbench::new(&["svc-a"]);
    bench.write("stub/help", BATCH);
    let ran = bench.run(&["--dry-run", "--max-tasks", "30"]).ended(32);
    holds(
        &ran.stderr,
        &[
            "does not know continuous mode (M)",
            "says nothing of --parallel N M",
        ],
    );
}

/// Rows 117 and 118. Ours differs: claude where nothing is said.
#[test]
fn rows_117_and_118_engines() {
    let bench = Workbench::new(&["svc-a"]);
    for (engine, program) in [("devin", "ralph-devin"), ("codex", "ralph-codex")] {
        bench.link(program, &bench.path("bin/ralph"));
        bench.program(engine, "#!/bin/sh\n");
        let text = dry(&bench, &["--engine", engine]);
        holds(
            &text,
            &[
                &format!("engine={engine}"),
                &format!("bin/{program} --parallel 1)"),
            ],
        );
    }
    holds(
        &dry(&bench, &[]),
        &["engine=claude", "bin/ralph --parallel 1)"],
    );
    holds(&dry(&bench, &["--engine", "claude"]), &["engine=claude"]);
    let mut command = bench.command(&["--dry-run", "--agent", "codex"]);
    command.env("WB_RALPH_ENGINE", "devin");
    holds(
        &ralph_tests::Ran::of_command(&mut command).ended(0).stdout,
        &["engine=codex"],
    );
    let ran = bench.run(&["--dry-run", "--engine", "foo"]).ended(2);
    holds(&ran.stderr, &["unknown execution engine 'foo'"]);
    let conf = bench.read("wb/project.conf");
    bench.write(
        "wb/project.conf",
        &format!("{conf}RALPH_EXECUTION_ENGINE=devin\nRALPH_PLAN_ENGINE=claude\n"),
    );
    bench.commit("wb");
    holds(
        &dry(&bench, &[]),
        &["engine=devin", "project.conf:5: RALPH_EXECUTION_ENGINE"],
    );
}

/// Row 119 is meant to differ: the warning was about devin in one loop over a workspace, of which there is none.
/// Row 120 was a check of that loop's workspace folder; a loop of ours is in its repository and makes none.
#[test]
fn rows_119_and_120_have_no_occasion() {
    let bench = Workbench::new(&["svc-a"]);
    bench.link("ralph-devin", &bench.path("bin/ralph"));
    bench.program("devin", "#!/bin/sh\n");
    let ran = bench.run(&["--dry-run", "--engine", "devin"]).ended(0);
    assert!(!ran.stderr.contains("workspace mode"), "{}", ran.stderr);
    // A folder of that name at the root of the workbench is nobody's business.
    bench.write("wb/.ralph/logs/old.log", "kept\n");
    bench.commit("wb");
    let _ = bench.run(&["--dry-run"]).ended(0);
    assert_eq!(bench.read("wb/.ralph/logs/old.log"), "kept\n");
}

/// The probe of the bash wrapper: words of the help of our own `ralph`.
#[test]
fn our_own_loop_passes_the_probe_of_older_launchers() {
    let bench = Workbench::new(&["svc-a"]);
    bench.link("ralph", &ralph_tests::binary("ralph-tested"));
    let mut command = std::process::Command::new(bench.path("bin/ralph"));
    let help = ralph_tests::Ran::of_command(command.arg("--help").env("NO_COLOR", "1"))
        .ended(0)
        .stdout;
    holds(
        &help,
        &[
            "--parallel N M",
            "Continuous Parallel Execution",
            "--max-task-attempts",
            "--respawn-delay",
            "--no-tabs",
            "--repos",
            "--exclude",
        ],
    );
    holds(
        &dry(&bench, &["--parallel", "3", "30"]),
        &["budget = shared", "--parallel 3 30"],
    );
}

/// Knobs of the file are told with their line; those of a foreign loop are divided.
#[test]
fn origins() {
    let bench = Workbench::new(&["svc-a", "svc-b"]);
    let conf = bench.read("wb/project.conf");
    bench.write(
        "wb/project.conf",
        &format!("{conf}WB_RALPH_PARALLEL=5\nWB_RALPH_MAX_TASKS=9\n"),
    );
    bench.commit("wb");
    let text = dry(&bench, &[]);
    let lines: Vec<String> = text
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !line.starts_with("> ") && !line.starts_with("ralph ="))
        .collect();
    assert_eq!(
        lines,
        [
            "mode = continuous project.conf:7: WB_RALPH_MAX_TASKS",
            "parallel = 5 project.conf:6: WB_RALPH_PARALLEL",
            "max_tasks = 9 project.conf:7: WB_RALPH_MAX_TASKS",
            "max_task_attempts = 1 default",
            "respawn_delay = 0 default",
            "tabs = off default: detached loops have no terminal",
            "engine = claude default",
            "repos = <all> default: all with a fix_plan",
            "exclude = <none> default: all with a fix_plan",
            "on = here default",
            "budget = divided default: its loops share no budget",
            "[dry-run] not executing",
        ]
    );
    holds(
        &text,
        &[
            "ralph --parallel 3 5 --no-tabs)",
            "ralph --parallel 2 4 --no-tabs)",
        ],
    );
    assert!(CONTINUOUS.contains("--no-tabs"));
}

/// Anywhere, not in a workbench alone.
#[test]
fn a_shell_and_a_reader_are_told_of_every_option() {
    let bench = Workbench::new(&[]);
    let text = |arguments: &[&str]| bench.run(&[&["--root", "/nowhere"], arguments].concat());
    let _ = text(&["--man"]).ended(2);
    for shell in ["bash", "zsh", "fish"] {
        let text = bench.run(&["--completions", shell]).ended(0).stdout;
        for word in ["parallel", "respawn-delay", "wb-ralph-dispatch"] {
            assert!(text.contains(word), "{shell}: {word}");
        }
        assert!(!text.contains("__supervise"), "{shell}: {text}");
    }
    let page = bench.run(&["--man"]).ended(0).stdout;
    for word in [
        ".TH wb-ralph-dispatch",
        "\\-\\-max\\-task\\-attempts",
        "WB_RALPH_PARALLEL",
    ] {
        assert!(page.contains(word), "{word}: {page}");
    }
    for word in ["__", "WORD", "subcommands"] {
        assert!(!page.contains(word), "{word}: {page}");
    }
}
