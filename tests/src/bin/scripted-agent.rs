//! An agent that does what its task says after `::`, one step after the other, separated by `;`:
//! `write FILE WORDS`, `append FILE WORDS`, `remove PATH`, `commit WORDS`, `sleep MILLISECONDS`, `print WORDS`,
//! `git WORDS`, `error WORDS`, `exit CODE`, `abort`, `hang`, `child SECONDS` (one that ignores TERM), `orphan SECONDS` (one with an
//! empty environment), `unguard SIGNAL` (for its parent, the guard), `flood MEGABYTES`, `wait FILE`, `token` (says one wherever it can say something),
//! `limit FILE SECONDS` and `throttle FILE SECONDS` (refused for so long, once: when there is no such file yet).
//!
//! With `AGENT_LOG` it appends `begin ID NANOSECONDS` and `end ID NANOSECONDS` (of the machine's clock) there, and
//! `commit:HASH ID NANOSECONDS` for each commit. It uses nothing but the standard library: the benches compile this
//! file alone.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::exit,
    clippy::expect_used,
    reason = "a test program: it plays an agent, which does all of this"
)]

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn main() {
    let mut order = String::new();
    std::io::stdin()
        .read_to_string(&mut order)
        .expect("an order on standard input");
    let text = std::env::var("RALPH_TASK_TEXT").unwrap_or_default();
    note("begin");
    let script = text.split_once("::").map_or("", |(_, script)| script);
    for step in script.split(';') {
        let step = step.trim();
        let (word, rest) = step.split_once(' ').unwrap_or((step, ""));
        perform(word, rest);
    }
    note("end");
}

fn note(what: &str) {
    let Ok(path) = std::env::var("AGENT_LOG") else {
        return;
    };
    let id = std::env::var("RALPH_ATTEMPT_ID").unwrap_or_default();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a time after 1970");
    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .expect("the log");
    log.write_all(format!("{what} {id} {}\n", now.as_nanos()).as_bytes())
        .expect("the log");
}

fn perform(word: &str, rest: &str) {
    let (first, tail) = rest.split_once(' ').unwrap_or((rest, ""));
    match word {
        "" => {}
        "write" => put(first, &format!("{tail}\n"), false),
        "append" => put(first, &format!("{tail}\n"), true),
        "remove" => {
            let path = Path::new(first);
            let _ = if path.is_dir() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            };
        }
        "commit" => commit(rest),
        "git" => {
            let words = rest.split(' ');
            Command::new("git").args(words).status().expect("git");
        }
        "sleep" => sleep(Duration::from_millis(rest.parse().expect("milliseconds"))),
        "print" => println!("{rest}"),
        "error" => eprintln!("{rest}"),
        "exit" => {
            note("end");
            std::process::exit(rest.parse().expect("a code"))
        }
        "hang" => loop {
            sleep(Duration::from_secs(3_600));
        },
        "child" => child(rest),
        "abort" => std::process::abort(),
        "token" => token(),
        "orphan" => orphan(rest),
        "unguard" => {
            let guard = std::os::unix::process::parent_id().to_string();
            Command::new("kill")
                .args(["-s", rest, &guard])
                .status()
                .expect("kill");
        }
        "flood" => flood(rest.parse().expect("megabytes")),
        "limit" => refused("usage_limit", first, tail.parse().expect("seconds")),
        "throttle" => refused("throttled", first, tail.parse().expect("seconds")),
        "wait" => {
            while !Path::new(first).exists() {
                sleep(Duration::from_millis(5));
            }
        }
        other => {
            eprintln!("no such step: {other}");
            std::process::exit(64)
        }
    }
}

fn put(path: &str, text: &str, append: bool) {
    if let Some(folder) = Path::new(path).parent() {
        let _ = fs::create_dir_all(folder);
    }
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .append(append)
        .truncate(!append)
        .open(path)
        .expect("a file to write");
    file.write_all(text.as_bytes()).expect("written");
}

fn commit(message: &str) {
    for words in [&["add", "-A"][..], &["commit", "-qm", message]] {
        Command::new("git").args(words).status().expect("git");
    }
    let head = Command::new("git").args(["rev-parse", "HEAD"]).output();
    let head = String::from_utf8_lossy(&head.expect("git").stdout).into_owned();
    note(&format!("commit:{}", head.trim()));
}

/// The first one ends the agent, as usage limits do; its time is whole seconds.
fn refused(outcome: &str, path: &str, seconds: u64) {
    if Path::new(path).exists() {
        return;
    }
    put(path, "", false);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let at = now.expect("a time after 1970").as_secs() + seconds;
    println!(
        r#"{{"ralph": "outcome", "outcome": "{outcome}", "resets_at": {at}, "retry_after": {seconds}, "message": "limit reached"}}"#
    );
    note(&format!("limit:{at}"));
    note("end");
    std::process::exit(1)
}

/// One that is not waited for, ignores TERM and has a session of its own.
fn child(seconds: &str) {
    Command::new("setsid")
        .args(["--fork", "sh", "-c", "trap '' TERM; sleep \"$0\"", seconds])
        .stdin(Stdio::null())
        .status()
        .expect("a child");
}

/// One that is not waited for and knows nothing of its attempt.
#[expect(
    clippy::zombie_processes,
    reason = "that nobody waits for it is what it is for"
)]
fn orphan(seconds: &str) {
    let _orphan = Command::new("sleep")
        .arg(seconds)
        .env_clear()
        .stdin(Stdio::null())
        .spawn()
        .expect("a child");
}

/// A word that looks like a token of GitHub, in every place where an agent can say something.
fn token() {
    let token = format!("ghp_{}", "Zz9".repeat(12));
    println!("the token is {token}");
    eprintln!("again {token}");
    println!("{{\"ralph\":\"progress\",\"doing\":\"using {token}\"}}");
    println!(
        "{{\"ralph\":\"outcome\",\"outcome\":\"done\",\"summary\":\"used {token}\",\"session_id\":\"{token}\"}}"
    );
}

fn flood(megabytes: usize) {
    let line = [b'x'; 1_023];
    let mut out = std::io::stdout().lock();
    for _ in 0..megabytes * 1_024 {
        if out
            .write_all(&line)
            .and_then(|()| out.write_all(b"\n"))
            .is_err()
        {
            return;
        }
    }
}
