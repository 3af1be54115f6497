//! The protocol as the agent sees it, the rules one by one, and real state files.

mod remembered;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::memory::Memory;
use super::*;
use crate::env::Env;
use crate::phase::Phase;
use crate::pipeline::{Skim, skim};
use crate::time::{LooseTime, ManualClock, Timestamp};

const NOW: &str = "2026-11-20T12:00:00Z";
const LATER: &str = "2026-11-20T12:15:00Z";
const EARLIER: &str = "2026-11-20T11:45:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn facts(phase: &str) -> Skim {
    Skim {
        phase: Phase::parse(phase),
        has_next_action: true,
        needs_user_input: false,
        next_poll_after: None,
        live_runs: 0,
        run_polls: Vec::new(),
    }
}

/// A look at a workspace by someone who remembers nothing.
fn scan<E: std::fmt::Display>(
    root: &Path,
    skim: impl Fn(&[u8]) -> Result<Skim, E> + Sync,
) -> Vec<ProjectGlance> {
    let found = super::scan::scan(root, &Memory::default(), skim);
    found.into_iter().map(|found| found.project).collect()
}

fn word(skim: &Skim) -> String {
    match standing(skim, now(), &TimeZone::UTC) {
        Standing::Actionable(Due::Poll) => "poll".to_owned(),
        Standing::Actionable(Due::Step(phase)) => format!("step {phase}"),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// A workspace in a temporary folder, switched on.
struct Workspace {
    folder: tempfile::TempDir,
    env: Env,
    clock: std::sync::Arc<ManualClock>,
}

impl Workspace {
    fn new() -> Self {
        let (env, clock) = Env::fixed(now());
        let folder = tempfile::tempdir().unwrap();
        let workspace = Self { folder, env, clock };
        workspace.put(".claude/ralph/enabled", "");
        workspace
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    fn put(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        File::create(path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    fn project(&self, slug: &str, state: &str) {
        self.put(&format!("projects/{slug}/.state/pipeline.json"), state);
    }

    fn run(&self, stdin: &str) -> HookOutcome {
        run(self.folder.path(), stdin.as_bytes(), &self.env, || {
            TimeZone::UTC
        })
    }

    fn exit(&self, stdin: &str) -> u8 {
        self.run(stdin).exit
    }

    fn counter(&self) -> String {
        fs::read_to_string(self.path(".claude/ralph/loop-state.json")).unwrap()
    }
}

const WORK: &str = r#"{"phase": "IMPLEMENT", "next_action": "write the loader"}"#;

#[test]
fn live_jobs_are_waited_for_in_every_phase_and_polled_when_due() {
    for phase in [
        "WAIT_SLURM",
        "RUN",
        "IMPLEMENT",
        "DEBUG",
        "TEST",
        "CHECK",
        "DONE",
        "IDLE",
        "v14 ladder DONE, gates G1 to G3 passed",
    ] {
        for has_next_action in [false, true] {
            let at = |live_runs, project: Option<&str>, runs: &[&str]| {
                word(&Skim {
                    has_next_action,
                    next_poll_after: project.map(LooseTime::parse),
                    live_runs,
                    run_polls: runs.iter().map(|time| LooseTime::parse(time)).collect(),
                    ..facts(phase)
                })
            };
            assert_eq!(at(2, Some(LATER), &[]), "waiting", "{phase}");
            assert_eq!(at(2, Some(EARLIER), &[]), "poll", "{phase}");
            assert_eq!(at(2, Some(NOW), &[]), "poll", "{phase}");
            assert_eq!(at(2, None, &[]), "poll", "{phase}");
            assert_eq!(at(2, Some("14:XX:00"), &[]), "poll", "{phase}");
            assert_eq!(
                at(2, Some(EARLIER), &[LATER, LATER]),
                "waiting",
                "each has its own time"
            );
            assert_eq!(
                at(2, Some(EARLIER), &[LATER]),
                "poll",
                "one has the project's"
            );
            assert_eq!(at(2, Some(LATER), &[LATER]), "waiting", "{phase}");
            assert_eq!(at(2, Some(LATER), &[LATER, EARLIER]), "poll", "{phase}");
            assert_eq!(at(2, Some(LATER), &[LATER, "PENDING"]), "poll", "{phase}");
        }
    }
}

#[test]
fn without_live_jobs_the_phase_or_a_next_action_is_work() {
    let each = |next_action: Option<&str>, next_poll: Option<&str>| -> String {
        [
            "",
            "INIT",
            "IMPLEMENT",
            "TEST",
            "RUN",
            "CHECK",
            "DEBUG",
            "DEBATE",
            "DONE",
            "AUTORESEARCH",
            "WAIT_SLURM",
            "wait_slurm",
        ]
        .map(|phase| {
            let skim = Skim {
                has_next_action: next_action.is_some(),
                next_poll_after: next_poll.map(LooseTime::parse),
                ..facts(phase)
            };
            format!("{phase}: {}", word(&skim))
        })
        .join("\n")
    };
    insta::assert_snapshot!(each(Some("go on"), None), @r#"
    : step IDLE
    INIT: step INIT
    IMPLEMENT: step IMPLEMENT
    TEST: step TEST
    RUN: step RUN
    CHECK: step CHECK
    DEBUG: step DEBUG
    DEBATE: step DEBATE
    DONE: step DONE
    AUTORESEARCH: step AUTORESEARCH
    WAIT_SLURM: step WAIT_SLURM
    wait_slurm: step WAIT_SLURM
    "#);
    insta::assert_snapshot!(each(None, Some(LATER)), @r#"
    : idle
    INIT: idle
    IMPLEMENT: idle
    TEST: step TEST
    RUN: idle
    CHECK: step CHECK
    DEBUG: idle
    DEBATE: idle
    DONE: idle
    AUTORESEARCH: idle
    WAIT_SLURM: waiting
    wait_slurm: waiting
    "#);
}

#[test]
fn a_person_who_is_asked_comes_before_anything_else() {
    for live_runs in [0, 3] {
        let skim = Skim {
            needs_user_input: true,
            live_runs,
            ..facts("TEST")
        };
        assert_eq!(word(&skim), "needsperson");
    }
}

#[test]
fn a_time_without_a_zone_is_local_and_the_zone_is_asked_for_only_then() {
    let workspace = Workspace::new();
    let zone = TimeZone::fixed(jiff::tz::offset(-4));
    let exit = |poll: &str, zone: &dyn Fn() -> TimeZone| {
        workspace.project(
            "toy",
            &format!(r#"{{"phase": "WAIT_SLURM", "slurm_wait": {{"next_poll_after": {poll}}}}}"#),
        );
        run(workspace.folder.path(), b"{}", &workspace.env, zone).exit
    };
    let never: &dyn Fn() -> TimeZone = &|| panic!("asked for the zone");
    assert_eq!(exit(&format!("{LATER:?}"), never), 0);
    assert_eq!(
        exit("1795176000", never),
        2,
        "an integer is no time, so a poll is due"
    );
    assert_eq!(exit("\"2026-11-20T08:15:00\"", &|| zone.clone()), 0);
    assert_eq!(exit("\"2026-11-20T07:45:00\"", &|| zone.clone()), 2);
}

#[test]
fn a_block_is_four_lines_and_is_counted_first() {
    let workspace = Workspace::new();
    workspace.project("toy", WORK);
    let outcome = workspace.run(r#"{"session_id": "s-1", "stop_hook_active": true}"#);
    assert_eq!(outcome.exit, 2);
    insta::assert_snapshot!(outcome.stderr, @r#"
    Ralph loop: 1 project has actionable work: toy (IMPLEMENT).
    Next step: `/dispatch`, which takes up to 3 of them one step further.
    To pause the loop: `/ralph-off`, or delete .claude/ralph/enabled.
    (loop iteration 1/25; stop_hook_active=True)
    "#);
    insta::assert_snapshot!(workspace.counter(), @r#"
    {
      "session_id": "s-1",
      "iterations_blocked": 1,
      "last_blocked_at": "2026-11-20T12:00:00Z"
    }
    "#);
    assert!(workspace.counter().ends_with("}\n"));
}

#[test]
fn projects_are_named_up_to_the_batch_size_and_unread_ones_never_hide_others() {
    let workspace = Workspace::new();
    workspace.put(
        ".claude/ralph/config.json",
        r#"{"batch_size": 2, "other": 1}"#,
    );
    for slug in ["delta", "alpha", "gamma"] {
        workspace.project(slug, WORK);
    }
    workspace.project("beta", "{\"phase\": \"RUN\",\n \"active_runs\": [{},]}");
    workspace.project("busy", &format!(r#"{{"phase": "RUN", "active_runs": [{{"job_id": "1"}}], "slurm_wait": {{"next_poll_after": "{LATER}"}}}}"#));
    let outcome = workspace.run("");
    assert_eq!(outcome.exit, 2);
    insta::assert_snapshot!(outcome.stderr, @r#"
    Ralph loop: 3 projects have actionable work: alpha (IMPLEMENT), delta (IMPLEMENT) and 1 more.
    Next step: `/dispatch`, which takes up to 2 of them one step further.
    To pause the loop: `/ralph-off`, or delete .claude/ralph/enabled.
    (loop iteration 1/25; stop_hook_active=False)
    Not read, so not counted: beta (2:20: expected another value after the comma, found a closing bracket). Run `ralph validate`.
    "#);

    for slug in ["delta", "alpha", "gamma"] {
        fs::remove_dir_all(workspace.path(&format!("projects/{slug}"))).unwrap();
    }
    let outcome = workspace.run("");
    assert_eq!(outcome.exit, 0);
    assert!(
        outcome
            .stderr
            .starts_with("Not read, so not counted: beta ("),
        "{}",
        outcome.stderr
    );
    assert_eq!(outcome.stderr.lines().count(), 1);
}

#[test]
fn switched_off_or_without_projects_the_agent_may_stop_and_nothing_is_written() {
    let workspace = Workspace::new();
    assert_eq!(workspace.exit("{}"), 0, "no projects folder");
    workspace.put("projects/PROJECTS.md", "# Projects\n");
    workspace.put("projects/notes/README.md", "no project\n");
    workspace.project(".hidden", WORK);
    assert_eq!(workspace.exit("{}"), 0, "no project");
    workspace.project("toy", WORK);
    fs::remove_file(workspace.path(".claude/ralph/enabled")).unwrap();
    assert_eq!(
        workspace.run("{}"),
        HookOutcome {
            exit: 0,
            stderr: String::new()
        }
    );
    assert!(!workspace.path(".claude/ralph/loop-state.json").exists());
}

#[test]
fn a_session_is_blocked_so_often_and_a_new_one_starts_over() {
    let workspace = Workspace::new();
    workspace.put(".claude/ralph/config.json", r#"{"max_iterations": 3}"#);
    workspace.project("toy", WORK);
    let stops = |session: &str| -> Vec<u8> {
        let input = format!(r#"{{"session_id": "{session}"}}"#);
        (0..5).map(|_| workspace.exit(&input)).collect()
    };
    assert_eq!(stops("one"), [2, 2, 2, 0, 0]);
    assert_eq!(stops("two"), [2, 2, 2, 0, 0]);
    assert!(workspace.counter().contains("\"iterations_blocked\": 3"));
}

#[test]
fn blocks_keep_their_distance_and_a_clock_set_back_does_not_end_the_loop() {
    let workspace = Workspace::new();
    workspace.put(
        ".claude/ralph/config.json",
        r#"{"min_seconds_between_blocks": 60}"#,
    );
    workspace.project("toy", WORK);
    let input = r#"{"session_id": "one"}"#;
    assert_eq!(workspace.exit(input), 2);
    assert_eq!(
        workspace.exit(r#"{"session_id": "two"}"#),
        2,
        "another session's block is not ours"
    );
    workspace.clock.advance(std::time::Duration::from_secs(59));
    assert_eq!(workspace.exit(r#"{"session_id": "two"}"#), 0);
    workspace.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(workspace.exit(r#"{"session_id": "two"}"#), 2);
    workspace.put(
        ".claude/ralph/loop-state.json",
        r#"{"session_id": "one", "iterations_blocked": 1, "last_blocked_at": "2031-01-01T00:00:00Z"}"#,
    );
    assert_eq!(workspace.exit(input), 2);
}

#[test]
fn whatever_the_small_files_hold_the_exit_is_zero_or_two() {
    let garbage = [
        "",
        "[]",
        "null",
        "7",
        "\"x\"",
        "{",
        "{\"session_id\": [1]}",
        "\u{feff}{}",
        "\0",
    ];
    for input in garbage {
        for (file, text) in [("config.json", input), ("loop-state.json", input)] {
            let workspace = Workspace::new();
            workspace.put(&format!(".claude/ralph/{file}"), text);
            workspace.project("toy", WORK);
            assert_eq!(workspace.exit(input), 2, "{file} {input:?}");
            assert!(
                workspace.counter().contains("\"iterations_blocked\": 1"),
                "{input:?}"
            );
        }
    }
    let parsed = |text: &str| HookConfig::parse(text.as_bytes()).max_iterations;
    for (text, expected) in [
        (r#"{"max_iterations": "30"}"#, 30),
        (r#"{"max_iterations": 2.9}"#, 2),
        (r#"{"max_iterations": -1}"#, 0),
        (r#"{"max_iterations": 1e300}"#, u64::MAX),
        (r#"{"max_iterations": "many"}"#, 25),
        (r#"{"max_iterations": null}"#, 25),
    ] {
        assert_eq!(parsed(text), expected, "{text}");
    }
    assert_eq!(
        LoopState::parse(b"{\"session_id\": \"s\", \"iterations_blocked\": {}}"),
        None
    );
}

#[test]
fn a_counter_that_cannot_be_written_lets_the_agent_stop() {
    let counter = ".claude/ralph/loop-state.json";
    let in_the_way: [&dyn Fn(&Workspace); 2] = [
        &|workspace| workspace.put(&format!("{counter}/folder"), ""),
        &|workspace| make_pipe(&workspace.path(counter)),
    ];
    for put in in_the_way {
        let workspace = Workspace::new();
        workspace.project("toy", WORK);
        put(&workspace);
        let outcome = workspace.run("{}");
        assert_eq!(outcome.exit, 0);
        assert!(outcome.stderr.contains(counter), "{}", outcome.stderr);
    }
}

/// A pipe that nobody writes to: opening it the usual way waits for ever.
fn make_pipe(path: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0).unwrap();
}

#[test]
fn files_that_are_none_are_named_and_never_waited_for() {
    let workspace = Workspace::new();
    workspace.project("alpha", WORK);
    workspace.put("projects/folder/.state/pipeline.json/x", "");
    workspace.put("projects/flat/.state", "a file where a folder should be");
    make_pipe(&workspace.path("projects/pipe/.state/pipeline.json"));
    make_pipe(&workspace.path(".claude/ralph/config.json"));
    let round = workspace.path("projects/round");
    std::os::unix::fs::symlink(&round, &round).unwrap();
    std::os::unix::fs::symlink("/dev/null", workspace.path("projects/null")).unwrap();
    std::os::unix::fs::symlink(
        workspace.path("projects/alpha"),
        workspace.path("projects/linked"),
    )
    .unwrap();
    let outcome = workspace.run("{}");
    assert_eq!(outcome.exit, 2);
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    assert_eq!(
        lines[0],
        "Ralph loop: 2 projects have actionable work: alpha (IMPLEMENT), linked (IMPLEMENT)."
    );
    for name in ["folder (", "pipe (", "round ("] {
        assert!(lines[4].contains(name), "{}", lines[4]);
    }
    assert!(
        !lines[4].contains("flat") && !lines[4].contains("null"),
        "{}",
        lines[4]
    );
}

#[test]
fn a_panic_while_reading_stays_with_its_project() {
    let workspace = Workspace::new();
    for number in 0..40 {
        workspace.project(
            &format!("p{number:02}"),
            if number == 7 { "boom" } else { "fine" },
        );
    }
    let skim = |bytes: &[u8]| -> Result<Skim, String> {
        assert!(bytes == b"fine", "a bug");
        Ok(facts("TEST"))
    };
    let found = scan(workspace.folder.path(), skim);
    let bad: Vec<&str> = found
        .iter()
        .filter(|project| project.seen.is_err())
        .map(|project| project.slug.as_str())
        .collect();
    assert_eq!((found.len(), bad), (40, vec!["p07"]));
    assert!(found.is_sorted_by_key(|project| project.slug.clone()));
}

#[test]
fn a_shorter_file_after_a_longer_one_is_read_alone() {
    let workspace = Workspace::new();
    workspace.project("a", &" ".repeat(10_000));
    workspace.project("b", "short");
    workspace.project("c", "");
    let skim = |bytes: &[u8]| -> Result<Skim, String> { Err(bytes.len().to_string()) };
    let lengths: Vec<String> = scan(workspace.folder.path(), skim)
        .into_iter()
        .filter_map(|project| project.seen.err())
        .collect();
    assert_eq!(lengths, ["10000", "5", "0"]);
}

#[test]
fn names_and_phases_from_files_stay_on_their_line() {
    let projects = [ProjectGlance {
        slug: "toy\n(loop iteration 99/1)".to_owned(),
        seen: Ok(facts(&format!("PHASE\u{1b}[31m\n{}", "x".repeat(300)))),
    }];
    let config = HookConfig::default();
    let (state, input) = (LoopState::fresh("s"), HookInput::default());
    let HookDecision::Block { message_lines, .. } =
        decide(&projects, &config, &state, &input, now(), &TimeZone::UTC)
    else {
        panic!("work is due")
    };
    assert_eq!(message_lines.len(), 4);
    assert!(
        message_lines
            .iter()
            .all(|line| !line.contains(char::is_control) && line.len() < 250)
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test finds its data by the environment"
)]
fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("RALPH_CORPUS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus"),
        PathBuf::from,
    );
    folder.is_dir().then_some(folder)
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn real_states_are_judged_or_named_and_never_more() {
    let Some(corpus) = corpus() else {
        eprintln!("SKIPPED: no corpus of real state files");
        return;
    };
    let workspace = Workspace::new();
    let mut broken = 0;
    for entry in fs::read_dir(corpus.join("pipeline")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        broken += usize::from(serde_json::from_str::<serde_json::Value>(&text).is_err());
        workspace.project(path.file_stem().unwrap().to_str().unwrap(), &text);
    }
    let projects = scan(workspace.folder.path(), skim);
    let judged = |wanted: fn(&Standing) -> bool| {
        projects
            .iter()
            .filter_map(|project| project.seen.as_ref().ok())
            .filter(|glance| wanted(&standing(glance, now(), &TimeZone::UTC)))
            .count()
    };
    let unread = projects
        .iter()
        .filter(|project| project.seen.is_err())
        .count();
    let actionable = judged(|standing| matches!(standing, Standing::Actionable(_)));
    let asking = judged(|standing| *standing == Standing::NeedsPerson);
    eprintln!(
        "{} states: {unread} unread, {actionable} actionable, {asking} ask a person",
        projects.len()
    );
    assert!(unread >= broken && broken > 0);
    assert!(actionable > 0 && asking > 0);
    assert_eq!(workspace.exit("{}"), 2);

    // Once every job was polled, nothing with a live job keeps the agent going, whatever its prose says.
    for project in &projects {
        if let Ok(glance) = &project.seen
            && glance.live_runs > 0
        {
            let polled = Skim {
                next_poll_after: Some(LooseTime::parse(LATER)),
                run_polls: Vec::new(),
                ..glance.clone()
            };
            assert!(!matches!(
                standing(&polled, now(), &TimeZone::UTC),
                Standing::Actionable(_)
            ));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_anywhere_end_in_one_of_the_two_exits(
        state in prop::collection::vec(any::<u8>(), 0..80),
        config in prop::collection::vec(any::<u8>(), 0..40),
        counter in prop::collection::vec(any::<u8>(), 0..40),
        stdin in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let workspace = Workspace::new();
        workspace.project("toy", WORK);
        workspace.project("odd", "");
        for (path, bytes) in [
            ("projects/odd/.state/pipeline.json", &state),
            (".claude/ralph/config.json", &config),
            (".claude/ralph/loop-state.json", &counter),
            (".claude/ralph/hook-index", &counter),
        ] {
            File::create(workspace.path(path)).unwrap().write_all(bytes).unwrap();
        }
        let outcome = run(workspace.folder.path(), &stdin, &workspace.env, || TimeZone::UTC);
        prop_assert_eq!(outcome.exit, 2);
        prop_assert!(outcome.stderr.starts_with("Ralph loop: "));
    }
}
