//! A transport in a process of its own: what goes through it, and what happens when that process fails.
#![expect(
    clippy::expect_used,
    reason = "a fixture that cannot be made ends the test that needs it"
)]

use std::fs;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use ralph_core::error::Coded as _;
use ralph_slurm::{
    ClusterSettings, ExecRequest, Exit, Relay, SshSettings, Transport as _, TransportError,
};
use tempfile::TempDir;

/// The other end, whose remote machine is this one.
const PROGRAM: &str = env!("CARGO_BIN_EXE_relay-local");

fn settings() -> SshSettings {
    let text =
        r#"{"ssh": {"host": "login", "transport": "libssh2"}, "remote": {"repo_root": "~"}}"#;
    let (settings, _) = ClusterSettings::parse(text).expect("settings");
    settings.ssh
}

fn relay_to(program: PathBuf, home: &TempDir) -> Relay {
    Relay::new(program, settings(), home.path().to_owned(), "nobody")
}

fn relay(home: &TempDir) -> Relay {
    relay_to(PathBuf::from(PROGRAM), home)
}

fn home() -> TempDir {
    TempDir::new().expect("a folder")
}

const LONG: Duration = Duration::from_secs(60);

fn request<'a>(command: &'a str, input: &'a [u8]) -> ExecRequest<'a> {
    ExecRequest {
        command,
        input,
        limit: LONG,
    }
}

async fn run(relay: &Relay, request: ExecRequest<'_>) -> (Vec<u8>, Result<Exit, TransportError>) {
    let mut output = Vec::new();
    let ended = relay
        .exec(&request, &mut |piece| {
            output.extend_from_slice(piece);
            ControlFlow::Continue(())
        })
        .await;
    (output, ended)
}

/// The process ids that commands wrote down. A process that is gone, or waits to be reaped, runs no more; it does as
/// long as one of its threads is there, even if its first one is over.
fn runs(pid: &str) -> bool {
    let pid = pid.trim();
    let is_over = |stat: &str| {
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('Z'))
    };
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    threads > 1 || stat.is_ok_and(|stat| !is_over(&stat))
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + LONG;
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn written(path: &Path) -> Option<String> {
    fs::read_to_string(path)
        .ok()
        .filter(|text| text.ends_with('\n'))
}

#[tokio::test]
async fn input_output_complaints_and_codes_go_through_as_they_are() {
    let home = home();
    let relay = relay(&home);
    relay.check().await.expect("it is there");
    let input: Vec<u8> = (0_u32..300_000).flat_map(u32::to_le_bytes).collect();
    let (output, ended) = run(&relay, request("cat; echo oh >&2; exit 7", &input)).await;
    assert!(output == input, "{} of {} bytes", output.len(), input.len());
    let exit = Exit {
        code: Some(7),
        stderr: "oh".to_owned(),
    };
    assert_eq!(ended, Ok(exit));
    let (output, ended) = run(&relay, request("kill -9 $$", b"")).await;
    assert_eq!((output.len(), ended.map(|exit| exit.code)), (0, Ok(None)));
    assert_eq!(relay.host(), "login");
}

#[tokio::test]
async fn a_reader_that_has_enough_is_not_kept_waiting_by_a_command_that_goes_on() {
    let home = home();
    let relay = relay(&home);
    let mut pieces = 0;
    let ended = relay
        .exec(&request("echo first; exec sleep 600", b""), &mut |_| {
            pieces += 1;
            ControlFlow::Break(())
        })
        .await;
    assert_eq!((pieces, ended.map(|exit| exit.code)), (1, Ok(None)));
    let (output, _) = run(&relay, request("echo next", b"")).await;
    assert_eq!(output, b"next\n");
}

#[tokio::test]
async fn a_limit_is_the_commands_and_the_process_serves_on() {
    let home = home();
    let relay = relay(&home);
    let limit = Duration::from_millis(50);
    let (_, ended) = run(
        &relay,
        ExecRequest {
            limit,
            ..request("exec sleep 600", b"")
        },
    )
    .await;
    assert!(
        matches!(ended, Err(TransportError::Deadline { .. })),
        "{ended:?}"
    );
    let (first, _) = run(&relay, request("echo $PPID", b"")).await;
    let (second, _) = run(&relay, request("echo $PPID", b"")).await;
    assert_eq!(first, second, "one process for all");
}

#[tokio::test]
async fn a_process_that_dies_at_work_loses_that_reply_and_one_that_dies_idle_nothing() {
    let home = home();
    let relay = relay(&home);
    let (_, ended) = run(
        &relay,
        request("echo $PPID; kill -9 $PPID; exec sleep 600", b""),
    )
    .await;
    let Err(TransportError::Lost { host, detail }) = ended else {
        panic!("{ended:?}");
    };
    assert_eq!(host, "login");
    assert!(detail.contains("relay-local: "), "{detail}");
    let (idle, _) = run(&relay, request("echo $PPID", b"")).await;
    let idle = String::from_utf8(idle).expect("a number");
    let killed = Command::new("kill").args(["-9", idle.trim()]).status();
    assert!(killed.expect("kill").success());
    until("the process is gone", || !runs(&idle)).await;
    let (next, ended) = run(&relay, request("echo $PPID", b"")).await;
    assert_eq!(ended.map(|exit| exit.code), Ok(Some(0)));
    assert_ne!(String::from_utf8(next).expect("a number"), idle);
}

#[tokio::test]
async fn who_is_given_up_takes_the_process_along() {
    let home = home();
    let relay = relay(&home);
    let pid = home.path().join("pid");
    let given_up = tokio::select! {
        _ = run(&relay, request("echo $PPID > pid; exec sleep 600", b"")) => None,
        () = until("it runs", || written(&pid).is_some()) => written(&pid),
    };
    let pid = given_up.expect("the command goes on");
    until("the process is gone", || !runs(&pid)).await;
    let (output, _) = run(&relay, request("echo next", b"")).await;
    assert_eq!(output, b"next\n");
}

/// As after a `kill -9` of the owner: only its end of the pipe closes.
#[tokio::test]
async fn a_process_whose_owner_is_gone_ends_although_a_command_runs() {
    let home = home();
    let mut child = Command::new(PROGRAM)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the process");
    let mut stdin = child.stdin.take().expect("its input");
    let frame = |kind: u8, body: &str| {
        let mut frame = vec![kind];
        frame.extend(u32::try_from(body.len()).expect("short").to_be_bytes());
        frame.extend(body.as_bytes());
        frame
    };
    let opening = serde_json::json!({"open": {
        "version": "any", "settings": settings(), "home": home.path(), "user": "nobody",
    }});
    let exec = r#"{"exec": {"command": "echo $$ > pid; exec sleep 600", "milliseconds": 600000}}"#;
    for frame in [
        frame(b'M', &opening.to_string()),
        frame(b'M', exec),
        frame(b'B', ""),
    ] {
        stdin.write_all(&frame).expect("it reads");
    }
    let pid = home.path().join("pid");
    until("it runs", || written(&pid).is_some()).await;
    assert!(child.try_wait().expect("its state").is_none());
    drop(stdin);
    until("it ends", || child.try_wait().expect("its state").is_some()).await;
    let command = written(&pid).expect("the command's id");
    let _ = Command::new("kill").args(["-9", command.trim()]).status();
}

#[tokio::test]
async fn what_is_no_such_program_is_told_with_what_to_do() {
    let home = home();
    let script = |name: &str, text: &str| {
        let path = home.path().join(name);
        write_program(&path, text);
        path
    };
    let other = r#"{"ready":{"version":"0.0.0"}}"#;
    let length = format!("\\0\\0\\0\\{:o}", other.len());
    let cases = [
        (PathBuf::from("/nowhere/relay"), "No such file"),
        (script("silent", "#!/bin/sh\nexit 0\n"), ""),
        (
            script("angry", "#!/bin/sh\necho no library >&2\nexit 127\n"),
            "no library",
        ),
        (script("echo", "#!/bin/sh\nexec cat\n"), ""),
        (script("noise", "#!/bin/sh\necho hello\n"), ""),
        (
            script(
                "old",
                &format!("#!/bin/sh\nprintf 'M{length}%s' '{other}'\nexec cat >/dev/null\n"),
            ),
            "it is of version 0.0.0, expected ",
        ),
    ];
    for (program, says) in cases {
        let error = relay_to(program.clone(), &home)
            .check()
            .await
            .expect_err("no relay");
        let TransportError::Program {
            program: named,
            detail,
        } = &error
        else {
            panic!("{}: {error:?}", program.display());
        };
        assert_eq!(named, &program.display().to_string());
        assert!(
            detail.contains(says) && !detail.is_empty(),
            "{named}: {detail}"
        );
        let hint = error.hint().expect("what to do").to_string();
        assert!(hint.contains("same build"), "{hint}");
    }
}

/// The clock stands still but for what is waited for: it goes on to the limit at once.
#[tokio::test(start_paused = true)]
async fn a_program_that_reads_and_never_answers_is_given_up_and_ended() {
    let home = home();
    let (program, pid) = (home.path().join("mute"), home.path().join("pid"));
    // The shell holds its output open while the other one reads.
    let text = format!("#!/bin/sh\necho $$ >'{}'\ncat >/dev/null\n", pid.display());
    write_program(&program, &text);
    let begun = tokio::time::Instant::now();
    let error = relay_to(program.clone(), &home).check().await;
    let error = error.expect_err("no answer");
    assert_eq!(begun.elapsed().as_secs(), 30);
    let TransportError::Program {
        program: named,
        detail,
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(named, &program.display().to_string());
    assert!(detail.contains("did not answer within 30 s"), "{detail}");
    assert!(error.hint().is_some());
    // It may have been ended before it had come to write.
    if let Some(pid) = written(&pid) {
        until("it is ended", || !runs(&pid)).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's own program")]
fn write_program(path: &Path, text: &str) {
    fs::write(path, text).expect("a script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its mode");
}
