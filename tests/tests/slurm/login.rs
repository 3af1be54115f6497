//! `ralph cluster connect` on a pseudo-terminal, where a person gives a password and a verification code.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use ralph_tests::slurm::{Cluster, Site, cluster};

const PASSWORD: &str = "Password: ";
const CODE: &str = "Verification code: ";

/// A process on a terminal of its own, and what it has shown there.
#[derive(Debug)]
struct Dialogue {
    child: Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    text: String,
    read: usize,
}

impl Dialogue {
    /// Starts `ralph cluster connect`; `setsid` makes the terminal its own, as a shell would.
    fn connect(site: &Site<'_>) -> Self {
        let (keyboard, terminal) = pseudo_terminal();
        let ralph = site.command(&["cluster", "connect"]);
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait"]).arg(ralph.get_program());
        command
            .args(ralph.get_args())
            .current_dir(site.workspace.root());
        command.env_clear();
        for (name, value) in ralph.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        let another = || terminal.try_clone().expect("a terminal");
        command.stdin(another()).stdout(another()).stderr(terminal);
        let child = command.spawn().expect("setsid");
        let mut reader = keyboard.try_clone().expect("a terminal");
        let (sender, screen) = channel();
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
            keyboard,
            screen,
            text: String::new(),
            read: 0,
        }
    }

    /// Waits until the terminal shows this, behind what was waited for before, and types the answer.
    #[track_caller]
    fn answer(&mut self, wanted: &str, keys: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let end = loop {
            if let Some(at) = self.text[self.read..].find(wanted) {
                break self.read + at + wanted.len();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let piece = self.screen.recv_timeout(left);
            let piece = piece.unwrap_or_else(|_| panic!("no {wanted:?} in: {}", self.text));
            self.text.push_str(&String::from_utf8_lossy(&piece));
        };
        self.read = end;
        self.keyboard
            .write_all(keys.as_bytes())
            .expect("a terminal");
    }

    /// Waits for the end; what was shown until the last process had closed the terminal.
    fn finish(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("an end");
        while let Ok(piece) = self.screen.recv_timeout(Duration::from_secs(2)) {
            self.text.push_str(&String::from_utf8_lossy(&piece));
        }
        (status, self.text)
    }
}

fn pseudo_terminal() -> (File, File) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let keyboard: OwnedFd = openpt(flags).expect("a terminal");
    grantpt(&keyboard).expect("a terminal");
    unlockpt(&keyboard).expect("a terminal");
    let name = ptsname(&keyboard, Vec::new()).expect("its name");
    let path = PathBuf::from(name.to_str().expect("a path"));
    let terminal = File::options().read(true).write(true).open(path);
    (
        File::from(keyboard),
        terminal.expect("the terminal's other end"),
    )
}

/// A site whose user needs a second factor.
fn site(cluster: &Cluster) -> Site<'_> {
    let site = Site::new(cluster);
    let config = Path::new(cluster.value("RALPH_SSH_CONFIG"));
    site.configure(cluster.value("RALPH_2FA_ALIAS"), config);
    site
}

/// What is typed for the verification code: it is asked for when it is needed, because it changes.
fn code(cluster: &Cluster) -> String {
    format!("{}\n", cluster.control(&["otp"]).trim())
}

#[test]
fn the_right_answers_open_the_session_for_everything_else() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    let site = site(&cluster);
    let password = cluster.value("RALPH_2FA_PASSWORD");
    let mut dialogue = Dialogue::connect(&site);
    dialogue.answer(PASSWORD, &format!("{password}\n"));
    dialogue.answer(CODE, &code(&cluster));
    let (status, text) = dialogue.finish();
    assert_eq!(status.code(), Some(0), "{text}");
    assert!(text.contains("The session to ralph-2fa is open."), "{text}");
    assert!(!text.contains(password), "the password was shown: {text}");
    let checked = site.ralph(&["cluster", "check"]).ended(0);
    assert!(checked.stdout.contains("slurm"), "{}", checked.stdout);
    // Nobody is asked again.
    let (status, text) = Dialogue::connect(&site).finish();
    assert_eq!(status.code(), Some(0), "{text}");
    assert!(!text.contains(PASSWORD), "{text}");
}

#[test]
fn wrong_answers_open_nothing_and_are_explained() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    let site = site(&cluster);
    let password = cluster.value("RALPH_2FA_PASSWORD");
    let mut dialogue = Dialogue::connect(&site);
    for (password, code) in [
        ("wrong", "000000\n".to_owned()),
        (password, "000000\n".to_owned()),
        ("wrong", code(&cluster)),
    ] {
        dialogue.answer(PASSWORD, &format!("{password}\n"));
        dialogue.answer(CODE, &code);
    }
    let (status, text) = dialogue.finish();
    assert_eq!(status.code(), Some(21), "{text}");
    for needed in [
        "Permission denied",
        "no session to ralph-2fa is open",
        "ralph cluster connect",
    ] {
        assert!(text.contains(needed), "{needed}: {text}");
    }
    let _ = site.ralph(&["cluster", "check"]).ended(21);
}

#[test]
fn an_interrupt_at_either_question_leaves_no_session() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    let password = format!("{}\n", cluster.value("RALPH_2FA_PASSWORD"));
    for answers in [vec![], vec![(PASSWORD, password.as_str())]] {
        let site = site(&cluster);
        let mut dialogue = Dialogue::connect(&site);
        let question = if answers.is_empty() { PASSWORD } else { CODE };
        for (question, answer) in answers {
            dialogue.answer(question, answer);
        }
        dialogue.answer(question, "\u{3}");
        let (status, text) = dialogue.finish();
        assert_eq!(status.code(), Some(130), "{status}: {text}");
        let _ = site.ralph(&["cluster", "check"]).ended(21);
    }
}
