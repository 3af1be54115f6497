//! Detached processes with real processes: every verdict, every way to end, every trap that was met.
//!
//! Nothing sleeps for time to pass: each test waits for a state, with a deadline that only a broken build reaches.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod until;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use ralph_core::process::{
    Ask, Ending, ExitRecord, Facts, Identity, Record, SpawnError, SpawnRequest, Spawned,
    Supervisor, Verdict, ask_to_stop, end_orphans, launch, spawn, verdict,
};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

use crate::until::until;

fn supervisor() -> Supervisor {
    Supervisor {
        program: PathBuf::from(env!("CARGO_BIN_EXE_detached")),
        args: vec!["supervise".to_owned()],
    }
}

fn raw(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

fn signal(pid: u32, signal: Signal) {
    kill_process(raw(pid), signal).unwrap();
}

/// A record directory and its request.
struct Case {
    folder: TempDir,
    request: SpawnRequest,
}

impl Case {
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let request = SpawnRequest {
            name: "case".to_owned(),
            program: "/bin/bash".into(),
            args: vec!["-c".to_owned(), script.to_owned()],
            workdir: folder.path().to_owned(),
            variables: BTreeMap::from([("GREETING".to_owned(), "hello".to_owned())]),
            stdout: path("out"),
            stderr: path("err"),
            time_limit: None,
            grace: Duration::from_secs(10),
            ask: Ask::Everything,
            pid_file: Some(path("case.pid")),
            event_log: Some(path("events.log")),
        };
        Self { folder, request }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn spawn(&self) -> Result<Spawned, SpawnError> {
        spawn(self.path(), &self.request, &supervisor())
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap_or_default()
    }

    fn record(&self) -> Record {
        serde_json::from_str(&self.read("record.json")).unwrap()
    }

    fn verdict(&self) -> Verdict {
        verdict(&Facts::read(self.path()).unwrap())
    }

    fn exit(&self) -> ExitRecord {
        until("an exit record", || Facts::read(self.path()).unwrap().exit)
    }

    /// A pid that the script wrote into a file.
    fn pid(&self, name: &str) -> u32 {
        until(name, || self.read(name).trim_end_matches('\n').parse().ok())
    }
}

impl Drop for Case {
    /// Whatever a failed test left running must not outlive it.
    fn drop(&mut self) {
        if let Ok(record) = serde_json::from_str::<Record>(&self.read("record.json")) {
            if record.supervisor.is_alive() {
                signal(record.supervisor.pid, Signal::KILL);
            }
            let _ = end_orphans(&record, Duration::ZERO);
        }
    }
}

fn is_alive(pid: u32) -> bool {
    Identity::of(pid).is_some_and(|process| process.is_alive())
}

#[test]
fn a_worker_runs_and_its_end_is_recorded() {
    let case = Case::new("echo $GREETING; echo oops >&2; [ -t 0 ] || cat; exit 3");
    let mut spawned = case.spawn().unwrap();
    let exit = case.exit();
    assert_eq!(
        (exit.exit.code, exit.exit.signal, exit.ending),
        (3, 0, Ending::Own)
    );
    assert_eq!(exit.remaining, Vec::<u32>::new());
    assert_eq!(
        (case.read("out"), case.read("err")),
        ("hello\n".into(), "oops\n".into())
    );
    assert_eq!(case.verdict(), Verdict::Exited(3));
    assert_eq!(case.read("case.pid"), format!("{}\n", spawned.pid()));
    until("the supervisor reaped", || spawned.is_gone().then_some(()));
    let events: Vec<String> = case
        .read("events.log")
        .lines()
        .map(|line| line.split_once(' ').unwrap().1.to_owned())
        .collect();
    assert_eq!(
        events,
        [
            format!("case started pid {}", spawned.pid()),
            "case exited 3".to_owned()
        ]
    );
}

#[test]
fn instant_exits_are_never_lost() {
    let case = Case::new("true");
    for _ in 0..5 {
        let case = Case::new("exit 7");
        case.spawn().unwrap();
        assert_eq!(case.exit().shell_code(), 7);
    }
    case.spawn().unwrap();
    assert_eq!(case.exit().shell_code(), 0);
    assert!(case.record().worker.is_some(), "a zombie has an identity");
}

#[test]
fn a_missing_program_is_the_callers_error_and_an_exit() {
    let mut case = Case::new("");
    case.request.program = "/nowhere/program".into();
    let error = case.spawn().unwrap_err().to_string();
    assert!(error.contains("/nowhere/program"), "{error}");
    assert!(error.contains("No such file"), "{error}");
    assert_eq!(case.verdict(), Verdict::Exited(127));
    assert_eq!(case.exit().ending, Ending::NotStarted);

    let mut case = Case::new("");
    case.request.workdir = "/nowhere".into();
    assert!(matches!(case.spawn(), Err(SpawnError::Failed { .. })));
}

#[test]
fn a_worker_that_cannot_be_written_down_does_not_run() {
    let mut case = Case::new("echo $$ > worker; exec sleep 600");
    // The supervisor opens this after its record and before it starts the worker, and waits for a reader.
    let pipe = case.path().join("pipe");
    Command::new("mkfifo").arg(&pipe).status().unwrap();
    case.request.stdout.clone_from(&pipe);
    let record = case.path().join("record.json");
    let reader = std::thread::spawn({
        let record = record.clone();
        move || {
            until("a record", || record.exists().then_some(()));
            fs::remove_file(&record).unwrap();
            fs::create_dir(&record).unwrap();
            fs::read(pipe).unwrap()
        }
    });
    let error = case.spawn().unwrap_err();
    assert!(matches!(error, SpawnError::Failed { .. }), "{error:?}");
    // Whatever still ran would hold the pipe open.
    until("nobody runs", || reader.is_finished().then_some(()));
    fs::remove_dir(record).unwrap();
    assert_eq!(case.exit().ending, Ending::NotStarted);
}

#[test]
fn a_directory_is_supervised_once() {
    let case = Case::new("echo ran; sleep 60");
    case.spawn().unwrap();
    let error = launch(case.path(), &supervisor()).unwrap_err().to_string();
    assert!(error.contains("already supervised by a running"), "{error}");
    assert!(ask_to_stop(&case.record()));
    case.exit();
    until("the lock free", || {
        (!Facts::read(case.path()).unwrap().lock_held).then_some(())
    });
    let error = launch(case.path(), &supervisor()).unwrap_err().to_string();
    assert!(error.contains("used once"), "{error}");
    assert_eq!(case.read("out"), "ran\n");
}

#[test]
fn a_supervisor_that_does_not_answer_is_an_error() {
    let case = Case::new("true");
    for (program, found) in [("/bin/true", "an end without a line"), ("/bin/echo", "`")] {
        let silent = Supervisor {
            program: program.into(),
            args: Vec::new(),
        };
        let error = launch(case.path(), &silent).unwrap_err().to_string();
        assert!(error.contains(found), "{error}");
    }
    let missing = Supervisor {
        program: "/nowhere/ralph".into(),
        args: Vec::new(),
    };
    assert!(matches!(
        launch(case.path(), &missing),
        Err(SpawnError::Program { .. })
    ));
    assert_eq!(case.verdict(), Verdict::Lost);
}

#[test]
fn term_to_the_supervisor_reaches_the_whole_group() {
    let case = Case::new("sleep 1000 & echo $! > child; echo $$ > worker; wait");
    let spawned = case.spawn().unwrap();
    let (child, worker) = (case.pid("child"), case.pid("worker"));
    assert_eq!(case.verdict(), Verdict::Running);
    signal(spawned.pid(), Signal::TERM);
    let exit = case.exit();
    assert_eq!((exit.ending, exit.shell_code()), (Ending::Stopped, 143));
    assert_eq!(exit.remaining, Vec::<u32>::new());
    assert!(!is_alive(child) && !is_alive(worker));
}

#[test]
fn a_worker_may_use_its_grace() {
    let case =
        Case::new("trap 'echo saved; exit 0' TERM; touch armed; while :; do sleep 0.01; done");
    case.spawn().unwrap();
    until("armed", || case.path().join("armed").exists().then_some(()));
    assert!(ask_to_stop(&case.record()));
    let exit = case.exit();
    assert_eq!((exit.ending, exit.shell_code()), (Ending::Stopped, 0));
    assert_eq!(case.read("out"), "saved\n");
}

#[test]
fn a_program_may_use_the_grace_although_its_script_ends_at_once() {
    let case = Case::new(
        "worker=$$
         (trap 'while kill -0 $worker 2>/dev/null; do sleep 0.01; done; sleep 0.3; echo saved; exit' TERM
          touch armed; while :; do sleep 0.01; done) &
         wait",
    );
    case.spawn().unwrap();
    until("armed", || case.path().join("armed").exists().then_some(()));
    assert!(ask_to_stop(&case.record()));
    assert_eq!(case.exit().shell_code(), 143);
    assert_eq!(case.read("out"), "saved\n");
}

#[test]
fn those_who_ignore_term_are_killed_also_outside_the_group() {
    // One child stays, one leaves the group, one leaves the session, one is orphaned first.
    let mut case = Case::new(
        "trap '' TERM
         hold() { trap '' TERM; echo $BASHPID > $1; while :; do sleep 0.05; done; }
         export -f hold
         hold stays &
         set -m; hold left & set +m
         setsid bash -c 'hold session' &
         (setsid bash -c 'hold orphan' &)
         touch started; while :; do sleep 0.05; done",
    );
    case.request.grace = Duration::from_millis(50);
    case.spawn().unwrap();
    let pids = ["stays", "left", "session", "orphan"].map(|name| case.pid(name));
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    assert!(ask_to_stop(&case.record()));
    let exit = case.exit();
    assert_eq!((exit.ending, exit.shell_code()), (Ending::Stopped, 137));
    assert_eq!(exit.remaining, Vec::<u32>::new());
    assert!(!pids.iter().any(|pid| is_alive(*pid)));
}

#[test]
fn what_a_worker_leaves_behind_ends_with_it() {
    let case = Case::new(
        "(setsid bash -c 'trap \"\" TERM; echo $$ > daemon; sleep 1000' &); until [ -s daemon ]; do sleep 0.01; done",
    );
    case.spawn().unwrap();
    let daemon = case.pid("daemon");
    let exit = case.exit();
    assert_eq!((exit.ending, exit.shell_code()), (Ending::Own, 0));
    assert!(!is_alive(daemon));
}

#[test]
fn the_time_limit_ends_a_worker_and_its_stubborn_child() {
    let mut case =
        Case::new("trap '' TERM; (echo $BASHPID > child; sleep 1000) & wait; sleep 1000");
    case.request.time_limit = Some(Duration::from_millis(200));
    case.request.grace = Duration::from_millis(50);
    case.spawn().unwrap();
    let child = case.pid("child");
    let exit = case.exit();
    assert_eq!((exit.ending, exit.shell_code()), (Ending::TimeLimit, 137));
    assert!(!is_alive(child));
}

#[test]
fn a_stopped_worker_can_be_ended_politely() {
    let case =
        Case::new("trap 'echo bye; exit 0' TERM; echo $$ > worker; while :; do sleep 0.01; done");
    case.spawn().unwrap();
    let worker = case.pid("worker");
    signal(worker, Signal::STOP);
    assert!(ask_to_stop(&case.record()));
    assert_eq!(case.exit().ending, Ending::Stopped);
    assert_eq!(case.read("out"), "bye\n");
}

#[test]
fn a_killed_supervisor_leaves_an_orphan_and_then_nothing() {
    let case = Case::new("echo $$ > worker; sleep 1000");
    let spawned = case.spawn().unwrap();
    let worker = case.pid("worker");
    signal(spawned.pid(), Signal::KILL);
    until("orphaned", || {
        (case.verdict() == Verdict::Orphaned).then_some(())
    });
    assert!(is_alive(worker));
    assert!(!ask_to_stop(&case.record()), "nobody is there to be asked");
    assert_eq!(
        end_orphans(&case.record(), Duration::from_secs(5)),
        Vec::<u32>::new()
    );
    assert_eq!(case.verdict(), Verdict::Lost);
    assert!(!is_alive(worker));
}

#[test]
fn an_orphan_is_found_although_nobody_wrote_down_who_it_is() {
    let case = Case::new("trap '' TERM; echo $$ > worker; while :; do sleep 0.05; done");
    let spawned = case.spawn().unwrap();
    let worker = case.pid("worker");
    signal(spawned.pid(), Signal::KILL);
    let mut record = case.record();
    record.worker = None;
    fs::remove_file(case.path().join("record.json")).unwrap();
    fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(case.path().join("record.json"))
        .and_then(|file| serde_json::to_writer(file, &record).map_err(Into::into))
        .unwrap();
    until("orphaned", || {
        (case.verdict() == Verdict::Orphaned).then_some(())
    });
    assert_eq!(
        end_orphans(&record, Duration::from_millis(20)),
        Vec::<u32>::new()
    );
    assert!(!is_alive(worker));
    assert_eq!(case.verdict(), Verdict::Lost);
}

#[test]
fn a_restart_of_the_machine_is_a_loss_whoever_has_the_pids_now() {
    let case = Case::new("true");
    let me = Identity::of(std::process::id()).unwrap();
    let before = Identity {
        boot_id: "the boot before".to_owned(),
        ..me
    };
    let record = serde_json::json!({
        "supervisor": before, "worker": before, "started": "2026-11-20T13:00:00Z",
    });
    let file = fs::File::create(case.path().join("record.json")).unwrap();
    serde_json::to_writer(file, &record).unwrap();
    assert_eq!(case.verdict(), Verdict::Lost);
}

#[test]
fn a_supervisor_outlives_its_caller_and_its_callers_terminal() {
    // The caller is a group leader of its own, is hung up on and killed, as by a terminal that closes.
    let case = Case::new("echo $$ > worker; sleep 1000");
    let request = serde_json::to_vec(&case.request).unwrap();
    fs::File::create(case.path().join("request.json"))
        .and_then(|mut file| std::io::Write::write_all(&mut file, &request))
        .unwrap();
    let supervisor = supervisor();
    let mut command = Command::new("/bin/bash");
    command
        .arg("-c")
        .arg("\"$1\" supervise \"$2\" & read -r; exit 0")
        .arg("caller")
        .arg(&supervisor.program)
        .arg(case.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut caller = command.spawn().unwrap();
    let worker = case.pid("worker");
    kill_process_group(raw(caller.id()), Signal::HUP).unwrap();
    kill_process_group(raw(caller.id()), Signal::KILL).unwrap();
    caller.wait().unwrap();
    let record = case.record();
    signal(record.supervisor.pid, Signal::HUP);
    assert_eq!(case.verdict(), Verdict::Running);
    assert!(is_alive(worker));
    assert!(ask_to_stop(&record));
    assert_eq!(case.exit().ending, Ending::Stopped);
}
