//! The login with a second factor, driven through a pseudo-terminal as a person would: right, wrong, interrupted,
//! expired.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use ralph_core::backend::{BackendError, ClusterBackend as _};
use ralph_slurm::{ClusterSettings, Prompt, Prompter, Session, SessionState};
use tempfile::TempDir;

use crate::site::{Cluster, backend, cluster, transport};

const PASSWORD: &str = "Password: ";
const CODE: &str = "Verification code: ";
const HOST_KEY: &str = "(yes/no/[fingerprint])? ";

/// A user of the cluster who has to give a password and a code, and who has never seen its host key.
struct Person {
    folder: TempDir,
    settings: ClusterSettings,
    text: String,
}

impl Person {
    fn new(cluster: &Cluster) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("ssh_config");
        let known = folder.path().join("known_hosts");
        let lines = format!(
            "Host login\n  HostName 127.0.0.1\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n  \
             StrictHostKeyChecking ask\n  PreferredAuthentications keyboard-interactive\n  IdentityAgent none\n",
            known.display()
        );
        File::create(&config)
            .unwrap()
            .write_all(lines.as_bytes())
            .unwrap();
        let text = serde_json::json!({
            "ssh": {
                "user": cluster.value("RALPH_2FA_USER"),
                "host": "login",
                "port": cluster.value("RALPH_SSH_PORT"),
                "control_path": folder.path().join("a new folder/%C"),
                "control_persist": "10m",
                "config_file": config,
            },
            "remote": {"repo_root": "~/repo"},
        })
        .to_string();
        let (settings, _) = ClusterSettings::parse(&text).unwrap();
        Self {
            folder,
            settings,
            text,
        }
    }

    fn session(&self) -> Session {
        Session::new(self.settings.ssh.clone())
    }

    async fn is_open(&self) -> bool {
        matches!(
            self.session().state().await.unwrap(),
            SessionState::Open { .. }
        )
    }

    /// `Session::connect` in a process of its own, on a terminal of its own.
    fn connect(&self) -> Dialogue {
        let (terminal, slave) = pseudo_terminal();
        let child = Command::new("setsid")
            .args(["--ctty", "--wait"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "child::connects", "--nocapture"])
            .env(crate::child::ORDER, &self.text)
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave)
            .spawn()
            .unwrap();
        Dialogue::new(child, terminal)
    }
}

fn pseudo_terminal() -> (File, File) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let terminal: OwnedFd =
        openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let path = PathBuf::from(name.to_str().unwrap());
    let slave = File::options().read(true).write(true).open(path).unwrap();
    (File::from(terminal), slave)
}

/// A process on a terminal, and what it has printed there.
struct Dialogue {
    child: Child,
    terminal: File,
    pieces: Receiver<Vec<u8>>,
    text: String,
    read: usize,
}

impl Dialogue {
    fn new(child: Child, terminal: File) -> Self {
        let (sender, pieces) = channel();
        let mut reader = terminal.try_clone().unwrap();
        // The read fails when the last process on the terminal has closed it; the thread ends then.
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut piece) {
                if sender.send(piece[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            terminal,
            pieces,
            text: String::new(),
            read: 0,
        }
    }

    /// Waits until the terminal shows this text, behind what was waited for before.
    fn expect(&mut self, wanted: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(at) = self.text[self.read..].find(wanted) {
                self.read += at + wanted.len();
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(piece) = self.pieces.recv_timeout(left) else {
                panic!("`{wanted}` did not come; the terminal shows: {}", self.text);
            };
            self.text.push_str(&String::from_utf8_lossy(&piece));
        }
    }

    fn answer(&mut self, wanted: &str, answer: &str) {
        self.expect(wanted);
        self.terminal
            .write_all(format!("{answer}\n").as_bytes())
            .unwrap();
    }

    fn finish(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        while let Ok(piece) = self.pieces.recv_timeout(Duration::from_millis(500)) {
            self.text.push_str(&String::from_utf8_lossy(&piece));
        }
        (status, self.text)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn right_answers_open_the_session_for_everything_else() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    let person = Person::new(&cluster);
    let mut dialogue = person.connect();
    dialogue.answer(HOST_KEY, "yes");
    dialogue.answer(PASSWORD, cluster.value("RALPH_2FA_PASSWORD"));
    dialogue.answer(CODE, cluster.control(&["otp"]).trim());
    let (_, text) = dialogue.finish();
    assert!(text.contains("CONNECTED New"), "{text}");
    assert!(
        !text.contains(cluster.value("RALPH_2FA_PASSWORD")),
        "the password was shown"
    );
    assert!(person.is_open().await);

    let backend = backend(
        &person.settings,
        transport(&person.settings),
        person.folder.path(),
    );
    backend.check().await.unwrap();
    assert_eq!(backend.jobs().await.unwrap(), []);
    let (_, text) = person.connect().finish();
    assert!(
        text.contains("CONNECTED Already") && !text.contains(PASSWORD),
        "{text}"
    );

    // Expired: everything else says so and asks nobody.
    assert!(person.session().disconnect().await.unwrap());
    assert!(!person.is_open().await && !person.session().disconnect().await.unwrap());
    let expired = backend.jobs().await;
    assert_eq!(
        expired,
        Err(BackendError::NoSession {
            host: "login".to_owned()
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_answers_open_nothing() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    let person = Person::new(&cluster);
    let mut dialogue = person.connect();
    dialogue.answer(HOST_KEY, "yes");
    let password = cluster.value("RALPH_2FA_PASSWORD");
    for (password, code) in [
        ("wrong", "000000"),
        (password, "000000"),
        ("wrong", cluster.control(&["otp"]).trim()),
    ] {
        dialogue.answer(PASSWORD, password);
        dialogue.answer(CODE, code);
    }
    let (_, text) = dialogue.finish();
    assert!(
        text.contains("Permission denied") && text.contains("REFUSED no_session"),
        "{text}"
    );
    assert!(!person.is_open().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_key_that_is_not_accepted_opens_nothing() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    let person = Person::new(&cluster);
    let mut dialogue = person.connect();
    dialogue.answer(HOST_KEY, "no");
    let (_, text) = dialogue.finish();
    assert!(
        text.contains("REFUSED no_session") && !text.contains(PASSWORD),
        "{text}"
    );
    assert!(!person.is_open().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_login_leaves_nothing_behind() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    let person = Person::new(&cluster);
    let mut dialogue = person.connect();
    dialogue.answer(HOST_KEY, "yes");
    dialogue.expect(PASSWORD);
    dialogue.terminal.write_all(b"\x03").unwrap();
    let (status, text) = dialogue.finish();
    assert!(
        !status.success() && !text.contains("CONNECTED"),
        "{status}: {text}"
    );
    assert!(!person.is_open().await);
    let sockets = std::fs::read_dir(person.folder.path().join("a new folder"))
        .unwrap()
        .count();
    assert_eq!(sockets, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_session_does_not_hold_the_caller_s_pipes() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    let site = cluster.openssh().await;
    site.disconnect().await;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child::connects", "--nocapture"])
        .env(crate::child::ORDER, site.text())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (sender, ended) = channel();
    let pipes = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    std::thread::spawn(move || {
        let (mut out, mut err) = (String::new(), String::new());
        let (mut stdout, mut stderr) = pipes;
        stdout.read_to_string(&mut out).unwrap();
        stderr.read_to_string(&mut err).unwrap();
        sender.send(out + &err).unwrap();
    });
    let text = ended
        .recv_timeout(Duration::from_secs(30))
        .expect("the session in the background holds a pipe open");
    child.wait().unwrap();
    assert!(text.contains("CONNECTED New"), "{text}");
    assert!(site.transport.check().await.is_ok());
}

/// Answers as the person would; counts how often it was asked.
#[derive(Debug)]
struct Answers {
    password: String,
    control: (PathBuf, PathBuf),
    asked: std::sync::atomic::AtomicUsize,
}

impl Prompter for Answers {
    fn answer(&self, _instructions: &str, prompts: &[Prompt]) -> Option<Vec<String>> {
        self.asked
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let otp = || {
            let output = Command::new(&self.control.0)
                .arg("otp")
                .env("RALPH_CLUSTER_DIR", &self.control.1)
                .output()
                .unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        Some(
            prompts
                .iter()
                .map(|prompt| {
                    if prompt.text == PASSWORD {
                        self.password.clone()
                    } else {
                        otp()
                    }
                })
                .collect(),
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_client_asks_through_a_callback_and_only_once_when_refused() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    let text = serde_json::json!({
        "ssh": {
            "user": cluster.value("RALPH_2FA_USER"),
            "host": "127.0.0.1",
            "port": cluster.value("RALPH_SSH_PORT"),
            "transport": "libssh2",
            "known_hosts": cluster.value("RALPH_SSH_KNOWN_HOSTS"),
        },
        "remote": {"repo_root": "~/repo"},
    });
    let (settings, _) = ClusterSettings::parse(&text.to_string()).unwrap();
    for (password, lets_in) in [
        (cluster.value("RALPH_2FA_PASSWORD"), true),
        ("wrong", false),
    ] {
        let answers = std::sync::Arc::new(Answers {
            password: password.to_owned(),
            control: (
                cluster.value("RALPH_CLUSTER_CTL").into(),
                cluster.value("RALPH_CLUSTER_DIR").into(),
            ),
            asked: std::sync::atomic::AtomicUsize::new(0),
        });
        let prompter: std::sync::Arc<dyn Prompter> = std::sync::Arc::clone(&answers) as _;
        let client = ralph_slurm::Libssh2::new(
            settings.ssh.clone(),
            "/nonexistent".into(),
            "nobody",
            Some(prompter),
        );
        let client = std::sync::Arc::new(client);
        let backend = backend(&settings, client, Path::new("/nonexistent"));
        for _ in 0..2 {
            assert_eq!(backend.check().await.is_ok(), lets_in);
        }
        let asked = answers.asked.load(std::sync::atomic::Ordering::Relaxed);
        assert!((1..=2).contains(&asked), "asked {asked} times");
    }
}
