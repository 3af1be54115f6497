//! Attached programs with real processes: nothing that an agent starts outlives it, its guard or its owner.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod until;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use ralph_core::error::{Code, Coded as _};
use ralph_core::process::Identity;
use ralph_core::process::guard::{
    Guard, GuardEnd, GuardError, GuardProgram, GuardRequest, Guarded, Inherit, Leftovers, sweep,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;

use crate::until::until;

const LONG: Duration = Duration::from_secs(30);

fn program() -> GuardProgram {
    GuardProgram {
        program: PathBuf::from(env!("CARGO_BIN_EXE_detached")),
        args: vec!["guard".to_owned()],
    }
}

struct Case {
    folder: TempDir,
    request: GuardRequest,
}

impl Case {
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let request = GuardRequest {
            program: "bash".into(),
            args: vec!["-c".to_owned(), script.to_owned()],
            workdir: folder.path().to_owned(),
            inherit: Inherit::All,
            variables: BTreeMap::new(),
            stdin: Vec::new(),
            grace: Duration::from_millis(50),
        };
        Self { folder, request }
    }

    async fn run(&self) -> Guarded {
        Guard::start(&program())
            .unwrap()
            .run(&self.request)
            .await
            .unwrap()
    }

    /// Runs to the end; standard output, standard error, the end.
    async fn finish(&self) -> (String, String, GuardEnd) {
        finish(self.run().await).await
    }

    fn pid(&self, name: &str) -> u32 {
        until(name, || {
            let text = fs::read_to_string(self.folder.path().join(name)).ok()?;
            text.strip_suffix('\n')?.parse().ok()
        })
    }
}

async fn finish(mut guarded: Guarded) -> (String, String, GuardEnd) {
    let (mut out, mut err) = (String::new(), String::new());
    let mut stdout = guarded.stdout.take().unwrap();
    let mut stderr = guarded.stderr.take().unwrap();
    let (first, second, end) = tokio::join!(
        stdout.read_to_string(&mut out),
        stderr.read_to_string(&mut err),
        guarded.wait()
    );
    first.unwrap();
    second.unwrap();
    (out, err, end.unwrap())
}

fn is_alive(pid: u32) -> bool {
    Identity::of(pid).is_some_and(|process| process.is_alive())
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

/// The session as `/proc` has it. It is 0, which `getsid` of the library takes for impossible, while it is one that
/// began outside of this PID namespace: in a container, say.
fn session(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(3)?.parse().ok()
}

/// Starts processes that ignore TERM: one stays, one leaves the group, one leaves the session, one is orphaned first.
const STUBBORN: &str =
    "hold() { trap '' TERM HUP; echo $BASHPID > $1; while :; do sleep 0.05; done; }
    export -f hold
    hold stays &
    set -m; hold left & set +m
    setsid bash -c 'hold session' &
    (setsid bash -c 'hold orphan' &)
    for name in stays left session orphan; do until [ -s $name ]; do sleep 0.01; done; done;";
const NAMES: [&str; 4] = ["stays", "left", "session", "orphan"];

#[tokio::test]
async fn a_guard_that_was_killed_while_it_waited_is_replaced() {
    let case = Case::new("echo started");
    // Some are killed before they have said that they wait, some after.
    for _ in 0..10 {
        let waiting = Guard::start(&program()).unwrap();
        let pid = waiting.identity().unwrap().pid;
        until("a session of its own", || {
            (session(pid) == Some(pid)).then_some(())
        });
        signal(pid, Signal::KILL);
        until("its end", || (!is_alive(pid)).then_some(()));
        let guarded = waiting.run(&case.request).await.unwrap();
        assert_ne!(guarded.guard_identity().unwrap().pid, pid);
        let (out, _, end) = finish(guarded).await;
        assert_eq!((out.as_str(), end.exit.code), ("started\n", 0));
    }
}

#[tokio::test]
async fn a_program_gets_its_input_and_its_output_and_exit_come_back() {
    let mut case = Case::new("cat; echo $GREETING >&2; pwd; exit 3");
    case.request.stdin = b"order\n".to_vec();
    case.request
        .variables
        .insert("GREETING".into(), "hello".into());
    let (out, err, end) = case.finish().await;
    let folder = case.folder.path().canonicalize().unwrap();
    assert_eq!(out, format!("order\n{}\n", folder.display()));
    assert_eq!(err, "hello\n");
    assert_eq!((end.exit.code, end.exit.signal), (3, 0));
    assert!(!end.stopped && end.left_running == 0 && end.remaining.is_empty());
}

#[tokio::test]
async fn a_large_input_that_is_not_read_and_a_large_output_are_no_trouble() {
    let mut case = Case::new("head -c 3000000 /dev/zero | tr '\\0' x");
    case.request.stdin = vec![b'i'; 5_000_000];
    let (out, _, end) = case.finish().await;
    assert_eq!((out.len(), end.exit.code), (3_000_000, 0));
    case.request.args = vec!["-c".into(), "wc -c".into()];
    assert_eq!(case.finish().await.0.trim(), "5000000");
}

#[tokio::test]
async fn without_input_there_is_an_end_of_file_and_no_terminal() {
    let case =
        Case::new("cat; (: < /dev/tty) 2>/dev/null && echo terminal; ps -o pgid=,sid= $$; echo $$");
    let guarded = case.run().await;
    let guard = guarded.guard_identity().unwrap().pid;
    let worker = guarded.identity().unwrap().pid;
    let (out, _, _) = finish(guarded).await;
    let words: Vec<u32> = out
        .split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect();
    assert_eq!(words, [worker, guard, worker]);
}

#[tokio::test]
async fn only_the_variables_that_are_wanted_are_inherited() {
    let mut case = Case::new("echo ${HOME:-none} ${LANG_:-none}");
    case.request.inherit = Inherit::Without(BTreeSet::from(["HOME".to_owned()]));
    assert_eq!(case.finish().await.0, "none none\n");
    case.request.inherit = Inherit::Only(BTreeSet::from(["PATH".to_owned()]));
    case.request.variables.insert("LANG_".into(), "x".into());
    assert_eq!(case.finish().await.0, "none x\n");
}

#[tokio::test]
async fn a_missing_program_and_a_missing_folder_are_named() {
    let mut case = Case::new("");
    case.request.program = "/nowhere/agent".into();
    let error = Guard::start(&program())
        .unwrap()
        .run(&case.request)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::NoEngine);
    assert!(error.to_string().contains("/nowhere/agent"), "{error}");
    let mut case = Case::new("");
    case.request.workdir = "/nowhere".into();
    let error = Guard::start(&program())
        .unwrap()
        .run(&case.request)
        .await
        .unwrap_err();
    assert!(matches!(error, GuardError::Program { .. }), "{error}");
}

#[tokio::test]
async fn what_a_program_leaves_running_ends_with_it() {
    let case = Case::new(&format!("{STUBBORN} echo done"));
    let (out, _, end) = case.finish().await;
    assert_eq!((out.as_str(), end.exit.code), ("done\n", 0));
    assert!(end.left_running >= 4 && !end.stopped, "{end:?}");
    assert!(end.remaining.is_empty());
    assert!(!NAMES.iter().any(|name| is_alive(case.pid(name))));
}

#[tokio::test]
async fn stop_is_polite_first_and_then_final() {
    let case = Case::new(&format!(
        "trap 'echo saved; exit 4' TERM; {STUBBORN} touch ready; while :; do sleep 0.05; done"
    ));
    let mut guarded = case.run().await;
    let pids = NAMES.map(|name| case.pid(name));
    until("ready", || {
        case.folder.path().join("ready").exists().then_some(())
    });
    guarded.stop(Duration::from_millis(300));
    let (out, _, end) = finish(guarded).await;
    assert_eq!((out.as_str(), end.exit.code), ("saved\n", 4));
    assert!(end.stopped && end.remaining.is_empty());
    assert!(!pids.iter().any(|pid| is_alive(*pid)));
}

#[tokio::test]
async fn kill_ends_a_grace() {
    let case = Case::new("trap '' TERM; echo $$ > pid; while :; do sleep 0.05; done");
    let mut guarded = case.run().await;
    case.pid("pid");
    guarded.stop(Duration::from_secs(3600));
    guarded.kill();
    let (_, _, end) = finish(guarded).await;
    assert_eq!((end.exit.signal, end.stopped), (9, true));
}

#[tokio::test]
async fn a_dropped_owner_handle_ends_everything() {
    let case = Case::new(&format!(
        "trap '' TERM; {STUBBORN} echo $$ > pid; sleep 1000"
    ));
    let guarded = case.run().await;
    let guard = guarded.guard_identity().unwrap().clone();
    let pids = NAMES.map(|name| case.pid(name));
    case.pid("pid");
    drop(guarded);
    until("the guard gone", || (!guard.is_alive()).then_some(()));
    assert!(!pids.iter().any(|pid| is_alive(*pid)));
}

#[test]
fn nothing_outlives_an_owner_that_was_killed() {
    for how in [Signal::KILL, Signal::TERM] {
        let case = Case::new("");
        let mut owner = Command::new(env!("CARGO_BIN_EXE_detached"))
            .arg("own")
            .arg(case.folder.path())
            .arg(format!(
                "{STUBBORN} trap '' TERM; echo $$ > pid; sleep 1000"
            ))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut pids = NAMES.map(|name| case.pid(name)).to_vec();
        pids.push(case.pid("pid"));
        signal(owner.id(), how);
        owner.wait().unwrap();
        until("all gone", || {
            (!pids.iter().any(|pid| is_alive(*pid))).then_some(())
        });
    }
}

#[tokio::test]
async fn a_guard_that_waits_ends_with_its_owner_and_leaves_no_zombie() {
    let guard = Guard::start(&program()).unwrap();
    let children = || {
        let me = std::process::id();
        let table = ralph_core::process::table::ProcessTable::read();
        table.descendants(me).len()
    };
    assert_eq!(children(), 1);
    drop(guard);
    // The runtime reaps what was dropped when it hears of the next death.
    let deadline = tokio::time::Instant::now() + LONG;
    while children() > 0 {
        assert!(tokio::time::Instant::now() < deadline, "a zombie stays");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_killed_guard_is_reported_and_its_leftovers_are_swept() {
    let mut case = Case::new(&format!(
        "trap '' TERM; {STUBBORN} env -i setsid bash -c 'echo $$ > bare; sleep 1000' & (env -i bash -c 'trap \"\" TERM; echo $$ > plain; while :; do sleep 0.05; done' &) ; echo $$ > pid; wait"
    ));
    let mark = format!("guard-test-{}", std::process::id());
    case.request
        .variables
        .insert("RALPH_ATTEMPT_ID".into(), mark.clone());
    let mut guarded = case.run().await;
    let mut pids: Vec<u32> = NAMES.iter().map(|name| case.pid(name)).collect();
    pids.extend(["pid", "plain"].map(|name| case.pid(name)));
    let guard = guarded.guard_identity().unwrap().clone();
    signal(guard.pid, Signal::KILL);
    let error = guarded.wait().await.unwrap_err();
    assert!(matches!(error, GuardError::Lost { .. }), "{error}");
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    let leftovers = Leftovers {
        variable: "RALPH_ATTEMPT_ID",
        values: &BTreeSet::from([mark]),
        guards: &[guard],
    };
    assert_eq!(
        sweep(&leftovers, Duration::from_millis(50)),
        Vec::<u32>::new()
    );
    assert!(!pids.iter().any(|pid| is_alive(*pid)));
    assert_eq!(sweep(&leftovers, LONG), Vec::<u32>::new(), "a second time");
}

#[tokio::test]
async fn a_sweep_spares_strangers() {
    let mut stranger = Command::new("sleep")
        .arg("1000")
        .env("RALPH_ATTEMPT_ID", "of somebody else")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let leftovers = Leftovers {
        variable: "RALPH_ATTEMPT_ID",
        values: &BTreeSet::from(["of somebody".to_owned()]),
        guards: &[],
    };
    assert_eq!(sweep(&leftovers, LONG), Vec::<u32>::new());
    assert!(is_alive(stranger.id()));
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test]
async fn dead_orphans_of_a_running_program_are_reaped() {
    let case = Case::new(
        "for i in 1 2 3 4 5; do (sleep 0.01 & echo $! >> orphans); done; echo end >> orphans; cat < fifo",
    );
    let fifo = case.folder.path().join("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let mut guarded = case.run().await;
    let guard = guarded.guard_identity().unwrap().pid;
    let orphans: Vec<u32> = until("orphans", || {
        let text = fs::read_to_string(case.folder.path().join("orphans")).ok()?;
        let text = text.strip_suffix("end\n")?;
        Some(text.lines().map(|line| line.parse().unwrap()).collect())
    });
    until("all reaped", || {
        orphans
            .iter()
            .all(|pid| {
                ralph_core::process::table::Entry::read(*pid)
                    .is_none_or(|entry| entry.parent != guard)
            })
            .then_some(())
    });
    guarded.kill();
    finish(guarded).await;
}
