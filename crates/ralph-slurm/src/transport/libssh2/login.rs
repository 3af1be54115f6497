//! Opening a connection of our own: reach the host, know it, log in.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ssh2::{CheckResult, KeyboardInteractivePrompt, KnownHostFileKind, MethodType, Session};

use super::{Prompt, Prompter};
use crate::settings::SshSettings;

const CONNECT: Duration = Duration::from_secs(20);

/// Kinds of host keys, asked for one after the other: a host shows one kind per connection, and `known_hosts` may
/// hold another.
const KEY_KINDS: [&str; 3] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521",
    "rsa-sha2-512,rsa-sha2-256,ssh-rsa",
];

/// Keys that are tried when none is named and the agent has none.
const DEFAULT_KEYS: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// Why there is no connection.
pub(super) enum Failure {
    /// The host is not the one we know, or does not let us in: asking again is useless or harmful.
    Refused(String),
    /// The host was not reached; another time it may be.
    Unreachable(String),
}

/// Opens a connection whose host is known and that is logged in.
pub(super) fn log_in(
    settings: &SshSettings,
    home: &Path,
    user: &str,
    prompter: Option<&dyn Prompter>,
) -> Result<Session, Failure> {
    let session = known_host(settings, home)?;
    authenticate(&session, settings, home, user, prompter)?;
    Ok(session)
}

fn known_host(settings: &SshSettings, home: &Path) -> Result<Session, Failure> {
    let file = settings
        .known_hosts
        .as_deref()
        .map_or_else(|| home.join(".ssh/known_hosts"), |path| expand(path, home));
    let mut verdict = None;
    let mut failure = Failure::Unreachable("no kind of host key was offered".to_owned());
    for kinds in KEY_KINDS {
        let session = match handshake(settings, kinds) {
            Ok(session) => session,
            Err(Handshake::Network(detail)) => return Err(Failure::Unreachable(detail)),
            Err(Handshake::Protocol(detail)) => {
                failure = Failure::Unreachable(detail);
                continue;
            }
        };
        match check_key(&session, settings, &file)? {
            CheckResult::Match => return Ok(session),
            CheckResult::Mismatch => verdict = Some(CheckResult::Mismatch),
            other => verdict = verdict.or(Some(other)),
        }
    }
    match verdict {
        None => Err(failure),
        Some(CheckResult::Mismatch) => Err(Failure::Refused(format!(
            "the key of {} is not the one in {}; ask the administrators before you trust it",
            settings.host,
            file.display()
        ))),
        Some(_) => Err(Failure::Refused(format!(
            "{} is not in {}; log in once with ssh and compare its key",
            settings.host,
            file.display()
        ))),
    }
}

/// Why a handshake failed.
enum Handshake {
    Network(String),
    Protocol(String),
}

fn handshake(settings: &SshSettings, kinds: &str) -> Result<Session, Handshake> {
    let port = settings.port.unwrap_or(22);
    let network =
        |error: std::io::Error| Handshake::Network(format!("{}:{port}: {error}", settings.host));
    let protocol =
        |error: ssh2::Error| Handshake::Protocol(format!("{}:{port}: {error}", settings.host));
    let mut last = None;
    let addresses = (settings.host.as_str(), port)
        .to_socket_addrs()
        .map_err(network)?;
    let stream = addresses
        .filter_map(|address| {
            TcpStream::connect_timeout(&address, CONNECT)
                .map_err(|error| last = Some(error))
                .ok()
        })
        .next();
    let Some(stream) = stream else {
        let error = last.unwrap_or_else(|| std::io::Error::other("the name has no address"));
        return Err(network(error));
    };
    let mut session = Session::new().map_err(protocol)?;
    session.set_timeout(super::millis(CONNECT));
    session
        .method_pref(MethodType::HostKey, kinds)
        .map_err(protocol)?;
    session.set_tcp_stream(stream);
    session.handshake().map_err(protocol)?;
    Ok(session)
}

fn check_key(
    session: &Session,
    settings: &SshSettings,
    file: &Path,
) -> Result<CheckResult, Failure> {
    let unreadable = |error: ssh2::Error| {
        Failure::Refused(format!("{} cannot be read: {error}", file.display()))
    };
    let mut known = session.known_hosts().map_err(unreadable)?;
    if file.exists() {
        known
            .read_file(file, KnownHostFileKind::OpenSSH)
            .map_err(unreadable)?;
    }
    Ok(match session.host_key() {
        Some((key, _)) => known.check_port(&settings.host, settings.port.unwrap_or(22), key),
        None => CheckResult::Failure,
    })
}

fn authenticate(
    session: &Session,
    settings: &SshSettings,
    home: &Path,
    user: &str,
    prompter: Option<&dyn Prompter>,
) -> Result<(), Failure> {
    // The first question to the server also says whether it is still there.
    let methods = session.auth_methods(user).map(str::to_owned);
    if session.authenticated() {
        return Ok(());
    }
    let methods = methods.map_err(|error| Failure::Unreachable(error.to_string()))?;
    if methods.contains("publickey")
        && (by_file(session, settings, home, user) || by_agent(session, user))
    {
        return Ok(());
    }
    if let Some(prompter) = prompter.filter(|_| methods.contains("keyboard-interactive")) {
        let mut asker = Asker { prompter };
        if session
            .userauth_keyboard_interactive(user, &mut asker)
            .is_ok()
            && session.authenticated()
        {
            return Ok(());
        }
    }
    Err(Failure::Refused(format!(
        "{user}@{} was not let in (the host offers {methods}); this program does not try again",
        settings.host
    )))
}

fn by_file(session: &Session, settings: &SshSettings, home: &Path, user: &str) -> bool {
    let keys: Vec<PathBuf> = match &settings.identity_file {
        Some(path) => vec![expand(path, home)],
        None => DEFAULT_KEYS
            .iter()
            .map(|name| home.join(".ssh").join(name))
            .collect(),
    };
    keys.iter().filter(|path| path.exists()).any(|path| {
        session.userauth_pubkey_file(user, None, path, None).is_ok() && session.authenticated()
    })
}

/// Every key of the agent in turn; where the agent is, the library reads from the environment.
fn by_agent(session: &Session, user: &str) -> bool {
    let attempt = || -> Result<bool, ssh2::Error> {
        let mut agent = session.agent()?;
        agent.connect()?;
        agent.list_identities()?;
        let identities = agent.identities()?;
        Ok(identities
            .iter()
            .any(|identity| agent.userauth(user, identity).is_ok()))
    };
    attempt().unwrap_or(false) && session.authenticated()
}

/// Hands the server's questions to the caller.
struct Asker<'a> {
    prompter: &'a dyn Prompter,
}

impl KeyboardInteractivePrompt for Asker<'_> {
    fn prompt<'a>(
        &mut self,
        _username: &str,
        instructions: &str,
        prompts: &[ssh2::Prompt<'a>],
    ) -> Vec<String> {
        let questions: Vec<Prompt> = prompts
            .iter()
            .map(|prompt| Prompt {
                text: prompt.text.to_string(),
                echo: prompt.echo,
            })
            .collect();
        let mut answers = self
            .prompter
            .answer(instructions, &questions)
            .unwrap_or_default();
        // The library wants one answer per question; an empty one is a wrong one.
        answers.resize(prompts.len(), String::new());
        answers
    }
}

fn expand(path: &str, home: &Path) -> PathBuf {
    path.strip_prefix("~/")
        .map_or_else(|| PathBuf::from(path), |rest| home.join(rest))
}
