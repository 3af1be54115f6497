//! Agents as real processes, under a real guard.

use std::path::PathBuf;
use std::sync::Arc;

use ralph_core::env::{Env, RandomIds};
use ralph_core::process::guard::{Guard, GuardProgram};
use ralph_core::time::SystemClock;
use ralph_docs::fix_plan::RowKey;
use tempfile::TempDir;

use super::*;
use crate::engine::{EngineName, EngineSettings, StatusWord, engine};
use crate::task::{Task, TaskKey};

/// The programs of the tests are examples, which cargo puts beside the tests.
fn example(name: &str) -> PathBuf {
    let mut program = std::env::current_exe().expect("a test has a path");
    program.pop();
    program.set_file_name("examples");
    program.push(name);
    program
}

fn guard_program() -> GuardProgram {
    GuardProgram {
        program: example("loop_guard"),
        args: Vec::new(),
    }
}

struct Case {
    folder: TempDir,
    settings: EngineSettings,
    limits: Limits,
    stop: watch::Sender<bool>,
    events: Vec<AgentEvent>,
}

impl Case {
    /// An agent of the `command` engine.
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("work")).expect("a folder");
        let mut settings = EngineSettings::new(EngineName::Command);
        settings.command = ["bash", "-c", script].map(str::to_owned).into();
        Self {
            folder,
            settings,
            limits: Limits {
                wall: Some(Duration::from_secs(60)),
                silence: None,
                after_result: Duration::from_secs(60),
                grace: Duration::from_millis(100),
            },
            stop: watch::channel(false).0,
            events: Vec::new(),
        }
    }

    fn order(&self) -> AgentOrder {
        let row = RowKey {
            section: String::new(),
            text: "do it".to_owned(),
            occurrence: 0,
        };
        AgentOrder {
            attempt: format!("test-{}-{}", std::process::id(), self.name())
                .parse()
                .expect("an id"),
            task: Task {
                key: TaskKey::of(None, &row),
                id: "do-it".to_owned(),
                row,
                repository: None,
                line: 1,
            },
            prompt: "Do it.".to_owned(),
            prompt_file: self.folder.path().join("prompt.md"),
            worktree: self.folder.path().join("work"),
            branch: "b".to_owned(),
            project: "p".to_owned(),
        }
    }

    /// Distinct for every case of a process.
    fn name(&self) -> String {
        let name = self.folder.path().file_name().expect("a name");
        name.to_string_lossy()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("logs/a.log")
    }

    fn log_text(&self) -> String {
        std::fs::read_to_string(self.log()).expect("a log")
    }

    async fn try_run(&mut self) -> Result<AgentEnd, AgentError> {
        let engine = engine(&self.settings).expect("an engine");
        let order = self.order();
        let env = Env {
            clock: Arc::new(SystemClock::new()),
            ids: Arc::new(RandomIds::default()),
            host: "host".to_owned(),
            user: "user".to_owned(),
            pid: std::process::id(),
        };
        let log = self.log();
        let events = &mut self.events;
        let guard = Guard::start(&guard_program()).expect("a guard");
        run(
            guard,
            AgentRun {
                engine: engine.as_ref(),
                order: &order,
                limits: self.limits,
                env: &env,
                zone: &TimeZone::UTC,
                redactor: &Redactor::new([("MY_TOKEN", "hunter2hunter2")]),
                log: &log,
                stop: self.stop.subscribe(),
                tell: &mut |event| events.push(event),
            },
        )
        .await
    }

    async fn run(&mut self) -> AgentEnd {
        self.try_run().await.expect("an end")
    }
}

#[tokio::test]
async fn an_agent_gets_its_order_and_its_words_come_back() {
    let mut case = Case::new(
        "cat; echo; echo $RALPH_TASK_ID/$RALPH_KIND/$RALPH_BRANCH/$RALPH_PROJECT; pwd
         echo '{\"ralph\":\"outcome\",\"outcome\":\"done\",\"summary\":\"did it\",\"cost_usd\":0.5,\"tokens\":{\"input\":10,\"output\":2}}'",
    );
    let end = case.run().await;
    assert_eq!((end.verdict, end.ending), (Verdict::Finished, Ending::Own));
    assert_eq!(end.summary.as_deref(), Some("did it"));
    assert_eq!(
        (
            end.usage.cost_usd,
            end.usage.input_tokens,
            end.usage.output_tokens
        ),
        (Some(0.5), 10, 2)
    );
    let log = case.log_text();
    assert!(log.contains("\"instructions\":\"Do it.\""), "{log}");
    assert!(log.contains("\ndo-it/task/b/p\n"), "{log}");
    assert!(log.ends_with("ralph: exit 0\n"), "{log}");
    assert!(matches!(
        case.events.first(),
        Some(AgentEvent::Started {
            guard: Some(_),
            program: Some(_)
        })
    ));
}

#[tokio::test]
async fn secrets_reach_neither_the_log_nor_the_end() {
    let token = format!("ghp_{}", "a1".repeat(20));
    // On standard output it comes in pieces.
    let mut case = Case::new(&format!(
        "printf ghp_; for i in 1 2 3 4 5; do printf a1a1a1a1; sleep 0.02; done; echo
         echo it is hunter2hunter2 >&2
         echo '{{\"ralph\":\"outcome\",\"outcome\":\"blocked\",\"reason\":\"I have {token}\"}}'"
    ));
    let end = case.run().await;
    assert_eq!(
        end.verdict,
        Verdict::Blocked {
            reason: "I have ghp_[masked]".to_owned()
        }
    );
    // The command line that is noted first holds the token too.
    let log = case.log_text();
    assert!(
        !log.contains("a1a1a1a1a1a1") && !log.contains("hunter2hunter2\n"),
        "{log}"
    );
    assert!(
        log.contains("\nghp_[masked]\n") && log.contains("stderr: it is [masked]\n"),
        "{log}"
    );
}

#[tokio::test]
async fn a_failure_tells_its_exit_code_and_last_words() {
    let mut case = Case::new("echo working; echo first >&2; echo 'boom at last' >&2; exit 7");
    let end = case.run().await;
    assert_eq!(
        end.verdict,
        Verdict::Crashed {
            message: "exit 7: boom at last".to_owned()
        }
    );
    let mut case = Case::new("echo dying; kill -SEGV $$");
    let end = case.run().await;
    assert_eq!(
        end.verdict,
        Verdict::Crashed {
            message: "signal 11: dying".to_owned()
        }
    );
    assert_eq!(end.ending, Ending::Own);
}

#[tokio::test]
async fn an_agent_that_takes_too_long_is_ended_with_all_it_started() {
    let mut case = Case::new(
        "trap '' TERM; (trap '' TERM; setsid bash -c 'echo $$ > child; while :; do echo x; sleep 0.02; done' &)
         while :; do echo alive; sleep 0.02; done",
    );
    case.limits.wall = Some(Duration::from_millis(400));
    let end = case.run().await;
    assert_eq!(end.ending, Ending::Hung(Hang::Wall));
    assert!(end.remaining.is_empty() && end.output_bytes > 0);
    let child = std::fs::read_to_string(case.folder.path().join("work/child")).expect("a child");
    let child: u32 = child.trim().parse().expect("a pid");
    assert!(!ralph_core::process::identity::is_pid_alive(child));
}

#[tokio::test]
async fn silence_ends_an_agent_and_work_without_words_does_not() {
    let mut case = Case::new("read -r order; echo hello; exec sleep 1000");
    case.limits.silence = Some(Duration::from_millis(600));
    assert_eq!(case.run().await.ending, Ending::Hung(Hang::Idle));

    let mut case = Case::new(
        "timeout 1.5 bash -c 'while :; do :; done' ; echo '{\"ralph\":\"outcome\",\"outcome\":\"done\"}'",
    );
    case.limits.silence = Some(Duration::from_millis(600));
    let end = case.run().await;
    assert_eq!((end.ending, end.verdict), (Ending::Own, Verdict::Finished));
}

#[tokio::test]
async fn an_agent_that_stays_after_its_result_is_ended_and_has_finished() {
    let mut case = Case::new(
        "trap '' TERM; echo '{\"ralph\":\"outcome\",\"outcome\":\"done\",\"summary\":\"all done\"}'; exec sleep 1000",
    );
    case.limits.after_result = Duration::from_millis(100);
    let end = case.run().await;
    assert_eq!(end.ending, Ending::Hung(Hang::AfterResult));
    assert_eq!(
        (end.verdict, end.summary.as_deref()),
        (Verdict::Finished, Some("all done"))
    );
}

#[tokio::test]
async fn a_stop_ends_an_agent_politely() {
    let mut case =
        Case::new("trap 'echo saved; exit 0' TERM; echo ready; while :; do sleep 0.02; done");
    case.limits.grace = Duration::from_secs(20);
    let stop = case.stop.clone();
    let work = case.folder.path().join("logs/a.log");
    let stopper = tokio::spawn(async move {
        while !std::fs::read_to_string(&work).is_ok_and(|log| log.contains("\nready\n")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.send_replace(true);
    });
    let end = case.run().await;
    stopper.await.expect("it was told to stop");
    assert_eq!(end.ending, Ending::Stopped);
    let log = case.log_text();
    // A shell may say on standard error that what it waited for was ended too.
    assert!(log.contains("\nsaved\n"), "{log}");
    assert!(
        log.ends_with("\nralph: exit 0, ended by ralph: told to stop\n"),
        "{log}"
    );
}

#[tokio::test]
async fn much_output_is_read_and_the_log_stays_bounded() {
    let mut case = Case::new(
        "head -c 15000000 /dev/zero | tr '\\0' x | fold -w 1000; head -c 3000000 /dev/zero | tr '\\0' y; echo
         printf -- '---RALPH_STATUS---\\nSTATUS: COMPLETE\\n---END_RALPH_STATUS---\\n'; echo the end",
    );
    let end = case.run().await;
    assert_eq!(end.verdict, Verdict::Finished);
    assert!(end.output_bytes > 18_000_000);
    assert_eq!(
        end.status.and_then(|block| block.status),
        Some(StatusWord::Complete)
    );
    let sizes: u64 = std::fs::read_dir(case.folder.path().join("logs"))
        .expect("logs")
        .map(|entry| {
            entry
                .and_then(|entry| entry.metadata())
                .expect("a file")
                .len()
        })
        .sum();
    assert!(sizes <= 3 * crate::log::SEGMENT_BYTES, "{sizes}");
    assert!(case.log_text().ends_with("\nthe end\nralph: exit 0\n"));
}

#[tokio::test]
async fn a_missing_program_is_an_error_with_its_own_code() {
    let mut case = Case::new("");
    case.settings.command = vec!["/nowhere/agent".to_owned()];
    let error = case.try_run().await.expect_err("no such program");
    assert_eq!(error.code(), Code::NoEngine);
}

#[tokio::test]
async fn a_killed_guard_leaves_nothing_and_it_is_told() {
    let mut case =
        Case::new("trap '' TERM; echo $$ > pid; kill -KILL $PPID; while :; do sleep 0.02; done");
    let end = case.run().await;
    assert_eq!((end.ending, end.exit.signal), (Ending::Unguarded, 9));
    assert!(
        case.log_text()
            .contains("ended with its guard, by somebody else")
    );
    assert!(end.remaining.is_empty());
    let pid = std::fs::read_to_string(case.folder.path().join("work/pid")).expect("a pid");
    let pid: u32 = pid.trim().parse().expect("a pid");
    assert!(!ralph_core::process::identity::is_pid_alive(pid));
}

#[tokio::test]
async fn a_log_that_cannot_be_written_stops_nothing() {
    let mut case = Case::new("echo hello");
    std::fs::File::create_new(case.folder.path().join("logs")).expect("written");
    let end = case.run().await;
    assert_eq!(end.verdict, Verdict::Finished);
    assert!(
        end.log_trouble
            .is_some_and(|trouble| trouble.contains("logs"))
    );
}

/// Runs a replay of a documented stream as the agent.
async fn replay(
    name: EngineName,
    stream: &str,
    seed: u64,
    code: i32,
) -> (AgentEnd, Vec<AgentEvent>) {
    let mut case = Case::new("");
    let stream = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("src/engine/streams")
        .join(stream);
    let words = [example("replay"), stream].map(|path| path.display().to_string());
    case.settings = EngineSettings::new(name);
    case.settings.command = words
        .into_iter()
        .chain([seed.to_string(), code.to_string()])
        .collect();
    let end = case.run().await;
    (end, case.events)
}

#[tokio::test]
async fn replayed_agents_are_understood_however_their_streams_are_cut() {
    for seed in 1..6 {
        let (end, events) = replay(EngineName::Claude, "claude_done.jsonl", seed, 0).await;
        assert_eq!((end.verdict, end.usage.turns), (Verdict::Finished, 7));
        assert_eq!(end.summary.as_deref(), Some("Added the parser."));
        assert_eq!(
            end.status.and_then(|block| block.status),
            Some(StatusWord::Complete)
        );
        let warned =
            |event: &AgentEvent| matches!(event, AgentEvent::Progress(Progress::RateLimit(_)));
        assert!(events.iter().any(warned));
        let (end, _) = replay(EngineName::Claude, "claude_limit.jsonl", seed, 1).await;
        assert!(matches!(
            end.verdict,
            Verdict::UsageLimit {
                resets_at: Some(_),
                ..
            }
        ));
        let (end, _) = replay(EngineName::Codex, "codex_done.jsonl", seed, 0).await;
        assert_eq!(
            (end.verdict, end.usage.output_tokens),
            (Verdict::Finished, 122)
        );
        assert_eq!(
            end.session_id.as_deref(),
            Some("0199a213-81c0-7800-8aa1-bbab2a035a53")
        );
        let (end, _) = replay(EngineName::Codex, "codex_limit.jsonl", seed, 1).await;
        assert!(matches!(end.verdict, Verdict::UsageLimit { .. }));
    }
}
